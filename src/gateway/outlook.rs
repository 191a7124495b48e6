//! What deprovisioning does to each organization, told when it was switched on or given other rules while serving.
use std::sync::Arc;

use crate::{
    directory::{Directory, Enterprise},
    domain::Timestamp,
};

/// Reads everybody's last known groups, and tells the log what they come to.
pub async fn tell(directory: Arc<Directory>, tenants: Vec<Enterprise>, now: fn() -> Timestamp) {
    for tenant in tenants {
        let enterprise = tenant.slug.as_str();
        let preview = async {
            let settings = directory.settings(&tenant, now()).await?;
            directory.preview(&tenant, &settings, now()).await
        };
        match preview.await {
            Ok(preview) => {
                for line in preview.summary() {
                    tracing::warn!(enterprise, "deprovisioning, by the last known groups: {line}");
                }
            }
            Err(error) => tracing::error!(enterprise, %error, "deprovisioning: what it does is not known"),
        }
    }
}
