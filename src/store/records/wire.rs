//! The shapes of the records, and their way to the domain and back: sign-ins, sessions and documents here, people and what
//! they belong to in `people`.
mod mail;
mod people;
mod scim;
mod scim_tokens;
mod webhook;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub(super) use mail::{QueuedMail, RecoveryCodes};
pub(super) use people::{Invitee, Organization, Person, TokenHolder};
pub(super) use scim::{ScimGroup, ScimGroupJob, ScimUser, ScimUserGroups};
pub(super) use scim_tokens::{ScimTokenHolder, ScimTokens};
pub(super) use webhook::WebhookCursor;

use crate::{
    domain::{
        self, AuthnDemand, EnterpriseId, EnterpriseSlug, NameId, PersonId, Profile, RequestId, SessionId,
        Timestamp,
    },
    store::StoreError,
};

/// The version of a record: reads nothing but itself.
struct V<const VERSION: u64>;
type V1 = V<1>;
type V2 = V<2>;

pub(super) const SESSION_VERSION: u64 = 2;
pub(super) const PENDING_SIGN_IN_VERSION: u64 = 2;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Session {
    v: V<SESSION_VERSION>,
    enterprise: String,
    enterprise_id: String,
    person: String,
    name: Name,
    index: Option<String>,
    authn: i64,
    context: Option<String>,
    profile: Shown,
    groups: Vec<String>,
    created: i64,
    seen: i64,
    expires: i64,
    idle_seconds: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PendingSignIn {
    v: V<PENDING_SIGN_IN_VERSION>,
    enterprise: String,
    acs: String,
    relay: String,
    to: String,
    replaces: Option<String>,
    force: bool,
    contexts: Vec<String>,
    age_seconds: Option<u32>,
    issued: i64,
    expires: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PendingLogout {
    v: V1,
    enterprise: String,
    slo: String,
    relay: String,
    to: Option<String>,
    expires: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdpDocument {
    v: V1,
    text: String,
    fetched: i64,
    since: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    value: String,
    format: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sp: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    user: String,
    email: Option<String>,
    display: Option<String>,
    preferred: Option<String>,
}

impl From<&domain::Session> for Session {
    fn from(session: &domain::Session) -> Self {
        Self {
            v: V,
            enterprise: session.enterprise.to_string(),
            enterprise_id: session.enterprise_id.to_string(),
            person: session.person.to_string(),
            name: Name::from(&session.name_id),
            index: session.session_index.clone(),
            authn: millis(session.authn_instant),
            context: session.authn_context.clone(),
            profile: Shown::from(&session.profile),
            groups: session.groups.clone(),
            created: millis(session.created_at),
            seen: millis(session.last_seen_at),
            expires: millis(session.expires_at),
            idle_seconds: session.idle_seconds_max,
        }
    }
}

impl Session {
    pub fn into_domain(self, id: SessionId) -> Result<domain::Session, StoreError> {
        Ok(domain::Session {
            id,
            enterprise: enterprise(&self.enterprise)?,
            enterprise_id: EnterpriseId::parse(&self.enterprise_id)
                .ok_or_else(|| corrupt("an enterprise id"))?,
            person: PersonId::parse(&self.person).ok_or_else(|| corrupt("a person id"))?,
            name_id: self.name.into(),
            session_index: self.index,
            authn_instant: time(self.authn)?,
            authn_context: self.context,
            profile: self.profile.into(),
            groups: self.groups,
            created_at: time(self.created)?,
            last_seen_at: time(self.seen)?,
            expires_at: time(self.expires)?,
            idle_seconds_max: self.idle_seconds,
        })
    }
}

impl From<&domain::PendingSignIn> for PendingSignIn {
    fn from(pending: &domain::PendingSignIn) -> Self {
        Self {
            v: V,
            enterprise: pending.enterprise.to_string(),
            acs: pending.acs_url.clone(),
            relay: pending.relay_state.clone(),
            to: pending.return_to.clone(),
            replaces: pending.replaces.map(|id| id.to_string()),
            force: pending.demand.force,
            contexts: pending.demand.contexts.clone(),
            age_seconds: pending.demand.age_seconds_max,
            issued: millis(pending.issued_at),
            expires: millis(pending.expires_at),
        }
    }
}

impl PendingSignIn {
    pub fn into_domain(self, request: RequestId) -> Result<domain::PendingSignIn, StoreError> {
        Ok(domain::PendingSignIn {
            request,
            enterprise: enterprise(&self.enterprise)?,
            acs_url: self.acs,
            relay_state: self.relay,
            return_to: self.to,
            replaces: self.replaces.map(|id| session_id(&id)).transpose()?,
            demand: AuthnDemand {
                force: self.force,
                contexts: self.contexts,
                age_seconds_max: self.age_seconds,
            },
            issued_at: time(self.issued)?,
            expires_at: time(self.expires)?,
        })
    }
}

impl From<&domain::PendingLogout> for PendingLogout {
    fn from(pending: &domain::PendingLogout) -> Self {
        Self {
            v: V,
            enterprise: pending.enterprise.to_string(),
            slo: pending.slo_url.clone(),
            relay: pending.relay_state.clone(),
            to: pending.return_to.clone(),
            expires: millis(pending.expires_at),
        }
    }
}

impl From<&domain::IdpDocument> for IdpDocument {
    fn from(document: &domain::IdpDocument) -> Self {
        Self {
            v: V,
            text: document.text.clone(),
            fetched: millis(document.fetched_at),
            since: millis(document.since),
        }
    }
}

impl PendingLogout {
    pub fn into_domain(self, request: RequestId) -> Result<domain::PendingLogout, StoreError> {
        Ok(domain::PendingLogout {
            request,
            enterprise: enterprise(&self.enterprise)?,
            slo_url: self.slo,
            relay_state: self.relay,
            return_to: self.to,
            expires_at: time(self.expires)?,
        })
    }
}

impl IdpDocument {
    pub fn into_domain(self) -> Result<domain::IdpDocument, StoreError> {
        Ok(domain::IdpDocument { text: self.text, fetched_at: time(self.fetched)?, since: time(self.since)? })
    }
}

impl From<&NameId> for Name {
    fn from(name: &NameId) -> Self {
        Self {
            value: name.value.clone(),
            format: name.format.clone(),
            by: name.name_qualifier.clone(),
            sp: name.sp_name_qualifier.clone(),
        }
    }
}

impl From<Name> for NameId {
    fn from(name: Name) -> Self {
        Self { value: name.value, format: name.format, name_qualifier: name.by, sp_name_qualifier: name.sp }
    }
}

impl From<&Profile> for Shown {
    fn from(profile: &Profile) -> Self {
        Self {
            user: profile.user.clone(),
            email: profile.email.clone(),
            display: profile.display_name.clone(),
            preferred: profile.preferred_username.clone(),
        }
    }
}

impl From<Shown> for Profile {
    fn from(shown: Shown) -> Self {
        Self {
            user: shown.user,
            email: shown.email,
            display_name: shown.display,
            preferred_username: shown.preferred,
        }
    }
}

impl<const VERSION: u64> Serialize for V<VERSION> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(VERSION)
    }
}

impl<'de, const VERSION: u64> Deserialize<'de> for V<VERSION> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if u64::deserialize(from)? == VERSION {
            Ok(Self)
        } else {
            Err(de::Error::custom("a version that is not ours"))
        }
    }
}

fn enterprise(text: &str) -> Result<EnterpriseSlug, StoreError> {
    EnterpriseSlug::parse(text).map_err(|_| corrupt("an enterprise's name"))
}

fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

fn session_id(text: &str) -> Result<SessionId, StoreError> {
    SessionId::parse(text).ok_or_else(|| corrupt("a session's id"))
}

fn time(millis: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(millis).map_err(|_| corrupt("a point in time"))
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("a record with {what} that is none"))
}
