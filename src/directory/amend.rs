//! The one path on which memberships change: load, decide, apply, commit by revision, tell.
//!
//! A sign-in, an owner's act, an accepted invitation and a SCIM call differ in what they decide and in what they say of it;
//! everything else happens here.
use std::collections::BTreeMap;

use crate::{
    domain::{
        AddressId, BatchId, Invitation, Invitee, MembershipSource, Organization, OrganizationId,
        OrganizationSlug, Person, PersonId, Role, Timestamp,
    },
    provisioning::{self, Act, Change, Plan},
    store::{Commit, Committed, Key, Note, Op, Reply, Revision, StoreError, Versioned, Write, records},
    telemetry::AuditLine,
};

use super::{
    Cause, Directory, Enterprise, audit, batches::batch_key, invitations::sent, outbox, unexpected_reply,
};

/// Attempts at one commit; each failed one means that somebody else's succeeded.
const COMMIT_ATTEMPTS_MAX: usize = 16;
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
    pub address: Option<AddressId>,
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
    /// To the matter's address.
    pub invitations: &'a [Invitation],
    /// Of the matter's actor.
    pub actor: Option<&'a Person>,
    /// Empty in the first round; then those that the plan needs.
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
    pub person: Option<Versioned>,
    pub invitee: Option<Versioned>,
    pub actor: Option<Versioned>,
}

impl Matter<'_> {
    fn person_key(&self) -> Key {
        Key::Person(self.enterprise.id, self.person)
    }

    fn invitee_key(&self) -> Option<Key> {
        self.address.map(|address| Key::Invitee(self.enterprise.id, address))
    }

    /// Who acts upon themselves is read once.
    fn actor_key(&self) -> Option<Key> {
        let other = self.actor.filter(|actor| *actor != self.person);
        other.map(|actor| Key::Person(self.enterprise.id, actor))
    }

    /// What [`Matter::loaded`] reads the replies of.
    pub(super) fn gets(&self) -> Vec<Op> {
        [Some(self.person_key()), self.invitee_key(), self.actor_key()]
            .into_iter()
            .flatten()
            .map(Op::Get)
            .collect()
    }

    /// From the replies to [`Matter::gets`], in their order.
    pub(super) fn loaded(&self, replies: Vec<Reply>) -> Result<Loaded, StoreError> {
        let mut replies = replies.into_iter();
        let mut next = || match replies.next() {
            Some(Reply::Value(stored)) => Ok(stored),
            _ => Err(unexpected_reply()),
        };
        let person = next()?;
        let invitee = if self.address.is_some() { next()? } else { None };
        let actor = if self.actor_key().is_some() { next()? } else { None };
        Ok(Loaded { person, invitee, actor })
    }
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
        let mut loaded = match loaded {
            Some(loaded) => loaded,
            None => self.load(matter).await?,
        };
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let records = Records::read(matter, &loaded)?;
            let (mut decision, mut organizations) = self.decide(matter, &records, &decide).await?;
            let mut recorded = Plan::default();
            if matter.cause.is_dry_run {
                recorded = std::mem::take(&mut decision.plan);
                organizations = Organizations::default();
            }
            if decision.plan.is_empty() && records.person.as_ref() == Some(&decision.person) {
                let told = audit::plan(matter, &recorded, &decision.person);
                if !told.is_empty() {
                    self.store.batch(matter.now, audit::append(matter.enterprise, &told)).await?;
                    told.iter().for_each(AuditLine::log);
                }
                return Ok(Amended { person: decision.person, plan: decision.plan });
            }
            let taken = self.taken_back(matter, &decision.plan, &decision.person).await?;
            let (mut commit, person) = commit(matter, &records, &decision, organizations);
            let mut told = audit::changes(matter, &decision.plan, records.person.as_ref(), &person);
            told.extend(audit::plan(matter, &recorded, &person));
            told.extend(audit::tokens(matter, records.person.as_ref(), &person));
            told.extend(sent::told(matter, &taken));
            let withdrawn = taken.invitations;
            commit.expect.extend(taken.expect);
            commit.writes.extend(taken.writes);
            let notices = self.notices(matter, &decision.plan, &person);
            let has_notices = !notices.is_empty();
            commit.writes.extend(notices);
            commit.writes.extend(audit::appends(matter.enterprise, &told));
            commit.writes.push(Write::Notify(Note::Person(matter.enterprise.id, matter.person)));
            if self.store.commit(commit).await.map_err(E::from)? == Committed::Applied {
                self.forget_person(matter.person);
                self.removals.note_person(matter, records.person.as_ref(), &person);
                let cancelled =
                    records.invitee.invitations.iter().filter(|i| is_cancelled(&decision.plan, i));
                for gone in cancelled.chain(&withdrawn) {
                    self.removals.note_cancelled(matter.enterprise, gone, &matter.cause, matter.now);
                }
                told.iter().for_each(AuditLine::log);
                if has_notices {
                    self.wake_outbox();
                }
                for change in &decision.plan.changes {
                    self.metrics.provisioning_change(matter.cause.trigger, change.kind());
                }
                self.count_holds(matter.enterprise, records.person.as_ref(), &person);
                if decision.plan.changes.iter().any(|change| matches!(change, Change::Leave { .. })) {
                    self.let_go(batch_key(matter.enterprise, &matter.batch), matter.now).await;
                }
                return Ok(Amended { person, plan: decision.plan });
            }
            loaded = self.load(matter).await?;
        }
        Err(Contended.into())
    }

    async fn load(&self, matter: &Matter<'_>) -> Result<Loaded, StoreError> {
        matter.loaded(self.store.batch(matter.now, matter.gets()).await?)
    }

    /// Asks until the plan needs no record that it has not seen.
    async fn decide<E>(
        &self,
        matter: &Matter<'_>,
        records: &Records,
        decide: &impl Fn(&View<'_>) -> Result<Decision, E>,
    ) -> Result<(Decision, Organizations), E>
    where
        E: From<StoreError> + From<Contended>,
    {
        let mut organizations = Organizations::default();
        for _ in 0..LOAD_ROUNDS_MAX {
            let view = View {
                person: records.person.as_ref(),
                invitations: &records.invitee.invitations,
                actor: records.actor(matter),
                organizations: &organizations.before,
            };
            let decision = decide(&view)?;
            let needed = provisioning::needs_records(&decision.plan);
            let missing: Vec<OrganizationSlug> = needed
                .into_iter()
                .filter(|slug| !organizations.before.contains_key(*slug))
                .cloned()
                .collect();
            if missing.is_empty() {
                return Ok((decision, organizations));
            }
            for slug in missing {
                let (revision, record) =
                    self.load_organization(matter.enterprise.id, &slug, matter.now).await?;
                organizations.revisions.insert(slug.clone(), revision);
                organizations.before.insert(slug, record);
            }
        }
        Err(Contended.into())
    }
}

