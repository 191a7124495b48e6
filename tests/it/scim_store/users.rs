//! Users: created, adopted, changed, put out, let in again, deleted.
use portcullis::{
    directory::scim::{ScimFault, ScimLink, UserLookup},
    domain::{InvitationSource, Role, ScimId, Standing},
    saml::SubjectKey,
    scim::{Etags, ResourceType},
};
use serde_json::json;

use super::world::{BOTH, World, resource, user_resource};

async fn find(world: &World, lookup: UserLookup<'_>) -> Vec<ScimId> {
    let found = world.directory.find_scim_users(&world.call(), lookup).await.unwrap();
    found.into_iter().map(|view| view.user.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_found_by_their_indexes_until_they_are_gone() {
    for on in BOTH {
        let world = World::new(on).await;
        let alice = world.create("alice").await.user.id;
        let finds = |view: &'static [&'static str; 3]| {
            [UserLookup::UserName(view[0]), UserLookup::ExternalId(view[1]), UserLookup::Email(view[2])]
        };
        for lookup in finds(&["ALICE", "ext-alice", "Alice@Example.com"]) {
            assert_eq!(find(&world, lookup).await, [alice], "{on:?} {lookup:?}");
        }
        // V-07: an externalId is no id, and is compared with its case.
        assert_eq!(find(&world, UserLookup::ExternalId("EXT-ALICE")).await, []);
        let renamed = resource(
            ResourceType::User,
            &json!({"userName": "Alice", "externalId": "other", "emails": [{"value": "a@example.org"}]}),
        );
        world.replace(alice, renamed).await.unwrap();
        for lookup in [UserLookup::ExternalId("ext-alice"), UserLookup::Email("alice@example.com")] {
            assert_eq!(find(&world, lookup).await, [], "{on:?} {lookup:?}");
        }
        for lookup in finds(&["alice", "other", "A@example.org"]) {
            assert_eq!(find(&world, lookup).await, [alice], "{on:?} {lookup:?}");
        }
        world.directory.delete_scim_user(&world.call(), alice).await.unwrap();
        for lookup in finds(&["alice", "other", "A@example.org"]) {
            assert_eq!(find(&world, lookup).await, [], "{on:?} {lookup:?}");
        }
        assert_eq!(find(&world, UserLookup::Id(alice)).await, []);
        let again = world.directory.delete_scim_user(&world.call(), alice).await;
        assert!(matches!(again, Err(ScimFault::NotFound)));
        // RFC 7644 3.6: the name is free at once; the id is another one.
        assert_ne!(world.create("alice").await.user.id, alice);
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_10_a_name_is_one_users_in_any_letter_case() {
    for on in BOTH {
        let world = World::new(on).await;
        world.create("alice").await;
        let bob = world.create("bob").await;
        let taken = world.directory.create_scim_user(&world.call(), user_resource("ALICE"), &[]).await;
        assert!(matches!(taken, Err(ScimFault::UserNameTaken)), "{taken:?}");
        let taken = world.replace(bob.user.id, user_resource("Alice")).await;
        assert!(matches!(taken, Err(ScimFault::UserNameTaken)), "{taken:?}");
        assert_eq!(world.directory.scim_user(&world.call(), bob.user.id).await.unwrap(), bob);
        // One's own name in another case is no clash.
        world.replace(bob.user.id, user_resource("BOB")).await.unwrap();
        world.check().await;
    }
}

/// Statement 15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statement_15_who_is_created_without_groups_is_neither_invited_nor_removed() {
    for on in BOTH {
        let world = World::new(on).await;
        world.seed("alice", &[("octo-org", Role::Owner), ("hubot", Role::Member)]).await;
        let alice = world.create("alice").await;
        assert_eq!(world.state("alice", "octo-org").await, "owner");
        assert_eq!(world.state("alice", "hubot").await, "member");
        assert_eq!(world.mails().await, 0);
        // Adopted: the person who signed in, with what the sign-in said (V-08).
        let person = world.person("alice").await.unwrap();
        assert_eq!((alice.user.link, person.decided_at), (person.id, Some(world.now)));
        assert_eq!(person.last_sign_in_at.as_second(), 1_700_000_000);
        let bob = world.create("bob").await;
        assert_eq!(world.mails().await, 0);
        let person = world.person("bob").await.unwrap();
        assert_eq!((person.id, person.standing), (bob.user.link, Standing::Active));
        assert_eq!(world.actions().await, ["external_identity.provision", "external_identity.provision"]);
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_08_scim_does_not_rewrite_the_profile_of_who_signed_in() {
    let world = World::new(super::world::On::Embedded).await;
    world.seed("alice", &[]).await;
    let evil = json!({"userName": "alice", "emails": [{"value": "mallory@example.com"}]});
    world.directory.create_scim_user(&world.call(), resource(ResourceType::User, &evil), &[]).await.unwrap();
    assert_eq!(world.person("alice").await.unwrap().profile.email.as_deref(), Some("alice@example.com"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_begin_in_groups_that_there_are() {
    for on in BOTH {
        let world = World::new(on).await;
        let group = world.group("octo-org", &[]).await.group.id;
        let unknown = ScimId::from_bytes([9; 16]);
        let refused =
            world.directory.create_scim_user(&world.call(), user_resource("alice"), &[group, unknown]).await;
        assert!(matches!(refused, Err(ScimFault::UnknownGroup(id)) if id == unknown), "{refused:?}");
        assert_eq!(find(&world, UserLookup::UserName("alice")).await, []);
        let alice =
            world.directory.create_scim_user(&world.call(), user_resource("alice"), &[group]).await.unwrap();
        assert_eq!(alice.groups, [(group, "octo-org".to_owned())]);
        assert_eq!(alice, world.directory.scim_user(&world.call(), alice.user.id).await.unwrap());
        assert_eq!(world.members(group).await, [alice.user.id].into());
        assert_eq!((world.state("alice", "octo-org").await.as_str(), world.mails().await), ("invited", 1));
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_nothing_is_no_change() {
    for on in BOTH {
        let world = World::new(on).await;
        let alice = world.create("alice").await;
        let told = world.actions().await.len();
        let mut same = user_resource("alice");
        same.set_active(true);
        assert_eq!(world.replace(alice.user.id, same).await.unwrap(), alice);
        assert_eq!(world.actions().await.len(), told);
        let changed = world.replace(alice.user.id, user_resource("ALICE")).await;
        // Another NameID: see `the_link_follows_the_name`.
        let changed = changed.unwrap();
        assert_eq!((changed.user.version, changed.user.created_at), (2, alice.user.created_at));
        assert_ne!(changed.version, alice.version);
        let stale = Etags::parse(&alice.version.to_string());
        let call = portcullis::directory::scim::ScimCall { if_match: Some(&stale), ..world.call() };
        let refused = world.directory.delete_scim_user(&call, alice.user.id).await;
        assert!(matches!(refused, Err(ScimFault::VersionMismatch)), "{refused:?}");
        world.check().await;
    }
}

/// Statement 16, D2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_16_deactivation_ends_everything_at_once() {
    for on in BOTH {
        let world = World::new(on).await;
        world.seed("alice", &[("hubot", Role::Member)]).await;
        world.seed_invitation("alice", "lone", InvitationSource::Manual).await;
        let alice = world.create("alice").await;
        let group = world.group("octo-org", &[&alice]).await.group.id;
        assert_eq!(world.state("alice", "octo-org").await, "invited");
        let out = world.set_active(alice.user.id, false).await.unwrap();
        assert!(!out.user.active);
        for organization in ["octo-org", "hubot", "lone"] {
            assert_eq!(world.state("alice", organization).await, "none", "{on:?} {organization}");
        }
        let person = world.person("alice").await.unwrap();
        assert!(matches!(person.standing, Standing::Deactivated { .. }));
        assert_eq!((person.linked_at, person.tokens.len()), (None, 0));
        assert_eq!(person.former.len(), 1, "remembered for 90 days");
        // Readable all the same, with `active` false, and in the group still.
        let read = world.directory.scim_user(&world.call(), alice.user.id).await.unwrap();
        assert_eq!((read.resource.active(), read.groups.len()), (Some(false), 1));
        // Who is out is invited to nothing.
        let hubot = world.group("hubot", &[]).await.group.id;
        world.add(hubot, alice.user.id).await.unwrap();
        assert_eq!(world.state("alice", "hubot").await, "none");
        // Back in: invited again to what the groups say, and to nothing else.
        world.set_active(alice.user.id, true).await.unwrap();
        assert_eq!(world.state("alice", "octo-org").await, "invited");
        assert_eq!(world.state("alice", "hubot").await, "invited");
        assert_eq!(world.state("alice", "lone").await, "none");
        assert!(world.person("alice").await.unwrap().standing.is_active());
        let _ = group;
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_is_invited_to_what_they_had_if_that_is_wanted() {
    for on in BOTH {
        for reinvite in [false, true] {
            let mut world = World::new(on).await;
            world.settings.reinvite = reinvite;
            world.seed("alice", &[("hubot", Role::Owner)]).await;
            let alice = world.create("alice").await.user.id;
            world.set_active(alice, false).await.unwrap();
            world.set_active(alice, true).await.unwrap();
            let expected = if reinvite { "invited" } else { "none" };
            assert_eq!(world.state("alice", "hubot").await, expected, "{on:?}");
            let offered: Vec<Role> =
                world.invitations("alice@example.com").await.iter().map(|i| i.role).collect();
            // A11, V-06: ownership does not come back by SCIM.
            assert!(offered.iter().all(|role| *role == Role::Member));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_user_leaves_a_tombstone() {
    for on in BOTH {
        let world = World::new(on).await;
        world.seed("alice", &[("octo-org", Role::Owner)]).await;
        let alice = world.create("alice").await;
        let group = world.group("octo-org", &[&alice]).await;
        world.directory.delete_scim_user(&world.call(), alice.user.id).await.unwrap();
        let person = world.person("alice").await.unwrap();
        assert!(matches!(person.standing, Standing::Deleted { .. }));
        assert_eq!((person.profile.email, person.memberships.len(), person.former.len()), (None, 0, 1));
        assert_eq!(world.members(group.group.id).await, [].into());
        let left = world.directory.scim_group(&world.call(), group.group.id).await.unwrap();
        assert_ne!(left.version, group.version);
        // A8: the organization is flagged, once.
        assert!(world.organization("octo-org").await.unowned_since.is_some());
        let told = world.actions().await;
        assert_eq!(told.iter().filter(|action| *action == "org.became_unowned").count(), 1);
        assert!(told.contains(&"external_identity.deprovision".to_owned()));
        // Provisioned anew, the same person is let in again, with nothing.
        world.create("alice").await;
        assert!(world.person("alice").await.unwrap().standing.is_active());
        assert_eq!(world.state("alice", "octo-org").await, "none");
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_link_follows_the_name() {
    for on in BOTH {
        let world = World::new(on).await;
        world.seed("alice", &[("hubot", Role::Member), ("lone", Role::Owner)]).await;
        let alice = world.create("alice").await;
        world.group("octo-org", &[&alice]).await;
        let renamed = world.replace(alice.user.id, user_resource("alice.jones")).await.unwrap();
        assert_eq!(renamed.user.link, world.person_id("alice.jones"));
        // V-06: ownership does not travel.
        assert_eq!(world.state("alice.jones", "hubot").await, "member");
        assert_eq!(world.state("alice.jones", "lone").await, "member");
        assert!(world.organization("lone").await.unowned_since.is_some());
        assert_eq!(world.state("alice.jones", "octo-org").await, "invited");
        for organization in ["hubot", "lone", "octo-org"] {
            assert_eq!(world.state("alice", organization).await, "none", "{on:?} {organization}");
        }
        let old = world.person("alice").await.unwrap();
        assert!(matches!(old.standing, Standing::Deleted { .. }));
        // The old name is free, and is nobody's past.
        let other = world.create("alice").await;
        assert_eq!(other.user.link, old.id);
        assert_eq!(world.state("alice", "hubot").await, "none");
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_id_links_where_the_enterprise_says_so() {
    for on in BOTH {
        let mut world = World::new(on).await;
        world.settings.link = ScimLink::ExternalId;
        world.settings.subject = SubjectKey::Attribute("oid".into());
        let alice = world.create("alice").await;
        assert_eq!(alice.user.link, world.settings.person(world.enterprise.id, "ext-alice"));
        assert_ne!(alice.user.link, world.person_id("ext-alice"), "V-07: no NameID");
        let same =
            json!({"userName": "bob", "externalId": "ext-alice", "emails": [{"value": "b@example.com"}]});
        let taken =
            world.directory.create_scim_user(&world.call(), resource(ResourceType::User, &same), &[]).await;
        assert!(matches!(taken, Err(ScimFault::LinkTaken)), "{taken:?}");
        let none = resource(ResourceType::User, &json!({"userName": "bob"}));
        let missing = world.directory.create_scim_user(&world.call(), none, &[]).await;
        assert!(matches!(missing, Err(ScimFault::ExternalIdMissing)), "{missing:?}");
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_that_goes_elsewhere_takes_the_invitation_along() {
    for on in BOTH {
        let world = World::new(on).await;
        let alice = world.create("alice").await;
        world.group("octo-org", &[&alice]).await;
        let elsewhere = json!({"userName": "alice", "emails": [{"value": "a@example.org"}]});
        world.replace(alice.user.id, resource(ResourceType::User, &elsewhere)).await.unwrap();
        assert_eq!(world.invitations("alice@example.com").await.len(), 0);
        assert_eq!(world.invitations("a@example.org").await.len(), 1);
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_02_users_of_another_enterprise_are_not_there() {
    for on in BOTH {
        let world = World::new(on).await;
        let alice = world.create("alice").await.user.id;
        let group = world.group("octo-org", &[]).await.group.id;
        let slug = portcullis::domain::EnterpriseSlug::parse("other").unwrap();
        let other = portcullis::directory::Enterprise {
            id: portcullis::domain::EnterpriseId::of(&slug),
            slug,
            ..world.enterprise.clone()
        };
        let call = portcullis::directory::scim::ScimCall { enterprise: &other, ..world.call() };
        assert!(matches!(world.directory.scim_user(&call, alice).await, Err(ScimFault::NotFound)));
        assert!(matches!(world.directory.delete_scim_user(&call, alice).await, Err(ScimFault::NotFound)));
        assert!(matches!(world.directory.scim_group(&call, group).await, Err(ScimFault::NotFound)));
        assert!(matches!(world.directory.delete_scim_group(&call, group).await, Err(ScimFault::NotFound)));
        let resource = super::world::group_resource("hubot");
        let refused = world.directory.create_scim_group(&call, resource, vec![alice]).await;
        assert!(matches!(refused, Err(ScimFault::UnknownMember(_))), "{refused:?}");
        world.check().await;
    }
}
