//! What a person has open: sessions, personal access tokens and responses under way, and how each of them ends.
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{Arc, Mutex},
    time::Duration,
};

use portcullis::{
    config::{self, Overrides, Source},
    demo::browser::Browser,
    directory::{Cause, Directory, Enterprise, NewToken, TokenError},
    domain::{
        AccessToken, ActiveSession, NameId, OrganizationSlug, Person, PersonId, Profile, Scope, SessionToken,
        Standing, Timestamp, TokenSecret,
    },
    edge::cookies::SESSION,
    store::{Commit, Committed, Key, Note, Op, Reply, Store, Write, records},
    telemetry::Trigger,
};

use crate::{
    gate_rig::{RecordingOrigin, answer_ok},
    support::gateway::{Backend, Setup, TestGateway},
};

mod making;
mod push;
mod sessions;
mod streams;
mod tokens;
mod uploads;

const DAY_SECONDS: i64 = 24 * 60 * 60;
const OWNER: &str = "owner@example.com";

/// A gateway before an origin server that writes down what it gets.
struct World {
    gateway: TestGateway,
    origin: RecordingOrigin,
    enterprise: Enterprise,
    store: Arc<dyn Store>,
}

/// One for members of an organization, one that takes no tokens.
const ROUTES: &str = r#"
[route.octo]
path = "/octo"
origin = "http://127.0.0.1:1"
enterprise = "example"
organizations = ["octo-org"]
[route.closed]
path = "/closed"
origin = "http://127.0.0.1:1"
enterprise = "example"
tokens = false
"#;

impl World {
    async fn new(backend: Backend) -> Self {
        Self::with(backend, |overrides| overrides, RecordingOrigin::new(answer_ok)).await
    }

    async fn with(
        backend: Backend,
        change: impl FnOnce(Overrides) -> Overrides + 'static,
        origin: RecordingOrigin,
    ) -> Self {
        let url = format!("http://{}", origin.address);
        let mut setup = Setup::new(backend);
        setup.tables = ROUTES;
        setup.change = Box::new(move |overrides| {
            let routes = ["app", "public", "octo", "closed"];
            let overrides = overrides.set("enterprise.example.owners", format!("alice@example.com,{OWNER}"));
            change(routes.iter().fold(overrides, |o, route| o.set(&format!("route.{route}.origin"), &url)))
        });
        let opened = Arc::<Mutex<Option<Arc<dyn Store>>>>::default();
        let kept = opened.clone();
        setup.wrap = Box::new(move |store| {
            *kept.lock().unwrap() = Some(store.clone());
            store
        });
        let gateway = TestGateway::set_up(setup).await;
        let enterprise = enterprise(&gateway);
        let store = opened.lock().unwrap().take().unwrap();
        let owner = owner(&enterprise);
        let put = Write::Put(Key::Person(enterprise.id, owner.id), records::encode_person(&owner));
        store.commit(Commit { expect: vec![], writes: vec![put] }).await.unwrap();
        Self { gateway, origin, enterprise, store }
    }

    /// Changes a person's record as another gateway would.
    async fn change_person(&self, id: PersonId, change: impl FnOnce(&mut Person)) {
        let key = Key::Person(self.enterprise.id, id);
        let replies = self.store.batch(Timestamp::now(), vec![Op::Get(key)]).await.unwrap();
        let [Reply::Value(Some(stored))] = replies.as_slice() else { panic!("{replies:?}") };
        let mut person = records::decode_person(self.enterprise.id, id, &stored.value).unwrap();
        change(&mut person);
        let note = Note::Person(self.enterprise.id, id);
        let writes = vec![Write::Put(key, records::encode_person(&person)), Write::Notify(note)];
        let commit = Commit { expect: vec![(key, stored.revision)], writes };
        assert_eq!(self.store.commit(commit).await.unwrap(), Committed::Applied);
    }

    fn directory(&self) -> &Directory {
        &self.gateway.running.as_ref().unwrap().directory
    }

    /// Signs in with these groups; the browser and its session.
    async fn sign_in(&self, person: &str, groups: &[&str]) -> (Browser, ActiveSession) {
        self.gateway.people.set_groups(person, groups).unwrap();
        let mut browser = Browser::new();
        assert_eq!(self.gateway.sign_in(&mut browser, person).await.status, 200);
        self.origin.take();
        let active = self.directory().session(&cookie(&browser), Timestamp::now()).await.unwrap().unwrap();
        (browser, ActiveSession::clone(&active))
    }

    async fn make(
        &self,
        session: &ActiveSession,
        token: NewToken,
    ) -> Result<(TokenSecret, AccessToken), TokenError> {
        self.directory().create_token(&self.enterprise, session, token, "attack-make", Timestamp::now()).await
    }

    /// A GET with further field lines, each ended by CRLF: the status, and all that came.
    fn get(&self, path: &str, fields: &str) -> (u16, String) {
        let mut stream = self.open(path, &format!("Connection: close\r\n{fields}"));
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        (answer[9..12].parse().unwrap(), answer)
    }

    fn open(&self, path: &str, fields: &str) -> TcpStream {
        let port = self.gateway.running.as_ref().unwrap().public_address.port();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n{fields}\r\n").unwrap();
        stream
    }

    fn by_token(&self, path: &str, secret: &TokenSecret) -> (u16, String) {
        self.get(path, &bearer(secret))
    }
}

fn bearer(secret: &TokenSecret) -> String {
    format!("Authorization: Bearer {}\r\n", secret.expose())
}

fn cookie(browser: &Browser) -> SessionToken {
    SessionToken::parse(browser.cookie("localhost", SESSION).expect("a session cookie")).unwrap()
}

fn enterprise(gateway: &TestGateway) -> Enterprise {
    let loaded = config::load(&Source::file(&gateway.config).unwrap(), &gateway.overrides).unwrap();
    loaded.settings.enterprises[0].tenant()
}

fn slug(name: &str) -> OrganizationSlug {
    OrganizationSlug::parse(name).unwrap()
}

/// For the proxy and these organizations, for a day.
fn wanted(organizations: &[&str]) -> NewToken {
    NewToken {
        name: "ci".into(),
        scopes: vec![Scope::Proxy],
        organizations: organizations.iter().map(|name| slug(name)).collect(),
        expires_at: Timestamp::now() + jiff::SignedDuration::from_secs(DAY_SECONDS),
    }
}

/// An act of an owner.
fn by_owner(request_id: &str) -> Cause<'_> {
    Cause::by(Trigger::Owner, Some((owner_id(), OWNER)), request_id)
}

/// Somebody who owns the enterprise and belongs to nothing.
fn owner(enterprise: &Enterprise) -> Person {
    let now = Timestamp::now();
    Person {
        id: owner_id(),
        enterprise: enterprise.id,
        standing: Standing::Active,
        linked_at: Some(now),
        issuer: String::new(),
        name_id: NameId { value: OWNER.into(), ..NameId::default() },
        profile: Profile { user: OWNER.into(), ..Profile::default() },
        memberships: vec![],
        former: vec![],
        tokens: vec![],
        last_groups: None,
        decided_at: None,
        created_at: now,
        last_sign_in_at: now,
    }
}

fn owner_id() -> PersonId {
    PersonId::from_bytes([9; 16])
}
