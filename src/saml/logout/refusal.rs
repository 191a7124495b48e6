//! Why a logout message was refused.
use super::super::{Reason, Refusal};

/// Codes are stable: logs, metrics and `docs/REASONS.md` name them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogoutRefusal {
    /// A step that responses pass too, with their code.
    #[error("{0}")]
    Message(Box<Refusal>),
    #[error("neither SAMLRequest nor SAMLResponse")]
    MessageMissing,
    #[error("both SAMLRequest and SAMLResponse")]
    RequestAndResponse,
    #[error("{0} is there twice")]
    ParameterTwice(&'static str),
    #[error("{0} is not encoded as the binding asks")]
    ParameterEncoding(&'static str),
    #[error("the message is no raw DEFLATE data")]
    DeflateInvalid,
    #[error("the message inflates to more than {} bytes", super::query::INFLATED_BYTES_MAX)]
    InflatedTooLarge,
    #[error("there are bytes behind the DEFLATE data")]
    DeflateTrailing,
    #[error("the SOAP envelope is not of one body with one message, or demands what is not understood")]
    SoapEnvelope,
    #[error("the message is no LogoutRequest or LogoutResponse, whichever its parameter says")]
    NotLogout,
    #[error("the message's children are not those of the schema, in its order")]
    Shape,
    #[error("the LogoutRequest names more than {} sessions", super::message::SESSION_INDEXES_MAX)]
    SessionIndexesExceeded,
    #[error("the LogoutRequest has expired")]
    Expired,
}

impl LogoutRefusal {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Message(refusal) => refusal.reason.code(),
            Self::MessageMissing => "message_missing",
            Self::RequestAndResponse => "request_and_response",
            Self::ParameterTwice(_) => "parameter_twice",
            Self::ParameterEncoding(_) => "parameter_encoding",
            Self::DeflateInvalid => "deflate_invalid",
            Self::InflatedTooLarge => "inflated_too_large",
            Self::DeflateTrailing => "deflate_trailing",
            Self::SoapEnvelope => "soap_envelope",
            Self::NotLogout => "not_logout",
            Self::Shape => "logout_shape",
            Self::SessionIndexesExceeded => "session_indexes_exceeded",
            Self::Expired => "logout_expired",
        }
    }
}

impl From<Refusal> for LogoutRefusal {
    fn from(refusal: Refusal) -> Self {
        Self::Message(Box::new(refusal))
    }
}

impl From<Reason> for LogoutRefusal {
    fn from(reason: Reason) -> Self {
        Refusal::from(reason).into()
    }
}
