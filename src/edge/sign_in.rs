//! Starting a sign-in at the IdP, and consuming the response that comes back to the ACS.
use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::{
    cookies,
    gate::{EnterpriseGate, Gate},
    respond::{self, Problem},
    router::Own,
};
use crate::{
    access,
    directory::{SignInError, SignedIn, StoreError},
    domain::{EnterpriseSlug, PendingSignIn, RequestId, SignInHandle, Timestamp},
    proxy::Body,
    saml::{
        self, NoTrail, Outstanding, Refusal,
        guard::{Guard, stands},
    },
    telemetry::{AuditAction, AuditEvent, Trigger, audit},
};

/// Longest path and query that we remember to return to; a longer one returns to `/`.
const RETURN_TO_BYTES_MAX: usize = 2048;

/// Why a response that came to the ACS opened no session.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("Content-Type is not application/x-www-form-urlencoded")]
    ContentType,
    #[error("a parameter of the binding stands in the query")]
    Query,
    #[error("the body is too long")]
    BodyTooLarge,
    #[error("the body did not arrive in time")]
    BodyTimeout,
    #[error("the body broke off")]
    BodyBroken,
    #[error("not exactly one SAMLResponse and at most one RelayState")]
    Parameters,
    #[error("{0}")]
    Saml(Box<Refusal>),
    #[error("RelayState is not the one that went with the request")]
    RelayState,
    #[error("{0}")]
    NoConnection(#[from] saml::NoConnection),
    #[error("{0}")]
    SignIn(#[from] SignInError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::SignIn(error.into())
    }
}

impl Refused {
    /// Stable code for logs, metrics and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ContentType => "content_type",
            Self::Query => "parameters_in_query",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyBroken => "body_broken",
            Self::Parameters => "parameters",
            Self::Saml(refusal) => refusal.reason.code(),
            Self::RelayState => "relay_state_mismatch",
            Self::NoConnection(_) => "idp_unknown",
            Self::SignIn(error) => error.code(),
        }
    }
}

/// Sends a browser to the enterprise's IdP; it comes back to `return_to`, a path and query on `host`.
pub async fn start(
    gate: &Gate,
    enterprise: &EnterpriseSlug,
    host: &str,
    return_to: &str,
    fields: &HeaderMap,
) -> Result<Response<Body>, Problem> {
    let tenant = gate.enterprise(enterprise)?;
    let settings = &gate.settings;
    let base = format!("{}://{host}/", settings.public_url.scheme);
    let acs_url = tenant
        .acs_urls
        .iter()
        .find(|url| url.starts_with(&base))
        .ok_or(Problem::NotConfigured(enterprise.clone()))?;
    let now = (gate.now)();
    let connection = tenant.connection(now)?;
    let (handle, relay_state) = random_ids()?;
    let request = RequestId::of(handle);
    let lifetime = jiff::SignedDuration::from_secs(i64::from(settings.sign_in_seconds_max));
    let pending = PendingSignIn {
        request,
        enterprise: enterprise.clone(),
        acs_url: acs_url.clone(),
        relay_state,
        return_to: if return_to.len() > RETURN_TO_BYTES_MAX { "/".into() } else { return_to.into() },
        replaces: cookies::session_token(fields).map(|token| token.session_id()),
        issued_at: now,
        expires_at: now.checked_add(lifetime).unwrap_or(now),
    };
    let mut handles = cookies::pending_sign_ins(fields, settings.pending_sign_ins_max);
    // P-56: the oldest give way.
    let surplus = (handles.len() + 1).saturating_sub(settings.pending_sign_ins_max);
    let evicted: Vec<RequestId> = handles.drain(..surplus.min(handles.len())).map(RequestId::of).collect();
    handles.push(handle);
    gate.directory.open_sign_in(&pending, &evicted, now).await?;
    let url =
        saml::authn_request_url(&connection, &authn_request_id(request), acs_url, &pending.relay_state, now)?;
    let mut response = see_other(StatusCode::FOUND, &url)?;
    let cookie = cookies::set_pending_sign_ins(&handles, settings.sign_in_seconds_max);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// `/saml/login?return_to=PATH`: starts a sign-in whether or not there is a session.
pub async fn login(
    gate: &Gate,
    enterprise: &EnterpriseSlug,
    host: &str,
    request: &Request<Incoming>,
) -> Result<Response<Body>, Problem> {
    let query = request.uri().query().unwrap_or_default();
    let mut targets = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "return_to");
    let target = targets.next().map_or_else(|| "/".to_owned(), |(_, value)| value.into_owned());
    if targets.next().is_some() {
        return Err(Problem::ReturnTo);
    }
    let return_to = own_path(&target)?;
    // An endpoint of ours would start over, for ever.
    let path = return_to.split('?').next().unwrap_or_default();
    if access::canonical_path(path).is_ok_and(|path| gate.own.find(host, &path) != Own::NotOurs) {
        return Err(Problem::ReturnTo);
    }
    start(gate, enterprise, host, &return_to, request.headers()).await
}

