//! L-05, L-07: one tenant's IdP has no say in another tenant's sessions.
use portcullis::edge::cookies;

use super::{
    Message, browser,
    forge_logout::{SUCCESS, code},
    refused::leaves,
};
use crate::support::{
    gateway::{Backend, TestGateway},
    tenants::GLOBEX,
};

/// Globex's IdP, even with the same key, has no say in the sessions of another enterprise, and its message does not pass at
/// the other's address.
#[tokio::test(flavor = "multi_thread")]
async fn l_05_another_tenants_idp_ends_nothing() {
    let mut setup = crate::support::gateway::Setup::new(Backend::Embedded);
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys/idp-rsa.key.pem");
    setup.idp.key_pem = std::fs::read(key).unwrap();
    setup.idp.certificate_pem = crate::saml::forge::certificate("idp-rsa");
    setup.single_logout = Some("redirect");
    setup.tables = GLOBEX;
    let gateway = TestGateway::set_up(setup).await;
    let mut alice = browser();
    let people = alice.open(&format!("{}/page", gateway.url)).await.unwrap();
    let posting = alice.press(&people, "Sign in as Alice").await.unwrap();
    assert_eq!(alice.press(&posting, "Continue").await.unwrap().status, 200);
    let (ours, theirs) = (
        format!("{}/enterprises/example/saml/slo", gateway.url),
        format!("{}/enterprises/globex/saml/slo", gateway.url),
    );
    let send = |slo: &str, message: &Message| {
        let path = slo.strip_prefix(&gateway.url).unwrap();
        gateway.call("GET", &format!("{path}?{}", message.query(None)), "", "")
    };
    let globex = "https://idp.globex.example/metadata";
    let message = |issuer: &str, slo: &str| Message::request(issuer, slo, "alice@example.com", &[]);
    let (status, answer) = send(&theirs, &message(globex, &theirs));
    assert_eq!(status, 303, "{answer}");
    assert!(gateway.identity(&mut alice).await.is_some(), "another tenant's");
    let mismatch = "response_issuer_mismatch";
    gateway.owes(&mut alice, mismatch, "issuer", || send(&ours, &message(globex, &ours))).await;
    gateway
        .owes(&mut alice, "destination_mismatch", "address", || {
            send(&ours, &message(&gateway.idp_entity_id, &theirs))
        })
        .await;
    // L-07: nor does its answer count for what another IdP was asked.
    let mut again = browser();
    let people = again.open(&format!("{}/page", gateway.url)).await.unwrap();
    let posting = again.press(&people, "Sign in as Alice").await.unwrap();
    again.press(&posting, "Continue").await.unwrap();
    let (handle, request) = leaves(&gateway, &again, "/enterprises/example/saml/logout");
    let answer = Message::response(globex, &theirs, &request, &code(SUCCESS, ""));
    let target = format!("/enterprises/globex/saml/slo?{}", answer.query(None));
    let cookie = format!("Cookie: {}={handle}\r\n", cookies::SIGN_OUT);
    let reason = "request_unknown";
    gateway
        .owes(&mut alice, reason, "another IdP's answer", || gateway.call("GET", &target, &cookie, ""))
        .await;
    let (status, answer) = send(&ours, &message(&gateway.idp_entity_id, &ours));
    assert_eq!(status, 303, "{answer}");
    assert!(gateway.identity(&mut alice).await.is_none());
    gateway.stop().await;
}
