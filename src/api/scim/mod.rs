//! The HTTP side of SCIM 2.0, under [`PREFIX`] on the public listener: what identity providers provision by.
//!
//! `place` reads where a call goes, `credential` whose it is, `rate` how many there may be, `body` what it says; `call` leads it to
//! `discovery`, `users`, `groups`, `list` or `bulk`, which answer; `answer` and `stream` are what they answer with, `refusal` has every
//! other answer, `record` tells metrics and the audit log. The protocol itself is the room `scim`, what it means `directory::scim`.
//!
//! Tenancy comes from the token and from nowhere else (V-02): the base in the path must be the token's, or nothing is there. Cookies
//! are not looked at, nothing redirects, and every answer that is no success is a SCIM error.
mod answer;
mod body;
mod bulk;
mod call;
mod credential;
mod discovery;
mod groups;
mod list;
mod place;
mod position;
mod rate;
mod record;
mod refusal;
mod stream;
mod users;

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;

pub use self::answer::{MediaType, Payload};
use self::{
    answer::Answer,
    call::Call,
    place::{Base, Endpoint},
    rate::Rates,
    refusal::{Code, Refusal},
};
use crate::{
    directory::{
        Directory, Enterprise,
        scim::{ScimCall, ScimSettings},
    },
    domain::{EnterpriseSlug, ScimTokenId, Timestamp},
    telemetry::Metrics,
};

/// Where SCIM lies. The last part is the version of the protocol (RFC 7644 3.13).
pub const PREFIX: &str = "/scim/v2";

/// What one enterprise decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub directory: ScimSettings,
    /// Of each token, on each gateway; at least 50.
    pub requests_per_second_max: u32,
}

/// An enterprise, as calls find it.
pub struct Tenant {
    pub enterprise: Enterprise,
    /// `None`: SCIM is switched off.
    pub settings: Option<Settings>,
}

/// Everything that SCIM needs; shared by all workers.
pub struct Scim {
    directory: Arc<Directory>,
    tenants: HashMap<EnterpriseSlug, Arc<Tenant>>,
    rates: Rates,
    metrics: Metrics,
    now: fn() -> Timestamp,
}

/// An answer, and what the access log tells of the call.
pub struct Served {
    pub response: Response<Payload>,
    pub token: Option<ScimTokenId>,
    /// The code and the reason of a refusal.
    pub refused: Option<(&'static str, String)>,
}

/// Whether a path, as it came, is SCIM's: what is under its first segment is answered in its form, whatever the version.
pub fn covers(path: &str) -> bool {
    path.strip_prefix("/scim").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The answer to what was found wrong before SCIM was reached, in its form.
pub fn problem(
    status: StatusCode,
    code: &'static str,
    message: &str,
    media_type: MediaType,
) -> Response<Payload> {
    Refusal::found(status.as_u16(), code, message.to_owned()).response(media_type)
}

impl Tenant {
    /// What the directory is told of a call; `None` where SCIM is switched off.
    fn call<'a>(&'a self, request_id: &'a str, now: Timestamp) -> Option<ScimCall<'a>> {
        let settings = &self.settings.as_ref()?.directory;
        let enterprise = &self.enterprise;
        Some(ScimCall { enterprise, settings, request_id, if_match: None, event: None, now })
    }
}

/// A request, as far as it was read.
#[derive(Clone)]
struct Asked<'a> {
    method: Method,
    fields: &'a HeaderMap,
    query: &'a str,
    base_url: String,
    request_id: &'a str,
    now: Timestamp,
}

impl Scim {
    pub fn new(
        directory: Arc<Directory>,
        tenants: impl IntoIterator<Item = Tenant>,
        metrics: Metrics,
        now: fn() -> Timestamp,
    ) -> Self {
        let tenants =
            tenants.into_iter().map(|tenant| (tenant.enterprise.slug.clone(), Arc::new(tenant))).collect();
        Self { directory, tenants, rates: Rates::default(), metrics, now }
    }

