//! Groups that are not known: what `missing_groups` makes of them, and what object ids say (A1, V-13, section 4.7).
use portcullis::config::Overrides;

use super::world::{Groups, World, world};
use crate::support::gateway::{BACKENDS, Backend};

const BOB: &str = "bob@example.com";
const IDS: &[&str] = &["0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"];

fn missing(policy: &'static str) -> impl FnOnce(Overrides) -> Overrides {
    move |overrides| overrides.set("enterprise.example.missing_groups", policy)
}

#[tokio::test(flavor = "multi_thread")]
async fn v_13_and_statement_10_absent_and_overage_change_nothing_and_empty_removes() {
    for backend in BACKENDS {
        let world = world(backend).await;
        world.enter(BOB, &["octo-org"]).await;
        for said in [Groups::Absent, Groups::Overage, Groups::These(IDS)] {
            world.sign_in(BOB, said).await;
            assert_eq!(world.role(BOB, "octo-org").await, "member", "{said:?}");
            // What was known stays known: nothing was said against it.
            let person = world.person(BOB).await.unwrap();
            assert_eq!(person.last_groups, Some(vec!["octo-org".to_owned()]));
        }
        let states: Vec<_> = world
            .events(BOB)
            .await
            .into_iter()
            .filter(|event| event["action"] == "saml.groups_unknown")
            .map(|event| event["groups_state"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(states, ["absent", "overage", "object_ids"]);
        world.enter(BOB, &[]).await;
        assert_eq!(world.role(BOB, "octo-org").await, "none");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_1_an_absent_claim_may_be_refused_or_taken_for_an_empty_one() {
    let world = World::new(Backend::Embedded, missing("deny")).await;
    world.enter(BOB, &["octo-org"]).await;
    let (_, page) = world.sign_in(BOB, Groups::Absent).await;
    assert_eq!(page.status, 403, "{}", page.body);
    assert!(world.idp.gateway.private("/metrics").await.body.contains(r#"reason="groups_missing""#));
    assert_eq!(world.role(BOB, "octo-org").await, "member");
    // An overage says that there are groups: it is no absence.
    assert_eq!(world.sign_in(BOB, Groups::Overage).await.1.status, 200);
    world.stop().await;

    let world = World::new(Backend::Embedded, missing("treat_as_empty")).await;
    world.enter(BOB, &["octo-org"]).await;
    world.sign_in(BOB, Groups::Overage).await;
    assert_eq!(world.role(BOB, "octo-org").await, "member");
    world.sign_in(BOB, Groups::Absent).await;
    assert_eq!(world.role(BOB, "octo-org").await, "none");
    world.stop().await;
}

/// Where one object id stands for an organization, ids are an answer like any other.
#[tokio::test(flavor = "multi_thread")]
async fn object_ids_that_are_mapped_are_groups() {
    let change = |overrides: Overrides| {
        overrides.set("enterprise.example.organizations", format!("octo-org,{}", IDS[0]))
    };
    let world = World::new(Backend::Embedded, change).await;
    world.enter(BOB, &[IDS[0], "octo-org"]).await;
    world.enter(BOB, IDS).await;
    assert_eq!(world.role(BOB, "octo-org").await, "none");
    assert_eq!(world.role(BOB, IDS[0]).await, "member");
    // Without any that stands for something here the same IdP says nothing that could be understood.
    world.enter(BOB, &IDS[1..]).await;
    assert_eq!(world.role(BOB, IDS[0]).await, "member");
    // A single name beside it shows that names are sent.
    world.enter(BOB, &[IDS[1], "somebodys-group"]).await;
    assert_eq!(world.role(BOB, IDS[0]).await, "none");
    world.stop().await;
}
