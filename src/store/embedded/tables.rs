//! The tables of the file, and what a transaction does to them.
//!
//! `values` holds records and values with an expiry behind the envelope's head; `expiries` has one row for each of the
//! latter, so that the sweep touches expired ones only; `sets` has one row per member, in byte order, and `numbered` counts those of
//! numbered sets.
use redb::{Database, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use crate::{
    domain::Timestamp,
    store::{
        Commit, Committed, Key, Kind, Note, Op, Reply, Revision, StoreError, Versioned, Write,
        envelope::{self, Head},
    },
};

use super::{numbered::COUNTS, streams::Streams};

pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const VALUES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("values");
pub(super) const EXPIRIES: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("expiries");
pub(super) const SETS: TableDefinition<'_, (&str, &[u8]), ()> = TableDefinition::new("sets");

const FORMAT_ROW: &str = "format";
const FORMAT: u64 = 1;
/// The row that a readiness check writes.
const READY_ROW: &str = "ready";
/// An expired value stays this long, lest a clock that jumps ahead and back costs sessions.
const EXPIRY_MARGIN_MILLIS: u64 = 60_000;

/// A failure of the storage.
pub(super) fn unavailable(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Unavailable(error.into().to_string())
}

/// Makes the tables of a new file; refuses a file of another format.
pub(super) fn prepare(database: &Database) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(unavailable)?;
    let mut tables = Tables::open(&transaction)?;
    let format = tables.meta.get(FORMAT_ROW).map_err(unavailable)?.map(|row| row.value());
    match format {
        Some(FORMAT) => {}
        None => drop(tables.meta.insert(FORMAT_ROW, FORMAT).map_err(unavailable)?),
        Some(other) => {
            return Err(StoreError::Corrupt(format!("a file of format {other}; this is {FORMAT}")));
        }
    }
    drop(tables);
    transaction.commit().map_err(unavailable)
}

/// Runs steps that only read.
pub(super) fn read(at: &ReadTransaction, now: Timestamp, ops: &[Op]) -> Result<Vec<Reply>, StoreError> {
    let values = at.open_table(VALUES).map_err(unavailable)?;
    let read = |op: &Op| match op {
        Op::Get(key) => live(&values, &key.text(), now).map(Reply::Value),
        Op::Members(set, limit) => members(at, set, None, *limit).map(Reply::Members),
        _ => Err(StoreError::Misuse("a step that writes in a batch that reads")),
    };
    ops.iter().map(read).collect()
}

/// A page of a set.
pub(super) fn members(
    at: &ReadTransaction,
    set: &Key,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    page(&at.open_table(SETS).map_err(unavailable)?, set, after, limit)
}

fn page(
    sets: &impl ReadableTable<(&'static str, &'static [u8]), ()>,
    set: &Key,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    use std::ops::Bound::{Excluded, Included};
    let (text, end) = bounds(set);
    let start = after.map_or(Included((text.as_str(), &[][..])), |after| Excluded((text.as_str(), after)));
    let rows = sets.range((start, Excluded((end.as_str(), &[][..])))).map_err(unavailable)?;
    rows.take(limit).map(|row| Ok(row.map_err(unavailable)?.0.value().1.to_vec())).collect()
}

/// The tables within a write transaction.
pub(super) struct Tables<'t> {
    meta: Table<'t, &'static str, u64>,
    values: Table<'t, &'static str, &'static [u8]>,
    expiries: Table<'t, (u64, &'static str), ()>,
    sets: Table<'t, (&'static str, &'static [u8]), ()>,
    pub(super) counts: Table<'t, &'static str, u64>,
    pub(super) streams: Streams<'t>,
    /// Whether anything was written.
    pub changed: bool,
    /// To be told once the transaction is durable.
    pub notes: Vec<Note>,
}

