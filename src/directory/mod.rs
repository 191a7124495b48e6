//! The only writer of memberships and sessions: load, plan, apply by revision.
//!
//! `amend` is the one path on which memberships change. `sign_in` turns a verified assertion into memberships and a session,
//! `sessions` finds a request's session, `logout` ends sessions, `organizations` answers who owns what, `audit` tells what
//! was done, `audit_log` reads it, `integrity` looks whether
//! all of it agrees.
mod amend;
mod audit;
mod audit_log;
mod integrity;
mod logout;
mod organizations;
mod sessions;
mod sign_in;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use arc_swap::ArcSwap;

use crate::{
    domain::{EnterpriseId, EnterpriseSlug},
    provisioning,
    store::Store,
    telemetry::Metrics,
};

pub use crate::store::StoreError;
pub use amend::Contended;
pub use audit::Cause;
pub use audit_log::{AuditEntry, AuditFilter, AuditPage, AuditQuery, audit_entries};
pub use integrity::{IntegrityFault, IntegrityReport, examine};
pub use logout::LogoutError;
pub use sign_in::{SignInError, SignedIn};

/// What the directory knows of one enterprise.
#[derive(Debug, Clone)]
pub struct Enterprise {
    pub slug: EnterpriseSlug,
    pub id: EnterpriseId,
    /// The stable ids' values of its owners.
    pub owners: Vec<String>,
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
    cache: sessions::Cache,
    metrics: Metrics,
}

impl Directory {
    pub fn new(store: Arc<dyn Store>, session_settings: SessionSettings, metrics: Metrics) -> Self {
        Self {
            store,
            lifetime_seconds_seen_max: AtomicU32::new(session_settings.lifetime_seconds_max),
            session_settings: ArcSwap::from_pointee(session_settings),
            cache: sessions::Cache::default(),
            metrics,
        }
    }

    /// How long sessions live that are opened from now on; those that are open keep what they were given.
    pub fn set_session_settings(&self, settings: SessionSettings) {
        self.lifetime_seconds_seen_max.fetch_max(settings.lifetime_seconds_max, Relaxed);
        self.session_settings.store(Arc::new(settings));
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
