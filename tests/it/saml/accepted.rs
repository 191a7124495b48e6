//! Responses that are accepted: what IdPs do differently without being wrong.
use portcullis::saml::Reason;

use super::{
    Case,
    forge::{self, Sign, Spec, judge, usual_connection},
};

const ACCEPTED: Option<Reason> = None;
const XS: &str = "http://www.w3.org/2001/XMLSchema";
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

pub fn cases() -> Vec<Case> {
    [signed(), spelled(), said()].into_iter().flatten().collect()
}

/// Which element is signed, and how.
fn signed() -> Vec<Case> {
    let mut cases = vec![
        Case::made("assertion-signed", ACCEPTED, |_| {}),
        Case::made("response-signed", ACCEPTED, |spec| spec.sign_response = spec.sign_assertion.take()),
        Case::made("both-signed", ACCEPTED, |spec| spec.sign_response = Some(Sign::default())),
        Case::made("S-51-key-info-junk", ACCEPTED, |spec| {
            spec.sign_assertion = Some(Sign {
                key_info: "<ds:KeyInfo><ds:KeyName>anything</ds:KeyName><ds:X509Data><ds:X509Certificate>AAAA\
                           </ds:X509Certificate></ds:X509Data><x:Y xmlns:x=\"urn:x\" id=\"k\">?</x:Y></ds:KeyInfo>"
                    .into(),
                ..Sign::default()
            });
        }),
        Case::made("prefix-list", ACCEPTED, |spec| {
            // `xs` is used in a value only, so that exclusive C14N would lose it.
            spec.attributes = format!(
                "<saml:Attribute Name=\"mail\"><saml:AttributeValue xmlns:xs=\"{XS}\" xmlns:xsi=\"{XSI}\" \
                 xsi:type=\"xs:string\">alice@example.com</saml:AttributeValue></saml:Attribute>"
            );
            let inclusive = format!(
                "<ec:InclusiveNamespaces xmlns:ec=\"{}\" PrefixList=\"xs #default\"></ec:InclusiveNamespaces>",
                forge::EXC
            );
            let exclusive = format!("<ds:Transform Algorithm=\"{}\">{inclusive}</ds:Transform>", forge::EXC);
            spec.sign_assertion =
                Some(Sign { transforms: forge::transform(forge::ENVELOPED) + &exclusive, ..Sign::default() });
        }),
        Case::made("prefix-list-of-signed-info", ACCEPTED, |spec| {
            let inclusive = format!(
                "<ec:InclusiveNamespaces xmlns:ec=\"{}\" PrefixList=\"saml samlp nothing\"></ec:InclusiveNamespaces>",
                forge::EXC
            );
            spec.sign_assertion = Some(Sign {
                canonicalization: format!(
                    "<ds:CanonicalizationMethod Algorithm=\"{}\">{inclusive}</ds:CanonicalizationMethod>",
                    forge::EXC
                ),
                info_tag: Some(format!(
                    "<ds:SignedInfo xmlns:ds=\"{}\" xmlns:saml=\"{}\" xmlns:samlp=\"{}\">",
                    forge::DS,
                    forge::SAML,
                    forge::SAMLP
                )),
                ..Sign::default()
            });
        }),
    ];
    for (algorithm, key) in [
        ("rsa-sha384", "idp-rsa"),
        ("rsa-sha512", "idp-rsa"),
        ("ecdsa-sha256", "idp-p256"),
        ("ecdsa-sha384", "idp-p384"),
    ] {
        let digest = if algorithm.ends_with("256") {
            "sha256"
        } else if algorithm.ends_with("384") {
            "sha384"
        } else {
            "sha512"
        };
        cases.push(Case::made(algorithm, ACCEPTED, |spec| {
            spec.sign_assertion = Some(Sign { key, algorithm, digest, ..Sign::default() });
        }));
    }
    for count in [0, 1, 20, 500] {
        let octets = forge::with_groups(count).xml().into_bytes();
        cases.push(Case { name: format!("groups-{count}"), reason: None, octets });
    }
    cases
}

