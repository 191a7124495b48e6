//! The way of a request through the gate, from its head to the origin server or an answer of our own.
use std::{borrow::Cow, cell::Cell, collections::HashMap, net::SocketAddr, rc::Rc, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use hyper::body::Incoming;

use super::{
    Settings,
    callers::{self, TokenProblem},
    cookies,
    framing::Verdicts,
    invitations, json_api,
    logout::{self, start::Place},
    metadata::{self, OwnMetadata},
    record::Facts,
    recovery,
    respond::Problem,
    router::{Endpoint, Own, Router},
    scim,
    sign_in::{
        self, Ask,
        chooser::{self, Domains},
    },
    worker::Serving,
};
use crate::{
    access::{self, CanonicalPath, Decision, Found, RequestFacts, Route, Routes, Rule},
    api::{Api, scim::Scim},
    directory::{self, Directory},
    domain::{ActiveSession, AuthnDemand, Caller, EnterpriseSlug, Timestamp},
    proxy::{self, Body, Outgoing, Screened},
    saml,
    second_opinion::SecondOpinion,
    telemetry::Metrics,
};

/// Everything that decides about requests; shared by all workers, and replaced as a whole by a reload.
pub struct Gate {
    pub directory: Arc<Directory>,
    pub routes: Routes,
    pub own: Router,
    pub enterprises: HashMap<EnterpriseSlug, Arc<EnterpriseGate>>,
    /// What the chooser knows.
    pub domains: Domains,
    pub api: Api,
    pub scim: Scim,
    pub settings: Settings,
    /// What each worker makes its own way to the origin servers of.
    pub proxy: proxy::Settings,
    pub metrics: Metrics,
    pub now: fn() -> Timestamp,
}

/// One enterprise, as sign-ins need it.
pub struct EnterpriseGate {
    pub enterprise: directory::Enterprise,
    /// Filled from the configuration, or from the IdP's metadata as that changes.
    pub connection: saml::ConnectionSlot,
    pub own_metadata: OwnMetadata,
    /// `None` where none is asked for.
    pub second_opinion: Option<SecondOpinion>,
    /// One for each host.
    pub acs_urls: Vec<String>,
    /// What RelayState may say where a sign-in began at the IdP: paths (S-98).
    pub idp_initiated_targets: Vec<String>,
    /// Who people are, by what a recovery code's owner types: known while the IdP is not.
    pub idp_entity_id: String,
    pub subject: saml::SubjectKey,
}

impl EnterpriseGate {
    /// The connection as it is at `now`. Load it once for each message, so that all checks see the same one.
    pub fn connection(&self, now: Timestamp) -> Result<Arc<saml::Connection>, saml::NoConnection> {
        self.connection.load(now)
    }
}

impl Gate {
    /// An enterprise that a route or an endpoint names.
    pub fn enterprise(&self, slug: &EnterpriseSlug) -> Result<&EnterpriseGate, Problem> {
        self.enterprises.get(slug).map(AsRef::as_ref).ok_or_else(|| Problem::NotConfigured(slug.clone()))
    }

    /// Where the enterprise's IdP posts to on this host; `None` where its people cannot sign in.
    pub fn acs_url(&self, slug: &EnterpriseSlug, host: &str) -> Option<&str> {
        let base = format!("{}://{host}/", self.settings.public_url.scheme);
        let acs_urls = &self.enterprises.get(slug)?.acs_urls;
        acs_urls.iter().find(|url| url.starts_with(&base)).map(String::as_str)
    }
}

/// What is known of the connection that a request came on.
pub struct Peer {
    pub address: SocketAddr,
    /// Its host part, as a field value.
    client: HeaderValue,
    /// Of an HTTP/1 connection; HTTP/2 frames its messages unambiguously.
    verdicts: Option<Rc<Verdicts>>,
}

impl Peer {
    pub fn new(address: SocketAddr, verdicts: Option<Rc<Verdicts>>) -> Self {
        let text = address.ip().to_string();
        let client = HeaderValue::from_maybe_shared(Bytes::from(text));
        Self { address, client: client.unwrap_or(HeaderValue::from_static("unknown")), verdicts }
    }
}

impl Serving {
    /// The answer, or why there is none.
    pub async fn answer<'a>(
        &'a self,
        request: Request<Incoming>,
        peer: &Peer,
        request_id: &HeaderValue,
        facts: &mut Facts<'a>,
    ) -> Result<Response<Body>, Problem> {
        if let Some(verdicts) = &peer.verdicts {
            verdicts.next()?;
        }
        // P-14: both would make the origin server talk to someone else, or echo our fields.
        if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
            return Err(Problem::Method { allow: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" });
        }
        let (path, own) = {
            let host = authority(&request, &self.gate.settings.public_url.scheme)?;
            if !self.gate.routes.knows_host(&host) && !self.gate.own.knows_host(&host) {
                return Err(Problem::UnknownHost);
            }
            let path = access::canonical_path(request.uri().path())?;
            let own = self.gate.own.find(&host, &path);
            if own == Own::NotOurs {
                facts.route = Some(match self.gate.routes.find(&host, &path) {
                    Found::Route(route) => route,
                    Found::Ambiguous => return Err(Problem::AmbiguousPath),
                    Found::NoRoute | Found::UnknownHost => return Err(Problem::NoRoute),
                });
            }
            (path, own)
        };
        let screened = self.proxy.screen(request)?;
        match (own, facts.route) {
            (Own::Endpoint(Endpoint::Api { host }), _) => {
                facts.decision = "own";
                let request = (screened.into_request(), peer.address.ip());
                Ok(Box::pin(json_api::serve(&self.gate, host, &path, request, text(request_id), facts)).await)
            }
            (Own::Endpoint(Endpoint::Scim { host }), _) => {
                facts.decision = "own";
                let request = screened.into_request();
                Ok(Box::pin(scim::serve(&self.gate, host, &path, request, text(request_id), facts)).await)
            }
            (Own::Endpoint(endpoint), _) => {
                facts.decision = "own";
                self.serve(endpoint, screened, text(request_id)).await
            }
            (Own::NotOurs, Some(route)) => {
                self.serve_route(route, Way { path, screened, peer, request_id }, facts).await
            }
            (Own::Reserved | Own::NotOurs, _) => Err(Problem::NoRoute),
        }
    }

    /// An endpoint of our own.
    async fn serve(
        &self,
        endpoint: &Endpoint,
        screened: Screened,
        request_id: &str,
    ) -> Result<Response<Body>, Problem> {
        if !endpoint.allows(screened.request().method().as_str()) {
            return Err(Problem::Method { allow: endpoint.methods() });
        }
        // Boxed, as below: what is rare does not make the common future larger.
        match endpoint {
            Endpoint::Acs { enterprise, url } => {
                let request = screened.into_request();
                Box::pin(sign_in::consume(&self.gate, enterprise, url, request, request_id)).await
            }
            Endpoint::Metadata { enterprise } => {
                metadata::serve(&self.gate, enterprise, screened.request().headers())
            }
            Endpoint::Login { enterprise, host } => {
                Box::pin(sign_in::login(&self.gate, enterprise, host, screened.request())).await
            }
            Endpoint::Choose { host } => {
                Box::pin(chooser::serve(&self.gate, host, screened.into_request())).await
            }
            Endpoint::Logout { enterprise, host, slo_url } => {
                let place = Place { enterprise, host, slo_url };
                let request = screened.request();
                if *request.method() == Method::GET {
                    return logout::start::confirm(&self.gate, &place);
                }
                Box::pin(logout::start::sign_out(&self.gate, &place, request, request_id)).await
            }
            Endpoint::Invitation { host } => {
                Box::pin(invitations::serve(&self.gate, host, screened.request(), request_id)).await
            }
            Endpoint::RecoveryCodes { host } => {
                Box::pin(recovery::codes(&self.gate, host, screened.request(), request_id)).await
            }
            Endpoint::Recover { host } => {
                Box::pin(recovery::recover(&self.gate, host, screened.into_request(), request_id)).await
            }
            Endpoint::Slo { enterprise, url } => {
                let request = screened.into_request();
                Box::pin(logout::receive(&self.gate, enterprise, url, request, request_id)).await
            }
            // Taken by `answer` already.
            Endpoint::Api { .. } | Endpoint::Scim { .. } => Err(Problem::NoRoute),
        }
    }

    /// A path of an origin server: by rule to it, to the IdP, or nowhere.
    async fn serve_route(
        &self,
        route: &Route,
        way: Way<'_>,
        facts: &mut Facts<'_>,
    ) -> Result<Response<Body>, Problem> {
        let request = way.screened.request();
        let caller = self.caller(&route.rule, request.headers()).await?;
        facts.caller.clone_from(&caller);
        let is_token = caller.as_ref().is_some_and(|caller| caller.token().is_some());
        match access::decide(&route.rule, caller.as_ref(), (self.gate.now)()) {
            Decision::Forbid if is_token => Err(TokenProblem::Rule.into()),
            Decision::SignIn | Decision::StepUp { .. } if is_token => Err(TokenProblem::Elsewhere.into()),
            Decision::Forbid => Err(Problem::Forbidden),
            Decision::SignIn => {
                facts.decision = "sign_in";
                self.sign_in(route, &way).await
            }
            Decision::StepUp { force } => {
                facts.decision = "step_up";
                let session = caller.as_ref().and_then(Caller::session);
                self.step_up(route, &way, session.map(AsRef::as_ref), force).await
            }
            Decision::Forward { identified } => {
                facts.decision = "forward";
                let caller = caller.filter(|_| identified);
                let identity = caller.as_ref().map(|caller| self.proxy.identity(caller)).transpose()?;
                let uri = request.uri().clone();
                let outgoing = Outgoing {
                    origin_host: &route.origin.host,
                    origin_port: route.origin.port,
                    path: way.path.as_str(),
                    query: uri.query(),
                    identity: identity.as_deref(),
                    client: &way.peer.client,
                    host: &route.host,
                    scheme: &self.gate.settings.public_url.scheme,
                    request_id: way.request_id,
                };
                let watch = caller.as_ref().map(|caller| callers::recipient(caller, &route.rule));
                let mut watch = watch.map(|recipient| self.streams.watch(recipient));
                let begun = Instant::now();
                let answer = self.proxy.forward(way.screened, &outgoing, watch.as_mut()).await;
                let waited = begun.elapsed();
                facts.origin_duration = Some(waited);
                let Some(watch) = watch else { return Ok(answer?) };
                self.check_after(waited, watch.recipient()).await?;
                Ok(answer?.map(|body| body.watched(watch)))
            }
        }
    }

    /// P-25: a navigation goes to the IdP and comes back to its path; everything else is told so.
    async fn sign_in(&self, route: &Route, way: &Way<'_>) -> Result<Response<Body>, Problem> {
        let request = way.screened.request();
        let Rule::Protected { enterprises, step_up, .. } = &route.rule else {
            return Err(Problem::Forbidden);
        };
        if !is_navigation(request) {
            return Err(Problem::SignInRequired { location: self.location(route) });
        }
        let fields = request.headers();
        let chosen = match enterprises.as_slice() {
            [only] => Some(only),
            // What a browser says it chose is one of those that it could choose, or nothing.
            several => cookies::enterprise(fields)
                .and_then(|chosen| several.iter().find(|enterprise| **enterprise == chosen)),
        };
        let return_to = way.return_to();
        let Some(enterprise) = chosen else {
            return chooser::redirect(&self.gate, &route.host, &return_to);
        };
        let demand = AuthnDemand { contexts: step_up.contexts.clone(), ..AuthnDemand::default() };
        let ask = Ask { enterprise, host: &route.host, return_to: &return_to, demand, login_hint: None };
        Box::pin(sign_in::start(&self.gate, ask, fields)).await
    }

    /// A session that the route wants more of: a navigation goes to the session's own IdP and must come back with it, or is
    /// refused there, so that an IdP that does not do as it was asked starts no circle.
    async fn step_up(
        &self,
        route: &Route,
        way: &Way<'_>,
        session: Option<&ActiveSession>,
        force: bool,
    ) -> Result<Response<Body>, Problem> {
        let request = way.screened.request();
        let (Rule::Protected { step_up, .. }, Some(active)) = (&route.rule, session) else {
            return Err(Problem::Forbidden);
        };
        if !is_navigation(request) {
            return Err(Problem::StepUpRequired { location: self.location(route) });
        }
        let ask = Ask {
            enterprise: &active.session.enterprise,
            host: &route.host,
            return_to: &way.return_to(),
            demand: AuthnDemand {
                force,
                contexts: step_up.contexts.clone(),
                age_seconds_max: step_up.age_seconds_max.filter(|_| force),
            },
            login_hint: None,
        };
        Box::pin(sign_in::start(&self.gate, ask, request.headers())).await
    }

    /// Where a script should send its person to sign in: a navigation there ends at the route.
    fn location(&self, route: &Route) -> String {
        format!("{}://{}{}", self.gate.settings.public_url.scheme, route.host, route.path_prefix)
    }
}

/// A request on its way to a route.
struct Way<'a> {
    path: CanonicalPath,
    screened: Screened,
    peer: &'a Peer,
    request_id: &'a HeaderValue,
}

