//! The whole of it with pysaml2, an IdP of other hands: requests that it verifies, assertions that it encrypts, and single
//! logout both ways, by every binding. It knows us by our own metadata.
use portcullis::{
    config::Overrides,
    demo::browser::{Browser, Form, Page},
};

use crate::support::{
    gateway::{BACKENDS, Backend, Setup, TestGateway, name_id},
    pysaml2::{Behaviour, PySaml2},
};

const SIGNING_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/development-sp-signing.pem");
const DECRYPTION_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/development-sp-decryption.pem");
/// Forms that carry a message from one side to the other.
const HOPS_MAX: usize = 8;

const ALICE: Behaviour<'_> = Behaviour {
    name_id: "alice@example.com",
    groups: &["octo-org", "everyone"],
    encrypt: true,
    want_signed: true,
};

async fn behind(idp: &PySaml2, backend: Backend, binding: &'static str) -> TestGateway {
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("idp.crt");
    std::fs::write(&certificate, &idp.certificate_pem).unwrap();
    let (entity_id, sso_url, slo_url) = (idp.entity_id.clone(), idp.sso_url.clone(), idp.slo_url.clone());
    let change = move |overrides: Overrides| {
        overrides
            .set("enterprise.example.saml.idp_entity_id", entity_id)
            .set("enterprise.example.saml.sso_url", sso_url)
            .set("enterprise.example.saml.sso_binding", binding)
            .set("enterprise.example.saml.slo_url", slo_url)
            .set("enterprise.example.saml.slo_binding", binding)
            .set("enterprise.example.saml.signing_keys", SIGNING_KEY)
            .set("enterprise.example.saml.decryption_keys", DECRYPTION_KEY)
            .set("enterprise.example.saml.encrypted", "true")
            .set("enterprise.example.saml.certificates", certificate.display().to_string())
    };
    let mut gateway = TestGateway::set_up(Setup { change: Box::new(change), ..Setup::new(backend) }).await;
    gateway.idp_entity_id.clone_from(&idp.entity_id);
    let ours = Browser::new().open(&format!("{}/saml/metadata", gateway.url)).await.unwrap();
    idp.register(&ours.body);
    gateway
}

/// Submits what a script would submit, until nothing of the kind is left.
async fn settled(browser: &mut Browser, mut page: Page) -> Page {
    for _ in 0..HOPS_MAX {
        let carries =
            |form: &Form| form.field("SAMLRequest").is_some() || form.field("SAMLResponse").is_some();
        let Some(form) = page.forms().into_iter().find(carries) else { return page };
        page = browser.submit(&form).await.unwrap();
    }
    panic!("{}: {}", page.url, page.body);
}

async fn opened(browser: &mut Browser, url: &str) -> Page {
    let page = browser.open(url).await.unwrap();
    settled(browser, page).await
}

fn browser() -> Browser {
    let mut browser = Browser::new();
    browser.send_along("sec-fetch-site", "same-origin");
    browser
}

async fn whole_life(backend: Backend, binding: &'static str) {
    let idp = PySaml2::start();
    idp.set(ALICE);
    let gateway = behind(&idp, backend, binding).await;
    let mut browser = browser();

    // A signed request, an encrypted assertion.
    let page = opened(&mut browser, &gateway.url).await;
    assert_eq!(page.status, 200, "{}: {}\n{}", page.url, page.body, idp.log());
    let identity = gateway.identity(&mut browser).await.expect("a session");
    assert_eq!(identity["x-forwarded-user"], name_id("alice"));
    assert_eq!(gateway.organizations(&mut browser).await, ["octo-org"]);

    // Signing out begins here.
    let asks = browser.open(&format!("{}/saml/logout", gateway.url)).await.unwrap();
    let page = browser.press(&asks, "Sign out").await.unwrap();
    let page = settled(&mut browser, page).await;
    assert!(
        page.url.starts_with(&gateway.url) && page.body.contains("You are signed out"),
        "{binding}, {}: {}\n{}",
        page.url,
        page.body,
        idp.log()
    );
    assert!(gateway.identity(&mut browser).await.is_none());

    // Signing out begins at the IdP, through the browser and behind its back.
    for channel in [binding, "soap"] {
        assert_eq!(opened(&mut browser, &gateway.url).await.status, 200);
        assert!(gateway.identity(&mut browser).await.is_some());
        let mut same = browser.clone();
        let page = opened(&mut browser, &format!("{}/sign-out?binding={channel}", idp.base_url)).await;
        assert!(
            page.status == 200 && page.body.contains("status:Success"),
            "{channel}, {}: {}\n{}",
            page.url,
            page.body,
            idp.log()
        );
        assert!(gateway.identity(&mut same).await.is_none(), "{channel}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pysaml2_signs_in_and_out_by_redirect_and_by_post() {
    for (backend, binding) in BACKENDS.into_iter().zip(["redirect", "post"]) {
        whole_life(backend, binding).await;
    }
}

/// The controls: what it does not encrypt is refused here, and what we do not sign is refused there.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_agreed_on_is_demanded() {
    let idp = PySaml2::start();
    idp.set(Behaviour { encrypt: false, ..ALICE });
    let gateway = behind(&idp, Backend::Embedded, "redirect").await;
    let mut browser = browser();
    let page = opened(&mut browser, &gateway.url).await;
    assert_eq!(page.status, 403, "{}: {}\n{}", page.url, page.body, idp.log());
    assert!(gateway.person(&name_id("alice")).await.is_none());

    idp.set(ALICE);
    let sent = browser.fetch_json(&format!("{}/saml/login", gateway.url)).await.unwrap();
    let request = sent.headers["location"].to_str().unwrap();
    let unsigned = request.split("&SigAlg").next().unwrap();
    assert_ne!(unsigned, request);
    let refused = browser.open(unsigned).await.unwrap();
    assert_eq!(refused.status, 500, "{}", refused.body);
    gateway.stop().await;
}
