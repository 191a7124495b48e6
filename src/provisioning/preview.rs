//! What would become of each organization if deprovisioning were on: the plan for everybody's last known groups, carried
//! out on copies.
use std::collections::BTreeMap;

use crate::domain::{
    BatchId, GroupClaim, Membership, MembershipSource, Organization, OrganizationSlug, Person, PersonId,
    Role, Timestamp,
};

use super::{Act, Change, Correspondence, Current, Plan, Settings, apply, guard, plan, plan::is_pinned};

/// People who are named for one organization and one kind of change; the rest is counted.
pub const PREVIEW_NAMES_MAX: usize = 1_000;

/// What would be, organization by organization.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// Everybody who was looked at.
    pub people: u64,
    /// Those of them whose groups were never known: nothing would become of them.
    pub unknown: u64,
    /// Every managed organization.
    pub organizations: BTreeMap<OrganizationSlug, Outlook>,
    settings: Settings,
    /// As they are, and as they would be.
    before: BTreeMap<OrganizationSlug, Organization>,
    records: BTreeMap<OrganizationSlug, Organization>,
}

/// What would become of one organization.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outlook {
    pub members: u64,
    pub joins: Movers,
    pub leaves: Movers,
    /// Members who are in no group of it and stay all the same.
    pub spared: Vec<(Mover, Spared)>,
    /// Of those who would leave, how many the removal guard would hold if all of them signed in within this hour.
    pub held: u64,
    /// It has owners, and would have none.
    pub becomes_unowned: bool,
}

/// People: how many, and the first [`PREVIEW_NAMES_MAX`] of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Movers {
    pub count: u64,
    pub named: Vec<Mover>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mover {
    pub person: PersonId,
    /// The stable id's value.
    pub user: String,
    pub role: Role,
}

/// Why a member who is in no group of the organization would stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spared {
    BreakGlass,
    Pinned,
    /// A removal waits for an owner already.
    Held,
    LastOwner,
}

impl Spared {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BreakGlass => "break_glass",
            Self::Pinned => "pinned",
            Self::Held => "held",
            Self::LastOwner => "last_owner",
        }
    }
}

impl Outlook {
    /// In words, for people.
    pub fn words(&self) -> String {
        let (leaves, joins) = (self.leaves.count, self.joins.count);
        let mut words = format!("{leaves} of {} would leave, {joins} would join", self.members);
        if self.held > 0 {
            words = format!("{words}, {} of the removals would be held", self.held);
        }
        if self.becomes_unowned {
            words.push_str(", and NOBODY would own it");
        }
        words
    }
}

impl Movers {
    fn push(&mut self, mover: Mover) {
        self.count += 1;
        if self.named.len() < PREVIEW_NAMES_MAX {
            self.named.push(mover);
        }
    }
}

impl Preview {
    /// Of these settings with deprovisioning on. `records` are those of the managed organizations.
    pub fn new(settings: &Settings, records: BTreeMap<OrganizationSlug, Organization>) -> Self {
        let mut settings = settings.clone();
        settings.policy.deprovisioning = true;
        settings.dry_run = false;
        let organizations = settings.managed.iter().map(|slug| (slug.clone(), Outlook::default())).collect();
        Self { people: 0, unknown: 0, organizations, settings, before: records.clone(), records }
    }

    /// Adds what would become of one more person.
    pub fn add(&mut self, person: &Person, now: Timestamp) {
        self.people += 1;
        for member in &person.memberships {
            if let Some(outlook) = self.organizations.get_mut(&member.organization) {
                outlook.members += 1;
            }
        }
        if !person.standing.is_active() {
            return;
        }
        let Some(groups) = person.last_groups.clone() else {
            self.unknown += 1;
            return;
        };
        let wanted = Correspondence::of(&groups, &self.settings).roles();
        let claim = if groups.is_empty() { GroupClaim::Empty } else { GroupClaim::Present(groups) };
        let plan = self.plan(person, &claim, now);
        for change in &plan.changes {
            let mover = |role| Mover { person: person.id, user: person.profile.user.clone(), role };
            let Some(outlook) = self.organizations.get_mut(change.organization()) else { continue };
            match change {
                Change::Join { role, .. } => outlook.joins.push(mover(*role)),
                Change::Leave { role, .. } => outlook.leaves.push(mover(*role)),
                _ => {}
            }
        }
        let left = |slug: &OrganizationSlug| {
            plan.changes
                .iter()
                .any(|c| matches!(c, Change::Leave { organization, .. } if organization == slug))
        };
        for member in &person.memberships {
            let slug = &member.organization;
            if !wanted.contains_key(slug) && !left(slug) {
                let why = self.spared(person, member);
                let mover = Mover { person: person.id, user: person.profile.user.clone(), role: member.role };
                if let Some(outlook) = self.organizations.get_mut(slug)
                    && outlook.spared.len() < PREVIEW_NAMES_MAX
                {
                    outlook.spared.push((mover, why));
                }
            }
        }
        self.carry_out(&plan, person, now);
    }

    /// What the guard would hold, and who would be without an owner, now that everybody was added.
    pub fn finish(mut self, now: Timestamp) -> Self {
        for (slug, outlook) in &mut self.organizations {
            let Some(record) = self.before.get(slug) else { continue };
            let allowed = u64::from(guard::left(record, self.settings.max_removals, now));
            outlook.held = outlook.leaves.count.saturating_sub(allowed);
            let has_owner = self.records.get(slug).is_some_and(|after| !after.owners.is_empty());
            outlook.becomes_unowned = !record.owners.is_empty() && !has_owner;
        }
        self
    }

    /// One line for each organization that would change.
    pub fn summary(&self) -> Vec<String> {
        let changes = |outlook: &Outlook| {
            outlook.leaves.count > 0 || outlook.joins.count > 0 || outlook.becomes_unowned
        };
        let changed = self.organizations.iter().filter(|(_, outlook)| changes(outlook));
        let lines: Vec<String> =
            changed.map(|(slug, outlook)| format!("{slug}: {}", outlook.words())).collect();
        if lines.is_empty() { vec!["no organization would change".into()] } else { lines }
    }

    fn plan(&self, person: &Person, claim: &GroupClaim, now: Timestamp) -> Plan {
        // Who leaves is what is asked for; how much of it the guard would let through is told beside it.
        let settings = Settings { max_removals: u32::MAX, ..self.settings.clone() };
        let current = Current {
            person: person.id,
            memberships: &person.memberships,
            invitations: &[],
            organizations: &self.records,
            is_break_glass: settings.break_glass.contains(&person.profile.user),
            now,
        };
        plan(&current, claim, &settings)
    }

    fn spared(&self, person: &Person, member: &Membership) -> Spared {
        let record = self.records.get(&member.organization);
        if self.settings.break_glass.contains(&person.profile.user) {
            Spared::BreakGlass
        } else if member.held.is_some() {
            Spared::Held
        } else if is_pinned(member, person.id, record) {
            Spared::Pinned
        } else {
            Spared::LastOwner
        }
    }

    fn carry_out(&mut self, plan: &Plan, person: &Person, now: Timestamp) {
        let act = Act {
            source: MembershipSource::Saml,
            batch: BatchId::of_hour("preview", now),
            // The guard's count stays that of what really happened.
            is_automatic: false,
            now,
        };
        apply(plan, &mut person.clone(), &mut vec![], &mut self.records, &act);
    }
}
