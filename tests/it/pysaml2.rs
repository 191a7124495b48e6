//! The whole of it with pysaml2, an IdP of other hands: requests that it verifies, assertions that it encrypts, and single
//! logout both ways, by every binding. It knows us by our own metadata.
use portcullis::{config::Overrides, demo::browser::Browser};

use crate::support::{
    foreign::{self, DECRYPTION_KEY, SIGNING_KEY, browser, opened, settled},
    gateway::{BACKENDS, Backend, TestGateway, name_id},
    pysaml2::{Behaviour, PySaml2},
};

const ALICE: Behaviour<'_> = Behaviour {
    name_id: "alice@example.com",
    groups: &["octo-org", "everyone"],
    encrypt: true,
    want_signed: true,
};

async fn behind(idp: &PySaml2, backend: Backend, binding: &'static str) -> TestGateway {
    let slo_url = idp.slo_url.clone();
    let more = move |overrides: Overrides| {
        overrides
            .set("enterprise.example.saml.sso_binding", binding)
            .set("enterprise.example.saml.slo_url", slo_url)
            .set("enterprise.example.saml.slo_binding", binding)
            .set("enterprise.example.saml.signing_keys", SIGNING_KEY)
            .set("enterprise.example.saml.decryption_keys", DECRYPTION_KEY)
            .set("enterprise.example.saml.encrypted", "true")
    };
    let gateway = foreign::behind(idp.address(), backend, more).await;
    let ours = Browser::new().open(&format!("{}/saml/metadata", gateway.url)).await.unwrap();
    idp.register(&ours.body);
    gateway
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
