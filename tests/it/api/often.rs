//! How often is too often: each credential for itself, strangers by their address, and nobody for another.
use super::{client::Credential, world::World};
use crate::support::gateway::Backend;

fn wrong() -> Credential {
    Credential::Token(format!("ptc_{}", "a".repeat(49)))
}

#[tokio::test(flavor = "multi_thread")]
async fn v_21_calls_are_counted_by_credential_and_strangers_by_address() {
    let few = |overrides: portcullis::config::Overrides| {
        overrides.set("limits.api_calls_per_minute", "5").set("limits.api_strangers_per_minute", "4")
    };
    let world = World::with(Backend::Embedded, few).await;
    let mia = world.by(&world.mia);
    for _ in 0..5 {
        assert_eq!(mia.get("/user").await.status, 200);
    }
    let refused = mia.get("/user").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "too_many"));
    let seconds: i64 = refused.field("retry-after").parse().unwrap();
    assert!((1..=12).contains(&seconds), "{seconds}");
    assert_eq!(world.by(&world.olga).get("/user").await.status, 200, "another session");

    // Neither a path that there is none of nor the document is a way around it.
    let nobody = world.client(Credential::Nothing);
    assert_eq!(nobody.get("/user").await.status, 401);
    assert_eq!(world.client(wrong()).get("/user").await.status, 401);
    assert_eq!(nobody.get("/openapi.json").await.status, 200);
    assert_eq!(nobody.get("/nothing").await.status, 404);
    for path in ["/user", "/openapi.json", "/nothing"] {
        let refused = nobody.get(path).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "too_many"), "{path}");
        assert!(refused.field("retry-after").parse::<i64>().unwrap() >= 1);
    }
    assert_eq!(world.client(wrong()).get("/user").await.status, 429);
    // Whoever is known is not held up by strangers at the same address.
    assert_eq!(world.by(&world.otto).get("/user").await.status, 200);
    world.gateway.stop().await;
}
