//! The decision table: what a person has, what their groups say, which switches are on, in; changes out.
use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{
    GroupClaim, Invitation, InvitationId, Membership, Organization, OrganizationSlug, PersonId, PinReason,
    Role, Timestamp,
};

use super::{Correspondence, LastOwner, Settings, guard};

/// What a person has at this moment.
#[derive(Debug, Clone, Copy)]
pub struct Current<'a> {
    pub person: PersonId,
    pub memberships: &'a [Membership],
    pub invitations: &'a [Invitation],
    /// Records of organizations that the person may leave. Whether a departure leaves none to own it, is held or is spared
    /// depends on them: a plan made without them is empty only if the plan made with them is.
    pub organizations: &'a BTreeMap<OrganizationSlug, Organization>,
    /// Automation never removes this person.
    pub is_break_glass: bool,
    pub now: Timestamp,
}

/// One membership change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    CancelInvitation {
        organization: OrganizationSlug,
        invitation: InvitationId,
    },
    /// Membership is offered by mail.
    Invite {
        invitation: Box<Invitation>,
    },
    /// The invited person takes it up; the membership that follows is a change of its own.
    AcceptInvitation {
        organization: OrganizationSlug,
        invitation: InvitationId,
    },
    Join {
        organization: OrganizationSlug,
        role: Role,
    },
    /// A member of an organization becomes its owner: by an explicit mapping, or by an owner's act (D5).
    Promote {
        organization: OrganizationSlug,
    },
    /// An owner becomes a member: never by automation.
    Demote {
        organization: OrganizationSlug,
    },
    Leave {
        organization: OrganizationSlug,
        role: Role,
    },
    /// The organization loses its last owner by the change before (A8).
    BecomeUnowned {
        organization: OrganizationSlug,
    },
    /// A removal that the guard stopped: it waits for an owner (D7).
    Hold {
        organization: OrganizationSlug,
        role: Role,
        reason: HoldReason,
    },
    /// A removal that waited is wanted no more.
    Release {
        organization: OrganizationSlug,
    },
    Pin {
        organization: OrganizationSlug,
        reason: PinReason,
    },
    Unpin {
        organization: OrganizationSlug,
    },
}

/// Why a removal waits for an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldReason {
    /// The organization has lost as many people within the hour as it may (D7).
    MaxRemovals,
    /// Nobody else owns the organization, and last owners are protected (A8).
    LastOwner,
}

impl HoldReason {
    /// The rule that fired, as the audit log tells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxRemovals => "max_removals",
            Self::LastOwner => "last_owner",
        }
    }
}

impl Change {
    pub fn organization(&self) -> &OrganizationSlug {
        match self {
            Self::CancelInvitation { organization, .. }
            | Self::AcceptInvitation { organization, .. }
            | Self::Join { organization, .. }
            | Self::Promote { organization }
            | Self::Demote { organization }
            | Self::Leave { organization, .. }
            | Self::BecomeUnowned { organization }
            | Self::Hold { organization, .. }
            | Self::Release { organization }
            | Self::Pin { organization, .. }
            | Self::Unpin { organization } => organization,
            Self::Invite { invitation } => &invitation.organization,
        }
    }

