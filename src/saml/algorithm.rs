//! The algorithms on the allow lists, and the keys that they need.
use std::{fmt, sync::LazyLock};

use openssl::{
    md::{Md, MdRef},
    md_ctx::MdCtx,
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
        let mut context = MdCtx::new().ok()?;
        context.digest_init(self.md()).ok()?;
        context.digest_update(octets).ok()?;
        let mut digest = vec![0; self.len()];
        context.digest_final(&mut digest).ok()?;
        Some(digest)
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
        // Fetched once: OpenSSL would look an algorithm up by its name for every digest. If that fails, it looks it up.
        static FETCHED: LazyLock<[Option<Md>; 3]> = LazyLock::new(|| {
            ["SHA2-256", "SHA2-384", "SHA2-512"].map(|name| Md::fetch(None, name, None).ok())
        });
        let [sha256, sha384, sha512] = &*FETCHED;
        let (fetched, named) = match self {
            Self::Sha256 => (sha256, Md::sha256()),
            Self::Sha384 => (sha384, Md::sha384()),
            Self::Sha512 => (sha512, Md::sha512()),
        };
        fetched.as_deref().unwrap_or(named)
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

/// How an element is encrypted, XML Encryption 1.1 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentEncryption {
    /// Of the AES key.
    pub key_bytes: usize,
    pub mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Authenticated: whatever was changed is noticed.
    Gcm,
    /// Not authenticated: whoever can tell how a changed text fails to decrypt can read it (S-72).
    Cbc,
}

impl ContentEncryption {
    pub fn from_uri(uri: &str) -> Option<Self> {
        let (key_bytes, mode) = match uri {
            "http://www.w3.org/2009/xmlenc11#aes128-gcm" => (16, Mode::Gcm),
            "http://www.w3.org/2009/xmlenc11#aes256-gcm" => (32, Mode::Gcm),
            "http://www.w3.org/2001/04/xmlenc#aes128-cbc" => (16, Mode::Cbc),
            "http://www.w3.org/2001/04/xmlenc#aes256-cbc" => (32, Mode::Cbc),
            _ => return None,
        };
        Some(Self { key_bytes, mode })
    }
}

impl ContentEncryption {
    /// What a decrypter that knows one algorithm would go on with.
    pub fn without_guard() -> Option<Self> {
        (!stands(Guard::ContentAlgorithm)).then_some(Self { key_bytes: 32, mode: Mode::Gcm })
    }
}

impl fmt::Display for ContentEncryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Gcm => "GCM",
            Mode::Cbc => "CBC",
        };
        write!(f, "AES-{}-{mode}", self.key_bytes * 8)
    }
}

/// A digest within RSA-OAEP. SHA-1 is one: XML Encryption makes it the default, and OAEP does not need it to resist
/// collisions (RFC 8017 B.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OaepDigest {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl OaepDigest {
    /// Of a DigestMethod, XML Encryption 1.1 5.5.2.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Some(match uri {
            "http://www.w3.org/2000/09/xmldsig#sha1" => Self::Sha1,
            "http://www.w3.org/2001/04/xmlenc#sha256" => Self::Sha256,
            "http://www.w3.org/2001/04/xmldsig-more#sha384" => Self::Sha384,
            "http://www.w3.org/2001/04/xmlenc#sha512" => Self::Sha512,
            _ => return None,
        })
    }

    /// Of an MGF, XML Encryption 1.1 5.5.2.
    pub fn from_mask_uri(uri: &str) -> Option<Self> {
        Some(match uri.strip_prefix("http://www.w3.org/2009/xmlenc11#mgf1")? {
            "sha1" => Self::Sha1,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }

    pub fn md(self) -> &'static MdRef {
        match self {
            Self::Sha1 => Md::sha1(),
            Self::Sha256 => Md::sha256(),
            Self::Sha384 => Md::sha384(),
            Self::Sha512 => Md::sha512(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }
}

/// How a content key is encrypted to a key of ours, XML Encryption 1.1 5.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyTransport {
    Oaep {
        digest: OaepDigest,
        mask: OaepDigest,
    },
    /// RSAES-PKCS1-v1_5: whoever can tell how a changed key fails to decrypt can read it (S-72).
    Pkcs1,
}

impl KeyTransport {
    /// `digest` and `mask` are what the DigestMethod and the MGF say, if they are there.
    pub fn from_uri(uri: &str, digest: Option<OaepDigest>, mask: Option<OaepDigest>) -> Option<Self> {
        let sha1 = OaepDigest::Sha1;
        let oaep = Self::Oaep { digest: digest.unwrap_or(sha1), mask: mask.unwrap_or(sha1) };
        match uri {
            "http://www.w3.org/2009/xmlenc11#rsa-oaep" => Some(oaep),
            // Its name fixes MGF1 with SHA-1.
            "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p" => {
                Some(oaep).filter(|_| mask.is_none_or(|m| m == sha1))
            }
            "http://www.w3.org/2001/04/xmlenc#rsa-1_5" => {
                Some(Self::Pkcs1).filter(|_| digest.is_none() && mask.is_none())
            }
            _ => None,
        }
    }
}

impl KeyTransport {
    /// What a decrypter that knows one algorithm would go on with.
    pub fn without_guard() -> Option<Self> {
        let sha1 = OaepDigest::Sha1;
        (!stands(Guard::KeyAlgorithm)).then_some(Self::Oaep { digest: sha1, mask: sha1 })
    }
}

impl fmt::Display for KeyTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oaep { digest, mask } => {
                write!(f, "RSA-OAEP with {} and MGF1 with {}", digest.name(), mask.name())
            }
            Self::Pkcs1 => f.write_str("RSA PKCS #1 1.5"),
        }
    }
}

#[cfg(test)]
mod tests {
    use openssl::{hash::MessageDigest, nid::Nid};

    use super::*;

    #[test]
    fn digests_are_those_of_their_names() {
        for (digest, nid, reference) in [
            (Digest::Sha256, Nid::SHA256, MessageDigest::sha256()),
            (Digest::Sha384, Nid::SHA384, MessageDigest::sha384()),
            (Digest::Sha512, Nid::SHA512, MessageDigest::sha512()),
        ] {
            assert_eq!(digest.md().type_(), nid);
            for octets in [&b""[..], b"abc", &[0x80; 1000]] {
                let expected = openssl::hash::hash(reference, octets).unwrap();
                assert_eq!(digest.of(octets).as_deref(), Some(&*expected));
                assert_eq!(expected.len(), digest.len());
            }
        }
    }
}
