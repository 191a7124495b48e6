//! What comes to the SLO URL, by which binding, and its sizes.
use bytes::Bytes;
use http::{Method, Request};
use hyper::body::Incoming;

use super::Refused;
use crate::{
    edge::{
        binding,
        form_fields::form_fields,
        gate::Gate,
        transport::{self, BodyLimits, TransportFault},
    },
    saml::{
        LogoutRefusal, MessageKind,
        guard::{Guard, stands},
    },
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
        let query = request.uri().query();
        if *request.method() == Method::GET {
            return Ok(Self::Redirect(query.unwrap_or_default().to_owned()));
        }
        if binding::has_parameters(query) && stands(Guard::FormNotInQuery) {
            return Err(TransportFault::Query.into());
        }
        let is = |media_type| transport::is_media_type(request.headers(), media_type);
        let (is_soap, is_form) = (is("text/xml"), is(transport::FORM));
        if !is_soap && !is_form && stands(Guard::FormContentType) {
            return Err(TransportFault::ContentType.into());
        }
        let mut limits = BodyLimits::of(&gate.settings);
        if !stands(Guard::FormSize) {
            limits.bytes_max = usize::MAX;
        }
        let body = transport::read_body(request.into_body(), limits).await?;
        if is_soap { Ok(Self::Soap(body)) } else { read_form(&body) }
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
    for (name, value) in form_fields(body) {
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
