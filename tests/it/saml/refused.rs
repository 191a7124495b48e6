//! One response or more for every reason that is not a known attack: mistakes of IdPs, of settings, of clocks.
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::saml::{Reason, limits};

use super::{
    Case,
    forge::{self, Sign, Spec},
};

pub fn cases() -> Vec<Case> {
    [
        encoding(),
        well_formed(),
        structure(),
        signature(),
        fields_and_issuers(),
        addressing(),
        subject(),
        confirmation(),
        conditions(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn made<R>(name: &str, reason: Reason, change: impl FnOnce(&mut Spec) -> R) -> Case {
    Case::made(name, Some(reason), change)
}

fn edited(name: &str, reason: Reason, edit: impl FnOnce(&str) -> String) -> Case {
    Case::edited(name, Some(reason), edit)
}

fn raw(name: &str, reason: Reason, octets: Vec<u8>) -> Case {
    Case { name: name.into(), reason: Some(reason), octets }
}

fn encoding() -> Vec<Case> {
    let form = STANDARD.encode(Spec::default().xml());
    let flood = "\n".repeat(limits::BASE64_WHITESPACE_BYTES_MAX + 1);
    vec![
        raw("S-66-longer-than-the-cap", Reason::EncodedTooLarge, vec![b'A'; limits::ENCODED_BYTES_MAX + 1]),
        raw("S-68-line-feeds", Reason::Base64Whitespace, (form.clone() + &flood).into_bytes()),
        raw("S-68-url-safe-alphabet", Reason::Base64Invalid, format!("{}-_==", &form[..8]).into_bytes()),
        raw("S-68-cut-off", Reason::Base64Invalid, form.as_bytes()[..form.len() - 1].to_vec()),
        raw(
            "S-68-percent-encoded",
            Reason::Base64Invalid,
            form.replace('=', "%3D").into_bytes().into_iter().chain(*b"%3D").collect(),
        ),
        raw("empty", Reason::Base64Invalid, vec![]),
        raw(
            "S-66-decodes-to-too-much",
            Reason::DecodedTooLarge,
            STANDARD.encode(vec![b' '; limits::DECODED_BYTES_MAX + 1]).into_bytes(),
        ),
    ]
}

fn well_formed() -> Vec<Case> {
    let within = |content: String| {
        move |xml: &str| {
            xml.replace(
                "<samlp:Status>",
                &format!("<samlp:Extensions>{content}</samlp:Extensions><samlp:Status>"),
            )
        }
    };
    let numbered = |count: usize, each: fn(usize) -> String| (0..count).map(each).collect::<String>();
    vec![
        edited("cut-off", Reason::NotWellFormed, |xml| xml.replace("</samlp:Response>", "")),
        edited("mismatched-end-tag", Reason::NotWellFormed, |xml| {
            xml.replace("</saml:NameID>", "</saml:NameId>")
        }),
        edited("attribute-in-end-tag", Reason::NotWellFormed, |xml| {
            xml.replace("</samlp:Status>", "</samlp:Status a=\"b\">")
        }),
        edited("cdata-end-in-text", Reason::NotWellFormed, within("]]>".into())),
        edited("double-hyphen-in-comment", Reason::NotWellFormed, within("<!-- a -- b -->".into())),
        edited("less-than-in-attribute", Reason::NotWellFormed, within("<a b=\"<\"/>".into())),
        edited("no-blank-between-attributes", Reason::NotWellFormed, within("<a b=\"\"c=\"\"/>".into())),
        edited("lone-ampersand", Reason::NotWellFormed, within("a & b".into())),
        edited("S-64-deep", Reason::DepthExceeded, within("<a>".repeat(9000))),
        edited("S-66-forty-thousand-elements", Reason::NodesExceeded, within("<a/>".repeat(40_000))),
        edited(
            "S-65-many-attributes",
            Reason::AttributesExceeded,
            within(format!(
                "<a{}/>",
                numbered(limits::ATTRIBUTES_PER_ELEMENT_MAX + 1, |n| format!(" a{n}=\"\""))
            )),
        ),
        edited(
            "S-65-many-namespaces-in-scope",
            Reason::NamespacesExceeded,
            within(format!("<a{}>", numbered(40, |n| format!(" xmlns:a{n}=\"urn:a\""))).repeat(2)),
        ),
        edited(
            "many-namespaces",
            Reason::NamespacesExceeded,
            within(numbered(limits::NAMESPACES_PER_DOCUMENT_MAX, |n| format!("<a xmlns=\"urn:a:{n}\"/>"))),
        ),
        edited("S-66-long-name", Reason::NameTooLong, within(format!("<{}/>", "a".repeat(100_000)))),
        edited(
            "long-attribute-name",
            Reason::NameTooLong,
            within(format!("<a {}=\"\"/>", "a".repeat(limits::NAME_BYTES_MAX + 1))),
        ),
        edited(
            "long-namespace-name",
            Reason::NameTooLong,
            within(format!("<a xmlns=\"urn:{}\"/>", "a".repeat(limits::NAME_BYTES_MAX))),
        ),
        edited("unknown-entity", Reason::ReferenceInvalid, within("&nbsp;".into())),
    ]
}

fn structure() -> Vec<Case> {
    vec![
        raw("no-response", Reason::RootNotResponse, Spec::default().assertion_xml().into_bytes()),
        edited("saml-1-namespace", Reason::RootNotResponse, |xml| {
            xml.replacen(forge::SAMLP, "urn:oasis:names:tc:SAML:1.0:protocol", 1)
        }),
        made("response-1-1", Reason::VersionUnsupported, |spec| {
            spec.response.insert("Version", "1.1".into())
        }),
        made("assertion-without-version", Reason::VersionUnsupported, |spec| {
            spec.assertion.remove("Version")
        }),
        made("response-without-id", Reason::IdMissing, |spec| spec.response.remove("ID")),
        made("id-with-a-colon", Reason::IdInvalid, |spec| spec.response.insert("ID", "a:b".into())),
        made("id-that-is-empty", Reason::IdInvalid, |spec| spec.assertion.insert("ID", String::new())),
        edited("no-status", Reason::ResponseShape, |xml| xml.replace(&Spec::default().status, "")),
        made("S-94-two-statuses", Reason::ResponseShape, |spec| spec.status = spec.status.repeat(2)),
        made("text-in-response", Reason::ResponseShape, |spec| spec.before_assertion = "text".into()),
        raw(
            "no-assertion",
            Reason::AssertionMissing,
            Spec { sign_assertion: None, ..Spec::default() }.around("").into_bytes(),
        ),
        raw("encrypted-assertion", Reason::AssertionEncrypted, {
            let encrypted =
                format!("<saml:EncryptedAssertion xmlns:saml=\"{}\"></saml:EncryptedAssertion>", forge::SAML);
            Spec { sign_response: Some(Sign::default()), ..Spec::default() }.around(&encrypted).into_bytes()
        }),
        made("encrypted-id", Reason::EncryptedPart, |spec| {
            spec.name_id = "<saml:EncryptedID></saml:EncryptedID>".into()
        }),
        made("encrypted-attribute", Reason::EncryptedPart, |spec| {
            spec.attributes += "<saml:EncryptedAttribute></saml:EncryptedAttribute>";
        }),
        made("assertion-without-issuer", Reason::AssertionShape, |spec| {
            spec.issuer.clear();
            spec.sign_response = spec.sign_assertion.take();
        }),
        made("conditions-after-statement", Reason::AssertionShape, |spec| {
            spec.attributes +=
                "</saml:AttributeStatement><saml:Conditions></saml:Conditions><saml:AttributeStatement>"
        }),
        made("unknown-statement", Reason::AssertionShape, |spec| {
            spec.advice = "<x:Statement xmlns:x=\"urn:x\"></x:Statement>".into()
        }),
        made("authn-statement-without-context", Reason::AssertionShape, |spec| {
            spec.authn_context = Some(String::new())
        }),
        made("attribute-without-name", Reason::AttributeNameMissing, |spec| {
            spec.attributes = "<saml:Attribute></saml:Attribute>".into()
        }),
        made("attribute-of-empty-name", Reason::AttributeNameMissing, |spec| {
            spec.attributes = forge::attribute("", &["a"])
        }),
    ]
}

fn signature() -> Vec<Case> {
    let sign = |name: &str, reason, change: fn(&mut Sign)| {
        made(name, reason, |spec| change(spec.sign_assertion.as_mut().expect("signed")))
    };
    vec![
        made("not-signed", Reason::SignatureMissing, |spec| spec.sign_assertion = None),
        sign("ecdsa-without-such-a-key", Reason::KeyTypeMissing, |sign| {
            sign.key = "idp-p256";
            sign.algorithm = "ecdsa-sha256";
        }),
        sign("another-key", Reason::SignatureInvalid, |sign| sign.key = "attacker-rsa"),
        sign("digest-of-another-length", Reason::SignatureEncoding, |sign| {
            sign.digest_uri = Some(forge::digest_uri("sha512").into())
        }),
        edited("signature-value-no-base64", Reason::SignatureEncoding, |xml| {
            xml.replace("<ds:SignatureValue>", "<ds:SignatureValue>-")
        }),
        made("value-changed", Reason::DigestMismatch, |_| {}).changed(|xml| xml.replace("alice@", "admin@")),
        made("canonical-form-too-long", Reason::CanonicalTooLarge, |spec| {
            let prefixes = format!("xmlns:p=\"urn:{}\"", "p".repeat(1000));
            spec.advice = format!("<saml:Advice {prefixes}>{}</saml:Advice>", "<p:a></p:a>".repeat(600));
        }),
    ]
}

fn fields_and_issuers() -> Vec<Case> {
    let at = |name: &str, instant: &'static str| {
        made(name, Reason::TimestampInvalid, |spec| spec.conditions.insert("NotOnOrAfter", instant.into()))
    };
    vec![
        at("S-89-no-zone", "2026-01-15T12:05:00"),
        at("S-89-offset", "2026-01-15T13:05:00+01:00"),
        at("S-89-midnight-24", "2026-01-15T24:00:00Z"),
        at("S-89-leap-second", "2026-06-30T23:59:60Z"),
        at("S-89-year-10000", "10000-01-01T00:00:00Z"),
        at("S-89-negative-year", "-2026-01-15T12:05:00Z"),
        at("S-89-blank", " 2026-01-15T12:05:00Z"),
        made("S-89-long-fraction", Reason::TimestampInvalid, |spec| {
            spec.assertion.insert("IssueInstant", format!("2026-01-15T11:59:58.{}Z", "0".repeat(400)));
        }),
        made("no-issue-instant", Reason::TimestampInvalid, |spec| spec.assertion.remove("IssueInstant")),
        made("S-23-element-in-issuer", Reason::ValueNotText, |spec| {
            spec.issuer = forge::issuer("<saml:b></saml:b>https://idp.example.com/metadata")
        }),
        made("no-response-issuer", Reason::SignatureMisplaced, |spec| {
            spec.response_issuer.clear();
            spec.sign_response = Some(Sign::default());
        }),
        made("issuer-format", Reason::IssuerFormat, |spec| {
            spec.issuer = "<saml:Issuer Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">https://idp.example.com/metadata</saml:Issuer>".into();
        }),
        made("S-90-response-issuer", Reason::ResponseIssuerMismatch, |spec| {
            spec.response_issuer = forge::issuer("https://other.example.com")
        }),
        made("S-90-assertion-issuer", Reason::AssertionIssuerMismatch, |spec| {
            spec.issuer = forge::issuer("https://other.example.com")
        }),
        made("S-90-trailing-slash", Reason::AssertionIssuerMismatch, |spec| {
            spec.issuer = forge::issuer("https://idp.example.com/metadata/")
        }),
        made("S-24-comment-in-issuer", Reason::AssertionIssuerMismatch, |spec| {
            spec.issuer = forge::issuer("https://idp.example.com/metadata.evil.test")
        })
        .changed(|xml| xml.replace("metadata.evil", "metadata<!-- -->.evil")),
        raw("S-94-status-without-assertion", Reason::StatusNotSuccess, {
            let codes = "<samlp:Status><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Responder\"><samlp:StatusCode \
                         Value=\"urn:oasis:names:tc:SAML:2.0:status:AuthnFailed\"></samlp:StatusCode></samlp:StatusCode></samlp:Status>";
            Spec { status: codes.into(), ..Spec::default() }.around("").into_bytes()
        }),
    ]
}

fn addressing() -> Vec<Case> {
    let destination = |name: &str, url: &'static str| {
        made(name, Reason::DestinationMismatch, |spec| spec.response.insert("Destination", url.into()))
    };
    let recipient = |name: &str, url: &'static str| {
        made(name, Reason::RecipientMismatch, |spec| spec.confirmation.insert("Recipient", url.into()))
    };
    vec![
        made("S-85-missing", Reason::DestinationMissing, |spec| {
            spec.response.remove("Destination");
            spec.sign_response = Some(Sign::default());
        }),
        destination("S-85-empty", ""),
        destination("S-85-suffix", "https://sp.example.com/saml/acs.evil.test"),
        destination("S-85-prefix", "https://sp.example.com/saml/ac"),
        destination("S-85-case", "https://SP.example.com/saml/acs"),
        destination("S-85-other-tenant", "https://other.example.com/saml/acs"),
        made("S-86-recipient-missing", Reason::RecipientMismatch, |spec| {
            spec.confirmation.remove("Recipient")
        }),
        recipient("S-86-recipient-suffix", "https://sp.example.com/saml/acs/"),
        recipient("S-86-recipient-case", "https://sp.example.com/saml/ACS"),
        made("S-84-no-in-response-to", Reason::Unsolicited, |spec| spec.response.remove("InResponseTo")),
        made("S-83-request-of-another-browser", Reason::RequestUnknown, |spec| {
            spec.response.insert("InResponseTo", "_stranger".into());
            spec.confirmation.insert("InResponseTo", "_stranger".into());
        }),
        made("future", Reason::IssueInstantFuture, |spec| {
            spec.assertion.insert("IssueInstant", "2026-01-15T12:01:01Z".into())
        }),
        made("response-of-the-future", Reason::IssueInstantFuture, |spec| {
            spec.response.insert("IssueInstant", "2026-01-16T00:00:00Z".into())
        }),
        made("stale", Reason::IssueInstantStale, |spec| {
            spec.assertion.insert("IssueInstant", "2026-01-15T11:44:00Z".into())
        }),
    ]
}

