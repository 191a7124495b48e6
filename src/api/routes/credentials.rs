//! Which tokens are authorised for an organization, for its owners.
use crate::{
    api::{
        call::{Answer, Call},
        problem::Problem,
        shape::{CredentialShape, read_credential_id},
    },
    domain::PersonId,
};

/// A page is a page of members: with the tokens of each that are authorised for the organization.
pub async fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    let after = call.query.parsed("after", PersonId::parse)?;
    let (tenant, organization) = (call.tenant.id, call.organization()?);
    let found = call.directory.authorizations(tenant, organization, after, call.query.per_page(), call.now);
    let (authorizations, next) = found.await?;
    let shown: Vec<CredentialShape> = authorizations.iter().map(CredentialShape::of).collect();
    Ok(Answer::page(&shown, next.map(|id| id.to_string())))
}

/// Section 2.3: for the person's other organizations the token stays as it is.
pub async fn revoke(call: &Call<'_>) -> Result<Answer, Problem> {
    let (person, token) = call.id("credential", read_credential_id)?;
    let (organization, cause) = (call.organization()?, call.cause(person));
    call.directory.withdraw_token(call.tenant, organization, person, token, &cause, call.now).await?;
    Ok(Answer::done())
}
