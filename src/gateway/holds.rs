//! Shows how many removals wait for an owner: another gateway, or the command line, may change it.
use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::directory::{Directory, Enterprise};

/// What this gateway changes itself shows at once.
const EVERY: Duration = Duration::from_secs(30);

/// Ends when `stopping` says so.
pub async fn watch(directory: Arc<Directory>, tenants: Vec<Enterprise>, mut stopping: watch::Receiver<bool>) {
    loop {
        for tenant in &tenants {
            directory.export_holds(tenant).await;
        }
        let told = stopping.wait_for(|stop| *stop);
        if tokio::time::timeout(EVERY, told).await.is_ok() {
            return;
        }
    }
}
