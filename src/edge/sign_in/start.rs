//! Starting a sign-in: the pending record, the AuthnRequest, and the cookie that binds both to the browser.
use http::{HeaderMap, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::{RETURN_TO_BYTES_MAX, chooser, return_path};
use crate::{
    domain::{AuthnDemand, EnterpriseSlug, PendingSignIn, RequestId, SignInHandle},
    edge::{
        binding::{self, Fresh},
        cookies, forms,
        gate::Gate,
        respond::Problem,
        transport,
    },
    proxy::Body,
    saml::{AuthnRequest, Delivery},
};

/// A sign-in to be started.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    pub enterprise: &'a EnterpriseSlug,
    /// One that the enterprise has an ACS on.
    pub host: &'a str,
    /// Path and query on `host` to come back to.
    pub return_to: &'a str,
    /// Beyond what the connection always asks.
    pub demand: AuthnDemand,
    /// The e-mail address that the person gave.
    pub login_hint: Option<&'a str>,
}

/// Sends a browser to the enterprise's IdP, by a redirect or by a page that posts the request.
pub async fn start(gate: &Gate, ask: Ask<'_>, fields: &HeaderMap) -> Result<Response<Body>, Problem> {
    let tenant = gate.enterprise(ask.enterprise)?;
    let settings = &gate.settings;
    let acs_url =
        gate.acs_url(ask.enterprise, ask.host).ok_or(Problem::NotConfigured(ask.enterprise.clone()))?;
    let now = (gate.now)();
    let connection = tenant.connection(now)?;
    let Fresh { handle, relay_state } = Fresh::new()?;
    let handle = SignInHandle::from_bytes(handle);
    let request = RequestId::of(handle);
    let lifetime = jiff::SignedDuration::from_secs(i64::from(settings.sign_in_seconds_max));
    let always = connection.settings();
    let mut demand = ask.demand;
    demand.force |= always.force_authn;
    if demand.contexts.is_empty() {
        demand.contexts.clone_from(&always.authn_contexts);
    }
    let long = ask.return_to.len() > RETURN_TO_BYTES_MAX;
    let pending = PendingSignIn {
        request,
        enterprise: ask.enterprise.clone(),
        acs_url: acs_url.to_owned(),
        relay_state,
        return_to: if long { "/".into() } else { ask.return_to.into() },
        replaces: cookies::session_token(fields).map(|token| token.session_id()),
        demand,
        issued_at: now,
        expires_at: now.checked_add(lifetime).unwrap_or(now),
    };
    let sent = AuthnRequest {
        id: &binding::message_id(request),
        acs_url,
        relay_state: &pending.relay_state,
        demand: &pending.demand,
        login_hint: ask.login_hint,
        now,
    }
    .send(&connection)?;
    let mut handles = cookies::pending_sign_ins(fields, settings.pending_sign_ins_max);
    // P-56: the oldest give way.
    let surplus = (handles.len() + 1).saturating_sub(settings.pending_sign_ins_max);
    let evicted: Vec<RequestId> = handles.drain(..surplus.min(handles.len())).map(RequestId::of).collect();
    handles.push(handle);
    gate.directory.open_sign_in(&pending, &evicted, now).await?;
    let mut response = match sent {
        Delivery::Redirect { url } => transport::redirect(StatusCode::FOUND, &url)?,
        Delivery::Post { url, parameter, message, relay_state } => {
            forms::post(&url, parameter, &message, relay_state.as_deref())?
        }
    };
    let cookie = cookies::set_pending_sign_ins(&handles, settings.sign_in_seconds_max);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// `/saml/login?return_to=PATH&login_hint=E-MAIL`: starts a sign-in whether or not there is a session.
pub async fn login(
    gate: &Gate,
    enterprise: &EnterpriseSlug,
    host: &str,
    request: &Request<Incoming>,
) -> Result<Response<Body>, Problem> {
    let query = request.uri().query().unwrap_or_default();
    let (mut target, mut hint) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let slot = match name.as_ref() {
            "return_to" => &mut target,
            "login_hint" => &mut hint,
            _ => continue,
        };
        if slot.replace(value).is_some() {
            return Err(Problem::ReturnTo);
        }
    }
    let return_to = return_path(gate, host, target.as_deref().unwrap_or("/"))?;
    let hint = hint.as_deref().and_then(chooser::Email::parse);
    let login_hint = hint.as_ref().map(chooser::Email::as_str);
    let demand = AuthnDemand::default();
    start(gate, Ask { enterprise, host, return_to: &return_to, demand, login_hint }, request.headers()).await
}
