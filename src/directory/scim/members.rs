//! Who is in a group: changed in one commit, with what it means for the organization that the group stands for.
//!
//! Two changes of different users commute: each writes the users' own records and their places in sets, expects the group's
//! record as it was, and touches the group's tally. Only removals from an organization wait for each other, because the guard counts
//! them.
use std::{collections::BTreeMap, sync::Mutex};

use super::{
    GROUPS_PER_USER_MAX, ScimCall, ScimFault,
    lookup::{GroupRecords, UserRecords},
    meaning::{Bench, Way},
    tell,
    users::locked,
};
use crate::{
    directory::{
        Directory,
        amend::{Beside, Matter, View},
        audit,
    },
    domain::{OrganizationSlug, ScimId, ScimMembership},
    provisioning::{Plan, ScimFact},
    store::{Commit, Committed, Key, Write, records},
    telemetry::{AuditAction, AuditLine},
};

/// Ids of who comes and who goes; to come where one is, and to go where one is not, is nothing.
#[derive(Clone)]
pub(super) struct Delta {
    pub adds: Vec<ScimId>,
    pub removes: Vec<ScimId>,
}

/// Who really comes and goes, with their records.
#[derive(Default)]
pub(super) struct Movers {
    pub adds: Vec<UserRecords>,
    pub removes: Vec<UserRecords>,
}

/// Users whose records were read already; `None` for who is not there.
pub(super) type Known = BTreeMap<ScimId, Option<UserRecords>>;

/// What became of an attempt at a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    /// Somebody was faster: read again, decide again.
    Late,
    /// All of it, by one commit or by none; and whether anybody came or went.
    Done { moved: bool },
    /// All of it, by several commits.
    InSteps,
}

impl Movers {
    fn is_empty(&self) -> bool {
        self.adds.is_empty() && self.removes.is_empty()
    }

    /// Those who come, then those who go: in the order of the matters.
    fn all(&self) -> impl Iterator<Item = (&UserRecords, bool)> {
        self.adds.iter().map(|user| (user, true)).chain(self.removes.iter().map(|user| (user, false)))
    }
}

impl Directory {
    /// Everything in one commit, the call's own event with it, or nothing but holds (D7).
    pub(super) async fn carry_members(
        &self,
        bench: &Bench<'_>,
        group: &GroupRecords,
        mut content: Beside,
        (delta, known): (Delta, Known),
    ) -> Result<Carried, ScimFault> {
        let call = bench.call;
        let is_one_look = delta.adds.iter().chain(&delta.removes).all(|id| known.contains_key(id));
        let movers = self.movers(call, group, (&delta, known), true).await?;
        if movers.is_empty() {
            if content.writes.is_empty() {
                // Of what was read at two points in time, nobody can say that it was so at one.
                let is_true =
                    is_one_look && !group.rests_on_members || self.is_as_it_was(call, group).await?;
                return Ok(if is_true { Carried::Done { moved: false } } else { Carried::Late });
            }
            content.told.extend(call.own_event(group.id));
            return Ok(match self.commit_beside(call, content).await? {
                true => {
                    call.was_told();
                    Carried::Done { moved: false }
                }
                false => Carried::Late,
            });
        }
        match self.step_members(bench, group, content, &movers, Way::Whole).await {
            Err(ScimFault::Held { organization, .. }) => {
                match self.hold_members(bench, group, &organization, &movers).await? {
                    Some(removals) => Err(ScimFault::Held { organization, removals }),
                    None => Ok(Carried::Late),
                }
            }
            Ok(Some(_)) => {
                call.was_told();
                Ok(Carried::Done { moved: true })
            }
            other => other.map(|_| Carried::Late),
        }
    }

    async fn is_as_it_was(&self, call: &ScimCall<'_>, group: &GroupRecords) -> Result<bool, ScimFault> {
        let expected = group.expect(call.enterprise.id);
        let keys = expected.iter().map(|(key, _)| *key).collect();
        let found = self.stored(call.now, keys).await?;
        let revisions = found.iter().map(|stored| stored.as_ref().map_or(0, |stored| stored.revision));
        Ok(revisions.eq(expected.iter().map(|(_, revision)| *revision)))
    }

    /// Notes all removals as held; how many wait now, or `None` if anybody was faster.
    pub(super) async fn hold_members(
        &self,
        bench: &Bench<'_>,
        group: &GroupRecords,
        organization: &OrganizationSlug,
        movers: &Movers,
    ) -> Result<Option<usize>, ScimFault> {
        let writes = self.owners_notice(bench.call, organization, None).await?;
        let notice = Beside { writes, ..Beside::default() };
        let leavers = Movers { adds: vec![], removes: movers.removes.clone() };
        let held =
            self.step_members(&bench.without_allowance(), group, notice, &leavers, Way::HoldsOnly).await;
        self.wake_outbox();
        held
    }

    /// The users' records of those who really come or go, in one round trip with those who are not known yet. With `strict`, who
    /// comes must be there.
    pub(super) async fn movers(
        &self,
        call: &ScimCall<'_>,
        group: &GroupRecords,
        (delta, mut known): (&Delta, Known),
        strict: bool,
    ) -> Result<Movers, ScimFault> {
        let named = delta.adds.iter().chain(&delta.removes);
        let unknown: Vec<ScimId> = named.filter(|id| !known.contains_key(id)).copied().collect();
        let read = self.user_records(call, &unknown).await?;
        known.extend(unknown.into_iter().zip(read));
        let mut movers = Movers::default();
        for id in &delta.adds {
            match known.remove(id).flatten() {
                None if strict => return Err(ScimFault::UnknownMember(*id)),
                Some(user) if !user.is_in(group.id) => {
                    if user.groups.len() >= GROUPS_PER_USER_MAX && strict {
                        return Err(ScimFault::TooManyGroups);
                    }
                    movers.adds.push(user);
                }
                None | Some(_) => {}
            }
        }
        let removes = delta.removes.iter().filter_map(|id| known.remove(id).flatten());
        movers.removes.extend(removes.filter(|user| user.is_in(group.id)));
        Ok(movers)
    }

