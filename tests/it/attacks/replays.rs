//! The same message again, and messages of other browsers (S-80, S-81, S-83, S-93, S-105).
use std::sync::atomic::Ordering;

use super::world::{HANDLES, Post, World, form, message};
use crate::{
    saml::forge,
    support::gateway::{Backend, Setup},
};

const IDP: &[&str] = &["idp-rsa"];

#[tokio::test(flavor = "multi_thread")]
async fn s_80_a_response_again_over_http() {
    let world = World::new(IDP).await;
    let value = message(|_| {});
    world.expect_accepted("once", &world.post(&form(&value)));
    for _ in 0..3 {
        world.expect_refused("again", &world.post(&form(&value)), 403, "request_unknown");
    }
    // The other ACS spellings are not ours.
    for path in ["/saml/acs/", "/saml/acs;x", "/saml//acs", "/saml/ACS", "/saml/acs/callback"] {
        let seen = world.post(&Post { path, ..form(&value) });
        assert_ne!(seen.answer.status, 303, "{path}");
        assert!(seen.answer.values("set-cookie").iter().all(|c| !c.contains("session=")), "{path}");
        assert!(seen.audit.is_empty() && seen.forwarded == 0, "{path}: {seen:?}");
    }
    world.stop().await;
}

/// The unsigned Response around it is another one, and its request came back to life: the assertion is the same.
#[tokio::test(flavor = "multi_thread")]
async fn s_81_an_assertion_in_another_response() {
    let world = World::new(IDP).await;
    world.expect_accepted("once", &world.post(&form(&message(|_| {}))));
    world.open_sign_ins("example", forge::ACS).await;
    let again = message(|spec| spec.response.insert("ID", "_another".into()));
    world.expect_refusal("again", &world.post(&form(&again)), 403, "assertion_replayed");
    // And what was tried is gone: the session that was being made, and the request.
    world.expect_refused("once more", &world.post(&form(&again)), 403, "request_unknown");
    world.stop().await;
}

/// Two posts at once: both find the request outstanding, one takes it.
#[tokio::test(flavor = "multi_thread")]
async fn s_80_another_was_faster() {
    let world = World::new(IDP).await;
    world.log.robbed.store(true, Ordering::SeqCst);
    let seen = world.post(&form(&message(|_| {})));
    world.expect_refusal("the slower one", &seen, 403, "request_consumed");
    world.stop().await;
}

/// Login CSRF: the attacker's own genuine response, sent by the victim's browser.
#[tokio::test(flavor = "multi_thread")]
async fn s_83_a_response_in_another_browser_over_http() {
    let world = World::new(IDP).await;
    let value = message(|_| {});
    let genuine = form(&value);
    let cookie = |value: &str| {
        let fields = genuine.fields.split("Cookie: ").next().unwrap();
        Post { fields: format!("{fields}{value}"), ..genuine.clone() }
    };
    let name = portcullis::edge::cookies::SIGN_IN;
    let handle = |bytes: [u8; 16]| portcullis::domain::SignInHandle::from_bytes(bytes).to_string();
    let request = portcullis::domain::RequestId::of(portcullis::domain::SignInHandle::from_bytes(HANDLES[0]));
    for (what, fields) in [
        ("no cookie", String::new()),
        ("a sign-in of its own", format!("Cookie: {name}={}\r\n", handle([7; 16]))),
        ("its other sign-in", format!("Cookie: {name}={}\r\n", handle(HANDLES[1]))),
        ("the request's id for the handle", format!("Cookie: {name}={request}\r\n")),
        ("two cookies", format!("Cookie: {name}={0}; {name}={0}\r\n", handle(HANDLES[0]))),
        ("another name", format!("Cookie: {}={}\r\n", name.to_lowercase(), handle(HANDLES[0]))),
    ] {
        world.expect_refused(what, &world.post(&cookie(&fields)), 403, "request_unknown");
    }
    world.expect_accepted("the browser that asked", &world.post(&genuine));
    world.stop().await;
}

/// The IdP's key is withdrawn while a person is at the IdP: what counts is when the response comes.
#[tokio::test(flavor = "multi_thread")]
async fn s_93_a_key_that_was_withdrawn_in_the_meantime() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb").display().to_string();
    let value = message(|_| {});
    let at = |certificates: &'static [&'static str]| {
        let path = path.clone();
        World::with(Setup::new(Backend::Embedded), certificates, move |overrides| {
            overrides.set("store.path", path)
        })
    };
    at(IDP).await.stop().await;
    let world = at(&["attacker-rsa"]).await;
    world.expect_refused("after the withdrawal", &world.post(&form(&value)), 403, "signature_invalid");
    world.stop().await;
    let world = at(IDP).await;
    world.expect_accepted("with the key", &world.post(&form(&value)));
    world.stop().await;
}

/// Golden SAML cannot be refused; it can be found. The audit log says who, when and by which session of the IdP, the access line
/// of the same request from where.
#[tokio::test(flavor = "multi_thread")]
async fn s_105_what_was_accepted_can_be_compared_with_the_idps_log() {
    let world = World::new(IDP).await;
    let seen = world.post(&form(&message(|_| {})));
    world.expect_accepted("genuine", &seen);
    let line = seen.audit.iter().find(|line| line["action"] == "business.sso_response").unwrap();
    for (field, value) in [
        ("user", "alice@example.com"),
        ("issuer", forge::IDP),
        ("assertion_id", "_assertion"),
        ("authn_instant", "2026-01-15T11:50:00Z"),
        ("session_index", "_session"),
        ("request_id", &seen.request_id),
        ("@timestamp", forge::NOW),
    ] {
        assert_eq!(line[field], value, "{field} of {line}");
    }
    world.stop().await;
}
