//! Goes on with changes of large groups that a gateway left behind unfinished.
use std::{sync::Arc, time::Duration};

use crate::{directory::Directory, domain::Timestamp, edge::worker::Gates};

/// Between two looks. The next call that changes the group goes on by itself; this is for a group that nobody changes.
const PAUSE_SECONDS: u64 = 60;

/// Looks at the start and again and again; several gateways do so without harm. Until it is aborted.
pub async fn resume(directory: Arc<Directory>, gates: Arc<Gates>, now: fn() -> Timestamp) {
    let mut ticks = tokio::time::interval(Duration::from_secs(PAUSE_SECONDS));
    loop {
        ticks.tick().await;
        let gate = gates.load();
        for tenant in gate.scim.tenants() {
            let Some(settings) = &tenant.settings else { continue };
            let (enterprise, slug) = (&tenant.enterprise, &tenant.enterprise.slug);
            match directory.resume_scim_jobs(enterprise, &settings.directory, now()).await {
                Ok(0) => {}
                Ok(groups) => {
                    tracing::info!(enterprise = %slug, groups, "changes of SCIM groups were finished")
                }
                Err(error) => {
                    tracing::warn!(enterprise = %slug, %error, "changes of SCIM groups could not be finished");
                }
            }
        }
    }
}
