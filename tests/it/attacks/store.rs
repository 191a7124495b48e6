//! A store that counts what is written to it.
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use portcullis::{
    domain::Timestamp,
    store::{BoxFuture, Commit, Committed, Entry, Key, Notes, Op, Reply, Store, StoreError, StreamHead},
};

pub struct Recording {
    pub inner: Arc<dyn Store>,
    pub log: Arc<Log>,
}

#[derive(Default)]
pub struct Log {
    writes: AtomicUsize,
    /// One-time marks.
    marks: Mutex<Vec<Key>>,
    /// Until when sets were told to stay.
    set_ends: Mutex<Vec<Timestamp>>,
    /// Whether another is always faster to take what is taken once.
    pub robbed: AtomicBool,
}

impl Log {
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    pub fn set_ends(&self) -> Vec<Timestamp> {
        self.set_ends.lock().unwrap().clone()
    }

    /// The steps that take every one-time mark away.
    pub fn unmark(&self) -> Vec<Op> {
        self.marks.lock().unwrap().drain(..).map(Op::Delete).collect()
    }
}

impl Store for Recording {
    fn batch(&self, now: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        let writes = ops.iter().filter(|op| !matches!(op, Op::Get(_) | Op::PutOnce { .. })).count();
        self.log.writes.fetch_add(writes, Ordering::SeqCst);
        let marks = ops.iter().filter_map(|op| match op {
            Op::PutOnce { key, .. } => Some(*key),
            _ => None,
        });
        self.log.marks.lock().unwrap().extend(marks);
        let set_ends = ops.iter().filter_map(|op| match op {
            Op::Expire(_, end) => Some(*end),
            _ => None,
        });
        self.log.set_ends.lock().unwrap().extend(set_ends);
        let taken = ops.iter().filter_map(|op| match op {
            Op::Take(key) if self.log.robbed.load(Ordering::SeqCst) => Some(Op::Take(*key)),
            _ => None,
        });
        let taken: Vec<Op> = taken.collect();
        Box::pin(async move {
            if !taken.is_empty() {
                self.inner.batch(now, taken).await?;
            }
            let once: Vec<bool> = ops.iter().map(|op| matches!(op, Op::PutOnce { .. })).collect();
            let replies = self.inner.batch(now, ops).await?;
            // A mark that was there already is not written again.
            let marked =
                replies.iter().zip(once).filter(|(reply, once)| *once && **reply == Reply::Created(true));
            self.log.writes.fetch_add(marked.count(), Ordering::SeqCst);
            Ok(replies)
        })
    }
    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        self.log.writes.fetch_add(change.writes.len(), Ordering::SeqCst);
        self.inner.commit(change)
    }
    fn members(
        &self,
        set: Key,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        self.inner.members(set, after, limit)
    }
    fn page(&self, set: Key, offset: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        self.inner.page(set, offset, limit)
    }
    fn count(&self, set: Key) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.inner.count(set)
    }
    fn entries(
        &self,
        stream: Key,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        self.inner.entries(stream, after, limit)
    }
    fn stream_head(&self, stream: Key) -> BoxFuture<'_, Result<StreamHead, StoreError>> {
        self.inner.stream_head(stream)
    }
    fn notes(&self) -> Notes {
        self.inner.notes()
    }
    fn is_listening(&self) -> bool {
        self.inner.is_listening()
    }
    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.ready()
    }
}
