//! Two enterprises in one gateway, with people whose records and sessions were laid into the store.
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use portcullis::{
    config::Overrides,
    domain::{
        EnterpriseId, EnterpriseSlug, Membership, MembershipSource, NameId, Organization, OrganizationId,
        OrganizationSlug, Person, PersonId, Profile, Role, Session, SessionId, SessionToken, Standing,
        Timestamp,
    },
    store::{BoxFuture, Commit, Committed, Key, Op, Reply, Store, StoreError, Write, records},
};
use serde_json::json;

use super::client::{Client, Credential};
use crate::{
    invitations::mail_settings,
    support::{
        gateway::{Backend, Setup, TestGateway},
        layer::{Layer, in_front},
    },
};

const GLOBEX: &str = r#"
[enterprise.globex]
organizations = ["octo-org", "globex-lab"]
owners = ["gina@globex.example"]
[enterprise.globex.saml]
idp_entity_id = "https://idp.globex.example/metadata"
sso_url = "https://idp.globex.example/sso"
certificates = ["certs/development-idp.crt"]
[route.globex]
path = "/globex"
origin = "http://127.0.0.1:1"
enterprise = "globex"
"#;

/// A store that remembers what was changed in it.
struct Watching {
    inner: Arc<dyn Store>,
    changes: Arc<Mutex<Vec<String>>>,
}

impl Layer for Watching {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn batch(&self, now: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        // Replaced is what notes that it was used: a session, a token. That is owed to whoever they belong to.
        let changes = ops.iter().filter(|op| !matches!(op, Op::Get(_) | Op::Peek(_) | Op::Replace { .. }));
        self.changes.lock().unwrap().extend(changes.map(|op| format!("{op:?}")));
        self.inner.batch(now, ops)
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        self.changes.lock().unwrap().extend(change.writes.iter().map(|write| format!("{write:?}")));
        self.inner.commit(change)
    }
}

/// Somebody with a session.
#[derive(Debug, Clone)]
pub struct Someone {
    pub id: PersonId,
    pub session: SessionId,
    token: String,
}

impl Someone {
    /// What the session's cookie holds.
    pub fn secret(&self) -> &str {
        &self.token
    }
}

pub struct World {
    pub gateway: TestGateway,
    changes: Arc<Mutex<Vec<String>>>,
    store: Option<Arc<dyn Store>>,
    /// Owns `example`, belongs to nothing.
    pub boss: Someone,
    /// Owns octo-org.
    pub olga: Someone,
    /// Is a member of octo-org.
    pub mia: Someone,
    /// Owns hubot-lab, and nothing of octo-org.
    pub otto: Someone,
    /// Belongs to nothing.
    pub nora: Someone,
    /// Owns `globex` and its octo-org.
    pub gina: Someone,
}

impl World {
    /// As often as tests like to call.
    pub async fn new(backend: Backend) -> Self {
        let without = |overrides: Overrides| {
            overrides.set("limits.api_calls_per_minute", "0").set("limits.api_strangers_per_minute", "0")
        };
        Self::with(backend, without).await
    }

    /// `change` is the last word on the configuration.
    pub async fn with(backend: Backend, change: impl FnOnce(Overrides) -> Overrides + 'static) -> Self {
        let changes: Arc<Mutex<Vec<String>>> = Arc::default();
        let slot: Arc<Mutex<Option<Arc<dyn Store>>>> = Arc::default();
        let (kept, seen) = (slot.clone(), changes.clone());
        let mut setup = Setup::new(backend);
        setup.tables = GLOBEX;
        // Mails are queued, and reach nobody.
        setup.change = Box::new(move |overrides| {
            change(mail_settings(overrides, 1).set("enterprise.example.managed", "*"))
        });
        setup.wrap = Box::new(move |inner| {
            kept.lock().unwrap().replace(inner.clone());
            in_front(Watching { inner, changes: seen })
        });
        let gateway = TestGateway::set_up(setup).await;
        let store = slot.lock().unwrap().take().unwrap();
        let seed = Seed { store: &store, issuer: gateway.idp_entity_id.clone() };
        let example = |user, roles| seed.person("example", user, roles);
        let boss = example("alice@example.com", &[]).await;
        let olga = example("olga@example.com", &[("octo-org", Role::Owner)]).await;
        let mia = example("mia@example.com", &[("octo-org", Role::Member)]).await;
        let otto = example("otto@example.com", &[("hubot-lab", Role::Owner)]).await;
        let nora = example("nora@example.com", &[]).await;
        let gina = seed.person("globex", "gina@globex.example", &[("octo-org", Role::Owner)]).await;
        let store = Some(store);
        Self { gateway, changes, store, boss, olga, mia, otto, nora, gina }
    }

    /// Lets the store go, for another process to open it.
    pub fn let_go(&mut self) {
        self.store = None;
    }

    fn store(&self) -> &Arc<dyn Store> {
        self.store.as_ref().expect("the store was let go")
    }

    pub fn client(&self, credential: Credential) -> Client {
        Client { url: self.gateway.url.clone(), credential }
    }

    /// By the person's session.
    pub fn by(&self, someone: &Someone) -> Client {
        self.client(Credential::Session(someone.token.clone()))
    }

    pub fn cross_origin(&self, someone: &Someone) -> Client {
        self.client(Credential::CrossOrigin(someone.token.clone()))
    }

    /// By a new token of the person's.
    pub async fn by_token(&self, someone: &Someone, scopes: &[&str], organizations: &[&str]) -> Client {
        let token = self.make_token(someone, scopes, organizations).await;
        self.client(Credential::Token(token["token"].as_str().unwrap().to_owned()))
    }

