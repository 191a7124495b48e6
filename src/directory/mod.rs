//! The only writer of memberships and sessions: load, plan, apply by revision.
use std::sync::Arc;

use crate::{
    domain::{
        ActiveSession, EnterpriseId, EnterpriseSlug, PendingSignIn, RequestId, SessionToken, Timestamp,
    },
    provisioning,
    saml::VerifiedAssertion,
    store::{Store, StoreError},
};

/// What the directory knows of one enterprise.
#[derive(Debug, Clone)]
pub struct Enterprise {
    pub slug: EnterpriseSlug,
    pub id: EnterpriseId,
    pub idp_entity_id: String,
    pub provisioning: provisioning::Settings,
}

/// How long sessions live, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionSettings {
    pub idle_seconds_max: u32,
    pub lifetime_seconds_max: u32,
}

pub struct Directory {
    pub store: Arc<dyn Store>,
}

/// A sign-in that went through.
#[derive(Debug)]
pub struct SignedIn {
    pub token: SessionToken,
    pub session: ActiveSession,
    pub plan: provisioning::Plan,
}

/// Why a verified assertion opened no session.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error("the request was answered before")]
    RequestConsumed,
    #[error("the assertion was used before")]
    AssertionReplayed,
    #[error("the person's record kept changing")]
    Contended,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SignInError {
    /// Stable code for logs, metrics and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        todo!()
    }
}

impl Directory {
    /// Remembers a sign-in that is about to be sent to the IdP; forgets `evicted` ones of the same browser.
    pub async fn open_sign_in(
        &self,
        _pending: &PendingSignIn,
        _evicted: &[RequestId],
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// Those of `requests` that are outstanding. Reads only: a refused response consumes nothing.
    pub async fn outstanding(
        &self,
        _requests: &[RequestId],
        _now: Timestamp,
    ) -> Result<Vec<PendingSignIn>, StoreError> {
        todo!()
    }

    /// Consumes the request and the assertion once, applies the plan, opens a session.
    pub async fn sign_in(
        &self,
        _enterprise: &Enterprise,
        _assertion: VerifiedAssertion,
        _pending: PendingSignIn,
        _now: Timestamp,
    ) -> Result<SignedIn, SignInError> {
        todo!()
    }

    /// The live session of a token with the person's present memberships; `None` if there is none.
    pub async fn session(
        &self,
        _token: &SessionToken,
        _now: Timestamp,
    ) -> Result<Option<Arc<ActiveSession>>, StoreError> {
        todo!()
    }

    /// Ends a session, at once on this gateway and within the cache's bounded age on others.
    pub async fn end_session(&self, _token: &SessionToken, _now: Timestamp) -> Result<(), StoreError> {
        todo!()
    }

    /// Answers when the store takes writes.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.store.ready().await
    }
}
