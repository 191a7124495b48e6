//! The main job, from a browser to the store: sign-ins join, leave and flag; nothing else opens a session.
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use portcullis::{
    demo::browser::Browser,
    domain::{Role, Timestamp},
    edge::cookies::SESSION,
    store::{BoxFuture, Commit, Committed, Key, Op, Reply, Store, StoreError},
};

use crate::support::{
    gateway::{BACKENDS, Backend, TestGateway, name_id},
    redis::Network,
};

/// Statements 3, 7, 8, 10 and 11 of the decision table, through the ACS: join, stay, leave, unowned.
async fn joins_and_leaves(backend: Backend) {
    let gateway = TestGateway::start(backend).await;
    let mut alice = Browser::new();
    gateway.people.set_groups("alice", &["Octo-Org", "octo-org-owners", "everyone"]).unwrap();
    let page = gateway.sign_in(&mut alice, "alice").await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(page.url, format!("{}/", gateway.url));
    assert_eq!(gateway.organizations(&mut alice).await, ["octo-org"]);
    let record = gateway.organization("octo-org").await;
    assert_eq!(record.owners.iter().copied().collect::<Vec<_>>(), [gateway.person_id(&name_id("alice"))]);
    assert_eq!(record.unowned_since, None);
    let alice_record = gateway.person(&name_id("alice")).await.unwrap();
    assert_eq!(alice_record.memberships[0].role, Role::Owner);

    // Another group joins, a lost one leaves; in the same request (A20).
    gateway.people.set_groups("alice", &["hubot-lab", "octo-org"]).unwrap();
    gateway.sign_in(&mut alice, "alice").await;
    assert_eq!(gateway.organizations(&mut alice).await, ["hubot-lab", "octo-org"]);
    assert_eq!(gateway.members("hubot-lab").await, [gateway.person_id(&name_id("alice"))]);

    // The last owner leaves: flagged, and gone from the member set. An empty claim is authoritative.
    gateway.people.set_groups("alice", &[]).unwrap();
    gateway.sign_in(&mut alice, "alice").await;
    assert!(gateway.organizations(&mut alice).await.is_empty());
    assert!(gateway.members("hubot-lab").await.is_empty());
    assert!(gateway.members("octo-org").await.is_empty());
    let record = gateway.organization("octo-org").await;
    assert!(record.owners.is_empty() && record.unowned_since.is_some());

    // A new owner by the mapping lifts the flag.
    gateway.people.set_groups("bob", &["octo-org-owners"]).unwrap();
    gateway.sign_in(&mut Browser::new(), "bob").await;
    assert_eq!(gateway.organization("octo-org").await.unowned_since, None);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_join_and_leave() {
    for backend in BACKENDS {
        joins_and_leaves(backend).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_7_without_deprovisioning_nobody_leaves_and_without_both_nobody_joins() {
    let off = |provisioning: &'static str| {
        move |overrides: portcullis::config::Overrides| {
            overrides
                .set("enterprise.example.provisioning", provisioning)
                .set("enterprise.example.deprovisioning", "false")
        }
    };
    let gateway = TestGateway::start_with(Backend::Embedded, off("true"), |store| store).await;
    let mut bob = Browser::new();
    gateway.sign_in(&mut bob, "bob").await;
    gateway.people.set_groups("bob", &[]).unwrap();
    gateway.sign_in(&mut bob, "bob").await;
    assert_eq!(gateway.organizations(&mut bob).await, ["hubot-lab", "octo-org"]);
    gateway.stop().await;

    let gateway = TestGateway::start_with(Backend::Embedded, off("false"), |store| store).await;
    gateway.sign_in(&mut bob, "bob").await;
    assert!(gateway.organizations(&mut bob).await.is_empty());
    gateway.stop().await;
}

/// S-80: the same response twice, one after the other and at once; exactly one session ever.
async fn replayed(backend: Backend) {
    let gateway = TestGateway::start(backend).await;
    let mut browser = Browser::new();
    let response = gateway.response_form(&mut browser, "alice").await;
    let before = browser.clone();
    assert_eq!(browser.submit(&response).await.unwrap().status, 200);
    let mut again = before.clone();
    let refused = again.submit(&response).await.unwrap();
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(again.cookie("localhost", SESSION).is_none());

    for _ in 0..5 {
        let mut browser = Browser::new();
        let response = gateway.response_form(&mut browser, "alice").await;
        let posts = (0..6).map(|_| {
            let (mut browser, response) = (browser.clone(), response.clone());
            tokio::spawn(async move {
                browser.submit(&response).await.unwrap();
                browser.cookie("localhost", SESSION).map(str::to_owned)
            })
        });
        let mut sessions = 0;
        for post in posts.collect::<Vec<_>>() {
            sessions += usize::from(post.await.unwrap().is_some());
        }
        assert_eq!(sessions, 1);
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_80_a_response_opens_one_session() {
    for backend in BACKENDS {
        replayed(backend).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_83_a_response_is_bound_to_the_browser_that_asked() {
    let gateway = TestGateway::start(Backend::Embedded).await;
    let mut attacker = Browser::new();
    let response = gateway.response_form(&mut attacker, "bob").await;
    // The victim has a sign-in of its own under way, and none.
    let mut victim = Browser::new();
    gateway.response_form(&mut victim, "alice").await;
    for mut victim in [victim, Browser::new()] {
        let page = victim.submit(&response).await.unwrap();
        assert_eq!(page.status, 403, "{}", page.body);
        assert!(victim.cookie("localhost", SESSION).is_none());
    }
    assert!(gateway.person(&name_id("bob")).await.is_none(), "a refused response writes nothing");
    // The attacker's own browser still may: a refusal consumes nothing.
    assert_eq!(attacker.submit(&response).await.unwrap().status, 200);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_98_relay_state_of_another_request_is_refused_and_the_return_path_is_ours() {
    let gateway = TestGateway::start(Backend::Embedded).await;
    let mut browser = Browser::new();
    let mut response = gateway.response_form(&mut browser, "alice").await;
    response.set("RelayState", "https://evil.example/");
    assert_eq!(browser.submit(&response).await.unwrap().status, 403);
    for evil in [
        "https://evil.example/",
        "//evil.example",
        "/%5cevil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/%09/evil",
    ] {
        let encoded: String = form_urlencoded::byte_serialize(evil.as_bytes()).collect();
        let page = browser.open(&format!("{}/saml/login?return_to={encoded}", gateway.url)).await.unwrap();
        assert_eq!(page.status, 400, "{evil}");
    }
    gateway.stop().await;
}

/// Both last owners lose their group and sign in at the same moment: nobody stays, one flag (statement 23).
async fn two_last_owners(backend: Backend) {
    let gateway = TestGateway::start(backend).await;
    for round in 0..6 {
        let mut browsers = [Browser::new(), Browser::new()];
        for (browser, person) in browsers.iter_mut().zip(["alice", "bob"]) {
            gateway.people.set_groups(person, &["octo-org-owners"]).unwrap();
            gateway.sign_in(browser, person).await;
        }
        assert_eq!(gateway.organization("octo-org").await.owners.len(), 2);
        let mut posts = vec![];
        for (browser, person) in browsers.iter_mut().zip(["alice", "bob"]) {
            gateway.people.set_groups(person, &["docs-team"]).unwrap();
            posts.push((browser.clone(), gateway.response_form(browser, person).await));
        }
        let posts: Vec<_> = posts
            .into_iter()
            .zip(&browsers)
            .map(|((_, response), browser)| {
                let mut browser = browser.clone();
                tokio::spawn(async move { browser.submit(&response).await.unwrap().status })
            })
            .collect();
        for post in posts {
            assert_eq!(post.await.unwrap(), 200, "round {round}");
        }
        let record = gateway.organization("octo-org").await;
        assert!(record.owners.is_empty() && record.unowned_since.is_some(), "round {round}: {record:?}");
        assert!(gateway.members("octo-org").await.is_empty());
        assert_eq!(gateway.members("docs-team").await.len(), 2);
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_23_two_last_owners_leave_at_once() {
    for backend in BACKENDS {
        two_last_owners(backend).await;
    }
}

/// Counts what goes to the store.
struct Counting {
    inner: Arc<dyn Store>,
    calls: Arc<AtomicUsize>,
}

impl Counting {
    fn count(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }
}

impl Store for Counting {
    fn batch(&self, now: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        self.count();
        self.inner.batch(now, ops)
    }
    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        self.count();
        self.inner.commit(change)
    }
    fn members(
        &self,
        set: Key,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        self.count();
        self.inner.members(set, after, limit)
    }
    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.count();
        self.inner.ready()
    }
}

/// Posts a response without following the redirect, and counts: one read of the outstanding requests, one for the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_steady_sign_in_is_one_round_trip_after_the_pending_request() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let wrap =
        move |inner: Arc<dyn Store>| -> Arc<dyn Store> { Arc::new(Counting { inner, calls: counter }) };
    let gateway = TestGateway::start_with(Backend::Redis, |overrides| overrides, wrap).await;
    let mut browser = Browser::new();
    let mut post = async || {
        let response = gateway.response_form(&mut browser, "alice").await;
        let before = calls.load(Ordering::SeqCst);
        let page = browser.submit_once(&response).await.unwrap();
        assert_eq!(page.status, 303, "{}", page.body);
        calls.load(Ordering::SeqCst) - before
    };
    let first = post().await;
    assert!(first > 2, "the first sign-in joins and must commit, but took {first} calls");
    assert_eq!(post().await, 2);
    assert_eq!(post().await, 2);
    gateway.stop().await;
}

/// The network to Redis breaks in each way between the request and its answer. Then nothing may be half-written: the person
/// and the member sets agree, and the next sign-in succeeds.
#[tokio::test(flavor = "multi_thread")]
async fn without_redis_sign_ins_are_refused_with_503_and_nothing_is_half_written() {
    let gateway = TestGateway::start_with(
        Backend::Redis,
        |overrides| overrides.set("store.timeout_ms", "300"),
        |store| store,
    )
    .await;
    let redis = gateway.redis.as_ref().unwrap();
    for (network, groups) in
        [(Network::Stalled, "octo-org"), (Network::Cut, "hubot-lab"), (Network::AnswersLost, "docs-team")]
    {
        gateway.people.set_groups("alice", &[groups]).unwrap();
        assert_eq!(gateway.private("/readyz").await.status, 200);
        let mut browser = Browser::new();
        let response = gateway.response_form(&mut browser, "alice").await;
        redis.set(network);
        let page = browser.clone().submit(&response).await.unwrap();
        assert_eq!(page.status, 503, "{network:?}: {}", page.body);
        assert!(browser.cookie("localhost", SESSION).is_none());
        let ready = gateway.private("/readyz").await;
        assert_eq!(ready.status, 503, "{network:?}");
        assert!(ready.body.contains("store"), "{}", ready.body);
        assert_eq!(gateway.private("/healthz").await.status, 200);
        redis.set(Network::Works);
        // The connection mends itself; how soon is not this test's business.
        while gateway.private("/readyz").await.status != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let consistent = async || {
            let person = gateway.person(&name_id("alice")).await;
            for organization in ["octo-org", "hubot-lab", "docs-team"] {
                let is_member =
                    gateway.members(organization).await.contains(&gateway.person_id(&name_id("alice")));
                let says = person
                    .iter()
                    .flat_map(|p| &p.memberships)
                    .any(|m| m.organization.as_str() == organization);
                assert_eq!(is_member, says, "{network:?}, {organization}");
            }
        };
        consistent().await;
        let page = gateway.sign_in(&mut browser, "alice").await;
        assert_eq!(page.status, 200, "{network:?}: {}", page.body);
        assert_eq!(gateway.organizations(&mut browser).await, [groups]);
        consistent().await;
    }
    gateway.stop().await;
}
