//! Lists, filters, orders and pages (RFC 7644 3.4.2, RFC 9865).
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    client::Client,
    world::{GLOBEX, World},
};
use crate::support::gateway::{BACKENDS, Backend};

pub async fn found(client: &Client, query: &str) -> Value {
    client.get(query).await.is(200).json()
}

pub fn names(list: &Value) -> Vec<String> {
    let resources = list["Resources"].as_array().unwrap();
    let name = |resource: &Value| {
        resource["userName"].as_str().or(resource["displayName"].as_str()).unwrap().to_owned()
    };
    resources.iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn look_ups_go_by_what_identity_providers_ask_for() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let group = world.group("octo-org", &[&alice]).await;
        for (filter, expected) in [
            ("userName eq \"ALICE@example.com\"", &["alice@example.com"][..]),
            ("userName eq \"nobody\"", &[]),
            ("externalId eq \"ext-bob\"", &["bob@example.com"]),
            ("externalId eq \"EXT-BOB\"", &[]),
            ("emails[type eq \"work\"].value eq \"bob@example.com\"", &["bob@example.com"]),
            ("emails[type eq \"home\"].value eq \"bob@example.com\"", &[]),
            ("emails.value eq \"Alice@Example.com\"", &["alice@example.com"]),
            ("emails co \"bob\"", &["bob@example.com"]),
            ("userName sw \"a\" and active eq \"True\"", &["alice@example.com"]),
            (
                "userName eq 'bob@example.com' or userName eq 'alice@example.com'",
                &["alice@example.com", "bob@example.com"],
            ),
            ("not (userName eq \"bob@example.com\")", &["alice@example.com"]),
            ("name.givenName eq \"bob\"", &["bob@example.com"]),
            (
                "urn:ietf:params:scim:schemas:core:2.0:User:userName ew \".com\"",
                &["alice@example.com", "bob@example.com"],
            ),
            ("title pr", &[]),
            ("meta.lastModified gt \"2020-01-01T00:00:00Z\"", &["alice@example.com", "bob@example.com"]),
            ("meta.lastModified lt \"2020-01-01T00:00:00Z\"", &[]),
        ] {
            let list = found(&world.scim, &format!("/Users?filter={filter}")).await;
            assert_eq!(names(&list), expected, "{filter}");
            assert_eq!(list["totalResults"], expected.len(), "{filter}");
        }
        for (filter, expected) in [
            (format!("id eq \"{alice}\""), 1),
            (format!("groups.value eq \"{group}\""), 1),
            (format!("groups eq \"{bob}\""), 0),
        ] {
            let list = found(&world.scim, &format!("/Users?filter={filter}")).await;
            assert_eq!(list["totalResults"], expected, "{filter}: {list}");
        }
        for (filter, expected) in [
            (format!("members eq \"{alice}\""), 1),
            (format!("members.value eq \"{bob}\""), 0),
            (format!("members[value eq \"{alice}\"]"), 1),
            (format!("id eq \"{group}\" and members eq \"{alice}\""), 1),
            (format!("id eq \"{group}\" and members eq \"{bob}\""), 0),
            (format!("displayName eq \"OCTO-ORG\" and not (members eq \"{bob}\")"), 1),
            ("displayName eq \"docs-team\"".to_owned(), 0),
        ] {
            let list = found(&world.scim, &format!("/Groups?filter={filter}&attributes=id")).await;
            assert_eq!(list["totalResults"], expected, "{filter}: {list}");
        }
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_04_filters_that_are_none_are_refused() {
    let world = World::new(Backend::Embedded).await;
    world.user("alice").await;
    let nested = format!("{}active eq true{}", "(".repeat(10_000), ")".repeat(10_000));
    for filter in [
        "userName eq",
        "userName xx \"a\"",
        "userName eq \"a\" or 1 eq 1",
        "(userName eq \"a\"",
        "active gt true",
        &nested[..4_000],
        "members pr",
    ] {
        let path = if filter == "members pr" { "/Groups" } else { "/Users" };
        let refused = world.scim.get(&format!("{path}?filter={filter}")).await;
        refused.is_error(400, Some("invalidFilter"));
    }
    // A star is a star, and what is not kept is nobody's.
    for filter in ["userName eq \"*\"", "password pr", "password eq \"x\"", "nothing eq \"x\""] {
        let list = world.scim.get(&format!("/Users?filter={filter}")).await;
        assert_eq!(list.is(200).json()["totalResults"], 0, "{filter}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_19_pages_have_one_order_and_stay_within_bounds() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        for n in 0..7 {
            world.user(&format!("u{}", 6 - n)).await;
        }
        let all = names(&found(&world.scim, "/Users").await);
        assert_eq!(all.len(), 7);
        assert_eq!(all[0], "u6@example.com", "in the order of creation");
        for (query, start, expected) in [
            ("startIndex=1&count=3", 1, &all[..3]),
            ("startIndex=4&count=3", 4, &all[3..6]),
            ("startIndex=7&count=3", 7, &all[6..]),
            ("startIndex=8&count=3", 8, &[]),
            ("startIndex=-5&count=2", 1, &all[..2]),
            ("startIndex=9223372036854775807&count=2", 9_223_372_036_854_775_807_u64, &[]),
            ("count=0", 1, &[]),
            ("count=-1", 1, &[]),
            ("count=1000000000", 1, &all[..]),
        ] {
            let list = found(&world.scim, &format!("/Users?{query}")).await;
            assert_eq!(names(&list), expected, "{query}");
            assert_eq!((&list["totalResults"], &list["startIndex"]), (&7.into(), &start.into()), "{query}");
            assert_eq!(list["itemsPerPage"], expected.len(), "{query}");
        }
        let sorted = names(&found(&world.scim, "/Users?sortBy=userName&count=2").await);
        assert_eq!(sorted, ["u0@example.com", "u1@example.com"]);
        let down =
            names(&found(&world.scim, "/Users?sortBy=name.givenName&sortOrder=descending&count=1").await);
        assert_eq!(down, ["u6@example.com"]);
        for wrong in ["startIndex=x", "count=1.5", "sortBy=password", "sortBy=userName&sortOrder=up"] {
            world.scim.get(&format!("/Users?{wrong}")).await.is_error(400, Some("invalidValue"));
        }
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_19_a_cursor_is_of_one_client_and_one_query() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        for n in 0..5 {
            world.user(&format!("u{n}")).await;
        }
        for query in ["", "&filter=active eq true", "&sortBy=userName"] {
            let (mut seen, mut cursor, mut pages) = (vec![], String::new(), 0);
            loop {
                let page = found(&world.scim, &format!("/Users?count=2&cursor={cursor}{query}")).await;
                assert!(page.get("startIndex").is_none() && page["totalResults"] == 5, "{page}");
                seen.extend(names(&page));
                pages += 1;
                match page.get("nextCursor") {
                    Some(next) => cursor = next.as_str().unwrap().to_owned(),
                    None => break,
                }
            }
            assert_eq!((seen.len(), pages), (5, 3), "{query}");
            assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 5);
            assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{cursor}");
        }
        let first = found(&world.scim, "/Users?count=2&cursor=").await;
        let cursor = first["nextCursor"].as_str().unwrap();
        let second = world.scim.with(Some(&world.make_token("example").await));
        let globex = world.client("globex", GLOBEX).await;
        for (client, query) in [
            (&second, format!("/Users?count=2&cursor={cursor}")),
            (&globex, format!("/Users?count=2&cursor={cursor}")),
            (&world.scim, format!("/Users?count=2&filter=active eq true&cursor={cursor}")),
            (&world.scim, format!("/Users?count=2&cursor={cursor}A")),
            (&world.scim, "/Users?count=2&cursor=AAAA".to_owned()),
        ] {
            client.get(&query).await.is_error(400, Some("invalidCursor"));
        }
        world.scim.get("/Users?count=x&cursor=").await.is_error(400, Some("invalidCount"));
        world.stop().await;
    }
}

