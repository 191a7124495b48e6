//! What we ask, as an IdP reads it that we did not write: signatures in both bindings, ForceAuthn, RequestedAuthnContext,
//! and its own way to begin a sign-in.
use portcullis::{
    config::Overrides,
    demo::browser::{Browser, Page},
    edge::cookies::SESSION,
};

use crate::support::{
    foreign::{self, SIGNING_KEY},
    gateway::{Backend, TestGateway},
    simplesamlphp::SimpleSaml,
};

const PASSWORD_CLASS: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password";
const OTHER_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/development-sp-decryption.pem");

/// A gateway with these settings of its connection, whose requests the IdP wants signed.
async fn behind(idp: &SimpleSaml, settings: &'static [(&'static str, &'static str)]) -> TestGateway {
    let more = move |overrides: Overrides| {
        let saml = |key: &str| format!("enterprise.example.saml.{key}");
        settings.iter().fold(overrides, |overrides, (key, value)| overrides.set(&saml(key), *value))
    };
    let gateway = foreign::behind(idp.address(), Backend::Embedded, more).await;
    let pem = std::fs::read_to_string(SIGNING_KEY).unwrap();
    let certificate = &pem[pem.find("-----BEGIN CERTIFICATE").unwrap()..];
    let sp = format!("{}/saml/metadata", gateway.url);
    idp.register_signing(&sp, &format!("{}/saml/acs", gateway.url), certificate);
    gateway
}

/// Opens the application, as far as the IdP's first page.
async fn at_idp(gateway: &TestGateway, browser: &mut Browser) -> Page {
    let page = browser.open(&format!("{}/saml/login?return_to=/reports", gateway.url)).await.unwrap();
    if page.url.starts_with(&gateway.url) { browser.press(&page, "Continue").await.unwrap() } else { page }
}

fn asks_for_a_password(page: &Page) -> bool {
    page.forms().iter().any(|form| form.field("password").is_some())
}

/// Types name and password, and submits the response.
async fn finish(browser: &mut Browser, page: &Page) -> Page {
    let mut form = page.forms().into_iter().find(|form| form.field("password").is_some()).expect("a form");
    form.set("username", "alice");
    form.set("password", "a");
    let page = browser.submit(&form).await.unwrap();
    respond(browser, &page).await
}

async fn respond(browser: &mut Browser, page: &Page) -> Page {
    let form = page.forms().into_iter().find(|form| form.field("SAMLResponse").is_some());
    browser.submit(&form.unwrap_or_else(|| panic!("{}", page.body))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn simplesamlphp_verifies_our_signatures_in_both_bindings() {
    const SIGNED: &[(&str, &str)] = &[("signing_keys", SIGNING_KEY), ("authn_context", PASSWORD_CLASS)];
    const POSTED: &[(&str, &str)] = &[("signing_keys", SIGNING_KEY), ("sso_binding", "post")];
    const WRONG: &[(&str, &str)] = &[("signing_keys", OTHER_KEY)];
    const WRONG_POSTED: &[(&str, &str)] = &[("signing_keys", OTHER_KEY), ("sso_binding", "post")];
    const UNSIGNED: &[(&str, &str)] = &[("signing_keys", SIGNING_KEY), ("sign_requests", "false")];
    let idp = SimpleSaml::start(&[("alice", "a", &["octo-org"])]);
    for (settings, accepted) in
        [(SIGNED, true), (POSTED, true), (WRONG, false), (WRONG_POSTED, false), (UNSIGNED, false)]
    {
        let gateway = behind(&idp, settings).await;
        let mut browser = Browser::new();
        let page = at_idp(&gateway, &mut browser).await;
        if accepted {
            let page = finish(&mut browser, &page).await;
            assert_eq!(
                (page.status.as_u16(), page.url),
                (200, format!("{}/reports", gateway.url)),
                "{settings:?}"
            );
        } else {
            assert!(!asks_for_a_password(&page), "{settings:?}: {}", page.body);
        }
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_99_simplesamlphp_signs_in_anew_if_it_is_asked_and_is_refused_for_another_way() {
    const FORCED: &[(&str, &str)] =
        &[("signing_keys", SIGNING_KEY), ("force_authn", "true"), ("clock_skew", "0s")];
    const PLAIN: &[(&str, &str)] = &[("signing_keys", SIGNING_KEY)];
    const MFA: &[(&str, &str)] =
        &[("signing_keys", SIGNING_KEY), ("authn_context", "https://refeds.org/profile/mfa")];
    let idp = SimpleSaml::start(&[("alice", "a", &["octo-org"])]);
    for (settings, again) in [(PLAIN, false), (FORCED, true)] {
        let gateway = behind(&idp, settings).await;
        let mut browser = Browser::new();
        let page = at_idp(&gateway, &mut browser).await;
        assert_eq!(finish(&mut browser, &page).await.status, 200, "{settings:?}");
        let page = at_idp(&gateway, &mut browser).await;
        assert_eq!(asks_for_a_password(&page), again, "{settings:?}");
        let page = if again { finish(&mut browser, &page).await } else { respond(&mut browser, &page).await };
        assert_eq!(page.status, 200, "{}", page.body);
        gateway.stop().await;
    }
    let gateway = behind(&idp, MFA).await;
    let mut browser = Browser::new();
    let page = at_idp(&gateway, &mut browser).await;
    assert_eq!(finish(&mut browser, &page).await.status, 403);
    assert!(browser.cookie("localhost", SESSION).is_none());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_84_a_sign_in_begins_at_simplesamlphp_where_it_is_allowed() {
    const ALLOWED: &[(&str, &str)] =
        &[("idp_initiated", "true"), ("idp_initiated_targets", "/reports"), ("signing_keys", SIGNING_KEY)];
    let idp = SimpleSaml::start(&[("alice", "a", &["octo-org"])]);
    for (settings, status) in [(ALLOWED, 200), (&[][..], 403)] {
        let gateway = behind(&idp, settings).await;
        let mut browser = Browser::new();
        let begin = idp.begin_url(&format!("{}/saml/metadata", gateway.url), "/reports");
        let page = browser.open(&begin).await.unwrap();
        let page = finish(&mut browser, &page).await;
        assert_eq!(page.status, status, "{}", page.body);
        if status == 200 {
            assert_eq!(page.url, format!("{}/reports", gateway.url));
            assert_eq!(gateway.organizations(&mut browser).await.len(), 1);
        }
        gateway.stop().await;
    }
}
