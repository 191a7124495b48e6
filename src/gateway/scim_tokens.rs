//! Says in time that a SCIM token runs out: with the last one, provisioning stops, and an identity provider may give up for good.
use std::{sync::Arc, time::Duration};

use crate::{
    directory::{Directory, KnownScimToken},
    domain::{EnterpriseSlug, Timestamp},
    edge::worker::Gates,
    telemetry::Metrics,
};

/// Between two looks: what another gateway or the command line made shows by then.
const PAUSE_SECONDS: u64 = 60 * 60;
const DAY_SECONDS: i64 = 24 * 60 * 60;
/// Days left at which a warning becomes due, the last one as an error: time to plan, to hurry, to act.
const WARNING_DAYS: [i64; 3] = [30, 7, 1];

/// Looks again and again, until it is aborted.
pub async fn watch(directory: Arc<Directory>, gates: Arc<Gates>, metrics: Metrics, now: fn() -> Timestamp) {
    let mut ticks = tokio::time::interval(Duration::from_secs(PAUSE_SECONDS));
    let mut looked_at = None;
    loop {
        ticks.tick().await;
        let now = now();
        look(&directory, &gates, &metrics, looked_at, now).await;
        looked_at = Some(now);
    }
}

async fn look(
    directory: &Directory,
    gates: &Gates,
    metrics: &Metrics,
    looked_at: Option<Timestamp>,
    now: Timestamp,
) {
    let mut expiries = vec![];
    for open in gates.load().enterprises.values() {
        let (slug, id) = (&open.enterprise.slug, open.enterprise.id);
        match directory.scim_tokens(id, now).await {
            Ok(tokens) => {
                let expiry = |known: &KnownScimToken| {
                    (slug.to_string(), known.token.id.to_string(), known.token.expires_at.as_second())
                };
                expiries.extend(tokens.iter().map(expiry));
                tokens.iter().for_each(|known| warn(slug, known, looked_at, now));
            }
            Err(error) => tracing::warn!(enterprise = %slug, %error, "SCIM tokens could not be looked at"),
        }
    }
    metrics.set_scim_token_expiries(expiries);
}

/// Warns once for each step that was reached since the last look.
fn warn(enterprise: &EnterpriseSlug, known: &KnownScimToken, looked_at: Option<Timestamp>, now: Timestamp) {
    let token = &known.token;
    let Some(days) = due(token.expires_at, looked_at, now) else { return };
    let (id, name, expires_at) = (token.id, token.name.as_str(), token.expires_at);
    match days {
        0 => tracing::error!(%enterprise, token = %id, name, %expires_at, "a SCIM token has run out"),
        1 => {
            tracing::error!(%enterprise, token = %id, name, %expires_at, "a SCIM token runs out: make another one")
        }
        _ => {
            tracing::warn!(%enterprise, token = %id, name, %expires_at, "a SCIM token runs out: make another one")
        }
    }
}

/// The step that was reached since the last look, in days that are left; 0 once it has run out.
fn due(expires_at: Timestamp, looked_at: Option<Timestamp>, now: Timestamp) -> Option<i64> {
    let step = |at: Timestamp| {
        let left = expires_at.as_second() - at.as_second();
        let reached = |days: &i64| left <= days * DAY_SECONDS;
        if left <= 0 { Some(0) } else { WARNING_DAYS.into_iter().filter(reached).min() }
    };
    step(now).filter(|reached| looked_at.and_then(step) != Some(*reached))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_told_once_and_after_a_start_the_one_that_counts() {
        let at = |days: f64| Timestamp::from_second((days * 86_400.0) as i64 + 1_000_000_000).unwrap();
        let told = |looked_at: Option<f64>, now: f64| due(at(100.0), looked_at.map(at), at(now));
        assert_eq!(told(None, 10.0), None);
        assert_eq!(told(Some(69.9), 70.0), Some(30));
        assert_eq!(told(Some(70.0), 70.1), None);
        assert_eq!(told(None, 80.0), Some(30));
        assert_eq!(told(Some(92.0), 93.0), Some(7));
        assert_eq!(told(Some(98.9), 99.5), Some(1));
        assert_eq!(told(Some(99.5), 100.0), Some(0));
        assert_eq!(told(Some(100.0), 101.0), None);
    }
}
