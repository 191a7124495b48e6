//! Changes of a group's members that one commit cannot hold.
//!
//! The whole difference is checked, noted in a record of the group, and then carried out in steps, each of which expects that very
//! record. Whoever finds the record goes on: the next call for the group, or a gateway that looks after what was left behind. A step
//! that was done finds nothing to do, so two who are at it at once do no harm.
use super::{
    ATTEMPTS_MAX, MEMBERS_PER_COMMIT_MAX, ScimCall, ScimFault, ScimSettings,
    lookup::{GroupRecords, UserRecords},
    meaning::{Bench, Way},
    members::{Carried, Delta, Known},
};
use crate::{
    directory::{Contended, Directory, Enterprise, amend::Beside},
    domain::{EnterpriseId, OrganizationSlug, Person, PersonId, ScimGroupJob, ScimId, Timestamp},
    provisioning,
    store::{BoxFuture, Key, MEMBERS_PER_PAGE_MAX, Write, records},
};

impl Directory {
    /// Goes on with what was left behind, by a gateway that stopped or lost the store: at the start and now and then. How many
    /// groups there were.
    pub fn resume_scim_jobs<'a>(
        &'a self,
        enterprise: &'a Enterprise,
        settings: &'a ScimSettings,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<usize, ScimFault>> {
        Box::pin(async move {
            let left = self.store.members(Key::ScimJobs(enterprise.id), None, MEMBERS_PER_PAGE_MAX).await?;
            let call =
                ScimCall { enterprise, settings, request_id: "resumed", if_match: None, event: None, now };
            for id in &left {
                let bench = self.bench(&call).await?;
                match self.finish_job(&bench, records::decode_scim_id(id)?).await {
                    // The provider asks for what waits again.
                    Ok(()) | Err(ScimFault::Held { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(left.len())
        })
    }

    /// Checks and notes the difference, with what becomes of the group itself, and carries it out.
    pub(super) async fn stage(
        &self,
        bench: &Bench<'_>,
        group: &GroupRecords,
        content: Beside,
        delta: Delta,
    ) -> Result<Carried, ScimFault> {
        let (call, e) = (bench.call, bench.call.enterprise.id);
        self.survey(bench, group, &delta).await?;
        let job = ScimGroupJob {
            adds: delta.adds,
            removes: delta.removes,
            deletes: false,
            request_id: call.request_id.to_owned(),
            since: call.now,
        };
        let mut beside = content;
        if beside.expect.is_empty() {
            beside.expect.extend(group.expect(e));
        }
        beside.writes.extend(noted(e, group.id, &job));
        if !self.commit_beside(call, beside).await? {
            return Ok(Carried::Late);
        }
        self.finish_job(bench, group.id).await.map(|()| Carried::InSteps)
    }

    /// Keeps everybody else from changing who is in a group, until [`Directory::finish_job`]: a change of nobody is noted, which
    /// overtakes those who have read the group and makes those who come wait for a while. The group's records as they are
    /// then; `None` if anybody was faster.
    pub(super) async fn hold_still(
        &self,
        call: &ScimCall<'_>,
        group: &GroupRecords,
    ) -> Result<Option<GroupRecords>, ScimFault> {
        let e = call.enterprise.id;
        let job = ScimGroupJob {
            adds: vec![],
            removes: vec![],
            deletes: false,
            request_id: call.request_id.to_owned(),
            since: call.now,
        };
        let writes = noted(e, group.id, &job).into();
        // Whoever else is in it is read again; only a version has to be that one still.
        let known = GroupRecords { rests_on_members: call.names_version(), ..group.clone() };
        let beside = Beside { expect: known.expect(e), writes, ..Beside::default() };
        if !self.commit_beside(call, beside).await? {
            return Ok(None);
        }
        let is_still =
            |now: &GroupRecords| (now.revision, now.job_revision) == (group.revision, group.job_revision + 1);
        let now = self.group_records(call, &[group.id]).await?.pop().filter(is_still);
        Ok(now.map(|now| GroupRecords { rests_on_members: group.rests_on_members, ..now }))
    }

    /// Carries out what is left to do about a group's members, if anything is.
    pub(super) async fn finish_job(&self, bench: &Bench<'_>, id: ScimId) -> Result<(), ScimFault> {
        let mut waiting = 0;
        for _ in 0..ATTEMPTS_MAX {
            let group = self.group_records(bench.call, &[id]).await?.pop().ok_or(ScimFault::NotFound)?;
            let Some(job) = &group.job else { return waits(&group, waiting) };
            let done = match job.deletes {
                true => self.forget_members(bench, &group).await?,
                false => self.move_members(bench, &group, job, &mut waiting).await?,
            };
            if done && self.commit_beside(bench.call, finished(bench.call, &group)).await? {
                return waits(&group, waiting);
            }
        }
        Err(Contended.into())
    }

    /// All steps of a difference; `false` if somebody finished it, or changed the group.
    async fn move_members(
        &self,
        bench: &Bench<'_>,
        group: &GroupRecords,
        job: &ScimGroupJob,
        waiting: &mut usize,
    ) -> Result<bool, ScimFault> {
        *waiting = 0;
        for delta in steps(job) {
            let mut done = None;
            for _ in 0..ATTEMPTS_MAX {
                let movers = self.movers(bench.call, group, (&delta, Known::new()), false).await?;
                if movers.adds.is_empty() && movers.removes.is_empty() {
                    done = Some(0);
                    break;
                }
                done = self.step_members(bench, group, Beside::default(), &movers, Way::Partial).await?;
                if done.is_some() || self.has_moved_on(bench.call, group).await? {
                    break;
                }
            }
            match done {
                Some(waits) => *waiting += waits,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    async fn has_moved_on(&self, call: &ScimCall<'_>, group: &GroupRecords) -> Result<bool, ScimFault> {
        let now = self.group_records(call, &[group.id]).await?.pop();
        Ok(now.is_none_or(|now| (now.job_revision, now.revision) != (group.job_revision, group.revision)))
    }

    /// Takes a group that is gone out of its members' records.
    async fn forget_members(&self, bench: &Bench<'_>, group: &GroupRecords) -> Result<bool, ScimFault> {
        let (call, e) = (bench.call, bench.call.enterprise.id);
        for _ in 0..ATTEMPTS_MAX.max(super::MEMBERS_PER_CALL_MAX) {
            let ids = self.scim_group_members(call, group.id, None, MEMBERS_PER_COMMIT_MAX).await?;
            if ids.is_empty() {
                return Ok(true);
            }
            let mut beside = Beside { expect: group.expect(e), ..Beside::default() };
            for (id, user) in ids.iter().zip(self.user_records(call, &ids).await?) {
                let member = records::encode_scim_id(*id);
                beside.writes.push(Write::Remove(Key::ScimGroupMembers(e, group.id), member));
                let Some(user) = user else { continue };
                let mut groups = user.groups.clone();
                groups.retain(|of| of.group != group.id);
                let key = Key::ScimUserGroups(e, *id);
                beside.expect.push((key, user.groups_revision));
                beside.writes.push(Write::Put(key, records::encode_scim_user_groups(&groups)));
            }
            if !self.commit_beside(call, beside).await? && self.has_moved_on(call, group).await? {
                return Ok(false);
            }
        }
        Err(Contended.into())
    }

    /// Everything that would refuse a difference, asked before its first step.
    async fn survey(&self, bench: &Bench<'_>, group: &GroupRecords, delta: &Delta) -> Result<(), ScimFault> {
        let organization = group.group.as_ref().and_then(|(group, _)| group.organization.clone());
        for ids in delta.adds.chunks(MEMBERS_PER_COMMIT_MAX) {
            let part = Delta { adds: ids.to_vec(), removes: vec![] };
            let movers = self.movers(bench.call, group, (&part, Known::new()), true).await?;
            let is_unreachable = |user: &UserRecords| user.user.active && !bench.is_reachable(&user.resource);
            if organization.is_some() && movers.adds.iter().any(is_unreachable) {
                return Err(ScimFault::EmailMissing);
            }
        }
        let Some(organization) = organization else { return Ok(()) };
        let leaving = self.leaving(bench, group, delta, &organization).await?;
        let (_, record) =
            self.load_organization(bench.call.enterprise.id, &organization, bench.call.now).await?;
        let settings = bench.settings();
        let left = provisioning::removals_left(&record, settings.max_removals, bench.call.now);
        if leaving <= usize::try_from(left).unwrap_or(usize::MAX) {
            return Ok(());
        }
        // Nothing but holds: who waits is decided by their own records.
        let group = &GroupRecords { rests_on_members: false, ..group.clone() };
        let mut removals = 0;
        for ids in delta.removes.chunks(MEMBERS_PER_COMMIT_MAX) {
            let part = Delta { adds: vec![], removes: ids.to_vec() };
            removals += self.hold_part(bench, group, &organization, &part).await?;
        }
        Err(ScimFault::Held { organization, removals })
    }

    async fn hold_part(
        &self,
        bench: &Bench<'_>,
        group: &GroupRecords,
        organization: &OrganizationSlug,
        part: &Delta,
    ) -> Result<usize, ScimFault> {
        for _ in 0..ATTEMPTS_MAX {
            let movers = self.movers(bench.call, group, (part, Known::new()), false).await?;
            if movers.removes.is_empty() {
                return Ok(0);
            }
            if let Some(held) = self.hold_members(bench, group, organization, &movers).await? {
                return Ok(held);
            }
        }
        Err(Contended.into())
    }

    /// How many people the difference takes out of the organization.
    async fn leaving(
        &self,
        bench: &Bench<'_>,
        group: &GroupRecords,
        delta: &Delta,
        organization: &OrganizationSlug,
    ) -> Result<usize, ScimFault> {
        let mut leaving = 0;
        let break_glass = &bench.settings().break_glass;
        for ids in delta.removes.chunks(MEMBERS_PER_COMMIT_MAX) {
            let part = Delta { adds: vec![], removes: ids.to_vec() };
            let movers = self.movers(bench.call, group, (&part, Known::new()), false).await?;
            let go = movers.removes.iter().filter(|user| !user.is_in_another(group.id, organization));
            let people: Vec<PersonId> = go.map(|user| user.user.link).collect();
            let people = self.people_of(bench.call.enterprise.id, &people, bench.call.now).await?;
            let leaves = |person: &&Person| {
                let member = person.membership(organization);
                member.is_some_and(|member| member.pin.is_none())
                    && !break_glass.contains(&person.profile.user)
            };
            leaving += people.iter().filter(leaves).count();
        }
        Ok(leaving)
    }
}

/// What says that there is something to do.
fn noted(e: EnterpriseId, group: ScimId, job: &ScimGroupJob) -> [Write; 2] {
    [
        Write::Put(Key::ScimGroupJob(e, group), records::encode_scim_group_job(Some(job))),
        Write::Insert(Key::ScimJobs(e), records::encode_scim_id(group)),
    ]
}

/// Parts that a commit can hold.
fn steps(job: &ScimGroupJob) -> Vec<Delta> {
    let adds = job.adds.chunks(MEMBERS_PER_COMMIT_MAX);
    let removes = job.removes.chunks(MEMBERS_PER_COMMIT_MAX);
    let adds = adds.map(|ids| Delta { adds: ids.to_vec(), removes: vec![] });
    adds.chain(removes.map(|ids| Delta { adds: vec![], removes: ids.to_vec() })).collect()
}

fn waits(group: &GroupRecords, removals: usize) -> Result<(), ScimFault> {
    let organization = group.group.as_ref().and_then(|(group, _)| group.organization.clone());
    match organization.filter(|_| removals > 0) {
        Some(organization) => Err(ScimFault::Held { organization, removals }),
        None => Ok(()),
    }
}

/// Nothing is left to do. The record of a group that is there stays, so that its revisions go on.
fn finished(call: &ScimCall<'_>, group: &GroupRecords) -> Beside {
    let (e, id) = (call.enterprise.id, group.id);
    let mut beside = Beside { expect: group.expect(e), ..Beside::default() };
    beside.writes.push(Write::Remove(Key::ScimJobs(e), records::encode_scim_id(id)));
    let key = Key::ScimGroupJob(e, id);
    if group.group.is_some() {
        beside.writes.push(Write::Put(key, records::encode_scim_group_job(None)));
    } else {
        let sets = [Key::ScimGroupMembers(e, id), Key::ScimGroupState(e, id), key];
        beside.writes.extend(sets.map(Write::Delete));
    }
    beside
}
