//! Fields and framing on the way to the origin server, over raw sockets: security items P-01 to P-11, P-30 to P-41, P-52.
use std::io::Write as _;

use crate::gate_rig::{HEADER_BYTES_MAX, Rig, proxy_settings};

#[test]
fn p01_p02_spoofed_identity_is_refused() {
    let rig = Rig::new();
    for name in [
        "X-Forwarded-User",
        "x-forwarded-user",
        "X-FORWARDED-GROUPS",
        "X.Forwarded.User",
        "X~Forwarded~User",
        "X'Forwarded!User",
        "x-forwarded.organizations",
        "X_Forwarded_User",
        "x-forwarded_user",
        "Any_Underscore",
        "Remote-User",
        "X-Portcullis-Session",
    ] {
        for path in ["/", "/public"] {
            let fields = format!("{name}: admin\r\nCookie: {}\r\n", rig.cookie);
            assert_eq!(rig.request(&format!("GET {path}"), &fields).status, 400, "{name} {path}");
        }
    }
    // P-06: what is no field name at all.
    for line in [
        "X-Forwarded-User : a",
        "X-Forwarded-User\x0b: a",
        ": a",
        " folded: a",
        "X-A: b\r\n folded",
        "X-A: b\0",
    ] {
        assert_eq!(rig.request("GET /public", &format!("{line}\r\n")).status, 400, "{line:?}");
    }
    assert!(rig.origin.take().is_empty());
}

#[test]
fn p03_identity_is_set_exactly_once() {
    let rig = Rig::new();
    assert_eq!(rig.get("/x").status, 200);
    let seen = rig.origin.one();
    assert_eq!(seen.values("x-forwarded-user"), ["alice"]);
    assert_eq!(seen.values("x-forwarded-email"), ["alice@example.com"]);
    assert_eq!(seen.values("x-forwarded-organizations"), ["sales"]);
    // P-07: neither line breaks nor commas of a value reach the wire.
    assert_eq!(seen.values("x-forwarded-groups"), ["staff,CN=a%2CO=b%0D%0AX-Evil:%201"]);
    assert!(seen.values("x-forwarded-preferred-username").is_empty());
    assert!(seen.values("x-evil").is_empty());

    assert_eq!(rig.get("/public").status, 200);
    let seen = rig.origin.one();
    for name in ["user", "email", "organizations", "groups", "preferred-username"] {
        assert!(seen.values(&format!("x-forwarded-{name}")).is_empty(), "{name}");
    }
}

#[test]
fn p04_hop_by_hop_fields_end_here_and_take_nothing_along() {
    let rig = Rig::new();
    for list in ["close, X-Forwarded-User", "X_Forwarded_User", "x-forwarded-for", "Cookie", "Host, close"] {
        let octets = format!(
            "GET / HTTP/1.1\r\nHost: app.example.com\r\nConnection: {list}\r\nCookie: {}\r\n\r\n",
            rig.cookie
        );
        assert_eq!(rig.raw(&octets).status, 400, "{list}");
    }
    assert!(rig.origin.take().is_empty());
    let fields = format!(
        "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\nTE: trailers\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: x\r\nX-End: 1\r\nCookie: {}\r\n",
        rig.cookie
    );
    assert_eq!(rig.request("GET /", &fields).status, 200);
    let seen = rig.origin.one();
    for name in ["connection", "x-hop", "keep-alive", "proxy-connection", "te", "upgrade", "http2-settings"] {
        assert!(seen.values(name).is_empty(), "{name}");
    }
    assert_eq!(seen.values("x-end"), ["1"]);
    assert_eq!(seen.values("x-forwarded-user"), ["alice"]);
}

