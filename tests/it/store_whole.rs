//! The whole store: what one backend exports another takes over, to the last octet, or not at all.
use std::{collections::BTreeSet, sync::Arc};

use portcullis::{
    domain::{EnterpriseId, PersonId},
    store::{
        Committed, Key, Op, Piece, Store, StoreError, Whole, Write,
        dump::{Reader, Writer},
        redis::{Redis, Settings, Topology},
    },
};

use crate::{
    store::{PATIENT_MILLIS, at, change, one, person, put, session, set},
    support::{redis::RedisServer, redis_sets::RedisCluster},
};

async fn embedded(folder: &tempfile::TempDir, name: &str) -> Arc<dyn Whole> {
    let settings = portcullis::store::embedded::Settings { path: folder.path().join(name) };
    portcullis::store::open_whole(&portcullis::store::Settings::Embedded(settings)).await.unwrap()
}

async fn redis(server: &RedisServer) -> Arc<dyn Whole> {
    let settings = Settings::single(server.url(), PATIENT_MILLIS);
    portcullis::store::open_whole(&portcullis::store::Settings::Redis(settings)).await.unwrap()
}

/// Something of every sort, in several enterprises, with more members and entries than one piece has.
async fn fill(store: &Arc<dyn Whole>) {
    let plain: Arc<dyn Store> = store.clone();
    for n in 1..=20 {
        let writes = [Write::Put(person(n), vec![n; 40]), Write::Insert(set(1), vec![n; 16])];
        assert_eq!(plain.commit(change(&[(person(n), 0)], &writes)).await.unwrap(), Committed::Applied);
    }
    let again = [Write::Put(person(1), b"{\"second\":\"\\u0000 \xc3\xa9\"}".to_vec())];
    plain.commit(change(&[(person(1), 1)], &again)).await.unwrap();
    for e in 1..=4 {
        let audit = Key::Audit(EnterpriseId::from_bytes([e; 16]));
        let appends = (0..40 * u32::from(e)).map(|n| Op::Append(audit, n.to_string().into_bytes())).collect();
        plain.batch(at(0), appends).await.unwrap();
        one(&plain, at(0), Op::Trim(audit, u64::from(e) * 3)).await;
    }
    one(&plain, at(0), put(session(1), &[0xff, 0, 1], at(7_000_000))).await;
    let many = Key::People(EnterpriseId::from_bytes([9; 16]));
    for page in 0..5_u32 {
        let id = |n: u32| PersonId::derived(&[&(page * 500 + n).to_be_bytes()]).as_bytes().to_vec();
        plain.batch(at(0), (0..500).map(|n| Op::Insert(many, id(n))).collect()).await.unwrap();
    }
    let scim = EnterpriseId::from_bytes([8; 16]);
    let touched = Key::ScimGroupState(scim, portcullis::domain::ScimId::from_bytes([1; 16]));
    let touch = [Write::Touch(touched, at(5)), Write::Insert(Key::ScimUsers(scim), vec![1; 24])];
    plain.commit(change(&[], &touch)).await.unwrap();
    let sessions = Key::PersonSessions(EnterpriseId::from_bytes([9; 16]), PersonId::from_bytes([1; 16]));
    plain
        .batch(at(0), vec![Op::Insert(sessions, vec![1; 40]), Op::Expire(sessions, at(5_000_000))])
        .await
        .unwrap();
}

async fn dumped(store: &Arc<dyn Whole>) -> Vec<u8> {
    let mut writer = Writer::begin(vec![], at(0)).unwrap();
    let mut visit = |piece: Piece| {
        writer.piece(&piece).unwrap();
        Ok(())
    };
    store.walk(at(0), &mut visit).await.unwrap();
    writer.end().unwrap().0
}

/// What the text says, whatever the order of its pieces. Redis counts a set's time by its own clock, so to within a minute.
fn content(text: &[u8]) -> BTreeSet<String> {
    let mut reader = Reader::begin(text).unwrap();
    let mut content = BTreeSet::new();
    while let Some(piece) = reader.next().unwrap() {
        match piece {
            Piece::Members { key, members } => {
                content.extend(members.iter().map(|member| format!("{} {member:?}", key.text())));
            }
            Piece::Until { key, at } => {
                content.extend([format!("{} until {}", key.text(), (at.as_second() + 30) / 60)]);
            }
            other => content.extend([format!("{other:?}")]),
        }
    }
    content
}

