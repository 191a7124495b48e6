//! A plan, carried out on records. Pure: the caller loads them before and commits them after.
use std::collections::BTreeMap;

use crate::domain::{Membership, MembershipSource, Organization, OrganizationSlug, Person, Role, Timestamp};

use super::{Change, Plan};

/// Carries `plan` out on the person and on the organizations whose owners it changes. Every organization that
/// [`touches_owners`] names must be among `organizations`.
pub fn apply(
    plan: &Plan,
    person: &mut Person,
    organizations: &mut BTreeMap<OrganizationSlug, Organization>,
    source: MembershipSource,
    now: Timestamp,
) {
    for change in &plan.changes {
        match change {
            Change::CancelInvitation { invitation, .. } => person.invitations.retain(|i| i.id != *invitation),
            Change::Join { organization, role } => {
                let membership =
                    Membership { organization: organization.clone(), role: *role, source, since: now };
                let at = person.memberships.partition_point(|m| m.organization < *organization);
                person.memberships.insert(at, membership);
            }
            Change::Promote { organization } => {
                person
                    .memberships
                    .iter_mut()
                    .filter(|m| m.organization == *organization)
                    .for_each(|m| m.role = Role::Owner);
            }
            Change::Leave { organization, .. } => {
                person.memberships.retain(|m| m.organization != *organization)
            }
            Change::BecomeUnowned { .. } => {}
        }
        if let Some(organization) = organizations.get_mut(change.organization()) {
            apply_to_owners(change, person, organization, now);
        }
    }
}

fn apply_to_owners(change: &Change, person: &Person, organization: &mut Organization, now: Timestamp) {
    match change {
        Change::Join { role: Role::Owner, .. } | Change::Promote { .. } => {
            organization.owners.insert(person.id);
            organization.unowned_since = None;
        }
        Change::Leave { .. } => {
            organization.owners.remove(&person.id);
        }
        Change::BecomeUnowned { .. } => organization.unowned_since = Some(now),
        Change::Join { .. } | Change::CancelInvitation { .. } => {}
    }
}

/// The organizations whose list of owners the plan changes.
pub fn touches_owners(plan: &Plan) -> Vec<&OrganizationSlug> {
    let owners = |change: &&Change| change.role() == Some(Role::Owner);
    plan.changes.iter().filter(owners).map(Change::organization).collect()
}
