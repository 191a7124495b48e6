//! The decision table: what a person has, what their groups say, which switches are on, in; changes out.
use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{GroupClaim, Invitation, InvitationId, Membership, OrganizationSlug, PersonId, Role};

use super::{Correspondence, Settings};

/// What a person has at this moment.
#[derive(Debug, Clone, Copy)]
pub struct Current<'a> {
    pub person: PersonId,
    pub memberships: &'a [Membership],
    pub invitations: &'a [Invitation],
    /// The owners of the organizations that the person owns. Only [`Change::BecomeUnowned`] depends on them: a plan made
    /// without them is empty exactly when the plan made with them is.
    pub owners: &'a BTreeMap<OrganizationSlug, BTreeSet<PersonId>>,
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
    /// The organization loses its last owner by the `Leave` before (A8).
    BecomeUnowned {
        organization: OrganizationSlug,
    },
}

impl Change {
    pub fn organization(&self) -> &OrganizationSlug {
        match self {
            Self::CancelInvitation { organization, .. }
            | Self::Join { organization, .. }
            | Self::Promote { organization }
            | Self::Leave { organization, .. }
            | Self::BecomeUnowned { organization } => organization,
        }
    }

    /// The stable word for logs, metrics and `saml inspect`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CancelInvitation { .. } => "cancel_invitation",
            Self::Join { .. } => "join",
            Self::Promote { .. } => "promote",
            Self::Leave { .. } => "leave",
            Self::BecomeUnowned { .. } => "become_unowned",
        }
    }

    /// The role that is gained or lost, where the change has one.
    pub fn role(&self) -> Option<Role> {
        match self {
            Self::Join { role, .. } | Self::Leave { role, .. } => Some(*role),
            Self::Promote { .. } => Some(Role::Owner),
            Self::CancelInvitation { .. } | Self::BecomeUnowned { .. } => None,
        }
    }
}

/// The smallest set of changes, in the order in which they apply: cancel, add, remove, flag (section 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub changes: Vec<Change>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The organizations that the plan touches, each once.
    pub fn organizations(&self) -> BTreeSet<&OrganizationSlug> {
        self.changes.iter().map(Change::organization).collect()
    }
}

/// Columns T2 to T5 of the decision table, by the two switches. Groups that are not known change nothing (A1), and
/// neither does anything touch an organization that is not managed (A3).
pub fn plan(current: &Current<'_>, claim: &GroupClaim, settings: &Settings) -> Plan {
    let Some(groups) = claim.known() else { return Plan::default() };
    let wanted = Correspondence::of(groups, settings).roles();
    let managed: BTreeSet<&OrganizationSlug> = settings.managed.iter().collect();
    let (mut cancels, mut adds, mut removes) = (vec![], vec![], vec![]);
    for organization in managed {
        let member = current.memberships.iter().find(|m| m.organization == *organization);
        if settings.policy.provisioning {
            let invitations = current.invitations.iter().filter(|i| i.organization == *organization);
            cancels.extend(
                invitations.map(|i| Change::CancelInvitation {
                    organization: organization.clone(),
                    invitation: i.id,
                }),
            );
            adds.extend(addition(organization, member, wanted.get(organization).copied()));
        }
        if settings.policy.deprovisioning
            && let Some(member) = member
            && !wanted.contains_key(organization)
        {
            removes.extend(removal(organization, member.role, current));
        }
    }
    cancels.append(&mut adds);
    cancels.append(&mut removes);
    Plan { changes: cancels }
}

/// Joins who is no member, promotes who is mapped to owner, and never lowers a role.
fn addition(
    organization: &OrganizationSlug,
    member: Option<&Membership>,
    wanted: Option<Role>,
) -> Option<Change> {
    let organization = organization.clone();
    match (member.map(|m| m.role), wanted?) {
        (None, role) => Some(Change::Join { organization, role }),
        (Some(Role::Member), Role::Owner) => Some(Change::Promote { organization }),
        (Some(_), _) => None,
    }
}

/// Owners are not exempt; when the last one goes the organization is flagged (A8).
fn removal(organization: &OrganizationSlug, role: Role, current: &Current<'_>) -> Vec<Change> {
    let mut changes = vec![Change::Leave { organization: organization.clone(), role }];
    let others =
        current.owners.get(organization).is_some_and(|owners| owners.iter().any(|o| *o != current.person));
    if role == Role::Owner && !others {
        changes.push(Change::BecomeUnowned { organization: organization.clone() });
    }
    changes
}
