//! Every outcome of reading a document, and the same documents as fixtures.
//!
//! `UPDATE_FIXTURES=1 cargo test --test it metadata::read` writes `fixtures/saml/metadata` anew.
use std::path::PathBuf;

use portcullis::{
    domain::Timestamp,
    saml::{IdpMetadata, MetadataBinding, MetadataError, MetadataRules, MetadataSigners, read_metadata},
};

use super::document::{Document, MD, POST, REDIRECT, SOAP, certificate, key, service};
use crate::saml::forge::{self, DS, IDP, Sign};

const DEVELOPMENT_CERTIFICATE: &[u8] = include_bytes!("../../../certs/development-idp.crt");

/// A document, whether its signer is pinned, and the outcome that it is owed.
pub struct Case {
    pub name: &'static str,
    /// `None` for taken.
    pub code: Option<&'static str>,
    pub pinned: bool,
    pub octets: Vec<u8>,
}

pub fn rules() -> MetadataRules {
    let own_authorities = vec!["sp.example.com".into(), "app.example.com:8443".into()];
    MetadataRules {
        entity_id: Some(IDP.into()),
        own_authorities,
        http_on_loopback: false,
        public_keys: vec![DEVELOPMENT_CERTIFICATE.to_vec()],
    }
}

fn read_at(octets: &[u8], pinned: bool, now: Timestamp) -> Result<IdpMetadata, MetadataError> {
    let signers = pinned.then(|| MetadataSigners::new(vec![forge::certificate("idp-rsa")]).unwrap());
    read_metadata(octets, &rules(), signers.as_ref(), now)
}

pub fn read(octets: &[u8], pinned: bool) -> Result<IdpMetadata, MetadataError> {
    read_at(octets, pinned, forge::now())
}

fn case(name: &'static str, code: Option<&'static str>, change: impl FnOnce(&mut Document)) -> Case {
    let mut document = Document::default();
    change(&mut document);
    Case { name, code, pinned: document.sign.is_some(), octets: document.xml().into_bytes() }
}

fn edited(name: &'static str, code: Option<&'static str>, edit: impl FnOnce(&str) -> String) -> Case {
    let xml = Document::default().xml();
    let edited = edit(&xml);
    assert_ne!(xml, edited, "{name} changes nothing");
    Case { name, code, pinned: false, octets: edited.into_bytes() }
}

/// The same under a pinned signer, edited after signing.
fn signed(name: &'static str, code: Option<&'static str>, edit: impl FnOnce(String) -> String) -> Case {
    let xml = Document { sign: Some(Sign::default()), ..Document::default() }.xml();
    Case { name, code, pinned: true, octets: edit(xml).into_bytes() }
}

pub fn cases() -> Vec<Case> {
    [taken(), lives(), entities(), signatures(), keys(), locations(), bombs()].into_iter().flatten().collect()
}

fn taken() -> Vec<Case> {
    vec![
        case("plain", None, |_| {}),
        edited("byte-order-mark", None, |xml| {
            format!("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>{xml}")
        }),
        case("signed-pinned", None, |d| d.sign = Some(Sign::default())),
        case("other-roles-and-contacts", None, |d| {
            d.before = "<md:Extensions></md:Extensions><md:RoleDescriptor xmlns:fed=\"urn:example:fed\" \
                        xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
                        protocolSupportEnumeration=\"urn:example:fed\" xsi:type=\"fed:Type\"></md:RoleDescriptor>"
                .into();
            d.after = "<md:Organization></md:Organization><md:ContactPerson contactType=\"technical\"></md:ContactPerson>".into();
        }),
        case("two-keys-and-all-bindings", None, |d| {
            d.keys += &key(None, &certificate("idp-p256"));
            d.keys += &key(Some("encryption"), &certificate("idp-p384"));
            for (name, binding) in [
                ("SingleSignOnService", POST),
                ("SingleLogoutService", REDIRECT),
                ("SingleLogoutService", SOAP),
            ] {
                d.services += &service(name, binding, "https://idp.example.com/saml");
            }
            d.services +=
                "<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>";
        }),
        case("same-key-twice", None, |d| d.keys += &d.keys.clone().replace(" use=\"signing\"", "")),
        case("M-07-algorithm-hints", None, |d| {
            let alg = "xmlns:alg=\"urn:oasis:names:tc:SAML:metadata:algsupport\"";
            let sha1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1";
            d.before = format!(
                "<md:Extensions><alg:SigningMethod {alg} Algorithm=\"{sha1}\"></alg:SigningMethod></md:Extensions>"
            );
            d.keys = d.keys.replace(
                "</md:KeyDescriptor>",
                "<md:EncryptionMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#rsa-1_5\"></md:EncryptionMethod></md:KeyDescriptor>",
            );
        }),
    ]
}

