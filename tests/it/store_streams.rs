//! The part of the conformance suite about streams and notes; `store` lists the cases. What only Redis does stands at the end.
use std::{sync::Arc, time::Duration};

use openssl::sha::Sha256;
use portcullis::{
    domain::{PersonId, Timestamp},
    store::{Committed, Entry, Heard, Key, Note, Notes, Op, Reply, Store, StoreError, StreamHead, Write},
};
use tokio::task::JoinSet;

use crate::{
    store::{at, change, enterprise, get, one, person, redis, session, versioned},
    support::{
        redis::{BreakableRedis, Network, RedisServer},
        redis_sets::eventually,
    },
};

/// A note that does not come within this does not come.
const PATIENCE: Duration = Duration::from_secs(20);

fn audit(n: u8) -> Key {
    Key::Audit(enterprise(n))
}

fn append(value: &[u8]) -> Op {
    Op::Append(audit(1), value.to_vec())
}

/// The documented formula over another implementation of SHA-256.
fn expected_link(before: &[u8; 32], sequence: u64, value: &[u8]) -> [u8; 32] {
    let mut of_value = Sha256::new();
    of_value.update(value);
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(&sequence.to_be_bytes());
    hash.update(&of_value.finish());
    hash.finish()
}

/// Reads a stream in pages of `limit` and follows its chain from what its head says; answers its entries.
async fn verified(store: &Arc<dyn Store>, stream: Key, limit: usize) -> Vec<Entry> {
    let head = store.stream_head(stream).await.unwrap();
    let (mut sequence, mut link) = (head.first - 1, head.link_before_first);
    let mut entries = vec![];
    loop {
        let page = store.entries(stream, sequence, limit).await.unwrap();
        assert!(page.len() <= limit);
        if page.is_empty() {
            break;
        }
        for entry in page {
            (sequence, link) = (sequence + 1, expected_link(&link, sequence + 1, &entry.value));
            assert_eq!((entry.sequence, entry.link), (sequence, link));
            entries.push(entry);
        }
    }
    assert_eq!((sequence, link), (head.last, head.link), "the head knows the end");
    entries
}

fn values(entries: &[Entry]) -> Vec<&[u8]> {
    entries.iter().map(|entry| entry.value.as_slice()).collect()
}

pub async fn entries_are_numbered_and_linked(store: Arc<dyn Store>) {
    let empty = StreamHead { first: 1, last: 0, link_before_first: [0; 32], link: [0; 32] };
    assert_eq!(store.stream_head(audit(1)).await.unwrap(), empty);
    assert_eq!(store.entries(audit(1), 0, 9).await.unwrap(), []);
    let replies = store.batch(at(0), vec![append(b"one"), append(b""), append(b"\0\xff\r\n")]).await.unwrap();
    assert_eq!(replies, [Reply::Done, Reply::Done, Reply::Done]);
    let writes = [
        Write::Append(audit(1), b"four".to_vec()),
        Write::Put(person(1), b"p".to_vec()),
        Write::Append(audit(1), b"five".to_vec()),
    ];
    assert_eq!(store.commit(change(&[(person(1), 0)], &writes)).await.unwrap(), Committed::Applied);
    one(&store, at(0), append(&[b'x'; 10_000])).await;
    let expected: [&[u8]; 6] = [b"one", b"", b"\0\xff\r\n", b"four", b"five", &[b'x'; 10_000]];
    for limit in [1, 4, 1_000] {
        assert_eq!(values(&verified(&store, audit(1), limit).await), expected);
    }
    assert_eq!(get(&store, at(0), person(1)).await, versioned(1, b"p"));
    assert_eq!(values(&store.entries(audit(1), 3, 2).await.unwrap()), [&b"four"[..], b"five"]);
    for after in [6, 7, u64::MAX] {
        assert_eq!(store.entries(audit(1), after, 9).await.unwrap(), []);
    }
}

