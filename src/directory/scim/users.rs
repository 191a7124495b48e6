//! Users: created, changed, deleted. `step` is what one of these is made of.
mod step;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use step::{Turn, UserStep, membership};
pub(super) use step::{cut, locked};

use super::{
    ATTEMPTS_MAX, GROUPS_PER_USER_MAX, ScimCall, ScimFault, ScimUserView, check_match,
    lookup::{UserRecords, user_name_key},
    meaning::Bench,
};
use crate::{
    directory::{
        Cause, Contended, Directory,
        amend::{self, View},
    },
    domain::{AccountName, OrganizationSlug, Person, PersonId, ScimId, ScimMembership, ScimUser},
    provisioning::Plan,
    scim::Resource,
    store::{Key, Op, Revision, StoreError, Write, records},
    telemetry::Trigger,
};

/// The mails that tell owners of what waits for them, by organization.
type Notices = BTreeMap<OrganizationSlug, Vec<Write>>;

/// What became of an attempt at a user.
enum Attempt {
    Done,
    /// Somebody was faster.
    Late,
    /// The removal guard stopped something in these organizations, and nobody is told yet.
    Waits(BTreeSet<OrganizationSlug>),
}

impl Directory {
    /// Creates a user who is in `groups` from the start. Whoever signed in before as whom the user describes is adopted: keeps
    /// what they have, and belongs to the user from now on (section 2.6). Without `groups` nobody is invited or removed.
    pub async fn create_scim_user(
        &self,
        call: &ScimCall<'_>,
        resource: Resource,
        groups: &[ScimId],
    ) -> Result<ScimUserView, ScimFault> {
        let bench = self.bench(call).await?;
        AccountName::parse(resource.user_name()).map_err(|_| ScimFault::UserName)?;
        let (_, link) = bench.link(&resource)?;
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        let id = ScimId::from_random(random);
        let active = resource.active().unwrap_or(true);
        let mut resource = resource;
        resource.set_active(active);
        for attempt in 0..ATTEMPTS_MAX {
            let (joined, expect) = self.groups_to_join(&bench, groups).await?;
            let (groups, names): (Vec<_>, Vec<_>) = joined.into_iter().unzip();
            let now = cut(call.now);
            let after = ScimUser {
                id,
                attributes: resource.to_stored(),
                active,
                link,
                created_at: now,
                modified_at: now,
                version: 1,
            };
            let turn = if active { Turn::In } else { Turn::Out };
            // Who is in a group has to do with invitations, and who is shut out with what is open.
            let is_guess = attempt == 0 && active && groups.is_empty();
            let step = UserStep { turn, before: None, after, resource: &resource, groups, expect, is_guess };
            if self.carry_user(&bench, &step).await? {
                let records = UserRecords {
                    user: step.after,
                    revision: 1,
                    groups_revision: u64::from(!step.groups.is_empty()),
                    groups: step.groups,
                    resource,
                };
                let groups = records.groups.iter().map(|of| of.group).zip(names).collect();
                let (version, UserRecords { user, resource, .. }) = (records.version(), records);
                return Ok(ScimUserView { user, resource, groups, version });
            }
            self.check_free(call, &resource, link, None).await?;
        }
        Err(Contended.into())
    }

    /// Changes a user's attributes: all of them by PUT, some by PATCH. `change` is pure and may be asked again. Where nothing
    /// changes, nothing is written. `active` puts the person in or out (D2); what links the person carries their memberships over.
    pub async fn change_scim_user<E>(
        &self,
        call: &ScimCall<'_>,
        id: ScimId,
        change: impl Fn(&Resource) -> Result<Resource, E>,
    ) -> Result<ScimUserView, E>
    where
        E: From<ScimFault>,
    {
        let bench = self.bench(call).await?;
        for _ in 0..ATTEMPTS_MAX {
            let found = self.user_records(call, &[id]).await.map_err(ScimFault::from)?.pop().flatten();
            let before = found.ok_or(ScimFault::NotFound)?;
            check_match(call, &before.version())?;
            let mut resource = change(&before.resource)?;
            let active = resource.active().unwrap_or(true);
            resource.set_active(active);
            let after = match resource == before.resource {
                true => Some(before),
                false => self.change_user(&bench, before, resource, active).await?,
            };
            if let Some(after) = after {
                let views = self.user_views(call, vec![after]).await.map_err(ScimFault::from)?;
                return Ok(views.into_iter().next().ok_or(ScimFault::NotFound)?);
            }
        }
        Err(ScimFault::from(Contended).into())
    }

