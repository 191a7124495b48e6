//! The store on a Redis Cluster of three primaries: the whole suite, steps that cross nodes, slots that move, a node that dies.
use std::{collections::BTreeSet, sync::Arc};

use portcullis::{
    domain::{EnterpriseId, PersonId},
    store::{
        Commit, Committed, Heard, Key, Note, Op, Reply, Store, StoreError, Write,
        redis::{Redis, Settings, Topology},
    },
};

use crate::{
    store::{PATIENT_MILLIS, at, change, every_case, get, one, put, session, versioned},
    store_redis::documented_rights,
    support::{
        redis::RedisServer,
        redis_sets::{RedisCluster, eventually},
    },
};

async fn connect(url: String, nodes: &[&RedisServer]) -> Arc<dyn Store> {
    let nodes = nodes.iter().map(|node| ("127.0.0.1".to_owned(), node.port())).collect();
    let settings =
        Settings { topology: Topology::Cluster { nodes }, ..Settings::single(url, PATIENT_MILLIS) };
    Arc::new(Redis::connect(&settings).await.unwrap())
}

fn person_of(enterprise: u8) -> Key {
    Key::Person(EnterpriseId::from_bytes([enterprise; 16]), PersonId::from_bytes([1; 16]))
}

fn put_person(enterprise: u8) -> Commit {
    let audit = Key::Audit(EnterpriseId::from_bytes([enterprise; 16]));
    let writes =
        [Write::Put(person_of(enterprise), vec![enterprise]), Write::Append(audit, vec![enterprise])];
    change(&[(person_of(enterprise), 0)], &writes)
}

/// With the rights that the documentation gives for a cluster, from one node that knows the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_cases_pass_on_a_cluster() {
    let cluster = RedisCluster::start(&[]).await;
    let rights = documented_rights(true);
    for node in &cluster.nodes {
        let user = ["ACL", "SETUSER", "gateway", "reset"].into_iter();
        node.run::<()>(&user.chain(rights.iter().map(String::as_str)).collect::<Vec<_>>()).await;
    }
    let url = format!("redis://gateway:s3cret@127.0.0.1:{}", cluster.nodes[1].port());
    every_case(async || {
        cluster.flush().await;
        connect(url.clone(), &[]).await
    })
    .await;
    for node in &cluster.nodes {
        let log: Vec<redis::Value> = node.run(&["ACL", "LOG"]).await;
        assert!(log.is_empty(), "something was refused: {log:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enterprises_lie_on_different_nodes_and_batches_cross_them_in_order() {
    let cluster = RedisCluster::start(&[]).await;
    let store = connect(cluster.nodes[0].url(), &[&cluster.nodes[1]]).await;
    let mut owners = BTreeSet::new();
    for enterprise in 1..=12 {
        assert_eq!(store.commit(put_person(enterprise)).await.unwrap(), Committed::Applied);
        let owner = cluster.owner(&person_of(enterprise).text()).await;
        let there: i64 = cluster.nodes[owner].run(&["EXISTS", &person_of(enterprise).text()]).await;
        assert_eq!(there, 1, "the slot is computed as Redis does");
        owners.insert(owner);
    }
    assert_eq!(owners.len(), 3);
    // Sessions lie anywhere; each step sees what the ones before it did.
    let mut notes = store.notes();
    let ended = Note::Enterprise(EnterpriseId::from_bytes([1; 16]));
    let mut ops = vec![Op::Notify(ended)];
    let mut expected = vec![Reply::Done];
    for n in 1..=40 {
        ops.extend([put(session(n), &[n], at(1_000)), Op::Get(person_of(n % 12 + 1)), Op::Get(session(n))]);
        let of_person = Reply::Value(versioned(1, &[n % 12 + 1]));
        expected.extend([Reply::Done, of_person, Reply::Value(versioned(0, &[n]))]);
    }
    assert_eq!(store.batch(at(0), ops).await.unwrap(), expected);
    assert_eq!(notes.next().await, Some(Heard::Note(ended)));
    store.ready().await.unwrap();
}

/// Moves the enterprise's slot while it is in use: first half-way (ASK), then altogether (MOVED).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_is_followed() {
    let cluster = RedisCluster::start(&[]).await;
    let store = connect(cluster.nodes[0].url(), &[]).await;
    store.commit(put_person(1)).await.unwrap();
    let key = person_of(1).text();
    let from = cluster.owner(&key).await;
    let to = (from + 1) % 3;
    let slot = cluster.nodes[0].run::<u16>(&["CLUSTER", "KEYSLOT", &key]).await.to_string();
    let set = async |node: usize, words: &[&str]| {
        cluster.nodes[node].run::<()>(&[&["CLUSTER", "SETSLOT", &slot], words].concat()).await;
    };
    set(to, &["IMPORTING", &cluster.id(from).await]).await;
    set(from, &["MIGRATING", &cluster.id(to).await]).await;
    let port = cluster.nodes[to].port().to_string();
    let password = crate::support::redis::PASSWORD;
    let migrate = async |key: &str| {
        let words = ["MIGRATE", "127.0.0.1", &port, key, "0", "20000", "AUTH", password];
        cluster.nodes[from].run::<redis::Value>(&words).await;
    };
    migrate(&key).await;
    // The record has moved, the stream has not: what is in one place can be read, and what needs both is refused.
    assert_eq!(get(&store, at(0), person_of(1)).await, versioned(1, &[1]), "asked for where it is going");
    assert!(store.commit(put_person(1)).await.is_err());
    out_of_order_is_refused(&store, &cluster, from).await;
    let audit = Key::Audit(EnterpriseId::from_bytes([1; 16]));
    assert_eq!(store.entries(audit, 0, 9).await.unwrap().len(), 1);
    for key in [audit.text(), format!("{}:head", audit.text())] {
        migrate(&key).await;
    }
    for node in [to, from, (from + 2) % 3] {
        set(node, &["NODE", &cluster.id(to).await]).await;
    }
    let again =
        change(&[(person_of(1), 1)], &[Write::Put(person_of(1), vec![2]), Write::Append(audit, vec![2])]);
    eventually("the slot is found in its new place", async || match store.commit(again.clone()).await {
        Ok(committed) => {
            assert_eq!(committed, Committed::Applied);
            true
        }
        Err(StoreError::Unavailable(_)) => false,
        Err(other) => panic!("{other:?}"),
    })
    .await;
    assert_eq!(cluster.nodes[to].run::<i64>(&["EXISTS", &key]).await, 1);
    assert_eq!(store.entries(audit, 0, 9).await.unwrap().len(), 2);
}

