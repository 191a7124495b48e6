//! What waits, what would be, what was given back, and why it is as it is.
use serde::Serialize;

use super::time;
use crate::{
    directory::{self, AuditEntry, Hold, Restored},
    domain::hex,
    provisioning::{Movers, Preview},
};

#[derive(Serialize)]
pub struct HoldShape {
    organization: String,
    person: String,
    user: String,
    role: &'static str,
    held_since: String,
    batch: String,
}

impl HoldShape {
    pub fn of(hold: &Hold) -> Self {
        Self {
            organization: hold.organization.to_string(),
            person: hold.person.to_string(),
            user: hold.user.clone(),
            role: hold.role.as_str(),
            held_since: time(hold.removal.since),
            batch: hold.removal.batch.to_string(),
        }
    }
}

#[derive(Serialize)]
pub struct RestoredShape {
    restored: Vec<RestoredMembership>,
    /// Who is deactivated or deleted by now, and got nothing back.
    inactive: Vec<String>,
}

#[derive(Serialize)]
struct RestoredMembership {
    person: String,
    organization: String,
}

impl RestoredShape {
    pub fn of(restored: &Restored) -> Self {
        let memberships = restored.restored.iter().map(|(person, organization)| RestoredMembership {
            person: person.to_string(),
            organization: organization.to_string(),
        });
        Self {
            restored: memberships.collect(),
            inactive: restored.inactive.iter().map(ToString::to_string).collect(),
        }
    }
}

/// An entry of the audit stream.
#[derive(Serialize)]
pub struct AuditEntryShape {
    sequence: u64,
    /// SHA-256 over the link before it, the sequence and the event's own SHA-256 (docs/OPERATING.md).
    link: String,
    /// As it was written.
    event: serde_json::Value,
}

impl AuditEntryShape {
    pub fn of(entry: AuditEntry) -> Self {
        Self { sequence: entry.sequence, link: hex(&entry.link), event: entry.event.into() }
    }
}

/// What would become of every managed organization.
#[derive(Serialize)]
pub struct PlanShape {
    people: u64,
    people_with_unknown_groups: u64,
    organizations: Vec<OrganizationPlan>,
}

#[derive(Serialize)]
struct OrganizationPlan {
    organization: String,
    members: u64,
    joins: MoversShape,
    leaves: MoversShape,
    spared: Vec<SparedShape>,
    held: u64,
    becomes_unowned: bool,
}

/// How many people, and the first of them.
#[derive(Serialize)]
struct MoversShape {
    count: u64,
    people: Vec<MoverShape>,
}

#[derive(Serialize)]
struct MoverShape {
    person: String,
    user: String,
    role: &'static str,
}

#[derive(Serialize)]
struct SparedShape {
    person: String,
    user: String,
    role: &'static str,
    why: &'static str,
}

impl PlanShape {
    pub fn of(preview: &Preview) -> Self {
        let organizations = preview.organizations.iter().map(|(slug, outlook)| OrganizationPlan {
            organization: slug.to_string(),
            members: outlook.members,
            joins: movers(&outlook.joins),
            leaves: movers(&outlook.leaves),
            spared: outlook
                .spared
                .iter()
                .map(|(mover, why)| SparedShape {
                    person: mover.person.to_string(),
                    user: mover.user.clone(),
                    role: mover.role.as_str(),
                    why: why.as_str(),
                })
                .collect(),
            held: outlook.held,
            becomes_unowned: outlook.becomes_unowned,
        });
        Self {
            people: preview.people,
            people_with_unknown_groups: preview.unknown,
            organizations: organizations.collect(),
        }
    }
}

fn movers(movers: &Movers) -> MoversShape {
    let people = movers.named.iter().map(|mover| MoverShape {
        person: mover.person.to_string(),
        user: mover.user.clone(),
        role: mover.role.as_str(),
    });
    MoversShape { count: movers.count, people: people.collect() }
}

/// Why a person is, or is not, in an organization.
#[derive(Serialize)]
pub struct Explained {
    organization: String,
    role: Option<&'static str>,
    /// The stable code of what decides.
    reason: &'static str,
    managed: bool,
    provisioning: bool,
    deprovisioning: bool,
    dry_run: bool,
    last_groups: Option<Vec<String>>,
    matched_groups: Vec<String>,
    /// What the next sign-in with the last known groups would do here.
    next_sign_in: Vec<&'static str>,
}

impl Explained {
    pub fn of(explained: &directory::Explained) -> Self {
        let explanation = &explained.explanation;
        Self {
            organization: explained.organization.slug.to_string(),
            role: explanation.role.map(|role| role.as_str()),
            reason: explanation.reason,
            managed: explained.is_managed,
            provisioning: explained.policy.provisioning,
            deprovisioning: explained.policy.deprovisioning,
            dry_run: explained.is_dry_run,
            last_groups: explanation.last_groups.clone(),
            matched_groups: explanation.matched.iter().map(|found| found.group.clone()).collect(),
            next_sign_in: explanation.next.iter().map(|change| change.kind()).collect(),
        }
    }
}
