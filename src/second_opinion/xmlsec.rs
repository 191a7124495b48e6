//! What xmlsec1 says was signed, through samael.
use openssl::{error::ErrorStack, pkey::Id, x509::X509};
use samael::crypto::{
    AllowedSignatureAlgorithm, CertificateDer, Crypto, CryptoError, CryptoProvider, ReduceMode,
};

use super::Disagreement;
use crate::saml;

/// Those of the core.
const ALGORITHMS: &[AllowedSignatureAlgorithm] = &[
    AllowedSignatureAlgorithm::RsaSha256,
    AllowedSignatureAlgorithm::RsaSha384,
    AllowedSignatureAlgorithm::RsaSha512,
    AllowedSignatureAlgorithm::EcdsaSha256,
    AllowedSignatureAlgorithm::EcdsaSha384,
    AllowedSignatureAlgorithm::EcdsaSha512,
];

/// Certificates whose keys are of one kind. samael gives up at the first key that does not fit the algorithm, so it must not be
/// shown an RSA key and an EC key at once, nor keys of two curves.
type Ring = Vec<CertificateDer>;

/// The type of a key, and its size.
type Kind = (Id, u32);

/// Every certificate, in one ring for each kind of key.
fn rings(settings: &saml::Settings) -> Result<Vec<Ring>, ErrorStack> {
    let mut rings: Vec<(Kind, Ring)> = vec![];
    for pem in &settings.certificates {
        let (kind, der) = read(pem)?;
        match rings.iter_mut().find(|(other, _)| *other == kind) {
            Some((_, ring)) => ring.push(der.into()),
            None => rings.push((kind, vec![der.into()])),
        }
    }
    Ok(rings.into_iter().map(|(_, ring)| ring).collect())
}

fn read(pem: &[u8]) -> Result<(Kind, Vec<u8>), ErrorStack> {
    let certificate = X509::from_pem(pem)?;
    let key = certificate.public_key()?;
    Ok(((key.id(), key.bits()), certificate.to_der()?))
}

/// The octets that xmlsec1 digested: of the Response if that is signed, else of the Assertion. Every signature must verify with
/// a key of one ring.
pub fn predigest(response: &[u8], settings: &saml::Settings) -> Result<String, Disagreement> {
    let text = std::str::from_utf8(response).map_err(|_| Disagreement::Shape("no UTF-8"))?;
    let mut failed = Disagreement::Shape("no certificate");
    let rings = rings(settings).map_err(|_| Disagreement::Shape("a certificate that cannot be read"))?;
    for ring in &rings {
        match Crypto::reduce_xml_to_signed_with_allowed_algorithms(
            text,
            ring,
            ReduceMode::PreDigest,
            Some(ALGORITHMS),
        ) {
            Ok(octets) => return Ok(octets),
            Err(error) => failed = Disagreement::Signature(innermost(&error)),
        }
    }
    Err(failed)
}

/// The cause that says most.
fn innermost(error: &CryptoError) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
