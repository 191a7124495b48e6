//! The composition root: settings in, a running gateway out.
mod certificates;

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};

use self::certificates::{Certificates, OwnCertificates};
use crate::{
    access::{RouteFault, Routes},
    admin,
    config::{self, EnterpriseSettings},
    directory::{
        Directory, Enterprise,
        outbox::{Outbox, Sender},
    },
    domain::{EnterpriseId, EnterpriseSlug, Timestamp},
    edge::{
        gate::{EnterpriseGate, Gate},
        listener::{self, ServeError, Workers},
        metadata::OwnMetadata,
        router::{Home, Router, UrlFault},
        sign_in::chooser::Domains,
    },
    mail::{Mailer, MailerError},
    metadata,
    saml::{Connection, ConnectionError, ConnectionSlot},
    second_opinion::{self, SecondOpinion},
    store::{Store, Timed},
    telemetry::Metrics,
};

/// How long a mail that is under way may take when the gateway stops.
const MAIL_END_MAX: Duration = Duration::from_secs(10);

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("enterprise {enterprise}: {source}")]
    Connection { enterprise: EnterpriseSlug, source: ConnectionError },
    #[error("enterprise {enterprise}: {source}")]
    SecondOpinion { enterprise: EnterpriseSlug, source: second_opinion::Unavailable },
    #[error("routes: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Routes(Vec<RouteFault>),
    #[error(transparent)]
    Mail(#[from] MailerError),
    #[error("ACS URL: {0}")]
    AcsUrl(#[from] UrlFault),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// A gateway that serves until [`Running::shutdown`].
pub struct Running {
    pub public_address: SocketAddr,
    pub private_address: SocketAddr,
    pub directory: Arc<Directory>,
    /// Of the enterprises whose IdP is described by metadata.
    pub metadata: HashMap<EnterpriseSlug, metadata::Handle>,
    stop: watch::Sender<bool>,
    workers: Workers,
    admin: JoinHandle<io::Result<()>>,
    /// What keeps connections up to date and looks after certificates.
    watches: JoinSet<()>,
    /// What sends mails, if any are sent.
    outbox: Option<JoinHandle<()>>,
}

/// Takes the ports and serves. The calling runtime serves the private listener; each worker has a thread of its own.
pub async fn start(
    settings: &config::Settings,
    store: Arc<dyn Store>,
    metrics: Metrics,
) -> Result<Running, StartError> {
    start_at(settings, store, metrics, Timestamp::now).await
}

/// [`start`] with a clock: messages are judged, and records expire, by it.
pub async fn start_at(
    settings: &config::Settings,
    store: Arc<dyn Store>,
    metrics: Metrics,
    now: fn() -> Timestamp,
) -> Result<Running, StartError> {
    let store: Arc<dyn Store> = Arc::new(Timed::new(store, &metrics));
    let directory = Directory::new(store.clone(), settings.session.clone(), metrics.clone());
    let directory = Arc::new(match &settings.mail {
        Some(mail) => directory.with_mail(mail.notices),
        None => directory,
    });
    let outbox = outbox(settings, &directory, now)?;
    let mut enterprises = HashMap::new();
    for enterprise in &settings.enterprises {
        enterprises.insert(enterprise.slug.clone(), Arc::new(open(enterprise)?));
    }
    let homes = settings.enterprises.iter();
    let homes: Vec<_> = homes.map(|e| Home { enterprise: &e.slug, acs_urls: &e.acs_urls }).collect();
    let gate = Arc::new(Gate {
        directory: directory.clone(),
        routes: Routes::new(settings.routes.clone()).map_err(StartError::Routes)?,
        own: Router::new(&homes)?,
        enterprises: enterprises.clone(),
        domains: domains(settings),
        settings: settings.edge.clone(),
        metrics: metrics.clone(),
        now,
    });

    let listen = |address| move |source| StartError::Listen { address, source };
    let private = settings.admin.listen;
    let admin_listener = TcpListener::bind(private).await.map_err(listen(private))?;
    let private_address = admin_listener.local_addr().map_err(listen(private))?;
    let public = listener::bind(&settings.edge).map_err(listen(settings.edge.listen))?;
    let public_address = public.local_addr();
    let (stop, stopping) = watch::channel(false);
    let (metadata, watches) = watch_idps(settings, &enterprises, &store, &metrics, &stopping).await;
    let outbox = outbox.map(|outbox| tokio::spawn(outbox.run(stopping.clone())));
    let workers = public.serve(&gate, &settings.proxy, &stopping)?;
    let mut admin_stopping = stopping.clone();
    let admin_stop = async move {
        // A sender that is gone stops it as well.
        let _ = admin_stopping.wait_for(|stop| *stop).await;
    };
    let admin = tokio::spawn(admin::serve(admin_listener, directory.clone(), metrics, admin_stop));
    Ok(Running { public_address, private_address, directory, metadata, stop, workers, admin, watches, outbox })
}

impl Running {
    /// Takes no further request, lets those under way end, and returns when all have.
    pub async fn shutdown(self) {
        let Self { stop, workers, admin, mut watches, outbox, .. } = self;
        stop.send_replace(true);
        // The workers' threads are waited for outside of the runtime that the private listener needs to end.
        let _ = tokio::task::spawn_blocking(move || workers.join()).await;
        if let Some(mut outbox) = outbox {
            // A mail that is under way gets its answer: cut off here, it would be sent a second time.
            let ended = tokio::time::timeout(MAIL_END_MAX, &mut outbox).await;
            if ended.is_err() {
                outbox.abort();
                let _ = outbox.await;
            }
        }
        // They hold the store; whoever opens it next must find it let go.
        watches.shutdown().await;
        admin.abort();
        let _ = admin.await;
    }
}

/// Starts what keeps connections up to date and looks after certificates; ends when `stopping` says so. What is at hand
/// without the network is in use when this returns.
async fn watch_idps(
    settings: &config::Settings,
    enterprises: &HashMap<EnterpriseSlug, Arc<EnterpriseGate>>,
    store: &Arc<dyn Store>,
    metrics: &Metrics,
    stopping: &watch::Receiver<bool>,
) -> (HashMap<EnterpriseSlug, metadata::Handle>, JoinSet<()>) {
    let changed = Arc::new(Notify::new());
    let (mut handles, mut watches) = (HashMap::new(), JoinSet::new());
    let mut own = vec![];
    for enterprise in &settings.enterprises {
        let slug = &enterprise.slug;
        let saml = &enterprise.saml;
        own.push((slug.clone(), OwnCertificates::of(&saml.signing_keys, &saml.decryption_keys)));
        let (Some(metadata), Some(gate)) = (&enterprise.metadata, enterprises.get(slug)) else { continue };
        let home = metadata::Home {
            enterprise: gate.enterprise.id,
            slug: slug.clone(),
            saml: saml.clone(),
            slot: gate.connection.clone(),
            store: store.clone(),
            metrics: metrics.clone(),
            changed: changed.clone(),
        };
        let (watch, handle) = metadata::Watch::open(metadata.clone(), home).await;
        watches.spawn(watch.run(stopping.clone()));
        handles.insert(slug.clone(), handle);
    }
    let certificates = Certificates { enterprises: enterprises.clone(), own, metrics: metrics.clone() };
    certificates.export(Timestamp::now());
    watches.spawn(certificates.watch(changed, stopping.clone()));
    (handles, watches)
}

fn open(settings: &EnterpriseSettings) -> Result<EnterpriseGate, StartError> {
    let no_opinion = |source| StartError::SecondOpinion { enterprise: settings.slug.clone(), source };
    let fault = |source| StartError::Connection { enterprise: settings.slug.clone(), source };
    Ok(EnterpriseGate {
        enterprise: known(settings),
        connection: match settings.metadata {
            None => ConnectionSlot::of(Connection::new(settings.saml.clone()).map_err(fault)?),
            Some(_) => ConnectionSlot::default(),
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

/// What sends mails, if the configuration names a server; mails are about an enterprise and link to where its people sign in.
fn outbox(
    settings: &config::Settings,
    directory: &Arc<Directory>,
    now: fn() -> Timestamp,
) -> Result<Option<Outbox>, StartError> {
    let Some(mail) = &settings.mail else { return Ok(None) };
    let sender = |enterprise: &EnterpriseSettings| {
        let url = enterprise.acs_urls.first()?;
        Some(Sender {
            enterprise: known(enterprise),
            base_url: url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/"),
        })
    };
    let senders = settings.enterprises.iter().filter_map(sender).collect();
    Ok(Some(Outbox { directory: directory.clone(), mailer: Mailer::new(mail.clone())?, senders, now }))
}

/// What the directory knows of an enterprise.
fn known(settings: &EnterpriseSettings) -> Enterprise {
    Enterprise {
        slug: settings.slug.clone(),
        id: EnterpriseId::of(&settings.slug),
        owners: settings.owners.clone(),
        provisioning: settings.provisioning.clone(),
    }
}

fn domains(settings: &config::Settings) -> Domains {
    let of = |enterprise: &EnterpriseSettings| {
        let slug = enterprise.slug.clone();
        enterprise.email_domains.clone().into_iter().map(move |domain| (domain, slug.clone()))
    };
    Domains::new(settings.enterprises.iter().flat_map(of))
}
