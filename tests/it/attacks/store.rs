//! A store that counts what is written to it.
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use portcullis::{
    domain::Timestamp,
    store::{BoxFuture, Commit, Committed, Key, Op, Reply, Store, StoreError},
};

use crate::support::layer::{Layer, in_front};

pub struct Recording {
    inner: Arc<dyn Store>,
    log: Arc<Log>,
}

impl Recording {
    pub fn before(inner: Arc<dyn Store>, log: Arc<Log>) -> Arc<dyn Store> {
        in_front(Self { inner, log })
    }
}

#[derive(Default)]
pub struct Log {
    writes: AtomicUsize,
    /// Round trips about sessions, requests and one-time marks: what nobody but a sign-in or a logout makes.
    trips: AtomicUsize,
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

    pub fn trips(&self) -> usize {
        self.trips.load(Ordering::SeqCst)
    }

    pub fn set_ends(&self) -> Vec<Timestamp> {
        self.set_ends.lock().unwrap().clone()
    }

    /// The steps that take every one-time mark away.
    pub fn unmark(&self) -> Vec<Op> {
        self.marks.lock().unwrap().drain(..).map(Op::Delete).collect()
    }
}

fn is_of_a_session(op: &Op) -> bool {
    let (Op::Get(key)
    | Op::Take(key)
    | Op::PutOnce { key, .. }
    | Op::Put { key, .. }
    | Op::Replace { key, .. }
    | Op::Delete(key)) = op
    else {
        return false;
    };
    matches!(
        key,
        Key::Session(_)
            | Key::PendingSignIn(_)
            | Key::UsedAssertion(_)
            | Key::PendingLogout(_)
            | Key::LoggedOut(_)
    )
}

impl Layer for Recording {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn batch(&self, now: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        let writes = ops.iter().filter(|op| !matches!(op, Op::Get(_) | Op::PutOnce { .. })).count();
        self.log.writes.fetch_add(writes, Ordering::SeqCst);
        if ops.iter().any(is_of_a_session) {
            self.log.trips.fetch_add(1, Ordering::SeqCst);
        }
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

    fn look(&self, at: Option<Key>) {
        if matches!(at, Some(Key::PersonSessions(..) | Key::SubjectSessions(_))) {
            self.log.trips.fetch_add(1, Ordering::SeqCst);
        }
    }
}
