//! Encrypts assertions to a service provider's key (SAML Core 2.3.4): AES-256-GCM under RSA-OAEP, as most IdPs can.
use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{
    error::ErrorStack,
    pkey::{Id, PKey, Public},
    rand::rand_bytes,
    rsa::Padding,
    symm::{Cipher, encrypt_aead},
    x509::X509,
};

use super::{signer::KeyError, xml::Element};

const AES_256_GCM: &str = "http://www.w3.org/2009/xmlenc11#aes256-gcm";
const RSA_OAEP: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
const SHA1: &str = "http://www.w3.org/2000/09/xmldsig#sha1";
const TYPE_ELEMENT: &str = "http://www.w3.org/2001/04/xmlenc#Element";

/// A service provider's key.
pub(super) struct Encrypter {
    key: PKey<Public>,
    /// DER in base64.
    certificate: String,
}

impl Encrypter {
    pub(super) fn new(certificate_pem: &[u8]) -> Result<Self, KeyError> {
        let certificate = X509::from_pem(certificate_pem).map_err(KeyError::Certificate)?;
        let key = certificate.public_key().map_err(KeyError::Certificate)?;
        if key.id() != Id::RSA {
            return Err(KeyError::NoEncryption);
        }
        let certificate = STANDARD.encode(certificate.to_der().map_err(KeyError::Certificate)?);
        Ok(Self { key, certificate })
    }

    /// The EncryptedAssertion of an Assertion, signed or not.
    pub(super) fn encrypt(&self, assertion: &Element) -> Result<Element, ErrorStack> {
        let (mut key, mut iv, mut tag) = ([0; 32], [0; 12], [0; 16]);
        rand_bytes(&mut key)?;
        rand_bytes(&mut iv)?;
        // Canonical on its own, so it declares what it uses wherever it will be read.
        let plaintext = assertion.canonical();
        let text = encrypt_aead(Cipher::aes_256_gcm(), &key, Some(&iv), &[], plaintext.as_bytes(), &mut tag)?;
        let data = Element::new("xenc:EncryptedData")
            .with("Type", TYPE_ELEMENT)
            .child(method("xenc:EncryptionMethod", AES_256_GCM))
            .child(Element::new("ds:KeyInfo").child(self.encrypted_key(&key)?))
            .child(cipher_data(&[&iv[..], &text, &tag].concat()));
        Ok(Element::new("saml:EncryptedAssertion").child(data))
    }

    fn encrypted_key(&self, key: &[u8]) -> Result<Element, ErrorStack> {
        let rsa = self.key.rsa()?;
        let mut encrypted = vec![0; rsa.size() as usize];
        let length = rsa.public_encrypt(key, &mut encrypted, Padding::PKCS1_OAEP)?;
        encrypted.truncate(length);
        let certificate = Element::new("ds:X509Certificate").text(self.certificate.as_str());
        Ok(Element::new("xenc:EncryptedKey")
            .child(method("xenc:EncryptionMethod", RSA_OAEP).child(method("ds:DigestMethod", SHA1)))
            .child(Element::new("ds:KeyInfo").child(Element::new("ds:X509Data").child(certificate)))
            .child(cipher_data(&encrypted)))
    }
}

fn method(name: &'static str, algorithm: &str) -> Element {
    Element::new(name).with("Algorithm", algorithm)
}

fn cipher_data(octets: &[u8]) -> Element {
    Element::new("xenc:CipherData").child(Element::new("xenc:CipherValue").text(STANDARD.encode(octets)))
}
