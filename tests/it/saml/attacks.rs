//! The attacks on the message itself, by their numbers in the security checklist, each with the reason that meets it.
use portcullis::saml::Reason;

use super::{
    Case,
    forge::{self, DS, SAML, Sign, Spec},
};

pub fn cases() -> Vec<Case> {
    [wrapping(), hiding(), names(), namespaces(), text(), markup()].into_iter().flatten().collect()
}

pub(super) fn made<R>(name: &str, reason: Reason, change: impl FnOnce(&mut Spec) -> R) -> Case {
    Case::made(name, Some(reason), change)
}

pub(super) fn edited(name: &str, reason: Reason, edit: impl FnOnce(&str) -> String) -> Case {
    Case::edited(name, Some(reason), edit)
}

pub(super) fn raw(name: &str, reason: Reason, xml: String) -> Case {
    Case { name: name.into(), reason: Some(reason), octets: xml.into_bytes() }
}

/// The genuine assertion with its signature.
pub(super) fn genuine() -> String {
    Spec::default().assertion_xml()
}

pub(super) fn signature_of(element: &str) -> String {
    let start = element.find("<ds:Signature ").expect("a signature");
    let end = element.find("</ds:Signature>").expect("its end") + "</ds:Signature>".len();
    element[start..end].to_owned()
}

pub(super) fn without_signature(element: &str) -> String {
    element.replacen(&signature_of(element), "", 1)
}

/// An assertion that nobody signed, for another person.
pub(super) fn forged(id: &str) -> String {
    let mut spec = Spec { sign_assertion: None, ..Spec::default() };
    spec.assertion.insert("ID", id.into());
    spec.name_id = spec.name_id.replace("alice", "admin");
    spec.assertion_xml()
}

/// `element` with `content` put before its last end tag.
pub(super) fn with_inside(element: &str, content: &str) -> String {
    let at = element.rfind("</").expect("an end tag");
    format!("{}{content}{}", &element[..at], &element[at..])
}

/// `assertion` with a signature after its Issuer.
pub(super) fn with_signature(assertion: &str, signature: &str) -> String {
    assertion.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)
}

pub(super) fn around(content: &str) -> String {
    Spec { sign_assertion: None, ..Spec::default() }.around(content)
}

/// S-01: the eight transformations of SAML Raider, and S-02, S-03, S-15, S-16.
fn wrapping() -> Vec<Case> {
    let signed_response = {
        let mut spec = Spec { sign_assertion: None, ..Spec::default() };
        spec.sign_response = Some(Sign::default());
        spec.xml()
    };
    let signature = signature_of(&signed_response);
    let original = without_signature(&signed_response);
    let evil_response = original
        .replace("_response", "_evil")
        .replace("_assertion", "_evil_assertion")
        .replace("alice", "admin");
    let xsw1 = with_signature(&evil_response, &with_inside(&signature, &original));
    let xsw2 = with_signature(&evil_response, &format!("{original}{signature}"));
    let assertion_signature = signature_of(&genuine());
    let bare = without_signature(&genuine());
    let object = with_inside(&assertion_signature, &format!("<ds:Object>{bare}</ds:Object>"));
    let extensions = format!("<samlp:Extensions>{}</samlp:Extensions>", forged("_assertion"));
    let multiple = |name: &str, content: String| raw(name, Reason::AssertionMultiple, around(&content));
    vec![
        raw("S-01.1-response-in-signature", Reason::AssertionMultiple, xsw1),
        raw("S-01.2-response-before-signature", Reason::AssertionMultiple, xsw2),
        multiple("S-01.3-forged-before-genuine", forged("_evil") + &genuine()),
        multiple("S-01.4-genuine-in-forged", with_inside(&forged("_evil"), &genuine())),
        multiple(
            "S-01.5-signature-moved-genuine-last",
            with_signature(&forged("_evil"), &assertion_signature) + &bare,
        ),
        multiple(
            "S-01.6-genuine-in-its-signature",
            with_signature(&forged("_evil"), &with_inside(&assertion_signature, &bare)),
        ),
        raw("S-01.7-forged-in-extensions", Reason::IdDuplicate, {
            Spec { before_status: extensions, ..Spec::default() }.xml()
        }),
        multiple("S-01.8-genuine-in-object", with_signature(&forged("_evil"), &object)),
        multiple("S-02-unsigned-first", forged("_evil") + &genuine()),
        multiple("S-03-unsigned-last", genuine() + &forged("_evil")),
        multiple("S-15-both-signed", {
            let mut other = Spec::default();
            other.assertion.insert("ID", "_other".into());
            other.name_id = other.name_id.replace("alice", "bob");
            genuine() + &other.assertion_xml()
        }),
        raw("S-05-genuine-elsewhere", Reason::AssertionMultiple, {
            let mut spec = Spec { sign_assertion: None, ..Spec::default() };
            spec.before_status = format!("<samlp:Extensions>{}</samlp:Extensions>", genuine());
            spec.around(&forged("_evil"))
        }),
        raw("S-05-genuine-in-extensions-alone", Reason::AssertionMisplaced, {
            let mut spec = Spec { sign_assertion: None, ..Spec::default() };
            spec.before_status = format!("<samlp:Extensions>{}</samlp:Extensions>", genuine());
            spec.around("")
        }),
    ]
}

