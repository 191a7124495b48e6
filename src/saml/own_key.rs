//! A key pair of our own: for signing what we send, or for decrypting what is sent to us.
use openssl::{
    nid::Nid,
    pkey::{Id, PKey, Private},
    sha::sha256,
    x509::X509,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    connection::{CertificateInfo, info},
    limits::{RSA_BITS_MAX, RSA_BITS_MIN},
};

/// Why a PEM file is no key pair that we could use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OwnKeyError {
    #[error("holds no private key in PEM without a passphrase")]
    NoPrivateKey,
    #[error("holds no certificate in PEM")]
    NoCertificate,
    #[error("holds a private key and a certificate that do not belong together")]
    Mismatch,
    #[error("holds an RSA key of {bits} bits; from {RSA_BITS_MIN} to {RSA_BITS_MAX} are taken")]
    RsaKeySize { bits: u32 },
    #[error("holds a key that is neither RSA nor on P-256, P-384 or P-521")]
    KeyType,
}

/// A private key with the certificate that our metadata shows for it.
#[derive(Clone)]
pub struct OwnKey {
    key: PKey<Private>,
    certificate_der: Vec<u8>,
    info: CertificateInfo,
    /// Derived of the private key, so that nobody else knows it and it needs no chance.
    rejection_secret: [u8; 32],
}

/// Sets the secret apart from every other digest of the key.
const REJECTION_LABEL: &[u8] = b"portcullis implicit rejection";

impl OwnKey {
    /// Reads one PEM text that holds both, in any order; of several certificates the first counts.
    pub fn from_pem(pem: &[u8]) -> Result<Self, OwnKeyError> {
        // A passphrase is asked of nobody.
        let key =
            PKey::private_key_from_pem_callback(pem, |_| Ok(0)).map_err(|_| OwnKeyError::NoPrivateKey)?;
        let certificate = X509::from_pem(pem).map_err(|_| OwnKeyError::NoCertificate)?;
        let public = certificate.public_key().map_err(|_| OwnKeyError::NoCertificate)?;
        if !public.public_eq(&key) {
            return Err(OwnKeyError::Mismatch);
        }
        match key.id() {
            Id::RSA => {
                let bits = key.bits();
                if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
                    return Err(OwnKeyError::RsaKeySize { bits });
                }
            }
            Id::EC => {
                let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
                if !matches!(curve, Some(Nid::X9_62_PRIME256V1 | Nid::SECP384R1 | Nid::SECP521R1)) {
                    return Err(OwnKeyError::KeyType);
                }
            }
            _ => return Err(OwnKeyError::KeyType),
        }
        let certificate_der = certificate.to_der().map_err(|_| OwnKeyError::NoCertificate)?;
        let info = info(&certificate).ok_or(OwnKeyError::NoCertificate)?;
        let private = key.private_key_to_der().map_err(|_| OwnKeyError::NoPrivateKey)?;
        let rejection_secret = sha256(&[REJECTION_LABEL, &private].concat());
        Ok(Self { key, certificate_der, info, rejection_secret })
    }

    pub fn certificate(&self) -> &CertificateInfo {
        &self.info
    }

    /// DER in base64 without line breaks, as `ds:X509Certificate` carries it.
    pub fn certificate_base64(&self) -> String {
        STANDARD.encode(&self.certificate_der)
    }

    /// Whether both are one key, whatever their certificates say (S-76).
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.key.public_eq(&other.key)
    }

    pub(super) fn private(&self) -> &PKey<Private> {
        &self.key
    }

    /// Whether this DER is the certificate's.
    pub(super) fn has_certificate(&self, der: &[u8]) -> bool {
        self.certificate_der == der
    }

    /// The content key that stands in for what does not decrypt (S-72): nobody can foresee it, and the same ciphertext has
    /// always the same.
    pub(super) fn stand_in(&self, ciphertext: &[u8]) -> [u8; 32] {
        sha256(&[&self.rejection_secret, ciphertext].concat())
    }

    /// Else it is on an elliptic curve.
    pub fn is_rsa(&self) -> bool {
        self.key.id() == Id::RSA
    }
}

impl std::fmt::Debug for OwnKey {
    /// Never the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OwnKey").field(&self.info.fingerprint_sha256).finish()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use openssl::{
        asn1::Asn1Time, bn::BigNum, ec::EcGroup, ec::EcKey, hash::MessageDigest, rsa::Rsa, x509::X509Builder,
    };

    pub fn rsa(bits: u32) -> PKey<Private> {
        PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
    }

    pub fn ec(curve: Nid) -> PKey<Private> {
        let group = EcGroup::from_curve_name(curve).unwrap();
        PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
    }

    /// A self-signed certificate.
    pub fn certificate(key: &PKey<Private>) -> Vec<u8> {
        let mut builder = X509Builder::new().unwrap();
        builder.set_version(2).unwrap();
        builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        builder.set_pubkey(key).unwrap();
        let digest = match key.id() {
            Id::ED25519 => MessageDigest::null(),
            _ => MessageDigest::sha256(),
        };
        builder.sign(key, digest).unwrap();
        builder.build().to_pem().unwrap()
    }

    /// Key and certificate in one PEM text.
    pub fn pair(key: &PKey<Private>) -> Vec<u8> {
        [key.private_key_to_pem_pkcs8().unwrap(), certificate(key)].concat()
    }

    #[test]
    fn pairs_of_allowed_types_are_read() {
        for key in [rsa(2048), ec(Nid::X9_62_PRIME256V1), ec(Nid::SECP384R1), ec(Nid::SECP521R1)] {
            assert!(
                OwnKey::from_pem(&pair(&key)).unwrap().is_same_key(&OwnKey::from_pem(&pair(&key)).unwrap())
            );
        }
    }

    #[test]
    fn everything_else_says_why_not() {
        let (key, other) = (rsa(2048), rsa(2048));
        let pem = key.private_key_to_pem_pkcs8().unwrap();
        let cipher = openssl::symm::Cipher::aes_256_cbc();
        let locked = key.private_key_to_pem_pkcs8_passphrase(cipher, b"secret").unwrap();
        let why = |pem: &[u8]| OwnKey::from_pem(pem).unwrap_err();
        assert_eq!(why(b"hello"), OwnKeyError::NoPrivateKey);
        assert_eq!(why(&[locked, certificate(&key)].concat()), OwnKeyError::NoPrivateKey);
        assert_eq!(why(&pem), OwnKeyError::NoCertificate);
        assert_eq!(why(&[pem, certificate(&other)].concat()), OwnKeyError::Mismatch);
        assert_eq!(why(&pair(&rsa(1024))), OwnKeyError::RsaKeySize { bits: 1024 });
        assert_eq!(why(&pair(&ec(Nid::SECP256K1))), OwnKeyError::KeyType);
        assert_eq!(why(&pair(&PKey::generate_ed25519().unwrap())), OwnKeyError::KeyType);
    }
}
