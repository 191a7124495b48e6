//! A store in front of another, for tests and benchmarks that watch or disturb what goes to it.
use std::sync::{Arc, Mutex};

use portcullis::{
    domain::Timestamp,
    store::{BoxFuture, Commit, Committed, Entry, Key, Notes, Op, Reply, Store, StoreError, StreamHead},
};

/// What a call does that goes to another store: by itself, the same.
pub trait Layer: Send + Sync + 'static {
    fn inner(&self) -> &Arc<dyn Store>;

    fn batch(&self, now: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        self.inner().batch(now, ops)
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        self.inner().commit(change)
    }

    /// A look that no other method here sees: at a set, a stream, or whether the store is ready.
    fn look(&self, _at: Option<Key>) {}
}

struct Front<L>(L);

/// The layer as a store.
pub fn in_front<L: Layer>(layer: L) -> Arc<dyn Store> {
    Arc::new(Front(layer))
}

impl<L: Layer> Store for Front<L> {
    fn batch(&self, now: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        self.0.batch(now, ops)
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        self.0.commit(change)
    }

    fn members(
        &self,
        set: Key,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        self.0.look(Some(set));
        self.0.inner().members(set, after, limit)
    }

    fn page(&self, set: Key, offset: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        self.0.look(Some(set));
        self.0.inner().page(set, offset, limit)
    }

    fn count(&self, set: Key) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.0.look(Some(set));
        self.0.inner().count(set)
    }

    fn entries(
        &self,
        stream: Key,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        self.0.look(Some(stream));
        self.0.inner().entries(stream, after, limit)
    }

    fn stream_head(&self, stream: Key) -> BoxFuture<'_, Result<StreamHead, StoreError>> {
        self.0.look(Some(stream));
        self.0.inner().stream_head(stream)
    }

    fn notes(&self) -> Notes {
        self.0.inner().notes()
    }

    fn is_listening(&self) -> bool {
        self.0.inner().is_listening()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.look(None);
        self.0.inner().ready()
    }
}

/// What somebody else commits right before the next commit arrives.
pub type Faster = Arc<Mutex<Option<Commit>>>;

struct Overtaken {
    inner: Arc<dyn Store>,
    faster: Faster,
}

impl Layer for Overtaken {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        Box::pin(async move {
            let faster = self.faster.lock().unwrap().take();
            if let Some(faster) = faster {
                assert_eq!(self.inner.commit(faster).await?, Committed::Applied);
            }
            self.inner.commit(change).await
        })
    }
}

/// A store in which somebody else is faster.
pub fn overtaken(inner: Arc<dyn Store>, faster: Faster) -> Arc<dyn Store> {
    in_front(Overtaken { inner, faster })
}
