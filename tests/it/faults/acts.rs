//! What people and the enterprise's owner do until something fails, and the ledger of what was tried and what was acknowledged.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use portcullis::{
    api::PREFIX,
    demo::browser::{Browser, Form},
    domain::Role,
    edge::cookies::SESSION,
    idp,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{Dice, world::World};

/// Alice owns the enterprise, claims and leaves; Bob signs in with other groups each time; Carol is removed by the owner; Dave is
/// invited; Erin's sessions are ended; Frank is put out and let in.
pub const PEOPLE: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];
/// Where Dave is invited.
pub const INVITED: [&str; 2] = ["deep-sea", "moon-base"];
const CLAIMED: &str = "skunk-works";
const GROUPS: [&str; 3] = ["octo-org", "hubot-lab", "docs-team"];
const OWNERS: &str = "octo-org-owners";
const ACTS_MAX: u32 = 40;
const CALL_SECONDS_MAX: u64 = 30;

/// What is so of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    pub roles: BTreeMap<String, Role>,
    /// Organizations with an invitation that can be accepted.
    pub pending: BTreeSet<String>,
    pub is_out: bool,
}

/// What one person's acts came to until the first that failed.
pub struct Ledger {
    pub person: &'static str,
    /// What may be so now: what was acknowledged last, and what was tried after it.
    pub possible: Vec<State>,
    /// The ids of the requests that were acknowledged.
    pub acknowledged: Vec<String>,
    /// Responses that opened a session, with the browser as it was before.
    pub accepted: Vec<(Browser, Form)>,
    /// Browsers whose session was ended.
    pub ended: Vec<Browser>,
}

/// How far all actors are.
#[derive(Default)]
pub struct Progress {
    pub acts: AtomicUsize,
    /// Actors that have ended.
    pub over: AtomicUsize,
}

/// What every actor needs.
pub struct Stage {
    url: String,
    people: idp::Directory,
    token: String,
    ids: BTreeMap<&'static str, String>,
    links: BTreeMap<&'static str, String>,
    run: u64,
}

impl Stage {
    pub fn of(world: &World, run: u64) -> Self {
        let ids = PEOPLE.into_iter().map(|person| (person, world.person_id(person).to_string()));
        Self {
            url: world.rig.url.clone(),
            people: world.rig.people.clone(),
            token: world.token.clone(),
            ids: ids.collect(),
            links: world.links.clone(),
            run,
        }
    }

    /// A call of the API by the enterprise's owner; `None` without an answer that says that it was done.
    async fn call(&self, method: &str, path: &str, body: Option<Value>, id: &str) -> Option<Value> {
        let call = self.exchange(method, path, body, id);
        let (status, text) =
            tokio::time::timeout(Duration::from_secs(CALL_SECONDS_MAX), call).await.ok()??;
        (200..300).contains(&status).then(|| serde_json::from_slice(&text).unwrap_or(Value::Null))
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        id: &str,
    ) -> Option<(u16, Bytes)> {
        let authority = self.url.trim_start_matches("http://");
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{PREFIX}{path}"))
            .header("host", authority)
            .header("authorization", format!("Bearer {}", self.token))
            .header("x-request-id", id);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).ok()?;
        let stream = TcpStream::connect(authority).await.ok()?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request).await.ok()?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        driver.abort();
        Some((status, body))
    }

    fn browser(id: &str) -> Browser {
        let mut browser = Browser::new();
        browser.send_along("sec-fetch-site", "same-origin");
        browser.send_along("x-request-id", id);
        browser
    }

    /// From that URL to the form that carries the IdP's response.
    async fn response(&self, browser: &mut Browser, url: &str, person: &str) -> Option<Form> {
        let people = browser.open(url).await.ok()?;
        let name = self.people.person(person)?.display_name;
        let posting = browser.press(&people, &format!("Sign in as {name}")).await.ok()?;
        posting.button("Continue").ok()
    }
}

