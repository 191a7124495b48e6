//! The IdP's pages: metadata, the choice of a person, and the form that carries the response.
//!
//! There is no session and no cookie. The AuthnRequest rides along in hidden fields and is read anew at each step.
use std::sync::Arc;

use askama::Template;
use axum::{
    Form, Router,
    extract::{DefaultBodyLimit, Path, Query, State as Shared},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, StatusCode, header};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Authn,
    encrypter::Encrypter,
    people::{Directory, GroupsError, Person, groups_in},
    request::{Audience, AuthnRequest, Message, PERSISTENT, RequestError, ServiceProvider, origin_of},
    response::{Answer, Denial, Ids, NoGroups, Sign, metadata},
    sign_out::{self, Sessions},
    signer::Signer,
};

/// Length of a posted form: the groups of one person and a request.
const FORM_BYTES_MAX: usize = 256 * 1024;
/// Length of a RelayState. The standard says 80 bytes, service providers send more (SAML Bindings 3.4.3).
pub(super) const RELAY_STATE_BYTES_MAX: usize = 1_024;

/// The word for the HTTP-POST binding in a query or form.
const POST: &str = "post";

/// What every page sees.
pub(super) struct State {
    pub base_url: String,
    pub entity_id: String,
    pub audience: Audience,
    pub signer: Signer,
    pub directory: Directory,
    pub sign: Sign,
    pub no_groups: NoGroups,
    pub session_seconds: Option<u32>,
    pub authn: Authn,
    pub sessions: Sessions,
    pub encrypter: Option<Encrypter>,
}

pub(super) fn router(state: State) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/metadata", get(metadata_document))
        .route("/sso", get(sso).post(sso_posted))
        .route("/sso/begin", post(begin))
        .route("/slo", get(sign_out::redirected).post(sign_out::posted))
        .route("/people/{id}/sign-out", post(sign_out::sign_out))
        .route("/sso/continue", post(continue_to_service_provider))
        .route("/people/{id}/groups", post(save_groups))
        .route("/style.css", get(style))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .with_state(Arc::new(state))
}

/// A request as it rides along, from query or form.
#[derive(Debug, Clone, Default, Deserialize)]
struct Parameters {
    #[serde(rename = "SAMLRequest", default)]
    saml_request: String,
    #[serde(rename = "RelayState", default)]
    relay_state: String,
    /// Of the HTTP-Redirect binding.
    #[serde(rename = "SigAlg", default)]
    signature_algorithm: String,
    #[serde(rename = "Signature", default)]
    signature: String,
    /// `post` where the request came by the HTTP-POST binding: it is written in another way then.
    #[serde(default)]
    binding: String,
    #[serde(default)]
    person: String,
    groups: Option<String>,
}

/// A sign-in that begins here.
#[derive(Debug, Deserialize)]
struct Beginning {
    person: String,
    service_provider: String,
    acs_url: String,
    #[serde(rename = "RelayState", default)]
    relay_state: String,
}

/// What a page shows instead of an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Groups(#[from] GroupsError),
    #[error("RelayState is longer than {RELAY_STATE_BYTES_MAX} bytes")]
    RelayState,
    #[error("the form was posted from another site")]
    CrossSite,
    #[error("signing failed")]
    Signing(#[from] openssl::error::ErrorStack),
    #[error("no random numbers")]
    Random(#[from] getrandom::Error),
    #[error("the page could not be written")]
    Page(#[from] askama::Error),
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Request(_) | Self::RelayState => StatusCode::BAD_REQUEST,
            Self::Groups(GroupsError::NoPerson) => StatusCode::NOT_FOUND,
            Self::Groups(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Signing(_) | Self::Random(_) | Self::Page(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let message = self.to_string();
        match (ProblemPage { message: &message }).render() {
            Ok(html) => (status, page(html, "form-action 'none'")).into_response(),
            Err(_) => status.into_response(),
        }
    }
}

#[derive(Template)]
#[template(path = "idp/people.html")]
struct PeoplePage<'a> {
    people: Vec<Person>,
    /// The service provider's entity id, if someone is being signed in.
    service_provider: Option<&'a str>,
    parameters: &'a Parameters,
    /// Ids of those who have a session somewhere.
    signed_in: Vec<String>,
    entity_id: &'a str,
    /// Those that people may be sent to from here.
    known: &'a [ServiceProvider],
}

#[derive(Template)]
#[template(path = "idp/continue.html")]
struct ContinuePage<'a> {
    acs_url: &'a str,
    service_provider: &'a str,
    response: &'a str,
    relay_state: &'a str,
    nonce: &'a str,
}

#[derive(Template)]
#[template(path = "idp/problem.html")]
struct ProblemPage<'a> {
    message: &'a str,
}

