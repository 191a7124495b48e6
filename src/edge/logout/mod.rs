//! Single logout: what an IdP sends to the SLO URL. `start` is how people sign out here, `form` undoes the bindings.
mod form;
pub mod start;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::{
    binding, cookies, forms,
    gate::{EnterpriseGate, Gate},
    respond::{self, Problem},
    sign_in::own_path,
    transport::{self, TransportFault},
};
use crate::{
    directory::{LogoutError, LogoutNotice, StoreError},
    domain::{EnterpriseSlug, LogoutHandle, PendingLogout, RequestId, SessionId, Timestamp, url},
    proxy::Body,
    saml::{
        self, Delivery, LogoutMessage, LogoutOutcome, LogoutRefusal, Received, Receiver, Refusal,
        VerifiedLogoutRequest, VerifiedLogoutResponse,
        guard::{Guard, stands},
    },
    telemetry::{AuditAction, AuditEvent, Trigger, audit},
};
use form::Binding;

/// Why a message that came to the SLO URL changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    Transport(#[from] TransportFault),
    #[error("{0}")]
    Saml(#[from] LogoutRefusal),
    #[error("RelayState is too long to be sent back")]
    RelayStateTooLong,
    #[error("RelayState is not the one that went with the request")]
    RelayState,
    #[error("the request was answered before, or is too old")]
    RequestConsumed,
    #[error("{0}")]
    Logout(#[from] LogoutError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Logout(error.into())
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Saml(refusal.into())
    }
}

impl Refused {
    /// Stable code for logs, metrics and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Transport(fault) => fault.code(),
            Self::Saml(refusal) => refusal.code(),
            Self::RelayStateTooLong => "relay_state_too_long",
            Self::RelayState => "relay_state_mismatch",
            Self::RequestConsumed => "request_consumed",
            Self::Logout(error) => error.code(),
        }
    }
}

/// A message to the SLO URL, for which enterprise, and when.
struct Call<'a> {
    gate: &'a Gate,
    tenant: &'a EnterpriseGate,
    connection: &'a saml::Connection,
    /// What Destination must equal.
    slo_url: &'a str,
    request_id: &'a str,
    now: Timestamp,
    /// The session that the browser's cookie names, if the browser sent it: a form from the IdP's page does not.
    session: Option<SessionId>,
}

/// Takes a LogoutRequest or a LogoutResponse by any binding. A refusal changes nothing and leaves one audit event.
pub async fn receive(
    gate: &Gate,
    enterprise: &EnterpriseSlug,
    slo_url: &str,
    request: Request<Incoming>,
    request_id: &str,
) -> Result<Response<Body>, Problem> {
    let tenant = gate.enterprise(enterprise)?;
    let now = (gate.now)();
    let connection = tenant.connection(now)?;
    if connection.settings().slo.is_none() {
        return Err(Problem::NoRoute);
    }
    let session = cookies::session_token(request.headers()).map(|token| token.session_id());
    let call = Call { gate, tenant, connection: &connection, slo_url, request_id, now, session };
    match call.answer(request).await {
        Ok(response) => Ok(response),
        Err(Stop::Refused(refused)) => {
            call.tell_refused(&refused);
            Err(Problem::LogoutRefused(refused))
        }
        Err(Stop::Problem(problem)) => Err(problem),
    }
}

/// Why there is no answer: the message's fault, or ours.
enum Stop {
    Refused(Refused),
    Problem(Problem),
}

impl<E: Into<Refused>> From<E> for Stop {
    fn from(refused: E) -> Self {
        Self::Refused(refused.into())
    }
}

