//! Encryption as a weapon: whom it comes from and what it hides, S-62 and S-70 to S-76 of the security checklist.
use portcullis::saml::{Connection, ConnectionError, OwnKey, Reason};

use super::{
    Case, ciphertexts,
    encrypted::{connection, encrypted_attribute, encrypted_id, stranger},
    forge::{self, SAML, Sign, Spec, judge, usual_connection},
    seal::{self, Seal, pair},
};

const FAILED: Reason = Reason::DecryptionFailed;

fn raw(name: &str, reason: Reason, xml: String) -> Case {
    Case { name: name.into(), reason: Some(reason), octets: xml.into_bytes() }
}

/// The usual sealing of an unusual plaintext.
fn inside(name: &str, reason: Reason, plaintext: &str) -> Case {
    let spec = Spec::default();
    raw(name, reason, spec.around(&Seal::default().assertion(plaintext)))
}

pub fn cases() -> Vec<Case> {
    [trust(), plaintexts(), parts()].into_iter().flatten().collect()
}

fn unsigned() -> Spec {
    Spec { sign_assertion: None, ..Spec::default() }
}

/// S-70 and S-71: whoever has our certificate can encrypt to us.
fn trust() -> Vec<Case> {
    let seal = Seal::default();
    let stranger = || Some(Sign { key: "attacker-rsa", ..Sign::default() });
    let ours = seal.assertion(&unsigned().assertion_xml());
    let genuine = Spec::default().assertion_xml();
    let on_response = Spec { sign_response: Some(Sign::default()), ..unsigned() };
    vec![
        raw("S-70-unsigned", Reason::SignatureMissing, seal.response(&unsigned())),
        raw(
            "S-70-signed-by-a-stranger",
            Reason::SignatureInvalid,
            seal.response(&Spec { sign_assertion: stranger(), ..Spec::default() }),
        ),
        raw(
            "S-70-response-signed-by-a-stranger",
            Reason::SignatureInvalid,
            seal.response(&Spec { sign_response: stranger(), ..Spec::default() }),
        ),
        raw(
            "S-70-signature-of-the-assertion-around-it",
            Reason::SignatureMisplaced,
            seal.response(&unsigned()).replacen(
                "<saml:EncryptedAssertion",
                &format!("{}<saml:EncryptedAssertion", signature()),
                1,
            ),
        ),
        raw("S-70-replaced-under-the-signature", Reason::DigestMismatch, {
            let other = Seal { content_key: vec![b'x'; 32], ..Seal::default() };
            let whole = seal.response(&on_response);
            let (from, to) = span(&whole);
            whole.replace(&whole[from..to], &other.assertion(&unsigned().assertion_xml()))
        }),
        raw(
            "S-71-encrypted-first",
            Reason::AssertionMultiple,
            Spec::default().around(&(ours.clone() + &genuine)),
        ),
        raw(
            "S-71-encrypted-second",
            Reason::AssertionMultiple,
            Spec::default().around(&(genuine.clone() + &ours)),
        ),
        raw("S-71-two-encrypted", Reason::AssertionMultiple, Spec::default().around(&ours.repeat(2))),
        raw("S-71-encrypted-in-extensions", Reason::AssertionMisplaced, {
            let before_status = format!("<samlp:Extensions>{}</samlp:Extensions>", seal.assertion(&genuine));
            Spec { before_status, ..Spec::default() }.around("")
        }),
    ]
}

/// A signature that verifies, of an assertion.
fn signature() -> String {
    let element = Spec::default().assertion_xml();
    let end = element.find("</ds:Signature>").expect("its end") + "</ds:Signature>".len();
    element[element.find("<ds:Signature ").expect("a signature")..end].to_owned()
}

/// Where the EncryptedAssertion stands.
fn span(xml: &str) -> (usize, usize) {
    let end = "</saml:EncryptedAssertion>";
    (xml.find("<saml:EncryptedAssertion").expect("it"), xml.find(end).expect("its end") + end.len())
}

