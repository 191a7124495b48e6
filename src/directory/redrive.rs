//! What was taken away lately is read back when the store may have forgotten it, and is taken away again.
//!
//! Redis answers before its replicas have what was written, and even a replica that acknowledged need not be the one that is
//! promoted: a failover may bring back who was removed. So a gateway remembers what it took away within the last minute of
//! its commits. When the store's data may be another than before ([`Heard::Gap`](super::Heard)), it looks whether all of that
//! is still so, and does again what is not, by the one path on which memberships change.
//!
//! The memory is the process's own: what a gateway took away that ended before it could look is not covered, nor is what one
//! gateway took away and another gave back within the minute; then the removal wins, and the next sign-in gives back what
//! the IdP says.
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use crate::{
    domain::{
        BatchId, EnterpriseId, MembershipSource, OrganizationSlug, Person, PersonId, Role, SessionId,
        Standing, Timestamp, TokenId,
    },
    provisioning::{Change, LastOwner, Plan, departure},
    store::{BATCH_STEPS_MAX, Key, Note, Op},
    telemetry::Trigger,
};

use super::{
    ActError, Cause, Directory, Enterprise,
    amend::{Decision, Matter, View},
    people::{address, put_out},
};

/// What a failover loses is younger: a primary whose replicas lag further takes no writes (`min-replicas-max-lag`). Counted
/// back from the newest commit and not from the failover, which may take its time.
const REMEMBERED_SECONDS: i64 = 60;
/// Beyond this the oldest are forgotten: more people are not removed within a minute by one gateway but by an accident.
const REMEMBERED_MAX: usize = 16_384;
/// Marks of what was used once; a gateway with more sign-ins in a minute forgets the oldest of them.
const MARKS_MAX: usize = 65_536;

/// What this process took away lately.
#[derive(Default)]
pub(super) struct Removals(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    people: VecDeque<OfPerson>,
    sessions: VecDeque<(Timestamp, SessionId)>,
    /// In the order in which they were made.
    marks: VecDeque<(Timestamp, Key)>,
    /// The values, and until when they are needed.
    marked: HashMap<Key, (Vec<u8>, Timestamp)>,
}

/// What one commit took away from a person.
#[derive(Debug, Clone)]
struct OfPerson {
    at: Timestamp,
    enterprise: EnterpriseId,
    person: PersonId,
    batch: BatchId,
    request_id: String,
    lost: Lost,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Lost {
    memberships: Vec<OrganizationSlug>,
    ownerships: Vec<OrganizationSlug>,
    /// The person was put out.
    standing: Option<Standing>,
    link: bool,
    tokens: Vec<TokenId>,
    authorizations: Vec<(TokenId, OrganizationSlug)>,
}

impl Lost {
    /// What the person had before and has no longer.
    fn between(before: &Person, after: &Person) -> Self {
        let owned = |person: &Person, organization: &OrganizationSlug| {
            person.membership(organization).is_some_and(|member| member.role == Role::Owner)
        };
        let names = before.memberships.iter().map(|member| &member.organization);
        let memberships = names.clone().filter(|name| after.membership(name).is_none());
        let ownerships = names.clone().filter(|name| {
            owned(before, name) && after.membership(name).is_some_and(|member| member.role != Role::Owner)
        });
        let kept = |id: TokenId| after.tokens.iter().find(|token| token.id == id);
        let tokens = before.tokens.iter().filter(|token| kept(token.id).is_none());
        let authorizations = before.tokens.iter().flat_map(|token| {
            let has = kept(token.id).map(|token| &token.organizations);
            let lost =
                token.organizations.iter().filter(move |one| has.is_some_and(|has| !has.contains(one)));
            lost.map(move |organization| (token.id, organization.clone()))
        });
        Self {
            memberships: memberships.cloned().collect(),
            ownerships: ownerships.cloned().collect(),
            standing: (before.standing.is_active() && !after.standing.is_active()).then_some(after.standing),
            link: before.linked_at.is_some() && after.linked_at.is_none(),
            tokens: tokens.map(|token| token.id).collect(),
            authorizations: authorizations.collect(),
        }
    }

