//! Why a person is, or is not, in an organization: the same plan, asked for its reasons.
use crate::domain::{
    GroupClaim, Invitation, Organization, OrganizationSlug, Person, Role, Standing, Timestamp,
};

use super::{Change, Correspondence, Current, Match, Settings, plan, plan::is_pinned};

/// What decides about one person in one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub role: Option<Role>,
    /// The stable code of what decides: `in_group`, `pinned`, `held`, `break_glass`, `not_managed`, `groups_unknown`,
    /// `deprovisioning_off`, `would_be_held`, `by_next_sign_in`, `no_group`, `provisioning_off`, `never_signed_in`, `deactivated`, `deleted`.
    pub reason: &'static str,
    /// Of the last known groups those that stand for the organization.
    pub matched: Vec<Match>,
    /// What the next sign-in with the last known groups would do here.
    pub next: Vec<Change>,
    /// The last known groups; `None` before the first.
    pub last_groups: Option<Vec<String>>,
}

/// Explains. `record` is the organization's, `person` is `None` for somebody whom nobody knows.
pub fn explain(
    person: Option<&Person>,
    invitations: &[Invitation],
    record: &Organization,
    settings: &Settings,
    now: Timestamp,
) -> Explanation {
    let slug = &record.slug;
    let Some(person) = person else {
        return Explanation {
            role: None,
            reason: "never_signed_in",
            matched: vec![],
            next: vec![],
            last_groups: None,
        };
    };
    let found = Correspondence::of(person.last_groups.as_deref().unwrap_or_default(), settings);
    let matched: Vec<Match> = found.matched.into_iter().filter(|m| m.organization == *slug).collect();
    let next = next(person, invitations, record, settings, now);
    Explanation {
        role: person.membership(slug).map(|member| member.role),
        reason: reason(person, record, settings, !matched.is_empty(), &next),
        matched,
        next,
        last_groups: person.last_groups.clone(),
    }
}

/// The changes in this organization that the last known groups would make.
fn next(
    person: &Person,
    invitations: &[Invitation],
    record: &Organization,
    settings: &Settings,
    now: Timestamp,
) -> Vec<Change> {
    let Some(groups) = person.last_groups.clone().filter(|_| person.standing.is_active()) else {
        return vec![];
    };
    let claim = if groups.is_empty() { GroupClaim::Empty } else { GroupClaim::Present(groups) };
    let current = Current {
        person: person.id,
        memberships: &person.memberships,
        invitations,
        organizations: &std::iter::once((record.slug.clone(), record.clone())).collect(),
        is_break_glass: settings.break_glass.contains(&person.profile.user),
        now,
    };
    let mut changes = plan(&current, &claim, settings).changes;
    changes.retain(|change| change.organization() == &record.slug);
    changes
}

fn reason(
    person: &Person,
    record: &Organization,
    settings: &Settings,
    in_group: bool,
    next: &[Change],
) -> &'static str {
    let slug: &OrganizationSlug = &record.slug;
    let member = person.membership(slug);
    match (person.standing, member) {
        (Standing::Deactivated { .. }, _) => "deactivated",
        (Standing::Deleted { .. }, _) => "deleted",
        _ if !settings.managed.contains(slug) => "not_managed",
        (_, Some(_)) if in_group => "in_group",
        (_, Some(member)) if member.held.is_some() => "held",
        (_, Some(member)) if is_pinned(member, person.id, Some(record)) => "pinned",
        (_, Some(_)) if settings.break_glass.contains(&person.profile.user) => "break_glass",
        _ if person.last_groups.is_none() => "groups_unknown",
        (_, Some(_)) if !settings.policy.deprovisioning => "deprovisioning_off",
        (_, None) if !in_group => "no_group",
        (_, None) if !settings.policy.provisioning => "provisioning_off",
        // The removal would be held (as the last owner's, or as one too many).
        (_, Some(_)) if matches!(next, [Change::Hold { .. }]) => "would_be_held",
        // Nothing of the above keeps a member, or keeps one out: the next sign-in changes it.
        _ => "by_next_sign_in",
    }
}
