//! Changes that one commit cannot hold: noted first, done in steps, finished by whoever comes next.
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use portcullis::{
    directory::scim::{MembersChange, ScimFault},
    domain::{Role, ScimId},
    store::{BoxFuture, Commit, Committed, Store, StoreError},
};

use super::world::{BOTH, World, directory, slug};
use crate::support::layer::{Layer, in_front};

/// More than one commit takes.
const MANY: usize = 450;

/// A store that lets so many commits through and then none: a gateway that was killed.
struct Dying {
    inner: Arc<dyn Store>,
    commits_left: AtomicI64,
}

impl Layer for Dying {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        if self.commits_left.fetch_sub(1, Ordering::SeqCst) > 0 {
            self.inner.commit(change)
        } else {
            Box::pin(async { Err(StoreError::Timeout(0)) })
        }
    }
}

/// A gateway's store that takes two commits more.
fn dying(world: &World) -> Arc<dyn Store> {
    in_front(Dying { inner: world.store.clone(), commits_left: AtomicI64::new(2) })
}

fn all(ids: &[ScimId]) -> MembersChange {
    MembersChange { reset: true, add: ids.iter().copied().collect(), remove: BTreeSet::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_replacement_is_finished_by_whoever_comes_next() {
    for on in BOTH {
        let world = World::new(on).await;
        let ids = world.crowd(MANY, &[]).await;
        let group = world.group("octo-org", &[]).await.group.id;
        // The note, one step, and then it is killed.
        let killed = dying(&world);
        let change = all(&ids);
        let broken = directory(&killed)
            .change_scim_group(&world.call(), group, |r| Ok::<_, ScimFault>((r.clone(), change.clone())))
            .await;
        assert!(matches!(broken, Err(ScimFault::Store(_))), "{broken:?}");
        let some = world.members(group).await.len();
        assert!(some > 0 && some < MANY, "{on:?} {some}");
        // The next gateway finishes it, whatever it was asked for.
        let again = directory(&world.store);
        assert_eq!(again.resume_scim_jobs(&world.enterprise, &world.settings, world.now).await.unwrap(), 1);
        assert_eq!(world.members(group).await, ids.iter().copied().collect::<BTreeSet<_>>(), "{on:?}");
        assert_eq!(again.resume_scim_jobs(&world.enterprise, &world.settings, world.now).await.unwrap(), 0);
        assert_eq!(world.mails().await, MANY, "{on:?}: one mail for each");
        // The same again is nothing, and the cost follows what changes.
        let told = world.actions().await.len();
        world.change(group, all(&ids)).await.unwrap();
        world.change(group, all(&ids[1..])).await.unwrap();
        assert_eq!(world.members(group).await.len(), MANY - 1);
        assert_eq!(world.actions().await.len(), told + 2, "one member removed, one invitation cancelled");
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_in_between_finishes_first() {
    for on in BOTH {
        let world = World::new(on).await;
        let ids = world.crowd(MANY, &[]).await;
        let group = world.group("octo-org", &[]).await.group.id;
        let dying = dying(&world);
        let change = all(&ids);
        directory(&dying)
            .change_scim_group(&world.call(), group, |r| Ok::<_, ScimFault>((r.clone(), change.clone())))
            .await
            .unwrap_err();
        world.remove(group, ids[0]).await.unwrap();
        assert_eq!(world.members(group).await.len(), MANY - 1, "{on:?}");
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_11_a_large_removal_waits_as_a_whole() {
    for on in BOTH {
        let world = World::new(on).await;
        let ids = world.crowd(MANY, &[("octo-org", Role::Member)]).await;
        let group = world.group("octo-org", &[]).await.group.id;
        world.change(group, all(&ids)).await.unwrap();
        assert_eq!(world.mails().await, 0, "who is in is not invited");
        for _ in 0..2 {
            let held = world.change(group, all(&[])).await;
            assert!(matches!(held, Err(ScimFault::Held { removals: MANY, .. })), "{held:?}");
            assert_eq!(world.members(group).await.len(), MANY);
        }
        let members =
            world.directory.members(world.enterprise.id, &slug("octo-org"), None, 10_000).await.unwrap();
        assert_eq!(members.len(), MANY, "{on:?}");
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_group_goes_as_a_whole() {
    for on in BOTH {
        let world = World::new(on).await;
        let ids = world.crowd(MANY, &[]).await;
        let group = world.group("octo-org", &[]).await.group.id;
        world.change(group, all(&ids)).await.unwrap();
        let dying = dying(&world);
        directory(&dying).delete_scim_group(&world.call(), group).await.unwrap_err();
        // Gone for everybody at once, whatever is left to do.
        assert!(matches!(world.directory.scim_group(&world.call(), group).await, Err(ScimFault::NotFound)));
        let last = world.directory.scim_user(&world.call(), ids[MANY - 1]).await.unwrap();
        assert_eq!(last.groups, []);
        world.directory.resume_scim_jobs(&world.enterprise, &world.settings, world.now).await.unwrap();
        assert_eq!(world.members(group).await, [].into());
        assert_eq!(world.groups_of(ids[MANY - 1]).await, []);
        world.check().await;
    }
}