fn subject() -> Vec<Case> {
    let named = |name: &str, reason, value: String| {
        made(name, reason, |spec| spec.name_id = format!("<saml:NameID>{value}</saml:NameID>"))
    };
    let format = |name: &str, reason, attributes: &str| {
        made(name, reason, |spec| {
            spec.name_id = format!(
                "<saml:NameID Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:{attributes}>alice</saml:NameID>"
            )
        })
    };
    vec![
        made("no-subject", Reason::SubjectMissing, |spec| spec.subject = Some(String::new())),
        made("no-name-id", Reason::NameIdMissing, |spec| spec.name_id.clear()),
        named("empty", Reason::NameIdMissing, String::new()),
        named("blank", Reason::NameIdMissing, " \u{a0}".into()),
        format("transient", Reason::NameIdTransient, "transient\""),
        format("entity", Reason::NameIdEntity, "entity\""),
        named("long", Reason::NameIdTooLong, "a".repeat(limits::NAME_ID_BYTES_MAX + 1)),
        named("S-96-zero-width", Reason::NameIdCharacter, "ali\u{200b}ce".into()),
        named("S-96-soft-hyphen", Reason::NameIdCharacter, "ali\u{ad}ce".into()),
        named("S-96-right-to-left", Reason::NameIdCharacter, "\u{202e}ecila".into()),
        named("S-97-line-break", Reason::NameIdCharacter, "alice&#xD;\nadmin".into()),
        named("S-96-nfd", Reason::NameIdNotNfc, "e\u{301}lise".into()),
        named("S-96-kelvin-sign", Reason::NameIdNotNfc, "\u{212a}elvin".into()),
        named("S-23-element-in-name-id", Reason::ValueNotText, "<saml:x>admin</saml:x>alice".into()),
        format(
            "foreign-name-qualifier",
            Reason::NameIdQualifier,
            "persistent\" NameQualifier=\"https://other.example.com\"",
        ),
        format(
            "foreign-sp-name-qualifier",
            Reason::NameIdQualifier,
            "persistent\" SPNameQualifier=\"https://other.example.com\"",
        ),
    ]
}

