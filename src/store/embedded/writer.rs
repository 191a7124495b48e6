//! The writer: takes what has queued up, applies it in one transaction, flushes once, then answers.
use redb::{Database, Durability};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::tables::{Tables, unavailable};
use crate::{
    domain::Timestamp,
    store::{Commit, Committed, Heard, Note, Op, Reply, StoreError},
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
pub(super) fn run(database: &Database, mut queue: mpsc::Receiver<Job>, told: &broadcast::Sender<Heard>) {
    while let Some(first) = queue.blocking_recv() {
        let mut jobs = vec![first];
        while jobs.len() < JOBS_PER_FLUSH_MAX
            && let Ok(job) = queue.try_recv()
        {
            jobs.push(job);
        }
        flush(database, jobs, told);
    }
}

/// Applies the jobs in one transaction. If it fails, none of them happened, and each is told so.
fn flush(database: &Database, jobs: Vec<Job>, told: &broadcast::Sender<Heard>) {
    let (works, answers): (Vec<_>, Vec<_>) = jobs.into_iter().map(|job| (job.work, job.answer)).unzip();
    let applied = apply(database, works).inspect_err(|error| {
        tracing::error!(%error, "the embedded store cannot write");
    });
    let mut results = applied.map(|(results, notes)| {
        for note in notes {
            // Perhaps nobody listens.
            let _ = told.send(Heard::Note(note));
        }
        results.into_iter()
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

/// Each work's result, and what is to be told.
type Applied = (Vec<Result<Done, StoreError>>, Vec<Note>);

/// Answers once all of the works are durable.
fn apply(database: &Database, works: Vec<Work>) -> Result<Applied, StoreError> {
    // Dropped without a commit, a transaction leaves nothing behind.
    let mut transaction = database.begin_write().map_err(unavailable)?;
    transaction.set_durability(Durability::Immediate).map_err(unavailable)?;
    let mut tables = Tables::of(&transaction);
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
    let notes = std::mem::take(&mut tables.notes);
    drop(tables);
    // Conflicts, and marks that were there already, leave nothing to make durable.
    if changed {
        transaction.commit().map_err(unavailable)?
    } else {
        transaction.abort().map_err(unavailable)?
    }
    Ok((results, notes))
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

#[cfg(test)]
mod tests {
    use redb::{Builder, ReadableDatabase, ReadableTableMetadata, backends::InMemoryBackend};

    use super::*;
    use crate::{
        domain::{EnterpriseId, PersonId, SessionId},
        store::{
            Key, Write,
            embedded::{rooms::Room, tables},
        },
    };

    fn database() -> Database {
        let database = Builder::new().create_with_backend(InMemoryBackend::new()).unwrap();
        tables::prepare(&database).unwrap();
        database
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    fn person(n: u8) -> Key {
        Key::Person(EnterpriseId::from_bytes([1; 16]), PersonId::from_bytes([n; 16]))
    }

    fn session(n: u8) -> Key {
        Key::Session(SessionId::from_bytes([n; 32]))
    }

    fn put_session(n: u8, now: i64, expires_at: i64) -> Work {
        let put = Op::Put { key: session(n), value: vec![n], expires_at: at(expires_at) };
        Work::Batch { now: at(now), ops: vec![put] }
    }

    /// Rows of values and of expiries.
    fn rows(database: &Database) -> (u64, u64) {
        let read = database.begin_read().unwrap();
        let rows = |rooms: &[Room]| rooms.iter().map(|room| room.read(&read).unwrap().len().unwrap()).sum();
        (rows(&Room::VALUES), rows(&[Room::Expiries, Room::PassingExpiries]))
    }

    #[test]
    fn jobs_of_one_flush_do_not_spoil_each_other() {
        let database = database();
        let put = |n| Write::Put(person(n), vec![n]);
        let commit = |expect, writes| Work::Commit(Commit { expect, writes });
        {
            let transaction = database.begin_write().unwrap();
            let mut records = transaction.open_table(Room::Records.definition()).unwrap();
            records.insert(&person(9).bytes()[..], &b"?"[..]).unwrap();
            drop(records);
            transaction.commit().unwrap();
        }
        let works = vec![
            commit(vec![(person(1), 0)], vec![put(1)]),
            commit(vec![(person(1), 0)], vec![put(1), put(2)]),
            commit(vec![(person(9), 0)], vec![put(3)]),
            commit(vec![], vec![put(4), put(9)]),
            commit(vec![(person(1), 1)], vec![put(5)]),
        ];
        let (results, _) = apply(&database, works).unwrap();
        assert!(matches!(results[0], Ok(Done::Commit(Committed::Applied))));
        assert!(matches!(results[1], Ok(Done::Commit(Committed::Conflict))), "sees what the first one wrote");
        assert!(matches!(results[2], Err(StoreError::Corrupt(_))));
        assert!(matches!(results[3], Err(StoreError::Corrupt(_))));
        assert!(matches!(results[4], Ok(Done::Commit(Committed::Applied))));
        let read = database.begin_read().unwrap();
        let gets = [1, 2, 3, 4, 5].map(|n| Op::Get(person(n)));
        let found = tables::read(&read, at(0), &gets).unwrap();
        let there: Vec<_> = found.iter().map(|reply| *reply != Reply::Value(None)).collect();
        assert_eq!(there, [true, false, false, false, true]);
    }

    #[test]
    fn the_sweep_takes_what_expired_and_nothing_else() {
        let database = database();
        apply(&database, vec![put_session(1, 0, 1_000), put_session(2, 0, 200_000)]).unwrap();
        apply(
            &database,
            vec![Work::Commit(Commit { expect: vec![], writes: vec![Write::Put(person(1), vec![])] })],
        )
        .unwrap();
        assert_eq!(rows(&database), (3, 2));
        apply(&database, vec![put_session(1, 0, 300_000)]).unwrap();
        assert_eq!(rows(&database), (3, 2), "what is prolonged is looked at when it was to go before");
        apply(&database, vec![put_session(3, 100_000, 400_000)]).unwrap();
        assert_eq!(rows(&database), (4, 3), "the first expiry of session 1 no longer counts");
        let gone = Work::Batch { now: at(100_000), ops: vec![Op::Take(session(1)), Op::Delete(session(3))] };
        apply(&database, vec![gone]).unwrap();
        assert_eq!(rows(&database), (2, 3), "what is taken or deleted leaves its row");
        apply(&database, vec![put_session(4, 260_000, 400_000)]).unwrap();
        assert_eq!(rows(&database), (3, 4), "not before the margin is over");
        apply(&database, vec![put_session(4, 260_001, 400_000)]).unwrap();
        assert_eq!(rows(&database), (2, 3));
        apply(&database, vec![put_session(5, 460_001, 900_000)]).unwrap();
        assert_eq!(rows(&database), (2, 1), "rows of what was taken or deleted go at their time");
        apply(&database, vec![put_session(5, 460_001, 500_000)]).unwrap();
        apply(&database, vec![put_session(6, 560_001, 900_000)]).unwrap();
        assert_eq!(rows(&database), (2, 2), "what is to go earlier than before goes then");
    }

    /// What a row says of one room is not done to another: marks and sessions are swept side by side.
    #[test]
    fn all_rooms_are_swept() {
        let database = database();
        let put = |key| Op::Put { key, value: vec![], expires_at: at(1_000) };
        let token = Key::AccessToken([1; 32]);
        let keys = [session(1), Key::UsedAssertion([2; 32]), Key::LoggedOut([3; 32]), token];
        apply(&database, vec![Work::Batch { now: at(0), ops: keys.map(put).to_vec() }]).unwrap();
        assert_eq!(rows(&database), (4, 4));
        apply(&database, vec![put_session(9, 61_001, 900_000)]).unwrap();
        assert_eq!(rows(&database), (1, 1));
    }

    #[test]
    fn a_set_goes_at_the_time_that_it_was_told_last() {
        let database = database();
        let set = |n| Key::SubjectSessions(crate::domain::SubjectId::from_bytes([n; 16]));
        let members = |n| tables::members(&database.begin_read().unwrap(), &set(n), None, 9).unwrap().len();
        let batch = |now, ops| apply(&database, vec![Work::Batch { now: at(now), ops }]).unwrap();
        let insert = |n| Op::Insert(set(n), vec![n]);
        batch(
            0,
            vec![
                insert(1),
                Op::Expire(set(1), at(1_000)),
                insert(2),
                Op::Expire(set(2), at(1_000)),
                insert(3),
            ],
        );
        // Its time lies beside its members, and is none of them.
        batch(500, vec![Op::Expire(set(2), at(200_000)), Op::RemoveBelow(set(1), vec![1])]);
        assert_eq!((members(1), members(2)), (1, 1));
        batch(61_001, vec![put_one()]);
        assert_eq!((members(1), members(2), members(3)), (0, 1, 1));
        batch(260_001, vec![put_one()]);
        assert_eq!((members(1), members(2), members(3)), (0, 0, 1));
    }

    fn put_one() -> Op {
        Op::Put { key: session(9), value: vec![], expires_at: at(900_000) }
    }

    #[test]
    fn the_sweep_is_bounded_and_gets_ahead() {
        let database = database();
        let expired = 2 * SWEPT_PER_FLUSH_MIN;
        let key = |n: usize| {
            Key::UsedAssertion({
                let mut digest = [0; 32];
                digest[..8].copy_from_slice(&(n as u64).to_be_bytes());
                digest
            })
        };
        let put = |n| Op::Put { key: key(n), value: vec![], expires_at: at(0) };
        apply(&database, vec![Work::Batch { now: at(0), ops: (0..expired).map(put).collect() }]).unwrap();
        assert_eq!(rows(&database).0, expired as u64);
        let delete = || Work::Batch { now: at(100_000), ops: vec![Op::Delete(session(1))] };
        apply(&database, vec![delete()]).unwrap();
        assert_eq!(rows(&database).0, (expired - SWEPT_PER_FLUSH_MIN - 1) as u64);
        apply(&database, vec![delete()]).unwrap();
        assert_eq!(rows(&database), (0, 0));
    }

    #[test]
    fn a_file_of_another_format_is_refused() {
        let database = database();
        tables::prepare(&database).unwrap();
        for other in [1, 3] {
            tables::set_format(&database, other);
            let Err(StoreError::Corrupt(why)) = tables::prepare(&database) else { panic!("format {other}") };
            assert!(why.contains(&format!("format {other}")) && why.contains("`export`"), "{why}");
        }
    }
}
