//! The one path on which memberships change: load, decide, apply, commit by revision, tell.
//!
//! A sign-in, an owner's act, an accepted invitation and a SCIM call differ in what they decide and in what they say of it;
//! everything else happens here. What concerns several people is decided for one after the other on the same records of
//! organizations and addresses, and carried out in one commit (`commit`).
mod commit;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    domain::{
        AddressId, BatchId, EnterpriseId, Invitation, MembershipSource, Organization, OrganizationId,
        OrganizationSlug, Person, PersonId, Timestamp,
    },
    provisioning::{self, Act, Change, Plan},
    store::{Committed, Key, Note, Op, Reply, Revision, StoreError, Versioned, Write},
    telemetry::AuditLine,
};

use super::{
    Cause, Directory, Enterprise, audit, batches::batch_key, organizations::organization_of, unexpected_reply,
};
use commit::{Invitees, Organizations, Records, stale};

/// Attempts at one commit; each failed one means that somebody else's succeeded.
pub(super) const COMMIT_ATTEMPTS_MAX: usize = 16;
/// Rounds in which a decision may ask for further organizations' records.
const LOAD_ROUNDS_MAX: usize = 4;

/// The records concerned kept changing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the records concerned kept changing in {COMMIT_ATTEMPTS_MAX} attempts")]
pub struct Contended;

/// Whom a change concerns, and as what it is made.
pub(super) struct Matter<'a> {
    pub enterprise: &'a Enterprise,
    pub person: PersonId,
    /// Whose invitations the change may touch.
    pub addresses: Vec<AddressId>,
    /// On whose right it rests, where it rests on somebody's: looked at with the rest, and still the same when all is committed.
    pub actor: Option<PersonId>,
    pub source: MembershipSource,
    pub is_automatic: bool,
    pub batch: BatchId,
    pub cause: Cause<'a>,
    pub now: Timestamp,
}

/// What a decision may look at.
pub(super) struct View<'a> {
    /// `None`: not known yet.
    pub person: Option<&'a Person>,
    /// To the matter's addresses.
    pub invitations: &'a [Invitation],
    /// Of the matter's actor, as it was read.
    pub actor: Option<&'a Person>,
    /// Empty in the first round; then those that the plans need, with what the plans before this one make of them.
    pub organizations: &'a BTreeMap<OrganizationSlug, Organization>,
}

/// What is to become of it: the person's own fields as they should be, and the plan for everything else.
pub(super) struct Decision {
    pub person: Person,
    pub plan: Plan,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Amended {
    pub person: Person,
    pub plan: Plan,
}

/// The records as they were read.
#[derive(Debug, Clone, Default)]
pub(super) struct Loaded {
    people: Vec<Option<Versioned>>,
    invitees: BTreeMap<AddressId, Option<Versioned>>,
    /// Those whom no matter concerns.
    actors: BTreeMap<PersonId, Option<Versioned>>,
    /// Those that were asked for before any plan needed them.
    organizations: BTreeMap<OrganizationSlug, (Revision, Organization)>,
}

/// What goes into the same commit: of records that no plan knows.
#[derive(Debug, Default)]
pub(super) struct Beside {
    pub expect: Vec<(Key, Revision)>,
    pub writes: Vec<Write>,
    pub told: Vec<AuditLine>,
}

/// A decision, carried out on copies.
struct Settled {
    person: Person,
    plan: Plan,
    /// Of a dry run: told, and not carried out.
    recorded: Plan,
}

/// Everything that one commit is made of.
struct Draft {
    settled: Vec<Settled>,
    invitees: Invitees,
    organizations: Organizations,
}

impl Matter<'_> {
    fn person_key(&self) -> Key {
        Key::Person(self.enterprise.id, self.person)
    }

    fn act(&self) -> Act {
        Act { source: self.source, batch: self.batch.clone(), is_automatic: self.is_automatic, now: self.now }
    }

    /// What [`Matter::loaded`] reads the replies of.
    pub(super) fn gets(&self) -> Vec<Op> {
        gets(std::slice::from_ref(self))
    }

