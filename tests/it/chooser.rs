//! Several enterprises behind one gateway: by host or path where a route names one, by e-mail domain where it names several.
use portcullis::{
    config::Overrides,
    demo::browser::{Browser, Page},
    edge::cookies::{ENTERPRISE, SESSION},
};

use crate::{
    requests::origin,
    support::{
        gateway::{Backend, Setup, TestGateway},
        tenants::{OwnIdp, SEVERAL},
        webdriver,
    },
};

struct World {
    gateway: TestGateway,
    /// Where globex signs in.
    globex: OwnIdp,
}

async fn start(change: impl FnOnce(Overrides) -> Overrides + 'static) -> World {
    let globex = OwnIdp::start().await;
    let its_own = globex.of("globex");
    let change = move |overrides: Overrides| {
        let origin = origin(&overrides);
        let overrides = ["both", "globex", "hidden"].iter().fold(overrides, |overrides, route| {
            overrides.set(&format!("route.{route}.origin"), origin.clone())
        });
        change(its_own(overrides.set("enterprise.example.email_domains", "example.com")))
    };
    let setup = Setup { tables: SEVERAL, change: Box::new(change), ..Setup::new(Backend::Embedded) };
    World { gateway: TestGateway::set_up(setup).await, globex }
}

impl World {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.url)
    }

    async fn choose(&self, browser: &mut Browser, page: &Page, email: &str) -> Page {
        let mut form = page.button("Continue").unwrap();
        form.set("email", email);
        browser.submit(&form).await.unwrap()
    }

    fn is_at_example(&self, page: &Page) -> bool {
        page.url.starts_with(self.gateway.idp_entity_id.trim_end_matches("/metadata"))
    }

    async fn finish(&self, browser: &mut Browser, people: &Page) -> Page {
        let posting = browser.press(people, "Sign in as Alice").await.unwrap();
        browser.press(&posting, "Continue").await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p_54_a_person_chooses_by_e_mail_and_their_session_opens_their_enterprises_routes_only() {
    let world = start(|overrides| overrides).await;
    let mut browser = Browser::new();
    let wanted = world.url("/both/page?a=b&c=/d");
    let page = browser.open(&wanted).await.unwrap();
    assert!(page.url.starts_with(&world.url("/saml/choose?return_to=")), "{}", page.url);
    assert!(browser.cookie_names("localhost").is_empty(), "nothing is under way yet");
    let people = world.choose(&mut browser, &page, " Alice@GLOBEX.example ").await;
    assert!(people.url.starts_with(&world.globex.url), "{}", people.url);
    assert!(people.url.contains("?login_hint=Alice%40GLOBEX.example&SAMLRequest="), "{}", people.url);
    assert!(browser.cookie("localhost", ENTERPRISE).is_none(), "only what worked is remembered");
    let page = world.finish(&mut browser, &people).await;
    assert_eq!((page.status.as_u16(), page.url.as_str()), (200, wanted.as_str()), "{}", page.body);
    assert_eq!(browser.cookie("localhost", ENTERPRISE), Some("globex"));

    assert_eq!(browser.open(&world.url("/globex")).await.unwrap().status, 200);
    assert_eq!(browser.fetch_json(&world.url("/")).await.unwrap().status, 401, "example's alone");
    assert_eq!(browser.fetch_json(&world.url("/hidden")).await.unwrap().status, 401);
    let page = browser.open(&world.url("/")).await.unwrap();
    assert!(world.is_at_example(&page), "{}", page.url);
    let page = world.finish(&mut browser, &page).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(browser.open(&wanted).await.unwrap().status, 200, "of both");
    assert_eq!(browser.fetch_json(&world.url("/globex")).await.unwrap().status, 401, "globex's alone");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_choice_is_remembered_and_can_be_made_anew() {
    let world = start(|overrides| overrides).await;
    let mut browser = Browser::new();
    let page = browser.open(&world.url("/both")).await.unwrap();
    let people = world.choose(&mut browser, &page, "alice@globex.example").await;
    world.finish(&mut browser, &people).await;
    browser.set_cookie("localhost", SESSION, "none");
    assert!(browser.open(&world.url("/both")).await.unwrap().url.starts_with(&world.globex.url));
    let page = browser.open(&world.url("/saml/choose?return_to=/both")).await.unwrap();
    let people = world.choose(&mut browser, &page, "alice@example.com").await;
    assert!(world.is_at_example(&people), "{}", people.url);
    world.finish(&mut browser, &people).await;
    assert_eq!(browser.cookie("localhost", ENTERPRISE), Some("example"));
    // What a browser says is one of those that it could choose, or nothing.
    for made_up in ["hidden", "nobody", "../..", "globex.x", ""] {
        let mut browser = Browser::new();
        browser.set_cookie("localhost", ENTERPRISE, made_up);
        let page = browser.open(&world.url("/both")).await.unwrap();
        assert!(page.url.contains("/saml/choose"), "{made_up}: {}", page.url);
    }
    world.gateway.stop().await;
}

/// What is said of an address that leads nowhere does not depend on why.
#[tokio::test(flavor = "multi_thread")]
async fn v_20_unknown_addresses_are_answered_alike() {
    let world = start(|overrides| overrides).await;
    let mut answers = vec![];
    for email in
        ["alice@nowhere.example", "alice@hidden.example", "no address", "", "\"><script>alert(1)</script>"]
    {
        let mut browser = Browser::new();
        let page = browser.open(&world.url("/both")).await.unwrap();
        let page = world.choose(&mut browser, &page, email).await;
        assert_eq!(page.url, world.url("/saml/choose"));
        assert!(page.body.contains("role=\"alert\"") && !page.body.contains("<script"), "{}", page.body);
        assert!(browser.cookie_names("localhost").is_empty());
        let escaped = page.forms()[0].field("email").unwrap().to_owned();
        assert_eq!(escaped, email);
        let (before, rest) = page.body.split_once("maxlength=\"254\" value=\"").unwrap();
        let headers: Vec<_> = page
            .headers
            .iter()
            .filter(|(name, _)| !["x-request-id", "date", "content-length"].contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        answers.push((page.status, headers, before.to_owned(), rest.split_once('"').unwrap().1.to_owned()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    // Where the route is hidden's own, its people are known.
    let mut browser = Browser::new();
    let page = browser.open(&world.url("/saml/choose?return_to=/hidden/x")).await.unwrap();
    let mut form = page.button("Continue").unwrap();
    form.set("email", "alice@hidden.example");
    let page = browser.submit_once(&form).await.unwrap();
    assert_eq!(page.status, 302);
    assert!(
        page.headers["location"].to_str().unwrap().starts_with("https://idp.hidden.example/sso?SAMLRequest=")
    );
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_98_the_chooser_returns_to_paths_of_our_own_only() {
    let world = start(|overrides| overrides).await;
    let mut browser = Browser::new();
    for evil in [
        "https://evil.example/",
        "//evil.example",
        "/%5cevil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/%09/evil",
        "/saml/choose",
    ] {
        let encoded: String = form_urlencoded::byte_serialize(evil.as_bytes()).collect();
        let page = browser.open(&world.url(&format!("/saml/choose?return_to={encoded}"))).await.unwrap();
        assert_eq!(page.status, 400, "{evil}");
        let page = browser.open(&world.url("/saml/choose?return_to=/both")).await.unwrap();
        let mut form = page.button("Continue").unwrap();
        form.set("email", "alice@example.com");
        form.set("return_to", evil);
        assert_eq!(browser.submit(&form).await.unwrap().status, 400, "{evil}");
    }
    let twice = browser.open(&world.url("/saml/choose?return_to=/&return_to=/both")).await.unwrap();
    assert_eq!(twice.status, 400);
    let page = browser.open(&world.url("/saml/choose")).await.unwrap();
    let mut form = page.button("Continue").unwrap();
    form.set("email", &"a".repeat(9000));
    assert_eq!(browser.submit(&form).await.unwrap().status, 400);
    assert!(browser.cookie_names("localhost").is_empty());
    world.gateway.stop().await;
}

/// With one enterprise there is nothing to choose.
#[tokio::test(flavor = "multi_thread")]
async fn one_enterprise_has_no_chooser_and_is_not_remembered() {
    let gateway = TestGateway::start(Backend::Embedded).await;
    let mut browser = Browser::new();
    assert_eq!(browser.open(&format!("{}/saml/choose", gateway.url)).await.unwrap().status, 404);
    gateway.sign_in(&mut browser, "alice").await;
    assert!(browser.cookie("localhost", ENTERPRISE).is_none());
    gateway.stop().await;
}

/// A real browser, with a request that posts itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_chooses_and_signs_in() {
    let world = start(|overrides| overrides.set("enterprise.globex.saml.sso_binding", "post")).await;
    let browser = webdriver::Browser::start().await;
    let wanted = world.url("/both/reports?view=short");
    browser.goto(&wanted).await;
    browser.wait_for_text("E-mail address at work").await;
    browser.screenshot("the chooser").await;
    browser.fill("#email", "alice@nowhere.example").await;
    browser.click_text("Continue").await;
    browser.wait_for_text("Nobody signs in here with this address").await;
    browser.screenshot("an unknown address").await;
    browser.fill("#email", "alice@globex.example").await;
    browser.click_text("Continue").await;
    browser.wait_for_text("Who are you today?").await;
    browser.click_text("Sign in as Alice").await;
    let text = browser.wait_for_text("Hello").await;
    assert!(text.contains("Hello, alice@example.com"), "{text}");
    assert_eq!(browser.url().await, wanted);
    browser.close().await;
    world.gateway.stop().await;
}
