//! A second attempt at what too few replicas have.
use std::{collections::BTreeSet, sync::Arc};

use portcullis::{
    directory::scim::ScimFault,
    domain::{CallerId, SessionToken},
    store::{
        Store, StoreError,
        redis::{Redis, Replicas, Settings},
    },
};

use super::world::{On, World, directory};
use crate::{
    store::PATIENT_MILLIS,
    support::{
        redis::RedisServer,
        redis_sets::{eventually, replica_of},
    },
};

/// What is under way to somebody is cut off without waiting for anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_a_session_that_has_ended_on_the_primary_alone_is_gone() {
    let mut world = World::new(On::Redis).await;
    let replica = stop_a_replica(&mut world).await;
    let token = SessionToken::from_random([7; 32]);
    let refused = world.directory.end_session(&token, world.now).await;
    assert!(matches!(refused, Err(StoreError::NotReplicated { .. })), "{refused:?}");
    let callers = BTreeSet::from([CallerId::Session(token.session_id())]);
    let present = world.directory.present(&callers, world.now).await.unwrap();
    assert!(present.is_empty());
    replica.go_on();
}

/// The world's directory waits for a replica from now on, which does not answer.
async fn stop_a_replica(world: &mut World) -> RedisServer {
    let replica = replica_of(world.redis()).await;
    let replicas = Some(Replicas { acknowledged_min: 1, wait_millis_max: 50 });
    let settings = Settings { replicas, ..Settings::single(world.redis().url(), PATIENT_MILLIS) };
    let store: Arc<dyn Store> = Arc::new(Redis::connect(&settings).await.unwrap());
    world.directory = directory(&store);
    replica.pause();
    replica
}

/// The first one is refused although the primary has it; the second one finds the user in the group and nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_a_member_whom_no_replica_has_is_not_said_to_be_in_the_group() {
    let mut world = World::new(On::Redis).await;
    let (alice, bob) = (world.create("alice").await, world.create("bob").await);
    let group = world.group("octo-org", &[&alice]).await.group.id;
    let replica = stop_a_replica(&mut world).await;
    for attempt in 0..3 {
        let refused = world.add(group, bob.user.id).await;
        let too_few = matches!(refused, Err(ScimFault::Store(StoreError::NotReplicated { .. })));
        assert!(too_few, "attempt {attempt}: {refused:?}");
    }
    // The other store waits for nobody: it is done.
    let bystander = directory(&world.store);
    let members = bystander.scim_group_members(&world.call(), group, None, 10).await.unwrap();
    assert!(members.contains(&bob.user.id));
    replica.go_on();
    eventually("a replica has it", async || world.add(group, bob.user.id).await.is_ok()).await;
    assert_eq!(world.state("bob", "octo-org").await, "invited");
}