/// S-04, S-06 to S-08: signatures and elements in places that a digest does not cover.
fn hiding() -> Vec<Case> {
    let signature = signature_of(&genuine());
    let copied = with_signature(&forged("_assertion"), &signature);
    let places = [
        "<saml:Advice>|</saml:Advice>",
        "<saml:AttributeValue>|</saml:AttributeValue>",
        "<x xmlns=\"urn:x\">|</x>",
    ];
    let mut cases: Vec<Case> = places
        .iter()
        .zip(["advice", "value", "unknown"])
        .map(|(place, name)| {
            let hidden = place.replace('|', &without_signature(&genuine()));
            raw(
                &format!("S-04-same-id-hidden-in-{name}"),
                Reason::IdDuplicate,
                around(&with_inside(&copied, &hidden)),
            )
        })
        .collect();
    let key_info = |content: &str| {
        let info = format!("<ds:KeyInfo>{content}</ds:KeyInfo>");
        move |spec: &mut Spec| spec.sign_assertion.as_mut().expect("signed").key_info = info
    };
    cases.extend([
        raw("S-06-foreign-signed-element", Reason::SignatureMisplaced, {
            let descriptor = format!(
                "<md:EntityDescriptor xmlns:md=\"urn:md\" ID=\"_d\">{signature}</md:EntityDescriptor>"
            );
            let status = format!("<samlp:StatusDetail>{descriptor}</samlp:StatusDetail></samlp:Status>");
            around(&forged("_evil")).replace("</samlp:Status>", &status)
        }),
        raw("S-07-error-with-forged-assertion-in-object", Reason::AssertionMisplaced, {
            let mut spec =
                Spec { sign_assertion: None, sign_response: Some(Sign::default()), ..Spec::default() };
            spec.status = forge::status("urn:oasis:names:tc:SAML:2.0:status:Responder");
            let object = format!("<ds:Object>{}</ds:Object></ds:Signature>", forged("_evil"));
            spec.around("").replace("</ds:Signature>", &object)
        }),
        raw("S-08-second-signature", Reason::SignatureMisplaced, {
            around(&with_signature(&genuine(), &signature))
        }),
        edited("signature-last", Reason::SignatureMisplaced, with_moved_signature),
        made(
            "S-07-assertion-parts-in-key-info",
            Reason::SignatureShape,
            key_info(&format!("<saml:NameID xmlns:saml=\"{SAML}\">admin</saml:NameID>")),
        ),
        made(
            "S-31-signed-info-in-key-info",
            Reason::SignatureShape,
            key_info("<ds:SignedInfo></ds:SignedInfo>"),
        ),
        made(
            "S-35-retrieval-method",
            Reason::SignatureShape,
            key_info("<ds:RetrievalMethod URI=\"file:///etc/passwd\"></ds:RetrievalMethod>"),
        ),
        edited("S-39-object", Reason::SignatureShape, |xml| {
            xml.replace("</ds:Signature>", "<ds:Object></ds:Object></ds:Signature>")
        }),
    ]);
    cases
}

fn with_moved_signature(xml: &str) -> String {
    let signature = signature_of(xml);
    without_signature(xml).replace("</saml:Assertion>", &format!("{signature}</saml:Assertion>"))
}

