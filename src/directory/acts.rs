//! What people do by hand: who acts, who may, and why not.
use crate::{
    domain::{AddressId, BatchId, MembershipSource, OrganizationSlug, Person, PersonId, Role, Timestamp},
    store::StoreError,
    telemetry::{AuditAction, Trigger},
};

use super::{Cause, Contended, Directory, Enterprise, amend::Matter};

/// Who acts.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    who: Option<(PersonId, &'a str)>,
    request_id: &'a str,
}

impl<'a> Actor<'a> {
    /// Somebody who is signed in, by id and stable id's value.
    pub fn person(id: PersonId, user: &'a str, request_id: &'a str) -> Self {
        Self { who: Some((id, user)), request_id }
    }

    /// Whoever runs the gateway, at the command line: may do what any owner may.
    pub fn operator(request_id: &'a str) -> Self {
        Self { who: None, request_id }
    }

    pub(super) fn id(&self) -> Option<PersonId> {
        self.who.map(|(id, _)| id)
    }

    pub(super) fn user(&self) -> Option<&'a str> {
        self.who.map(|(_, user)| user)
    }

    pub(super) fn request_id(&self) -> &'a str {
        self.request_id
    }

    /// For something that is done to `person`.
    pub(super) fn cause(&self, person: PersonId) -> Cause<'a> {
        let trigger = match self.id() {
            None => Trigger::Operator,
            Some(id) if id == person => Trigger::Person,
            Some(_) => Trigger::Owner,
        };
        Cause::by(trigger, self.who, self.request_id)
    }

    /// Names what one act removes, so that it can be restored together.
    pub(super) fn batch(&self, now: Timestamp) -> BatchId {
        BatchId::parse(&format!("act-{}", self.request_id)).unwrap_or_else(|| BatchId::of_hour("act", now))
    }
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    #[error("only an owner of it may do this")]
    NotAllowed,
    #[error("the enterprise has no such organization")]
    UnknownOrganization,
    #[error("the enterprise knows no such person")]
    UnknownPerson,
    #[error("the person is no member of the organization")]
    NotMember,
    /// Section 2.2: an owner changes the roles of others.
    #[error("nobody changes their own role")]
    OwnRole,
    /// A8, V-12
    #[error("the organization would have no owner, and last_owner = \"protect\"")]
    LastOwner,
    /// Statement 8
    #[error("the organization has an owner")]
    HasOwner,
    #[error("no removal of this person waits for a decision")]
    NotHeld,
    #[error("there is no membership that ended within the last 90 days")]
    NotRestorable,
    /// A12
    #[error("the person is deactivated or deleted")]
    Inactive,
    #[error("there is an organization of this name already")]
    OrganizationExists,
    #[error("the configuration lists the organization, so only the configuration decides this")]
    OrganizationConfigured,
    #[error("{0}")]
    OrganizationInvalid(&'static str),
    #[error("the enterprise has as many organizations as it may")]
    TooManyOrganizations,
    #[error(transparent)]
    Contended(#[from] Contended),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ActError {
    /// Stable code for logs, answers and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::UnknownOrganization => "organization_unknown",
            Self::UnknownPerson => "person_unknown",
            Self::NotMember => "not_a_member",
            Self::OwnRole => "own_role",
            Self::LastOwner => "last_owner",
            Self::HasOwner => "organization_owned",
            Self::NotHeld => "removal_not_held",
            Self::NotRestorable => "membership_not_restorable",
            Self::Inactive => "person_inactive",
            Self::OrganizationExists => "organization_exists",
            Self::OrganizationConfigured => "organization_configured",
            Self::OrganizationInvalid(_) => "organization_invalid",
            Self::TooManyOrganizations => "organizations_exceeded",
            Self::Contended(_) => "store_contended",
            Self::Store(_) => "store_unavailable",
        }
    }

    /// What to do about it, as `docs/REASONS.md` says it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotAllowed => "Ask an owner of the organization or of the enterprise.",
            Self::UnknownOrganization => "Compare the name with the list of organizations.",
            Self::UnknownPerson => "People are known from their first sign-in on.",
            Self::NotMember => {
                "Invite the person, or let the identity provider put the person into the group."
            }
            Self::OwnRole => "Let another owner do it.",
            Self::LastOwner => "Make somebody else an owner first.",
            Self::HasOwner => "Only an organization without an owner can be claimed: ask its owners.",
            Self::NotHeld => "Look at the list again: it was decided, or the person is back in the group.",
            Self::NotRestorable => {
                "Invite the person, or let the identity provider put the person into the group."
            }
            Self::Inactive => "Reactivate the person first.",
            Self::OrganizationExists => "Choose another name.",
            Self::OrganizationConfigured => {
                "Change the enterprise's `managed` or `mappings` in the configuration."
            }
            Self::OrganizationInvalid(_) => "Mend what the message says.",
            Self::TooManyOrganizations => "List organizations in the configuration instead.",
            Self::Contended(_) => {
                "Let the person sign in again; if it stays, something writes to the same person all the time."
            }
            Self::Store(_) => "Look at `/readyz` and at the store's own log.",
        }
    }
}

