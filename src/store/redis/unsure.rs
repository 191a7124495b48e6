//! What the primary has and replicas perhaps do not: the keys of writes that were sent and not acknowledged.
//!
//! A write that too few replicas acknowledge is refused, and done all the same. Whoever tries again finds the work done, writes
//! nothing, and would answer that it is done, until a failover forgets it. So a key that was written stays marked from before the
//! write is sent until replicas have it, and what is read of a marked key counts only after a `WAIT` that covers it. The same holds
//! for a call that timed out, whose connection broke, or that nobody waited for to the end.
//!
//! Keys are marked one by one, so that while replicas are away whatever was not touched is still read; and [`Op::Peek`] reads what is
//! marked too. What it does not see: writes of other processes, one that a server or a broken network carries out after a later
//! `WAIT` was answered, and what a slot of a cluster that moved brings along.
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::commands::{key_of, must_last};
use crate::store::{Commit, Key, Kind, Op, Shard, Write};

/// Keys of enterprises whose writes were refused; with more, each of them counts as marked.
const REFUSED_KEYS_MAX: usize = 131_072;
/// Keys of nobody's, as sessions are; with more, none is marked any more. Strangers can make them, and shall not put everybody out.
const REFUSED_OWN_KEYS_MAX: usize = 65_536;

/// The keys that steps read, and those that they write and replicas must have.
#[derive(Debug, Clone, Default)]
pub(super) struct Touched {
    pub reads: Vec<Key>,
    pub writes: Vec<Key>,
}

impl Touched {
    pub fn by_op(op: &Op) -> Self {
        if matches!(op, Op::Peek(_)) {
            return Self::default();
        }
        let keys: Vec<Key> = key_of(op).copied().filter(is_marked).into_iter().collect();
        let (reads, writes) = if must_last(op) { (vec![], keys) } else { (keys, vec![]) };
        Self { reads, writes }
    }

    pub fn by_ops(ops: &[Op]) -> Self {
        let mut all = Self::default();
        ops.iter().for_each(|op| all.add(Self::by_op(op)));
        all
    }

    /// Who meets a conflict loads again, so what a commit expects is not read by it.
    pub fn by_commit(change: &Commit) -> Self {
        let writes = change.writes.iter().filter_map(Write::key).copied().filter(is_marked).collect();
        Self { reads: vec![], writes }
    }

    pub fn add(&mut self, other: Self) {
        self.reads.extend(other.reads);
        self.writes.extend(other.writes);
    }
}

/// Not where nobody ever takes a write for done because it finds it: who finds a mark, or nothing where a request was
/// outstanding, is refused; an entry is appended again, and a touch counts again.
fn is_marked(key: &Key) -> bool {
    let is_once = matches!(key, Key::UsedAssertion(_) | Key::PendingSignIn(_) | Key::PendingLogout(_));
    !is_once && !matches!(key.kind(), Kind::Stream | Kind::Tally)
}

fn is_own(key: &Key) -> bool {
    key.shard() == Shard::Own
}

/// The marks of one server.
#[derive(Default)]
pub(super) struct Unsure {
    marks: Mutex<Marks>,
}

#[derive(Default)]
struct Marks {
    /// Counts refusals, to tell those before a `WAIT` from those after it.
    refusals: u64,
    /// How many writes of a key are on their way.
    flying: HashMap<Key, usize>,
    /// How many writes are on their way on which connection.
    connections: BTreeMap<u64, usize>,
    /// The number of the last refusal of each key.
    refused: HashMap<Key, u64>,
    /// How many of those are nobody's.
    own: usize,
    /// The number of the last refusal whose keys of an enterprise found no room.
    overflowed: Option<u64>,
}

/// A write on its way: refused, unless [`Attempt::acknowledged`] says otherwise.
pub(super) struct Attempt<'a> {
    unsure: &'a Unsure,
    keys: Vec<Key>,
    connection: u64,
    /// Whether the `WAIT` behind it has to cover what others wrote, too.
    pub is_settling: bool,
    is_acknowledged: bool,
    /// Everything that was refused up to here was sent before.
    refusals: u64,
}

