//! The fields of a message, typed: timestamps are instants, values are text. Whether they are acceptable is for
//! [`super::policy`].
use std::borrow::Cow;

use super::{
    Reason, Refusal,
    decryption::{self, Decryption},
    guard::{Guard, stands},
    instant,
    structure::{AssertionParts, ResponseParts, status_codes},
    xml::{Namespace, NodeId, Tape},
};
use crate::domain::{Attribute, Timestamp};

type Text<'s> = Cow<'s, str>;

/// What a Response says. It is read from digested octets where the Response is signed; else it may come from anybody and
/// can only make the outcome stricter (S-25).
pub(super) struct ResponseFields<'s> {
    pub issuer: Option<Issuer<'s>>,
    pub destination: Option<Text<'s>>,
    pub in_response_to: Option<Text<'s>>,
    pub issue_instant: Timestamp,
    /// Nested codes, outermost first.
    pub status: Vec<Text<'s>>,
}

/// What an Assertion says, always read from digested octets.
pub(super) struct AssertionFields<'s> {
    pub id: Text<'s>,
    pub issuer: Issuer<'s>,
    pub issue_instant: Timestamp,
    pub subject: Option<Subject<'s>>,
    pub conditions: Option<Conditions<'s>>,
    pub authn_statements: Vec<AuthnStatement<'s>>,
    pub attributes: Vec<Attribute>,
    /// Names of attributes with a value that is no text, or nil.
    pub structured_attributes: Vec<String>,
}

pub(super) struct Issuer<'s> {
    pub value: Text<'s>,
    pub format: Option<Text<'s>>,
}

pub(super) struct Subject<'s> {
    pub name_id: Option<NameIdFields<'s>>,
    pub confirmations: Vec<Confirmation<'s>>,
}

pub(super) struct NameIdFields<'s> {
    pub value: Text<'s>,
    pub format: Option<Text<'s>>,
    pub name_qualifier: Option<Text<'s>>,
    pub sp_name_qualifier: Option<Text<'s>>,
}

/// A SubjectConfirmation; `data` is `None` where it has no SubjectConfirmationData.
pub(super) struct Confirmation<'s> {
    pub method: Text<'s>,
    pub data: Option<ConfirmationData<'s>>,
}

pub(super) struct ConfirmationData<'s> {
    pub recipient: Option<Text<'s>>,
    pub in_response_to: Option<Text<'s>>,
    pub not_before: Option<Timestamp>,
    pub not_on_or_after: Option<Timestamp>,
}

pub(super) struct Conditions<'s> {
    pub not_before: Option<Timestamp>,
    pub not_on_or_after: Option<Timestamp>,
    /// The audiences of each AudienceRestriction.
    pub audiences: Vec<Vec<Text<'s>>>,
    /// The first child that is no condition of SAML Core 2.5.1.
    pub unknown: Option<&'s str>,
}

pub(super) struct AuthnStatement<'s> {
    pub authn_instant: Timestamp,
    pub session_index: Option<Text<'s>>,
    pub session_not_on_or_after: Option<Timestamp>,
    /// The AuthnContextClassRef.
    pub context_class: Option<Text<'s>>,
}

impl<'s> ResponseFields<'s> {
    pub fn read(tape: &Tape<'s>, parts: &ResponseParts) -> Result<Self, Refusal> {
        let element = parts.element;
        Ok(Self {
            issuer: parts.issuer.map(|id| issuer(tape, id)).transpose()?,
            destination: tape.attribute(element, "Destination"),
            in_response_to: tape.attribute(element, "InResponseTo"),
            issue_instant: required_instant(tape, element, "IssueInstant")?,
            status: status_codes(tape, parts.status),
        })
    }
}

impl<'s> AssertionFields<'s> {
    /// `decryption` opens what is encrypted in it.
    pub fn read(
        tape: &Tape<'s>,
        parts: &AssertionParts,
        decryption: &mut Decryption<'_>,
    ) -> Result<Self, Refusal> {
        let element = parts.element;
        let mut fields = Self {
            id: tape.attribute(element, "ID").unwrap_or_default(),
            issuer: issuer(tape, parts.issuer)?,
            issue_instant: required_instant(tape, element, "IssueInstant")?,
            subject: parts.subject.map(|id| subject(tape, id, decryption)).transpose()?,
            conditions: parts.conditions.map(|id| conditions(tape, id)).transpose()?,
            authn_statements: vec![],
            attributes: vec![],
            structured_attributes: vec![],
        };
        for statement in tape.children(element) {
            match tape.local(statement) {
                "AuthnStatement" => fields.authn_statements.push(authn_statement(tape, statement)?),
                "AttributeStatement" => fields.read_attributes(tape, statement, decryption)?,
                _ => {}
            }
        }
        Ok(fields)
    }

