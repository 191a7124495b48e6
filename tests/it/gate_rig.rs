//! A gate on loopback before a recording origin server, spoken to over raw sockets. Benchmarks use it, too.
use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use portcullis::{
    access::{Origin, Route, Routes, Rule, StepUp},
    api::{Api, Limits, scim::Scim},
    directory::{Directory, SessionSettings},
    domain::{
        ActiveSession, EnterpriseId, EnterpriseSlug, Membership, MembershipSource, NameId, OrganizationSlug,
        Person, PersonId, Profile, Role, Session, SessionToken, Standing, Timestamp,
    },
    edge::{
        self, PublicUrl,
        cookies::SESSION as SESSION_COOKIE,
        gate::Gate,
        listener::{self, Workers},
        router::{Home, Router},
        sign_in::chooser::Domains,
        worker::Gates,
    },
    proxy::{self, IdentityFields},
    store::{
        BoxFuture, Commit, Committed, Entry, Key, Notes, Op, Reply, Store, StoreError, StreamHead, Versioned,
        records,
    },
    telemetry::Metrics,
};
use tokio::sync::watch;

/// No test waits longer for a byte.
const READ_SECONDS_MAX: u64 = 10;

pub const HEADER_BYTES_MAX: usize = 16 * 1024;
pub const ACS_URL: &str = "http://app.example.com/sso/acs";

/// A store that knows sessions and their people and nothing else; the token of zeros finds it down.
#[derive(Default)]
pub struct Sessions(HashMap<Key, Vec<u8>>);

impl Sessions {
    pub fn of(sessions: impl IntoIterator<Item = ActiveSession>) -> Self {
        let mut records = HashMap::new();
        for ActiveSession { session, memberships } in sessions {
            let person = Person {
                id: session.person,
                enterprise: session.enterprise_id,
                standing: Standing::Active,
                linked_at: Some(session.created_at),
                issuer: "https://idp.example.com".into(),
                name_id: session.name_id.clone(),
                profile: session.profile.clone(),
                memberships,
                former: vec![],
                tokens: vec![],
                last_groups: None,
                decided_at: None,
                created_at: session.created_at,
                last_sign_in_at: session.created_at,
            };
            records.insert(Key::Person(person.enterprise, person.id), records::encode_person(&person));
            records.insert(Key::Session(session.id), records::encode_session(&session));
        }
        Self(records)
    }
}

impl Store for Sessions {
    fn batch(&self, _: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        let down = Key::Session(SessionToken::from_random([0; 32]).session_id());
        let replies = ops.into_iter().map(|op| match op {
            Op::Get(key) if key == down => Err(StoreError::Timeout(0)),
            Op::Get(key) => {
                let value = self.0.get(&key).cloned();
                Ok(Reply::Value(value.map(|value| Versioned { revision: 1, value })))
            }
            _ => Err(StoreError::Timeout(0)),
        });
        let replies: Result<Vec<Reply>, StoreError> = replies.collect();
        Box::pin(async { replies })
    }
    fn commit(&self, _: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        Box::pin(async { Err(StoreError::Timeout(0)) })
    }
    fn members(
        &self,
        _: Key,
        _: Option<Vec<u8>>,
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        Box::pin(async { Err(StoreError::Timeout(0)) })
    }
    fn page(&self, _: Key, _: u64, _: usize) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        Box::pin(async { Err(StoreError::Timeout(0)) })
    }
    fn count(&self, _: Key) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async { Err(StoreError::Timeout(0)) })
    }
    fn entries(&self, _: Key, _: u64, _: usize) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        Box::pin(async { Err(StoreError::Timeout(0)) })
    }
    fn stream_head(&self, _: Key) -> BoxFuture<'_, Result<StreamHead, StoreError>> {
        Box::pin(async { Err(StoreError::Timeout(0)) })
    }
    fn notes(&self) -> Notes {
        Notes::silent()
    }
    fn is_listening(&self) -> bool {
        false
    }
    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

/// `alice` of `enterprise`, signed in for the next hour, with an awkward group.
pub fn active_session(enterprise: &str, token: &SessionToken) -> ActiveSession {
    let slug = EnterpriseSlug::parse(enterprise).unwrap();
    let enterprise_id = EnterpriseId::of(&slug);
    let now = Timestamp::now();
    ActiveSession {
        session: Session {
            id: token.session_id(),
            enterprise_id,
            enterprise: slug,
            person: PersonId::of(enterprise_id, "https://idp.example.com", "alice"),
            name_id: NameId { value: "alice".into(), ..NameId::default() },
            session_index: None,
            authn_instant: now,
            authn_context: None,
            profile: Profile {
                user: "alice".into(),
                email: Some("alice@example.com".into()),
                display_name: Some("Alice".into()),
                preferred_username: None,
            },
            groups: vec!["staff".into(), "CN=a,O=b\r\nX-Evil: 1".into()],
            created_at: now,
            last_seen_at: now,
            expires_at: now + Duration::from_secs(3600),
            idle_seconds_max: 3600,
        },
        memberships: vec![Membership::new(
            OrganizationSlug::parse("sales").unwrap(),
            Role::Member,
            MembershipSource::Saml,
            now,
        )],
    }
}