async fn home(Shared(state): Shared<Arc<State>>) -> Result<Response, Problem> {
    people_page(&state, None, &Parameters::default())
}

/// The HTTP-POST binding. Other sites post here: that is what it is for.
async fn sso_posted(
    state: Shared<Arc<State>>,
    Form(parameters): Form<Parameters>,
) -> Result<Response, Problem> {
    sso(state, Query(Parameters { binding: POST.into(), ..parameters })).await
}

/// Signs a person in where nobody asked (SAML Profiles 4.1.5).
async fn begin(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Form(beginning): Form<Beginning>,
) -> Result<Response, Problem> {
    refuse_cross_site(&state, &headers)?;
    if beginning.relay_state.len() > RELAY_STATE_BYTES_MAX {
        return Err(Problem::RelayState);
    }
    let request = AuthnRequest::unsolicited(beginning.service_provider, beginning.acs_url);
    let request = state.audience.admit(request)?;
    let person = state.directory.person(&beginning.person).ok_or(GroupsError::NoPerson)?;
    let format = request.agreed_format().unwrap_or(PERSISTENT);
    deliver(&state, &request, &beginning.relay_state, |answer| answer.success(&person, format, &state.signer))
}

async fn sso(
    Shared(state): Shared<Arc<State>>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Problem> {
    let request = read(&state, &parameters)?;
    match denial(&request) {
        Some(denial) => {
            deliver(&state, &request, &parameters.relay_state, |answer| answer.denial(denial, &state.signer))
        }
        None => people_page(&state, Some(&request), &parameters),
    }
}

/// Signs a person in. Groups that ride along were edited on the page and are saved first, so that nobody signs in with
/// other groups than those on the screen.
async fn continue_to_service_provider(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Form(parameters): Form<Parameters>,
) -> Result<Response, Problem> {
    refuse_cross_site(&state, &headers)?;
    let request = read(&state, &parameters)?;
    if let Some(groups) = &parameters.groups {
        state.directory.set_groups(&parameters.person, &groups_in(groups))?;
    }
    let person = state.directory.person(&parameters.person).ok_or(GroupsError::NoPerson)?;
    let relay_state = &parameters.relay_state;
    deliver(&state, &request, relay_state, |answer| match request.agreed_format() {
        Some(format) => {
            state.sessions.open(&request, &person, format, &answer.ids.session);
            answer.success(&person, format, &state.signer)
        }
        None => answer.denial(Denial::InvalidNameIdPolicy, &state.signer),
    })
}

async fn save_groups(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(parameters): Form<Parameters>,
) -> Result<Redirect, Problem> {
    refuse_cross_site(&state, &headers)?;
    state.directory.set_groups(&id, &groups_in(parameters.groups.as_deref().unwrap_or_default()))?;
    if parameters.saml_request.is_empty() {
        return Ok(Redirect::to("/"));
    }
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("SAMLRequest", &parameters.saml_request)
        .append_pair("RelayState", &parameters.relay_state)
        .append_pair("SigAlg", &parameters.signature_algorithm)
        .append_pair("Signature", &parameters.signature)
        .append_pair("binding", &parameters.binding)
        .finish();
    Ok(Redirect::to(&format!("/sso?{query}")))
}

async fn metadata_document(Shared(state): Shared<Arc<State>>) -> Response {
    let wants_signed = !state.audience.keys.is_empty();
    let slo_url = format!("{}/slo", state.base_url);
    let document = metadata(&state.entity_id, &state.audience.sso_url, &slo_url, wants_signed, &state.signer);
    ([(header::CONTENT_TYPE, "application/samlmetadata+xml")], document).into_response()
}

async fn style() -> Response {
    let css = include_str!("../../templates/style.css");
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], css)
        .into_response()
}

