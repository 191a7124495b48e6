//! The tasks that deliver webhooks: as they are configured at the moment, each with a courier of its own.
use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};

use crate::{
    config,
    domain::Timestamp,
    edge::gate::Gate,
    store::Store,
    telemetry::Metrics,
    webhook::{Courier, Settings, Tenant},
};

/// How long an attempt that is under way may take when couriers are to stop: cut off, it would be made a second time.
const END_MAX: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct Webhooks {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Webhooks {
    /// Ends the couriers that are there, each after what it is at, and begins others. Where a new webhook begins is written
    /// down when this returns.
    pub async fn follow(
        &mut self,
        settings: &config::Settings,
        gate: &Gate,
        store: &Arc<dyn Store>,
        metrics: &Metrics,
    ) {
        self.stop.send_replace(true);
        self.stop = watch::Sender::new(false);
        metrics.forget_webhook_lags();
        // Those that ended are not listed for ever.
        while self.tasks.try_join_next().is_some() {}
        for webhook in &settings.webhooks {
            let Some(courier) = courier(webhook, gate, store, metrics, gate.now) else { continue };
            courier.begin().await;
            self.tasks.spawn(courier.run(self.stop.subscribe()));
        }
    }

    /// Ends all.
    pub async fn shutdown(&mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(END_MAX, ended).await;
        self.tasks.shutdown().await;
    }
}

/// `None` without randomness: then the gateway has worse troubles, which it tells itself.
fn courier(
    webhook: &Settings,
    gate: &Gate,
    store: &Arc<dyn Store>,
    metrics: &Metrics,
    now: fn() -> Timestamp,
) -> Option<Courier> {
    let enterprises = gate.enterprises.values().map(|open| &open.enterprise);
    let concerned = enterprises.filter(|enterprise| webhook.concerns(&enterprise.slug));
    let tenants = concerned.map(|e| Tenant { slug: e.slug.clone(), id: e.id }).collect();
    let mut holder = [0; 16];
    if let Err(error) = getrandom::fill(&mut holder) {
        tracing::error!(webhook = webhook.name, %error, "webhook not begun");
        return None;
    }
    Some(Courier::new(webhook.clone(), store.clone(), tenants, metrics.clone(), holder, now))
}