/// S-62 and S-74: the plaintext is a message like any other.
fn plaintexts() -> Vec<Case> {
    let genuine = Spec::default().assertion_xml();
    let with_advice = |advice: &str| {
        Spec { advice: format!("<saml:Advice>{advice}</saml:Advice>"), ..Spec::default() }.assertion_xml()
    };
    let bare = genuine.replacen(&format!(" xmlns:saml=\"{SAML}\""), "", 1);
    let other = unsigned().assertion_xml().replace("_assertion", "_other");
    let mut twin = Spec::default();
    twin.assertion.insert("ID", "_response".into());
    vec![
        inside("S-62-dtd", Reason::MarkupDeclaration, &format!("<!DOCTYPE a [<!ENTITY b \"c\">]>{genuine}")),
        inside(
            "S-62-external-entity",
            Reason::MarkupDeclaration,
            &format!("<!DOCTYPE a SYSTEM \"file:///etc/passwd\">{genuine}"),
        ),
        inside("S-62-second-root", Reason::ContentOutsideRoot, &genuine.repeat(2)),
        inside("S-62-trailing-text", Reason::ContentOutsideRoot, &format!("{genuine}text")),
        inside("S-62-processing-instruction", Reason::ProcessingInstruction, &format!("{genuine}<?x?>")),
        inside("S-62-truncated", Reason::NotWellFormed, &genuine[..genuine.len() - 3]),
        inside("S-62-no-xml", Reason::ContentOutsideRoot, "hello"),
        inside("S-63-prefix-of-the-context", Reason::PrefixUnbound, &bare),
        inside("S-74-nested", Reason::AssertionShape, &Seal::default().assertion(&genuine)),
        inside(
            "S-74-nested-deeper",
            Reason::AssertionMultiple,
            &with_advice(&Seal::default().element("EncryptedAssertion", &genuine)),
        ),
        inside("S-74-assertion-in-advice", Reason::AssertionMultiple, &with_advice(&other)),
        inside(
            "S-74-a-response",
            Reason::AssertionShape,
            &Spec::default().xml().replace("_response", "_other"),
        ),
        inside("S-74-another-root", Reason::AssertionShape, "<a></a>"),
        inside("S-13-another-namespace", Reason::AssertionShape, &genuine.replacen(SAML, "urn:x", 1)),
        inside("S-05-signature-elsewhere", Reason::SignatureMisplaced, &with_advice(&signature())),
        inside("id-of-the-response", Reason::IdDuplicate, &twin.assertion_xml()),
        inside("changed-after-signing", Reason::DigestMismatch, &genuine.replace("alice", "admin")),
        inside(
            "version-of-the-decrypted",
            Reason::VersionUnsupported,
            &genuine.replacen("Version=\"2.0\"", "Version=\"1.1\"", 1),
        ),
        inside(
            "S-12-lookalike",
            Reason::AttributeLookalike,
            &genuine.replacen(" ID=", " xmlns:x=\"urn:x\" x:Version=\"\" ID=", 1),
        ),
    ]
}

/// Encrypted NameIDs and attributes.
fn parts() -> Vec<Case> {
    let made = |name: &str, reason, change: fn(&mut Spec)| Case::made(name, Some(reason), change);
    vec![
        made("encrypted-id-changed", FAILED, |spec| {
            spec.name_id = encrypted_id(&Seal { cipher: |cipher| cipher[1..].to_vec(), ..Seal::default() });
        }),
        made("encrypted-id-holds-an-assertion", Reason::AssertionShape, |spec| {
            spec.name_id = Seal::default().element("EncryptedID", &Spec::default().assertion_xml());
        }),
        made("S-62-dtd-in-an-id", Reason::MarkupDeclaration, |spec| {
            spec.name_id = Seal::default().element("EncryptedID", "<!DOCTYPE a><a></a>");
        }),
        made("S-23-elements-in-an-encrypted-id", Reason::ValueNotText, |spec| {
            let name_id = format!("<saml:NameID xmlns:saml=\"{SAML}\"><a></a>alice</saml:NameID>");
            spec.name_id = Seal::default().element("EncryptedID", &name_id);
        }),
        made("encrypted-id-and-a-name-id", Reason::AssertionShape, |spec| {
            spec.name_id += &encrypted_id(&Seal::default())
        }),
        made("encrypted-attribute-holds-a-name-id", Reason::AssertionShape, |spec| {
            let name_id = format!("<saml:NameID xmlns:saml=\"{SAML}\">alice</saml:NameID>");
            spec.attributes += &Seal::default().element("EncryptedAttribute", &name_id);
        }),
        made("S-66-three-encrypted-parts", FAILED, |spec| {
            spec.name_id = encrypted_id(&Seal::default());
            spec.attributes = [1, 2].map(|_| encrypted_attribute(&Seal::default())).concat();
        }),
        made("S-72-cbc-in-an-id", FAILED, |spec| {
            spec.name_id = encrypted_id(&Seal { content: "aes256-cbc", ..Seal::default() });
        }),
        Case::made("encrypted-and-wanted-otherwise", Some(Reason::AssertionNotEncrypted), |_| {}),
    ]
}

