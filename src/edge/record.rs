//! What is said of each request once its response has ended: one access line, and one count.
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use http::{HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;

use crate::{
    access::Route,
    domain::{Caller, ScimTokenId, Timestamp},
    proxy::Body,
    telemetry::{AccessLine, InFlight, Recorder, access_log},
};

/// In metrics and logs, what no route was found for.
const NO_ROUTE: &str = "-";

/// What is learned about a request on its way.
#[derive(Default)]
pub struct Facts<'a> {
    pub route: Option<&'a Route>,
    pub caller: Option<Caller>,
    /// Of a SCIM call.
    pub scim_token: Option<ScimTokenId>,
    /// Until the origin server's response head.
    pub origin_duration: Option<Duration>,
    /// `forward`, `sign_in`, `own`, or the stable code of a problem.
    pub decision: &'static str,
    /// Why a request did not get what it wanted.
    pub reason: Option<String>,
}

/// A request from its beginning to the end of its response.
pub struct Record {
    begun: Instant,
    at: Timestamp,
    client: IpAddr,
    method: Method,
    host: String,
    path: String,
    recorder: Recorder,
    in_flight: InFlight,
}

impl Record {
    pub fn begin(request: &Request<Incoming>, client: IpAddr, at: Timestamp, recorder: &Recorder) -> Self {
        let host = request
            .headers()
            .get(header::HOST)
            .map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
        let host = host.or_else(|| request.uri().host().map(str::to_owned));
        Self {
            begun: Instant::now(),
            at,
            client,
            method: request.method().clone(),
            host: host.unwrap_or_default(),
            path: request.uri().path().to_owned(),
            recorder: recorder.clone(),
            in_flight: recorder.begin(),
        }
    }

    /// Counts and logs when the response's body has been sent or given up.
    pub fn end_with(
        self,
        response: Response<Body>,
        request_id: HeaderValue,
        facts: &Facts<'_>,
    ) -> Response<Body> {
        let status = response.status().as_u16();
        let route = facts.route.map_or(NO_ROUTE, |route| &route.name);
        let counts = self.recorder.route(route);
        let (route, caller) = (route.to_owned(), facts.caller.clone());
        let scim_token = facts.scim_token;
        let (origin_duration, decision) = (facts.origin_duration, facts.decision);
        let reason = facts.reason.clone();
        response.map(|body| {
            body.on_end(move |response_bytes| {
                let duration = self.begun.elapsed();
                counts.observe(status, duration);
                drop(self.in_flight);
                access_log(&AccessLine {
                    at: self.at,
                    request_id: request_id.to_str().unwrap_or_default(),
                    client: self.client,
                    method: self.method.as_str(),
                    host: &self.host,
                    path: &self.path,
                    route: &route,
                    status,
                    response_bytes,
                    duration,
                    origin_duration,
                    user: caller.as_ref().map(|caller| caller.profile().user.as_str()),
                    session: caller.as_ref().and_then(Caller::session).map(|active| active.session.id),
                    token: caller.as_ref().and_then(Caller::token).map(|active| active.token.id),
                    scim_token,
                    decision,
                    reason: reason.as_deref(),
                });
            })
        })
    }
}
