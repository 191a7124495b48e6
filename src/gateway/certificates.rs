//! When certificates expire: the IdPs' and our own, as a metric and as warnings, looked at every day and after a change.
use std::{collections::HashMap, pin::pin, sync::Arc, time::Duration};

use tokio::sync::Notify;

use crate::{
    domain::{EnterpriseSlug, Timestamp},
    edge::gate::EnterpriseGate,
    saml::{CertificateInfo, OwnKey},
    telemetry::Metrics,
};

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// Days left at which a warning becomes due, the last one as an error: time to ask for a new certificate, to hurry, to act.
const WARNING_DAYS: [i64; 3] = [30, 7, 1];

/// Our own certificates of one enterprise, by use.
pub struct OwnCertificates {
    pub signing: Vec<CertificateInfo>,
    pub decryption: Vec<CertificateInfo>,
}

impl OwnCertificates {
    pub fn of(signing: &[OwnKey], decryption: &[OwnKey]) -> Self {
        let info = |keys: &[OwnKey]| keys.iter().map(|key| key.certificate().clone()).collect();
        Self { signing: info(signing), decryption: info(decryption) }
    }
}

/// All certificates there are.
pub struct Certificates {
    pub enterprises: HashMap<EnterpriseSlug, Arc<EnterpriseGate>>,
    pub own: Vec<(EnterpriseSlug, OwnCertificates)>,
    pub metrics: Metrics,
}

impl Certificates {
    /// Looks again once a day and whenever `changed` is told, until `stopping` is ready.
    pub async fn watch(self, changed: Arc<Notify>, stopping: impl Future<Output = ()>) {
        let mut stopping = pin!(stopping);
        loop {
            tokio::select! {
                () = &mut stopping => return,
                () = changed.notified() => {}
                () = tokio::time::sleep(Duration::from_secs(DAY_SECONDS.unsigned_abs())) => {}
            }
            self.export(Timestamp::now());
        }
    }

    /// Sets the metric and warns. An expired certificate verifies and signs all the same, because the key is what is
    /// trusted (S-58), but the other side may think otherwise.
    pub fn export(&self, now: Timestamp) {
        let mut expiries = Vec::new();
        for (slug, enterprise) in &self.enterprises {
            let Ok(connection) = enterprise.connection(now) else { continue };
            for certificate in connection.certificates() {
                note(&mut expiries, "idp_signing", slug, certificate, now);
            }
        }
        for (slug, own) in &self.own {
            own.signing.iter().for_each(|info| note(&mut expiries, "own_signing", slug, info, now));
            own.decryption.iter().for_each(|info| note(&mut expiries, "own_decryption", slug, info, now));
        }
        self.metrics.set_certificate_expiries(expiries);
    }
}

fn note(
    expiries: &mut Vec<(String, i64)>,
    purpose: &str,
    slug: &EnterpriseSlug,
    certificate: &CertificateInfo,
    now: Timestamp,
) {
    let Some(end) = certificate.not_after else { return };
    let fingerprint = certificate.fingerprint_sha256.get(..16).unwrap_or_default();
    expiries.push((format!("{purpose}:{slug}:{fingerprint}"), end.as_second()));
    let subject = &certificate.subject;
    let enterprise = slug.as_str();
    match urgency(end, now) {
        None => {}
        Some(days) if days <= 1 => {
            tracing::error!(enterprise, purpose, subject, fingerprint, %end, "a certificate expires within a day or has expired");
        }
        Some(days) => {
            tracing::warn!(enterprise, purpose, subject, fingerprint, %end, "a certificate expires within {days} days");
        }
    }
}

/// The smallest of the warning days that `end` is within; `None` if it is further away than all.
fn urgency(end: Timestamp, now: Timestamp) -> Option<i64> {
    let left = end.as_second().saturating_sub(now.as_second());
    WARNING_DAYS.into_iter().filter(|days| left < days * DAY_SECONDS).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_58_warnings_come_before_the_end() {
        let at = |days: i64| Timestamp::from_second(days * DAY_SECONDS).unwrap();
        let urgency = |days| urgency(at(100), at(days));
        assert_eq!(
            [0, 70, 71, 93, 94, 99, 100, 200].map(urgency),
            [None, None, Some(30), Some(30), Some(7), Some(7), Some(1), Some(1)]
        );
    }
}