#[test]
fn p05_trailers_are_dropped() {
    let rig = Rig::new();
    let fields =
        format!("Transfer-Encoding: chunked\r\nTrailer: X-Forwarded-User\r\nCookie: {}\r\n", rig.cookie);
    let octets = format!(
        "POST / HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n{fields}\r\n\
         3;ext=1\r\nabc\r\n0\r\nX-Forwarded-User: admin\r\n\r\n"
    );
    assert_eq!(rig.raw(&octets).status, 200);
    let seen = rig.origin.one();
    assert_eq!(String::from_utf8_lossy(&seen.body), "3\r\nabc\r\n0\r\n\r\n");
    assert!(seen.values("trailer").is_empty());
    assert_eq!(seen.values("transfer-encoding"), ["chunked"]);
    assert_eq!(seen.values("x-forwarded-user"), ["alice"]);
}

#[test]
fn p07_too_much_identity_is_an_error() {
    let mut settings = proxy_settings();
    settings.identity.bytes_max = 60;
    let rig = Rig::with(settings, crate::gate_rig::answer_ok);
    assert_eq!(rig.get("/").status, 500);
    assert!(rig.origin.take().is_empty());
}

#[test]
fn p08_forwarding_fields_are_ours() {
    let rig = Rig::new();
    let spoofed = [
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Uri: /healthz",
        "X-Forwarded-Method: GET",
        "X-Forwarded-Prefix: /x",
        "X-Original-URL: /admin",
        "X-Rewrite-URL: /admin",
        "X-Real-IP: 6.6.6.6",
        "Forwarded: for=6.6.6.6",
        "X-Request-Id: from client",
    ];
    assert_eq!(rig.request("GET /public", &format!("{}\r\n", spoofed.join("\r\n"))).status, 200);
    let seen = rig.origin.one();
    assert_eq!(seen.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.values("x-forwarded-host"), ["app.example.com"]);
    assert_eq!(seen.values("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.values("x-request-id").len(), 1);
    assert_ne!(seen.values("x-request-id"), ["from client"]);
    for name in [
        "x-forwarded-uri",
        "x-forwarded-method",
        "x-forwarded-prefix",
        "x-original-url",
        "x-rewrite-url",
        "x-real-ip",
        "forwarded",
    ] {
        assert!(seen.values(name).is_empty(), "{name}");
    }
    let answer = rig.request("GET /public", "X-Request-Id: abc-1.2_3\r\n");
    assert_eq!(answer.values("x-request-id"), ["abc-1.2_3"]);
    assert_eq!(rig.origin.one().values("x-request-id"), ["abc-1.2_3"]);
}

#[test]
fn p10_our_cookies_stay_here() {
    let rig = Rig::new();
    let fields = format!("Cookie: a=1; {}; __host-portcullis-x=2\r\nCookie: b=2\r\n", rig.cookie);
    for path in ["/", "/public"] {
        assert_eq!(rig.request(&format!("GET {path}"), &fields).status, 200);
        assert_eq!(rig.origin.one().values("cookie"), ["a=1; b=2"]);
    }
    assert_eq!(rig.get("/").status, 200);
    assert!(rig.origin.one().values("cookie").is_empty());
}

#[test]
fn p11_p41_responses_are_screened() {
    let rig = Rig::with(proxy_settings(), |_, stream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: __Host-portcullis-session=x; Path=/\r\n\
             Set-Cookie: a=1\r\nX-Forwarded-User: admin\r\nX-Portcullis-X: 1\r\nX-Request-Id: theirs\r\n\
             Connection: X-Hop\r\nX-Hop: 1\r\nX-Kept: 1\r\n\r\nok";
        stream.write_all(head.as_bytes()).is_ok()
    });
    let answer = rig.get("/");
    assert_eq!(answer.values("set-cookie"), ["a=1"]);
    assert_eq!(answer.values("x-kept"), ["1"]);
    assert_eq!(answer.values("x-request-id").len(), 1);
    assert_ne!(answer.values("x-request-id"), ["theirs"]);
    for name in ["x-forwarded-user", "x-portcullis-x", "x-hop"] {
        assert!(answer.values(name).is_empty(), "{name}");
    }
    assert_eq!(answer.values("cache-control"), ["no-store"]);
    assert_eq!(answer.values("vary"), ["Cookie", "Authorization"]);
    assert!(rig.get("/public").values("cache-control").is_empty());
}

#[test]
fn p30_p31_framing() {
    let rig = Rig::new();
    // Behind each stands a request that must never be answered.
    let second = "GET /public/smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n";
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
        "Content-Length: 0, 0\r\n\r\n",
        "Content-Length: +0\r\n\r\n",
        "Content-Length: 0x0\r\n\r\n",
        "Content-Length: -1\r\n\r\n",
        "Content-Length:\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        "X: y\nZ: z\r\n\r\n",
        "X: y\r\n\n",
    ] {
        let answer = rig.raw(&format!("POST /public HTTP/1.1\r\nHost: app.example.com\r\n{fields}{second}"));
        assert_eq!(answer.status, 400, "{fields:?}");
    }
    let old = format!(
        "POST /public HTTP/1.0\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{second}"
    );
    assert_eq!(rig.raw(&old).status, 400);
    assert!(rig.origin.take().is_empty());
    // The same second request behind a clean first one is fine.
    let mut client = rig.connect();
    client.send(
        format!("POST /public HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 5\r\n\r\nGET /{second}")
            .as_bytes(),
    );
    assert_eq!((client.answer().status, client.answer().status), (200, 200));
    let seen = rig.origin.take();
    assert_eq!((seen[0].body.as_slice(), seen[1].target()), (&b"GET /"[..], "/public/smuggled"));
    assert_eq!(seen[0].values("content-length"), ["5"]);
}

