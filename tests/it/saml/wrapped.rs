//! More places for what is genuine and what is forged: S-04 to S-08 and S-16, in every corner that a message has.
use portcullis::saml::Reason;

use super::{
    Case,
    attacks::{around, forged, genuine, raw, signature_of, with_inside, with_signature, without_signature},
    forge::{self, DS, SAMLP, Sign, Spec},
};

pub fn cases() -> Vec<Case> {
    [same_id(), elsewhere(), foreign(), replayed(), doubled()].into_iter().flatten().collect()
}

/// Corners of a message, with a bar where something can be hidden; `|` alone stands beside the assertion.
const CORNERS: &[(&str, &str)] = &[
    ("extensions", "<samlp:Extensions>|</samlp:Extensions>"),
    ("status-detail", "<samlp:StatusDetail>|</samlp:StatusDetail>"),
    ("object", "<ds:Object>|</ds:Object>"),
    ("key-info", "<ds:KeyInfo>|</ds:KeyInfo>"),
    ("advice", "<saml:Advice>|</saml:Advice>"),
    ("value", "<saml:AttributeValue>|</saml:AttributeValue>"),
    ("unknown-element", "<x:y xmlns:x=\"urn:x\">|</x:y>"),
];

/// A response around `assertion`, with `hidden` in the corner that `wrapper` makes.
fn with_hidden(assertion: &str, corner: &str, wrapper: &str, hidden: &str) -> String {
    let wrapped = wrapper.replace('|', hidden);
    let xml = around(assertion);
    match corner {
        "extensions" => xml.replacen("<samlp:Status>", &format!("{wrapped}<samlp:Status>"), 1),
        "status-detail" => xml.replacen("</samlp:Status>", &format!("{wrapped}</samlp:Status>"), 1),
        "object" | "key-info" => match xml.rfind("</ds:Signature>") {
            Some(at) => format!("{}{wrapped}{}", &xml[..at], &xml[at..]),
            None => {
                let signature = format!("<ds:Signature xmlns:ds=\"{DS}\">{wrapped}</ds:Signature>");
                xml.replacen(
                    "</saml:Issuer><saml:Subject>",
                    &format!("</saml:Issuer>{signature}<saml:Subject>"),
                    1,
                )
            }
        },
        "advice" => xml.replacen("</saml:Conditions>", &format!("</saml:Conditions>{wrapped}"), 1),
        "value" => xml.replacen("</saml:Attribute>", &format!("{wrapped}</saml:Attribute>"), 1),
        _ => xml.replacen("</samlp:Response>", &format!("{wrapped}</samlp:Response>"), 1),
    }
}

/// S-04: the genuine assertion, without its signature, in a corner; at its place a forged one with its ID and its signature.
fn same_id() -> Vec<Case> {
    let copied = with_signature(&forged("_assertion"), &signature_of(&genuine()));
    let hidden = without_signature(&genuine());
    let case = |(corner, wrapper): &(&str, &str)| {
        let xml = with_hidden(&copied, corner, wrapper, &hidden);
        raw(&format!("S-04-same-id-in-{corner}"), Reason::IdDuplicate, xml)
    };
    CORNERS.iter().map(case).collect()
}

/// S-05: the genuine assertion with its signature in a corner; at its place a forged one.
fn elsewhere() -> Vec<Case> {
    let case = |(corner, wrapper): &(&str, &str)| {
        let xml = with_hidden(&forged("_evil"), corner, wrapper, &genuine());
        raw(&format!("S-05-genuine-in-{corner}"), Reason::AssertionMultiple, xml)
    };
    CORNERS.iter().map(case).collect()
}

