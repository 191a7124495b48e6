//! Taking up another configuration while serving: no session and no connection is lost, and what is no good changes nothing.
//!
//! Everything that can fail is made first; then the gate is replaced as a whole. A request that is under way ends with the
//! gate that it began with.
use std::collections::{HashMap, HashSet};

use super::{Running, StartError, build};
use crate::{
    config::{self, Change, EnterpriseSettings, Fault, Loaded},
    domain::EnterpriseSlug,
    saml::ConnectionSlot,
};

/// Why another configuration was not taken up. The one before it goes on.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<Fault>),
    #[error(transparent)]
    Build(#[from] StartError),
}

/// What another configuration changed.
#[derive(Debug)]
pub struct Reloaded {
    pub applied: Vec<Change>,
    /// The running values stay.
    pub needs_restart: Vec<Change>,
}

impl Running {
    /// Takes up a configuration that was read anew, tells the log what it changed, or why it was refused, and the metrics
    /// whether it was taken up.
    pub async fn reload(&mut self, read: Result<Loaded, Vec<Fault>>) -> Result<Reloaded, ReloadError> {
        let outcome = match read {
            Ok(Loaded { settings, warnings }) => {
                warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
                self.apply(settings).await.map_err(ReloadError::from)
            }
            Err(faults) => Err(ReloadError::Config(faults)),
        };
        self.lasting.metrics.set_reload_success(outcome.is_ok());
        match &outcome {
            Ok(reloaded) => tell(reloaded),
            Err(ReloadError::Config(faults)) => {
                for fault in faults {
                    tracing::error!(%fault, "configuration refused: the one before it stays");
                }
            }
            Err(error) => tracing::error!(%error, "configuration refused: the one before it stays"),
        }
        outcome
    }

    async fn apply(&mut self, settings: config::Settings) -> Result<Reloaded, StartError> {
        let changes = self.settings.fingerprint.changes(&settings.fingerprint);
        let (needs_restart, applied): (Vec<_>, Vec<_>) = changes.into_iter().partition(Change::needs_restart);
        if applied.is_empty() {
            return Ok(Reloaded { applied, needs_restart });
        }
        let kept = self.unchanged_slots(&settings, &applied);
        let gate = build::gate(&settings, &self.lasting, &kept)?;
        let kept: HashSet<EnterpriseSlug> = kept.into_keys().collect();
        self.watches.follow(&settings, &gate, &kept, &mut self.metadata).await;
        self.directory.set_session_settings(settings.session.clone());
        self.directory.set_token_settings(settings.tokens.clone());
        let concerned = newly_deprovisioned(&self.settings, &settings);
        self.watches.tell_outlook(&gate, &concerned);
        self.gates.set(gate);
        self.tell_connections(&settings, &applied).await;
        let fingerprint = settings.fingerprint.with_fixed_of(&self.settings.fingerprint);
        self.settings = config::Settings { fingerprint, ..settings };
        Ok(Reloaded { applied, needs_restart })
    }

    /// Tells the audit stream whose connection has other settings now. Each gateway tells what it took up itself.
    async fn tell_connections(&self, settings: &config::Settings, applied: &[Change]) {
        for enterprise in &settings.enterprises {
            let table = connection_table(&enterprise.slug);
            let is_of = |change: &&Change| change.path.to_ascii_lowercase().starts_with(&table);
            let keys: Vec<String> = applied.iter().filter(is_of).map(|change| change.path.clone()).collect();
            if keys.is_empty() {
                continue;
            }
            let (tenant, issuer) = (enterprise.tenant(), enterprise.saml.idp_entity_id.as_str());
            let told = self.directory.tell_connection_changed(&tenant, issuer, &keys, (self.lasting.now)());
            if let Err(error) = told.await {
                let enterprise = enterprise.slug.as_str();
                tracing::warn!(enterprise, %error, "the audit stream could not be told of another connection");
            }
        }
    }

    /// The connections that metadata keeps up to date and that are asked for as they were: they stay what they are, with the
    /// tasks that follow the IdP.
    fn unchanged_slots(
        &self,
        settings: &config::Settings,
        applied: &[Change],
    ) -> HashMap<EnterpriseSlug, ConnectionSlot> {
        let gate = self.gates.load();
        let is_same = |enterprise: &&EnterpriseSettings| {
            let before = self.settings.enterprises.iter().find(|other| other.slug == enterprise.slug);
            before.is_some_and(|before| is_same_connection(before, enterprise, applied))
        };
        let same = settings.enterprises.iter().filter(is_same);
        same.filter_map(|enterprise| {
            let open = gate.enterprises.get(&enterprise.slug)?;
            Some((enterprise.slug.clone(), open.connection.clone()))
        })
        .collect()
    }
}

/// The enterprises in which deprovisioning is on and goes by something else than before.
fn newly_deprovisioned(before: &config::Settings, after: &config::Settings) -> Vec<EnterpriseSlug> {
    let is_on = |enterprise: &&EnterpriseSettings| enterprise.provisioning.policy.deprovisioning;
    let is_as_before = |enterprise: &EnterpriseSettings| {
        let same = before.enterprises.iter().find(|other| other.slug == enterprise.slug);
        same.is_some_and(|same| same.provisioning == enterprise.provisioning)
    };
    let changed = after.enterprises.iter().filter(is_on).filter(|enterprise| !is_as_before(enterprise));
    changed.map(|enterprise| enterprise.slug.clone()).collect()
}

fn is_same_connection(before: &EnterpriseSettings, after: &EnterpriseSettings, applied: &[Change]) -> bool {
    let (Some(one), Some(other)) = (&before.metadata, &after.metadata) else { return false };
    let table = connection_table(&after.slug);
    let is_said_anew = applied.iter().any(|change| change.path.to_ascii_lowercase().starts_with(&table));
    // What follows from other tables: the mode, the public URL, the hosts of routes, how many enterprises there are.
    let rules = |settings: &crate::metadata::Settings| {
        let rules = &settings.rules;
        (rules.own_authorities.clone(), rules.http_on_loopback, rules.public_keys.len())
    };
    !is_said_anew && before.saml.entity_id == after.saml.entity_id && rules(one) == rules(other)
}

/// What the paths of a connection's keys begin with, in lower case: they are spelled as the operator spells them, and account
/// names are compared in any case.
fn connection_table(enterprise: &EnterpriseSlug) -> String {
    format!("enterprise.{enterprise}.saml.").to_ascii_lowercase()
}

fn tell(reloaded: &Reloaded) {
    let list = |changes: &[Change]| changes.iter().map(Change::to_string).collect::<Vec<_>>().join(", ");
    match reloaded.applied.as_slice() {
        [] => tracing::info!("configuration read anew: nothing to take up"),
        applied => tracing::info!(changes = list(applied), "configuration taken up"),
    }
    if !reloaded.needs_restart.is_empty() {
        let changes = list(&reloaded.needs_restart);
        tracing::warn!(changes, "this part of the configuration needs a restart");
    }
}
