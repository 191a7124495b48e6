//! More forged signatures: S-31 to S-41 and S-50 to S-56, each in the forms that fooled somebody.
use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{hash::MessageDigest, pkey::PKey, sign::Signer, x509::X509};
use portcullis::saml::Reason;

use super::{
    Case,
    attacks::{edited, made},
    forge::{self, DS, EXC, Sign, transform},
};

pub fn cases() -> Vec<Case> {
    [references(), objects(), digests(), key_infos(), hmacs(), algorithms()].into_iter().flatten().collect()
}

fn sign(name: &str, reason: Reason, change: impl FnOnce(&mut Sign)) -> Case {
    made(name, reason, |spec| change(spec.sign_assertion.as_mut().expect("signed")))
}

/// S-33 to S-35, S-37: what a Reference points at, and how.
fn references() -> Vec<Case> {
    let uri = |name: &str, uri: &str| sign(name, Reason::ReferenceUri, |sign| sign.uri = Some(uri.into()));
    let heavy = "count(//. | //@* | //namespace::*) and ".repeat(20);
    vec![
        uri("S-33-other-element", "#_session"),
        uri("S-33-nothing", "#_nowhere"),
        uri("S-34-quotes", "#x' or @ID='_assertion"),
        uri("S-34-two-hashes", "##_assertion"),
        uri("S-34-trailing-blank", "#_assertion "),
        uri("S-34-case", "#_ASSERTION"),
        uri("S-34-id-without-hash", "_assertion"),
        uri("S-35-cid", "cid:assertion@example.com"),
        uri("S-35-file-with-fragment", "file:///etc/hostname#_assertion"),
        sign("S-37-costly-xpath", Reason::Transforms, |sign| {
            sign.transforms = transform(forge::ENVELOPED)
                + &format!(
                    "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>{heavy}1\
                     </ds:XPath></ds:Transform>"
                );
        }),
        sign("method-with-another-attribute", Reason::SignatureAlgorithm, |sign| {
            sign.info = |info| info.replace("<ds:SignatureMethod ", "<ds:SignatureMethod Algo=\"x\" ");
        }),
    ]
}

/// S-31, S-35, S-39: what stands beside SignedInfo in a signature.
fn objects() -> Vec<Case> {
    let object = |name: &str, content: &str| {
        edited(name, Reason::SignatureShape, |xml| {
            xml.replace("</ds:Signature>", &format!("<ds:Object>{content}</ds:Object></ds:Signature>"))
        })
    };
    let key_info = |name: &str, content: &str| {
        let info = format!("<ds:KeyInfo>{content}</ds:KeyInfo>");
        sign(name, Reason::SignatureShape, |sign| sign.key_info = info)
    };
    let reference = "<ds:Reference URI=\"#_evil\"></ds:Reference>";
    vec![
        object("S-31-signed-info-in-object", "<ds:SignedInfo></ds:SignedInfo>"),
        object("S-39-manifest", &format!("<ds:Manifest>{reference}</ds:Manifest>")),
        object(
            "S-39-signature-properties",
            "<ds:SignatureProperties><ds:SignatureProperty Target=\"#_evil\"></ds:SignatureProperty>\
             </ds:SignatureProperties>",
        ),
        key_info("S-39-manifest-in-key-info", &format!("<ds:Manifest>{reference}</ds:Manifest>")),
        key_info(
            "S-35-key-info-reference",
            "<d:KeyInfoReference xmlns:d=\"http://www.w3.org/2009/xmldsig11#\" URI=\"http://127.0.0.1:9/key\">\
             </d:KeyInfoReference>",
        ),
        key_info(
            "S-35-cipher-reference",
            "<x:EncryptedKey xmlns:x=\"http://www.w3.org/2001/04/xmlenc#\"><x:CipherData><x:CipherReference \
             URI=\"file:///etc/hostname\"></x:CipherReference></x:CipherData></x:EncryptedKey>",
        ),
        key_info(
            "S-35-http-retrieval-method",
            "<ds:RetrievalMethod URI=\"http://127.0.0.1:9/\"></ds:RetrievalMethod>",
        ),
    ]
}