impl Way<'_> {
    /// Path and query to come back to after a sign-in.
    fn return_to(&self) -> String {
        match self.screened.request().uri().query() {
            Some(query) => format!("{}?{query}", self.path.as_str()),
            None => self.path.as_str().to_owned(),
        }
    }
}

/// A request id has the form of a token, so it is text.
pub(super) fn text(request_id: &HeaderValue) -> &str {
    request_id.to_str().unwrap_or_default()
}

/// The canonical host that a request is for (P-22, P-40).
fn authority<'a>(request: &'a Request<Incoming>, scheme: &str) -> Result<Cow<'a, str>, Problem> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.to_str().map_err(|_| access::HostFault::Character)?),
        (None, None) => None,
        _ => return Err(Problem::HostCount),
    };
    let target = target_authority(request.uri())?;
    // RFC 9113 8.3.1: HTTP/2 may leave Host away; HTTP/1.1 may not (RFC 9112 3.2).
    let is_http2 = request.version() == http::Version::HTTP_2;
    let named = match (host, target) {
        (Some(host), None) if !is_http2 => host,
        (None, Some(target)) if is_http2 => target,
        (Some(host), Some(target)) => {
            if access::canonical_host(host, scheme)? != access::canonical_host(target, scheme)? {
                return Err(Problem::HostMismatch);
            }
            host
        }
        _ => return Err(Problem::HostCount),
    };
    Ok(access::canonical_host(named, scheme)?)
}

