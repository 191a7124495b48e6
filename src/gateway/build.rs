//! From settings to a gate: everything that can fail is made before anything is changed.
use std::{collections::HashMap, sync::Arc};

use super::StartError;
use crate::{
    access::Routes,
    api::{
        Api,
        scim::{self, Scim},
    },
    config::{self, EnterpriseSettings},
    directory::{
        Directory,
        outbox::{Outbox, Sender},
    },
    domain::{EnterpriseSlug, Timestamp},
    edge::{
        gate::{EnterpriseGate, Gate},
        listener::ServeError,
        metadata::OwnMetadata,
        router::{Home, Router},
        sign_in::chooser::Domains,
        worker::Gates,
    },
    mail::Mailer,
    proxy::Proxy,
    saml::{Connection, ConnectionSlot},
    second_opinion::SecondOpinion,
    telemetry::Metrics,
};

/// What outlives every configuration.
#[derive(Clone)]
pub struct Lasting {
    pub directory: Arc<Directory>,
    pub metrics: Metrics,
    pub now: fn() -> Timestamp,
}

/// A gate of these settings. Connections that metadata describes stay in the slots that are `kept`, by enterprise; new ones
/// are empty.
pub fn gate(
    settings: &config::Settings,
    lasting: &Lasting,
    kept: &HashMap<EnterpriseSlug, ConnectionSlot>,
) -> Result<Gate, StartError> {
    let mut enterprises = HashMap::new();
    for enterprise in &settings.enterprises {
        let kept = kept.get(&enterprise.slug);
        enterprises.insert(enterprise.slug.clone(), Arc::new(open(enterprise, kept)?));
    }
    let homes = settings.enterprises.iter();
    let homes: Vec<_> = homes.map(|e| Home { enterprise: &e.slug, acs_urls: &e.acs_urls }).collect();
    // Each worker makes its own of the same settings.
    Proxy::new(&settings.proxy).map_err(ServeError::from)?;
    let api = Api::new(
        lasting.directory.clone(),
        settings.enterprises.iter().map(EnterpriseSettings::tenant),
        lasting.now,
        settings.edge.api_limits,
    );
    let tenant = |enterprise: &EnterpriseSettings| scim::Tenant {
        enterprise: enterprise.tenant(),
        settings: enterprise.scim.clone(),
    };
    let scim = Scim::new(
        lasting.directory.clone(),
        settings.enterprises.iter().map(tenant),
        lasting.metrics.clone(),
        lasting.now,
    );
    Ok(Gate {
        api,
        scim,
        directory: lasting.directory.clone(),
        routes: Routes::new(settings.routes.clone()).map_err(StartError::Routes)?,
        own: Router::new(&homes, settings.edge.own_host.as_deref())?,
        enterprises,
        domains: domains(settings),
        settings: settings.edge.clone(),
        proxy: settings.proxy.clone(),
        metrics: lasting.metrics.clone(),
        now: lasting.now,
    })
}

/// What sends mails: about the enterprises that are configured at the moment, with links to where their people sign in.
pub fn outbox(mailer: Mailer, lasting: &Lasting, gates: &Arc<Gates>) -> Outbox {
    let gates = gates.clone();
    let senders = move || {
        let gate = gates.load();
        let sender = |open: &Arc<EnterpriseGate>| {
            let enterprise = open.enterprise.clone();
            if gate.settings.own_host.is_some() {
                return Some(Sender { enterprise, base_url: gate.settings.public_url.origin() });
            }
            let url = open.acs_urls.first()?;
            let base_url = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            Some(Sender { enterprise, base_url })
        };
        gate.enterprises.values().filter_map(sender).collect()
    };
    let Lasting { directory, now, .. } = lasting.clone();
    Outbox { directory, mailer, senders: Box::new(senders), now }
}

fn open(settings: &EnterpriseSettings, kept: Option<&ConnectionSlot>) -> Result<EnterpriseGate, StartError> {
    let no_opinion = |source| StartError::SecondOpinion { enterprise: settings.slug.clone(), source };
    let fault = |source| StartError::Connection { enterprise: settings.slug.clone(), source };
    Ok(EnterpriseGate {
        enterprise: settings.tenant(),
        connection: match settings.metadata {
            None => ConnectionSlot::of(Connection::new(settings.saml.clone()).map_err(fault)?),
            Some(_) => kept.cloned().unwrap_or_default(),
        },
        own_metadata: OwnMetadata::new(
            settings.saml.clone(),
            settings.own_descriptor(),
            settings.own_metadata_validity_seconds,
        ),
        second_opinion: match settings.second_opinion {
            true => Some(SecondOpinion::new().map_err(no_opinion)?),
            false => None,
        },
        acs_urls: settings.acs_urls.clone(),
        idp_initiated_targets: settings.idp_initiated_targets.clone(),
        idp_entity_id: settings.saml.idp_entity_id.clone(),
        subject: settings.saml.subject.clone(),
    })
}

fn domains(settings: &config::Settings) -> Domains {
    let of = |enterprise: &EnterpriseSettings| {
        let slug = enterprise.slug.clone();
        enterprise.email_domains.clone().into_iter().map(move |domain| (domain, slug.clone()))
    };
    Domains::new(settings.enterprises.iter().flat_map(of))
}
