//! Organizations that are created beside those of the configuration, and what sign-ins make of them.
use std::sync::Arc;

use portcullis::{
    directory::{ActError, Directory, Heard, NewOrganization, Note, OrganizationChange, SessionSettings},
    domain::Timestamp,
    store::Store,
    telemetry::Metrics,
};

use super::world::{World, operator, slug, world};
use crate::support::gateway::{BACKENDS, Backend};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";

fn new(name: &str, managed: bool, aliases: &[&str]) -> NewOrganization {
    NewOrganization {
        slug: slug(name),
        display_name: Some("New".into()),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        managed,
    }
}

/// Of another gateway on the same store.
fn directory(store: Arc<dyn Store>) -> Directory {
    let settings = SessionSettings { idle_seconds_max: 3_600, lifetime_seconds_max: 3_600 };
    Directory::new(store, settings, Metrics::new())
}

async fn create(world: &World, actor: &str, new: NewOrganization) -> Result<(), ActError> {
    let actor = world.actor(actor);
    world.directory().create_organization(&world.enterprise, actor, new, Timestamp::now()).await.map(drop)
}

async fn change(world: &World, name: &str, change: OrganizationChange) -> Result<(), ActError> {
    let (name, now) = (slug(name), Timestamp::now());
    world.directory().change_organization(&world.enterprise, operator(), &name, change, now).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn v_06_a_created_organization_is_like_one_of_the_configuration_and_its_aliases_own_nothing() {
    for backend in BACKENDS {
        let world = world(backend).await;
        world.enter(ALICE, &[]).await;
        world.enter(BOB, &[]).await;
        assert!(matches!(create(&world, BOB, new("robots", true, &[])).await, Err(ActError::NotAllowed)));
        create(&world, ALICE, new("robots", true, &["CN=Robots,OU=Groups"])).await.unwrap();
        for name in ["robots", "octo-org"] {
            let again = create(&world, ALICE, new(name, true, &[])).await;
            assert!(matches!(again, Err(ActError::OrganizationExists)), "{name}");
        }
        // By its name, by its alias byte for byte, and never as an owner (D5).
        for (groups, role) in
            [(["Robots"], "member"), (["CN=Robots,OU=Groups"], "member"), (["cn=robots,ou=groups"], "none")]
        {
            world.enter(BOB, &groups).await;
            assert_eq!(world.role(BOB, "robots").await, role, "{groups:?}");
        }
        world.enter(BOB, &["robots"]).await;
        change(&world, "robots", OrganizationChange { managed: Some(false), ..Default::default() })
            .await
            .unwrap();
        world.enter(BOB, &[]).await;
        assert_eq!(world.role(BOB, "robots").await, "member", "not managed any more");
        let listed = world.directory().organizations(&world.enterprise, Timestamp::now()).await.unwrap();
        let listed: Vec<_> = listed
            .iter()
            .map(|o| (o.slug.as_str().to_owned(), o.managed.unwrap(), o.created_at.is_some()))
            .collect();
        let of = |name: &str, managed, created| (name.to_owned(), managed, created);
        assert_eq!(
            listed,
            [
                of("docs-team", true, false),
                of("hubot-lab", true, false),
                of("octo-org", true, false),
                of("robots", false, true)
            ]
        );
        let robots = slug("robots");
        let claim = world.directory().claim_organization(
            &world.enterprise,
            world.actor(ALICE),
            &robots,
            Timestamp::now(),
        );
        claim.await.unwrap();
        assert_eq!(world.role(ALICE, "robots").await, "owner");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_organization_cannot_be() {
    let world = world(Backend::Embedded).await;
    world.enter(ALICE, &[]).await;
    let named = |name: &str| NewOrganization { display_name: Some(name.into()), ..new("robots", true, &[]) };
    let long = "x".repeat(1_025);
    for wrong in [
        named(" "),
        named("a\u{7}b"),
        named(&"x".repeat(129)),
        new("robots", true, &["a", "a"]),
        new("robots", true, &[" "]),
        new("robots", true, &[&long]),
    ] {
        let refused = create(&world, ALICE, wrong.clone()).await;
        assert!(matches!(refused, Err(ActError::OrganizationInvalid(_))), "{wrong:?}");
    }
    // What a file says, the file changes.
    for wrong in [
        OrganizationChange { managed: Some(false), ..Default::default() },
        OrganizationChange { aliases: Some(vec!["a".into()]), ..Default::default() },
    ] {
        assert!(matches!(change(&world, "octo-org", wrong).await, Err(ActError::OrganizationConfigured)));
    }
    let unknown = change(&world, "robots", OrganizationChange::default()).await;
    assert!(matches!(unknown, Err(ActError::UnknownOrganization)));
    world.stop().await;
}

/// What another gateway changes is heard at once, and without a word within a second.
#[tokio::test(flavor = "multi_thread")]
async fn another_gateways_organization_counts_when_it_is_told_of() {
    let world = world(Backend::Embedded).await;
    let store = world.store.clone().unwrap();
    let (other, now) = (directory(store), Timestamp::now());
    let managed = async |at| {
        let settings = other.settings(&world.enterprise, at).await.unwrap();
        settings.managed.contains(&slug("robots"))
    };
    assert!(!managed(now).await);
    let create = new("robots", true, &[]);
    world.directory().create_organization(&world.enterprise, operator(), create, now).await.unwrap();
    assert!(!managed(now).await, "not told of yet");
    other.hear(Heard::Note(Note::Enterprise(world.enterprise.id)));
    assert!(managed(now).await);
    let away = OrganizationChange { managed: Some(false), ..Default::default() };
    change(&world, "robots", away).await.unwrap();
    assert!(managed(now).await);
    let later = now + std::time::Duration::from_secs(1);
    assert!(!managed(later).await);
    assert!(!managed(now).await, "a clock that was set back trusts nothing");
    other.hear(Heard::Gap);
    assert!(!managed(now).await);
    world.stop().await;
}

/// Two at once: one of them made it.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_taken_once() {
    for backend in BACKENDS {
        let world = world(backend).await;
        world.enter(ALICE, &[]).await;
        let one = || create(&world, ALICE, new("robots", true, &[]));
        let (a, b, c) = tokio::join!(one(), one(), one());
        let made = [a, b, c];
        assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "{made:?}");
        world.stop().await;
    }
}
