//! The JSON API, under [`PREFIX`] on the public listener: versioned, by personal access token, or by the session of a page of
//! our own origin.
//!
//! `table` says which routes there are and who may use them; `caller` holds each call to it; `call` is what a handler in
//! `routes` gets; `shape` is what it shows; `problem` has every refusal, and `refusal` what the directory's become; `limiter` how often is too often; `openapi` and `schemas` describe all of it.
//!
//! Nothing here redirects, and nothing is cached. Tenancy comes from the credential alone: what belongs to another enterprise
//! is as unknown as what does not exist.
mod call;
mod caller;
mod credential;
mod limiter;
mod openapi;
mod problem;
mod query;
mod refusal;
mod routes;
mod schemas;
pub mod scim;
/// Of commands that print the same as JSON, too.
pub mod shape;
mod table;

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use self::{
    call::{Answer, Call},
    caller::Caller,
    limiter::{Counted, Limiter},
    problem::{Code, Problem},
    query::Query,
};
pub use self::{
    credential::Presented,
    limiter::Limits,
    problem::problem,
    table::{Access, Handler, ROUTES, Route, Who},
};
use crate::{
    directory::{Directory, Enterprise},
    domain::{self, EnterpriseSlug, OrganizationSlug, Timestamp},
};

/// Where the API lies. The last part is its version: what would break programs gets a new one.
pub const PREFIX: &str = "/.portcullis/api/v1";

/// One body. Ours hold a few names.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a client may take to send it, in milliseconds.
const BODY_READ_MILLIS_MAX: u64 = 10_000;

/// Everything that the API needs; shared by all workers.
pub struct Api {
    directory: Arc<Directory>,
    enterprises: HashMap<EnterpriseSlug, Enterprise>,
    now: fn() -> Timestamp,
    limiter: Limiter,
}

/// An answer, and what the access log tells of the call.
pub struct Served {
    pub response: Response<Bytes>,
    pub caller: Option<domain::Caller>,
    /// The code and the reason of a refusal.
    pub refused: Option<(&'static str, String)>,
}

/// Whether a path, as it came, is the API's.
pub fn covers(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Api {
    pub fn new(
        directory: Arc<Directory>,
        enterprises: impl IntoIterator<Item = Enterprise>,
        now: fn() -> Timestamp,
        limits: Limits,
    ) -> Self {
        let enterprises = enterprises.into_iter().map(|enterprise| (enterprise.slug.clone(), enterprise));
        Self { directory, enterprises: enterprises.collect(), now, limiter: Limiter::new(limits) }
    }

    /// Answers a call. `origin` is the scheme and the host that the listener serves, `path` the canonical path without [`PREFIX`].
    pub async fn serve<B>(
        &self,
        request: Request<B>,
        origin: &str,
        path: &str,
        presented: Presented,
        request_id: &str,
    ) -> Served
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut known = None;
        let client = presented.client;
        let answered = self.answer(request, (origin, path), presented, request_id, &mut known).await;
        match answered {
            Ok(response) => Served { response, caller: known, refused: None },
            Err(problem) => {
                let problem = self.told_to(client, known.is_some(), problem);
                if problem.status.is_server_error() {
                    let (code, reason) = (problem.code, problem.reason());
                    tracing::warn!(request_id, code, reason, "an API call failed");
                }
                let refused = Some((problem.code, problem.reason()));
                Served { response: problem.response(request_id), caller: known, refused }
            }
        }
    }

    async fn answer<B>(
        &self,
        request: Request<B>,
        (origin, path): (&str, &str),
        presented: Presented,
        request_id: &str,
        known: &mut Option<domain::Caller>,
    ) -> Result<Response<Bytes>, Problem>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (route, names) = find(request.method(), path)?;
        let handler = match route.handler {
            Handler::Document => {
                self.limiter.admit(Counted::stranger(presented.client), (self.now)())?;
                let document = openapi::document(&format!("{origin}{PREFIX}"));
                return Ok(problem::json(StatusCode::OK, &document));
            }
            Handler::Call(handler) => handler,
        };
        let now = (self.now)();
        let (caller, tenant) = self.caller(request.headers(), presented, now).await?;
        *known = Some(caller.credential.clone());
        self.limiter.admit(Counted::Credential(caller.credential.id()), now)?;
        caller.check_access(route.access)?;
        let organization = self.admit(route, &caller, tenant, &names, now).await?;
        let query = Query::read(request.uri().query().unwrap_or_default(), route.query)?;
        let body = read_body(route, request).await?;
        let call = Call {
            directory: &self.directory,
            route,
            tenant,
            caller: &caller,
            path: &names,
            query: &query,
            body: &body,
            organization: organization.as_ref(),
            request_id,
            now,
        };
        let answer = handler(&call).await?;
        Ok(response(answer, &format!("{origin}{PREFIX}{path}"), &query))
    }

