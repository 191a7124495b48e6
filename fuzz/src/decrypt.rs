//! Edits of what is encrypted. Anybody can encrypt to us, so the plaintext is as much an attacker's as the message around it.
use std::{ops::Range, sync::LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use openssl::{
    md::Md,
    pkey_ctx::PkeyCtx,
    rsa::Padding,
    symm::{Cipher, encrypt_aead},
    x509::X509,
};

use crate::{
    responses::{self, GENUINE, judge},
    verify::{Edit, edited, element_called},
};

const CONTENT_KEY: [u8; 32] = [0x4b; 32];
const IV: [u8; 12] = [0x49; 12];
const TAG_BYTES: usize = 16;
const RECIPIENT: &str = "sp-decryption.pem";

/// An assertion of a signed response, edited, encrypted to us, put in place of the plain one, and the whole edited again.
#[derive(Debug, Arbitrary)]
pub struct Sealed {
    base: u8,
    inside: Vec<Edit>,
    around: Vec<Edit>,
}

/// Fewer, and the harness does not reach what it is for.
const PLAIN_MIN: usize = 10;

/// The genuine responses that hold a plain assertion, where it stands, and that are accepted once it is encrypted.
static PLAIN: LazyLock<Vec<(&[u8], Range<usize>)>> = LazyLock::new(|| {
    let assertion = |octets: &'static [u8]| Some((octets, element_called(octets, b"Assertion")?));
    let accepted = |(octets, place): &(&[u8], Range<usize>)| {
        judge(&around(octets, place, &encrypted(&octets[place.clone()]))).is_ok()
    };
    let all: Vec<_> =
        GENUINE.iter().filter_map(|genuine| assertion(&genuine.octets)).filter(accepted).collect();
    assert!(all.len() >= PLAIN_MIN, "only {} assertions can be encrypted", all.len());
    all
});

/// The content key, encrypted to the recipient once.
static ENCRYPTED_KEY: LazyLock<String> = LazyLock::new(|| {
    let certificate = X509::from_pem(&responses::key(RECIPIENT)).expect("a certificate");
    let key = certificate.public_key().expect("its key");
    let mut context = PkeyCtx::new(&key).expect("a context");
    context.encrypt_init().expect("encryption");
    context.set_rsa_padding(Padding::PKCS1_OAEP).expect("OAEP");
    context.set_rsa_oaep_md(Md::sha1()).expect("SHA-1");
    context.set_rsa_mgf1_md(Md::sha1()).expect("SHA-1");
    let mut sealed = vec![];
    context.encrypt_to_vec(&CONTENT_KEY, &mut sealed).expect("a sealed key");
    STANDARD.encode(sealed)
});

/// # Panics
/// If a response is accepted that says something that no genuine one says.
pub fn check(sealed: &Sealed) {
    let (octets, place) = &PLAIN[usize::from(sealed.base) % PLAIN.len()];
    let Some(inside) = edited(octets[place.clone()].to_vec(), &sealed.inside) else { return };
    let message = around(octets, place, &encrypted(&inside));
    let Some(message) = edited(message, &sealed.around) else { return };
    if let Ok(verified) = judge(&message) {
        let signed = GENUINE.iter().any(|genuine| genuine.verified == verified);
        assert!(signed, "{verified:?} was never signed: {}", String::from_utf8_lossy(&inside));
    }
}

fn around(octets: &[u8], place: &Range<usize>, encrypted: &str) -> Vec<u8> {
    [&octets[..place.start], encrypted.as_bytes(), &octets[place.end..]].concat()
}

fn encrypted(plaintext: &[u8]) -> String {
    let mut tag = [0; TAG_BYTES];
    let cipher = encrypt_aead(Cipher::aes_256_gcm(), &CONTENT_KEY, Some(&IV), &[], plaintext, &mut tag);
    let cipher = STANDARD.encode([&IV[..], &cipher.expect("a ciphertext"), &tag].concat());
    let key = &*ENCRYPTED_KEY;
    format!(
        "<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">\
         <xenc:EncryptedData xmlns:xenc=\"http://www.w3.org/2001/04/xmlenc#\" \
         Type=\"http://www.w3.org/2001/04/xmlenc#Element\"><xenc:EncryptionMethod \
         Algorithm=\"http://www.w3.org/2009/xmlenc11#aes256-gcm\"></xenc:EncryptionMethod>\
         <ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><xenc:EncryptedKey><xenc:EncryptionMethod \
         Algorithm=\"http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p\"></xenc:EncryptionMethod><xenc:CipherData>\
         <xenc:CipherValue>{key}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData>\
         <xenc:CipherValue>{cipher}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>"
    )
}