/// RFC 7644 3.4.3
#[tokio::test(flavor = "multi_thread")]
async fn a_search_says_the_same_as_a_query() {
    let world = World::new(Backend::Embedded).await;
    let alice = world.user("alice").await;
    world.user("bob").await;
    world.group("octo-org", &[&alice]).await;
    let search = |filter: &str| {
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
            "attributes": ["userName", "displayName"], "filter": filter, "startIndex": 1, "count": 10,
        })
    };
    let users = world.scim.post("/Users/.search", &search("userName sw \"a\"")).await.is(200).json();
    assert_eq!(names(&users), ["alice@example.com"]);
    assert!(users["Resources"][0].get("emails").is_none());
    let groups = world.scim.post("/Groups/.search", &search("displayName pr")).await.is(200).json();
    assert_eq!(names(&groups), ["octo-org"]);
    let all = world
        .scim
        .post("/.search", &search("userName sw \"a\" or displayName sw \"octo\""))
        .await
        .is(200)
        .json();
    assert_eq!(names(&all), ["alice@example.com", "octo-org"]);
    let root = found(&world.scim, "/?filter=meta.resourceType eq \"Group\"").await;
    assert_eq!(names(&root), ["octo-org"]);
    world.scim.post("/Users/.search", &json!([])).await.is_error(400, Some("invalidSyntax"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_understands_is_ignored() {
    let world = World::new(Backend::Embedded).await;
    world.user("alice").await;
    let list =
        found(&world.scim, "/Users?aadOptscim062020&x=1&filter=userName eq \"alice@example.com\"").await;
    assert_eq!(list["totalResults"], 1);
    world.stop().await;
}