impl Call<'_> {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Stop> {
        let handle = cookies::pending_logout(request.headers());
        let binding = Binding::read(self.gate, request).await?;
        let pending = self.pending(handle).await?;
        let asked = pending.as_ref().map(|pending| binding::message_id(pending.request));
        let outstanding = asked.as_deref();
        let receiver = Receiver {
            connection: self.connection,
            slo_url: self.slo_url,
            outstanding: outstanding.as_slice(),
            now: self.now,
        };
        let Received { message, relay_state } = match binding {
            Binding::Redirect(query) => receiver.redirect(&query)?,
            Binding::Post { kind, value, relay_state } => {
                let octets = saml::decode(value.as_bytes())?;
                Received { message: receiver.post(kind, &octets)?, relay_state }
            }
            Binding::Soap(envelope) => {
                let request = receiver.soap(&envelope)?;
                return self.end_and_answer_by_soap(&request).await;
            }
        };
        match message {
            LogoutMessage::Request(request) => self.end_and_answer(&request, relay_state.as_deref()).await,
            LogoutMessage::Response(response) => {
                // A verified response names the request that is outstanding, so there is one.
                let pending = pending.ok_or(Refused::RequestConsumed)?;
                self.finish(&response, relay_state, pending).await
            }
        }
    }

    /// L-07: the LogoutRequest that this browser has outstanding, at this URL.
    async fn pending(&self, handle: Option<LogoutHandle>) -> Result<Option<PendingLogout>, Refused> {
        let Some(handle) = handle else { return Ok(None) };
        let found = self.gate.directory.outstanding_logout(RequestId::of_logout(handle), self.now).await?;
        Ok(found.filter(|pending| {
            let ours = pending.enterprise == self.tenant.enterprise.slug && pending.slo_url == self.slo_url;
            ours || !stands(Guard::LogoutOfTenant)
        }))
    }

    /// Ends the sessions and sends the browser back with the answer. If the store fails, the IdP is told so: the sign-outs
    /// that it still has to do elsewhere need not fail with ours.
    async fn end_and_answer(
        &self,
        request: &VerifiedLogoutRequest,
        relay_state: Option<&str>,
    ) -> Result<Response<Body>, Stop> {
        form::check_relay_state(relay_state)?;
        let ended = self.end(request).await?;
        let id = binding::random_message_id().map_err(Stop::problem)?;
        let reply =
            saml::Reply { id: &id, in_response_to: request.id(), done: ended.is_some(), now: self.now };
        let delivery = saml::logout_response(self.connection, &reply, relay_state);
        let delivery = delivery.map_err(Stop::problem)?.ok_or(Stop::Problem(Problem::NoRoute))?;
        let mut response = deliver(&delivery).map_err(Stop::Problem)?;
        if self.session.is_some_and(|session| ended.unwrap_or_default().contains(&session)) {
            response.headers_mut().append(header::SET_COOKIE, cookies::clear_session());
        }
        Ok(response)
    }

    async fn end_and_answer_by_soap(&self, request: &VerifiedLogoutRequest) -> Result<Response<Body>, Stop> {
        let done = self.end(request).await?.is_some();
        let id = binding::random_message_id().map_err(Stop::problem)?;
        let reply = saml::Reply { id: &id, in_response_to: request.id(), done, now: self.now };
        let envelope = saml::logout_response_soap(self.connection, &reply).map_err(Stop::problem)?;
        let mut response = Response::new(Body::from(envelope));
        respond::harden(&mut response);
        let media_type = HeaderValue::from_static("text/xml; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        Ok(response)
    }

    /// The ids of the sessions that ended; `None` if the store failed.
    async fn end(&self, request: &VerifiedLogoutRequest) -> Result<Option<Vec<SessionId>>, Refused> {
        let tenant = self.tenant;
        let entity_id = &self.connection.settings().entity_id;
        let notice = LogoutNotice { request_id: self.request_id, now: self.now };
        let ended = self.gate.directory.end_sessions_of(&tenant.enterprise, entity_id, request, notice);
        match ended.await {
            Ok(ended) => {
                self.gate.metrics.logout_accepted();
                tracing::debug!(
                    request_id = self.request_id,
                    sessions = ended.len(),
                    "sessions ended by the IdP"
                );
                Ok(Some(ended))
            }
            Err(error @ LogoutError::Replayed) => Err(error.into()),
            Err(error @ (LogoutError::Store(_) | LogoutError::TooManySessions)) => {
                self.tell_refused(&error.into());
                Ok(None)
            }
        }
    }

    /// The IdP has done what we asked for, more or less. L-09: the browser goes on to the path that was kept, or nowhere.
    async fn finish(
        &self,
        response: &VerifiedLogoutResponse,
        relay_state: Option<String>,
        pending: PendingLogout,
    ) -> Result<Response<Body>, Stop> {
        let other = relay_state.is_some_and(|relay_state| relay_state != pending.relay_state);
        if other && stands(Guard::LogoutRelayState) {
            return Err(Refused::RelayState.into());
        }
        let outcome = match response.outcome() {
            LogoutOutcome::Complete => None,
            LogoutOutcome::Partial => Some("partial_logout"),
            LogoutOutcome::Failed => Some("logout_failed"),
        };
        let notice = LogoutNotice { request_id: self.request_id, now: self.now };
        let enterprise = &self.tenant.enterprise;
        let taken = self.gate.directory.close_logout(enterprise, pending.request, outcome, notice).await?;
        if !taken && stands(Guard::LogoutRequestOnce) {
            return Err(Refused::RequestConsumed.into());
        }
        self.gate.metrics.logout_accepted();
        // S-98: whatever was kept, only a path of our own is redirected to.
        let kept = pending.return_to.as_deref().and_then(|path| own_path(path).ok());
        let answer = match (response.outcome(), kept) {
            (LogoutOutcome::Complete, Some(path)) => {
                let url = format!("{}{path}", url::origin(self.slo_url));
                transport::redirect(StatusCode::SEE_OTHER, &url)
            }
            (outcome, _) => Ok(start::signed_out(self.gate, outcome, self.request_id)),
        };
        let mut answer = answer.map_err(Stop::Problem)?;
        answer.headers_mut().append(header::SET_COOKIE, cookies::clear_pending_logout());
        Ok(answer)
    }

    fn tell_refused(&self, refused: &Refused) {
        let enterprise = self.tenant.enterprise.slug.as_str();
        let (code, request_id) = (refused.code(), self.request_id);
        self.gate.metrics.logout_refused(code);
        tracing::warn!(request_id, enterprise, code, %refused, "logout message refused");
        audit(&AuditEvent { reason: Some(code), ..self.event(AuditAction::LogoutRefused) });
    }

    fn event(&self, action: AuditAction) -> AuditEvent<'_> {
        let enterprise = self.tenant.enterprise.slug.as_str();
        AuditEvent {
            request_id: Some(self.request_id),
            ..AuditEvent::new(self.now, action, Trigger::Saml, enterprise)
        }
    }
}

