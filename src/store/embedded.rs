//! The embedded store: one file, one process, nothing to install.
//!
//! One thread writes. What queues up while it waits for the disk goes into one transaction with one flush, each batch
//! and each commit still whole for itself: a commit whose expectations fail writes nothing and spoils nobody else's.
//! Answers go out after the flush, so what was answered survives a crash. Reads run in the caller's thread on the last
//! flushed state; they come from redb's cache or a few page reads. Calls may come from any runtime that has its timer
//! enabled.
mod numbered;
mod rooms;
mod streams;
mod tables;
mod whole;
mod writer;

use std::{
    fs::{DirBuilder, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use redb::{Builder, Database, DatabaseError, ReadableDatabase, backends::FileBackend};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{
    BoxFuture, Commit, Committed, Entry, Heard, Key, NOTES_QUEUED_MAX, Notes, Op, Reply, Store, StoreError,
    StreamHead, Timestamp, rules,
    stream::Link,
    whole::{Next, Visit, Whole},
};
use tables::unavailable;
use writer::{Done, Job, Work};

/// Requests that wait for the writer; more wait for their turn to queue.
const JOBS_QUEUED_MAX: usize = 1_024;
/// A disk that takes longer than this for a request is as good as gone.
const WRITE_MILLIS_MAX: u64 = 10_000;
/// How long opening waits for another process to let go of the file.
const LOCK_MILLIS_MAX: u64 = 3_000;
const LOCK_RETRY_MILLIS: u64 = 50;
/// What redb may keep in memory.
const CACHE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where the embedded store lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The database file; its folder is made if it is not there.
    pub path: PathBuf,
}

/// See the module's documentation. Dropping it waits until what was queued is written.
pub struct Embedded {
    database: Arc<Database>,
    /// `None` only while it is being dropped.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    /// One process, so its gateways are one, and telling it is enough.
    told: broadcast::Sender<Heard>,
}

impl Embedded {
    /// Opens or creates the file, which belongs to this process until the store is dropped.
    pub fn open(settings: &Settings) -> Result<Self, StoreError> {
        let database = open_database(settings)?;
        tables::prepare(&database)?;
        let database = Arc::new(database);
        let (jobs, queue) = mpsc::channel(JOBS_QUEUED_MAX);
        let told = broadcast::Sender::new(NOTES_QUEUED_MAX);
        let (for_writer, tells) = (Arc::clone(&database), told.clone());
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer::run(&for_writer, queue, &tells))
            .map_err(|error| StoreError::Unavailable(format!("no thread for the writer: {error}")))?;
        Ok(Self { database, jobs: Some(jobs), writer: Some(writer), told })
    }

    /// Queues work and waits until it is durable.
    async fn write(&self, work: Work) -> Result<Done, StoreError> {
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(writer_ended)?;
        let written = async {
            jobs.send(Job { work, answer }).await.map_err(|_| writer_ended())?;
            answered.await.unwrap_or_else(|_| Err(writer_ended()))
        };
        let limit = Duration::from_millis(WRITE_MILLIS_MAX);
        tokio::time::timeout(limit, written).await.unwrap_or(Err(StoreError::Timeout(WRITE_MILLIS_MAX)))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has been reported by its panic; its callers got an error.
            let _ = writer.join();
        }
    }
}

impl Store for Embedded {
    fn batch(&self, now: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        Box::pin(async move {
            rules::check_batch(&ops)?;
            if ops.iter().all(rules::reads_only) {
                return tables::read(&self.database.begin_read().map_err(unavailable)?, now, &ops);
            }
            match self.write(Work::Batch { now, ops }).await? {
                Done::Batch(replies) => Ok(replies),
                Done::Commit(_) | Done::Ready => Err(writer_ended()),
            }
        })
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        Box::pin(async move {
            rules::check_commit(&change)?;
            match self.write(Work::Commit(change)).await? {
                Done::Commit(committed) => Ok(committed),
                Done::Batch(_) | Done::Ready => Err(writer_ended()),
            }
        })
    }

    fn members(
        &self,
        set: Key,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            rules::check_members(&set, limit)?;
            tables::members(&self.database.begin_read().map_err(unavailable)?, &set, after.as_deref(), limit)
        })
    }

    fn page(&self, set: Key, offset: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            rules::check_page(&set, limit)?;
            numbered::page(&self.database.begin_read().map_err(unavailable)?, &set, offset, limit)
        })
    }

    fn count(&self, set: Key) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            rules::check_numbered(&set)?;
            numbered::count(&self.database.begin_read().map_err(unavailable)?, &set)
        })
    }

    fn entries(
        &self,
        stream: Key,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        Box::pin(async move {
            rules::check_entries(&stream, limit)?;
            streams::entries(&self.database.begin_read().map_err(unavailable)?, &stream, after, limit)
        })
    }

    fn stream_head(&self, stream: Key) -> BoxFuture<'_, Result<StreamHead, StoreError>> {
        Box::pin(async move {
            rules::stream(&stream)?;
            streams::head(&self.database.begin_read().map_err(unavailable)?, &stream)
        })
    }

    fn notes(&self) -> Notes {
        Notes::new(self.told.subscribe())
    }

    fn is_listening(&self) -> bool {
        true
    }

    /// Writes and flushes: a full or broken disk refuses just that.
    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.write(Work::Ready).await.map(drop) })
    }
}

impl Whole for Embedded {
    fn walk<'a>(
        &'a self,
        _now: Timestamp,
        visit: &'a mut Visit<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { whole::walk(&self.database, visit) })
    }

    fn restore<'a>(
        &'a self,
        _now: Timestamp,
        _import: Link,
        next: &'a mut Next<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { whole::restore(&self.database, next) })
    }
}

fn writer_ended() -> StoreError {
    StoreError::Unavailable("its writer has ended".into())
}

/// A process that is ending holds the file a little longer, and so does a child that it was just starting: a lock goes with
/// every copy of the descriptor.
fn open_database(settings: &Settings) -> Result<Database, StoreError> {
    let give_up = Instant::now() + Duration::from_millis(LOCK_MILLIS_MAX);
    loop {
        let file = open_file(&settings.path).map_err(|error| {
            StoreError::Unavailable(format!("{} cannot be opened: {error}", settings.path.display()))
        })?;
        let database = FileBackend::new(file)
            .and_then(|file| Builder::new().set_cache_size(CACHE_BYTES_MAX).create_with_backend(file));
        match database {
            Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => {
                if Instant::now() >= give_up {
                    let path = settings.path.display();
                    return Err(StoreError::Unavailable(format!("{path} is in use by another process")));
                }
                std::thread::sleep(Duration::from_millis(LOCK_RETRY_MILLIS));
            }
            other => return other.map_err(unavailable),
        }
    }
}

/// Folder and file are for their owner only.
fn open_file(path: &std::path::Path) -> std::io::Result<std::fs::File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
