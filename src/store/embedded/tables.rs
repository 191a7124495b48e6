//! What a transaction does to the rows of the file.
//!
//! Values lie behind the envelope's head. For what expires there is a row at its time or before: whoever prolongs a value leaves the
//! row where it is, and so does whoever deletes one; the sweep comes by at that time and looks at what became of it.
use redb::{Database, ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::{
    domain::Timestamp,
    store::{
        Commit, Committed, Key, Kind, Note, Op, Reply, Revision, StoreError, Versioned, Write,
        envelope::{self, Head},
    },
};

use super::rooms::{self, Room, Rows};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT_ROW: &str = "format";
/// 1 had everything behind the keys' texts.
const FORMAT: u64 = 2;
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
    let mut meta = transaction.open_table(META).map_err(unavailable)?;
    let format = meta.get(FORMAT_ROW).map_err(unavailable)?.map(|row| row.value());
    match format {
        Some(FORMAT) => {}
        None => drop(meta.insert(FORMAT_ROW, FORMAT).map_err(unavailable)?),
        Some(other) => {
            return Err(StoreError::Corrupt(format!(
                "a file of format {other}, where this version has {FORMAT}; `export` it with the version that wrote it, and \
                 `import` that into a new file"
            )));
        }
    }
    drop(meta);
    for room in Room::ALL {
        transaction.open_table(room.definition()).map_err(unavailable)?;
    }
    transaction.commit().map_err(unavailable)
}

/// Runs steps that only read.
pub(super) fn read(at: &ReadTransaction, now: Timestamp, ops: &[Op]) -> Result<Vec<Reply>, StoreError> {
    let mut last = None;
    let mut read = |op: &Op| match op {
        Op::Get(key) | Op::Peek(key) => {
            let room = Room::of(key);
            let rows = match last.take() {
                Some((open, rows)) if open == room => rows,
                _ => room.read(at)?,
            };
            let (_, rows) = last.insert((room, rows));
            live(rows, &key.bytes(), now).map(Reply::Value)
        }
        Op::Members(set, limit) => members(at, set, None, *limit).map(Reply::Members),
        _ => Err(StoreError::Misuse("a step that writes in a batch that reads")),
    };
    ops.iter().map(&mut read).collect()
}

/// A page of a set.
pub(super) fn members(
    at: &ReadTransaction,
    set: &Key,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    page(&Room::of(set).read(at)?, set, after, limit)
}

