//! The only serialized types: what lies in the store.
//!
//! JSON with short names, led by the version `v` of that kind of record. A record of another version, with an unknown field
//! or with a value that the domain does not know is [`StoreError::Corrupt`] and never a guess; whoever changes a field
//! raises the version. What a new sign-in replaces, sessions and outstanding requests, counts as not there if it is of an
//! older version: after an upgrade people sign in again. Ids are not repeated in the record: they come from its key. Points in time are milliseconds since the epoch, cut off
//! towards it, so what is read equals what was written for values without smaller parts.
mod scim;
mod wire;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::StoreError;
use crate::domain::{
    AddressId, EnterpriseId, IdpDocument, Invitee, MailId, Organization, OrganizationId, PendingLogout,
    PendingSignIn, Person, PersonId, QueuedMail, RecoveryCodes, RequestId, ScimToken, ScimTokenHolder,
    Session, SessionId, Timestamp, TokenHolder, WebhookCursor,
};

pub use scim::*;

/// For `Key::Person`.
pub fn encode_person(person: &Person) -> Vec<u8> {
    encode(&wire::Person::from(person))
}

/// `enterprise` and `id` are those of the key.
pub fn decode_person(enterprise: EnterpriseId, id: PersonId, stored: &[u8]) -> Result<Person, StoreError> {
    decode::<wire::Person>(stored, "person")?.into_domain(enterprise, id)
}

/// For `Key::Organization`.
pub fn encode_organization(organization: &Organization) -> Vec<u8> {
    encode(&wire::Organization::from(organization))
}

/// `id` is that of the key.
pub fn decode_organization(id: OrganizationId, stored: &[u8]) -> Result<Organization, StoreError> {
    decode::<wire::Organization>(stored, "organization")?.into_domain(id)
}

/// For `Key::Invitee`.
pub fn encode_invitee(invitee: &Invitee) -> Vec<u8> {
    encode(&wire::Invitee::from(invitee))
}

/// `address` is that of the key.
pub fn decode_invitee(address: AddressId, stored: &[u8]) -> Result<Invitee, StoreError> {
    decode::<wire::Invitee>(stored, "invitee")?.into_domain(address)
}

/// For `Key::Session`. Holds the hash of the token nowhere: it is the key.
pub fn encode_session(session: &Session) -> Vec<u8> {
    encode(&wire::Session::from(session))
}

/// `id` is that of the key. `None` for a record of an older version.
pub fn decode_session(id: SessionId, stored: &[u8]) -> Result<Option<Session>, StoreError> {
    let session = decode_present::<wire::Session>(stored, wire::SESSION_VERSION, "session")?;
    session.map(|session| session.into_domain(id)).transpose()
}

/// For `Key::PendingSignIn`.
pub fn encode_pending_sign_in(pending: &PendingSignIn) -> Vec<u8> {
    encode(&wire::PendingSignIn::from(pending))
}

/// `request` is that of the key. `None` for a record of an older version.
pub fn decode_pending_sign_in(
    request: RequestId,
    stored: &[u8],
) -> Result<Option<PendingSignIn>, StoreError> {
    let version = wire::PENDING_SIGN_IN_VERSION;
    let pending = decode_present::<wire::PendingSignIn>(stored, version, "pending sign-in")?;
    pending.map(|pending| pending.into_domain(request)).transpose()
}

/// For `Key::PendingLogout`.
pub fn encode_pending_logout(pending: &PendingLogout) -> Vec<u8> {
    encode(&wire::PendingLogout::from(pending))
}

/// `request` is that of the key.
pub fn decode_pending_logout(request: RequestId, stored: &[u8]) -> Result<PendingLogout, StoreError> {
    decode::<wire::PendingLogout>(stored, "pending logout")?.into_domain(request)
}

/// For `Key::LoggedOut`: assertions that were issued up to then open nothing.
pub fn encode_logged_out(at: Timestamp) -> Vec<u8> {
    at.as_millisecond().to_be_bytes().to_vec()
}

pub fn decode_logged_out(stored: &[u8]) -> Result<Timestamp, StoreError> {
    let millis = stored.try_into().map(i64::from_be_bytes).ok();
    let at = millis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    at.ok_or_else(|| StoreError::Corrupt("a logout whose time is unreadable".into()))
}

/// For `Key::AccessToken`. Holds the hash of the token nowhere: it is the key.
pub fn encode_token_holder(holder: &TokenHolder) -> Vec<u8> {
    encode(&wire::TokenHolder::from(holder))
}

pub fn decode_token_holder(stored: &[u8]) -> Result<TokenHolder, StoreError> {
    decode::<wire::TokenHolder>(stored, "token")?.into_domain()
}

/// For `Key::ScimTokens`: hashes only.
pub fn encode_scim_tokens(tokens: &[ScimToken]) -> Vec<u8> {
    encode(&wire::ScimTokens::from(tokens))
}

pub fn decode_scim_tokens(stored: &[u8]) -> Result<Vec<ScimToken>, StoreError> {
    decode::<wire::ScimTokens>(stored, "list of SCIM tokens")?.into_domain()
}