impl Ledger {
    pub fn new(person: &'static str, state: State) -> Self {
        Self { person, possible: vec![state], acknowledged: vec![], accepted: vec![], ended: vec![] }
    }

    fn now(&self) -> &State {
        self.possible.last().expect("it begins with one")
    }

    /// Tries something that leads there; `None` if it was not acknowledged.
    async fn attempt<T>(&mut self, next: State, id: &str, act: impl Future<Output = Option<T>>) -> Option<T> {
        self.possible.push(next);
        let done = act.await?;
        self.possible.drain(..self.possible.len() - 1);
        self.acknowledged.push(id.to_owned());
        Some(done)
    }

    async fn sign_in(&mut self, stage: &Stage, groups: &[&str], id: &str) -> Option<Browser> {
        stage.people.set_groups(self.person, groups).ok()?;
        let mut browser = Stage::browser(id);
        let url = format!("{}/saml/login?return_to=/", stage.url);
        let response = stage.response(&mut browser, &url, self.person).await?;
        let before = browser.clone();
        let next = State { roles: led_to(&self.now().roles, groups), ..self.now().clone() };
        self.attempt(next, id, posted(&mut browser, &response)).await?;
        self.accepted.push((before, response));
        Some(browser)
    }

    async fn removed(&mut self, stage: &Stage, organization: &str, id: &str) -> Option<()> {
        let path = format!("/orgs/{organization}/memberships/{}", stage.ids[self.person]);
        let mut next = self.now().clone();
        next.roles.remove(organization);
        self.attempt(next, id, stage.call("DELETE", &path, None, id)).await.map(drop)
    }

    async fn claim(&mut self, stage: &Stage, id: &str) -> Option<()> {
        let mut next = self.now().clone();
        next.roles.insert(CLAIMED.into(), Role::Owner);
        let path = format!("/orgs/{CLAIMED}/claim");
        let confirm = Some(json!({ "confirm": CLAIMED }));
        self.attempt(next, id, stage.call("POST", &path, confirm, id)).await.map(drop)
    }

    /// Signs in by the link, and joins.
    async fn accept(&mut self, stage: &Stage, organization: &str, id: &str) -> Option<()> {
        stage.people.set_groups(self.person, &[]).ok()?;
        let (link, first) = (&stage.links[organization], format!("{id}-in"));
        let mut signing_in = Stage::browser(&first);
        let response = stage.response(&mut signing_in, link, self.person).await?;
        let next = State { roles: led_to(&self.now().roles, &[]), ..self.now().clone() };
        self.attempt(next, &first, posted(&mut signing_in, &response)).await?;
        let mut browser = Stage::browser(id);
        browser.set_cookie("localhost", SESSION, signing_in.cookie("localhost", SESSION)?);
        let page = browser.open(link).await.ok()?;
        let form = page.button(&format!("Join {organization}")).ok()?;
        let mut next = self.now().clone();
        next.roles.insert(organization.into(), Role::Member);
        next.pending.remove(organization);
        self.attempt(next, id, posted(&mut browser, &form)).await
    }

    async fn cancelled(&mut self, stage: &Stage, organization: &str, id: &str) -> Option<()> {
        let path = format!("/orgs/{organization}/invitations");
        let listed = stage.call("GET", &path, None, id).await?;
        let invitation = listed.as_array()?.first()?["id"].as_str()?.to_owned();
        let mut next = self.now().clone();
        next.pending.remove(organization);
        let path = format!("{path}/{invitation}");
        self.attempt(next, id, stage.call("DELETE", &path, None, id)).await.map(drop)
    }

    /// Signs in, and has the sessions ended by the owner.
    async fn sessions_ended(&mut self, stage: &Stage, id: &str) -> Option<()> {
        let browser = self.sign_in(stage, &[], &format!("{id}-in")).await?;
        let path = format!("/enterprise/people/{}/sessions", stage.ids[self.person]);
        let listed = stage.call("GET", &path, None, id).await?;
        for (n, session) in listed.as_array()?.iter().enumerate() {
            let path = format!("{path}/{}", session["id"].as_str()?);
            let id = format!("{id}-{n}");
            self.attempt(self.now().clone(), &id, stage.call("DELETE", &path, None, &id)).await?;
        }
        self.ended.push(browser);
        Some(())
    }

