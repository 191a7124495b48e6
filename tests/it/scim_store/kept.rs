//! What a gateway is about to commit that has read a group: kept, to be carried out when somebody else was faster.
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use portcullis::{
    directory::{
        Directory,
        scim::{MembersChange, ScimCall, ScimFault},
    },
    domain::ScimId,
    scim::Resource,
    store::{BoxFuture, Commit, Committed, Store, StoreError},
};

use super::world::{World, directory};
use crate::support::layer::{Layer, in_front};

/// Keeps the first commit and carries out none.
struct Keeping {
    inner: Arc<dyn Store>,
    kept: Arc<Mutex<Option<Commit>>>,
}

impl Layer for Keeping {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        self.kept.lock().unwrap().get_or_insert(change);
        Box::pin(async { Ok(Committed::Conflict) })
    }
}

/// The first commit of what the act does.
pub async fn about_to<T>(world: &World, act: impl AsyncFnOnce(&Directory) -> Result<T, ScimFault>) -> Commit {
    let kept = Arc::new(Mutex::new(None));
    let store = in_front(Keeping { inner: world.store.clone(), kept: kept.clone() });
    let late = act(&directory(&store)).await.map(drop);
    assert!(matches!(late, Err(ScimFault::Contended(_))), "{late:?}");
    kept.lock().unwrap().take().unwrap()
}

pub async fn about_to_change(call: &ScimCall<'_>, world: &World, group: ScimId, to: MembersChange) -> Commit {
    let change = |resource: &Resource| Ok::<_, ScimFault>((resource.clone(), to.clone()));
    about_to(world, async |directory| directory.change_scim_group(call, group, change).await).await
}

pub async fn about_to_add(world: &World, group: ScimId, user: ScimId) -> Commit {
    let add = MembersChange { add: [user].into(), ..MembersChange::default() };
    about_to_change(&world.call(), world, group, add).await
}

/// Carries out what was kept, right before the commit of that number.
pub struct Before {
    pub inner: Arc<dyn Store>,
    pub commits_left: AtomicUsize,
    pub kept: Mutex<Option<Commit>>,
    pub became: Arc<Mutex<Option<Committed>>>,
}

impl Layer for Before {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        let is_now = self.commits_left.fetch_sub(1, SeqCst) == 0;
        let kept = if is_now { self.kept.lock().unwrap().take() } else { None };
        Box::pin(async move {
            if let Some(kept) = kept {
                let became = self.inner.commit(kept).await?;
                self.became.lock().unwrap().replace(became);
            }
            self.inner.commit(change).await
        })
    }
}