/// For `Key::ScimToken`. Holds the hash of the token nowhere: it is the key.
pub fn encode_scim_token_holder(holder: &ScimTokenHolder) -> Vec<u8> {
    encode(&wire::ScimTokenHolder::from(holder))
}

pub fn decode_scim_token_holder(stored: &[u8]) -> Result<ScimTokenHolder, StoreError> {
    decode::<wire::ScimTokenHolder>(stored, "SCIM token")?.into_domain()
}

/// A member of `Key::SubjectSessions` and of `Key::PersonSessions`. In byte order sessions that end earlier come first.
pub fn encode_subject_session(id: SessionId, expires_at: Timestamp) -> Vec<u8> {
    [&subject_sessions_before(expires_at)[..], id.as_bytes()].concat()
}

/// What all members of `Key::SubjectSessions` come before whose session has ended at `now`.
pub fn subject_sessions_before(now: Timestamp) -> [u8; 8] {
    u64::try_from(now.as_millisecond()).unwrap_or(0).to_be_bytes()
}

pub fn decode_subject_session(member: &[u8]) -> Result<SessionId, StoreError> {
    let id = member.get(8..).and_then(|id| id.try_into().ok()).map(SessionId::from_bytes);
    id.ok_or_else(|| StoreError::Corrupt("a session of a NameID".into()))
}

/// For `Key::IdpMetadata`.
pub fn encode_idp_document(document: &IdpDocument) -> Vec<u8> {
    encode(&wire::IdpDocument::from(document))
}

/// The document is judged anew by whoever reads it.
pub fn decode_idp_document(stored: &[u8]) -> Result<IdpDocument, StoreError> {
    decode::<wire::IdpDocument>(stored, "metadata document")?.into_domain()
}

/// For `Key::Mail`.
pub fn encode_mail(mail: &QueuedMail) -> Vec<u8> {
    encode(&wire::QueuedMail::from(mail))
}

/// `id` is that of the key.
pub fn decode_mail(id: MailId, stored: &[u8]) -> Result<QueuedMail, StoreError> {
    decode::<wire::QueuedMail>(stored, "mail")?.into_domain(id)
}

/// A member of `Key::Outbox`. In byte order what is due earlier comes first.
pub fn encode_due(due_at: Timestamp, id: MailId) -> Vec<u8> {
    [&u64::try_from(due_at.as_millisecond()).unwrap_or(0).to_be_bytes()[..], id.as_bytes()].concat()
}

pub fn decode_due(member: &[u8]) -> Result<(Timestamp, MailId), StoreError> {
    let corrupt = || StoreError::Corrupt("an entry of the outbox".into());
    let (due, id) = member.split_first_chunk::<8>().ok_or_else(corrupt)?;
    let due = i64::try_from(u64::from_be_bytes(*due)).map_err(|_| corrupt())?;
    let due = Timestamp::from_millisecond(due).map_err(|_| corrupt())?;
    Ok((due, MailId::from_bytes(id.try_into().map_err(|_| corrupt())?)))
}

/// For `Key::RecoveryCodes`: hashes only.
pub fn encode_recovery_codes(codes: &RecoveryCodes) -> Vec<u8> {
    encode(&wire::RecoveryCodes::from(codes))
}

pub fn decode_recovery_codes(stored: &[u8]) -> Result<RecoveryCodes, StoreError> {
    decode::<wire::RecoveryCodes>(stored, "list of recovery codes")?.into_domain()
}

/// For `Key::WebhookCursor`.
pub fn encode_webhook_cursor(cursor: &WebhookCursor) -> Vec<u8> {
    encode(&wire::WebhookCursor::from(cursor))
}

pub fn decode_webhook_cursor(stored: &[u8]) -> Result<WebhookCursor, StoreError> {
    decode::<wire::WebhookCursor>(stored, "webhook's place")?.into_domain()
}

fn encode(record: &impl Serialize) -> Vec<u8> {
    // Structs of texts and numbers: serde_json has nothing to refuse. An empty value would be refused by every reader.
    serde_json::to_vec(record).unwrap_or_default()
}

fn decode<T: DeserializeOwned>(stored: &[u8], what: &str) -> Result<T, StoreError> {
    // serde_json's words may quote the value, which is about a person: only the place is told.
    serde_json::from_slice(stored).map_err(|error| {
        StoreError::Corrupt(format!("a {what} whose record is unreadable at column {}", error.column()))
    })
}

/// `None` for a record of an older version than `version`, whatever else it holds.
fn decode_present<T: DeserializeOwned>(
    stored: &[u8],
    version: u64,
    what: &str,
) -> Result<Option<T>, StoreError> {
    #[derive(Deserialize)]
    struct Led {
        v: u64,
    }
    match decode(stored, what) {
        Err(_) if serde_json::from_slice(stored).is_ok_and(|Led { v }| (1..version).contains(&v)) => Ok(None),
        read => read.map(Some),
    }
}

#[cfg(test)]
mod tests;
