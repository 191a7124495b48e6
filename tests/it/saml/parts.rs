//! Each part of a rule that has several: one message for each name, place and spelling that it lists.
use portcullis::saml::Reason;

use super::{
    Case,
    attacks::{edited, made},
    forge::{self, EXC, Spec, transform},
};

pub fn cases() -> Vec<Case> {
    [key_info(), methods(), children(), namespaces(), timestamps()].into_iter().flatten().collect()
}

/// What must not hide in KeyInfo (S-07, S-31, S-39).
fn key_info() -> Vec<Case> {
    let hidden = |name: &str, content: &str| {
        let info = format!("<ds:KeyInfo><ds:KeyName>x</ds:KeyName>{content}</ds:KeyInfo>");
        made(name, Reason::SignatureShape, |spec| {
            spec.sign_assertion.as_mut().expect("signed").key_info = info
        })
    };
    let named = |item: &str, name: &str, file: &str| {
        hidden(&format!("{item}-{file}-in-key-info"), &format!("<ds:{name}></ds:{name}>"))
    };
    vec![
        named("S-31", "SignatureValue", "signature-value"),
        named("S-31", "Reference", "reference"),
        named("S-31", "DigestValue", "digest-value"),
        named("S-39", "Object", "object"),
        named("S-39", "SignatureProperties", "signature-properties"),
        hidden(
            "S-07-protocol-element-in-key-info",
            &format!("<samlp:Status xmlns:samlp=\"{}\"></samlp:Status>", forge::SAMLP),
        ),
    ]
}

/// Methods and transforms that hold more than their algorithm (S-38, S-53).
fn methods() -> Vec<Case> {
    let listed = |name: &str, content: &str| {
        let exclusive = format!("<ds:Transform Algorithm=\"{EXC}\">{content}</ds:Transform>");
        let transforms = transform(forge::ENVELOPED) + &exclusive;
        made(name, Reason::Transforms, |spec| {
            spec.sign_assertion.as_mut().expect("signed").transforms = transforms;
        })
    };
    let inclusive = |attributes: &str, content: &str| {
        format!("<ec:InclusiveNamespaces xmlns:ec=\"{EXC}\"{attributes}>{content}</ec:InclusiveNamespaces>")
    };
    let list = inclusive(" PrefixList=\"saml\"", "");
    let info = |name: &str, reason: Reason, from: &'static str, to: &'static str| {
        edited(name, reason, |xml| xml.replacen(from, to, 1))
    };
    vec![
        listed("S-38-two-prefix-lists", &list.repeat(2)),
        listed("S-38-prefix-list-with-content", &inclusive(" PrefixList=\"saml\"", "x")),
        listed("S-38-prefix-list-with-another-attribute", &inclusive(" PrefixList=\"saml\" x=\"\"", "")),
        listed("S-38-no-prefix-list", &inclusive("", "")),
        listed("S-38-text-in-transform", "x"),
        info(
            "S-53-text-in-signature-method",
            Reason::SignatureAlgorithm,
            "</ds:SignatureMethod>",
            "x</ds:SignatureMethod>",
        ),
        info(
            "S-53-child-of-digest-method",
            Reason::DigestAlgorithm,
            "</ds:DigestMethod>",
            "<ds:x/></ds:DigestMethod>",
        ),
        info("S-31-text-in-signature", Reason::SignatureShape, "<ds:SignatureValue>", "x<ds:SignatureValue>"),
        info("S-31-text-in-reference", Reason::SignatureShape, "<ds:DigestValue>", "x<ds:DigestValue>"),
        info("S-31-text-in-transforms", Reason::Transforms, "<ds:Transforms>", "<ds:Transforms>x"),
        info(
            "S-31-signature-of-another-namespace",
            Reason::AssertionShape,
            "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"",
            "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig\"",
        ),
        info("S-38-no-algorithm", Reason::Transforms, "<ds:Transform Algorithm", "<ds:Transform Algorithms"),
    ]
}

