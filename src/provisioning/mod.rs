//! Membership decisions, pure: a group claim and what a person has now, in; the smallest set of changes, out.
use crate::domain::{InvitationId, OrganizationSlug, Role};

/// What the configuration says about provisioning in one enterprise.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub policy: Policy,
    /// The organizations whose membership the IdP's groups decide (A3).
    pub managed: Vec<OrganizationSlug>,
    pub mappings: Vec<Mapping>,
    pub attributes: AttributeNames,
}

/// The two switches of SAML provisioning, both off by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    pub provisioning: bool,
    pub deprovisioning: bool,
}

/// "This group gives this role in this organization", beside the correspondence by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    pub group: GroupMatch,
    pub organization: OrganizationSlug,
    pub role: Role,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupMatch {
    /// Equal byte for byte.
    Exact(String),
}

/// Which attributes (by exact `Name`) carry what; the values of several are united.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeNames {
    pub groups: Vec<String>,
    pub email: Vec<String>,
    pub display_name: Vec<String>,
    pub preferred_username: Vec<String>,
}

/// One membership change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    CancelInvitation {
        organization: OrganizationSlug,
        invitation: InvitationId,
    },
    Join {
        organization: OrganizationSlug,
        role: Role,
    },
    /// A member of an organization becomes its owner, by an explicit mapping only (D5).
    Promote {
        organization: OrganizationSlug,
    },
    Leave {
        organization: OrganizationSlug,
        role: Role,
    },
    /// The organization lost its last owner by the `Leave` before.
    BecomeUnowned {
        organization: OrganizationSlug,
    },
}

/// The smallest set of changes, in the order in which they apply (section 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub changes: Vec<Change>,
}
