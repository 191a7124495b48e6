//! Single logout with SimpleSAMLphp, which checks our signatures and makes its own: both ways, by redirect and by POST.
use portcullis::{
    config::Overrides,
    demo::browser::{Browser, Page},
    edge::cookies,
};

use super::browser;
use crate::support::{
    gateway::{BACKENDS, Backend, Setup, TestGateway},
    simplesamlphp::SimpleSaml,
};

const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/development-sp-signing.pem");
const PASSWORD: &str = "correct horse";
/// Forms that carry a message from one side to the other.
const HOPS_MAX: usize = 8;

async fn behind(idp: &SimpleSaml, backend: Backend, binding: &'static str) -> TestGateway {
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("idp.crt");
    std::fs::write(&certificate, &idp.certificate_pem).unwrap();
    let (entity_id, sso_url, slo_url) = (idp.entity_id.clone(), idp.sso_url.clone(), idp.slo_url.clone());
    let change = move |overrides: Overrides| {
        overrides
            .set("enterprise.example.saml.idp_entity_id", entity_id)
            .set("enterprise.example.saml.sso_url", sso_url)
            .set("enterprise.example.saml.slo_url", slo_url)
            .set("enterprise.example.saml.slo_binding", binding)
            .set("enterprise.example.saml.signing_keys", KEY)
            .set("enterprise.example.saml.certificates", certificate.display().to_string())
    };
    let mut gateway = TestGateway::set_up(Setup { change: Box::new(change), ..Setup::new(backend) }).await;
    gateway.idp_entity_id.clone_from(&idp.entity_id);
    let pem = std::fs::read_to_string(KEY).unwrap();
    let saml = |name: &str| format!("{}/saml/{name}", gateway.url);
    idp.register_with_logout(&saml("metadata"), &saml("acs"), &saml("slo"), binding, &pem);
    gateway
}

/// Submits what a script would submit, until nothing of the kind is left.
async fn settled(browser: &mut Browser, mut page: Page) -> Page {
    for _ in 0..HOPS_MAX {
        let carries = |form: &portcullis::demo::browser::Form| {
            form.field("SAMLRequest").is_some() || form.field("SAMLResponse").is_some()
        };
        let Some(form) = page.forms().into_iter().find(carries) else { return page };
        page = browser.submit(&form).await.unwrap();
    }
    panic!("{}: {}", page.url, page.body);
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
