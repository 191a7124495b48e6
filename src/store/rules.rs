//! What may be asked of any backend, checked before anything is sent: the limits, and which step fits which key.
use std::collections::HashSet;

use super::{Commit, Key, Kind, Op, Shard, StoreError, Write};

/// Steps of one batch.
pub const BATCH_STEPS_MAX: usize = 1_024;
/// Expectations and writes of one commit: Redis serves nobody else while it runs one.
pub const COMMIT_STEPS_MAX: usize = 10_000;
/// One value: a person in ten thousand groups stays far below.
pub const VALUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What may come on top: a seal.
pub(super) const SEAL_BYTES_MAX: usize = 64;
/// One member of a set; ours are ids of 16 or 32 bytes.
pub const MEMBER_BYTES_MAX: usize = 256;
/// One page of a set.
pub const MEMBERS_PER_PAGE_MAX: usize = 10_000;
/// One entry of a stream: what is said of a person in ten thousand groups.
pub const ENTRY_BYTES_MAX: usize = 1024 * 1024;
/// One page of a stream.
pub const ENTRIES_PER_PAGE_MAX: usize = 1_000;

pub(super) fn check_batch(ops: &[Op]) -> Result<(), StoreError> {
    require(ops.len() <= BATCH_STEPS_MAX, "too many steps in a batch")?;
    ops.iter().try_for_each(|op| match op {
        Op::Get(key) | Op::Peek(key) => {
            require(key.kind() != Kind::Set, "a set is read by its members")?;
            require(key.kind() != Kind::Stream, "a stream is read by its entries")
        }
        Op::Members(set, limit) => check_members(set, *limit),
        Op::Take(key) => expiring(key),
        Op::PutOnce { key, value, .. } | Op::Put { key, value, .. } | Op::Replace { key, value, .. } => {
            expiring(key)?;
            check_value(value)
        }
        Op::Insert(key, member) | Op::Remove(key, member) => check_member(key, member),
        Op::RemoveBelow(key, member) => {
            check_member(key, member)?;
            require(!key.is_numbered(), "a numbered set loses its members one by one")
        }
        Op::Expire(key, _) => {
            require(key.kind() == Kind::Set && !key.is_numbered(), "only a set is told when to go")
        }
        Op::Delete(key) => {
            require(key.kind() != Kind::Record, "a record is deleted by a commit only")?;
            require(key.kind() != Kind::Tally, "a tally is deleted by a commit only")?;
            check_deleted(key)
        }
        Op::Append(key, value) => check_entry(key, value),
        Op::Trim(key, _) => stream(key),
        Op::Notify(_) => Ok(()),
    })
}

pub(super) fn check_commit(change: &Commit) -> Result<(), StoreError> {
    require(change.expect.len() + change.writes.len() <= COMMIT_STEPS_MAX, "too many steps in a commit")?;
    check_shard(change)?;
    check_streams(&change.writes)?;
    for (key, _) in &change.expect {
        let is_counted = matches!(key.kind(), Kind::Record | Kind::Tally);
        require(is_counted, "only records and tallies have revisions")?;
    }
    let mut replaced = HashSet::new();
    for write in &change.writes {
        match write {
            Write::Put(key, value) => {
                require(key.kind() == Kind::Record, "a commit puts records only")?;
                check_value(value)?;
                require(replaced.insert(*key), "a commit writes a key twice")?;
            }
            Write::Delete(key) => {
                check_deleted(key)?;
                require(replaced.insert(*key), "a commit writes a key twice")?
            }
            Write::Append(key, value) => check_entry(key, value)?,
            Write::Touch(key, _) => {
                require(key.kind() == Kind::Tally, "only a tally is touched")?;
                require(replaced.insert(*key), "a commit writes a key twice")?;
            }
            Write::Notify(_) => {}
            Write::Insert(key, member) | Write::Remove(key, member) => check_member(key, member)?,
        }
    }
    let in_replaced = |write: &Write| match write {
        Write::Insert(key, _) | Write::Remove(key, _) => replaced.contains(key),
        Write::Put(..) | Write::Delete(_) | Write::Append(..) | Write::Touch(..) | Write::Notify(_) => false,
    };
    require(!change.writes.iter().any(in_replaced), "a commit writes a key twice")
}

pub(super) fn check_members(set: &Key, limit: usize) -> Result<(), StoreError> {
    require(set.kind() == Kind::Set, "only a set has members")?;
    require((1..=MEMBERS_PER_PAGE_MAX).contains(&limit), "a page of no size or too large")
}

pub(super) fn check_page(set: &Key, limit: usize) -> Result<(), StoreError> {
    check_members(set, limit)?;
    check_numbered(set)
}

pub(super) fn check_numbered(set: &Key) -> Result<(), StoreError> {
    require(set.is_numbered(), "only a numbered set is counted")
}