/// A path and query on our own host, or nothing (S-98, P-25): the path must be canonical as a request's must be.
fn own_path(target: &str) -> Result<String, Problem> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'#');
    if !target.bytes().all(plain) || !path.starts_with('/') || path.starts_with("//") {
        return Err(Problem::ReturnTo);
    }
    let path = access::canonical_path(path).map_err(|_| Problem::ReturnTo)?;
    Ok(match query {
        Some(query) => format!("{}?{query}", path.as_str()),
        None => path.as_str().to_owned(),
    })
}

/// Takes the IdP's answer, POSTed to the ACS. A refusal opens no session, consumes nothing that was outstanding before the
/// verification, and leaves one audit event.
pub async fn consume(
    gate: &Gate,
    enterprise: &EnterpriseSlug,
    acs_url: &str,
    request: Request<Incoming>,
    request_id: &str,
) -> Result<Response<Body>, Problem> {
    let tenant = gate.enterprise(enterprise)?;
    let now = (gate.now)();
    let handles = cookies::pending_sign_ins(request.headers(), gate.settings.pending_sign_ins_max);
    let requests: Vec<RequestId> = handles.iter().copied().map(RequestId::of).collect();
    let accepted = match accept(gate, tenant, acs_url, request, &requests, (request_id, now)).await {
        Ok(accepted) => accepted,
        Err(refused) => {
            gate.metrics.saml_refused(refused.code());
            let (expected, found) = refused.expected_and_found();
            let (code, hint) = (refused.code(), refused.hint());
            tracing::warn!(request_id, enterprise = enterprise.as_str(), code, expected, found, hint, %refused, "sign-in refused");
            audit(&AuditEvent {
                request_id: Some(request_id),
                reason: Some(refused.code()),
                ..AuditEvent::new(now, AuditAction::ResponseRefused, Trigger::Saml, enterprise.as_str())
            });
            return Err(Problem::SignInRefused(refused));
        }
    };
    gate.metrics.saml_accepted();
    let (signed_in, answered) = accepted;
    let remaining: Vec<SignInHandle> =
        handles.into_iter().filter(|handle| RequestId::of(*handle) != answered.request).collect();
    let origin = acs_url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let mut response = see_other(StatusCode::SEE_OTHER, &format!("{origin}{}", answered.return_to))?;
    let fields = response.headers_mut();
    fields.append(header::SET_COOKIE, cookies::set_session(&signed_in.token));
    fields.append(
        header::SET_COOKIE,
        cookies::set_pending_sign_ins(&remaining, gate.settings.sign_in_seconds_max),
    );
    Ok(response)
}

/// Steps 1 to 15 of the checks, in order.
async fn accept(
    gate: &Gate,
    tenant: &EnterpriseGate,
    acs_url: &str,
    request: Request<Incoming>,
    requests: &[RequestId],
    (request_id, now): (&str, Timestamp),
) -> Result<(SignedIn, PendingSignIn), Refused> {
    let form = read_form(gate, request).await?;
    let connection = tenant.connection(now)?;
    let mut outstanding = gate.directory.outstanding(requests, now).await?;
    outstanding.retain(|pending| {
        let ours = pending.enterprise == tenant.enterprise.slug && pending.acs_url == acs_url;
        ours || !stands(Guard::RequestOfTenant)
    });
    let ids: Vec<String> = outstanding.iter().map(|pending| authn_request_id(pending.request)).collect();
    let asked: Vec<Outstanding<'_>> = ids.iter().map(|request_id| Outstanding { request_id }).collect();
    let refused = |refusal| Refused::Saml(Box::new(refusal));
    let response = saml::decode(form.response.as_bytes()).map_err(refused)?;
    let assertion =
        saml::verify(&response, &connection, acs_url, &asked, now, &mut NoTrail).map_err(refused)?;
    let at =
        ids.iter().position(|id| id == assertion.in_response_to()).ok_or(SignInError::RequestConsumed)?;
    let pending = outstanding.swap_remove(at);
    // SAML Bindings 3.5.3: RelayState comes back as it was sent. One that is missing says nothing else; the path to
    // return to is kept with the request in any case.
    let other = form.relay_state.is_some_and(|relay_state| relay_state != pending.relay_state);
    if other && stands(Guard::RelayState) {
        return Err(Refused::RelayState);
    }
    let signed_in =
        gate.directory.sign_in(&tenant.enterprise, assertion, pending.clone(), request_id, now).await?;
    Ok((signed_in, pending))
}

/// What the binding's form carries.
struct Form {
    response: String,
    relay_state: Option<String>,
}

