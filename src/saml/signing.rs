//! Signing what we send: a query of the HTTP-Redirect binding, or the root element of a document.
use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{
    bn::BigNumRef, ecdsa::EcdsaSig, error::ErrorStack, hash::MessageDigest, sha::sha256, sign::Signer,
};

use super::{
    OwnKey,
    writing::percent_encoded,
    xml::{self, Canonicalizer, PrefixList, Tape},
};

const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";

/// Why something could not be signed. All are faults of ours and not of a message.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    #[error("the library does not sign: {0}")]
    Library(#[from] ErrorStack),
    #[error("what was to be signed is no element that we could send")]
    Document,
    #[error("the connection has no signing key")]
    NoKey,
}

/// Appends SigAlg and Signature to a query (SAML Bindings 3.4.4.1). `query` is
/// `SAMLRequest=...&RelayState=...`, percent-encoded: what stands there is what is signed.
pub(super) fn sign_query(key: &OwnKey, mut query: String) -> Result<String, SigningError> {
    let _ = write!(query, "&SigAlg={}", percent_encoded(algorithm(key)));
    let value = STANDARD.encode(signature(key, query.as_bytes())?);
    let _ = write!(query, "&Signature={}", percent_encoded(&value));
    Ok(query)
}

/// Puts an enveloped signature over the root element into a document of our own (SAML Core 5.4). `at` is where it goes,
/// behind the Issuer or the root's start tag; `id` is the root's ID.
pub(super) fn sign_document(key: &OwnKey, xml: &str, id: &str, at: usize) -> Result<String, SigningError> {
    let (before, after) = xml.split_at_checked(at).ok_or(SigningError::Document)?;
    let digest = STANDARD.encode(sha256(canonical(xml)?.as_bytes()));
    // Spelt as C14N spells it, so that these octets are those that are signed.
    let signed_info = format!(
        "<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">\
         <ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod><ds:Reference URI=\"#{id}\"><ds:Transforms>\
         <ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform>\
         <ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
         <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>",
        algorithm(key)
    );
    if canonical(&signed_info)? != signed_info {
        return Err(SigningError::Document);
    }
    let value = STANDARD.encode(signature(key, signed_info.as_bytes())?);
    Ok(format!(
        "{before}<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">{signed_info}<ds:SignatureValue>{value}\
         </ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>\
         </ds:KeyInfo></ds:Signature>{after}",
        key.certificate_base64()
    ))
}

fn canonical(xml: &str) -> Result<String, SigningError> {
    let tape = xml::scan(xml.as_bytes()).and_then(xml::parse).map_err(|_| SigningError::Document)?;
    let mut octets = String::with_capacity(xml.len());
    Canonicalizer::default()
        .write(&tape, Tape::ROOT, None, &PrefixList::default(), &mut octets)
        .map_err(|_| SigningError::Document)?;
    Ok(octets)
}

fn algorithm(key: &OwnKey) -> &'static str {
    if key.is_rsa() { RSA_SHA256 } else { ECDSA_SHA256 }
}

fn signature(key: &OwnKey, octets: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let signature = Signer::new(MessageDigest::sha256(), key.private())?.sign_oneshot_to_vec(octets)?;
    if key.is_rsa() {
        return Ok(signature);
    }
    // XML Signature 1.1, 6.4.3: r and s, each as long as the order of the curve, instead of OpenSSL's DER.
    let pair = EcdsaSig::from_der(&signature)?;
    let bytes = i32::try_from(key.private().bits().div_ceil(8)).unwrap_or(i32::MAX);
    let padded = |number: &BigNumRef| number.to_vec_padded(bytes);
    Ok([padded(pair.r())?, padded(pair.s())?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saml::own_key::tests::{ec, pair, rsa};
    use openssl::{nid::Nid, pkey::PKey, pkey::Private, sign::Verifier};

    fn verifies(key: &PKey<Private>, octets: &[u8], value: &[u8]) -> bool {
        let der = match value.len() {
            256 => value.to_vec(),
            length => {
                let (r, s) = value.split_at(length / 2);
                let number = |octets| openssl::bn::BigNum::from_slice(octets).unwrap();
                EcdsaSig::from_private_components(number(r), number(s)).unwrap().to_der().unwrap()
            }
        };
        Verifier::new(MessageDigest::sha256(), key).unwrap().verify_oneshot(&der, octets).unwrap()
    }

    #[test]
    fn a_query_is_signed_as_it_stands() {
        for key in [rsa(2048), ec(Nid::X9_62_PRIME256V1), ec(Nid::SECP521R1)] {
            let own = OwnKey::from_pem(&pair(&key)).unwrap();
            let query = sign_query(&own, "SAMLRequest=a%2Bb&RelayState=x".into()).unwrap();
            let (octets, value) = query.split_once("&Signature=").unwrap();
            assert!(
                octets.starts_with("SAMLRequest=a%2Bb&RelayState=x&SigAlg=http%3A%2F%2Fwww.w3.org%2F"),
                "{octets}"
            );
            let value = percent_encoding::percent_decode_str(value).decode_utf8().unwrap();
            assert!(verifies(&key, octets.as_bytes(), &STANDARD.decode(&*value).unwrap()));
        }
    }

    #[test]
    fn only_a_document_can_be_signed() {
        let own = OwnKey::from_pem(&pair(&rsa(2048))).unwrap();
        for (xml, at) in [("<a", 2), ("<a/>", 9), ("<a/>\u{e4}", 5), ("", 0)] {
            assert!(matches!(sign_document(&own, xml, "_1", at), Err(SigningError::Document)), "{xml}");
        }
        assert!(matches!(sign_document(&own, "<a ID='_1'></a>", "a\"b", 11), Err(SigningError::Document)));
    }
}
