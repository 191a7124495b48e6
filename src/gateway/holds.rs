//! Shows how many removals wait for an owner: another gateway, or the command line, may change it.
use std::{pin::pin, sync::Arc, time::Duration};

use crate::directory::{Directory, Enterprise};

/// What this gateway changes itself shows at once.
const EVERY: Duration = Duration::from_secs(30);

/// Ends when `stop` does.
pub async fn watch(directory: Arc<Directory>, tenants: Vec<Enterprise>, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    loop {
        for tenant in &tenants {
            directory.export_holds(tenant).await;
        }
        if tokio::time::timeout(EVERY, &mut stop).await.is_ok() {
            return;
        }
    }
}
