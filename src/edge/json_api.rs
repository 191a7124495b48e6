//! Hands calls of the JSON API over, with what only the listener reads: cookies, and where a request comes from.
use std::net::IpAddr;

use http::{Request, Response};
use hyper::body::Incoming;

use super::{cookies, gate::Gate, logout::is_same_origin, record::Facts};
use crate::{access::CanonicalPath, api, proxy::Body};

/// Answers a call. It never asks whether a person navigates, and sends nobody to sign in.
pub async fn serve(
    gate: &Gate,
    host: &str,
    path: &CanonicalPath,
    (request, client): (Request<Incoming>, IpAddr),
    request_id: &str,
    facts: &mut Facts<'_>,
) -> Response<Body> {
    let origin = format!("{}://{host}", gate.settings.public_url.scheme);
    let presented = api::Presented {
        client,
        session: cookies::session_token(request.headers()),
        is_same_origin: is_same_origin(request.headers(), &origin),
    };
    let path = path.as_str().strip_prefix(api::PREFIX).unwrap_or_default();
    let served = gate.api.serve(request, &origin, path, presented, request_id).await;
    facts.caller = served.caller;
    if let Some((code, reason)) = served.refused {
        facts.decision = code;
        facts.reason = Some(reason);
    }
    served.response.map(Body::from)
}
