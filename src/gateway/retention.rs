//! Lets go what the store has kept long enough: of the audit streams, and what nobody else takes away.
use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;

use crate::{
    directory::{Directory, Enterprise, Purged},
    domain::Timestamp,
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
        let enterprises: Vec<Enterprise> =
            gates.load().enterprises.values().map(|open| open.enterprise.clone()).collect();
        let Ok(before) = now().checked_sub(kept) else { continue };
        for enterprise in enterprises {
            let slug = enterprise.slug.as_str();
            match directory.trim_audit(enterprise.id, before, now()).await {
                Ok(0) => {}
                Ok(entries) => {
                    tracing::info!(enterprise = slug, entries, "audit entries were kept long enough")
                }
                Err(error) => {
                    tracing::warn!(enterprise = slug, %error, "the audit stream could not be trimmed")
                }
            }
            match directory.purge(&enterprise, now()).await {
                Ok(Purged { invitations: 0, mails: 0 }) => {}
                Ok(Purged { invitations, mails }) => {
                    tracing::info!(enterprise = slug, invitations, mails, "what nobody took away is gone")
                }
                Err(error) => {
                    tracing::warn!(enterprise = slug, %error, "what is too old could not be taken away")
                }
            }
        }
    }
}
