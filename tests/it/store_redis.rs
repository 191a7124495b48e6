//! What only Redis can do to us: forget scripts, hang, break the line, refuse writes, drop keys.
use std::{sync::Arc, time::Duration};

use portcullis::store::{Committed, Op, Reply, Store, StoreError, Write, redis};

use crate::{
    store::{PATIENT_MILLIS, at, change, every_case, get, one, person, put, redis, session, set, versioned},
    support::redis::{BreakableRedis, Network, RedisServer},
};

/// For tests that wait for a time-out.
const HASTY_MILLIS: u64 = 1_000;
/// At 20 ms each.
const RECOVERY_ATTEMPTS_MAX: usize = 1_000;

async fn connect(url: String, timeout_millis_max: u64) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(redis::Redis::connect(&redis::Settings::single(url, timeout_millis_max)).await?))
}

pub async fn recovers(store: &Arc<dyn Store>) {
    for _ in 0..RECOVERY_ATTEMPTS_MAX {
        if store.ready().await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not ready again: {:?}", store.ready().await);
}

/// The words with which it was unavailable.
pub fn unavailable<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
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
async fn r_07_a_set_that_is_told_when_to_go_has_a_time_to_live() {
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
async fn r_13_a_broken_line_fails_at_once_and_comes_back() {
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
async fn r_13_a_line_that_breaks_under_way_is_an_error() {
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
async fn r_13_a_server_that_hangs_is_a_timeout_and_then_an_open_circuit() {
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

/// What a sick server says in place of its answer: refused, never taken for one, and over when the server is well again.
#[tokio::test]
async fn r_13_what_a_sick_server_says_is_an_error() {
    let redis = BreakableRedis::start().await;
    let store = connect(redis.url(), HASTY_MILLIS).await.unwrap();
    for said in [
        &b"-LOADING Redis is loading the dataset in memory\r\n"[..],
        b"-BUSY Redis is busy running a script\r\n",
        b"-READONLY You can't write against a read only replica.\r\n",
        b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        b"-MOVED 3999 127.0.0.1:1\r\n",
        b"-ASK 3999 127.0.0.1:1\r\n",
        b"-CLUSTERDOWN The cluster is down\r\n",
        b"-NOSCRIPT No matching script\r\n",
        b"-MISCONF Redis is configured to save RDB snapshots\r\n",
        b"+OK\r\n",
        b":7\r\n",
        b"_\r\n",
        b"$3\r\nabc\r\n",
        b"$100\r\ncut short",
        b"$536870912\r\nand never more",
        b"*3\r\n:1\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ] {
        redis.set(Network::Says(said));
        let commit = store.commit(change(&[(person(1), 0)], &put_person())).await;
        assert!(commit.is_err(), "{}: {commit:?}", String::from_utf8_lossy(said));
        redis.set(Network::Works);
        recovers(&store).await;
        store.commit(change(&[], &[Write::Delete(person(1))])).await.unwrap();
    }
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
    let server =
        RedisServer::start_with(&["--user", "gateway", "on", ">s3cret", "~pc:*", "&pc:notes", "+@all"]);
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
async fn r_12_after_a_lost_answer_the_revision_tells() {
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

/// The rights of the example in the documentation, `more` being those that only some set-ups need.
pub fn documented_rights(more: bool) -> Vec<String> {
    let page = include_str!("../../docs/REDIS.md");
    let rights = |start: &str| {
        let line = page.lines().find_map(|line| line.strip_prefix(start)).expect("the page shows the rights");
        line.replace("PASSWORD", "s3cret").split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut all = rights("ACL SETUSER gateway reset ");
    if more {
        all.extend(rights("ACL SETUSER gateway +wait").into_iter().chain(["+wait".to_owned()]));
    }
    all
}

fn server_with_user(rights: &[String]) -> (RedisServer, String) {
    let arguments = ["--user", "gateway"].into_iter().chain(rights.iter().map(String::as_str));
    let server = RedisServer::start_with(&arguments.collect::<Vec<_>>());
    let url = format!("redis://gateway:s3cret@127.0.0.1:{}", server.port());
    (server, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_03_the_documented_rights_are_enough() {
    let (server, url) = server_with_user(&documented_rights(false));
    every_case(async || {
        server.run::<()>(&["FLUSHALL"]).await;
        let store = connect(url.clone(), PATIENT_MILLIS).await.unwrap();
        assert!(store.is_listening());
        store
    })
    .await;
    let log: Vec<::redis::Value> = server.run(&["ACL", "LOG"]).await;
    assert!(log.is_empty(), "something was refused: {log:?}");
}

/// Each right that is missing is named at the start, and none is listed that is not needed.
#[tokio::test]
async fn r_03_a_missing_right_is_named_at_the_start() {
    let all = documented_rights(false);
    let server = RedisServer::start();
    let url = format!("redis://gateway:s3cret@127.0.0.1:{}", server.port());
    let optional = ["+info", "+subscribe"];
    for right in all.iter().filter(|right| right.starts_with('+')) {
        let others = all.iter().filter(|other| *other != right).map(String::as_str);
        let user: Vec<&str> = ["ACL", "SETUSER", "gateway", "reset"].into_iter().chain(others).collect();
        server.run::<()>(&user).await;
        match connect(url.clone(), PATIENT_MILLIS).await {
            Ok(store) => {
                assert!(optional.contains(&right.as_str()), "{right}");
                assert_eq!(store.is_listening(), right != "+subscribe");
            }
            Err(StoreError::Unavailable(why)) => {
                assert!(!optional.contains(&right.as_str()), "{right}: {why}");
                assert!(why.contains(right.as_str()), "{right}: {why}");
            }
            Err(other) => panic!("{right}: {other:?}"),
        }
    }
}

/// What the gateway's user must not be able to do: R-03.
#[tokio::test]
async fn r_03_the_documented_rights_are_the_least() {
    let (_server, url) = server_with_user(&documented_rights(true));
    let client = ::redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for words in [
        &["KEYS", "*"][..],
        &["SCAN", "0"],
        &["FLUSHALL"],
        &["CONFIG", "GET", "*"],
        &["MODULE", "LIST"],
        &["EVAL", "return 1", "0"],
        &["FUNCTION", "LIST"],
        &["SCRIPT", "FLUSH"],
        &["ACL", "LIST"],
        &["CLIENT", "LIST"],
        &["REPLICAOF", "NO", "ONE"],
        &["SHUTDOWN"],
        &["MONITOR"],
        &["GET", "other:key"],
        &["PUBLISH", "other", "x"],
        &["SUBSCRIBE", "other"],
        &["CLUSTER", "RESET"],
    ] {
        let mut command = ::redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        let refused = command.query_async::<::redis::Value>(&mut connection).await.unwrap_err();
        assert!(refused.to_string().to_lowercase().contains("perm"), "{words:?}: {refused}");
    }
}

#[tokio::test]
async fn r_13_a_server_that_refuses_writes_is_not_ready() {
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
        // A replica lags behind, so nothing is read from it either.
        let is_replica = word == "READONLY";
        if is_replica {
            unavailable(store.batch(at(0), vec![Op::Get(person(1))]).await);
            let anew = unavailable(connect(server.url(), PATIENT_MILLIS).await.map(drop));
            assert!(anew.contains("it is a replica"), "{anew}");
        } else {
            recovers_to_read(&store).await;
        }
        // One that only adds is refused. One that starts with a deletion may pass a full server, then as a whole.
        let adds = [Write::Put(person(1), vec![]), Write::Insert(set(1), vec![1])];
        unavailable(store.commit(change(&[(person(1), 0)], &adds)).await);
        if !is_replica {
            recovers_to_read(&store).await;
        }
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
    server.run::<()>(&["ZADD", &person(3).text(), "0", "a set where a record should be"]).await;
    let over_a_set = [Write::Put(person(1), vec![]), Write::Put(person(3), vec![])];
    assert!(unavailable(store.commit(change(&[], &over_a_set)).await).contains("WRONGTYPE"));
    let expecting = change(&[(person(3), 0)], &[Write::Put(person(1), vec![])]);
    assert!(unavailable(store.commit(expecting).await).contains("WRONGTYPE"));
    assert_eq!(get(&store, at(0), person(1)).await, None);
    assert!(matches!(store.batch(at(0), vec![Op::Get(person(2))]).await, Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn r_08_a_server_that_may_drop_keys_is_refused() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let why = unavailable(connect(server.url(), PATIENT_MILLIS).await.map(drop));
    assert!(why.contains("noeviction"), "{why}");
}

#[tokio::test]
async fn r_07_and_r_09_the_server_forgets_what_expired_a_while_ago() {
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
