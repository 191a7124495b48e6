//! The AuthnRequest, sent by the HTTP-Redirect binding.
use std::io::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::DeflateEncoder};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::{
    Writer,
    events::{BytesText, Event},
};

use super::{Connection, SigningError, signing::sign_query};
use crate::domain::Timestamp;

/// RFC 3986 2.3, unreserved: everything else is percent-encoded.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The redirect that starts a sign-in (SAML Bindings 3.4.4.1): the IdP's SSO URL with SAMLRequest and RelayState, an existing
/// query kept; signed if the connection has a key for it. `request_id` is the whole ID, `_` included; it and `relay_state` are drawn by the caller.
pub fn authn_request_url(
    connection: &Connection,
    request_id: &str,
    acs_url: &str,
    relay_state: &str,
    now: Timestamp,
) -> Result<String, SigningError> {
    let xml = authn_request(connection, request_id, acs_url, now).unwrap_or_default();
    let deflated = deflate(&xml).unwrap_or_default();
    let sso_url = &connection.settings().sso_url;
    let (base, fragment) =
        sso_url.split_once('#').map_or((sso_url.as_str(), ""), |(base, fragment)| (base, fragment));
    let separator = match base.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    let request = STANDARD.encode(deflated);
    let mut query = format!(
        "SAMLRequest={}&RelayState={}",
        utf8_percent_encode(&request, RESERVED),
        utf8_percent_encode(relay_state, RESERVED),
    );
    if let Some(key) = connection.settings().signing_keys.first() {
        query = sign_query(key, query)?;
    }
    let mut url = format!("{base}{separator}{query}");
    if !fragment.is_empty() {
        url.push('#');
        url.push_str(fragment);
    }
    Ok(url)
}

/// SAML Core 3.4.1. Writing to memory does not fail; the error type is the writer's.
fn authn_request(
    connection: &Connection,
    request_id: &str,
    acs_url: &str,
    now: Timestamp,
) -> std::io::Result<Vec<u8>> {
    let settings = connection.settings();
    // Whole seconds: SAML Core 1.3.3 asks nobody to read finer ones.
    let issue_instant = Timestamp::from_second(now.as_second()).unwrap_or(now).to_string();
    let mut writer = Writer::new(vec![]);
    writer
        .create_element("samlp:AuthnRequest")
        .with_attributes([
            ("xmlns:samlp", "urn:oasis:names:tc:SAML:2.0:protocol"),
            ("xmlns:saml", "urn:oasis:names:tc:SAML:2.0:assertion"),
            ("ID", request_id),
            ("Version", "2.0"),
            ("IssueInstant", &issue_instant),
            ("Destination", &settings.sso_url),
            ("ProtocolBinding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"),
            ("AssertionConsumerServiceURL", acs_url),
        ])
        .write_inner_content(|writer| {
            writer.create_element("saml:Issuer").write_text_content(BytesText::new(&settings.entity_id))?;
            writer
                .create_element("samlp:NameIDPolicy")
                .with_attribute(("AllowCreate", "true"))
                .write_empty()?;
            writer.write_event(Event::Text(BytesText::new("")))
        })?;
    Ok(writer.into_inner())
}

/// RFC 1951 without a wrapper, SAML Bindings 3.4.4.1.
fn deflate(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(vec![], Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}