fn reason(connection: &Connection, xml: &str) -> Option<Reason> {
    judge(connection, xml.as_bytes()).err().map(|refusal| refusal.reason)
}

/// What is owed for each case is in its name; here that a failure never says more than the message shows to everybody.
#[test]
fn s_72_one_reason_for_every_failure() {
    let connection = usual_connection();
    let told: std::collections::BTreeSet<String> = ciphertexts::octets()
        .iter()
        .filter(|case| case.name != "S-72-not-base64")
        .map(|case| judge(&connection, &case.octets).unwrap_err().to_string())
        .collect();
    assert_eq!(told.len(), 1, "{told:#?}");
}

/// The switches are worth nothing without a signature around what they are for, nor for each other.
#[test]
fn s_72_weak_algorithms_need_a_signature_over_them() {
    let of = |cbc, pkcs1| {
        connection(&["sp-decryption"], |settings| {
            settings.allow_padding_oracle_cbc = cbc;
            settings.allow_bleichenbacher_rsa_1_5 = pkcs1;
        })
    };
    let signed = Spec { sign_response: Some(Sign::default()), ..Spec::default() };
    let cbc = Seal { content: "aes128-cbc", ..Seal::default() };
    let pkcs1 = Seal { transport: "rsa-1_5", ..Seal::default() };
    for (seal, on) in [(&cbc, of(true, false)), (&pkcs1, of(false, true))] {
        assert_eq!(reason(&on, &seal.response(&signed)), None);
        assert_eq!(reason(&on, &seal.response(&Spec::default())), Some(FAILED), "no signature around it");
    }
    assert_eq!(reason(&of(true, false), &pkcs1.response(&signed)), Some(FAILED));
    assert_eq!(reason(&of(false, true), &cbc.response(&signed)), Some(FAILED));
}

/// With the switches on, a wrong key and a wrong padding are the same failure.
#[test]
fn s_72_weak_algorithms_fail_alike() {
    let weak = connection(&["sp-decryption"], |settings| {
        settings.allow_padding_oracle_cbc = true;
        settings.allow_bleichenbacher_rsa_1_5 = true;
    });
    let signed = Spec { sign_response: Some(Sign::default()), ..Spec::default() };
    let cbc = Seal { content: "aes128-cbc", transport: "rsa-1_5", ..Seal::default() };
    let changes: [fn(Vec<u8>) -> Vec<u8>; 4] = [
        |cipher| cipher[..cipher.len() - 16].to_vec(),
        |cipher| cipher[..cipher.len() - 1].to_vec(),
        |cipher| cipher[..16].to_vec(),
        |_| vec![],
    ];
    for cipher in changes {
        let outcome = reason(&weak, &Seal { cipher, ..cbc.clone() }.response(&signed));
        assert!(outcome == Some(FAILED) || outcome == Some(Reason::NotWellFormed), "{outcome:?}");
    }
    for seal in [&cbc, &Seal { content: "aes256-gcm", ..cbc.clone() }] {
        let key_cipher = |mut cipher: Vec<u8>| {
            cipher[200] ^= 1;
            cipher
        };
        assert_eq!(reason(&weak, &Seal { key_cipher, ..seal.clone() }.response(&signed)), Some(FAILED));
    }
}

/// A padding of more than a block, over a whole message: only the padding is wrong. For a connection that takes CBC.
pub fn overpadded() -> (Connection, String) {
    let weak = connection(&["sp-decryption"], |settings| settings.allow_padding_oracle_cbc = true);
    let seal = Seal {
        content: "aes256-cbc",
        cipher: |_| {
            seal::overpadded(&Seal::default().content_key, Spec::default().assertion_xml().as_bytes())
        },
        ..Seal::default()
    };
    (weak, seal.response(&Spec { sign_response: Some(Sign::default()), ..Spec::default() }))
}

