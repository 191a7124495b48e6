//! What people have open: their own, and for owners their organization's people's.
use crate::{
    api::{
        call::{Answer, Call},
        problem::{Code, Problem},
        shape::SessionShape,
    },
    domain::{self, PersonId, SessionId},
};

pub async fn own(call: &Call<'_>) -> Result<Answer, Problem> {
    list(call, call.caller.person).await
}

pub async fn of_person(call: &Call<'_>) -> Result<Answer, Problem> {
    let person = known(call).await?;
    list(call, person).await
}

/// A page is a page of members: with what each of them has open.
pub async fn of_organization(call: &Call<'_>) -> Result<Answer, Problem> {
    let after = call.query.parsed("after", PersonId::parse)?;
    let per_page = call.query.per_page();
    let members = call.directory.members(call.tenant.id, call.organization()?, after, per_page).await?;
    let next = members.last().filter(|_| members.len() == per_page).map(PersonId::to_string);
    let mut shown = vec![];
    for person in members {
        let sessions = call.directory.sessions_of(call.tenant.id, person, call.now).await?;
        shown.extend(sessions.iter().map(|session| SessionShape::of(session, false)));
    }
    Ok(Answer::page(&shown, next))
}

pub async fn end_own(call: &Call<'_>) -> Result<Answer, Problem> {
    end(call, call.caller.person).await
}

pub async fn end_of_member(call: &Call<'_>) -> Result<Answer, Problem> {
    let person = call.directory.person(call.tenant.id, call.person()?, call.now).await?;
    let person = person.ok_or(Code::NotFound)?;
    if person.membership(call.organization()?).is_none() {
        return Err(Code::NotFound.into());
    }
    end(call, person.id).await
}

pub async fn end_of_person(call: &Call<'_>) -> Result<Answer, Problem> {
    let person = known(call).await?;
    end(call, person).await
}

async fn known(call: &Call<'_>) -> Result<PersonId, Problem> {
    let person = call.directory.person(call.tenant.id, call.person()?, call.now).await?;
    Ok(person.ok_or(Code::NotFound)?.id)
}

async fn list(call: &Call<'_>, person: PersonId) -> Result<Answer, Problem> {
    let sessions = call.directory.sessions_of(call.tenant.id, person, call.now).await?;
    let current = match &call.caller.credential {
        domain::Caller::Session(active) => Some(active.session.id),
        domain::Caller::Token(_) => None,
    };
    let shown: Vec<SessionShape> =
        sessions.iter().map(|session| SessionShape::of(session, Some(session.id) == current)).collect();
    Ok(Answer::page(&shown, None))
}

async fn end(call: &Call<'_>, person: PersonId) -> Result<Answer, Problem> {
    let session = call.id("session", SessionId::parse)?;
    let cause = call.cause(person);
    let ended = call.directory.end_session_of(call.tenant, person, session, &cause, call.now).await?;
    if ended { Ok(Answer::done()) } else { Err(Code::NotFound.into()) }
}