    /// What a stranger is told who is told too much too often.
    fn told_to(&self, client: IpAddr, is_known: bool, problem: Problem) -> Problem {
        if is_known || problem.status.is_server_error() || problem.status == Code::TooMany.status() {
            return problem;
        }
        match self.limiter.admit(Counted::stranger(client), (self.now)()) {
            Ok(()) => problem,
            Err(early) => early.into(),
        }
    }

    /// Holds the caller to the route's rule; the organization that the path names.
    async fn admit(
        &self,
        route: &Route,
        caller: &Caller,
        tenant: &Enterprise,
        names: &[(&'static str, String)],
        now: Timestamp,
    ) -> Result<Option<OrganizationSlug>, Problem> {
        let named = names.iter().find(|(name, _)| *name == "org");
        // What is no account name names nothing.
        let organization = named.map(|(_, text)| OrganizationSlug::parse(text)).transpose();
        let Ok(organization) = organization else { return Err(Code::NotFound.into()) };
        let exists = match &organization {
            Some(slug) if caller.role_in(slug).is_none() && caller.acts_for_enterprise() => {
                self.directory.has_organization(tenant, slug, now).await?
            }
            _ => true,
        };
        caller.check_role(route, organization.as_ref(), exists, caller.is_about(names))?;
        Ok(organization)
    }
}

/// The answer to a call of `url`.
fn response(answer: Answer, url: &str, query: &Query) -> Response<Bytes> {
    let mut response = match answer.body {
        Some(body) => problem::json_bytes(answer.status, body.into()),
        None => problem::empty(answer.status),
    };
    if let Some(next) = answer.next {
        // RFC 8288
        let link = format!("<{url}?{}>; rel=\"next\"", query.with("after", &next));
        if let Ok(link) = HeaderValue::try_from(link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    response
}

/// A route, and what the path says for each name in it.
type FoundRoute = (&'static Route, Vec<(&'static str, String)>);

/// The route of a method and a path.
fn find(method: &Method, path: &str) -> Result<FoundRoute, Problem> {
    // RFC 9110 9.3.2: the listener leaves the body of an answer to HEAD away.
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let mut allowed = vec![];
    for route in ROUTES {
        let Some(names) = route.fits(path) else { continue };
        if route.method == method.as_str() {
            return Ok((route, names));
        }
        allowed.push(route.method);
        if route.method == "GET" {
            allowed.push("HEAD");
        }
    }
    match allowed.is_empty() {
        true => Err(Code::NotFound.into()),
        false => Err(Problem::method(allowed.join(", "))),
    }
}

/// The body, if the route takes one; of others it is not even read.
async fn read_body<B>(route: &Route, request: Request<B>) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if route.takes.is_none() {
        return Ok(Bytes::new());
    }
    if !is_json(request.headers()) {
        return Err(Code::ContentType.into());
    }
    let body = std::pin::pin!(Limited::new(request.into_body(), BODY_BYTES_MAX).collect());
    let deadline = Duration::from_millis(BODY_READ_MILLIS_MAX);
    let body = tokio::time::timeout(deadline, body).await.map_err(|_| Code::BodyTimeout)?;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => Code::BodyTooLarge,
        false => Code::BodyBroken,
    })?;
    Ok(body.to_bytes())
}

/// RFC 8259 11: the one media type; a charset is tolerated where it is the only one that there is.
fn is_json(fields: &HeaderMap) -> bool {
    let mut kinds = fields.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else { return false };
    let mut parts = kind.to_str().unwrap_or_default().split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let is_utf8 = |part: &str| part.eq_ignore_ascii_case("charset=utf-8");
    media_type.eq_ignore_ascii_case("application/json") && parts.all(is_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_a_whole_segment() {
        assert!(covers("/.portcullis/api/v1") && covers("/.portcullis/api/v1/orgs"));
        assert!(!covers("/.portcullis/api/v10") && !covers("/.portcullis/api"));
    }

    #[test]
    fn methods() {
        let found = |method: Method, path: &str| match find(&method, path) {
            Ok((route, _)) => route.id.to_owned(),
            Err(problem) => problem.code.to_owned(),
        };
        assert_eq!(found(Method::GET, "/user"), "user/get");
        assert_eq!(found(Method::HEAD, "/user"), "user/get");
        assert_eq!(found(Method::OPTIONS, "/user"), "method_not_allowed");
        assert_eq!(found(Method::GET, "/users"), "not_found");
        let problem = find(&Method::POST, "/user").unwrap_err();
        assert_eq!(problem.response("id").headers()[header::ALLOW], "GET, HEAD");
    }

    #[test]
    fn v_18_json_and_nothing_else() {
        let kind = |values: &[&str]| {
            let mut fields = HeaderMap::new();
            for value in values {
                fields.append(header::CONTENT_TYPE, HeaderValue::from_str(value).unwrap());
            }
            is_json(&fields)
        };
        for good in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=utf-8"]
        {
            assert!(kind(&[good]), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=utf-16",
            "application/jsonp",
        ] {
            assert!(!kind(&[bad]), "{bad}");
        }
        assert!(!kind(&[]) && !kind(&["application/json", "text/plain"]));
    }
}
