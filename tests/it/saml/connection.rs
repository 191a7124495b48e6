//! S-40 and S-57 to S-59 at configuration time: which keys make a connection.
use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    x509::{X509, X509Name},
};
use portcullis::saml::{Connection, ConnectionError, Reason, SignedElement};

use super::forge::{self, Sign, Spec, certificate, judge, settings};

fn self_signed(key: &PKey<Private>, days_from_epoch: i64) -> Vec<u8> {
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", "idp.example.com").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(days_from_epoch * 86_400).unwrap()).unwrap();
    let digest =
        if key.id() == openssl::pkey::Id::ED25519 { MessageDigest::null() } else { MessageDigest::sha256() };
    builder.sign(key, digest).unwrap();
    builder.build().to_pem().unwrap()
}

fn error(certificates: &[Vec<u8>]) -> Option<ConnectionError> {
    let mut settings = settings(&[]);
    settings.certificates = certificates.to_vec();
    Connection::new(settings).err()
}

fn rsa(bits: u32, exponent: u32) -> Vec<u8> {
    let rsa = Rsa::generate_with_e(bits, &BigNum::from_u32(exponent).unwrap()).unwrap();
    self_signed(&PKey::from_rsa(rsa).unwrap(), 36_500)
}

fn ec(curve: Nid) -> Vec<u8> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    self_signed(&PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap(), 36_500)
}

#[test]
fn s_57_weak_keys_make_no_connection() {
    assert_eq!(error(&[rsa(1024, 65_537)]), Some(ConnectionError::RsaKeySize { certificate: 0, bits: 1024 }));
    assert_eq!(
        error(&[certificate("idp-rsa"), rsa(2048, 3)]),
        Some(ConnectionError::RsaExponent { certificate: 1 })
    );
    assert_eq!(error(&[ec(Nid::SECP256K1)]), Some(ConnectionError::EcCurve { certificate: 0 }));
    assert_eq!(error(&[ec(Nid::SECP521R1)]), None);
    let edwards = self_signed(&PKey::generate_ed25519().unwrap(), 36_500);
    assert_eq!(error(&[edwards]), Some(ConnectionError::KeyTypeUnsupported { certificate: 0 }));
}

#[test]
fn s_40_no_key_no_connection() {
    assert_eq!(error(&[]), Some(ConnectionError::NoKey));
    assert_eq!(error(&[b"not PEM".to_vec()]), Some(ConnectionError::NotPem { certificate: 0 }));
    let two = [certificate("idp-rsa"), certificate("idp-p256")].concat();
    assert_eq!(error(&[two]), Some(ConnectionError::NotPem { certificate: 0 }));
    let twice = [certificate("idp-rsa"), certificate("idp-rsa")];
    assert_eq!(error(&twice), Some(ConnectionError::KeyTwice { certificate: 1 }));
    let five: Vec<_> = (0..5).map(|_| ec(Nid::X9_62_PRIME256V1)).collect();
    assert_eq!(error(&five), Some(ConnectionError::TooManyKeys));
}

/// S-58: trust is in the key, not in the certificate's dates.
#[test]
fn s_58_an_expired_certificate_verifies_and_says_so() {
    let key =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys/idp-rsa.key.pem")).unwrap();
    let mut settings = settings(&[]);
    settings.certificates = vec![self_signed(&PKey::private_key_from_pem(&key).unwrap(), 365)];
    let connection = Connection::new(settings).unwrap();
    let [info] = connection.certificates() else { panic!("one certificate") };
    assert_eq!(info.not_after.unwrap().to_string(), "1971-01-01T00:00:00Z");
    assert_eq!(info.subject, "CN=idp.example.com");
    assert_eq!(info.fingerprint_sha256.len(), 64);
    assert!(judge(&connection, Spec::default().xml().as_bytes()).is_ok());
}

#[test]
fn any_certificate_of_the_connection_may_verify() {
    let connection = forge::connection(&["attacker-rsa", "idp-p256", "idp-rsa"]);
    assert!(judge(&connection, Spec::default().xml().as_bytes()).is_ok());
}

/// Which element must be signed, by the setting and by what is signed.
#[test]
fn the_element_that_the_setting_names_must_be_signed() {
    let signed = |response: bool, assertion: bool| Spec {
        sign_response: response.then(Sign::default),
        sign_assertion: assertion.then(Sign::default),
        ..Spec::default()
    };
    for (setting, response, assertion, accepted) in [
        (SignedElement::Either, true, false, true),
        (SignedElement::Either, false, true, true),
        (SignedElement::Either, false, false, false),
        (SignedElement::Response, true, false, true),
        (SignedElement::Response, false, true, false),
        (SignedElement::Assertion, true, false, false),
        (SignedElement::Assertion, false, true, true),
        (SignedElement::Both, true, false, false),
        (SignedElement::Both, false, true, false),
        (SignedElement::Both, true, true, true),
    ] {
        let mut settings = settings(&["idp-rsa"]);
        settings.signed = setting;
        let outcome =
            judge(&Connection::new(settings).unwrap(), signed(response, assertion).xml().as_bytes());
        let reason = outcome.err().map(|refusal| refusal.reason);
        let owed = if accepted { None } else { Some(Reason::SignatureMissing) };
        assert_eq!(reason, owed, "{setting:?} with response {response}, assertion {assertion}");
    }
}

/// Every signature that is there must verify, whichever one would have been enough.
#[test]
fn a_broken_signature_beside_a_good_one_is_refused() {
    for broken_response in [true, false] {
        let broken = Sign { key: "attacker-rsa", ..Sign::default() };
        let (response, assertion) =
            if broken_response { (broken, Sign::default()) } else { (Sign::default(), broken) };
        let spec = Spec { sign_response: Some(response), sign_assertion: Some(assertion), ..Spec::default() };
        let outcome = judge(&forge::usual_connection(), spec.xml().as_bytes());
        assert_eq!(outcome.err().map(|refusal| refusal.reason), Some(Reason::SignatureInvalid));
    }
}
