//! The conformance suite: one list of cases that every backend passes.
use std::{collections::BTreeSet, future::Future, sync::Arc};

use portcullis::{
    domain::{EnterpriseId, OrganizationId, PersonId, RequestId, SessionId, Timestamp},
    store::{
        self, Commit, Committed, Key, Op, Reply, Revision, Store, StoreError, VALUE_BYTES_MAX, Versioned,
        Write,
    },
};
use proptest::{
    collection::vec,
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use tokio::task::JoinSet;

use crate::{store_numbered::*, store_streams::*, support::redis::RedisServer};

/// Enough for a busy machine; tests of time-outs choose their own.
pub const PATIENT_MILLIS: u64 = 20_000;
const SAMPLES: usize = 40;
/// Retries of one commit among the tasks that fight for its record.
const RETRIES_MAX: usize = 10_000;

macro_rules! conformance {
    ($($case:ident)*) => {
        /// All cases one after the other, each on an empty store.
        pub async fn every_case(mut empty: impl AsyncFnMut() -> Arc<dyn Store>) {
            $(
                println!("{}", stringify!($case));
                $case(empty().await).await;
            )*
        }
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::on_embedded(super::$case).await;
            })*
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::on_redis(super::$case).await;
            })*
        }
    };
}

conformance! {
    take_has_one_winner
    put_once_has_one_winner
    r_09_values_expire_by_our_clock
    what_was_deleted_is_not_replaced
    steps_run_in_order
    revisions_count_changes
    a_conflict_writes_nothing
    a_commit_deletes
    commits_stay_in_a_shard
    sets_are_paged_in_byte_order
    sets_are_kept_apart
    sets_are_trimmed_and_told_when_to_go
    r_01_bytes_come_back_as_they_were
    large_values_fit
    r_15_no_update_is_lost
    a_conflict_spoils_no_other_commit
    it_is_ready
    entries_are_numbered_and_linked
    concurrent_appends_leave_no_gap
    a_conflict_appends_nothing
    a_trimmed_stream_can_be_verified
    streams_are_kept_apart
    numbered_sets_are_counted_and_paged
    touches_commute
    notes_come_after_what_they_tell_of
    what_is_not_applied_is_not_told
}

async fn on_embedded<F: Future<Output = ()>>(case: impl FnOnce(Arc<dyn Store>) -> F) {
    let folder = tempfile::tempdir().unwrap();
    case(embedded(&folder).await).await;
}

async fn on_redis<F: Future<Output = ()>>(case: impl FnOnce(Arc<dyn Store>) -> F) {
    let server = RedisServer::start();
    case(redis(&server).await).await;
}

pub async fn embedded(folder: &tempfile::TempDir) -> Arc<dyn Store> {
    let path = folder.path().join("made/on/demand/store.redb");
    store::open(&store::Settings::Embedded(store::embedded::Settings { path })).await.unwrap()
}

pub async fn redis(server: &RedisServer) -> Arc<dyn Store> {
    let settings = store::redis::Settings::single(server.url(), PATIENT_MILLIS);
    store::open(&store::Settings::Redis(settings)).await.unwrap()
}

/// A point in time, so many milliseconds after the one at which the cases play.
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
}

pub fn enterprise(n: u8) -> EnterpriseId {
    EnterpriseId::from_bytes([n; 16])
}

pub fn person(n: u8) -> Key {
    Key::Person(enterprise(1), PersonId::from_bytes([n; 16]))
}

pub fn set(n: u8) -> Key {
    Key::OrganizationMembers(enterprise(1), OrganizationId::from_bytes([n; 16]))
}

pub fn session(n: u8) -> Key {
    Key::Session(SessionId::from_bytes([n; 32]))
}

pub fn put(key: Key, value: &[u8], expires_at: Timestamp) -> Op {
    Op::Put { key, value: value.to_vec(), expires_at }
}

fn replace(key: Key, value: &[u8], expires_at: Timestamp) -> Op {
    Op::Replace { key, value: value.to_vec(), expires_at }
}

pub async fn one(store: &Arc<dyn Store>, now: Timestamp, op: Op) -> Reply {
    let mut replies = store.batch(now, vec![op]).await.unwrap();
    assert_eq!(replies.len(), 1);
    replies.remove(0)
}

pub async fn get(store: &Arc<dyn Store>, now: Timestamp, key: Key) -> Option<Versioned> {
    match one(store, now, Op::Get(key)).await {
        Reply::Value(value) => value,
        other => panic!("{other:?}"),
    }
}

