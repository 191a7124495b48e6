//! RSA verification contexts, kept between messages: OpenSSL takes a fifth of a verification's time to make one.
use std::sync::{Mutex, PoisonError};

use openssl::{
    error::ErrorStack,
    pkey::{PKey, Public},
    pkey_ctx::PkeyCtx,
    rsa::Padding,
};

use super::{algorithm::Digest, limits::IDLE_CONTEXTS_PER_KEY_MAX};

/// The contexts of one key that nobody uses now. What one of them answers depends on the key, the digest algorithm and
/// the arguments only.
#[derive(Default)]
pub(super) struct Contexts {
    idle: Mutex<Vec<Context>>,
}

struct Context {
    digest: Digest,
    context: PkeyCtx<Public>,
}

impl Contexts {
    /// Whether `value` is the key's RSASSA-PKCS1-v1_5 signature (RFC 8017 8.2.2) of what has the digest `hashed`.
    ///
    /// `key` is always the same one. A context returns here only after a signature that verified, so that nothing an
    /// unverified message may leave behind in one, an error or a state of the library, meets the next message.
    pub fn verify(
        &self,
        key: &PKey<Public>,
        digest: Digest,
        hashed: &[u8],
        value: &[u8],
    ) -> Result<bool, ErrorStack> {
        let mut used = match self.take(digest) {
            Some(idle) => idle,
            None => Context::new(key, digest)?,
        };
        let verified = used.context.verify(hashed, value);
        if matches!(verified, Ok(true)) {
            self.put(used);
        }
        verified
    }

    fn take(&self, digest: Digest) -> Option<Context> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().position(|context| context.digest == digest)?;
        Some(idle.swap_remove(at))
    }

    fn put(&self, context: Context) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONTEXTS_PER_KEY_MAX {
            idle.push(context);
        }
    }
}

impl Context {
    fn new(key: &PKey<Public>, digest: Digest) -> Result<Self, ErrorStack> {
        let mut context = PkeyCtx::new(key)?;
        context.verify_init()?;
        context.set_rsa_padding(Padding::PKCS1)?;
        context.set_signature_md(digest.md())?;
        Ok(Self { digest, context })
    }
}

#[cfg(test)]
mod tests {
    use openssl::{hash::MessageDigest, pkey::Private, sign::Signer};

    use super::*;

    fn keys() -> (PKey<Private>, PKey<Public>) {
        let pem = include_bytes!("../../fixtures/saml/keys/idp-rsa.key.pem");
        let private = PKey::private_key_from_pem(pem).unwrap();
        let public = PKey::public_key_from_der(&private.public_key_to_der().unwrap()).unwrap();
        (private, public)
    }

    fn sign(key: &PKey<Private>, algorithm: MessageDigest, octets: &[u8]) -> Vec<u8> {
        let mut signer = Signer::new(algorithm, key).unwrap();
        signer.sign_oneshot_to_vec(octets).unwrap()
    }

    /// A context that was used answers as a new one, whatever came before.
    #[test]
    fn contexts_remember_nothing() {
        let (private, key) = keys();
        let contexts = Contexts::default();
        let good = sign(&private, MessageDigest::sha256(), b"alice");
        let longer = sign(&private, MessageDigest::sha512(), b"alice");
        let [hashed, other] = [b"alice".as_slice(), b"bob"].map(|octets| Digest::Sha256.of(octets).unwrap());
        let hashed_longer = Digest::Sha512.of(b"alice").unwrap();
        let mut changed = good.clone();
        changed[0] ^= 1;
        for _ in 0..3 {
            let verify = |digest, hashed: &[u8], value: &[u8]| {
                contexts.verify(&key, digest, hashed, value).unwrap_or(false)
            };
            assert!(verify(Digest::Sha256, &hashed, &good));
            assert_eq!(
                contexts.idle.lock().unwrap().iter().filter(|c| c.digest == Digest::Sha256).count(),
                1
            );
            for refused in [&changed, &longer, &vec![0; 256], &vec![0xff; 256], &good[1..].to_vec(), &vec![]]
            {
                assert!(!verify(Digest::Sha256, &hashed, refused));
                assert!(verify(Digest::Sha256, &hashed, &good));
            }
            assert!(verify(Digest::Sha512, &hashed_longer, &longer));
            assert!(!verify(Digest::Sha512, &hashed_longer, &good));
            assert!(!verify(Digest::Sha256, &other, &good));
            assert!(!verify(Digest::Sha384, &hashed, &good));
        }
    }

    #[test]
    fn a_signature_that_does_not_verify_takes_its_context_along() {
        let (_, key) = keys();
        let contexts = Contexts::default();
        let hashed = Digest::Sha256.of(b"alice").unwrap();
        assert!(!contexts.verify(&key, Digest::Sha256, &hashed, &[1; 256]).unwrap_or(false));
        assert!(contexts.idle.lock().unwrap().is_empty());
    }

    #[test]
    fn idle_contexts_are_few() {
        let (_, key) = keys();
        let contexts = Contexts::default();
        for _ in 0..=IDLE_CONTEXTS_PER_KEY_MAX {
            contexts.put(Context::new(&key, Digest::Sha256).unwrap());
        }
        assert_eq!(contexts.idle.lock().unwrap().len(), IDLE_CONTEXTS_PER_KEY_MAX);
    }
}
