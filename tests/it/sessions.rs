//! Sessions that real sign-ins opened: when they end, and what they open.
use portcullis::{
    config::Overrides,
    demo::browser::Browser,
    domain::{Session, SessionToken, Timestamp},
    edge::cookies::SESSION,
};

use crate::support::{
    gateway::{BACKENDS, Backend, Setup, TestGateway},
    tenants::GLOBEX,
};

const MINUTE: i64 = 60;
const WEEK_SECONDS: u32 = 7 * 24 * 60 * 60;

impl TestGateway {
    /// Whether the token has a live session at that time, as a request would find.
    async fn is_live(&self, token: &SessionToken, at: Timestamp) -> bool {
        let directory = &self.running.as_ref().unwrap().directory;
        directory.session(token, at).await.unwrap().is_some()
    }

    /// A session by a sign-in of its own.
    async fn open_session(&self, person: &str) -> (SessionToken, Session) {
        let mut browser = Browser::new();
        assert_eq!(self.sign_in(&mut browser, person).await.status, 200);
        let token = SessionToken::parse(browser.cookie("localhost", SESSION).unwrap()).unwrap();
        let directory = &self.running.as_ref().unwrap().directory;
        let active = directory.session(&token, Timestamp::now()).await.unwrap().unwrap();
        (token, active.session.clone())
    }
}

fn after(session: &Session, seconds: i64) -> Timestamp {
    session.created_at + jiff::SignedDuration::from_secs(seconds)
}

async fn idle_and_absolute_lifetime(backend: Backend) {
    let mut setup = Setup::new(backend);
    setup.change =
        Box::new(|overrides: Overrides| overrides.set("session.idle", "10m").set("session.lifetime", "25m"));
    // An IdP that allows more than we do changes nothing.
    setup.idp.session_seconds = Some(WEEK_SECONDS);
    let gateway = TestGateway::set_up(setup).await;

    let (token, session) = gateway.open_session("alice").await;
    assert!(gateway.is_live(&token, after(&session, 10 * MINUTE - 1)).await);
    let (token, session) = gateway.open_session("alice").await;
    assert!(!gateway.is_live(&token, after(&session, 10 * MINUTE)).await, "idle for ten minutes");

    let (token, session) = gateway.open_session("alice").await;
    assert_eq!(session.expires_at, after(&session, 25 * MINUTE));
    for seconds in [9 * MINUTE, 18 * MINUTE, 25 * MINUTE - 1] {
        assert!(
            gateway.is_live(&token, after(&session, seconds)).await,
            "{seconds}: each request begins the idle time anew"
        );
    }
    assert!(!gateway.is_live(&token, after(&session, 25 * MINUTE)).await, "no request prolongs the lifetime");
    gateway.stop().await;
}

async fn session_not_on_or_after(backend: Backend) {
    let mut setup = Setup::new(backend);
    setup.idp.session_seconds = Some(600);
    let gateway = TestGateway::set_up(setup).await;
    let (token, session) = gateway.open_session("alice").await;
    // The IdP counts from its own clock's second, a moment earlier.
    let seconds = session.expires_at.as_second() - session.created_at.as_second();
    assert!((570..=600).contains(&seconds), "{seconds}");
    let last = session.expires_at - jiff::SignedDuration::from_secs(1);
    assert!(gateway.is_live(&token, last).await);
    assert!(!gateway.is_live(&token, session.expires_at).await);
    gateway.stop().await;
}

