//! The ACS: the IdP's answer, from the form to a session.
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::{Refused, own_path};
use crate::{
    directory::{SignInError, SignedIn},
    domain::{EnterpriseSlug, PendingSignIn, RequestId, SignInHandle, Timestamp, url},
    edge::{
        binding, cookies,
        form_fields::form_fields,
        gate::{EnterpriseGate, Gate},
        respond::Problem,
        transport::{self, BodyLimits, TransportFault},
    },
    proxy::Body,
    saml::{
        self, NoTrail, Outstanding,
        guard::{Guard, stands},
    },
    telemetry::{AuditAction, AuditEvent, Trigger, audit},
};

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
    // S-98: whatever was kept, configured or sent, only a path of our own is redirected to.
    let target = own_path(&accepted.return_to).unwrap_or_else(|_| "/".into());
    let mut response =
        transport::redirect(StatusCode::SEE_OTHER, &format!("{}{target}", url::origin(acs_url)))?;
    let fields = response.headers_mut();
    fields.append(header::SET_COOKIE, cookies::set_session(&accepted.signed_in.token));
    if let Some(answered) = accepted.answered {
        let remaining: Vec<SignInHandle> =
            handles.into_iter().filter(|handle| RequestId::of(*handle) != answered).collect();
        let cookie = cookies::set_pending_sign_ins(&remaining, gate.settings.sign_in_seconds_max);
        fields.append(header::SET_COOKIE, cookie);
    }
    if gate.enterprises.len() > 1 {
        // Only what worked is remembered: a wrong choice is asked for again.
        fields.append(header::SET_COOKIE, cookies::set_enterprise(enterprise));
    }
    Ok(response)
}

/// A response that opened a session.
struct Accepted {
    signed_in: SignedIn,
    /// `None` for a sign-in that began at the IdP.
    answered: Option<RequestId>,
    return_to: String,
}

/// Steps 1 to 15 of the checks, in order.
async fn accept(
    gate: &Gate,
    tenant: &EnterpriseGate,
    acs_url: &str,
    request: Request<Incoming>,
    requests: &[RequestId],
    (request_id, now): (&str, Timestamp),
) -> Result<Accepted, Refused> {
    let form = read_form(gate, request).await?;
    let connection = tenant.connection(now)?;
    let mut outstanding = gate.directory.outstanding(requests, now).await?;
    outstanding.retain(|pending| {
        let ours = pending.enterprise == tenant.enterprise.slug && pending.acs_url == acs_url;
        ours || !stands(Guard::RequestOfTenant)
    });
    let ids: Vec<String> = outstanding.iter().map(|pending| binding::message_id(pending.request)).collect();
    let asked = ids.iter().zip(&outstanding);
    let asked: Vec<Outstanding<'_>> = asked
        .map(|(request_id, PendingSignIn { demand, issued_at, .. })| Outstanding {
            request_id,
            demand,
            issued_at: *issued_at,
        })
        .collect();
    let refused = |refusal| Refused::Saml(Box::new(refusal));
    let response = saml::decode(form.response.as_bytes()).map_err(refused)?;
    let assertion =
        saml::verify(&response, &connection, acs_url, &asked, now, &mut NoTrail).map_err(refused)?;
    if let Some(second) = &tenant.second_opinion {
        second.on(&response, connection.settings(), &assertion)?;
    }
    let pending = match assertion.in_response_to() {
        None => None,
        Some(request) => {
            let at = ids.iter().position(|id| id == request).ok_or(SignInError::RequestConsumed)?;
            Some(outstanding.swap_remove(at))
        }
    };
    let return_to = match &pending {
        None => unsolicited_target(tenant, form.relay_state.as_deref()),
        // SAML Bindings 3.5.3: RelayState comes back as it was sent. One that is missing says nothing else; the path to
        // return to is kept with the request in any case.
        Some(pending)
            if form.relay_state.is_some_and(|relay_state| relay_state != pending.relay_state)
                && stands(Guard::RelayState) =>
        {
            return Err(Refused::RelayState);
        }
        Some(pending) => pending.return_to.clone(),
    };
    let answered = pending.as_ref().map(|pending| pending.request);
    let signed_in =
        gate.directory.sign_in(&tenant.enterprise, assertion, pending.as_ref(), request_id, now).await?;
    Ok(Accepted { signed_in, answered, return_to })
}

/// S-84, S-98: a sign-in that began at the IdP goes to one of the paths that the operator listed, or to `/`. Whatever else
/// RelayState says, an attacker may have said it.
fn unsolicited_target(tenant: &EnterpriseGate, relay_state: Option<&str>) -> String {
    let listed = tenant.idp_initiated_targets.iter().find(|target| Some(target.as_str()) == relay_state);
    listed.map_or("/", String::as_str).to_owned()
}

/// What the binding's form carries.
struct Form {
    response: String,
    relay_state: Option<String>,
}

/// Step 1 of the checks: the HTTP-POST binding and nothing else (S-100).
async fn read_form(gate: &Gate, request: Request<Incoming>) -> Result<Form, Refused> {
    if !transport::is_media_type(request.headers(), transport::FORM) && stands(Guard::FormContentType) {
        return Err(TransportFault::ContentType.into());
    }
    if binding::has_parameters(request.uri().query()) && stands(Guard::FormNotInQuery) {
        return Err(TransportFault::Query.into());
    }
    let mut limits = BodyLimits::of(&gate.settings);
    if !stands(Guard::FormSize) {
        limits.bytes_max = usize::MAX;
    }
    let body = transport::read_body(request.into_body(), limits).await?;
    let (mut response, mut relay_state) = (None, None);
    for (name, value) in form_fields(&body) {
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
