//! What we send: LogoutRequests and LogoutResponses, always signed with the connection's first signing key.
use std::fmt::Write as _;

use super::{
    super::{
        Connection, OwnKey, SigningError,
        delivery::{Delivery, Document, Outgoing},
        instant::{shifted, whole_seconds},
        structure::STATUS_SUCCESS,
        writing::{attribute, text},
    },
    MessageKind,
};
use crate::domain::{NameId, Timestamp};

const RESPONDER: &str = "urn:oasis:names:tc:SAML:2.0:status:Responder";
/// How long the IdP may take a LogoutRequest of ours, in seconds: the browser carries it there at once.
const REQUEST_SECONDS: i64 = 300;

/// The answer to a LogoutRequest (SAML Core 3.7.2).
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// The answer's own ID, drawn by the caller, `_` included.
    pub id: &'a str,
    /// The request's ID.
    pub in_response_to: &'a str,
    /// Whether the sessions are over; else the IdP is told that we failed.
    pub done: bool,
    pub now: Timestamp,
}

/// Asks the IdP to end a person's session there and at other applications (SAML Core 3.7.1). `None` if the connection has no
/// single logout. `id` is the whole ID; it and `relay_state` are drawn by the caller.
pub fn logout_request(
    connection: &Connection,
    id: &str,
    name_id: &NameId,
    session_index: Option<&str>,
    relay_state: &str,
    now: Timestamp,
) -> Result<Option<Delivery>, SigningError> {
    let Some(slo) = connection.settings().slo.as_ref() else { return Ok(None) };
    let mut document = Document::open(MessageKind::Request, id, Some(&slo.url), now);
    document.attribute("NotOnOrAfter", &whole_seconds(shifted(now, REQUEST_SECONDS)).to_string());
    document.issuer(connection);
    document.name_id(name_id);
    if let Some(index) = session_index {
        document.push(format_args!("<samlp:SessionIndex>{}</samlp:SessionIndex>", text(index)));
    }
    document.push(format_args!("</samlp:LogoutRequest>"));
    let to = Outgoing {
        kind: MessageKind::Request,
        id,
        document: &document,
        location: &slo.url,
        relay_state: Some(relay_state),
    };
    to.send(slo.binding, Some(key(connection)?)).map(Some)
}

/// Answers a LogoutRequest through the browser; `relay_state` is the one that came with it (SAML Bindings 3.4.3). `None` if the
/// connection has no single logout.
pub fn logout_response(
    connection: &Connection,
    reply: &Reply<'_>,
    relay_state: Option<&str>,
) -> Result<Option<Delivery>, SigningError> {
    let Some(slo) = connection.settings().slo.as_ref() else { return Ok(None) };
    let location = slo.response_url.as_ref().unwrap_or(&slo.url);
    let to = Outgoing {
        kind: MessageKind::Response,
        id: reply.id,
        document: &response(connection, reply, Some(location)),
        location,
        relay_state,
    };
    to.send(slo.binding, Some(key(connection)?)).map(Some)
}

/// Answers a LogoutRequest that came by SOAP: the whole envelope.
pub fn logout_response_soap(connection: &Connection, reply: &Reply<'_>) -> Result<String, SigningError> {
    let signed = response(connection, reply, None).signed(key(connection)?, reply.id)?;
    Ok(format!(
        "<soap11:Envelope xmlns:soap11=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap11:Body>{signed}</soap11:Body>\
         </soap11:Envelope>"
    ))
}

fn response(connection: &Connection, reply: &Reply<'_>, destination: Option<&str>) -> Document {
    let mut document = Document::open(MessageKind::Response, reply.id, destination, reply.now);
    document.attribute("InResponseTo", reply.in_response_to);
    document.issuer(connection);
    let status = if reply.done { STATUS_SUCCESS } else { RESPONDER };
    document.push(format_args!(
        "<samlp:Status><samlp:StatusCode Value=\"{status}\"></samlp:StatusCode></samlp:Status></samlp:LogoutResponse>"
    ));
    document
}

/// Single logout is always signed (SAML Profiles 4.4.4.1); the configuration asks for the key.
fn key(connection: &Connection) -> Result<&OwnKey, SigningError> {
    connection.settings().signing_key().ok_or(SigningError::NoKey)
}

impl Document {
    /// The start tag, without its end, so that further attributes can follow.
    fn open(kind: MessageKind, id: &str, destination: Option<&str>, now: Timestamp) -> Self {
        let xml = format!(
            "<samlp:{} xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"",
            kind.element()
        );
        let mut document = Self { xml, signature_at: 0 };
        document.attribute("ID", id);
        document.attribute("Version", "2.0");
        document.attribute("IssueInstant", &whole_seconds(now).to_string());
        if let Some(destination) = destination {
            document.attribute("Destination", destination);
        }
        document
    }

    /// Ends the start tag.
    fn issuer(&mut self, connection: &Connection) {
        self.push(format_args!("><saml:Issuer>{}</saml:Issuer>", text(&connection.settings().entity_id)));
        self.signature_at = self.xml.len();
    }

    /// As the IdP said it; SAML Core 8.3.1: no Format and `unspecified` are the same.
    fn name_id(&mut self, name_id: &NameId) {
        let format =
            Some(&name_id.format).filter(|format| !format.is_empty() && *format != NameId::UNSPECIFIED);
        self.push(format_args!("<saml:NameID"));
        for (name, value) in [
            ("Format", format),
            ("NameQualifier", name_id.name_qualifier.as_ref()),
            ("SPNameQualifier", name_id.sp_name_qualifier.as_ref()),
        ] {
            if let Some(value) = value {
                self.attribute(name, value);
            }
        }
        self.push(format_args!(">{}</saml:NameID>", text(&name_id.value)));
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.push(format_args!(" {name}=\"{}\"", attribute(value)));
    }

    fn push(&mut self, piece: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.xml.write_fmt(piece);
    }
}
