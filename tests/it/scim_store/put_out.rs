//! Deactivation and deletion where the removal guard stops something (D2, D7): whoever is put out is out at once, and what waits
//! for an owner's word is the end of the membership alone.
use std::sync::Arc;

use portcullis::{
    directory::{
        Actor, Directory, SessionSettings,
        scim::{MembersChange, ScimFault, ScimUserView},
    },
    domain::{AccessToken, Role, Standing, Timestamp, TokenId},
    provisioning::LastOwner,
    store::{Commit, Key, Write, records},
    telemetry::Metrics,
};

use super::world::{BOTH, On, World, slug};

/// The guard lets ten go.
const CROWD: usize = 12;

/// Twelve members of `octo-org`, ten of whom are put out already, and an owner whom mail reaches.
async fn beyond_the_guard(on: On) -> (World, Vec<ScimUserView>) {
    let mut world = World::new(on).await;
    let sessions = SessionSettings { idle_seconds_max: 3_600, lifetime_seconds_max: 86_400 };
    let posting = Directory::new(world.store.clone(), sessions, Metrics::new()).with_mail(false);
    world.directory = Arc::new(posting);
    world.seed("owner", &[("octo-org", Role::Owner)]).await;
    let mut crowd = vec![];
    for n in 0..CROWD {
        let user = format!("person-{n:02}");
        world.seed(&user, &[("octo-org", Role::Member)]).await;
        crowd.push(world.create(&user).await);
    }
    for view in &crowd[..10] {
        world.set_active(view.user.id, false).await.unwrap();
        assert_eq!(world.state(view.resource.user_name(), "octo-org").await, "none");
    }
    (world, crowd)
}