pub fn versioned(revision: Revision, value: &[u8]) -> Option<Versioned> {
    Some(Versioned { revision, value: value.to_vec() })
}

pub fn change(expect: &[(Key, Revision)], writes: &[Write]) -> Commit {
    Commit { expect: expect.to_vec(), writes: writes.to_vec() }
}

async fn all_members(store: &Arc<dyn Store>, set: Key, page: usize) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        let members = store.members(set, all.last().cloned(), page).await.unwrap();
        assert!(members.len() <= page);
        if members.is_empty() {
            return all;
        }
        all.extend(members);
    }
}

/// Runs the same step in many tasks at once; answers how many replies satisfied `won`.
async fn race(store: &Arc<dyn Store>, op: Op, won: fn(&Reply) -> bool) -> usize {
    let mut tasks = JoinSet::new();
    for _ in 0..32 {
        let (store, op) = (Arc::clone(store), op.clone());
        tasks.spawn(async move { one(&store, at(0), op).await });
    }
    tasks.join_all().await.iter().filter(|reply| won(reply)).count()
}

async fn take_has_one_winner(store: Arc<dyn Store>) {
    let key = Key::PendingSignIn(RequestId::from_bytes([9; 16]));
    for _ in 0..10 {
        one(&store, at(0), put(key, b"request", at(1_000))).await;
        let winners =
            race(&store, Op::Take(key), |reply| *reply == Reply::Value(versioned(0, b"request"))).await;
        assert_eq!(winners, 1);
        assert_eq!(get(&store, at(0), key).await, None);
    }
}

async fn put_once_has_one_winner(store: Arc<dyn Store>) {
    for n in 0..10 {
        let op = Op::PutOnce { key: Key::UsedAssertion([n; 32]), value: vec![n], expires_at: at(1_000) };
        assert_eq!(race(&store, op, |reply| *reply == Reply::Created(true)).await, 1);
        assert_eq!(get(&store, at(0), Key::UsedAssertion([n; 32])).await, versioned(0, &[n]));
    }
}

async fn r_09_values_expire_by_our_clock(store: Arc<dyn Store>) {
    // The server's clock stands years before this, or after it: only ours counts.
    for base in [-1_500_000_000_000, 0] {
        one(&store, at(base), put(session(1), b"x", at(base + 1_000))).await;
        assert_eq!(get(&store, at(base + 999), session(1)).await, versioned(0, b"x"));
        assert_eq!(get(&store, at(base + 1_000), session(1)).await, None);
        assert_eq!(one(&store, at(base + 1_000), Op::Take(session(1))).await, Reply::Value(None));
    }
    // One that has expired already when it is written is written all the same, and read by nobody.
    assert_eq!(one(&store, at(0), put(session(2), b"x", at(-1))).await, Reply::Done);
    assert_eq!(get(&store, at(0), session(2)).await, None);
}

async fn what_was_deleted_is_not_replaced(store: Arc<dyn Store>) {
    let revived = replace(session(1), b"new", at(9_000));
    assert_eq!(one(&store, at(0), revived.clone()).await, Reply::Created(false));
    one(&store, at(0), put(session(1), b"old", at(1_000))).await;
    assert_eq!(one(&store, at(0), revived.clone()).await, Reply::Created(true));
    assert_eq!(get(&store, at(8_999), session(1)).await, versioned(0, b"new"));
    assert_eq!(one(&store, at(0), Op::Delete(session(1))).await, Reply::Done);
    assert_eq!(one(&store, at(0), revived.clone()).await, Reply::Created(false));
    assert_eq!(get(&store, at(0), session(1)).await, None);
    // Expired by our clock but perhaps not yet gone: a late touch must not bring it back.
    one(&store, at(0), put(session(1), b"old", at(1_000))).await;
    assert_eq!(one(&store, at(1_000), revived).await, Reply::Created(false));
    assert_eq!(get(&store, at(1_000), session(1)).await, None);
}

