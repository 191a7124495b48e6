//! Hands SCIM calls over. Cookies are not looked at, and nobody is sent anywhere (V-21).
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;

use super::{
    gate::Gate,
    pages::Pages,
    record::Facts,
    respond::{self, Problem},
};
use crate::{
    access::CanonicalPath,
    api::scim::{self, MediaType, Payload},
    proxy::Body,
};

/// Answers a call.
pub async fn serve(
    gate: &Gate,
    host: &str,
    path: &CanonicalPath,
    request: Request<Incoming>,
    request_id: &str,
    facts: &mut Facts<'_>,
) -> Response<Body> {
    let origin = format!("{}://{host}", gate.settings.public_url.scheme);
    let path = path.as_str().strip_prefix(scim::PREFIX).unwrap_or_default();
    let served = gate.scim.serve(request, &origin, path, request_id).await;
    facts.scim_token = served.token;
    if let Some((code, reason)) = served.refused {
        facts.decision = code;
        facts.reason = Some(reason);
    }
    served.response.map(body)
}

/// The answer to what was found wrong before SCIM was reached, in SCIM's own form.
pub fn problem(pages: &Pages, problem: &Problem, accepted: MediaType) -> Response<Body> {
    let (status, class) = problem.answer();
    let mut response = scim::problem(status, class.code(), &pages.texts(class).message, accepted).map(body);
    respond::mark(&mut response, problem);
    response
}

/// What a client takes, read before its request is given away; `None` for what is no call of SCIM.
pub fn accepted(path: &str, fields: &HeaderMap) -> Option<MediaType> {
    scim::covers(path).then(|| MediaType::accepted(fields))
}

fn body(payload: Payload) -> Body {
    match payload {
        Payload::Full(bytes) => Body::from(bytes),
        Payload::Pieces(pieces) => Body::own(*pieces),
    }
}
