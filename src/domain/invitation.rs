//! Offers of membership, addressed to an e-mail address.
use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::{AddressId, InvitationId, OrganizationSlug, PersonId, Role, Timestamp, parse_hex};

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
    /// Since when it is known that the mail does not reach anybody.
    pub undeliverable_since: Option<Timestamp>,
}

impl Invitation {
    /// What can be accepted. What cannot has failed: it ran out, or its mail reached nobody.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.failed_at(now).is_none()
    }

    /// Since when it has failed, and why: `expired` or `undeliverable`.
    pub fn failed_at(&self, now: Timestamp) -> Option<(Timestamp, &'static str)> {
        let expired = self.expires_at.filter(|end| now >= *end).map(|end| (end, "expired"));
        self.undeliverable_since.map(|since| (since, "undeliverable")).or(expired)
    }
}

/// Where an invitation lies: what the mail's link names beside the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InvitationReference {
    pub address: AddressId,
    pub invitation: InvitationId,
}

impl InvitationReference {
    /// Address, then invitation: the members of the store's sets.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let (address, invitation) = bytes.split_at_mut(16);
        address.copy_from_slice(self.address.as_bytes());
        invitation.copy_from_slice(self.invitation.as_bytes());
        bytes
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let (mut address, mut invitation) = ([0; 16], [0; 16]);
        let (first, second) = bytes.split_at(16);
        address.copy_from_slice(first);
        invitation.copy_from_slice(second);
        Self { address: AddressId::from_bytes(address), invitation: InvitationId::from_bytes(invitation) }
    }

    /// Reads 64 lower-case hexadecimal digits, as [`fmt::Display`] writes them.
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(Self::from_bytes)
    }
}

impl fmt::Display for InvitationReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.address, self.invitation)
    }
}

/// The secret in the link of an invitation's mail: 256 random bits as 43 characters of base64url.
#[derive(Clone, PartialEq, Eq)]
pub struct InvitationSecret(String);

impl InvitationSecret {
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// `None` for anything but 43 characters of canonical base64url.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == 32).then(|| Self(text.to_owned()))
    }

    /// For the link, and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the invitation keeps. Comparing hashes tells by its time nothing of the secret.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for InvitationSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvitationSecret(…)")
    }
}

/// What lies under one address: at most one invitation for each organization, sorted by organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitee {
    pub address: AddressId,
    pub invitations: Vec<Invitation>,
}
