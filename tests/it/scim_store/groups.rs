//! Groups, their members, and the removal guard.
use portcullis::{
    directory::{
        Actor,
        scim::{GroupLookup, MembersChange, OnGroupDelete, ScimFault, ScimUserView, UnmatchedGroups},
    },
    domain::{InvitationSource, Role, ScimId},
    provisioning::LastOwner,
    scim::ResourceType,
};
use serde_json::json;

use super::world::{BOTH, World, group_resource, resource, slug};

/// Statements 2 to 4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_2_to_4_one_invitation_and_one_mail() {
    for on in BOTH {
        let world = World::new(on).await;
        let (alice, bob) = (world.create("alice").await, world.create("bob").await);
        world.seed_invitation("bob", "octo-org", InvitationSource::Manual).await;
        let group = world.group("octo-org", &[&alice]).await.group.id;
        assert_eq!((world.state("alice", "octo-org").await.as_str(), world.mails().await), ("invited", 1));
        let first = world.invitations("alice@example.com").await;
        assert_eq!(
            (first[0].source, first[0].expires_at, first[0].person),
            (InvitationSource::Scim, None, Some(alice.user.link))
        );
        let version = world.directory.scim_group(&world.call(), group).await.unwrap().version;
        // Statement 18: who is there already is no error, and nothing happens.
        let same = world.add(group, alice.user.id).await.unwrap();
        assert_eq!((same.version, world.mails().await), (version, 1));
        assert_eq!(world.invitations("alice@example.com").await, first);
        world.add(group, bob.user.id).await.unwrap();
        let replaced = world.invitations("bob@example.com").await;
        assert_eq!((replaced.len(), replaced[0].source, world.mails().await), (1, InvitationSource::Scim, 2));
        let told = world.actions().await;
        let count = |action: &str| told.iter().filter(|told| *told == action).count();
        assert_eq!((count("org.invite_member"), count("org.cancel_invitation")), (2, 1));
        assert_eq!((count("external_group.provision"), count("external_group.add_member")), (1, 2));
        // Who goes before the mail was sent takes the mail along.
        world.remove(group, bob.user.id).await.unwrap();
        assert_eq!(world.state("bob", "octo-org").await, "none");
        world.remove(group, bob.user.id).await.unwrap();
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_stands_for_the_organization_of_its_name() {
    for on in BOTH {
        let mut world = World::new(on).await;
        let create = async |world: &World, name: &str| {
            world.directory.create_scim_group(&world.call(), group_resource(name), vec![]).await
        };
        assert!(matches!(create(&world, "elsewhere").await, Err(ScimFault::GroupUnmatched)));
        assert_eq!(create(&world, " Octo-Org ").await.unwrap().group.organization, Some(slug("octo-org")));
        assert!(matches!(create(&world, " octo-org ").await, Err(ScimFault::GroupNameTaken)));
        world.settings.unmatched_groups = UnmatchedGroups::Accept;
        let unmapped = create(&world, "elsewhere").await.unwrap();
        assert_eq!(unmapped.group.organization, None);
        let alice = world.create("alice").await;
        world.add(unmapped.group.id, alice.user.id).await.unwrap();
        assert_eq!(
            (world.mails().await, world.members(unmapped.group.id).await),
            (0, [alice.user.id].into())
        );
        world.check().await;
    }
}

/// A3: an organization is managed once there is a group for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_makes_its_organization_managed() {
    for on in BOTH {
        let world = World::new(on).await;
        let managed = async || {
            let settings = world.directory.settings(&world.enterprise, world.now).await.unwrap();
            settings.managed.contains(&slug("octo-org"))
        };
        assert!(!managed().await);
        let group = world.group("octo-org", &[]).await.group.id;
        assert!(managed().await);
        world.directory.delete_scim_group(&world.call(), group).await.unwrap();
        assert!(!managed().await);
        world.check().await;
    }
}