    /// One attempt; how many removals wait for an owner, or `None` if anybody was faster.
    pub(super) async fn step_members(
        &self,
        bench: &Bench<'_>,
        group: &GroupRecords,
        content: Beside,
        movers: &Movers,
        way: Way,
    ) -> Result<Option<usize>, ScimFault> {
        let call = bench.call;
        let step = Step { group, movers, way };
        let Some(organization) = group.group.as_ref().and_then(|(group, _)| group.organization.clone())
        else {
            let beside = step.beside(call, content, &BTreeMap::new())?;
            return Ok(self.commit_beside(call, beside).await?.then_some(0));
        };
        let all: Vec<(&UserRecords, bool)> = movers.all().collect();
        let belongs = |user: &UserRecords, comes| comes || user.is_in_another(group.id, &organization);
        let matters: Vec<Matter<'_>> =
            all.iter().map(|(user, _)| bench.matter(user.user.link, &user.resource, &[])).collect();
        // Whoever leaves is counted by the guard: only they wait for each other.
        let loaded = match all.iter().all(|(user, comes)| belongs(user, *comes)) {
            true => self.load_all(&matters).await?,
            false => self.load_all_with(&matters, &organization).await?,
        };
        let waits = Mutex::new(BTreeMap::new());
        let decide = |number: usize, view: &View<'_>| {
            let Some((user, comes)) = all.get(number).copied() else { return Err(ScimFault::NotFound) };
            let person = bench.person(view, user.subject())?;
            let belongs = belongs(user, comes);
            let is_out = !user.user.active || !person.standing.is_active();
            // Who is out is invited to nothing, until they are let in again.
            let facts: &[(OrganizationSlug, bool)] =
                if is_out && belongs { &[] } else { &[(organization.clone(), belongs)] };
            let meant = bench.mean(way, view, user.subject(), person, ScimFact::Groups(facts))?;
            locked(&waits).insert(number, !meant.waits.is_empty());
            Ok(meant.decision)
        };
        let beside = |plans: &[&Plan]| {
            let mut beside = step.beside(call, content, &locked(&waits))?;
            beside.writes.extend(bench.mails(plans));
            Ok(beside)
        };
        let done = self.attempt(&matters, &loaded, &decide, beside).await?.is_some();
        let waiting = locked(&waits).values().filter(|waits| **waits).count();
        Ok(done.then_some(waiting))
    }

    /// Commits what concerns no person; `false` if anybody was faster.
    pub(super) async fn commit_beside(&self, call: &ScimCall<'_>, beside: Beside) -> Result<bool, ScimFault> {
        let Beside { expect, mut writes, told } = beside;
        writes.extend(audit::appends(call.enterprise, &told));
        if self.store.commit(Commit { expect, writes }).await? == Committed::Conflict {
            return Ok(false);
        }
        told.iter().for_each(AuditLine::log);
        Ok(true)
    }
}

struct Step<'s> {
    group: &'s GroupRecords,
    movers: &'s Movers,
    way: Way,
}

impl Step<'_> {
    /// The users' records and the group's sets. Whoever waits stays in the group, so that the provider asks again.
    fn beside(
        &self,
        call: &ScimCall<'_>,
        content: Beside,
        waits: &BTreeMap<usize, bool>,
    ) -> Result<Beside, ScimFault> {
        let (e, id) = (call.enterprise.id, self.group.id);
        let (group, resource) = self.group.group.as_ref().ok_or(ScimFault::NotFound)?;
        let mut beside = content;
        if beside.expect.is_empty() {
            beside.expect.extend(self.group.expect(e));
        }
        for (user, _) in self.movers.all() {
            beside.expect.push((Key::ScimUser(e, user.user.id), user.revision));
            beside.expect.push((Key::ScimUserGroups(e, user.user.id), user.groups_revision));
        }
        if self.way == Way::HoldsOnly {
            return Ok(beside);
        }
        let (mut came, mut went) = (vec![], vec![]);
        for (number, (user, comes)) in self.movers.all().enumerate() {
            if waits.get(&number).copied().unwrap_or(false) {
                continue;
            }
            let mut groups = user.groups.clone();
            groups.retain(|of| of.group != id);
            let (members, member) = (Key::ScimGroupMembers(e, id), records::encode_scim_id(user.user.id));
            if comes {
                groups.push(ScimMembership { group: id, organization: group.organization.clone() });
                beside.writes.push(Write::Insert(members, member));
                came.push(user);
            } else {
                beside.writes.push(Write::Remove(members, member));
                went.push(user);
            }
            let key = Key::ScimUserGroups(e, user.user.id);
            beside.writes.push(Write::Put(key, records::encode_scim_user_groups(&groups)));
        }
        if !came.is_empty() || !went.is_empty() {
            beside.writes.push(Write::Touch(Key::ScimGroupState(e, id), call.now));
        }
        let group = (id, resource.display_name().unwrap_or_default());
        beside.told.extend(tell::members(call, AuditAction::AddGroupMember, group, &came));
        beside.told.extend(tell::members(call, AuditAction::RemoveGroupMember, group, &went));
        if self.way == Way::Whole {
            beside.told.extend(call.own_event(id));
        }
        Ok(beside)
    }
}
