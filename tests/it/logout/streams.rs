//! L-10: a response that is still under way does not outlive its session.
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use portcullis::{config::Overrides, edge::cookies::SESSION};

use super::{forge, token};
use crate::{
    gate_rig::{RecordingOrigin, answer_ok},
    support::gateway::{BACKENDS, Backend, Setup, TestGateway},
};

/// What the origin server says before it says nothing for a long time.
const FIRST: &str = "data: first\n\n";

/// An origin server whose `/events` never ends.
fn origin() -> RecordingOrigin {
    RecordingOrigin::new(|request, stream| {
        if !request.target().starts_with("/events") {
            return answer_ok(request, stream);
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunk = format!("{head}{:x}\r\n{FIRST}\r\n", FIRST.len());
        stream.write_all(chunk.as_bytes()).unwrap();
        // Until the gateway lets go of the connection.
        let _ = stream.read(&mut [0]);
        false
    })
}

/// Asks for the events and reads the first.
fn subscribe(gateway: &TestGateway, session: &str) -> TcpStream {
    let port = gateway.running.as_ref().unwrap().public_address.port();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let request =
        format!("GET /events HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: {SESSION}={session}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let (mut seen, mut byte) = (String::new(), [0]);
    while !seen.ends_with("first\n\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{seen}");
        seen.push(char::from(byte[0]));
    }
    stream
}

async fn cut(backend: Backend) {
    let origin = origin();
    let address = origin.address;
    let mut setup = Setup::new(backend);
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys/idp-rsa.key.pem");
    setup.idp.key_pem = std::fs::read(key).unwrap();
    setup.idp.certificate_pem = forge::certificate("idp-rsa");
    setup.single_logout = Some("redirect");
    setup.change =
        Box::new(move |overrides: Overrides| overrides.set("route.app.origin", format!("http://{address}")));
    let gateway = TestGateway::set_up(setup).await;
    let (alice, _) = gateway.signed_in("alice").await;
    let (bob, _) = gateway.signed_in("bob").await;
    let mut alices = subscribe(&gateway, token(&alice).expose());
    let bobs = subscribe(&gateway, token(&bob).expose());
    let (status, answer) = gateway.soap(&gateway.logout_request("alice", &[]).envelope());
    assert_eq!(status, 200, "{answer}");
    // Broken off: the connection ends without the chunk that would say that this was all.
    let mut rest = String::new();
    match alices.read_to_string(&mut rest) {
        Ok(_) => assert!(!rest.contains("0\r\n"), "{rest}"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
    bobs.set_nonblocking(true).unwrap();
    let open = (&bobs).read(&mut [0]).unwrap_err();
    assert_eq!(open.kind(), std::io::ErrorKind::WouldBlock, "Bob's goes on");
    drop(bobs);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l_10_a_response_under_way_ends_with_its_session() {
    for backend in BACKENDS {
        cut(backend).await;
    }
}
