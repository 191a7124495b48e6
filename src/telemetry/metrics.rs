//! Metrics by their names in the outside world.
use std::sync::Arc;

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};

use super::{
    Trigger,
    histogram::DurationHistogram,
    traffic::{Recorder, Traffic},
};

/// All metrics of a process. Clones count into the same ones.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    traffic: Traffic,
    saml_responses: Family<SamlLabels, Counter>,
    saml_logouts: Family<SamlLabels, Counter>,
    provisioning_changes: Family<ChangeLabels, Counter>,
    sessions: Counter,
    mails: Family<ResultLabel, Counter>,
    store_durations: Family<OperationLabel, DurationHistogram>,
    certificate_expiries: Family<UseLabel, Gauge>,
    reload_success: Gauge,
    removals_held: Family<EnterpriseLabel, Gauge>,
    metadata_refreshes: Family<RefreshLabels, Counter>,
    metadata_ends: Family<EnterpriseLabel, Gauge>,
    metadata_alarms: Family<EnterpriseLabel, Gauge>,
    push_listening: Gauge,
    webhook_attempts: Family<WebhookResultLabels, Counter>,
    webhook_lags: Family<WebhookLabels, Gauge>,
    scim_requests: Family<ScimLabels, Counter>,
    scim_token_expiries: Family<ScimTokenLabels, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SamlLabels {
    result: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabels {
    trigger: &'static str,
    change: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefreshLabels {
    enterprise: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ScimLabels {
    enterprise: String,
    operation: &'static str,
    code: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ScimTokenLabels {
    enterprise: String,
    token: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EnterpriseLabel {
    enterprise: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookResultLabels {
    webhook: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookLabels {
    webhook: String,
    enterprise: String,
}

/// `use` is no name that a field of a struct can show.
type UseLabel = [(&'static str, String); 1];

impl Metrics {
    pub fn new() -> Self {
        let traffic = Traffic::default();
        let mut inner = Inner {
            registry: Registry::default(),
            traffic,
            saml_responses: Family::default(),
            saml_logouts: Family::default(),
            provisioning_changes: Family::default(),
            sessions: Counter::default(),
            mails: Family::default(),
            store_durations: Family::default(),
            certificate_expiries: Family::default(),
            reload_success: Gauge::default(),
            removals_held: Family::default(),
            metadata_refreshes: Family::default(),
            metadata_ends: Family::default(),
            metadata_alarms: Family::default(),
            push_listening: Gauge::default(),
            webhook_attempts: Family::default(),
            webhook_lags: Family::default(),
            scim_requests: Family::default(),
            scim_token_expiries: Family::default(),
        };
        inner.reload_success.set(1);
        inner.register();
        Self(Arc::new(inner))
    }

    /// A worker's own counts of requests.
    pub fn recorder(&self) -> Recorder {
        self.0.traffic.recorder()
    }

    /// Counts an accepted response.
    pub fn saml_accepted(&self) {
        self.saml("accepted", "");
    }

    /// Counts a refused response by the stable code of its reason.
    pub fn saml_refused(&self, reason: &'static str) {
        self.saml("refused", reason);
    }

    /// Counts an accepted LogoutRequest or LogoutResponse.
    pub fn logout_accepted(&self) {
        self.logout("accepted", "");
    }

    /// Counts a refused one by the stable code of its reason.
    pub fn logout_refused(&self, reason: &'static str) {
        self.logout("refused", reason);
    }

    /// Counts a membership change by its audit name.
    pub fn provisioning_change(&self, trigger: Trigger, change: &'static str) {
        let labels = ChangeLabels { trigger: trigger.as_str(), change };
        self.0.provisioning_changes.get_or_create(&labels).inc();
    }

    /// Counts an opened session.
    pub fn session_opened(&self) {
        self.0.sessions.inc();
    }

    /// Counts what became of one attempt at a mail: `sent`, `deferred`, `failed` or `obsolete`.
    pub fn mail(&self, result: &'static str) {
        self.0.mails.get_or_create(&ResultLabel { result }).inc();
    }

    /// The durations of one kind of store operation; ask once and keep the answer.
    pub fn store_operation(&self, operation: &'static str) -> DurationHistogram {
        self.0.store_durations.get_or_create_owned(&OperationLabel { operation })
    }

    /// Sets when certificates expire, in seconds since the Unix epoch, by what they are used for; forgets the others.
    pub fn set_certificate_expiries(&self, expiries: impl IntoIterator<Item = (String, i64)>) {
        self.0.certificate_expiries.clear();
        for (purpose, seconds) in expiries {
            self.0.certificate_expiries.get_or_create(&[("use", purpose)]).set(seconds);
        }
    }

    /// Counts a refresh of an IdP's metadata: `ok`, or the stable code of what was wrong.
    pub fn metadata_refreshed(&self, enterprise: &str, result: &'static str) {
        let labels = RefreshLabels { enterprise: enterprise.to_owned(), result };
        self.0.metadata_refreshes.get_or_create(&labels).inc();
    }

    /// Sets when an IdP's metadata ends, in seconds since the Unix epoch, and how much of its life is over: 0 for less than
    /// half, 1 from half on, 2 from four fifths on, 3 for all.
    pub fn set_metadata_life(&self, enterprise: &str, until_seconds: i64, alarm: i64) {
        let label = EnterpriseLabel { enterprise: enterprise.to_owned() };
        self.0.metadata_ends.get_or_create(&label).set(until_seconds);
        self.0.metadata_alarms.get_or_create(&label).set(alarm);
    }

    /// Sets how many removals wait for an owner's decision in an enterprise.
    pub fn set_removals_held(&self, enterprise: &str, count: i64) {
        let label = EnterpriseLabel { enterprise: enterprise.to_owned() };
        self.0.removals_held.get_or_create(&label).set(count);
    }

    /// More removals wait, or fewer, until they are counted again.
    pub fn add_removals_held(&self, enterprise: &str, more: i64) {
        let label = EnterpriseLabel { enterprise: enterprise.to_owned() };
        self.0.removals_held.get_or_create(&label).inc_by(more);
    }

    /// Forgets both of an enterprise that has no metadata any more.
    pub fn forget_metadata_life(&self, enterprise: &str) {
        let label = EnterpriseLabel { enterprise: enterprise.to_owned() };
        self.0.metadata_ends.remove(&label);
        self.0.metadata_alarms.remove(&label);
    }

    /// Whether what other gateways change is heard at once.
    pub fn set_push_listening(&self, is_listening: bool) {
        self.0.push_listening.set(i64::from(is_listening));
    }

    /// Counts what became of one attempt at a webhook: `delivered`, or the stable code of what was wrong.
    pub fn webhook_attempt(&self, webhook: &str, result: &'static str) {
        let labels = WebhookResultLabels { webhook: webhook.to_owned(), result };
        self.0.webhook_attempts.get_or_create(&labels).inc();
    }

    /// Sets how many events a webhook has not come to yet, wanted or not.
    pub fn set_webhook_lag(&self, webhook: &str, enterprise: &str, events: u64) {
        let labels = WebhookLabels { webhook: webhook.to_owned(), enterprise: enterprise.to_owned() };
        self.0.webhook_lags.get_or_create(&labels).set(i64::try_from(events).unwrap_or(i64::MAX));
    }

    /// Forgets how far webhooks are behind: others may be configured.
    pub fn forget_webhook_lags(&self) {
        self.0.webhook_lags.clear();
    }

    /// Counts a SCIM call of an enterprise by what it was and its status.
    pub fn scim_request(&self, enterprise: &str, operation: &'static str, status: u16) {
        let labels = ScimLabels { enterprise: enterprise.to_owned(), operation, code: status.into() };
        self.0.scim_requests.get_or_create(&labels).inc();
    }

    /// Sets when SCIM tokens run out, in seconds since the Unix epoch, by enterprise and token id; forgets the others.
    pub fn set_scim_token_expiries(&self, expiries: impl IntoIterator<Item = (String, String, i64)>) {
        self.0.scim_token_expiries.clear();
        for (enterprise, token, seconds) in expiries {
            self.0.scim_token_expiries.get_or_create(&ScimTokenLabels { enterprise, token }).set(seconds);
        }
    }

    /// Whether the last reading of the configuration succeeded.
    pub fn set_reload_success(&self, success: bool) {
        self.0.reload_success.set(i64::from(success));
    }

    /// OpenMetrics text, to be sent as `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    pub fn render(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut out, &self.0.registry);
        out
    }

    fn logout(&self, result: &'static str, reason: &'static str) {
        self.0.saml_logouts.get_or_create(&SamlLabels { result, reason }).inc();
    }

    fn saml(&self, result: &'static str, reason: &'static str) {
        self.0.saml_responses.get_or_create(&SamlLabels { result, reason }).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    /// Counters get their `_total` and info its `_info` from the encoder.
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register_collector(Box::new(self.traffic.clone()));
        let name = "portcullis_saml_responses";
        registry.register(name, "SAML responses by result and reason", self.saml_responses.clone());
        let name = "portcullis_saml_logouts";
        registry.register(name, "Logout messages by result and reason", self.saml_logouts.clone());
        let name = "portcullis_provisioning_changes";
        registry.register(name, "Membership changes by trigger and kind", self.provisioning_changes.clone());
        registry.register("portcullis_sessions", "Sessions opened", self.sessions.clone());
        registry.register("portcullis_mail", "Attempts at mails by result", self.mails.clone());
        let name = "portcullis_store_duration_seconds";
        registry.register(name, "Time that the store took", self.store_durations.clone());
        let name = "portcullis_certificate_expiry_seconds";
        let help = "When a certificate expires, in seconds since the Unix epoch";
        registry.register(name, help, self.certificate_expiries.clone());
        let help = "Whether the last reading of the configuration succeeded";
        registry.register("config_last_reload_success", help, self.reload_success.clone());
        let help = "Removals that the guard holds until an owner decides";
        registry.register("portcullis_removals_held", help, self.removals_held.clone());
        let name = "portcullis_metadata_refreshes";
        registry.register(name, "Refreshes of IdP metadata by result", self.metadata_refreshes.clone());
        let name = "portcullis_metadata_valid_until_seconds";
        let help = "Until when an IdP's metadata counts, in seconds since the Unix epoch; 0 without any";
        registry.register(name, help, self.metadata_ends.clone());
        let help = "How much of its life is over: 0 less than half, 1 half, 2 four fifths, 3 all";
        registry.register("portcullis_metadata_alarm", help, self.metadata_alarms.clone());
        let help = "Whether what other gateways change is heard at once; else within two seconds";
        registry.register("portcullis_push_listening", help, self.push_listening.clone());
        let help = "Attempts at webhooks by result";
        registry.register("portcullis_webhook_attempts", help, self.webhook_attempts.clone());
        let help = "Events of the audit stream that a webhook has not come to yet";
        registry.register("portcullis_webhook_lag_events", help, self.webhook_lags.clone());
        let name = "portcullis_scim_requests";
        registry.register(name, "SCIM calls by enterprise, operation and status", self.scim_requests.clone());
        let help = "When a SCIM token runs out, in seconds since the Unix epoch";
        registry.register("portcullis_scim_token_expiry_seconds", help, self.scim_token_expiries.clone());
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program that answers", build);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_metric_has_its_name() {
        let metrics = Metrics::new();
        metrics.recorder().route("app").observe(200, Duration::from_millis(3));
        metrics.saml_refused("audience_mismatch");
        metrics.logout_refused("logout_replayed");
        metrics.provisioning_change(Trigger::Saml, "org.add_member");
        metrics.session_opened();
        metrics.mail("sent");
        metrics.store_operation("commit").observe(Duration::from_millis(1));
        metrics.set_certificate_expiries([("idp/example".to_owned(), 2_000_000_000)]);
        metrics.set_removals_held("example", 3);
        metrics.metadata_refreshed("example", "ok");
        metrics.set_metadata_life("example", 7, 2);
        metrics.set_push_listening(true);
        metrics.webhook_attempt("siem", "delivered");
        metrics.set_webhook_lag("siem", "example", 4);
        metrics.scim_request("example", "users.create", 201);
        metrics.set_scim_token_expiries([("example".to_owned(), "ab".to_owned(), 5)]);
        let text = metrics.render();
        for line in [
            "portcullis_requests_total{route=\"app\",code=\"200\"} 1",
            "portcullis_requests_in_flight 0",
            "portcullis_request_duration_seconds_count{route=\"app\"} 1",
            "portcullis_request_duration_seconds_bucket{le=\"0.0025\",route=\"app\"} 0",
            "portcullis_request_duration_seconds_bucket{le=\"0.005\",route=\"app\"} 1",
            "portcullis_request_duration_seconds_bucket{le=\"+Inf\",route=\"app\"} 1",
            "portcullis_request_duration_seconds_sum{route=\"app\"} 0.003",
            "portcullis_saml_responses_total{result=\"refused\",reason=\"audience_mismatch\"} 1",
            "portcullis_saml_logouts_total{result=\"refused\",reason=\"logout_replayed\"} 1",
            "portcullis_provisioning_changes_total{trigger=\"saml\",change=\"org.add_member\"} 1",
            "portcullis_sessions_total 1",
            "portcullis_mail_total{result=\"sent\"} 1",
            "portcullis_store_duration_seconds_count{operation=\"commit\"} 1",
            "portcullis_certificate_expiry_seconds{use=\"idp/example\"} 2000000000",
            "config_last_reload_success 1",
            "portcullis_removals_held{enterprise=\"example\"} 3",
            "portcullis_metadata_refreshes_total{enterprise=\"example\",result=\"ok\"} 1",
            "portcullis_metadata_valid_until_seconds{enterprise=\"example\"} 7",
            "portcullis_push_listening 1",
            "portcullis_webhook_attempts_total{webhook=\"siem\",result=\"delivered\"} 1",
            "portcullis_webhook_lag_events{webhook=\"siem\",enterprise=\"example\"} 4",
            "portcullis_scim_requests_total{enterprise=\"example\",operation=\"users.create\",code=\"201\"} 1",
            "portcullis_scim_token_expiry_seconds{enterprise=\"example\",token=\"ab\"} 5",
            "portcullis_metadata_alarm{enterprise=\"example\"} 2",
            "build_info{version=\"0.1.0\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn workers_count_apart_and_are_added_up() {
        let metrics = Metrics::new();
        let (one, other) = (metrics.recorder(), metrics.recorder());
        one.route("app").observe(200, Duration::ZERO);
        other.route("app").observe(200, Duration::ZERO);
        other.route("app").observe(999, Duration::ZERO);
        let (first, _second) = (one.begin(), other.begin());
        drop(first);
        let text = metrics.render();
        assert!(text.contains("portcullis_requests_total{route=\"app\",code=\"200\"} 2"), "{text}");
        assert!(text.contains("portcullis_requests_total{route=\"app\",code=\"500\"} 1"), "{text}");
        assert!(text.contains("portcullis_requests_in_flight 1"), "{text}");
    }

    #[test]
    fn certificates_that_are_gone_are_forgotten() {
        let metrics = Metrics::new();
        metrics.set_certificate_expiries([("idp/old".to_owned(), 1)]);
        metrics.set_certificate_expiries([("idp/new".to_owned(), 2)]);
        let text = metrics.render();
        assert!(text.contains("idp/new") && !text.contains("idp/old"));
    }
}
