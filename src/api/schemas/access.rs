//! Sessions, tokens and what they are authorised for.
use serde_json::{Value, json};

use super::{hex, list, maybe, object, one_of, slug, text, time};

pub fn schemas() -> Vec<(&'static str, Value)> {
    let secret = json!({ "type": "string", "pattern": "^ptc_[0-9A-Za-z]{49}$" });
    let scim_secret = json!({ "type": "string", "pattern": "^pcs_[0-9A-Za-z]{49}$" });
    vec![
        ("Sessions", list(&session())),
        ("Tokens", list(&object(&token()))),
        ("CreatedToken", object(&[&token()[..], &[("token", secret)]].concat())),
        ("ScimTokens", list(&object(&scim_token()))),
        ("CreatedScimToken", object(&[&scim_token()[..], &[("token", scim_secret)]].concat())),
        ("Credentials", list(&credential())),
    ]
}

fn session() -> Value {
    object(&[
        ("id", hex(32)),
        ("person", hex(16)),
        ("user", text()),
        ("created_at", time()),
        ("last_seen_at", time()),
        ("expires_at", time()),
        ("authn_instant", time()),
        ("authn_context", maybe(text())),
        ("current", json!({ "type": "boolean" })),
    ])
}

fn token() -> [(&'static str, Value); 8] {
    [
        ("id", hex(16)),
        ("name", text()),
        ("scopes", list(&scope())),
        ("organizations", list(&slug())),
        ("token_last_eight", text()),
        ("created_at", time()),
        ("expires_at", time()),
        ("last_used_at", maybe(time())),
    ]
}

fn scim_token() -> [(&'static str, Value); 7] {
    [
        ("id", hex(16)),
        ("name", text()),
        ("token_last_eight", text()),
        ("created_by", maybe(text())),
        ("created_at", time()),
        ("expires_at", time()),
        ("last_used_at", maybe(time())),
    ]
}

fn credential() -> Value {
    object(&[
        ("login", text()),
        ("credential_id", hex(32)),
        ("credential_type", one_of(&["personal access token"])),
        ("token_last_eight", text()),
        ("credential_authorized_at", time()),
        ("scopes", list(&scope())),
        ("credential_accessed_at", maybe(time())),
        ("authorized_credential_id", hex(16)),
        ("authorized_credential_title", text()),
        ("authorized_credential_expires_at", time()),
    ])
}

/// What a token may be good for.
pub fn scope() -> Value {
    let words: Vec<&str> = crate::domain::Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    one_of(&words)
}