/// S-12 to S-14: names and IDs that two readers could take for different ones.
fn names() -> Vec<Case> {
    let on_assertion = |name: &str, reason, attribute: &str| {
        edited(name, reason, |xml| {
            xml.replacen("ID=\"_assertion\"", &format!("ID=\"_assertion\" {attribute}"), 1)
        })
    };
    vec![
        on_assertion("S-12-lower-case-id", Reason::IdForeign, "id=\"_evil\""),
        on_assertion("S-12-mixed-case-id", Reason::IdForeign, "Id=\"_evil\""),
        on_assertion("S-12-xml-id", Reason::IdForeign, "xml:id=\"_evil\""),
        on_assertion("S-12-namespaced-id", Reason::IdForeign, "xmlns:x=\"urn:x\" x:ID=\"_evil\""),
        on_assertion(
            "S-12-samlp-id",
            Reason::IdForeign,
            &format!("xmlns:p=\"{}\" p:ID=\"_evil\"", forge::SAMLP),
        ),
        edited("S-12-only-a-namespaced-id", Reason::IdForeign, |xml| {
            xml.replacen("ID=\"_assertion\"", "xmlns:x=\"urn:x\" x:ID=\"_assertion\"", 1)
        }),
        edited("S-12-namespaced-attribute-name", Reason::AttributeLookalike, |xml| {
            xml.replace("<saml:Attribute Name", "<saml:Attribute xmlns:x=\"urn:x\" x:Name=\"groups\" Name")
        }),
        edited("S-12-namespaced-recipient", Reason::AttributeLookalike, |xml| {
            xml.replace(
                "<saml:SubjectConfirmationData",
                "<saml:SubjectConfirmationData xmlns:x=\"urn:x\" x:recipient=\"\"",
            )
        }),
        edited("S-13-look-alike-assertion", Reason::ResponseShape, |xml| {
            xml.replace("<samlp:Status>", "<e:Assertion xmlns:e=\"urn:e\" ID=\"_e\"/><samlp:Status>")
        }),
        edited("S-13-look-alike-namespace", Reason::ResponseShape, |xml| {
            xml.replacen(
                &format!("<saml:Issuer xmlns:saml=\"{SAML}\""),
                &format!("<saml:Issuer xmlns:saml=\"{SAML}/\""),
                1,
            )
        }),
    ]
}

/// S-11, S-13, S-14, S-63: namespaces and attributes that are not well-formed.
fn namespaces() -> Vec<Case> {
    vec![
        edited("S-13-xml-rebound", Reason::NamespaceInvalid, |xml| {
            xml.replacen("<samlp:Response", "<samlp:Response xmlns:xml=\"urn:evil\"", 1)
        }),
        edited("S-13-xmlns-bound", Reason::NamespaceInvalid, |xml| {
            xml.replacen("<samlp:Response", "<samlp:Response xmlns:xmlns=\"urn:evil\"", 1)
        }),
        edited("S-13-alias-of-xml", Reason::NamespaceInvalid, |xml| {
            xml.replacen(
                "<samlp:Response",
                "<samlp:Response xmlns:x=\"http://www.w3.org/XML/1998/namespace\"",
                1,
            )
        }),
        edited("S-14-entity-in-id", Reason::ReferenceInvalid, |xml| {
            xml.replacen("ID=\"_assertion\"", "ID=\"&i;\"", 1)
        }),
        edited("S-63-prefix-undeclared", Reason::NamespaceInvalid, |xml| {
            xml.replacen("<samlp:Response", "<samlp:Response xmlns:p=\"\"", 1)
        }),
        edited("S-63-prefix-unbound", Reason::PrefixUnbound, |xml| {
            xml.replace("<samlp:Status>", "<x:Extensions/><samlp:Status>")
        }),
        edited("S-63-attribute-prefix-unbound", Reason::PrefixUnbound, |xml| {
            xml.replacen("<samlp:Status>", "<samlp:Status x:a=\"\">", 1)
        }),
        edited("S-63-duplicate-attribute", Reason::AttributeDuplicate, |xml| {
            xml.replacen("Version=", "Version=\"2.0\" Version=", 1)
        }),
        edited("S-63-duplicate-expanded-attribute", Reason::AttributeDuplicate, |xml| {
            xml.replacen(
                "<samlp:Status>",
                "<samlp:Status xmlns:a=\"urn:x\" xmlns:b=\"urn:x\" a:c=\"\" b:c=\"\">",
                1,
            )
        }),
        edited("S-63-duplicate-declaration", Reason::AttributeDuplicate, |xml| {
            xml.replacen("<samlp:Status>", "<samlp:Status xmlns:a=\"urn:x\" xmlns:a=\"urn:y\">", 1)
        }),
        // S-11: libxml2 fails to canonicalize below a relative namespace name, and some callers digest nothing then.
        raw("S-11-void-canonicalization", Reason::NamespaceInvalid, {
            let mut spec = Spec::default();
            let sign = spec.sign_assertion.as_mut().expect("signed");
            sign.digested = |_| String::new();
            spec.xml().replacen("<samlp:Response", "<samlp:Response xmlns:ex=\"1\"", 1)
        }),
        made("S-11-digest-of-nothing", Reason::DigestMismatch, |spec| {
            spec.sign_assertion.as_mut().expect("signed").digested = |_| String::new();
        }),
    ]
}