/// M-01.
fn lives() -> Vec<Case> {
    let root = |name, code, attribute: &'static str| {
        case(name, code, move |d: &mut Document| d.root = format!(" ID=\"_metadata\"{attribute}"))
    };
    vec![
        root("M-01-valid-for-a-second-more", None, " validUntil=\"2026-01-15T12:00:01Z\""),
        root("M-01-expired", Some("metadata_expired"), " validUntil=\"2026-01-15T12:00:00Z\""),
        case("M-01-role-expired", Some("metadata_expired"), |d| {
            d.root += " validUntil=\"2036-01-15T12:00:00Z\"";
            d.role = " validUntil=\"2016-01-15T12:00:00Z\"".into();
        }),
        root(
            "M-01-validity-with-offset",
            Some("metadata_timestamp"),
            " validUntil=\"2036-01-15T12:00:00+01:00\"",
        ),
        root("M-01-cache-for-ages", None, " cacheDuration=\"P9999Y\""),
        root("M-01-cache-backwards", Some("metadata_duration"), " cacheDuration=\"-P1D\""),
        root("M-01-cache-nonsense", Some("metadata_duration"), " cacheDuration=\"a while\""),
    ]
}

/// M-03.
fn entities() -> Vec<Case> {
    let around =
        |xml: &str| format!("<md:EntitiesDescriptor xmlns:md=\"{MD}\">{xml}</md:EntitiesDescriptor>");
    let nested =
        "<md:Extensions><md:EntityDescriptor entityID=\"urn:x\"></md:EntityDescriptor></md:Extensions>";
    vec![
        case("M-03-other-entity", Some("metadata_entity_mismatch"), |d| d.entity_id += "/"),
        edited("M-03-no-entity", Some("metadata_entity_mismatch"), |xml| {
            xml.replace(&format!(" entityID=\"{IDP}\""), "")
        }),
        edited("M-03-aggregate-of-one", Some("metadata_root"), around),
        edited("M-03-aggregate-of-two", Some("metadata_root"), |xml| {
            around(&(xml.to_owned() + &xml.replace("_metadata", "_b")))
        }),
        case("M-03-nested-entity", Some("metadata_several_entities"), |d| d.before = nested.into()),
        edited("M-03-another-root", Some("metadata_root"), |_| "<html></html>".into()),
        edited("M-03-another-namespace", Some("metadata_root"), |xml| {
            xml.replace(MD, "urn:example:metadata")
        }),
        edited("M-03-service-provider", Some("metadata_no_idp"), |xml| {
            xml.replace("IDPSSODescriptor", "SPSSODescriptor")
        }),
        case("M-03-other-protocol", Some("metadata_no_idp"), |d| {
            d.protocols = "urn:oasis:names:tc:SAML:1.1:protocol".into();
        }),
        case("M-03-two-roles", Some("metadata_several_idps"), |d| d.after = d.idp()),
        edited("M-03-role-hidden-in-extensions", Some("metadata_no_idp"), |xml| {
            xml.replace("<md:IDPSSODescriptor", "<md:Extensions><md:IDPSSODescriptor")
                .replace("</md:IDPSSODescriptor>", "</md:IDPSSODescriptor></md:Extensions>")
        }),
    ]
}

