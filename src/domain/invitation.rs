//! Offers of membership, addressed to an e-mail address.
use super::{AddressId, InvitationId, OrganizationSlug, PersonId, Role, Timestamp};

/// Who issued an invitation: an owner by hand, or a SCIM call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvitationSource {
    Manual,
    Scim,
}

impl InvitationSource {
    pub const ALL: [Self; 2] = [Self::Manual, Self::Scim];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Scim => "scim",
        }
    }
}

/// An offer of membership that was neither accepted nor cancelled. Manual ones fail after seven days, SCIM ones never (A14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    pub id: InvitationId,
    pub organization: OrganizationSlug,
    pub role: Role,
    pub source: InvitationSource,
    /// As it was given; [`AddressId`] compares.
    pub email: String,
    /// Whom alone it invites; `None`: whoever signs in with that address.
    pub person: Option<PersonId>,
    /// Who sent it by hand.
    pub inviter: Option<PersonId>,
    pub invited_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// SHA-256 of the secret in the mail's link.
    pub secret: [u8; 32],
    /// How often the mail was sent, and when last.
    pub sent: u32,
    pub sent_at: Timestamp,
}

impl Invitation {
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// What lies under one address: at most one invitation for each organization, sorted by organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitee {
    pub address: AddressId,
    pub invitations: Vec<Invitation>,
}
