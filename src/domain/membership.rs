//! People, organizations, and what joins them.
use std::collections::BTreeSet;

use super::{
    AccessToken, BatchId, EnterpriseId, GroupName, NameId, OrganizationId, OrganizationSlug, PersonId,
    Profile, Timestamp,
};

/// What a member may do in an organization. Ordered: an owner is a member who may do more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Member,
    Owner,
}

impl Role {
    pub const ALL: [Self; 2] = [Self::Member, Self::Owner];

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

impl MembershipSource {
    pub const ALL: [Self; 5] = [Self::Saml, Self::Scim, Self::Invitation, Self::Manual, Self::Claim];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Saml => "saml",
            Self::Scim => "scim",
            Self::Invitation => "invitation",
            Self::Manual => "manual",
            Self::Claim => "claim",
        }
    }
}

/// A person's place in one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub organization: OrganizationSlug,
    pub role: Role,
    pub source: MembershipSource,
    pub since: Timestamp,
    /// What keeps it against removal by automation.
    pub pin: Option<Pin>,
    /// A removal that the guard stopped, until somebody decides about it (decision D7).
    pub held: Option<HeldRemoval>,
}

impl Membership {
    /// One that nothing keeps and nothing threatens.
    pub fn new(
        organization: OrganizationSlug,
        role: Role,
        source: MembershipSource,
        since: Timestamp,
    ) -> Self {
        Self { organization, role, source, since, pin: None, held: None }
    }
}

/// Why automation does not end a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinReason {
    /// A claimed ownership, until somebody else owns the organization too (A9).
    Claim,
    /// An owner said so, by rejecting a removal or by hand (A10).
    Owner,
}

impl PinReason {
    pub const ALL: [Self; 2] = [Self::Claim, Self::Owner];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Owner => "owner",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    pub reason: PinReason,
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRemoval {
    pub since: Timestamp,
    /// What it would have been done as.
    pub batch: BatchId,
}

/// A membership that ended, remembered for [`FORMER_DAYS`] days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerMembership {
    pub organization: OrganizationSlug,
    pub role: Role,
    pub source: MembershipSource,
    pub since: Timestamp,
    pub ended_at: Timestamp,
    /// Removals that were made together; what is restored together.
    pub batch: BatchId,
}

impl FormerMembership {
    /// Whether it ended within the last [`FORMER_DAYS`].
    pub fn is_restorable(&self, now: Timestamp) -> bool {
        let age = now.as_second().saturating_sub(self.ended_at.as_second());
        age < FORMER_DAYS * 24 * 60 * 60
    }
}

/// How long a membership that ended can be restored, in days (section 2.10).
pub const FORMER_DAYS: i64 = 90;

/// Whether a person may come in at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Active,
    /// Nobody comes back by SAML or by an invitation (A12); SCIM or an owner may reactivate.
    Deactivated {
        since: Timestamp,
    },
    /// A tombstone: the identity is deleted, and stays out all the same.
    Deleted {
        since: Timestamp,
    },
}

impl Standing {
    pub fn is_active(self) -> bool {
        self == Self::Active
    }
}

/// One person of one enterprise, with everything a plan needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: PersonId,
    pub enterprise: EnterpriseId,
    pub standing: Standing,
    /// When the present link between the person and the IdP's account was made; `None` since it was revoked.
    pub linked_at: Option<Timestamp>,
    /// The IdP whose account is linked.
    pub issuer: String,
    pub name_id: NameId,
    pub profile: Profile,
    /// Sorted by organization, each organization at most once.
    pub memberships: Vec<Membership>,
    /// The latest end of each organization's membership.
    pub former: Vec<FormerMembership>,
    /// In the order in which they were made.
    pub tokens: Vec<AccessToken>,
    /// The groups of the last authoritative claim, sorted; `None` before the first.
    pub last_groups: Option<Vec<GroupName>>,
    /// When the newest fact about this person that did not come by SAML was stated. An assertion that was issued before
    /// undoes nothing (A13).
    pub decided_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub last_sign_in_at: Timestamp,
}

impl Person {
    pub fn membership(&self, organization: &OrganizationSlug) -> Option<&Membership> {
        self.memberships.iter().find(|m| m.organization == *organization)
    }
}

/// An organization's own record. Members are a set of their own in the store; owners stand here, because the
/// last one's departure must be seen by every concurrent removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    pub id: OrganizationId,
    pub slug: OrganizationSlug,
    pub display_name: Option<String>,
    /// Further group values that stand for it (A6).
    pub aliases: Vec<GroupName>,
    /// Whether groups decide about its members; `None`: as the configuration says (A3).
    pub managed: Option<bool>,
    /// When it was created through the API; `None` for one that the configuration lists.
    pub created_at: Option<Timestamp>,
    pub owners: BTreeSet<PersonId>,
    /// Set when the last owner left and nobody has taken over (A8). Never set for one that never had an owner.
    pub unowned_since: Option<Timestamp>,
    /// Removals by automation within the last hour, oldest first, as (when counting began, how many).
    pub removals: Vec<(Timestamp, u32)>,
    /// Invitations by hand within the last day, oldest first, in the same form.
    pub invited: Vec<(Timestamp, u32)>,
}

impl Organization {
    /// One that was never written.
    pub fn new(id: OrganizationId, slug: OrganizationSlug) -> Self {
        Self {
            id,
            slug,
            display_name: None,
            aliases: vec![],
            managed: None,
            created_at: None,
            owners: BTreeSet::new(),
            unowned_since: None,
            removals: vec![],
            invited: vec![],
        }
    }
}
