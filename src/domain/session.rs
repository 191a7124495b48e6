//! Sign-ins under way and sessions.
use super::{
    EnterpriseId, EnterpriseSlug, GroupName, Membership, NameId, PersonId, Profile, RequestId, SessionId,
    Timestamp,
};

/// What an AuthnRequest asks about the sign-in itself, and what its answer must therefore say (SAML Core 3.4.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthnDemand {
    /// ForceAuthn: the person signs in anew, whatever session the IdP has.
    pub force: bool,
    /// RequestedAuthnContext, compared exactly: the AuthnContextClassRef is one of these. Empty: any, or none.
    pub contexts: Vec<String>,
    /// The sign-in is at most this old when the answer comes.
    pub age_seconds_max: Option<u32>,
}

/// An AuthnRequest that was sent and not yet answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingSignIn {
    /// The AuthnRequest's ID is `_` and this id.
    pub request: RequestId,
    pub enterprise: EnterpriseSlug,
    /// The ACS URL that the request named; Destination and Recipient must equal it.
    pub acs_url: String,
    /// The opaque handle sent as RelayState.
    pub relay_state: String,
    /// Absolute path and query on the host of `acs_url` to return to.
    pub return_to: String,
    /// The session that the browser had when it asked; the new one takes its place (P-51).
    pub replaces: Option<SessionId>,
    /// What the answer is held to: what this very request asked, and not what the configuration says by then.
    pub demand: AuthnDemand,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A LogoutRequest of ours that was sent and not yet answered. The browser's own session is over already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingLogout {
    /// The LogoutRequest's ID is `_` and this id.
    pub request: RequestId,
    pub enterprise: EnterpriseSlug,
    /// The SLO URL that the answer must come to.
    pub slo_url: String,
    /// The opaque handle sent as RelayState.
    pub relay_state: String,
    /// Absolute path and query on the host of `slo_url` to go on to; a page of ours if `None`.
    pub return_to: Option<String>,
    pub expires_at: Timestamp,
}

/// A server-side session. The browser holds only the token that hashes to `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub enterprise: EnterpriseSlug,
    pub enterprise_id: EnterpriseId,
    pub person: PersonId,
    pub name_id: NameId,
    /// The IdP's name for its session, for single logout.
    pub session_index: Option<String>,
    /// When the person proved who they are to the IdP.
    pub authn_instant: Timestamp,
    /// How, as the IdP's AuthnContextClassRef says it.
    pub authn_context: Option<String>,
    pub profile: Profile,
    /// The groups that the assertion named.
    pub groups: Vec<GroupName>,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// The session ends here, whatever happens: absolute lifetime or SessionNotOnOrAfter, whichever is earlier.
    pub expires_at: Timestamp,
    /// The session ends this long after `last_seen_at`.
    pub idle_seconds_max: u32,
}

impl Session {
    pub fn is_live(&self, now: Timestamp) -> bool {
        let idle = now.as_second().saturating_sub(self.last_seen_at.as_second());
        now < self.expires_at && idle < i64::from(self.idle_seconds_max)
    }
}

/// A metadata document of an IdP as it was fetched. Whoever reads one judges it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdpDocument {
    pub text: String,
    pub fetched_at: Timestamp,
    /// When the life began whose end it names: alarms count from here.
    pub since: Timestamp,
}

/// A live session together with what its person belongs to at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveSession {
    pub session: Session,
    pub memberships: Vec<Membership>,
}