async fn steps_run_in_order(store: Arc<dyn Store>) {
    let ops = vec![
        Op::Get(session(1)),
        put(session(1), b"a", at(1_000)),
        Op::Get(session(1)),
        replace(session(1), b"b", at(1_000)),
        Op::PutOnce { key: session(1), value: b"c".to_vec(), expires_at: at(1_000) },
        Op::Insert(set(1), b"m".to_vec()),
        Op::Take(session(1)),
        Op::PutOnce { key: session(1), value: b"d".to_vec(), expires_at: at(1_000) },
        Op::Delete(session(2)),
        Op::Get(person(1)),
        Op::Get(session(1)),
    ];
    let expected = vec![
        Reply::Value(None),
        Reply::Done,
        Reply::Value(versioned(0, b"a")),
        Reply::Created(true),
        Reply::Created(false),
        Reply::Done,
        Reply::Value(versioned(0, b"b")),
        Reply::Created(true),
        Reply::Done,
        Reply::Value(None),
        Reply::Value(versioned(0, b"d")),
    ];
    assert_eq!(store.batch(at(0), ops).await.unwrap(), expected);
    assert_eq!(store.members(set(1), None, 10).await.unwrap(), [b"m".to_vec()]);
    assert_eq!(store.batch(at(0), vec![]).await.unwrap(), []);
}

async fn revisions_count_changes(store: Arc<dyn Store>) {
    for revision in 0..3 {
        let writes = [Write::Put(person(1), vec![revision as u8])];
        let stale = change(&[(person(1), revision + 1)], &writes);
        assert_eq!(store.commit(stale).await.unwrap(), Committed::Conflict);
        let fresh = change(&[(person(1), revision)], &writes);
        assert_eq!(store.commit(fresh.clone()).await.unwrap(), Committed::Applied);
        assert_eq!(store.commit(fresh).await.unwrap(), Committed::Conflict);
        assert_eq!(get(&store, at(0), person(1)).await, versioned(revision + 1, &[revision as u8]));
    }
    // An expectation without a write guards what was only read.
    let read_only = |revision| change(&[(person(1), revision)], &[Write::Put(person(2), vec![])]);
    assert_eq!(store.commit(read_only(2)).await.unwrap(), Committed::Conflict);
    assert_eq!(store.commit(read_only(3)).await.unwrap(), Committed::Applied);
    assert_eq!(get(&store, at(0), person(1)).await.unwrap().revision, 3);
    assert_eq!(store.commit(Commit::default()).await.unwrap(), Committed::Applied);
}

async fn a_conflict_writes_nothing(store: Arc<dyn Store>) {
    let before = [Write::Put(person(1), b"1".to_vec()), Write::Insert(set(1), b"m".to_vec())];
    assert_eq!(store.commit(change(&[], &before)).await.unwrap(), Committed::Applied);
    let writes = [
        Write::Put(person(1), b"2".to_vec()),
        Write::Put(person(2), b"2".to_vec()),
        Write::Remove(set(1), b"m".to_vec()),
        Write::Insert(set(1), b"n".to_vec()),
        Write::Delete(set(2)),
    ];
    // The first expectation holds, the last does not.
    let refused = change(&[(person(1), 1), (person(2), 0), (person(3), 7)], &writes);
    assert_eq!(store.commit(refused).await.unwrap(), Committed::Conflict);
    assert_eq!(get(&store, at(0), person(1)).await, versioned(1, b"1"));
    assert_eq!(get(&store, at(0), person(2)).await, None);
    assert_eq!(store.members(set(1), None, 10).await.unwrap(), [b"m".to_vec()]);
}

async fn a_commit_deletes(store: Arc<dyn Store>) {
    let writes =
        [Write::Put(person(1), vec![]), Write::Insert(set(1), vec![1]), Write::Insert(set(1), vec![2])];
    store.commit(change(&[], &writes)).await.unwrap();
    let deletes = [Write::Delete(person(1)), Write::Delete(set(1)), Write::Delete(person(9))];
    assert_eq!(store.commit(change(&[(person(1), 1)], &deletes)).await.unwrap(), Committed::Applied);
    assert_eq!(get(&store, at(0), person(1)).await, None);
    assert_eq!(all_members(&store, set(1), 10).await, Vec::<Vec<u8>>::new());
    // Not there is revision 0 again.
    let again = change(&[(person(1), 0)], &[Write::Put(person(1), vec![])]);
    assert_eq!(store.commit(again).await.unwrap(), Committed::Applied);
    one(&store, at(0), put(session(1), b"x", at(1_000))).await;
    store.commit(change(&[], &[Write::Delete(session(1))])).await.unwrap();
    assert_eq!(get(&store, at(0), session(1)).await, None);
}

