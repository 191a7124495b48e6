//! Mails on their way out, as what they are about: the words come from templates when they are sent.
use super::{InvitationReference, InvitationSecret, MailId, OrganizationSlug, Role, Timestamp};

/// A mail that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMail {
    pub id: MailId,
    pub to: String,
    pub subject: MailSubject,
    pub queued_at: Timestamp,
    /// When it is tried next. While a gateway is at it: when another may take over.
    pub due_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}

/// What a mail is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailSubject {
    Invitation {
        organization: OrganizationSlug,
        reference: InvitationReference,
        role: Role,
        /// How the person who sent it is shown.
        inviter: Option<String>,
        /// Worth nothing without a sign-in as the invited person, and gone from the store with the mail.
        secret: InvitationSecret,
        expires_at: Option<Timestamp>,
    },
    /// An invitation was withdrawn.
    InvitationCancelled { organization: OrganizationSlug },
    /// A membership ended.
    Removed { organization: OrganizationSlug },
    /// To owners: removals from it wait for them (D7).
    RemovalsHeld { organization: OrganizationSlug },
}

impl MailSubject {
    pub fn organization(&self) -> &OrganizationSlug {
        match self {
            Self::Invitation { organization, .. }
            | Self::InvitationCancelled { organization }
            | Self::Removed { organization }
            | Self::RemovalsHeld { organization } => organization,
        }
    }

    /// Stable, for logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Invitation { .. } => "invitation",
            Self::InvitationCancelled { .. } => "invitation_cancelled",
            Self::Removed { .. } => "removed",
            Self::RemovalsHeld { .. } => "removals_held",
        }
    }
}