impl Unsure {
    /// Marks what is about to be written on the connection of that number.
    pub fn begin(&self, keys: Vec<Key>, connection: u64) -> Attempt<'_> {
        let mut marks = self.marks();
        let is_settling = marks.is_owing(connection);
        for key in &keys {
            *marks.flying.entry(*key).or_default() += 1;
        }
        *marks.connections.entry(connection).or_default() += 1;
        let refusals = marks.refusals;
        Attempt { unsure: self, keys, connection, is_settling, is_acknowledged: false, refusals }
    }

    /// Begins a `WAIT` that covers whatever was written until it is sent.
    pub fn begin_to_settle(&self, connection: u64) -> Attempt<'_> {
        let mut attempt = self.begin(vec![], connection);
        attempt.is_settling = true;
        attempt
    }

    /// Whether one of these keys is marked. Asked after they were read: what is not marked then was not written, or is on replicas.
    pub fn has(&self, keys: &[Key]) -> bool {
        let marks = self.marks();
        keys.iter().any(|key| {
            let is_lost = marks.overflowed.is_some() && !is_own(key);
            is_lost || marks.flying.contains_key(key) || marks.refused.contains_key(key)
        })
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Marks {
    /// Whether a write was refused, or is on its way on another connection, of which this one's `WAIT` knows nothing.
    fn is_owing(&self, connection: u64) -> bool {
        let is_refused = self.overflowed.is_some() || !self.refused.is_empty();
        is_refused || self.connections.keys().any(|other| *other != connection)
    }

    fn land(&mut self, keys: &[Key], connection: u64) {
        for key in keys {
            if let Some(count) = self.flying.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    self.flying.remove(key);
                }
            }
        }
        if let Some(count) = self.connections.get_mut(&connection) {
            *count -= 1;
            if *count == 0 {
                self.connections.remove(&connection);
            }
        }
    }

    fn refuse(&mut self, keys: &[Key]) {
        self.refusals += 1;
        for key in keys {
            if let Some(refusal) = self.refused.get_mut(key) {
                *refusal = self.refusals;
            } else if is_own(key) {
                if self.own < REFUSED_OWN_KEYS_MAX {
                    self.refused.insert(*key, self.refusals);
                    self.own += 1;
                }
            } else if self.refused.len() - self.own < REFUSED_KEYS_MAX {
                self.refused.insert(*key, self.refusals);
            } else {
                self.overflowed = Some(self.refusals);
            }
        }
    }

    fn settle(&mut self, refusals: u64) {
        self.refused.retain(|_, refusal| *refusal > refusals);
        self.own = self.refused.keys().filter(|key| is_own(key)).count();
        self.overflowed = self.overflowed.filter(|refusal| *refusal > refusals);
    }
}

