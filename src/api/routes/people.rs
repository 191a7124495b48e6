//! The enterprise's people, for its owners: who there is, and who may come in.
use super::cut;
use crate::{
    api::{
        call::{Answer, Call},
        problem::{Code, Problem},
        shape::PersonShape,
    },
    domain::PersonId,
};

pub async fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    let after = call.query.parsed("after", PersonId::parse)?;
    let per_page = call.query.per_page();
    let mut people = call.directory.people(call.tenant.id, after, per_page + 1, call.now).await?;
    let more = cut(&mut people, per_page);
    let next = people.last().filter(|_| more).map(|person| person.id.to_string());
    let people: Vec<PersonShape> = people.iter().map(PersonShape::of).collect();
    Ok(Answer::page(&people, next))
}

pub async fn get(call: &Call<'_>) -> Result<Answer, Problem> {
    let person = call.directory.person(call.tenant.id, call.person()?, call.now).await?;
    Ok(Answer::ok(&PersonShape::of(&person.ok_or(Code::NotFound)?)))
}

pub async fn deactivate(call: &Call<'_>) -> Result<Answer, Problem> {
    let person =
        call.directory.deactivate_person(call.tenant, call.actor(), call.person()?, call.now).await?;
    Ok(Answer::ok(&PersonShape::of(&person)))
}

pub async fn reactivate(call: &Call<'_>) -> Result<Answer, Problem> {
    let person =
        call.directory.reactivate_person(call.tenant, call.actor(), call.person()?, call.now).await?;
    Ok(Answer::ok(&PersonShape::of(&person)))
}

pub async fn delete(call: &Call<'_>) -> Result<Answer, Problem> {
    call.directory.delete_person(call.tenant, call.actor(), call.person()?, call.now).await?;
    Ok(Answer::done())
}

/// Section 2.3: the person links anew with the next sign-in.
pub async fn revoke_link(call: &Call<'_>) -> Result<Answer, Problem> {
    call.directory.revoke_link(call.tenant, call.actor(), call.person()?, call.now).await?;
    Ok(Answer::done())
}