fn confirmation() -> Vec<Case> {
    let method = |name: &str, method: &str| {
        made(name, Reason::ConfirmationMissing, |spec| {
            spec.confirmation_method = format!("urn:oasis:names:tc:SAML:2.0:cm:{method}")
        })
    };
    vec![
        method("S-87-holder-of-key", "holder-of-key"),
        method("S-87-sender-vouches", "sender-vouches"),
        made("no-confirmation", Reason::ConfirmationMissing, |spec| {
            spec.subject = Some(format!("<saml:Subject>{}</saml:Subject>", spec.name_id))
        }),
        made("no-confirmation-data", Reason::ConfirmationMissing, |spec| {
            spec.subject = Some(format!(
                "<saml:Subject>{}<saml:SubjectConfirmation Method=\"{}\"></saml:SubjectConfirmation></saml:Subject>",
                spec.name_id,
                forge::BEARER
            ));
        }),
        made("S-83-no-in-response-to", Reason::ConfirmationUnsolicited, |spec| {
            spec.confirmation.remove("InResponseTo")
        }),
        made("S-25-response-names-another-request", Reason::ConfirmationRequestMismatch, |spec| {
            spec.confirmation.insert("InResponseTo", "_stranger".into())
        }),
        made("S-87-not-before", Reason::ConfirmationNotBefore, |spec| {
            spec.confirmation.insert("NotBefore", "2026-01-15T11:00:00Z".into())
        }),
        made("S-87-no-end", Reason::ConfirmationUnbounded, |spec| spec.confirmation.remove("NotOnOrAfter")),
        made("S-87-expired", Reason::ConfirmationExpired, |spec| {
            spec.confirmation.insert("NotOnOrAfter", "2026-01-15T11:59:00Z".into())
        }),
    ]
}