    /// All enterprises, those that switched SCIM off among them.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    /// Answers a call. `origin` is the scheme and the host that the listener serves, `path` the canonical path without [`PREFIX`].
    pub async fn serve<B>(&self, request: Request<B>, origin: &str, path: &str, request_id: &str) -> Served
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let media_type = MediaType::accepted(request.headers());
        let mut record = record::Record::new(request.method().clone(), path);
        let answered = self.answer(request, (origin, path), request_id, &mut record).await;
        let refused = answered.as_ref().err().map(|refusal| (refusal.error.code, refusal.reason()));
        if let Some((code, reason)) =
            refused.as_ref().filter(|_| answered.as_ref().is_err_and(Refusal::is_fault_of_ours))
        {
            tracing::warn!(request_id, code, reason, "a SCIM call failed");
        }
        let token = record.token();
        self.tell(record, answered.as_ref(), request_id, (self.now)()).await;
        let response = match answered {
            Ok(answer) => answer.response(media_type),
            Err(refusal) => refusal.response(media_type),
        };
        Served { response, token, refused }
    }

    async fn answer<B>(
        &self,
        request: Request<B>,
        (origin, path): (&str, &str),
        request_id: &str,
        record: &mut record::Record,
    ) -> Result<Answer, Refusal>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        // RFC 9110 9.3.2: the listener leaves the body of an answer to HEAD away.
        let method = if head.method == Method::HEAD { Method::GET } else { head.method };
        let place = place::place(path);
        let found = place.as_ref().map(|(base, endpoint)| (base, *endpoint));
        if let Some((base, endpoint)) = found.filter(|(_, endpoint)| endpoint.is_discovery()) {
            check_method(endpoint, &method)?;
            return discovery::answer(base, endpoint, origin, head.uri.query().unwrap_or_default());
        }
        let now = (self.now)();
        // Whoever is nobody learns nothing, not even what there is.
        let (token, tenant) = self.caller(&head.headers, now).await?;
        record.is_by(&token);
        let (base, endpoint) = found.ok_or(Code::NotFound)?;
        record.is_at(endpoint);
        let settings = self.admit(&token, &tenant, base, now).await?;
        check_method(endpoint, &method)?;
        let body = body::read(endpoint, &method, &head.headers, body).await?;
        let asked = Asked {
            method,
            fields: &head.headers,
            query: head.uri.query().filter(|_| !endpoint.is_search()).unwrap_or_default(),
            base_url: format!("{origin}{PREFIX}{}", base.path()),
            request_id,
            now,
        };
        let call = Call::new(self, &tenant, settings, (&token, base), asked, body)?;
        let call = call.announced(endpoint, record);
        let answered = call.answer(endpoint, record).await;
        record.is_told(call.event.as_ref());
        answered
    }
}

fn check_method(endpoint: Endpoint<'_>, method: &Method) -> Result<(), Refusal> {
    if endpoint.allows(method.as_str()) { Ok(()) } else { Err(Refusal::method(endpoint.methods())) }
}

/// Whether an enterprise is a standalone organization: its only organization is itself (D4).
fn is_standalone(enterprise: &Enterprise) -> bool {
    matches!(enterprise.organizations.as_slice(), [only] if only.as_str() == enterprise.slug.as_str())
}

impl Tenant {
    /// Whether the base is one of the tenant's.
    fn has_base(&self, base: &Base) -> bool {
        match base {
            Base::Enterprise(slug) => *slug == self.enterprise.slug,
            Base::Organization(slug) => {
                is_standalone(&self.enterprise) && slug.as_str() == self.enterprise.slug.as_str()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_a_whole_segment() {
        assert!(covers("/scim") && covers("/scim/v2/Users") && covers("/scim/v9"));
        assert!(!covers("/scimitar") && !covers("/Scim"));
    }
}
