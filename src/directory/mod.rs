//! The only writer of memberships and sessions: load, plan, apply by revision.
//!
//! `amend` is the one path on which memberships change. `sign_in` turns a verified assertion into memberships and a session,
//! `sessions` finds a request's session, `tokens` its token and `scim_tokens` that of an identity provider, `cache` remembers both for a moment and `push` forgets what other
//! gateways changed, `person_sessions` lists and ends what a person has open, `logout` ends sessions, `organizations` answers who
//! owns what, `audit` tells what was done and `audit_log` reads it, `integrity` looks whether all that lies in the store agrees. What owners do (`acts` says who may) is in `members` (roles, removals, claims), `people`
//! (who may come in at all), `holds` (what the guard stopped, and what is undone) and `registry` (organizations themselves).
//! `settings` unites the configuration with the store's organizations, `outlook` asks what would be and why. `invitations` are
//! offers of membership, whose mails wait in the `outbox`; `recovery` lets an enterprise's owner in while the IdP is down.
//! `redrive` does again what a failover of the store undid. `audit_log` reads what `audit` told, `integrity` looks whether all of it agrees.
mod acts;
mod amend;
mod audit;
mod audit_log;
mod batches;
mod cache;
mod connections;
mod expiry;
mod holds;
mod integrity;
mod invitations;
mod listing;
mod logout;
mod members;
mod organizations;
pub mod outbox;
mod outlook;
mod people;
mod person_sessions;
mod push;
mod recovery;
mod redrive;
mod registry;
mod repair;
pub mod scim;
mod scim_tokens;
mod sessions;
mod settings;
mod sign_in;
mod tokens;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use arc_swap::ArcSwap;

use crate::{
    domain::{ActiveScimToken, ActiveSession, ActiveToken, EnterpriseId, EnterpriseSlug, OrganizationSlug},
    provisioning,
    store::Store,
    telemetry::Metrics,
};

pub use crate::store::{Heard, Note, Notes, StoreError};
pub use acts::{ActError, Actor};
pub use amend::Contended;
pub use audit::Cause;
pub use audit_log::{AuditEntry, AuditFilter, AuditPage, AuditQuery, audit_entries};
use cache::Cache;
pub use expiry::{FAILED_INVITATION_DAYS, MAIL_DAYS, Purged};
pub use holds::{Hold, HoldCursor, Restored};
pub use integrity::{IntegrityFault, IntegrityReport, examine};
pub use invitations::{
    AcceptError, Accepted, INVITATION_DAYS, InvitationLink, InvitationPage, InvitationState, Invite,
    InviteError, RESEND_SECONDS_MIN, SENDS_MAX,
};
pub use logout::{LogoutError, LogoutNotice};
pub use outlook::Explained;
pub use recovery::{RECOVERY_CONTEXT, Recovered, RecoveryClaim, RecoveryError, is_recovery};
pub use registry::{ALIASES_MAX, NewOrganization, ORGANIZATIONS_MAX, OrganizationChange};
pub use repair::{Mending, repair};
pub use scim_tokens::{KnownScimToken, NewScimToken, SCIM_TOKENS_LIVE_MAX, ScimTokenMaker};
pub use sign_in::{SignInError, SignedIn};
pub use tokens::{
    Authorization, CredentialId, Grant, KnownToken, NewToken, TOKENS_MAX, TokenError, TokenRefusal,
    TokenSettings,
};

/// What the directory knows of one enterprise.
#[derive(Debug, Clone)]
pub struct Enterprise {
    pub slug: EnterpriseSlug,
    pub id: EnterpriseId,
    /// The stable ids' values of its owners.
    pub owners: Vec<String>,
    /// The organizations that the configuration lists; the store may hold more.
    pub organizations: Vec<OrganizationSlug>,
    pub provisioning: provisioning::Settings,
}

/// How long sessions live, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionSettings {
    /// Without a request.
    pub idle_seconds_max: u32,
    /// Whatever happens.
    pub lifetime_seconds_max: u32,
}

/// The directory of people, organizations and sessions over one store.
pub struct Directory {
    store: Arc<dyn Store>,
    session_settings: ArcSwap<SessionSettings>,
    /// The longest lifetime that any session of this process may have been given.
    lifetime_seconds_seen_max: AtomicU32,
    token_settings: ArcSwap<TokenSettings>,
    sessions: Cache<ActiveSession>,
    tokens: Cache<ActiveToken>,
    scim_tokens: Cache<ActiveScimToken>,
    settings: settings::Cache,
    batches: batches::Told,
    metrics: Metrics,
    /// `None` where no mail is sent.
    post: Option<outbox::Post>,
    recovery: recovery::Throttle,
    removals: redrive::Removals,
}

impl Directory {
    pub fn new(store: Arc<dyn Store>, session_settings: SessionSettings, metrics: Metrics) -> Self {
        Self {
            store,
            lifetime_seconds_seen_max: AtomicU32::new(session_settings.lifetime_seconds_max),
            session_settings: ArcSwap::from_pointee(session_settings),
            token_settings: ArcSwap::default(),
            sessions: Cache::default(),
            tokens: Cache::default(),
            scim_tokens: Cache::default(),
            settings: settings::Cache::default(),
            batches: batches::Told::default(),
            metrics,
            post: None,
            recovery: recovery::Throttle::default(),
            removals: redrive::Removals::default(),
        }
    }

    /// With mail: what is queued from now on, an [`outbox::Outbox`] sends. `notices`: also that people left, and that invitations
    /// were withdrawn.
    #[must_use]
    pub fn with_mail(mut self, notices: bool) -> Self {
        self.post = Some(outbox::Post { wake: Arc::default(), notices });
        self
    }

    /// How long sessions live that are opened from now on; those that are open keep what they were given.
    pub fn set_session_settings(&self, settings: SessionSettings) {
        self.lifetime_seconds_seen_max.fetch_max(settings.lifetime_seconds_max, Relaxed);
        self.session_settings.store(Arc::new(settings));
    }

    /// What is demanded of tokens from now on; those that are there keep what they were given.
    pub fn set_token_settings(&self, settings: TokenSettings) {
        self.token_settings.store(Arc::new(settings));
    }

    /// Answers when the store takes writes.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.store.ready().await
    }
}

/// The reply that an operation of a batch must give; anything else is a fault of the backend.
fn unexpected_reply() -> StoreError {
    StoreError::Corrupt("a reply of another kind than the operation gives".into())
}
