//! A plan, carried out on records. Pure: the caller loads them before and commits them after.
use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use crate::domain::{
    BatchId, FORMER_DAYS, FormerMembership, HeldRemoval, Invitation, Membership, MembershipSource,
    Organization, OrganizationSlug, Person, Pin, Role, Timestamp,
};

use super::{Change, Plan, guard};

/// What the changes of a plan are made as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Of memberships that begin.
    pub source: MembershipSource,
    /// Of memberships that end.
    pub batch: BatchId,
    /// Whether the removal guard counts what ends.
    pub is_automatic: bool,
    pub now: Timestamp,
}

/// Carries `plan` out on the person, on the invitations to the person's address and on the organizations. Every organization
/// that [`needs_records`] names must be among `organizations`.
pub fn apply(
    plan: &Plan,
    person: &mut Person,
    invitations: &mut Vec<Invitation>,
    organizations: &mut BTreeMap<OrganizationSlug, Organization>,
    act: &Act,
) {
    for change in &plan.changes {
        match change {
            Change::CancelInvitation { invitation, .. } | Change::AcceptInvitation { invitation, .. } => {
                invitations.retain(|i| i.id != *invitation);
            }
            Change::Invite { invitation } => invitations.push((**invitation).clone()),
            Change::Join { organization, role } => join(person, organization, *role, act),
            Change::Leave { organization, .. } => leave(person, organization, act),
            Change::BecomeUnowned { .. } => {}
            other => amend(person, other, act),
        }
        if let Some(organization) = organizations.get_mut(change.organization()) {
            apply_to_organization(change, person, organization, act);
        }
    }
}

fn join(person: &mut Person, organization: &OrganizationSlug, role: Role, act: &Act) {
    let at = person.memberships.partition_point(|m| m.organization < *organization);
    person.memberships.insert(at, Membership::new(organization.clone(), role, act.source, act.now));
    person.former.retain(|former| former.organization != *organization);
}

/// Ends a membership, remembers it, and takes every token's authorisation for the organization along (section 2.9).
fn leave(person: &mut Person, organization: &OrganizationSlug, act: &Act) {
    let Some(at) = person.memberships.iter().position(|m| m.organization == *organization) else { return };
    let ended = person.memberships.remove(at);
    let oldest = act.now.checked_sub(SignedDuration::from_hours(FORMER_DAYS * 24)).unwrap_or(Timestamp::MIN);
    person.former.retain(|former| former.organization != *organization && former.ended_at > oldest);
    person.former.push(FormerMembership {
        organization: ended.organization,
        role: ended.role,
        source: ended.source,
        since: ended.since,
        ended_at: act.now,
        batch: act.batch.clone(),
    });
    for token in &mut person.tokens {
        token.organizations.retain(|authorised| authorised != organization);
    }
}

/// What changes of a membership that goes on.
fn amend(person: &mut Person, change: &Change, act: &Act) {
    let Some(member) = person.memberships.iter_mut().find(|m| m.organization == *change.organization())
    else {
        return;
    };
    match change {
        Change::Promote { .. } => member.role = Role::Owner,
        Change::Demote { .. } => member.role = Role::Member,
        Change::Hold { .. } => {
            member.held = Some(HeldRemoval { since: act.now, batch: act.batch.clone() });
        }
        Change::Release { .. } => member.held = None,
        Change::Pin { reason, .. } => member.pin = Some(Pin { reason: *reason, since: act.now }),
        Change::Unpin { .. } => member.pin = None,
        Change::CancelInvitation { .. }
        | Change::Invite { .. }
        | Change::AcceptInvitation { .. }
        | Change::Join { .. }
        | Change::Leave { .. }
        | Change::BecomeUnowned { .. } => {}
    }
}

fn apply_to_organization(change: &Change, person: &Person, organization: &mut Organization, act: &Act) {
    match change {
        Change::Join { role: Role::Owner, .. } | Change::Promote { .. } => {
            organization.owners.insert(person.id);
            organization.unowned_since = None;
        }
        Change::Leave { .. } => {
            organization.owners.remove(&person.id);
            if act.is_automatic {
                guard::count(organization, act.now);
            }
        }
        Change::Demote { .. } => {
            organization.owners.remove(&person.id);
        }
        Change::BecomeUnowned { .. } => organization.unowned_since = Some(act.now),
        Change::Join { .. }
        | Change::Invite { .. }
        | Change::CancelInvitation { .. }
        | Change::AcceptInvitation { .. }
        | Change::Hold { .. }
        | Change::Release { .. }
        | Change::Pin { .. }
        | Change::Unpin { .. } => {}
    }
}

/// The organizations without whose records the plan cannot be trusted, or carried out: whose owners it changes, and which
/// people leave.
pub fn needs_records(plan: &Plan) -> BTreeSet<&OrganizationSlug> {
    let needed = plan.changes.iter().filter(|change| {
        matches!(change, Change::Leave { .. } | Change::Hold { .. } | Change::Demote { .. })
            || change.role() == Some(Role::Owner)
    });
    needed.map(Change::organization).collect()
}
