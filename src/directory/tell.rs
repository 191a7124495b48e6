//! Events that no change brings along: the audit stream is told of them by themselves.
use crate::{
    domain::Timestamp,
    store::StoreError,
    telemetry::{AuditEvent, AuditLine},
};

use super::{Directory, Enterprise, audit};

impl Directory {
    /// Tells the enterprise's audit stream, and the log.
    pub async fn tell(
        &self,
        enterprise: &Enterprise,
        event: &AuditEvent<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let line = AuditLine::of(event);
        self.store.batch(now, audit::append(enterprise, std::slice::from_ref(&line))).await?;
        line.log();
        Ok(())
    }
}
