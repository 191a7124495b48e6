//! Encrypted assertions, NameIDs and attributes that are accepted: algorithms, places of keys, orders of signing.
use portcullis::{
    domain::AuthnDemand,
    saml::{Check, Connection, Outstanding, OwnKey, Reason, Settings, VerifiedAssertion, verify},
};

use super::{
    Case,
    forge::{self, SAML, Sign, Spec, judge, usual_connection},
    seal::{Place, Seal, certificate_hint, pair},
};

const ACCEPTED: Option<Reason> = None;

fn sealed(name: &str, seal: &Seal) -> Case {
    Case { name: name.into(), reason: ACCEPTED, octets: seal.response(&Spec::default()).into_bytes() }
}

pub fn cases() -> Vec<Case> {
    let oaep = |digest, mask| Seal { transport: "rsa-oaep", digest, mask, ..Seal::default() };
    let beside = |place, id: &str| Seal { place, key_attributes: id.into(), ..Seal::default() };
    let on_response = Spec { sign_assertion: None, sign_response: Some(Sign::default()), ..Spec::default() };
    let both = Spec { sign_response: Some(Sign::default()), ..Spec::default() };
    let response = |name: &str, spec: &Spec| Case {
        name: name.into(),
        reason: ACCEPTED,
        octets: Seal::default().response(spec).into_bytes(),
    };
    vec![
        sealed("encrypted-after-signing", &Seal::default()),
        response("encrypted-before-signing", &on_response),
        response("encrypted-between-signing", &both),
        sealed("encrypted-aes128-gcm", &Seal { content: "aes128-gcm", ..Seal::default() }),
        sealed("encrypted-oaep-defaults", &oaep(None, None)),
        sealed("encrypted-oaep-sha256-mgf1-sha1", &oaep(Some("sha256"), Some("sha1"))),
        sealed("encrypted-oaep-sha256-mgf1-sha256", &oaep(Some("sha256"), Some("sha256"))),
        sealed("encrypted-oaep-sha1-mgf1-sha512", &oaep(None, Some("sha512"))),
        sealed("encrypted-mgf1p-sha512", &Seal { digest: Some("sha512"), ..Seal::default() }),
        sealed("encrypted-to-the-next-key", &Seal { to: "sp-decryption-next", ..Seal::default() }),
        sealed("encrypted-key-beside", &beside(Place::Beside, "")),
        sealed("encrypted-key-retrieved", &beside(Place::Retrieved, " Id=\"_key\"")),
        sealed(
            "encrypted-key-hints",
            &Seal {
                key_info:
                    "<ds:KeyName>any</ds:KeyName><ds:X509Data><ds:X509SubjectName>CN=any</ds:X509SubjectName>\
                           </ds:X509Data>"
                        .into(),
                key_attributes: " Recipient=\"https://other.example.com\"".into(),
                ..Seal::default()
            },
        ),
        sealed("encrypted-for-another-recipient-too", &for_another_too()),
        Case::made("encrypted-id", ACCEPTED, |spec| spec.name_id = encrypted_id(&Seal::default())),
        Case::made("encrypted-attribute", ACCEPTED, |spec| {
            spec.attributes = encrypted_attribute(&Seal::default());
        }),
        sealed_around("encrypted-id-within", |spec| spec.name_id = encrypted_id(&Seal::default())),
    ]
}

/// An encrypted assertion that holds encrypted parts.
fn sealed_around(name: &str, change: impl FnOnce(&mut Spec)) -> Case {
    let mut spec = Spec::default();
    change(&mut spec);
    Case { name: name.into(), reason: ACCEPTED, octets: Seal::default().response(&spec).into_bytes() }
}

/// Two EncryptedKeys, the first for somebody else.
fn for_another_too() -> Seal {
    Seal {
        place: Place::Beside,
        edit: |xml| {
            let other = Seal {
                to: "sp-decryption-next",
                key_attributes: " Recipient=\"https://other.example.com\"".into(),
                ..Seal::default()
            };
            let at = xml.find("<xenc:EncryptedKey ").expect("a key");
            format!("{}{}{}", &xml[..at], other.encrypted_key(false), &xml[at..])
        },
        key_attributes: format!(" Recipient=\"{}\"", forge::ENTITY),
        ..Seal::default()
    }
}

pub fn encrypted_id(seal: &Seal) -> String {
    seal.element(
        "EncryptedID",
        &format!("<saml:NameID xmlns:saml=\"{SAML}\">alice@example.com</saml:NameID>"),
    )
}

pub fn encrypted_attribute(seal: &Seal) -> String {
    let attribute = forge::attribute("mail", &["alice@example.com"]);
    let attribute =
        attribute.replacen("<saml:Attribute", &format!("<saml:Attribute xmlns:saml=\"{SAML}\""), 1);
    seal.element("EncryptedAttribute", &attribute)
}

/// A connection with these keys to decrypt with.
pub fn connection(keys: &[&str], change: impl FnOnce(&mut Settings)) -> Connection {
    let mut settings = forge::settings(&["idp-rsa"]);
    settings.decryption_keys =
        keys.iter().map(|name| OwnKey::from_pem(&pair(name)).expect("a pair")).collect();
    change(&mut settings);
    Connection::new(settings).expect("connection")
}

fn said(verified: &VerifiedAssertion) -> String {
    format!("{:?} {:?} {:?}", verified.name_id(), verified.attributes(), verified.session_index())
}

