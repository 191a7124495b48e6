//! The store with replicas and sentinels: a failover, a primary that was left behind, writes that must be on a replica.
use std::{sync::Arc, time::Duration};

use portcullis::{
    domain::PersonId,
    store::{
        Committed, Heard, Key, Notes, Op, Reply, Store, StoreError, Write,
        redis::{self, Redis, Replicas, Settings, Topology},
    },
};

use crate::{
    store::{PATIENT_MILLIS, at, change, enterprise, get, one, person, put, session, versioned},
    store_redis::{documented_rights, recovers},
    support::{
        redis::{RedisServer, free_port},
        redis_sets::{PRIMARY, SENTINEL_PASSWORD, Sentinel, ask_sentinel, eventually, primary, replica_of},
    },
};

const PATIENCE: Duration = Duration::from_secs(20);
/// Who are committing when the primary dies.
const WRITERS: u8 = 4;

/// `url` is that of any server with the same password.
fn settings(url: String, sentinels: &[u16]) -> Settings {
    let sentinel = redis::Sentinel {
        sentinels: sentinels.iter().map(|port| ("127.0.0.1".to_owned(), *port)).collect(),
        primary: PRIMARY.to_owned(),
        user: None,
        password: Some(SENTINEL_PASSWORD.to_owned()),
    };
    Settings { topology: Topology::Sentinel(sentinel), ..Settings::single(url, PATIENT_MILLIS) }
}

async fn connect(settings: &Settings) -> Arc<dyn Store> {
    Arc::new(Redis::connect(settings).await.unwrap())
}

async fn gap(notes: &mut Notes) {
    let heard = async { while notes.next().await.expect("the store is there") != Heard::Gap {} };
    tokio::time::timeout(PATIENCE, heard).await.expect("no gap was heard");
}

fn put_person(n: u8) -> [Write; 1] {
    [Write::Put(person(n), vec![n])]
}

/// Commits one record after the other; answers those that were acknowledged.
async fn write_until_it_fails(store: Arc<dyn Store>, writer: u8) -> Vec<Key> {
    let mut acknowledged = vec![];
    for n in 0_u32.. {
        let key = Key::Person(enterprise(1), PersonId::derived(&[&[writer], &n.to_be_bytes()]));
        match store.commit(change(&[(key, 0)], &[Write::Put(key, b"x".to_vec())])).await {
            Ok(Committed::Applied) => acknowledged.push(key),
            Ok(Committed::Conflict) => panic!("nobody else writes {key:?}"),
            Err(_) => break,
        }
    }
    acknowledged
}

/// The primary is killed; the replica that the sentinels promote has what was acknowledged, and the store goes on there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_a_failover_loses_nothing_that_a_replica_acknowledged() {
    let mut old = primary();
    let replica = replica_of(&old).await;
    let mut sentinels = vec![];
    for _ in 0..3 {
        sentinels.push(Sentinel::start(free_port(), old.port(), 2, &[]).await);
    }
    let ports: Vec<u16> = sentinels.iter().map(|sentinel| sentinel.port).collect();
    eventually("the sentinels know each other and the replica", async || {
        for port in &ports {
            let known = format!("{:?}", ask_sentinel(*port, &["SENTINEL", "CKQUORUM", PRIMARY]).await);
            let replicas = format!("{:?}", ask_sentinel(*port, &["SENTINEL", "REPLICAS", PRIMARY]).await);
            if !known.contains("OK 3 usable") || !replicas.contains(&replica.port().to_string()) {
                return false;
            }
        }
        true
    })
    .await;
    let replicas = Some(Replicas { acknowledged_min: 1, wait_millis_max: 5_000 });
    let store = connect(&Settings { replicas, ..settings(old.url(), &ports) }).await;
    let mut notes = store.notes();
    for n in 1..=20 {
        assert_eq!(
            store.commit(change(&[(person(n), 0)], &put_person(n))).await.unwrap(),
            Committed::Applied
        );
        let once = Op::PutOnce { key: session(n), value: vec![n], expires_at: at(1_000) };
        assert_eq!(one(&store, at(0), once).await, Reply::Created(true));
    }
    let writers: Vec<_> =
        (0..WRITERS).map(|n| tokio::spawn(write_until_it_fails(Arc::clone(&store), n))).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    old.kill();
    let mut acknowledged = vec![];
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    eventually("the replica is promoted and found", async || {
        store.batch(at(0), vec![Op::Get(person(1))]).await.is_ok()
    })
    .await;
    gap(&mut notes).await;
    for n in 1..=20 {
        assert_eq!(get(&store, at(0), person(n)).await, versioned(1, &[n]), "{n}");
        assert_eq!(get(&store, at(0), session(n)).await, versioned(0, &[n]), "{n}");
    }
    assert!(!acknowledged.is_empty());
    for key in acknowledged {
        assert_eq!(get(&store, at(0), key).await, versioned(1, b"x"), "{key:?} was acknowledged");
    }
    // The one that is left has no replica of its own: what must last is refused, and the rest works.
    let refused = store.commit(change(&[], &put_person(21))).await;
    assert!(matches!(refused, Err(StoreError::NotReplicated { acknowledged: 0, wanted: 1 })), "{refused:?}");
    one(&store, at(0), put(session(30), b"x", at(1_000))).await;
    let info: String = replica.run(&["INFO", "replication"]).await;
    assert!(info.contains("role:master"));
}