/// A7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_with_members_keeps_its_name() {
    for on in BOTH {
        let world = World::new(on).await;
        let alice = world.create("alice").await;
        let group = world.group("octo-org", &[&alice]).await.group.id;
        let rename = async |name: &str| {
            let resource = group_resource(name);
            world
                .directory
                .change_scim_group(&world.call(), group, |_| {
                    Ok::<_, ScimFault>((resource.clone(), MembersChange::default()))
                })
                .await
        };
        assert!(matches!(rename("hubot").await, Err(ScimFault::GroupRenamed)));
        // Another spelling of the same name is none.
        assert_eq!(rename("OCTO-ORG").await.unwrap().resource.display_name(), Some("OCTO-ORG"));
        world.remove(group, alice.user.id).await.unwrap();
        assert_eq!(rename("hubot").await.unwrap().group.organization, Some(slug("hubot")));
        world.group("octo-org", &[]).await;
        assert!(matches!(rename("octo-org").await, Err(ScimFault::GroupNameTaken)));
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_done_as_a_whole_or_not_at_all() {
    for on in BOTH {
        let world = World::new(on).await;
        let (alice, bob) = (world.create("alice").await, world.create("bob").await);
        let group = world.group("octo-org", &[&alice]).await;
        let nobody = ScimId::from_bytes([7; 16]);
        let change =
            MembersChange { reset: false, add: [bob.user.id, nobody].into(), remove: [alice.user.id].into() };
        let refused = world.change(group.group.id, change).await;
        assert!(matches!(refused, Err(ScimFault::UnknownMember(id)) if id == nobody), "{refused:?}");
        assert_eq!(world.members(group.group.id).await, [alice.user.id].into());
        assert_eq!(world.state("bob", "octo-org").await, "none");
        // A15: nowhere to write to.
        let silent = resource(ResourceType::User, &json!({"userName": "silent"}));
        let silent = world.directory.create_scim_user(&world.call(), silent, &[]).await.unwrap();
        let change = MembersChange { add: [bob.user.id, silent.user.id].into(), ..MembersChange::default() };
        let refused = world.change(group.group.id, change).await;
        assert!(matches!(refused, Err(ScimFault::EmailMissing)), "{refused:?}");
        assert_eq!(world.members(group.group.id).await, [alice.user.id].into());
        world.check().await;
    }
}

/// A6: two groups for one organization unite.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_in_another_group_of_the_organization_stays() {
    for on in BOTH {
        let mut world = World::new(on).await;
        world.enterprise.provisioning.mappings.push(portcullis::provisioning::Mapping {
            group: portcullis::provisioning::GroupMatch::Exact("The octopuses".into()),
            organization: slug("octo-org"),
            role: Role::Member,
        });
        world.enterprise.provisioning.mappings.push(portcullis::provisioning::Mapping {
            group: portcullis::provisioning::GroupMatch::Exact("The owners".into()),
            organization: slug("octo-org"),
            role: Role::Owner,
        });
        world.seed("alice", &[("octo-org", Role::Member)]).await;
        let alice = world.create("alice").await;
        let (one, two) =
            (world.group("octo-org", &[&alice]).await, world.group("The octopuses", &[&alice]).await);
        world.remove(one.group.id, alice.user.id).await.unwrap();
        assert_eq!(world.state("alice", "octo-org").await, "member");
        world.remove(two.group.id, alice.user.id).await.unwrap();
        assert_eq!(world.state("alice", "octo-org").await, "none");
        // V-06: what the configuration maps to ownership stands for nothing here.
        let owners =
            world.directory.create_scim_group(&world.call(), group_resource("The owners"), vec![]).await;
        assert!(matches!(owners, Err(ScimFault::GroupUnmatched)), "{owners:?}");
        world.check().await;
    }
}

/// Statement 19, V-11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_11_statement_19_a_mass_removal_waits_for_an_owner() {
    for on in BOTH {
        let world = World::new(on).await;
        let crowd = world.shown_crowd(12, &[("octo-org", Role::Member)]).await;
        let everybody: Vec<&ScimUserView> = crowd.iter().collect();
        let group = world.group("octo-org", &everybody).await;
        let empty = MembersChange { reset: true, ..MembersChange::default() };
        for _ in 0..2 {
            let held = world.change(group.group.id, empty.clone()).await;
            assert!(matches!(held, Err(ScimFault::Held { removals: 12, .. })), "{held:?}");
            assert_eq!(world.members(group.group.id).await.len(), 12, "nothing is done");
        }
        let users: Vec<&str> = crowd.iter().map(|view| view.resource.user_name()).collect();
        for user in &users {
            assert_eq!(world.state(user, "octo-org").await, "member!");
        }
        let (operator, organization, directory) =
            (Actor::operator("test"), slug("octo-org"), &world.directory);
        let kept = world.person_id(users[0]);
        directory.reject_removal(&world.enterprise, operator, &organization, kept, world.now).await.unwrap();
        for user in &users[1..] {
            let held = world.change(group.group.id, empty.clone()).await;
            assert!(matches!(held, Err(ScimFault::Held { .. })), "{held:?}");
            let gone = world.person_id(user);
            directory
                .approve_removal(&world.enterprise, operator, &organization, gone, world.now)
                .await
                .unwrap();
        }
        // What was decided is no removal any more: the provider's next attempt goes through, and spares who is kept.
        world.change(group.group.id, empty).await.unwrap();
        assert_eq!(world.members(group.group.id).await, [].into());
        assert_eq!(world.state(users[0], "octo-org").await, "member");
        for user in &users[1..] {
            assert_eq!(world.state(user, "octo-org").await, "none");
        }
        world.check().await;
    }
}