pub fn edge_settings(workers: usize) -> edge::Settings {
    edge::Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        workers,
        public_url: PublicUrl { scheme: "http".into(), authority: "app.example.com".into() },
        header_bytes_max: HEADER_BYTES_MAX,
        header_read_millis_max: 10_000,
        acs_body_bytes_max: 256 * 1024,
        acs_body_read_millis_max: 10_000,
        sign_in_seconds_max: 600,
        pending_sign_ins_max: 8,
        api_limits: Limits { calls_per_minute: 0, strangers_per_minute: 0 },
        pages: edge::pages::Pages::default(),
        own_host: None,
    }
}

pub fn proxy_settings() -> proxy::Settings {
    proxy::Settings {
        connect_millis_max: 5_000,
        response_head_millis_max: 5_000,
        idle_connections_max: 64,
        idle_connection_seconds_max: 60,
        identity: IdentityFields {
            user: "X-Forwarded-User".into(),
            email: "X-Forwarded-Email".into(),
            groups: "X-Forwarded-Groups".into(),
            organizations: "X-Forwarded-Organizations".into(),
            preferred_username: "X-Forwarded-Preferred-Username".into(),
            bytes_max: 8 * 1024,
        },
    }
}

/// The gate that tests and benchmarks share: `routes` and some sessions.
pub fn gate(routes: Vec<Route>, sessions: Sessions, workers: usize) -> Gate {
    let acme = EnterpriseSlug::parse("acme").unwrap();
    let directory = Arc::new(Directory::new(
        Arc::new(sessions),
        SessionSettings { idle_seconds_max: 3600, lifetime_seconds_max: 3600 },
        Metrics::new(),
    ));
    Gate {
        api: Api::new(directory.clone(), [], Timestamp::now, edge_settings(1).api_limits),
        scim: Scim::new(directory.clone(), [], Metrics::new(), Timestamp::now),
        directory,
        routes: Routes::new(routes).unwrap(),
        own: Router::new(&[Home { enterprise: &acme, acs_urls: &[ACS_URL.to_owned()] }], None).unwrap(),
        enterprises: HashMap::new(),
        domains: Domains::default(),
        metrics: Metrics::new(),
        settings: edge_settings(workers),
        proxy: proxy_settings(),
        now: Timestamp::now,
    }
}

pub fn route(name: &str, path_prefix: &str, origin: SocketAddr, rule: Rule) -> Route {
    let origin = Origin { host: origin.ip().to_string(), port: origin.port() };
    Route { name: name.into(), host: "app.example.com".into(), path_prefix: path_prefix.into(), origin, rule }
}

pub fn protected(organizations: &[&str]) -> Rule {
    Rule::Protected {
        enterprises: vec![EnterpriseSlug::parse("acme").unwrap()],
        organizations: organizations.iter().map(|o| OrganizationSlug::parse(o).unwrap()).collect(),
        groups: vec![],
        step_up: StepUp::default(),
        tokens: true,
    }
}

/// A gate with `/` protected, `/public` public, `/legal` for members of `legal` only and `/gone` without origin server.
pub struct Rig {
    pub address: SocketAddr,
    pub origin: RecordingOrigin,
    /// Cookies: of acme's alice, of globex's, of nobody, and one that finds the store down.
    pub cookie: String,
    pub foreign_cookie: String,
    pub unknown_cookie: String,
    pub store_down_cookie: String,
    stop: watch::Sender<bool>,
    workers: Option<Workers>,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(proxy_settings(), answer_ok)
    }

    pub fn with(
        settings: proxy::Settings,
        answer: impl Fn(&Recorded, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let origin = RecordingOrigin::new(answer);
        let token = |byte| SessionToken::from_random([byte; 32]);
        let cookie = |byte| format!("{SESSION_COOKIE}={}", token(byte).expose());
        let sessions =
            [("acme", 1), ("globex", 2)].map(|(enterprise, byte)| active_session(enterprise, &token(byte)));
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let routes = vec![
            route("app", "/", origin.address, protected(&[])),
            route("public", "/public", origin.address, Rule::Public),
            route("legal", "/legal", origin.address, protected(&["legal"])),
            route("gone", "/gone", gone, Rule::Public),
            Route { host: "b.example.com".into(), ..route("b", "/b", origin.address, Rule::Public) },
        ];
        let gate = Gate { proxy: settings, ..gate(routes, Sessions::of(sessions), 1) };
        let (stop, stopped) = watch::channel(false);
        let listeners = listener::bind(&gate.settings).unwrap();
        let address = listeners.local_addr();
        let gates = Arc::new(Gates::new(gate));
        let workers = Some(listeners.serve(&gates, &stopped).unwrap());
        Self {
            address,
            origin,
            cookie: cookie(1),
            foreign_cookie: cookie(2),
            unknown_cookie: cookie(3),
            store_down_cookie: cookie(0),
            stop,
            workers,
        }
    }

    pub fn connect(&self) -> Client {
        Client::new(self.address)
    }

    /// Sends octets on a connection of their own; answers what came until the gate closed it.
    pub fn raw(&self, octets: &str) -> Answer {
        let mut client = self.connect();
        client.send(octets.as_bytes());
        let answer = client.answer();
        client.expect_end();
        answer
    }

    /// Sends one well-framed request with further field lines, each ended by CRLF.
    pub fn request(&self, line: &str, fields: &str) -> Answer {
        self.raw(&format!("{line} HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n{fields}\r\n"))
    }

    /// A GET with alice's session.
    pub fn get(&self, path: &str) -> Answer {
        self.request(&format!("GET {path}"), &format!("Cookie: {}\r\n", self.cookie))
    }

    /// Stops the gate; returns once its workers have ended.
    pub fn stop(&mut self) {
        self.stop.send_replace(true);
        if let Some(workers) = self.workers.take() {
            workers.join();
        }
    }

    /// Only tells the gate to stop.
    pub fn begin_stop(&self) {
        self.stop.send_replace(true);
    }
}

