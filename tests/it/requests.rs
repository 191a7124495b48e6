//! What is asked of the IdP, over HTTP: signed requests, ways and times of sign-in that are enforced, step-up of routes, and
//! sign-ins that begin at the IdP.
use portcullis::{
    config::Overrides,
    demo::browser::{Browser, Form, Page},
    domain::{RequestId, SignInHandle, Timestamp},
    edge::cookies::{SESSION, SIGN_IN},
    idp::Authn,
};

use crate::support::{
    gateway::{Backend, Setup, TestGateway, name_id},
    ports,
    process::{Process, eventually},
};

const MFA: &str = "https://refeds.org/profile/mfa";
const SIGNING_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/development-sp-signing.pem");
const OTHER_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/development-sp-decryption.pem");

/// A route of its own that demands more than the rest of the application.
const STRICT_ROUTE: &str = r#"
[route.strict]
path = "/strict"
enterprise = "example"
authn_context = ["urn:other", "https://refeds.org/profile/mfa"]
sign_in_age_max = "10m"
"#;

/// Where the application listens, which the test's world has set already.
pub fn origin(overrides: &Overrides) -> String {
    let origin = overrides.iter().find(|(name, _)| *name == "PORTCULLIS_ROUTE_APP_ORIGIN");
    origin.expect("an origin").1.to_owned()
}

async fn world(
    authn: Authn,
    tables: &'static str,
    change: impl FnOnce(Overrides) -> Overrides + 'static,
) -> TestGateway {
    let mut setup = Setup::new(Backend::Embedded);
    setup.idp.authn = authn;
    TestGateway::set_up(Setup { tables, change: Box::new(change), ..setup }).await
}

fn strict(overrides: Overrides) -> Overrides {
    let origin = origin(&overrides);
    overrides.set("route.strict.origin", origin)
}

