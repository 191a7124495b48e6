//! What the program asks of the system while it takes responses, seen by strace: no file is opened, no connection made.
//!
//! The program is the one that ships, with its own clock; the messages are those of the table, made for now.
use std::{fs, net::TcpStream, path::Path, process::Command};

use portcullis::{
    domain::{RequestId, SignInHandle, Timestamp},
    edge::cookies,
};

use super::world::{form_value, make_for};
use crate::{
    gate_rig::{Answer, Client, RecordingOrigin, answer_ok},
    saml::{Case, cases, forge},
    support::{
        ports,
        process::{Process, eventually},
        redis::RedisServer,
    },
};

/// Opens of files, and everything by which a connection could be made; and the accepted ones, which tell where we are.
const TRACED: &str = "trace=open,openat,openat2,creat,socket,connect,accept,accept4";
/// None of these may happen. A datagram socket of a resolver is found by `socket`.
const FORBIDDEN: &[&str] = &["open(", "openat(", "openat2(", "creat(", "socket(", "connect("];

struct Traced {
    process: Process,
    folder: tempfile::TempDir,
    origin: RecordingOrigin,
    /// The sign-ins that the browser has under way.
    cookie: String,
}

impl Traced {
    /// Starts `serve` under strace, on a store.
    fn start(store: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let origin = RecordingOrigin::new(answer_ok);
        let private = ports::free();
        let key = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys");
        let certificates =
            ["idp-rsa", "idp-p256", "idp-p384"].map(|name| format!("{key}/{name}.cert.pem")).join(",");
        let own_keys =
            ["sp-decryption", "sp-decryption-next"].map(|name| format!("{key}/{name}.pem")).join(",");
        let command = |port| {
            let mut command = Command::new("strace");
            command.args(["-f", "-qq", "--seccomp-bpf", "-e", TRACED, "-e", "signal=none", "-o"]);
            command.arg(folder.path().join("trace")).arg(env!("CARGO_BIN_EXE_portcullis"));
            command
                .args(["serve", "--config", concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")])
                .env("PORTCULLIS_PUBLIC_URL", format!("http://localhost:{port}"))
                .env("PORTCULLIS_LISTEN_PUBLIC", format!("127.0.0.1:{port}"))
                .env("PORTCULLIS_LISTEN_PRIVATE", format!("127.0.0.1:{private}"))
                // One worker, so that what the first request makes it load is loaded.
                .env("PORTCULLIS_LISTEN_WORKERS", "1")
                .env("PORTCULLIS_LIMITS_ACS_BODY_BYTES_MAX", "1048576")
                .env("PORTCULLIS_ENTERPRISE_EXAMPLE_SAML_IDP_ENTITY_ID", forge::IDP)
                .env("PORTCULLIS_ENTERPRISE_EXAMPLE_SAML_ENTITY_ID", forge::ENTITY)
                .env("PORTCULLIS_ENTERPRISE_EXAMPLE_SAML_SSO_URL", "https://idp.example.com/sso")
                .env("PORTCULLIS_ENTERPRISE_EXAMPLE_SAML_CERTIFICATES", &certificates)
                .env("PORTCULLIS_ENTERPRISE_EXAMPLE_SAML_DECRYPTION_KEYS", &own_keys)
                .env("PORTCULLIS_ROUTE_APP_ORIGIN", format!("http://{}", origin.address))
                .env("PORTCULLIS_ROUTE_PUBLIC_ORIGIN", format!("http://{}", origin.address))
                .envs(store.iter().cloned());
            command
        };
        let process = Process::start("strace portcullis serve", command, |port| {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { process, folder, origin, cookie: String::new() }
    }

    /// Sends a request on a connection of its own; the answer, and the client's port.
    fn send(&self, line: &str, fields: &str, body: &str) -> (Answer, u16) {
        let port = self.process.port();
        let mut client = Client::new(([127, 0, 0, 1], port).into());
        let from = client.0.local_addr().unwrap().port();
        let length = if line.starts_with("POST") {
            format!("Content-Length: {}\r\n", body.len())
        } else {
            String::new()
        };
        let cookie = &self.cookie;
        client.send(
            format!("{line} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n{cookie}{fields}{length}\r\n{body}")
                .as_bytes(),
        );
        (client.answer(), from)
    }

    /// Goes to sign in, twice in one browser: the two requests' ids.
    fn begin(&mut self) -> [String; 2] {
        self.cookie.clear();
        for _ in 0..2 {
            let (answer, _) = self.send("GET /saml/login", "", "");
            assert_eq!(answer.status, 302, "{}", answer.head);
            let set = answer.values("set-cookie").concat();
            self.cookie = format!("Cookie: {}\r\n", set.split(';').next().unwrap());
        }
        let handles = self.cookie.trim_end().rsplit('=').next().unwrap();
        let ids: Vec<String> = handles
            .split('.')
            .map(|handle| format!("_{}", RequestId::of(SignInHandle::parse(handle).expect("a handle"))))
            .collect();
        ids.try_into().expect("two requests")
    }

    /// What `make` makes, for this gateway, these requests and now.
    fn made<T: Send + 'static>(&self, [first, second]: [String; 2], assertion: &str, make: fn() -> T) -> T {
        let acs = format!("http://localhost:{}/saml/acs", self.process.port());
        let now = Timestamp::now();
        let at = |seconds: i64| {
            let there = Timestamp::from_second(now.as_second() + seconds).expect("a time");
            there.to_string()
        };
        make_for(
            vec![
                (forge::REQUEST.into(), first),
                ("\"_other\"".into(), format!("\"{second}\"")),
                (forge::ACS.into(), acs),
                ("_assertion".into(), assertion.into()),
                ("2026-01-15T11:59:58.123Z".into(), at(-2)),
                ("2026-01-15T12:05:00Z".into(), at(300)),
                ("2026-01-15T11:59:00Z".into(), at(-60)),
                ("2026-01-15T11:50:00Z".into(), at(-600)),
            ],
            make,
        )
    }

    fn post(&self, case: &Case) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("SAMLResponse", &form_value(case))
            .finish();
        let fields = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.send("POST /saml/acs", fields, &body).0
    }

    fn trace(&self) -> String {
        fs::read_to_string(self.folder.path().join("trace")).unwrap_or_default()
    }

    /// Ends the program; everything that strace saw.
    fn end(self) -> String {
        let Self { process, folder, .. } = self;
        let path = folder.path().join("trace");
        drop(process);
        fs::read_to_string(path).unwrap()
    }
}

/// The lines of `trace` from the connection from one port to the connection from another.
fn between(trace: &str, from: u16, to: u16) -> Vec<&str> {
    let is_of = |line: &&str, port: u16| line.contains("accept") && line.contains(&format!("htons({port})"));
    let lines = trace.lines().skip_while(|line| !is_of(line, from));
    let lines: Vec<&str> = lines.take_while(|line| !is_of(line, to)).collect();
    assert!(!lines.is_empty(), "the connection from {from} is not in\n{trace}");
    lines
}

fn calls<'a>(lines: &[&'a str], names: &[&str]) -> Vec<&'a str> {
    lines.iter().copied().filter(|line| names.iter().any(|name| line.contains(&format!(" {name}")))).collect()
}

