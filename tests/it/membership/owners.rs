//! What owners do to members: roles, removals, claims at once, pins, restorations, and what they may not.
use portcullis::{
    config::Overrides,
    directory::ActError,
    domain::{PinReason, Role, Timestamp},
};

use super::world::{World, operator, slug, world};
use crate::support::gateway::{BACKENDS, Backend};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const CAROL: &str = "carol@example.com";
const DAVE: &str = "dave@example.com";

async fn set_role(world: &World, actor: &str, person: &str, role: Role) -> Result<(), ActError> {
    let (org, now) = (slug("octo-org"), Timestamp::now());
    let act =
        world.directory().set_role(&world.enterprise, world.actor(actor), &org, world.id(person), role, now);
    act.await.map(drop)
}

async fn remove(world: &World, actor: &str, person: &str) -> Result<(), ActError> {
    let (org, now) = (slug("octo-org"), Timestamp::now());
    let act =
        world.directory().remove_member(&world.enterprise, world.actor(actor), &org, world.id(person), now);
    act.await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_change_the_roles_of_others() {
    for backend in BACKENDS {
        let world = world(backend).await;
        world.enter(BOB, &["octo-org-owners"]).await;
        world.enter(CAROL, &["octo-org"]).await;
        world.enter(DAVE, &["hubot-lab"]).await;
        world.enter(ALICE, &[]).await;
        assert!(matches!(set_role(&world, CAROL, BOB, Role::Member).await, Err(ActError::NotAllowed)));
        assert!(matches!(set_role(&world, CAROL, CAROL, Role::Owner).await, Err(ActError::NotAllowed)));
        assert!(matches!(set_role(&world, BOB, BOB, Role::Member).await, Err(ActError::OwnRole)));
        assert!(matches!(set_role(&world, BOB, DAVE, Role::Owner).await, Err(ActError::NotMember)));
        assert!(matches!(
            set_role(&world, BOB, "eve@example.com", Role::Owner).await,
            Err(ActError::UnknownPerson)
        ));
        set_role(&world, BOB, CAROL, Role::Owner).await.unwrap();
        assert_eq!(world.role(CAROL, "octo-org").await, "owner");
        // By hand is for good: a group never lowers a role (D5).
        world.enter(CAROL, &["octo-org"]).await;
        assert_eq!(world.role(CAROL, "octo-org").await, "owner");
        set_role(&world, CAROL, BOB, Role::Member).await.unwrap();
        assert_eq!(world.role(BOB, "octo-org").await, "member");
        assert!(world.unowned().await.is_empty());
        // The last one, by an owner of the enterprise: allowed, flagged, told.
        set_role(&world, ALICE, CAROL, Role::Member).await.unwrap();
        assert_eq!(world.unowned().await, ["octo-org"]);
        let events = world.events(CAROL).await;
        let told = events.iter().find(|event| event["action"] == "org.became_unowned").unwrap();
        assert_eq!((&told["actor"], &told["trigger"]), (&ALICE.into(), &"owner".into()));
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_remove_and_restore_and_members_leave() {
    for backend in BACKENDS {
        let world = world(backend).await;
        world.enter(BOB, &["octo-org-owners"]).await;
        let mut carol = world.enter(CAROL, &["octo-org"]).await;
        assert!(matches!(remove(&world, CAROL, BOB).await, Err(ActError::NotAllowed)));
        remove(&world, BOB, CAROL).await.unwrap();
        assert_eq!(world.role(CAROL, "octo-org").await, "none");
        // At once, for the session that is open.
        assert!(world.idp.gateway.organizations(&mut carol).await.is_empty());
        assert!(matches!(remove(&world, BOB, CAROL).await, Err(ActError::NotMember)));
        let restore = |person| {
            let (id, actor, org) = (world.id(person), world.actor(BOB), slug("octo-org"));
            let world = &world;
            async move {
                world.directory().restore_member(&world.enterprise, actor, &org, id, Timestamp::now()).await
            }
        };
        restore(CAROL).await.unwrap();
        assert_eq!(world.role(CAROL, "octo-org").await, "member");
        assert!(world.actions(CAROL).await.contains(&"org.restore_member".to_owned()));
        restore(CAROL).await.unwrap();
        world.enter(DAVE, &[]).await;
        assert!(matches!(restore(DAVE).await, Err(ActError::NotRestorable)));
        remove(&world, CAROL, CAROL).await.unwrap();
        let events = world.events(CAROL).await;
        let left = events.iter().rfind(|event| event["action"] == "org.remove_member").unwrap();
        assert_eq!((&left["reason"], &left["trigger"]), (&"left".into(), &"person".into()));
        world.stop().await;
    }
}

/// An owner who was put out, or whose role is gone, may nothing more, whatever its session still says.
#[tokio::test(flavor = "multi_thread")]
async fn who_no_longer_owns_may_nothing() {
    let world = world(Backend::Embedded).await;
    world.enter(BOB, &["octo-org-owners"]).await;
    world.enter(CAROL, &["octo-org"]).await;
    world.enter(ALICE, &[]).await;
    world.enter(BOB, &["octo-org"]).await;
    set_role(&world, ALICE, BOB, Role::Member).await.unwrap();
    assert!(matches!(remove(&world, BOB, CAROL).await, Err(ActError::NotAllowed)));
    let now = Timestamp::now();
    let deactivate = world.directory().deactivate_person(&world.enterprise, operator(), world.id(ALICE), now);
    deactivate.await.unwrap();
    assert!(matches!(remove(&world, ALICE, CAROL).await, Err(ActError::NotAllowed)));
    assert_eq!(world.role(CAROL, "octo-org").await, "member");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_who_claim_at_once_one_gets_it() {
    for backend in BACKENDS {
        let owners = |overrides: Overrides| {
            overrides.set("enterprise.example.owners", format!("{ALICE},{BOB},{CAROL}"))
        };
        let world = World::new(backend, owners).await;
        let users = [ALICE, BOB, CAROL];
        for user in users {
            world.enter(user, &[]).await;
        }
        let (org, now) = (slug("hubot-lab"), Timestamp::now());
        let claim =
            |user| world.directory().claim_organization(&world.enterprise, world.actor(user), &org, now);
        let (a, b, c) = tokio::join!(claim(ALICE), claim(BOB), claim(CAROL));
        let claims = [a, b, c];
        assert_eq!(claims.iter().filter(|claim| claim.is_ok()).count(), 1, "{claims:?}");
        assert!(claims.iter().all(|claim| matches!(claim, Ok(_) | Err(ActError::HasOwner))), "{claims:?}");
        assert_eq!(world.idp.gateway.organization("hubot-lab").await.owners.len(), 1);
        world.stop().await;
    }
}

/// V-12 and A8: with `last_owner = "protect"` automation holds, and an owner's act is refused.
#[tokio::test(flavor = "multi_thread")]
async fn v_12_the_last_owner_is_protected_where_that_is_asked_for() {
    for backend in BACKENDS {
        let protect = |overrides: Overrides| overrides.set("enterprise.example.last_owner", "protect");
        let world = World::new(backend, protect).await;
        world.enter(ALICE, &[]).await;
        world.enter(BOB, &["octo-org-owners"]).await;
        world.enter(CAROL, &["octo-org"]).await;
        world.enter(BOB, &[]).await;
        assert_eq!(world.role(BOB, "octo-org").await, "owner");
        let events = world.events(BOB).await;
        let held = events.iter().find(|event| event["action"] == "saml.provision_held").unwrap();
        assert_eq!(held["reason"], "last_owner");
        let (org, now) = (slug("octo-org"), Timestamp::now());
        let id = world.id(BOB);
        let directory = world.directory();
        let acts = [
            set_role(&world, ALICE, BOB, Role::Member).await,
            remove(&world, ALICE, BOB).await,
            remove(&world, BOB, BOB).await,
            directory.approve_removal(&world.enterprise, world.actor(ALICE), &org, id, now).await.map(drop),
            directory.deactivate_person(&world.enterprise, world.actor(ALICE), id, now).await.map(drop),
        ];
        assert!(acts.iter().all(|act| matches!(act, Err(ActError::LastOwner))), "{acts:?}");
        assert_eq!(world.role(BOB, "octo-org").await, "owner");
        // Beside another owner the same is fine.
        set_role(&world, ALICE, CAROL, Role::Owner).await.unwrap();
        let approved = directory.approve_removal(&world.enterprise, world.actor(ALICE), &org, id, now);
        approved.await.unwrap();
        assert_eq!(world.role(BOB, "octo-org").await, "none");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_keeps_a_member_until_it_is_taken_away() {
    let world = world(Backend::Embedded).await;
    world.enter(BOB, &["octo-org-owners"]).await;
    world.enter(CAROL, &["octo-org"]).await;
    let pin = |actor, pinned| {
        let (world, org) = (&world, slug("octo-org"));
        async move {
            let (actor, id) = (world.actor(actor), world.id(CAROL));
            world.directory().set_pin(&world.enterprise, actor, &org, id, pinned, Timestamp::now()).await
        }
    };
    assert!(matches!(pin(CAROL, true).await, Err(ActError::NotAllowed)));
    let pinned = pin(BOB, true).await.unwrap();
    assert_eq!(pinned.memberships[0].pin.unwrap().reason, PinReason::Owner);
    world.enter(CAROL, &[]).await;
    assert_eq!(world.role(CAROL, "octo-org").await, "member");
    pin(BOB, false).await.unwrap();
    world.enter(CAROL, &[]).await;
    assert_eq!(world.role(CAROL, "octo-org").await, "none");
    let actions = world.actions(CAROL).await;
    assert!(
        actions.contains(&"org.pin_member".to_owned()) && actions.contains(&"org.unpin_member".to_owned())
    );
    world.stop().await;
}

/// Another tenant's organization does not exist here (V-02).
#[tokio::test(flavor = "multi_thread")]
async fn v_02_what_is_not_of_the_enterprise_is_unknown() {
    let world = world(Backend::Embedded).await;
    world.enter(ALICE, &[]).await;
    let (now, other) = (Timestamp::now(), slug("of-somebody-else"));
    let actor = world.actor(ALICE);
    let id = world.id(ALICE);
    let directory = world.directory();
    let acts = [
        directory.claim_organization(&world.enterprise, actor, &other, now).await.map(drop),
        directory.set_role(&world.enterprise, actor, &other, id, Role::Owner, now).await.map(drop),
        directory.remove_member(&world.enterprise, actor, &other, id, now).await.map(drop),
        directory.restore_member(&world.enterprise, actor, &other, id, now).await.map(drop),
        directory.members_of(&world.enterprise, &other, None, 10, now).await.map(drop),
    ];
    assert!(acts.iter().all(|act| matches!(act, Err(ActError::UnknownOrganization))), "{acts:?}");
    world.stop().await;
}