fn conditions() -> Vec<Case> {
    let restricted = |name: &str, reason, restrictions: String| {
        made(name, reason, |spec| spec.restrictions = Some(restrictions))
    };
    let audience =
        |name: &str, value: &str| restricted(name, Reason::AudienceMismatch, forge::audience(&[value]));
    let ours = forge::audience(&[forge::ENTITY]);
    vec![
        made("S-88-none", Reason::ConditionsMissing, |spec| spec.restrictions = None),
        restricted(
            "S-88-unknown",
            Reason::ConditionUnsupported,
            format!("{ours}<saml:Condition></saml:Condition>"),
        ),
        restricted(
            "S-88-foreign",
            Reason::ConditionUnsupported,
            format!("{ours}<x:OneTimeUse xmlns:x=\"urn:x\"></x:OneTimeUse>"),
        ),
        made("S-88-future", Reason::ConditionsNotYetValid, |spec| {
            spec.conditions.insert("NotBefore", "2026-01-15T12:01:01Z".into())
        }),
        made("S-88-expired", Reason::ConditionsExpired, |spec| {
            spec.conditions.insert("NotOnOrAfter", "2026-01-15T11:59:00Z".into())
        }),
        restricted("S-86-none", Reason::AudienceMissing, String::new()),
        restricted("S-86-no-audience", Reason::AudienceMismatch, forge::audience(&[])),
        audience("S-86-empty", ""),
        audience("S-86-other", "https://other.example.com"),
        audience("S-86-suffix", "https://sp.example.com/saml/metadata.evil.test"),
        audience("S-86-prefix", "https://sp.example.com/saml"),
        audience("S-86-case", "https://SP.example.com/saml/metadata"),
        restricted(
            "S-86-all-restrictions-count",
            Reason::AudienceMismatch,
            ours + &forge::audience(&["https://other.example.com"]),
        ),
        made("no-authn-statement", Reason::AuthnStatementMissing, |spec| spec.authn_context = None),
        made("signed-in-in-the-future", Reason::AuthnInstantFuture, |spec| {
            spec.authn.insert("AuthnInstant", "2026-01-15T12:01:01Z".into())
        }),
        made("session-over", Reason::SessionExpired, |spec| {
            spec.authn.insert("SessionNotOnOrAfter", "2026-01-15T12:00:00Z".into())
        }),
    ]
}

impl Case {
    /// The message, edited after it was made.
    pub fn changed(mut self, edit: impl FnOnce(&str) -> String) -> Self {
        let xml = String::from_utf8(self.octets).expect("UTF-8");
        let changed = forge::aimed(&edit(&forge::unaimed(&xml)));
        assert_ne!(xml, changed, "{} changes nothing", self.name);
        self.octets = changed.into_bytes();
        self
    }
}
