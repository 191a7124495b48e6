//! People, organizations, and what joins them.
use std::collections::BTreeSet;

use super::{
    EnterpriseId, GroupName, InvitationId, NameId, OrganizationId, OrganizationSlug, PersonId, Profile,
    Timestamp,
};

/// What a member may do in an organization. Ordered: an owner is a member who may do more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Member,
    Owner,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Owner => "owner",
        }
    }
}

/// Where a membership came from (decision D8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipSource {
    Saml,
    Scim,
    Invitation,
    Manual,
    Claim,
}

/// A person's place in one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub organization: OrganizationSlug,
    pub role: Role,
    pub source: MembershipSource,
    pub since: Timestamp,
}

/// Who issued an invitation: an owner by hand, or a SCIM call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvitationSource {
    Manual,
    Scim,
}

/// A pending offer of membership. Manual ones expire after seven days, SCIM ones never (A14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    pub id: InvitationId,
    pub organization: OrganizationSlug,
    pub role: Role,
    pub source: InvitationSource,
    pub email: String,
    pub invited_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// One person of one enterprise, with everything a plan needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: PersonId,
    pub enterprise: EnterpriseId,
    pub name_id: NameId,
    pub profile: Profile,
    /// Sorted by organization, each organization at most once.
    pub memberships: Vec<Membership>,
    /// Sorted by organization, each organization at most once.
    pub invitations: Vec<Invitation>,
    /// The groups of the last authoritative claim; `None` before the first.
    pub last_groups: Option<Vec<GroupName>>,
    pub created_at: Timestamp,
    pub last_sign_in_at: Timestamp,
}

/// An organization's own record. Members are a set of their own in the store; owners stand here, because the
/// last one's departure must be seen by every concurrent removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    pub id: OrganizationId,
    pub slug: OrganizationSlug,
    pub owners: BTreeSet<PersonId>,
    /// Set when the last owner left and nobody has taken over (A8). Never set for one that never had an owner.
    pub unowned_since: Option<Timestamp>,
}
