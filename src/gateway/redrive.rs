//! After a failover of the store: what was taken away lately is read back, and taken away again where it was brought back.
use std::{sync::Arc, time::Duration};

use crate::{
    directory::{Directory, Enterprise, Heard, Notes},
    domain::Timestamp,
    edge::worker::Gates,
};

/// Between two attempts: the store that has just failed over may not take writes yet.
const RETRY: Duration = Duration::from_millis(500);

/// Looks again whenever the store's data may be another than before, until all of it is as it was acknowledged. Until it is
/// aborted.
pub async fn watch(directory: Arc<Directory>, gates: Arc<Gates>, mut notes: Notes, now: fn() -> Timestamp) {
    while let Some(heard) = notes.next().await {
        if heard != Heard::Gap {
            continue;
        }
        let mut is_told = false;
        loop {
            let gate = gates.load();
            let tenants: Vec<Enterprise> =
                gate.enterprises.values().map(|open| open.enterprise.clone()).collect();
            match directory.redrive(&tenants, now()).await {
                Ok(_) => break,
                Err(error) => {
                    if !is_told {
                        tracing::warn!(%error, "removals are not read back yet: the store may have lost some");
                    }
                    is_told = true;
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}
