//! Writes that are on the primary and on no replica yet: nobody takes them for lasting, whoever looks and however late.
use std::{sync::Arc, time::Duration};

use portcullis::store::{
    Committed, Key, Op, Reply, Store, StoreError, Write,
    redis::{Redis, Replicas, Settings, Topology},
};

use crate::{
    store::{PATIENT_MILLIS, at, change, enterprise, get, one, person, put, session, versioned},
    support::{
        redis::{BreakableRedis, Network, RedisServer},
        redis_sets::{RedisCluster, eventually, primary, replica_of},
    },
};

/// How long a store waits for replicas that do not answer.
const HASTY_MILLIS: u64 = 50;

async fn connect(url: String, wait_millis_max: u64) -> Arc<dyn Store> {
    let replicas = Some(Replicas { acknowledged_min: 1, wait_millis_max });
    Arc::new(Redis::connect(&Settings { replicas, ..Settings::single(url, PATIENT_MILLIS) }).await.unwrap())
}

fn put_person(n: u8) -> [Write; 2] {
    [Write::Put(person(n), vec![n]), Write::Insert(Key::People(enterprise(1)), vec![n])]
}

fn not_replicated<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::NotReplicated { acknowledged: 0, wanted: 1 })), "{answer:?}");
}

async fn is_there(server: &RedisServer, key: Key) -> bool {
    server.run::<i64>(&["EXISTS", &key.text()]).await == 1
}

/// What a caller does who tries again: it looks, and finds nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_who_finds_the_work_of_a_refused_attempt_done_is_refused_until_a_replica_has_it() {
    let server = primary();
    let replica = replica_of(&server).await;
    let store = connect(server.url(), HASTY_MILLIS).await;
    let people = Key::People(enterprise(1));
    let here = |n: u8| {
        let store = Arc::clone(&store);
        async move { store.batch(at(0), vec![Op::Get(session(9)), Op::Get(person(n))]).await }
    };
    eventually("a replica acknowledges", async || {
        store.commit(change(&[], &put_person(1))).await.is_ok()
            && store.batch(at(0), vec![Op::Insert(people, vec![9])]).await.is_ok()
            && here(1).await.is_ok()
    })
    .await;
    one(&store, at(0), put(session(1), b"x", at(1_000))).await;

    replica.pause();
    not_replicated(store.commit(change(&[], &put_person(2))).await);
    not_replicated(store.batch(at(0), vec![Op::Take(session(1))]).await);
    assert!(is_there(&server, person(2)).await && !is_there(&server, session(1)).await, "it was done");
    for _ in 0..2 {
        not_replicated(here(2).await);
        not_replicated(store.members(people, None, 10).await);
        not_replicated(store.batch(at(0), vec![Op::Get(session(1))]).await);
        not_replicated(store.batch(at(0), vec![Op::Members(people, 10)]).await);
    }
    // Who only ends what is gone need not wait.
    let gone = store.batch(at(0), vec![Op::Peek(session(1)), Op::Peek(person(2))]).await.unwrap();
    assert!(matches!(gone.as_slice(), [Reply::Value(None), Reply::Value(Some(_))]), "{gone:?}");
    // Whatever nobody wrote meanwhile is read.
    assert!(get(&store, at(0), person(1)).await.is_some());
    one(&store, at(0), put(session(3), b"x", at(1_000))).await;
    assert_eq!(get(&store, at(0), session(3)).await, versioned(0, b"x"));

    replica.go_on();
    eventually("the replica has it", async || here(2).await.is_ok()).await;
    assert_eq!(get(&store, at(0), session(1)).await, None);
    assert!(store.members(people, None, 10).await.unwrap().contains(&vec![2]));
    // It is known now, whatever comes.
    replica.pause();
    assert!(here(2).await.is_ok() && get(&store, at(0), session(1)).await.is_none());
    replica.go_on();
}

