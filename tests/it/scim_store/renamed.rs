//! A group is renamed while somebody comes into it: what it stands for and whom it has in it stay one (A7).
use std::sync::{Arc, Mutex, atomic::AtomicUsize};

use portcullis::{
    directory::scim::{MembersChange, ScimFault, ScimGroupView},
    domain::ScimId,
    store::{Committed, Store},
};

use super::{
    kept::{Before, about_to_add},
    world::{BOTH, On, World, directory, group_resource, slug},
};
use crate::support::layer::in_front;

async fn rename(world: &World, store: &Arc<dyn Store>, group: ScimId) -> Result<ScimGroupView, ScimFault> {
    let renamed = group_resource("hubot");
    let change = |_: &_| Ok::<_, ScimFault>((renamed.clone(), MembersChange::default()));
    directory(store).change_scim_group(&world.call(), group, change).await
}

/// The one who adds comes before that commit of the one who renames; whether anybody came at all.
async fn overtakes(on: On, commit: usize) -> bool {
    let world = World::new(on).await;
    let alice = world.create("alice").await.user.id;
    let group = world.group("octo-org", &[]).await.group.id;
    let kept = Mutex::new(Some(about_to_add(&world, group, alice).await));
    let became = Arc::new(Mutex::new(None));
    let (inner, commits_left) = (world.store.clone(), AtomicUsize::new(commit));
    let store = in_front(Before { inner, commits_left, kept, became: became.clone() });
    let renamed = rename(&world, &store, group).await;
    let became = *became.lock().unwrap();
    let organization = world.directory.scim_group(&world.call(), group).await.unwrap().group.organization;
    if became == Some(Committed::Applied) {
        assert!(
            matches!(renamed, Err(ScimFault::GroupRenamed)),
            "{on:?}, before commit {commit}: {renamed:?}"
        );
        assert_eq!(organization, Some(slug("octo-org")));
        assert_eq!(world.members(group).await, [alice].into());
        assert_eq!(world.state("alice", "octo-org").await, "invited");
    } else {
        assert_eq!(renamed.unwrap().group.organization, Some(slug("hubot")));
        assert_eq!((organization, world.members(group).await), (Some(slug("hubot")), [].into()));
    }
    world.check().await;
    // Nothing is left that others would have to finish.
    let left = world.directory.resume_scim_jobs(&world.enterprise, &world.settings, world.now).await;
    assert_eq!(left.unwrap(), 0);
    world.add(group, alice).await.unwrap();
    assert_eq!(world.members(group).await, [alice].into());
    world.check().await;
    became.is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_comes_into_a_group_while_it_becomes_another_one() {
    for on in BOTH {
        let mut commit = 0;
        while overtakes(on, commit).await {
            commit += 1;
        }
        assert!(commit >= 2, "{on:?}: {commit} commits");
    }
}
