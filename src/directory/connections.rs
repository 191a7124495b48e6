//! What is told of an enterprise's connection to its IdP: it lies in the configuration, and its changes in the audit stream.
use crate::{
    domain::Timestamp,
    store::StoreError,
    telemetry::{AuditAction, AuditEvent, AuditLine, Trigger},
};

use super::{Directory, Enterprise, audit};

impl Directory {
    /// Tells that a running gateway took up other settings of the connection: `keys` are those that changed, `issuer` is the IdP
    /// that it now trusts.
    pub async fn tell_connection_changed(
        &self,
        enterprise: &Enterprise,
        issuer: &str,
        keys: &[String],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let changed = keys.join(", ");
        let event = AuditEvent::new(
            now,
            AuditAction::UpdateSamlSettings,
            Trigger::Operator,
            enterprise.slug.as_str(),
        );
        let line = AuditLine::of(&AuditEvent { issuer: Some(issuer), reason: Some(&changed), ..event });
        line.log();
        self.store.batch(now, audit::append(enterprise, &[line])).await.map(drop)
    }
}
