//! One SAML connection: its settings, with the certificates turned into keys once.
use openssl::{
    bn::BigNum,
    ecdsa::EcdsaSig,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Public},
    x509::X509,
};

use super::{
    OwnKey, Reason, Refusal, SubjectKey,
    algorithm::{KeyType, SignatureAlgorithm},
    contexts::Contexts,
    delivery::Binding,
    demand::NameIdFormat,
    guard::{Guard, stands},
    limits::{KEYS_PER_CONNECTION_MAX, RSA_BITS_MAX, RSA_BITS_MIN},
};
use crate::domain::{Timestamp, hex};

/// What the configuration says of one SAML connection; keys as PEM certificates.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Our entity id: what Audience must equal.
    pub entity_id: String,
    pub idp_entity_id: String,
    /// Where AuthnRequests go.
    pub sso_url: String,
    /// How they go there.
    pub request_binding: Binding,
    /// Whether the first of [`Self::signing_keys`] signs AuthnRequests.
    pub sign_requests: bool,
    /// Every AuthnRequest says ForceAuthn.
    pub force_authn: bool,
    /// The classes that AuthnRequests ask for if nothing else is asked for; the answer must give one of them, whoever
    /// asked (S-99). Empty: any.
    pub authn_contexts: Vec<String>,
    pub name_id_format: NameIdFormat,
    /// The entity id of an IdP behind a proxying one (SAML Core 3.4.1.2).
    pub idp_hint: Option<String>,
    /// Whether the IdP is told the e-mail address that a person gave, as the query parameter `login_hint`.
    pub login_hint: bool,
    /// Whether a response that answers no request is taken (S-84).
    pub idp_initiated: bool,
    /// PEM, one certificate each.
    pub certificates: Vec<Vec<u8>>,
    pub signed: SignedElement,
    /// What identifies people.
    pub subject: SubjectKey,
    /// NotBefore and NotOnOrAfter are stretched by this much, in seconds.
    pub clock_skew_seconds: u32,
    /// Our own: the first signs, all are in our metadata.
    pub signing_keys: Vec<OwnKey>,
    /// Our own, RSA: what one of them opens is decrypted, and all are in our metadata.
    pub decryption_keys: Vec<OwnKey>,
    /// `None`: sign-outs end our own sessions only, and the IdP cannot end any.
    pub slo: Option<SloSettings>,
    /// Whether a plain Assertion is refused.
    pub encrypted: bool,
    /// Whether AES-CBC is taken beside AES-GCM, under a verified signature only (S-72).
    pub allow_padding_oracle_cbc: bool,
    /// Whether PKCS #1 1.5 is taken beside RSA-OAEP, under a verified signature only (S-72).
    pub allow_bleichenbacher_rsa_1_5: bool,
}

impl Settings {
    /// The key that signs what we send.
    pub(super) fn signing_key(&self) -> Option<&OwnKey> {
        self.signing_keys.first()
    }

    /// The key that signs AuthnRequests; `None` where they go unsigned.
    pub(super) fn request_key(&self) -> Option<&OwnKey> {
        self.signing_key().filter(|_| self.sign_requests)
    }
}

/// The IdP's single logout service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SloSettings {
    /// Where LogoutRequests go.
    pub url: String,
    /// Where LogoutResponses go, if elsewhere.
    pub response_url: Option<String>,
    /// How we send; what the IdP sends may come by either, and by SOAP.
    pub binding: Binding,
}

/// Which element must carry a signature of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SignedElement {
    #[default]
    Either,
    Response,
    Assertion,
    Both,
}

impl SignedElement {
    /// The word that the configuration uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Either => "either",
            Self::Response => "response",
            Self::Assertion => "assertion",
            Self::Both => "both",
        }
    }
}

