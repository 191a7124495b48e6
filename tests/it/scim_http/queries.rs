//! Queries that are wrong, or of another endpoint than they seem, at the root above all (RFC 7644 3.4.2 and 3.4.3).
use serde_json::json;

use super::{
    lists::{found, names},
    world::World,
};
use crate::support::gateway::Backend;

#[tokio::test(flavor = "multi_thread")]
async fn v_04_a_filter_that_is_wrong_for_one_type_is_wrong_for_all() {
    let world = World::new(Backend::Embedded).await;
    world.user("alice").await;
    for filter in ["active gt true", "name eq \"x\"", "meta.created gt \"x\"", "userName[value pr]"] {
        for path in ["/Users", "/"] {
            let refused = world.scim.get(&format!("{path}?filter={filter}")).await;
            refused.is_error(400, Some("invalidFilter"));
        }
        let refused = world.scim.post("/.search", &json!({ "filter": filter })).await;
        refused.is_error(400, Some("invalidFilter"));
    }
    // What no type has, or only the other one, is nobody's.
    for (filter, total) in [("nothing eq \"x\"", 0), ("active eq true", 1), ("displayName pr", 0)] {
        let list = found(&world.scim, &format!("/?filter={filter}")).await;
        assert_eq!(list["totalResults"], total, "{filter}");
    }
    world.stop().await;
}

/// RFC 9865 2.1: the other parameters of the request, and so the request, are the same.
#[tokio::test(flavor = "multi_thread")]
async fn v_19_a_cursor_is_of_one_endpoint() {
    let world = World::new(Backend::Embedded).await;
    for name in ["a", "b", "c"] {
        world.user(name).await;
    }
    world.group("octo-org", &[]).await;
    for query in ["", "&sortBy=id", "&filter=id pr"] {
        for (of, others) in [("/Users", ["/", "/Groups"]), ("/", ["/Users", "/Groups"])] {
            let first = found(&world.scim, &format!("{of}?count=1&cursor={query}")).await;
            let cursor = first["nextCursor"].as_str().unwrap();
            for other in others {
                let refused = world.scim.get(&format!("{other}?count=1&cursor={cursor}{query}")).await;
                refused.is_error(400, Some("invalidCursor"));
            }
            found(&world.scim, &format!("{of}?count=1&cursor={cursor}{query}")).await;
        }
    }
    // A search is the same query by another method.
    let first = found(&world.scim, "/Users?count=1&cursor=").await;
    let next = json!({ "count": 1, "cursor": first["nextCursor"] });
    assert_eq!(names(&world.scim.post("/Users/.search", &next).await.is(200).json()), ["b@example.com"]);
    world.scim.post("/.search", &next).await.is_error(400, Some("invalidCursor"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_its_body() {
    let world = World::new(Backend::Embedded).await;
    world.user("alice").await;
    world.user("bob").await;
    for path in ["/Users/.search", "/Groups/.search", "/.search"] {
        for body in [&b""[..], b" "] {
            let refused = world.scim.raw("POST", &format!("{path}?filter=id pr"), &[], body.into()).await;
            refused.is_error(400, Some("invalidSyntax"));
        }
    }
    for query in ["filter=userName eq", "count=x", "attributes=id&excludedAttributes=id", "count=1&count=1"] {
        let list =
            world.scim.post(&format!("/Users/.search?{query}"), &json!({ "sortBy": "userName" })).await;
        assert_eq!(names(&list.is(200).json()), ["alice@example.com", "bob@example.com"], "{query}");
    }
    world.stop().await;
}
