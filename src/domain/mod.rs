//! Nouns and newtypes that every other module speaks: who people are, what they belong to, how they signed in.
//!
//! Nothing here is serialized, reads a clock or talks to anything: see `store::records` for what lies in the store.
mod claims;
mod ids;
mod membership;
mod session;
mod text;
pub mod url;

pub use claims::{Attribute, GroupClaim, GroupName, NameId, Profile, StableId};
pub(crate) use ids::digest;
pub use ids::{
    EnterpriseId, Id, InvitationId, LogoutHandle, OrganizationId, PersonId, RequestId, SessionId,
    SessionToken, SignInHandle, SubjectId,
};
pub use membership::{
    Invitation, InvitationSource, Membership, MembershipSource, Organization, Person, Role,
};
pub use session::{ActiveSession, AuthnDemand, IdpDocument, PendingLogout, PendingSignIn, Session};
pub use text::{EnterpriseSlug, OrganizationSlug, SlugError};

/// A point in time. Everything is UTC; SAML, SCIM and the store all count from the Unix epoch.
pub type Timestamp = jiff::Timestamp;
