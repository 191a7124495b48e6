//! Records that are sealed with a key of the gateways: who can write to Redis makes nothing that counts.
use std::{path::Path, sync::Arc};

use jiff::SignedDuration;
use portcullis::{
    demo::browser::Browser,
    directory::examine,
    domain::{EnterpriseSlug, NameId, Person, Session, SessionToken, Timestamp},
    edge::cookies::SESSION,
    store::{self, Key, Op, Reply, SealKey, Store, StoreError, Write, records, redis::Settings},
};

use crate::{
    store::{PATIENT_MILLIS, at, change, every_case, get, one, person, put, session, versioned},
    support::{
        gateway::{Backend, TestGateway, name_id},
        redis::RedisServer,
    },
};

const OLD: &str = "the key before, known to every reader of this file";
const OWN: &str = "the key in use, known to every reader of this file";

fn key(secret: &str) -> SealKey {
    SealKey::new(secret.as_bytes()).unwrap()
}

fn sealed(server: &RedisServer, secrets: &[&str]) -> store::Settings {
    let seal_keys = secrets.iter().map(|secret| key(secret)).collect();
    store::Settings::Redis(Settings { seal_keys, ..Settings::single(server.url(), PATIENT_MILLIS) })
}

async fn open(server: &RedisServer, secrets: &[&str]) -> Arc<dyn Store> {
    store::open(&sealed(server, secrets)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_store_is_a_store() {
    let server = RedisServer::start();
    every_case(async || {
        server.run::<()>(&["FLUSHALL"]).await;
        open(&server, &[OWN]).await
    })
    .await;
}

async fn read(store: &Arc<dyn Store>, key: Key) -> Result<Reply, StoreError> {
    store.batch(at(0), vec![Op::Get(key)]).await.map(|mut replies| replies.remove(0))
}

/// The one before opens, the one in use seals; without either what was sealed is not taken for anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_06_keys_change_by_two_at_a_time() {
    let server = RedisServer::start();
    let old = open(&server, &[OLD]).await;
    old.commit(change(&[], &[Write::Put(person(1), b"{1}".to_vec())])).await.unwrap();
    one(&old, at(0), put(session(1), b"{1}", at(1_000))).await;
    let both = open(&server, &[OWN, OLD]).await;
    assert_eq!(get(&both, at(0), person(1)).await, versioned(1, b"{1}"));
    both.commit(change(&[(person(1), 1)], &[Write::Put(person(2), b"{2}".to_vec())])).await.unwrap();
    let own = open(&server, &[OWN]).await;
    assert_eq!(get(&own, at(0), person(2)).await, versioned(1, b"{2}"), "sealed with the one in use");
    for store in [own, open(&server, &["a third key, known to every reader of this file"]).await] {
        let refused = read(&store, person(1)).await;
        assert!(matches!(&refused, Err(StoreError::Forged(key)) if *key == person(1).text()), "{refused:?}");
        assert_eq!(read(&store, session(1)).await.unwrap(), Reply::Value(None));
    }
    let without = open(&server, &[]).await;
    let Reply::Value(Some(stored)) = read(&without, person(1)).await.unwrap() else { panic!("it is there") };
    let e = crate::store::enterprise(1);
    let id = portcullis::domain::PersonId::from_bytes([1; 16]);
    assert!(records::decode_person(e, id, &stored.value).is_err());
}

/// A seal is for its key: what was sealed for one person or session is of no use for another. What keeps something out by
/// being there is an error, and never absent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_06_a_seal_is_for_one_key() {
    let server = RedisServer::start();
    let store = open(&server, &[OWN]).await;
    store.commit(change(&[], &[Write::Put(person(1), b"{1}".to_vec())])).await.unwrap();
    one(&store, at(0), put(session(1), b"{1}", at(1_000))).await;
    one(&store, at(0), put(Key::LoggedOut([1; 32]), b"{1}", at(1_000))).await;
    let copy = async |from: Key, to: Key| {
        server.run::<i64>(&["COPY", &from.text(), &to.text(), "REPLACE"]).await;
    };
    copy(person(1), person(2)).await;
    copy(session(1), session(2)).await;
    copy(Key::LoggedOut([1; 32]), Key::LoggedOut([2; 32])).await;
    for forged in [person(2), Key::LoggedOut([2; 32])] {
        let refused = read(&store, forged).await;
        assert!(matches!(refused, Err(StoreError::Forged(_))), "{forged:?}: {refused:?}");
    }
    assert_eq!(read(&store, session(2)).await.unwrap(), Reply::Value(None));
    let taken = store.batch(at(0), vec![Op::Take(session(2))]).await.unwrap();
    assert_eq!(taken, [Reply::Value(None)]);
    // And for its bytes.
    for n in 17..17 + 33 + 3 {
        copy(person(1), person(3)).await;
        let byte: Vec<u8> =
            server.run(&["GETRANGE", &person(3).text(), &n.to_string(), &n.to_string()]).await;
        let other = if byte == b"~" { "!" } else { "~" };
        server.run::<i64>(&["SETRANGE", &person(3).text(), &n.to_string(), other]).await;
        assert!(matches!(read(&store, person(3)).await, Err(StoreError::Forged(_))), "byte {n}");
    }
    let walked = store::open_whole(&sealed(&server, &[OWN])).await.unwrap();
    let report = examine(&*walked, at(0)).await.unwrap();
    let forged = report.faults.iter().filter(|fault| fault.why == "is not sealed by our key").count();
    // Two people and a logout: the session was taken.
    assert_eq!(forged, 3, "{report:?}");
}

