//! The attacks on signatures: SignedInfo, Reference, transforms, keys and algorithms, by their numbers.
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::saml::Reason;

use super::{
    Case,
    forge::{self, EXC, Sign, Spec, method, transform},
};

pub fn cases() -> Vec<Case> {
    [signed_info(), transforms(), keys()].into_iter().flatten().collect()
}

fn made<R>(name: &str, reason: Reason, change: impl FnOnce(&mut Spec) -> R) -> Case {
    Case::made(name, Some(reason), change)
}

fn edited(name: &str, reason: Reason, edit: impl FnOnce(&str) -> String) -> Case {
    Case::edited(name, Some(reason), edit)
}

/// S-30 to S-35: SignedInfo and its Reference.
fn signed_info() -> Vec<Case> {
    let uri = |name: &str, uri: &'static str| {
        made(name, Reason::ReferenceUri, |spec| {
            spec.sign_assertion.as_mut().expect("signed").uri = Some(uri.into())
        })
    };
    let info = |name: &str, reason, change: fn(String) -> String| {
        made(name, reason, |spec| spec.sign_assertion.as_mut().expect("signed").info = change)
    };
    let inside =
        |name: &str, reason, from: &str, to: &str| edited(name, reason, |xml| xml.replacen(from, to, 1));
    vec![
        inside(
            "S-30-comment-in-digest-value",
            Reason::SignatureComment,
            "<ds:DigestValue>",
            "<ds:DigestValue><!-- x -->",
        ),
        inside(
            "S-30-comment-in-signature-value",
            Reason::SignatureComment,
            "<ds:SignatureValue>",
            "<ds:SignatureValue><!---->",
        ),
        inside(
            "S-30-comment-in-signed-info",
            Reason::SignatureComment,
            "<ds:SignedInfo>",
            "<ds:SignedInfo><!-- x -->",
        ),
        edited("S-31-two-signed-infos", Reason::SignatureShape, |xml| {
            xml.replacen("<ds:SignedInfo>", "<ds:SignedInfo></ds:SignedInfo><ds:SignedInfo>", 1)
        }),
        inside(
            "S-31-two-signature-values",
            Reason::SignatureShape,
            "<ds:SignatureValue>",
            "<ds:SignatureValue></ds:SignatureValue><ds:SignatureValue>",
        ),
        info("S-31-two-digest-values", Reason::SignatureShape, |i| {
            i.replace("<ds:DigestValue>", "<ds:DigestValue></ds:DigestValue><ds:DigestValue>")
        }),
        info("S-31-two-signature-methods", Reason::SignatureShape, |i| {
            i.replace("<ds:Reference", &(method("SignatureMethod", "") + "<ds:Reference"))
        }),
        info("S-31-two-canonicalization-methods", Reason::SignatureShape, |i| {
            method("CanonicalizationMethod", EXC) + &i
        }),
        info("S-32-two-references", Reason::SignatureShape, |i| {
            let at = i.find("<ds:Reference").expect("a reference");
            format!("{i}{}", &i[at..])
        }),
        info("text-in-signed-info", Reason::SignatureShape, |i| i + "text"),
        info("reference-with-type", Reason::ReferenceUri, |i| {
            i.replace("<ds:Reference ", "<ds:Reference Type=\"x\" ")
        }),
        uri("S-33-ancestor", "#_response"),
        uri("S-34-empty", ""),
        uri("S-34-hash", "#"),
        uri("S-34-root-xpointer", "#xpointer(/)"),
        uri("S-34-id-xpointer", "#xpointer(id('_assertion'))"),
        uri("S-34-percent-encoded", "#%5Fassertion"),
        uri("S-35-file", "file:///etc/passwd"),
        uri("S-35-http", "http://attacker.example.com/x"),
        info("S-34-no-uri", Reason::ReferenceUri, |i| i.replace(" URI=\"#_assertion\"", "")),
    ]
}

