//! Who a request comes from: a person by a session, or a program by a personal access token.
use std::sync::Arc;

use super::{
    AccessToken, ActiveSession, EnterpriseId, EnterpriseSlug, GroupName, Membership, OrganizationSlug,
    PersonId, Profile, Scope, SessionId, Timestamp, TokenId,
};

/// A token that opens something, together with what it opens at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveToken {
    pub token: AccessToken,
    pub enterprise: EnterpriseSlug,
    pub enterprise_id: EnterpriseId,
    pub person: PersonId,
    pub profile: Profile,
    /// The person's memberships in organizations that the token is authorised for; no others.
    pub memberships: Vec<Membership>,
}

impl ActiveToken {
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.token.expires_at
    }

    pub fn allows(&self, scope: Scope) -> bool {
        self.token.scopes.contains(&scope)
    }
}

/// Where a store finds a token: what stands under its SHA-256. The person's own record says what the token may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHolder {
    pub enterprise: EnterpriseSlug,
    pub enterprise_id: EnterpriseId,
    pub person: PersonId,
    pub token: TokenId,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
}

/// Whoever a request was identified as.
#[derive(Debug, Clone)]
pub enum Caller {
    Session(Arc<ActiveSession>),
    Token(Arc<ActiveToken>),
}

/// What tells callers apart. Neither is a secret: both are hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallerId {
    Session(SessionId),
    /// SHA-256 of the token.
    Token([u8; 32]),
}

impl Caller {
    pub fn id(&self) -> CallerId {
        match self {
            Self::Session(active) => CallerId::Session(active.session.id),
            Self::Token(active) => CallerId::Token(active.token.secret),
        }
    }

    pub fn session(&self) -> Option<&Arc<ActiveSession>> {
        match self {
            Self::Session(active) => Some(active),
            Self::Token(_) => None,
        }
    }

    pub fn token(&self) -> Option<&Arc<ActiveToken>> {
        match self {
            Self::Session(_) => None,
            Self::Token(active) => Some(active),
        }
    }

    pub fn enterprise(&self) -> &EnterpriseSlug {
        match self {
            Self::Session(active) => &active.session.enterprise,
            Self::Token(active) => &active.enterprise,
        }
    }

    pub fn person(&self) -> PersonId {
        match self {
            Self::Session(active) => active.session.person,
            Self::Token(active) => active.person,
        }
    }

    pub fn profile(&self) -> &Profile {
        match self {
            Self::Session(active) => &active.session.profile,
            Self::Token(active) => &active.profile,
        }
    }

    /// The groups of the session's assertion. A token has none: only an assertion states groups, and a token may be a year
    /// older than the last one.
    pub fn groups(&self) -> &[GroupName] {
        match self {
            Self::Session(active) => &active.session.groups,
            Self::Token(_) => &[],
        }
    }

    pub fn memberships(&self) -> &[Membership] {
        match self {
            Self::Session(active) => &active.memberships,
            Self::Token(active) => &active.memberships,
        }
    }

    pub fn is_member(&self, organization: &OrganizationSlug) -> bool {
        self.memberships().iter().any(|m| m.organization == *organization)
    }

    pub fn is_live(&self, now: Timestamp) -> bool {
        match self {
            Self::Session(active) => active.session.is_live(now),
            Self::Token(active) => active.is_live(now),
        }
    }

    /// Whether both are one and the same loaded state: whatever changed since is another one.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Session(one), Self::Session(other)) => Arc::ptr_eq(one, other),
            (Self::Token(one), Self::Token(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl From<Arc<ActiveSession>> for Caller {
    fn from(active: Arc<ActiveSession>) -> Self {
        Self::Session(active)
    }
}

impl From<Arc<ActiveToken>> for Caller {
    fn from(active: Arc<ActiveToken>) -> Self {
        Self::Token(active)
    }
}
