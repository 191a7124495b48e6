//! Groups: created, changed, deleted. Who is in them is changed by `members`.
use std::time::Duration;

use tokio::time::sleep;

use super::{
    ATTEMPTS_MAX, MEMBERS_PER_CALL_MAX, MEMBERS_PER_COMMIT_MAX, OnGroupDelete, ScimCall, ScimFault,
    ScimGroupView, UnmatchedGroups, check_match,
    lookup::{GroupRecords, group_external_id_key, group_name_key},
    meaning::Bench,
    members::{Carried, Delta, Known},
    tell,
    users::cut,
};
use crate::{
    directory::{Contended, Directory, amend::Beside},
    domain::{EnterpriseId, OrganizationId, OrganizationSlug, ScimGroup, ScimGroupJob, ScimId},
    scim::{MembersChange, Resource},
    store::{Key, Note, Write, records},
    telemetry::AuditAction,
};

/// Attempts at a replacement of all members before others are kept from changing who is in the group.
const HURRIED_ATTEMPTS: usize = 4;
/// How often one looks whether a group is let go again, and how long one waits each time.
const HOLD_LOOKS_MAX: usize = 32;
const HOLD_LOOK: Duration = Duration::from_millis(25);

impl Directory {
    /// Creates a group with these members, who are invited to the organization that it corresponds to.
    pub async fn create_scim_group(
        &self,
        call: &ScimCall<'_>,
        resource: Resource,
        members: Vec<ScimId>,
    ) -> Result<ScimGroupView, ScimFault> {
        let bench = self.bench(call).await?;
        let name = resource.display_name().ok_or(ScimFault::GroupName)?.to_owned();
        let organization = corresponding(&bench, &name)?;
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        let (id, now) = (ScimId::from_random(random), cut(call.now));
        let group = ScimGroup {
            id,
            attributes: resource.to_stored(),
            organization,
            created_at: now,
            modified_at: now,
            version: 1,
        };
        let records = GroupRecords {
            id,
            group: Some((group.clone(), resource)),
            revision: 0,
            touched: (0, None),
            job: None,
            job_revision: 0,
            rests_on_members: false,
        };
        let change = MembersChange { add: members.into_iter().collect(), ..MembersChange::default() };
        for _ in 0..ATTEMPTS_MAX {
            let content = written(call, None, &group, &records);
            let carried = self.carry_group(&bench, &records, content, (&change, Known::new())).await?;
            if let Some(view) = self.view_after(call, &records, carried).await? {
                return Ok(view);
            }
            if self.stored(call.now, vec![group_name_key(call.enterprise.id, &name)]).await? != [None] {
                return Err(ScimFault::GroupNameTaken);
            }
        }
        Err(Contended.into())
    }

    /// [`Directory::change_scim_group_of`] where it is not known before who is concerned.
    pub async fn change_scim_group<E>(
        &self,
        call: &ScimCall<'_>,
        id: ScimId,
        change: impl Fn(&Resource) -> Result<(Resource, MembersChange), E>,
    ) -> Result<ScimGroupView, E>
    where
        E: From<ScimFault>,
    {
        self.change_scim_group_of(call, id, &[], change).await
    }

    /// Changes a group's attributes and its members in one step: by PUT or by PATCH. `change` is pure and may be asked again;
    /// the records of the `named` users are read along with the group's, because it is going to ask for them. Where nothing
    /// changes, nothing is written. Of a change that a commit can hold everything is done or nothing; a larger one is checked
    /// first, noted, and then done in steps that any gateway finishes.
    pub async fn change_scim_group_of<E>(
        &self,
        call: &ScimCall<'_>,
        id: ScimId,
        named: &[ScimId],
        change: impl Fn(&Resource) -> Result<(Resource, MembersChange), E>,
    ) -> Result<ScimGroupView, E>
    where
        E: From<ScimFault>,
    {
        let bench = self.bench(call).await?;
        for attempt in 0..ATTEMPTS_MAX {
            let (mut records, mut known) = self.group_at_rest(&bench, id, named).await?;
            let view = records.view().ok_or(ScimFault::NotFound)?;
            check_match(call, &view.version)?;
            let (resource, members) = change(&view.resource)?;
            // Who names one member has less to read, and would be faster every time.
            let holds = members.reset && attempt >= HURRIED_ATTEMPTS;
            if holds {
                let Some(still) = self.hold_still(call, &records).await? else {
                    continue;
                };
                (records, known) = (still, Known::new());
            }
            records.rests_on_members = members.reset || call.names_version();
            let changed = self.change_group(&bench, &records, &view.group, resource, (&members, known)).await;
            if holds {
                self.finish_job(&bench, id).await?;
            }
            if let Some(view) = changed? {
                return Ok(view);
            }
        }
        Err(ScimFault::from(Contended).into())
    }

