//! Records that an earlier version of the gateway left in the store, and records that nobody can read.
use std::sync::{Arc, Mutex};

use portcullis::{
    demo::browser::Browser,
    directory::StoreError,
    domain::{
        AuthnDemand, CallerId, EnterpriseSlug, PendingSignIn, RequestId, SessionId, SessionToken,
        SignInHandle, Timestamp,
    },
    edge::cookies::SESSION,
    store::{Key, Op, Reply, Store},
};

use crate::{
    logout::forge_logout::Message,
    saml::forge,
    support::gateway::{BACKENDS, Backend, Setup, TestGateway},
};

/// A gateway with single logout, and the store that it writes to.
async fn gateway(backend: Backend) -> (TestGateway, Arc<dyn Store>) {
    let mut setup = Setup::new(backend);
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys/idp-rsa.key.pem");
    setup.idp.key_pem = std::fs::read(key).unwrap();
    setup.idp.certificate_pem = forge::certificate("idp-rsa");
    setup.single_logout = Some("redirect");
    let opened = Arc::<Mutex<Option<Arc<dyn Store>>>>::default();
    let seen = opened.clone();
    setup.wrap = Box::new(move |store| {
        *seen.lock().unwrap() = Some(store.clone());
        store
    });
    let gateway = TestGateway::set_up(setup).await;
    let store = opened.lock().unwrap().take().unwrap();
    (gateway, store)
}

async fn stored(store: &Arc<dyn Store>, key: Key) -> Option<Vec<u8>> {
    let replies = store.batch(Timestamp::now(), vec![Op::Get(key)]).await.unwrap();
    let [Reply::Value(found)] = &replies[..] else { panic!("{replies:?}") };
    found.as_ref().map(|found| found.value.clone())
}

/// Writes the record anew, with `from` at its beginning changed.
async fn rewrite(store: &Arc<dyn Store>, key: Key, from: &str, to: &str) {
    let text = String::from_utf8(stored(store, key).await.expect("a record")).unwrap();
    assert!(text.starts_with(from), "{text}");
    let value = text.replacen(from, to, 1).into_bytes();
    let expires_at = Timestamp::now() + jiff::SignedDuration::from_secs(600);
    store.batch(Timestamp::now(), vec![Op::Put { key, value, expires_at }]).await.unwrap();
}

/// Rewrites the session of a browser, past the gateway's cache.
async fn rewrite_session(
    gateway: &TestGateway,
    store: &Arc<dyn Store>,
    browser: &Browser,
    to: &str,
) -> SessionId {
    let token = SessionToken::parse(browser.cookie("localhost", SESSION).unwrap()).unwrap();
    let key = Key::Session(token.session_id());
    let before = stored(store, key).await.unwrap();
    gateway.running.as_ref().unwrap().directory.end_session(&token, Timestamp::now()).await.unwrap();
    let expires_at = Timestamp::now() + jiff::SignedDuration::from_secs(600);
    store.batch(Timestamp::now(), vec![Op::Put { key, value: before, expires_at }]).await.unwrap();
    rewrite(store, key, "{\"v\":2,", to).await;
    token.session_id()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_an_older_version_leads_to_a_new_sign_in() {
    for backend in BACKENDS {
        let (gateway, store) = gateway(backend).await;
        let mut browser = Browser::new();
        gateway.sign_in(&mut browser, "alice").await;
        let id = rewrite_session(&gateway, &store, &browser, "{\"v\":1,\"gone\":0,").await;
        let page = browser.fetch_json(&format!("{}/", gateway.url)).await.unwrap();
        assert_eq!(page.status, 401, "{}", page.body);
        let directory = &gateway.running.as_ref().unwrap().directory;
        let present = directory.present(&[CallerId::Session(id)].into(), Timestamp::now()).await;
        assert!(present.unwrap().is_empty(), "its responses under way are broken off");
        assert_eq!(gateway.sign_in(&mut browser, "alice").await.status, 200);
        assert!(gateway.identity(&mut browser).await.is_some());
        assert!(stored(&store, Key::Session(id)).await.is_none(), "the new session replaced it");

        // What cannot be read is not taken for one.
        rewrite_session(&gateway, &store, &browser, "{\"v\":2,\"gone\":0,").await;
        let page = browser.fetch_json(&format!("{}/", gateway.url)).await.unwrap();
        assert_eq!(page.status, 503, "{}", page.body);
        gateway.stop().await;
    }
}

/// A gateway of the older version may still run beside this one.
#[tokio::test(flavor = "multi_thread")]
async fn l_10_a_logout_ends_a_session_of_an_older_version_too() {
    let (gateway, store) = gateway(Backend::Embedded).await;
    let mut browser = Browser::new();
    gateway.sign_in(&mut browser, "alice").await;
    let id = rewrite_session(&gateway, &store, &browser, "{\"v\":1,").await;
    let slo_url = format!("{}/saml/slo", gateway.url);
    let request = Message::request(&gateway.idp_entity_id, &slo_url, "alice@example.com", &[]);
    let (status, answer) = gateway.call("GET", &format!("/saml/slo?{}", request.query(None)), "", "");
    assert_eq!(status, 303, "{answer}");
    assert!(stored(&store, Key::Session(id)).await.is_none());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_an_older_version_is_not_outstanding() {
    let (gateway, store) = gateway(Backend::Embedded).await;
    let directory = gateway.running.as_ref().unwrap().directory.clone();
    let now = Timestamp::now();
    let requests = [1, 2].map(|n| RequestId::of(SignInHandle::from_bytes([n; 16])));
    for request in requests {
        let pending = PendingSignIn {
            request,
            enterprise: EnterpriseSlug::parse("example").unwrap(),
            acs_url: format!("{}/saml/acs", gateway.url),
            relay_state: "relay".into(),
            return_to: "/".into(),
            replaces: None,
            demand: AuthnDemand::default(),
            issued_at: now,
            expires_at: now + jiff::SignedDuration::from_secs(600),
        };
        directory.open_sign_in(&pending, &[], now).await.unwrap();
    }
    rewrite(&store, Key::PendingSignIn(requests[0]), "{\"v\":2,", "{\"v\":1,").await;
    let found = directory.outstanding(&requests, now).await.unwrap();
    assert_eq!(found.iter().map(|pending| pending.request).collect::<Vec<_>>(), [requests[1]]);
    rewrite(&store, Key::PendingSignIn(requests[0]), "{\"v\":1,", "{\"v\":3,").await;
    assert!(matches!(directory.outstanding(&requests, now).await, Err(StoreError::Corrupt(_))));
    gateway.stop().await;
}