    /// SAML Core 2.7.3: the attributes in document order. Several of one name stay apart, and one with a value that
    /// is no text is named instead of read: whether that matters depends on the name (S-23, S-95).
    fn read_attributes(
        &mut self,
        tape: &Tape<'s>,
        statement: NodeId,
        decryption: &mut Decryption<'_>,
    ) -> Result<(), Refusal> {
        for attribute in tape.children(statement) {
            if tape.is(attribute, Namespace::SAML, "EncryptedAttribute") {
                let plaintext = decryption.open(tape, attribute, true)?;
                let decrypted = decryption::parse(&plaintext).map_err(Refusal::decrypted)?;
                self.read_attribute(&decrypted, Tape::ROOT).map_err(Refusal::decrypted)?;
            } else {
                self.read_attribute(tape, attribute)?;
            }
        }
        Ok(())
    }

    fn read_attribute(&mut self, tape: &Tape<'_>, attribute: NodeId) -> Result<(), Refusal> {
        if stands(Guard::AttributeStatementShape) && !tape.is(attribute, Namespace::SAML, "Attribute") {
            return Err(Refusal::from(Reason::AssertionShape).found(tape.local(attribute)));
        }
        let name = tape.attribute(attribute, "Name").filter(|name| !name.is_empty());
        let name = name.or((!stands(Guard::AttributeName)).then_some(Cow::Borrowed("")));
        let name = name.ok_or(Reason::AttributeNameMissing)?.into_owned();
        match attribute_values(tape, attribute) {
            Some(values) => self.attributes.push(Attribute { name, values }),
            None => self.structured_attributes.push(name),
        }
        Ok(())
    }
}

/// The values of an attribute; `None` if one is not text or is nil.
fn attribute_values(tape: &Tape<'_>, attribute: NodeId) -> Option<Vec<String>> {
    if stands(Guard::AttributeValues) && tape.has_stray_text(attribute) {
        return None;
    }
    let mut values = vec![];
    for value in tape.children(attribute) {
        let nil = tape.attributes(value).iter().any(|a| a.namespace == Namespace::XSI && a.local() == "nil");
        if (nil || !tape.is(value, Namespace::SAML, "AttributeValue")) && stands(Guard::AttributeValues) {
            return None;
        }
        values.push(tape.text(value)?.into_owned());
    }
    Some(values)
}

pub(super) fn issuer<'s>(tape: &Tape<'s>, id: NodeId) -> Result<Issuer<'s>, Refusal> {
    Ok(Issuer { value: text(tape, id)?, format: tape.attribute(id, "Format") })
}

/// SAML Core 2.4.1. A BaseID is no NameID and counts as none.
fn subject<'s>(tape: &Tape<'s>, id: NodeId, decryption: &mut Decryption<'_>) -> Result<Subject<'s>, Refusal> {
    let mut subject = Subject { name_id: None, confirmations: vec![] };
    for child in tape.children(id) {
        match (tape.namespace(child), tape.local(child)) {
            (Namespace::SAML, "NameID") if subject.name_id.is_none() && subject.confirmations.is_empty() => {
                subject.name_id = Some(name_id(tape, child)?);
            }
            (Namespace::SAML, "EncryptedID")
                if subject.name_id.is_none() && subject.confirmations.is_empty() =>
            {
                subject.name_id = Some(encrypted_id(tape, child, decryption)?);
            }
            (Namespace::SAML, "SubjectConfirmation") => {
                subject.confirmations.push(confirmation(tape, child)?)
            }
            (Namespace::SAML, "BaseID") if subject.confirmations.is_empty() => {}
            (_, local) if stands(Guard::SubjectShape) => {
                return Err(Refusal::from(Reason::AssertionShape).found(local));
            }
            _ => {}
        }
    }
    Ok(subject)
}

pub(super) fn name_id<'s>(tape: &Tape<'s>, id: NodeId) -> Result<NameIdFields<'s>, Refusal> {
    Ok(NameIdFields {
        value: text(tape, id)?,
        format: tape.attribute(id, "Format"),
        name_qualifier: tape.attribute(id, "NameQualifier"),
        sp_name_qualifier: tape.attribute(id, "SPNameQualifier"),
    })
}

/// The NameID in an EncryptedID that a verified signature covers.
pub(super) fn encrypted_id(
    tape: &Tape<'_>,
    id: NodeId,
    decryption: &mut Decryption<'_>,
) -> Result<NameIdFields<'static>, Refusal> {
    let plaintext = decryption.open(tape, id, true)?;
    decrypted_name_id(&plaintext).map_err(Refusal::decrypted)
}

/// SAML Core 2.2.4: an EncryptedID may hold a BaseID or an Assertion too, which name nobody here.
fn decrypted_name_id(plaintext: &str) -> Result<NameIdFields<'static>, Refusal> {
    let tape = decryption::parse(plaintext)?;
    if !tape.is(Tape::ROOT, Namespace::SAML, "NameID") {
        return Err(Refusal::from(Reason::AssertionShape).expected("NameID").found(tape.local(Tape::ROOT)));
    }
    let own = |text: Text<'_>| Cow::Owned(text.into_owned());
    let read = name_id(&tape, Tape::ROOT)?;
    Ok(NameIdFields {
        value: own(read.value),
        format: read.format.map(own),
        name_qualifier: read.name_qualifier.map(own),
        sp_name_qualifier: read.sp_name_qualifier.map(own),
    })
}

