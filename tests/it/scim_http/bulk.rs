//! Several calls in one body (RFC 7644 3.7).
use serde_json::{Value, json};

use super::world::{World, user};
use crate::support::gateway::Backend;

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

fn post(bulk_id: &str, data: Value) -> Value {
    json!({ "method": "POST", "path": "/Users", "bulkId": bulk_id, "data": data })
}

async fn bulk(world: &World, operations: Value) -> Vec<Value> {
    let answer = world.scim.post("/Bulk", &json!({ "Operations": operations })).await.is(200).json();
    answer["Operations"].as_array().unwrap().clone()
}

fn statuses(answers: &[Value]) -> Vec<&str> {
    answers.iter().map(|answer| answer["status"].as_str().unwrap()).collect()
}

/// "The service provider MUST continue performing as many changes as possible and disregard partial failures."
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_none_fails_alone() {
    let world = World::new(Backend::Embedded).await;
    let group = json!({ "displayName": "octo-org", "members": [{ "value": "bulkId:nobody" }] });
    let bad = [
        json!({ "method": "GET", "path": "/Users" }),
        json!({ "method": "POST", "path": "/Foo", "bulkId": "x", "data": {} }),
        json!({ "method": "POST", "path": "/users", "bulkId": "x", "data": user("x") }),
        json!({ "method": "POST", "path": "/Users/", "bulkId": "x", "data": user("x") }),
        json!({ "method": "POST", "path": "/Me", "bulkId": "x", "data": user("x") }),
        json!({ "method": "POST", "path": "/Users", "data": user("x") }),
        json!({ "method": "POST", "path": "/Users", "bulkId": "x" }),
        json!({ "method": "POST", "path": "/Groups", "bulkId": "x", "data": group }),
        json!({ "method": "DELETE", "path": "/Users/bulkId:nobody" }),
        json!({}),
    ];
    for (n, bad) in bad.iter().enumerate() {
        let answers = bulk(&world, json!([bad, post("good", user(&format!("good{n}")))])).await;
        assert_eq!(statuses(&answers), ["400", "201"], "{bad}");
        assert_eq!(answers[0]["method"], bad.get("method").cloned().unwrap_or("".into()), "{bad}");
        let response = &answers[0]["response"];
        assert_eq!(response["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error", "{bad}");
        assert_eq!(response["status"], "400", "{bad}");
        let request = json!({ "failOnErrors": 1, "Operations": [bad, post("late", user("late"))] });
        let stopped = world.scim.post("/Bulk", &request).await.is(200).json();
        assert_eq!(statuses(stopped["Operations"].as_array().unwrap()), ["400"], "{bad}");
    }
    let list = world.scim.get("/Users?count=0").await.is(200).json();
    assert_eq!(list["totalResults"], bad.len());
    for whole in [json!({ "Operations": [] }), json!({}), json!({ "Operations": [1] })] {
        world.scim.post("/Bulk", &whole).await.is_error(400, Some("invalidSyntax"));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_look_like_references_are_texts() {
    let world = World::new(Backend::Embedded).await;
    let mut named = user("alice");
    named["displayName"] = "bulkId:lit".into();
    let id = world.scim.post("/Users", &named).await.is(201).id();
    named["title"] = "x".into();
    let put = json!({ "method": "PUT", "path": format!("/Users/{id}"), "data": named });
    assert_eq!(statuses(&bulk(&world, json!([put, post("lit", user("bob"))])).await), ["200", "201"]);
    let shown = world.scim.get(&format!("/Users/{id}")).await.is(200).json();
    assert_eq!((&shown["displayName"], &shown["title"]), (&"bulkId:lit".into(), &"x".into()));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_removed_by_the_bulk_id_in_a_path() {
    let world = World::new(Backend::Embedded).await;
    let group =
        json!({ "displayName": "octo-org", "members": [{ "value": "bulkId:q" }, { "value": "bulkId:r" }] });
    let remove = |of: &str| {
        let data = json!({ "Operations": [{ "op": "remove", "path": format!("members[value eq \"bulkId:{of}\"]") }] });
        json!({ "method": "PATCH", "path": "/Groups/bulkId:g", "data": data })
    };
    let answers = bulk(
        &world,
        json!([
            post("q", user("q")),
            post("r", user("r")),
            { "method": "POST", "path": "/Groups", "bulkId": "g", "data": group },
            remove("q"),
            remove("nobody"),
        ]),
    )
    .await;
    assert_eq!(statuses(&answers), ["201", "201", "201", "200", "400"], "{answers:?}");
    let location = |at: usize| answers[at]["location"].as_str().unwrap();
    let shown = world.scim.get(&format!("/Groups/{}", location(2).rsplit('/').next().unwrap())).await;
    let members = shown.is(200).json()["members"].clone();
    assert_eq!(members.as_array().unwrap().len(), 1);
    assert_eq!(members[0]["$ref"], location(1));
    assert_eq!((location(3), location(4)), (location(2), location(2)));
    world.stop().await;
}

/// "REQUIRED in a response, except in the event of a POST failure."
#[tokio::test(flavor = "multi_thread")]
async fn every_answer_but_of_a_failed_post_says_where() {
    let world = World::new(Backend::Embedded).await;
    let delete = |path: &str| json!({ "method": "DELETE", "path": path });
    let answers = bulk(
        &world,
        json!([
            post("q", user("q")),
            delete("/Users/bulkId:q"),
            delete("/Users/no id"),
            delete(&format!("/Groups/{NOBODY}")),
            delete("Users/bulkId:nobody"),
            { "method": "PUT", "path": "/Users/1" },
            post("r", json!({})),
            { "method": "POST", "path": format!("/Users/{NOBODY}"), "bulkId": "s", "data": {} },
        ]),
    )
    .await;
    assert_eq!(statuses(&answers), ["201", "204", "404", "404", "400", "400", "400", "400"], "{answers:?}");
    assert_eq!(answers[1]["location"], answers[0]["location"]);
    let base = format!("{}{}", world.scim.url, world.scim.base);
    let group = format!("/Groups/{NOBODY}");
    for (at, path) in [(2, "/Users/no%20id"), (3, &group), (4, "/Users/bulkId:nobody"), (5, "/Users/1")] {
        assert_eq!(answers[at]["location"], format!("{base}{path}"));
    }
    assert!(answers[6].get("location").is_none() && answers[7].get("location").is_none(), "{answers:?}");
    world.stop().await;
}
