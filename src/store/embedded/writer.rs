//! The writer: takes what has queued up, applies it in one transaction, flushes once, then answers.
use redb::Database;
use tokio::sync::{mpsc, oneshot};

use super::tables::{Tables, unavailable};
use crate::{
    domain::Timestamp,
    store::{Commit, Committed, Op, Reply, StoreError},
};

/// Jobs in one transaction: keeps the last one's wait, and what a failure takes down, bounded.
const JOBS_PER_FLUSH_MAX: usize = 256;
/// Expired values that one transaction takes away, at least; one more for every step keeps the sweep ahead.
const SWEPT_PER_FLUSH_MIN: usize = 256;

/// A request, and where its answer goes. Who gave up waiting drops the receiver; the work is done all the same.
pub(super) struct Job {
    pub work: Work,
    pub answer: oneshot::Sender<Result<Done, StoreError>>,
}

pub(super) enum Work {
    Batch {
        now: Timestamp,
        ops: Vec<Op>,
    },
    Commit(Commit),
    /// Writes something that nobody reads.
    Ready,
}

pub(super) enum Done {
    Batch(Vec<Reply>),
    Commit(Committed),
    Ready,
}

/// Runs until every sender is gone and the queue is empty.
pub(super) fn run(database: &Database, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let mut jobs = vec![first];
        while jobs.len() < JOBS_PER_FLUSH_MAX
            && let Ok(job) = queue.try_recv()
        {
            jobs.push(job);
        }
        flush(database, jobs);
    }
}

/// Applies the jobs in one transaction. If it fails, none of them happened, and each is told so.
fn flush(database: &Database, jobs: Vec<Job>) {
    let (works, answers): (Vec<_>, Vec<_>) = jobs.into_iter().map(|job| (job.work, job.answer)).unzip();
    let mut results = apply(database, works).map(Vec::into_iter).inspect_err(|error| {
        tracing::error!(%error, "the embedded store cannot write");
    });
    for answer in answers {
        let result = match &mut results {
            Ok(results) => results.next().unwrap_or_else(|| Err(StoreError::Unavailable("no result".into()))),
            Err(error) => Err(error.clone()),
        };
        // Nobody listens if the caller stopped waiting.
        let _ = answer.send(result);
    }
}

/// Answers each work's result once all of them are durable.
fn apply(database: &Database, works: Vec<Work>) -> Result<Vec<Result<Done, StoreError>>, StoreError> {
    // Dropped without a commit, a transaction leaves nothing behind.
    let transaction = database.begin_write().map_err(unavailable)?;
    let mut tables = Tables::open(&transaction)?;
    let mut results = Vec::with_capacity(works.len());
    let mut latest = None;
    let mut swept_max = SWEPT_PER_FLUSH_MIN;
    for work in works {
        if let Work::Batch { now, ops } = &work {
            latest = latest.max(Some(*now));
            swept_max += ops.len();
        }
        match one(&mut tables, work) {
            // A single value that cannot be read concerns only who asked for it; it is found before anything of the
            // step or the commit is written. Everything else is the storage's failure and everyone's.
            result @ (Ok(_) | Err(StoreError::Corrupt(_))) => results.push(result),
            Err(error) => return Err(error),
        }
    }
    if let Some(now) = latest {
        tables.sweep(now, swept_max)?;
    }
    let changed = tables.changed;
    drop(tables);
    // Conflicts, and marks that were there already, leave nothing to make durable.
    if changed {
        transaction.commit().map_err(unavailable)?
    } else {
        transaction.abort().map_err(unavailable)?
    }
    Ok(results)
}

fn one(tables: &mut Tables<'_>, work: Work) -> Result<Done, StoreError> {
    match work {
        Work::Batch { now, ops } => {
            ops.into_iter().map(|op| tables.step(now, op)).collect::<Result<_, _>>().map(Done::Batch)
        }
        Work::Commit(change) => tables.commit(change).map(Done::Commit),
        Work::Ready => tables.touch().map(|()| Done::Ready),
    }
}
