//! A gateway of three enterprises that are provisioned: `example`, `globex`, and `hubot`, which is a standalone organization.
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use portcullis::{
    config::{self, Overrides, Source},
    demo::browser::{Browser, Page},
    directory::{Directory, Enterprise, InvitationPage, InvitationState, NewScimToken, ScimTokenMaker},
    domain::{OrganizationSlug, Timestamp},
    store::{Key, Op, Reply, Store, records},
};
use serde_json::{Value, json};

use super::client::Client;
use crate::{
    invitations::mail_settings,
    support::gateway::{Backend, Setup, TestGateway},
};

pub const EXAMPLE: &str = "/scim/v2/enterprises/example";
pub const GLOBEX: &str = "/scim/v2/enterprises/globex";
pub const HUBOT: &str = "/scim/v2/organizations/hubot";

const TABLES: &str = r#"
[enterprise.globex]
organizations = ["octo-org", "globex-lab"]
[enterprise.globex.saml]
idp_entity_id = "https://idp.globex.example/metadata"
sso_url = "https://idp.globex.example/sso"
certificates = ["certs/development-idp.crt"]
[enterprise.globex.scim]
enabled = true
[enterprise.hubot]
organizations = ["hubot"]
[enterprise.hubot.saml]
idp_entity_id = "https://idp.hubot.example/metadata"
sso_url = "https://idp.hubot.example/sso"
certificates = ["certs/development-idp.crt"]
[enterprise.hubot.scim]
enabled = true
[route.globex]
path = "/globex"
origin = "http://127.0.0.1:1"
enterprises = ["globex", "hubot"]
"#;

pub struct World {
    pub gateway: TestGateway,
    pub store: Arc<dyn Store>,
    /// Of `example`.
    pub scim: Client,
}

impl World {
    pub async fn new(backend: Backend) -> Self {
        Self::with(backend, |overrides| overrides).await
    }

    pub async fn with(backend: Backend, change: impl FnOnce(Overrides) -> Overrides + 'static) -> Self {
        Self::set_up(Setup::new(backend), change).await
    }

    pub async fn set_up(mut setup: Setup, change: impl FnOnce(Overrides) -> Overrides + 'static) -> Self {
        let slot: Arc<Mutex<Option<Arc<dyn Store>>>> = Arc::default();
        let kept = slot.clone();
        setup.tables = TABLES;
        // Mails are queued, and reach nobody.
        setup.change = Box::new(|overrides| {
            change(mail_settings(overrides, 1).set("enterprise.example.scim.enabled", "true"))
        });
        let wrap = setup.wrap;
        setup.wrap = Box::new(move |inner| {
            let store = wrap(inner);
            kept.lock().unwrap().replace(store.clone());
            store
        });
        let gateway = TestGateway::set_up(setup).await;
        let store = slot.lock().unwrap().take().unwrap();
        let url = gateway.url.clone();
        let mut world = Self { gateway, store, scim: Client { url, base: EXAMPLE.into(), token: None } };
        world.scim.token = Some(world.make_token("example").await);
        world
    }

    pub fn directory(&self) -> Arc<Directory> {
        self.gateway.running.as_ref().unwrap().directory.clone()
    }

    /// As the gateway knows it.
    pub fn tenant(&self, name: &str) -> Enterprise {
        let loaded = config::load(&Source::file(&self.gateway.config).unwrap(), &self.gateway.overrides);
        let enterprises = loaded.unwrap().settings.enterprises;
        enterprises.into_iter().find(|enterprise| enterprise.slug.as_str() == name).unwrap().tenant()
    }

    /// A token that lives for a day.
    pub async fn make_token(&self, enterprise: &str) -> String {
        let now = Timestamp::now();
        let wanted = NewScimToken { name: "test".into(), expires_at: now + SignedDuration::from_hours(24) };
        let (tenant, maker) = (self.tenant(enterprise), ScimTokenMaker::Operator);
        let made = self.directory().create_scim_token(&tenant, maker, wanted, "test", now).await;
        made.unwrap().0.expose().to_owned()
    }

    pub async fn client(&self, enterprise: &str, base: &str) -> Client {
        let token = self.make_token(enterprise).await;
        self.scim.at(base).with(Some(&token))
    }

    /// Who has an invitation to an organization of `example` that can be accepted, sorted.
    pub async fn invited(&self, organization: &str) -> Vec<String> {
        self.invited_to("example", organization).await
    }

    pub async fn invited_to(&self, enterprise: &str, organization: &str) -> Vec<String> {
        let page = InvitationPage { state: InvitationState::Pending, after: None, limit: 1_000 };
        let (tenant, slug) = (self.tenant(enterprise), OrganizationSlug::parse(organization).unwrap());
        let (found, _) =
            self.directory().invitations(tenant.id, &slug, page, Timestamp::now()).await.unwrap();
        let mut emails: Vec<String> = found.into_iter().map(|(_, invitation)| invitation.email).collect();
        emails.sort();
        emails
    }

    /// How many mails of `example` wait to be sent.
    pub async fn mails(&self) -> usize {
        let enterprise = self.gateway.enterprise();
        let due = self.store.members(Key::Outbox(enterprise), None, 1_000).await.unwrap();
        // An entry whose mail was withdrawn stays until it is due.
        let mail = |due: &Vec<u8>| Op::Get(Key::Mail(enterprise, records::decode_due(due).unwrap().1));
        let replies = self.store.batch(Timestamp::now(), due.iter().map(mail).collect()).await;
        let found = if due.is_empty() { vec![] } else { replies.unwrap() };
        found.iter().filter(|reply| matches!(reply, Reply::Value(Some(_)))).count()
    }

    /// A person of the development IdP signs in at `example`; the page that it ends at.
    pub async fn sign_in(&self, person: &str) -> Page {
        let mut browser = Browser::new();
        let start = format!("{}/enterprises/example/saml/login?return_to=/", self.gateway.url);
        let people = browser.open(&start).await.unwrap();
        let name = self.gateway.people.person(person).unwrap().display_name;
        let posting = browser.press(&people, &format!("Sign in as {name}")).await.unwrap();
        let form = posting.button("Continue").unwrap();
        browser.submit(&form).await.unwrap()
    }

    /// A user of `example`, by name.
    pub async fn user(&self, name: &str) -> String {
        let made = self.scim.post("/Users", &user(name)).await;
        made.is(201).id()
    }

    /// A group of `example` with these members.
    pub async fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
        let group = json!({ "displayName": name, "members": members });
        self.scim.post("/Groups", &group).await.is(201).id()
    }

    /// The members of a group of `example`, sorted.
    pub async fn members(&self, group: &str) -> Vec<String> {
        let shown = self.scim.get(&format!("/Groups/{group}")).await.is(200).json();
        let members = shown["members"].as_array().cloned().unwrap_or_default();
        let mut ids: Vec<String> =
            members.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }

    pub async fn stop(self) {
        self.gateway.stop().await;
    }
}

/// A user as identity providers send it.
pub fn user(name: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": format!("{name}@example.com"),
        "externalId": format!("ext-{name}"),
        "name": { "givenName": name, "familyName": "Example" },
        "emails": [{ "value": format!("{name}@example.com"), "type": "work", "primary": true }],
        "active": true,
    })
}

pub fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}
