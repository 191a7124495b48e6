//! The private listener: liveness, readiness, metrics. It carries no identities and is never reached by a proxied host.
use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};

use crate::{directory::Directory, telemetry::Metrics};

/// The private listener's address.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub listen: SocketAddr,
}

#[derive(Clone)]
struct Admin {
    directory: Arc<Directory>,
    metrics: Metrics,
}

/// Serves until `stop` ends.
pub async fn serve(
    listener: tokio::net::TcpListener,
    directory: Arc<Directory>,
    metrics: Metrics,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(Admin { directory, metrics });
    axum::serve(listener, routes).with_graceful_shutdown(stop).await
}

/// 200 while sign-ins can succeed, 503 with the cause while the store takes no writes.
async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.directory.ready().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {error}\n")),
    }
}

async fn render(State(admin): State<Admin>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], admin.metrics.render())
}
