//! `/.portcullis/invitations/ENTERPRISE/REFERENCE`: where the link of an invitation's mail leads.
//!
//! The link's secret moves into a cookie at once, out of the address and so out of the browser's history and of what is kept
//! with a sign-in. Opening the link changes nothing, because programs that look at mails open links too; a form joins.
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
    access,
    directory::{AcceptError, Enterprise, InvitationLink},
    domain::{
        ActiveSession, AuthnDemand, EnterpriseSlug, InvitationReference, InvitationSecret, OrganizationSlug,
    },
    proxy::Body,
};

/// Everything below it names an invitation.
pub const PATH: &str = "/.portcullis/invitations";

/// Which invitation a path names.
struct Named {
    enterprise: EnterpriseSlug,
    reference: InvitationReference,
    /// Canonical, without a query.
    path: String,
}

impl Named {
    fn read(path: &str) -> Result<Self, Problem> {
        let path = access::canonical_path(path)?;
        let rest = path.as_str().strip_prefix(PATH).and_then(|rest| rest.strip_prefix('/'));
        let (enterprise, reference) = rest.and_then(|rest| rest.split_once('/')).ok_or(Problem::NoRoute)?;
        Ok(Self {
            enterprise: EnterpriseSlug::parse(enterprise).map_err(|_| Problem::NoRoute)?,
            reference: InvitationReference::parse(reference).ok_or(Problem::NoRoute)?,
            path: path.as_str().to_owned(),
        })
    }
}

/// The page, and what it posts.
pub async fn serve(
    gate: &Gate,
    host: &str,
    request: &Request<Incoming>,
    request_id: &str,
) -> Result<Response<Body>, Problem> {
    let named = Named::read(request.uri().path())?;
    // V-20: an enterprise that nobody has is told from an invitation that nobody has by nobody.
    let tenant = gate.enterprises.get(&named.enterprise);
    let tenant = tenant.ok_or(Problem::InvitationRefused(AcceptError::NotFound))?;
    let query = own_forms::fields(request.uri().query().unwrap_or_default().as_bytes())?;
    let home = format!("{}://{host}", gate.settings.public_url.scheme);
    let here = format!("{home}{}", named.path);
    if let Some(secret) = query.get("secret").filter(|_| request.method() == Method::GET) {
        let mut response = redirect(StatusCode::SEE_OTHER, &here)?;
        if let Some(secret) = InvitationSecret::parse(secret) {
            let cookie = cookies::set_invitation(named.reference, &secret);
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        return Ok(response);
    }
    let session = session(gate, request, &named.enterprise).await?;
    if *request.method() == Method::POST {
        own_forms::check_origin(gate, host, request.headers())?;
        let active = session.ok_or(Problem::SignInRequired { location: here })?;
        let organization = query.get("organization").map(String::as_str);
        accept(gate, &tenant.enterprise, &named, &active, request, (organization, request_id)).await?;
        let mut response = redirect(StatusCode::SEE_OTHER, &landing(gate, tenant, &home))?;
        response.headers_mut().append(header::SET_COOKIE, cookies::clear_invitation());
        return Ok(response);
    }
    let Some(active) = session else {
        let ask = Ask {
            enterprise: &named.enterprise,
            host,
            return_to: &named.path,
            demand: AuthnDemand::default(),
            login_hint: None,
        };
        return sign_in::start(gate, ask, request.headers()).await;
    };
    let link = link(&named, request)?;
    let offered = gate.directory.offered(&tenant.enterprise, &active.session, &link, (gate.now)());
    let offered = offered.await.map_err(Problem::InvitationRefused)?;
    let scheme = &gate.settings.public_url.scheme;
    let user = &active.session.profile.user;
    let (organization, role) = (offered.organization.as_str(), offered.role.as_str());
    forms::invitation(scheme, &named.path, organization, role, user)
}

async fn accept(
    gate: &Gate,
    enterprise: &Enterprise,
    named: &Named,
    active: &ActiveSession,
    request: &Request<Incoming>,
    (organization, request_id): (Option<&str>, &str),
) -> Result<(), Problem> {
    // A second click on the same button: what it wants is done.
    let organization = organization.and_then(|slug| OrganizationSlug::parse(slug).ok());
    let belongs = organization.is_some_and(|slug| active.memberships.iter().any(|m| m.organization == slug));
    let Ok(link) = link(named, request) else {
        return if belongs { Ok(()) } else { Err(Problem::InvitationRefused(AcceptError::Secret)) };
    };
    let (session, now) = (&active.session, (gate.now)());
    let accepted = gate.directory.accept_invitation(enterprise, session, &link, request_id, now);
    match accepted.await {
        Ok(_) => Ok(()),
        Err(AcceptError::NotFound) if belongs => Ok(()),
        Err(error) => Err(Problem::InvitationRefused(error)),
    }
}

/// Where people go from here: on a host of our own there is nothing else.
fn landing(gate: &Gate, tenant: &EnterpriseGate, home: &str) -> String {
    let here = format!("{home}/");
    let elsewhere =
        tenant.acs_urls.iter().find(|url| gate.settings.own_host.is_some() && !url.starts_with(&here));
    let origin = elsewhere.map(|url| url.split_inclusive('/').take(3).collect::<String>());
    origin.unwrap_or(here)
}

/// The session of a person of that enterprise.
async fn session(
    gate: &Gate,
    request: &Request<Incoming>,
    enterprise: &EnterpriseSlug,
) -> Result<Option<std::sync::Arc<ActiveSession>>, Problem> {
    let Some(token) = cookies::session_token(request.headers()) else { return Ok(None) };
    let session = gate.directory.session(&token, (gate.now)()).await?;
    Ok(session.filter(|active| active.session.enterprise == *enterprise))
}

/// What the browser kept of the link.
fn link(named: &Named, request: &Request<Incoming>) -> Result<InvitationLink, Problem> {
    let kept = cookies::invitation(request.headers()).filter(|(of, _)| *of == named.reference);
    let (reference, secret) = kept.ok_or(Problem::InvitationRefused(AcceptError::Secret))?;
    Ok(InvitationLink { reference, secret })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_one_invitation_or_nothing() {
        let reference = "ab".repeat(32);
        let named = Named::read(&format!("{PATH}/Example/{reference}")).ok();
        assert_eq!(named.map(|named| named.reference.to_string()), Some(reference.clone()));
        for path in [
            PATH.to_owned(),
            format!("{PATH}/"),
            format!("{PATH}/example"),
            format!("{PATH}/example/"),
            format!("{PATH}/example/{reference}/"),
            format!("{PATH}/example/{reference}00"),
            format!("{PATH}/example/{}", reference.to_uppercase()),
            format!("{PATH}/ex ample/{reference}"),
            format!("{PATH}s/example/{reference}"),
        ] {
            assert!(Named::read(&path).is_err(), "{path}");
        }
    }
}
