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
mod lost;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use crate::{
    domain::{
        BatchId, EnterpriseId, Invitation, InvitationId, MembershipSource, OrganizationSlug, Person,
        PersonId, SessionId, Timestamp,
    },
    store::{BATCH_STEPS_MAX, Key, Note, Op},
    telemetry::Trigger,
};

use super::{
    ActError, Cause, Directory, Enterprise, InviteError,
    amend::{Matter, View},
    people::address,
};
use lost::Lost;

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
    invitations: VecDeque<Cancelled>,
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

/// An invitation that was withdrawn.
#[derive(Debug, Clone)]
struct Cancelled {
    at: Timestamp,
    enterprise: EnterpriseId,
    organization: OrganizationSlug,
    invitation: InvitationId,
    request_id: String,
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

    /// Remembers an invitation that was withdrawn.
    pub fn note_cancelled(
        &self,
        enterprise: &Enterprise,
        gone: &Invitation,
        cause: &Cause<'_>,
        at: Timestamp,
    ) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keep(&mut memory.invitations, REMEMBERED_MAX, at, |gone| gone.at);
        memory.invitations.push_back(Cancelled {
            at,
            enterprise: enterprise.id,
            organization: gone.organization.clone(),
            invitation: gone.id,
            request_id: cause.request_id.to_owned(),
        });
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

    fn invitations(&self) -> Vec<Cancelled> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.invitations.iter().cloned().collect()
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
    /// Forgets, as a restart does, what would be done again after a failover.
    pub fn forget_removals(&self) {
        *self.removals.0.lock().unwrap_or_else(PoisonError::into_inner) = Memory::default();
    }

    /// Reads back what this process took away lately, and takes it away again where a failover brought it back. Answers how many
    /// people and invitations that concerned. After an error some may be left: ask again.
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
        for gone in self.removals.invitations() {
            let Some(enterprise) = tenants.iter().find(|tenant| tenant.id == gone.enterprise) else {
                continue;
            };
            let cause = Cause::by(Trigger::Failover, None, &gone.request_id);
            let again = self.cancel_invitation(enterprise, &gone.organization, gone.invitation, cause, now);
            match again.await {
                Ok(_) => undone += 1,
                Err(InviteError::NotFound) => {}
                Err(InviteError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    let invitation = gone.invitation.to_string();
                    tracing::error!(invitation, %error, "an invitation that a failover brought back stays");
                }
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
        let put_out = of.lost.puts_out();
        let cause = Cause::by(Trigger::Failover, None, &of.request_id);
        let matter = Matter {
            enterprise,
            person: of.person,
            addresses: address(enterprise, &known).filter(|_| put_out).into_iter().collect(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_memory_is_bounded() {
        let removals = Removals::default();
        let key = |n: usize| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_be_bytes());
            Key::UsedAssertion(digest)
        };
        for n in 0..MARKS_MAX + 10 {
            removals.note_mark(key(n), vec![], at(1_000), at(1));
        }
        assert!(!removals.has_mark(&key(9)) && removals.has_mark(&key(10)));
        assert_eq!(removals.0.lock().unwrap().marked.len(), MARKS_MAX);
        removals.note_mark(key(0), vec![], at(1_000), at(2 + REMEMBERED_SECONDS));
        assert_eq!(removals.0.lock().unwrap().marked.len(), 1, "what is older than a minute is forgotten");
        for n in 0..REMEMBERED_MAX + 10 {
            removals.note_session(SessionId::from_bytes([(n % 256) as u8; 32]), at(1));
        }
        assert_eq!(removals.0.lock().unwrap().sessions.len(), REMEMBERED_MAX);
    }
}
