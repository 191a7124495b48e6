//! The tasks beside the listeners: what keeps connections up to date with metadata, and what looks after certificates.
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tokio::{
    sync::{Notify, watch},
    task::{AbortHandle, JoinSet},
};

use super::{
    certificates::{Certificates, OwnCertificates},
    holds, outlook, told,
    webhooks::Webhooks,
};
use crate::{
    config,
    domain::{EnterpriseSlug, Timestamp},
    edge::gate::Gate,
    metadata,
    store::Store,
    telemetry::Metrics,
};

pub struct Watches {
    store: Arc<dyn Store>,
    metrics: Metrics,
    stopping: watch::Receiver<bool>,
    /// Told when certificates may have changed.
    changed: Arc<Notify>,
    tasks: JoinSet<()>,
    by_enterprise: HashMap<EnterpriseSlug, AbortHandle>,
    certificates: Option<AbortHandle>,
    holds: Option<AbortHandle>,
    webhooks: Webhooks,
}

impl Watches {
    /// None yet; all end when `stopping` says so.
    pub fn new(store: Arc<dyn Store>, metrics: Metrics, stopping: watch::Receiver<bool>) -> Self {
        Self {
            store,
            metrics,
            stopping,
            changed: Arc::default(),
            tasks: JoinSet::new(),
            by_enterprise: HashMap::new(),
            certificates: None,
            holds: None,
            webhooks: Webhooks::default(),
        }
    }

    /// Lets those of the enterprises in `kept` go on, ends the others, and begins what is missing for the settings that
    /// `gate` was made of. What is at hand without the network is in use when this returns.
    pub async fn follow(
        &mut self,
        settings: &config::Settings,
        gate: &Gate,
        kept: &HashSet<EnterpriseSlug>,
        handles: &mut HashMap<EnterpriseSlug, metadata::Handle>,
    ) {
        let ended: Vec<_> = self.by_enterprise.keys().filter(|slug| !kept.contains(*slug)).cloned().collect();
        for slug in ended {
            self.by_enterprise.remove(&slug).inspect(AbortHandle::abort);
            handles.remove(&slug);
            self.metrics.forget_metadata_life(slug.as_str());
        }
        for enterprise in settings.enterprises.iter().filter(|enterprise| !kept.contains(&enterprise.slug)) {
            let slug = &enterprise.slug;
            let (Some(metadata), Some(open)) = (&enterprise.metadata, gate.enterprises.get(slug)) else {
                continue;
            };
            let home = metadata::Home {
                enterprise: open.enterprise.id,
                slug: slug.clone(),
                saml: enterprise.saml.clone(),
                slot: open.connection.clone(),
                store: self.store.clone(),
                metrics: self.metrics.clone(),
                changed: self.changed.clone(),
            };
            let (watch, handle) = metadata::Watch::open(metadata.clone(), home).await;
            let task = self.tasks.spawn(watch.run(told(self.stopping.clone())));
            self.by_enterprise.insert(slug.clone(), task);
            handles.insert(slug.clone(), handle);
        }
        self.look_after_certificates(settings, gate);
        self.count_holds(gate);
        self.webhooks.follow(settings, gate, &self.store, &self.metrics).await;
        // Those that were ended are not listed for ever.
        while self.tasks.try_join_next().is_some() {}
    }

    /// Has another task ended with these.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Tells the log what deprovisioning does in these enterprises; nobody waits for it.
    pub fn tell_outlook(&mut self, gate: &Gate, concerned: &[EnterpriseSlug]) {
        let tenants = concerned.iter().filter_map(|slug| gate.enterprises.get(slug));
        let tenants = tenants.map(|open| open.enterprise.clone()).collect();
        self.tasks.spawn(outlook::tell(gate.directory.clone(), tenants, gate.now));
    }

    fn count_holds(&mut self, gate: &Gate) {
        self.holds.take().inspect(AbortHandle::abort);
        let tenants = gate.enterprises.values().map(|open| open.enterprise.clone()).collect();
        let watch = holds::watch(gate.directory.clone(), tenants, told(self.stopping.clone()));
        self.holds = Some(self.tasks.spawn(watch));
    }

    /// Ends all.
    pub async fn shutdown(&mut self) {
        self.webhooks.shutdown().await;
        self.tasks.shutdown().await;
    }

    fn look_after_certificates(&mut self, settings: &config::Settings, gate: &Gate) {
        self.certificates.take().inspect(AbortHandle::abort);
        let own = settings.enterprises.iter().map(|enterprise| {
            let saml = &enterprise.saml;
            (enterprise.slug.clone(), OwnCertificates::of(&saml.signing_keys, &saml.decryption_keys))
        });
        let own = own.collect();
        let certificates =
            Certificates { enterprises: gate.enterprises.clone(), own, metrics: self.metrics.clone() };
        certificates.export(Timestamp::now());
        let task = self.tasks.spawn(certificates.watch(self.changed.clone(), told(self.stopping.clone())));
        self.certificates = Some(task);
    }
}
