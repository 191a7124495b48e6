//! What owners do to memberships: roles, removals, claims, pins, restorations.
use crate::{
    domain::{MembershipSource, OrganizationSlug, Person, PersonId, PinReason, Role, Timestamp},
    provisioning::{Change, LastOwner, Plan, departure},
};

use super::{
    ActError, Actor, Directory, Enterprise,
    acts::{Act, Right},
    amend::View,
};

impl Directory {
    /// Makes a member an owner, or an owner a member (D5): by an owner of the organization or of the enterprise, never one's
    /// own role. An organization that loses its last owner so is flagged as unowned, or the act is refused with
    /// `last_owner = "protect"`. Where the role is what it should be, nothing happens.
    #[expect(clippy::too_many_arguments, reason = "who makes whom what, where and when")]
    pub async fn set_role(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        organization: &OrganizationSlug,
        person: PersonId,
        role: Role,
        now: Timestamp,
    ) -> Result<Person, ActError> {
        self.require_organization(enterprise, organization, now).await?;
        let policy = self.settings(enterprise, now).await?.last_owner;
        let act = Act { enterprise, actor, right: Right::Organization(organization), person, now };
        let matter = act.matter(MembershipSource::Manual, Some("by_owner"));
        let decide = |person: &Person, view: &View<'_>| {
            if actor.id() == Some(person.id) {
                return Err(ActError::OwnRole);
            }
            let member = person.membership(organization).ok_or(ActError::NotMember)?;
            let organization = organization.clone();
            let changes = match (member.role, role) {
                (Role::Member, Role::Owner) => vec![Change::Promote { organization }],
                (Role::Owner, Role::Member) => {
                    let left = departure(person.id, member, view.organizations.get(&organization));
                    let flag = left.changes.into_iter().filter(|c| matches!(c, Change::BecomeUnowned { .. }));
                    std::iter::once(Change::Demote { organization }).chain(flag).collect()
                }
                _ => vec![],
            };
            protect(policy, view, &changes)?;
            Ok(Plan { changes })
        };
        self.act(&act, matter, decide).await
    }

    /// Ends a membership: by an owner of the organization or of the enterprise, or by the member. No guard counts it and no pin
    /// keeps it. Who still is in the group at the identity provider comes back with the next sign-in.
    pub async fn remove_member(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        organization: &OrganizationSlug,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Person, ActError> {
        self.require_organization(enterprise, organization, now).await?;
        let policy = self.settings(enterprise, now).await?.last_owner;
        let (right, rule) = match actor.id() == Some(person) {
            true => (Right::Own, "left"),
            false => (Right::Organization(organization), "by_owner"),
        };
        let act = Act { enterprise, actor, right, person, now };
        let matter = act.matter(MembershipSource::Manual, Some(rule));
        let decide = |person: &Person, view: &View<'_>| {
            let member = person.membership(organization).ok_or(ActError::NotMember)?;
            let plan = departure(person.id, member, view.organizations.get(organization));
            protect(policy, view, &plan.changes)?;
            Ok(plan)
        };
        self.act(&act, matter, decide).await
    }

    /// Makes the actor, an owner of the enterprise, the owner of an organization that has none (section 2.2), and pins that
    /// until somebody else owns it too (A9): no group of the identity provider says it. Of several who claim at once the first
    /// gets it, and the others hear that it has an owner.
    pub async fn claim_organization(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        organization: &OrganizationSlug,
        now: Timestamp,
    ) -> Result<Person, ActError> {
        self.require_organization(enterprise, organization, now).await?;
        let claimer = actor.id().ok_or(ActError::NotAllowed)?;
        let act = Act { enterprise, actor, right: Right::Enterprise, person: claimer, now };
        let matter = act.matter(MembershipSource::Claim, Some("unowned"));
        let decide = |person: &Person, view: &View<'_>| {
            // The record is asked for by what the plan does; until then nobody is known to own it.
            if view.organizations.get(organization).is_some_and(|record| !record.owners.is_empty()) {
                return Err(ActError::HasOwner);
            }
            let slug = || organization.clone();
            let own = match person.membership(organization) {
                None => Change::Join { organization: slug(), role: Role::Owner },
                Some(_) => Change::Promote { organization: slug() },
            };
            let pin = Change::Pin { organization: slug(), reason: PinReason::Claim };
            Ok(Plan { changes: vec![own, pin] })
        };
        self.act(&act, matter, decide).await
    }

    /// Keeps a membership against removal by automation, or no longer (A10): by an owner of the organization or of the
    /// enterprise.
    #[expect(clippy::too_many_arguments, reason = "who keeps whom, where and when, or no longer")]
    pub async fn set_pin(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        organization: &OrganizationSlug,
        person: PersonId,
        pinned: bool,
        now: Timestamp,
    ) -> Result<Person, ActError> {
        self.require_organization(enterprise, organization, now).await?;
        let act = Act { enterprise, actor, right: Right::Organization(organization), person, now };
        let matter = act.matter(MembershipSource::Manual, Some("by_owner"));
        let decide = |person: &Person, _: &View<'_>| {
            let member = person.membership(organization).ok_or(ActError::NotMember)?;
            let organization = organization.clone();
            let is_kept = member.pin.is_some_and(|pin| pin.reason == PinReason::Owner);
            let changes = match pinned {
                true if !is_kept => vec![Change::Pin { organization, reason: PinReason::Owner }],
                false if member.pin.is_some() => vec![Change::Unpin { organization }],
                _ => vec![],
            };
            Ok(Plan { changes })
        };
        self.act(&act, matter, decide).await
    }

    /// Gives a membership back that ended within the last 90 days, in the role that it had (section 2.10): by an owner of the
    /// organization or of the enterprise. The identity provider's groups still decide at the next sign-in.
    pub async fn restore_member(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        organization: &OrganizationSlug,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Person, ActError> {
        self.require_organization(enterprise, organization, now).await?;
        let act = Act { enterprise, actor, right: Right::Organization(organization), person, now };
        let matter = act.matter(MembershipSource::Manual, Some("restored"));
        let decide = |person: &Person, _: &View<'_>| {
            let plan = restoration(person, now, |former| former == organization)?;
            if plan.is_empty() && person.membership(organization).is_none() {
                return Err(ActError::NotRestorable);
            }
            Ok(plan)
        };
        self.act(&act, matter, decide).await
    }

    /// Up to `limit` (1 to 1,000) members with everything that is known of them, in the order of their ids.
    pub async fn members_of(
        &self,
        enterprise: &Enterprise,
        organization: &OrganizationSlug,
        after: Option<PersonId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Person>, ActError> {
        self.require_organization(enterprise, organization, now).await?;
        let ids = self.members(enterprise.id, organization, after, limit).await?;
        Ok(self.people_of(enterprise.id, &ids, now).await?)
    }
}

/// A8, V-12: with `protect`, nobody's act leaves an organization without an owner.
pub(super) fn protect(policy: LastOwner, view: &View<'_>, changes: &[Change]) -> Result<(), ActError> {
    let is_last = |change: &Change| {
        let known = |o: &OrganizationSlug| view.organizations.contains_key(o);
        matches!(change, Change::BecomeUnowned { organization } if known(organization))
    };
    match policy {
        LastOwner::Protect if changes.iter().any(is_last) => Err(ActError::LastOwner),
        _ => Ok(()),
    }
}

/// Gives those former memberships back that are `wanted`, were not restored yet, and are not too old.
pub(super) fn restoration(
    person: &Person,
    now: Timestamp,
    wanted: impl Fn(&OrganizationSlug) -> bool,
) -> Result<Plan, ActError> {
    if !person.standing.is_active() {
        return Err(ActError::Inactive);
    }
    let former = person.former.iter().filter(|former| {
        former.is_restorable(now)
            && wanted(&former.organization)
            && person.membership(&former.organization).is_none()
    });
    let join =
        former.map(|former| Change::Join { organization: former.organization.clone(), role: former.role });
    Ok(Plan { changes: join.collect() })
}
