//! What other gateways tell of: forgotten here at once.
use std::{sync::Arc, time::Duration};

use crate::{
    directory::{Directory, Notes},
    telemetry::Metrics,
};

/// Between two looks at whether notes arrive, in seconds.
const LISTENING_SECONDS: u64 = 1;

/// Forgets what changes elsewhere as soon as it is told, and tells the metrics whether it is; until it is aborted.
pub async fn notes(directory: Arc<Directory>, mut notes: Notes, metrics: Metrics) {
    let mut ticks = tokio::time::interval(Duration::from_secs(LISTENING_SECONDS));
    loop {
        tokio::select! {
            biased;
            heard = notes.next() => match heard {
                Some(heard) => directory.hear(heard),
                None => return,
            },
            _ = ticks.tick() => metrics.set_push_listening(directory.is_listening()),
        }
    }
}
