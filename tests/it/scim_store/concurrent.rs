//! Changes of one group by many at once: as in a gateway, the calls of one thread take turns.
use std::sync::Arc;

use portcullis::directory::scim::{MembersChange, ScimCall, ScimFault, UnmatchedGroups};
use tokio::task::JoinSet;

use super::world::{BOTH, On, World, directory, group_resource, user_resource};

const CLIENTS: usize = 16;
const EACH: usize = 4;

/// Two gateways where the store lets two be.
#[tokio::test]
async fn concurrent_changes_of_one_group_lose_nobody() {
    tokio::task::LocalSet::new().run_until(concurrent_changes_of_one_group_lose_nobody_here()).await;
}

async fn concurrent_changes_of_one_group_lose_nobody_here() {
    for on in BOTH {
        let world = Arc::new(World::new(on).await);
        let mut users = vec![];
        for n in 0..CLIENTS * EACH {
            users.push(world.create(&format!("user{n}")).await.user.id);
        }
        let group = world.group("octo-org", &[]).await.group.id;
        let other = if on == On::Redis { directory(&world.store) } else { world.directory.clone() };
        let mut tasks = JoinSet::new();
        for (n, mine) in users.chunks(EACH).map(<[_]>::to_vec).enumerate() {
            let directory = if n % 2 == 0 { world.directory.clone() } else { other.clone() };
            let world = world.clone();
            tasks.spawn_local(async move {
                for user in mine {
                    let call: ScimCall<'_> = world.call();
                    let add = MembersChange { add: [user].into(), ..MembersChange::default() };
                    let change =
                        |r: &_| Ok::<_, ScimFault>((portcullis::scim::Resource::clone(r), add.clone()));
                    directory.change_scim_group(&call, group, change).await.unwrap();
                }
            });
        }
        tasks.join_all().await;
        assert_eq!(world.members(group).await, users.iter().copied().collect(), "{on:?}");
        let version = world.directory.scim_group(&world.call(), group).await.unwrap().version;
        assert_eq!(
            version.to_string(),
            format!("W/\"1.{}\"", users.len()),
            "{on:?}: every change counts once"
        );
        assert_eq!(world.mails().await, users.len());
        world.check().await;
    }
}

#[tokio::test]
async fn of_several_who_create_the_same_one_does() {
    tokio::task::LocalSet::new().run_until(of_several_who_create_the_same_one_does_here()).await;
}

async fn of_several_who_create_the_same_one_does_here() {
    for on in BOTH {
        let world = Arc::new(World::new(on).await);
        let mut tasks = JoinSet::new();
        for n in 0..CLIENTS {
            let world = world.clone();
            tasks.spawn_local(async move {
                let call = world.call();
                match n % 2 {
                    0 => world.directory.create_scim_user(&call, user_resource("alice"), &[]).await.map(drop),
                    _ => world
                        .directory
                        .create_scim_group(&call, group_resource("octo-org"), vec![])
                        .await
                        .map(drop),
                }
            });
        }
        let results = tasks.join_all().await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2, "{on:?} {results:?}");
        let taken = |result: &Result<(), ScimFault>| {
            matches!(result, Ok(()) | Err(ScimFault::UserNameTaken | ScimFault::GroupNameTaken))
        };
        assert!(results.iter().all(taken), "{results:?}");
        world.check().await;
    }
}

/// A user who is deleted while they are added to groups is in none of them afterwards.
#[tokio::test]
async fn who_is_deleted_is_in_no_group() {
    tokio::task::LocalSet::new().run_until(who_is_deleted_is_in_no_group_here()).await;
}

async fn who_is_deleted_is_in_no_group_here() {
    for on in BOTH {
        let mut world = World::new(on).await;
        // Groups that stand for nothing are guarded by the user's own records alone.
        world.settings.unmatched_groups = UnmatchedGroups::Accept;
        let world = Arc::new(world);
        let groups = [
            world.group("octo-org", &[]).await.group.id,
            world.group("hubot", &[]).await.group.id,
            world.group("lone", &[]).await.group.id,
            world.group("elsewhere", &[]).await.group.id,
            world.group("nowhere", &[]).await.group.id,
        ];
        for round in 0..4 {
            let user = format!("user{round}");
            let id = world.create(&user).await.user.id;
            let mut tasks = JoinSet::new();
            for group in groups {
                let world = world.clone();
                tasks.spawn_local(async move { world.add(group, id).await.map(drop) });
            }
            let gone = world.clone();
            tasks.spawn_local(async move { gone.directory.delete_scim_user(&gone.call(), id).await });
            for result in tasks.join_all().await {
                assert!(matches!(result, Ok(()) | Err(ScimFault::UnknownMember(_))), "{result:?}");
            }
            for group in groups {
                assert!(!world.members(group).await.contains(&id), "{on:?}");
            }
            for organization in ["octo-org", "hubot", "lone"] {
                assert_eq!(world.state(&user, organization).await, "none", "{on:?}");
            }
        }
        world.check().await;
    }
}

/// Who names all members waits for those who name one, and not for ever.
#[tokio::test]
async fn r_15_replacements_among_changes_of_one_member_end_one_after_the_other() {
    tokio::task::LocalSet::new().run_until(replacements_end_one_after_the_other()).await;
}

async fn replacements_end_one_after_the_other() {
    for on in BOTH {
        let world = Arc::new(World::new(on).await);
        let users = world.crowd(8, &[]).await;
        let group = world.group("octo-org", &[]).await.group.id;
        let mut busy = JoinSet::new();
        for user in users[4..].iter().copied() {
            let world = world.clone();
            busy.spawn_local(async move {
                loop {
                    world.add(group, user).await.unwrap();
                    world.remove(group, user).await.unwrap();
                }
            });
        }
        let mut replacing = JoinSet::new();
        for pair in users[..4].chunks(2).map(<[_]>::to_vec) {
            let world = world.clone();
            replacing.spawn_local(async move {
                let all =
                    MembersChange { reset: true, add: pair.into_iter().collect(), ..Default::default() };
                for _ in 0..10 {
                    world.change(group, all.clone()).await.unwrap();
                }
            });
        }
        replacing.join_all().await;
        busy.shutdown().await;
        let left = world.members(group).await;
        let of = |pair: &[_]| pair.iter().filter(|id| left.contains(id)).count();
        assert!(matches!((of(&users[..2]), of(&users[2..4])), (2, 0) | (0, 2)), "{on:?}: {left:?}");
        world.check().await;
    }
}