impl Directory {
    /// Whether the person owns the enterprise: is listed in the configuration, known, and active.
    pub fn is_enterprise_owner(enterprise: &Enterprise, person: &Person) -> bool {
        person.standing.is_active() && enterprise.owners.contains(&person.profile.user)
    }

    /// Lets owners of the enterprise pass, and of the organization if one is named. What the actor is now is looked up, not
    /// what it was when its session began.
    pub(super) async fn require_owner(
        &self,
        enterprise: &Enterprise,
        actor: &Actor<'_>,
        organization: Option<&OrganizationSlug>,
        now: Timestamp,
    ) -> Result<(), ActError> {
        let Some(id) = actor.id() else { return Ok(()) };
        let person = self.person(enterprise.id, id, now).await?.ok_or(ActError::NotAllowed)?;
        let owns = |slug| person.membership(slug).is_some_and(|member| member.role == Role::Owner);
        let may = Self::is_enterprise_owner(enterprise, &person)
            || (person.standing.is_active() && organization.is_some_and(owns));
        if may { Ok(()) } else { Err(ActError::NotAllowed) }
    }

    pub(super) async fn require_organization(
        &self,
        enterprise: &Enterprise,
        slug: &OrganizationSlug,
        now: Timestamp,
    ) -> Result<(), ActError> {
        let effective = self.effective(enterprise, now).await?;
        if effective.knows(enterprise, slug) { Ok(()) } else { Err(ActError::UnknownOrganization) }
    }

    pub(super) async fn require_person(
        &self,
        enterprise: &Enterprise,
        id: PersonId,
        now: Timestamp,
    ) -> Result<Person, ActError> {
        self.person(enterprise.id, id, now).await?.ok_or(ActError::UnknownPerson)
    }
}

/// An act upon one person.
#[derive(Debug, Clone, Copy)]
pub(super) struct Act<'a> {
    pub enterprise: &'a Enterprise,
    pub actor: Actor<'a>,
    pub person: PersonId,
    pub now: Timestamp,
}

impl<'a> Act<'a> {
    /// The matter of it; `rule` is told where the changes themselves do not say why.
    pub fn matter(&self, source: MembershipSource, rule: Option<&'a str>) -> Matter<'a> {
        Matter {
            enterprise: self.enterprise,
            person: self.person,
            addresses: vec![],
            source,
            is_automatic: false,
            batch: self.actor.batch(self.now),
            cause: Cause { rule, ..self.actor.cause(self.person) },
            now: self.now,
        }
    }

    /// The matter of an act that is an event of its own, and concerns the invitations to the person too.
    pub fn matter_of(
        &self,
        event: AuditAction,
        rule: Option<&'a str>,
        address: Option<AddressId>,
    ) -> Matter<'a> {
        let matter = self.matter(MembershipSource::Manual, rule);
        let cause = Cause { act: Some(event), ..matter.cause };
        Matter { addresses: address.into_iter().collect(), cause, ..matter }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_documented() {
        let all = [
            ActError::NotAllowed,
            ActError::UnknownOrganization,
            ActError::UnknownPerson,
            ActError::NotMember,
            ActError::OwnRole,
            ActError::LastOwner,
            ActError::HasOwner,
            ActError::NotHeld,
            ActError::NotRestorable,
            ActError::Inactive,
            ActError::OrganizationExists,
            ActError::OrganizationConfigured,
            ActError::OrganizationInvalid(""),
            ActError::TooManyOrganizations,
            ActError::Contended(Contended),
            ActError::Store(StoreError::Timeout(1)),
        ];
        for error in &all {
            let entry = format!("\n- `{}`", error.code());
            let (_, after) = include_str!("../../docs/REASONS.md").split_once(&entry).expect(&entry);
            let line = after.lines().next().unwrap();
            assert!(line.ends_with(error.hint()), "{entry}: {}", error.hint());
        }
    }
}
