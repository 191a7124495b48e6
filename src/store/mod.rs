//! Where memberships, sessions and one-time marks live: one trait, two backends.
//!
//! A backend knows keys, bytes, revisions and expiry, and nothing about people. `records` is the only place where
//! domain types are serialized; `directory` is the only writer of memberships.
use std::{future::Future, pin::Pin, sync::Arc};

use crate::domain::Timestamp;

mod chain;
pub mod dump;
pub mod embedded;
mod envelope;
mod key;
mod key_bytes;
mod key_text;
mod note;
pub mod records;
pub mod redis;
mod rules;
mod sealed;
pub mod stream;
mod timed;
pub mod whole;

pub use chain::{Broken, Chain, verify_stream};
pub use key::{Key, Kind, Shard};
pub use note::{Heard, NOTES_QUEUED_MAX, Note, Notes};
pub use rules::{
    BATCH_STEPS_MAX, COMMIT_STEPS_MAX, ENTRIES_PER_PAGE_MAX, ENTRY_BYTES_MAX, MEMBER_BYTES_MAX,
    MEMBERS_PER_PAGE_MAX, VALUE_BYTES_MAX,
};
pub use sealed::{KEYS_MAX as SEAL_KEYS_MAX, SECRET_BYTES_MIN as SEAL_SECRET_BYTES_MIN, SealKey, Sealed};
pub use stream::{Entry, StreamHead};
pub use timed::Timed;
pub use whole::{Piece, Whole, open_whole};

/// Which backend, with exactly its own settings.
#[derive(Debug, Clone, PartialEq)]
pub enum Settings {
    Embedded(embedded::Settings),
    Redis(redis::Settings),
}

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Counts the changes of a record, or how often a tally was touched; 0 is one that is not there.
pub type Revision = u64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// 0 for keys that are written with [`Op::Put`] and [`Op::PutOnce`]; of a tally, how often it was touched.
    pub revision: Revision,
    pub value: Vec<u8>,
}

/// One step of a batch. Each is atomic for itself.
#[derive(Debug, Clone)]
pub enum Op {
    /// Answers [`Reply::Value`].
    Get(Key),
    /// The same for who only ends what is not there any more: it never waits for replicas. Nobody may take anything for done
    /// because of what it finds.
    Peek(Key),
    /// Up to so many (1 to [`MEMBERS_PER_PAGE_MAX`]) members of a set, the first in byte order. Answers [`Reply::Members`].
    Members(Key, usize),
    /// Reads and deletes: of several concurrent takers exactly one gets the value. Answers [`Reply::Value`].
    Take(Key),
    /// Writes unless the key is there: of several concurrent writers exactly one made it. A key past its expiry may
    /// count as there for a while: a one-time mark errs towards "used". Answers [`Reply::Created`].
    PutOnce { key: Key, value: Vec<u8>, expires_at: Timestamp },
    /// Answers [`Reply::Done`].
    Put { key: Key, value: Vec<u8>, expires_at: Timestamp },
    /// Writes only if the key is there and not expired: a deleted session stays deleted. Answers [`Reply::Created`].
    Replace { key: Key, value: Vec<u8>, expires_at: Timestamp },
    /// Adds to a set; present already is fine. Answers [`Reply::Done`].
    Insert(Key, Vec<u8>),
    /// Takes out of a set; absent already is fine. Answers [`Reply::Done`].
    Remove(Key, Vec<u8>),
    /// Takes the members that come before this one in byte order out of a set. Answers [`Reply::Done`].
    RemoveBelow(Key, Vec<u8>),
    /// Lets a set go at that time, unless it is told another one before. Answers [`Reply::Done`].
    Expire(Key, Timestamp),
    /// Deletes a set or a key with an expiry; a record is deleted by a [`Commit`] only. Answers [`Reply::Done`].
    Delete(Key),
    /// Appends an entry to a stream. Answers [`Reply::Done`].
    Append(Key, Vec<u8>),
    /// Forgets the entries of a stream up to this sequence; the link of the last one stays known. Answers [`Reply::Done`].
    Trim(Key, u64),
    /// Tells all gateways, this one too, after the steps before it. Answers [`Reply::Done`].
    Notify(Note),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `None` if the key is not there or its expiry lies in the past.
    Value(Option<Versioned>),
    /// None if there is no such set.
    Members(Vec<Vec<u8>>),
    Created(bool),
    Done,
}

/// One write of a commit; all keys of a commit lie in one [`Shard`].
#[derive(Debug, Clone)]
pub enum Write {
    /// Writes the record; its revision becomes one more than it was.
    Put(Key, Vec<u8>),
    Delete(Key),
    /// Adds to a set; present already is fine.
    Insert(Key, Vec<u8>),
    /// Takes out of a set; absent already is fine.
    Remove(Key, Vec<u8>),
    /// Appends an entry to a stream, the only one in the commit; several keep their order.
    Append(Key, Vec<u8>),
    /// Counts one more in a tally; its time becomes this one, unless it is later already.
    Touch(Key, Timestamp),
    /// Tells all gateways, this one too, once the commit is visible; a commit that conflicts tells nothing.
    Notify(Note),
}

