//! Cursors (RFC 9865) while others delete and create: nobody is passed over, and nobody is shown twice.
use serde_json::Value;

use super::{
    lists::{found, names},
    world::World,
};
use crate::support::gateway::BACKENDS;

async fn page(world: &World, query: &str, cursor: &str) -> (Vec<String>, Vec<String>, Option<String>) {
    let page = found(&world.scim, &format!("{query}count=3&cursor={cursor}")).await;
    let ids = page["Resources"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned());
    let next = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
    (names(&page), ids.collect(), next)
}

#[tokio::test(flavor = "multi_thread")]
async fn v_19_who_is_deleted_between_pages_takes_nobody_along() {
    for backend in BACKENDS {
        for query in ["/Users?", "/Users?filter=active eq true&", "/Users?filter=emails pr&", "/?"] {
            let world = World::new(backend).await;
            for n in 0..8 {
                world.user(&format!("u{n}")).await;
            }
            let (first, ids, next) = page(&world, query, "").await;
            assert_eq!(first, ["u0@example.com", "u1@example.com", "u2@example.com"], "{query}");
            // One before the last that was shown, and that one itself; and somebody new.
            for id in &ids[1..] {
                world.scim.delete(&format!("/Users/{id}")).await.is(204);
            }
            world.user("u8").await;
            let (second, ids, next) = page(&world, query, &next.unwrap()).await;
            assert_eq!(second, ["u3@example.com", "u4@example.com", "u5@example.com"], "{backend:?} {query}");
            world.scim.delete(&format!("/Users/{}", ids[0])).await.is(204);
            let (third, _, next) = page(&world, query, &next.unwrap()).await;
            assert_eq!(third, ["u6@example.com", "u7@example.com", "u8@example.com"], "{backend:?} {query}");
            assert_eq!(next, None, "{backend:?} {query}");
            world.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_19_groups_go_between_pages_too() {
    for backend in BACKENDS {
        let with = |overrides: portcullis::config::Overrides| {
            overrides.set("enterprise.example.scim.unmatched_groups", "accept")
        };
        for query in ["/Groups?", "/Groups?filter=displayName sw \"g\"&"] {
            let world = World::with(backend, with).await;
            for n in 0..5 {
                world.group(&format!("g{n}"), &[]).await;
            }
            let (first, ids, next) = page(&world, query, "").await;
            assert_eq!(first, ["g0", "g1", "g2"]);
            for id in &ids {
                world.scim.delete(&format!("/Groups/{id}")).await.is(204);
            }
            let (second, _, next) = page(&world, query, &next.unwrap()).await;
            assert_eq!((second, next), (vec!["g3".to_owned(), "g4".to_owned()], None), "{backend:?} {query}");
            world.stop().await;
        }
    }
}