/// Children of the Response and of the Assertion, twice or in another order.
fn children() -> Vec<Case> {
    let response = |name: &str, change: fn(&mut Spec)| made(name, Reason::ResponseShape, change);
    let assertion = |name: &str, change: fn(&mut Spec)| made(name, Reason::AssertionShape, change);
    let extensions = "<samlp:Extensions></samlp:Extensions>";
    vec![
        edited("S-94-status-after-the-assertion", Reason::ResponseShape, |xml| {
            let status = Spec::default().status;
            xml.replacen(&status, "", 1).replacen(
                "</samlp:Response>",
                &format!("{status}</samlp:Response>"),
                1,
            )
        }),
        edited("extensions-after-the-status", Reason::ResponseShape, |xml| {
            xml.replacen("</samlp:Status>", &format!("</samlp:Status>{extensions}"), 1)
        }),
        edited("extensions-twice", Reason::ResponseShape, |xml| {
            xml.replacen("<samlp:Status>", &format!("{extensions}{extensions}<samlp:Status>"), 1)
        }),
        response("S-90-two-issuers-of-the-response", |spec| {
            spec.before_status = forge::issuer(forge::IDP).replacen(
                "<saml:Issuer",
                &format!("<saml:Issuer xmlns:saml=\"{}\"", forge::SAML),
                1,
            );
        }),
        made("S-90-two-issuers-of-the-assertion", Reason::SignatureMisplaced, |spec| {
            spec.issuer = spec.issuer.repeat(2);
        }),
        assertion("text-in-assertion", |spec| spec.advice = "text".into()),
        assertion("S-88-conditions-twice", |spec| spec.advice = "<saml:Conditions></saml:Conditions>".into()),
        assertion("two-subjects", |spec| {
            spec.subject = Some(format!(
                "<saml:Subject>{0}</saml:Subject><saml:Subject>{0}</saml:Subject>",
                spec.name_id
            ));
        }),
        assertion("S-23-name-id-after-confirmation", |spec| {
            spec.after_confirmation = std::mem::take(&mut spec.name_id);
        }),
        assertion("S-23-base-id-after-confirmation", |spec| {
            spec.after_confirmation = "<saml:BaseID></saml:BaseID>".into();
        }),
        made("base-id-alone", Reason::NameIdMissing, |spec| {
            spec.name_id = "<saml:BaseID></saml:BaseID>".into()
        }),
    ]
}

/// S-11, S-13: namespace names that are no absolute URIs, and prefixes that are taken.
fn namespaces() -> Vec<Case> {
    let declared = |name: &str, declaration: &str| {
        edited(name, Reason::NamespaceInvalid, |xml| {
            xml.replacen("<samlp:Response", &format!("<samlp:Response {declaration}"), 1)
        })
    };
    vec![
        declared("S-11-relative-path", "xmlns:ex=\"../x\""),
        declared("S-11-absolute-path", "xmlns:ex=\"/x\""),
        declared("S-11-fragment", "xmlns:ex=\"#x\""),
        declared("S-11-scheme-alone", "xmlns:ex=\"urn:\""),
        declared("S-11-no-scheme", "xmlns:ex=\":x\""),
        declared("S-11-scheme-that-is-none", "xmlns:ex=\"1urn:x\""),
        declared("S-11-blank-in-namespace", "xmlns:ex=\"urn:a b\""),
        declared("S-11-reference-in-namespace", "xmlns:ex=\"urn:a&amp;b\""),
        declared("S-13-alias-of-xmlns", "xmlns:x=\"http://www.w3.org/2000/xmlns/\""),
        declared("S-13-xml-as-default", "xmlns=\"http://www.w3.org/XML/1998/namespace\""),
    ]
}

/// S-89: the forms of a timestamp that are near the one.
fn timestamps() -> Vec<Case> {
    let at = |name: &str, instant: &'static str| {
        made(name, Reason::TimestampInvalid, |spec| spec.confirmation.insert("NotOnOrAfter", instant.into()))
    };
    vec![
        at("S-89-lower-case", "2026-01-15t12:05:00z"),
        at("S-89-blank-for-t", "2026-01-15 12:05:00Z"),
        at("S-89-empty-fraction", "2026-01-15T12:05:00.Z"),
        at("S-89-comma", "2026-01-15T12:05:00,5Z"),
        at("S-89-no-seconds", "2026-01-15T12:05Z"),
        at("S-89-date-alone", "2026-01-15Z"),
        at("S-89-no-such-day", "2026-02-30T12:05:00Z"),
        at("S-89-no-such-month", "2026-13-01T12:05:00Z"),
        at("S-89-empty", ""),
        at("S-89-trailing-line", "2026-01-15T12:05:00Z&#xA;"),
        at("S-89-other-digits", "\u{0662}026-01-15T12:05:00Z"),
    ]
}