impl Write {
    /// What it writes to; a note is no write.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Put(key, _)
            | Self::Delete(key)
            | Self::Insert(key, _)
            | Self::Remove(key, _)
            | Self::Append(key, _)
            | Self::Touch(key, _) => Some(key),
            Self::Notify(_) => None,
        }
    }
}

/// An atomic change: applied as a whole if every expected revision still holds, else not at all.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    pub expect: Vec<(Key, Revision)>,
    pub writes: Vec<Write>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    Applied,
    /// An expected revision no longer holds; nothing was written. Load again, plan again.
    Conflict,
}

/// The store did not answer, or not in a form we know. Nothing may be assumed about the write.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("the store is not reachable: {0}")]
    Unavailable(String),
    #[error("the store did not answer within {0} ms")]
    Timeout(u64),
    /// It was done, but a failover may undo it: too few replicas have it. See `redis::Replicas`.
    #[error("{acknowledged} replicas of the store acknowledged a write that {wanted} must have")]
    NotReplicated { acknowledged: u64, wanted: u32 },
    #[error("the store holds what this version cannot read: {0}")]
    Corrupt(String),
    /// somebody else than a gateway wrote it.
    #[error("the store holds what none of our gateways wrote: {0}")]
    Forged(String),
    /// A fault of the caller, found before anything was sent.
    #[error("the store was asked for what it does not do: {0}")]
    Misuse(&'static str),
}

impl StoreError {
    /// Stable code for logs, answers and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Forged(_) => "store_forged",
            _ => "store_unavailable",
        }
    }

    /// What to do about it, as `docs/REASONS.md` says it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Forged(_) => {
                "Treat it as an attack, unless `store.integrity_key_files` was just set or changed: `docs/REDIS.md` says how."
            }
            _ => "Look at `/readyz` and at the store's own log.",
        }
    }
}

/// A backend. Reads carry our clock, because expiry is judged by it and not by the server's.
///
/// Every call ends within a bound. After an error nothing may be assumed: a batch may have run in part, a commit that
/// timed out may have been applied or may still be. Who retries a commit loads the records again first.
pub trait Store: Send + Sync {
    /// Runs the steps in order, in one round trip, each atomic for itself; answers one reply for each. A Redis Cluster takes one
    /// round trip for each change of node from one step to the next.
    ///
    /// Steps may touch any number of shards. A set, a record and a key with an expiry are different [`Kind`]s of keys,
    /// and a step that does not fit its key's kind is refused with [`StoreError::Misuse`] before anything runs.
    fn batch(&self, now: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>>;

    /// Applies one atomic change within one shard. Durable when it returns (Redis: as durable as its `appendfsync`).
    ///
    /// Every key is put or deleted at most once in it. A record that was deleted and written anew starts over at
    /// revision 1, so a caller must not keep a revision across a deletion.
    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>>;

    /// Up to `limit` (1 to [`MEMBERS_PER_PAGE_MAX`]) members of a set that come after `after`, in byte order.
    fn members(
        &self,
        set: Key,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>>;

    /// Up to `limit` (1 to [`MEMBERS_PER_PAGE_MAX`]) members of a numbered set that come after the first `offset`, in byte order.
    /// Redis goes there in logarithmic time; the embedded store passes over what is before, or behind.
    fn page(&self, set: Key, offset: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>>;

    /// How many members a numbered set has.
    fn count(&self, set: Key) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Up to `limit` (1 to [`ENTRIES_PER_PAGE_MAX`]) entries of a stream whose sequence is above `after`, in order.
    ///
    /// Entries that were trimmed are passed over: compare with [`Store::stream_head`] where that matters.
    fn entries(&self, stream: Key, after: u64, limit: usize)
    -> BoxFuture<'_, Result<Vec<Entry>, StoreError>>;

    /// How far a stream goes.
    fn stream_head(&self, stream: Key) -> BoxFuture<'_, Result<StreamHead, StoreError>>;

    /// Hears the notes of all gateways from now on.
    fn notes(&self) -> Notes;

    /// Whether notes arrive, as far as is known.
    fn is_listening(&self) -> bool;

    /// Answers when the store can take writes.
    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// Opens the backend that the settings name.
pub async fn open(settings: &Settings) -> Result<Arc<dyn Store>, StoreError> {
    Ok(open_whole(settings).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_documented() {
        for error in [StoreError::Timeout(1), StoreError::Forged("pc".into())] {
            let entry = format!("\n- `{}`", error.code());
            let (_, after) = include_str!("../../docs/REASONS.md").split_once(&entry).expect(&entry);
            let line = after.lines().next().unwrap();
            assert!(line.ends_with(error.hint()), "{entry}: {}", error.hint());
        }
    }
}
