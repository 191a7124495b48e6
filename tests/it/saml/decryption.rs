//! Encryption as a weapon: S-62, S-66 and S-70 to S-76 of the security checklist, each with the reason that meets it.
use portcullis::saml::{Connection, ConnectionError, OwnKey, Reason};

use super::{
    Case,
    encrypted::{connection, encrypted_attribute, encrypted_id, stranger},
    forge::{self, SAML, Sign, Spec, judge, usual_connection},
    seal::{Place, Seal, pair},
};

const FAILED: Reason = Reason::DecryptionFailed;

fn raw(name: &str, reason: Reason, xml: String) -> Case {
    Case { name: name.into(), reason: Some(reason), octets: xml.into_bytes() }
}

/// The usual response, sealed in an unusual way.
fn sealed(name: &str, reason: Reason, change: impl FnOnce(&mut Seal)) -> Case {
    let mut seal = Seal::default();
    change(&mut seal);
    raw(name, reason, seal.response(&Spec::default()))
}

/// The usual sealing of an unusual plaintext.
fn inside(name: &str, reason: Reason, plaintext: &str) -> Case {
    let spec = Spec::default();
    raw(name, reason, spec.around(&Seal::default().assertion(plaintext)))
}

/// The sealed response, its EncryptedAssertion edited as XML.
fn edited(name: &str, edit: fn(String) -> String) -> Case {
    sealed(name, FAILED, |seal| seal.edit = edit)
}

