//! Whether a request was signed by somebody whom the IdP knows.
//!
//! A development IdP's reading: a query is signed in the spelling that percent-encodes everything but unreserved characters,
//! and a posted request stands in canonical form as it is, with one signature behind its Issuer.
use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{
    bn::BigNum,
    ecdsa::EcdsaSig,
    hash::MessageDigest,
    pkey::{Id, PKey, Public},
    sha::sha256,
    sign::Verifier,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::request::{Message, RequestError};

const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// RFC 3986 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Checks the signature of the message, whose XML is `xml`.
pub(super) fn check(keys: &[PKey<Public>], message: &Message<'_>, xml: &str) -> Result<(), RequestError> {
    let verified = if message.is_posted { check_document(keys, xml) } else { check_query(keys, message) };
    verified.map_err(RequestError::Signature)
}

/// SAML Bindings 3.4.4.1.
fn check_query(keys: &[PKey<Public>], message: &Message<'_>) -> Result<(), &'static str> {
    let (algorithm, value) = message.signature.ok_or("there is no signature")?;
    let encoded = |value| utf8_percent_encode(value, RESERVED);
    let mut octets = format!("SAMLRequest={}", encoded(message.request));
    if !message.relay_state.is_empty() {
        octets.push_str(&format!("&RelayState={}", encoded(message.relay_state)));
    }
    octets.push_str(&format!("&SigAlg={}", encoded(algorithm)));
    verify(keys, algorithm, octets.as_bytes(), value)
}

/// SAML Core 5.4, of a document that needs no canonicalization.
fn check_document(keys: &[PKey<Public>], xml: &str) -> Result<(), &'static str> {
    let shape = "there is no signature, or one of another shape";
    let (before, rest) = xml.split_once("<ds:Signature ").ok_or(shape)?;
    let (signature, after) = rest.split_once("</ds:Signature>").ok_or(shape)?;
    if !before.ends_with("</saml:Issuer>") || after.contains("<ds:Signature") {
        return Err(shape);
    }
    let info = between(signature, "<ds:SignedInfo", "</ds:SignedInfo>").ok_or(shape)?;
    let algorithm = between(info, "<ds:SignatureMethod Algorithm=\"", "\"").ok_or(shape)?;
    let uri = between(info, "<ds:Reference URI=\"#", "\"").ok_or(shape)?;
    let digest = between(info, "<ds:DigestValue>", "</ds:DigestValue>").ok_or(shape)?;
    let value = between(signature, "<ds:SignatureValue>", "</ds:SignatureValue>").ok_or(shape)?;
    let info = format!("<ds:SignedInfo{info}</ds:SignedInfo>");
    if !info.starts_with(&format!("<ds:SignedInfo xmlns:ds=\"{DS}\">")) {
        return Err(shape);
    }
    let value: String = value.split_ascii_whitespace().collect();
    verify(keys, algorithm, info.as_bytes(), &value)?;
    let root = before.split('>').next().unwrap_or_default();
    if between(root, " ID=\"", "\"") != Some(uri) {
        return Err("the signature is of something else");
    }
    let signed = [before, after].concat();
    if STANDARD.encode(sha256(signed.as_bytes())) == digest { Ok(()) } else { Err("it was changed since") }
}

fn verify(keys: &[PKey<Public>], algorithm: &str, octets: &[u8], value: &str) -> Result<(), &'static str> {
    let value = STANDARD.decode(value).map_err(|_| "the signature is no base64")?;
    let kind = match algorithm {
        RSA_SHA256 => Id::RSA,
        ECDSA_SHA256 => Id::EC,
        _ => return Err("the algorithm is none of rsa-sha256 and ecdsa-sha256"),
    };
    let value = if kind == Id::EC { der(&value).ok_or("the signature has another length")? } else { value };
    let verifies = |key: &&PKey<Public>| {
        let verifier = Verifier::new(MessageDigest::sha256(), key);
        verifier.and_then(|mut verifier| verifier.verify_oneshot(&value, octets)).unwrap_or(false)
    };
    let mut keys = keys.iter().filter(|key| key.id() == kind);
    if keys.any(|key| verifies(&key)) { Ok(()) } else { Err("no key verifies the signature") }
}

/// XML Signature 1.1, 6.4.3: r and s side by side, as OpenSSL wants them.
fn der(value: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = value.split_at_checked(value.len() / 2)?;
    let number = |octets| BigNum::from_slice(octets).ok();
    EcdsaSig::from_private_components(number(r)?, number(s)?).ok()?.to_der().ok()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}
