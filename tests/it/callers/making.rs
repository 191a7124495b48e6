//! Who may make a token, and which.
use jiff::SignedDuration;
use portcullis::{
    directory::{Grant, NewToken, TOKENS_MAX, TokenRefusal},
    domain::{EnterpriseId, Timestamp},
};

use super::{DAY_SECONDS, World, wanted};
use crate::{
    attacks::audit,
    support::gateway::{BACKENDS, Backend},
};

/// Each demand on a new token, with what fails it.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_a_name_scopes_organizations_of_its_person_and_an_end() {
    let world = World::new(Backend::Embedded).await;
    let (_, alice) = world.sign_in("alice", &["octo-org"]).await;
    let after = |seconds: i64| Timestamp::now() + SignedDuration::from_secs(seconds);
    let named = |name: &str| NewToken { name: name.into(), ..wanted(&[]) };
    let ending = |at| NewToken { expires_at: at, ..wanted(&[]) };
    for (token, code) in [
        (named(" "), "token_name_invalid"),
        (named("a\nb"), "token_name_invalid"),
        (named(&"x".repeat(101)), "token_name_invalid"),
        (NewToken { scopes: vec![], ..wanted(&[]) }, "token_scopes_missing"),
        (ending(after(-1)), "token_expiry_invalid"),
        (ending(Timestamp::now()), "token_expiry_invalid"),
        (ending(after(366 * DAY_SECONDS)), "token_expiry_invalid"),
        (ending(Timestamp::MAX), "token_expiry_invalid"),
        (wanted(&["hubot-lab"]), "not_a_member"),
        (wanted(&["octo-org", "nowhere"]), "not_a_member"),
    ] {
        assert_eq!(world.make(&alice, token.clone()).await.unwrap_err().code(), code, "{token:?}");
    }
    assert!(world.gateway.person("alice@example.com").await.unwrap().tokens.is_empty());
    world.make(&alice, ending(after(365 * DAY_SECONDS - 60))).await.unwrap();
    let (_, token) = world.make(&alice, wanted(&["octo-org", "octo-org"])).await.unwrap();
    assert_eq!(token.organizations.len(), 1);
    world.gateway.stop().await;
}

/// V-03: a token comes from a sign-in of a moment ago, at this enterprise.
#[tokio::test(flavor = "multi_thread")]
async fn v_03_a_token_needs_a_young_live_session_of_the_enterprise() {
    let world = World::new(Backend::Embedded).await;
    let (_, alice) = world.sign_in("alice", &["octo-org"]).await;
    let made = |active: &portcullis::domain::ActiveSession| {
        let (active, world) = (active.clone(), &world);
        async move { world.make(&active, wanted(&["octo-org"])).await.map(drop).map_err(|e| e.code()) }
    };
    assert_eq!(made(&alice).await, Ok(()));
    let mut foreign = alice.clone();
    foreign.session.enterprise_id = EnterpriseId::from_bytes([1; 16]);
    assert_eq!(made(&foreign).await, Err("session_ended"));
    let mut over = alice.clone();
    over.session.expires_at = Timestamp::now();
    assert_eq!(made(&over).await, Err("session_ended"));
    let mut old = alice.clone();
    old.session.created_at -= SignedDuration::from_hours(2);
    assert_eq!(made(&old).await, Err("session_too_old"));
    let mut recovered = alice.clone();
    recovered.session.authn_context = Some("urn:portcullis:authn-context:recovery-code".into());
    assert_eq!(made(&recovered).await, Err("session_by_recovery"));
    let known = world.gateway.person("alice@example.com").await.unwrap().tokens;
    let octo = super::slug("octo-org");
    let grant = Grant { token: known[0].id, organization: &octo };
    let (enterprise, now) = (&world.enterprise, Timestamp::now());
    let refused =
        [(&foreign, "session_ended"), (&old, "session_too_old"), (&recovered, "session_by_recovery")];
    for (session, code) in refused {
        let done = world.directory().authorize_token(enterprise, session, grant, "attack-x", now);
        assert_eq!(done.await.unwrap_err().code(), code);
    }
    world.gateway.stop().await;
}

/// Up to fifty at a time; those that ran out make room. What a token did and had is told, and never the token.
async fn many(backend: Backend) {
    audit::keep();
    let world = World::new(backend).await;
    let (_, alice) = world.sign_in("alice", &["octo-org"]).await;
    let (directory, enterprise) = (world.directory(), &world.enterprise);
    let now = Timestamp::now();
    let soon = NewToken { expires_at: now + SignedDuration::from_secs(3600), ..wanted(&["octo-org"]) };
    let request = format!("attack-many-{backend:?}");
    let (secret, token) =
        directory.create_token(enterprise, &alice, soon.clone(), &request, now).await.unwrap();
    let events = audit::take(&request);
    let actions: Vec<_> = events.iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["personal_access_token.create", "org_credential_authorization.grant"]);
    assert!(events.iter().all(|event| event["credential_id"] == token.id.to_string()));
    assert!(events.iter().all(|event| !event.to_string().contains(secret.last_eight())), "{events:?}");
    for _ in 1..TOKENS_MAX {
        world.make(&alice, soon.clone()).await.unwrap();
    }
    assert_eq!(world.make(&alice, soon.clone()).await.unwrap_err().code(), "tokens_exceeded");

    let later = now + SignedDuration::from_secs(3600);
    assert!(directory.access_token(&secret, later - SignedDuration::from_secs(1)).await.is_ok());
    assert!(matches!(directory.access_token(&secret, later).await, Err(TokenRefusal::Expired)));
    let next = NewToken { expires_at: later + SignedDuration::from_secs(60), ..soon };
    // By then the session would be younger still, were it a new one.
    let mut young = alice.clone();
    young.session.created_at = later;
    young.session.last_seen_at = later;
    let after = later + SignedDuration::from_secs(1);
    directory.create_token(enterprise, &young, next, "attack-x", after).await.unwrap();
    assert_eq!(world.gateway.person("alice@example.com").await.unwrap().tokens.len(), 1);
    assert!(matches!(directory.access_token(&secret, after).await, Err(TokenRefusal::Unknown)));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_fifty_tokens_at_most() {
    for backend in BACKENDS {
        many(backend).await;
    }
}
