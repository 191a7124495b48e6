//! What comes to the SLO URL, by which binding, and its sizes.
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::{super::gate::Gate, Refused};
use crate::saml::{
    LogoutRefusal, MessageKind,
    guard::{Guard, stands},
};

/// The longest RelayState. The standard says 80 bytes, IdPs send more (SAML Bindings 3.4.3).
const RELAY_STATE_BYTES_MAX: usize = 1_024;

/// A message as it came, by its binding.
pub(super) enum Binding {
    /// The query, octet for octet.
    Redirect(String),
    Post {
        kind: MessageKind,
        value: String,
        relay_state: Option<String>,
    },
    /// The envelope.
    Soap(Bytes),
}

impl Binding {
    /// Tells the bindings apart by method and Content-Type and reads the body, capped while it streams.
    pub async fn read(gate: &Gate, request: Request<Incoming>) -> Result<Self, Refused> {
        let query = request.uri().query().unwrap_or_default();
        if *request.method() == Method::GET {
            return Ok(Self::Redirect(query.to_owned()));
        }
        let is_ours = |name: &str| matches!(name, "SAMLResponse" | "SAMLRequest" | "SAMLart" | "RelayState");
        if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| is_ours(&name)) {
            return Err(Refused::Query);
        }
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let media_type = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("text/xml") {
            Ok(Self::Soap(read_body(gate, request).await?))
        } else if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            read_form(&read_body(gate, request).await?)
        } else {
            Err(Refused::ContentType)
        }
    }
}

/// Whether a RelayState may be sent back.
pub(super) fn check_relay_state(relay_state: Option<&str>) -> Result<(), Refused> {
    match relay_state {
        Some(long) if long.len() > RELAY_STATE_BYTES_MAX && stands(Guard::LogoutRelayStateSize) => {
            Err(Refused::RelayStateTooLong)
        }
        _ => Ok(()),
    }
}

/// SAML Bindings 3.5.4: one message and at most one RelayState.
fn read_form(body: &[u8]) -> Result<Binding, Refused> {
    let (mut asked, mut answered, mut relay_state) = (None, None, None);
    for (name, value) in form_urlencoded::parse(body) {
        let (name, slot) = match name.as_ref() {
            "SAMLRequest" => ("SAMLRequest", &mut asked),
            "SAMLResponse" => ("SAMLResponse", &mut answered),
            "RelayState" => ("RelayState", &mut relay_state),
            _ => continue,
        };
        if slot.replace(value.into_owned()).is_some() && stands(Guard::QueryOnce) {
            return Err(LogoutRefusal::ParameterTwice(name).into());
        }
    }
    let (kind, value) = match (asked, answered) {
        (Some(request), None) => (MessageKind::Request, request),
        (None, Some(response)) => (MessageKind::Response, response),
        // L-04
        (Some(_), Some(_)) if stands(Guard::QueryOneMessage) => {
            return Err(LogoutRefusal::RequestAndResponse.into());
        }
        (Some(request), Some(_)) => (MessageKind::Request, request),
        (None, None) => return Err(LogoutRefusal::MessageMissing.into()),
    };
    Ok(Binding::Post { kind, value, relay_state })
}

async fn read_body(gate: &Gate, request: Request<Incoming>) -> Result<Bytes, Refused> {
    let body = Limited::new(request.into_body(), gate.settings.acs_body_bytes_max).collect();
    let deadline = Duration::from_millis(gate.settings.acs_body_read_millis_max);
    let body = tokio::time::timeout(deadline, body).await.map_err(|_| Refused::BodyTimeout)?;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => Refused::BodyTooLarge,
        false => Refused::BodyBroken,
    })?;
    Ok(body.to_bytes())
}
