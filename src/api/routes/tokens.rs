//! The caller's personal access tokens.
use serde::Deserialize;

use crate::{
    api::{
        call::{Answer, Call},
        problem::{Code, Problem},
        shape::{NewTokenShape, TokenShape},
    },
    directory::{CredentialId, Grant, NewToken},
    domain::{self, ActiveSession, OrganizationSlug, PersonId, Scope, Timestamp, TokenId},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    scopes: Vec<String>,
    #[serde(default)]
    organizations: Vec<String>,
    expires_at: String,
}

pub async fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    let tokens = call.directory.tokens_of(call.tenant.id, call.caller.person, call.now).await?;
    let shown: Vec<TokenShape> =
        tokens.iter().map(|known| TokenShape::of(&known.token, known.last_used_at)).collect();
    Ok(Answer::page(&shown, None))
}

/// The one answer that holds a token's secret (V-01).
pub async fn create(call: &Call<'_>) -> Result<Answer, Problem> {
    let New { name, scopes, organizations, expires_at } = call.read()?;
    let scope = |text: &String| Scope::ALL.into_iter().find(|scope| scope.as_str() == text);
    let scopes: Option<Vec<Scope>> = scopes.iter().map(scope).collect();
    let scopes = scopes.ok_or_else(|| wrong("One of the scopes is not known."))?;
    let slugs: Result<Vec<OrganizationSlug>, _> =
        organizations.iter().map(|text| OrganizationSlug::parse(text)).collect();
    let organizations = slugs.map_err(|_| wrong("One of the organizations is no account name."))?;
    let expires_at: Timestamp =
        expires_at.parse().map_err(|_| wrong("expires_at must be a time of RFC 3339."))?;
    if scopes.contains(&Scope::Enterprise) && !call.caller.is_enterprise_owner {
        return Err(wrong("The scope enterprise is for owners of the enterprise."));
    }
    let wanted = NewToken { name, scopes, organizations, expires_at };
    let session = session(call)?;
    let made = call.directory.create_token(call.tenant, session, wanted, call.request_id, call.now).await?;
    let (secret, token) = made;
    Ok(Answer::created(&NewTokenShape::of(&token, &secret)))
}

pub async fn revoke(call: &Call<'_>) -> Result<Answer, Problem> {
    revoke_of(call, call.caller.person).await
}

pub async fn revoke_of_person(call: &Call<'_>) -> Result<Answer, Problem> {
    let person = call.person()?;
    revoke_of(call, person).await
}

async fn revoke_of(call: &Call<'_>, person: PersonId) -> Result<Answer, Problem> {
    let (token, cause) = (call.id("token", TokenId::parse)?, call.cause(person));
    call.directory.revoke_token(call.tenant, person, token, &cause, call.now).await?;
    Ok(Answer::done())
}

pub async fn authorize(call: &Call<'_>) -> Result<Answer, Problem> {
    let (token, organization, session) =
        (call.id("token", TokenId::parse)?, call.organization()?, session(call)?);
    let (directory, tenant) = (call.directory, call.tenant);
    directory
        .authorize_token(tenant, session, Grant { token, organization }, call.request_id, call.now)
        .await?;
    Ok(Answer::done())
}

pub async fn withdraw(call: &Call<'_>) -> Result<Answer, Problem> {
    let (token, person) = (call.id("token", TokenId::parse)?, call.caller.person);
    let (organization, cause) = (call.organization()?, call.cause(person));
    call.directory
        .withdraw_token(call.tenant, organization, CredentialId { person, token }, &cause, call.now)
        .await?;
    Ok(Answer::done())
}

/// A route that asks for a session is reached by one alone.
pub(super) fn session<'a>(call: &Call<'a>) -> Result<&'a ActiveSession, Problem> {
    match &call.caller.credential {
        domain::Caller::Session(active) => Ok(active),
        domain::Caller::Token(_) => Err(Code::SessionRequired.into()),
    }
}

fn wrong(message: &'static str) -> Problem {
    Problem::told(Code::Unprocessable, message)
}