/// How many responses were refused for this reason.
async fn refusals(gateway: &TestGateway, reason: &str) -> u32 {
    let line = format!(r#"portcullis_saml_responses_total{{result="refused",reason="{reason}"}} "#);
    let metrics = gateway.private("/metrics").await.body;
    metrics.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
}

/// Presses through the IdP's pages and submits the response.
async fn finish(gateway: &TestGateway, browser: &mut Browser, people: &Page, person: &str) -> Page {
    let name = gateway.people.person(person).unwrap().display_name;
    let posting = browser.press(people, &format!("Sign in as {name}")).await.unwrap();
    browser.press(&posting, "Continue").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_signed_in_both_bindings() {
    for (binding, key, accepted) in [
        ("redirect", Some(SIGNING_KEY), true),
        ("post", Some(SIGNING_KEY), true),
        ("redirect", Some(OTHER_KEY), false),
        ("post", Some(OTHER_KEY), false),
        ("redirect", None, false),
        ("post", None, false),
    ] {
        let mut setup = Setup::new(Backend::Embedded);
        setup.idp.request_certificates = vec![std::fs::read(SIGNING_KEY).unwrap()];
        let change = move |overrides: Overrides| {
            let overrides = overrides.set("enterprise.example.saml.sso_binding", binding);
            match key {
                Some(key) => overrides.set("enterprise.example.saml.signing_keys", key),
                None => overrides,
            }
        };
        let gateway = TestGateway::set_up(Setup { change: Box::new(change), ..setup }).await;
        let mut browser = Browser::new();
        let mut page = browser.open(&format!("{}/reports?a=b", gateway.url)).await.unwrap();
        if binding == "post" {
            assert!(page.url.starts_with(&gateway.url), "a page of ours posts: {}", page.url);
            let policy = page.headers["content-security-policy"].to_str().unwrap();
            assert!(
                policy.contains("default-src 'none'") && policy.contains("script-src 'sha256-"),
                "{policy}"
            );
            // As without JavaScript.
            page = browser.press(&page, "Continue").await.unwrap();
        }
        if accepted {
            let page = finish(&gateway, &mut browser, &page, "alice").await;
            assert_eq!((page.status.as_u16(), page.url), (200, format!("{}/reports?a=b", gateway.url)));
        } else {
            assert_eq!(page.status, 400, "{binding} {key:?}: {}", page.body);
            assert!(page.body.contains("must be signed"), "{}", page.body);
        }
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_99_an_answer_that_falls_short_of_the_connections_demands_is_refused() {
    let an_hour = Authn { session_age_seconds: 3600, ignores_demands: false };
    let deaf = Authn { ignores_demands: true, ..an_hour };
    for (key, value, reason) in [
        ("authn_context", MFA, "authn_context_mismatch"),
        ("force_authn", "true", "authn_instant_stale"),
        ("name_id_format", "email", ""),
    ] {
        for authn in [an_hour, deaf] {
            let key = format!("enterprise.example.saml.{key}");
            let gateway = world(authn, "", move |overrides| overrides.set(&key, value)).await;
            let mut browser = Browser::new();
            let page = gateway.sign_in(&mut browser, "alice").await;
            if !authn.ignores_demands || reason.is_empty() {
                assert_eq!(page.status, 200, "{value}: {}", page.body);
            } else {
                assert_eq!(page.status, 403, "{value}: {}", page.body);
                assert!(browser.cookie("localhost", SESSION).is_none());
                assert!(gateway.person(&name_id("alice")).await.is_none(), "nothing is written");
                assert_eq!(refusals(&gateway, reason).await, 1);
            }
            gateway.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_99_a_route_steps_a_session_up() {
    let authn = Authn { session_age_seconds: 3600, ignores_demands: false };
    let gateway = world(authn, STRICT_ROUTE, strict).await;
    let wanted = format!("{}/strict/page?a=b", gateway.url);
    let mut browser = Browser::new();
    gateway.sign_in(&mut browser, "alice").await;
    let before = browser.cookie("localhost", SESSION).unwrap().to_owned();

    // A script is told so, and starts nothing.
    let page = browser.fetch_json(&wanted).await.unwrap();
    assert_eq!(page.status, 401);
    let json: serde_json::Value = serde_json::from_str(&page.body).unwrap();
    assert_eq!(json["error"], "step_up_required");
    assert_eq!(json["location"], format!("{}/strict", gateway.url));
    assert!(page.headers.get("set-cookie").is_none());

    let people = browser.open(&wanted).await.unwrap();
    assert!(people.body.contains("Who are you today?"), "{}", people.body);
    let page = finish(&gateway, &mut browser, &people, "alice").await;
    assert_eq!((page.status.as_u16(), page.url.as_str()), (200, wanted.as_str()), "{}", page.body);
    assert_ne!(browser.cookie("localhost", SESSION).unwrap(), before);
    assert_eq!(browser.open(&wanted).await.unwrap().status, 200, "and stays up");
    assert_eq!(browser.fetch_json(&wanted).await.unwrap().status, 200);

    // From nothing: the way is asked for at once, the time only where the IdP's own session is too old.
    let mut fresh = Browser::new();
    let people = fresh.open(&wanted).await.unwrap();
    let again = finish(&gateway, &mut fresh, &people, "bob").await;
    assert!(again.body.contains("Who are you today?"), "an hour is too old: {}", again.body);
    let page = finish(&gateway, &mut fresh, &again, "bob").await;
    assert_eq!((page.status.as_u16(), page.url.as_str()), (200, wanted.as_str()), "{}", page.body);
    gateway.stop().await;
}

/// An IdP that does not do as it is asked leads to a page, not into a circle, and the old session stays as it was.
#[tokio::test(flavor = "multi_thread")]
async fn s_99_a_step_up_that_is_not_met_ends_at_a_page() {
    for (age, reason) in [(3600, "authn_context_mismatch"), (0, "authn_context_mismatch")] {
        let authn = Authn { session_age_seconds: age, ignores_demands: true };
        let gateway = world(authn, STRICT_ROUTE, strict).await;
        let mut browser = Browser::new();
        gateway.sign_in(&mut browser, "alice").await;
        let people = browser.open(&format!("{}/strict", gateway.url)).await.unwrap();
        let page = finish(&gateway, &mut browser, &people, "alice").await;
        assert_eq!(page.status, 403, "{}", page.body);
        assert_eq!(refusals(&gateway, reason).await, 1);
        assert!(gateway.identity(&mut browser).await.is_some());
        gateway.stop().await;
    }
    let authn = Authn { session_age_seconds: 3600, ignores_demands: true };
    let change = |overrides: Overrides| strict(overrides).set("route.strict.authn_context", "");
    let gateway = world(authn, STRICT_ROUTE, change).await;
    let mut browser = Browser::new();
    gateway.sign_in(&mut browser, "alice").await;
    let people = browser.open(&format!("{}/strict", gateway.url)).await.unwrap();
    let page = finish(&gateway, &mut browser, &people, "alice").await;
    assert_eq!(page.status, 403, "{}", page.body);
    assert_eq!(refusals(&gateway, "authn_instant_stale").await, 1);
    gateway.stop().await;
}

/// The answer to a weaker request of the same browser does not serve for the stronger one, and opens nothing strict.
#[tokio::test(flavor = "multi_thread")]
async fn s_99_each_answer_is_held_to_its_own_request() {
    let gateway = world(Authn::default(), STRICT_ROUTE, strict).await;
    let strict = format!("{}/strict", gateway.url);
    let mut browser = Browser::new();
    let plain = gateway.response_form(&mut browser, "alice").await;
    let people = browser.open(&strict).await.unwrap();
    assert_eq!(browser.submit_once(&plain).await.unwrap().status, 303);
    assert!(browser.open(&strict).await.unwrap().body.contains("Who are you today?"));
    let page = finish(&gateway, &mut browser, &people, "alice").await;
    assert_eq!((page.status.as_u16(), page.url), (200, strict), "{}", page.body);
    gateway.stop().await;
}

/// The form that posts a response which answers nothing.
async fn unsolicited(gateway: &TestGateway, browser: &mut Browser, person: &str, relay_state: &str) -> Form {
    let idp = gateway.idp_entity_id.trim_end_matches("/metadata");
    let mut begin = Form::default();
    (begin.is_post, begin.action) = (true, format!("{idp}/sso/begin"));
    begin.set("person", person);
    begin.set("service_provider", &format!("{}/saml/metadata", gateway.url));
    begin.set("acs_url", &format!("{}/saml/acs", gateway.url));
    begin.set("RelayState", relay_state);
    browser.submit(&begin).await.unwrap().button("Continue").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn s_84_a_sign_in_begins_at_the_idp_only_where_it_is_allowed() {
    for allowed in [false, true] {
        let change = move |overrides: Overrides| match allowed {
            true => overrides.set("enterprise.example.saml.idp_initiated", "true"),
            false => overrides,
        };
        let gateway = world(Authn::default(), "", change).await;
        let mut browser = Browser::new();
        let response = unsolicited(&gateway, &mut browser, "alice", "").await;
        let page = browser.submit(&response).await.unwrap();
        if allowed {
            assert_eq!((page.status.as_u16(), page.url), (200, format!("{}/", gateway.url)), "{}", page.body);
            assert_eq!(gateway.identity(&mut browser).await.unwrap()["x-forwarded-user"], name_id("alice"));
            // S-81: once, from any browser.
            for mut again in [browser, Browser::new()] {
                again.forget_cookies();
                assert_eq!(again.submit(&response).await.unwrap().status, 403);
                assert!(again.cookie("localhost", SESSION).is_none());
            }
            assert_eq!(refusals(&gateway, "assertion_replayed").await, 2);
        } else {
            assert_eq!(page.status, 403);
            assert!(browser.cookie("localhost", SESSION).is_none());
            assert!(gateway.person(&name_id("alice")).await.is_none(), "nothing is written");
            assert_eq!(refusals(&gateway, "unsolicited").await, 1);
        }
        gateway.stop().await;
    }
}

/// Allowing the one weakens nothing of the other: a response to an attacker's request stays the attacker's.
#[tokio::test(flavor = "multi_thread")]
async fn s_83_a_response_to_another_browsers_request_is_refused_where_others_need_no_request() {
    let mut setup = Setup::new(Backend::Embedded);
    setup.idp.sign = portcullis::idp::Sign::Assertion;
    let change = |overrides: Overrides| overrides.set("enterprise.example.saml.idp_initiated", "true");
    let gateway = TestGateway::set_up(Setup { change: Box::new(change), ..setup }).await;
    let mut attacker = Browser::new();
    let response = gateway.response_form(&mut attacker, "bob").await;
    let mut victim = Browser::new();
    assert_eq!(victim.submit(&response).await.unwrap().status, 403);
    assert_eq!(refusals(&gateway, "request_unknown").await, 1);
    // The Response around the signed assertion is anybody's to change.
    use base64::{Engine, prelude::BASE64_STANDARD};
    let xml = BASE64_STANDARD.decode(response.field("SAMLResponse").unwrap()).unwrap();
    let xml = String::from_utf8(xml).unwrap();
    let (before, rest) = xml.split_once(" InResponseTo=\"").unwrap();
    let stripped = format!("{before}{}", rest.split_once('"').unwrap().1);
    let mut stolen = response.clone();
    stolen.set("SAMLResponse", &BASE64_STANDARD.encode(stripped));
    assert_eq!(victim.submit(&stolen).await.unwrap().status, 403);
    assert_eq!(refusals(&gateway, "confirmation_request_mismatch").await, 1);
    assert!(victim.cookie("localhost", SESSION).is_none());
    assert!(gateway.person(&name_id("bob")).await.is_none(), "nothing is written");
    assert_eq!(attacker.submit(&response).await.unwrap().status, 200, "and nothing consumed");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_98_a_sign_in_that_began_at_the_idp_leads_to_a_listed_path_or_to_the_start() {
    let change = |overrides: Overrides| {
        overrides
            .set("enterprise.example.saml.idp_initiated", "true")
            .set("enterprise.example.saml.idp_initiated_targets", "/reports, /a%20b")
    };
    let gateway = world(Authn::default(), "", change).await;
    for (relay_state, target) in [
        ("/reports", "/reports"),
        ("/a%20b", "/a%20b"),
        ("", "/"),
        ("/other", "/"),
        ("/reports/", "/"),
        ("/reports?a=b", "/"),
        ("/Reports", "/"),
        ("https://evil.example/reports", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/%09/evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/reports\r\nSet-Cookie: a=b", "/"),
    ] {
        let mut browser = Browser::new();
        let response = unsolicited(&gateway, &mut browser, "alice", relay_state).await;
        let page = browser.submit_once(&response).await.unwrap();
        assert_eq!(page.status, 303, "{relay_state:?}: {}", page.body);
        assert_eq!(page.headers["location"], format!("{}{target}", gateway.url), "{relay_state:?}");
    }
    gateway.stop().await;
}

/// Behind our origin, `@evil.example` would be a host. Nothing of ours writes it into the store; somebody else might.
#[tokio::test(flavor = "multi_thread")]
async fn s_98_the_path_that_was_kept_is_judged_again_when_it_is_used() {
    let gateway = world(Authn::default(), "", |overrides| overrides).await;
    let directory = gateway.running.as_ref().unwrap().directory.clone();
    for (kept, target) in
        [("@evil.example/", "/"), (".evil.example/", "/"), ("//x", "/"), ("/a?b=\\", "/a?b=\\")]
    {
        let mut browser = Browser::new();
        let response = gateway.response_form(&mut browser, "alice").await;
        let cookie = browser.cookie("localhost", SIGN_IN).unwrap();
        let request = RequestId::of(SignInHandle::parse(cookie).unwrap());
        let now = Timestamp::now();
        let mut pending = directory.outstanding(&[request], now).await.unwrap().remove(0);
        pending.return_to = kept.into();
        directory.open_sign_in(&pending, &[], now).await.unwrap();
        let page = browser.submit_once(&response).await.unwrap();
        assert_eq!(page.headers["location"], format!("{}{target}", gateway.url), "{kept}");
    }
    gateway.stop().await;
}

/// The program itself tells them apart in its audit log, and its sessions.
#[tokio::test(flavor = "multi_thread")]
async fn s_84_the_audit_log_says_where_a_sign_in_began() {
    let on = |overrides: Overrides| overrides.set("enterprise.example.saml.idp_initiated", "true");
    let mut gateway = world(Authn::default(), "", on).await;
    gateway.stop_serving().await;
    let port: u16 = gateway.url.rsplit(':').next().unwrap().parse().unwrap();
    let command = |_| {
        let mut command = gateway.command();
        command.arg("serve");
        command
    };
    let process = Process::start("portcullis serve", command, |_| ports::is_open(port));
    let mut browser = Browser::new();
    let response = unsolicited(&gateway, &mut browser, "alice", "").await;
    assert_eq!(browser.submit(&response).await.unwrap().status, 200);
    assert_eq!(gateway.sign_in(&mut browser, "bob").await.status, 200);
    let accepted = || -> Vec<serde_json::Value> {
        let log = process.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.filter(|line| line["action"] == "business.sso_response").collect()
    };
    assert!(eventually(|| accepted().len() == 2), "{}", process.log());
    let reasons: Vec<_> =
        accepted().iter().map(|line| (line["user"].clone(), line["reason"].clone())).collect();
    let expected =
        [(name_id("alice").into(), "idp_initiated".into()), (name_id("bob").into(), serde_json::Value::Null)];
    assert_eq!(reasons, expected);
}