    /// From the replies to [`Matter::gets`], in their order.
    pub(super) fn loaded(&self, replies: Vec<Reply>) -> Result<Loaded, StoreError> {
        loaded(std::slice::from_ref(self), replies)
    }
}

/// The people's records in the order of the matters, then those of the addresses and of who acts, each once.
pub(super) fn gets(matters: &[Matter<'_>]) -> Vec<Op> {
    let people = matters.iter().map(Matter::person_key);
    let invitees = addresses(matters).into_iter().map(|(e, address)| Key::Invitee(e, address));
    let actors = actors(matters).into_iter().map(|(e, actor)| Key::Person(e, actor));
    people.chain(invitees).chain(actors).map(Op::Get).collect()
}

/// From the replies to [`gets`], in their order.
pub(super) fn loaded(matters: &[Matter<'_>], replies: Vec<Reply>) -> Result<Loaded, StoreError> {
    let mut values = replies.into_iter().map(|reply| match reply {
        Reply::Value(stored) => Ok(stored),
        _ => Err(unexpected_reply()),
    });
    let mut next = || values.next().ok_or_else(unexpected_reply)?;
    let people = matters.iter().map(|_| next()).collect::<Result<_, _>>()?;
    let invitees = addresses(matters).into_iter().map(|(_, address)| Ok((address, next()?)));
    let invitees = invitees.collect::<Result<_, StoreError>>()?;
    let actors = actors(matters).into_iter().map(|(_, actor)| Ok((actor, next()?)));
    let actors = actors.collect::<Result<_, StoreError>>()?;
    Ok(Loaded { people, invitees, actors, organizations: BTreeMap::new() })
}

/// As if nobody were known, for decisions that look at no invitation. Where somebody is, the commit is refused.
pub(super) fn nobody(matters: &[Matter<'_>]) -> Loaded {
    Loaded { people: vec![None; matters.len()], ..Loaded::default() }
}

fn addresses(matters: &[Matter<'_>]) -> BTreeSet<(EnterpriseId, AddressId)> {
    let of = |matter: &Matter<'_>| {
        let enterprise = matter.enterprise.id;
        matter.addresses.clone().into_iter().map(move |address| (enterprise, address))
    };
    matters.iter().flat_map(of).collect()
}

/// Who acts upon themselves is read once.
fn actors(matters: &[Matter<'_>]) -> BTreeSet<(EnterpriseId, PersonId)> {
    let others = matters.iter().filter_map(|matter| Some((matter.enterprise.id, matter.actor?)));
    others.filter(|(_, actor)| matters.iter().all(|matter| matter.person != *actor)).collect()
}

impl Directory {
    /// Decides and commits until no one else was in between. `decide` is pure: it is asked again whenever records have
    /// changed, or were loaded because its plan needs them. Where it changes nothing, nothing is written.
    pub(super) async fn amend<E>(
        &self,
        matter: &Matter<'_>,
        loaded: Option<Loaded>,
        decide: impl Fn(&View<'_>) -> Result<Decision, E>,
    ) -> Result<Amended, E>
    where
        E: From<StoreError> + From<Contended>,
    {
        let matters = std::slice::from_ref(matter);
        let mut known = loaded;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let loaded = match known.take() {
                Some(loaded) => loaded,
                None => self.load_all(matters).await?,
            };
            let decide = |_, view: &View<'_>| decide(view);
            let amended = self.attempt(matters, &loaded, &decide, |_| Ok(Beside::default())).await?;
            if let Some(amended) = amended.and_then(|mut all| all.pop()) {
                return Ok(amended);
            }
        }
        Err(Contended.into())
    }

    /// One attempt for several people of one enterprise, each once. `decide` gets the number of the matter; `beside` says what
    /// else the commit is made of, once everything is decided. `None` if anybody was faster: load again, decide again.
    pub(super) async fn attempt<E>(
        &self,
        matters: &[Matter<'_>],
        loaded: &Loaded,
        decide: &impl Fn(usize, &View<'_>) -> Result<Decision, E>,
        beside: impl FnOnce(&[&Plan]) -> Result<Beside, E>,
    ) -> Result<Option<Vec<Amended>>, E>
    where
        E: From<StoreError> + From<Contended>,
    {
        let records = Records::read(matters, loaded)?;
        let draft = self.decide_all(matters, &records, loaded, decide).await?;
        let plans: Vec<&Plan> = draft.settled.iter().map(|settled| &settled.plan).collect();
        let beside = beside(&plans)?;
        let Some(first) = matters.first() else { return Ok(Some(vec![])) };
        let is_idle = beside.writes.is_empty() && beside.told.is_empty();
        if is_idle
            && records.people.iter().zip(&draft.settled).all(|(before, settled)| settled.is_idle(before))
        {
            let told = recorded(matters, &draft);
            if !told.is_empty() {
                self.store.batch(first.now, audit::append(first.enterprise, &told)).await?;
                told.iter().for_each(AuditLine::log);
            }
            return Ok(Some(draft.amended()));
        }
        let taken = self.taken_back(matters, &draft.plans_and_people()).await?;
        let withdrawn = taken.invitations.clone();
        for (matter, settled) in matters.iter().zip(&draft.settled) {
            if settled.plan.changes.iter().any(|change| matches!(change, Change::Leave { .. })) {
                let batch = batch_key(matter.enterprise, &matter.batch);
                self.list_in_batch(batch, matter.person, matter.now).await?;
            }
        }
        let stale = stale(&records, &draft);
        let (mut commit, told, has_notices) = self.commit_of(matters, &records, &draft, taken, beside);
        let note = |id: &PersonId| Write::Notify(Note::Person(first.enterprise.id, *id));
        commit.writes.extend(stale.iter().map(note));
        if self.store.commit(commit).await.map_err(E::from)? == Committed::Conflict {
            return Ok(None);
        }
        told.iter().for_each(AuditLine::log);
        if has_notices || draft.invites() {
            self.wake_outbox();
        }
        stale.iter().for_each(|person| self.forget_person(*person));
        self.follow_up(matters, &draft, &records, &withdrawn);
        Ok(Some(draft.amended()))
    }

    /// What this process remembers and counts of a change that is made.
    fn follow_up(
        &self,
        matters: &[Matter<'_>],
        draft: &Draft,
        records: &Records,
        withdrawn: &[(usize, Invitation)],
    ) {
        for ((matter, settled), before) in matters.iter().zip(&draft.settled).zip(&records.people) {
            let before = before.as_ref().map(|(person, _)| person);
            self.removals.note_person(matter, before, &settled.person);
            let own = records.invitees.of(&matter.addresses);
            for gone in own.iter().filter(|invitation| settled.cancels(invitation)) {
                self.removals.note_cancelled(matter.enterprise, gone, &matter.cause, matter.now);
            }
            for change in &settled.plan.changes {
                self.metrics.provisioning_change(matter.cause.trigger, change.kind());
            }
            self.count_holds(matter.enterprise, before, &settled.person);
        }
        let Some(first) = matters.first() else { return };
        for (_, gone) in withdrawn {
            self.removals.note_cancelled(first.enterprise, gone, &first.cause, first.now);
        }
    }

    /// The records that the matters are decided by.
    pub(super) async fn load_all(&self, matters: &[Matter<'_>]) -> Result<Loaded, StoreError> {
        let Some(first) = matters.first() else { return Ok(Loaded::default()) };
        loaded(matters, self.get_all(first.now, gets(matters)).await?)
    }

    /// The same with the record of an organization that the plans are going to need, in one round trip.
    pub(super) async fn load_all_with(
        &self,
        matters: &[Matter<'_>],
        organization: &OrganizationSlug,
    ) -> Result<Loaded, StoreError> {
        let Some(first) = matters.first() else { return Ok(Loaded::default()) };
        let id = OrganizationId::of(first.enterprise.id, organization);
        let mut ops = gets(matters);
        ops.push(Op::Get(Key::Organization(first.enterprise.id, id)));
        let mut replies = self.get_all(first.now, ops).await?;
        let record = organization_of(organization, id, replies.pop())?;
        let mut loaded = loaded(matters, replies)?;
        loaded.organizations.insert(organization.clone(), record);
        Ok(loaded)
    }

    /// Asks until the plans need no record that they have not seen.
    async fn decide_all<E>(
        &self,
        matters: &[Matter<'_>],
        records: &Records,
        loaded: &Loaded,
        decide: &impl Fn(usize, &View<'_>) -> Result<Decision, E>,
    ) -> Result<Draft, E>
    where
        E: From<StoreError> + From<Contended>,
    {
        let mut organizations = Organizations::default();
        organizations.know(loaded.organizations.clone());
        for _ in 0..LOAD_ROUNDS_MAX {
            organizations.after.clone_from(&organizations.before);
            let mut invitees = records.invitees.clone();
            let (mut settled, mut missing) = (Vec::with_capacity(matters.len()), BTreeSet::new());
            for (number, (matter, person)) in matters.iter().zip(&records.people).enumerate() {
                let invitations = invitees.of(&matter.addresses);
                let view = View {
                    person: person.as_ref().map(|(person, _)| person),
                    invitations: &invitations,
                    actor: matter.actor.and_then(|actor| records.actor(matters, actor)),
                    organizations: &organizations.after,
                };
                let decision = decide(number, &view)?;
                let needed = provisioning::needs_records(&decision.plan).into_iter();
                missing.extend(needed.filter(|slug| !organizations.before.contains_key(*slug)).cloned());
                settled.push(settle(matter, decision, invitations, &mut invitees, &mut organizations));
            }
            if missing.is_empty() {
                return Ok(Draft { settled, invitees, organizations });
            }
            let Some(first) = matters.first() else { break };
            organizations.know(self.load_organizations(first.enterprise.id, missing, first.now).await?);
        }
        Err(Contended.into())
    }
}

/// Carries a decision out on copies, so that the next one sees it.
fn settle(
    matter: &Matter<'_>,
    Decision { mut person, mut plan }: Decision,
    mut invitations: Vec<Invitation>,
    invitees: &mut Invitees,
    organizations: &mut Organizations,
) -> Settled {
    let mut recorded = Plan::default();
    if matter.cause.is_dry_run {
        recorded = std::mem::take(&mut plan);
    }
    if !plan.is_empty() {
        provisioning::apply(&plan, &mut person, &mut invitations, &mut organizations.after, &matter.act());
        invitees.put_back(matter, invitations);
    }
    Settled { person, plan, recorded }
}

impl Settled {
    fn is_idle(&self, before: &Option<(Person, Revision)>) -> bool {
        self.plan.is_empty() && before.as_ref().map(|(person, _)| person) == Some(&self.person)
    }

    fn cancels(&self, one: &Invitation) -> bool {
        let ends = |change: &Change| matches!(change, Change::CancelInvitation { invitation, .. } if *invitation == one.id);
        self.plan.changes.iter().any(ends)
    }
}

impl Draft {
    fn amended(self) -> Vec<Amended> {
        self.settled.into_iter().map(|Settled { person, plan, .. }| Amended { person, plan }).collect()
    }

    fn plans_and_people(&self) -> Vec<(&Plan, &Person)> {
        self.settled.iter().map(|settled| (&settled.plan, &settled.person)).collect()
    }

    fn invites(&self) -> bool {
        let mut changes = self.settled.iter().flat_map(|settled| &settled.plan.changes);
        changes.any(|change| matches!(change, Change::Invite { .. }))
    }
}

/// What dry runs would have done.
fn recorded(matters: &[Matter<'_>], draft: &Draft) -> Vec<AuditLine> {
    let told =
        |(matter, settled): (&Matter<'_>, &Settled)| audit::plan(matter, &settled.recorded, &settled.person);
    matters.iter().zip(&draft.settled).flat_map(told).collect()
}
