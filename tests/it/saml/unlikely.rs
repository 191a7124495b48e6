//! One message for each guard that no other case needs: what no IdP and few attackers write.
use portcullis::saml::Reason;

use super::{
    Case,
    attacks::{edited, made},
    forge::{self, DS, SAMLP},
};

pub fn cases() -> Vec<Case> {
    [markup(), shapes(), policy()].into_iter().flatten().collect()
}

fn within(name: &str, reason: Reason, content: &str) -> Case {
    let extensions = format!("<samlp:Extensions>{content}</samlp:Extensions><samlp:Status>");
    edited(name, reason, |xml| xml.replacen("<samlp:Status>", &extensions, 1))
}

/// S-09, S-10, S-14, S-21, S-60 to S-68: what one parser sees as markup and another does not.
fn markup() -> Vec<Case> {
    let before =
        |name: &str, prolog: &str| edited(name, Reason::MarkupDeclaration, |xml| format!("{prolog}{xml}"));
    let quadratic = format!("<!DOCTYPE r [<!ENTITY a \"{}\">]>", "a".repeat(20_000));
    vec![
        edited("S-09-cdata-against-comment", Reason::MarkupDeclaration, |xml| {
            format!("<!DOCTYPE response SYSTEM 'x\"><!--'><![CDATA[-->{xml}<!--]]>-->")
        }),
        edited("S-10-prefixless-signature", Reason::MarkupDeclaration, |xml| {
            let detail = "<samlp:StatusDetail><Signature></Signature></samlp:StatusDetail></samlp:Status>";
            let xml = xml.replacen("</samlp:Status>", detail, 1);
            format!("<!DOCTYPE r [<!ATTLIST Signature xmlns CDATA #FIXED \"{DS}\">]>{xml}")
        }),
        edited("S-14-entity-declared", Reason::MarkupDeclaration, |xml| {
            let xml = xml.replacen("ID=\"_assertion\"", "ID=\"&i;\"", 1);
            format!("<!DOCTYPE r [<!ENTITY i \"_assertion\">]>{xml}")
        }),
        within("S-21-instruction-in-a-comment", Reason::ProcessingInstruction, "<!-- <?p x?> -->"),
        within("S-60-declaration-in-a-comment", Reason::MarkupDeclaration, "<!-- <!DOCTYPE r> -->"),
        before(
            "S-60-parameter-entity",
            "<!DOCTYPE r [<!ENTITY % p SYSTEM \"http://127.0.0.1:9/x.dtd\">%p;]>",
        ),
        before("S-60-external-subset", "<!DOCTYPE r SYSTEM \"http://127.0.0.1:9/x.dtd\">"),
        before("S-60-public-identifier", "<!DOCTYPE r PUBLIC \"-//x//y//EN\" \"http://127.0.0.1:9/x.dtd\">"),
        before("S-60-quadratic", &quadratic),
        before("S-60-empty", "<!DOCTYPE r>"),
        Case {
            name: "S-61-utf-16-big-endian".into(),
            reason: Some(Reason::NotUtf8),
            octets: {
                let xml = forge::Spec::default().xml();
                [vec![0xfe, 0xff], xml.encode_utf16().flat_map(u16::to_be_bytes).collect()].concat()
            },
        },
        edited("S-61-utf-7-doctype", Reason::XmlDeclaration, |xml| {
            format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>+ADwAIQ-DOCTYPE r+AD4-{xml}")
        }),
        within("S-64-depth-of-thirty-thousand", Reason::DepthExceeded, &"<a>".repeat(30_000)),
        within("S-65-eight-thousand-attributes", Reason::AttributesExceeded, &{
            let attributes: String = (0..8_000).map(|n| format!(" a{n}=\"\"")).collect();
            format!("<a{attributes}/>")
        }),
        within("S-65-four-thousand-declarations", Reason::AttributesExceeded, &{
            let declarations: String = (0..4_000).map(|n| format!(" xmlns:a{n}=\"urn:a\"")).collect();
            format!("<a{declarations}/>")
        }),
        within("S-66-forty-signatures", Reason::SignatureMisplaced, &{
            format!("<ds:Signature xmlns:ds=\"{DS}\"></ds:Signature>").repeat(40)
        }),
        within("name-with-two-colons", Reason::NotWellFormed, "<saml:a:b/>"),
        within("prefix-that-is-no-name", Reason::NamespaceInvalid, "<a xmlns:1=\"urn:x\"/>"),
    ]
}

