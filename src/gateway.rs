//! The composition root: settings in, a running gateway out.
use std::{collections::HashMap, io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    access::{RouteFault, Routes},
    admin,
    config::{self, EnterpriseSettings},
    directory::{Directory, Enterprise},
    domain::{EnterpriseId, EnterpriseSlug, Timestamp},
    edge::{
        gate::{EnterpriseGate, Gate},
        listener::{self, ServeError, Workers},
        router::{Home, Router, UrlFault},
    },
    saml::{Connection, ConnectionError, ConnectionSlot},
    store::{Store, Timed},
    telemetry::Metrics,
};

/// A certificate is warned about when it has less than this to go.
const EXPIRY_WARNING_SECONDS: i64 = 30 * 24 * 60 * 60;

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("enterprise {enterprise}: {source}")]
    Connection { enterprise: EnterpriseSlug, source: ConnectionError },
    #[error("routes: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Routes(Vec<RouteFault>),
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
    stop: watch::Sender<bool>,
    workers: Workers,
    admin: JoinHandle<io::Result<()>>,
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
    let store = Arc::new(Timed::new(store, &metrics));
    let directory = Arc::new(Directory::new(store, settings.session.clone(), metrics.clone()));
    let mut enterprises = HashMap::new();
    for enterprise in &settings.enterprises {
        enterprises.insert(enterprise.slug.clone(), Arc::new(open(enterprise)?));
    }
    export_certificates(&enterprises, now(), &metrics);
    let homes = settings.enterprises.iter();
    let homes: Vec<_> = homes.map(|e| Home { enterprise: &e.slug, acs_urls: &e.acs_urls }).collect();
    let gate = Arc::new(Gate {
        directory: directory.clone(),
        routes: Routes::new(settings.routes.clone()).map_err(StartError::Routes)?,
        own: Router::new(&homes)?,
        enterprises,
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
    let workers = public.serve(&gate, &settings.proxy, &stopping)?;
    let mut admin_stopping = stopping.clone();
    let admin_stop = async move {
        // A sender that is gone stops it as well.
        let _ = admin_stopping.wait_for(|stop| *stop).await;
    };
    let admin = tokio::spawn(admin::serve(admin_listener, directory.clone(), metrics, admin_stop));
    Ok(Running { public_address, private_address, directory, stop, workers, admin })
}

impl Running {
    /// Takes no further request, lets those under way end, and returns when all have.
    pub async fn shutdown(self) {
        let Self { stop, workers, admin, .. } = self;
        stop.send_replace(true);
        // The workers' threads are waited for outside of the runtime that the private listener needs to end.
        let _ = tokio::task::spawn_blocking(move || workers.join()).await;
        admin.abort();
    }
}

fn open(settings: &EnterpriseSettings) -> Result<EnterpriseGate, StartError> {
    let fault = |source| StartError::Connection { enterprise: settings.slug.clone(), source };
    Ok(EnterpriseGate {
        enterprise: Enterprise {
            slug: settings.slug.clone(),
            id: EnterpriseId::of(&settings.slug),
            provisioning: settings.provisioning.clone(),
        },
        connection: ConnectionSlot::of(Connection::new(settings.saml.clone()).map_err(fault)?),
        acs_urls: settings.acs_urls.clone(),
    })
}

/// When each certificate expires, as a metric, and as a warning where that is near or past: an expired one verifies all the
/// same, because the key is what is trusted (S-58).
fn export_certificates(
    enterprises: &HashMap<EnterpriseSlug, Arc<EnterpriseGate>>,
    now: Timestamp,
    metrics: &Metrics,
) {
    let mut expiries = Vec::new();
    for (slug, enterprise) in enterprises {
        let Ok(connection) = enterprise.connection(now) else { continue };
        for certificate in connection.certificates() {
            let Some(end) = certificate.not_after else { continue };
            let fingerprint = certificate.fingerprint_sha256.get(..16).unwrap_or_default();
            expiries.push((format!("idp_signing:{slug}:{fingerprint}"), end.as_second()));
            if end.as_second() - now.as_second() < EXPIRY_WARNING_SECONDS {
                tracing::warn!(enterprise = slug.as_str(), subject = certificate.subject, %end, "a certificate of the IdP expires soon or has expired");
            }
        }
    }
    metrics.set_certificate_expiries(expiries);
}