/// Accepted and refused responses, each more than once, and what happened meanwhile.
fn check(store: &[(&str, String)]) {
    let mut traced = Traced::start(store);
    // Once of each, for what is loaded at its first use.
    let requests = traced.begin();
    let warm_up = traced.made(requests, "_warm_up", cases);
    let named = |cases: &[Case], name: &str| cases.iter().position(|case| case.name == name).expect("a case");
    for name in ["S-35-file", "S-60-external-subset", "rsa-sha512", "ecdsa-sha256", "S-50-rsa-key-value"] {
        traced.post(&warm_up[named(&warm_up, name)]);
    }

    let requests = traced.begin();
    let cases = traced.made(requests, "_cold", cases);
    let (_, mark) = traced.send("GET /saml/nothing", "", "");
    let (mut refused, mut accepted) = (0, 0);
    for case in cases.iter().filter(|case| case.reason.is_some()) {
        let answer = traced.post(case);
        // `key_type_missing` is another connection's.
        let genuine = case.name == "ecdsa-without-such-a-key";
        assert!(genuine || answer.status == 403, "{}: {} {}", case.name, answer.status, answer.body);
        refused += usize::from(answer.status == 403);
    }
    for _ in 0..3 {
        let requests = traced.begin();
        let id = format!("_accepted_{accepted}");
        let genuine = traced.made(requests, &id, || Case::made("genuine", None, |_| {}));
        let answer = traced.post(&genuine);
        assert_eq!(answer.status, 303, "{}", answer.body);
        accepted += 1;
        let session = answer.values("set-cookie").concat();
        traced.cookie = format!("Cookie: {}\r\n", session.split(';').next().unwrap());
        assert!(session.starts_with(cookies::SESSION), "{session}");
    }
    assert!(refused > 200 && accepted == 3);
    // The control: this one does connect, to the origin server.
    let (answer, end) = traced.send("GET /", "", "");
    assert_eq!(answer.status, 200, "{}", answer.head);
    let origin = format!("htons({})", traced.origin.address.port());
    assert!(eventually(|| traced.trace().contains(&origin)), "strace saw no connection to the origin server");
    let trace = traced.end();

    assert!(trace.lines().any(|line| line.contains("openat(")), "strace saw no file opened at the start");
    let meanwhile = between(&trace, mark, end);
    let accepts = meanwhile.iter().filter(|line| line.contains("htons(")).count();
    assert!(accepts >= refused + accepted, "{accepts} connections seen");
    let forbidden = calls(&meanwhile, FORBIDDEN);
    assert!(forbidden.is_empty(), "while responses were taken:\n{}", forbidden.join("\n"));
}

#[test]
fn s_35_and_s_60_nothing_is_opened_with_the_embedded_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = |folder: &Path| folder.join("store.redb").display().to_string();
    check(&[("PORTCULLIS_STORE_PATH", path(folder.path()))]);
}

#[test]
fn s_35_and_s_60_nothing_is_opened_with_redis() {
    let redis = RedisServer::start();
    check(&[("PORTCULLIS_STORE_KIND", "redis".into()), ("PORTCULLIS_STORE_URL", redis.url())]);
}

/// The reader of traces finds what it must not find.
#[test]
fn forbidden_calls_are_found_in_a_trace() {
    let trace = "1 openat(AT_FDCWD, \"a\") = 3\n2 accept4(9, {sin_port=htons(11)}) = 5\n\
                 2 openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY <unfinished ...>\n3 connect(7, {sin_port=htons(80)}) = 0\n\
                 2 <... openat resumed>) = 8\n2 accept4(9, {sin_port=htons(12)}) = 5\n1 socket(AF_INET) = 3\n";
    assert_eq!(calls(&between(trace, 11, 12), FORBIDDEN).len(), 2);
}