fn confirmation<'s>(tape: &Tape<'s>, id: NodeId) -> Result<Confirmation<'s>, Refusal> {
    let mut data =
        tape.children(id).filter(|child| tape.is(*child, Namespace::SAML, "SubjectConfirmationData"));
    let (first, second) = (data.next(), data.next());
    if second.is_some() && stands(Guard::ConfirmationShape) {
        return Err(Refusal::from(Reason::AssertionShape).found("SubjectConfirmationData"));
    }
    let read = |data| {
        Ok::<_, Refusal>(ConfirmationData {
            recipient: tape.attribute(data, "Recipient"),
            in_response_to: tape.attribute(data, "InResponseTo"),
            not_before: optional_instant(tape, data, "NotBefore")?,
            not_on_or_after: optional_instant(tape, data, "NotOnOrAfter")?,
        })
    };
    let method = tape.attribute(id, "Method").unwrap_or_default();
    Ok(Confirmation { method, data: first.map(read).transpose()? })
}

/// SAML Core 2.5.1: OneTimeUse is honoured by using every assertion once, ProxyRestriction concerns who issues assertions
/// of its own, which we never do. Any other condition is unknown, and one that is not understood cannot be met.
fn conditions<'s>(tape: &Tape<'s>, id: NodeId) -> Result<Conditions<'s>, Refusal> {
    let mut conditions = Conditions {
        not_before: optional_instant(tape, id, "NotBefore")?,
        not_on_or_after: optional_instant(tape, id, "NotOnOrAfter")?,
        audiences: vec![],
        unknown: None,
    };
    for child in tape.children(id) {
        match (tape.namespace(child), tape.local(child)) {
            (Namespace::SAML, "AudienceRestriction") => conditions.audiences.push(audiences(tape, child)?),
            (Namespace::SAML, "OneTimeUse" | "ProxyRestriction") => {}
            (_, local) => conditions.unknown = conditions.unknown.or(Some(local)),
        }
    }
    Ok(conditions)
}

fn audiences<'s>(tape: &Tape<'s>, restriction: NodeId) -> Result<Vec<Text<'s>>, Refusal> {
    let children =
        tape.children(restriction).map(|child| match tape.is(child, Namespace::SAML, "Audience") {
            true => text(tape, child),
            false if !stands(Guard::AudienceShape) => text(tape, child),
            false => Err(Refusal::from(Reason::AssertionShape).found(tape.local(child))),
        });
    children.collect()
}

fn authn_statement<'s>(tape: &Tape<'s>, id: NodeId) -> Result<AuthnStatement<'s>, Refusal> {
    // SAML Core 2.7.2: AuthnContext is required, once.
    let mut contexts = tape.children(id).filter(|child| tape.is(*child, Namespace::SAML, "AuthnContext"));
    let (context, second) = (contexts.next(), contexts.next());
    if (context.is_none() || second.is_some()) && stands(Guard::AuthnContext) {
        return Err(Refusal::from(Reason::AssertionShape).expected("AuthnContext"));
    }
    // SAML Core 2.7.2.2: at most one class.
    let class = |child: &NodeId| tape.is(*child, Namespace::SAML, "AuthnContextClassRef");
    let mut classes = context.into_iter().flat_map(|context| tape.children(context)).filter(class);
    let (class, more) = (classes.next(), classes.next());
    if more.is_some() && stands(Guard::AuthnContext) {
        return Err(Refusal::from(Reason::AssertionShape).found("AuthnContextClassRef"));
    }
    Ok(AuthnStatement {
        context_class: class.map(|class| text(tape, class)).transpose()?,
        authn_instant: required_instant(tape, id, "AuthnInstant")?,
        session_index: tape.attribute(id, "SessionIndex"),
        session_not_on_or_after: optional_instant(tape, id, "SessionNotOnOrAfter")?,
    })
}

pub(super) fn text<'s>(tape: &Tape<'s>, id: NodeId) -> Result<Text<'s>, Refusal> {
    tape.text(id).ok_or_else(|| Refusal::from(Reason::ValueNotText).detail(tape.local(id)))
}

pub(super) fn required_instant(tape: &Tape<'_>, id: NodeId, name: &str) -> Result<Timestamp, Refusal> {
    optional_instant(tape, id, name)?.ok_or_else(|| {
        Refusal::from(Reason::TimestampInvalid).detail(format!("{} has no {name}", tape.local(id)))
    })
}

pub(super) fn optional_instant(
    tape: &Tape<'_>,
    id: NodeId,
    name: &str,
) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = tape.attribute(id, name) else { return Ok(None) };
    let wrong = || {
        Refusal::from(Reason::TimestampInvalid).found(&text).detail(format!("{name} of {}", tape.local(id)))
    };
    match instant::parse(&text) {
        None if stands(Guard::TimestampForm) => Err(wrong()),
        instant => Ok(instant),
    }
}
