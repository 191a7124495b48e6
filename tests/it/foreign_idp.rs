//! Sign-in with an IdP that we did not write: SimpleSAMLphp, over plain HTTP as a browser would, over both stores.
use base64::{Engine, prelude::BASE64_STANDARD};
use portcullis::{
    config::Overrides,
    demo::browser::{Browser, Form},
    edge::cookies::SESSION,
};

use crate::support::{
    foreign,
    gateway::{BACKENDS, Backend, TestGateway, name_id},
    simplesamlphp::SimpleSaml,
};

const PASSWORD: &str = "it's \\ secret";

/// A gateway that sends its people to `idp`, and is known there.
pub async fn behind(idp: &SimpleSaml, backend: Backend) -> TestGateway {
    behind_with(idp, backend, |overrides| overrides).await
}

/// `more` is the last word on the configuration.
pub async fn behind_with(
    idp: &SimpleSaml,
    backend: Backend,
    more: impl FnOnce(Overrides) -> Overrides + 'static,
) -> TestGateway {
    let gateway = foreign::behind(idp.address(), backend, more).await;
    idp.register(&format!("{}/saml/metadata", gateway.url), &format!("{}/saml/acs", gateway.url));
    gateway
}

async fn provisions(backend: Backend) {
    let idp = SimpleSaml::start(&[("alice", PASSWORD, &["octo-org", "octo-org-owners", "everyone"])]);
    let gateway = behind(&idp, backend).await;
    let wanted = format!("{}/reports?view=short", gateway.url);
    let mut browser = Browser::new();
    let form = idp.response_form(&mut browser, &wanted, "alice", PASSWORD).await;
    let before = browser.clone();
    let page = browser.submit(&form).await.unwrap();
    assert_eq!((page.status.as_u16(), page.url.as_str()), (200, wanted.as_str()), "{}", page.body);

    // What the origin server received.
    let identity = gateway.identity(&mut browser).await.expect("a session");
    assert_eq!(identity["x-forwarded-user"], name_id("alice"));
    assert_eq!(identity["x-forwarded-email"], name_id("alice"));
    assert_eq!(identity["x-forwarded-preferred-username"], "alice");
    assert_eq!(identity["x-forwarded-groups"], "octo-org,octo-org-owners,everyone");
    assert_eq!(identity["x-forwarded-organizations"], "octo-org");
    assert_eq!(gateway.organization("octo-org").await.owners.len(), 1);

    // The same form from the browser as it was, and as it is now.
    for mut replayed in [before, browser.clone()] {
        replayed.set_cookie("localhost", SESSION, "none");
        let refused = replayed.submit(&form).await.unwrap();
        assert_eq!(refused.status, 403, "{}", refused.body);
        assert_eq!(replayed.cookie("localhost", SESSION), Some("none"));
    }

    // Other groups, and a browser that this IdP has no session with: joins one, leaves the other.
    idp.set_groups("alice", &["hubot-lab", "everyone"]);
    let mut fresh = Browser::new();
    let form = idp.response_form(&mut fresh, &wanted, "alice", PASSWORD).await;
    assert_eq!(fresh.submit(&form).await.unwrap().status, 200);
    assert_eq!(gateway.organizations(&mut fresh).await, ["hubot-lab"]);
    assert_eq!(gateway.organizations(&mut browser).await, ["hubot-lab"], "the older session sees it too");
    assert_eq!(gateway.members("hubot-lab").await, [gateway.person_id(&name_id("alice"))]);
    assert!(gateway.members("octo-org").await.is_empty());
    assert!(gateway.organization("octo-org").await.unowned_since.is_some());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simplesamlphp_joins_and_leaves() {
    for backend in BACKENDS {
        provisions(backend).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_simplesamlphp_did_not_sign_opens_no_session() {
    let idp = SimpleSaml::start(&[("bob", "b", &["everyone"])]);
    let gateway = behind(&idp, Backend::Embedded).await;
    let mut browser = Browser::new();
    let page = idp.log_in(&mut browser, &gateway.url, "bob", "wrong").await;
    assert!(page.body.contains("Incorrect username or password"), "{}", page.body);
    let genuine = idp.response_form(&mut browser, &gateway.url, "bob", "b").await;
    let mut forged = genuine.clone();
    let response = response_of(&genuine);
    assert_eq!(response.matches("everyone").count(), 1);
    forged.set("SAMLResponse", &BASE64_STANDARD.encode(response.replace("everyone", "octo-org")));
    assert_eq!(browser.submit(&forged).await.unwrap().status, 403);
    assert!(gateway.person(&name_id("bob")).await.is_none());
    // The refusal consumed nothing.
    assert_eq!(browser.submit(&genuine).await.unwrap().status, 200);
    assert!(gateway.organizations(&mut browser).await.is_empty());
    gateway.stop().await;
}

/// The XML of the response that a form carries.
pub fn response_of(form: &Form) -> String {
    let encoded = form.field("SAMLResponse").expect("a SAMLResponse");
    String::from_utf8(BASE64_STANDARD.decode(encoded).expect("base64")).expect("UTF-8")
}