/// Whether the step leaves the store as it was.
pub(super) fn reads_only(op: &Op) -> bool {
    matches!(op, Op::Get(_) | Op::Peek(_) | Op::Members(..))
}

/// All keys of a commit lie on one node of a cluster: in one enterprise, or it is a single key.
fn check_shard(change: &Commit) -> Result<(), StoreError> {
    let mut keys =
        change.expect.iter().map(|(key, _)| key).chain(change.writes.iter().filter_map(Write::key));
    let Some(first) = keys.next() else { return Ok(()) };
    let together = |key: &Key| match first.shard() {
        Shard::Own => key == first,
        shard @ Shard::Enterprise(_) => key.shard() == shard,
    };
    require(keys.all(together), "a commit spans more than one shard")
}

/// What `commit.lua` relies on: only the first append can be refused.
fn check_streams(writes: &[Write]) -> Result<(), StoreError> {
    let mut streams = writes.iter().filter(|write| matches!(write, Write::Append(..))).map(Write::key);
    let first = streams.next();
    require(streams.all(|stream| Some(stream) == first), "a commit appends to one stream only")
}

pub(super) fn check_entries(key: &Key, limit: usize) -> Result<(), StoreError> {
    stream(key)?;
    require((1..=ENTRIES_PER_PAGE_MAX).contains(&limit), "a page of no size or too large")
}

pub(super) fn stream(key: &Key) -> Result<(), StoreError> {
    require(key.kind() == Kind::Stream, "only a stream has entries")
}

fn check_entry(key: &Key, value: &[u8]) -> Result<(), StoreError> {
    stream(key)?;
    require(value.len() <= ENTRY_BYTES_MAX, "an entry is too large")
}

fn check_deleted(key: &Key) -> Result<(), StoreError> {
    require(key.kind() != Kind::Stream, "a stream is trimmed, not deleted")
}

fn expiring(key: &Key) -> Result<(), StoreError> {
    require(key.kind() == Kind::Expiring, "only keys with an expiry are put or taken in a batch")
}

fn check_value(value: &[u8]) -> Result<(), StoreError> {
    require(value.len() <= VALUE_BYTES_MAX + SEAL_BYTES_MAX, "a value is too large")
}

fn check_member(key: &Key, member: &[u8]) -> Result<(), StoreError> {
    require(key.kind() == Kind::Set, "only a set has members")?;
    require(member.len() <= MEMBER_BYTES_MAX, "a set's member is too long")
}

