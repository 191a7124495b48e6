//! Single logout (SAML Profiles 4.4), pure: LogoutRequest and LogoutResponse by the bindings HTTP-Redirect, HTTP-POST and
//! SOAP, in and out.
//!
//! What comes in passes the same steps as a response: `query` or [`super::decode`] undoes the binding, `xml` scans and
//! parses, `message` says what may stand where, `super::signature` verifies, and what is read is what was digested. By
//! HTTP-Redirect the octets of the query are what is signed, and they are verified before anything in them is parsed.
mod message;
mod policy;
mod query;
mod refusal;
mod write;

use super::{
    Connection, MessageKind, Reason,
    guard::{Guard, stands},
    limits::DECODED_BYTES_MAX,
    signature,
    xml::{self, NodeId, Tape},
};
use crate::domain::{NameId, Timestamp};

pub use refusal::LogoutRefusal;
pub use write::{Reply, logout_request, logout_response, logout_response_soap};

impl MessageKind {
    /// What the message of this parameter must be.
    fn element(self) -> &'static str {
        match self {
            Self::Request => "LogoutRequest",
            Self::Response => "LogoutResponse",
        }
    }
}

/// An IdP's word that a person signed out. Only a [`Receiver`] makes one; every field was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedLogoutRequest {
    id: String,
    issuer: String,
    name_id: NameId,
    session_indexes: Vec<String>,
    issue_instant: Timestamp,
    replayable_until: Timestamp,
}

impl VerifiedLogoutRequest {
    /// With the issuer, what must be used only once (L-06).
    pub fn id(&self) -> &str {
        &self.id
    }
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
    /// As the message has it; a Format that it does not say is `unspecified`.
    pub fn name_id(&self) -> &NameId {
        &self.name_id
    }
    /// Which of the person's sessions; all of them where it is empty (SAML Core 3.7.1).
    pub fn session_indexes(&self) -> &[String] {
        &self.session_indexes
    }
    pub fn issue_instant(&self) -> Timestamp {
        self.issue_instant
    }
    /// When the request can no longer be accepted, clock skew included: how long its ID must be remembered.
    pub fn replayable_until(&self) -> Timestamp {
        self.replayable_until
    }
}

/// An IdP's answer to a LogoutRequest of ours. Only a [`Receiver`] makes one; every field was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedLogoutResponse {
    in_response_to: String,
    outcome: LogoutOutcome,
}

impl VerifiedLogoutResponse {
    /// The ID of our LogoutRequest, one of those given as outstanding.
    pub fn in_response_to(&self) -> &str {
        &self.in_response_to
    }
    pub fn outcome(&self) -> LogoutOutcome {
        self.outcome
    }
}

/// What the IdP could do (SAML Core 3.7.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogoutOutcome {
    Complete,
    /// Some applications may still have a session.
    Partial,
    Failed,
}

/// A verified message with what the binding carried along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub message: LogoutMessage,
    pub relay_state: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogoutMessage {
    Request(VerifiedLogoutRequest),
    Response(VerifiedLogoutResponse),
}

/// Where and when logout messages are judged.
#[derive(Clone, Copy)]
pub struct Receiver<'a> {
    pub connection: &'a Connection,
    /// The configured URL that the message came to.
    pub slo_url: &'a str,
    /// The IDs of the LogoutRequests that this browser has outstanding, `_` included.
    pub outstanding: &'a [&'a str],
    pub now: Timestamp,
}

impl Receiver<'_> {
    /// Verifies a message that came by the HTTP-POST binding, its base64 undone by [`super::decode`].
    pub fn post(&self, kind: MessageKind, octets: &[u8]) -> Result<LogoutMessage, LogoutRefusal> {
        let received = parse(octets)?;
        self.enveloped(&received, Tape::ROOT, kind, true)
    }

    /// Verifies the message in a query of the HTTP-Redirect binding. `query` must be as it was received, octet for octet
    /// (SAML Bindings 3.4.4.1, L-03).
    pub fn redirect(&self, query: &str) -> Result<Received, LogoutRefusal> {
        let query = query::Query::read(query)?;
        query.verify(self.connection)?;
        let octets = query.message()?;
        let tape = parse(&octets)?;
        let parts = message::parts(&tape, Tape::ROOT, query.kind)?;
        // SAML Bindings 3.4.4.1: the query's signature takes the place of one in the message.
        message::check_unsigned(&tape)?;
        let message = self.judge(&tape, &parts, query.kind, true)?;
        Ok(Received { message, relay_state: query.relay_state })
    }

    /// Verifies the LogoutRequest in the body of a SOAP 1.1 envelope (SAML Bindings 3.2).
    pub fn soap(&self, octets: &[u8]) -> Result<VerifiedLogoutRequest, LogoutRefusal> {
        let received = parse(octets)?;
        let element = message::in_envelope(&received)?;
        match self.enveloped(&received, element, MessageKind::Request, false)? {
            LogoutMessage::Request(request) => Ok(request),
            LogoutMessage::Response(_) => Err(LogoutRefusal::NotLogout),
        }
    }

    /// L-01, L-02: the message itself is the signed element, and it is read from what was digested.
    fn enveloped(
        &self,
        received: &Tape<'_>,
        element: NodeId,
        kind: MessageKind,
        destination_required: bool,
    ) -> Result<LogoutMessage, LogoutRefusal> {
        let parts = message::parts(received, element, kind)?;
        let Some(signature) = parts.signature else {
            if !stands(Guard::SignatureThere) {
                return self.judge(received, &parts, kind, destination_required);
            }
            return Err(message::without_signature(received, kind));
        };
        message::check_signed_once(received)?;
        let digested = signature::verify_message(received, element, signature, self.connection)?;
        if !stands(Guard::Reread) {
            return self.judge(received, &parts, kind, destination_required);
        }
        let signed = digested.reread()?;
        let parts = message::parts(&signed, Tape::ROOT, kind)?;
        self.judge(&signed, &parts, kind, destination_required)
    }

    fn judge(
        &self,
        signed: &Tape<'_>,
        parts: &message::Parts,
        kind: MessageKind,
        destination_required: bool,
    ) -> Result<LogoutMessage, LogoutRefusal> {
        let fields = message::Fields::read(signed, parts)?;
        self.check_common(&fields, destination_required)?;
        Ok(match kind {
            MessageKind::Request => LogoutMessage::Request(self.request(signed, parts, fields)?),
            MessageKind::Response => LogoutMessage::Response(self.response(signed, parts)?),
        })
    }
}

/// Sizes, the raw scan, the one strict parse, IDs.
fn parse(octets: &[u8]) -> Result<Tape<'_>, LogoutRefusal> {
    if octets.len() > DECODED_BYTES_MAX && stands(Guard::DecodedSize) {
        return Err(Reason::DecodedTooLarge.into());
    }
    let tape = xml::parse(xml::scan(octets)?)?;
    super::structure::check_ids(&tape)?;
    Ok(tape)
}