/// The same canonical form, spelled otherwise after signing.
fn spelled() -> Vec<Case> {
    let declaration = format!(" xmlns:saml=\"{}\"", forge::SAML);
    vec![
        Case::edited("declaration-and-line-ends", ACCEPTED, |xml| {
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<!-- from the IdP -->\n{xml}\n")
        }),
        Case::edited("namespaces-on-the-root", ACCEPTED, |xml| {
            let bare = xml.replace(&declaration, "").replace(&format!(" xmlns:ds=\"{}\"", forge::DS), "");
            let all = format!(
                "<samlp:Response xmlns:ds=\"{}\"{declaration} xmlns:unused=\"urn:unused\"",
                forge::DS
            );
            bare.replacen("<samlp:Response", &all, 1)
        }),
        Case::edited("empty-element-tags", ACCEPTED, |xml| {
            xml.replace("></ds:Transform>", "/>").replace("></saml:SubjectConfirmationData>", " />")
        }),
        Case::edited("quotes-blanks-and-order", ACCEPTED, |xml| {
            xml.replace("ID=\"_assertion\"", "\n\t ID = '_assertion' ").replace("</saml:NameID>", "</saml:NameID\n>").replace(
                " InResponseTo=\"_f0e1d2c3b4a5968778695a4b3c2d1e0f\" NotOnOrAfter=\"2026-01-15T12:05:00Z\"",
                " NotOnOrAfter='2026-01-15T12:05:00Z' InResponseTo='_f0e1d2c3b4a5968778695a4b3c2d1e0f'",
            )
        }),
        Case::edited("S-20-comments-in-values", ACCEPTED, |xml| {
            xml.replace("alice@example.com", "alice@<!-- a -->example<!---->.com")
                .replace("https://sp", "https://<!---->sp")
                .replace("Destination=\"https://<!---->sp", "Destination=\"https://sp")
                .replace("Recipient=\"https://<!---->sp", "Recipient=\"https://sp")
        }),
        Case::edited("S-22-cdata-and-references", ACCEPTED, |xml| {
            xml.replace("alice@example.com", "<![CDATA[alice]]>&#64;ex&#x61;mple.com")
                .replace("ID=\"_assertion\"", "ID=\"&#95;assertion\"")
        }),
        Case::made("values-that-need-escapes", ACCEPTED, |spec| {
            spec.attributes += &forge::attribute("a &lt;b> &quot;c", &["x &amp; y &lt; z &gt;&#xD;\n"]);
        }),
        Case::made("default-namespaces", ACCEPTED, |spec| spec.prefixes = ["", "samlp", ""]),
        Case::made("all-default-namespaces", ACCEPTED, |spec| {
            spec.prefixes = ["", "", ""];
            spec.sign_response = Some(Sign::default());
        }),
        Case::made("other-prefixes", ACCEPTED, |spec| {
            spec.prefixes = ["saml2", "saml2p", "dsig"];
            spec.sign_response = Some(Sign::default());
        }),
        Case::made("typed-values", ACCEPTED, |spec| {
            spec.attributes = format!(
                "<saml:Attribute Name=\"groups\" NameFormat=\"urn:oasis:names:tc:SAML:2.0:attrname-format:basic\">\
                 <saml:AttributeValue xmlns:xsi=\"{XSI}\" xsi:type=\"xs:string\">staff</saml:AttributeValue>\
                 <saml:AttributeValue xmlns:xsi=\"{XSI}\" xsi:type=\"xs:string\">admins</saml:AttributeValue></saml:Attribute>"
            );
        }),
    ]
}

/// Optional parts, present or absent.
fn said() -> Vec<Case> {
    vec![
        Case::made("no-response-issuer-no-destination", ACCEPTED, |spec| {
            spec.response_issuer.clear();
            spec.response.remove("Destination");
        }),
        Case::made("extensions", ACCEPTED, |spec| {
            spec.before_status =
                "<samlp:Extensions><x:Y xmlns:x=\"urn:x\" id=\"free\"></x:Y></samlp:Extensions>".into();
        }),
        Case::made("several-audiences", ACCEPTED, |spec| {
            let ours = forge::audience(&["https://other.example.com", forge::ENTITY]);
            spec.restrictions = Some(format!(
                "{ours}<saml:OneTimeUse></saml:OneTimeUse>{}",
                forge::audience(&[forge::ENTITY])
            ));
        }),
        Case::made("a-second-confirmation", ACCEPTED, |spec| {
            spec.after_confirmation =
                "<saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:sender-vouches\">\
                                       </saml:SubjectConfirmation>"
                    .into();
        }),
        Case::made("session-end", ACCEPTED, |spec| {
            spec.authn.insert("SessionNotOnOrAfter", "2026-01-15T20:00:00Z".into());
        }),
        Case::made("persistent-and-qualified", ACCEPTED, |spec| {
            spec.name_id = format!(
                "<saml:NameID Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent\" NameQualifier=\"{}\" \
                 SPNameQualifier=\"{}\">8f14e45f</saml:NameID>",
                forge::IDP,
                forge::ENTITY
            );
        }),
        Case::made("S-23-structured-attribute-beside-others", ACCEPTED, |spec| {
            spec.attributes += "<saml:Attribute Name=\"targeted\"><saml:AttributeValue><saml:NameID>x</saml:NameID>\
                                </saml:AttributeValue></saml:Attribute>";
        }),
        Case::made("no-attributes", ACCEPTED, |spec| spec.attributes.clear()),
        Case::made("within-the-clock-skew", ACCEPTED, |spec| {
            spec.conditions.insert("NotBefore", "2026-01-15T12:01:00Z".into());
            spec.conditions.insert("NotOnOrAfter", "2026-01-15T11:59:01Z".into());
            spec.confirmation.insert("NotOnOrAfter", "2026-01-15T11:59:01Z".into());
        }),
        Case::edited("unsigned-status-detail", ACCEPTED, |xml| {
            xml.replace("</samlp:Status>", "<samlp:StatusDetail>none</samlp:StatusDetail></samlp:Status>")
        }),
    ]
}