/// S-36 to S-38: transforms and canonicalizations.
fn transforms() -> Vec<Case> {
    let with = |name: &str, transforms: String| {
        made(name, Reason::Transforms, |spec| {
            spec.sign_assertion.as_mut().expect("signed").transforms = transforms
        })
    };
    let canonicalization = |name: &str, method: String| {
        made(name, Reason::CanonicalizationMethod, |spec| {
            spec.sign_assertion.as_mut().expect("signed").canonicalization = method
        })
    };
    let (enveloped, exclusive) = (transform(forge::ENVELOPED), transform(EXC));
    let inclusive = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
    let both = enveloped.clone() + &exclusive;
    let listed =
        |content: &str| format!("{enveloped}<ds:Transform Algorithm=\"{EXC}\">{content}</ds:Transform>");
    let prefixes = (0..40).map(|n| format!("p{n} ")).collect::<String>();
    vec![
        with(
            "S-36-xslt",
            both.clone()
                + "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"><xsl:stylesheet xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\"></xsl:stylesheet></ds:Transform>",
        ),
        with(
            "S-37-xpath",
            format!(
                "{enveloped}<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>not(self::NameID)</ds:XPath></ds:Transform>"
            ),
        ),
        with("S-37-xpath-filter", transform("http://www.w3.org/2002/06/xmldsig-filter2") + &exclusive),
        with("S-38-thousand", exclusive.repeat(1000)),
        with("S-38-base64", enveloped.clone() + &transform("http://www.w3.org/2000/09/xmldsig#base64")),
        with("S-38-wrong-order", exclusive.clone() + &enveloped),
        with("S-38-not-enveloped", exclusive.clone()),
        with("S-38-enveloped-alone", enveloped.clone()),
        with("S-38-none", String::new()),
        with("S-38-inclusive", enveloped.clone() + &transform(inclusive)),
        with("S-38-with-comments", enveloped.clone() + &transform(&format!("{EXC}WithComments"))),
        with(
            "enveloped-with-a-child",
            format!(
                "<ds:Transform Algorithm=\"{}\"><ds:x></ds:x></ds:Transform>{exclusive}",
                forge::ENVELOPED
            ),
        ),
        with(
            "prefix-list-of-another-namespace",
            listed("<InclusiveNamespaces xmlns=\"urn:x\" PrefixList=\"saml\"></InclusiveNamespaces>"),
        ),
        with(
            "prefix-list-too-long",
            listed(&format!(
                "<ec:InclusiveNamespaces xmlns:ec=\"{EXC}\" PrefixList=\"{prefixes}\"></ec:InclusiveNamespaces>"
            )),
        ),
        canonicalization("S-38-inclusive-canonicalization", method("CanonicalizationMethod", inclusive)),
        canonicalization(
            "S-38-canonicalization-with-comments",
            method("CanonicalizationMethod", &format!("{EXC}WithComments")),
        ),
    ]
}

/// S-50 to S-56: keys and algorithms.
fn keys() -> Vec<Case> {
    let sign = |name: &str, reason, change: fn(&mut Sign)| {
        made(name, reason, |spec| change(spec.sign_assertion.as_mut().expect("signed")))
    };
    let claimed = |name: &str, uri: &'static str| {
        made(name, Reason::SignatureAlgorithm, |spec| {
            spec.sign_assertion.as_mut().expect("signed").method = Some(uri.into())
        })
    };
    let ecdsa = |name: &str, value: Vec<u8>| {
        let value = format!("<ds:SignatureValue>{}</ds:SignatureValue>", STANDARD.encode(value));
        made(name, Reason::SignatureInvalid, |spec| {
            spec.sign_assertion =
                Some(Sign { key: "idp-p256", algorithm: "ecdsa-sha256", ..Sign::default() });
        })
        .changed(|xml| replace_signature_value(xml, &value))
    };
    vec![
        sign("S-50-key-in-key-info", Reason::SignatureInvalid, |sign| {
            sign.key = "attacker-rsa";
            let pem = String::from_utf8(forge::certificate("attacker-rsa")).expect("PEM");
            let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            sign.key_info = format!(
                "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{body}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
            );
        }),
        claimed("S-52-hmac", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
        sign("S-53-hmac-output-length", Reason::SignatureAlgorithm, |sign| {
            sign.info = |info| {
                info.replace(
                    "</ds:SignatureMethod>",
                    "<ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>",
                )
            };
        }),
        sign("S-54-rsa-sha1", Reason::SignatureAlgorithm, |sign| {
            sign.algorithm = "rsa-sha1";
            sign.method = Some("http://www.w3.org/2000/09/xmldsig#rsa-sha1".into());
        }),
        sign("S-54-sha1-digest", Reason::DigestAlgorithm, |sign| sign.digest = "sha1"),
        claimed("S-55-none", "none"),
        claimed("S-55-empty", ""),
        sign("S-55-algorithm-of-another-key-type", Reason::SignatureInvalid, |sign| {
            sign.method = Some(forge::signature_uri("ecdsa-sha256"))
        }),
        edited("S-55-swapped-after-signing", Reason::SignatureInvalid, |xml| {
            xml.replacen("rsa-sha256", "rsa-sha512", 1)
        }),
        ecdsa("S-56-zeros", vec![0; 64]),
        ecdsa("S-56-short", vec![1; 63]),
        ecdsa("S-56-long", vec![1; 96 + 32]),
        ecdsa("S-56-empty", vec![]),
        edited("S-56-rsa-zero", Reason::SignatureInvalid, |xml| {
            replace_signature_value(
                xml,
                &format!("<ds:SignatureValue>{}</ds:SignatureValue>", STANDARD.encode([0; 256])),
            )
        }),
    ]
}

fn replace_signature_value(xml: &str, value: &str) -> String {
    let start = xml.find("<ds:SignatureValue>").expect("a value");
    let end = xml.find("</ds:SignatureValue>").expect("its end") + "</ds:SignatureValue>".len();
    format!("{}{value}{}", &xml[..start], &xml[end..])
}
