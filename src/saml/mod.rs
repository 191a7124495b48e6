//! The SAML 2.0 service provider, pure: bytes in, [`VerifiedAssertion`] or a [`Refusal`] out.
use std::sync::Arc;

use crate::domain::{Attribute, NameId, Timestamp};

/// What the configuration says of one SAML connection; keys as PEM certificates.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our entity id: what Audience must equal.
    pub entity_id: String,
    pub idp_entity_id: String,
    /// Where AuthnRequests go (HTTP-Redirect binding).
    pub sso_url: String,
    /// PEM, one certificate each.
    pub certificates: Vec<Vec<u8>>,
    pub signed: SignedElement,
    /// NotBefore and NotOnOrAfter are stretched by this much, in seconds.
    pub clock_skew_seconds: u32,
}

/// Which element must carry a signature of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedElement {
    Either,
    Response,
    Assertion,
    Both,
}

/// A connection with its keys parsed: what [`verify`] works with. Cannot be made without a key.
pub struct Connection {
    pub settings: Settings,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    #[error("no certificate")]
    NoKey,
}

impl Connection {
    pub fn new(_settings: Settings) -> Result<Self, ConnectionError> {
        todo!()
    }
}

/// A request that this browser has outstanding.
#[derive(Debug, Clone, Copy)]
pub struct Outstanding<'a> {
    /// The AuthnRequest's ID, `_` included.
    pub request_id: &'a str,
}

/// What an accepted response says. Only [`verify`] makes one; every field comes from octets that were digested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedAssertion {
    assertion_id: String,
}

impl VerifiedAssertion {
    pub fn assertion_id(&self) -> &str {
        &self.assertion_id
    }
    pub fn issuer(&self) -> &str {
        todo!()
    }
    pub fn in_response_to(&self) -> &str {
        todo!()
    }
    pub fn name_id(&self) -> &NameId {
        todo!()
    }
    pub fn session_index(&self) -> Option<&str> {
        todo!()
    }
    pub fn authn_instant(&self) -> Timestamp {
        todo!()
    }
    pub fn session_not_on_or_after(&self) -> Option<Timestamp> {
        todo!()
    }
    pub fn issue_instant(&self) -> Timestamp {
        todo!()
    }
    /// When the assertion can no longer be accepted, clock skew included: how long its ID must be remembered.
    pub fn replayable_until(&self) -> Timestamp {
        todo!()
    }
    pub fn attributes(&self) -> &[Attribute] {
        todo!()
    }
}

/// Why a response was refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {}

/// Receives the name of each check as it passes.
pub trait Trail {}

pub fn decode(_form_value: &[u8]) -> Result<Vec<u8>, Refusal> {
    todo!()
}

pub fn verify(
    _response: &[u8],
    _connection: &Connection,
    _acs_url: &str,
    _outstanding: &[Outstanding<'_>],
    _now: Timestamp,
    _trail: &mut dyn Trail,
) -> Result<VerifiedAssertion, Refusal> {
    todo!()
}

/// The redirect that starts a sign-in: the IdP's SSO URL with SAMLRequest and RelayState.
pub fn authn_request_url(
    _connection: &Connection,
    _request_id: &str,
    _acs_url: &str,
    _relay_state: &str,
    _now: Timestamp,
) -> String {
    todo!()
}

pub type SharedConnection = Arc<Connection>;
