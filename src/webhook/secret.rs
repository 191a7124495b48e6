//! The shared secret of a webhook, and what it signs (Standard Webhooks, "Webhook headers and signature scheme").
use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a secret's text begins with.
const PREFIX: &str = "whsec_";
/// The specification's bounds of a key, in bytes: 192 to 512 bits.
const KEY_BYTES_MIN: usize = 24;
const KEY_BYTES_MAX: usize = 64;

/// A key for HMAC-SHA256.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// Why a text is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("does not begin with {PREFIX}")]
    Prefix,
    #[error("is no base64 after {PREFIX}")]
    Base64,
    #[error("holds {0} bytes, not {KEY_BYTES_MIN} to {KEY_BYTES_MAX}")]
    Length(usize),
}

impl Secret {
    /// Reads `whsec_` and the key in base64.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError::Prefix)?;
        let key = BASE64_STANDARD.decode(encoded).map_err(|_| SecretError::Base64)?;
        match key.len() {
            KEY_BYTES_MIN..=KEY_BYTES_MAX => Ok(Self(key)),
            length => Err(SecretError::Length(length)),
        }
    }

    /// `v1,` and the signature in base64, of a message's id, its time in seconds since the epoch, and its body.
    fn sign(&self, id: &str, at_seconds: i64, body: &[u8]) -> String {
        // HMAC takes a key of any length: there is nothing to refuse.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(format!("{id}.{at_seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The field `webhook-signature`: one signature for each secret, so that a receiver that knows either is content.
pub(super) fn signatures(secrets: &[Secret], id: &str, at_seconds: i64, body: &[u8]) -> String {
    let signed: Vec<String> = secrets.iter().map(|secret| secret.sign(id, at_seconds, body)).collect();
    signed.join(" ")
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the libraries of Standard Webhooks test themselves with.
    #[test]
    fn signatures_are_those_of_the_specification() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let other = Secret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let both = signatures(&[secret.clone(), other.clone()], "a", 1, b"x");
        assert_eq!(both, format!("{} {}", secret.sign("a", 1, b"x"), other.sign("a", 1, b"x")));
    }

    #[test]
    fn every_part_is_signed() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let one = secret.sign("a", 1, b"x");
        for other in [secret.sign("b", 1, b"x"), secret.sign("a", 2, b"x"), secret.sign("a", 1, b"y")] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn secrets_have_one_form() {
        let of = |bytes: usize| Secret::parse(&format!("whsec_{}", BASE64_STANDARD.encode(vec![7; bytes])));
        assert!(of(24).is_ok() && of(64).is_ok());
        assert_eq!(of(23).unwrap_err(), SecretError::Length(23));
        assert_eq!(of(65).unwrap_err(), SecretError::Length(65));
        assert_eq!(Secret::parse("whsec_!").unwrap_err(), SecretError::Base64);
        assert_eq!(Secret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap_err(), SecretError::Prefix);
        assert!(!format!("{:?}", of(24)).contains('7'));
    }
}
