//! What identifies a person: cases of a connection that names an attribute for it, and the rules for its value.
use portcullis::saml::{Connection, Reason, SubjectKey, limits};

use super::{
    Case,
    forge::{self, Spec, attribute, judge},
};

/// Entra ID's object id, by which the fixtures of `subject_attribute_*` are judged.
pub const OBJECT_ID: &str = "http://schemas.microsoft.com/identity/claims/objectidentifier";
pub const TRANSIENT: &str =
    "<saml:NameID Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:transient\">_5f0c</saml:NameID>";

/// The usual connection, with people identified by [`OBJECT_ID`].
pub fn by_object_id() -> Connection {
    let settings = forge::settings(&["idp-rsa", "idp-p256", "idp-p384"]);
    let subject = SubjectKey::Attribute(OBJECT_ID.into());
    Connection::new(portcullis::saml::Settings { subject, ..settings }).unwrap()
}

/// What the attribute must not be.
pub fn cases() -> Vec<Case> {
    let with = |name: &str, reason, attributes: &str| {
        Case::made(name, Some(reason), |spec| {
            spec.name_id = TRANSIENT.into();
            spec.attributes += attributes;
        })
    };
    let value = |name: &str, reason, value: &str| with(name, reason, &attribute(OBJECT_ID, &[value]));
    let twice = |values: [&str; 2]| values.map(|value| attribute(OBJECT_ID, &[value])).concat();
    let nested = format!(
        "<saml:Attribute Name=\"{OBJECT_ID}\"><saml:AttributeValue><saml:NameID>a</saml:NameID></saml:AttributeValue>\
         </saml:Attribute>"
    );
    vec![
        with("absent", Reason::SubjectAttributeMissing, ""),
        with("no-value", Reason::SubjectAttributeMissing, &attribute(OBJECT_ID, &[])),
        with("other-case", Reason::SubjectAttributeMissing, &attribute(&OBJECT_ID.to_uppercase(), &["a"])),
        with(
            "friendly-name",
            Reason::SubjectAttributeMissing,
            &attribute("oid", &["a"]).replace(" Name=", &format!(" FriendlyName=\"{OBJECT_ID}\" Name=")),
        ),
        value("empty-value", Reason::SubjectAttributeMissing, ""),
        value("blank", Reason::SubjectAttributeMissing, " \u{a0}"),
        with("S-95-two-values", Reason::SubjectAttributeAmbiguous, &attribute(OBJECT_ID, &["a", "b"])),
        with("S-95-equal-values", Reason::SubjectAttributeAmbiguous, &attribute(OBJECT_ID, &["a", "a"])),
        with("S-95-a-value-and-none", Reason::SubjectAttributeAmbiguous, &attribute(OBJECT_ID, &["a", ""])),
        with("S-95-two-attributes", Reason::SubjectAttributeAmbiguous, &twice(["a", "b"])),
        with("S-95-equal-attributes", Reason::SubjectAttributeAmbiguous, &twice(["a", "a"])),
        with("S-23-elements", Reason::SubjectAttributeNotText, &nested),
        with(
            "S-23-elements-beside-text",
            Reason::SubjectAttributeNotText,
            &(attribute(OBJECT_ID, &["a"]) + &nested),
        ),
        value("long", Reason::SubjectAttributeTooLong, &"a".repeat(limits::STABLE_ID_BYTES_MAX + 1)),
        value("S-96-zero-width", Reason::SubjectAttributeCharacter, "ali\u{200b}ce"),
        value("S-97-line-break", Reason::SubjectAttributeCharacter, "alice&#xD;\nadmin"),
        value("S-96-nfd", Reason::SubjectAttributeNotNfc, "e\u{301}lise"),
    ]
}

fn identified(spec: &Spec) -> (String, Option<String>) {
    let verified = judge(&by_object_id(), spec.xml().as_bytes()).unwrap();
    let id = verified.stable_id();
    (id.value().to_owned(), id.attribute().map(str::to_owned))
}

#[test]
fn an_attribute_identifies_whatever_the_name_id_is() {
    let expected = ("7f1d-Ab ".to_owned(), Some(OBJECT_ID.to_owned()));
    let mut spec = Spec::default();
    spec.attributes += &attribute(OBJECT_ID, &["7f1d-Ab "]);
    assert_eq!(identified(&spec), expected, "never trimmed, never folded");
    spec.name_id = TRANSIENT.into();
    assert_eq!(identified(&spec), expected);
    let verified = judge(&by_object_id(), spec.xml().as_bytes()).unwrap();
    assert_eq!(verified.name_id().value, "_5f0c", "logout goes by the NameID");
    assert!(verified.name_id().is_transient());
}

/// The NameID is not who the person is then, but it still goes into logout messages and logs.
#[test]
fn a_name_id_is_checked_even_where_an_attribute_identifies() {
    let refused = |name_id: &str| {
        let mut spec = Spec { name_id: name_id.into(), ..Spec::default() };
        spec.attributes += &attribute(OBJECT_ID, &["a"]);
        judge(&by_object_id(), spec.xml().as_bytes()).unwrap_err().reason
    };
    assert_eq!(refused(""), Reason::NameIdMissing);
    assert_eq!(refused("<saml:NameID>a\u{200b}</saml:NameID>"), Reason::NameIdCharacter);
    assert_eq!(refused("<saml:NameID>e\u{301}</saml:NameID>"), Reason::NameIdNotNfc);
}

#[test]
fn a_refusal_names_the_attribute() {
    let refusal = judge(&by_object_id(), Spec::default().xml().as_bytes()).unwrap_err();
    assert_eq!(refusal.expected.as_deref(), Some(OBJECT_ID));
    assert!(refusal.reason.hint().contains("`subject`"));
    let transient = Spec { name_id: TRANSIENT.into(), ..Spec::default() };
    let refusal = judge(&forge::usual_connection(), transient.xml().as_bytes()).unwrap_err();
    assert_eq!(refusal.reason, Reason::NameIdTransient);
    assert!(refusal.reason.hint().contains("`subject`"), "the way out is in the hint");
}