pub async fn concurrent_appends_leave_no_gap(store: Arc<dyn Store>) {
    const TASKS: u8 = 8;
    const APPENDS: u8 = 20;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for n in 0..APPENDS {
                let value = vec![task, n];
                if n % 2 == 0 {
                    one(&store, at(0), append(&value)).await;
                } else {
                    store.commit(change(&[], &[Write::Append(audit(1), value)])).await.unwrap();
                }
            }
        });
    }
    tasks.join_all().await;
    let entries = verified(&store, audit(1), 7).await;
    assert_eq!(entries.len(), usize::from(TASKS) * usize::from(APPENDS));
    for task in 0..TASKS {
        let of_task: Vec<u8> =
            entries.iter().filter(|entry| entry.value[0] == task).map(|entry| entry.value[1]).collect();
        assert_eq!(of_task, (0..APPENDS).collect::<Vec<_>>(), "each in its own order, and each once");
    }
}

pub async fn a_conflict_appends_nothing(store: Arc<dyn Store>) {
    let append = |value: &[u8]| Write::Append(audit(1), value.to_vec());
    let put = || Write::Put(person(1), vec![]);
    for (revision, expected) in [(7, Committed::Conflict), (0, Committed::Applied), (0, Committed::Conflict)]
    {
        let writes = [append(b"before"), put(), append(b"after")];
        assert_eq!(store.commit(change(&[(person(1), revision)], &writes)).await.unwrap(), expected);
    }
    assert_eq!(
        store.commit(change(&[(person(1), 1)], &[append(b"next")])).await.unwrap(),
        Committed::Applied
    );
    assert_eq!(values(&verified(&store, audit(1), 9).await), [&b"before"[..], b"after", b"next"]);
    let elsewhere = change(&[], &[put(), Write::Append(audit(2), vec![])]);
    assert!(matches!(store.commit(elsewhere).await, Err(StoreError::Misuse(_))));
    let deleted = change(&[], &[Write::Delete(audit(1))]);
    assert!(matches!(store.commit(deleted).await, Err(StoreError::Misuse(_))));
    assert!(matches!(store.batch(at(0), vec![Op::Delete(audit(1))]).await, Err(StoreError::Misuse(_))));
}

pub async fn a_trimmed_stream_can_be_verified(store: Arc<dyn Store>) {
    let trim = async |upto| assert_eq!(one(&store, at(0), Op::Trim(audit(1), upto)).await, Reply::Done);
    trim(5).await;
    assert_eq!(store.stream_head(audit(1)).await.unwrap().first, 1, "an empty stream has nothing to trim");
    for n in 1..=9 {
        one(&store, at(0), append(&[n])).await;
    }
    let all = verified(&store, audit(1), 4).await;
    for (upto, left) in [(0, 9), (3, 6), (2, 6), (4, 5), (9, 0), (1_000_000, 0)] {
        trim(upto).await;
        let entries = verified(&store, audit(1), 4).await;
        assert_eq!(entries, all[9 - left..], "{upto}");
        let head = store.stream_head(audit(1)).await.unwrap();
        assert_eq!((head.first, head.last), (10 - left as u64, 9));
        assert_eq!(store.entries(audit(1), 0, 1).await.unwrap().first(), all.get(9 - left));
    }
    one(&store, at(0), append(b"more")).await;
    let entries = verified(&store, audit(1), 4).await;
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].sequence, entries[0].link), (10, expected_link(&all[8].link, 10, b"more")));
}

pub async fn streams_are_kept_apart(store: Arc<dyn Store>) {
    for n in [1, 2, 3, 2] {
        one(&store, at(0), Op::Append(audit(n), vec![n])).await;
    }
    one(&store, at(0), Op::Trim(audit(2), 1)).await;
    for (n, expected) in [(1, 1), (2, 1), (3, 1), (4, 0)] {
        assert_eq!(verified(&store, audit(n), 9).await.len(), expected, "{n}");
    }
    assert!(matches!(store.entries(person(1), 0, 1).await, Err(StoreError::Misuse(_))));
    assert!(matches!(store.stream_head(person(1)).await, Err(StoreError::Misuse(_))));
    assert!(matches!(store.entries(audit(1), 0, 0).await, Err(StoreError::Misuse(_))));
}

fn about(n: u8) -> Note {
    Note::Person(enterprise(1), PersonId::from_bytes([n; 16]))
}

async fn next(notes: &mut Notes) -> Heard {
    tokio::time::timeout(PATIENCE, notes.next())
        .await
        .expect("nothing was heard")
        .expect("the store is there")
}

