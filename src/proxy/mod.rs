//! To the origin server and back: screen, strip, set identity, stream, map failures.
//!
//! A request passes [`Proxy::screen`] before anything is decided about it and [`Proxy::forward`] after. The origin
//! connection is driven by the task that serves the client: no task of its own, no channel between threads, and a
//! client that goes away takes its origin request along.
use std::{rc::Rc, time::Duration};

use http::{HeaderValue, Request, Response, Uri, Version, header};
use hyper::body::{Body as _, Incoming};

mod body;
mod error;
mod exchange;
mod fields;
mod identity;
mod pool;
mod response;
mod streams;

pub use body::{Body, BodyError};
pub use error::{ProxyError, RequestFault, SettingsFault};
pub use fields::{COOKIE_PREFIX, own_bearer};
pub use identity::Identity;
pub use streams::{Recipient, Streams, Watch};

use body::RequestBody;
use exchange::Failure;
use fields::ProtectedFields;
use identity::Identities;
use pool::{Pool, Slot};

use crate::domain::Caller;

/// Limits towards origin servers.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub connect_millis_max: u64,
    /// Until the origin server's response head.
    pub response_head_millis_max: u64,
    /// Idle connections kept per worker and origin server.
    pub idle_connections_max: usize,
    pub idle_connection_seconds_max: u64,
    pub identity: IdentityFields,
}

/// The names of the identity fields, and how lists are joined.
#[derive(Debug, Clone, PartialEq)]
pub struct IdentityFields {
    pub user: String,
    pub email: String,
    pub groups: String,
    pub organizations: String,
    pub preferred_username: String,
    /// All identity fields of one request together may have this many bytes.
    pub bytes_max: usize,
}

/// One worker's way to the origin servers. Not shared between threads: its connections belong to one runtime.
pub struct Proxy {
    fields: ProtectedFields,
    pool: Pool,
    identities: Identities,
    response_head_max: Duration,
}

/// A request that brought no field of ours and no framing that could be read in two ways. Only [`Proxy::screen`] makes one.
pub struct Screened(Request<Incoming>);

/// Where a request goes, and what is said about it there.
pub struct Outgoing<'a> {
    pub origin_host: &'a str,
    pub origin_port: u16,
    /// The canonical path that the route was found by (P-20).
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub identity: Option<&'a Identity>,
    /// The client's address, as a field value.
    pub client: &'a HeaderValue,
    /// The host that the route was found by, and the scheme the client used, as our settings name them.
    pub host: &'a str,
    pub scheme: &'a str,
    pub request_id: &'a HeaderValue,
}

impl Screened {
    pub fn request(&self) -> &Request<Incoming> {
        &self.0
    }

    pub fn into_request(self) -> Request<Incoming> {
        self.0
    }
}

impl Proxy {
    pub fn new(settings: &Settings) -> Result<Self, SettingsFault> {
        Ok(Self {
            fields: ProtectedFields::new(&settings.identity)?,
            pool: Pool::new(settings),
            identities: Identities::default(),
            response_head_max: Duration::from_millis(settings.response_head_millis_max),
        })
    }

    /// Refuses requests that carry what only we may say (P-01, P-02, P-04), or that promise what we do not keep (P-32).
    pub fn screen(&self, request: Request<Incoming>) -> Result<Screened, RequestFault> {
        self.fields.screen(&request)?;
        Ok(Screened(request))
    }

    /// Sends the request on and answers with the response head; both bodies stream.
    ///
    /// A connection of the pool may have been closed while it lay there. Then the request is sent once more on a new
    /// one, if it never left, or if it has no body and repeating it does no harm (RFC 9110 9.2.2).
    ///
    /// Breaks off when `watch` says that the request's sender may do this no more; the response is the caller's to watch.
    pub async fn forward(
        &self,
        screened: Screened,
        to: &Outgoing<'_>,
        mut watch: Option<&mut Watch>,
    ) -> Result<Response<Body>, ProxyError> {
        let request = self.prepare(screened.0, to)?;
        let slot = self.pool.slot(to.origin_host, to.origin_port);
        let response = match slot.take_idle() {
            Some(connection) => {
                let again = repeatable(&request);
                match connection.send(request, &slot, self.response_head_max, watch.as_deref_mut()).await {
                    Err(Failure { unsent: Some(request), .. }) => {
                        self.send_fresh(*request, &slot, watch).await?
                    }
                    Err(Failure { error: ProxyError::Closed(_), .. }) if again.is_some() => {
                        let Some(request) = again else { return Err(ProxyError::Unrepeatable) };
                        self.send_fresh(request, &slot, watch).await?
                    }
                    other => other.map_err(|failure| failure.error)?,
                }
            }
            None => self.send_fresh(request, &slot, watch).await?,
        };
        let mut response = response::screen(response, &self.fields)?;
        response::mark(response.headers_mut(), to.identity.is_some(), to.request_id);
        Ok(response)
    }

    /// What origin servers learn of a caller's person.
    pub fn identity(&self, caller: &Caller) -> Result<Rc<Identity>, ProxyError> {
        self.identities.of(caller)
    }

    /// Closes idle connections that are old or that the origin server closed. Call it every few seconds.
    pub fn sweep(&self) {
        self.pool.sweep();
    }

    async fn send_fresh(
        &self,
        request: Request<RequestBody>,
        slot: &Slot,
        watch: Option<&mut Watch>,
    ) -> Result<Response<Body>, ProxyError> {
        // In a box: the rare way need not make the common one's future larger.
        Box::pin(async {
            let connection = slot.connect().await?;
            let sent = connection.send(request, slot, self.response_head_max, watch);
            sent.await.map_err(|failure| failure.error)
        })
        .await
    }

    /// The request as the origin server gets it.
    fn prepare(
        &self,
        request: Request<Incoming>,
        to: &Outgoing<'_>,
    ) -> Result<Request<RequestBody>, ProxyError> {
        let (mut parts, body) = request.into_parts();
        let sized = parts.headers.contains_key(header::CONTENT_LENGTH);
        fields::strip_request(&mut parts.headers, &self.fields);
        // The client's length is as hyper understood it; the body is framed anew (P-30).
        if let Some(length) = body.size_hint().exact().filter(|_| sized) {
            parts.headers.insert(header::CONTENT_LENGTH, length.into());
        }
        fields::set_forwarded(&mut parts.headers, to)?;
        // P-03, P-04: after everything that removes fields.
        if let Some(identity) = to.identity {
            self.fields.set_identity(&mut parts.headers, identity)?;
        }
        parts.uri = target(&parts.uri, to)?;
        parts.version = Version::HTTP_11;
        Ok(Request::from_parts(parts, RequestBody::new(body)))
    }
}

/// Origin-form (RFC 9112 3.2.1) of the canonical path and the client's query.
fn target(received: &Uri, to: &Outgoing<'_>) -> Result<Uri, ProxyError> {
    if received.authority().is_none() && received.path() == to.path && received.query() == to.query {
        return Ok(received.clone());
    }
    let text = match to.query {
        Some(query) => {
            let mut text = String::with_capacity(to.path.len() + query.len() + 1);
            text.push_str(to.path);
            text.push('?');
            text.push_str(query);
            text
        }
        None => to.path.to_owned(),
    };
    Uri::try_from(text).map_err(|_| ProxyError::Target)
}

/// A copy of the request for a second attempt, if one is allowed: safe or idempotent, and without a body.
fn repeatable(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    if !request.method().is_idempotent() || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(RequestBody::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}