/// Parts of an Assertion, one too many or of the wrong kind, signed by the IdP.
fn shapes() -> Vec<Case> {
    let shape = |name: &str, change: fn(&mut forge::Spec)| made(name, Reason::AssertionShape, change);
    vec![
        shape("element-in-attribute-statement", |spec| spec.attributes += "<saml:Other></saml:Other>"),
        shape("S-23-two-name-ids", |spec| spec.name_id += &spec.name_id.replace("alice", "admin")),
        shape("two-confirmation-data", |spec| {
            let data = format!(
                "<saml:SubjectConfirmationData{}></saml:SubjectConfirmationData>",
                forge::spelled(&spec.confirmation)
            );
            spec.subject = Some(format!(
                "<saml:Subject>{}<saml:SubjectConfirmation Method=\"{}\">{data}{data}</saml:SubjectConfirmation>\
                 </saml:Subject>",
                spec.name_id,
                forge::BEARER
            ));
        }),
        shape("element-in-audience-restriction", |spec| {
            let audiences = forge::audience(&[forge::ENTITY]);
            let extra = "<saml:Other>x</saml:Other></saml:AudienceRestriction>";
            spec.restrictions = Some(audiences.replace("</saml:AudienceRestriction>", extra));
        }),
        // Sixty prefixes are in scope around the assertion, one element of it has an attribute of each: its canonical form
        // declares them all there. The first pass lets that through; what is read is the canonical form.
        made("S-65-attributes-of-the-canonical-form", Reason::AttributesExceeded, |spec| {
            let prefixes = || (0..55).map(|n| format!("p{n:02}"));
            let declared: String = prefixes().map(|p| format!(" xmlns:{p}=\"urn:{p}\"")).collect();
            let used: String = prefixes().map(|p| format!(" {p}:a=\"\"")).collect();
            spec.advice = format!("<saml:Advice><x{declared}{used}></x></saml:Advice>");
        })
        .changed(|xml| {
            let prefixes = || (0..55).map(|n| format!("p{n:02}"));
            let declared: String = prefixes().map(|p| format!(" xmlns:{p}=\"urn:{p}\"")).collect();
            let bare = xml.replacen(&format!("<x{declared}"), "<x", 1);
            bare.replacen("<samlp:Response", &format!("<samlp:Response{declared}"), 1)
        }),
        Case::made("S-23-nil-and-mixed-values", None, |spec| {
            let xsi = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:nil=\"true\"";
            spec.attributes += &format!(
                "<saml:Attribute Name=\"nil\"><saml:AttributeValue {xsi}></saml:AttributeValue></saml:Attribute>\
                 <saml:Attribute Name=\"mixed\">text<saml:AttributeValue>a</saml:AttributeValue></saml:Attribute>"
            );
        }),
    ]
}

/// S-24, S-25, S-85, S-86, S-90, S-102: values that a reader in a hurry takes for the right ones.
fn policy() -> Vec<Case> {
    let script = "&lt;script&gt;alert(1)&lt;/script&gt;\"'";
    vec![
        made("S-24-comment-in-status-message", Reason::StatusNotSuccess, |spec| {
            spec.status = forge::status("urn:oasis:names:tc:SAML:2.0:status:Requester").replace(
                "</samlp:Status>",
                "<samlp:StatusMessage>urn:oasis:names:tc:SAML:2.0:status:Success</samlp:StatusMessage></samlp:Status>",
            );
        }),
        edited("S-25-status-of-the-unsigned-response", Reason::StatusNotSuccess, |xml| {
            xml.replacen("status:Success", "status:Requester", 1)
        }),
        made("S-90-no-entity", Reason::AssertionIssuerMismatch, |spec| spec.issuer = forge::issuer("")),
        made("S-90-case", Reason::AssertionIssuerMismatch, |spec| {
            spec.issuer = forge::issuer("https://IDP.example.com/metadata");
        }),
        made("S-102-script-in-issuer", Reason::ResponseIssuerMismatch, |spec| {
            spec.response_issuer = forge::issuer(script);
        }),
        made("S-102-script-in-status-message", Reason::StatusNotSuccess, |spec| {
            let message = format!("<samlp:StatusMessage>{script}</samlp:StatusMessage></samlp:Status>");
            spec.status = forge::status("urn:oasis:names:tc:SAML:2.0:status:Responder")
                .replace("</samlp:Status>", &message);
        }),
        made("S-102-script-in-destination", Reason::DestinationMismatch, |spec| {
            spec.response.insert("Destination", "javascript:alert(1)//&quot;&gt;&lt;script&gt;".into());
        }),
        edited("S-13-status-of-another-namespace", Reason::ResponseShape, |xml| {
            xml.replace(
                &format!("<samlp:Response xmlns:samlp=\"{SAMLP}\""),
                &format!("<samlp:Response xmlns:samlp=\"{SAMLP}\" xmlns:e=\"urn:e\""),
            )
            .replace("samlp:Status", "e:Status")
        }),
    ]
}
