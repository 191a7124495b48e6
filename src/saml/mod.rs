//! The SAML 2.0 service provider, pure: bytes in, [`VerifiedAssertion`] or a [`Refusal`] out.
//!
//! A response passes through these files, in this order, and stops at the first check that fails:
//!
//! 1. [`decode`]: base64, sizes;
//! 2. `xml`: raw scan, one strict parse to a flat tape, exclusive C14N;
//! 3. `structure`: IDs, one Response, one Assertion, where signatures may stand;
//! 4. `signature`: the shape of each, its value, its digest; yields the octets that were digested, and
//!    everything after reads only those, parsed anew by a tokenizer that knows no XML but canonical XML;
//! 5. `decryption` and `xmlenc`: what is encrypted to us, after the signature over it; what comes out starts again at 2;
//! 6. `fields`: timestamps and values get types;
//! 7. `policy`, `yardstick` and `demand`: whether it was meant for us, now, in answer to what we asked.
//!
//! What we send is made by `request`, `logout` and `metadata`, spelt by `writing`, signed by `signing`, and goes out by
//! `delivery`.
//!
//! We implement the SAML profile of XML Signature, not XML Signature: what the profile does not need is refused.
use std::sync::Arc;

use crate::domain::{AuthnDemand, Timestamp};

mod algorithm;
mod check;
mod connection;
mod contexts;
mod decode;
mod decryption;
mod delivery;
mod demand;
pub mod document;
mod fields;
pub mod guard;
mod instant;
pub mod limits;
mod logout;
mod metadata;
mod name_id;
mod own_key;
mod policy;
mod reason;
mod refusal;
mod request;
mod signature;
mod signing;
mod slot;
mod structure;
mod subject;
mod verify;
mod writing;
mod xml;
mod xmlenc;
mod yardstick;

pub use check::{Check, NoTrail, Trail};
pub use connection::{CertificateInfo, Connection, ConnectionError, Settings, SignedElement, SloSettings};
pub use decode::decode;
pub use delivery::{Binding, Delivery, MessageKind};
pub use demand::NameIdFormat;
pub use limits::ISSUE_AGE_SECONDS_MAX;
pub use logout::{
    LogoutMessage, LogoutOutcome, LogoutRefusal, Received, Receiver, Reply, VerifiedLogoutRequest,
    VerifiedLogoutResponse, logout_request, logout_response, logout_response_soap,
};
pub use metadata::{
    IdpMetadata, MetadataBinding, MetadataEndpoint, MetadataError, MetadataRules, MetadataSigners,
    OwnDescriptor, own_metadata, read_metadata,
};
pub use own_key::{OwnKey, OwnKeyError};
pub use reason::Reason;
pub use refusal::Refusal;
pub use request::AuthnRequest;
pub use signing::SigningError;
pub use slot::{ConnectionSlot, NoConnection};
pub use subject::SubjectKey;
pub use verify::{VerifiedAssertion, verify};

/// A request that this browser has outstanding.
#[derive(Debug, Clone, Copy)]
pub struct Outstanding<'a> {
    /// The AuthnRequest's ID, `_` included.
    pub request_id: &'a str,
    /// What it asked about the sign-in.
    pub demand: &'a AuthnDemand,
    pub issued_at: Timestamp,
}

pub type SharedConnection = Arc<Connection>;
