//! What the removal guard stopped (D7).
use crate::{
    api::{
        call::{Answer, Call},
        problem::Problem,
        shape::HoldShape,
    },
    domain::{OrganizationId, PersonId},
};

pub async fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    let organization = call.organization()?;
    let id = OrganizationId::of(call.tenant.id, organization);
    // Holds come by organization and person: those of one begin after nobody.
    let after = call.query.parsed("after", PersonId::parse)?.unwrap_or(PersonId::from_bytes([0; 16]));
    let (mut holds, next) =
        call.directory.holds(call.tenant.id, Some((id, after)), call.query.per_page(), call.now).await?;
    holds.retain(|hold| hold.organization == *organization);
    let next = next.filter(|(organization, _)| *organization == id);
    let shown: Vec<HoldShape> = holds.iter().map(HoldShape::of).collect();
    Ok(Answer::page(&shown, next.map(|(_, person)| person.to_string())))
}

pub async fn approve(call: &Call<'_>) -> Result<Answer, Problem> {
    let (organization, person) = (call.organization()?, call.person()?);
    call.directory.approve_removal(call.tenant, call.actor(), organization, person, call.now).await?;
    Ok(Answer::done())
}

pub async fn reject(call: &Call<'_>) -> Result<Answer, Problem> {
    let (organization, person) = (call.organization()?, call.person()?);
    call.directory.reject_removal(call.tenant, call.actor(), organization, person, call.now).await?;
    Ok(Answer::done())
}
