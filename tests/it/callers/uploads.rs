//! Requests that are still on their way, and answers that are long in coming, end with what let them in: V-16, L-10.
use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    time::{Duration, Instant},
};

use portcullis::edge::cookies::SESSION;

use super::{World, cookie};
use crate::{
    gate_rig::{RecordingOrigin, answer_ok},
    support::gateway::{BACKENDS, Backend},
};

const PIECE_BYTES: usize = 64 * 1024;
/// More than what lies in the buffers of the way.
const STALLED_BYTES: usize = 256 * PIECE_BYTES;
/// What the origin server hears at most before the test gives up.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// An origin server that says what it got: `/octo/upload` reads what comes, `/octo/stalled` nothing, `/octo/slow` answers when it
/// is told to.
struct Told {
    /// A request's head came, or its body ended.
    heard: Receiver<&'static str>,
    answer: Sender<()>,
}

fn origin() -> (RecordingOrigin, Told) {
    let (hear, heard) = mpsc::channel();
    let (answer, wait) = mpsc::channel();
    let (hear, wait) = (Mutex::new(hear), Arc::new(Mutex::new(wait)));
    let origin = RecordingOrigin::new(move |request, stream| {
        let hear = hear.lock().unwrap().clone();
        match request.target() {
            "/octo/upload" => {
                stream.read_exact(&mut [0; PIECE_BYTES]).unwrap();
                hear.send("begun").unwrap();
                while stream.read(&mut [0; PIECE_BYTES]).is_ok_and(|count| count > 0) {}
                let _ = hear.send("ended");
                false
            }
            "/octo/stalled" => {
                hear.send("begun").unwrap();
                // Reads on only when it is told to: by then everything that was sent has to be here already.
                let _ = wait.lock().unwrap().recv_timeout(WAIT_MAX);
                while stream.read(&mut [0; PIECE_BYTES]).is_ok_and(|count| count > 0) {}
                let _ = hear.send("ended");
                false
            }
            "/octo/slow" => {
                hear.send("begun").unwrap();
                let _ = wait.lock().unwrap().recv_timeout(WAIT_MAX);
                answer_ok(request, stream)
            }
            _ => answer_ok(request, stream),
        }
    });
    (origin, Told { heard, answer })
}

impl Told {
    fn expect(&self, what: &str) {
        assert_eq!(self.heard.recv_timeout(WAIT_MAX), Ok(what));
    }
}

/// Begins a POST whose body is not at its end.
fn post(world: &World, path: &str, fields: &str) -> TcpStream {
    let port = world.gateway.running.as_ref().unwrap().public_address.port();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    let length = 2 * STALLED_BYTES;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nX-Answer-Early: 1\r\nContent-Length: {length}\r\n{fields}\r\n"
    )
    .unwrap();
    stream.write_all(&[b'x'; PIECE_BYTES]).unwrap();
    stream
}

/// The status of what came until the connection ended, if anything did: a connection with unread octets may be reset.
fn ended(mut stream: TcpStream) -> Option<String> {
    let mut answer = vec![];
    let mut piece = [0; 1_024];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("not broken off: {error}"),
        }
    }
    (answer.len() > 12).then(|| String::from_utf8_lossy(&answer[9..12]).into_owned())
}

fn by_cookie(browser: &portcullis::demo::browser::Browser) -> String {
    format!("Accept: application/json\r\nCookie: {SESSION}={}\r\n", cookie(browser).expose())
}

async fn uploads(backend: Backend) {
    let (origin, told) = origin();
    let world = World::with(backend, |overrides| overrides, origin).await;
    let (alice, _) = world.sign_in("alice", &["octo-org"]).await;
    let (bob, _) = world.sign_in("bob", &["octo-org"]).await;
    let upload = post(&world, "/octo/upload", &by_cookie(&alice));
    told.expect("begun");
    let mut bobs = post(&world, "/octo/upload", &by_cookie(&bob));
    told.expect("begun");
    world.sign_in("alice", &["hubot-lab"]).await;
    assert_eq!(ended(upload).as_deref(), Some("403"));
    told.expect("ended");
    // Bob's goes on.
    bobs.write_all(&[b'x'; PIECE_BYTES]).unwrap();
    assert!(told.heard.recv_timeout(Duration::ZERO).is_err());
    drop(bobs);
    told.expect("ended");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_16_an_upload_under_way_ends_when_the_person_leaves_the_organization() {
    for backend in BACKENDS {
        uploads(backend).await;
    }
}

/// An origin server that takes nothing keeps the body from being read, and the gateway from seeing anything in it.
#[tokio::test(flavor = "multi_thread")]
async fn v_16_an_upload_that_stalls_ends_with_its_session() {
    let (origin, told) = origin();
    let world = World::with(Backend::Embedded, |overrides| overrides, origin).await;
    let (alice, session) = world.sign_in("alice", &["octo-org"]).await;
    let upload = post(&world, "/octo/stalled", &by_cookie(&alice));
    told.expect("begun");
    let mut rest = upload.try_clone().unwrap();
    // Blocks until the connection is gone.
    let sender = std::thread::spawn(move || while rest.write_all(&[b'x'; PIECE_BYTES]).is_ok() {});
    let (person, cause) = (session.session.person, super::by_owner("attack-stall"));
    let now = portcullis::domain::Timestamp::now();
    world.directory().end_sessions_of_person(&world.enterprise, person, &cause, now).await.unwrap();
    let begun = Instant::now();
    let status = ended(upload);
    assert!(status.is_none() || status.as_deref() == Some("403"), "{status:?}");
    assert!(begun.elapsed() < WAIT_MAX);
    sender.join().unwrap();
    told.answer.send(()).unwrap();
    told.expect("ended");
    world.gateway.stop().await;
}

/// Whoever left while the origin server was thinking does not get what it thought of.
#[tokio::test(flavor = "multi_thread")]
async fn v_16_an_answer_that_was_long_in_coming_is_not_for_who_left() {
    let (origin, told) = origin();
    let world = World::with(Backend::Embedded, |overrides| overrides, origin).await;
    let (alice, _) = world.sign_in("alice", &["octo-org"]).await;
    for (groups, status) in [(["octo-org"], "200"), (["hubot-lab"], "403")] {
        let fields = format!("Connection: close\r\n{}", by_cookie(&alice));
        let slow = world.open("/octo/slow", &fields);
        told.expect("begun");
        world.sign_in("alice", &groups).await;
        // No bound that must be kept: longer than what is known may be old.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        told.answer.send(()).unwrap();
        assert_eq!(ended(slow).as_deref(), Some(status));
    }
    world.gateway.stop().await;
}
