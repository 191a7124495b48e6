//! Queries that are wrong, or of another endpoint than they seem, at the root above all (RFC 7644 3.4.2 and 3.4.3).
use serde_json::json;

use super::{
    lists::{found, names},
    world::{World, user},
};
use crate::support::gateway::Backend;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

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

#[tokio::test(flavor = "multi_thread")]
async fn v_19_what_cannot_be_sorted_by_is_refused() {
    let world = World::new(Backend::Embedded).await;
    for by in ["members", "members.value", "MEMBERS.$ref"] {
        for path in ["/Groups", "/"] {
            world.scim.get(&format!("{path}?sortBy={by}")).await.is_error(400, Some("invalidValue"));
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_is_present_where_one_of_its_attributes_is() {
    let world = World::new(Backend::Embedded).await;
    let mut employee = user("alice");
    employee[ENTERPRISE] = json!({ "department": "Tour Operations" });
    world.scim.post("/Users", &employee).await.is(201);
    world.user("bob").await;
    for (filter, expected) in [
        (format!("{ENTERPRISE} pr"), &["alice@example.com"][..]),
        (format!("not ({} pr)", ENTERPRISE.to_uppercase()), &["bob@example.com"]),
        (
            "urn:ietf:params:scim:schemas:core:2.0:User pr".to_owned(),
            &["alice@example.com", "bob@example.com"],
        ),
        ("urn:ietf:params:scim:schemas:core:2.0:Group pr".to_owned(), &[]),
    ] {
        assert_eq!(
            names(&found(&world.scim, &format!("/Users?filter={filter}")).await),
            expected,
            "{filter}"
        );
    }
    world.group("octo-org", &[]).await;
    let groups = found(&world.scim, "/?filter=urn:ietf:params:scim:schemas:core:2.0:Group pr").await;
    assert_eq!(names(&groups), ["octo-org"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_stands_twice_is_refused() {
    let world = World::new(Backend::Embedded).await;
    let id = world.user("alice").await;
    for query in [
        "attributes=userName&attributes=active",
        "excludedAttributes=emails&EXCLUDEDATTRIBUTES=emails",
        "filter=active eq true&Filter=active eq false",
        "count=1&count=1",
        "cursor=&cursor=",
        "sortBy=id&sortBy=id",
    ] {
        world.scim.get(&format!("/Users?{query}")).await.is_error(400, Some("invalidValue"));
    }
    let path = format!("/Users/{id}");
    let twice = world.scim.get(&format!("{path}?attributes=userName&attributes=active")).await;
    twice.is_error(400, Some("invalidValue"));
    world.scim.get(&format!("{path}?x=1&x=2&attributes=userName,active")).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_describes_the_service_takes_no_filter_in_any_case() {
    let world = World::new(Backend::Embedded).await;
    for path in ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas"] {
        for name in ["filter", "FILTER", "Filter"] {
            world.scim.get(&format!("{path}?{name}=id pr")).await.is_error(403, None);
        }
    }
    world.stop().await;
}

/// RFC 9110 8.4 and 12.5.3
#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_a_content_coding_is_refused_as_such() {
    let world = World::new(Backend::Embedded).await;
    let body = || user("alice").to_string().into_bytes();
    for coding in ["gzip", "br", "identity, gzip", "x"] {
        let refused = world.scim.raw("POST", "/Users", &[("content-encoding", coding)], body()).await;
        assert_eq!(refused.is_error(415, None).field("accept-encoding"), "identity", "{coding}");
    }
    world.scim.raw("POST", "/Users", &[("content-encoding", "Identity")], body()).await.is(201);
    let refused = [("accept", "application/scim+json;q=0, application/json")];
    let shown = world.scim.raw("GET", "/Users", &refused, vec![]).await;
    assert!(shown.is(200).field("content-type").starts_with("application/json"), "{:?}", shown.fields);
    world.stop().await;
}