async fn commits_stay_in_a_shard(store: Arc<dyn Store>) {
    let elsewhere = Key::Person(enterprise(2), PersonId::from_bytes([1; 16]));
    let across = change(&[], &[Write::Put(person(1), vec![]), Write::Put(elsewhere, vec![])]);
    assert!(matches!(store.commit(across).await, Err(StoreError::Misuse(_))));
    assert_eq!(get(&store, at(0), person(1)).await, None);
    let wrong_kind = store.batch(at(0), vec![put(session(1), b"", at(1)), Op::Get(set(1))]).await;
    assert!(matches!(wrong_kind, Err(StoreError::Misuse(_))));
    assert_eq!(get(&store, at(0), session(1)).await, None, "nothing ran");
    assert!(matches!(store.members(person(1), None, 1).await, Err(StoreError::Misuse(_))));
    assert!(matches!(store.members(set(1), None, 0).await, Err(StoreError::Misuse(_))));
}

async fn sets_are_paged_in_byte_order(store: Arc<dyn Store>) {
    let mut members: BTreeSet<Vec<u8>> = (0..=255).map(|byte| vec![byte; 16]).collect();
    members.extend([vec![0; 15], vec![0; 17], vec![0x7f, 0xff], vec![0x80], vec![0xff; 32], b"(".to_vec()]);
    let writes: Vec<_> = members.iter().rev().map(|member| Write::Insert(set(1), member.clone())).collect();
    assert_eq!(store.commit(change(&[], &writes)).await.unwrap(), Committed::Applied);
    assert_eq!(store.commit(change(&[], &writes)).await.unwrap(), Committed::Applied, "twice is fine");
    let expected: Vec<_> = members.into_iter().collect();
    for page in [1, 7, 1_000] {
        assert_eq!(all_members(&store, set(1), page).await, expected, "{page}");
    }
    // From between two members, as after one that has left.
    let after = store.members(set(1), Some(vec![5; 3]), 1).await.unwrap();
    assert_eq!(after, [vec![5; 16]]);
    assert_eq!(store.members(set(1), Some(vec![0xff; 33]), 10).await.unwrap(), Vec::<Vec<u8>>::new());
}

async fn sets_are_kept_apart(store: Arc<dyn Store>) {
    for n in [1, 2, 3] {
        one(&store, at(0), Op::Insert(set(n), vec![n])).await;
        one(&store, at(0), Op::Insert(set(n), vec![9])).await;
    }
    one(&store, at(0), Op::Remove(set(2), vec![2])).await;
    one(&store, at(0), Op::Remove(set(2), vec![77])).await;
    assert_eq!(store.members(set(1), None, 10).await.unwrap(), [vec![1], vec![9]]);
    assert_eq!(store.members(set(2), None, 10).await.unwrap(), [vec![9]]);
    one(&store, at(0), Op::Delete(set(2))).await;
    for (n, expected) in [(1, vec![vec![1], vec![9]]), (2, vec![]), (3, vec![vec![3], vec![9]])] {
        assert_eq!(store.members(set(n), None, 10).await.unwrap(), expected, "{n}");
    }
}

async fn sets_are_trimmed_and_told_when_to_go(store: Arc<dyn Store>) {
    for member in [&[0, 9][..], &[5], &[5, 0], &[9]] {
        one(&store, at(0), Op::Insert(set(1), member.to_vec())).await;
    }
    one(&store, at(0), Op::Insert(set(2), vec![1])).await;
    one(&store, at(0), Op::RemoveBelow(set(1), vec![])).await;
    assert_eq!(store.members(set(1), None, 10).await.unwrap().len(), 4);
    one(&store, at(0), Op::RemoveBelow(set(1), vec![5, 0])).await;
    assert_eq!(store.members(set(1), None, 10).await.unwrap(), [vec![5, 0], vec![9]]);
    assert_eq!(store.members(set(2), None, 10).await.unwrap(), [vec![1]]);
    // Not before its time, and a set that is deleted takes its time along.
    one(&store, at(0), Op::Expire(set(1), at(100))).await;
    one(&store, at(0), Op::Expire(set(3), at(100))).await;
    assert_eq!(store.members(set(1), None, 10).await.unwrap().len(), 2);
    one(&store, at(0), Op::Delete(set(1))).await;
    one(&store, at(0), Op::Insert(set(1), vec![7])).await;
    one(&store, at(200_000), Op::Insert(set(2), vec![2])).await;
    assert_eq!(store.members(set(1), None, 10).await.unwrap(), [vec![7]]);
}