pub async fn notes_come_after_what_they_tell_of(store: Arc<dyn Store>) {
    assert!(store.is_listening());
    let (mut notes, mut others) = (store.notes(), store.notes());
    for n in 1..=20 {
        let writes = [Write::Notify(about(n)), Write::Put(person(n), vec![n])];
        let committed = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.commit(change(&[(person(n), 0)], &writes)).await }
        });
        assert_eq!(next(&mut notes).await, Heard::Note(about(n)));
        assert_eq!(get(&store, at(0), person(n)).await, versioned(1, &[n]), "what is told can be seen");
        assert_eq!(committed.await.unwrap().unwrap(), Committed::Applied);
        assert_eq!(next(&mut others).await, Heard::Note(about(n)));
    }
    let ended = Note::Session(portcullis::domain::SessionId::from_bytes([7; 32]));
    let ops = vec![Op::Delete(session(7)), Op::Notify(ended), Op::Notify(Note::Enterprise(enterprise(2)))];
    assert_eq!(store.batch(at(0), ops).await.unwrap(), [Reply::Done, Reply::Done, Reply::Done]);
    assert_eq!(next(&mut notes).await, Heard::Note(ended));
    assert_eq!(next(&mut notes).await, Heard::Note(Note::Enterprise(enterprise(2))));
}

pub async fn what_is_not_applied_is_not_told(store: Arc<dyn Store>) {
    let mut notes = store.notes();
    let writes = [Write::Notify(about(1)), Write::Put(person(1), vec![])];
    assert_eq!(store.commit(change(&[(person(1), 7)], &writes)).await.unwrap(), Committed::Conflict);
    let refused = change(&[], &[Write::Notify(about(1)), Write::Put(session(1), vec![])]);
    assert!(matches!(store.commit(refused).await, Err(StoreError::Misuse(_))));
    one(&store, at(0), Op::Notify(about(2))).await;
    assert_eq!(next(&mut notes).await, Heard::Note(about(2)));
}

/// What is told by one gateway is heard by another, and after a lost line there is a gap.
#[tokio::test]
async fn r_14_a_lost_subscription_is_a_gap_and_comes_back() {
    let server = RedisServer::start();
    let (here, there) = (redis(&server).await, redis(&server).await);
    let mut notes = there.notes();
    one(&here, at(0), Op::Notify(about(1))).await;
    assert_eq!(next(&mut notes).await, Heard::Note(about(1)));
    assert_eq!(server.run::<i64>(&["CLIENT", "KILL", "TYPE", "pubsub"]).await, 2);
    assert_eq!(next(&mut notes).await, Heard::Gap);
    one(&here, at(0), Op::Notify(about(2))).await;
    assert_eq!(next(&mut notes).await, Heard::Note(about(2)));
    assert!(there.is_listening());
    // Who tells what we do not understand may mean anything.
    server.run::<i64>(&["PUBLISH", "pc:notes", "from another version"]).await;
    assert_eq!(next(&mut notes).await, Heard::Gap);
}

/// A line that says nothing any more is told from a quiet channel.
#[tokio::test]
async fn r_14_a_subscription_that_hangs_is_noticed() {
    let redis = BreakableRedis::start().await;
    let settings = portcullis::store::redis::Settings::single(redis.url(), 1_000);
    let store = portcullis::store::redis::Redis::connect(&settings).await.unwrap();
    let mut notes = store.notes();
    assert!(store.is_listening());
    redis.set(Network::Stalled);
    eventually("it is noticed", async || !store.is_listening()).await;
    redis.set(Network::Works);
    assert_eq!(next(&mut notes).await, Heard::Gap);
    eventually("it listens again", async || store.is_listening()).await;
}

#[tokio::test]
async fn r_14_whether_notes_arrive_is_known() {
    let rights = "on >s3cret ~pc:* &pc:notes +@all -subscribe";
    let rights: Vec<_> = ["--user", "gateway"].into_iter().chain(rights.split_whitespace()).collect();
    let server = RedisServer::start_with(&rights);
    let url = format!("redis://gateway:s3cret@127.0.0.1:{}", server.port());
    let settings = portcullis::store::redis::Settings::single(url, 20_000);
    let store = portcullis::store::redis::Redis::connect(&settings).await.unwrap();
    assert!(!store.is_listening(), "it may not subscribe");
    store.ready().await.unwrap();
    server.run::<()>(&["ACL", "SETUSER", "gateway", "+subscribe"]).await;
    eventually("it subscribes by itself", async || store.is_listening()).await;
}

