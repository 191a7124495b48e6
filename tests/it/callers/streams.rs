//! Responses under way that end with what let the request in: V-16, L-10.
use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use portcullis::{
    directory::TokenError,
    domain::{Person, Standing, Timestamp},
    edge::cookies::SESSION,
};

use super::{World, bearer, by_owner, cookie, wanted};
use crate::{
    gate_rig::{RecordingOrigin, answer_ok},
    support::gateway::{BACKENDS, Backend},
};

const FIRST: &str = "data: first\n\n";
/// A piece of the download that never ends.
const PIECE_BYTES: usize = 64 * 1024;
/// How long a response may outlive what let it in before the test gives up.
const CUT_SECONDS_MAX: u64 = 60;

/// `/octo/events` says something and then nothing; `/octo/download` never stops.
fn origin() -> RecordingOrigin {
    RecordingOrigin::new(|request, stream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        if request.target().ends_with("/events") {
            write!(stream, "{head}{:x}\r\n{FIRST}\r\n", FIRST.len()).unwrap();
            // Until the gateway lets go of the connection.
            let _ = stream.read(&mut [0]);
            return false;
        }
        if request.target().ends_with("/download") {
            stream.write_all(head.as_bytes()).unwrap();
            let mut piece = format!("{PIECE_BYTES:x}\r\n").into_bytes();
            piece.extend([b'x'; PIECE_BYTES]);
            piece.extend(b"\r\n");
            while stream.write_all(&piece).is_ok() {}
            return false;
        }
        answer_ok(request, stream)
    })
}

/// Asks for the events and reads the first.
fn subscribe(world: &World, fields: &str) -> TcpStream {
    let mut stream = world.open("/octo/events", fields);
    let (mut seen, mut byte) = (String::new(), [0]);
    while !seen.ends_with("first\n\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{seen}");
        seen.push(char::from(byte[0]));
    }
    stream
}

/// Broken off: the connection ends without the chunk that would say that this was all.
fn expect_cut(mut stream: TcpStream) {
    let begun = Instant::now();
    let (mut piece, mut tail) = (vec![0; PIECE_BYTES], vec![]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => tail = piece[..count].to_vec(),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("not broken off: {error}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(CUT_SECONDS_MAX), "not broken off");
    }
    assert!(!tail.ends_with(b"\r\n0\r\n\r\n"));
}

fn expect_open(stream: &mut TcpStream) {
    stream.set_nonblocking(true).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

async fn removal(backend: Backend) {
    let world = World::with(backend, |overrides| overrides, origin()).await;
    let (alice, session) = world.sign_in("alice", &["octo-org", "hubot-lab"]).await;
    let (bob, _) = world.sign_in("bob", &["octo-org"]).await;
    let (secret, _) = world.make(&session, wanted(&["octo-org", "hubot-lab"])).await.unwrap();
    let by_cookie = |browser| format!("Cookie: {SESSION}={}\r\n", cookie(browser).expose());
    let events = subscribe(&world, &by_cookie(&alice));
    let tokens = subscribe(&world, &bearer(&secret));
    let mut bobs = subscribe(&world, &by_cookie(&bob));
    let mut download = world.open("/octo/download", &by_cookie(&alice));
    download.read_exact(&mut vec![0; 16 * PIECE_BYTES]).unwrap();
    // In another browser: alice's session goes on, and so does the token, but not in this organization.
    world.sign_in("alice", &["hubot-lab"]).await;
    expect_cut(events);
    expect_cut(tokens);
    expect_cut(download);
    expect_open(&mut bobs);
    assert_eq!(world.get("/", &by_cookie(&alice)).0, 200);
    assert_eq!(world.get("/octo", &by_cookie(&alice)).0, 403);
    assert_eq!(world.by_token("/", &secret).0, 200);
    drop(bobs);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_16_responses_under_way_end_when_the_person_leaves_the_organization() {
    for backend in BACKENDS {
        removal(backend).await;
    }
}

/// Whoever is out, or whose link to the IdP was revoked, has nothing open any more: the record says so, and that is enough.
async fn out(backend: Backend) {
    let world = World::with(backend, |overrides| overrides, origin()).await;
    let (alice, session) = world.sign_in("alice", &["octo-org"]).await;
    let (secret, _) = world.make(&session, wanted(&["octo-org"])).await.unwrap();
    let by_cookie = format!("Accept: application/json\r\nCookie: {SESSION}={}\r\n", cookie(&alice).expose());
    let person = session.session.person;
    let now = Timestamp::now();
    let linked_at = Some(now);
    for (standing, link) in [
        (Standing::Deactivated { since: now }, linked_at),
        (Standing::Deleted { since: now }, linked_at),
        (Standing::Active, None),
    ] {
        let events = [subscribe(&world, &by_cookie), subscribe(&world, &bearer(&secret))];
        let set = |standing, link| {
            move |person: &mut Person| (person.standing, person.linked_at) = (standing, link)
        };
        world.change_person(person, set(standing, link)).await;
        events.into_iter().for_each(expect_cut);
        assert_eq!(
            (world.get("/", &by_cookie).0, world.by_token("/", &secret).0),
            (401, 401),
            "{standing:?}"
        );
        assert!(matches!(world.make(&session, wanted(&[])).await, Err(TokenError::Person)));
        world.change_person(person, set(Standing::Active, linked_at)).await;
    }
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_16_nothing_is_open_to_a_person_who_is_out() {
    for backend in BACKENDS {
        out(backend).await;
    }
}

/// A download whose origin server is always ahead of the client never waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn v_16_a_download_that_never_waits_ends_with_its_token() {
    let world = World::with(Backend::Embedded, |overrides| overrides, origin()).await;
    let (_, alice) = world.sign_in("alice", &["octo-org"]).await;
    let (secret, token) = world.make(&alice, wanted(&["octo-org"])).await.unwrap();
    let (other, _) = world.make(&alice, wanted(&["octo-org"])).await.unwrap();
    let mut download = world.open("/octo/download", &bearer(&secret));
    download.read_exact(&mut vec![0; 16 * PIECE_BYTES]).unwrap();
    let mut others = subscribe(&world, &bearer(&other));
    let (person, now) = (alice.session.person, Timestamp::now());
    let cause = by_owner("attack-stream");
    world.directory().revoke_token(&world.enterprise, person, token.id, &cause, now).await.unwrap();
    expect_cut(download);
    expect_open(&mut others);
    drop(others);
    world.gateway.stop().await;
}
