//! A store that measures another: how long each kind of operation takes, as a metric.
use std::{sync::Arc, time::Instant};

use super::{
    BoxFuture, Commit, Committed, Entry, Key, Notes, Op, Reply, Store, StoreError, StreamHead, Timestamp,
};
use crate::telemetry::{DurationHistogram, Metrics};

/// See the module's documentation.
pub struct Timed {
    inner: Arc<dyn Store>,
    batch: DurationHistogram,
    commit: DurationHistogram,
    members: DurationHistogram,
    entries: DurationHistogram,
    ready: DurationHistogram,
}

impl Timed {
    pub fn new(inner: Arc<dyn Store>, metrics: &Metrics) -> Self {
        Self {
            inner,
            batch: metrics.store_operation("batch"),
            commit: metrics.store_operation("commit"),
            members: metrics.store_operation("members"),
            entries: metrics.store_operation("entries"),
            ready: metrics.store_operation("ready"),
        }
    }
}

/// Measures until the answer, whatever it is; an operation that is given up is not counted.
async fn timed<T>(histogram: &DurationHistogram, operation: BoxFuture<'_, T>) -> T {
    let begun = Instant::now();
    let answer = operation.await;
    histogram.observe(begun.elapsed());
    answer
}

impl Store for Timed {
    fn batch(&self, now: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        Box::pin(timed(&self.batch, self.inner.batch(now, ops)))
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        Box::pin(timed(&self.commit, self.inner.commit(change)))
    }

    fn members(
        &self,
        set: Key,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        Box::pin(timed(&self.members, self.inner.members(set, after, limit)))
    }

    fn page(&self, set: Key, offset: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        Box::pin(timed(&self.members, self.inner.page(set, offset, limit)))
    }

    fn count(&self, set: Key) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(timed(&self.members, self.inner.count(set)))
    }

    fn entries(
        &self,
        stream: Key,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        Box::pin(timed(&self.entries, self.inner.entries(stream, after, limit)))
    }

    fn stream_head(&self, stream: Key) -> BoxFuture<'_, Result<StreamHead, StoreError>> {
        Box::pin(timed(&self.entries, self.inner.stream_head(stream)))
    }

    fn notes(&self) -> Notes {
        self.inner.notes()
    }

    fn is_listening(&self) -> bool {
        self.inner.is_listening()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(timed(&self.ready, self.inner.ready()))
    }
}
