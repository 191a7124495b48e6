//! What one gateway changes and another has cached: told at once, and made good within a second where it is not.
use std::{future::Future, sync::Arc, time::Duration};

use jiff::SignedDuration;
use portcullis::{
    config::{self, Source},
    domain::{SessionToken, Timestamp, TokenSecret},
    gateway::{self, Running},
    store,
    telemetry::Metrics,
};

use super::{World, by_owner, cookie, slug, wanted};
use crate::support::{
    gateway::{Backend, TestGateway},
    ports,
};

/// At 10 ms each.
const ATTEMPTS_MAX: usize = 3_000;

/// Another gateway on the same store.
async fn replica(first: &TestGateway) -> Running {
    let overrides = first
        .overrides
        .clone()
        .set("listen.public", format!("127.0.0.1:{}", ports::free()))
        .set("listen.private", format!("127.0.0.1:{}", ports::free()));
    let loaded = config::load(&Source::file(&first.config).unwrap(), &overrides).unwrap();
    let store: Arc<dyn store::Store> = store::open(&loaded.settings.store).await.unwrap();
    gateway::start(&loaded.settings, store, Metrics::new()).await.unwrap()
}

async fn eventually<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    for _ in 0..ATTEMPTS_MAX {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// How the other gateway sees a session and a token, asked with a time at which whatever it has cached is fresh.
struct Seen<'a> {
    other: &'a Running,
    session: SessionToken,
    token: TokenSecret,
}

impl Seen<'_> {
    async fn session_is_live(&self, at: Timestamp) -> bool {
        self.other.directory.session(&self.session, at).await.unwrap().is_some()
    }

    async fn organizations(&self, at: Timestamp) -> usize {
        let active = self.other.directory.session(&self.session, at).await.unwrap();
        active.map_or(0, |active| active.memberships.len())
    }

    async fn of_the_token(&self, at: Timestamp) -> usize {
        self.other.directory.access_token(&self.token, at).await.map_or(0, |active| active.memberships.len())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_16_and_p_53_what_one_gateway_takes_away_another_refuses_at_once() {
    let world = World::new(Backend::Redis).await;
    let other = replica(&world.gateway).await;
    eventually("both listen", || async {
        world.directory().is_listening() && other.directory.is_listening()
    })
    .await;
    let (browser, alice) = world.sign_in("alice", &["octo-org", "hubot-lab"]).await;
    let (token, made) = world.make(&alice, wanted(&["octo-org", "hubot-lab"])).await.unwrap();
    let seen = Seen { other: &other, session: cookie(&browser), token };
    // The clock that the other gateway is asked by stands: nothing that it has cached grows old.
    let now = Timestamp::now();
    assert_eq!((seen.organizations(now).await, seen.of_the_token(now).await), (2, 2));

    let cause = by_owner("attack-push");
    let (directory, person) = (world.directory(), alice.session.person);
    let octo = slug("octo-org");
    directory.withdraw_token(&world.enterprise, &octo, person, made.id, &cause, now).await.unwrap();
    eventually("an authorisation is withdrawn", || async { seen.of_the_token(now).await == 1 }).await;
    world.sign_in("alice", &["hubot-lab"]).await;
    eventually("a membership ends", || async { seen.organizations(now).await == 1 }).await;
    directory.revoke_token(&world.enterprise, person, made.id, &cause, now).await.unwrap();
    eventually("a token is revoked", || async { seen.of_the_token(now).await == 0 }).await;
    assert!(seen.session_is_live(now).await);
    assert!(
        directory.end_session_of(&world.enterprise, person, alice.session.id, &cause, now).await.unwrap()
    );
    eventually("a session is ended", || async { !seen.session_is_live(now).await }).await;

    let (browser, _) = world.sign_in("alice", &["hubot-lab"]).await;
    let seen = Seen { session: cookie(&browser), ..seen };
    let now = Timestamp::now();
    assert!(seen.session_is_live(now).await);
    directory.end_session(&seen.session, now).await.unwrap();
    eventually("a person signs out", || async { !seen.session_is_live(now).await }).await;
    other.shutdown().await;
    world.gateway.stop().await;
}

/// Nobody hears anything: the age of what is cached is the bound, and the metric says so.
#[tokio::test(flavor = "multi_thread")]
async fn r_14_without_notes_a_removal_is_seen_within_a_second() {
    let world = World::new(Backend::Redis).await;
    let other = replica(&world.gateway).await;
    eventually("both listen", || async {
        world.directory().is_listening() && other.directory.is_listening()
    })
    .await;
    assert!(metric(&world, "portcullis_push_listening 1").await);
    let server = &world.gateway.redis.as_ref().unwrap().server;
    let _: String = server.run(&["ACL", "SETUSER", "default", "-subscribe", "-psubscribe"]).await;
    let _: i64 = server.run(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    eventually("neither listens", || async {
        !world.directory().is_listening() && !other.directory.is_listening()
    })
    .await;
    assert!(metric(&world, "portcullis_push_listening 0").await);

    let (browser, alice) = world.sign_in("alice", &["octo-org"]).await;
    let (token, made) = world.make(&alice, wanted(&["octo-org"])).await.unwrap();
    let seen = Seen { other: &other, session: cookie(&browser), token };
    let now = Timestamp::now();
    assert_eq!((seen.organizations(now).await, seen.of_the_token(now).await), (1, 1));
    world.sign_in("alice", &[]).await;
    let (cause, person) = (by_owner("attack-push"), alice.session.person);
    world.directory().revoke_token(&world.enterprise, person, made.id, &cause, now).await.unwrap();
    assert_eq!((seen.organizations(now).await, seen.of_the_token(now).await), (1, 1), "nobody told");
    let second = now + SignedDuration::from_secs(1);
    assert_eq!((seen.organizations(second).await, seen.of_the_token(second).await), (0, 0));

    // Once it hears again, whatever it may have missed is forgotten.
    let now = Timestamp::now();
    assert!(seen.session_is_live(now).await);
    world.directory().end_session(&seen.session, now).await.unwrap();
    assert!(seen.session_is_live(now).await, "nobody told");
    let _: String = server.run(&["ACL", "SETUSER", "default", "+subscribe"]).await;
    eventually("the gap is closed", || async { !seen.session_is_live(now).await }).await;
    other.shutdown().await;
    world.gateway.stop().await;
}

async fn metric(world: &World, line: &str) -> bool {
    for _ in 0..ATTEMPTS_MAX {
        if world.gateway.private("/metrics").await.body.lines().any(|found| found == line) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}
