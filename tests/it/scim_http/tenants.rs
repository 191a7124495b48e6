//! Every place and every method with another tenant's token, and with another tenant's ids (V-02, V-20).
use serde_json::{Value, json};

use super::{
    client::Client,
    world::{EXAMPLE, GLOBEX, HUBOT, World, user},
};
use crate::support::gateway::BACKENDS;

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// A body that nothing is wrong with, so that whatever is refused is refused for who asks.
fn body(method: &str, path: &str) -> Value {
    match (method, path.starts_with("/Groups"), path.ends_with("/.search")) {
        (_, _, true) => json!({ "filter": "userName pr" }),
        ("PATCH", true, _) => {
            json!({ "Operations": [{ "op": "replace", "path": "externalId", "value": "theirs" }] })
        }
        ("PATCH", false, _) => {
            json!({ "Operations": [{ "op": "replace", "path": "active", "value": false }] })
        }
        (_, true, _) => json!({ "displayName": "octo-org", "members": [] }),
        _ if path == "/Bulk" => json!({ "Operations": [{ "method": "DELETE", "path": "/Users/x" }] }),
        _ => user("mallory"),
    }
}

async fn call(client: &Client, method: &str, path: &str) -> super::client::Answer {
    match method {
        "GET" | "DELETE" => client.raw(method, path, &[], vec![]).await,
        _ => client.send(method, path, &body(method, path)).await,
    }
}

/// Everything that the token's own tenant has, as it is shown.
async fn state(client: &Client) -> String {
    let users = client.get("/Users?count=500").await.is(200).text.clone();
    let groups = client.get("/Groups?count=500").await.is(200).text.clone();
    format!("{users}\n{groups}")
}

#[tokio::test(flavor = "multi_thread")]
async fn v_02_another_tenant_s_token_finds_nothing_anywhere() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let alice = world.user("alice").await;
        let group = world.group("octo-org", &[&alice]).await;
        let globex = world.client("globex", GLOBEX).await;
        let hubot = world.client("hubot", HUBOT).await;
        let before = state(&world.scim).await;
        let paths = [
            "".to_owned(),
            "/".to_owned(),
            "/.search".to_owned(),
            "/Users".to_owned(),
            "/Users/.search".to_owned(),
            format!("/Users/{alice}"),
            "/Groups".to_owned(),
            "/Groups/.search".to_owned(),
            format!("/Groups/{group}"),
            "/Bulk".to_owned(),
            "/Me".to_owned(),
        ];
        for (who, client) in [("globex", &globex), ("hubot", &hubot)] {
            for path in &paths {
                for method in METHODS {
                    // At the other's base: nothing is there, as at a base that there is not.
                    let theirs = call(&client.at(EXAMPLE), method, path).await;
                    let nowhere = call(&client.at("/scim/v2/enterprises/nobody"), method, path).await;
                    let case = format!("{who}: {method} {path}");
                    theirs.is_error(404, None);
                    assert_eq!(theirs.text, nowhere.text, "{case}");
                    assert!(!theirs.fields.contains_key("etag") && !theirs.fields.contains_key("location"));
                }
            }
        }
        assert_eq!(state(&world.scim).await, before);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_02_another_tenant_s_ids_are_unknown_at_home() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let alice = world.user("alice").await;
        let group = world.group("octo-org", &[&alice]).await;
        let globex = world.client("globex", GLOBEX).await;
        let gina = globex.post("/Users", &user("gina")).await.is(201).id();
        let theirs = globex.post("/Groups", &json!({ "displayName": "octo-org" })).await.is(201).id();
        let before = state(&world.scim).await;
        let unknown = "00000000-0000-4000-8000-000000000000";
        for (kind, id) in [("Users", &alice), ("Groups", &group)] {
            for method in ["GET", "PUT", "PATCH", "DELETE"] {
                let foreign = call(&globex, method, &format!("/{kind}/{id}")).await;
                let nowhere = call(&globex, method, &format!("/{kind}/{unknown}")).await;
                foreign.is_error(404, None);
                assert_eq!(foreign.text, nowhere.text, "{method} {kind}");
            }
        }
        // As a member, as a group, in every filter, in Bulk.
        let add = json!([{ "op": "add", "path": "members", "value": [{ "value": alice }] }]);
        globex.patch(&format!("/Groups/{theirs}"), &add).await.is_error(400, Some("invalidValue"));
        let mut into = user("otto");
        into["groups"] = json!([{ "value": group }]);
        globex.post("/Users", &into).await.is_error(400, Some("invalidValue"));
        for filter in [
            format!("id eq \"{alice}\""),
            "userName eq \"alice@example.com\"".to_owned(),
            "externalId eq \"ext-alice\"".to_owned(),
            "emails eq \"alice@example.com\"".to_owned(),
            format!("groups.value eq \"{group}\""),
            "userName sw \"alice\"".to_owned(),
        ] {
            let found = globex.get(&format!("/Users?filter={filter}")).await.is(200).json();
            assert_eq!(found["totalResults"], 0, "{filter}: {found}");
        }
        let found = globex.get(&format!("/Groups?filter=members eq \"{alice}\"")).await.is(200).json();
        assert_eq!(found["totalResults"], 0, "{found}");
        let bulk = json!({ "Operations": [{ "method": "DELETE", "path": format!("/Users/{alice}") }] });
        let answer = globex.post("/Bulk", &bulk).await.is(200).json();
        assert_eq!(answer["Operations"][0]["status"], "404", "{answer}");
        assert_eq!(state(&world.scim).await, before);
        assert!(!before.contains(&gina));
        world.stop().await;
    }
}

/// D4, A18
#[tokio::test(flavor = "multi_thread")]
async fn an_organization_has_a_base_of_its_own_only_where_it_stands_alone() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let managed = world.scim.at("/scim/v2/organizations/octo-org");
        for answer in [managed.get("/Users").await, managed.post("/Users", &user("x")).await] {
            answer.is_error(403, None);
        }
        world.scim.at("/scim/v2/organizations/nothing").get("/Users").await.is_error(404, None);
        // Of another tenant it is as unknown as if it were not there.
        world.scim.at(HUBOT).get("/Users").await.is_error(404, None);

        let hubot = world.client("hubot", HUBOT).await;
        let made = hubot.post("/Users", &user("hanna")).await;
        made.is(201);
        let id = made.id();
        assert!(made.field("location").ends_with(&format!("{HUBOT}/Users/{id}")), "{:?}", made.fields);
        assert!(made.json().get("groups").is_none(), "{}", made.text);
        assert_eq!(world.invited_to("hubot", "hubot").await, ["hanna@example.com"]);
        hubot.get("/Groups").await.is_error(404, None);
        // Everybody is invited to the same organization.
        hubot.post("/Users", &user("harry")).await.is(201);
        assert_eq!(world.invited_to("hubot", "hubot").await.len(), 2);
        hubot.delete(&format!("/Users/{id}")).await.is(204);
        assert_eq!(world.invited_to("hubot", "hubot").await, ["harry@example.com"]);
        let types = hubot.get("/ResourceTypes").await.is(200).json();
        assert_eq!((&types["totalResults"], &types["Resources"][0]["id"]), (&1.into(), &"User".into()));
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_that_did_not_switch_it_on_is_told_so() {
    let world = World::with(crate::support::gateway::Backend::Embedded, |overrides| {
        overrides.set("enterprise.globex.scim.enabled", "false")
    })
    .await;
    let globex = world.client("globex", GLOBEX).await;
    globex.get("/Users").await.is_error(403, None);
    world.stop().await;
}
