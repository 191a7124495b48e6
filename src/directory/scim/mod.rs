//! Users and groups that an identity provider provisions by SCIM: how they lie in the store, and what a call means for
//! memberships (tables T1 and 4.4 of the decision engine).
//!
//! `users` and `groups` create, read, change and delete; `members` changes who is in a group, in one commit, or as a `job` that any
//! gateway finishes where it is too much for one; `lookup` finds by index, lists and scans within bounds; `meaning` decides what becomes of
//! a person's memberships and invitations; `tell` says what happened. Everything that changes a membership goes through `amend`.
mod groups;
pub(super) mod index;
mod job;
mod lookup;
mod meaning;
mod members;
mod place;
mod tell;
mod users;

use super::{Contended, Enterprise, StoreError};
use crate::{
    domain::{EnterpriseId, OrganizationSlug, PersonId, ScimGroup, ScimId, ScimUser, StableId, Timestamp},
    saml::SubjectKey,
    scim::{Etags, Resource, Version},
};

pub use self::{
    place::{SCIM_PLACE_BYTES, ScimPlace},
    tell::{ScimCallEvent, ScimCallFailure},
};
pub use crate::scim::MembersChange;

/// How long a provider waits before it asks again for what waits for an owner, in seconds.
pub const HELD_RETRY_SECONDS: u32 = 600;
/// Groups that one user may be in.
pub const GROUPS_PER_USER_MAX: usize = 500;
/// Members that one request may change.
pub const MEMBERS_PER_CALL_MAX: usize = 100_000;
/// Records that one filter may look at where no index helps.
pub const SCAN_RECORDS_MAX: u64 = 20_000;
/// How long one filter may look, in milliseconds.
pub const SCAN_MILLIS_MAX: u64 = 250;
/// Attempts at one commit; each failed one means that somebody else's succeeded.
const ATTEMPTS_MAX: usize = 64;
/// Members that one commit changes: each takes about fifteen of its steps.
const MEMBERS_PER_COMMIT_MAX: usize = 400;

/// What one enterprise's SCIM calls go by.
#[derive(Debug, Clone, PartialEq)]
pub struct ScimSettings {
    pub link: ScimLink,
    /// The entity ID of the enterprise's IdP.
    pub idp: String,
    /// What identifies the people of the enterprise's connection.
    pub subject: SubjectKey,
    pub unmatched_groups: UnmatchedGroups,
    pub on_group_delete: OnGroupDelete,
    /// Whether who is reactivated is invited to the organizations that they were in within the last 90 days.
    pub reinvite: bool,
}

/// Which attribute of a SCIM user says who signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScimLink {
    /// `userName` is the NameID, byte for byte.
    #[default]
    UserName,
    /// `externalId` is the value of the connection's subject, such as Entra ID's object id.
    ExternalId,
}

/// What is done about a group whose name is no organization's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnmatchedGroups {
    #[default]
    Refuse,
    /// It is kept, and corresponds to nothing.
    Accept,
}

/// What becomes of an organization's members when its group is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnGroupDelete {
    /// They stay; the group decides about them no more.
    #[default]
    Keep,
    /// They leave, behind the removal guard.
    Remove,
}

/// One call. The tenant comes from the token and nowhere else (V-02).
#[derive(Debug, Clone, Copy)]
pub struct ScimCall<'a> {
    pub enterprise: &'a Enterprise,
    pub settings: &'a ScimSettings,
    /// The HTTP request's id.
    pub request_id: &'a str,
    /// What the resource must be still (RFC 7644 3.14).
    pub if_match: Option<&'a Etags>,
    /// What is told of the call itself: by the commit that carries it out, where one commit does.
    pub event: Option<&'a ScimCallEvent>,
    pub now: Timestamp,
}

impl ScimCall<'_> {
    /// Whether it is about one version of the resource, and not about any.
    fn names_version(&self) -> bool {
        matches!(self.if_match, Some(Etags::List(_)))
    }
}

/// A user as it is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct ScimUserView {
    pub user: ScimUser,
    pub resource: Resource,
    /// The groups that the user is in, with their names, in the order in which the user came into them.
    pub groups: Vec<(ScimId, String)>,
    /// Of everything above, but for the names of the groups.
    pub version: Version,
}

