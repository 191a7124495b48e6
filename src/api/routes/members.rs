//! Who belongs to an organization, as what, and why.
use serde::Deserialize;

use super::cut;
use crate::{
    api::{
        call::{Answer, Call},
        problem::{Code, Problem},
        shape::{Explained, Member, MembershipShape},
    },
    domain::{Person, PersonId, Role},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRole {
    role: RoleWord,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum RoleWord {
    Member,
    Owner,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Member => Self::Member,
            RoleWord::Owner => Self::Owner,
        }
    }
}

pub async fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    let organization = call.organization()?;
    let role =
        call.query.text("role").and_then(|text| Role::ALL.into_iter().find(|role| role.as_str() == text));
    let after = call.query.parsed("after", PersonId::parse)?;
    let per_page = call.query.per_page();
    let mut ids = match role {
        // Owners are few and stand in the organization's record.
        Some(Role::Owner) => {
            let record = call.directory.organization(call.tenant.id, organization, call.now).await?;
            let owners = record.owners.into_iter().filter(|id| after.is_none_or(|after| *id > after));
            owners.take(per_page + 1).collect()
        }
        _ => call.directory.members(call.tenant.id, organization, after, per_page + 1).await?,
    };
    let more = cut(&mut ids, per_page);
    let next = ids.last().filter(|_| more).map(PersonId::to_string);
    let people = call.directory.people_by_id(call.tenant.id, &ids, call.now).await?;
    let members: Vec<Member> = people
        .iter()
        .filter_map(|person| Some((person, person.membership(organization)?)))
        .filter(|(_, member)| role.is_none_or(|role| member.role == role))
        .map(|(person, member)| Member::of(person, member))
        .collect();
    Ok(Answer::page(&members, next))
}

pub async fn get(call: &Call<'_>) -> Result<Answer, Problem> {
    let person = call.directory.person(call.tenant.id, call.person()?, call.now).await?;
    shown(call, &person.ok_or(Code::NotFound)?)
}

pub async fn set(call: &Call<'_>) -> Result<Answer, Problem> {
    let role = Role::from(call.read::<NewRole>()?.role);
    let (organization, person) = (call.organization()?, call.person()?);
    let changed =
        call.directory.set_role(call.tenant, call.actor(), organization, person, role, call.now).await?;
    shown(call, &changed)
}

pub async fn remove(call: &Call<'_>) -> Result<Answer, Problem> {
    let (organization, person) = (call.organization()?, call.person()?);
    call.directory.remove_member(call.tenant, call.actor(), organization, person, call.now).await?;
    Ok(Answer::done())
}

pub async fn restore(call: &Call<'_>) -> Result<Answer, Problem> {
    let (organization, person) = (call.organization()?, call.person()?);
    let restored =
        call.directory.restore_member(call.tenant, call.actor(), organization, person, call.now).await?;
    shown(call, &restored)
}

pub async fn pin(call: &Call<'_>) -> Result<Answer, Problem> {
    set_pin(call, true).await
}

pub async fn unpin(call: &Call<'_>) -> Result<Answer, Problem> {
    set_pin(call, false).await
}

async fn set_pin(call: &Call<'_>, pinned: bool) -> Result<Answer, Problem> {
    let (organization, person) = (call.organization()?, call.person()?);
    call.directory.set_pin(call.tenant, call.actor(), organization, person, pinned, call.now).await?;
    Ok(Answer::done())
}

pub async fn explain(call: &Call<'_>) -> Result<Answer, Problem> {
    let (organization, person) = (call.organization()?, call.person()?);
    let explained = call.directory.explain(call.tenant, person, organization, call.now).await?;
    // Whoever is in neither the organization nor its history is none of an organization owner's business.
    let concerns = |person: &Person| {
        person.membership(organization).is_some()
            || person.former.iter().any(|former| former.organization == *organization)
    };
    let known = explained.person.as_ref();
    if !known.is_some_and(|person| call.caller.acts_for_enterprise() || concerns(person)) {
        return Err(Code::NotFound.into());
    }
    Ok(Answer::ok(&Explained::of(&explained)))
}

fn shown(call: &Call<'_>, person: &Person) -> Result<Answer, Problem> {
    let member = person.membership(call.organization()?).ok_or(Code::NotFound)?;
    Ok(Answer::ok(&MembershipShape::of(person, member)))
}