async fn give_token(world: &World, user: &str) {
    let mut person = world.person(user).await.unwrap();
    person.tokens.push(AccessToken {
        id: TokenId::from_bytes([3; 16]),
        secret: [4; 32],
        name: "laptop".into(),
        organizations: vec![slug("octo-org")],
        scopes: vec![],
        last_eight: "12345678".into(),
        created_at: world.now,
        expires_at: Timestamp::from_second(1_900_000_000).unwrap(),
    });
    let put = Write::Put(Key::Person(world.enterprise.id, person.id), records::encode_person(&person));
    world.store.commit(Commit { expect: vec![], writes: vec![put] }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_11_v_16_the_eleventh_leaver_of_an_hour_is_out_at_once_and_the_membership_waits() {
    for on in BOTH {
        let (world, crowd) = beyond_the_guard(on).await;
        let (eleventh, twelfth) = (&crowd[10], &crowd[11]);
        give_token(&world, "person-10").await;
        let mails = world.mails().await;
        // Done, as far as the provider is concerned.
        let out = world.set_active(eleventh.user.id, false).await.unwrap();
        assert!(!out.user.active && out.resource.active() == Some(false));
        let person = world.person("person-10").await.unwrap();
        assert!(matches!(person.standing, Standing::Deactivated { .. }), "{on:?}");
        assert_eq!((person.linked_at, person.tokens.len()), (None, 0), "{on:?}: nothing is open");
        assert_eq!(world.state("person-10", "octo-org").await, "member!");
        assert_eq!(world.mails().await - mails, 1, "{on:?}: the owner hears of it");
        let told = world.events().await;
        let of = |action: &str| told.iter().filter(|event| event["action"] == action).count();
        assert_eq!((of("saml.provision_held"), of("external_identity.deprovision")), (1, 11), "{on:?}");
        // Again: nothing happens.
        let entries = told.len();
        assert_eq!(world.set_active(eleventh.user.id, false).await.unwrap(), out);
        assert_eq!(world.events().await.len(), entries);
        // So it is with a deletion; the owner was told once of all that wait.
        world.directory.delete_scim_user(&world.call(), twelfth.user.id).await.unwrap();
        let gone = world.directory.delete_scim_user(&world.call(), twelfth.user.id).await;
        assert!(matches!(gone, Err(ScimFault::NotFound)), "{gone:?}");
        let person = world.person("person-11").await.unwrap();
        assert!(matches!(person.standing, Standing::Deleted { .. }), "{on:?}");
        assert_eq!((person.linked_at, world.mails().await - mails), (None, 1), "{on:?}");
        assert_eq!(world.state("person-11", "octo-org").await, "member!");
        world.check().await;
        // And the owners decide, on those who are out too.
        let (holds, _) = world.directory.holds(world.enterprise.id, None, 100, world.now).await.unwrap();
        assert_eq!(holds.len(), 2, "{on:?}");
        let (operator, organization) = (Actor::operator("test"), slug("octo-org"));
        let (enterprise, now) = (&world.enterprise, world.now);
        for user in ["person-10", "person-11"] {
            let person = world.person_id(user);
            world.directory.approve_removal(enterprise, operator, &organization, person, now).await.unwrap();
            assert_eq!(world.state(user, "octo-org").await, "none", "{on:?}");
        }
        assert!(matches!(world.person("person-10").await.unwrap().standing, Standing::Deactivated { .. }));
        world.check().await;
    }
}

/// A group says who is in it: what the guard stops there is not done, and the provider asks again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_11_what_a_group_loses_still_waits_as_a_whole() {
    for on in BOTH {
        let (world, crowd) = beyond_the_guard(on).await;
        let group = world.group("octo-org", &[&crowd[10], &crowd[11]]).await.group.id;
        let removed = world.remove(group, crowd[10].user.id).await;
        assert!(matches!(removed, Err(ScimFault::Held { removals: 1, .. })), "{removed:?}");
        let emptied = world.change(group, MembersChange::replace([])).await;
        assert!(matches!(emptied, Err(ScimFault::Held { removals: 2, .. })), "{emptied:?}");
        assert_eq!(world.members(group).await.len(), 2);
        assert!(world.person("person-10").await.unwrap().standing.is_active(), "{on:?}");
        world.check().await;
    }
}

/// Who comes back while the removal waits, and is in the group, is not to be removed any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_before_an_owner_decided_stays_where_groups_say_so() {
    for on in BOTH {
        let (world, crowd) = beyond_the_guard(on).await;
        world.group("octo-org", &[&crowd[10]]).await;
        for view in &crowd[10..] {
            world.set_active(view.user.id, false).await.unwrap();
        }
        for view in &crowd[10..] {
            assert!(world.set_active(view.user.id, true).await.unwrap().user.active);
        }
        assert_eq!(world.state("person-10", "octo-org").await, "member", "{on:?}");
        assert_eq!(world.state("person-11", "octo-org").await, "member!", "{on:?}: no group says anything");
        assert!(world.person("person-11").await.unwrap().standing.is_active());
        world.check().await;
    }
}

/// Every organization's owners hear of what waits with them, in the one commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_12_what_waits_in_several_organizations_waits_in_each() {
    for on in BOTH {
        let (mut world, _) = beyond_the_guard(on).await;
        world.enterprise.provisioning.last_owner = LastOwner::Protect;
        world.enterprise.owners = vec!["boss".into()];
        world.seed("boss", &[]).await;
        world
            .seed("olga", &[("hubot", Role::Owner), ("lone", Role::Owner), ("octo-org", Role::Member)])
            .await;
        let olga = world.create("olga").await;
        let mails = world.mails().await;
        world.set_active(olga.user.id, false).await.unwrap();
        for (organization, expected) in [("hubot", "owner!"), ("lone", "owner!"), ("octo-org", "member!")] {
            assert_eq!(world.state("olga", organization).await, expected, "{on:?}");
        }
        assert!(!world.person("olga").await.unwrap().standing.is_active());
        // The boss hears of all three, the owner of octo-org of that one, and Olga of nothing.
        assert_eq!(world.mails().await - mails, 4, "{on:?}");
        world.check().await;
    }
}