/// Step 1 of the checks: the HTTP-POST binding and nothing else (S-100).
async fn read_form(gate: &Gate, request: Request<Incoming>) -> Result<Form, Refused> {
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let media_type = kind.split(';').next().unwrap_or_default().trim();
    let is_form = media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    if !is_form && stands(Guard::FormContentType) {
        return Err(Refused::ContentType);
    }
    let is_ours = |name: &str| matches!(name, "SAMLResponse" | "SAMLRequest" | "SAMLart" | "RelayState");
    let query = request.uri().query().unwrap_or_default();
    let ours = form_urlencoded::parse(query.as_bytes()).any(|(name, _)| is_ours(&name));
    if ours && stands(Guard::FormNotInQuery) {
        return Err(Refused::Query);
    }
    let most = if stands(Guard::FormSize) { gate.settings.acs_body_bytes_max } else { usize::MAX };
    let body = Limited::new(request.into_body(), most).collect();
    let deadline = Duration::from_millis(gate.settings.acs_body_read_millis_max);
    let body = tokio::time::timeout(deadline, body).await.map_err(|_| Refused::BodyTimeout)?;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => Refused::BodyTooLarge,
        false => Refused::BodyBroken,
    })?;
    let (mut response, mut relay_state) = (None, None);
    for (name, value) in form_urlencoded::parse(&body.to_bytes()) {
        let slot = match name.as_ref() {
            "SAMLResponse" => &mut response,
            "RelayState" => &mut relay_state,
            "SAMLRequest" | "SAMLart" if stands(Guard::FormParameters) => return Err(Refused::Parameters),
            _ => continue,
        };
        if slot.replace(value.into_owned()).is_some() && stands(Guard::FormParameters) {
            return Err(Refused::Parameters);
        }
    }
    Ok(Form { response: response.ok_or(Refused::Parameters)?, relay_state })
}

/// An xs:ID must not begin with a digit (SAML Core 1.3.4).
fn authn_request_id(request: RequestId) -> String {
    format!("_{request}")
}

/// 128 random bits each: the browser's handle, of which the request's id is derived, and RelayState (S-98, S-103).
fn random_ids() -> Result<(SignInHandle, String), getrandom::Error> {
    let (mut handle, mut relay_state) = ([0; 16], [0; 16]);
    getrandom::fill(&mut handle)?;
    getrandom::fill(&mut relay_state)?;
    Ok((SignInHandle::from_bytes(handle), URL_SAFE_NO_PAD.encode(relay_state)))
}

fn see_other(status: StatusCode, url: &str) -> Result<Response<Body>, Problem> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    respond::harden(&mut response);
    let location = HeaderValue::from_str(url).map_err(|_| Problem::ReturnTo)?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{provisioning::UnusableAttribute, saml::Reason};

    #[test]
    fn every_refusal_of_our_own_is_documented() {
        let all = [
            Refused::ContentType,
            Refused::Query,
            Refused::BodyTooLarge,
            Refused::BodyTimeout,
            Refused::BodyBroken,
            Refused::Parameters,
            Refused::Saml(Box::new(Reason::SignatureInvalid.into())),
            Refused::RelayState,
            Refused::NoConnection(saml::NoConnection),
            SignInError::RequestConsumed.into(),
            SignInError::AssertionReplayed.into(),
            SignInError::from(UnusableAttribute::Ambiguous { name: "email".into(), values: 2 }).into(),
            SignInError::from(UnusableAttribute::NotText { name: "email".into() }).into(),
            SignInError::Contended.into(),
            SignInError::Random(getrandom::Error::UNSUPPORTED).into(),
            SignInError::Store(StoreError::Timeout(1)).into(),
        ];
        for refused in &all {
            // Whoever adds a variant is sent here.
            match refused {
                Refused::ContentType
                | Refused::Query
                | Refused::BodyTooLarge
                | Refused::BodyTimeout
                | Refused::BodyBroken
                | Refused::Parameters
                | Refused::Saml(_)
                | Refused::RelayState
                | Refused::NoConnection(_)
                | Refused::SignIn(
                    SignInError::RequestConsumed
                    | SignInError::AssertionReplayed
                    | SignInError::Attribute(_)
                    | SignInError::Contended
                    | SignInError::Random(_)
                    | SignInError::Store(_),
                ) => {}
            }
            let entry = format!("\n- `{}`", refused.code());
            let (_, after) = include_str!("../../docs/REASONS.md").split_once(&entry).expect(&entry);
            let line = after.lines().next().unwrap();
            assert!(line.ends_with(refused.hint()), "{entry}: {}", refused.hint());
        }
    }

    #[test]
    fn s_98_only_paths_of_our_own_are_returned_to() {
        for good in ["/", "/a/b?c=d&e=%2F", "/a%20b"] {
            assert_eq!(own_path(good).ok().as_deref(), Some(good));
        }
        let evil = [
            "",
            "a",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/%09/evil",
            "/a\r\nSet-Cookie: a=b",
            "/%5cevil.example",
            "/a/../../b",
            "/%2fevil.example",
            "/a#b",
            " /a",
            "/\u{e4}",
        ];
        for evil in evil {
            assert!(own_path(evil).is_err(), "{evil}");
        }
    }
}
