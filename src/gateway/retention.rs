//! Lets go what the audit streams have kept long enough.
use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;

use crate::{
    directory::Directory,
    domain::{EnterpriseId, EnterpriseSlug, Timestamp},
    edge::worker::Gates,
};

/// Between two looks: a day's events more or less are no matter.
const PAUSE_SECONDS: u64 = 60 * 60;

/// Trims every enterprise's stream again and again; several gateways do so without harm. Until it is aborted.
pub async fn retain(directory: Arc<Directory>, gates: Arc<Gates>, days: u32, now: fn() -> Timestamp) {
    let kept = SignedDuration::from_hours(i64::from(days) * 24);
    let mut ticks = tokio::time::interval(Duration::from_secs(PAUSE_SECONDS));
    loop {
        ticks.tick().await;
        let enterprises: Vec<(EnterpriseSlug, EnterpriseId)> =
            gates.load().enterprises.values().map(|e| (e.enterprise.slug.clone(), e.enterprise.id)).collect();
        let Ok(before) = now().checked_sub(kept) else { continue };
        for (slug, id) in enterprises {
            match directory.trim_audit(id, before, now()).await {
                Ok(0) => {}
                Ok(entries) => {
                    tracing::info!(enterprise = %slug, entries, "audit entries were kept long enough")
                }
                Err(error) => {
                    tracing::warn!(enterprise = %slug, %error, "the audit stream could not be trimmed")
                }
            }
        }
    }
}
