//! Starting a sign-in and consuming its answer.
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;

use super::{
    gate::Gate,
    respond::{self, Problem},
};
use crate::{domain::EnterpriseSlug, proxy::Body};

/// Sends a browser to the enterprise's IdP; it comes back to `return_to` on `host`.
pub async fn start(
    _gate: &Gate,
    enterprise: &EnterpriseSlug,
    _host: &str,
    _return_to: &str,
    _cookies: &HeaderMap,
) -> Response<Body> {
    respond::problem(&Problem::NotConfigured(enterprise.clone()), true, "")
}

/// Takes the IdP's answer, POSTed to the ACS.
pub async fn consume(
    _gate: &Gate,
    enterprise: &EnterpriseSlug,
    _acs_url: &str,
    _request: Request<Incoming>,
) -> Response<Body> {
    respond::problem(&Problem::NotConfigured(enterprise.clone()), true, "")
}
