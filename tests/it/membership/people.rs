//! Who is put out stays out: by no assertion, however good or old, and with nothing left of what was (A12, A13, V-14, V-15).
use portcullis::{
    directory::{ActError, Directory},
    domain::{Standing, Timestamp},
};

use super::world::{Groups, World, slug, world};
use crate::{
    saml::forge::attribute,
    support::gateway::{BACKENDS, Backend},
};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const CAROL: &str = "carol@example.com";

async fn deactivate(world: &World, actor: &str, person: &str) -> Result<(), ActError> {
    let (actor, id, now) = (world.actor(actor), world.id(person), Timestamp::now());
    world.directory().deactivate_person(&world.enterprise, actor, id, now).await.map(drop)
}

async fn reactivate(world: &World, person: &str) -> Result<(), ActError> {
    let (actor, id, now) = (world.actor(ALICE), world.id(person), Timestamp::now());
    world.directory().reactivate_person(&world.enterprise, actor, id, now).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn v_14_who_is_deactivated_does_not_come_back_by_an_assertion() {
    for backend in BACKENDS {
        let world = world(backend).await;
        world.enter(ALICE, &[]).await;
        let mut bob = world.enter(BOB, &["octo-org-owners"]).await;
        world.seed_invitation(BOB, &slug("docs-team")).await;
        assert!(matches!(deactivate(&world, BOB, ALICE).await, Err(ActError::NotAllowed)));
        assert!(matches!(deactivate(&world, ALICE, ALICE).await, Err(ActError::OwnRole)));
        deactivate(&world, ALICE, BOB).await.unwrap();
        // D2: memberships, invitations and sessions are gone, the rest is readable.
        assert_eq!(world.role(BOB, "octo-org").await, "none");
        assert_eq!(world.unowned().await, ["octo-org"]);
        assert!(world.invitations(BOB).await.is_empty());
        assert!(world.idp.gateway.identity(&mut bob).await.is_none());
        let person = world.person(BOB).await.unwrap();
        assert!(matches!(person.standing, Standing::Deactivated { .. }));
        assert_eq!(person.former.len(), 1);
        let open = world.directory().sessions_of(world.enterprise.id, world.id(BOB), Timestamp::now()).await;
        assert!(open.unwrap().is_empty());
        assert!(world.actions(BOB).await.contains(&"org.revoke_sso_session".to_owned()));
        assert!(world.actions(BOB).await.contains(&"external_identity.deprovision".to_owned()));
        let (_, page) = world.sign_in(BOB, Groups::These(&["octo-org"])).await;
        assert_eq!(page.status, 403, "{}", page.body);
        assert_eq!(world.role(BOB, "octo-org").await, "none");
        let org = slug("octo-org");
        let restore = world.directory().restore_member(
            &world.enterprise,
            world.actor(ALICE),
            &org,
            world.id(BOB),
            Timestamp::now(),
        );
        assert!(matches!(restore.await, Err(ActError::Inactive)));
        world.stop().await;
    }
}

/// V-09: an e-mail address is nobody, whatever stands beside it about having been verified: who signs in is whom the connection's
/// subject says, and what somebody else has stays theirs.
#[tokio::test(flavor = "multi_thread")]
async fn v_09_an_address_makes_nobody_somebody_else() {
    let world = world(Backend::Embedded).await;
    world.enter(BOB, &["octo-org-owners"]).await;
    world.enter(ALICE, &[]).await;
    let mallory = "mallory@example.com";
    for verified in ["", "true", "false", "undefined", "1"] {
        for of in [ALICE, BOB] {
            let said = attribute("mail", &[of]) + &attribute("groups", &[]);
            let said =
                said + &attribute("email_verified", &[verified]) + &attribute("emailVerified", &[verified]);
            let (_, page) = world.sign_in_with(mallory, Groups::Absent, |spec| spec.attributes = said).await;
            assert_eq!(page.status, 200, "{}", page.body);
            let person = world.person(mallory).await.unwrap();
            assert_eq!(
                (person.profile.email.as_deref(), person.memberships.len()),
                (Some(of), 0),
                "{verified}"
            );
            // Ownership of the enterprise goes by the stable id.
            assert!(!Directory::is_enterprise_owner(&world.enterprise, &person));
            assert!(matches!(deactivate(&world, mallory, BOB).await, Err(ActError::NotAllowed)));
        }
    }
    assert_eq!(world.role(BOB, "octo-org").await, "owner");
    assert_eq!(world.person(BOB).await.unwrap().profile.email.as_deref(), Some(BOB));
    world.stop().await;
}

/// A13, V-15 and statement 17: an assertion that was issued before the reactivation gives nothing back.
#[tokio::test(flavor = "multi_thread")]
async fn v_15_a_stale_assertion_gives_nothing_back() {
    for backend in BACKENDS {
        let world = world(backend).await;
        world.enter(ALICE, &[]).await;
        let mut before = world.enter(BOB, &["octo-org"]).await;
        let stale = Timestamp::now().to_string();
        deactivate(&world, ALICE, BOB).await.unwrap();
        reactivate(&world, BOB).await.unwrap();
        let (_, page) = world
            .sign_in_with(BOB, Groups::These(&["octo-org"]), |spec| {
                spec.assertion.insert("IssueInstant", stale);
            })
            .await;
        assert_eq!(page.status, 403, "{}", page.body);
        assert_eq!(world.role(BOB, "octo-org").await, "none");
        let mut after = world.enter(BOB, &["octo-org"]).await;
        assert_eq!(world.role(BOB, "octo-org").await, "member");
        // A session of before is not revived with its person.
        assert!(world.idp.gateway.identity(&mut after).await.is_some());
        assert!(world.idp.gateway.identity(&mut before).await.is_none());
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_deleted_leaves_a_tombstone() {
    for backend in BACKENDS {
        let world = world(backend).await;
        world.enter(ALICE, &[]).await;
        world.enter(BOB, &["octo-org"]).await;
        let (actor, id) = (world.actor(ALICE), world.id(BOB));
        let delete = world.directory().delete_person(&world.enterprise, actor, id, Timestamp::now());
        delete.await.unwrap();
        let person = world.person(BOB).await.unwrap();
        assert!(matches!(person.standing, Standing::Deleted { .. }));
        assert_eq!(
            (person.profile.email, person.last_groups, person.profile.user.as_str()),
            (None, None, BOB)
        );
        assert_eq!(world.sign_in(BOB, Groups::These(&["octo-org"])).await.1.status, 403);
        // A deactivation does not turn a tombstone back into less.
        deactivate(&world, ALICE, BOB).await.unwrap();
        assert!(matches!(world.person(BOB).await.unwrap().standing, Standing::Deleted { .. }));
        reactivate(&world, BOB).await.unwrap();
        world.enter(BOB, &["octo-org"]).await;
        assert_eq!(world.role(BOB, "octo-org").await, "member");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_link_ends_sessions_and_the_next_sign_in_links_anew() {
    for backend in BACKENDS {
        let world = world(backend).await;
        world.enter(ALICE, &[]).await;
        let mut bob = world.enter(BOB, &["octo-org"]).await;
        let stale = Timestamp::now().to_string();
        let (actor, id) = (world.actor(ALICE), world.id(BOB));
        let revoke = |actor| world.directory().revoke_link(&world.enterprise, actor, id, Timestamp::now());
        assert!(matches!(revoke(world.actor(BOB)).await, Err(ActError::NotAllowed)));
        assert_eq!(revoke(actor).await.unwrap().linked_at, None);
        assert!(world.idp.gateway.identity(&mut bob).await.is_none());
        assert_eq!(world.role(BOB, "octo-org").await, "member", "memberships stay");
        assert!(world.actions(BOB).await.contains(&"org.revoke_external_identity".to_owned()));
        let (_, page) = world
            .sign_in_with(BOB, Groups::These(&["octo-org"]), |spec| {
                spec.assertion.insert("IssueInstant", stale);
            })
            .await;
        assert_eq!(page.status, 403, "what was on its way links nothing");
        world.enter(BOB, &["octo-org"]).await;
        assert!(world.person(BOB).await.unwrap().linked_at.is_some());
        assert!(world.idp.gateway.identity(&mut bob).await.is_none(), "of the link that was cut");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_listed_page_by_page() {
    let world = world(crate::support::gateway::Backend::Embedded).await;
    for user in [ALICE, BOB, CAROL] {
        world.enter(user, &["octo-org"]).await;
    }
    let (directory, now) = (world.directory(), Timestamp::now());
    let mut seen = vec![];
    let mut after = None;
    while let [person, ..] = directory.people(world.enterprise.id, after, 1, now).await.unwrap().as_slice() {
        after = Some(person.id);
        seen.push(person.profile.user.clone());
    }
    seen.sort();
    assert_eq!(seen, [ALICE, BOB, CAROL]);
    let members = directory.members_of(&world.enterprise, &slug("octo-org"), None, 2, now).await.unwrap();
    assert_eq!(members.len(), 2);
    world.stop().await;
}
