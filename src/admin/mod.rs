//! The private listener: liveness, readiness, metrics.
use std::net::SocketAddr;

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub listen: SocketAddr,
}
