//! A second verifier for what the SAML core accepted: xmlsec1 through samael, and libxml2 reading what that vouches for.
//!
//! Whoever sets `second_opinion` for a connection asks that two implementations agree, which share no code: another XML parser,
//! another canonicalization, another reading of signatures. It is never asked about a message that the core did not accept
//! already: given unverified XML, xmlsec1 spends seconds on transforms and opens what references name. Parsing in C is what the
//! default build avoids, so this is in the binary only with the cargo feature `samael`.
use std::fmt;

use crate::saml::{self, VerifiedAssertion};

#[cfg(feature = "samael")]
mod predigest;
#[cfg(feature = "samael")]
mod xmlsec;

/// Whether this build can give one.
pub const AVAILABLE: bool = cfg!(feature = "samael");

/// Proof that this build has one.
pub struct SecondOpinion {
    /// Without the feature there is nothing to make one of.
    #[cfg(not(feature = "samael"))]
    none: std::convert::Infallible,
}

/// This build has no second verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this build has no second verifier: build with --features samael")]
pub struct Unavailable;

/// How the second verifier differs from the core. For the log; outside it is one more refused sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disagreement {
    /// It does not verify the signatures.
    Signature(String),
    /// What is signed has another shape for it.
    Shape(&'static str),
    /// It reads another value. Of what; never the values, which may be anybody's.
    Value(&'static str),
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature(why) => write!(f, "the second verifier does not verify the signatures: {why}"),
            Self::Shape(what) => write!(f, "the second verifier finds {what}"),
            Self::Value(what) => write!(f, "the second verifier reads another {what}"),
        }
    }
}

impl std::error::Error for Disagreement {}

impl SecondOpinion {
    /// # Errors
    /// Without the cargo feature `samael`.
    pub fn new() -> Result<Self, Unavailable> {
        #[cfg(feature = "samael")]
        return Ok(Self {});
        #[cfg(not(feature = "samael"))]
        Err(Unavailable)
    }

    /// Compares what the core read of `response` with what the second verifier reads of it with the certificates of
    /// `settings`: the assertion's ID, the issuer, the NameID and the attributes, all of them octet for octet.
    ///
    /// # Errors
    /// The first [`Disagreement`]. Whatever goes wrong over there is one.
    pub fn on(
        &self,
        response: &[u8],
        settings: &saml::Settings,
        verified: &VerifiedAssertion,
    ) -> Result<(), Disagreement> {
        #[cfg(feature = "samael")]
        return predigest::compare(&xmlsec::predigest(response, settings)?, verified);
        #[cfg(not(feature = "samael"))]
        {
            let _ = (response, settings, verified);
            match self.none {}
        }
    }
}