pub fn cases() -> Vec<Case> {
    [trust(), algorithms(), octets(), keys(), shapes(), plaintexts(), parts()].into_iter().flatten().collect()
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

/// S-72: what is not authenticated, unasked for.
fn algorithms() -> Vec<Case> {
    let algorithm = |name: &str, content, transport| {
        sealed(name, FAILED, |seal| (seal.content, seal.transport) = (content, transport))
    };
    let signed = Spec { sign_response: Some(Sign::default()), ..Spec::default() };
    let cbc = Seal { content: "aes256-cbc", ..Seal::default() };
    let pkcs1 = Seal { transport: "rsa-1_5", ..Seal::default() };
    vec![
        algorithm("S-72-cbc", "aes128-cbc", "rsa-oaep-mgf1p"),
        algorithm("S-72-rsa-1-5", "aes256-gcm", "rsa-1_5"),
        raw("S-72-cbc-under-a-signature", FAILED, cbc.response(&signed)),
        raw("S-72-rsa-1-5-under-a-signature", FAILED, pkcs1.response(&signed)),
        edited("S-72-content-algorithm-unknown", |xml| xml.replace("aes256-gcm", "aes192-gcm")),
        edited("S-72-key-algorithm-unknown", |xml| xml.replace("rsa-oaep-mgf1p", "kw-aes256")),
        edited("S-72-mgf-of-mgf1p", |xml| {
            let mask = "<xenc11:MGF xmlns:xenc11=\"http://www.w3.org/2009/xmlenc11#\" \
                        Algorithm=\"http://www.w3.org/2009/xmlenc11#mgf1sha256\"></xenc11:MGF>";
            xml.replace("rsa-oaep-mgf1p\">", &format!("rsa-oaep-mgf1p\">{mask}"))
        }),
        edited("S-72-digest-unknown", |xml| {
            xml.replace(
                "rsa-oaep-mgf1p\">",
                "rsa-oaep-mgf1p\"><ds:DigestMethod Algorithm=\"urn:md5\"></ds:DigestMethod>",
            )
        }),
        edited("S-72-oaep-parameters", |xml| {
            xml.replace("rsa-oaep-mgf1p\">", "rsa-oaep-mgf1p\"><xenc:OAEPparams>AAAA</xenc:OAEPparams>")
        }),
    ]
}

/// S-73 and what else is wrong with octets that stand in a right shape.
fn octets() -> Vec<Case> {
    let content = |name: &str, cipher| sealed(name, FAILED, |seal| seal.cipher = cipher);
    let key = |name: &str, key_cipher| sealed(name, FAILED, |seal| seal.key_cipher = key_cipher);
    vec![
        content("S-73-tag-truncated", |cipher| cipher[..cipher.len() - 4].to_vec()),
        content("S-73-tag-missing", |cipher| cipher[..cipher.len() - 16].to_vec()),
        content("S-73-tag-changed", |mut cipher| {
            *cipher.last_mut().unwrap() ^= 1;
            cipher
        }),
        content("S-73-ciphertext-changed", |mut cipher| {
            cipher[40] ^= 1;
            cipher
        }),
        content("S-73-vector-changed", |mut cipher| {
            cipher[0] ^= 1;
            cipher
        }),
        content("S-73-vector-short", |cipher| cipher[4..].to_vec()),
        content("S-73-vector-and-tag-only", |cipher| [&cipher[..12], &cipher[cipher.len() - 16..]].concat()),
        content("S-73-nothing", |_| vec![]),
        inside("S-73-empty-plaintext", FAILED, ""),
        key("S-72-key-changed", |mut cipher| {
            cipher[9] ^= 1;
            cipher
        }),
        key("S-72-key-too-large-a-number", |cipher| vec![0xff; cipher.len()]),
        key("S-72-key-short", |cipher| cipher[1..].to_vec()),
        key("S-72-key-long", |cipher| [&[0], &cipher[..]].concat()),
        key("S-72-key-empty", |_| vec![]),
        sealed("S-72-content-key-of-another-length", FAILED, |seal| {
            (seal.content, seal.content_key) = ("aes256-gcm", vec![7; 32]);
            seal.edit = |xml| xml.replace("aes256-gcm", "aes128-gcm");
        }),
        sealed("S-72-another-digest-than-it-says", FAILED, |seal| {
            seal.edit = |xml| {
                let digest = forge::digest_uri("sha256");
                xml.replace(
                    "mgf1p\">",
                    &format!("mgf1p\"><ds:DigestMethod Algorithm=\"{digest}\"></ds:DigestMethod>"),
                )
            };
        }),
        edited("S-72-not-base64", |xml| xml.replacen("CipherValue>", "CipherValue>*", 1)),
    ]
}

/// S-66 and S-74: keys that lead elsewhere, in circles, or are too many.
fn keys() -> Vec<Case> {
    let beside = |name: &str, edit| {
        sealed(name, FAILED, |seal| {
            (seal.place, seal.key_attributes, seal.edit) = (Place::Retrieved, " Id=\"_key\"".into(), edit);
        })
    };
    vec![
        beside("S-74-retrieval-of-a-file", |xml| xml.replace("URI=\"#_key\"", "URI=\"file:///etc/passwd\"")),
        beside("S-74-retrieval-over-http", |xml| {
            xml.replace("URI=\"#_key\"", "URI=\"http://127.0.0.1:1/key\"")
        }),
        beside("S-74-retrieval-of-nothing", |xml| xml.replace("URI=\"#_key\"", "URI=\"#_other\"")),
        beside("S-74-retrieval-of-the-document", |xml| xml.replace("URI=\"#_key\"", "URI=\"\"")),
        beside("S-74-retrieval-of-itself", |xml| {
            xml.replace("<xenc:EncryptedData ", "<xenc:EncryptedData Id=\"_data\" ")
                .replace("#_key", "#_data")
        }),
        beside("S-74-retrieval-with-transforms", |xml| {
            let transforms = "<ds:Transforms><ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\">\
                              </ds:Transform></ds:Transforms></ds:RetrievalMethod>";
            xml.replace("</ds:RetrievalMethod>", transforms)
        }),
        beside("S-74-retrieval-of-another-type", |xml| {
            xml.replace("EncryptedKey\" URI", "EncryptedData\" URI")
        }),
        beside("S-74-retrieval-in-a-circle", |xml| {
            let circle = "<ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">\
                          <ds:RetrievalMethod URI=\"#_key\"></ds:RetrievalMethod></ds:KeyInfo><xenc:CipherData>";
            let at = xml.rfind("<xenc:CipherData>").expect("the key's");
            format!("{}{circle}{}", &xml[..at], &xml[at + "<xenc:CipherData>".len()..])
        }),
        edited("S-74-key-under-a-key", |xml| {
            let key = &xml[xml.find("<xenc:EncryptedKey").unwrap()..xml.find("</ds:KeyInfo>").unwrap()];
            let nested = format!("<ds:KeyInfo>{key}</ds:KeyInfo><xenc:CipherData>");
            xml.replacen("<xenc:CipherData>", &nested, 1)
        }),
        edited("S-74-cipher-reference", |xml| {
            let reference = "<xenc:CipherReference URI=\"file:///etc/passwd\"></xenc:CipherReference></xenc:CipherData>\
                             </xenc:EncryptedData>";
            let from = xml.rfind("<xenc:CipherValue>").unwrap();
            format!("{}{reference}</saml:EncryptedAssertion>", &xml[..from])
        }),
        edited("S-74-key-info-reference", |xml| {
            let reference = "<x:KeyInfoReference xmlns:x=\"http://www.w3.org/2009/xmldsig11#\" URI=\"#_key\">\
                             </x:KeyInfoReference><xenc:EncryptedKey";
            xml.replacen("<xenc:EncryptedKey", reference, 1)
        }),
        edited("S-74-agreement-method", |xml| {
            xml.replacen(
                "<xenc:EncryptedKey",
                "<xenc:AgreementMethod Algorithm=\"urn:x\"></xenc:AgreementMethod><xenc:EncryptedKey",
                1,
            )
        }),
        edited("S-66-S-74-a-hundred-keys", |xml| {
            let key = Seal { place: Place::Beside, ..Seal::default() }.encrypted_key(false).repeat(100);
            xml.replace("</saml:EncryptedAssertion>", &format!("{key}</saml:EncryptedAssertion>"))
        }),
        edited("S-66-S-74-five-keys", |xml| {
            let (from, to) = (xml.find("<xenc:EncryptedKey").unwrap(), xml.find("</ds:KeyInfo>").unwrap());
            let key = xml[from..to].to_owned();
            xml.replacen(&key, &key.repeat(5), 1)
        }),
        // Two of our keys and two EncryptedKeys make four decryptions.
        edited("S-66-too-many-decryptions", |xml| {
            let wrong = Seal { key_cipher: |cipher| cipher.into_iter().rev().collect(), ..Seal::default() };
            xml.replacen("<xenc:EncryptedKey", &format!("{}<xenc:EncryptedKey", wrong.encrypted_key(true)), 1)
        }),
        edited("S-74-no-key", |xml| {
            let (from, to) = (xml.find("<ds:KeyInfo").unwrap(), xml.find("</ds:KeyInfo>").unwrap());
            xml.replace(&xml[from..to + "</ds:KeyInfo>".len()], "")
        }),
        sealed("S-74-keys-for-others-only", FAILED, |seal| {
            (seal.place, seal.key_attributes) =
                (Place::Beside, " Recipient=\"https://a.example.com\"".into());
            seal.edit = |xml| {
                let end = "</saml:EncryptedAssertion>";
                let (from, to) = (xml.find("<xenc:EncryptedKey").unwrap(), xml.find(end).unwrap());
                xml.replace(end, &format!("{}{end}", &xml[from..to]))
            };
        }),
        sealed("encrypted-to-a-key-of-nobody", FAILED, |seal| seal.to = "stranger"),
    ]
}

/// What is no EncryptedData as SAML has it.
fn shapes() -> Vec<Case> {
    vec![
        raw(
            "encrypted-nothing",
            FAILED,
            unsigned().around(&format!(
                "<saml:EncryptedAssertion xmlns:saml=\"{SAML}\"></saml:EncryptedAssertion>"
            )),
        ),
        edited("encrypted-text-beside", |xml| {
            xml.replacen("<xenc:EncryptedData", "text<xenc:EncryptedData", 1)
        }),
        edited("encrypted-comment", |xml| {
            xml.replacen("<xenc:CipherValue>", "<xenc:CipherValue><!-- x -->", 1)
        }),
        edited("encrypted-twice", |xml| {
            let (from, to) = (xml.find("<xenc:EncryptedData").unwrap(), xml.find("</saml:").unwrap());
            xml.replacen(&xml[from..to], &xml[from..to].repeat(2), 1)
        }),
        edited("encrypted-content-type", |xml| xml.replace("xmlenc#Element", "xmlenc#Content")),
        edited("encrypted-encoding", |xml| xml.replace(" Type=", " Encoding=\"urn:x\" Type=")),
        edited("encrypted-without-method", |xml| {
            let method = "<xenc:EncryptionMethod Algorithm=\"http://www.w3.org/2009/xmlenc11#aes256-gcm\"></xenc:EncryptionMethod>";
            xml.replace(method, "")
        }),
        edited("encrypted-method-with-child", |xml| {
            xml.replacen(
                "</xenc:EncryptionMethod>",
                "<xenc:KeySize>128</xenc:KeySize></xenc:EncryptionMethod>",
                1,
            )
        }),
        edited("encrypted-properties", |xml| {
            xml.replace(
                "</xenc:EncryptedData>",
                "<xenc:EncryptionProperties></xenc:EncryptionProperties></xenc:EncryptedData>",
            )
        }),
        edited("encrypted-cipher-value-twice", |xml| {
            let value = "<xenc:CipherValue>AAAA</xenc:CipherValue></xenc:CipherData>";
            xml.replace("</xenc:CipherData>", value)
        }),
        edited("encrypted-key-without-cipher-data", |xml| {
            let (from, to) =
                (xml.find("<xenc:CipherData>").unwrap(), xml.find("</xenc:CipherData>").unwrap());
            xml.replacen(&xml[from..to + "</xenc:CipherData>".len()], "", 1)
        }),
        edited("encrypted-elements-in-cipher-value", |xml| {
            xml.replace("</xenc:CipherValue>", "<a></a></xenc:CipherValue>")
        }),
    ]
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
    let told: std::collections::BTreeSet<String> = octets()
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