/// Any element that the IdP signed, with its signature.
fn signed_element(name: &str, namespace: &str, id: &str) -> String {
    let mut spec = Spec { sign_assertion: None, ..Spec::default() };
    spec.assertion.insert("ID", id.into());
    spec.sign_assertion = Some(Sign::default());
    let (from, to) = ("saml:Assertion", format!("o:{name}"));
    let tag = format!("<{to} xmlns:o=\"{namespace}\"");
    // The digest is that of the Assertion; no check gets as far as to it.
    spec.assertion_xml().replace(&format!("<{from}"), &tag).replace(&format!("</{from}"), &format!("</{to}"))
}

/// S-06: something else that the IdP signed, where one looks for signatures.
fn foreign() -> Vec<Case> {
    let metadata = "urn:oasis:names:tc:SAML:2.0:metadata";
    let elements = [("LogoutRequest", SAMLP), ("Response", SAMLP), ("EntityDescriptor", metadata)];
    let mut cases: Vec<Case> = elements
        .iter()
        .map(|(name, namespace)| {
            let element = signed_element(name, namespace, "_signed");
            let detail = format!("<samlp:StatusDetail>{element}</samlp:StatusDetail></samlp:Status>");
            let xml = around(&forged("_evil")).replacen("</samlp:Status>", &detail, 1);
            raw(&format!("S-06-signed-{name}"), Reason::SignatureMisplaced, xml)
        })
        .collect();
    cases.push(raw("S-06-logout-request-alone", Reason::RootNotResponse, {
        signed_element("LogoutRequest", SAMLP, "_signed")
    }));
    // Its signature at the right place, pointing at what it did sign.
    cases.push(raw("S-06-signature-of-metadata", Reason::ReferenceUri, {
        let signature = signature_of(&signed_element("EntityDescriptor", metadata, "_signed"));
        around(&with_signature(&forged("_evil"), &signature))
    }));
    cases
}

/// S-07: a signed error without an assertion, and a forged assertion where the digest does not look.
fn replayed() -> Vec<Case> {
    let mut spec = Spec { sign_assertion: None, sign_response: Some(Sign::default()), ..Spec::default() };
    spec.status = forge::status("urn:oasis:names:tc:SAML:2.0:status:Responder");
    let error = spec.around("");
    let hidden = |wrapper: &str| {
        error.replace("</ds:Signature>", &(wrapper.replace('|', &forged("_evil")) + "</ds:Signature>"))
    };
    vec![
        raw("S-07-error-with-forged-assertion-in-key-info", Reason::AssertionMisplaced, {
            hidden("<ds:KeyInfo>|</ds:KeyInfo>")
        }),
        raw("S-07-error-with-forged-assertion-in-signature", Reason::AssertionMisplaced, hidden("|")),
        raw("S-07-error-with-forged-assertion-as-child", Reason::DigestMismatch, {
            let replaced = error.replace("</samlp:Response>", &(forged("_evil") + "</samlp:Response>"));
            replaced.replace("status:Responder", "status:Success")
        }),
    ]
}

/// S-08, S-15, S-16: two of what there must be one of.
fn doubled() -> Vec<Case> {
    let signature = signature_of(&genuine());
    vec![
        raw("S-08-decoy-on-the-response", Reason::SignatureMisplaced, {
            let xml = around(&with_signature(&forged("_evil"), &signature));
            xml.replacen("</samlp:Status>", &format!("</samlp:Status>{signature}"), 1)
        }),
        raw("S-08-decoy-of-equal-value", Reason::ReferenceUri, {
            around(&genuine()).replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)
        }),
        raw("S-15-both-signed-other-order", Reason::AssertionMultiple, {
            let mut other = Spec::default();
            other.assertion.insert("ID", "_second".into());
            other.name_id = other.name_id.replace("alice", "bob");
            around(&(other.assertion_xml() + &genuine()))
        }),
        raw("S-16-signed-first-forged-second", Reason::AssertionMultiple, {
            around(&(genuine() + &forged("_assertion_2")))
        }),
        raw("S-16-forged-within-the-signed", Reason::AssertionMultiple, {
            around(&with_inside(&genuine(), &forged("_evil")))
        }),
    ]
}
