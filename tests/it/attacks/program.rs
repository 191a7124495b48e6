//! The program that ships, with its own clock, and messages made for it and for now.
use std::{fs, net::TcpStream, path::Path, process::Command};

use portcullis::{
    domain::{RequestId, SignInHandle, Timestamp},
    edge::cookies,
};

use super::world::{form_value, make_for};
use crate::{
    gate_rig::{Answer, Client, RecordingOrigin, answer_ok},
    saml::{Case, forge},
    support::{ports, process::Process},
};

/// strace around the program, which writes to `trace`.
pub fn strace(trace: &Path, traced: &str) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "--seccomp-bpf", "-e", traced, "-e", "signal=none", "-o"]);
    command.arg(trace).arg(env!("CARGO_BIN_EXE_portcullis"));
    command
}

/// The program on a port, with an origin server behind it and a browser before it.
pub struct Program {
    pub process: Process,
    folder: tempfile::TempDir,
    pub origin: RecordingOrigin,
    /// The sign-ins that the browser has under way.
    pub cookie: String,
}

impl Program {
    /// Starts `serve`, with more in its environment.
    pub fn start(more: &[(&str, String)]) -> Self {
        Self::run("portcullis serve", more, |_| Command::new(env!("CARGO_BIN_EXE_portcullis")))
    }

    /// The same under strace; `traced` are its `-e` expressions.
    pub fn start_traced(more: &[(&str, String)], traced: &str) -> Self {
        Self::run("strace portcullis serve", more, |trace| strace(trace, traced))
    }

    fn run(name: &str, more: &[(&str, String)], program: impl Fn(&Path) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let origin = RecordingOrigin::new(answer_ok);
        let private = ports::free();
        let key = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys");
        let certificates =
            ["idp-rsa", "idp-p256", "idp-p384"].map(|name| format!("{key}/{name}.cert.pem")).join(",");
        let own_keys =
            ["sp-decryption", "sp-decryption-next"].map(|name| format!("{key}/{name}.pem")).join(",");
        let command = |port| {
            let mut command = program(&folder.path().join("trace"));
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
                .envs(more.iter().cloned());
            command
        };
        let process = Process::start(name, command, |port| TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { process, folder, origin, cookie: String::new() }
    }

    /// Where it is for browsers.
    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.process.port())
    }

    /// Sends a request on a connection of its own; the answer, and the client's port.
    pub fn send(&self, line: &str, fields: &str, body: &str) -> (Answer, u16) {
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
    pub fn begin(&mut self) -> [String; 2] {
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
    pub fn made<T: Send + 'static>(
        &self,
        [first, second]: [String; 2],
        assertion: &str,
        make: fn() -> T,
    ) -> T {
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

    pub fn post(&self, case: &Case) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("SAMLResponse", &form_value(case))
            .finish();
        let fields = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.send("POST /saml/acs", fields, &body).0
    }

    pub fn trace(&self) -> String {
        fs::read_to_string(self.folder.path().join("trace")).unwrap_or_default()
    }

    /// Signs somebody in: the session's cookie, as a field.
    pub fn sign_in(&mut self, assertion: &str) -> String {
        let requests = self.begin();
        let genuine = self.made(requests, assertion, || Case::made("genuine", None, |_| {}));
        let answer = self.post(&genuine);
        assert_eq!(answer.status, 303, "{}", answer.body);
        let session = answer.values("set-cookie").concat();
        assert!(session.starts_with(cookies::SESSION), "{session}");
        format!("Cookie: {}\r\n", session.split(';').next().unwrap())
    }

    /// Ends the program; everything that strace saw.
    pub fn end(self) -> String {
        let Self { process, folder, .. } = self;
        let path = folder.path().join("trace");
        drop(process);
        fs::read_to_string(path).unwrap()
    }
}
