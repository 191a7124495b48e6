//! What may stand where in a logout message, and its fields with their types.
use std::borrow::Cow;

use super::{
    super::{
        Connection, Reason, Refusal,
        decryption::Decryption,
        fields::{self, Issuer, NameIdFields},
        guard::{Guard, stands},
        structure::check_version,
        xml::{Namespace, NodeId, Tape},
    },
    LogoutRefusal, MessageKind,
};
use crate::domain::Timestamp;

/// SessionIndex elements of one LogoutRequest: a person has a session or two.
pub(super) const SESSION_INDEXES_MAX: usize = 64;

/// A LogoutRequest or LogoutResponse of the right shape.
pub(super) struct Parts {
    pub element: NodeId,
    pub issuer: NodeId,
    pub signature: Option<NodeId>,
    /// Of a LogoutRequest: a NameID or an EncryptedID.
    pub name_id: Option<NodeId>,
    /// Of a LogoutResponse.
    pub status: Option<NodeId>,
}

/// SAML Core 3.7.1 and 3.7.2: `element` is the message that the parameter promises, of version 2.0, with its children in the
/// order of the schema.
pub(super) fn parts(tape: &Tape<'_>, element: NodeId, kind: MessageKind) -> Result<Parts, LogoutRefusal> {
    if !tape.is(element, Namespace::SAMLP, kind.element()) && stands(Guard::LogoutElement) {
        return Err(LogoutRefusal::NotLogout);
    }
    check_version(tape, element)?;
    if tape.has_stray_text(element) && stands(Guard::LogoutShape) {
        return Err(LogoutRefusal::Shape);
    }
    let mut parts = Parts { element, issuer: element, signature: None, name_id: None, status: None };
    let mut last = 0;
    for child in tape.children(element) {
        let place = match (kind, tape.namespace(child), tape.local(child)) {
            (_, Namespace::SAML, "Issuer") => {
                parts.issuer = child;
                1
            }
            (_, Namespace::DS, "Signature") => {
                parts.signature = Some(child);
                2
            }
            (_, Namespace::SAMLP, "Extensions") => 3,
            (MessageKind::Request, Namespace::SAML, "NameID" | "EncryptedID") => {
                parts.name_id = Some(child);
                4
            }
            (MessageKind::Request, Namespace::SAMLP, "SessionIndex") => 5,
            (MessageKind::Response, Namespace::SAMLP, "Status") => {
                parts.status = Some(child);
                4
            }
            _ if !stands(Guard::LogoutShape) => continue,
            _ => return Err(LogoutRefusal::Shape),
        };
        let misplaced = place < last || (place == last && place != 5) || (last == 0 && place != 1);
        if misplaced && stands(Guard::LogoutShape) {
            return Err(LogoutRefusal::Shape);
        }
        last = place;
    }
    // SAML Profiles 4.4.4.1, 4.4.4.2: the Issuer must be there.
    let whole = match kind {
        MessageKind::Request => parts.name_id.is_some(),
        MessageKind::Response => parts.status.is_some(),
    };
    if whole && parts.issuer != element { Ok(parts) } else { Err(LogoutRefusal::Shape) }
}

/// L-02: the message's own signature is the only one in the document.
pub(super) fn check_signed_once(tape: &Tape<'_>) -> Result<(), LogoutRefusal> {
    if signatures(tape) == 1 || !stands(Guard::SignaturePlace) {
        Ok(())
    } else {
        Err(Reason::SignatureMisplaced.into())
    }
}

pub(super) fn check_unsigned(tape: &Tape<'_>) -> Result<(), LogoutRefusal> {
    if signatures(tape) == 0 || !stands(Guard::SignaturePlace) {
        Ok(())
    } else {
        Err(Reason::SignatureMisplaced.into())
    }
}

/// A message without a signature of its own: with one elsewhere it is an attempt to pass another's off (L-02).
pub(super) fn without_signature(tape: &Tape<'_>, kind: MessageKind) -> LogoutRefusal {
    match signatures(tape) {
        0 => Refusal::from(Reason::SignatureMissing).expected(kind.element()).into(),
        _ => Reason::SignatureMisplaced.into(),
    }
}

