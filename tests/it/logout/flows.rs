//! Sign-outs that go well: started here, at the IdP, through the browser and behind its back.
use portcullis::{config::Overrides, demo::browser::Browser, edge::cookies};

use super::{
    browser,
    forge_logout::{SUCCESS, code},
    gateway, gateway_with, token,
};
use crate::support::gateway::{BACKENDS, Backend, TestGateway};

/// Signs out by the page that asks; ends wherever the browser is led.
async fn signs_out(
    gateway: &TestGateway,
    browser: &mut Browser,
    query: &str,
) -> portcullis::demo::browser::Page {
    let asks = browser.open(&format!("{}/saml/logout{query}", gateway.url)).await.unwrap();
    assert_eq!(asks.status, 200, "{}", asks.body);
    assert!(asks.body.contains("at your identity provider"), "{}", asks.body);
    assert!(gateway.identity(browser).await.is_some(), "asking changes nothing");
    let mut page = browser.press(&asks, "Sign out").await.unwrap();
    if page.body.contains("On to your identity provider") {
        page = browser.press(&page, "Continue").await.unwrap();
    }
    page
}

async fn started_here(backend: Backend, binding: &'static str) {
    let gateway = gateway(backend, binding).await;
    let (mut browser, _) = gateway.signed_in("alice").await;
    let mut before = browser.clone();
    let metadata = browser.open(&format!("{}/saml/metadata", gateway.url)).await.unwrap().body;
    let service = format!("Location=\"{}\"", gateway.slo_url());
    assert_eq!(metadata.matches(&service).count(), 3, "redirect, POST and SOAP: {metadata}");
    let at_idp = browser.open(&gateway.idp_url).await.unwrap();
    assert!(at_idp.body.contains("Sign Alice out everywhere"), "{}", at_idp.body);

    let page = signs_out(&gateway, &mut browser, "").await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(
        page.url.starts_with(&gateway.slo_url()) && page.body.contains("You are signed out"),
        "{}: {}",
        page.url,
        page.body
    );
    for name in [cookies::SESSION, cookies::SIGN_OUT] {
        assert!(browser.cookie("localhost", name).is_none(), "{name}");
    }
    assert!(gateway.identity(&mut browser).await.is_none());
    assert!(gateway.identity(&mut before).await.is_none(), "the cookie alone is worth nothing");
    let at_idp = browser.open(&gateway.idp_url).await.unwrap();
    assert!(!at_idp.body.contains("Sign Alice out"), "{}", at_idp.body);

    // L-09: on to a path of our own.
    assert_eq!(gateway.sign_in(&mut browser, "alice").await.status, 200);
    let page = signs_out(&gateway, &mut browser, "?return_to=/public?a=b").await;
    assert_eq!((page.status.as_u16(), page.url), (200, format!("{}/public?a=b", gateway.url)));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_out_here_and_at_the_idp() {
    for backend in BACKENDS {
        for binding in ["redirect", "post"] {
            started_here(backend, binding).await;
        }
    }
}

async fn started_at_the_idp(backend: Backend, subject: &'static str) {
    let change = move |overrides: Overrides| overrides.set("enterprise.example.saml.subject", subject);
    let gateway = gateway_with(backend, "redirect", change).await;
    let (mut desk, _) = gateway.signed_in("alice").await;
    let (mut phone, _) = gateway.signed_in("alice").await;
    let (mut bob, _) = gateway.signed_in("bob").await;

    // Through the browser: the session of the oldest sign-in.
    let page = desk.open(&gateway.idp_url).await.unwrap();
    let page = desk.press(&page, "Sign Alice out through this browser").await.unwrap();
    assert!(page.body.contains("The application has signed you out."), "{}: {}", page.url, page.body);
    assert!(desk.cookie("localhost", cookies::SESSION).is_none());
    assert!(gateway.identity(&mut desk).await.is_none());
    assert!(gateway.identity(&mut phone).await.is_some(), "another SessionIndex");

    // Behind the browsers' back: all of Alice's.
    assert_eq!(gateway.sign_in(&mut desk, "alice").await.status, 200);
    let mut anyone = browser();
    let page = anyone.open(&gateway.idp_url).await.unwrap();
    let page = anyone.press(&page, "Sign Alice out everywhere").await.unwrap();
    assert!(page.body.contains("2 of 2 sessions have ended."), "{}", page.body);
    for browser in [&mut desk, &mut phone] {
        assert!(gateway.identity(browser).await.is_none());
    }
    assert!(gateway.identity(&mut bob).await.is_some());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_idp_ends_sessions_through_the_browser_and_behind_its_back() {
    // L-05: by its NameID, also where an attribute tells people apart.
    for backend in BACKENDS {
        for subject in ["name_id", "email"] {
            started_at_the_idp(backend, subject).await;
        }
    }
}

/// By HTTP-POST the browser sends no session cookie along: the session ends all the same. RelayState comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_by_post_needs_no_cookie_and_is_answered_by_post() {
    let gateway = gateway(Backend::Embedded, "post").await;
    let (mut alice, session) = gateway.signed_in("alice").await;
    let index = session.session_index.unwrap();
    let (status, answer) = gateway.post(&gateway.logout_request("alice", &[&index]).form(Some("a\"b<&")));
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("name=\"SAMLResponse\"") && answer.contains("name=\"RelayState\""), "{answer}");
    assert!(!answer.contains("a\"b<&") && !answer.to_ascii_lowercase().contains("set-cookie"), "{answer}");
    assert!(gateway.identity(&mut alice).await.is_none());

    // Where nobody is signed in any more, the answer is the same.
    let (status, answer) = gateway.post(&gateway.logout_request("alice", &[&index]).form(None));
    assert_eq!(status, 200, "{answer}");
    gateway.stop().await;
}