#[test]
fn p32_expectations() {
    let rig = Rig::new();
    let post = |expect: &str| {
        format!(
            "POST /public HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\nContent-Length: 2\r\nExpect: {expect}\r\n\r\n"
        )
    };
    for expect in ["y100-continue", "100-continue, x", "200-ok"] {
        assert_eq!(rig.raw(&post(expect)).status, 417, "{expect}");
    }
    let mut client = rig.connect();
    client.send(post("100-continue").as_bytes());
    assert_eq!(client.bytes(25), b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send(b"hi");
    assert_eq!(client.answer().status, 200);
    let seen = rig.origin.one();
    assert!(seen.values("expect").is_empty());
    assert_eq!(seen.body, b"hi");
}

#[test]
fn p38_failures_of_the_origin_server() {
    let mut settings = proxy_settings();
    settings.response_head_millis_max = 200;
    let rig = Rig::with(settings, |request, stream| {
        let answer: &[u8] = match request.target() {
            "/public/garbage" => b"garbage\r\n\r\n",
            "/public/closed" => b"",
            "/public/partial" => b"HTTP/1.1 200 OK\r\nContent-Le",
            "/public/switched" => {
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
            }
            "/public/two" => {
                b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            }
            "/public/lengths" => b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "/public/slow" => {
                // Says nothing until the gate hangs up.
                let _ = std::io::Read::read(stream, &mut [0]);
                b""
            }
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        };
        stream.write_all(answer).is_ok() && request.target() == "/public/fine"
    });
    for (path, status) in [
        ("/public/garbage", 502),
        ("/public/closed", 502),
        ("/public/partial", 502),
        ("/public/switched", 502),
        ("/public/two", 502),
        ("/public/lengths", 502),
        ("/public/slow", 504),
        ("/gone", 503),
        ("/public/fine", 200),
    ] {
        assert_eq!(rig.get(path).status, status, "{path}");
    }
}

#[test]
fn p52_large_heads() {
    let rig = Rig::new();
    let fields = format!("X-Large: {}\r\n", "x".repeat(HEADER_BYTES_MAX));
    assert_eq!(rig.request("GET /public", &fields).status, 431);
    assert_eq!(rig.request("GET /public", &"X-Many: 1\r\n".repeat(200)).status, 431);
    assert!(rig.origin.take().is_empty());
}
