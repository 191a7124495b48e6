//! Groups that are longer than a page of the store.
use serde_json::json;

use super::world::{World, sorted};
use crate::support::gateway::BACKENDS;

/// More than two pieces, and not a whole number of them.
const MEMBERS: usize = 2_300;

/// The users, by Bulk.
async fn users(world: &World, count: usize) -> Vec<String> {
    let mut ids = vec![];
    for begin in (0..count).step_by(500) {
        let operations: Vec<_> = (begin..count.min(begin + 500))
            .map(|n| {
                let data = json!({
                    "userName": format!("u{n}@example.com"),
                    "emails": [{ "value": format!("u{n}@example.com"), "type": "work" }],
                });
                json!({ "method": "POST", "path": "/Users", "bulkId": n.to_string(), "data": data })
            })
            .collect();
        let answer = world.scim.post("/Bulk", &json!({ "Operations": operations })).await.is(200).json();
        for operation in answer["Operations"].as_array().unwrap() {
            assert_eq!(operation["status"], "201", "{operation}");
            let location = operation["location"].as_str().unwrap();
            ids.push(location.rsplit('/').next().unwrap().to_owned());
        }
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_any_size_is_written_while_it_is_sent() {
    for backend in BACKENDS {
        let world = World::with(backend, |overrides| {
            overrides.set("enterprise.example.scim.requests_per_second_max", "100000")
        })
        .await;
        let ids = users(&world, MEMBERS).await;
        let group = world.group("octo-org", &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let shown = world.scim.get(&format!("/Groups/{group}")).await;
        assert!(shown.text.len() > 256 * 1024, "{}", shown.text.len());
        assert!(!shown.fields.contains_key("content-length"), "{:?}", shown.fields);
        assert_eq!(world.members(&group).await, sorted(ids.clone()));
        let first = &shown.json()["members"][0];
        assert!(
            first["$ref"]
                .as_str()
                .unwrap()
                .ends_with(&format!("/Users/{}", first["value"].as_str().unwrap()))
        );
        assert_eq!(first["type"], "User");
        // Its neighbours in a list are whole too.
        world.group("docs-team", &[&ids[0]]).await;
        let list = world.scim.get("/Groups").await.is(200).json();
        assert_eq!(list["Resources"][0]["members"].as_array().unwrap().len(), MEMBERS);
        assert_eq!(list["Resources"][1]["members"].as_array().unwrap().len(), 1);
        let bare = world.scim.get("/Groups?excludedAttributes=members").await;
        assert!(bare.is(200).text.len() < 4_096, "{}", bare.text.len());
        // Emptied by PUT, which is behind the guard: nobody has joined, so nobody leaves.
        let empty = json!({ "displayName": "octo-org", "members": [] });
        world.scim.send("PUT", &format!("/Groups/{group}"), &empty).await.is(200);
        assert!(world.members(&group).await.is_empty());
        assert!(world.invited("octo-org").await.is_empty());
        world.stop().await;
    }
}
