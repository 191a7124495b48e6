//! Bodies and connections: streaming, cancellation, reuse (P-39), HTTP/2, drain.
use std::{
    io::{Read as _, Write as _},
    sync::{Mutex, atomic::Ordering, mpsc},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::gate_rig::{Rig, answer_ok, proxy_settings};

const GET: &str = "GET /public/x HTTP/1.1\r\nHost: app.example.com\r\n\r\n";

#[test]
fn bodies_stream_both_ways() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let rig = Rig::with(proxy_settings(), move |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst").unwrap();
        // The second half is not written before the client has the first.
        wait.lock().unwrap().recv().unwrap();
        stream.write_all(b"later").is_ok()
    });
    let mut client = rig.connect();
    client.send(GET.as_bytes());
    let head = crate::gate_rig::read_head(&mut client.0).unwrap();
    assert!(head.contains("content-length: 10\r\n"), "{head}");
    assert_eq!(client.bytes(5), b"first");
    go.send(()).unwrap();
    assert_eq!(client.bytes(5), b"later");

    // Up: the origin server has the first part before the client sends the second.
    let (seen, first_part) = mpsc::channel();
    let rig = Rig::with(proxy_settings(), move |_, stream| {
        let mut part = [0; 5];
        stream.read_exact(&mut part).unwrap();
        seen.send(part).unwrap();
        stream.read_exact(&mut part).unwrap();
        seen.send(part).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok()
    });
    let mut client = rig.connect();
    client.send(b"POST /public HTTP/1.1\r\nHost: app.example.com\r\nX-Answer-Early: 1\r\nContent-Length: 10\r\n\r\nfirst");
    assert_eq!(&first_part.recv().unwrap(), b"first");
    client.send(b"later");
    assert_eq!(&first_part.recv().unwrap(), b"later");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn large_bodies_arrive_whole() {
    const BYTES: usize = 3_000_000;
    let rig = Rig::with(proxy_settings(), |request, stream| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len());
        stream.write_all(head.as_bytes()).is_ok() && stream.write_all(&request.body).is_ok()
    });
    let body: Vec<u8> = (0..BYTES).map(|i| b'a' + (i % 23) as u8).collect();
    let mut client = rig.connect();
    client.send(
        format!("PUT /public HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: {BYTES}\r\n\r\n")
            .as_bytes(),
    );
    client.send(&body);
    assert_eq!(client.answer().body.as_bytes(), body);
}

#[test]
fn a_client_that_leaves_takes_its_origin_request_along() {
    let (ended, end) = mpsc::channel();
    let (started, start) = mpsc::channel();
    let rig = Rig::with(proxy_settings(), move |_, stream| {
        started.send(()).unwrap();
        ended.send(stream.read(&mut [0]).unwrap_or(0)).unwrap();
        false
    });
    let mut client = rig.connect();
    client.send(GET.as_bytes());
    start.recv().unwrap();
    client.close();
    assert_eq!(end.recv().unwrap(), 0);
}

#[test]
fn p39_only_clean_connections_are_reused() {
    let rig = Rig::new();
    let mut client = rig.connect();
    for _ in 0..3 {
        client.send(GET.as_bytes());
        assert_eq!(client.answer().status, 200);
    }
    assert_eq!(rig.origin.connections.load(Ordering::SeqCst), 1);

    // Answered before its body was sent: that connection is done with.
    let mut early = rig.connect();
    early.send(
        b"POST /public HTTP/1.1\r\nHost: app.example.com\r\nX-Answer-Early: 1\r\nContent-Length: 10\r\n\r\n",
    );
    assert_eq!(early.answer().status, 200);
    client.send(GET.as_bytes());
    assert_eq!(client.answer().status, 200);
    let connections: Vec<_> = rig.origin.take().iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 0, 0, 0, 1]);
}

#[test]
fn p39_leftover_bytes_end_a_connection() {
    let rig = Rig::with(proxy_settings(), |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong").is_ok()
    });
    for _ in 0..3 {
        assert_eq!(rig.get("/").body, "ok");
    }
    assert_eq!(rig.origin.connections.load(Ordering::SeqCst), 3);
}

#[test]
fn stale_connections_are_replaced_where_that_does_no_harm() {
    // Answers one request on each connection, and hangs up on the second without a word.
    let served = Mutex::new(std::collections::HashSet::new());
    let rig = Rig::with(proxy_settings(), move |request, stream| {
        served.lock().unwrap().insert(request.connection) && answer_ok(request, stream)
    });
    assert_eq!(rig.get("/").status, 200);
    assert_eq!(rig.get("/").status, 200);
    let connections: Vec<_> = rig.origin.take().iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
    // A POST may have been acted upon.
    let post = format!("Content-Length: 0\r\nCookie: {}\r\n", rig.cookie);
    assert_eq!(rig.request("POST /", &post).status, 502);
}

#[test]
fn a_connection_that_closed_while_idle_is_not_tried() {
    let (closed, close) = mpsc::channel();
    let rig = Rig::with(proxy_settings(), move |request, stream| {
        let answered = answer_ok(request, stream);
        let kept = request.connection > 0;
        if !kept {
            stream.shutdown(std::net::Shutdown::Both).unwrap();
            closed.send(()).unwrap();
        }
        answered && kept
    });
    // Even a POST, that would not be sent twice.
    let post = format!("Content-Length: 0\r\nCookie: {}\r\n", rig.cookie);
    assert_eq!(rig.request("POST /", &post).status, 200);
    close.recv().unwrap();
    assert_eq!(rig.request("POST /", &post).status, 200);
    assert_eq!(rig.origin.take().len(), 2);
}

#[test]
fn http2_with_prior_knowledge() {
    let rig = Rig::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(rig.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = |path: &str| {
            http::Request::post(format!("http://app.example.com{path}"))
                .header("cookie", "a=1")
                .header("cookie", &rig.cookie)
        };
        let sent = request("/x?y").body(Full::new(Bytes::from("hello"))).unwrap();
        let response = sender.send_request(sent).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
        let seen = rig.origin.one();
        assert!(seen.head.starts_with("POST /x?y HTTP/1.1\r\n"), "{}", seen.head);
        assert_eq!(seen.values("host"), ["app.example.com"]);
        assert_eq!(seen.values("cookie"), ["a=1"]);
        assert_eq!(seen.values("x-forwarded-user"), ["alice"]);
        // P-33: Host and :authority disagree; P-01 holds here, too.
        for (name, value) in [("host", "b.example.com"), ("x-forwarded-user", "admin")] {
            let sent = request("/x").header(name, value).body(Full::default()).unwrap();
            assert_eq!(sender.send_request(sent).await.unwrap().status(), 400, "{name}");
        }
        assert!(rig.origin.take().is_empty());
    });
}

#[test]
fn a_stop_lets_requests_finish() {
    let (go, wait) = mpsc::channel::<()>();
    let (started, start) = mpsc::channel();
    let wait = Mutex::new(wait);
    let mut rig = Rig::with(proxy_settings(), move |request, stream| {
        started.send(()).unwrap();
        wait.lock().unwrap().recv().unwrap();
        answer_ok(request, stream)
    });
    let mut client = rig.connect();
    client.send(GET.as_bytes());
    start.recv().unwrap();
    rig.begin_stop();
    go.send(()).unwrap();
    assert_eq!(client.answer().status, 200);
    client.expect_end();
    rig.stop();
    assert!(std::net::TcpStream::connect(rig.address).is_err());
}
