//! The composition root: settings in, a running gateway out.
use std::{collections::HashMap, io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    access, admin, config,
    directory::{Directory, Enterprise},
    domain::EnterpriseId,
    edge, saml,
    store::{self, Store, StoreError},
    telemetry::Metrics,
};

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    #[error("enterprise {enterprise}: {source}")]
    Connection { enterprise: String, source: saml::ConnectionError },
    #[error("the routes: {0}")]
    Routes(#[from] access::RoutesError),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
}

/// A gateway that serves. Dropping it leaves its threads running; call [`Running::shutdown`].
pub struct Running {
    pub public_address: SocketAddr,
    pub private_address: SocketAddr,
    pub directory: Arc<Directory>,
    stop: watch::Sender<bool>,
    listener: edge::Listening,
    admin: JoinHandle<io::Result<()>>,
}