async fn ends_at_once(backend: Backend) {
    let gateway = TestGateway::start(backend).await;
    let mut browser = Browser::new();
    gateway.sign_in(&mut browser, "alice").await;
    assert!(gateway.identity(&mut browser).await.is_some());
    let token = SessionToken::parse(browser.cookie("localhost", SESSION).unwrap()).unwrap();
    gateway.running.as_ref().unwrap().directory.end_session(&token, Timestamp::now()).await.unwrap();
    // Though the gateway had seen it a moment ago.
    assert!(gateway.identity(&mut browser).await.is_none());
    assert!(!gateway.is_live(&token, Timestamp::now()).await);

    // A new sign-in ends the session that the browser had before (P-51).
    gateway.sign_in(&mut browser, "alice").await;
    let mut before = browser.clone();
    assert!(gateway.identity(&mut before).await.is_some());
    gateway.sign_in(&mut browser, "bob").await;
    assert!(gateway.identity(&mut before).await.is_none());
    assert_eq!(gateway.identity(&mut browser).await.unwrap()["x-forwarded-user"], "bob@example.com");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_after_its_idle_time_and_after_its_lifetime() {
    for backend in BACKENDS {
        idle_and_absolute_lifetime(backend).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_at_session_not_on_or_after() {
    for backend in BACKENDS {
        session_not_on_or_after(backend).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_or_replaced_opens_nothing_more() {
    for backend in BACKENDS {
        ends_at_once(backend).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_one_enterprise_is_none_in_another() {
    let mut setup = Setup::new(Backend::Embedded);
    setup.tables = GLOBEX;
    let gateway = TestGateway::set_up(setup).await;
    let mut browser = Browser::new();
    let people = browser.open(&format!("{}/page", gateway.url)).await.unwrap();
    let posting = browser.press(&people, "Sign in as Alice").await.unwrap();
    let page = browser.press(&posting, "Continue").await.unwrap();
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(gateway.organizations(&mut browser).await, ["octo-org"]);
    // Alice is a member of an organization of this name, but of another enterprise's.
    let url = format!("{}/globex", gateway.url);
    assert_eq!(browser.fetch_json(&url).await.unwrap().status, 401);
    assert_eq!(gateway.organizations(&mut browser).await, ["octo-org"]);
    gateway.stop().await;
}

/// The route asks for an organization or for a group; a person is let in, and out again, by the sign-in that says so.
async fn demanding(key: &'static str) {
    let mut setup = Setup::new(Backend::Embedded);
    setup.change = Box::new(move |overrides: Overrides| overrides.set(key, "octo-org"));
    let gateway = TestGateway::set_up(setup).await;
    let mut bob = Browser::new();
    gateway.people.set_groups("bob", &["hubot-lab"]).unwrap();
    let page = gateway.sign_in(&mut bob, "bob").await;
    assert_eq!(page.status, 403, "{}", page.body);
    assert!(!page.body.contains("octo-org"), "nobody is told what would open the door");
    gateway.people.set_groups("bob", &["octo-org"]).unwrap();
    assert_eq!(gateway.sign_in(&mut bob, "bob").await.status, 200);
    assert!(gateway.identity(&mut bob).await.is_some());
    gateway.people.set_groups("bob", &["hubot-lab"]).unwrap();
    assert_eq!(
        gateway.sign_in(&mut bob, "bob").await.status,
        403,
        "the sign-in that takes the right away ends the access"
    );
    assert_eq!(bob.fetch_json(&format!("{}/", gateway.url)).await.unwrap().status, 403);
    assert_eq!(bob.fetch_json(&format!("{}/public", gateway.url)).await.unwrap().status, 200);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_demand_organizations_and_groups() {
    for key in ["route.app.organizations", "route.app.groups"] {
        demanding(key).await;
    }
}

/// A removal reaches the sessions that the person has in other browsers with the next request.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_ends_the_access_of_every_session() {
    let mut setup = Setup::new(Backend::Embedded);
    setup.change = Box::new(|overrides: Overrides| overrides.set("route.app.organizations", "octo-org"));
    let gateway = TestGateway::set_up(setup).await;
    let (mut desk, mut phone) = (Browser::new(), Browser::new());
    gateway.people.set_groups("bob", &["octo-org"]).unwrap();
    assert_eq!(gateway.sign_in(&mut desk, "bob").await.status, 200);
    gateway.people.set_groups("bob", &[]).unwrap();
    assert_eq!(gateway.sign_in(&mut phone, "bob").await.status, 403);
    assert_eq!(desk.fetch_json(&format!("{}/", gateway.url)).await.unwrap().status, 403);
    gateway.stop().await;
}