/// SignedInfo with another DigestValue.
fn changed_digest(info: String, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let start = info.find("<ds:DigestValue>").expect("a digest") + "<ds:DigestValue>".len();
    let end = info.find("</ds:DigestValue>").expect("its end");
    let mut digest = STANDARD.decode(info[start..end].trim()).expect("base64");
    change(&mut digest);
    format!("{}{}{}", &info[..start], STANDARD.encode(digest), &info[end..])
}

fn flipped(info: String) -> String {
    changed_digest(info, |digest| *digest.last_mut().expect("a byte") ^= 1)
}

fn shortened(info: String) -> String {
    changed_digest(info, |digest| digest.truncate(8))
}

/// S-41: digests that a loose comparison takes for equal.
fn digests() -> Vec<Case> {
    vec![
        sign("S-41-last-bit", Reason::DigestMismatch, |sign| sign.info = flipped),
        sign("S-41-prefix", Reason::SignatureEncoding, |sign| sign.info = shortened),
        sign("S-41-empty", Reason::SignatureEncoding, |sign| {
            sign.info = |info| changed_digest(info, Vec::clear);
        }),
        sign("S-41-zero-like", Reason::DigestMismatch, |sign| {
            // As text "0e...": a number of value zero to a language that compares loosely.
            sign.info = |info| {
                changed_digest(info, |digest| digest.copy_from_slice(&[b'0', b'e', b'1', b'2'].repeat(8)))
            };
        }),
    ]
}

fn base64_certificate(name: &str) -> String {
    let pem = String::from_utf8(forge::certificate(name)).expect("PEM");
    pem.lines().filter(|line| !line.starts_with('-')).collect()
}

/// S-50: the attacker's signature with every kind of key shown beside it.
fn key_infos() -> Vec<Case> {
    let shown = |name: &str, content: String| {
        sign(name, Reason::SignatureInvalid, |sign| {
            sign.key = "attacker-rsa";
            sign.key_info = format!("<ds:KeyInfo>{content}</ds:KeyInfo>");
        })
    };
    let x509 = |names: &[&str]| {
        let certificates: String = names
            .iter()
            .map(|name| format!("<ds:X509Certificate>{}</ds:X509Certificate>", base64_certificate(name)))
            .collect();
        format!("<ds:X509Data>{certificates}</ds:X509Data>")
    };
    let attacker = X509::from_pem(&forge::certificate("attacker-rsa")).expect("a certificate");
    let rsa = attacker.public_key().and_then(|key| key.rsa()).expect("an RSA key");
    let value = |name: &str, number: Vec<u8>| format!("<ds:{name}>{}</ds:{name}>", STANDARD.encode(number));
    let numbers = value("Modulus", rsa.n().to_vec()) + &value("Exponent", rsa.e().to_vec());
    vec![
        shown(
            "S-50-rsa-key-value",
            format!("<ds:KeyValue><ds:RSAKeyValue>{numbers}</ds:RSAKeyValue></ds:KeyValue>"),
        ),
        shown("S-50-two-certificates", x509(&["idp-rsa", "attacker-rsa"])),
        shown("S-50-two-certificates-other-order", x509(&["attacker-rsa", "idp-rsa"])),
        shown("S-50-genuine-certificate", x509(&["idp-rsa"])),
    ]
}

