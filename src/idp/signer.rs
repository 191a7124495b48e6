//! The IdP's key: signs elements with an enveloped signature (SAML Core 5.4).
use std::io::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::DeflateEncoder};
use openssl::{
    bn::BigNumRef,
    ecdsa::EcdsaSig,
    error::ErrorStack,
    hash::MessageDigest,
    pkey::{Id, PKey, Private, Public},
    sha::sha256,
    sign::Signer as OpensslSigner,
    x509::X509,
};

use super::xml::Element;

const EXCLUSIVE_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";

/// RSA keys below this are refused: no service provider should accept them.
const RSA_BITS_MIN: u32 = 2048;

/// Why a key or certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the key is no PEM private key: {0}")]
    Key(ErrorStack),
    #[error("the certificate is no PEM certificate: {0}")]
    Certificate(ErrorStack),
    #[error("the key does not belong to the certificate")]
    Mismatch,
    #[error("the key is neither RSA of at least {RSA_BITS_MIN} bits nor on an elliptic curve")]
    Unsuitable,
    #[error("the service provider's certificate to encrypt to holds no RSA key")]
    NoEncryption,
}

/// The keys of certificates, PEM each.
pub(super) fn public_keys(certificates: &[Vec<u8>]) -> Result<Vec<PKey<Public>>, KeyError> {
    let key = |pem: &Vec<u8>| X509::from_pem(pem).and_then(|certificate| certificate.public_key());
    certificates.iter().map(|pem| key(pem).map_err(KeyError::Certificate)).collect()
}

/// A private key with its certificate.
pub(super) struct Signer {
    key: PKey<Private>,
    /// DER in base64, as metadata and KeyInfo carry it.
    certificate: String,
    algorithm: &'static str,
}

impl Signer {
    pub(super) fn new(key_pem: &[u8], certificate_pem: &[u8]) -> Result<Self, KeyError> {
        let key = PKey::private_key_from_pem(key_pem).map_err(KeyError::Key)?;
        let certificate = X509::from_pem(certificate_pem).map_err(KeyError::Certificate)?;
        if !certificate.public_key().map_err(KeyError::Certificate)?.public_eq(&key) {
            return Err(KeyError::Mismatch);
        }
        let algorithm = match key.id() {
            Id::RSA if key.bits() >= RSA_BITS_MIN => RSA_SHA256,
            Id::EC => ECDSA_SHA256,
            _ => return Err(KeyError::Unsuitable),
        };
        let certificate = STANDARD.encode(certificate.to_der().map_err(KeyError::Certificate)?);
        Ok(Self { key, certificate, algorithm })
    }

    /// `ds:KeyInfo` with the certificate.
    pub(super) fn key_info(&self) -> Element {
        let certificate = Element::new("ds:X509Certificate").text(self.certificate.as_str());
        Element::new("ds:KeyInfo").child(Element::new("ds:X509Data").child(certificate))
    }

    /// Signs `element`, which has an `ID`, and puts the signature behind its Issuer.
    pub(super) fn sign(&self, element: &mut Element) -> Result<(), ErrorStack> {
        let digest = STANDARD.encode(sha256(element.canonical().as_bytes()));
        let id = element.attribute("ID").unwrap_or_default();
        let signed_info = self.signed_info(id, &digest);
        let value = STANDARD.encode(self.signature(signed_info.canonical().as_bytes())?);
        element.insert_second(
            Element::new("ds:Signature")
                .child(signed_info)
                .child(Element::new("ds:SignatureValue").text(value))
                .child(self.key_info()),
        );
        Ok(())
    }

    /// A message as a query of the HTTP-Redirect binding, signed (SAML Bindings 3.4.4.1).
    pub(super) fn sign_query(
        &self,
        parameter: &str,
        message: &str,
        relay_state: &str,
    ) -> Result<String, ErrorStack> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        // Writing to memory does not fail; an empty message would be refused by everyone.
        let deflated =
            encoder.write_all(message.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair(parameter, &STANDARD.encode(deflated));
        if !relay_state.is_empty() {
            query.append_pair("RelayState", relay_state);
        }
        let query = query.append_pair("SigAlg", self.algorithm).finish();
        let value = STANDARD.encode(self.signature(query.as_bytes())?);
        let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
        Ok(format!("{query}&Signature={value}"))
    }

    fn signed_info(&self, id: &str, digest: &str) -> Element {
        let method = |name, algorithm| Element::new(name).with("Algorithm", algorithm);
        Element::new("ds:SignedInfo")
            .child(method("ds:CanonicalizationMethod", EXCLUSIVE_C14N))
            .child(method("ds:SignatureMethod", self.algorithm))
            .child(
                Element::new("ds:Reference")
                    .with("URI", format!("#{id}"))
                    .child(
                        Element::new("ds:Transforms")
                            .child(method("ds:Transform", ENVELOPED))
                            .child(method("ds:Transform", EXCLUSIVE_C14N)),
                    )
                    .child(method("ds:DigestMethod", SHA256))
                    .child(Element::new("ds:DigestValue").text(digest)),
            )
    }

    fn signature(&self, octets: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let signature =
            OpensslSigner::new(MessageDigest::sha256(), &self.key)?.sign_oneshot_to_vec(octets)?;
        if self.algorithm == RSA_SHA256 {
            return Ok(signature);
        }
        // XML Signature 1.1, 6.4.3: r and s, each as long as the order of the curve, instead of OpenSSL's DER.
        let pair = EcdsaSig::from_der(&signature)?;
        let bytes = i32::try_from(self.key.bits().div_ceil(8)).unwrap_or(i32::MAX);
        let padded = |number: &BigNumRef| number.to_vec_padded(bytes);
        Ok([padded(pair.r())?, padded(pair.s())?].concat())
    }
}