/// A gateway on Redis, sealed if a folder for the key is given.
async fn gateway(folder: Option<&Path>) -> TestGateway {
    let file = folder.map(|folder| folder.join("key"));
    file.iter().for_each(|file| std::fs::write(file, OWN).unwrap());
    let change = move |overrides: portcullis::config::Overrides| match &file {
        Some(file) => overrides.set("store.integrity_key_files", file.display().to_string()),
        None => overrides,
    };
    let gateway = TestGateway::start_with(Backend::Redis, change, |store| store).await;
    gateway.people.set_groups("alice", &["octo-org"]).unwrap();
    gateway.people.set_groups("bob", &[]).unwrap();
    gateway
}

/// A session of the person's, as a sign-in writes it, and the cookie that shows it.
fn made_up(person: &Person) -> (SessionToken, Session) {
    let (token, now) = (SessionToken::from_random([7; 32]), Timestamp::now());
    let session = Session {
        id: token.session_id(),
        enterprise: EnterpriseSlug::parse("example").unwrap(),
        enterprise_id: person.enterprise,
        person: person.id,
        name_id: NameId { value: name_id("alice"), ..NameId::default() },
        session_index: None,
        authn_instant: now,
        authn_context: None,
        profile: person.profile.clone(),
        groups: vec![],
        created_at: now,
        last_seen_at: now,
        expires_at: now + SignedDuration::from_hours(8),
        idle_seconds_max: 8 * 3600,
    };
    (token, session)
}

/// Writes it with no more than a client of Redis has; answers whether it opens the application.
async fn forged_session_opens(gateway: &TestGateway) -> bool {
    let server = &gateway.redis.as_ref().unwrap().server;
    let alice = gateway.person(&name_id("alice")).await.unwrap();
    let (token, session) = made_up(&alice);
    let json = String::from_utf8(records::encode_session(&session)).unwrap();
    let stored = format!("e{:016}{json}", session.expires_at.as_millisecond());
    server.run::<()>(&["SET", &Key::Session(session.id).text(), &stored]).await;
    let mut thief = Browser::new();
    thief.set_cookie("localhost", SESSION, token.expose());
    gateway.identity(&mut thief).await.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn r_06_a_session_that_was_written_into_redis_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (folder, opens) in [(None, true), (Some(folder.path()), false)] {
        let gateway = gateway(folder).await;
        let mut alice = Browser::new();
        gateway.sign_in(&mut alice, "alice").await;
        assert_eq!(forged_session_opens(&gateway).await, opens);
        assert_eq!(gateway.organizations(&mut alice).await, ["octo-org"], "genuine ones go on");
        gateway.stop().await;
    }
}

/// Alice's record under Bob's key: Bob would be what she is.
#[tokio::test(flavor = "multi_thread")]
async fn r_06_a_person_who_was_written_into_redis_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for folder in [None, Some(folder.path())] {
        let gateway = gateway(folder).await;
        let server = &gateway.redis.as_ref().unwrap().server;
        let (mut alice, mut bob) = (Browser::new(), Browser::new());
        gateway.sign_in(&mut alice, "alice").await;
        gateway.sign_in(&mut bob, "bob").await;
        let id = |person| Key::Person(gateway.enterprise(), gateway.person_id(&name_id(person))).text();
        server.run::<i64>(&["COPY", &id("alice"), &id("bob"), "REPLACE"]).await;
        crate::support::redis_sets::eventually("what was cached is read anew", async || {
            let page = bob.fetch_json(&format!("{}/", gateway.url)).await.unwrap();
            match folder {
                None => page.body.contains("octo-org"),
                Some(_) => page.status == 503,
            }
        })
        .await;
        if folder.is_some() {
            let mut again = Browser::new();
            let form = gateway.response_form(&mut again, "bob").await;
            assert_eq!(again.submit(&form).await.unwrap().status, 503, "neither by a new sign-in");
            assert_eq!(gateway.organizations(&mut alice).await, ["octo-org"]);
        }
        gateway.stop().await;
    }
}