/// What the IdP says of its own part is told; we are signed out in any case.
#[tokio::test(flavor = "multi_thread")]
async fn an_idp_that_could_not_do_it_all_is_quoted() {
    let gateway = gateway(Backend::Embedded, "redirect").await;
    let status = |name: &str| format!("urn:oasis:names:tc:SAML:2.0:status:{name}");
    for (codes, words) in [
        (code(SUCCESS, ""), "here and at your identity provider"),
        (code(SUCCESS, &code(&status("PartialLogout"), "")), "could not reach every other application"),
        (
            code(&status("Responder"), &code(&status("PartialLogout"), "")),
            "could not reach every other application",
        ),
        (code(&status("Responder"), ""), "may still be signed in at your identity provider"),
    ] {
        let (browser, _) = gateway.signed_in("alice").await;
        let (handle, request) = super::refused::leaves(&gateway, &browser, "/saml/logout");
        let response = super::Message::response(&gateway.idp_entity_id, &gateway.slo_url(), &request, &codes);
        let cookie = format!("Cookie: {}={handle}\r\n", cookies::SIGN_OUT);
        let target = format!("/saml/slo?{}", response.query(None));
        let (status, answer) = gateway.call("GET", &target, &cookie, "");
        assert_eq!(status, 200, "{answer}");
        assert!(answer.contains(words), "{codes}: {answer}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_single_logout_a_sign_out_ends_the_session_here() {
    let gateway = TestGateway::start(Backend::Embedded).await;
    let (mut alice, _) = gateway.signed_in("alice").await;
    let old = token(&alice);
    let asks = alice.open(&format!("{}/saml/logout", gateway.url)).await.unwrap();
    assert!(asks.body.contains("stays signed in"), "{}", asks.body);
    let page = alice.press(&asks, "Sign out").await.unwrap();
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("You are signed out here"), "{}", page.body);
    alice.set_cookie("localhost", cookies::SESSION, old.expose());
    assert!(gateway.identity(&mut alice).await.is_none());
    // Nothing listens for the IdP.
    for (status, answer) in
        [gateway.redirect("SAMLRequest=a"), gateway.post("SAMLRequest=a"), gateway.soap("<a/>")]
    {
        assert_eq!(status, 404, "{answer}");
    }
    gateway.stop().await;
}