/// M-02: a pinned signer.
fn signatures() -> Vec<Case> {
    let by = |key| Some(Sign { key, ..Sign::default() });
    let genuine = Document { sign: Some(Sign::default()), ..Document::default() }.xml();
    let inner = genuine.clone();
    let forged = Document { keys: key(None, &certificate("attacker-rsa")), ..Document::default() };
    let wrapping = |id: &str| Document {
        root: id.to_owned(),
        before: format!("<md:Extensions>{inner}</md:Extensions>"),
        ..forged.clone()
    };
    let pinned = |name, code, octets: String| Case {
        name,
        code: Some(code),
        pinned: true,
        octets: octets.into_bytes(),
    };
    let (start, end) = (genuine.find("<ds:Signature").unwrap(), genuine.find("</ds:Signature>").unwrap());
    let signature = &genuine[start..end + "</ds:Signature>".len()];
    let attacker = forged.xml().replacen('>', &format!(">{signature}"), 1);
    vec![
        pinned("M-02-unsigned", "metadata_signature_missing", Document::default().xml()),
        pinned(
            "M-02-signed-by-another",
            "signature_invalid",
            Document { sign: by("attacker-rsa"), ..Document::default() }.xml(),
        ),
        pinned("M-02-swapped-key", "digest_mismatch", attacker),
        pinned("M-02-wrapped-other-id", "metadata_several_entities", wrapping(" ID=\"_evil\"").xml()),
        pinned("M-02-wrapped-same-id", "id_duplicate", wrapping(" ID=\"_metadata\"").xml()),
        signed("M-02-signature-moved", Some("metadata_signature_misplaced"), |xml| {
            let signature = &xml[start..end + "</ds:Signature>".len()];
            let without = xml.replace(signature, "");
            without.replace("</md:IDPSSODescriptor>", &format!("</md:IDPSSODescriptor>{signature}"))
        }),
        signed("M-02-signature-twice", Some("metadata_signature_misplaced"), |xml| {
            let signature = xml[start..end + "</ds:Signature>".len()].to_owned();
            xml.replace("</md:IDPSSODescriptor>", &format!("</md:IDPSSODescriptor>{signature}"))
        }),
        signed("M-02-reference-to-another", Some("reference_uri"), |xml| {
            xml.replace("URI=\"#_metadata\"", "URI=\"#_other\"")
        }),
        signed("M-02-reference-to-nothing", Some("reference_uri"), |xml| {
            xml.replace("URI=\"#_metadata\"", "URI=\"\"")
        }),
        signed("M-02-changed", Some("digest_mismatch"), |xml| xml.replace("/sso", "/evil")),
        signed("M-02-comment", Some("signature_comment"), |xml| {
            xml.replace("<ds:DigestValue>", "<ds:DigestValue><!-- -->")
        }),
        signed("M-02-attributes-of-the-canonical-form", Some("attributes_exceeded"), |_| {
            let prefixes = || (0..55).map(|n| format!("p{n:02}"));
            let declared: String = prefixes().map(|p| format!(" xmlns:{p}=\"urn:{p}\"")).collect();
            let used: String = prefixes().map(|p| format!(" {p}:a=\"\"")).collect();
            let before = format!("<md:Extensions><x{declared}{used}></x></md:Extensions>");
            let xml = Document { before, sign: Some(Sign::default()), ..Document::default() }.xml();
            let bare = xml.replacen(&format!("<x{declared}"), "<x", 1);
            bare.replacen("<md:EntityDescriptor", &format!("<md:EntityDescriptor{declared}"), 1)
        }),
        pinned("M-02-sha1", "signature_algorithm", genuine.replace("#rsa-sha256", "#rsa-sha1")),
        // Without a pin a signature says nothing, so a wrong one does not matter.
        Case {
            name: "signed-not-pinned",
            code: None,
            pinned: false,
            octets: genuine.replace("/sso", "/sso2").into(),
        },
    ]
}

/// M-08, S-57, S-59.
fn keys() -> Vec<Case> {
    let weak = include_bytes!("../../../fixtures/config/certs/weak.crt");
    let weak = key(Some("signing"), &super::document::base64_of(weak));
    let no_key = Some("metadata_no_signing_key");
    let descriptor = Some("metadata_key_descriptor");
    vec![
        case("M-08-no-key", no_key, |d| d.keys.clear()),
        case("M-08-encryption-key-only", no_key, |d| d.keys = d.keys.replace("signing", "encryption")),
        case("M-08-key-by-name-only", no_key, |d| {
            d.keys = format!(
                "<md:KeyDescriptor><ds:KeyInfo xmlns:ds=\"{DS}\"><ds:KeyName>k</ds:KeyName></ds:KeyInfo></md:KeyDescriptor>"
            );
        }),
        case("S-57-weak-key-beside-a-good-one", Some("metadata_key"), |d| d.keys += &weak),
        case("S-57-development-key", descriptor, |d| {
            d.keys += &key(None, &super::document::base64_of(DEVELOPMENT_CERTIFICATE));
        }),
        case("S-57-unknown-use", descriptor, |d| d.keys = d.keys.replace("signing", "sign")),
        case("S-57-chain", descriptor, |d| {
            let second = format!(
                "</ds:X509Certificate><ds:X509Certificate>{}</ds:X509Certificate>",
                certificate("idp-p256")
            );
            d.keys = d.keys.replace("</ds:X509Certificate>", &second);
        }),
        case("S-57-no-certificate", descriptor, |d| d.keys = key(None, "AAAA")),
        case("S-57-no-base64", descriptor, |d| d.keys = key(None, "MII*")),
    ]
}

