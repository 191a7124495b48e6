//! What two who change one group at once leave behind is what one after the other would have left.
use std::sync::{Arc, Mutex, atomic::AtomicUsize};

use portcullis::{
    directory::scim::{MembersChange, OnGroupDelete, ScimCall, ScimFault},
    domain::ScimId,
    scim::Etags,
    store::{Commit, Committed},
};

use super::{
    kept::{Before, about_to, about_to_add, about_to_change},
    world::{BOTH, On, World, directory, group_resource},
};
use crate::support::layer::in_front;

/// A group of one, and those who may come into it.
struct Scene {
    world: World,
    group: ScimId,
    first: ScimId,
    others: Vec<ScimId>,
    etags: Etags,
}

impl Scene {
    async fn new(on: On, others: usize) -> Self {
        let mut world = World::new(on).await;
        world.settings.on_group_delete = OnGroupDelete::Remove;
        let first = world.create("first").await;
        let others = world.crowd(others, &[]).await;
        let view = world.group("octo-org", &[&first]).await;
        let etags = Etags::parse(&view.version.to_string());
        Self { world, group: view.group.id, first: first.user.id, others, etags }
    }

    /// A call that rests on the version from the beginning.
    fn matching(&self) -> ScimCall<'_> {
        ScimCall { if_match: Some(&self.etags), ..self.world.call() }
    }

    async fn late(&self, call: &ScimCall<'_>, change: MembersChange) -> Commit {
        about_to_change(call, &self.world, self.group, change).await
    }

    /// What becomes of a commit when somebody comes into the group before it.
    async fn overtaken(&self, late: Commit) -> Committed {
        let newcomer = self.others[1];
        self.world.add(self.group, newcomer).await.unwrap();
        let became = self.world.store.commit(late).await.unwrap();
        self.world.check().await;
        became
    }
}

fn adding(user: ScimId) -> MembersChange {
    MembersChange { add: [user].into(), ..MembersChange::default() }
}

fn all(ids: &[ScimId]) -> MembersChange {
    MembersChange { reset: true, add: ids.iter().copied().collect(), ..MembersChange::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_15_who_names_all_members_has_seen_all_of_them() {
    for on in BOTH {
        let scene = Scene::new(on, 2).await;
        let late = scene.late(&scene.world.call(), all(&[scene.first, scene.others[0]])).await;
        assert_eq!(scene.overtaken(late).await, Committed::Conflict, "{on:?}");
        assert_eq!(scene.world.members(scene.group).await, [scene.first, scene.others[1]].into());
        // One by one they do not wait for each other.
        let scene = Scene::new(on, 2).await;
        let late = scene.late(&scene.world.call(), adding(scene.others[0])).await;
        assert_eq!(scene.overtaken(late).await, Committed::Applied, "{on:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_15_a_replacement_in_steps_has_seen_all_members() {
    for on in BOTH {
        let scene = Scene::new(on, 450).await;
        let late = scene.late(&scene.world.call(), all(&scene.others)).await;
        assert_eq!(scene.overtaken(late).await, Committed::Conflict, "{on:?}");
        // Asked again it takes its turn.
        scene.world.change(scene.group, all(&scene.others)).await.unwrap();
        assert_eq!(scene.world.members(scene.group).await, scene.others.iter().copied().collect());
    }
}

/// RFC 7644 3.14
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_15_of_several_changes_of_one_version_one_is_made() {
    for on in BOTH {
        let scene = Scene::new(on, 2).await;
        let late = scene.late(&scene.matching(), adding(scene.others[0])).await;
        assert_eq!(scene.overtaken(late).await, Committed::Conflict, "{on:?}");
        let again = |resource: &_| {
            Ok::<_, ScimFault>((portcullis::scim::Resource::clone(resource), adding(scene.others[0])))
        };
        let again = scene.world.directory.change_scim_group(&scene.matching(), scene.group, again).await;
        assert!(matches!(again, Err(ScimFault::VersionMismatch)), "{again:?}");

        let scene = Scene::new(on, 2).await;
        let renamed = |_: &_| Ok::<_, ScimFault>((group_resource("OCTO-ORG"), MembersChange::default()));
        let call = scene.matching();
        let rename = async |directory: &portcullis::directory::Directory| {
            directory.change_scim_group(&call, scene.group, renamed).await
        };
        let late = about_to(&scene.world, rename).await;
        assert_eq!(scene.overtaken(late).await, Committed::Conflict, "{on:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_15_who_comes_into_a_group_that_is_being_deleted_leaves_with_it() {
    for on in BOTH {
        for (removes, matching) in [(true, false), (false, true)] {
            let mut scene = Scene::new(on, 2).await;
            if removes {
                scene.world.remove(scene.group, scene.first).await.unwrap();
            } else {
                scene.world.settings.on_group_delete = OnGroupDelete::Keep;
            }
            let call = if matching { scene.matching() } else { scene.world.call() };
            let delete = async |directory: &portcullis::directory::Directory| {
                directory.delete_scim_group(&call, scene.group).await
            };
            let late = about_to(&scene.world, delete).await;
            assert_eq!(scene.overtaken(late).await, Committed::Conflict, "{on:?} {removes}");
            let again = scene.world.directory.delete_scim_group(&call, scene.group).await;
            if matching {
                assert!(matches!(again, Err(ScimFault::VersionMismatch)), "{again:?}");
                continue;
            }
            again.unwrap();
            assert_eq!(scene.world.state("person-0001", "octo-org").await, "none", "{on:?}");
        }
    }
}

/// What a deletion has emptied has another version, and that is its own doing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_15_a_deletion_that_removes_goes_on_after_it_has_begun() {
    for on in BOTH {
        let scene = Scene::new(on, 2).await;
        scene.world.remove(scene.group, scene.first).await.unwrap();
        let view = scene.world.directory.scim_group(&scene.world.call(), scene.group).await.unwrap();
        let etags = Etags::parse(&view.version.to_string());
        let call = ScimCall { if_match: Some(&etags), ..scene.world.call() };
        let newcomer = about_to_add(&scene.world, scene.group, scene.others[1]).await;
        let store = in_front(Before {
            inner: scene.world.store.clone(),
            commits_left: AtomicUsize::new(0),
            kept: Mutex::new(Some(newcomer)),
            became: Arc::default(),
        });
        directory(&store).delete_scim_group(&call, scene.group).await.unwrap();
        assert_eq!(scene.world.state("person-0001", "octo-org").await, "none", "{on:?}");
        scene.world.check().await;
    }
}

/// A7: who renames holds the group still, and only of the version that they name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_15_nobody_came_and_went_before_a_version_is_held() {
    for on in BOTH {
        let scene = Scene::new(on, 2).await;
        let hubot = scene.world.group("hubot", &[]).await;
        let etags = Etags::parse(&hubot.version.to_string());
        let call = ScimCall { if_match: Some(&etags), ..scene.world.call() };
        let renamed = |_: &_| Ok::<_, ScimFault>((group_resource("lone"), MembersChange::default()));
        let rename = async |directory: &portcullis::directory::Directory| {
            directory.change_scim_group(&call, hubot.group.id, renamed).await
        };
        let late = about_to(&scene.world, rename).await;
        scene.world.add(hubot.group.id, scene.first).await.unwrap();
        scene.world.remove(hubot.group.id, scene.first).await.unwrap();
        assert_eq!(scene.world.store.commit(late).await.unwrap(), Committed::Conflict, "{on:?}");
        let again = rename(&scene.world.directory).await;
        assert!(matches!(again, Err(ScimFault::VersionMismatch)), "{again:?}");
    }
}