    async fn put_out_or_let_in(&mut self, stage: &Stage, id: &str) -> Option<()> {
        let person = &stage.ids[self.person];
        let (act, next) = match self.now().is_out {
            true => ("reactivate", State { is_out: false, ..self.now().clone() }),
            false => ("deactivate", State { is_out: true, ..State::default() }),
        };
        let path = format!("/enterprise/people/{person}/{act}");
        self.attempt(next, id, stage.call("POST", &path, None, id)).await.map(drop)
    }
}

/// What leads on was done.
async fn posted(browser: &mut Browser, form: &Form) -> Option<()> {
    browser.submit_once(form).await.ok().filter(|page| page.status == 303).map(drop)
}

/// A sign-in raises a role and never lowers one.
fn led_to(roles: &BTreeMap<String, Role>, groups: &[&str]) -> BTreeMap<String, Role> {
    let mut next = roles.clone();
    for organization in GROUPS {
        let owns = organization == GROUPS[0] && groups.contains(&OWNERS);
        let old = next.remove(organization);
        let new = match owns {
            true => Some(Role::Owner),
            false if groups.contains(&organization) => Some(old.unwrap_or(Role::Member)),
            false => None,
        };
        new.map(|role| next.insert(organization.to_owned(), role));
    }
    next
}

/// One person's part, until something is not acknowledged.
pub async fn act_until_it_fails(
    stage: Arc<Stage>,
    mut ledger: Ledger,
    mut dice: Dice,
    done: Arc<Progress>,
) -> Ledger {
    for n in 0..ACTS_MAX {
        let before = ledger.acknowledged.len();
        let id = format!("run{}-{}-{n}", stage.run, ledger.person);
        let went_on = act(&stage, &mut ledger, &mut dice, &id).await;
        done.acts.fetch_add(ledger.acknowledged.len() - before, SeqCst);
        if went_on.is_none() {
            break;
        }
    }
    done.over.fetch_add(1, SeqCst);
    ledger
}

async fn act(stage: &Stage, ledger: &mut Ledger, dice: &mut Dice, id: &str) -> Option<()> {
    let state = ledger.now().clone();
    match ledger.person {
        "alice" if state.roles.contains_key(CLAIMED) => ledger.removed(stage, CLAIMED, id).await,
        "alice" => ledger.claim(stage, id).await,
        "bob" => {
            let groups = dice.some(&[GROUPS[0], GROUPS[1], GROUPS[2], OWNERS]);
            ledger.sign_in(stage, &groups, id).await.map(drop)
        }
        "dave" => {
            let invited: Vec<&String> = state.pending.iter().collect();
            match invited.first() {
                Some(organization) if dice.throw(3) > 0 => ledger.accept(stage, organization, id).await,
                Some(organization) => ledger.cancelled(stage, organization, id).await,
                None => leave_or_join(stage, ledger, dice, id).await,
            }
        }
        "erin" => ledger.sessions_ended(stage, id).await,
        "frank" if state.is_out || dice.throw(2) == 0 => ledger.put_out_or_let_in(stage, id).await,
        _ => leave_or_join(stage, ledger, dice, id).await,
    }
}

/// The owner removes whoever is a member; else the person signs in and joins.
async fn leave_or_join(stage: &Stage, ledger: &mut Ledger, dice: &mut Dice, id: &str) -> Option<()> {
    let organizations: Vec<String> = ledger.now().roles.keys().cloned().collect();
    match organizations.first() {
        Some(organization) => ledger.removed(stage, organization, id).await,
        None => ledger.sign_in(stage, &dice.some(&GROUPS), id).await.map(drop),
    }
}
