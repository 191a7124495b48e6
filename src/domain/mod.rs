//! Nouns and newtypes that every other module speaks: who people are, what they belong to, how they signed in.
//!
//! Nothing here is serialized, reads a clock or talks to anything: see `store::records` for what lies in the store.
mod account_name;
mod back_off;
mod caller;
mod claims;
mod email;
mod ids;
mod invitation;
mod mail;
mod membership;
mod recovery;
mod scim;
mod scim_id;
mod scim_token;
mod secret;
mod session;
mod text;
mod token;
pub mod url;
mod webhook;

pub use account_name::{ACCOUNT_NAME_BYTES_MAX, AccountName, AccountNameError, fold_case};
pub use back_off::{BackOff, seconds_after};
pub use caller::{ActiveToken, Caller, CallerId, TokenHolder};
pub use claims::{Attribute, GroupClaim, GroupName, NameId, Profile, StableId};
pub use email::EmailAddress;
pub use ids::{
    AddressId, BatchId, EnterpriseId, Id, InvitationId, LogoutHandle, MailId, OrganizationId, PersonId,
    RequestId, ScimTokenId, SessionId, SessionToken, SignInHandle, SubjectId, TokenId, WebhookId,
};
pub(crate) use ids::{digest, hex, hex_digits, parse_hex};
pub use invitation::{Invitation, InvitationReference, InvitationSecret, InvitationSource, Invitee};
pub use mail::{MailSubject, QueuedMail};
pub use membership::{
    FORMER_DAYS, FormerMembership, HeldRemoval, Membership, MembershipSource, Organization, Person, Pin,
    PinReason, Role, Standing,
};
pub use recovery::{RECOVERY_CODES, RECOVERY_RANDOM_BYTES, RecoveryCodes, RecoveryMatch};
pub use scim::{ScimGroup, ScimGroupJob, ScimMembership, ScimUser};
pub use scim_id::ScimId;
pub use scim_token::{ActiveScimToken, ScimToken, ScimTokenHolder};
pub use secret::{OWN_TOKEN_PREFIXES, ScimSecret, TokenSecret};
pub use session::{ActiveSession, AuthnDemand, IdpDocument, PendingLogout, PendingSignIn, Session};
pub use text::{EnterpriseSlug, OrganizationSlug, SlugError};
pub use token::{AccessToken, Scope};
pub use webhook::{WebhookCursor, WebhookLease};

/// A point in time. Everything is UTC; SAML, SCIM and the store all count from the Unix epoch.
pub type Timestamp = jiff::Timestamp;
