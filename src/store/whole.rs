//! The whole store, walked and restored: for `export`, `import` and `check --store`, and for nothing that serves requests.
use std::sync::Arc;

use super::{
    BoxFuture, Entry, Key, Revision, Sealed, Settings, Store, StoreError, StreamHead, embedded, redis,
    stream::Link,
};
use crate::domain::Timestamp;

/// Members that travel in one piece.
pub const MEMBERS_PER_PIECE_MAX: usize = 1_000;

/// A part of what lies in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Record {
        key: Key,
        revision: Revision,
        value: Vec<u8>,
    },
    Expiring {
        key: Key,
        expires_at: Timestamp,
        value: Vec<u8>,
    },
    Tally {
        key: Key,
        count: u64,
        latest: Timestamp,
    },
    /// Some members of a set; the rest follows, or came before.
    Members {
        key: Key,
        members: Vec<Vec<u8>>,
    },
    /// When a set goes; behind its members.
    Until {
        key: Key,
        at: Timestamp,
    },
    /// How far a stream goes; before its entries.
    Head {
        key: Key,
        head: StreamHead,
    },
    Entry {
        key: Key,
        entry: Entry,
    },
    /// A key that this version does not know, or a value that it cannot read.
    Foreign {
        key: String,
        why: &'static str,
    },
}

pub type Visit<'v> = dyn FnMut(Piece) -> Result<(), StoreError> + Send + 'v;
pub type Next<'n> = dyn FnMut() -> Result<Option<Piece>, StoreError> + Send + 'n;

/// A backend that can be read and filled as a whole.
pub trait Whole: Store {
    /// Shows everything once, in no order but that a stream's head comes before its entries and a set's
    /// time behind its members; stops at the first error of
    /// `visit`. The embedded store shows one moment; Redis shows what is there for the whole time, and of what changes meanwhile
    /// the one or the other.
    fn walk<'a>(&'a self, now: Timestamp, visit: &'a mut Visit<'a>) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Fills an empty store. The embedded store is filled as a whole or not at all. Redis is not; one that was given up goes on
    /// when the same import, by its id, begins anew.
    fn restore<'a>(
        &'a self,
        now: Timestamp,
        import: Link,
        next: &'a mut Next<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// Opens the backend that the settings name.
pub async fn open_whole(settings: &Settings) -> Result<Arc<dyn Whole>, StoreError> {
    Ok(match settings {
        Settings::Embedded(settings) => Arc::new(embedded::Embedded::open(settings)?),
        Settings::Redis(settings) => {
            let store = Arc::new(redis::Redis::connect(settings).await?);
            match settings.seal_keys.as_slice() {
                [] => store,
                keys => Arc::new(Sealed::new(store, keys.to_vec())),
            }
        }
    })
}

/// What an import finds that may not overwrite anything.
pub(super) fn not_empty() -> StoreError {
    StoreError::Unavailable("it is not empty, and an import overwrites nothing".into())
}
