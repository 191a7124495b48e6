//! What only Redis can do to us: forget scripts, hang, break the line, refuse writes, drop keys.
use std::{sync::Arc, time::Duration};

use portcullis::store::{Committed, Op, Reply, Store, StoreError, Write, redis};

use crate::{
    store::{PATIENT_MILLIS, at, change, get, one, person, put, redis, session, set, versioned},
    support::redis::{BreakableRedis, Network, RedisServer},
};

/// For tests that wait for a time-out.
const HASTY_MILLIS: u64 = 1_000;
/// At 20 ms each.
const RECOVERY_ATTEMPTS_MAX: usize = 1_000;

async fn connect(url: String, timeout_millis_max: u64) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(redis::Redis::connect(&redis::Settings { url, timeout_millis_max }).await?))
}

async fn recovers(store: &Arc<dyn Store>) {
    for _ in 0..RECOVERY_ATTEMPTS_MAX {
        if store.ready().await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not ready again: {:?}", store.ready().await);
}

/// The words with which it was unavailable.
fn unavailable<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn put_person() -> [Write; 1] {
    [Write::Put(person(1), b"x".to_vec())]
}

#[tokio::test]
async fn forgotten_scripts_are_loaded_again() {
    let server = RedisServer::start();
    let store = redis(&server).await;
    server.run::<()>(&["SCRIPT", "FLUSH", "SYNC"]).await;
    assert_eq!(store.commit(change(&[(person(1), 0)], &put_person())).await.unwrap(), Committed::Applied);
    assert_eq!(get(&store, at(0), person(1)).await, versioned(1, b"x"), "applied once");

    one(&store, at(0), put(session(1), b"a", at(1_000))).await;
    server.run::<()>(&["SCRIPT", "FLUSH", "SYNC"]).await;
    let replace = |n| Op::Replace { key: session(n), value: b"b".to_vec(), expires_at: at(1_000) };
    let ops = vec![replace(2), Op::Get(person(1)), replace(1)];
    let expected = [Reply::Created(false), Reply::Value(versioned(1, b"x")), Reply::Created(true)];
    assert_eq!(store.batch(at(0), ops).await.unwrap(), expected);
    assert_eq!(get(&store, at(0), session(1)).await, versioned(0, b"b"));
}

/// what finds a person's sessions goes with the last of them.
#[tokio::test]
async fn a_set_that_is_told_when_to_go_has_a_time_to_live() {
    let server = RedisServer::start();
    let store = redis(&server).await;
    let (key, millis) = (set(1).text(), async |key: &str| server.run::<i64>(&["PTTL", key]).await);
    one(&store, at(0), Op::Insert(set(1), vec![1])).await;
    assert_eq!(millis(&key).await, -1);
    for lifetime in [1_000_000, 2_000_000] {
        one(&store, at(0), Op::Expire(set(1), at(lifetime))).await;
        let left = millis(&key).await;
        assert!((lifetime..=lifetime + 60_000).contains(&left), "{left}");
    }
}

#[tokio::test]
async fn a_broken_line_fails_at_once_and_comes_back() {
    let redis = BreakableRedis::start().await;
    let store = connect(redis.url(), PATIENT_MILLIS).await.unwrap();
    assert_eq!(store.commit(change(&[], &put_person())).await.unwrap(), Committed::Applied);
    redis.set(Network::Cut);
    // A call that waited out the time limit would be a `Timeout`.
    let why = unavailable(store.commit(change(&[], &put_person())).await);
    assert!(!why.contains("test-server"), "{why}");
    unavailable(store.batch(at(0), vec![Op::Get(person(1))]).await);
    unavailable(store.members(set(1), None, 1).await);
    unavailable(store.ready().await);
    redis.set(Network::Works);
    recovers(&store).await;
    assert_eq!(get(&store, at(0), person(1)).await, versioned(1, b"x"));
}

#[tokio::test]
async fn a_line_that_breaks_under_way_is_an_error() {
    let redis = BreakableRedis::start().await;
    let store = connect(redis.url(), PATIENT_MILLIS).await.unwrap();
    redis.set(Network::Stalled);
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.commit(change(&[], &put_person())).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    redis.set(Network::Cut);
    unavailable(waiting.await.unwrap());
    redis.set(Network::Works);
    recovers(&store).await;
}

#[tokio::test]
async fn a_server_that_hangs_is_a_timeout_and_then_an_open_circuit() {
    let redis = BreakableRedis::start().await;
    let store = connect(redis.url(), HASTY_MILLIS).await.unwrap();
    redis.set(Network::Stalled);
    match store.commit(change(&[], &put_person())).await {
        Err(StoreError::Timeout(HASTY_MILLIS)) => {}
        other => panic!("{other:?}"),
    }
    // Nobody else waits for it.
    unavailable(store.batch(at(0), vec![Op::Get(person(1))]).await);
    redis.set(Network::Works);
    recovers(&store).await;
}

#[tokio::test]
async fn a_demoted_server_is_left_for_the_new_one() {
    let (redis, promoted) = (BreakableRedis::start().await, RedisServer::start());
    let store = connect(redis.url(), PATIENT_MILLIS).await.unwrap();
    redis.server.run::<()>(&["REPLICAOF", "127.0.0.1", "1"]).await;
    redis.lead_to(&promoted);
    assert!(unavailable(store.commit(change(&[], &put_person())).await).contains("READONLY"));
    recovers(&store).await;
    assert_eq!(store.commit(change(&[], &put_person())).await.unwrap(), Committed::Applied);
    assert_eq!(promoted.run::<i64>(&["EXISTS", &person(1).text()]).await, 1);
}

#[tokio::test]
async fn a_line_that_breaks_while_nobody_talks_is_back_before_anybody_does() {
    let server = RedisServer::start_with(&["--user", "gateway", "on", ">s3cret", "~pc:*", "+@all"]);
    let url = format!("redis://gateway:s3cret@127.0.0.1:{}", server.port());
    let store = connect(url, PATIENT_MILLIS).await.unwrap();
    assert_eq!(server.run::<i64>(&["CLIENT", "KILL", "USER", "gateway"]).await, 2);
    let mut attempts = 0;
    while !server.run::<String>(&["CLIENT", "LIST"]).await.contains("user=gateway") {
        attempts += 1;
        assert!(attempts < RECOVERY_ATTEMPTS_MAX, "it does not connect by itself");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    recovers_to_read(&store).await;
}

#[tokio::test]
async fn after_a_lost_answer_the_revision_tells() {
    let redis = BreakableRedis::start().await;
    let store = connect(redis.url(), HASTY_MILLIS).await.unwrap();
    redis.set(Network::AnswersLost);
    let commit = change(&[(person(1), 0)], &put_person());
    assert!(matches!(store.commit(commit.clone()).await, Err(StoreError::Timeout(_))));
    redis.set(Network::Works);
    recovers(&store).await;
    assert_eq!(get(&store, at(0), person(1)).await, versioned(1, b"x"), "it was applied");
    assert_eq!(store.commit(commit).await.unwrap(), Committed::Conflict, "and cannot be applied twice");
}

#[tokio::test]
async fn the_connection_serves_other_threads_and_runtimes() {
    let server = RedisServer::start();
    let store = redis(&server).await;
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    store.commit(change(&[(person(n), 0)], &[Write::Put(person(n), vec![n])])).await.unwrap();
                    get(&store, at(0), person(n)).await
                })
            })
        })
        .collect();
    let answers = tokio::task::spawn_blocking(|| {
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    for (n, answer) in answers.await.unwrap().into_iter().enumerate() {
        assert_eq!(answer, versioned(1, &[n as u8]));
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_but_not_repeated() {
    let server = RedisServer::start();
    let url = format!("redis://:hunter2-guess@127.0.0.1:{}", server.port());
    let why = unavailable(connect(url, PATIENT_MILLIS).await.map(drop));
    assert!(why.contains("WRONGPASS") || why.contains("authentication"), "{why}");
    assert!(!why.contains("hunter2"), "{why}");
    let nobody =
        unavailable(connect(format!("redis://127.0.0.1:{}", server.port()), PATIENT_MILLIS).await.map(drop));
    assert!(nobody.contains("NOAUTH"), "{nobody}");
    let nowhere =
        unavailable(connect("redis://u:hunter2@127.0.0.1:1".into(), PATIENT_MILLIS).await.map(drop));
    assert!(nowhere.contains("refused") && !nowhere.contains("hunter2"), "{nowhere}");
    let no_url = unavailable(connect("http://u:hunter2@127.0.0.1".into(), PATIENT_MILLIS).await.map(drop));
    assert!(!no_url.contains("hunter2"), "{no_url}");
}

/// The rights that the documentation of `store::redis` names, `+info` being optional.
const RIGHTS: &str = "on >s3cret ~pc:* +get +getdel +set +unlink +zadd +zrem +zcard +zrangebylex +zremrangebylex +pexpire +getrange +evalsha \
                      +script|load";

#[tokio::test]
async fn a_user_with_few_rights_is_enough() {
    for more in [&["+info"][..], &[]] {
        let rights: Vec<_> = ["--user", "gateway"].into_iter().chain(RIGHTS.split_whitespace()).collect();
        let server = RedisServer::start_with(&[&rights, more].concat());
        let url = format!("redis://gateway:s3cret@127.0.0.1:{}", server.port());
        let store = connect(url, PATIENT_MILLIS).await.unwrap();
        store.ready().await.unwrap();
        let writes = [Write::Put(person(1), vec![]), Write::Insert(set(1), vec![1]), Write::Delete(set(2))];
        assert_eq!(store.commit(change(&[(person(1), 0)], &writes)).await.unwrap(), Committed::Applied);
        assert_eq!(store.members(set(1), None, 9).await.unwrap(), [vec![1]]);
        let replace = Op::Replace { key: session(1), value: vec![2], expires_at: at(1_000) };
        let ops = vec![
            put(session(1), &[1], at(1_000)),
            replace,
            Op::Take(session(1)),
            Op::Remove(set(1), vec![1]),
        ];
        let expected = [Reply::Done, Reply::Created(true), Reply::Value(versioned(0, &[2])), Reply::Done];
        assert_eq!(store.batch(at(0), ops).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_server_that_refuses_writes_is_not_ready() {
    let server = RedisServer::start();
    let store = redis(&server).await;
    // Without enough replicas, out of memory, demoted: reads still work, and writes say why they do not.
    let faults: [(&[&str], &[&str], &str); 3] = [
        (
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
            "NOREPLICAS",
        ),
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"], "OOM"),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"], "READONLY"),
    ];
    for (fault, cure, word) in faults {
        server.run::<()>(fault).await;
        let why = unavailable(store.ready().await);
        assert!(why.contains(word), "{word}: {why}");
        recovers_to_read(&store).await;
        // One that only adds is refused. One that starts with a deletion may pass a full server, then as a whole.
        let adds = [Write::Put(person(1), vec![]), Write::Insert(set(1), vec![1])];
        unavailable(store.commit(change(&[(person(1), 0)], &adds)).await);
        recovers_to_read(&store).await;
        let deletes =
            [Write::Remove(set(9), vec![]), Write::Put(person(2), vec![]), Write::Insert(set(2), vec![1])];
        let outcome = store.commit(change(&[], &deletes)).await;
        server.run::<()>(cure).await;
        recovers(&store).await;
        assert_eq!(get(&store, at(0), person(1)).await, None, "{word}: nothing half-written");
        let written = get(&store, at(0), person(2)).await.is_some();
        assert_eq!(written, outcome.is_ok(), "{word}: {outcome:?}");
        assert_eq!(store.members(set(2), None, 9).await.unwrap().len(), usize::from(written), "{word}");
        store.commit(change(&[], &[Write::Delete(person(2)), Write::Delete(set(2))])).await.unwrap();
    }
}

async fn recovers_to_read(store: &Arc<dyn Store>) {
    for _ in 0..RECOVERY_ATTEMPTS_MAX {
        if store.batch(at(0), vec![Op::Get(person(1))]).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it cannot even be read");
}

#[tokio::test]
async fn a_commit_that_meets_a_foreign_value_writes_nothing() {
    let server = RedisServer::start();
    let store = redis(&server).await;
    server.run::<()>(&["SET", &set(1).text(), "not a set"]).await;
    server.run::<()>(&["SET", &person(2).text(), "not a record"]).await;
    let before_a_set = [Write::Put(person(1), vec![]), Write::Insert(set(1), vec![1])];
    assert!(unavailable(store.commit(change(&[], &before_a_set)).await).contains("WRONGTYPE"));
    let before_a_record = [Write::Put(person(1), vec![]), Write::Put(person(2), vec![])];
    assert!(matches!(store.commit(change(&[], &before_a_record)).await, Err(StoreError::Corrupt(_))));
    let expecting = change(&[(person(2), 0)], &[Write::Put(person(1), vec![])]);
    assert!(matches!(store.commit(expecting).await, Err(StoreError::Corrupt(_))));
    assert_eq!(get(&store, at(0), person(1)).await, None);
    assert!(matches!(store.batch(at(0), vec![Op::Get(person(2))]).await, Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn a_server_that_drops_keys_is_refused() {
    let server = RedisServer::start_with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let why = unavailable(connect(server.url(), PATIENT_MILLIS).await.map(drop));
    assert!(why.contains("noeviction"), "{why}");
}

#[tokio::test]
async fn the_server_forgets_what_expired_a_while_ago() {
    let server = RedisServer::start();
    let store = redis(&server).await;
    let once = Op::PutOnce { key: session(2), value: vec![], expires_at: at(5_000) };
    let replace = Op::Replace { key: session(1), value: vec![], expires_at: at(5_000) };
    store.batch(at(0), vec![put(session(1), &[], at(1)), once, replace]).await.unwrap();
    for n in [1, 2] {
        let remaining: i64 = server.run(&["PTTL", &session(n).text()]).await;
        assert!((5_000 + 1..=5_000 + 60_000).contains(&remaining), "{remaining}");
    }
    // Records and sets stay.
    store.commit(change(&[], &[Write::Put(person(1), vec![]), Write::Insert(set(1), vec![])])).await.unwrap();
    assert_eq!(server.run::<i64>(&["PTTL", &person(1).text()]).await, -1);
}