    /// The stable word for logs, metrics and `saml inspect`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CancelInvitation { .. } => "cancel_invitation",
            Self::Invite { .. } => "invite",
            Self::AcceptInvitation { .. } => "accept_invitation",
            Self::Join { .. } => "join",
            Self::Promote { .. } => "promote",
            Self::Demote { .. } => "demote",
            Self::Leave { .. } => "leave",
            Self::BecomeUnowned { .. } => "become_unowned",
            Self::Hold { .. } => "hold",
            Self::Release { .. } => "release",
            Self::Pin { .. } => "pin",
            Self::Unpin { .. } => "unpin",
        }
    }

    /// The role that is gained or lost, where the change has one.
    pub fn role(&self) -> Option<Role> {
        match self {
            Self::Join { role, .. } | Self::Leave { role, .. } | Self::Hold { role, .. } => Some(*role),
            Self::Invite { .. } => None,
            Self::Promote { .. } => Some(Role::Owner),
            Self::Demote { .. } => Some(Role::Member),
            Self::CancelInvitation { .. }
            | Self::AcceptInvitation { .. }
            | Self::BecomeUnowned { .. }
            | Self::Release { .. }
            | Self::Pin { .. }
            | Self::Unpin { .. } => None,
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
        let Some(member) = member else { continue };
        let is_wanted = wanted.contains_key(organization);
        let acts = settings.policy.provisioning || settings.policy.deprovisioning;
        if acts && is_wanted && member.held.is_some() {
            adds.push(Change::Release { organization: organization.clone() });
        }
        if settings.policy.deprovisioning && !is_wanted {
            removes.extend(removal(member, current, settings));
        }
    }
    cancels.append(&mut adds);
    cancels.append(&mut removes);
    Plan { changes: cancels }
}

/// What taking up an invitation does: the invitation is gone, and the person is what it offered unless they are more already.
pub fn acceptance(person_memberships: &[Membership], invitation: &Invitation) -> Plan {
    let organization = &invitation.organization;
    let accept = Change::AcceptInvitation { organization: organization.clone(), invitation: invitation.id };
    let member = person_memberships.iter().find(|m| m.organization == *organization);
    let addition = addition(organization, member, Some(invitation.role));
    Plan { changes: std::iter::once(accept).chain(addition).collect() }
}

/// What an owner's own act does to a membership: no guard holds it and no pin keeps it.
pub fn departure(person: PersonId, member: &Membership, organization: Option<&Organization>) -> Plan {
    Plan { changes: leave(person, member, organization) }
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

/// Owners are not exempt. What is spared: break-glass identities, what is pinned, and what waits for a decision already.
pub(super) fn removal(member: &Membership, current: &Current<'_>, settings: &Settings) -> Vec<Change> {
    let organization = current.organizations.get(&member.organization);
    if current.is_break_glass || member.held.is_some() || is_pinned(member, current.person, organization) {
        return vec![];
    }
    let is_last = organization.is_some_and(|o| is_last_owner(member, current.person, o));
    let is_one_too_many = organization.is_some_and(|o| !guard::allows(o, settings.max_removals, current.now));
    let hold =
        |reason| vec![Change::Hold { organization: member.organization.clone(), role: member.role, reason }];
    if is_last && settings.last_owner == LastOwner::Protect {
        return hold(HoldReason::LastOwner);
    }
    if is_one_too_many {
        return hold(HoldReason::MaxRemovals);
    }
    leave(current.person, member, organization)
}

/// Whether the organization would have no owner without this member.
pub(super) fn is_last_owner(member: &Membership, person: PersonId, organization: &Organization) -> bool {
    member.role == Role::Owner && !organization.owners.iter().any(|owner| *owner != person)
}

/// A claim keeps its owner until somebody else owns the organization too (A9).
pub(super) fn is_pinned(member: &Membership, person: PersonId, organization: Option<&Organization>) -> bool {
    match member.pin.map(|pin| pin.reason) {
        None => false,
        Some(PinReason::Owner) => true,
        Some(PinReason::Claim) => {
            organization.is_some_and(|o| !o.owners.iter().any(|owner| *owner != person))
        }
    }
}

/// When the last owner goes the organization is flagged (A8).
fn leave(person: PersonId, member: &Membership, organization: Option<&Organization>) -> Vec<Change> {
    let Membership { organization: slug, role, .. } = member;
    let mut changes = vec![Change::Leave { organization: slug.clone(), role: *role }];
    let others = organization.is_some_and(|o| o.owners.iter().any(|owner| *owner != person));
    if *role == Role::Owner && !others {
        changes.push(Change::BecomeUnowned { organization: slug.clone() });
    }
    changes
}
