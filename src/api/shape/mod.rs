//! What the API shows: each shape has its schema of the same name in `schemas`.
//!
//! Points in time are RFC 3339 texts, ids lower-case hexadecimal digits.
mod access;
mod invitations;
mod plans;

use serde::Serialize;

pub use access::{
    CredentialShape, NewScimTokenShape, NewTokenShape, ScimTokenShape, SessionShape, TokenShape,
    read_credential_id,
};
pub use invitations::InvitationShape;
pub use plans::{AuditEntryShape, Explained, HoldShape, PlanShape, RestoredShape};

use crate::{
    api::caller::Caller,
    domain::{self, FormerMembership, Membership, Organization, Person, Role, Standing, Timestamp},
};

fn time(at: Timestamp) -> String {
    at.to_string()
}

/// The caller, as the credential shows them.
#[derive(Serialize)]
pub struct User {
    id: String,
    user: String,
    enterprise: String,
    is_enterprise_owner: bool,
    /// `session` or `token`.
    credential: &'static str,
    organizations: Vec<OwnMembership>,
}

#[derive(Serialize)]
struct OwnMembership {
    organization: String,
    role: &'static str,
    source: &'static str,
    since: String,
}

impl User {
    pub fn of(caller: &Caller, enterprise: &str) -> Self {
        let own = |m: &Membership| OwnMembership {
            organization: m.organization.to_string(),
            role: m.role.as_str(),
            source: m.source.as_str(),
            since: time(m.since),
        };
        Self {
            id: caller.person.to_string(),
            user: caller.user.clone(),
            enterprise: enterprise.to_owned(),
            is_enterprise_owner: caller.is_enterprise_owner,
            credential: match caller.credential {
                domain::Caller::Session(_) => "session",
                domain::Caller::Token(_) => "token",
            },
            organizations: caller.memberships.iter().map(own).collect(),
        }
    }
}

/// An entry of a list of organizations.
#[derive(Serialize)]
pub struct OrganizationSummary {
    pub login: String,
    pub display_name: Option<String>,
    /// The caller's own; `null` for an owner of the enterprise who is no member.
    pub role: Option<&'static str>,
}

impl OrganizationSummary {
    pub fn of(record: &Organization, role: Option<Role>) -> Self {
        Self {
            login: record.slug.to_string(),
            display_name: record.display_name.clone(),
            role: role.map(Role::as_str),
        }
    }
}

#[derive(Serialize)]
pub struct OrganizationShape {
    id: String,
    login: String,
    display_name: Option<String>,
    /// Whether groups decide about its members.
    managed: bool,
    aliases: Vec<String>,
    owners: usize,
    unowned_since: Option<String>,
    created_at: Option<String>,
}

impl OrganizationShape {
    /// `managed` as it is in effect.
    pub fn of(record: &Organization, managed: bool) -> Self {
        Self {
            id: record.id.to_string(),
            login: record.slug.to_string(),
            display_name: record.display_name.clone(),
            managed,
            aliases: record.aliases.clone(),
            owners: record.owners.len(),
            unowned_since: record.unowned_since.map(time),
            created_at: record.created_at.map(time),
        }
    }
}

/// An entry of a list of members.
#[derive(Serialize)]
pub struct Member {
    id: String,
    user: String,
    display_name: Option<String>,
    role: &'static str,
    source: &'static str,
    since: String,
}

impl Member {
    pub fn of(person: &Person, membership: &Membership) -> Self {
        Self {
            id: person.id.to_string(),
            user: person.profile.user.clone(),
            display_name: person.profile.display_name.clone(),
            role: membership.role.as_str(),
            source: membership.source.as_str(),
            since: time(membership.since),
        }
    }
}

/// A person's place in one organization, with what keeps or threatens it.
#[derive(Serialize)]
pub struct MembershipShape {
    #[serde(flatten)]
    member: Member,
    organization: String,
    email: Option<String>,
    /// `claim` or `owner`: why automation does not end it.
    pinned: Option<&'static str>,
    /// Since when a removal waits for a decision, and its batch.
    held_since: Option<String>,
    held_batch: Option<String>,
}

impl MembershipShape {
    pub fn of(person: &Person, membership: &Membership) -> Self {
        let held = membership.held.as_ref();
        Self {
            member: Member::of(person, membership),
            organization: membership.organization.to_string(),
            email: person.profile.email.clone(),
            pinned: membership.pin.map(|pin| pin.reason.as_str()),
            held_since: held.map(|held| time(held.since)),
            held_batch: held.map(|held| held.batch.to_string()),
        }
    }
}

/// A person, as an owner of the enterprise sees them.
#[derive(Serialize)]
pub struct PersonShape {
    id: String,
    user: String,
    email: Option<String>,
    display_name: Option<String>,
    /// `active`, `deactivated` or `deleted`.
    standing: &'static str,
    standing_since: Option<String>,
    linked_at: Option<String>,
    issuer: String,
    created_at: String,
    last_sign_in_at: String,
    memberships: Vec<MembershipShape>,
    former: Vec<Former>,
    last_groups: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Former {
    organization: String,
    role: &'static str,
    source: &'static str,
    since: String,
    ended_at: String,
    batch: String,
}

/// The word for a standing, and since when it is so.
pub fn standing(standing: Standing) -> (&'static str, Option<Timestamp>) {
    match standing {
        Standing::Active => ("active", None),
        Standing::Deactivated { since } => ("deactivated", Some(since)),
        Standing::Deleted { since } => ("deleted", Some(since)),
    }
}

impl PersonShape {
    pub fn of(person: &Person) -> Self {
        let (word, since) = standing(person.standing);
        let former = |f: &FormerMembership| Former {
            organization: f.organization.to_string(),
            role: f.role.as_str(),
            source: f.source.as_str(),
            since: time(f.since),
            ended_at: time(f.ended_at),
            batch: f.batch.to_string(),
        };
        Self {
            id: person.id.to_string(),
            user: person.profile.user.clone(),
            email: person.profile.email.clone(),
            display_name: person.profile.display_name.clone(),
            standing: word,
            standing_since: since.map(time),
            linked_at: person.linked_at.map(time),
            issuer: person.issuer.clone(),
            created_at: time(person.created_at),
            last_sign_in_at: time(person.last_sign_in_at),
            memberships: person.memberships.iter().map(|m| MembershipShape::of(person, m)).collect(),
            former: person.former.iter().map(former).collect(),
            last_groups: person.last_groups.clone(),
        }
    }
}