    /// Deletes a user: out of every group and organization, and the person's record keeps the tombstone (A12, D2).
    pub async fn delete_scim_user(&self, call: &ScimCall<'_>, id: ScimId) -> Result<(), ScimFault> {
        let bench = self.bench(call).await?;
        for _ in 0..ATTEMPTS_MAX {
            let found = self.user_records(call, &[id]).await?.pop().flatten();
            let before = found.ok_or(ScimFault::NotFound)?;
            check_match(call, &before.version())?;
            let step = UserStep {
                turn: Turn::Deleted,
                before: Some(&before),
                after: before.user.clone(),
                resource: &before.resource,
                groups: vec![],
                expect: vec![],
                is_guess: false,
            };
            if self.carry_user(&bench, &step).await? {
                return Ok(());
            }
        }
        Err(Contended.into())
    }

    /// The records as the attempt left them; `None` if anybody was faster.
    async fn change_user(
        &self,
        bench: &Bench<'_>,
        before: UserRecords,
        resource: Resource,
        active: bool,
    ) -> Result<Option<UserRecords>, ScimFault> {
        let call = bench.call;
        AccountName::parse(resource.user_name()).map_err(|_| ScimFault::UserName)?;
        let (_, link) = bench.link(&resource)?;
        let after = ScimUser {
            attributes: resource.to_stored(),
            active,
            link,
            modified_at: cut(call.now).max(before.user.modified_at),
            version: before.user.version + 1,
            ..before.user.clone()
        };
        let turn = match (before.user.active, active) {
            (_, false) => Turn::Out,
            (false, true) => Turn::In,
            (true, true) => Turn::Profile,
        };
        let groups = before.groups.clone();
        let step = UserStep {
            turn,
            before: Some(&before),
            after,
            resource: &resource,
            groups,
            expect: vec![],
            is_guess: false,
        };
        if self.carry_user(bench, &step).await? {
            let user = step.after;
            return Ok(Some(UserRecords { user, resource, revision: before.revision + 1, ..before }));
        }
        // Perhaps it was no other change, but a name that somebody else has.
        self.check_free(call, &resource, link, Some(before.user.id)).await?;
        Ok(None)
    }

    /// One attempt; `false` if anybody was faster.
    ///
    /// D2: whoever is put out has nothing open any more, whatever the guard says. What it stops is the end of memberships: they
    /// wait for the owners, who are told by mail, and open nothing meanwhile. So the call is done, and nobody asks again.
    async fn carry_user(&self, bench: &Bench<'_>, step: &UserStep<'_>) -> Result<bool, ScimFault> {
        let mut notices = Notices::new();
        // The guard may stop more the second time; then somebody else removed people meanwhile.
        for _ in 0..2 {
            match self.attempt_user(bench, step, &notices).await? {
                Attempt::Done => {
                    bench.call.was_told();
                    if !notices.is_empty() {
                        self.wake_outbox();
                    }
                    return Ok(true);
                }
                Attempt::Late => return Ok(false),
                Attempt::Waits(organizations) => {
                    for organization in organizations {
                        let leaver = Some(step.after.link);
                        let notice = self.owners_notice(bench.call, &organization, leaver).await?;
                        notices.insert(organization, notice);
                    }
                }
            }
        }
        Ok(false)
    }

