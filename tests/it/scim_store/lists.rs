//! Lists in the order of creation, and looks through everything.
use portcullis::{
    directory::scim::{GroupLookup, ScimFault, ScimFrom},
    domain::ScimId,
    scim::ResourceType,
};
use serde_json::json;

use super::world::{BOTH, World, resource};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_19_pages_come_in_the_order_of_creation() {
    for on in BOTH {
        let mut world = World::new(on).await;
        let mut created = vec![];
        for n in 0..7 {
            world.now = portcullis::domain::Timestamp::from_second(1_800_000_000 + n).unwrap();
            created.push(world.create(&format!("user{}", 9 - n)).await);
        }
        let ids: Vec<ScimId> = created.iter().map(|view| view.user.id).collect();
        for (offset, limit) in [(0, 3), (3, 3), (6, 3), (7, 3), (0, 100), (5, 1), (u64::MAX, 5), (2, 0)] {
            let page = world
                .directory
                .scim_users_page(&world.call(), ScimFrom::Number(offset), limit)
                .await
                .unwrap();
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(7);
            let expected: Vec<ScimId> = ids[from..].iter().copied().take(limit).collect();
            let found: Vec<ScimId> = page.resources.iter().map(|view| view.user.id).collect();
            assert_eq!((page.total, found), (7, expected), "{on:?} {offset} {limit}");
        }
        world.directory.delete_scim_user(&world.call(), ids[2]).await.unwrap();
        let page = world.directory.scim_users_page(&world.call(), ScimFrom::Number(2), 2).await.unwrap();
        assert_eq!((page.total, page.resources[0].user.id), (6, ids[3]));
        world.group("octo-org", &[&created[0]]).await;
        let groups = world.directory.scim_groups_page(&world.call(), ScimFrom::Number(0), 10).await.unwrap();
        assert_eq!((groups.total, groups.resources.len()), (1, 1));
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_index_finds_is_looked_for_within_bounds() {
    for on in BOTH {
        let world = World::new(on).await;
        for n in 0..5 {
            world.create(&format!("user{n}")).await;
        }
        let found = world
            .directory
            .scan_scim_users(&world.call(), |view| view.resource.user_name().ends_with(['1', '3']))
            .await
            .unwrap();
        assert_eq!(found.len(), 2, "{on:?}");
        let group = world.group("octo-org", &[]).await.group.id;
        let found =
            world.directory.scan_scim_groups(&world.call(), |view| view.group.id == group).await.unwrap();
        assert_eq!(found.len(), 1);
        world.check().await;
    }
}

/// The count stands beside the list: what is too much is refused before anything is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_04_too_much_is_not_looked_through() {
    use portcullis::store::{Commit, Key, Write};
    for on in BOTH {
        let world = World::new(on).await;
        let set = Key::ScimUsers(world.enterprise.id);
        for chunk in 0..3_u64 {
            let insert =
                |n: u64| Write::Insert(set, [chunk * 7_000 + n, 0, 0].map(u64::to_be_bytes).concat());
            let commit = Commit { expect: vec![], writes: (0..7_000).map(insert).collect() };
            world.store.commit(commit).await.unwrap();
        }
        let refused = world.directory.scan_scim_users(&world.call(), |_| true).await;
        assert!(matches!(refused, Err(ScimFault::TooMany)), "{on:?} {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_are_found_by_their_indexes() {
    for on in BOTH {
        let world = World::new(on).await;
        let alice = world.create("alice").await;
        let json = json!({"displayName": "octo-org", "externalId": "Ext-1"});
        let group = resource(ResourceType::Group, &json);
        let group =
            world.directory.create_scim_group(&world.call(), group, vec![alice.user.id]).await.unwrap();
        let find = async |lookup| {
            let found = world.directory.find_scim_groups(&world.call(), lookup).await.unwrap();
            found.into_iter().map(|view| view.group.id).collect::<Vec<_>>()
        };
        let id = group.group.id;
        assert_eq!(find(GroupLookup::DisplayName("OCTO-org")).await, [id]);
        assert_eq!(find(GroupLookup::ExternalId("Ext-1")).await, [id]);
        assert_eq!(find(GroupLookup::ExternalId("ext-1")).await, []);
        assert_eq!(find(GroupLookup::Member(alice.user.id)).await, [id]);
        assert_eq!(find(GroupLookup::Id(alice.user.id)).await, [], "a user's id is no group's");
        assert!(world.directory.is_scim_member(&world.call(), id, alice.user.id).await.unwrap());
        world.check().await;
    }
}