/// What lay in the store, decoded.
struct Records {
    person: Option<Person>,
    person_revision: Revision,
    invitee: Invitee,
    invitee_revision: Revision,
    /// Where it is somebody else.
    actor: Option<Person>,
    actor_revision: Revision,
}

#[derive(Default)]
struct Organizations {
    before: BTreeMap<OrganizationSlug, Organization>,
    revisions: BTreeMap<OrganizationSlug, Revision>,
}

impl Records {
    fn read(matter: &Matter<'_>, loaded: &Loaded) -> Result<Self, StoreError> {
        let revision = |stored: &Option<Versioned>| stored.as_ref().map_or(0, |stored| stored.revision);
        let decode = |stored: &Option<Versioned>, id| {
            let stored = stored.as_ref();
            stored.map(|s| records::decode_person(matter.enterprise.id, id, &s.value)).transpose()
        };
        let person = decode(&loaded.person, matter.person)?;
        let actor = match matter.actor {
            Some(actor) => decode(&loaded.actor, actor)?,
            None => None,
        };
        let address = matter.address.unwrap_or(AddressId::from_bytes([0; 16]));
        let invitee = match &loaded.invitee {
            Some(stored) => records::decode_invitee(address, &stored.value)?,
            None => Invitee { address, invitations: vec![] },
        };
        Ok(Self {
            person,
            person_revision: revision(&loaded.person),
            invitee,
            invitee_revision: revision(&loaded.invitee),
            actor,
            actor_revision: revision(&loaded.actor),
        })
    }

    fn actor(&self, matter: &Matter<'_>) -> Option<&Person> {
        match matter.actor {
            Some(actor) if actor == matter.person => self.person.as_ref(),
            _ => self.actor.as_ref(),
        }
    }
}

