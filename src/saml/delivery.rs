//! How a message of ours travels: by the HTTP-Redirect or the HTTP-POST binding (SAML Bindings 3.4, 3.5).
use std::io::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::DeflateEncoder};

use super::{
    OwnKey, SigningError,
    signing::{sign_document, sign_query},
    writing::{joined, percent_encoded},
};

/// How we send. What the IdP sends comes as its own bindings allow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Binding {
    #[default]
    Redirect,
    Post,
}

impl Binding {
    /// The word that the configuration uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::Post => "post",
        }
    }
}

/// Which parameter of the binding carries a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    Request,
    Response,
}

impl MessageKind {
    /// The parameter's name (SAML Bindings 3.4.4, 3.5.4).
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Request => "SAMLRequest",
            Self::Response => "SAMLResponse",
        }
    }
}

/// A message on its way through the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Where to redirect to, with the message and all that goes with it.
    Redirect { url: String },
    /// A form that is posted to `url`: `parameter` holds the message in base64.
    Post { url: String, parameter: &'static str, message: String, relay_state: Option<String> },
}

/// A protocol message as text.
pub(super) struct Document {
    pub xml: String,
    /// Where a signature goes into it: behind the Issuer (SAML Core 3.2.1, 3.2.2).
    pub signature_at: usize,
}

impl Document {
    /// With an enveloped signature; `id` is that of the message.
    pub fn signed(&self, key: &OwnKey, id: &str) -> Result<String, SigningError> {
        sign_document(key, &self.xml, id, self.signature_at)
    }
}

/// What a message needs to be sent.
pub(super) struct Outgoing<'a> {
    pub kind: MessageKind,
    /// The message's ID.
    pub id: &'a str,
    pub document: &'a Document,
    /// A query that it has is kept.
    pub location: &'a str,
    pub relay_state: Option<&'a str>,
}

impl Outgoing<'_> {
    /// Signed where there is a `key`: the message itself by HTTP-POST, the query by HTTP-Redirect.
    pub fn send(&self, binding: Binding, key: Option<&OwnKey>) -> Result<Delivery, SigningError> {
        match binding {
            Binding::Redirect => self.redirect(key),
            Binding::Post => self.post(key),
        }
    }

    /// SAML Bindings 3.5.4.
    fn post(&self, key: Option<&OwnKey>) -> Result<Delivery, SigningError> {
        let signed = key.map(|key| self.document.signed(key, self.id)).transpose()?;
        Ok(Delivery::Post {
            url: self.location.to_owned(),
            parameter: self.kind.parameter(),
            message: STANDARD.encode(signed.as_deref().unwrap_or(&self.document.xml)),
            relay_state: self.relay_state.map(str::to_owned),
        })
    }

    /// SAML Bindings 3.4.4.1.
    fn redirect(&self, key: Option<&OwnKey>) -> Result<Delivery, SigningError> {
        let deflated = deflate(self.document.xml.as_bytes()).map_err(|_| SigningError::Document)?;
        let message = percent_encoded(&STANDARD.encode(deflated));
        let mut query = format!("{}={message}", self.kind.parameter());
        if let Some(relay_state) = self.relay_state {
            query.push_str("&RelayState=");
            query.push_str(&percent_encoded(relay_state));
        }
        if let Some(key) = key {
            query = sign_query(key, query)?;
        }
        Ok(Delivery::Redirect { url: joined(self.location, &query) })
    }
}

/// RFC 1951 without a wrapper, SAML Bindings 3.4.4.1.
fn deflate(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(vec![], Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}
