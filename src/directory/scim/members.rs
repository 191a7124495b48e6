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
    /// Everything in one commit, or nothing but holds (D7); `false` if anybody was faster.
    pub(super) async fn carry_members(
        &self,
        bench: &Bench<'_>,
        group: &GroupRecords,
        content: Beside,
        delta: Delta,
    ) -> Result<bool, ScimFault> {
        let movers = self.movers(bench.call, group, &delta, true).await?;
        if movers.is_empty() {
            return if content.writes.is_empty() {
                Ok(true)
            } else {
                self.commit_beside(bench.call, content).await
            };
        }
        match self.step_members(bench, group, content, &movers, Way::Whole).await {
            Err(ScimFault::Held { organization, .. }) => {
                match self.hold_members(bench, group, &organization, &movers).await? {
                    Some(removals) => Err(ScimFault::Held { organization, removals }),
                    None => Ok(false),
                }
            }
            other => other.map(|done| done.is_some()),
        }
    }

    /// Notes all removals as held; how many wait now, or `None` if anybody was faster.
    pub(super) async fn hold_members(
        &self,
        bench: &Bench<'_>,
        group: &GroupRecords,
        organization: &OrganizationSlug,
        movers: &Movers,
    ) -> Result<Option<usize>, ScimFault> {
        let writes = self.owners_notice(bench.call, organization).await?;
        let notice = Beside { writes, ..Beside::default() };
        let leavers = Movers { adds: vec![], removes: movers.removes.clone() };
        let held =
            self.step_members(&bench.without_allowance(), group, notice, &leavers, Way::HoldsOnly).await;
        self.wake_outbox();
        held
    }

    /// The users' records of those who really come or go. With `strict`, who comes must be there.
    pub(super) async fn movers(
        &self,
        call: &ScimCall<'_>,
        group: &GroupRecords,
        delta: &Delta,
        strict: bool,
    ) -> Result<Movers, ScimFault> {
        let mut movers = Movers::default();
        for (id, found) in delta.adds.iter().zip(self.user_records(call, &delta.adds).await?) {
            match found {
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
        let removes = self.user_records(call, &delta.removes).await?.into_iter().flatten();
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
        let matters: Vec<Matter<'_>> =
            movers.all().map(|(user, _)| bench.matter(user.user.link, &user.resource, &[])).collect();
        let loaded = self.load_all(&matters).await?;
        let waits = Mutex::new(BTreeMap::new());
        let decide = |number: usize, view: &View<'_>| {
            let Some((user, comes)) = movers.all().nth(number) else { return Err(ScimFault::NotFound) };
            let person = bench.person(view, user.subject())?;
            let belongs = comes || user.is_in_another(group.id, &organization);
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
        let name = resource.display_name().unwrap_or_default();
        let mut has_moved = false;
        for (number, (user, comes)) in self.movers.all().enumerate() {
            if waits.get(&number).copied().unwrap_or(false) {
                continue;
            }
            has_moved = true;
            let of = ScimMembership { group: id, organization: group.organization.clone() };
            let mut groups = user.groups.clone();
            groups.retain(|of| of.group != id);
            let (members, member) = (Key::ScimGroupMembers(e, id), records::encode_scim_id(user.user.id));
            let action = if comes {
                groups.push(of);
                beside.writes.push(Write::Insert(members, member));
                AuditAction::AddGroupMember
            } else {
                beside.writes.push(Write::Remove(members, member));
                AuditAction::RemoveGroupMember
            };
            let key = Key::ScimUserGroups(e, user.user.id);
            beside.writes.push(Write::Put(key, records::encode_scim_user_groups(&groups)));
            beside.told.push(tell::group(call, action, (id, name), Some(user.user.id)));
        }
        if has_moved {
            beside.writes.push(Write::Touch(Key::ScimGroupState(e, id), call.now));
        }
        Ok(beside)
    }
}
