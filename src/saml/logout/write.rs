//! What we send: LogoutRequests and LogoutResponses, always signed with the connection's first signing key.
use std::{borrow::Cow, fmt::Write as _};

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::utf8_percent_encode;
use quick_xml::escape::{escape, partial_escape};

use super::{
    super::{
        Connection, OwnKey, SigningError, SloBinding,
        name_id::UNSPECIFIED,
        request::{RESERVED, deflate},
        signing::{sign_document, sign_query},
        structure::STATUS_SUCCESS,
    },
    MessageKind,
};
use crate::domain::{NameId, Timestamp};

const RESPONDER: &str = "urn:oasis:names:tc:SAML:2.0:status:Responder";
/// How long the IdP may take a LogoutRequest of ours, in seconds: the browser carries it there at once.
const REQUEST_SECONDS: i64 = 300;
/// The end of the element that a signature stands behind (SAML Core 3.2.1). What an Issuer holds is escaped.
const ISSUER_END: &str = "</saml:Issuer>";

/// A message on its way through the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Whole: the location with the message, RelayState, SigAlg and Signature.
    Redirect { url: String },
    /// A form: SAMLRequest or SAMLResponse, and RelayState.
    Post { url: String, parameter: &'static str, message: String, relay_state: Option<String> },
}

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
    let mut xml = open(MessageKind::Request, id, Some(&slo.url), now);
    let until = now.checked_add(jiff::SignedDuration::from_secs(REQUEST_SECONDS)).unwrap_or(now);
    attribute(&mut xml, "NotOnOrAfter", Some(&instant(until)));
    issuer(&mut xml, connection);
    // As the IdP said it; SAML Core 8.3.1: no Format and `unspecified` are the same.
    xml.push_str("<saml:NameID");
    attribute(
        &mut xml,
        "Format",
        Some(name_id.format.as_str()).filter(|format| !format.is_empty() && *format != UNSPECIFIED),
    );
    attribute(&mut xml, "NameQualifier", name_id.name_qualifier.as_deref());
    attribute(&mut xml, "SPNameQualifier", name_id.sp_name_qualifier.as_deref());
    let _ = write!(xml, ">{}</saml:NameID>", partial_escape(&name_id.value));
    if let Some(index) = session_index {
        let _ = write!(xml, "<samlp:SessionIndex>{}</samlp:SessionIndex>", partial_escape(index));
    }
    xml.push_str("</samlp:LogoutRequest>");
    let to = Envelope { kind: MessageKind::Request, id, location: &slo.url, relay_state: Some(relay_state) };
    deliver(connection, slo.binding, &to, &xml).map(Some)
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
    let xml = response(connection, reply, Some(location));
    let to = Envelope { kind: MessageKind::Response, id: reply.id, location, relay_state };
    deliver(connection, slo.binding, &to, &xml).map(Some)
}

/// Answers a LogoutRequest that came by SOAP: the whole envelope.
pub fn logout_response_soap(connection: &Connection, reply: &Reply<'_>) -> Result<String, SigningError> {
    let xml = response(connection, reply, None);
    let signed = sign(key(connection)?, &xml, reply.id)?;
    Ok(format!(
        "<soap11:Envelope xmlns:soap11=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap11:Body>{signed}</soap11:Body>\
         </soap11:Envelope>"
    ))
}

fn response(connection: &Connection, reply: &Reply<'_>, destination: Option<&str>) -> String {
    let mut xml = open(MessageKind::Response, reply.id, destination, reply.now);
    attribute(&mut xml, "InResponseTo", Some(reply.in_response_to));
    issuer(&mut xml, connection);
    let status = if reply.done { STATUS_SUCCESS } else { RESPONDER };
    let _ = write!(
        xml,
        "<samlp:Status><samlp:StatusCode Value=\"{status}\"></samlp:StatusCode></samlp:Status></samlp:LogoutResponse>"
    );
    xml
}

/// Where a message goes, and what goes with it.
struct Envelope<'a> {
    kind: MessageKind,
    id: &'a str,
    location: &'a str,
    relay_state: Option<&'a str>,
}

fn deliver(
    connection: &Connection,
    binding: SloBinding,
    to: &Envelope<'_>,
    xml: &str,
) -> Result<Delivery, SigningError> {
    let key = key(connection)?;
    match binding {
        SloBinding::Redirect => redirect(key, to, xml),
        SloBinding::Post => Ok(Delivery::Post {
            url: to.location.to_owned(),
            parameter: to.kind.parameter(),
            message: STANDARD.encode(sign(key, xml, to.id)?),
            relay_state: to.relay_state.map(str::to_owned),
        }),
    }
}

/// SAML Bindings 3.4.4.1: the location keeps a query that it has.
fn redirect(key: &OwnKey, to: &Envelope<'_>, xml: &str) -> Result<Delivery, SigningError> {
    let deflated = deflate(xml.as_bytes()).map_err(|_| SigningError::Document)?;
    let encoded = STANDARD.encode(deflated);
    let mut query = format!("{}={}", to.kind.parameter(), utf8_percent_encode(&encoded, RESERVED));
    if let Some(relay_state) = to.relay_state {
        let _ = write!(query, "&RelayState={}", utf8_percent_encode(relay_state, RESERVED));
    }
    let query = sign_query(key, query)?;
    let separator = match to.location.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    Ok(Delivery::Redirect { url: format!("{}{separator}{query}", to.location) })
}

fn sign(key: &OwnKey, xml: &str, id: &str) -> Result<String, SigningError> {
    let at = xml.find(ISSUER_END).ok_or(SigningError::Document)? + ISSUER_END.len();
    sign_document(key, xml, id, at)
}

/// Single logout is always signed (SAML Profiles 4.4.4.1); the configuration asks for the key.
fn key(connection: &Connection) -> Result<&OwnKey, SigningError> {
    connection.settings().signing_keys.first().ok_or(SigningError::NoKey)
}

/// The start tag, without its end, so that further attributes can follow.
fn open(kind: MessageKind, id: &str, destination: Option<&str>, now: Timestamp) -> String {
    let mut xml = format!(
        "<samlp:{} xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"",
        kind.element()
    );
    attribute(&mut xml, "ID", Some(id));
    attribute(&mut xml, "Version", Some("2.0"));
    attribute(&mut xml, "IssueInstant", Some(&instant(now)));
    attribute(&mut xml, "Destination", destination);
    xml
}

/// Ends the start tag.
fn issuer(xml: &mut String, connection: &Connection) {
    let _ = write!(xml, "><saml:Issuer>{}{ISSUER_END}", partial_escape(&connection.settings().entity_id));
}

fn attribute(xml: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        let value: Cow<'_, str> = escape(value);
        let _ = write!(xml, " {name}=\"{value}\"");
    }
}

/// Whole seconds: SAML Core 1.3.3 asks nobody to read finer ones.
fn instant(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}