/// S-52: an HMAC whose key is what everybody knows of the IdP's key.
fn hmacs() -> Vec<Case> {
    let pem = forge::certificate("idp-rsa");
    let certificate = X509::from_pem(&pem).expect("a certificate");
    let key = certificate.public_key().expect("a key");
    let spki = key.public_key_to_der().expect("DER");
    let secrets: [(&str, Vec<u8>); 6] = [
        ("pem", pem.clone()),
        ("stripped-pem", base64_certificate("idp-rsa").into_bytes()),
        ("spki", spki.clone()),
        ("spki-pem", key.public_key_to_pem().expect("PEM")),
        ("der", certificate.to_der().expect("DER")),
        ("modulus", key.rsa().expect("RSA").n().to_vec()),
    ];
    let method = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256";
    secrets
        .into_iter()
        .map(|(name, secret)| {
            let claimed = sign(&format!("S-52-hmac-with-{name}"), Reason::SignatureAlgorithm, |sign| {
                sign.method = Some(method.into());
            });
            claimed.changed(|xml| {
                let start = xml.find("<ds:SignedInfo>").expect("SignedInfo");
                let end = xml.find("</ds:SignedInfo>").expect("its end") + "</ds:SignedInfo>".len();
                let tag = format!("<ds:SignedInfo xmlns:ds=\"{DS}\">");
                let info = xml[start..end].replacen("<ds:SignedInfo>", &tag, 1);
                let key = PKey::hmac(&secret).expect("a secret");
                let mut signer = Signer::new(MessageDigest::sha256(), &key).expect("a signer");
                let mac = signer.sign_oneshot_to_vec(info.as_bytes()).expect("a MAC");
                with_value(xml, &STANDARD.encode(mac))
            })
        })
        .collect()
}

fn with_value(xml: &str, value: &str) -> String {
    let start = xml.find("<ds:SignatureValue>").expect("a value") + "<ds:SignatureValue>".len();
    let end = xml.find("</ds:SignatureValue>").expect("its end");
    format!("{}{value}{}", &xml[..start], &xml[end..])
}

/// S-54 to S-56: algorithms that nobody may use, and signatures that only look like some.
fn algorithms() -> Vec<Case> {
    let claimed =
        |name: &str, uri: &str| sign(name, Reason::SignatureAlgorithm, |sign| sign.method = Some(uri.into()));
    let digest = |name: &str, uri: &str| {
        sign(name, Reason::DigestAlgorithm, |sign| sign.digest_uri = Some(uri.into()))
    };
    vec![
        claimed("S-54-rsa-md5", "http://www.w3.org/2001/04/xmldsig-more#rsa-md5"),
        claimed("S-54-dsa-sha1", "http://www.w3.org/2000/09/xmldsig#dsa-sha1"),
        digest("S-54-md5-digest", "http://www.w3.org/2001/04/xmldsig-more#md5"),
        digest("S-55-digest-none", "none"),
        claimed("S-55-of-tomorrow", "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519"),
        claimed("S-55-other-case", "http://www.w3.org/2001/04/xmldsig-more#RSA-SHA256"),
        claimed("S-55-digest-as-signature", "http://www.w3.org/2001/04/xmlenc#sha256"),
        sign("S-55-digest-swapped", Reason::SignatureEncoding, |sign| sign.digest = "sha512")
            .changed(|xml| xml.replacen(forge::digest_uri("sha512"), forge::digest_uri("sha256"), 1)),
        // One more zero byte before s: the same number, another spelling.
        sign("S-56-padded", Reason::SignatureInvalid, |sign| {
            sign.key = "idp-p256";
            sign.algorithm = "ecdsa-sha256";
        })
        .changed(|xml| {
            let start = xml.find("<ds:SignatureValue>").expect("a value") + "<ds:SignatureValue>".len();
            let end = xml.find("</ds:SignatureValue>").expect("its end");
            let mut value = STANDARD.decode(&xml[start..end]).expect("base64");
            value.insert(32, 0);
            with_value(xml, &STANDARD.encode(value))
        }),
        edited("S-66-long-signature-value", Reason::SignatureEncoding, |xml| {
            xml.replacen("<ds:SignatureValue>", &format!("<ds:SignatureValue>{}", "\n".repeat(5000)), 1)
        }),
        sign("S-38-prefix-list-that-is-none", Reason::Transforms, |sign| {
            let list = format!(
                "<ec:InclusiveNamespaces xmlns:ec=\"{EXC}\" PrefixList=\"a:b\"></ec:InclusiveNamespaces>"
            );
            let exclusive = format!("<ds:Transform Algorithm=\"{EXC}\">{list}</ds:Transform>");
            sign.transforms = transform(forge::ENVELOPED) + &exclusive;
        }),
    ]
}