    /// Deletes a group. The members of its organization stay, or leave behind the removal guard, as the settings say.
    pub async fn delete_scim_group(&self, call: &ScimCall<'_>, id: ScimId) -> Result<(), ScimFault> {
        let bench = self.bench(call).await?;
        let mut emptying = call.untold();
        for _ in 0..ATTEMPTS_MAX {
            if call.settings.on_group_delete == OnGroupDelete::Remove {
                self.empty_scim_group(&emptying, id).await?;
                // From now on the version is our own.
                emptying.if_match = None;
            }
            let (mut records, _) = self.group_at_rest(&bench, id, &[]).await?;
            let view = records.view().ok_or(ScimFault::NotFound)?;
            match call.settings.on_group_delete {
                OnGroupDelete::Keep => {
                    check_match(call, &view.version)?;
                    records.rests_on_members = call.names_version();
                }
                // Who came in meanwhile goes too.
                OnGroupDelete::Remove if self.scim_group_size(call, id).await? > 0 => continue,
                OnGroupDelete::Remove => records.rests_on_members = true,
            }
            let mut gone = deleted(call, &records, &view);
            gone.told.extend(call.own_event(id));
            if self.commit_beside(call, gone).await? {
                call.was_told();
                self.settings.forget(call.enterprise.id);
                return self.finish_job(&bench, id).await;
            }
        }
        Err(Contended.into())
    }

    async fn empty_scim_group(&self, call: &ScimCall<'_>, id: ScimId) -> Result<(), ScimFault> {
        let emptied = MembersChange { reset: true, ..MembersChange::default() };
        let change = |resource: &Resource| Ok::<_, ScimFault>((resource.clone(), emptied.clone()));
        self.change_scim_group(call, id, change).await.map(drop)
    }

    /// A group's records while nothing is left to do about its members, and those of the `named` users.
    async fn group_at_rest(
        &self,
        bench: &Bench<'_>,
        id: ScimId,
        named: &[ScimId],
    ) -> Result<(GroupRecords, Known), ScimFault> {
        // More than a commit holds is read step by step.
        let named = if named.len() > MEMBERS_PER_COMMIT_MAX { &[] } else { named };
        for look in 0..ATTEMPTS_MAX {
            let (records, known) = self.group_and_users(bench.call, id, named).await?;
            match &records.job {
                None => return Ok((records, known)),
                // Whoever holds it is about to finish; but for one that died.
                Some(job) if job.is_hold() && look < HOLD_LOOKS_MAX => sleep(HOLD_LOOK).await,
                Some(_) => self.finish_job(bench, id).await?,
            }
        }
        Err(Contended.into())
    }

    /// The group as the attempt left it; `None` if somebody was faster. Read again only where it took several commits: what one
    /// commit expected and wrote is known. Members that others moved meanwhile make the version an older one, and never one that
    /// a state has which this client did not see.
    async fn view_after(
        &self,
        call: &ScimCall<'_>,
        records: &GroupRecords,
        carried: Carried,
    ) -> Result<Option<ScimGroupView>, ScimFault> {
        let mut after = records.clone();
        match carried {
            Carried::Late => return Ok(None),
            Carried::InSteps => return self.scim_group(call, records.id).await.map(Some),
            Carried::Done { moved: false } => {}
            Carried::Done { moved: true } => {
                let (count, latest) = records.touched;
                let now = cut(call.now);
                after.touched = (count + 1, Some(latest.map_or(now, |latest| latest.max(now))));
            }
        }
        after.view().ok_or(ScimFault::NotFound).map(Some)
    }

