//! Ciphertexts as a weapon: S-66, S-72, S-73 and S-74 of the security checklist. All end in one and the same refusal.
use portcullis::saml::Reason;

use super::{
    Case,
    forge::{self, SAML, Sign, Spec},
    seal::{self, Place, Seal},
};

const FAILED: Reason = Reason::DecryptionFailed;

pub fn cases() -> Vec<Case> {
    [algorithms(), octets(), keys(), numbers_of_keys(), shapes()].into_iter().flatten().collect()
}

fn failed(name: &str, xml: String) -> Case {
    Case { name: name.into(), reason: Some(FAILED), octets: xml.into_bytes() }
}

/// The usual response, sealed in an unusual way.
fn sealed(name: &str, change: impl FnOnce(&mut Seal)) -> Case {
    let mut seal = Seal::default();
    change(&mut seal);
    failed(name, seal.response(&Spec::default()))
}

/// The sealed response, its EncryptedAssertion edited as XML.
fn edited(name: &str, edit: fn(String) -> String) -> Case {
    sealed(name, |seal| seal.edit = edit)
}

/// S-72: what is not authenticated, unasked for.
fn algorithms() -> Vec<Case> {
    let algorithm = |name: &str, content, transport| {
        sealed(name, |seal| (seal.content, seal.transport) = (content, transport))
    };
    let signed = Spec { sign_response: Some(Sign::default()), ..Spec::default() };
    let cbc = Seal { content: "aes256-cbc", ..Seal::default() };
    let pkcs1 = Seal { transport: "rsa-1_5", ..Seal::default() };
    vec![
        algorithm("S-72-cbc", "aes128-cbc", "rsa-oaep-mgf1p"),
        algorithm("S-72-rsa-1-5", "aes256-gcm", "rsa-1_5"),
        failed("S-72-cbc-under-a-signature", cbc.response(&signed)),
        failed("S-72-rsa-1-5-under-a-signature", pkcs1.response(&signed)),
        edited("S-72-content-algorithm-unknown", |xml| xml.replace("aes256-gcm", "aes192-gcm")),
        edited("S-72-key-algorithm-unknown", |xml| xml.replace("rsa-oaep-mgf1p", "kw-aes256")),
        sealed("S-72-mgf-of-mgf1p", |seal| seal.mask = Some("sha256")),
        edited("S-72-digest-unknown", |xml| {
            xml.replace(
                "rsa-oaep-mgf1p\">",
                "rsa-oaep-mgf1p\"><ds:DigestMethod Algorithm=\"urn:md5\"></ds:DigestMethod>",
            )
        }),
        edited("S-72-key-parameter-unknown", |xml| {
            xml.replace(
                "rsa-oaep-mgf1p\">",
                "rsa-oaep-mgf1p\"><x:Other xmlns:x=\"urn:x\" Algorithm=\"urn:x\"></x:Other>",
            )
        }),
        edited("S-72-digest-twice", |xml| {
            let method =
                format!("<ds:DigestMethod Algorithm=\"{}\"></ds:DigestMethod>", forge::digest_uri("sha1"));
            xml.replace("rsa-oaep-mgf1p\">", &format!("rsa-oaep-mgf1p\">{}", method.repeat(2)))
        }),
        edited("S-72-oaep-parameters", |xml| {
            xml.replace("rsa-oaep-mgf1p\">", "rsa-oaep-mgf1p\"><xenc:OAEPparams>AAAA</xenc:OAEPparams>")
        }),
    ]
}

/// S-73 and what else is wrong with octets that stand in a right shape.
pub fn octets() -> Vec<Case> {
    let content = |name: &str, cipher| sealed(name, |seal| seal.cipher = cipher);
    let key = |name: &str, key_cipher| sealed(name, |seal| seal.key_cipher = key_cipher);
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
        failed("S-73-empty-plaintext", Spec::default().around(&Seal::default().assertion(""))),
        key("S-72-key-changed", |mut cipher| {
            cipher[9] ^= 1;
            cipher
        }),
        key("S-72-key-too-large-a-number", |cipher| vec![0xff; cipher.len()]),
        key("S-72-key-short", |cipher| cipher[1..].to_vec()),
        key("S-72-key-long", |cipher| [&[0], &cipher[..]].concat()),
        key("S-72-key-empty", |_| vec![]),
        sealed("S-72-content-key-of-another-length", |seal| {
            (seal.content, seal.content_key) = ("aes256-gcm", vec![7; 32]);
            seal.edit = |xml| xml.replace("aes256-gcm", "aes128-gcm");
        }),
        sealed("S-72-another-digest-than-it-says", |seal| {
            seal.edit = |xml| {
                let digest = forge::digest_uri("sha256");
                xml.replace(
                    "mgf1p\">",
                    &format!("mgf1p\"><ds:DigestMethod Algorithm=\"{digest}\"></ds:DigestMethod>"),
                )
            };
        }),
        content("S-72-no-utf8", |_| seal::gcm(&Seal::default().content_key, &not_utf8())),
        // Encrypted under what stands in for a content key that does not come out, as nobody can who has not our private key.
        sealed("S-72-under-the-stand-in", |seal| {
            seal.key_cipher = |_| GARBAGE.to_vec();
            seal.content_key = seal::stand_in("sp-decryption", &GARBAGE);
        }),
        edited("S-72-not-base64", |xml| xml.replacen("CipherValue>", "CipherValue>*", 1)),
    ]
}

/// What decrypts to nothing of a key's form.
const GARBAGE: [u8; 256] = [1; 256];

fn not_utf8() -> Vec<u8> {
    let genuine = Spec::default().assertion_xml();
    let at = genuine.find("alice").expect("alice");
    [&genuine.as_bytes()[..at], b"\xff", &genuine.as_bytes()[at..]].concat()
}

/// S-74: keys that lead elsewhere, or in circles.
fn keys() -> Vec<Case> {
    let beside = |name: &str, edit| {
        sealed(name, |seal| {
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
    ]
}

/// S-66: too many keys, or none.
fn numbers_of_keys() -> Vec<Case> {
    vec![
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
        sealed("S-74-keys-for-others-only", |seal| {
            (seal.place, seal.key_attributes) =
                (Place::Beside, " Recipient=\"https://a.example.com\"".into());
            seal.edit = |xml| {
                let end = "</saml:EncryptedAssertion>";
                let (from, to) = (xml.find("<xenc:EncryptedKey").unwrap(), xml.find(end).unwrap());
                xml.replace(end, &format!("{}{end}", &xml[from..to]))
            };
        }),
        sealed("encrypted-to-a-key-of-nobody", |seal| seal.to = "stranger"),
    ]
}

/// What is no EncryptedData as SAML has it.
fn shapes() -> Vec<Case> {
    vec![
        failed("encrypted-nothing", {
            let nothing =
                format!("<saml:EncryptedAssertion xmlns:saml=\"{SAML}\"></saml:EncryptedAssertion>");
            Spec { sign_assertion: None, ..Spec::default() }.around(&nothing)
        }),
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
        edited("encrypted-under-another-name", |xml| {
            xml.replace("xenc:EncryptedData", "xenc:EncryptedDatum")
        }),
        edited("encrypted-method-with-an-attribute", |xml| {
            xml.replacen("<xenc:EncryptionMethod ", "<xenc:EncryptionMethod xml:lang=\"en\" ", 1)
        }),
        sealed("encrypted-certificate-not-base64", |seal| {
            seal.key_info = "<ds:X509Data><ds:X509Certificate>*</ds:X509Certificate></ds:X509Data>".into();
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