    /// What the API says when it makes one.
    pub async fn make_token(
        &self,
        someone: &Someone,
        scopes: &[&str],
        organizations: &[&str],
    ) -> serde_json::Value {
        let expires_at = (Timestamp::now() + SignedDuration::from_hours(24)).to_string();
        let wanted = json!({
            "name": "script", "scopes": scopes, "organizations": organizations, "expires_at": expires_at,
        });
        let made = self.by(someone).post("/user/tokens", &wanted).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.json()
    }

    /// What was changed since it was asked last.
    pub fn changes(&self) -> Vec<String> {
        std::mem::take(&mut *self.changes.lock().unwrap())
    }

    pub async fn person(&self, someone: &Someone) -> Person {
        let directory = &self.gateway.running.as_ref().unwrap().directory;
        directory.person(self.gateway.enterprise(), someone.id, Timestamp::now()).await.unwrap().unwrap()
    }

    /// Writes a record of somebody anew, changed.
    pub async fn change_person(&self, someone: &Someone, change: impl FnOnce(&mut Person)) {
        let enterprise = self.gateway.enterprise();
        let key = Key::Person(enterprise, someone.id);
        let read = self.store().batch(Timestamp::now(), vec![Op::Get(key)]).await.unwrap().pop();
        let Some(Reply::Value(Some(stored))) = read else { panic!("{read:?}") };
        let mut person = records::decode_person(enterprise, someone.id, &stored.value).unwrap();
        change(&mut person);
        let commit = Commit {
            expect: vec![(key, stored.revision)],
            writes: vec![Write::Put(key, records::encode_person(&person))],
        };
        assert_eq!(self.store().commit(commit).await.unwrap(), Committed::Applied);
    }
}

impl World {
    /// Lists a removal of the person among those that wait.
    pub async fn list_hold(&self, someone: &Someone, organization: &str) {
        let enterprise = self.gateway.enterprise();
        let organization = OrganizationId::of(enterprise, &OrganizationSlug::parse(organization).unwrap());
        let entry = [&organization.as_bytes()[..], someone.id.as_bytes()].concat();
        let listed = Op::Insert(Key::HeldRemovals(enterprise), entry);
        self.store().batch(Timestamp::now(), vec![listed]).await.unwrap();
    }
}

/// Lays people into a store, as sign-ins would have.
struct Seed<'a> {
    store: &'a Arc<dyn Store>,
    issuer: String,
}

impl Seed<'_> {
    async fn person(&self, enterprise: &str, user: &str, roles: &[(&str, Role)]) -> Someone {
        let slug = EnterpriseSlug::parse(enterprise).unwrap();
        let (enterprise, now) = (EnterpriseId::of(&slug), Timestamp::now());
        let id = PersonId::of(enterprise, &self.issuer, user);
        let organization = |text: &str| OrganizationSlug::parse(text).unwrap();
        let member = |(name, role): &(&str, Role)| {
            Membership::new(organization(name), *role, MembershipSource::Saml, now)
        };
        let person = Person {
            id,
            enterprise,
            standing: Standing::Active,
            linked_at: Some(now),
            issuer: self.issuer.clone(),
            name_id: NameId { value: user.into(), ..NameId::default() },
            profile: profile(user),
            memberships: roles.iter().map(member).collect(),
            former: vec![],
            tokens: vec![],
            last_groups: Some(roles.iter().map(|(name, _)| (*name).to_owned()).collect()),
            decided_at: None,
            created_at: now,
            last_sign_in_at: now,
        };
        let mut commit = Commit::default();
        commit.writes.push(Write::Put(Key::Person(enterprise, id), records::encode_person(&person)));
        commit.writes.push(Write::Insert(Key::People(enterprise), id.as_bytes().to_vec()));
        for (name, role) in roles {
            let (slug, org) = (organization(name), OrganizationId::of(enterprise, &organization(name)));
            let members = Key::OrganizationMembers(enterprise, org);
            commit.writes.push(Write::Insert(members, id.as_bytes().to_vec()));
            if *role == Role::Owner {
                let record = Organization { owners: [id].into(), ..Organization::new(org, slug) };
                let record = records::encode_organization(&record);
                commit.writes.push(Write::Put(Key::Organization(enterprise, org), record));
            }
        }
        assert_eq!(self.store.commit(commit).await.unwrap(), Committed::Applied);
        self.session(&slug, &person, now).await
    }

    async fn session(&self, enterprise: &EnterpriseSlug, person: &Person, now: Timestamp) -> Someone {
        let mut random = [0; 32];
        random[..16].copy_from_slice(person.id.as_bytes());
        let token = SessionToken::from_random(random);
        let session = Session {
            id: token.session_id(),
            enterprise: enterprise.clone(),
            enterprise_id: person.enterprise,
            person: person.id,
            name_id: person.name_id.clone(),
            session_index: None,
            authn_instant: now,
            authn_context: None,
            profile: person.profile.clone(),
            groups: vec![],
            created_at: now,
            last_seen_at: now,
            expires_at: now + SignedDuration::from_hours(8),
            idle_seconds_max: 8 * 3600,
        };
        let put = Op::Put {
            key: Key::Session(session.id),
            value: records::encode_session(&session),
            expires_at: session.expires_at,
        };
        let entry = records::encode_subject_session(session.id, session.expires_at);
        let listed = Op::Insert(Key::PersonSessions(person.enterprise, person.id), entry);
        self.store.batch(now, vec![put, listed]).await.unwrap();
        Someone { id: person.id, session: session.id, token: token.expose().to_owned() }
    }
}

fn profile(user: &str) -> Profile {
    let name = user.split('@').next().unwrap_or_default();
    Profile {
        user: user.into(),
        email: Some(user.into()),
        display_name: Some(name.into()),
        ..Profile::default()
    }
}
