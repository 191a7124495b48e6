//! Single logout over HTTP: both ways, every binding, and what is owed to each message that must be refused.
use std::{
    collections::HashMap,
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use portcullis::{
    config::Overrides,
    demo::browser::Browser,
    domain::{Session, SessionToken, Timestamp},
    edge::cookies::SESSION,
};

use crate::{
    attacks::{
        audit,
        store::{Log, Recording},
    },
    saml::forge,
    support::{
        foreign::browser,
        gateway::{Backend, Setup, TestGateway},
    },
};

mod encrypted;
pub mod fixtures;
mod flows;
mod foreign;
pub mod forge_logout;
pub mod refused;
mod replicas;
mod returns;
mod streams;
mod syscalls;
mod table;
pub mod tenants;
mod told;
mod written;

use forge_logout::Message;

/// What was written to the store of each gateway, by its URL.
static WRITTEN: Mutex<Option<HashMap<String, Arc<Log>>>> = Mutex::new(None);
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// A gateway with single logout whose IdP signs with the key `idp-rsa` of the fixtures.
pub async fn gateway(backend: Backend, binding: &'static str) -> TestGateway {
    gateway_with(backend, binding, |overrides| overrides).await
}

async fn gateway_with(
    backend: Backend,
    binding: &'static str,
    change: impl FnOnce(Overrides) -> Overrides + 'static,
) -> TestGateway {
    let mut setup = Setup::new(backend);
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys/idp-rsa.key.pem");
    setup.idp.key_pem = std::fs::read(key).unwrap();
    setup.idp.certificate_pem = forge::certificate("idp-rsa");
    setup.single_logout = Some(binding);
    setup.change = Box::new(change);
    audit::keep();
    let log = Arc::<Log>::default();
    let written = log.clone();
    setup.wrap = Box::new(move |inner| Recording::before(inner, written));
    let gateway = TestGateway::set_up(setup).await;
    WRITTEN.lock().unwrap().get_or_insert_default().insert(gateway.url.clone(), log);
    gateway
}

pub fn token(browser: &Browser) -> SessionToken {
    SessionToken::parse(browser.cookie("localhost", SESSION).expect("a session cookie")).unwrap()
}

impl TestGateway {
    /// What is written to the store, if [`gateway`] made it.
    pub fn log(&self) -> Option<Arc<Log>> {
        WRITTEN.lock().unwrap().as_ref().and_then(|logs| logs.get(&self.url)).cloned()
    }

    pub fn slo_url(&self) -> String {
        format!("{}/saml/slo", self.url)
    }

    pub async fn signed_in(&self, person: &str) -> (Browser, Session) {
        let mut browser = browser();
        assert_eq!(self.sign_in(&mut browser, person).await.status, 200);
        let directory = &self.running.as_ref().unwrap().directory;
        let active = directory.session(&token(&browser), Timestamp::now()).await.unwrap().unwrap();
        (browser, active.session.clone())
    }

    /// The IdP's word that a person signed out of these sessions.
    pub fn logout_request(&self, person: &str, indexes: &[&str]) -> Message {
        Message::request(&self.idp_entity_id, &self.slo_url(), &format!("{person}@example.com"), indexes)
    }

    /// Sends one request; the status and all that came.
    pub fn call(&self, method: &str, target: &str, fields: &str, body: &str) -> (u16, String) {
        let port = self.running.as_ref().unwrap().public_address.port();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // Of one length, so that answers are.
        let id = format!("{}logout-{:06}", audit::REQUEST_ID_PREFIX, CALLS.fetch_add(1, Ordering::SeqCst));
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost:{port}\r\nX-Request-Id: {id}\r\nConnection: close\r\n\
             Content-Length: {}\r\n{fields}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // The gateway may answer and close before it has read everything.
        let _ = stream.write_all(body.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        (answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0), answer)
    }

    pub fn redirect(&self, query: &str) -> (u16, String) {
        self.call("GET", &format!("/saml/slo?{query}"), "", "")
    }

    pub fn post(&self, form: &str) -> (u16, String) {
        self.call("POST", "/saml/slo", "Content-Type: application/x-www-form-urlencoded\r\n", form)
    }

    pub fn soap(&self, envelope: &str) -> (u16, String) {
        self.call("POST", "/saml/slo", "Content-Type: text/xml; charset=utf-8\r\n", envelope)
    }

    /// Logout messages that were counted, all and those refused for a reason.
    async fn counted(&self, reason: &str) -> (u64, u64) {
        let metrics = self.private("/metrics").await.body;
        let refused = format!("result=\"refused\",reason=\"{reason}\"");
        let count = |line: &str| line.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        let lines = || metrics.lines().filter(|line| line.starts_with("portcullis_saml_logouts_total{"));
        (lines().map(count).sum(), lines().filter(|line| line.contains(&refused)).map(count).sum())
    }

    /// Everything owed to a message that must be refused, but for the absence of sockets and files.
    async fn owes(
        &self,
        browser: &mut Browser,
        reason: &str,
        name: &str,
        send: impl FnOnce() -> (u16, String),
    ) {
        let before = self.counted(reason).await;
        let log = self.log();
        let writes = log.as_ref().map(|log| log.writes());
        let (status, answer) = send();
        assert_eq!(log.map(|log| log.writes()), writes, "{name}: nothing is written: {answer}");
        assert!([400, 403].contains(&status), "{name}: {answer}");
        let head = answer.to_ascii_lowercase();
        assert!(!head.contains("set-cookie:") && !head.contains("location:"), "{name}: {answer}");
        let id = head.split_once("x-request-id: ").and_then(|(_, rest)| rest.split("\r\n").next());
        let events = audit::take(id.unwrap_or_else(|| panic!("{name}: {answer}")));
        let reasons: Vec<_> =
            events.iter().map(|event| event["reason"].as_str().unwrap_or_default()).collect();
        assert_eq!(reasons, [reason], "{name}: one audit event: {answer}");
        let after = self.counted(reason).await;
        assert_eq!(
            (after.0 - before.0, after.1 - before.1),
            (1, 1),
            "{name}: one event, for {reason}: {answer}"
        );
        assert!(self.identity(browser).await.is_some(), "{name}: the session goes on");
    }
}