impl Attempt<'_> {
    /// Replicas have what was written, and, where it was settling, all that was refused before.
    pub fn acknowledged(mut self) {
        self.is_acknowledged = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut marks = self.unsure.marks();
        marks.land(&self.keys, self.connection);
        if !self.is_acknowledged {
            marks.refuse(&self.keys);
        } else if self.is_settling {
            marks.settle(self.refusals);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EnterpriseId, Id, SessionId};

    fn session(n: u32) -> Key {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        Key::Session(SessionId::from_bytes(bytes))
    }

    #[test]
    fn r_10_a_key_is_marked_until_a_write_of_it_is_acknowledged() {
        let unsure = Unsure::default();
        let (first, second) =
            (unsure.begin(vec![session(1)], 1), unsure.begin(vec![session(1), session(2)], 1));
        assert!(unsure.has(&[session(1)]) && unsure.has(&[session(3), session(2)]));
        assert!(!unsure.has(&[session(3)]) && !unsure.has(&[]));
        first.acknowledged();
        assert!(unsure.has(&[session(1)]), "the other one is on its way");
        second.acknowledged();
        assert!(!unsure.has(&[session(1), session(2)]));
        assert!(unsure.marks().connections.is_empty());
    }

    #[test]
    fn r_10_what_was_refused_is_settled_by_a_later_wait_and_by_no_earlier_one() {
        let unsure = Unsure::default();
        let early = unsure.begin(vec![], 1);
        assert!(!early.is_settling);
        drop(unsure.begin(vec![session(1)], 1));
        let between = unsure.begin(vec![], 1);
        assert!(between.is_settling);
        drop(unsure.begin(vec![session(2)], 1));
        early.acknowledged();
        assert!(unsure.has(&[session(1)]), "it was sent before the refused one");
        between.acknowledged();
        assert!(!unsure.has(&[session(1)]) && unsure.has(&[session(2)]));
        unsure.begin(vec![session(2)], 1).acknowledged();
        assert!(!unsure.has(&[session(2)]));
        assert!(!unsure.begin(vec![], 1).is_settling);
    }

    #[test]
    fn r_10_only_a_wait_that_is_acknowledged_settles() {
        let unsure = Unsure::default();
        drop(unsure.begin(vec![session(1)], 1));
        unsure.begin_to_settle(1).acknowledged();
        assert!(!unsure.has(&[session(1)]));
        drop(unsure.begin(vec![session(1)], 1));
        drop(unsure.begin_to_settle(1));
        assert!(unsure.has(&[session(1)]), "it was not acknowledged");
    }

    #[test]
    fn r_10_a_write_on_a_connection_that_was_left_is_covered_too() {
        let unsure = Unsure::default();
        let old = unsure.begin(vec![session(1)], 1);
        let new = unsure.begin(vec![], 2);
        assert!(new.is_settling);
        drop(old);
        new.acknowledged();
        assert!(unsure.has(&[session(1)]), "it was refused after the other one was sent");
    }

    fn person(n: u32) -> Key {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        Key::Person(EnterpriseId::from_bytes([1; 16]), Id::from_bytes(bytes))
    }

    #[test]
    fn r_10_marks_that_find_no_room_mark_everything_of_enterprises() {
        let unsure = Unsure::default();
        let many = u32::try_from(REFUSED_KEYS_MAX).unwrap();
        drop(unsure.begin((0..many).map(person).collect(), 1));
        assert!(!unsure.has(&[person(many)]));
        drop(unsure.begin(vec![person(0)], 1));
        assert!(!unsure.has(&[person(many)]), "it has its place");
        drop(unsure.begin(vec![person(many)], 1));
        assert_eq!(unsure.marks().refused.len(), REFUSED_KEYS_MAX);
        assert!(unsure.has(&[person(many)]) && unsure.has(&[person(many + 1)]));
        assert!(!unsure.has(&[session(1)]));
        unsure.begin(vec![], 1).acknowledged();
        assert!(!unsure.has(&[person(0)]) && !unsure.has(&[person(many + 1)]));
    }

    #[test]
    fn r_10_what_strangers_can_write_takes_no_room_of_others() {
        let unsure = Unsure::default();
        let many = u32::try_from(REFUSED_OWN_KEYS_MAX).unwrap();
        drop(unsure.begin((0..2 * many).map(session).collect(), 1));
        assert_eq!(unsure.marks().refused.len(), REFUSED_OWN_KEYS_MAX);
        assert!(unsure.has(&[session(0)]) && !unsure.has(&[session(2 * many)]) && !unsure.has(&[person(1)]));
        drop(unsure.begin(vec![person(1)], 1));
        assert!(unsure.has(&[person(1)]) && !unsure.has(&[person(2)]));
        unsure.begin(vec![], 1).acknowledged();
        let marks = unsure.marks();
        assert_eq!((marks.refused.len(), marks.own), (0, 0));
    }

    #[test]
    fn r_10_what_is_taken_for_done_when_it_is_found_is_marked() {
        let e = EnterpriseId::from_bytes([1; 16]);
        let (person, audit) = (Key::Person(e, Id::from_bytes([1; 16])), Key::Audit(e));
        let tally = Key::ScimGroupState(e, crate::domain::ScimId::from_bytes([1; 16]));
        let at = crate::domain::Timestamp::UNIX_EPOCH;
        let writes = vec![
            Write::Put(person, vec![]),
            Write::Append(audit, vec![]),
            Write::Touch(tally, at),
            Write::Remove(Key::People(e), vec![]),
        ];
        let touched = Touched::by_commit(&Commit { expect: vec![(Key::Unowned(e), 1)], writes });
        assert_eq!((touched.reads, touched.writes), (vec![], vec![person, Key::People(e)]));
        for (op, reads, writes) in [
            (Op::Get(person), vec![person], vec![]),
            (Op::Peek(person), vec![], vec![]),
            (Op::Take(session(1)), vec![], vec![session(1)]),
            (Op::Delete(session(1)), vec![], vec![session(1)]),
            (Op::Append(audit, vec![]), vec![], vec![]),
            (Op::Take(Key::PendingSignIn(Id::from_bytes([1; 16]))), vec![], vec![]),
            (Op::PutOnce { key: Key::UsedAssertion([1; 32]), value: vec![], expires_at: at }, vec![], vec![]),
        ] {
            let touched = Touched::by_op(&op);
            assert_eq!((touched.reads, touched.writes), (reads, writes), "{op:?}");
        }
    }
}