#[test]
fn what_is_signed_is_what_is_read() {
    let connection = usual_connection();
    for case in cases() {
        let verified =
            judge(&connection, &case.octets).unwrap_or_else(|refusal| panic!("{}: {refusal}", case.name));
        assert_eq!(verified.issuer(), forge::IDP, "{}", case.name);
        assert_eq!(verified.assertion_id(), "_assertion");
        assert_eq!(verified.in_response_to(), Some(forge::REQUEST));
        if case.name != "persistent-and-qualified" {
            assert_eq!(verified.name_id().value, "alice@example.com", "{}", case.name);
        }
    }
}

#[test]
fn the_fields_of_a_verified_assertion() {
    let mut spec = forge::with_groups(3);
    spec.authn.insert("SessionNotOnOrAfter", "2026-01-15T20:00:00Z".into());
    let verified = judge(&usual_connection(), spec.xml().as_bytes()).unwrap();
    assert_eq!(verified.session_index(), Some("_session"));
    assert_eq!(verified.authn_instant().to_string(), "2026-01-15T11:50:00Z");
    assert_eq!(verified.session_not_on_or_after().unwrap().to_string(), "2026-01-15T20:00:00Z");
    assert_eq!(verified.issue_instant().to_string(), "2026-01-15T11:59:58.123Z");
    // The latest NotOnOrAfter and the skew of 60 seconds.
    assert_eq!(verified.replayable_until().to_string(), "2026-01-15T12:06:00Z");
    assert_eq!(verified.name_id().format, "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified");
    let attributes: Vec<_> =
        verified.attributes().iter().map(|a| (a.name.as_str(), a.values.clone())).collect();
    assert_eq!(attributes, [("mail", vec!["alice@example.com".to_owned()]), ("groups", forge::groups(3))]);
}

/// S-81: an ID need not be remembered longer than the assertion could be used, however far away its NotOnOrAfter is.
#[test]
fn s_81_replayable_until_is_capped_by_the_age() {
    let mut spec = Spec::default();
    spec.conditions.insert("NotOnOrAfter", "2999-01-01T00:00:00Z".into());
    let verified = judge(&usual_connection(), spec.xml().as_bytes()).unwrap();
    assert_eq!(verified.replayable_until().to_string(), "2026-01-15T12:15:58.123Z");
}

#[test]
fn s_20_and_s_22_values_are_whole() {
    for name in ["S-20-comments-in-values", "S-22-cdata-and-references"] {
        let case = cases().into_iter().find(|case| case.name == name).unwrap();
        let verified = judge(&usual_connection(), &case.octets).unwrap();
        assert_eq!(verified.name_id().value, "alice@example.com");
        assert_eq!(verified.attributes()[0].values, ["alice@example.com"]);
    }
}

#[test]
fn s_23_structured_attributes_are_named_not_read() {
    let xsi_nil = "<saml:Attribute Name=\"nil\"><saml:AttributeValue \
                   xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:nil=\"true\"></saml:AttributeValue></saml:Attribute>";
    let mut spec = Spec::default();
    spec.attributes += xsi_nil;
    spec.attributes += "<saml:Attribute Name=\"mixed\"><saml:AttributeValue>a</saml:AttributeValue>\
                        <saml:AttributeValue><b></b></saml:AttributeValue></saml:Attribute>";
    let verified = judge(&usual_connection(), spec.xml().as_bytes()).unwrap();
    assert_eq!(verified.structured_attributes(), ["nil", "mixed"]);
    assert_eq!(verified.attributes().len(), 1);
}

#[test]
fn escapes_are_undone_once() {
    let case = cases().into_iter().find(|case| case.name == "values-that-need-escapes").unwrap();
    let verified = judge(&usual_connection(), &case.octets).unwrap();
    assert_eq!(verified.attributes()[1].name, "a <b> \"c");
    assert_eq!(verified.attributes()[1].values, ["x & y < z >\r\n"]);
}