/// A client connection.
pub struct Client(pub TcpStream);

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// With the status line, lower-case names.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn values(&self, name: &str) -> Vec<&str> {
        values(&self.head, name)
    }
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(READ_SECONDS_MAX))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub fn send(&mut self, octets: &[u8]) {
        self.0.write_all(octets).unwrap();
    }

    /// Reads one response, framed by its head.
    pub fn answer(&mut self) -> Answer {
        let head = read_head(&mut self.0).expect("a response");
        let body = read_body(&mut self.0, &head).expect("a whole body");
        let status = head[9..12].parse().unwrap();
        Answer { status, head, body: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Reads `count` bytes of whatever comes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The gate must have closed the connection, with nothing more to say.
    pub fn expect_end(&mut self) {
        let mut rest = vec![];
        match self.0.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(String::from_utf8_lossy(&rest), "", "more than one response"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
        }
    }

    pub fn close(self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// A request as the origin server saw it on the wire.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub head: String,
    pub body: Vec<u8>,
    /// Counts connections from 0.
    pub connection: usize,
}

impl Recorded {
    pub fn values(&self, name: &str) -> Vec<&str> {
        values(&self.head, name)
    }
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }
}

/// An origin server that writes down every request, octet by octet.
pub struct RecordingOrigin {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Recorded>>>,
    pub connections: Arc<AtomicUsize>,
}

/// 200 with two bytes, and on with the next request.
pub fn answer_ok(_: &Recorded, stream: &mut TcpStream) -> bool {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok()
}

impl RecordingOrigin {
    /// `answer` writes the response and says whether the connection goes on.
    pub fn new(answer: impl Fn(&Recorded, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, connections) = (Arc::<Mutex<Vec<Recorded>>>::default(), Arc::<AtomicUsize>::default());
        let (answer, log, count) = (Arc::new(answer), seen.clone(), connections.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, answer, log) = (stream.unwrap(), answer.clone(), log.clone());
                let connection = count.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    while let Some(head) = read_head(&mut stream) {
                        // A request with this field is answered before its body is read.
                        let early = head.contains("\r\nx-answer-early:");
                        let body = if early { Some(vec![]) } else { read_body(&mut stream, &head) };
                        let Some(body) = body else { return };
                        let recorded = Recorded { head, body, connection };
                        log.lock().unwrap().push(recorded.clone());
                        if !answer(&recorded, &mut stream) {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, seen, connections }
    }

    /// What has come since the last call.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// The one request that has come since the last call.
    pub fn one(&self) -> Recorded {
        let mut seen = self.take();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

/// Reads up to and with the empty line; names in lower case. `None` at the end of the stream.
pub fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = vec![];
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    let text = String::from_utf8(head).unwrap();
    let lines = text.split("\r\n").enumerate().map(|(index, line)| match line.split_once(':') {
        Some((name, value)) if index > 0 => format!("{}:{value}", name.to_ascii_lowercase()),
        _ => line.to_owned(),
    });
    Some(lines.collect::<Vec<_>>().join("\r\n"))
}

/// Reads a body by Content-Length, or in chunks with their framing kept.
pub fn read_body(stream: &mut TcpStream, head: &str) -> Option<Vec<u8>> {
    let length = values(head, "content-length").first().and_then(|v| v.parse::<usize>().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    if !values(head, "transfer-encoding").is_empty() {
        let mut byte = [0];
        while !(body == b"0\r\n\r\n" || body.ends_with(b"\r\n0\r\n\r\n")) {
            stream.read_exact(&mut byte).ok()?;
            body.push(byte[0]);
        }
    }
    Some(body)
}

fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    lines.filter(|(n, _)| *n == name).map(|(_, value)| value.trim()).collect()
}
