//! The main job, from a browser to the store: sign-ins join, leave and flag; nothing else opens a session.
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use portcullis::{
    config::Overrides,
    demo::browser::Browser,
    domain::{RequestId, Role, SignInHandle, Timestamp},
    edge::cookies::SESSION,
    saml,
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
        move |overrides: Overrides| {
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
    // A thief who has the response knows the request's id, but not what the browser's cookie holds.
    let decoded = saml::decode(response.field("SAMLResponse").unwrap().as_bytes()).unwrap();
    let text = String::from_utf8(decoded).unwrap();
    let id = text.split("InResponseTo=\"_").nth(1).unwrap().split('"').next().unwrap();
    let mut thief = Browser::new();
    thief.set_cookie("localhost", "__Host-portcullis-signin", id);
    assert_eq!(thief.submit(&response).await.unwrap().status, 403);
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
        "/saml/login?return_to=/",
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
    // Ten removals: the guard stops the eleventh within an hour.
    for round in 0..5 {
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

/// The network to Redis breaks in each way between the request and its answer. Then nothing may be half-written: the person
/// and the member sets agree, and the next sign-in succeeds.
#[tokio::test(flavor = "multi_thread")]
async fn s_82_without_redis_sign_ins_are_refused_with_503_and_nothing_is_half_written() {
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
            tokio::time::sleep(Duration::from_millis(20)).await;
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

/// The requests that a browser has outstanding, oldest first.
fn outstanding(browser: &Browser) -> Vec<RequestId> {
    let cookie = browser.cookie("localhost", "__Host-portcullis-signin").unwrap_or_default();
    cookie.split('.').filter_map(SignInHandle::parse).map(RequestId::of).collect()
}

/// S-82: a failover may bring a consumed request back to life. The mark of the assertion still stands in the way.
#[tokio::test(flavor = "multi_thread")]
async fn s_81_an_assertion_is_used_once_even_if_its_request_came_back() {
    for backend in BACKENDS {
        let gateway = TestGateway::start(backend).await;
        let directory = gateway.running.as_ref().unwrap().directory.clone();
        let mut browser = Browser::new();
        let response = gateway.response_form(&mut browser, "alice").await;
        let mut again = browser.clone();
        let pending =
            directory.outstanding(&outstanding(&browser), Timestamp::now()).await.unwrap().remove(0);
        assert_eq!(browser.submit(&response).await.unwrap().status, 200);
        directory.open_sign_in(&pending, &[], Timestamp::now()).await.unwrap();
        let page = again.submit(&response).await.unwrap();
        assert_eq!(page.status, 403, "{}", page.body);
        assert!(again.cookie("localhost", SESSION).is_none());
        let refused = r#"portcullis_saml_responses_total{result="refused",reason="assertion_replayed"} 1"#;
        let metrics = gateway.private("/metrics").await.body;
        assert!(metrics.lines().any(|line| line == refused), "{metrics}");
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p_56_a_browser_has_a_bounded_number_of_sign_ins_under_way() {
    let gateway = TestGateway::start(Backend::Embedded).await;
    let directory = gateway.running.as_ref().unwrap().directory.clone();
    let mut browser = Browser::new();
    let mut all = Vec::new();
    for _ in 0..11 {
        browser.open(&format!("{}/saml/login", gateway.url)).await.unwrap();
        all.push(*outstanding(&browser).last().unwrap());
    }
    assert_eq!(outstanding(&browser), all[3..]);
    let kept = directory.outstanding(&all, Timestamp::now()).await.unwrap();
    assert_eq!(kept.iter().map(|p| p.request).collect::<Vec<_>>(), all[3..]);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p_51_a_new_session_takes_the_place_of_the_old_one() {
    let gateway = TestGateway::start(Backend::Embedded).await;
    let mut browser = Browser::new();
    gateway.sign_in(&mut browser, "alice").await;
    let mut old = browser.clone();
    gateway.sign_in(&mut browser, "alice").await;
    assert_ne!(old.cookie("localhost", SESSION), browser.cookie("localhost", SESSION));
    assert!(gateway.identity(&mut browser).await.is_some());
    assert!(gateway.identity(&mut old).await.is_none());
    gateway.stop().await;
}

/// Sends octets to the gateway and reads what comes until it closes the connection.
fn raw(gateway: &TestGateway, head: &str, body: &[u8]) -> String {
    let port = gateway.running.as_ref().unwrap().public_address.port();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = head.replace("HOST", &format!("localhost:{port}"));
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
    // The gateway may answer and close before it has read everything.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Step 1 of the checks and S-100: one reason for each way to miss the HTTP-POST binding. No cookie, no person, and no other
/// count than the reason's.
#[tokio::test(flavor = "multi_thread")]
async fn s_100_only_the_post_binding_is_served() {
    let change = |overrides: Overrides| {
        overrides.set("limits.acs_body_bytes_max", "4096").set("limits.acs_body_read_ms_max", "300")
    };
    let gateway = TestGateway::start_with(Backend::Embedded, change, |store| store).await;
    const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
    let post = |query: &str, fields: &str, body: &str, length: usize| {
        let head =
            format!("POST /saml/acs{query} HTTP/1.1\r\nHost: HOST\r\n{fields}Content-Length: {length}\r\n");
        raw(&gateway, &head, body.as_bytes())
    };
    let whole = |query: &str, fields: &str, body: &str| post(query, fields, body, body.len());
    let long = format!("SAMLResponse={}", "A".repeat(5000));
    for (answer, status, reason) in [
        (whole("", "Content-Type: application/json\r\n", "{}"), 415, "content_type"),
        (whole("", "", "SAMLResponse=PHg%2B"), 415, "content_type"),
        (whole("", "Content-Type: multipart/form-data; boundary=b\r\n", "--b--"), 415, "content_type"),
        (whole("?SAMLResponse=PHg%2B", FORM, "SAMLResponse=PHg%2B"), 400, "parameters_in_query"),
        (whole("?RelayState=x", FORM, "SAMLResponse=PHg%2B"), 400, "parameters_in_query"),
        (whole("", FORM, "RelayState=x"), 400, "parameters"),
        (whole("", FORM, "SAMLResponse=PHg%2B&SAMLResponse=PHg%2B"), 400, "parameters"),
        (whole("", FORM, "SAMLResponse=PHg%2B&RelayState=a&RelayState=b"), 400, "parameters"),
        (whole("", FORM, "SAMLResponse=PHg%2B&SAMLart=x"), 400, "parameters"),
        (whole("", FORM, &long), 413, "body_too_large"),
        (post("", FORM, "SAMLResponse=", 100), 408, "body_timeout"),
        (whole("", FORM, "SAMLResponse=%3Cx%2F%3E"), 403, "base64_invalid"),
    ] {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{reason}: {answer}");
        assert!(!answer.to_ascii_lowercase().contains("set-cookie"), "{reason}: {answer}");
        let counted = format!(r#"portcullis_saml_responses_total{{result="refused",reason="{reason}"}}"#);
        let metrics = gateway.private("/metrics").await.body;
        assert!(metrics.contains(&counted), "{counted} is not in\n{metrics}");
    }
    // S-100, S-101: other methods do nothing and no field invites other origins.
    for method in ["GET", "HEAD", "OPTIONS", "PUT"] {
        let answer = raw(
            &gateway,
            &format!("{method} /saml/acs?SAMLResponse=x HTTP/1.1\r\nHost: HOST\r\nOrigin: null\r\n"),
            b"",
        );
        assert!(answer.starts_with("HTTP/1.1 405 "), "{method}: {answer}");
        assert!(!answer.to_ascii_lowercase().contains("access-control"), "{method}: {answer}");
    }
    gateway.stop().await;
}