/// The one atomic change that carries the decision out, and the person as it then is.
fn commit(
    matter: &Matter<'_>,
    records: &Records,
    decision: &Decision,
    organizations: Organizations,
) -> (Commit, Person) {
    let id = matter.enterprise.id;
    let (mut person, mut invitee) = (decision.person.clone(), records.invitee.clone());
    let mut after = organizations.before.clone();
    let act = Act {
        source: matter.source,
        batch: matter.batch.clone(),
        is_automatic: matter.is_automatic,
        now: matter.now,
    };
    provisioning::apply(&decision.plan, &mut person, &mut invitee.invitations, &mut after, &act);

    let mut commit = Commit::default();
    commit.expect.push((matter.person_key(), records.person_revision));
    // Who is demoted or put out at this moment acts no more: one of the two commits comes too late.
    commit.expect.extend(matter.actor_key().map(|key| (key, records.actor_revision)));
    if records.person.as_ref() != Some(&person) {
        commit.writes.push(Write::Put(matter.person_key(), records::encode_person(&person)));
    }
    if records.person.is_none() {
        commit.writes.push(Write::Insert(Key::People(id), person.id.as_bytes().to_vec()));
    }
    if let Some(key) = matter.invitee_key() {
        commit.expect.push((key, records.invitee_revision));
        // Never deleted: one that is written anew would start over at revision 1, and who read the old one could not tell.
        if invitee != records.invitee {
            commit.writes.push(Write::Put(key, records::encode_invitee(&invitee)));
        }
    }
    for (slug, record) in &after {
        let key = Key::Organization(id, record.id);
        commit.expect.push((key, organizations.revisions.get(slug).copied().unwrap_or(0)));
        if organizations.before.get(slug) != Some(record) {
            commit.writes.push(Write::Put(key, records::encode_organization(record)));
        }
    }
    for change in &decision.plan.changes {
        commit.writes.extend(set_writes(matter, records, change));
    }
    (commit, person)
}

/// What a change does to the sets beside the records.
fn set_writes(matter: &Matter<'_>, records: &Records, change: &Change) -> Vec<Write> {
    let id = matter.enterprise.id;
    let organization = OrganizationId::of(id, change.organization());
    let (org, person) = (organization.as_bytes().to_vec(), matter.person.as_bytes().to_vec());
    let members = Key::OrganizationMembers(id, organization);
    let held = [&org[..], &person[..]].concat();
    let owned = |org| Write::Remove(Key::Unowned(id), org);
    match change {
        Change::Join { role: Role::Owner, .. } => vec![Write::Insert(members, person), owned(org)],
        Change::Join { .. } => vec![Write::Insert(members, person)],
        Change::Promote { .. } => vec![owned(org)],
        Change::Leave { .. } => vec![
            Write::Remove(members, person.clone()),
            Write::Remove(Key::HeldRemovals(id), held),
            Write::Insert(batch_key(matter.enterprise, &matter.batch), person),
        ],
        Change::BecomeUnowned { .. } => vec![Write::Insert(Key::Unowned(id), org)],
        Change::Hold { .. } => vec![Write::Insert(Key::HeldRemovals(id), held)],
        Change::Release { .. } => vec![Write::Remove(Key::HeldRemovals(id), held)],
        Change::CancelInvitation { invitation, .. } | Change::AcceptInvitation { invitation, .. } => {
            let reference = [&records.invitee.address.as_bytes()[..], invitation.as_bytes()].concat();
            let gone = records.invitee.invitations.iter().find(|i| i.id == *invitation);
            let sent = gone
                .and_then(|gone| gone.inviter)
                .map(|inviter| Write::Remove(Key::SentInvitations(id, inviter), reference.clone()));
            // A mail that still waits would invite to nothing.
            let mail = gone.map(|gone| Write::Delete(outbox::key_of(id, gone)));
            let listed = Write::Remove(Key::OrganizationInvitations(id, organization), reference);
            std::iter::once(listed).chain(sent).chain(mail).collect()
        }
        Change::Demote { .. } | Change::Pin { .. } | Change::Unpin { .. } => vec![],
    }
}

fn is_cancelled(plan: &Plan, invitation: &Invitation) -> bool {
    let id = invitation.id;
    plan.changes
        .iter()
        .any(|change| matches!(change, Change::CancelInvitation { invitation, .. } if *invitation == id))
}