/// Why a connection cannot be made. `certificate` counts from 0, in the order of the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// S-40: without a key nothing could be verified, so nothing could be refused.
    #[error("no certificate")]
    NoKey,
    #[error("more than {KEYS_PER_CONNECTION_MAX} certificates")]
    TooManyKeys,
    #[error("certificate {certificate} is not one PEM certificate")]
    NotPem { certificate: usize },
    #[error("certificate {certificate} holds a key that cannot be read")]
    KeyUnreadable { certificate: usize },
    #[error("certificate {certificate} holds a key that is neither RSA nor EC")]
    KeyTypeUnsupported { certificate: usize },
    #[error(
        "certificate {certificate} holds an RSA key of {bits} bits; from {RSA_BITS_MIN} to {RSA_BITS_MAX} are taken"
    )]
    RsaKeySize { certificate: usize, bits: u32 },
    #[error("certificate {certificate} holds an RSA key with a public exponent that is even, 1 or 3")]
    RsaExponent { certificate: usize },
    #[error("certificate {certificate} holds an EC key on another curve than P-256, P-384 or P-521")]
    EcCurve { certificate: usize },
    #[error("certificate {certificate} holds the same key as an earlier one")]
    KeyTwice { certificate: usize },
    /// Keys are transported with RSA. `key` counts from 0, in the order of the settings.
    #[error("decryption key {key} is no RSA key")]
    DecryptionKeyType { key: usize },
    /// S-76: a key that decrypts must not answer as one that signs.
    #[error("decryption key {key} is a signing key too")]
    KeyForBoth { key: usize },
    /// Nothing that is encrypted could be read, and all else is refused.
    #[error("assertions must be encrypted, and there is no decryption key")]
    NoDecryptionKey,
}

/// What a certificate says of itself, for warnings and for people to compare. Trust is in the key: an expired
/// certificate still verifies (S-58).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The subject's attributes, `CN=idp.example.com, O=Example`.
    pub subject: String,
    /// `None` if the certificate's time cannot be said in UTC.
    pub not_after: Option<Timestamp>,
    /// SHA-256 over the DER, lower-case hexadecimal.
    pub fingerprint_sha256: String,
}

/// A connection with its keys parsed: what [`super::verify`] works with. Cannot be made without a key.
pub struct Connection {
    settings: Settings,
    keys: Vec<Key>,
    certificates: Vec<CertificateInfo>,
}

impl Connection {
    /// Parses and checks every certificate: parsing one costs several verifications, so it happens here only.
    pub fn new(settings: Settings) -> Result<Self, ConnectionError> {
        if settings.certificates.is_empty() {
            return Err(ConnectionError::NoKey);
        }
        if settings.certificates.len() > KEYS_PER_CONNECTION_MAX && stands(Guard::KeysPerConnection) {
            return Err(ConnectionError::TooManyKeys);
        }
        let mut keys: Vec<Key> = vec![];
        let mut certificates = vec![];
        for (certificate, pem) in settings.certificates.iter().enumerate() {
            let not_pem = || ConnectionError::NotPem { certificate };
            let mut parsed = X509::stack_from_pem(pem).map_err(|_| not_pem())?;
            let (Some(parsed), None) = (parsed.pop(), parsed.pop()) else { return Err(not_pem()) };
            let key = Key::new(&parsed, certificate)?;
            if keys.iter().any(|other| other.key.public_eq(&key.key)) {
                return Err(ConnectionError::KeyTwice { certificate });
            }
            certificates.push(info(&parsed).ok_or_else(not_pem)?);
            keys.push(key);
        }
        if settings.encrypted && settings.decryption_keys.is_empty() {
            return Err(ConnectionError::NoDecryptionKey);
        }
        for (key, own) in settings.decryption_keys.iter().enumerate() {
            if !own.is_rsa() {
                return Err(ConnectionError::DecryptionKeyType { key });
            }
            if settings.signing_keys.iter().any(|other| other.is_same_key(own)) {
                return Err(ConnectionError::KeyForBoth { key });
            }
        }
        Ok(Self { settings, keys, certificates })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// In the order of the settings.
    pub fn certificates(&self) -> &[CertificateInfo] {
        &self.certificates
    }

    /// Checks a SignatureValue over the canonical SignedInfo with every key of the algorithm's type.
    pub(super) fn check_signature(
        &self,
        algorithm: SignatureAlgorithm,
        signed_info: &[u8],
        value: &[u8],
    ) -> Result<(), Refusal> {
        let fits = |key: &&Key| key.key_type() == algorithm.key_type || !stands(Guard::KeyType);
        let mut keys = self.keys.iter().filter(fits).peekable();
        if keys.peek().is_none() {
            return Err(Refusal::from(Reason::KeyTypeMissing).expected(&algorithm.to_string()));
        }
        let digest = algorithm.digest.of(signed_info).ok_or(Reason::SignatureInvalid)?;
        if keys.any(|key| key.verifies(algorithm, &digest, value)) || !stands(Guard::SignatureValue) {
            Ok(())
        } else {
            Err(Reason::SignatureInvalid.into())
        }
    }
}

/// A key of an allowed type and strength.
struct Key {
    key: PKey<Public>,
    /// The length of a coordinate in bytes for EC, `None` for RSA.
    coordinate_bytes: Option<usize>,
    contexts: Contexts,
}

impl Key {
    fn new(certificate: &X509, index: usize) -> Result<Self, ConnectionError> {
        let unreadable = || ConnectionError::KeyUnreadable { certificate: index };
        let key = certificate.public_key().map_err(|_| unreadable())?;
        let coordinate_bytes = match key.id() {
            openssl::pkey::Id::RSA => {
                check_rsa(&key, index)?;
                None
            }
            openssl::pkey::Id::EC => {
                let ec = key.ec_key().map_err(|_| unreadable())?;
                Some(match ec.group().curve_name() {
                    Some(Nid::X9_62_PRIME256V1) => 32,
                    Some(Nid::SECP384R1) => 48,
                    Some(Nid::SECP521R1) => 66,
                    _ => return Err(ConnectionError::EcCurve { certificate: index }),
                })
            }
            _ => return Err(ConnectionError::KeyTypeUnsupported { certificate: index }),
        };
        Ok(Self { key, coordinate_bytes, contexts: Contexts::default() })
    }

