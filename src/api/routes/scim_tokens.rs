//! The tokens by which an enterprise's identity provider provisions.
use serde::Deserialize;

use crate::{
    api::{
        call::{Answer, Call},
        problem::{Code, Problem},
        routes::tokens::session,
        shape::{NewScimTokenShape, ScimTokenShape},
    },
    directory::{NewScimToken, ScimTokenMaker},
    domain::{ScimTokenId, Timestamp},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    expires_at: String,
}

pub async fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    let tokens = call.directory.scim_tokens(call.tenant.id, call.now).await?;
    let shown: Vec<ScimTokenShape> = tokens.iter().map(ScimTokenShape::of).collect();
    Ok(Answer::page(&shown, None))
}

/// The one answer that holds the token's secret (V-01).
pub async fn create(call: &Call<'_>) -> Result<Answer, Problem> {
    let New { name, expires_at } = call.read()?;
    let expires_at: Timestamp = expires_at
        .parse()
        .map_err(|_| Problem::told(Code::Unprocessable, "expires_at must be a time of RFC 3339."))?;
    let wanted = NewScimToken { name, expires_at };
    let maker = ScimTokenMaker::Owner(session(call)?);
    let made =
        call.directory.create_scim_token(call.tenant, maker, wanted, call.request_id, call.now).await?;
    let (secret, token) = made;
    Ok(Answer::created(&NewScimTokenShape::of(token, &secret)))
}

pub async fn revoke(call: &Call<'_>) -> Result<Answer, Problem> {
    let token = call.id("token", ScimTokenId::parse)?;
    call.directory.revoke_scim_token(call.tenant, call.actor(), token, call.now).await?;
    Ok(Answer::done())
}