/// What a gateway guesses of the stream's end is wrong whenever another one appended: then the server's own link counts.
#[tokio::test]
async fn a_06_two_gateways_that_guess_make_one_chain() {
    let server = RedisServer::start();
    let stores = [redis(&server).await, redis(&server).await];
    let mut expected = vec![];
    for n in 0..12_u8 {
        // Each once, twice, three times in a row, by step and by commit.
        for (store, times) in stores.iter().zip([1 + n % 3, 1 + (n / 3) % 2]) {
            for time in 0..times {
                let value = vec![n, time];
                match time % 2 {
                    0 => drop(one(store, at(0), append(&value)).await),
                    _ => drop(
                        store.commit(change(&[], &[Write::Append(audit(1), value.clone())])).await.unwrap(),
                    ),
                }
                expected.push(value);
            }
        }
    }
    // `verified` computes every link anew.
    assert_eq!(values(&verified(&stores[0], audit(1), 100).await), expected);
}

/// A gateway that remembers what a failover forgot guesses the right number after the wrong link.
#[tokio::test]
async fn a_06_a_guess_from_before_a_failover_is_not_taken() {
    let server = RedisServer::start();
    let (store, other) = (redis(&server).await, redis(&server).await);
    one(&store, at(0), append(b"lost")).await;
    server.run::<()>(&["FLUSHALL"]).await;
    one(&other, at(0), append(b"kept")).await;
    one(&store, at(0), append(b"next")).await;
    assert_eq!(values(&verified(&other, audit(1), 9).await), [&b"kept"[..], b"next"]);
}

/// FIPS 180-4's own examples, and every length around the borders of a block, through the server's Lua.
#[tokio::test]
async fn the_scripts_sha_256_is_sha_256() {
    let server = RedisServer::start();
    let text = include_str!("../../src/store/redis/stream.lua").to_owned() + "return sha256(ARGV[1])";
    let client = ::redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut hashed = async |message: &[u8]| -> Vec<u8> {
        let script = ::redis::Script::new(&text);
        script.arg(message).invoke_async(&mut connection).await.unwrap()
    };
    let examples: [(&[u8], &str); 4] = [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
        (
            b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
        ),
    ];
    for (message, expected) in examples {
        let hex: String = hashed(message).await.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }
    for length in 0..200_u8 {
        let message: Vec<u8> = (0..length).map(|i| i.wrapping_mul(73) ^ length).collect();
        assert_eq!(hashed(&message).await, openssl::sha::sha256(&message), "{length}");
    }
}

/// A head and a stream that do not fit each other: nothing of the commit is written.
#[tokio::test]
async fn a_stream_that_was_tampered_with_takes_nothing() {
    let server = RedisServer::start();
    let store = redis(&server).await;
    let (text, now): (String, Timestamp) = (audit(1).text(), at(0));
    let commit = || change(&[], &[Write::Put(person(1), vec![]), Write::Append(audit(1), vec![])]);
    let faults: [(&[&str], &[&str]); 4] = [
        (&["XADD", &text, "7-0", "l", "x", "v", "y"], &["DEL", &text]),
        (&["SET", &text, "no stream"], &["DEL", &text]),
        (&["SET", &format!("{text}:head"), "no head"], &["DEL", &format!("{text}:head")]),
        (&["XGROUP", "CREATE", &text, "g", "$", "MKSTREAM"], &["PING"]),
    ];
    for (fault, cure) in faults {
        server.run::<::redis::Value>(fault).await;
        if fault[0] == "XGROUP" {
            // An end that no entry shows.
            server.run::<()>(&["XSETID", &text, "9-0"]).await;
        }
        assert!(store.commit(commit()).await.is_err(), "{fault:?}");
        assert!(store.batch(now, vec![append(b"")]).await.is_err(), "{fault:?}");
        assert_eq!(get(&store, now, person(1)).await, None, "{fault:?}");
        server.run::<::redis::Value>(cure).await;
    }
    assert!(store.entries(audit(1), 0, 1).await.unwrap().is_empty());
    server.run::<::redis::Value>(&["XADD", &text, "10-1", "l", "x", "v", "y"]).await;
    assert!(matches!(store.entries(audit(1), 0, 1).await, Err(StoreError::Corrupt(_))));
}