#[test]
fn s_72_a_padding_is_of_one_block() {
    let (weak, response) = overpadded();
    assert_eq!(reason(&weak, &response), Some(FAILED));
}

/// S-66: three keys of ours, and nothing that says which.
#[test]
fn s_66_at_most_two_decryptions() {
    let three = connection(&["sp-decryption-next", "sp-decryption"], |settings| {
        settings.decryption_keys.insert(0, stranger());
    });
    let refusal = judge(&three, Seal::default().response(&Spec::default()).as_bytes()).unwrap_err();
    assert_eq!(refusal.reason, FAILED);
    assert!(refusal.detail.unwrap().contains("more than 2"));
    let second = Seal { to: "sp-decryption-next", ..Seal::default() };
    assert_eq!(reason(&three, &second.response(&Spec::default())), None);
    // The first of two keys opens two parts; a third is one too many.
    let spec = Spec { name_id: encrypted_id(&Seal::default()), ..Spec::default() };
    assert_eq!(reason(&usual_connection(), &Seal::default().response(&spec)), None);
}

/// Encrypted parts that stand where they say nothing of the person.
#[test]
fn encrypted_parts_stand_where_they_are_read() {
    let part = encrypted_id(&Seal::default());
    let confirmation =
        format!("<saml:SubjectConfirmation Method=\"{}\">{part}</saml:SubjectConfirmation>", forge::BEARER);
    let spec = Spec { after_confirmation: confirmation, ..Spec::default() };
    assert_eq!(reason(&usual_connection(), &spec.xml()), Some(Reason::EncryptedPart));
    assert_eq!(reason(&usual_connection(), &Seal::default().response(&spec)), Some(Reason::EncryptedPart));
    let spec = Spec { advice: format!("<saml:Advice>{part}</saml:Advice>"), ..Spec::default() };
    assert_eq!(reason(&usual_connection(), &spec.xml()), Some(Reason::EncryptedPart));
}

#[test]
fn the_setting_says_what_must_be_signed() {
    use portcullis::saml::SignedElement::{Assertion, Both, Either, Response};
    let specs = |response: bool, assertion: bool| Spec {
        sign_response: response.then(Sign::default),
        sign_assertion: assertion.then(Sign::default),
        ..Spec::default()
    };
    for (signed, response, assertion, accepted) in [
        (Either, true, false, true),
        (Either, false, true, true),
        (Either, false, false, false),
        (Response, true, false, true),
        (Response, false, true, false),
        (Assertion, true, false, false),
        (Assertion, false, true, true),
        (Both, true, false, false),
        (Both, false, true, false),
        (Both, true, true, true),
    ] {
        let connection = connection(&["sp-decryption"], |settings| settings.signed = signed);
        let found = reason(&connection, &Seal::default().response(&specs(response, assertion)));
        let owed = if accepted { None } else { Some(Reason::SignatureMissing) };
        assert_eq!(found, owed, "{signed:?} with response {response}, assertion {assertion}");
    }
}

/// S-75: private keys are used by OpenSSL, which blinds, and by no crate whose RSA takes time that tells.
#[test]
fn s_75_no_rsa_in_rust() {
    let lock = include_str!("../../../Cargo.lock");
    assert!(lock.contains("name = \"openssl\""));
    for name in ["rsa", "crypto-bigint", "num-bigint-dig"] {
        assert!(!lock.contains(&format!("name = \"{name}\"\n")), "{name}");
    }
}

/// S-76: a key that decrypts signs nothing.
#[test]
fn s_76_a_key_has_one_use() {
    let own = |name: &str| OwnKey::from_pem(&pair(name)).unwrap();
    let made = |signing: &str, decryption: &str| {
        let mut settings = forge::settings(&["idp-rsa"]);
        (settings.signing_keys, settings.decryption_keys) = (vec![own(signing)], vec![own(decryption)]);
        Connection::new(settings).err()
    };
    assert_eq!(made("sp-decryption", "sp-decryption-next"), None);
    assert_eq!(made("sp-decryption", "sp-decryption"), Some(ConnectionError::KeyForBoth { key: 0 }));
    let mut settings = forge::settings(&["idp-rsa"]);
    settings.encrypted = true;
    assert_eq!(Connection::new(settings).err(), Some(ConnectionError::NoDecryptionKey));
}
