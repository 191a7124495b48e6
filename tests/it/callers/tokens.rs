//! Tokens as programs use them, over HTTP.
use portcullis::domain::{Scope, Timestamp, TokenSecret};

use super::{World, bearer, by_owner, cookie, slug, wanted};
use crate::{
    attacks::audit,
    support::gateway::{BACKENDS, Backend, name_id},
};

async fn opens_what_it_is_for(backend: Backend) {
    let world = World::new(backend).await;
    let (_, alice) = world.sign_in("alice", &["octo-org", "hubot-lab"]).await;
    let (secret, token) = world.make(&alice, wanted(&["octo-org"])).await.unwrap();
    // Whatever else comes along: no cookie counts beside a token, and scripts need not say what they accept.
    let cookie = format!("Cookie: {}=x\r\n", portcullis::edge::cookies::SESSION);
    for fields in ["", "Accept: text/html\r\n", "Sec-Fetch-Mode: navigate\r\n", &cookie] {
        let (status, answer) = world.get("/octo/x", &format!("{fields}{}", bearer(&secret)));
        assert_eq!(status, 200, "{fields} {answer}");
        let seen = world.origin.one();
        assert_eq!(seen.values("x-forwarded-user"), ["alice@example.com"]);
        assert_eq!(seen.values("x-forwarded-organizations"), ["octo-org"], "not hubot-lab");
        assert_eq!(seen.values("x-forwarded-groups"), [""]);
        assert!(!seen.head.contains("ptc_") && seen.values("authorization").is_empty(), "{}", seen.head);
        assert!(answer.to_lowercase().contains("vary: authorization"), "{answer}");
    }
    let known =
        world.directory().tokens_of(world.enterprise.id, alice.session.person, Timestamp::now()).await;
    let [known] = known.unwrap().try_into().unwrap();
    assert_eq!((known.token.id, &known.token.last_eight), (token.id, &secret.last_eight().to_owned()));
    assert!(known.last_used_at.is_some());
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p_10_a_token_opens_what_it_is_for_and_never_reaches_the_origin_server() {
    for backend in BACKENDS {
        opens_what_it_is_for(backend).await;
    }
}

/// On a public route nobody is identified, and the token is taken off all the same. What is not ours goes through.
#[tokio::test(flavor = "multi_thread")]
async fn p_10_only_tokens_of_ours_are_taken_off() {
    let world = World::new(Backend::Embedded).await;
    let (alice, session) = world.sign_in("alice", &["octo-org"]).await;
    let (secret, _) = world.make(&session, wanted(&["octo-org"])).await.unwrap();
    for value in [secret.expose(), "ptc_cut-off"] {
        assert_eq!(world.get("/public", &format!("Authorization: bearer {value}\r\n")).0, 200);
        let seen = world.origin.one();
        assert!(!seen.head.contains("ptc_") && seen.values("x-forwarded-user").is_empty(), "{}", seen.head);
    }
    let foreign = "Authorization: Bearer of-the-application\r\n";
    assert_eq!(world.get("/public", foreign).0, 200);
    assert_eq!(world.origin.one().values("authorization"), ["Bearer of-the-application"]);
    let session = format!("Cookie: {}={}\r\n", portcullis::edge::cookies::SESSION, cookie(&alice).expose());
    assert_eq!(world.get("/", &format!("{foreign}{session}")).0, 200);
    assert_eq!(world.origin.one().values("authorization"), ["Bearer of-the-application"]);
    // It says nothing to us: without a session it is a request without one.
    let (status, answer) = world.get("/", &format!("{foreign}Accept: application/json\r\n"));
    assert!(status == 401 && answer.contains("sign_in_required"), "{answer}");
    world.gateway.stop().await;
}

/// Everything that is wrong with a token, and that it reads the same from outside.
async fn refusals(backend: Backend) {
    let world = World::new(backend).await;
    let (browser, alice) = world.sign_in("alice", &["octo-org", "hubot-lab"]).await;
    let (good, _) = world.make(&alice, wanted(&["octo-org"])).await.unwrap();
    let (bare, _) = world.make(&alice, wanted(&[])).await.unwrap();
    let (lab, _) = world.make(&alice, wanted(&["hubot-lab"])).await.unwrap();
    let mut api = wanted(&["octo-org"]);
    api.scopes = vec![Scope::ApiRead, Scope::ApiWrite];
    let (api, _) = world.make(&alice, api).await.unwrap();
    let (revoked, token) = world.make(&alice, wanted(&["octo-org"])).await.unwrap();
    assert_eq!(world.by_token("/", &revoked).0, 200);
    let (person, now) = (alice.session.person, Timestamp::now());
    let cause = by_owner("attack-revoke");
    world.directory().revoke_token(&world.enterprise, person, token.id, &cause, now).await.unwrap();
    world.origin.take();

    let mistyped = format!("Authorization: Bearer {}x\r\n", good.expose());
    let session = format!("Cookie: {}={}\r\n", portcullis::edge::cookies::SESSION, cookie(&browser).expose());
    let unknown = TokenSecret::from_random([7; 32]);
    let mut bodies = vec![];
    for (path, fields, status) in [
        ("/", mistyped.clone(), 401),
        // A token decides alone: the session beside it does not help.
        ("/", format!("{mistyped}{session}"), 401),
        ("/", format!("{}Authorization: Basic YTpi\r\n", bearer(&good)), 401),
        ("/", bearer(&unknown), 401),
        ("/", bearer(&revoked), 401),
        ("/", format!("Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n{}", bearer(&unknown)), 401),
        ("/", bearer(&api), 403),
        ("/", bearer(&bare), 403),
        ("/octo", bearer(&lab), 403),
        ("/closed", bearer(&good), 403),
    ] {
        let (found, answer) = world.get(path, &fields);
        assert_eq!(found, status, "{path} {fields}{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        assert!(head.contains("www-authenticate: bearer realm=\"portcullis\", error="), "{head}");
        assert!(head.contains("content-type: application/json") && head.contains("cache-control: no-store"));
        assert!(!head.contains("location:") && !head.contains("set-cookie:"), "{head}");
        let mut body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["error"], if status == 401 { "token_refused" } else { "forbidden" });
        body["request_id"].take();
        bodies.push((status, body.to_string()));
    }
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 2, "V-20: which of them it was is not told");
    assert!(world.origin.take().is_empty());
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_01_and_v_20_a_token_that_does_not_count_is_refused_and_never_redirected() {
    for backend in BACKENDS {
        refusals(backend).await;
    }
}