    /// Takes out what was given back since.
    fn forget(&mut self, before: &Person, after: &Person) {
        let given = Self::between(after, before);
        self.memberships.retain(|name| !given.memberships.contains(name));
        self.ownerships.retain(|name| !given.ownerships.contains(name) && !given.memberships.contains(name));
        self.authorizations.retain(|one| !given.authorizations.contains(one));
        if given.standing.is_some() {
            self.standing = None;
        }
        self.link &= !given.link;
    }

    /// What is to become of a person who may have it all again: it was taken away `at`, and what began later stays.
    fn again(&self, view: &View<'_>, at: Timestamp, now: Timestamp) -> Result<Decision, ActError> {
        let mut person = view.person.cloned().ok_or(ActError::UnknownPerson)?;
        // The store keeps milliseconds.
        let is_older = |time: Timestamp| time.as_millisecond() <= at.as_millisecond();
        let undecided =
            person.decided_at.is_none_or(|decided| decided.as_millisecond() < at.as_millisecond());
        if let Some(standing) = self.standing.filter(|_| person.standing.is_active() && undecided) {
            return put_out(person, view, standing, LastOwner::Allow, now);
        }
        let mut changes = vec![];
        for member in person.memberships.iter().filter(|member| is_older(member.since)) {
            let name = &member.organization;
            let left = departure(person.id, member, view.organizations.get(name)).changes;
            if self.memberships.contains(name) {
                changes.extend(left);
            } else if self.ownerships.contains(name) && member.role == Role::Owner {
                changes.push(Change::Demote { organization: name.clone() });
                changes.extend(left.into_iter().filter(|c| matches!(c, Change::BecomeUnowned { .. })));
            }
        }
        if self.link && person.linked_at.is_some_and(is_older) {
            person.linked_at = None;
            person.decided_at = Some(person.decided_at.map_or(at, |decided| decided.max(at)));
        }
        person.tokens.retain(|token| !self.tokens.contains(&token.id));
        for (id, organization) in &self.authorizations {
            let token = person.tokens.iter_mut().find(|token| token.id == *id);
            token.into_iter().for_each(|token| token.organizations.retain(|one| one != organization));
        }
        Ok(Decision { person, plan: Plan { changes } })
    }
}

impl Removals {
    /// Remembers what a commit took away from a person, and forgets what it gave back.
    pub fn note_person(&self, matter: &Matter<'_>, before: Option<&Person>, after: &Person) {
        let Some(before) = before else { return };
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = |of: &&mut OfPerson| of.enterprise == matter.enterprise.id && of.person == after.id;
        memory.people.iter_mut().filter(theirs).for_each(|of| of.lost.forget(before, after));
        let lost = Lost::between(before, after);
        if lost != Lost::default() {
            keep(&mut memory.people, REMEMBERED_MAX, matter.now, |of| of.at);
            memory.people.push_back(OfPerson {
                at: matter.now,
                enterprise: matter.enterprise.id,
                person: after.id,
                batch: matter.batch.clone(),
                request_id: matter.cause.request_id.to_owned(),
                lost,
            });
        }
    }

    pub fn note_session(&self, id: SessionId, now: Timestamp) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keep(&mut memory.sessions, REMEMBERED_MAX, now, |(at, _)| *at);
        memory.sessions.push_back((now, id));
    }

