//! What the removal guard stopped (D7), and what is undone by its batch.
use crate::{
    domain::{
        BatchId, EnterpriseId, HeldRemoval, MembershipSource, Organization, OrganizationId, OrganizationSlug,
        Person, PersonId, PinReason, Role, Timestamp,
    },
    provisioning::{Change, Plan, departure},
    store::{BATCH_STEPS_MAX, Key, MEMBERS_PER_PAGE_MAX, Op, Reply, StoreError, records},
};

use super::{
    ActError, Actor, Directory, Enterprise,
    acts::{Act, Right},
    amend::{Decision, Matter, View},
    batches::batch_key,
    members::{protect, restoration},
    people::person_id,
    unexpected_reply,
};

/// People of a batch who are looked at in one step.
const BATCH_PAGE_PEOPLE: usize = 256;
/// Steps of one restoration; a batch holds what one hour removed.
const BATCH_PAGES_MAX: usize = 4_096;

/// A removal that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub organization: OrganizationSlug,
    pub person: PersonId,
    /// The stable id's value.
    pub user: String,
    pub role: Role,
    pub removal: HeldRemoval,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// Who is a member again, and of what.
    pub restored: Vec<(PersonId, OrganizationSlug)>,
    /// Who is deactivated or deleted by now, and got nothing back.
    pub inactive: Vec<PersonId>,
}

/// Where a page of holds ends.
pub type HoldCursor = (OrganizationId, PersonId);

impl Directory {
    /// Up to `limit` (1 to 1,000) removals that wait, by organization and person, that come after `after`; and where to go on,
    /// if there is more.
    pub async fn holds(
        &self,
        enterprise: EnterpriseId,
        after: Option<HoldCursor>,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Vec<Hold>, Option<HoldCursor>), StoreError> {
        let limit = limit.clamp(1, BATCH_STEPS_MAX / 2);
        let after =
            after.map(|(organization, person)| [&organization.as_bytes()[..], person.as_bytes()].concat());
        let page = self.store.members(Key::HeldRemovals(enterprise), after, limit).await?;
        let ids: Vec<HoldCursor> = page.iter().map(|member| cursor(member)).collect::<Result<_, _>>()?;
        let next = ids.last().copied().filter(|_| ids.len() == limit);
        let people: Vec<PersonId> = ids.iter().map(|(_, person)| *person).collect();
        let people = self.people_of(enterprise, &people, now).await?;
        let mut holds = vec![];
        for (organization, id) in ids {
            let Some(person) = people.iter().find(|person| person.id == id) else { continue };
            holds.extend(hold(person, organization));
        }
        Ok((holds, next))
    }

    /// Carries a removal out that waited, as what it would have been done as: by an owner of the organization or of the
    /// enterprise.
    pub async fn approve_removal(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        organization: &OrganizationSlug,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Person, ActError> {
        let policy = self.settings(enterprise, now).await?.last_owner;
        let waiting = self.person(enterprise.id, person, now).await?;
        let waiting = waiting.as_ref().and_then(|person| held(person, organization).ok());
        // Where nothing waits, the decision says so to who may hear it.
        let batch = waiting.map_or_else(|| actor.batch(now), |held| held.batch.clone());
        let act = Act { enterprise, actor, right: Right::Organization(organization), person, now };
        let matter =
            Matter { batch: batch.clone(), ..act.matter(MembershipSource::Manual, Some("approved")) };
        let decide = |person: &Person, view: &View<'_>| {
            if held(person, organization)?.batch != batch {
                return Err(ActError::NotHeld);
            }
            let member = person.membership(organization).ok_or(ActError::NotMember)?;
            let plan = departure(person.id, member, view.organizations.get(organization));
            protect(policy, view, &plan.changes)?;
            Ok(plan)
        };
        self.act(&act, matter, decide).await
    }

    /// Keeps the person whom automation wanted to remove, from now on (A10): by an owner of the organization or of the
    /// enterprise.
    pub async fn reject_removal(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        organization: &OrganizationSlug,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Person, ActError> {
        let act = Act { enterprise, actor, right: Right::Organization(organization), person, now };
        let matter = act.matter(MembershipSource::Manual, Some("rejected"));
        let decide = |person: &Person, _: &View<'_>| {
            held(person, organization)?;
            let slug = || organization.clone();
            let release = Change::Release { organization: slug() };
            let pin = Change::Pin { organization: slug(), reason: PinReason::Owner };
            Ok(Plan { changes: vec![release, pin] })
        };
        self.act(&act, matter, decide).await
    }

    /// Gives back what one batch removed within the last 90 days, in the roles that they were (section 4.7): by an owner of the
    /// enterprise. Again is fine: what was given back, or came back by itself, is left alone.
    pub async fn restore_batch(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        batch: &BatchId,
        now: Timestamp,
    ) -> Result<Restored, ActError> {
        self.require_owner(enterprise, &actor, now).await?;
        let (key, mut after, mut outcome) = (batch_key(enterprise, batch), None, Restored::default());
        for _ in 0..BATCH_PAGES_MAX {
            let page = self.store.members(key, after.take(), BATCH_PAGE_PEOPLE).await?;
            let is_last = page.len() < BATCH_PAGE_PEOPLE;
            after = page.last().cloned();
            for id in page {
                let act = Act { enterprise, actor, right: Right::Enterprise, person: person_id(id)?, now };
                self.restore_of(&act, batch, &mut outcome).await?;
            }
            if is_last {
                break;
            }
        }
        Ok(outcome)
    }

