//! Personal access tokens: what programs show instead of a session.
use std::fmt;

use super::{OrganizationSlug, Timestamp, TokenId};

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Requests through the proxy.
    Proxy,
    /// Reading by the API.
    ApiRead,
    /// Changing by the API; reading too.
    ApiWrite,
    /// Acting by the API as an owner of the enterprise: the organizations of a token do not say that.
    Enterprise,
}

impl Scope {
    pub const ALL: [Self; 4] = [Self::Proxy, Self::ApiRead, Self::ApiWrite, Self::Enterprise];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::ApiRead => "api:read",
            Self::ApiWrite => "api:write",
            Self::Enterprise => "enterprise",
        }
    }
}

/// A token as its person's record knows it. The secret is nowhere: the store finds it by its SHA-256.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    pub id: TokenId,
    /// SHA-256 of the secret: the key under which requests find it.
    pub secret: [u8; 32],
    pub name: String,
    /// The organizations that it is authorised for. A membership that ends takes its authorisation along for good.
    pub organizations: Vec<OrganizationSlug>,
    pub scopes: Vec<Scope>,
    pub last_eight: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}
