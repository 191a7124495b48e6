//! How people sign out here: a page that asks, and the sign-out that goes on to the IdP.
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::{deliver, is_same_origin};
use crate::{
    domain::{ActiveSession, EnterpriseSlug, LogoutHandle, PendingLogout, RequestId, Timestamp},
    edge::{
        binding::{self, Fresh},
        cookies, forms,
        gate::Gate,
        pages::Class,
        respond::{self, Problem},
        sign_in::own_path,
        transport,
    },
    proxy::Body,
    saml::{
        self, Delivery, LogoutOutcome,
        guard::{Guard, stands},
    },
};

/// Where a sign-out begins and where its answer comes to.
pub struct Place<'a> {
    pub enterprise: &'a EnterpriseSlug,
    pub host: &'a str,
    pub slo_url: &'a str,
}

/// `GET /saml/logout`: asks, and changes nothing (L-08).
pub fn confirm(gate: &Gate, place: &Place<'_>) -> Result<Response<Body>, Problem> {
    let tenant = gate.enterprise(place.enterprise)?;
    let connection = tenant.connection((gate.now)());
    let everywhere = connection.is_ok_and(|connection| connection.settings().slo.is_some());
    forms::sign_out(&gate.settings.public_url.scheme, everywhere)
}

/// `POST /saml/logout?return_to=PATH`: ends the browser's session here, then asks the IdP to end its own and the others.
///
/// Ours ends first, so that an IdP that never answers leaves nobody signed in here.
pub async fn sign_out(
    gate: &Gate,
    place: &Place<'_>,
    request: &Request<Incoming>,
    request_id: &str,
) -> Result<Response<Body>, Problem> {
    let tenant = gate.enterprise(place.enterprise)?;
    let origin = format!("{}://{}", gate.settings.public_url.scheme, place.host);
    if !is_same_origin(request.headers(), &origin) && stands(Guard::LogoutOrigin) {
        return Err(Problem::LogoutCrossSite);
    }
    let return_to = return_target(request.uri().query().unwrap_or_default())?;
    let now = (gate.now)();
    let token = cookies::session_token(request.headers());
    let session = match &token {
        Some(token) => gate.directory.session(token, now).await?,
        None => None,
    };
    match (&session, &token) {
        (Some(active), _) => gate.directory.sign_out(active, request_id, now).await?,
        // What is no live session may still lie there: that of a person who is out, one of another link.
        (None, Some(token)) => gate.directory.end_session(token, now).await?,
        (None, None) => {}
    }
    let there = session.filter(|active| active.session.enterprise == *place.enterprise);
    // Nobody stays signed in because the IdP is not known at the moment.
    let asked = match (there, tenant.connection(now)) {
        (Some(active), Ok(connection)) => {
            ask(gate, &connection, place, &active, return_to.as_deref(), now).await?
        }
        _ => None,
    };
    let mut response = match (&asked, return_to) {
        (Some((delivery, _)), _) => deliver(delivery)?,
        (None, Some(path)) => transport::redirect(StatusCode::SEE_OTHER, &format!("{origin}{path}"))?,
        (None, None) => signed_out(gate, LogoutOutcome::Failed, request_id),
    };
    let fields = response.headers_mut();
    fields.append(header::SET_COOKIE, cookies::clear_session());
    if let Some((_, handle)) = asked {
        let seconds = gate.settings.sign_in_seconds_max;
        fields.append(header::SET_COOKIE, cookies::set_pending_logout(handle, seconds));
    }
    Ok(response)
}

/// A LogoutRequest about the session, remembered until its answer; `None` if the IdP has no single logout.
async fn ask(
    gate: &Gate,
    connection: &saml::Connection,
    place: &Place<'_>,
    active: &ActiveSession,
    return_to: Option<&str>,
    now: Timestamp,
) -> Result<Option<(Delivery, LogoutHandle)>, Problem> {
    let Fresh { handle, relay_state } = Fresh::new()?;
    let handle = LogoutHandle::from_bytes(handle);
    let request = RequestId::of_logout(handle);
    let session = &active.session;
    let delivery = saml::logout_request(
        connection,
        &binding::message_id(request),
        &session.name_id,
        session.session_index.as_deref(),
        &relay_state,
        now,
    )?;
    let Some(delivery) = delivery else { return Ok(None) };
    let lifetime = jiff::SignedDuration::from_secs(i64::from(gate.settings.sign_in_seconds_max));
    let pending = PendingLogout {
        request,
        enterprise: place.enterprise.clone(),
        slo_url: place.slo_url.to_owned(),
        relay_state,
        return_to: return_to.map(str::to_owned),
        expires_at: now.checked_add(lifetime).unwrap_or(now),
    };
    gate.directory.open_logout(&pending, now).await?;
    Ok(Some((delivery, handle)))
}

/// L-09: a path of this host, or none.
fn return_target(query: &str) -> Result<Option<String>, Problem> {
    let mut targets = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "return_to");
    match (targets.next(), targets.next()) {
        (None, _) => Ok(None),
        (Some((_, target)), None) => own_path(&target).map(Some),
        (Some(_), Some(_)) => Err(Problem::ReturnTo),
    }
}

/// The page at the end.
pub(super) fn signed_out(gate: &Gate, outcome: LogoutOutcome, request_id: &str) -> Response<Body> {
    let class = match outcome {
        LogoutOutcome::Complete => Class::SignedOut,
        LogoutOutcome::Partial => Class::SignedOutPartly,
        LogoutOutcome::Failed => Class::SignedOutHere,
    };
    respond::page(&gate.settings.pages, StatusCode::OK, class, request_id)
}