impl Stop {
    fn problem(problem: impl Into<Problem>) -> Self {
        Self::Problem(problem.into())
    }
}

/// A message of ours on its way through the browser.
fn deliver(delivery: &Delivery) -> Result<Response<Body>, Problem> {
    match delivery {
        Delivery::Redirect { url } => transport::redirect(StatusCode::SEE_OTHER, url),
        Delivery::Post { url, parameter, message, relay_state } => {
            forms::post(url, parameter, message, relay_state.as_deref())
        }
    }
}

/// L-08: whether a form of this very origin sent the request. What says neither of itself is taken for a stranger.
pub(super) fn is_same_origin(fields: &HeaderMap, origin: &str) -> bool {
    let field = |name: &str| fields.get(name).map(|value| value.to_str().unwrap_or_default());
    match field("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => field("origin") == Some(origin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saml::Reason;

    #[test]
    fn every_refusal_of_our_own_is_documented() {
        let all: Vec<Refused> = vec![
            LogoutRefusal::from(Reason::SignatureInvalid).into(),
            LogoutRefusal::MessageMissing.into(),
            LogoutRefusal::RequestAndResponse.into(),
            LogoutRefusal::ParameterTwice("SigAlg").into(),
            LogoutRefusal::ParameterEncoding("SigAlg").into(),
            LogoutRefusal::DeflateInvalid.into(),
            LogoutRefusal::InflatedTooLarge.into(),
            LogoutRefusal::DeflateTrailing.into(),
            LogoutRefusal::SoapEnvelope.into(),
            LogoutRefusal::NotLogout.into(),
            LogoutRefusal::Shape.into(),
            LogoutRefusal::SessionIndexesExceeded.into(),
            LogoutRefusal::Expired.into(),
            Refused::RelayStateTooLong,
            Refused::RelayState,
            Refused::RequestConsumed,
            LogoutError::Replayed.into(),
            LogoutError::TooManySessions.into(),
            LogoutError::Store(StoreError::Timeout(1)).into(),
        ];
        for refused in &all {
            let entry = format!("\n- `{}`", refused.code());
            assert!(include_str!("../../../docs/REASONS.md").contains(&entry), "{entry}");
        }
    }

    #[test]
    fn l_08_only_our_own_origin_signs_out() {
        let judged = |fields: &[(&'static str, &'static str)]| {
            let fields = fields
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
            is_same_origin(&fields.collect(), "https://app.example.com")
        };
        assert!(judged(&[("sec-fetch-site", "same-origin")]));
        assert!(judged(&[("origin", "https://app.example.com")]));
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(!judged(&[("sec-fetch-site", site), ("origin", "https://app.example.com")]), "{site}");
        }
        for origin in ["null", "https://app.example.com.evil.example", "http://app.example.com", ""] {
            assert!(!judged(&[("origin", origin)]), "{origin}");
        }
        assert!(!judged(&[]));
    }
}