    /// Remembers a mark that keeps something out until then.
    pub fn note_mark(&self, key: Key, value: Vec<u8>, until: Timestamp, now: Timestamp) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, old) in keep(&mut memory.marks, MARKS_MAX, now, |(at, _)| *at) {
            memory.marked.remove(&old);
        }
        if memory.marked.insert(key, (value, until)).is_none() {
            memory.marks.push_back((now, key));
        }
    }

    /// The same of steps that write marks.
    pub fn note_marks(&self, steps: Vec<Op>, now: Timestamp) {
        for step in steps {
            if let Op::Put { key, value, expires_at } | Op::PutOnce { key, value, expires_at } = step {
                self.note_mark(key, value, expires_at, now);
            }
        }
    }

    /// S-82: whether this process made the mark lately, whatever the store says now.
    pub fn has_mark(&self, key: &Key) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).marked.contains_key(key)
    }

    fn people(&self) -> Vec<OfPerson> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.people.iter().filter(|of| of.lost != Lost::default()).cloned().collect()
    }

    /// What makes the marks again that are gone, and deletes the sessions again that are back.
    fn steps(&self, now: Timestamp) -> Vec<Op> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let marks = memory.marked.iter().filter(|(_, (_, until))| now < *until);
        let marks = marks.map(|(key, (value, until))| Op::PutOnce {
            key: *key,
            value: value.clone(),
            expires_at: *until,
        });
        let sessions = memory.sessions.iter().map(|(_, id)| *id);
        let ended = |id| [Op::Delete(Key::Session(id)), Op::Notify(Note::Session(id))];
        marks.chain(sessions.flat_map(ended)).collect()
    }
}

/// Lets go what is too old or one too many, and answers it.
fn keep<T>(memory: &mut VecDeque<T>, most: usize, now: Timestamp, at: impl Fn(&T) -> Timestamp) -> Vec<T> {
    let mut gone = vec![];
    let is_old = |one: &T| now.as_second().saturating_sub(at(one).as_second()) > REMEMBERED_SECONDS;
    while memory.len() >= most || memory.front().is_some_and(is_old) {
        gone.extend(memory.pop_front());
    }
    gone
}

impl Directory {
    /// Reads back what this process took away lately, and takes it away again where a failover brought it back. Answers from how
    /// many people. After an error some may be left: ask again.
    pub async fn redrive(&self, tenants: &[Enterprise], now: Timestamp) -> Result<usize, ActError> {
        let steps = self.removals.steps(now);
        for steps in steps.chunks(BATCH_STEPS_MAX) {
            self.store.batch(now, steps.to_vec()).await?;
        }
        let mut undone = 0;
        for of in self.removals.people() {
            let Some(enterprise) = tenants.iter().find(|tenant| tenant.id == of.enterprise) else { continue };
            if self.redrive_person(enterprise, &of, now).await? {
                undone += 1;
                let person = of.person.to_string();
                tracing::warn!(
                    enterprise = enterprise.slug.as_str(),
                    person,
                    request_id = of.request_id,
                    "a failover of the store had undone a removal: it was done again"
                );
            }
        }
        Ok(undone)
    }

    /// Whether there was something to do.
    async fn redrive_person(
        &self,
        enterprise: &Enterprise,
        of: &OfPerson,
        now: Timestamp,
    ) -> Result<bool, ActError> {
        let Some(known) = self.person(enterprise.id, of.person, now).await? else { return Ok(false) };
        let put_out = of.lost.standing.is_some();
        let cause = Cause::by(Trigger::Failover, None, &of.request_id);
        let matter = Matter {
            enterprise,
            person: of.person,
            address: address(enterprise, &known).filter(|_| put_out),
            // The removal was allowed when it was made.
            actor: None,
            source: MembershipSource::Manual,
            is_automatic: false,
            batch: of.batch.clone(),
            cause: Cause { rule: Some("undone_by_failover"), ..cause },
            now,
        };
        let decide = |view: &View<'_>| of.lost.again(view, of.at, now);
        let amended = self.amend::<ActError>(&matter, None, decide).await?;
        let is_same = amended.plan.is_empty() && amended.person == known;
        Ok(!is_same)
    }
}