/// Another one looks while the first still waits, or after the first went away without an answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_a_write_that_still_waits_for_replicas_is_not_taken_for_lasting() {
    let server = primary();
    let replica = replica_of(&server).await;
    let store = connect(server.url(), PATIENT_MILLIS - 100).await;
    store.commit(change(&[], &put_person(1))).await.unwrap();
    replica.pause();
    let writing = Arc::clone(&store);
    let writer = tokio::spawn(async move { writing.commit(change(&[], &put_person(2))).await });
    eventually("the primary has it", async || is_there(&server, person(2)).await).await;
    let early =
        tokio::time::timeout(Duration::from_millis(200), store.batch(at(0), vec![Op::Get(person(2))])).await;
    assert!(!matches!(early, Ok(Ok(_))), "{early:?}");
    writer.abort();
    assert!(writer.await.is_err_and(|error| error.is_cancelled()));
    let late =
        tokio::time::timeout(Duration::from_millis(200), store.batch(at(0), vec![Op::Get(person(2))])).await;
    assert!(!matches!(late, Ok(Ok(_))), "{late:?}");
    replica.go_on();
    eventually("the replica has it", async || store.batch(at(0), vec![Op::Get(person(2))]).await.is_ok())
        .await;
}

/// A connection that is new has written nothing, so that a bare `WAIT` on it would be over at once (Redis 7.2 and later).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_the_marks_outlive_the_connection() {
    let broken = BreakableRedis::start().await;
    let replica = replica_of(&broken.server).await;
    let store = connect(broken.url(), HASTY_MILLIS).await;
    eventually("a replica acknowledges", async || store.commit(change(&[], &put_person(1))).await.is_ok())
        .await;
    replica.pause();
    not_replicated(store.commit(change(&[], &put_person(2))).await);
    broken.set(Network::Cut);
    eventually("the line is cut", async || store.batch(at(0), vec![Op::Get(person(1))]).await.is_err()).await;
    broken.set(Network::Works);
    let set_calls = async || {
        let statistics: String = broken.server.run(&["INFO", "commandstats"]).await;
        let line = statistics.lines().find_map(|line| line.strip_prefix("cmdstat_set:calls="));
        line.and_then(|line| line.split(',').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    eventually("both connections are back", async || {
        let answer = store.batch(at(0), vec![Op::Get(person(2))]).await;
        assert!(answer.is_err(), "{answer:?}");
        matches!(answer, Err(StoreError::NotReplicated { .. }))
    })
    .await;
    let before = set_calls().await;
    not_replicated(store.batch(at(0), vec![Op::Get(person(2))]).await);
    assert!(set_calls().await > before, "it waits for a write of its own");
    replica.go_on();
    eventually("the replica has it", async || store.batch(at(0), vec![Op::Get(person(2))]).await.is_ok())
        .await;
}

/// Each node of a cluster writes to a slot of its own before it waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_nodes_of_a_cluster_wait_for_their_own_replicas() {
    let cluster = RedisCluster::start(&[]).await;
    let settings = Settings {
        topology: Topology::Cluster { nodes: vec![] },
        replicas: Some(Replicas { acknowledged_min: 1, wait_millis_max: HASTY_MILLIS }),
        ..Settings::single(cluster.nodes[0].url(), PATIENT_MILLIS)
    };
    let store: Arc<dyn Store> = Arc::new(Redis::connect(&settings).await.unwrap());
    for n in 1..=12 {
        not_replicated(store.batch(at(0), vec![Op::Delete(session(n))]).await);
        not_replicated(store.batch(at(0), vec![Op::Get(session(n))]).await);
        assert_eq!(one(&store, at(0), Op::Get(session(n + 100))).await, Reply::Value(None));
    }
    let committed = store.commit(change(&[(person(1), 0)], &put_person(1))).await;
    not_replicated::<Committed>(committed);
    not_replicated(store.batch(at(0), vec![Op::Get(session(100)), Op::Get(person(1))]).await);
}
