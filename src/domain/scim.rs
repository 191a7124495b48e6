//! What an identity provider provisions by SCIM: users and groups, as they are kept.
use super::{OrganizationSlug, PersonId, ScimId, Timestamp};

/// A user as the identity provider described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimUser {
    pub id: ScimId,
    /// Everything that clients said of it, as the room of SCIM writes it.
    pub attributes: String,
    pub active: bool,
    /// Whose sign-ins are this user's.
    pub link: PersonId,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    /// Counts the changes of the attributes.
    pub version: u64,
}

/// A group that a user is in, and the organization that it corresponds to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimMembership {
    pub group: ScimId,
    pub organization: Option<OrganizationSlug>,
}

/// A group without its members, which are a set of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimGroup {
    pub id: ScimId,
    /// Everything that clients said of it, as the room of SCIM writes it.
    pub attributes: String,
    /// The organization that it corresponds to: found once, by name, and kept (A7).
    pub organization: Option<OrganizationSlug>,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    /// Counts the changes of the attributes; those of the members are counted apart.
    pub version: u64,
}

/// What a group's members are to become, too much for one commit: noted before the first step, so that any gateway can go on
/// where another one stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimGroupJob {
    pub adds: Vec<ScimId>,
    pub removes: Vec<ScimId>,
    /// The group is deleted, and its members are still to be told.
    pub deletes: bool,
    /// The request that asked for it.
    pub request_id: String,
    pub since: Timestamp,
}

impl ScimGroupJob {
    /// Whether it moves nobody: it is there to keep others from it.
    pub fn is_hold(&self) -> bool {
        !self.deletes && self.adds.is_empty() && self.removes.is_empty()
    }
}