/// A step that is sent elsewhere, before one that has run already: that batch fails, and its steps one by one do not.
async fn out_of_order_is_refused(store: &Arc<dyn Store>, cluster: &RedisCluster, from: usize) {
    let mut beside = None;
    for n in 0..=255 {
        if cluster.owner(&session(n).text()).await == from {
            beside = Some(session(n));
            break;
        }
    }
    let beside = put(beside.expect("some session lies there"), b"x", at(1_000));
    let batch = store.batch(at(0), vec![Op::Get(person_of(1)), beside.clone()]).await;
    match batch {
        Err(StoreError::Unavailable(why)) => assert!(why.contains("moving"), "{why}"),
        other => panic!("{other:?}"),
    }
    let in_order = store.batch(at(0), vec![beside, Op::Get(person_of(1))]).await.unwrap();
    assert_eq!(in_order, [Reply::Done, Reply::Value(versioned(1, &[1]))]);
}

/// What lies on the others goes on; what lies on it fails at once, and comes back with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_takes_only_its_own_along() {
    // Without this setting the others refuse everything as soon as they notice.
    let more = ["--cluster-require-full-coverage", "no"];
    let mut cluster = RedisCluster::start(&more).await;
    let store = connect(cluster.nodes[0].url(), &[]).await;
    let mut by_owner = [None; 3];
    for enterprise in 1..=12 {
        by_owner[cluster.owner(&person_of(enterprise).text()).await] = Some(enterprise);
    }
    let [Some(first), Some(second), Some(third)] = by_owner else { panic!("{by_owner:?}") };
    cluster.nodes[2].kill();
    eventually("the loss is noticed", async || store.commit(put_person(third)).await.is_err()).await;
    for enterprise in [first, second] {
        assert_eq!(store.commit(put_person(enterprise)).await.unwrap(), Committed::Applied);
    }
    store.ready().await.unwrap();
    // A batch that needs the dead node fails as a whole, and says so.
    let ops = vec![Op::Get(person_of(first)), Op::Get(person_of(third))];
    assert!(matches!(store.batch(at(0), ops).await, Err(StoreError::Unavailable(_))));
    one(&store, at(0), Op::Notify(Note::Enterprise(EnterpriseId::from_bytes([1; 16])))).await;
}