/// Encrypted or not, with whatever algorithm and in whatever order: the same claims.
#[test]
fn what_was_encrypted_is_what_is_read() {
    let plain = said(&judge(&usual_connection(), Spec::default().xml().as_bytes()).unwrap());
    let connection = usual_connection();
    for case in cases() {
        let verified =
            judge(&connection, &case.octets).unwrap_or_else(|refusal| panic!("{}: {refusal}", case.name));
        assert_eq!(said(&verified), plain, "{}", case.name);
    }
}

/// S-72: what is not authenticated is taken where it was asked for, under the Response's signature.
#[test]
fn s_72_weak_algorithms_are_taken_where_they_are_allowed() {
    let weak = connection(&["sp-decryption"], |settings| {
        settings.allow_padding_oracle_cbc = true;
        settings.allow_bleichenbacher_rsa_1_5 = true;
    });
    let spec = Spec { sign_response: Some(Sign::default()), ..Spec::default() };
    for content in ["aes128-cbc", "aes256-cbc", "aes128-gcm", "aes256-gcm"] {
        for transport in ["rsa-1_5", "rsa-oaep-mgf1p"] {
            let seal = Seal { content, transport, ..Seal::default() };
            let outcome = judge(&weak, seal.response(&spec).as_bytes());
            assert!(outcome.is_ok(), "{content} {transport}: {}", outcome.unwrap_err());
        }
    }
    // In an assertion that is signed itself, the signature covers its parts.
    let seal = Seal { content: "aes128-cbc", ..Seal::default() };
    let spec = Spec { name_id: encrypted_id(&seal), ..Spec::default() };
    assert!(judge(&weak, spec.xml().as_bytes()).is_ok());
}

/// Each of several keys opens, the one that is named at once: three would need three decryptions else (S-66).
#[test]
fn several_keys_for_rollover() {
    let third = connection(&["sp-decryption-next", "sp-decryption"], |settings| {
        settings.decryption_keys.insert(0, stranger());
    });
    let named = Seal { key_info: certificate_hint("sp-decryption"), ..Seal::default() };
    assert!(judge(&third, named.response(&Spec::default()).as_bytes()).is_ok());
    let second = Seal { to: "sp-decryption-next", ..Seal::default() };
    assert!(judge(&third, second.response(&Spec::default()).as_bytes()).is_ok());
}

/// A key that nothing is encrypted to.
pub fn stranger() -> OwnKey {
    let key = forge::private_key("attacker-rsa").private_key_to_pem_pkcs8().expect("PEM");
    OwnKey::from_pem(&[key, forge::certificate("attacker-rsa")].concat()).expect("a pair")
}

/// One EncryptedKey for several elements costs one decryption; the trail says what was opened.
#[test]
fn a_shared_key_is_decrypted_once() {
    let seal = Seal::default();
    let id = encrypted_id(&seal);
    let key = &id[id.find("<ds:KeyInfo").unwrap()..id.find("</ds:KeyInfo>").unwrap()];
    let with_its_key = |xml: String| {
        let (from, to) = (xml.find("<ds:KeyInfo").unwrap(), xml.find("</ds:KeyInfo>").unwrap());
        xml.replace(&xml[from..to], key)
    };
    let attribute = with_its_key(encrypted_attribute(&seal));
    let spec = Spec { name_id: id.clone(), attributes: attribute.repeat(3), ..Spec::default() };
    let mut trail: Vec<(Check, String)> = vec![];
    let demand = AuthnDemand::default();
    let outstanding = [Outstanding { request_id: forge::REQUEST, demand: &demand, issued_at: forge::now() }];
    let xml = spec.xml();
    let verified =
        verify(xml.as_bytes(), &usual_connection(), forge::ACS, &outstanding, forge::now(), &mut trail);
    assert_eq!(verified.unwrap().attributes().len(), 3);
    // The key is of 256 bits, whatever another element says of it.
    let other = Spec { attributes: attribute.replace("aes256-gcm", "aes128-gcm"), ..spec };
    let refusal = judge(&usual_connection(), other.xml().as_bytes()).unwrap_err();
    assert_eq!(refusal.reason, Reason::DecryptionFailed);
    let (_, detail) = trail.iter().find(|(check, _)| *check == Check::Decryption).unwrap();
    assert!(
        detail.starts_with(
            "EncryptedID: AES-256-GCM under RSA-OAEP with SHA-1 and MGF1 with SHA-1 to the key of"
        )
    );
    assert_eq!(detail.matches("to the same key").count(), 3, "{detail}");
}

/// `fixtures/saml/encrypted`: what xmlsec1 and xmlseclibs encrypted and signed. Whether they are taken is in their names.
#[test]
fn s_72_what_others_encrypted() {
    let plain = said(&judge(&usual_connection(), Spec::default().xml().as_bytes()).unwrap());
    let weak = connection(&["sp-decryption"], |settings| {
        settings.allow_padding_oracle_cbc = true;
        settings.allow_bleichenbacher_rsa_1_5 = true;
    });
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/encrypted");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut seen = 0;
    for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "xml")) {
        let (name, octets) = (path.display().to_string(), std::fs::read(&path).unwrap());
        let verified = judge(&weak, &octets).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(said(&verified), plain, "{name}");
        let is_weak = name.contains("cbc") || name.contains("rsa-1_5");
        let owed = is_weak.then_some(Reason::DecryptionFailed);
        let found = judge(&usual_connection(), &octets).err().map(|refusal| refusal.reason);
        assert_eq!(found, owed, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 11);
}