/// Two sentinels say different things, as after a partition: the later failover counts, at the start and at any time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_11_the_primary_of_the_latest_failover_is_followed() {
    let (left_behind, promoted) = (primary(), primary());
    let (early, late) = (free_port(), free_port());
    let _early = Sentinel::start(early, left_behind.port(), 2, &[]).await;
    let store = connect(&settings(left_behind.url(), &[early, late])).await;
    store.commit(change(&[], &put_person(1))).await.unwrap();
    assert_eq!(left_behind.run::<i64>(&["EXISTS", &person(1).text()]).await, 1);
    let mut notes = store.notes();
    let epoch = format!("sentinel config-epoch {PRIMARY} 7");
    let _late = Sentinel::start(late, promoted.port(), 2, &[&epoch]).await;
    eventually("the promoted one is found", async || {
        let _ = store.commit(change(&[], &put_person(2))).await;
        promoted.run::<i64>(&["EXISTS", &person(2).text()]).await == 1
    })
    .await;
    gap(&mut notes).await;
    for sentinels in [[early, late], [late, early]] {
        let other = connect(&settings(left_behind.url(), &sentinels)).await;
        other.commit(change(&[], &put_person(3))).await.unwrap();
    }
    assert_eq!(left_behind.run::<i64>(&["EXISTS", &person(3).text()]).await, 0);
}

#[tokio::test]
async fn without_a_sentinel_that_knows_there_is_no_store() {
    let server = primary();
    let nowhere = Redis::connect(&settings(server.url(), &[1])).await.map(drop);
    assert!(matches!(nowhere, Err(StoreError::Unavailable(_))), "{nowhere:?}");
    let port = free_port();
    let _sentinel = Sentinel::start(port, server.port(), 1, &[]).await;
    let mut other_name = settings(server.url(), &[port]);
    let Topology::Sentinel(sentinel) = &mut other_name.topology else { panic!("as made above") };
    sentinel.primary = "another".into();
    match Redis::connect(&other_name).await.map(drop) {
        Err(StoreError::Unavailable(why)) => assert!(why.contains("No such master"), "{why}"),
        other => panic!("{other:?}"),
    }
}

/// R-10 (a): what replicas do not acknowledge in time is an error, and reads do not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_what_no_replica_acknowledges_is_refused() {
    let server = primary();
    let mut replica = replica_of(&server).await;
    let replicas = Some(Replicas { acknowledged_min: 1, wait_millis_max: 5_000 });
    let store = connect(&Settings { replicas, ..Settings::single(server.url(), PATIENT_MILLIS) }).await;
    assert_eq!(store.commit(change(&[], &put_person(1))).await.unwrap(), Committed::Applied);
    server.run::<()>(&["SCRIPT", "FLUSH", "SYNC"]).await;
    assert_eq!(store.commit(change(&[], &put_person(2))).await.unwrap(), Committed::Applied);
    store.ready().await.unwrap();
    replica.kill();
    eventually("the primary notices", async || {
        let info: String = server.run(&["INFO", "replication"]).await;
        info.contains("connected_slaves:0")
    })
    .await;
    let hasty = Some(Replicas { acknowledged_min: 1, wait_millis_max: 50 });
    let store =
        connect(&Settings { replicas: hasty, ..Settings::single(server.url(), PATIENT_MILLIS) }).await;
    let once = Op::PutOnce { key: session(1), value: vec![], expires_at: at(1_000) };
    for refused in [
        store.commit(change(&[], &put_person(3))).await.map(drop),
        store.batch(at(0), vec![once]).await.map(drop),
        store.batch(at(0), vec![put(session(2), b"x", at(9)), Op::Take(session(2))]).await.map(drop),
        store.batch(at(0), vec![Op::Delete(session(2))]).await.map(drop),
        store.ready().await,
    ] {
        let too_few = StoreError::NotReplicated { acknowledged: 0, wanted: 1 };
        assert_eq!(format!("{refused:?}"), format!("{:?}", Err::<(), _>(too_few)));
    }
    // What harms nobody if it is lost goes on.
    one(&store, at(0), put(session(3), b"x", at(1_000))).await;
    assert_eq!(get(&store, at(0), session(3)).await, versioned(0, b"x"));
}

/// R-10 (c): a server that was restarted may have forgotten; who listens hears that, even where notes do not arrive.
#[tokio::test]
async fn r_10_a_restart_is_a_gap() {
    let rights = documented_rights(false);
    let rights: Vec<&str> = ["--user", "gateway"]
        .into_iter()
        .chain(rights.iter().map(String::as_str).filter(|right| *right != "+subscribe"))
        .collect();
    let mut server = RedisServer::start_with(&rights);
    let url = format!("redis://gateway:s3cret@127.0.0.1:{}", server.port());
    let store: Arc<dyn Store> =
        Arc::new(Redis::connect(&Settings::single(url, PATIENT_MILLIS)).await.unwrap());
    assert!(!store.is_listening());
    let mut notes = store.notes();
    // The same life of the same server: no gap.
    server.run::<i64>(&["CLIENT", "KILL", "USER", "gateway"]).await;
    recovers(&store).await;
    let nothing = tokio::time::timeout(Duration::from_millis(300), notes.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    server.start_again(&rights);
    gap(&mut notes).await;
    recovers(&store).await;
}
