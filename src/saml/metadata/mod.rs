//! SAML metadata, pure: an IdP's document to [`IdpMetadata`] or a [`MetadataError`], and our own document.
//!
//! An IdP's document passes the same raw scan, the same strict parse and, where its signer is pinned, the same
//! signature check as a response; what is read afterwards is what was digested. It may describe one IdP and nothing else:
//! the aggregates of federations are refused (M-03).
mod duration;
mod error;
mod own;
mod read;

pub use error::MetadataError;
pub use own::{OwnDescriptor, own_metadata};
pub use read::read_metadata;

use super::{Binding, Connection, ConnectionError, Settings, SloSettings};
use crate::domain::Timestamp;

/// What a document must agree with.
#[derive(Debug, Clone, Default)]
pub struct MetadataRules {
    /// The IdP's entity ID that the configuration names; the document's must equal it byte for byte. `None` only for an
    /// import, whose reader is a person.
    pub entity_id: Option<String>,
    /// Hosts (with ports, as a Host field shows them) that lead to ourselves: no IdP lives there.
    pub own_authorities: Vec<String>,
    /// Allows plain http on loopback, as development does.
    pub http_on_loopback: bool,
    /// PEM certificates whose keys everybody has: production takes none of them.
    pub public_keys: Vec<Vec<u8>>,
}

/// The keys of which one must have signed a document.
pub struct MetadataSigners(Connection);

impl MetadataSigners {
    /// `certificates` are PEM, one each, under the rules for an IdP's certificates.
    pub fn new(certificates: Vec<Vec<u8>>) -> Result<Self, ConnectionError> {
        Connection::new(Settings { certificates, ..Settings::default() }).map(Self)
    }

    fn keys(&self) -> &Connection {
        &self.0
    }
}

/// A service of the IdP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataEndpoint {
    pub binding: MetadataBinding,
    pub location: String,
    /// Where answers go, if not to `location`.
    pub response_location: Option<String>,
}

/// The bindings that we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataBinding {
    Redirect,
    Post,
    Soap,
}

impl MetadataBinding {
    pub const ALL: [Self; 3] = [Self::Redirect, Self::Post, Self::Soap];

    /// SAML Bindings 3.2, 3.4, 3.5.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Redirect => "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
            Self::Post => "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
            Self::Soap => "urn:oasis:names:tc:SAML:2.0:bindings:SOAP",
        }
    }

    fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|binding| binding.uri() == uri)
    }
}

/// What an IdP's document says. Only [`read_metadata`] makes one: every key in it is one that a connection takes, every
/// location one that a browser may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdpMetadata {
    entity_id: String,
    certificates: Vec<Vec<u8>>,
    fingerprints: Vec<String>,
    key_fingerprints: Vec<String>,
    single_sign_on: Vec<MetadataEndpoint>,
    single_logout: Vec<MetadataEndpoint>,
    name_id_formats: Vec<String>,
    wants_requests_signed: bool,
    signed: bool,
    valid_until: Option<Timestamp>,
    cache_seconds: Option<u64>,
}

impl IdpMetadata {
    pub fn entity_id(&self) -> &str {
        &self.entity_id
    }
    /// The signing certificates as PEM, one each, at least one, no two of one key.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }
    /// SHA-256 over each certificate's DER, lower-case hexadecimal, in the same order.
    pub fn fingerprints(&self) -> &[String] {
        &self.fingerprints
    }
    /// SHA-256 over each public key (SubjectPublicKeyInfo), lower-case hexadecimal, in the same order.
    pub fn key_fingerprints(&self) -> &[String] {
        &self.key_fingerprints
    }
    /// In the document's order.
    pub fn single_sign_on(&self) -> &[MetadataEndpoint] {
        &self.single_sign_on
    }
    /// In the document's order.
    pub fn single_logout(&self) -> &[MetadataEndpoint] {
        &self.single_logout
    }
    pub fn name_id_formats(&self) -> &[String] {
        &self.name_id_formats
    }
    /// Whether the IdP refuses AuthnRequests without a signature.
    pub fn wants_requests_signed(&self) -> bool {
        self.wants_requests_signed
    }
    /// Whether one of the pinned keys signed it. A signature that nobody asked about counts as none.
    pub fn is_signed(&self) -> bool {
        self.signed
    }
    /// The earliest validUntil of the entity and its IdP role.
    pub fn valid_until(&self) -> Option<Timestamp> {
        self.valid_until
    }
    /// The shortest cacheDuration of the entity and its IdP role, in seconds.
    pub fn cache_seconds(&self) -> Option<u64> {
        self.cache_seconds
    }

    /// Where AuthnRequests go by the HTTP-Redirect binding.
    pub fn sso_url(&self) -> &str {
        self.location(MetadataBinding::Redirect).unwrap_or_default()
    }

    fn location(&self, binding: MetadataBinding) -> Option<&str> {
        let service = self.single_sign_on.iter().find(|sso| sso.binding == binding);
        service.map(|sso| sso.location.as_str())
    }

    /// Where logout messages go, by HTTP-Redirect if the IdP takes that. Nowhere without a key of ours: they are always signed.
    fn slo(&self, settings: &Settings) -> Option<SloSettings> {
        let by = |binding| self.single_logout.iter().find(move |slo| slo.binding == binding);
        let (slo, binding) = by(MetadataBinding::Redirect)
            .map(|slo| (slo, Binding::Redirect))
            .or_else(|| by(MetadataBinding::Post).map(|slo| (slo, Binding::Post)))?;
        let (url, response_url) = (slo.location.clone(), slo.response_location.clone());
        (!settings.signing_keys.is_empty()).then_some(SloSettings { url, response_url, binding })
    }

    /// The configuration's settings with everything that the document says of the IdP. Algorithms are not among it: hints
    /// in a document never widen what is accepted (M-07).
    pub fn apply(&self, settings: &Settings) -> Settings {
        Settings {
            // An IdP that takes POSTs without saying so takes them where redirects go.
            sso_url: match settings.request_binding {
                Binding::Redirect => self.sso_url(),
                Binding::Post => self.location(MetadataBinding::Post).unwrap_or(self.sso_url()),
            }
            .to_owned(),
            certificates: self.certificates.clone(),
            slo: settings.slo.clone().or_else(|| self.slo(settings)),
            ..settings.clone()
        }
    }
}