fn signatures(tape: &Tape<'_>) -> usize {
    tape.elements().filter(|id| tape.is(*id, Namespace::DS, "Signature")).count()
}

/// SAML Bindings 3.2.2: the body of a SOAP 1.1 envelope holds one message and nothing else. Header blocks mean nothing here,
/// and one that must be understood cannot be.
pub(super) fn in_envelope(tape: &Tape<'_>) -> Result<NodeId, LogoutRefusal> {
    let root = Tape::ROOT;
    let wrong = || LogoutRefusal::SoapEnvelope;
    let foreign = !tape.is(root, Namespace::SOAP, "Envelope") || tape.has_stray_text(root);
    if foreign && stands(Guard::SoapEnvelope) {
        return Err(wrong());
    }
    let children: Vec<NodeId> = tape.children(root).take(3).collect();
    let body = match children[..] {
        [body] => body,
        [header, body] if tape.is(header, Namespace::SOAP, "Header") => {
            let must = |id: NodeId| {
                tape.attributes(id).iter().any(|a| {
                    a.namespace == Namespace::SOAP && a.local() == "mustUnderstand" && a.value() != "0"
                })
            };
            if tape.children(header).any(must) && stands(Guard::SoapUnderstood) {
                return Err(wrong());
            }
            body
        }
        _ => return Err(wrong()),
    };
    let mut content = tape.children(body);
    match (content.next(), content.next()) {
        (Some(message), None) if tape.is(body, Namespace::SOAP, "Body") && !tape.has_stray_text(body) => {
            Ok(message)
        }
        (Some(message), _) if !stands(Guard::SoapEnvelope) => Ok(message),
        _ => Err(wrong()),
    }
}

/// What both messages say.
pub(super) struct Fields<'s> {
    /// The message's local name.
    pub element: &'s str,
    pub id: Cow<'s, str>,
    pub issuer: Issuer<'s>,
    pub destination: Option<Cow<'s, str>>,
    pub issue_instant: Timestamp,
}

impl<'s> Fields<'s> {
    pub fn read(tape: &Tape<'s>, parts: &Parts) -> Result<Self, LogoutRefusal> {
        let element = parts.element;
        Ok(Self {
            element: tape.local(element),
            id: tape.attribute(element, "ID").unwrap_or_default(),
            issuer: fields::issuer(tape, parts.issuer)?,
            destination: tape.attribute(element, "Destination"),
            issue_instant: fields::required_instant(tape, element, "IssueInstant")?,
        })
    }
}

/// Whom a LogoutRequest is about.
pub(super) struct About<'s> {
    pub name_id: NameIdFields<'s>,
    pub session_indexes: Vec<String>,
    pub not_on_or_after: Option<Timestamp>,
}

impl<'s> About<'s> {
    /// Of a message that was verified: an EncryptedID is opened with the connection's keys.
    pub fn read(tape: &Tape<'s>, parts: &Parts, connection: &Connection) -> Result<Self, LogoutRefusal> {
        let element = parts.name_id.ok_or(LogoutRefusal::Shape)?;
        let name_id = if tape.is(element, Namespace::SAML, "EncryptedID") {
            // SAML Core 2.2.4, as in an assertion.
            if connection.settings().decryption_keys.is_empty() && stands(Guard::NoEncryptedPart) {
                return Err(Reason::EncryptedPart.into());
            }
            fields::encrypted_id(tape, element, &mut Decryption::new(connection))?
        } else {
            fields::name_id(tape, element)?
        };
        let mut session_indexes = vec![];
        for child in tape.children(parts.element).filter(|id| tape.is(*id, Namespace::SAMLP, "SessionIndex"))
        {
            if session_indexes.len() >= SESSION_INDEXES_MAX && stands(Guard::LogoutSessions) {
                return Err(LogoutRefusal::SessionIndexesExceeded);
            }
            session_indexes.push(fields::text(tape, child)?.into_owned());
        }
        let not_on_or_after = fields::optional_instant(tape, parts.element, "NotOnOrAfter")?;
        Ok(Self { name_id, session_indexes, not_on_or_after })
    }
}