/// M-06.
fn locations() -> Vec<Case> {
    let bad = Some("metadata_location");
    let at = |name, location: &'static str| {
        case(name, bad, move |d| d.services = service("SingleSignOnService", REDIRECT, location))
    };
    vec![
        at("M-06-javascript", "javascript:alert(1)"),
        at("M-06-http", "http://idp.example.com/sso"),
        at("M-06-http-on-loopback", "http://localhost/sso"),
        at("M-06-user", "https://user:password@idp.example.com/sso"),
        at("M-06-relative", "/sso"),
        at("M-06-empty", ""),
        at("M-06-own-host", "https://sp.example.com/sso"),
        at("M-06-own-host-in-disguise", "https://SP.example.com:443/sso"),
        at("M-06-own-host-with-port", "https://app.example.com:8443/sso"),
        case("M-06-javascript-in-the-post-service", bad, |d| {
            d.services += &service("SingleSignOnService", POST, "javascript:alert(1)");
        }),
        case("M-06-http-in-logout", bad, |d| {
            d.services += &service("SingleLogoutService", SOAP, "http://idp.example.com/slo");
        }),
        case("M-06-http-in-logout-response", bad, |d| {
            d.services += &service("SingleLogoutService", POST, "https://idp.example.com/slo")
                .replace("Location", "ResponseLocation=\"http://idp.example.com/slo\" Location");
        }),
        case("M-06-no-redirect", Some("metadata_no_single_sign_on"), |d| {
            d.services = service("SingleSignOnService", POST, "https://idp.example.com/sso");
        }),
    ]
}

/// M-05, and what the strict pass refuses in any document.
fn bombs() -> Vec<Case> {
    vec![
        edited("M-05-dtd", Some("markup_declaration"), |xml| format!("<!DOCTYPE x>{xml}")),
        edited("M-05-processing-instruction", Some("processing_instruction"), |xml| format!("{xml}<?x?>")),
        edited("M-05-two-roots", Some("content_outside_root"), |xml| format!("{xml}<x></x>")),
        edited("M-05-cut-off", Some("not_well_formed"), |xml| xml[..xml.len() - 5].to_owned()),
        case("M-05-deep", Some("depth_exceeded"), |d| {
            d.before = "<md:Extensions>".repeat(100) + &"</md:Extensions>".repeat(100);
        }),
        case("M-05-five-keys", Some("metadata_key"), |d| {
            for pem in std::iter::repeat_with(fresh_certificate).take(4) {
                d.keys += &key(None, &super::document::base64_of(&pem));
            }
        }),
        case("M-05-five-thousand-keys", Some("nodes_exceeded"), |d| {
            d.keys = key(None, "AAAA").repeat(5000);
        }),
        case("M-05-too-long", Some("metadata_too_large"), |d| d.after = " ".repeat(2 * 1024 * 1024)),
    ]
}

fn fresh_certificate() -> Vec<u8> {
    crate::support::certificates::certificate("fresh", None).0.to_pem().unwrap()
}

#[test]
fn m_01_m_02_m_03_m_05_m_06_m_07_m_08_every_document_has_the_outcome_that_it_is_owed() {
    let mut faults = vec![];
    for case in cases() {
        let found = read(&case.octets, case.pinned);
        let code = found.as_ref().err().map(MetadataError::code);
        if code != case.code {
            faults.push(format!("{}: owed {:?}, found {found:?}", case.name, case.code));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Files longer than this say nothing that a line in the table does not say.
const FIXTURE_BYTES_MAX: usize = 16 * 1024;

#[test]
fn the_fixtures_are_what_the_generator_makes() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/metadata"));
    // A fresh key is another one every time.
    let repeatable = |case: &Case| case.name != "M-05-five-keys" && case.octets.len() <= FIXTURE_BYTES_MAX;
    for case in cases().iter().filter(|case| repeatable(case)) {
        let folder = case.code.map_or_else(|| root.join("accept"), |code| root.join("reject").join(code));
        let pinned = if case.pinned { "pinned-" } else { "" };
        let file = folder.join(format!("{pinned}{}.xml", case.name));
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, &case.octets).unwrap();
        } else {
            let there = std::fs::read(&file).unwrap_or_default();
            assert!(there == case.octets, "{}: run with UPDATE_FIXTURES=1", file.display());
        }
    }
}

