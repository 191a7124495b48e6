//! Sessions, tokens and what they are authorised for.
use serde::Serialize;

use super::time;
use crate::{
    directory::{Authorization, KnownScimToken},
    domain::{AccessToken, PersonId, ScimSecret, ScimToken, Scope, Session, Timestamp, TokenId, TokenSecret},
};

/// A session. Its id is the SHA-256 of its token, and opens nothing.
#[derive(Serialize)]
pub struct SessionShape {
    id: String,
    person: String,
    user: String,
    created_at: String,
    last_seen_at: String,
    expires_at: String,
    authn_instant: String,
    authn_context: Option<String>,
    /// Whether it is the one that asks.
    current: bool,
}

impl SessionShape {
    pub fn of(session: &Session, current: bool) -> Self {
        Self {
            id: session.id.to_string(),
            person: session.person.to_string(),
            user: session.profile.user.clone(),
            created_at: time(session.created_at),
            last_seen_at: time(session.last_seen_at),
            expires_at: time(session.expires_at),
            authn_instant: time(session.authn_instant),
            authn_context: session.authn_context.clone(),
            current,
        }
    }
}

#[derive(Serialize)]
pub struct TokenShape {
    id: String,
    name: String,
    scopes: Vec<&'static str>,
    organizations: Vec<String>,
    token_last_eight: String,
    created_at: String,
    expires_at: String,
    last_used_at: Option<String>,
}

impl TokenShape {
    pub fn of(token: &AccessToken, last_used_at: Option<Timestamp>) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name.clone(),
            scopes: scopes(token),
            organizations: token.organizations.iter().map(ToString::to_string).collect(),
            token_last_eight: token.last_eight.clone(),
            created_at: time(token.created_at),
            expires_at: time(token.expires_at),
            last_used_at: last_used_at.map(time),
        }
    }
}

/// A token when it is made: the one time that its secret is shown (V-01, A-05).
#[derive(Serialize)]
pub struct NewTokenShape {
    #[serde(flatten)]
    known: TokenShape,
    token: String,
}

impl NewTokenShape {
    pub fn of(token: &AccessToken, secret: &TokenSecret) -> Self {
        Self { known: TokenShape::of(token, None), token: secret.expose().to_owned() }
    }
}

/// A token of the identity provider.
#[derive(Serialize)]
pub struct ScimTokenShape {
    id: String,
    name: String,
    token_last_eight: String,
    created_by: Option<String>,
    created_at: String,
    expires_at: String,
    last_used_at: Option<String>,
}

impl ScimTokenShape {
    pub fn of(known: &KnownScimToken) -> Self {
        let token = &known.token;
        Self {
            id: token.id.to_string(),
            name: token.name.clone(),
            token_last_eight: token.last_eight.clone(),
            created_by: token.created_by.clone(),
            created_at: time(token.created_at),
            expires_at: time(token.expires_at),
            last_used_at: known.last_used_at.map(time),
        }
    }
}

/// The same when it is made: the one time that its secret is shown (V-01).
#[derive(Serialize)]
pub struct NewScimTokenShape {
    #[serde(flatten)]
    known: ScimTokenShape,
    token: String,
}

impl NewScimTokenShape {
    pub fn of(token: ScimToken, secret: &ScimSecret) -> Self {
        let known = KnownScimToken { token, last_used_at: None };
        Self { known: ScimTokenShape::of(&known), token: secret.expose().to_owned() }
    }
}

/// In the words of the reference system, as far as it has them.
#[derive(Serialize)]
pub struct CredentialShape {
    login: String,
    credential_id: String,
    credential_type: &'static str,
    token_last_eight: String,
    credential_authorized_at: String,
    scopes: Vec<&'static str>,
    credential_accessed_at: Option<String>,
    authorized_credential_id: String,
    authorized_credential_title: String,
    authorized_credential_expires_at: String,
}

impl CredentialShape {
    pub fn of(authorization: &Authorization) -> Self {
        let token = &authorization.known.token;
        Self {
            login: authorization.user.clone(),
            credential_id: credential_id(authorization.person, token.id),
            credential_type: "personal access token",
            token_last_eight: token.last_eight.clone(),
            credential_authorized_at: time(token.created_at),
            scopes: scopes(token),
            credential_accessed_at: authorization.known.last_used_at.map(time),
            authorized_credential_id: token.id.to_string(),
            authorized_credential_title: token.name.clone(),
            authorized_credential_expires_at: time(token.expires_at),
        }
    }
}

fn scopes(token: &AccessToken) -> Vec<&'static str> {
    token.scopes.iter().copied().map(Scope::as_str).collect()
}

/// Whose it is and which: a token is found by its person.
fn credential_id(person: PersonId, token: TokenId) -> String {
    format!("{person}{token}")
}

/// Reads what [`CredentialShape`] shows as `credential_id`.
pub fn read_credential_id(text: &str) -> Option<(PersonId, TokenId)> {
    let (person, token) = text.split_at_checked(32)?;
    Some((PersonId::parse(person)?, TokenId::parse(token)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_ids_are_read_as_they_are_written() {
        let (person, token) = (PersonId::from_bytes([1; 16]), TokenId::from_bytes([2; 16]));
        let text = credential_id(person, token);
        assert_eq!(read_credential_id(&text), Some((person, token)));
        for wrong in ["", "ab", &text[1..], &format!("{text}0"), &text.replace('1', "é")] {
            assert_eq!(read_credential_id(wrong), None, "{wrong}");
        }
    }
}
