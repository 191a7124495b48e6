//! The algorithms on the allow list, and the keys that they need.
use std::fmt;

use openssl::{
    hash::MessageDigest,
    md::{Md, MdRef},
};

use super::guard::{Guard, stands};

/// A digest algorithm: SHA-2 (SHA-1 and MD5 are refused, S-54).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digest {
    Sha256,
    Sha384,
    Sha512,
}

impl Digest {
    pub fn from_uri(uri: &str) -> Option<Self> {
        match uri {
            "http://www.w3.org/2001/04/xmlenc#sha256" => Some(Self::Sha256),
            "http://www.w3.org/2001/04/xmldsig-more#sha384" => Some(Self::Sha384),
            "http://www.w3.org/2001/04/xmlenc#sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The digest of `octets`; `None` only if the library fails, which no caller takes for a match.
    pub fn of(self, octets: &[u8]) -> Option<Vec<u8>> {
        let algorithm = match self {
            Self::Sha256 => MessageDigest::sha256(),
            Self::Sha384 => MessageDigest::sha384(),
            Self::Sha512 => MessageDigest::sha512(),
        };
        openssl::hash::hash(algorithm, octets).ok().map(|digest| digest.to_vec())
    }

    /// In bytes.
    #[allow(clippy::len_without_is_empty, reason = "a digest is never empty")]
    pub fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub fn md(self) -> &'static MdRef {
        match self {
            Self::Sha256 => Md::sha256(),
            Self::Sha384 => Md::sha384(),
            Self::Sha512 => Md::sha512(),
        }
    }
}

/// What kind of key an algorithm needs. A key is only ever used for its own kind (S-52, S-55).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyType {
    Rsa,
    Ec,
}

/// A signature algorithm: RSASSA-PKCS1-v1_5 or ECDSA, RFC 9231 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SignatureAlgorithm {
    pub key_type: KeyType,
    pub digest: Digest,
}

impl SignatureAlgorithm {
    pub fn from_uri(uri: &str) -> Option<Self> {
        let (key_type, digest) = match uri.strip_prefix("http://www.w3.org/2001/04/xmldsig-more#")? {
            "rsa-sha256" => (KeyType::Rsa, Digest::Sha256),
            "rsa-sha384" => (KeyType::Rsa, Digest::Sha384),
            "rsa-sha512" => (KeyType::Rsa, Digest::Sha512),
            "ecdsa-sha256" => (KeyType::Ec, Digest::Sha256),
            "ecdsa-sha384" => (KeyType::Ec, Digest::Sha384),
            "ecdsa-sha512" => (KeyType::Ec, Digest::Sha512),
            _ => return None,
        };
        Some(Self { key_type, digest })
    }
}

impl SignatureAlgorithm {
    /// What a verifier that knows one algorithm would go on with.
    pub fn without_guard(guard: Guard) -> Option<Self> {
        (!stands(guard)).then_some(Self { key_type: KeyType::Rsa, digest: Digest::Sha256 })
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match self.key_type {
            KeyType::Rsa => "RSA",
            KeyType::Ec => "ECDSA",
        };
        write!(f, "{key} with SHA-{}", self.digest.len() * 8)
    }
}