async fn r_01_bytes_come_back_as_they_were(store: Arc<dyn Store>) {
    let mut runner = TestRunner::deterministic();
    let mut sample = || vec(any::<u8>(), 0..200).new_tree(&mut runner).unwrap().current();
    // What would hurt if it were ever pasted into a command, a script or a pattern.
    let hostile: [&[u8]; 5] =
        [b"", b"\r\n*1\r\n$8\r\nFLUSHALL\r\n", b"'..redis.call('FLUSHALL')..'", b"\0", b"{*?[]}"];
    let samples = hostile.iter().map(|bytes| bytes.to_vec()).chain((0..SAMPLES).map(|_| sample()));
    for value in samples.collect::<Vec<_>>() {
        let writes = [Write::Put(person(1), value.clone()), Write::Insert(set(1), value.clone())];
        store.commit(change(&[], &writes)).await.unwrap();
        assert_eq!(get(&store, at(0), person(1)).await.unwrap().value, value);
        assert!(all_members(&store, set(1), 1_000).await.contains(&value));
        one(&store, at(0), put(session(1), &value, at(1_000))).await;
        assert_eq!(one(&store, at(0), replace(session(1), &value, at(1_000))).await, Reply::Created(true));
        assert_eq!(one(&store, at(0), Op::Take(session(1))).await, Reply::Value(versioned(0, &value)));
    }
}

async fn large_values_fit(store: Arc<dyn Store>) {
    let value: Vec<u8> = (0..VALUE_BYTES_MAX).map(|i| (i % 251) as u8).collect();
    store.commit(change(&[(person(1), 0)], &[Write::Put(person(1), value.clone())])).await.unwrap();
    assert!(get(&store, at(0), person(1)).await == versioned(1, &value), "differs");
    one(&store, at(0), put(session(1), &value, at(1_000))).await;
    assert!(get(&store, at(0), session(1)).await == versioned(0, &value), "differs");
    // A seal may come on top.
    let too_large = [value, vec![0; 65]].concat();
    let refused = store.commit(change(&[], &[Write::Put(person(1), too_large)])).await;
    assert!(matches!(refused, Err(StoreError::Misuse(_))));
}

async fn r_15_no_update_is_lost(store: Arc<dyn Store>) {
    const TASKS: u64 = 8;
    const UPDATES: u64 = 25;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for _ in 0..UPDATES {
                increment(&store).await;
            }
        });
    }
    tasks.join_all().await;
    let expected = (TASKS * UPDATES).to_string();
    assert_eq!(get(&store, at(0), person(1)).await, versioned(TASKS * UPDATES, expected.as_bytes()));
    assert_eq!(all_members(&store, set(1), 1_000).await.len(), (TASKS * UPDATES) as usize);
}

/// Adds one to the number in a record, and the number to a set; loads again after every conflict.
async fn increment(store: &Arc<dyn Store>) {
    for _ in 0..RETRIES_MAX {
        let found = get(store, at(0), person(1)).await;
        let found = found.unwrap_or(Versioned { revision: 0, value: b"0".to_vec() });
        let number: u64 = std::str::from_utf8(&found.value).unwrap().parse().unwrap();
        let next = (number + 1).to_string().into_bytes();
        let writes = [Write::Put(person(1), next.clone()), Write::Insert(set(1), next)];
        if store.commit(change(&[(person(1), found.revision)], &writes)).await.unwrap() == Committed::Applied
        {
            return;
        }
    }
    panic!("never got through");
}

async fn a_conflict_spoils_no_other_commit(store: Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for n in 0..100_u8 {
        let store = Arc::clone(&store);
        let expected = if n % 2 == 0 { 0 } else { 5 };
        tasks.spawn(async move {
            let commit = change(&[(person(n), expected)], &[Write::Put(person(n), vec![n])]);
            (n, store.commit(commit).await.unwrap())
        });
    }
    for (n, outcome) in tasks.join_all().await {
        let (committed, stored) = match n % 2 {
            0 => (Committed::Applied, versioned(1, &[n])),
            _ => (Committed::Conflict, None),
        };
        assert_eq!((outcome, get(&store, at(0), person(n)).await), (committed, stored), "{n}");
    }
}

async fn it_is_ready(store: Arc<dyn Store>) {
    store.ready().await.unwrap();
    store.ready().await.unwrap();
}