fn page(
    rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
    set: &Key,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    use std::ops::Bound::{Excluded, Included};
    let bytes = set.bytes();
    let (first, end) = (rooms::member_row(&bytes, after.unwrap_or_default()), rooms::members_end(&bytes));
    let start = if after.is_some() { Excluded(&first[..]) } else { Included(&first[..]) };
    let page = rows.range::<&[u8]>((start, Excluded(&end[..]))).map_err(unavailable)?;
    let member = |row: Result<(redb::AccessGuard<'_, &[u8]>, _), _>| {
        let (row, _): (_, redb::AccessGuard<'_, &[u8]>) = row.map_err(unavailable)?;
        Ok(rooms::member_of(row.value(), bytes.len()))
    };
    page.take(limit).map(member).collect()
}

/// The rows within a write transaction.
pub(super) struct Tables<'t> {
    transaction: &'t WriteTransaction,
    /// By room, once something was asked of it.
    open: [Option<Rows<'t>>; Room::COUNT],
    /// Whether anything was written.
    pub changed: bool,
    /// To be told once the transaction is durable.
    pub notes: Vec<Note>,
}

impl<'t> Tables<'t> {
    pub fn of(transaction: &'t WriteTransaction) -> Self {
        Self { transaction, open: Default::default(), changed: false, notes: vec![] }
    }

    pub fn room(&mut self, room: Room) -> Result<&mut Rows<'t>, StoreError> {
        // As many places as rooms.
        match &mut self.open[room as usize] {
            Some(rows) => Ok(rows),
            none => Ok(none.insert(self.transaction.open_table(room.definition()).map_err(unavailable)?)),
        }
    }

    /// One step of a batch.
    pub fn step(&mut self, now: Timestamp, op: Op) -> Result<Reply, StoreError> {
        Ok(match op {
            Op::Get(key) | Op::Peek(key) => Reply::Value(self.live(&key, now)?),
            Op::Members(set, limit) => Reply::Members(page(self.room(Room::of(&set))?, &set, None, limit)?),
            Op::Take(key) => {
                let taken = self.live(&key, now)?;
                self.delete_value(&key)?;
                Reply::Value(taken)
            }
            Op::PutOnce { key, value, expires_at } => {
                let absent = self.live(&key, now)?.is_none();
                if absent {
                    self.put_expiring(&key, &value, expires_at)?;
                }
                Reply::Created(absent)
            }
            Op::Replace { key, value, expires_at } => {
                let present = self.live(&key, now)?.is_some();
                if present {
                    self.put_expiring(&key, &value, expires_at)?;
                }
                Reply::Created(present)
            }
            Op::Put { key, value, expires_at } => self.put_expiring(&key, &value, expires_at).map(done)?,
            Op::Insert(key, member) => self.insert(&key, &member).map(done)?,
            Op::Remove(key, member) => self.remove(&key, &member).map(done)?,
            Op::RemoveBelow(key, end) => self.remove_below(&key, &end).map(done)?,
            Op::Expire(key, at) => self.expire(&key, at).map(done)?,
            Op::Delete(key) => self.delete(&key).map(done)?,
            Op::Append(key, value) => self.append(&key, &value).map(done)?,
            Op::Trim(key, upto) => self.trim(&key, upto).map(done)?,
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
                Write::Append(key, _) => self.head(key).map(|_| (0, 0))?,
                Write::Delete(_) | Write::Insert(..) | Write::Remove(..) | Write::Notify(_) => (0, 0),
            });
        }
        for (write, (count, latest)) in change.writes.into_iter().zip(heads) {
            match write {
                Write::Put(key, value) => self.put(&key, &envelope::record(count, &value))?,
                Write::Touch(key, _) => self.put(&key, &envelope::tally(count, latest))?,
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
        let mut meta = self.transaction.open_table(META).map_err(unavailable)?;
        meta.insert(READY_ROW, 1).map_err(unavailable)?;
        self.changed = true;
        Ok(())
    }

    /// Looks at what was to expire well before `now`, `swept_max` of it at most, and takes away what did.
    pub fn sweep(&mut self, now: Timestamp, swept_max: usize) -> Result<(), StoreError> {
        let before = envelope::millis(now).saturating_sub(EXPIRY_MARGIN_MILLIS);
        let swept = self.sweep_room(Room::PassingExpiries, before, swept_max)?;
        self.sweep_room(Room::Expiries, before, swept_max.saturating_sub(swept)).map(drop)
    }

    fn sweep_room(&mut self, expiries: Room, before: u64, swept_max: usize) -> Result<usize, StoreError> {
        let end = before.to_be_bytes();
        let mut due = Vec::new();
        for row in self.room(expiries)?.range(..&end[..]).map_err(unavailable)?.take(swept_max) {
            due.push(row.map_err(unavailable)?.0.value().to_vec());
        }
        let Some(last) = due.last() else { return Ok(0) };
        self.room(expiries)?.retain_in(..=&last[..], |_, _| false).map_err(unavailable)?;
        self.changed = true;
        for row in &due {
            let Some(key) = rooms::number(row).and_then(|(_, key)| Key::parse_bytes(key)) else { continue };
            self.look_at(&key, before)?;
        }
        Ok(due.len())
    }

    /// Its time came, or another one's before it was prolonged, deleted or written anew.
    fn look_at(&mut self, key: &Key, before: u64) -> Result<(), StoreError> {
        let (room, bytes) = (Room::of(key), key.bytes());
        let is_set = key.kind() == Kind::Set;
        let row = if is_set { rooms::time_row(&bytes) } else { bytes.clone() };
        let at = self.room(room)?.get(&row[..]).map_err(unavailable)?.and_then(|row| match is_set {
            true => rooms::number(row.value()).map(|(at, _)| at),
            false => expiry(row.value()),
        });
        match at {
            Some(at) if at < before && is_set => self.delete_rows(&bytes, room),
            Some(at) if at < before => self.room(room)?.remove(&row[..]).map(drop).map_err(unavailable),
            Some(at) => self.note_expiry(room, at, &bytes),
            None => Ok(()),
        }
    }

    fn live(&mut self, key: &Key, now: Timestamp) -> Result<Option<Versioned>, StoreError> {
        live(self.room(Room::of(key))?, &key.bytes(), now)
    }

    /// Of a record or a tally.
    fn revision(&mut self, key: &Key) -> Result<Revision, StoreError> {
        let stored = self.room(Room::of(key))?.get(&key.bytes()[..]).map_err(unavailable)?;
        match stored.map(|stored| envelope::head(stored.value())).transpose()? {
            None => Ok(0),
            Some(Head::Record(revision)) if key.kind() == Kind::Record => Ok(revision),
            Some(Head::Tally(count)) if key.kind() == Kind::Tally => Ok(count),
            Some(_) => Err(StoreError::Corrupt("a record with another head".into())),
        }
    }

    /// Count and latest time of a tally that was touched once more.
    fn touched(&mut self, key: &Key, at: Timestamp) -> Result<(u64, u64), StoreError> {
        let stored = self.room(Room::of(key))?.get(&key.bytes()[..]).map_err(unavailable)?;
        let tally = stored.map(|stored| envelope::read_tally(stored.value())).transpose()?;
        let (count, latest) = tally.unwrap_or_default();
        Ok((count + 1, latest.max(envelope::millis(at))))
    }

    /// Writes what does not expire, with its head.
    pub(super) fn put(&mut self, key: &Key, stored: &[u8]) -> Result<(), StoreError> {
        self.changed = true;
        self.room(Room::of(key))?.insert(&key.bytes()[..], stored).map(drop).map_err(unavailable)
    }

    pub(super) fn put_expiring(&mut self, key: &Key, value: &[u8], at: Timestamp) -> Result<(), StoreError> {
        let (room, bytes) = (Room::of(key), key.bytes());
        let sealed = envelope::expiring(at, value);
        let old = self.room(room)?.insert(&bytes[..], &sealed[..]).map_err(unavailable)?;
        let before = old.and_then(|old| expiry(old.value()));
        self.changed = true;
        self.is_to_expire(room, envelope::millis(at), before, &bytes)
    }

    pub(super) fn expire(&mut self, set: &Key, at: Timestamp) -> Result<(), StoreError> {
        let (room, bytes, millis) = (Room::of(set), set.bytes(), envelope::millis(at));
        let row = rooms::time_row(&bytes);
        let old = self.room(room)?.insert(&row[..], &millis.to_be_bytes()[..]).map_err(unavailable)?;
        let before = old.and_then(|old| rooms::number(old.value()).map(|(at, _)| at));
        self.changed = true;
        self.is_to_expire(room, millis, before, &bytes)
    }

    /// There is a row for what it was told before, and the sweep comes by then.
    fn is_to_expire(
        &mut self,
        room: Room,
        at: u64,
        before: Option<u64>,
        key: &[u8],
    ) -> Result<(), StoreError> {
        if before.is_some_and(|before| before <= at) { Ok(()) } else { self.note_expiry(room, at, key) }
    }

    fn note_expiry(&mut self, room: Room, at: u64, key: &[u8]) -> Result<(), StoreError> {
        let row = rooms::expiry_row(at, key);
        self.room(room.expiries())?.insert(&row[..], &[][..]).map(drop).map_err(unavailable)
    }

    fn delete(&mut self, key: &Key) -> Result<(), StoreError> {
        if key.kind() != Kind::Set {
            return self.delete_value(key);
        }
        self.delete_rows(&key.bytes(), Room::of(key))?;
        self.forget_count(key)
    }

    fn delete_value(&mut self, key: &Key) -> Result<(), StoreError> {
        let old = self.room(Room::of(key))?.remove(&key.bytes()[..]).map_err(unavailable)?;
        let was_there = old.is_some();
        drop(old);
        self.changed |= was_there;
        Ok(())
    }

    /// A set's members and its time.
    fn delete_rows(&mut self, set: &[u8], room: Room) -> Result<(), StoreError> {
        self.delete_range(room, &rooms::time_row(set), &rooms::members_end(set))
    }

    fn remove_below(&mut self, key: &Key, end: &[u8]) -> Result<(), StoreError> {
        let bytes = key.bytes();
        self.delete_range(Room::of(key), &rooms::member_row(&bytes, &[]), &rooms::member_row(&bytes, end))
    }

    fn delete_range(&mut self, room: Room, start: &[u8], end: &[u8]) -> Result<(), StoreError> {
        let mut removed = false;
        let take = |_: &[u8], _: &[u8]| {
            removed = true;
            false
        };
        self.room(room)?.retain_in(start..end, take).map_err(unavailable)?;
        self.changed |= removed;
        Ok(())
    }

    pub(super) fn insert(&mut self, key: &Key, member: &[u8]) -> Result<(), StoreError> {
        let (row, rows) = (rooms::member_row(&key.bytes(), member), self.room(Room::of(key))?);
        // Writing it once more would change nothing, and write every page on the way to it.
        if rows.get(&row[..]).map_err(unavailable)?.is_some() {
            return Ok(());
        }
        rows.insert(&row[..], &[][..]).map_err(unavailable)?;
        self.changed = true;
        self.count(key, 1)
    }

    fn remove(&mut self, key: &Key, member: &[u8]) -> Result<(), StoreError> {
        let row = rooms::member_row(&key.bytes(), member);
        let was_there = self.room(Room::of(key))?.remove(&row[..]).map_err(unavailable)?.is_some();
        self.changed |= was_there;
        if was_there { self.count(key, -1) } else { Ok(()) }
    }
}

fn done((): ()) -> Reply {
    Reply::Done
}

/// The value behind a key unless it has expired.
fn live(
    rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
    now: Timestamp,
) -> Result<Option<Versioned>, StoreError> {
    match rows.get(key).map_err(unavailable)? {
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

/// Makes a file of another format of it.
#[cfg(test)]
pub(super) fn set_format(database: &Database, format: u64) {
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert(FORMAT_ROW, format).unwrap();
    transaction.commit().unwrap();
}