impl<'t> Tables<'t> {
    pub fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            meta: transaction.open_table(META).map_err(unavailable)?,
            values: transaction.open_table(VALUES).map_err(unavailable)?,
            expiries: transaction.open_table(EXPIRIES).map_err(unavailable)?,
            sets: transaction.open_table(SETS).map_err(unavailable)?,
            counts: transaction.open_table(COUNTS).map_err(unavailable)?,
            streams: Streams::open(transaction)?,
            changed: false,
            notes: vec![],
        })
    }

    /// One step of a batch.
    pub fn step(&mut self, now: Timestamp, op: Op) -> Result<Reply, StoreError> {
        Ok(match op {
            Op::Get(key) => Reply::Value(live(&self.values, &key.text(), now)?),
            Op::Members(set, limit) => Reply::Members(page(&self.sets, &set, None, limit)?),
            Op::Take(key) => {
                let taken = live(&self.values, &key.text(), now)?;
                self.delete_value(&key.text())?;
                Reply::Value(taken)
            }
            Op::PutOnce { key, value, expires_at } => {
                let absent = live(&self.values, &key.text(), now)?.is_none();
                if absent {
                    self.put_expiring(&key.text(), &value, expires_at)?;
                }
                Reply::Created(absent)
            }
            Op::Replace { key, value, expires_at } => {
                let present = live(&self.values, &key.text(), now)?.is_some();
                if present {
                    self.put_expiring(&key.text(), &value, expires_at)?;
                }
                Reply::Created(present)
            }
            Op::Put { key, value, expires_at } => {
                self.put_expiring(&key.text(), &value, expires_at)?;
                Reply::Done
            }
            Op::Insert(key, member) => {
                self.insert(&key, &member)?;
                Reply::Done
            }
            Op::Remove(key, member) => {
                self.remove(&key, &member)?;
                Reply::Done
            }
            Op::RemoveBelow(key, end) => {
                self.remove_below(&key, &end)?;
                Reply::Done
            }
            Op::Expire(key, at) => {
                // A set's time lies where a value would: the sweep finds it by the same rows.
                self.put_expiring(&key.text(), &[], at)?;
                Reply::Done
            }
            Op::Delete(key) => {
                self.delete(&key)?;
                Reply::Done
            }
            Op::Append(key, value) => {
                self.append(&key, &value)?;
                Reply::Done
            }
            Op::Trim(key, upto) => {
                self.changed |= self.streams.trim(&key, upto)?;
                Reply::Done
            }
            Op::Notify(note) => {
                self.notes.push(note);
                Reply::Done
            }
        })
    }

    /// Everything that can be refused is read before the first write, so a conflict leaves the transaction as it was.
    pub fn commit(&mut self, change: Commit) -> Result<Committed, StoreError> {
        for (key, revision) in &change.expect {
            if self.revision(key)? != *revision {
                return Ok(Committed::Conflict);
            }
        }
        let mut heads = Vec::with_capacity(change.writes.len());
        for write in &change.writes {
            heads.push(match write {
                Write::Put(key, _) => (self.revision(key)? + 1, 0),
                Write::Touch(key, at) => self.touched(key, *at)?,
                Write::Append(key, _) => self.streams.head(key).map(|_| (0, 0))?,
                Write::Delete(_) | Write::Insert(..) | Write::Remove(..) | Write::Notify(_) => (0, 0),
            });
        }
        for (write, (count, latest)) in change.writes.into_iter().zip(heads) {
            match write {
                Write::Put(key, value) => self.put(&key.text(), &envelope::record(count, &value))?,
                Write::Touch(key, _) => self.put(&key.text(), &envelope::tally(count, latest))?,
                Write::Delete(key) => self.delete(&key)?,
                Write::Insert(key, member) => self.insert(&key, &member)?,
                Write::Remove(key, member) => self.remove(&key, &member)?,
                Write::Append(key, value) => self.append(&key, &value)?,
                Write::Notify(note) => self.notes.push(note),
            }
        }
        Ok(Committed::Applied)
    }

    /// Writes something, so that a commit of the transaction proves that writing works.
    pub fn touch(&mut self) -> Result<(), StoreError> {
        self.meta.insert(READY_ROW, 1).map_err(unavailable)?;
        self.changed = true;
        Ok(())
    }

    /// Takes away values that expired well before `now`, `swept_max` of them at most.
    pub fn sweep(&mut self, now: Timestamp, swept_max: usize) -> Result<(), StoreError> {
        let before = envelope::millis(now).saturating_sub(EXPIRY_MARGIN_MILLIS);
        let mut expired = Vec::new();
        for row in self.expiries.range(..(before, "")).map_err(unavailable)?.take(swept_max) {
            let (row, ()) = row.map(|(key, value)| (key, value.value())).map_err(unavailable)?;
            let (at, key) = row.value();
            expired.push((at, key.to_owned()));
        }
        for (at, key) in expired {
            self.delete_value(&key)?;
            // A set that was told to go; no other value shares its key with members.
            self.delete_members(&key)?;
            // The value's own row is gone with it; this takes one that was left behind.
            self.expiries.remove((at, key.as_str())).map_err(unavailable)?;
            self.changed = true;
        }
        Ok(())
    }

    fn append(&mut self, key: &Key, value: &[u8]) -> Result<(), StoreError> {
        self.changed = true;
        self.streams.append(key, value)
    }

    fn revision(&self, key: &Key) -> Result<Revision, StoreError> {
        let Some(stored) = self.values.get(key.text().as_str()).map_err(unavailable)? else { return Ok(0) };
        match envelope::head(stored.value())? {
            Head::Record(revision) => Ok(revision),
            Head::Expires(_) | Head::Tally(_) => {
                Err(StoreError::Corrupt("a record with another head".into()))
            }
        }
    }

    /// Count and latest time of a tally that was touched once more.
    fn touched(&self, key: &Key, at: Timestamp) -> Result<(u64, u64), StoreError> {
        let stored = self.values.get(key.text().as_str()).map_err(unavailable)?;
        let tally = stored.map(|stored| envelope::read_tally(stored.value())).transpose()?;
        let (count, latest) = tally.unwrap_or_default();
        Ok((count + 1, latest.max(envelope::millis(at))))
    }

    pub(super) fn put_expiring(
        &mut self,
        key: &str,
        value: &[u8],
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.put(key, &envelope::expiring(expires_at, value))?;
        self.expiries.insert((envelope::millis(expires_at), key), ()).map_err(unavailable)?;
        Ok(())
    }

    /// Writes a value with its head; takes away what an earlier value had in the table of expiries.
    pub(super) fn put(&mut self, key: &str, stored: &[u8]) -> Result<(), StoreError> {
        let old = self.values.insert(key, stored).map_err(unavailable)?;
        let expiry = old.and_then(|old| expiry(old.value()));
        self.changed = true;
        self.forget_expiry(expiry, key)
    }

    fn delete_value(&mut self, key: &str) -> Result<(), StoreError> {
        let Some(old) = self.values.remove(key).map_err(unavailable)? else { return Ok(()) };
        let expiry = expiry(old.value());
        drop(old);
        self.changed = true;
        self.forget_expiry(expiry, key)
    }

    fn forget_expiry(&mut self, expiry: Option<u64>, key: &str) -> Result<(), StoreError> {
        if let Some(at) = expiry {
            self.expiries.remove((at, key)).map_err(unavailable)?;
        }
        Ok(())
    }

    fn delete(&mut self, key: &Key) -> Result<(), StoreError> {
        if key.kind() != Kind::Set {
            return self.delete_value(&key.text());
        }
        self.delete_value(&key.text())?;
        self.delete_members(&key.text())?;
        self.forget_count(key)?;
        self.changed = true;
        Ok(())
    }

    fn delete_members(&mut self, text: &str) -> Result<(), StoreError> {
        let end = format!("{text}\0");
        let all = (text, &[][..])..(end.as_str(), &[][..]);
        self.sets.retain_in(all, |_, ()| false).map_err(unavailable)
    }

    fn remove_below(&mut self, key: &Key, end: &[u8]) -> Result<(), StoreError> {
        let text = key.text();
        let mut removed = false;
        let below = (text.as_str(), &[][..])..(text.as_str(), end);
        let take = |_: (&str, &[u8]), ()| {
            removed = true;
            false
        };
        self.sets.retain_in(below, take).map_err(unavailable)?;
        self.changed |= removed;
        Ok(())
    }

    pub(super) fn insert(&mut self, key: &Key, member: &[u8]) -> Result<(), StoreError> {
        let text = key.text();
        let is_new = self.sets.insert((text.as_str(), member), ()).map_err(unavailable)?.is_none();
        self.changed |= is_new;
        if is_new { self.count(key, 1) } else { Ok(()) }
    }

    fn remove(&mut self, key: &Key, member: &[u8]) -> Result<(), StoreError> {
        let text = key.text();
        let was_there = self.sets.remove((text.as_str(), member)).map_err(unavailable)?.is_some();
        self.changed |= was_there;
        if was_there { self.count(key, -1) } else { Ok(()) }
    }
}

/// The value behind a key unless it has expired.
fn live(
    values: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
    now: Timestamp,
) -> Result<Option<Versioned>, StoreError> {
    match values.get(key).map_err(unavailable)? {
        Some(stored) => envelope::open(stored.value().to_vec(), now),
        None => Ok(None),
    }
}

fn expiry(stored: &[u8]) -> Option<u64> {
    match envelope::head(stored) {
        Ok(Head::Expires(at)) => Some(at),
        Ok(Head::Record(_) | Head::Tally(_)) | Err(_) => None,
    }
}

/// A set's text, and the least text that comes after it: the rows between are the set's.
pub(super) fn bounds(set: &Key) -> (String, String) {
    let text = set.text();
    let end = format!("{text}\0");
    (text, end)
}
