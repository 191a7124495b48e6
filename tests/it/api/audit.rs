//! The audit stream by the API: filtered, in both directions, page by page.
use serde_json::Value;

use super::{client::Client, world::World};
use crate::support::gateway::{BACKENDS, Backend};

/// All pages of a query.
async fn read(client: &Client, query: &str) -> Vec<Value> {
    let mut path = format!("/enterprise/audit?per_page=2{query}");
    let mut found = vec![];
    loop {
        let page = client.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        for entry in page.json().as_array().unwrap() {
            let mut event = entry["event"].clone();
            event["sequence"] = entry["sequence"].clone();
            found.push(event);
        }
        let link = page.field("link").to_owned();
        let Some((url, _)) = link.trim_start_matches('<').split_once('>') else { return found };
        path = url.split_once("/api/v1").unwrap().1.to_owned();
    }
}

fn sequences(entries: &[Value]) -> Vec<u64> {
    entries.iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect()
}

/// alice, who owns the enterprise, does this and that.
async fn world(backend: Backend) -> World {
    let world = World::new(backend).await;
    let boss = world.by(&world.boss);
    for name in ["first-org", "second-org"] {
        let made = boss.post("/orgs", &serde_json::json!({ "login": name })).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    let mia = format!("/orgs/octo-org/memberships/{}", world.mia.id);
    assert_eq!(boss.delete(&mia).await.status, 204);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_directions() {
    for backend in BACKENDS {
        let world = world(backend).await;
        let boss = world.by(&world.boss);
        let all = read(&boss, "").await;
        assert!(all.len() >= 3, "{all:?}");
        let mut newest = read(&boss, "&order=newest").await;
        newest.reverse();
        assert_eq!(newest, all);
        let matching = |field: &'static str, value: &str| {
            let is_it = |entry: &&Value| entry[field] == value;
            sequences(&all.iter().filter(is_it).cloned().collect::<Vec<_>>())
        };
        let mia = world.mia.id.to_string();
        for (query, expected) in [
            ("&action=org.create".to_owned(), matching("action", "org.create")),
            ("&action=org.remove_member".into(), matching("action", "org.remove_member")),
            (format!("&person={mia}"), matching("user_id", &mia)),
            ("&person=mia@example.com".into(), matching("user", "mia@example.com")),
            ("&actor=alice@example.com".into(), matching("actor", "alice@example.com")),
            ("&org=First-Org".into(), matching("org", "first-org")),
            ("&trigger=owner".into(), matching("trigger", "owner")),
            ("&trigger=scim".into(), vec![]),
            ("&until=2026-01-01T00:00:00Z".into(), vec![]),
            ("&since=2999-01-01T00:00:00%2B02:00".into(), vec![]),
        ] {
            assert_eq!(sequences(&read(&boss, &query).await), expected, "{query}");
        }
        for query in ["&action=org.create", "&action=org.remove_member", "&person=mia@example.com"] {
            assert!(!read(&boss, query).await.is_empty(), "{query} finds something");
        }
        let beginning = read(&boss, "&action=org.*").await;
        assert!(
            beginning.len() >= 3
                && beginning.iter().all(|e| e["action"].as_str().unwrap().starts_with("org."))
        );
        let since = all[0]["@timestamp"].as_str().unwrap();
        assert_eq!(read(&boss, &format!("&since={since}")).await.len(), all.len());
        world.gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_filter_is_refused() {
    let world = World::new(Backend::Embedded).await;
    let boss = world.by(&world.boss);
    for query in
        ["user=x", "since=yesterday", "until=2026-01-01", "trigger=nobody", "order=oldest_first", "person="]
    {
        let refused = boss.get(&format!("/enterprise/audit?{query}")).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "parameter_invalid"), "{query}");
    }
    world.gateway.stop().await;
}