/// M-07: hints about algorithms open nothing. A response signed with SHA-1 is refused as before.
#[test]
fn m_07_hints_never_widen_what_is_accepted() {
    let hinted = taken().into_iter().find(|case| case.name == "M-07-algorithm-hints").unwrap();
    for case in [Document::default().xml().into_bytes(), hinted.octets] {
        let settings = read(&case, false).unwrap().apply(&forge::settings(&[]));
        let connection = portcullis::saml::Connection::new(settings).unwrap();
        let sha1 = Some("http://www.w3.org/2000/09/xmldsig#rsa-sha1".to_owned());
        let response = |method| forge::Spec {
            sign_assertion: Some(Sign { method, ..Sign::default() }),
            ..forge::Spec::default()
        };
        assert!(forge::judge(&connection, response(None).xml().as_bytes()).is_ok());
        let refused = forge::judge(&connection, response(sha1).xml().as_bytes()).unwrap_err();
        assert_eq!(refused.reason, portcullis::saml::Reason::SignatureAlgorithm);
    }
}

fn fingerprint(name: &str) -> String {
    let der = openssl::x509::X509::from_pem(&forge::certificate(name)).unwrap().to_der().unwrap();
    openssl::sha::sha256(&der).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The document has a key for encryption as well, and what that key signed is refused.
#[test]
fn s_59_a_key_for_encryption_signs_nothing() {
    let case = taken().into_iter().find(|case| case.name == "two-keys-and-all-bindings").unwrap();
    assert!(String::from_utf8_lossy(&case.octets).contains("use=\"encryption\""));
    let found = read(&case.octets, false).unwrap();
    assert!(!found.fingerprints().contains(&fingerprint("idp-p384")));
    let connection = portcullis::saml::Connection::new(found.apply(&forge::settings(&[]))).unwrap();
    let signed_by = |key| forge::Spec {
        sign_assertion: Some(Sign { key, algorithm: "ecdsa-sha256", ..Sign::default() }),
        ..forge::Spec::default()
    };
    assert!(forge::judge(&connection, signed_by("idp-p256").xml().as_bytes()).is_ok());
    let refused = forge::judge(&connection, signed_by("idp-p384").xml().as_bytes()).unwrap_err();
    assert_eq!(refused.reason, portcullis::saml::Reason::SignatureInvalid);
}

/// What is read, value by value.
#[test]
fn m_02_a_taken_document_says_what_it_says() {
    let case = taken().into_iter().find(|case| case.name == "two-keys-and-all-bindings").unwrap();
    let found = read(&case.octets, false).unwrap();
    assert_eq!(found.entity_id(), IDP);
    assert_eq!(found.sso_url(), "https://idp.example.com/sso");
    assert_eq!(found.fingerprints(), ["idp-rsa", "idp-p256"].map(fingerprint));
    let bindings = |services: &[portcullis::saml::MetadataEndpoint]| {
        services.iter().map(|service| service.binding).collect::<Vec<_>>()
    };
    assert_eq!(bindings(found.single_sign_on()), [MetadataBinding::Redirect, MetadataBinding::Post]);
    assert_eq!(bindings(found.single_logout()), [MetadataBinding::Redirect, MetadataBinding::Soap]);
    assert_eq!(found.name_id_formats(), ["urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"]);
    assert!(!found.is_signed() && !found.wants_requests_signed());
    let applied = found.apply(&forge::settings(&[]));
    assert_eq!((applied.certificates.len(), applied.sso_url.as_str()), (2, "https://idp.example.com/sso"));
    assert_eq!(applied.entity_id, forge::ENTITY);
    let post = portcullis::saml::Settings {
        request_binding: portcullis::saml::Binding::Post,
        ..forge::settings(&[])
    };
    assert_eq!(found.apply(&post).sso_url, "https://idp.example.com/saml");
}

#[test]
fn m_01_the_earlier_end_and_the_shorter_cache_count() {
    let document = Document {
        root: " ID=\"_metadata\" cacheDuration=\"PT2H\" validUntil=\"2026-03-01T00:00:00Z\"".into(),
        role: " WantAuthnRequestsSigned=\"1\" cacheDuration=\"PT1H\" validUntil=\"2026-02-01T00:00:00Z\""
            .into(),
        sign: Some(Sign::default()),
        ..Document::default()
    };
    let found = read(document.xml().as_bytes(), true).unwrap();
    assert_eq!(found.valid_until().unwrap().to_string(), "2026-02-01T00:00:00Z");
    assert_eq!(found.cache_seconds(), Some(3600));
    assert!(found.is_signed() && found.wants_requests_signed());
    let later = "2026-02-01T00:00:00Z".parse().unwrap();
    let expired = read_at(document.xml().as_bytes(), true, later).unwrap_err();
    assert_eq!(expired.code(), "metadata_expired");
}
