//! What the log and the audit stream say of a logout, and at what cost.
use portcullis::{directory::AuditQuery, edge::cookies};
use serde_json::Value;

use super::{gateway, refused::leaves};
use crate::{
    attacks::audit,
    support::{
        gateway::{BACKENDS, Backend, TestGateway},
        redis::Network,
    },
};

const ATTEMPTS_MAX: usize = 5;

impl TestGateway {
    /// The latest event of the audit stream.
    async fn last_told(&self) -> Value {
        let directory = &self.running.as_ref().unwrap().directory;
        let query = AuditQuery { newest_first: true, limit: 1, ..AuditQuery::default() };
        let mut page = directory.audit_entries(self.enterprise(), &query).await.unwrap();
        page.entries.pop().unwrap().into_json()
    }

    /// How many round trips to the store `act` takes.
    async fn trips(&self, act: impl AsyncFnOnce()) -> usize {
        let log = self.log().unwrap();
        let before = log.trips();
        act().await;
        log.trips() - before
    }
}

/// What was verified is in the stream, and costs no round trip more than the logout itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_06_logouts_are_told_to_the_stream_by_the_step_that_makes_them() {
    for backend in BACKENDS {
        let gateway = gateway(backend, "redirect").await;
        // Ours ends, and a request to the IdP is remembered; then its answer is looked up and taken. What the gateway does now and
        // then, and a session that is read again after a second, are counted too: one attempt without them will do.
        let mut attempts = 0;
        let session = loop {
            let (mut alice, session) = gateway.signed_in("alice").await;
            let asks = alice.open(&format!("{}/saml/logout", gateway.url)).await.unwrap();
            let trips = gateway.trips(async || drop(alice.press(&asks, "Sign out").await.unwrap())).await;
            attempts += 1;
            assert!(trips == 4 || attempts < ATTEMPTS_MAX, "{trips}");
            if trips == 4 {
                break session;
            }
        };
        let told = gateway.last_told().await;
        assert_eq!((&told["action"], &told["trigger"]), (&"saml.logout_response".into(), &"saml".into()));
        let query = AuditQuery { newest_first: true, limit: 2, ..AuditQuery::default() };
        let directory = &gateway.running.as_ref().unwrap().directory;
        let page = directory.audit_entries(gateway.enterprise(), &query).await.unwrap();
        let signed_out = page.entries[1].clone().into_json();
        assert_eq!(signed_out["action"], "business.sign_out");
        assert_eq!(signed_out["user_id"], session.person.to_string());
        assert_eq!(signed_out["session"], session.id.to_string());

        // The mark against replays, the marks against assertions on their way, the two lists, the sessions, their end.
        let mut attempts = 0;
        let request = loop {
            let _ = gateway.signed_in("alice").await;
            let request = gateway.logout_request("alice", &[]).envelope();
            let trips = gateway.trips(async || assert_eq!(gateway.soap(&request).0, 200)).await;
            attempts += 1;
            assert!(trips == 6 || attempts < ATTEMPTS_MAX, "{trips}");
            if trips == 6 {
                break request;
            }
        };
        let told = gateway.last_told().await;
        assert_eq!(
            (&told["action"], &told["user"]),
            (&"saml.logout_request".into(), &"alice@example.com".into())
        );
        assert_eq!(told["issuer"], gateway.idp_entity_id.as_str());

        // A replay is refused, and tells the stream nothing: whoever has one message could fill it.
        let before = gateway.last_told().await;
        gateway.soap(&request);
        assert_eq!(gateway.last_told().await, before);
        gateway.stop().await;
    }
}

/// Once where it was refused, and not again where the answer is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_the_store_is_told_once() {
    let gateway = gateway(Backend::Redis, "redirect").await;
    let (alice, _) = gateway.signed_in("alice").await;
    let (handle, _) = leaves(&gateway, &alice, "/saml/logout");
    gateway.redis.as_ref().unwrap().set(Network::Cut);
    let cookie = format!("Cookie: {}={handle}\r\n", cookies::SIGN_OUT);
    let (status, answer) = gateway.call("GET", "/saml/slo?SAMLResponse=x", &cookie, "");
    assert_eq!(status, 503, "{answer}");
    let (_, id) = answer.split_once("x-request-id: ").expect("a request id");
    let id = id.split("\r\n").next().unwrap();
    let warnings = audit::warnings(id);
    assert_eq!(warnings, ["portcullis::edge::logout"], "{answer}");
    let events = audit::take(id);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["reason"], "store_unavailable");
    gateway.stop().await;
}
