//! What the log says of a logout message that the store had no answer to.
use portcullis::edge::cookies;

use super::{gateway, refused::leaves};
use crate::{
    attacks::audit,
    support::{gateway::Backend, redis::Network},
};

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