/// S-20 to S-25: what the reader reads is what was signed.
fn text() -> Vec<Case> {
    vec![
        made("S-94-error-status-with-assertion", Reason::StatusNotSuccess, |spec| {
            spec.status = forge::status("urn:oasis:names:tc:SAML:2.0:status:Responder");
        }),
        made("S-94-success-within-an-error", Reason::StatusNotSuccess, |spec| {
            let inner = spec.status.replace("<samlp:Status>", "").replace("</samlp:Status>", "");
            spec.status = forge::status("urn:oasis:names:tc:SAML:2.0:status:Requester").replacen(
                "></samlp",
                &format!(">{inner}</samlp"),
                1,
            );
        }),
        edited("S-20-comment-then-more", Reason::DigestMismatch, |xml| {
            xml.replacen("alice@example.com", "alice@example.com<!---->.evil.test", 1)
        }),
        edited("S-21-processing-instruction", Reason::ProcessingInstruction, |xml| {
            xml.replace("alice@", "<?p not-an-?>alice@")
        }),
        made("S-24-comment-in-audience", Reason::AudienceMismatch, |spec| {
            spec.restrictions = Some(forge::audience(&["https://sp.example.com/saml/metadata.evil"]));
        })
        .changed(|xml| xml.replace("metadata.evil", "metadata<!-- -->.evil")),
        edited("S-24-comment-splits-status", Reason::StatusNotSuccess, |xml| {
            xml.replace("status:Success\"", "status:Success&#x20;\"")
        }),
        edited("S-25-unsigned-in-response-to", Reason::RequestUnknown, |xml| {
            xml.replacen(&format!("InResponseTo=\"{}\"", forge::REQUEST), "InResponseTo=\"_evil\"", 1)
        }),
        edited("S-25-other-outstanding-request", Reason::ConfirmationRequestMismatch, |xml| {
            xml.replacen(&format!("InResponseTo=\"{}\"", forge::REQUEST), "InResponseTo=\"_other\"", 1)
        }),
        edited("S-25-unsigned-destination", Reason::DestinationMismatch, |xml| {
            xml.replacen("Destination=\"", "Destination=\"x", 1)
        }),
    ]
}

/// S-09, S-10, S-60 to S-63: DTDs, encodings, what is no single document.
fn markup() -> Vec<Case> {
    let before = |name: &str, reason, prolog: &str| edited(name, reason, |xml| format!("{prolog}{xml}"));
    let utf16 = |xml: &str| xml.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let accepted = Spec::default().xml();
    vec![
        before("S-09-round-trip", Reason::MarkupDeclaration, "<!DOCTYPE response SYSTEM 'x\"><!--'>"),
        before(
            "S-10-attlist",
            Reason::MarkupDeclaration,
            &format!("<!DOCTYPE r [<!ATTLIST Signature xmlns CDATA #FIXED \"{DS}\">]>"),
        ),
        before(
            "S-60-external-entity",
            Reason::MarkupDeclaration,
            "<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>",
        ),
        before(
            "S-60-billion-laughs",
            Reason::MarkupDeclaration,
            "<!DOCTYPE r [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">]>",
        ),
        before("S-60-lower-case", Reason::MarkupDeclaration, "<!doctype r>"),
        Case {
            name: "S-61-utf-16".into(),
            reason: Some(Reason::NotUtf8),
            octets: [vec![0xff, 0xfe], utf16(&accepted)].concat(),
        },
        Case {
            name: "S-61-byte-order-mark".into(),
            reason: Some(Reason::NotUtf8),
            octets: format!("\u{feff}{accepted}").into_bytes(),
        },
        before("S-61-latin-1", Reason::XmlDeclaration, "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>"),
        before("S-61-utf-7", Reason::XmlDeclaration, "<?xml version=\"1.0\" encoding=\"UTF-7\"?>"),
        before("S-63-xml-1.1", Reason::XmlDeclaration, "<?xml version=\"1.1\"?>"),
        before("S-63-declaration-after-blank", Reason::ProcessingInstruction, " <?xml version=\"1.0\"?>"),
        edited("S-63-two-roots", Reason::ContentOutsideRoot, |xml| xml.repeat(2)),
        edited("S-63-trailing-text", Reason::ContentOutsideRoot, |xml| format!("{xml}x")),
        edited("S-63-trailing-reference", Reason::ContentOutsideRoot, |xml| format!("{xml}&#32;")),
        edited("S-63-nul-reference", Reason::ReferenceInvalid, |xml| xml.replace("alice@", "&#0;alice@")),
        edited("S-63-nul", Reason::CharacterForbidden, |xml| xml.replace("alice@", "\0alice@")),
        edited("noncharacter", Reason::CharacterForbidden, |xml| xml.replace("alice@", "\u{ffff}alice@")),
    ]
}
