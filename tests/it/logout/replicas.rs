//! Logouts on several gateways, and at the wrong moment.
use std::sync::Arc;

use jiff::SignedDuration;
use portcullis::{
    config::{self, Source},
    domain::{Session, Timestamp},
    edge::cookies::SESSION,
    gateway::{self, Running},
    store,
    telemetry::Metrics,
};

use super::{browser, forge_logout::at, gateway as set_up, token};
use crate::support::{
    gateway::{BACKENDS, Backend, TestGateway},
    ports,
};

/// Another gateway process's worth of state, on the same store.
async fn replica(first: &TestGateway) -> Running {
    let overrides = first
        .overrides
        .clone()
        .set("listen.public", format!("127.0.0.1:{}", ports::free()))
        .set("listen.private", format!("127.0.0.1:{}", ports::free()));
    let loaded = config::load(&Source::file(&first.config).unwrap(), &overrides).unwrap();
    let store: Arc<dyn store::Store> = store::open(&loaded.settings.store).await.unwrap();
    gateway::start(&loaded.settings, store, Metrics::new()).await.unwrap()
}

/// The stated bound: a gateway that saw the session a moment ago may let it pass for one second more, by its own clock.
#[tokio::test(flavor = "multi_thread")]
async fn l_10_a_logout_at_one_gateway_ends_the_session_at_the_other_within_a_second() {
    let first = set_up(Backend::Redis, "redirect").await;
    let other = replica(&first).await;
    let (mut alice, session) = first.signed_in("alice").await;
    let (bob, _) = first.signed_in("bob").await;
    let now = Timestamp::now();
    let token = token(&alice);
    assert!(other.directory.session(&token, now).await.unwrap().is_some());
    let index = session.session_index.unwrap();
    let (status, answer) = first.soap(&first.logout_request("alice", &[&index]).envelope());
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("LogoutResponse") && answer.contains("status:Success"), "{answer}");
    assert!(first.identity(&mut alice).await.is_none(), "at once where the request came");
    let after = now + SignedDuration::from_secs(1);
    assert!(other.directory.session(&token, after).await.unwrap().is_none());
    assert!(other.directory.session(&super::token(&bob), after).await.unwrap().is_some());

    other.shutdown().await;
    first.stop().await;
}

fn session_index(response_form: &portcullis::demo::browser::Form) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let xml = STANDARD.decode(response_form.field("SAMLResponse").unwrap()).unwrap();
    let xml = String::from_utf8(xml).unwrap();
    let (_, index) = xml.split_once("SessionIndex=\"").unwrap();
    index.split('"').next().unwrap().to_owned()
}

/// SAML Core 3.7.3.1: a logout holds for an assertion that was issued before it and arrives after it.
async fn late(backend: Backend) {
    let gateway = set_up(backend, "redirect").await;
    let mut alice = browser();
    let form = gateway.response_form(&mut alice, "alice").await;
    let index = session_index(&form);
    assert_eq!(gateway.redirect(&gateway.logout_request("alice", &[&index]).query(None)).0, 303);
    let page = alice.submit(&form).await.unwrap();
    assert_eq!(page.status, 403, "{}", page.body);
    assert!(alice.cookie("localhost", SESSION).is_none());
    let refused = r#"portcullis_saml_responses_total{result="refused",reason="logged_out"} 1"#;
    let metrics = gateway.private("/metrics").await.body;
    assert!(metrics.lines().any(|line| line == refused), "{metrics}");
    // A new sign-in is another session.
    assert_eq!(gateway.sign_in(&mut alice, "alice").await.status, 200);

    // Of all sessions, but earlier than the assertion: that one is good, the ones before are over.
    let mut phone = browser();
    let form = gateway.response_form(&mut phone, "alice").await;
    let mut all = gateway.logout_request("alice", &[]);
    all.attributes.insert("IssueInstant", at(-30));
    assert_eq!(gateway.redirect(&all.query(None)).0, 303);
    assert!(gateway.identity(&mut alice).await.is_none());
    assert_eq!(phone.submit(&form).await.unwrap().status, 200);
    // And later than the assertion, as far as clocks may differ.
    let mut tablet = browser();
    let form = gateway.response_form(&mut tablet, "alice").await;
    let mut all = gateway.logout_request("alice", &[]);
    all.attributes.insert("IssueInstant", at(30));
    assert_eq!(gateway.redirect(&all.query(None)).0, 303);
    assert_eq!(tablet.submit(&form).await.unwrap().status, 403);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_holds_for_assertions_that_are_still_on_their_way() {
    for backend in BACKENDS {
        late(backend).await;
    }
}

/// A store that fails in between: the IdP is told that we failed, and the session may still be ended by the next request.
#[tokio::test(flavor = "multi_thread")]
async fn an_idp_is_told_when_the_store_is_down() {
    use crate::support::redis::Network;
    let mut setup = crate::support::gateway::Setup::new(Backend::Redis);
    setup.idp.key_pem =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys/idp-rsa.key.pem")).unwrap();
    setup.idp.certificate_pem = crate::saml::forge::certificate("idp-rsa");
    setup.single_logout = Some("redirect");
    let gateway = TestGateway::set_up(setup).await;
    let (alice, session): (_, Session) = gateway.signed_in("alice").await;
    let index = session.session_index.unwrap();
    let request = gateway.logout_request("alice", &[&index]);
    gateway.redis.as_ref().unwrap().set(Network::Cut);
    let (status, answer) = gateway.soap(&request.envelope());
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("status:Responder") && !answer.contains("status:Success"), "{answer}");
    gateway.redis.as_ref().unwrap().set(Network::Works);
    assert!(gateway.private_ready().await);
    let (status, answer) = gateway.soap(&gateway.logout_request("alice", &[&index]).envelope());
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("status:Success"), "{answer}");
    let directory = &gateway.running.as_ref().unwrap().directory;
    let later = Timestamp::now() + SignedDuration::from_secs(2);
    assert!(directory.session(&token(&alice), later).await.unwrap().is_none());
    gateway.stop().await;
}

impl TestGateway {
    /// Waits until the store answers again.
    async fn private_ready(&self) -> bool {
        for _ in 0..1_000 {
            if self.private("/readyz").await.status == 200 {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        false
    }
}
