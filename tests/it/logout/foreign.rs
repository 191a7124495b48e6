//! Single logout with SimpleSAMLphp, which checks our signatures and makes its own: both ways, by redirect and by POST.
use portcullis::{config::Overrides, demo::browser::Browser, edge::cookies};

use crate::support::{
    foreign::{self, SIGNING_KEY, browser, settled},
    gateway::{BACKENDS, Backend, TestGateway},
    simplesamlphp::SimpleSaml,
};

const PASSWORD: &str = "correct horse";

async fn behind(idp: &SimpleSaml, backend: Backend, binding: &'static str) -> TestGateway {
    let slo_url = idp.slo_url.clone();
    let more = move |overrides: Overrides| {
        overrides
            .set("enterprise.example.saml.slo_url", slo_url)
            .set("enterprise.example.saml.slo_binding", binding)
            .set("enterprise.example.saml.signing_keys", SIGNING_KEY)
    };
    let gateway = foreign::behind(idp.address(), backend, more).await;
    let pem = std::fs::read_to_string(SIGNING_KEY).unwrap();
    let saml = |name: &str| format!("{}/saml/{name}", gateway.url);
    idp.register_with_logout(&saml("metadata"), &saml("acs"), &saml("slo"), binding, &pem);
    gateway
}

/// Whether opening the application asks for a password: neither side has a session.
async fn is_asked(gateway: &TestGateway, browser: &mut Browser) -> bool {
    let page = browser.open(&gateway.url).await.unwrap();
    page.forms().iter().any(|form| form.field("password").is_some())
}

async fn both_ways(backend: Backend, binding: &'static str) {
    let idp = SimpleSaml::start(&[("alice", PASSWORD, &["octo-org"])]);
    let gateway = behind(&idp, backend, binding).await;
    let mut browser = browser();
    let form = idp.response_form(&mut browser, &gateway.url, "alice", PASSWORD).await;
    assert_eq!(browser.submit(&form).await.unwrap().status, 200);
    assert!(gateway.identity(&mut browser).await.is_some());

    let asks = browser.open(&format!("{}/saml/logout", gateway.url)).await.unwrap();
    let page = browser.press(&asks, "Sign out").await.unwrap();
    let page = settled(&mut browser, page).await;
    assert_eq!(page.status, 200, "{}: {}", page.url, page.body);
    assert!(
        page.url.starts_with(&gateway.url) && page.body.contains("You are signed out"),
        "{}: {}",
        page.url,
        page.body
    );
    assert!(is_asked(&gateway, &mut browser).await, "{binding}: the IdP ended its session");

    let form = idp.response_form(&mut browser, &gateway.url, "alice", PASSWORD).await;
    assert_eq!(browser.submit(&form).await.unwrap().status, 200);
    let mut same = browser.clone();
    let page = browser.open(&idp.logout_url()).await.unwrap();
    let page = settled(&mut browser, page).await;
    assert!(page.url.starts_with(&idp.base_url), "{}: {}", page.url, page.body);
    assert!(
        gateway.identity(&mut same).await.is_none(),
        "{binding}: ended by the IdP: {}: {}",
        page.url,
        page.body
    );
    assert!(is_asked(&gateway, &mut browser).await);
    if binding == "redirect" {
        assert!(browser.cookie("localhost", cookies::SESSION).is_none());
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simplesamlphp_signs_out_both_ways() {
    for (backend, binding) in BACKENDS.into_iter().zip(["redirect", "post"]) {
        both_ways(backend, binding).await;
    }
}