fn require(holds: bool, otherwise: &'static str) -> Result<(), StoreError> {
    if holds { Ok(()) } else { Err(StoreError::Misuse(otherwise)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EnterpriseId, OrganizationId, PersonId, SessionId, Timestamp};

    fn e() -> EnterpriseId {
        EnterpriseId::from_bytes([1; 16])
    }
    fn f() -> EnterpriseId {
        EnterpriseId::from_bytes([2; 16])
    }

    fn person(enterprise: EnterpriseId) -> Key {
        Key::Person(enterprise, PersonId::from_bytes([3; 16]))
    }
    fn members(enterprise: EnterpriseId) -> Key {
        Key::OrganizationMembers(enterprise, OrganizationId::from_bytes([4; 16]))
    }
    fn session(byte: u8) -> Key {
        Key::Session(SessionId::from_bytes([byte; 32]))
    }
    fn writes(writes: Vec<Write>) -> Result<(), StoreError> {
        check_commit(&Commit { expect: vec![], writes })
    }

    #[test]
    fn commits_stay_in_one_shard() {
        assert!(writes(vec![Write::Put(person(e()), vec![]), Write::Insert(members(e()), vec![])]).is_ok());
        assert!(writes(vec![Write::Put(person(e()), vec![]), Write::Insert(members(f()), vec![])]).is_err());
        assert!(writes(vec![Write::Delete(session(1))]).is_ok());
        assert!(writes(vec![Write::Delete(session(1)), Write::Delete(session(2))]).is_err());
        assert!(
            writes(vec![Write::Put(person(e()), vec![]), Write::Append(Key::Audit(f()), vec![])]).is_err()
        );
        let note = Write::Notify(super::super::Note::Enterprise(f()));
        assert!(writes(vec![note, Write::Append(Key::Audit(e()), vec![])]).is_ok());
        let change = Commit { expect: vec![(person(f()), 1)], writes: vec![Write::Put(person(e()), vec![])] };
        assert!(check_commit(&change).is_err());
    }

    #[test]
    fn commits_append_to_one_stream() {
        let append = |enterprise| Write::Append(Key::Audit(enterprise), vec![]);
        assert!(check_streams(&[append(e()), Write::Delete(session(1)), append(e())]).is_ok());
        assert!(check_streams(&[append(e()), append(f())]).is_err());
    }

    #[test]
    fn commits_write_a_key_once() {
        assert!(writes(vec![Write::Put(person(e()), vec![]), Write::Delete(person(e()))]).is_err());
        assert!(writes(vec![Write::Insert(members(e()), vec![]), Write::Delete(members(e()))]).is_err());
        assert!(
            writes(vec![Write::Insert(members(e()), vec![1]), Write::Remove(members(e()), vec![2])]).is_ok()
        );
    }

    #[test]
    fn steps_fit_the_kind_of_their_key() {
        let at = Timestamp::UNIX_EPOCH;
        let put = |key| Op::Put { key, value: vec![], expires_at: at };
        for op in [
            Op::Get(members(e())),
            Op::Members(person(e()), 1),
            Op::Members(members(e()), 0),
            Op::Members(members(e()), MEMBERS_PER_PAGE_MAX + 1),
            Op::Take(person(e())),
            put(person(e())),
            put(members(e())),
            Op::Delete(person(e())),
            Op::Insert(person(e()), vec![]),
            Op::Insert(members(e()), vec![0; MEMBER_BYTES_MAX + 1]),
            Op::RemoveBelow(session(1), vec![]),
            Op::Expire(session(1), at),
            Op::Expire(person(e()), at),
            Op::Get(Key::Audit(e())),
            Op::Delete(Key::Audit(e())),
            Op::Append(person(e()), vec![]),
            Op::Append(Key::Audit(e()), vec![0; ENTRY_BYTES_MAX + 1]),
            Op::Trim(members(e()), 1),
        ] {
            assert!(matches!(check_batch(std::slice::from_ref(&op)), Err(StoreError::Misuse(_))), "{op:?}");
        }
        for op in [
            Op::Get(person(e())),
            Op::Members(members(e()), 1),
            put(session(1)),
            Op::RemoveBelow(members(e()), vec![1]),
            Op::Expire(members(e()), at),
            Op::Delete(members(e())),
            Op::Delete(session(1)),
        ] {
            assert!(check_batch(std::slice::from_ref(&op)).is_ok(), "{op:?}");
        }
        assert!(writes(vec![Write::Put(session(1), vec![])]).is_err());
        assert!(writes(vec![Write::Put(Key::Audit(e()), vec![])]).is_err());
        let tally = Key::ScimGroupState(e(), crate::domain::ScimId::from_bytes([5; 16]));
        assert!(writes(vec![Write::Touch(tally, at)]).is_ok());
        assert!(writes(vec![Write::Touch(tally, at), Write::Touch(tally, at)]).is_err());
        assert!(writes(vec![Write::Touch(person(e()), at)]).is_err());
        assert!(writes(vec![Write::Put(tally, vec![])]).is_err());
        let expecting = |key| check_commit(&Commit { expect: vec![(key, 1)], writes: vec![] });
        assert!(expecting(tally).is_ok() && expecting(person(e())).is_ok());
        assert!(expecting(members(e())).is_err() && expecting(session(1)).is_err());
        assert!(check_batch(&[Op::Delete(tally)]).is_err());
        assert!(check_batch(&[Op::Expire(Key::ScimUsers(e()), at)]).is_err());
        assert!(check_batch(&[Op::RemoveBelow(Key::ScimUsers(e()), vec![])]).is_err());
        assert!(check_batch(&[Op::Get(tally)]).is_ok());
        assert!(check_page(&members(e()), 1).is_err());
        assert!(check_page(&Key::ScimUsers(e()), 1).is_ok());
        assert!(check_page(&Key::ScimUsers(e()), 0).is_err());
        assert!(writes(vec![Write::Delete(Key::Audit(e()))]).is_err());
        assert!(writes(vec![Write::Append(person(e()), vec![])]).is_err());
        assert!(writes(vec![Write::Append(Key::Audit(e()), vec![0; ENTRY_BYTES_MAX + 1])]).is_err());
        assert!(check_entries(&members(e()), 1).is_err());
        assert!(check_entries(&Key::Audit(e()), 0).is_err());
        assert!(check_entries(&Key::Audit(e()), ENTRIES_PER_PAGE_MAX + 1).is_err());
        assert!(check_commit(&Commit { expect: vec![(session(1), 0)], writes: vec![] }).is_err());
        assert!(check_members(&person(e()), 1).is_err());
        assert!(check_members(&members(e()), 0).is_err());
        assert!(check_members(&members(e()), MEMBERS_PER_PAGE_MAX + 1).is_err());
    }

    #[test]
    fn sizes_are_bounded() {
        assert!(check_batch(&vec![Op::Get(person(e())); BATCH_STEPS_MAX + 1]).is_err());
        assert!(writes(vec![Write::Insert(members(e()), vec![]); COMMIT_STEPS_MAX + 1]).is_err());
        assert!(
            writes(vec![Write::Put(person(e()), vec![0; VALUE_BYTES_MAX + SEAL_BYTES_MAX + 1])]).is_err()
        );
    }
}