    /// Decides and commits. Where owners have to decide first, nothing is done before the mails are there that tell them.
    async fn attempt_user(
        &self,
        bench: &Bench<'_>,
        step: &UserStep<'_>,
        notices: &Notices,
    ) -> Result<Attempt, ScimFault> {
        let call = bench.call;
        // What the people's own records say of their addresses matters only where invitations are taken back.
        let known = match step.takes_back() {
            true => self.people_of(call.enterprise.id, &step.people(), call.now).await?,
            false => vec![],
        };
        let matters = step.matters(bench, &known);
        let loaded = match step.is_guess {
            true => amend::nobody(&matters),
            false => self.load_all(&matters).await?,
        };
        let (waits, carried) = (Mutex::new(BTreeMap::new()), Mutex::new(vec![]));
        let decide = |number, view: &View<'_>| {
            let meant = match step.moves() && number == 0 {
                true => step.leave(bench, view, &carried)?,
                false => step.mean(bench, view, &carried)?,
            };
            locked(&waits).insert(number, meant.waits);
            Ok(meant.decision)
        };
        let beside = |plans: &[&Plan]| {
            let mut beside = step.beside(call);
            beside.told.extend(call.own_event(step.after.id));
            beside.writes.extend(bench.mails(plans));
            for organization in locked(&waits).values().flatten().collect::<BTreeSet<_>>() {
                // Nothing is committed without the mail.
                let notice = notices.get(organization);
                let held = || ScimFault::Held { organization: organization.clone(), removals: 1 };
                beside.writes.extend(notice.ok_or_else(held)?.iter().cloned());
            }
            Ok(beside)
        };
        let amended = match self.attempt(&matters, &loaded, &decide, beside).await {
            Err(ScimFault::Held { .. }) => {
                let waits = locked(&waits).values().flatten().cloned().collect();
                return Ok(Attempt::Waits(waits));
            }
            Ok(None) => return Ok(Attempt::Late),
            Ok(Some(amended)) => amended,
            Err(error) => return Err(error),
        };
        for amended in amended.iter().filter(|amended| !amended.person.standing.is_active()) {
            self.close_scim(call, amended.person.id, &known).await;
        }
        Ok(Attempt::Done)
    }

    /// Takes away what a person has open. None of it opens anything any more, by the person's record.
    async fn close_scim(&self, call: &ScimCall<'_>, person: PersonId, known: &[Person]) {
        let cause = Cause { rule: Some("deprovisioned"), ..Cause::by(Trigger::Scim, None, call.request_id) };
        if let Err(error) = self.end_sessions_of_person(call.enterprise, person, &cause, call.now).await {
            tracing::warn!(%person, %error, "sessions that open nothing any more are left to expire");
        }
        let tokens = known.iter().filter(|known| known.id == person).flat_map(|known| &known.tokens);
        let tokens: Vec<Op> = tokens.map(|token| Op::Delete(Key::AccessToken(token.secret))).collect();
        if !tokens.is_empty() {
            let _ = self.store.batch(call.now, tokens).await;
        }
    }

    /// The groups that a new user is to be in, each once with its name, and what must not change of them meanwhile.
    async fn groups_to_join(
        &self,
        bench: &Bench<'_>,
        groups: &[ScimId],
    ) -> Result<(Vec<(ScimMembership, String)>, Vec<(Key, Revision)>), ScimFault> {
        let ids: Vec<ScimId> = groups.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        if ids.len() > GROUPS_PER_USER_MAX {
            return Err(ScimFault::TooManyGroups);
        }
        let (mut joined, mut expect) = (vec![], vec![]);
        for mut records in self.group_records(bench.call, &ids).await? {
            if records.job.is_some() {
                self.finish_job(bench, records.id).await?;
                records = self.group_records(bench.call, &[records.id]).await?.pop().unwrap_or(records);
            }
            expect.extend(records.expect(bench.call.enterprise.id));
            let name = records.group.as_ref().and_then(|(_, resource)| resource.display_name());
            let name = name.unwrap_or_default().to_owned();
            joined.push((membership(&records).ok_or(ScimFault::UnknownGroup(records.id))?, name));
        }
        Ok((joined, expect))
    }

    /// Whether nobody but `own` has the name, and is linked to the person.
    async fn check_free(
        &self,
        call: &ScimCall<'_>,
        resource: &Resource,
        link: PersonId,
        own: Option<ScimId>,
    ) -> Result<(), ScimFault> {
        let e = call.enterprise.id;
        let keys = vec![user_name_key(e, resource.user_name()), Key::ScimLink(e, link)];
        let owners = self
            .stored(call.now, keys)
            .await?
            .into_iter()
            .map(|stored| stored.map(|stored| records::decode_scim_id(&stored.value)).transpose());
        let owners: Vec<Option<ScimId>> = owners.collect::<Result<_, StoreError>>()?;
        let is_foreign = |owner: &Option<ScimId>| owner.is_some() && *owner != own;
        match owners.as_slice() {
            [name, _] if is_foreign(name) => Err(ScimFault::UserNameTaken),
            [_, link] if is_foreign(link) => Err(ScimFault::LinkTaken),
            _ => Ok(()),
        }
    }
}