    fn key_type(&self) -> KeyType {
        if self.coordinate_bytes.is_some() { KeyType::Ec } else { KeyType::Rsa }
    }

    /// Whether the signature is this key's; a fault in the library counts as no.
    fn verifies(&self, algorithm: SignatureAlgorithm, digest: &[u8], value: &[u8]) -> bool {
        match self.coordinate_bytes {
            None => self.verifies_rsa(algorithm, digest, value),
            Some(bytes) => self.verifies_ec(bytes, digest, value),
        }
        .unwrap_or(false)
    }

    /// RFC 8017 8.2.2: the signature is as long as the modulus.
    fn verifies_rsa(
        &self,
        algorithm: SignatureAlgorithm,
        digest: &[u8],
        value: &[u8],
    ) -> Result<bool, openssl::error::ErrorStack> {
        if value.len() != self.key.size() {
            return Ok(false);
        }
        self.contexts.verify(&self.key, algorithm.digest, digest, value)
    }

    /// RFC 4050 3.3: r and s, each as long as a coordinate; OpenSSL refuses values outside of 1 to n-1 (S-56).
    fn verifies_ec(
        &self,
        bytes: usize,
        digest: &[u8],
        value: &[u8],
    ) -> Result<bool, openssl::error::ErrorStack> {
        let long = |s: &[u8]| s.len() == bytes || !stands(Guard::EcLength);
        let Some((r, s)) = value.split_at_checked(bytes).filter(|(_, s)| long(s)) else {
            return Ok(false);
        };
        let signature = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?;
        signature.verify(digest, &*self.key.ec_key()?)
    }
}

/// S-57: the strength of an RSA key.
fn check_rsa(key: &PKey<Public>, certificate: usize) -> Result<(), ConnectionError> {
    let rsa = key.rsa().map_err(|_| ConnectionError::KeyUnreadable { certificate })?;
    let bits = key.bits();
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(ConnectionError::RsaKeySize { certificate, bits });
    }
    let small = rsa.e().num_bits() <= 2;
    if small || !rsa.e().is_bit_set(0) { Err(ConnectionError::RsaExponent { certificate }) } else { Ok(()) }
}

pub(super) fn info(certificate: &X509) -> Option<CertificateInfo> {
    let fingerprint = certificate.digest(MessageDigest::sha256()).ok()?;
    let subject: Vec<String> = certificate
        .subject_name()
        .entries()
        .map(|entry| {
            let name = entry.object().nid().short_name().unwrap_or("?");
            let value = String::from_utf8_lossy(entry.data().as_slice()).into_owned();
            format!("{name}={value}")
        })
        .collect();
    let epoch = openssl::asn1::Asn1Time::from_unix(0).ok()?;
    let not_after = epoch.diff(certificate.not_after()).ok().and_then(|since| {
        Timestamp::from_second(i64::from(since.days) * 86_400 + i64::from(since.secs)).ok()
    });
    Some(CertificateInfo { subject: subject.join(", "), not_after, fingerprint_sha256: hex(&fingerprint) })
}
