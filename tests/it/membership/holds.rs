//! The removal guard (D7, V-11): what it stops, what owners make of it, whom it spares, and what is undone.
use portcullis::{
    config::Overrides,
    directory::{ActError, Hold, Restored},
    domain::{BatchId, Role, Timestamp},
};

use super::world::{Groups, World, operator, slug};
use crate::support::gateway::BACKENDS;

const ALICE: &str = "alice@example.com";
const OWNER: &str = "olga@example.com";

fn user(n: usize) -> String {
    format!("person-{n}@example.com")
}

fn two_an_hour(overrides: Overrides) -> Overrides {
    overrides
        .set("enterprise.example.max_removals", "2")
        .set("enterprise.example.break_glass", "glass@example.com")
}

async fn holds(world: &World) -> Vec<Hold> {
    let (mut all, mut after) = (vec![], None);
    loop {
        let page = world.directory().holds(world.enterprise.id, after, 2, Timestamp::now()).await.unwrap();
        all.extend(page.0);
        match page.1 {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

async fn gauge(world: &World) -> String {
    let metrics = world.idp.gateway.private("/metrics").await.body;
    let line = metrics.lines().find(|line| line.starts_with("portcullis_removals_held{")).unwrap();
    line.rsplit_once(' ').unwrap().1.to_owned()
}

/// Statement 19's brake, for SAML: a slip at the IdP empties everybody's groups.
#[tokio::test(flavor = "multi_thread")]
async fn v_11_a_slip_at_the_idp_takes_out_two_and_the_rest_is_held() {
    for backend in BACKENDS {
        let world = World::new(backend, two_an_hour).await;
        world.enter(ALICE, &[]).await;
        world.enter(OWNER, &["octo-org-owners"]).await;
        world.enter("glass@example.com", &["octo-org"]).await;
        for n in 0..5 {
            world.enter(&user(n), &["octo-org", "hubot-lab"]).await;
        }
        world.enter("glass@example.com", &[]).await;
        for n in 0..5 {
            world.enter(&user(n), &["hubot-lab"]).await;
        }
        let mut roles = vec![];
        for n in 0..5 {
            roles.push(world.role(&user(n), "octo-org").await);
        }
        assert_eq!(roles, ["none", "none", "member", "member", "member"]);
        assert_eq!(world.role("glass@example.com", "octo-org").await, "member");
        let held = holds(&world).await;
        assert_eq!(held.len(), 3);
        assert!(held.iter().all(|hold| hold.organization == slug("octo-org") && hold.role == Role::Member));
        assert_eq!(gauge(&world).await, "3");
        // Signing in again, with the same groups or with none that are known, holds once.
        world.enter(&user(2), &["hubot-lab"]).await;
        world.sign_in(&user(2), Groups::Absent).await;
        let actions = world.actions(&user(2)).await;
        assert_eq!(actions.iter().filter(|action| *action == "saml.provision_held").count(), 1);
        // Another organization has a count of its own.
        world.enter(&user(0), &[]).await;
        assert_eq!(world.role(&user(0), "hubot-lab").await, "none");
        decide(&world).await;
        undo(&world).await;
        world.stop().await;
    }
}

/// One is approved, one rejected, one back in the group.
async fn decide(world: &World) {
    let (org, now) = (slug("octo-org"), Timestamp::now());
    let (directory, enterprise) = (world.directory(), &world.enterprise);
    let ids: Vec<_> = (0..5).map(|n| world.id(&user(n))).collect();
    let (stranger, owner) = (user(0), world.actor(OWNER));
    let stranger = world.actor(&stranger);
    let denied = directory.approve_removal(enterprise, stranger, &org, ids[2], now).await;
    assert!(matches!(denied, Err(ActError::NotAllowed)));
    let denied = directory.reject_removal(enterprise, stranger, &org, ids[2], now).await;
    assert!(matches!(denied, Err(ActError::NotAllowed)));
    let batch = holds(world).await[0].removal.batch.clone();
    directory.approve_removal(enterprise, owner, &org, ids[2], now).await.unwrap();
    assert_eq!(world.role(&user(2), "octo-org").await, "none");
    assert_eq!(world.person(&user(2)).await.unwrap().former[0].batch, batch, "its own batch");
    directory.reject_removal(enterprise, owner, &org, ids[3], now).await.unwrap();
    world.enter(&user(3), &[]).await;
    assert_eq!(world.role(&user(3), "octo-org").await, "member", "pinned");
    world.enter(&user(4), &["octo-org", "hubot-lab"]).await;
    assert!(world.actions(&user(4)).await.contains(&"org.hold_released".to_owned()));
    assert!(holds(world).await.is_empty());
    assert_eq!(gauge(world).await, "0");
    let again = directory.approve_removal(enterprise, owner, &org, ids[3], now).await;
    assert!(matches!(again, Err(ActError::NotHeld)));
}

/// Everything that the hour removed comes back by its batch.
async fn undo(world: &World) {
    let (directory, enterprise, now) = (world.directory(), &world.enterprise, Timestamp::now());
    let batch = world.person(&user(1)).await.unwrap().former[0].batch.clone();
    let denied = directory.restore_batch(enterprise, world.actor(OWNER), &batch, now).await;
    assert!(matches!(denied, Err(ActError::NotAllowed)));
    let actor = world.actor(ALICE);
    let deactivated = world.id(&user(2));
    directory.deactivate_person(enterprise, operator(), deactivated, now).await.unwrap();
    // What was removed otherwise stays as it is.
    let lab = slug("hubot-lab");
    directory.remove_member(enterprise, actor, &lab, world.id(&user(1)), now).await.unwrap();
    // One batch, unless the clock struck the hour in between.
    let mut batches = vec![batch.clone()];
    for n in [0, 2] {
        let former = world.person(&user(n)).await.unwrap().former;
        batches.extend(
            former.into_iter().map(|former| former.batch).filter(|b| b.as_str().starts_with("saml-")),
        );
    }
    batches.dedup();
    let mut all = Restored::default();
    for batch in batches {
        let restored = directory.restore_batch(enterprise, actor, &batch, now).await.unwrap();
        all.restored.extend(restored.restored);
        all.inactive.extend(restored.inactive);
    }
    assert_eq!(all.inactive, [deactivated]);
    assert!(all.restored.contains(&(world.id(&user(1)), slug("octo-org"))));
    assert_eq!(world.role(&user(1), "hubot-lab").await, "none");
    assert_eq!(world.role(&user(0), "octo-org").await, "member");
    assert_eq!(world.role(&user(0), "hubot-lab").await, "member");
    assert_eq!(world.role(&user(2), "octo-org").await, "none");
    let again = directory.restore_batch(enterprise, actor, &batch, now).await.unwrap();
    assert!(again.restored.is_empty());
    let unknown = BatchId::parse("no-such-batch").unwrap();
    assert_eq!(directory.restore_batch(enterprise, actor, &unknown, now).await.unwrap(), Default::default());
}

/// A dry run tells what both switches would do, and does nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_records_every_plan_and_applies_none() {
    for backend in BACKENDS {
        let dry = |overrides: Overrides| overrides.set("enterprise.example.dry_run", "true");
        let world = World::new(backend, dry).await;
        world.seed(ALICE, "octo-org", Some(Role::Owner), true).await;
        world.seed_owners("octo-org", [world.id(ALICE)]).await;
        for _ in 0..2 {
            world.enter(ALICE, &["hubot-lab"]).await;
        }
        assert_eq!(world.role(ALICE, "octo-org").await, "owner");
        assert_eq!(world.role(ALICE, "hubot-lab").await, "none");
        assert_eq!(world.invitations(ALICE).await.len(), 1);
        assert!(world.unowned().await.is_empty());
        let told: Vec<_> = world
            .events(ALICE)
            .await
            .iter()
            .filter(|event| event["action"] == "saml.plan_recorded")
            .map(|event| format!("{} {}", event["reason"].as_str().unwrap(), event["org"].as_str().unwrap()))
            .collect();
        let each =
            ["cancel_invitation octo-org", "join hubot-lab", "leave octo-org", "become_unowned octo-org"];
        assert_eq!(told, [each, each].concat());
        // The groups are known all the same: the preview needs them.
        assert_eq!(world.person(ALICE).await.unwrap().last_groups, Some(vec!["hubot-lab".to_owned()]));
        world.stop().await;
    }
}
