//! What an identity provider shows when it provisions by SCIM: a token of an integration, and of no person, so that nobody's
//! leaving stops provisioning.
use std::fmt;

use super::{EnterpriseId, EnterpriseSlug, ScimTokenId, Timestamp};

/// A token as its enterprise's record knows it. The secret is nowhere: the store finds it by its SHA-256.
#[derive(Clone, PartialEq, Eq)]
pub struct ScimToken {
    pub id: ScimTokenId,
    /// SHA-256 of the secret: the key under which requests find it.
    pub secret: [u8; 32],
    /// What authenticates the cursors that are given out for this token: nobody outside knows it.
    pub cursor_key: [u8; 32],
    pub name: String,
    pub last_eight: String,
    /// The stable id's value of the owner who made it; `None`: whoever runs the gateway, at the command line.
    pub created_by: Option<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

impl ScimToken {
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

impl fmt::Debug for ScimToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScimToken").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Where a store finds a token: what stands under its SHA-256. The enterprise's own record says whether the token counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimTokenHolder {
    pub enterprise: EnterpriseSlug,
    pub enterprise_id: EnterpriseId,
    pub token: ScimTokenId,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
}

/// A token that opens SCIM at this moment, and whose: tenancy comes from here and from nowhere else (V-02).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveScimToken {
    pub token: ScimToken,
    pub enterprise: EnterpriseSlug,
    pub enterprise_id: EnterpriseId,
}