    async fn change_group(
        &self,
        bench: &Bench<'_>,
        records: &GroupRecords,
        before: &ScimGroup,
        resource: Resource,
        members: (&MembersChange, Known),
    ) -> Result<Option<ScimGroupView>, ScimFault> {
        let call = bench.call;
        let Some((_, known)) = &records.group else { return Err(ScimFault::NotFound) };
        if resource == *known {
            let content = Beside { expect: records.expect(call.enterprise.id), ..Beside::default() };
            let carried = self.carry_group(bench, records, content, members).await?;
            return self.view_after(call, records, carried).await;
        }
        let name = resource.display_name().ok_or(ScimFault::GroupName)?;
        let organization = match known.display_name() == Some(name) {
            true => before.organization.clone(),
            false => corresponding(bench, name)?,
        };
        let after = ScimGroup {
            attributes: resource.to_stored(),
            organization,
            modified_at: cut(call.now).max(before.modified_at),
            version: before.version + 1,
            ..before.clone()
        };
        if after.organization == before.organization {
            return self.put_group(bench, records, (after, resource), members).await;
        }
        // A7: what a group stands for is pinned while anybody is in it.
        if self.scim_group_size(call, before.id).await? > 0 {
            return Err(ScimFault::GroupRenamed);
        }
        // Whoever came in a moment ago is seen, and nobody comes in any more.
        let Some(still) = self.hold_still(call, records).await? else { return Ok(None) };
        let changed = match self.scim_group_size(call, before.id).await? {
            0 => self.put_group(bench, &still, (after, resource), members).await,
            _ => Err(ScimFault::GroupRenamed),
        };
        self.finish_job(bench, before.id).await?;
        changed
    }

    /// The group as it is from now on, and its members; `None` if anybody was faster.
    async fn put_group(
        &self,
        bench: &Bench<'_>,
        records: &GroupRecords,
        (after, resource): (ScimGroup, Resource),
        members: (&MembersChange, Known),
    ) -> Result<Option<ScimGroupView>, ScimFault> {
        let call = bench.call;
        let name = group_name_key(call.enterprise.id, resource.display_name().unwrap_or_default());
        let changed = GroupRecords { group: Some((after.clone(), resource)), ..records.clone() };
        let content = written(call, records.group.as_ref(), &after, &changed);
        let carried = self.carry_group(bench, &changed, content, members).await?;
        if let Some(view) = self.view_after(call, &changed, carried).await? {
            return Ok(Some(view));
        }
        let owner = self.stored(call.now, vec![name]).await?.pop().flatten();
        let owner = owner.map(|stored| records::decode_scim_id(&stored.value)).transpose()?;
        if owner.is_some_and(|owner| owner != after.id) { Err(ScimFault::GroupNameTaken) } else { Ok(None) }
    }

    /// Carries out what becomes of the group (`content`) and of its members.
    async fn carry_group(
        &self,
        bench: &Bench<'_>,
        records: &GroupRecords,
        content: Beside,
        (members, known): (&MembersChange, Known),
    ) -> Result<Carried, ScimFault> {
        let has_content = !content.writes.is_empty();
        let delta = self.delta(bench, records, members).await?;
        let changed = delta.adds.len() + delta.removes.len();
        if changed > MEMBERS_PER_CALL_MAX {
            return Err(ScimFault::TooManyMembers);
        }
        let carried = if changed > MEMBERS_PER_COMMIT_MAX {
            self.stage(bench, records, content, delta).await?
        } else {
            self.carry_members(bench, records, content, (delta, known)).await?
        };
        if carried != Carried::Late && has_content {
            self.settings.forget(bench.call.enterprise.id);
        }
        Ok(carried)
    }

    /// Who comes and who goes, as far as it can be said without the users' records.
    async fn delta(
        &self,
        bench: &Bench<'_>,
        records: &GroupRecords,
        members: &MembersChange,
    ) -> Result<Delta, ScimFault> {
        if !members.reset {
            let list = |ids: &std::collections::BTreeSet<ScimId>| ids.iter().copied().collect();
            return Ok(Delta { adds: list(&members.add), removes: list(&members.remove) });
        }
        let mut delta = Delta { adds: vec![], removes: vec![] };
        let mut missing = members.add.clone();
        let mut after = None;
        loop {
            let page = self
                .scim_group_members(bench.call, records.id, after, crate::store::MEMBERS_PER_PAGE_MAX)
                .await?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            delta.removes.extend(page.into_iter().filter(|id| !missing.remove(id)));
        }
        delta.adds = missing.into_iter().collect();
        Ok(delta)
    }
}

fn corresponding(bench: &Bench<'_>, name: &str) -> Result<Option<OrganizationSlug>, ScimFault> {
    match (bench.correspondence(name), bench.call.settings.unmatched_groups) {
        (None, UnmatchedGroups::Refuse) => Err(ScimFault::GroupUnmatched),
        (found, _) => Ok(found),
    }
}

