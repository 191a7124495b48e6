//! Pages for recovery codes: `/.portcullis/recovery-codes` makes them, `/.portcullis/recover` takes one.
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::{
    cookies, forms,
    gate::{EnterpriseGate, Gate},
    own_forms,
    respond::Problem,
    sign_in::{self, Ask},
    transport::redirect,
};
use crate::{
    directory::RecoveryError,
    domain::{AuthnDemand, EnterpriseSlug, PersonId, StableId},
    proxy::Body,
    saml::SubjectKey,
};

pub const RECOVER: &str = "/.portcullis/recover";
pub const CODES: &str = "/.portcullis/recovery-codes";
/// An account name, a NameID and a code, percent-encoded.
const FORM_BYTES_MAX: usize = 8 * 1024;
/// The longest NameID or attribute that is a user.
const USER_BYTES_MAX: usize = 1024;

impl EnterpriseGate {
    /// Whom a stable id's value names, known without the IdP.
    fn person(&self, user: &str) -> PersonId {
        let value = user.to_owned();
        let stable_id = match &self.subject {
            SubjectKey::NameId => StableId::NameId(value),
            SubjectKey::Attribute(name) => StableId::Attribute { name: name.clone(), value },
        };
        PersonId::of_stable_id(self.enterprise.id, &self.idp_entity_id, &stable_id)
    }
}

/// The form, and what it posts.
pub async fn recover(
    gate: &Gate,
    host: &str,
    request: Request<Incoming>,
    request_id: &str,
) -> Result<Response<Body>, Problem> {
    let scheme = &gate.settings.public_url.scheme;
    if *request.method() != Method::POST {
        return forms::recover(scheme, only_enterprise(gate).map(EnterpriseSlug::as_str));
    }
    own_forms::check_origin(gate, host, request.headers())?;
    let fields = own_forms::read(gate, request, FORM_BYTES_MAX).await?;
    let field = |name: &str| fields.get(name).map(|value| value.trim()).unwrap_or_default();
    let (user, code) = (field("user"), field("code"));
    let slug = EnterpriseSlug::parse(field("enterprise")).ok();
    let tenant = slug.as_ref().and_then(|slug| gate.enterprises.get(slug));
    // The host must be one on which that enterprise's people sign in: the session is good there.
    let tenant = tenant.filter(|tenant| gate.acs_url(&tenant.enterprise.slug, host).is_some());
    let refused = |error| Problem::RecoveryRefused(error);
    let tenant = tenant.filter(|_| user.len() <= USER_BYTES_MAX).ok_or(refused(RecoveryError::NotOwner))?;
    let (person, now) = (tenant.person(user), (gate.now)());
    let recovered = gate.directory.recover(&tenant.enterprise, person, user, code, request_id, now);
    let recovered = recovered.await.map_err(refused)?;
    let mut response = redirect(StatusCode::SEE_OTHER, &format!("{scheme}://{host}/"))?;
    let fields = response.headers_mut();
    fields.append(header::SET_COOKIE, cookies::set_session(&recovered.token));
    if gate.enterprises.len() > 1 {
        fields.append(header::SET_COOKIE, cookies::set_enterprise(&tenant.enterprise.slug));
    }
    Ok(response)
}

/// How many codes an owner has left, and new ones.
pub async fn codes(
    gate: &Gate,
    host: &str,
    request: &Request<Incoming>,
    request_id: &str,
) -> Result<Response<Body>, Problem> {
    let now = (gate.now)();
    let scheme = &gate.settings.public_url.scheme;
    let is_post = *request.method() == Method::POST;
    if is_post {
        own_forms::check_origin(gate, host, request.headers())?;
    }
    let session = match cookies::session_token(request.headers()) {
        Some(token) => gate.directory.session(&token, now).await?,
        None => None,
    };
    let Some(active) = session else {
        let location = format!("{scheme}://{host}{CODES}");
        let chosen = cookies::enterprise(request.headers());
        let enterprise = only_enterprise(gate).or(chosen.as_ref()).filter(|_| !is_post);
        let enterprise = enterprise.ok_or(Problem::SignInRequired { location })?;
        let demand = AuthnDemand::default();
        let ask = Ask { enterprise, host, return_to: CODES, demand, login_hint: None };
        return sign_in::start(gate, ask, request.headers()).await;
    };
    let session = &active.session;
    let tenant = &gate.enterprise(&session.enterprise)?.enterprise;
    if !tenant.owners.contains(&session.profile.user) {
        return Err(Problem::Forbidden);
    }
    if !is_post {
        let left = gate.directory.recovery_codes_left(tenant, session.person, now).await?;
        return forms::recovery_codes(scheme, &[], left);
    }
    let codes = gate.directory.generate_recovery_codes(tenant, session, request_id, now).await;
    let codes = codes.map_err(|error| match error {
        RecoveryError::NotOwner | RecoveryError::RecoverySession => Problem::Forbidden,
        other => Problem::RecoveryRefused(other),
    })?;
    forms::recovery_codes(scheme, &codes, None)
}

/// The enterprise, where there is one.
fn only_enterprise(gate: &Gate) -> Option<&EnterpriseSlug> {
    let mut enterprises = gate.enterprises.keys();
    enterprises.next().filter(|_| enterprises.next().is_none())
}