/// A8, V-12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_12_a_protected_last_owner_and_a_break_glass_identity_stay() {
    for on in BOTH {
        let mut world = World::new(on).await;
        world.enterprise.provisioning.last_owner = LastOwner::Protect;
        world.seed("alice", &[("octo-org", Role::Owner)]).await;
        world.seed("glass", &[("octo-org", Role::Member)]).await;
        let (alice, glass) = (world.create("alice").await, world.create("glass").await);
        let group = world.group("octo-org", &[&alice, &glass]).await.group.id;
        let held = world.remove(group, alice.user.id).await;
        assert!(matches!(held, Err(ScimFault::Held { .. })), "{held:?}");
        assert_eq!(world.state("alice", "octo-org").await, "owner!");
        world.remove(group, glass.user.id).await.unwrap();
        world.set_active(glass.user.id, false).await.unwrap();
        assert_eq!(world.state("glass", "octo-org").await, "member");
        assert!(world.person("glass").await.unwrap().standing.is_active());
        world.check().await;
    }
}

/// Statement 20
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statement_20_who_is_removed_takes_their_own_invitations_along() {
    use portcullis::{
        directory::{Cause, Invite},
        telemetry::Trigger,
    };
    for on in BOTH {
        let world = World::new(on).await;
        world.seed("alice", &[("octo-org", Role::Owner)]).await;
        let alice = world.create("alice").await;
        let group = world.group("octo-org", &[&alice]).await.group.id;
        let organization = slug("octo-org");
        let invite = Invite {
            organization: &organization,
            email: "guest@example.com",
            role: Role::Member,
            source: InvitationSource::Manual,
            person: None,
        };
        let cause = Cause::by(Trigger::Owner, Some((alice.user.link, "alice")), "test");
        let posting = portcullis::directory::Directory::new(
            world.store.clone(),
            portcullis::directory::SessionSettings { idle_seconds_max: 60, lifetime_seconds_max: 60 },
            portcullis::telemetry::Metrics::new(),
        )
        .with_mail(false);
        posting.invite(&world.enterprise, &invite, cause, world.now).await.unwrap();
        assert_eq!(world.invitations("guest@example.com").await.len(), 1);
        world.remove(group, alice.user.id).await.unwrap();
        assert_eq!(world.invitations("guest@example.com").await.len(), 0);
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_group_keeps_or_removes_its_people_as_the_settings_say() {
    for on in BOTH {
        for keeps in [true, false] {
            let mut world = World::new(on).await;
            if !keeps {
                world.settings.on_group_delete = OnGroupDelete::Remove;
            }
            world.seed("alice", &[("octo-org", Role::Member)]).await;
            let (alice, bob) = (world.create("alice").await, world.create("bob").await);
            let group = world.group("octo-org", &[&alice, &bob]).await.group.id;
            world.directory.delete_scim_group(&world.call(), group).await.unwrap();
            let expected = if keeps { ["member", "invited"] } else { ["none", "none"] };
            assert_eq!(world.state("alice", "octo-org").await, expected[0], "{on:?} {keeps}");
            assert_eq!(world.state("bob", "octo-org").await, expected[1], "{on:?} {keeps}");
            let gone = world.directory.delete_scim_group(&world.call(), group).await;
            assert!(matches!(gone, Err(ScimFault::NotFound)));
            assert_eq!(world.groups_of(alice.user.id).await, []);
            let read = world.directory.scim_user(&world.call(), alice.user.id).await.unwrap();
            assert_eq!(read.groups, []);
            for lookup in [GroupLookup::Id(group), GroupLookup::DisplayName("octo-org")] {
                assert_eq!(world.directory.find_scim_groups(&world.call(), lookup).await.unwrap(), []);
            }
            assert_eq!(world.members(group).await, [].into());
        }
    }
}