/// The group's own records and indexes, new or changed.
fn written(
    call: &ScimCall<'_>,
    before: Option<&(ScimGroup, Resource)>,
    after: &ScimGroup,
    records: &GroupRecords,
) -> Beside {
    let e = call.enterprise.id;
    let Some((_, resource)) = &records.group else { return Beside::default() };
    let mut beside = Beside { expect: records.expect(e), ..Beside::default() };
    beside.writes.push(Write::Put(Key::ScimGroup(e, after.id), records::encode_scim_group(after)));
    let key = |of: &Resource| group_name_key(e, of.display_name().unwrap_or_default());
    let (had, has) = (before.map(|(_, resource)| key(resource)), key(resource));
    if had != Some(has) {
        beside.expect.push((has, 0));
        beside.writes.push(Write::Put(has, records::encode_scim_id(after.id)));
        beside.writes.extend(had.map(Write::Delete));
    }
    let id = || records::encode_scim_id(after.id);
    let external = |of: &Resource| of.external_id().map(|value| group_external_id_key(e, value));
    let (had, has) = (before.and_then(|(_, resource)| external(resource)), external(resource));
    if had != has {
        beside.writes.extend(had.map(|set| Write::Remove(set, id())));
        beside.writes.extend(has.map(|set| Write::Insert(set, id())));
    }
    let stands_for = before.and_then(|(group, _)| group.organization.as_ref());
    if stands_for != after.organization.as_ref() {
        let set = Key::ScimOrganizations(e);
        beside.writes.extend(stands_for.map(|slug| Write::Remove(set, managed(e, slug, after.id))));
        let now = after.organization.as_ref();
        beside.writes.extend(now.map(|slug| Write::Insert(set, managed(e, slug, after.id))));
        beside.writes.push(Write::Notify(Note::Enterprise(e)));
    }
    if before.is_none() {
        let listed = records::encode_scim_created(after.created_at, after.id);
        beside.writes.push(Write::Insert(Key::ScimGroups(e), listed));
    }
    let named = before.map(|(_, resource)| resource.display_name());
    let action = match named {
        None => AuditAction::ProvisionGroup,
        Some(name) if name != resource.display_name() => AuditAction::RenameGroup,
        Some(_) => AuditAction::UpdateGroup,
    };
    let name = resource.display_name().unwrap_or_default();
    beside.told.push(tell::group(call, action, (after.id, name)));
    beside
}

/// Everything that says that the group is there; its members are told by the job that is left behind.
fn deleted(call: &ScimCall<'_>, records: &GroupRecords, view: &ScimGroupView) -> Beside {
    let (e, group) = (call.enterprise.id, &view.group);
    let name = view.resource.display_name().unwrap_or_default();
    let mut beside = Beside { expect: records.expect(e), ..Beside::default() };
    let job = ScimGroupJob {
        adds: vec![],
        removes: vec![],
        deletes: true,
        request_id: call.request_id.to_owned(),
        since: call.now,
    };
    let listed = records::encode_scim_created(group.created_at, group.id);
    let id = records::encode_scim_id(group.id);
    beside.writes.extend([
        Write::Delete(Key::ScimGroup(e, group.id)),
        Write::Delete(group_name_key(e, name)),
        Write::Remove(Key::ScimGroups(e), listed),
        Write::Put(Key::ScimGroupJob(e, group.id), records::encode_scim_group_job(Some(&job))),
        Write::Insert(Key::ScimJobs(e), id.clone()),
    ]);
    let external = view.resource.external_id().map(|value| group_external_id_key(e, value));
    beside.writes.extend(external.map(|set| Write::Remove(set, id)));
    if let Some(slug) = &group.organization {
        beside.writes.push(Write::Remove(Key::ScimOrganizations(e), managed(e, slug, group.id)));
        beside.writes.push(Write::Notify(Note::Enterprise(e)));
    }
    beside.told.push(tell::group(call, AuditAction::DeleteGroup, (group.id, name)));
    beside
}

/// A member of `Key::ScimOrganizations`.
fn managed(e: EnterpriseId, organization: &OrganizationSlug, group: ScimId) -> Vec<u8> {
    [&OrganizationId::of(e, organization).as_bytes()[..], group.as_bytes()].concat()
}
