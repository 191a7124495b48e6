//! Single logout at this IdP: sessions that service providers opened, and how they end, by browser or behind its back.
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, RawForm, State as Shared},
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::net::TcpStream;

use super::{
    logout::{Head, LogoutMessage, SpSession, parse},
    pages::{Problem, RELAY_STATE_BYTES_MAX, State, page, random_id, refuse_cross_site},
    people::Person,
    request::{AuthnRequest, RequestError, inflate},
    response::SUCCESS,
};

/// Sessions that are remembered; the oldest is forgotten first.
const SESSIONS_MAX: usize = 10_000;
/// How long a service provider may take to answer behind the browser's back.
const BACK_CHANNEL_MAX: Duration = Duration::from_secs(10);
const BACK_CHANNEL_BYTES_MAX: usize = 64 * 1024;

/// Which sessions service providers have of whom.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<VecDeque<SpSession>>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, VecDeque<SpSession>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session that `request` was answered with. Its single logout service is taken to lie beside the ACS.
    pub(super) fn open(&self, request: &AuthnRequest, person: &Person, format: &str, index: &str) {
        let home = request.acs_url.rsplit_once('/').map_or("", |(home, _)| home);
        let mut sessions = self.lock();
        if sessions.len() >= SESSIONS_MAX {
            sessions.pop_front();
        }
        sessions.push_back(SpSession {
            person: person.id.clone(),
            sp_entity_id: request.issuer.clone(),
            slo_url: format!("{home}/slo"),
            name_id: person.email.clone(),
            format: format.to_owned(),
            index: index.to_owned(),
        });
    }

    /// Ids of the people who have a session anywhere.
    pub(super) fn people(&self) -> Vec<String> {
        self.lock().iter().map(|session| session.person.clone()).collect()
    }

    fn take(&self, ends: impl Fn(&SpSession) -> bool) -> Vec<SpSession> {
        let mut sessions = self.lock();
        let (ended, left) = sessions.drain(..).partition(|session| ends(session));
        *sessions = left;
        Vec::from_iter::<VecDeque<SpSession>>(ended)
    }
}

/// What comes to `/slo`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    #[serde(rename = "SAMLRequest", default)]
    request: String,
    #[serde(rename = "SAMLResponse", default)]
    response: String,
    #[serde(rename = "RelayState", default)]
    relay_state: String,
}

#[derive(Template)]
#[template(path = "idp/signed_out.html")]
struct SignedOutPage<'a> {
    message: &'a str,
}

/// `GET /slo`: a message by HTTP-Redirect.
pub(super) async fn redirected(
    Shared(state): Shared<Arc<State>>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Problem> {
    let message = match (parameters.request.as_str(), parameters.response.as_str()) {
        ("", response) => inflate(response)?,
        (request, _) => inflate(request)?,
    };
    answer(&state, &parse(&message)?, &parameters.relay_state)
}

/// `POST /slo`: a message by HTTP-POST.
pub(super) async fn posted(
    Shared(state): Shared<Arc<State>>,
    RawForm(form): RawForm,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::default();
    for (name, value) in form_urlencoded::parse(&form) {
        match name.as_ref() {
            "SAMLRequest" | "SAMLResponse" => parameters.request = value.into_owned(),
            "RelayState" => parameters.relay_state = value.into_owned(),
            _ => {}
        }
    }
    let octets = STANDARD.decode(&parameters.request).map_err(|_| RequestError::Encoding)?;
    let message = String::from_utf8(octets).map_err(|_| RequestError::Encoding)?;
    answer(&state, &parse(&message)?, &parameters.relay_state)
}

/// Ends what a LogoutRequest names and answers it; shows what a LogoutResponse says.
fn answer(state: &State, message: &LogoutMessage, relay_state: &str) -> Result<Response, Problem> {
    if relay_state.len() > RELAY_STATE_BYTES_MAX {
        return Err(Problem::RelayState);
    }
    if message.name == "LogoutResponse" {
        let done = message.status == SUCCESS;
        return told(if done {
            "The application has signed you out."
        } else {
            "The application did not sign you out."
        });
    }
    let ended = state.sessions.take(|session| message.names(session));
    let Some(session) = ended.first() else {
        return told("There was no such session.");
    };
    let head_id = random_id()?;
    let at = now();
    let head = Head { id: &head_id, idp_entity_id: &state.entity_id, at: &at, destination: &session.slo_url };
    let response = head.logout_response(&message.id).canonical();
    let query = state.signer.sign_query("SAMLResponse", &response, relay_state)?;
    Ok(Redirect::to(&format!("{}?{query}", session.slo_url)).into_response())
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    channel: String,
}

/// `POST /people/{id}/sign-out`: everywhere behind the browser's back, or at one application through it.
pub(super) async fn sign_out(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(choice): Form<Choice>,
) -> Result<Response, Problem> {
    refuse_cross_site(&state, &headers)?;
    if choice.channel == "browser" {
        let index = state.sessions.lock().iter().find(|s| s.person == id).map(|s| s.index.clone());
        let mut taken = state.sessions.take(|session| Some(&session.index) == index.as_ref());
        let Some(session) = taken.pop() else { return told("There was no such session.") };
        let request = logout_request(&state, &session)?;
        let query = state.signer.sign_query("SAMLRequest", &request.canonical(), "signed-out")?;
        return Ok(Redirect::to(&format!("{}?{query}", session.slo_url)).into_response());
    }
    let sessions = state.sessions.take(|session| session.person == id);
    let (all, mut done) = (sessions.len(), 0);
    for session in sessions {
        done += usize::from(behind_the_back(&state, &session).await?);
    }
    told(&format!("{done} of {all} sessions have ended."))
}

/// SAML Bindings 3.2: whether the service provider says that the session is over.
async fn behind_the_back(state: &State, session: &SpSession) -> Result<bool, Problem> {
    let mut request = logout_request(state, session)?;
    state.signer.sign(&mut request)?;
    let envelope = format!(
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>{}</e:Body></e:Envelope>",
        request.canonical()
    );
    let answer = tokio::time::timeout(BACK_CHANNEL_MAX, send(&session.slo_url, envelope)).await;
    let answer = answer.ok().flatten().and_then(|answer| parse(&answer).ok());
    Ok(answer.is_some_and(|answer| answer.name == "LogoutResponse" && answer.status == SUCCESS))
}

/// Posts to an `http` URL; the body of a 200.
async fn send(url: &str, envelope: String) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"))?;
    let stream = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80))).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let request = Request::post(uri.path())
        .header(header::HOST, authority.as_str())
        .header(header::CONTENT_TYPE, "text/xml; charset=utf-8")
        .header("soapaction", "\"http://www.oasis-open.org/committees/security\"")
        .body(Full::new(Bytes::from(envelope)))
        .ok()?;
    let response = sender.send_request(request).await.ok().filter(|response| response.status() == 200)?;
    let body = Limited::new(response.into_body(), BACK_CHANNEL_BYTES_MAX).collect().await.ok()?;
    String::from_utf8(body.to_bytes().to_vec()).ok()
}

fn logout_request(state: &State, session: &SpSession) -> Result<super::xml::Element, Problem> {
    let (id, at) = (random_id()?, now());
    let head = Head { id: &id, idp_entity_id: &state.entity_id, at: &at, destination: &session.slo_url };
    Ok(head.logout_request(session))
}

fn told(message: &str) -> Result<Response, Problem> {
    Ok(page(SignedOutPage { message }.render()?, "form-action 'none'"))
}

/// In UTC without fractions (SAML Core 1.3.3).
fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