/// Leaving an organization takes the authorisation along in the same commit, and coming back does not bring it back.
async fn leaving(backend: Backend) {
    audit::keep();
    let world = World::new(backend).await;
    let (_, alice) = world.sign_in("alice", &["octo-org", "hubot-lab"]).await;
    let (secret, token) = world.make(&alice, wanted(&["octo-org", "hubot-lab"])).await.unwrap();
    assert_eq!(world.by_token("/octo", &secret).0, 200);
    world.sign_in("alice", &["hubot-lab"]).await;
    assert_eq!(
        world.by_token("/octo", &secret).0,
        403,
        "with the next request, though it was seen a moment ago"
    );
    assert_eq!(world.by_token("/", &secret).0, 200);
    let (_, again) = world.sign_in("alice", &["octo-org", "hubot-lab"]).await;
    assert_eq!(world.by_token("/octo", &secret).0, 403, "coming back is no authorisation");
    let (directory, octo, now) = (world.directory(), slug("octo-org"), Timestamp::now());
    let authorized =
        directory.authorize_token(&world.enterprise, &again, token.id, &octo, "attack-again", now);
    authorized.await.unwrap();
    assert_eq!(world.by_token("/octo", &secret).0, 200);

    // An owner of the organization withdraws it again, and nothing else.
    let (found, more) = directory.authorizations(world.enterprise.id, &octo, None, 100, now).await.unwrap();
    assert_eq!((found.len(), more), (1, None));
    assert_eq!((&found[0].user, found[0].known.token.id), (&name_id("alice"), token.id));
    let cause = by_owner("attack-withdraw");
    let person = alice.session.person;
    directory.withdraw_token(&world.enterprise, &octo, person, token.id, &cause, now).await.unwrap();
    assert_eq!(world.by_token("/octo", &secret).0, 403);
    assert_eq!(world.by_token("/", &secret).0, 200);
    assert!(directory.authorizations(world.enterprise.id, &octo, None, 100, now).await.unwrap().0.is_empty());
    let events = audit::take("attack-withdraw");
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["action"], "org_credential_authorization.revoke");
    assert_eq!((&events[0]["org"], &events[0]["actor"]), (&"octo-org".into(), &"owner@example.com".into()));
    assert_eq!(events[0]["credential_id"], token.id.to_string());
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_16_leaving_an_organization_takes_its_tokens_authorisation_along() {
    for backend in BACKENDS {
        leaving(backend).await;
    }
}

/// V-02: what belongs to another enterprise or to another person is not there.
#[tokio::test(flavor = "multi_thread")]
async fn v_02_a_token_of_somebody_else_is_not_found() {
    let world = World::new(Backend::Embedded).await;
    let (_, alice) = world.sign_in("alice", &["octo-org"]).await;
    let (_, bob) = world.sign_in("bob", &["octo-org"]).await;
    let (secret, token) = world.make(&alice, wanted(&["octo-org"])).await.unwrap();
    let (directory, now) = (world.directory(), Timestamp::now());
    let mut foreign = world.enterprise.clone();
    foreign.id = portcullis::domain::EnterpriseId::from_bytes([1; 16]);
    let cause = by_owner("attack-foreign");
    let (his, hers) = (bob.session.person, alice.session.person);
    for (enterprise, person) in [(&world.enterprise, his), (&foreign, hers)] {
        let octo = slug("octo-org");
        let revoked = directory.revoke_token(enterprise, person, token.id, &cause, now).await;
        assert_eq!(revoked.unwrap_err().code(), "token_not_found");
        let withdrawn = directory.withdraw_token(enterprise, &octo, person, token.id, &cause, now).await;
        assert_eq!(withdrawn.unwrap_err().code(), "token_not_found");
    }
    let octo = slug("octo-org");
    let made = directory.authorize_token(&world.enterprise, &bob, token.id, &octo, "attack-x", now).await;
    assert_eq!(made.unwrap_err().code(), "token_not_found");
    assert_eq!(world.by_token("/octo", &secret).0, 200);
    world.gateway.stop().await;
}
