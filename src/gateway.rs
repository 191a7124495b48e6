//! The composition root: settings in, a running gateway out.
mod build;
mod certificates;
mod hear;
mod holds;
mod outlook;
mod redrive;
mod reload;
mod retention;
mod scim_jobs;
mod scim_tokens;
mod watches;
mod webhooks;

use std::{
    collections::{HashMap, HashSet},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use self::{build::Lasting, watches::Watches};
use crate::{
    access::RouteFault,
    admin, config,
    directory::Directory,
    domain::{EnterpriseSlug, Timestamp},
    edge::{
        listener::{self, ServeError, Workers},
        router::UrlFault,
        worker::Gates,
    },
    mail::{Mailer, MailerError},
    metadata,
    saml::ConnectionError,
    second_opinion,
    store::{Store, Timed},
    telemetry::Metrics,
};

pub use self::reload::{ReloadError, Reloaded};

/// How long a mail that is under way may take when the gateway stops.
const MAIL_END_MAX: Duration = Duration::from_secs(10);

/// Why a gateway does not start, or does not take up another configuration.
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
    watches: Watches,
    /// What sends mails, if any are sent.
    outbox: Option<JoinHandle<()>>,
    /// What is served by, and the settings that it was made of.
    gates: Arc<Gates>,
    settings: config::Settings,
    lasting: Lasting,
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
    let mailer = settings.mail.clone().map(Mailer::new).transpose()?;
    let lasting = Lasting { directory: directory.clone(), metrics: metrics.clone(), now };
    let gate = build::gate(settings, &lasting, &HashMap::new())?;

    let listen = |address| move |source| StartError::Listen { address, source };
    let private = settings.admin.listen;
    let admin_listener = TcpListener::bind(private).await.map_err(listen(private))?;
    let private_address = admin_listener.local_addr().map_err(listen(private))?;
    let public = listener::bind(&settings.edge).map_err(listen(settings.edge.listen))?;
    let public_address = public.local_addr();
    let (stop, stopping) = watch::channel(false);
    directory.set_token_settings(settings.tokens.clone());
    let mut watches = Watches::new(store, metrics.clone(), stopping.clone());
    watches.spawn(hear::notes(directory.clone(), directory.notes(), metrics.clone()));
    let mut metadata = HashMap::new();
    watches.follow(settings, &gate, &HashSet::new(), &mut metadata).await;
    let gates = Arc::new(Gates::new(gate));
    let days = settings.audit_retention_days;
    watches.spawn(retention::retain(directory.clone(), gates.clone(), days, now));
    watches.spawn(scim_jobs::resume(directory.clone(), gates.clone(), now));
    watches.spawn(scim_tokens::watch(directory.clone(), gates.clone(), metrics.clone(), now));
    watches.spawn(redrive::watch(directory.clone(), gates.clone(), directory.notes(), now));
    let outbox = mailer.map(|mailer| build::outbox(mailer, &lasting, &gates).run(stopping.clone()));
    let outbox = outbox.map(tokio::spawn);
    let workers = public.serve(&gates, &stopping)?;
    let admin = admin::serve(admin_listener, directory.clone(), metrics, told(stopping));
    let admin = tokio::spawn(admin);
    Ok(Running {
        public_address,
        private_address,
        directory,
        metadata,
        stop,
        workers,
        admin,
        watches,
        outbox,
        gates,
        settings: settings.clone(),
        lasting,
    })
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
            if tokio::time::timeout(MAIL_END_MAX, &mut outbox).await.is_err() {
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

/// Ready when the gateway stops, also when nobody is left to say so.
async fn told(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}