/// The authority of an absolute-form target; `None` for origin-form, an error for the other forms.
fn target_authority(uri: &Uri) -> Result<Option<&str>, Problem> {
    match (uri.scheme_str(), uri.authority()) {
        (None, None) if uri.path().starts_with('/') => Ok(None),
        (Some("http" | "https"), Some(authority)) => Ok(Some(authority.as_str())),
        _ => Err(Problem::TargetForm),
    }
}

/// Whether an answer that says why something failed is read by a person.
pub(super) fn wants_page<B>(request: &Request<B>) -> bool {
    access::wants_page(&request_facts(request))
}

fn is_navigation<B>(request: &Request<B>) -> bool {
    access::is_navigation(&request_facts(request))
}

fn request_facts<B>(request: &Request<B>) -> RequestFacts<'_> {
    let field = |name: &HeaderName| request.headers().get(name).map(|v| v.to_str().unwrap_or_default());
    RequestFacts {
        method: request.method().as_str(),
        sec_fetch_mode: field(&SEC_FETCH_MODE),
        x_requested_with: field(&X_REQUESTED_WITH),
        accept: field(&header::ACCEPT),
    }
}

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// Longest request id that we take over from a client.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// Names requests: the client's id if it has a harmless form, else a new one. No secret: it only tells requests apart.
pub struct RequestIds {
    worker: u64,
    count: Cell<u64>,
}

impl RequestIds {
    /// `worker` is drawn at random for each worker.
    pub fn new(worker: u64) -> Self {
        Self { worker, count: Cell::new(0) }
    }

    pub(super) fn of(&self, fields: &HeaderMap) -> HeaderValue {
        let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let harmless = |id: &&HeaderValue| {
            (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.as_bytes().iter().all(plain)
        };
        match fields.get(X_REQUEST_ID).filter(harmless) {
            Some(id) => id.clone(),
            None => {
                let count = self.count.get();
                self.count.set(count.wrapping_add(1));
                let id = format!("{:016x}{count:08x}", self.worker);
                HeaderValue::from_maybe_shared(Bytes::from(id)).unwrap_or(HeaderValue::from_static("-"))
            }
        }
    }
}