    async fn restore_of(
        &self,
        act: &Act<'_>,
        batch: &BatchId,
        outcome: &mut Restored,
    ) -> Result<(), ActError> {
        let (id, now) = (act.person, act.now);
        let matter = act.matter(MembershipSource::Manual, Some("restored"));
        let decide = |person: Person, _: &View<'_>| {
            let of_batch = |slug: &OrganizationSlug| {
                person.former.iter().any(|former| former.organization == *slug && former.batch == *batch)
            };
            let plan = restoration(&person, now, of_batch)?;
            Ok(Decision { person, plan })
        };
        match self.act_upon(act, matter, decide).await {
            Ok(amended) => {
                let joined = amended.plan.changes.iter().map(|change| (id, change.organization().clone()));
                outcome.restored.extend(joined);
            }
            Err(ActError::Inactive) => outcome.inactive.push(id),
            Err(ActError::UnknownPerson) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Up to `limit` (1 to 1,000) organizations that lost their last owner (A8).
    pub async fn unowned(
        &self,
        enterprise: EnterpriseId,
        after: Option<OrganizationId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Organization>, StoreError> {
        let after = after.map(|id| id.as_bytes().to_vec());
        let ids = self.store.members(Key::Unowned(enterprise), after, limit).await?;
        self.organizations_of(enterprise, ids, now).await
    }

    /// The records behind ids out of a set; those without a record are left out.
    pub(super) async fn organizations_of(
        &self,
        enterprise: EnterpriseId,
        ids: Vec<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Vec<Organization>, StoreError> {
        let corrupt = |_| StoreError::Corrupt("an organization's id in a set".into());
        let ids: Vec<OrganizationId> = ids
            .into_iter()
            .map(|id| id.try_into().map(OrganizationId::from_bytes).map_err(corrupt))
            .collect::<Result<_, _>>()?;
        let mut found = vec![];
        for ids in ids.chunks(BATCH_STEPS_MAX) {
            let gets = ids.iter().map(|id| Op::Get(Key::Organization(enterprise, *id))).collect();
            for (reply, id) in self.store.batch(now, gets).await?.into_iter().zip(ids) {
                let Reply::Value(stored) = reply else { return Err(unexpected_reply()) };
                let record = stored.map(|s| records::decode_organization(*id, &s.value));
                found.extend(record.transpose()?);
            }
        }
        Ok(found)
    }

    /// Counts what a change of a person held or let go; the next [`Directory::export_holds`] says how many there are in all.
    pub(super) fn count_holds(&self, enterprise: &Enterprise, before: Option<&Person>, after: &Person) {
        let held = |person: &Person| person.memberships.iter().filter(|member| member.held.is_some()).count();
        let count = |person| i64::try_from(held(person)).unwrap_or(i64::MAX);
        let more = count(after) - before.map_or(0, count);
        if more != 0 {
            self.metrics.add_removals_held(enterprise.slug.as_str(), more);
        }
    }

    /// Shows how many removals wait, up to [`MEMBERS_PER_PAGE_MAX`]: a gateway does so now and then, and counts in between what it
    /// changes itself.
    pub async fn export_holds(&self, enterprise: &Enterprise) {
        let held = self.store.members(Key::HeldRemovals(enterprise.id), None, MEMBERS_PER_PAGE_MAX).await;
        if let Ok(held) = held {
            let count = i64::try_from(held.len()).unwrap_or(i64::MAX);
            self.metrics.set_removals_held(enterprise.slug.as_str(), count);
        }
    }
}

fn held<'p>(person: &'p Person, organization: &OrganizationSlug) -> Result<&'p HeldRemoval, ActError> {
    let member = person.membership(organization).ok_or(ActError::NotHeld)?;
    member.held.as_ref().ok_or(ActError::NotHeld)
}

fn hold(person: &Person, organization: OrganizationId) -> Option<Hold> {
    let is_its = |slug: &OrganizationSlug| OrganizationId::of(person.enterprise, slug) == organization;
    let member = person.memberships.iter().find(|member| is_its(&member.organization))?;
    Some(Hold {
        organization: member.organization.clone(),
        person: person.id,
        user: person.profile.user.clone(),
        role: member.role,
        removal: member.held.clone()?,
    })
}

fn cursor(member: &[u8]) -> Result<HoldCursor, StoreError> {
    let corrupt = || StoreError::Corrupt("a removal that waits".into());
    let (organization, person) = member.split_first_chunk::<16>().ok_or_else(corrupt)?;
    let person: [u8; 16] = person.try_into().map_err(|_| corrupt())?;
    Ok((OrganizationId::from_bytes(*organization), PersonId::from_bytes(person)))
}