fn read(state: &State, parameters: &Parameters) -> Result<AuthnRequest, Problem> {
    if parameters.relay_state.len() > RELAY_STATE_BYTES_MAX {
        return Err(Problem::RelayState);
    }
    let Parameters { saml_request, relay_state, signature_algorithm, signature, binding, .. } = parameters;
    let message = Message {
        request: saml_request,
        relay_state,
        is_posted: binding == POST,
        signature: (!signature.is_empty()).then_some((signature_algorithm, signature)),
    };
    Ok(state.audience.read(&message)?)
}

/// What can be denied before anyone chose a person.
fn denial(request: &AuthnRequest) -> Option<Denial> {
    if request.is_passive {
        // SAML Core 3.4.1: the IdP must not take control of the user interface.
        return Some(Denial::NoPassive);
    }
    request.agreed_format().is_none().then_some(Denial::InvalidNameIdPolicy)
}

/// Browsers say where a form came from. Tools that say nothing are let through: they carry nobody's authority.
pub(super) fn refuse_cross_site(state: &State, headers: &HeaderMap) -> Result<(), Problem> {
    let field = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let same_origin = |origin: &str| {
        let host = field(header::HOST).unwrap_or_default();
        origin == state.base_url || (!host.is_empty() && origin == format!("http://{host}"))
    };
    match (field(HeaderName::from_static("sec-fetch-site")), field(header::ORIGIN)) {
        (Some("same-origin" | "none"), _) => Ok(()),
        (None, Some(origin)) if same_origin(origin) => Ok(()),
        (None, None) => Ok(()),
        _ => Err(Problem::CrossSite),
    }
}

fn people_page(
    state: &State,
    request: Option<&AuthnRequest>,
    parameters: &Parameters,
) -> Result<Response, Problem> {
    let people = state.directory.people();
    let service_provider = request.map(|request| request.issuer.as_str());
    let known = state.audience.service_providers.as_slice();
    let (signed_in, entity_id) = (state.sessions.people(), state.entity_id.as_str());
    let html = PeoplePage { people, service_provider, parameters, signed_in, entity_id, known }.render()?;
    // Signing out through the browser goes on to an application: browsers judge redirects by this, too.
    let policy = if service_provider.is_some() { "form-action 'self'" } else { "form-action *" };
    Ok(page(html, policy))
}

/// The page that posts a response to the ACS: by itself with JavaScript, by a button without (SAML Bindings 3.5.4).
fn deliver(
    state: &State,
    request: &AuthnRequest,
    relay_state: &str,
    write: impl FnOnce(&Answer<'_>) -> Result<String, openssl::error::ErrorStack>,
) -> Result<Response, Problem> {
    let answer = Answer {
        idp_entity_id: &state.entity_id,
        request,
        ids: Ids { response: random_id()?, assertion: random_id()?, session: random_id()? },
        now: Timestamp::now(),
        sign: state.sign,
        no_groups: state.no_groups,
        session_seconds: state.session_seconds,
        authn: state.authn,
        encrypter: state.encrypter.as_ref(),
    };
    let response = STANDARD.encode(write(&answer)?);
    let nonce = random_id()?;
    let html = ContinuePage {
        acs_url: &request.acs_url,
        service_provider: &request.issuer,
        response: &response,
        relay_state,
        nonce: &nonce,
    }
    .render()?;
    let policy = format!("script-src 'nonce-{nonce}'; form-action {}", form_target(&request.acs_url));
    Ok(page(html, &policy))
}

/// The ACS as a source of a Content-Security-Policy; its grammar has no IPv6 addresses, so those get their scheme.
fn form_target(acs_url: &str) -> String {
    match origin_of(acs_url) {
        Some(origin) if origin.text.contains('[') => {
            origin.text.split("//").next().unwrap_or("'none'").to_owned()
        }
        Some(origin) => origin.text,
        None => "'none'".into(),
    }
}

pub(super) fn page(html: String, policy: &str) -> Response {
    let policy =
        format!("default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; {policy}");
    let fields = [
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The origin alone: with `no-referrer`, browsers send `Origin: null` with our own forms.
        (header::REFERRER_POLICY, "strict-origin"),
    ];
    (fields, Html(html)).into_response()
}

/// An underscore and 128 random bits in hexadecimal: an NCName.
pub(super) fn random_id() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("_{:032x}", u128::from_be_bytes(bytes)))
}
