//! The AuthnRequest, and how it travels: by the HTTP-Redirect or the HTTP-POST binding.
use std::{fmt::Write as _, io::Write as _};

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::DeflateEncoder};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    Connection, SigningError,
    connection::RequestBinding,
    signing::{sign_document, sign_query},
};
use crate::domain::{AuthnDemand, Timestamp};

/// RFC 3986 2.3, unreserved: everything else is percent-encoded.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One AuthnRequest. What is random in it is drawn by the caller.
#[derive(Debug, Clone, Copy)]
pub struct AuthnRequest<'a> {
    /// The whole ID, `_` included.
    pub id: &'a str,
    pub acs_url: &'a str,
    pub relay_state: &'a str,
    pub demand: &'a AuthnDemand,
    /// The e-mail address that the person gave, if they gave one; sent only if the connection says so.
    pub login_hint: Option<&'a str>,
    pub now: Timestamp,
}

/// A message on its way through the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// HTTP-Redirect (SAML Bindings 3.4): where to redirect to.
    Redirect(String),
    /// HTTP-POST (SAML Bindings 3.5): a form that is posted to `action`.
    Post {
        action: String,
        /// The parameter's name: `SAMLRequest`.
        parameter: &'static str,
        /// In base64.
        message: String,
        relay_state: String,
    },
}

impl AuthnRequest<'_> {
    /// Writes the request for the connection's IdP, signed if the connection signs requests, in the connection's binding.
    /// A query that the SSO URL has is kept.
    pub fn send(&self, connection: &Connection) -> Result<Sent, SigningError> {
        let settings = connection.settings();
        let key = settings.signing_keys.first().filter(|_| settings.sign_requests);
        let Xml { document, signature_at } = self.xml(connection);
        let hint = self.login_hint.filter(|_| settings.login_hint);
        let hint = hint.map(|hint| format!("login_hint={}", utf8_percent_encode(hint, RESERVED)));
        if settings.request_binding == RequestBinding::Post {
            let document = match key {
                Some(key) => sign_document(key, &document, self.id, signature_at)?,
                None => document,
            };
            return Ok(Sent::Post {
                action: hint
                    .map_or_else(|| settings.sso_url.clone(), |hint| joined(&settings.sso_url, &hint)),
                parameter: "SAMLRequest",
                message: STANDARD.encode(document),
                relay_state: self.relay_state.to_owned(),
            });
        }
        let request = STANDARD.encode(deflate(document.as_bytes()).unwrap_or_default());
        let mut query = format!(
            "SAMLRequest={}&RelayState={}",
            utf8_percent_encode(&request, RESERVED),
            utf8_percent_encode(self.relay_state, RESERVED),
        );
        if let Some(key) = key {
            query = sign_query(key, query)?;
        }
        // The hint stands before the octets that are signed, as the SSO URL's own query does.
        let query = hint.map_or(query.clone(), |hint| format!("{hint}&{query}"));
        Ok(Sent::Redirect(joined(&settings.sso_url, &query)))
    }

    /// SAML Core 3.4.1, spelt as exclusive C14N spells it: what is signed is what stands there.
    fn xml(&self, connection: &Connection) -> Xml {
        let settings = connection.settings();
        // Whole seconds: SAML Core 1.3.3 asks nobody to read finer ones.
        let issue_instant = Timestamp::from_second(self.now.as_second()).unwrap_or(self.now);
        let mut xml = format!(
            "<samlp:AuthnRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
             AssertionConsumerServiceURL=\"{}\" Destination=\"{}\"",
            attribute(self.acs_url),
            attribute(&settings.sso_url),
        );
        if self.demand.force {
            xml.push_str(" ForceAuthn=\"true\"");
        }
        // Writing to a String cannot fail.
        let _ = write!(
            xml,
            " ID=\"{}\" IssueInstant=\"{issue_instant}\" \
             ProtocolBinding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" Version=\"2.0\">\
             <saml:Issuer xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">{}</saml:Issuer>",
            attribute(self.id),
            text(&settings.entity_id),
        );
        let signature_at = xml.len();
        // SAML Core 3.4.1.1.
        let format = settings.name_id_format.uri().map(|format| format!(" Format=\"{format}\""));
        let format = format.unwrap_or_default();
        let _ = write!(xml, "<samlp:NameIDPolicy AllowCreate=\"true\"{format}></samlp:NameIDPolicy>");
        // SAML Core 3.3.2.2.1: "exact" is the only comparison whose answer can be checked, since the others need an order
        // of contexts that only the IdP knows.
        if !self.demand.contexts.is_empty() {
            xml.push_str("<samlp:RequestedAuthnContext Comparison=\"exact\">");
            for class in &self.demand.contexts {
                let _ = write!(
                    xml,
                    "<saml:AuthnContextClassRef xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">{}\
                     </saml:AuthnContextClassRef>",
                    text(class)
                );
            }
            xml.push_str("</samlp:RequestedAuthnContext>");
        }
        // SAML Core 3.4.1.2: which IdP behind a proxying one the person comes from.
        if let Some(idp) = &settings.idp_hint {
            let _ = write!(
                xml,
                "<samlp:Scoping><samlp:IDPList><samlp:IDPEntry ProviderID=\"{}\"></samlp:IDPEntry></samlp:IDPList>\
                 </samlp:Scoping>",
                attribute(idp)
            );
        }
        xml.push_str("</samlp:AuthnRequest>");
        Xml { document: xml, signature_at }
    }
}

/// A request's text, and where a signature goes into it: behind the Issuer (SAML Core 3.2.1).
struct Xml {
    document: String,
    signature_at: usize,
}

/// A URL with more query, before its fragment.
fn joined(url: &str, query: &str) -> String {
    let (base, fragment) = url.split_once('#').map_or((url, None), |(base, rest)| (base, Some(rest)));
    let separator = match base.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    match fragment {
        None => format!("{base}{separator}{query}"),
        Some(fragment) => format!("{base}{separator}{query}#{fragment}"),
    }
}

/// Canonical XML 1.0, section 2.3: the text of an element.
fn text(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#xD;")
}

/// Canonical XML 1.0, section 2.3: the value of an attribute.
fn attribute(value: &str) -> String {
    let value = value.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    value.replace('\t', "&#x9;").replace('\n', "&#xA;").replace('\r', "&#xD;")
}

/// RFC 1951 without a wrapper, SAML Bindings 3.4.4.1.
pub(super) fn deflate(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(vec![], Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}
