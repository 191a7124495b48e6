//! A gateway in a hundred lines that verifies nothing, to test the walk; each flaw breaks one promise.
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Write,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::DeflateEncoder};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{ORGANIZATIONS, OWNERS, RunningGateway, Stage, browser::Browser};
use crate::domain::{EnterpriseId, Organization, OrganizationId, OrganizationSlug, PersonId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    LetsStrangersIn,
    TakesEveryGroup,
    ForgetsOwners,
    AcceptsReplays,
    NeverAdds,
    NeverRemoves,
    NeverFlags,
    MakesEveryoneOwner,
    TrustsFields,
}

pub struct FakeGateway {
    state: Arc<Fake>,
    task: JoinHandle<()>,
}

struct Fake {
    flaw: Option<Flaw>,
    gateway_url: String,
    sso_url: String,
    origin: String,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    requests: u32,
    /// Request ID to return path.
    pending: HashMap<String, String>,
    organizations_of: BTreeMap<String, BTreeSet<String>>,
    owners: BTreeSet<String>,
    unowned: bool,
}

impl FakeGateway {
    pub async fn start(stage: &Stage, flaw: Option<Flaw>) -> Result<Self, String> {
        let listener =
            TcpListener::bind(("127.0.0.1", stage.gateway_port)).await.map_err(|e| e.to_string())?;
        let state = Arc::new(Fake {
            flaw,
            gateway_url: stage.gateway_url.clone(),
            sso_url: stage.idp_sso_url.clone(),
            origin: format!("http://{}", stage.origin),
            memory: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(state.clone());
        let task = tokio::spawn(async { drop(axum::serve(listener, router).await) });
        Ok(Self { state, task })
    }
}

impl RunningGateway for FakeGateway {
    async fn organization(&self, slug: &OrganizationSlug) -> Result<Organization, String> {
        let memory = self.state.memory();
        let enterprise = EnterpriseId::derived(&[b"demo"]);
        Ok(Organization {
            owners: memory.owners.iter().map(|name| PersonId::derived(&[name.as_bytes()])).collect(),
            unowned_since: memory.unowned.then_some(Default::default()),
            ..Organization::new(OrganizationId::of(enterprise, slug), slug.clone())
        })
    }

    async fn shutdown(self) {
        self.task.abort();
        drop(self.task.await);
    }
}

async fn answer(
    State(fake): State<Arc<Fake>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match uri.path() {
        "/saml/acs" if method == Method::POST => fake.consume(&body),
        "/saml/login" => fake.ask("/"),
        _ => fake.protect(&uri, &headers).await,
    }
}

impl Fake {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn ask(&self, return_to: &str) -> Response {
        let mut memory = self.memory();
        memory.requests += 1;
        let id = format!("_{}", memory.requests);
        memory.pending.insert(id.clone(), return_to.into());
        let url = &self.gateway_url;
        let xml = format!(
            "<p:AuthnRequest xmlns:p=\"urn:oasis:names:tc:SAML:2.0:protocol\" ID=\"{id}\" Version=\"2.0\" \
             AssertionConsumerServiceURL=\"{url}/saml/acs\">\
             <Issuer xmlns=\"urn:oasis:names:tc:SAML:2.0:assertion\">{url}/saml/metadata</Issuer></p:AuthnRequest>"
        );
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(xml.as_bytes()).unwrap();
        let request = STANDARD.encode(encoder.finish().unwrap());
        let query =
            form_urlencoded::Serializer::new(String::new()).append_pair("SAMLRequest", &request).finish();
        (StatusCode::FOUND, [(header::LOCATION, format!("{}?{query}", self.sso_url))]).into_response()
    }

    fn consume(&self, body: &[u8]) -> Response {
        let response = form_urlencoded::parse(body).find(|(name, _)| name == "SAMLResponse").unwrap().1;
        let xml = String::from_utf8(STANDARD.decode(response.as_bytes()).unwrap()).unwrap();
        let request = between(&xml, "InResponseTo=\"", "\"");
        let return_to = self.memory().pending.get(request).cloned();
        let Some(return_to) = return_to else { return StatusCode::FORBIDDEN.into_response() };
        if !self.has(Flaw::AcceptsReplays) {
            self.memory().pending.remove(request);
        }
        let name = between(&xml, "persistent\">", "</saml:NameID>");
        let claim = between(&xml, "Name=\"groups\"", "</saml:Attribute>");
        let groups: Vec<&str> =
            claim.split("<saml:AttributeValue>").skip(1).map(|v| between(v, "", "<")).collect();
        self.apply(name, &groups);
        let cookie = format!("__Host-session={name}; Path=/; Secure; HttpOnly");
        (StatusCode::SEE_OTHER, [(header::LOCATION, return_to), (header::SET_COOKIE, cookie)]).into_response()
    }

    fn apply(&self, name: &str, groups: &[&str]) {
        let mut memory = self.memory();
        let is_new = !memory.organizations_of.contains_key(name);
        let had = memory.organizations_of.entry(name.into()).or_default();
        let wanted = |group: &str| self.has(Flaw::TakesEveryGroup) || ORGANIZATIONS.contains(&group);
        if !self.has(Flaw::NeverRemoves) {
            had.retain(|organization| groups.contains(&organization.as_str()));
        }
        if is_new || !self.has(Flaw::NeverAdds) {
            had.extend(groups.iter().filter(|group| wanted(group)).map(ToString::to_string));
        }
        let is_member = had.contains(OWNERS.1);
        let owns = groups.contains(&OWNERS.0) && !self.has(Flaw::ForgetsOwners);
        if is_member && (owns || self.has(Flaw::MakesEveryoneOwner)) {
            memory.owners.insert(name.into());
        }
        if !is_member && memory.owners.remove(name) && memory.owners.is_empty() {
            memory.unowned = !self.has(Flaw::NeverFlags);
        }
    }

    async fn protect(&self, uri: &Uri, headers: &HeaderMap) -> Response {
        let field = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
        let name =
            field("cookie").split_once("__Host-session=").map(|(_, rest)| between(rest, "", ";").to_owned());
        let path = uri.path_and_query().unwrap().as_str();
        let mut client = Browser::new();
        if let Some(name) = &name {
            let organizations: Vec<_> = self.memory().organizations_of[name].iter().cloned().collect();
            client.send_along("x-forwarded-user", name);
            client.send_along("x-forwarded-organizations", &organizations.join(","));
        } else if field("sec-fetch-mode") != "navigate" && !self.has(Flaw::LetsStrangersIn) {
            return StatusCode::UNAUTHORIZED.into_response();
        } else if !self.has(Flaw::LetsStrangersIn) {
            return self.ask(path);
        }
        if self.has(Flaw::TrustsFields) {
            for (name, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with("x-forwarded-"))
            {
                client.send_along(name.as_str(), value.to_str().unwrap());
            }
        }
        let url = format!("{}{path}", self.origin);
        let page = if field("accept") == "application/json" {
            client.fetch_json(&url).await
        } else {
            client.open(&url).await
        };
        page.unwrap().body.into_response()
    }
}

/// What stands between the first `start` and the next `end`, or all the rest.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or(("", ""));
    rest.split_once(end).map_or(rest, |(inside, _)| inside)
}