async fn restore(store: &Arc<dyn Whole>, text: &[u8], pieces_max: usize) -> Result<(), StoreError> {
    let import = Reader::begin(text).unwrap().verify().unwrap().sha256;
    let (mut reader, mut given) = (Reader::begin(text).unwrap(), 0);
    let mut next = || {
        given += 1;
        if given > pieces_max { Err(StoreError::Misuse("given up")) } else { Ok(reader.next().unwrap()) }
    };
    store.restore(at(0), import, &mut next).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_to_redis_to_a_cluster_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let first = embedded(&folder, "first.redb").await;
    fill(&first).await;
    let text = dumped(&first).await;
    let server = RedisServer::start();
    let second = redis(&server).await;
    restore(&second, &text, usize::MAX).await.unwrap();
    let from_redis = dumped(&second).await;
    assert_eq!(content(&from_redis), content(&text));

    let cluster = RedisCluster::start(&[]).await;
    let nodes = cluster.nodes.iter().map(|node| ("127.0.0.1".to_owned(), node.port())).collect();
    let settings = Settings {
        topology: Topology::Cluster { nodes },
        ..Settings::single(cluster.nodes[0].url(), PATIENT_MILLIS)
    };
    let third: Arc<dyn Whole> = Arc::new(Redis::connect(&settings).await.unwrap());
    restore(&third, &from_redis, usize::MAX).await.unwrap();
    let from_cluster = dumped(&third).await;
    assert_eq!(content(&from_cluster), content(&text));

    let fourth = embedded(&folder, "fourth.redb").await;
    restore(&fourth, &from_cluster, usize::MAX).await.unwrap();
    assert_eq!(content(&dumped(&fourth).await), content(&text));
    // Whoever goes on appends to the chain, and commits to the revisions, as they were.
    let plain: Arc<dyn Store> = fourth.clone();
    let writes =
        [Write::Put(person(1), vec![]), Write::Append(Key::Audit(EnterpriseId::from_bytes([1; 16])), vec![])];
    assert_eq!(plain.commit(change(&[(person(1), 2)], &writes)).await.unwrap(), Committed::Applied);
    let audit = Key::Audit(EnterpriseId::from_bytes([1; 16]));
    let chain = portcullis::store::verify_stream(&*plain, audit, None).await.unwrap().unwrap();
    assert_eq!((chain.first, chain.last), (4, 41));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_overwritten_and_nothing_is_half_imported() {
    let folder = tempfile::tempdir().unwrap();
    let first = embedded(&folder, "first.redb").await;
    fill(&first).await;
    let text = dumped(&first).await;
    assert!(restore(&first, &text, usize::MAX).await.is_err(), "it is not empty");

    // The file: an import that ends early leaves nothing.
    let second = embedded(&folder, "second.redb").await;
    assert!(restore(&second, &text, 30).await.is_err());
    assert!(content(&dumped(&second).await).is_empty());
    restore(&second, &text, usize::MAX).await.unwrap();

    // Redis: it goes on where it is asked for the same once more, and takes nothing else meanwhile.
    let server = RedisServer::start();
    let third = redis(&server).await;
    assert!(restore(&third, &text, 150).await.is_err());
    assert!(restore(&third, &text, 300).await.is_err());
    let mut foreign = vec![];
    let mut visit = |piece: Piece| {
        if let Piece::Foreign { key, .. } = piece {
            foreign.push(key);
        }
        Ok(())
    };
    third.walk(at(0), &mut visit).await.unwrap();
    assert_eq!(foreign, ["pc:import"], "whoever looks sees that it is not finished");
    let other = embedded(&folder, "other.redb").await;
    assert!(restore(&third, &dumped(&other).await, usize::MAX).await.is_err());
    restore(&third, &text, usize::MAX).await.unwrap();
    assert_eq!(content(&dumped(&third).await), content(&text));
    assert!(restore(&third, &text, usize::MAX).await.is_err(), "it is not empty any more");
}