/// A group as it is answered, without its members.
#[derive(Debug, Clone, PartialEq)]
pub struct ScimGroupView {
    pub group: ScimGroup,
    pub resource: Resource,
    /// The later of the group's own change and its members'.
    pub modified_at: Timestamp,
    pub version: Version,
}

/// Part of a list in the order of creation, and how many there are.
#[derive(Debug, Clone, PartialEq)]
pub struct ScimPage<T> {
    pub total: u64,
    pub resources: Vec<T>,
    /// Where the next page goes on, if there is more behind this one.
    pub next: Option<ScimPlace>,
}

/// Where a page of a list in the order of creation begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimFrom {
    /// Behind so many.
    Number(u64),
    /// Behind this one, which may be gone by now.
    Behind(ScimPlace),
}

/// What an index finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserLookup<'a> {
    Id(ScimId),
    /// In any letter case.
    UserName(&'a str),
    /// Byte for byte.
    ExternalId(&'a str),
    /// Any of a user's addresses, in any letter case.
    Email(&'a str),
    /// The members of a group.
    Group(ScimId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupLookup<'a> {
    Id(ScimId),
    /// In any letter case.
    DisplayName(&'a str),
    /// Byte for byte.
    ExternalId(&'a str),
    /// The groups that a user is in.
    Member(ScimId),
}

/// Why a call was not carried out. Nothing of it was done, but for [`ScimFault::Held`].
#[derive(Debug, thiserror::Error)]
pub enum ScimFault {
    #[error("there is no such resource")]
    NotFound,
    #[error("another user has this userName")]
    UserNameTaken,
    #[error("another user is linked to the same person")]
    LinkTaken,
    #[error("another group has this displayName")]
    GroupNameTaken,
    #[error("userName is missing, longer than it may be, or has characters that cannot be told apart")]
    UserName,
    #[error("externalId is missing, and it is what links a user to their sign-ins here")]
    ExternalIdMissing,
    #[error("the user has no e-mail address that an invitation could go to")]
    EmailMissing,
    #[error("displayName is missing or longer than it may be")]
    GroupName,
    /// Section 4.4
    #[error("displayName is the name of no organization of this enterprise")]
    GroupUnmatched,
    /// A7
    #[error("the group corresponds to an organization and has members: it cannot be renamed")]
    GroupRenamed,
    #[error("there is no user with the id {0}; nested groups are not supported")]
    UnknownMember(ScimId),
    #[error("there is no group with the id {0}")]
    UnknownGroup(ScimId),
    #[error("a user would be in more than {GROUPS_PER_USER_MAX} groups")]
    TooManyGroups,
    #[error("more than {MEMBERS_PER_CALL_MAX} members in one request")]
    TooManyMembers,
    #[error("no index answers the filter, and there is too much to look through")]
    TooMany,
    /// D7: the removals wait for an owner. Asking again is right.
    #[error("{removals} removals from {organization} wait for an owner's approval")]
    Held { organization: OrganizationSlug, removals: usize },
    /// RFC 7644 3.14
    #[error("the resource has another version")]
    VersionMismatch,
    #[error(transparent)]
    Contended(#[from] Contended),
    #[error("no randomness from the operating system: {0}")]
    Random(#[from] getrandom::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ScimSettings {
    /// The person behind a user, derived as a sign-in derives it.
    pub fn person(&self, enterprise: EnterpriseId, value: &str) -> PersonId {
        let value = value.to_owned();
        let stable_id = match &self.subject {
            SubjectKey::NameId => StableId::NameId(value),
            SubjectKey::Attribute(name) => StableId::Attribute { name: name.clone(), value },
        };
        PersonId::of_stable_id(enterprise, &self.idp, &stable_id)
    }
}

/// RFC 7644 3.14
fn check_match(call: &ScimCall<'_>, version: &Version) -> Result<(), ScimFault> {
    match call.if_match {
        Some(etags) if !etags.matches(version) => Err(ScimFault::VersionMismatch),
        _ => Ok(()),
    }
}
