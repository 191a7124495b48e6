//! Why a metadata document is not taken.
use crate::saml::{ConnectionError, Refusal, limits::METADATA_BYTES_MAX};

/// One reason each; codes stand in `docs/REASONS.md`. What comes from the document is bounded and tame, as in a [`Refusal`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    #[error("the document is longer than {METADATA_BYTES_MAX} bytes")]
    TooLarge,
    /// The strict XML pass, the IDs, or the signature.
    #[error("{0}")]
    Refused(Box<Refusal>),
    #[error("the root element is {found}, not one EntityDescriptor")]
    Root { found: String },
    #[error("the document describes more than one entity")]
    SeveralEntities,
    #[error("the document describes {found:?}, not {expected:?}")]
    EntityMismatch { expected: String, found: String },
    #[error("the entity is no SAML 2.0 identity provider")]
    NoIdp,
    #[error("the entity has several identity provider roles for SAML 2.0")]
    SeveralIdps,
    #[error("a pinned certificate must have signed the document, and it has no signature")]
    SignatureMissing,
    #[error("a signature stands elsewhere than first in the root element")]
    SignatureMisplaced,
    #[error("{attribute} is {found:?}, which is no UTC timestamp")]
    Timestamp { attribute: &'static str, found: String },
    #[error("cacheDuration is {found:?}, which is no duration")]
    Duration { found: String },
    #[error("the document was valid until {until}")]
    Expired { until: String },
    #[error("no KeyDescriptor holds a certificate for signing")]
    NoSigningKey,
    #[error("a KeyDescriptor for signing {why}")]
    KeyDescriptor { why: &'static str },
    #[error("{0}")]
    Key(#[from] ConnectionError),
    #[error("there is no SingleSignOnService for the HTTP-Redirect binding")]
    NoSingleSignOn,
    #[error("the location {location:?} {why}")]
    Location { location: String, why: &'static str },
}

impl MetadataError {
    /// Stable code for logs, metrics and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "metadata_too_large",
            Self::Refused(refusal) => refusal.reason.code(),
            Self::Root { .. } => "metadata_root",
            Self::SeveralEntities => "metadata_several_entities",
            Self::EntityMismatch { .. } => "metadata_entity_mismatch",
            Self::NoIdp => "metadata_no_idp",
            Self::SeveralIdps => "metadata_several_idps",
            Self::SignatureMissing => "metadata_signature_missing",
            Self::SignatureMisplaced => "metadata_signature_misplaced",
            Self::Timestamp { .. } => "metadata_timestamp",
            Self::Duration { .. } => "metadata_duration",
            Self::Expired { .. } => "metadata_expired",
            Self::NoSigningKey => "metadata_no_signing_key",
            Self::KeyDescriptor { .. } => "metadata_key_descriptor",
            Self::Key(_) => "metadata_key",
            Self::NoSingleSignOn => "metadata_no_single_sign_on",
            Self::Location { .. } => "metadata_location",
        }
    }
}

impl From<Refusal> for MetadataError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saml::Reason;

    #[test]
    fn every_reason_is_documented() {
        let all = [
            MetadataError::TooLarge,
            MetadataError::Refused(Box::new(Reason::DigestMismatch.into())),
            MetadataError::Root { found: String::new() },
            MetadataError::SeveralEntities,
            MetadataError::EntityMismatch { expected: String::new(), found: String::new() },
            MetadataError::NoIdp,
            MetadataError::SeveralIdps,
            MetadataError::SignatureMissing,
            MetadataError::SignatureMisplaced,
            MetadataError::Timestamp { attribute: "validUntil", found: String::new() },
            MetadataError::Duration { found: String::new() },
            MetadataError::Expired { until: String::new() },
            MetadataError::NoSigningKey,
            MetadataError::KeyDescriptor { why: "" },
            MetadataError::Key(ConnectionError::NoKey),
            MetadataError::NoSingleSignOn,
            MetadataError::Location { location: String::new(), why: "" },
        ];
        for error in &all {
            let entry = format!("\n- `{}`", error.code());
            assert!(include_str!("../../../docs/REASONS.md").contains(&entry), "{entry}");
        }
    }
}
