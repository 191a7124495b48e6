//! Tokens of integrations: who makes them, what they open, and when that ends (V-01, V-03, V-21).
use jiff::SignedDuration;
use portcullis::{
    directory::{NewScimToken, ScimTokenMaker, TokenError},
    domain::{ScimTokenId, Timestamp},
};
use serde_json::json;

use super::world::{EXAMPLE, World};
use crate::{
    api::{client::Credential, world::World as ApiWorld},
    support::gateway::{BACKENDS, Backend, Setup},
};

fn wanted(hours: i64) -> NewScimToken {
    NewScimToken { name: "Entra".into(), expires_at: Timestamp::now() + SignedDuration::from_hours(hours) }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_01_a_token_is_shown_once_and_kept_as_a_hash() {
    for backend in BACKENDS {
        let world = ApiWorld::new(backend).await;
        let boss = world.by(&world.boss);
        let expires_at = (Timestamp::now() + SignedDuration::from_hours(24)).to_string();
        let made =
            boss.post("/enterprise/scim/tokens", &json!({ "name": "Entra", "expires_at": expires_at })).await;
        assert_eq!(made.status, 201, "{}", made.text);
        assert_eq!(made.field("cache-control"), "no-store");
        let secret = made.json()["token"].as_str().unwrap().to_owned();
        assert!(secret.starts_with("pcs_"), "{secret}");
        let listed = boss.get("/enterprise/scim/tokens").await;
        assert!(!listed.text.contains(&secret), "{}", listed.text);
        assert_eq!(listed.json()[0]["token_last_eight"], secret[secret.len() - 8..]);
        assert_eq!(listed.json()[0]["created_by"], "alice@example.com");
        let id = listed.json()[0]["id"].as_str().unwrap().to_owned();
        assert_eq!(boss.delete(&format!("/enterprise/scim/tokens/{id}")).await.status, 204);
        assert_eq!(boss.delete(&format!("/enterprise/scim/tokens/{id}")).await.status, 404);
        assert_eq!(boss.get("/enterprise/scim/tokens").await.text, "[]");
        let told = boss.get("/enterprise/audit").await.text;
        assert!(told.contains("scim_token.create") && told.contains("scim_token.revoke"), "{told}");
        assert!(!told.contains(&secret), "{told}");
        world.gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_03_only_an_owner_of_the_enterprise_makes_one_and_only_by_a_session() {
    let world = ApiWorld::new(Backend::Embedded).await;
    let expires_at = (Timestamp::now() + SignedDuration::from_hours(24)).to_string();
    let body = json!({ "name": "mine", "expires_at": expires_at });
    let olga = world.by(&world.olga).post("/enterprise/scim/tokens", &body).await;
    assert_eq!((olga.status.as_u16(), olga.code().as_str()), (403, "enterprise_owner_required"));
    let token = world.by_token(&world.boss, &["api:write", "enterprise"], &[]).await;
    let by_token = token.post("/enterprise/scim/tokens", &body).await;
    assert_eq!((by_token.status.as_u16(), by_token.code().as_str()), (403, "session_required"));
    // Of her own enterprise, whatever she says: there is no field to say another one.
    let gina = world.by(&world.gina).post("/enterprise/scim/tokens", &body).await;
    assert_eq!(gina.status, 201, "{}", gina.text);
    assert_eq!(world.by(&world.boss).get("/enterprise/scim/tokens").await.text, "[]");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_live_at_a_time_so_that_one_can_take_the_place_of_the_other() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let second = world.make_token("example").await;
        let tenant = world.tenant("example");
        let (directory, now) = (world.directory(), Timestamp::now());
        let third =
            directory.create_scim_token(&tenant, ScimTokenMaker::Operator, wanted(1), "test", now).await;
        assert!(matches!(third, Err(TokenError::TooManyScim)), "{third:?}");
        for client in [world.scim.clone(), world.scim.with(Some(&second))] {
            client.get("/Users?count=0").await.is(200);
        }
        let listed = directory.scim_tokens(tenant.id, now).await.unwrap();
        assert!(listed.iter().all(|known| known.last_used_at.is_some()), "{listed:?}");
        let actor = portcullis::directory::Actor::operator("test");
        directory.revoke_scim_token(&tenant, actor, listed[0].token.id, now).await.unwrap();
        world.scim.get("/Users?count=0").await.is_error(401, None);
        world.scim.with(Some(&second)).get("/Users?count=0").await.is(200);
        let unknown = ScimTokenId::from_bytes([9; 16]);
        let again = directory.revoke_scim_token(&tenant, actor, unknown, now).await;
        assert!(matches!(again, Err(TokenError::NotFound)), "{again:?}");
        assert!(world.make_token("example").await.starts_with("pcs_"), "there is room again");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ran_out_opens_nothing_and_makes_room() {
    let world = World::new(Backend::Embedded).await;
    let (tenant, directory) = (world.tenant("globex"), world.directory());
    let start = Timestamp::now() - SignedDuration::from_hours(48);
    for _ in 0..2 {
        let wanted = NewScimToken { name: "old".into(), expires_at: start + SignedDuration::from_hours(24) };
        directory.create_scim_token(&tenant, ScimTokenMaker::Operator, wanted, "test", start).await.unwrap();
    }
    let (secret, _) = {
        let wanted = NewScimToken { name: "next".into(), expires_at: start + SignedDuration::from_hours(49) };
        let now = start + SignedDuration::from_hours(25);
        directory.create_scim_token(&tenant, ScimTokenMaker::Operator, wanted, "test", now).await.unwrap()
    };
    let client = world.scim.at(super::world::GLOBEX).with(Some(secret.expose()));
    client.get("/Users?count=0").await.is(200);
    let later = Timestamp::now() + SignedDuration::from_hours(2);
    let refused = directory.scim_token(&secret, later).await;
    assert!(matches!(refused, Err(portcullis::directory::TokenRefusal::Expired)), "{refused:?}");
    for (hours, is_fine) in [(0, false), (24, true), (366 * 24, false)] {
        let tenant = world.tenant("hubot");
        let (maker, now) = (ScimTokenMaker::Operator, Timestamp::now());
        let made = directory.create_scim_token(&tenant, maker, wanted(hours), "test", now).await;
        assert_eq!(made.is_ok(), is_fine, "{hours} h: {made:?}");
    }
    world.stop().await;
}

/// The answer is the same whatever is wrong, and a program is told so as a program.
#[tokio::test(flavor = "multi_thread")]
async fn v_21_nothing_but_a_scim_token_opens_scim_and_it_opens_nothing_else() {
    let world = World::new(Backend::Embedded).await;
    let good = world.scim.token.clone().unwrap();
    let nothing = world.scim.with(None).get("/Users").await;
    assert_eq!(nothing.is_error(401, None).field("www-authenticate"), "Bearer realm=\"portcullis\"");
    let mut texts = vec![];
    for token in ["", "x", "pcs_", &format!("{good}0"), &good.replace("pcs_", "ptc_"), &good.to_uppercase()] {
        let answer = world.scim.with(Some(token)).get("/Users").await;
        answer.is_error(401, None);
        assert!(answer.field("www-authenticate").contains("invalid_token"), "{:?}", answer.fields);
        assert!(!answer.fields.contains_key("location"));
        texts.push(answer.text);
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    // In the query it is not looked at, nor beside another one.
    let query = world.scim.with(None).get(&format!("/Users?access_token={good}")).await;
    query.is_error(401, None);
    let twice = world.scim.raw("GET", "/Users", &[("authorization", "Bearer x")], vec![]).await;
    twice.is_error(401, None);

    // Neither the API nor an application takes it, and the application's server never sees it.
    let api = world.scim.at("/.portcullis/api/v1").get("/user").await;
    assert_eq!(api.status, 401, "{}", api.text);
    let proxied = world.scim.at("").get("/").await;
    assert_eq!(proxied.status, 401, "{}", proxied.text);
    let public = world.scim.at("").get("/public/").await;
    assert_eq!(public.status, 200, "{}", public.text);
    assert!(!public.text.contains(&good[4..]), "{}", public.text);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_21_a_cookie_is_not_looked_at() {
    let world = ApiWorld::new(Backend::Embedded).await;
    let Credential::Session(session) = world.by(&world.boss).credential else { panic!("a session") };
    let scim = super::client::Client { url: world.gateway.url.clone(), base: EXAMPLE.into(), token: None };
    let cookie = format!("{}={session}", portcullis::edge::cookies::SESSION);
    let answer = scim.raw("GET", "/Users", &[("cookie", &cookie), ("accept", "text/html")], vec![]).await;
    answer.is_error(401, None);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_21_a_token_that_asks_too_fast_is_told_when_to_ask_again() {
    let change = |overrides: portcullis::config::Overrides| {
        overrides.set("enterprise.example.scim.requests_per_second_max", "50")
    };
    fn stopped() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }
    let setup = Setup { now: stopped, ..Setup::new(Backend::Embedded) };
    let world = World::set_up(setup, change).await;
    // By a clock that stands nothing is ever let in again.
    let tenant = world.tenant("example");
    let wanted = NewScimToken { name: "n".into(), expires_at: stopped() + SignedDuration::from_hours(1) };
    let (directory, maker) = (world.directory(), ScimTokenMaker::Operator);
    let made = directory.create_scim_token(&tenant, maker, wanted, "test", stopped()).await.unwrap();
    let scim = world.scim.with(Some(made.0.expose()));
    for request in 0..100 {
        let answer = scim.get("/Users?count=0").await;
        assert_eq!(answer.status, 200, "{request}: {}", answer.text);
    }
    let answer = scim.get("/Users?count=0").await;
    answer.is_error(429, None);
    assert_eq!(answer.field("retry-after"), "1");
    // What describes the service is not counted.
    scim.get("/ServiceProviderConfig").await.is(200);
    world.stop().await;
}

/// On the store of a gateway that runs: it hears of it at once.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_makes_lists_and_revokes_them() {
    let world = World::new(Backend::Redis).await;
    let run = |arguments: &[&str]| {
        let output = world.gateway.command().args(arguments).output().unwrap();
        let (text, errors) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        (output.status.code(), text, errors)
    };
    let scim = ["--scim", "--enterprise", "example", "--format", "json"];
    let (code, text, errors) =
        run(&[&["token", "create", "--name", "Okta", "--days", "90"], &scim[..]].concat());
    assert_eq!(code, Some(0), "{errors}");
    let made: serde_json::Value = serde_json::from_str(&text).unwrap();
    let client = world.scim.with(made["token"].as_str());
    client.get("/Users?count=0").await.is(200);
    let (_, text, _) = run(&[&["token", "list"], &scim[..]].concat());
    assert!(text.contains("\"Okta\"") && !text.contains(made["token"].as_str().unwrap()), "{text}");
    let id = made["id"].as_str().unwrap();
    let (code, _, errors) = run(&["token", "revoke", "--scim", id, "--enterprise", "example"]);
    assert_eq!(code, Some(0), "{errors}");
    client.get("/Users?count=0").await.is_error(401, None);
    for wrong in
        [&["token", "create"][..], &["token", "list"], &["token", "revoke"], &["token", "revoke", "alice"]]
    {
        assert_eq!(run(wrong).0, Some(2), "{wrong:?}");
    }
    world.stop().await;
}
