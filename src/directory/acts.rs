//! What people do by hand: who acts, who may, and why not.
use crate::{
    domain::{AddressId, BatchId, MembershipSource, OrganizationSlug, Person, PersonId, Role, Timestamp},
    provisioning::Plan,
    store::{Key, Op, Reply, Revision, StoreError, records},
    telemetry::{AuditAction, Trigger},
};

use super::{
    Cause, Contended, Directory, Enterprise,
    amend::{Amended, Decision, Matter, View},
    unexpected_reply,
};

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
            Self::Store(error) => error.code(),
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
            Self::Store(error) => error.hint(),
        }
    }
}

impl Directory {
    /// Whether the person owns the enterprise: is listed in the configuration, known, and active.
    pub fn is_enterprise_owner(enterprise: &Enterprise, person: &Person) -> bool {
        person.standing.is_active() && enterprise.owners.contains(&person.profile.user)
    }

    /// Lets owners of the enterprise pass, for what is no act upon a person. What the actor is now is looked up, not what it was
    /// when its session began; the answer is what the act's commit has to expect, so that who is put out at that moment acts no
    /// more.
    pub(super) async fn require_owner(
        &self,
        enterprise: &Enterprise,
        actor: &Actor<'_>,
        now: Timestamp,
    ) -> Result<Option<(Key, Revision)>, ActError> {
        let Some(id) = actor.id() else { return Ok(None) };
        let key = Key::Person(enterprise.id, id);
        let Some(Reply::Value(stored)) = self.store.batch(now, vec![Op::Get(key)]).await?.pop() else {
            return Err(unexpected_reply().into());
        };
        let stored = stored.ok_or(ActError::NotAllowed)?;
        let person = records::decode_person(enterprise.id, id, &stored.value)?;
        match Right::Enterprise.allows(enterprise, Some(id), Some(&person)) {
            true => Ok(Some((key, stored.revision))),
            false => Err(ActError::NotAllowed),
        }
    }

    /// Carries an act upon a person out, if its actor may. `decide` is pure, and asked again whenever one of the records has
    /// changed, the actor's among them.
    pub(super) async fn act(
        &self,
        act: &Act<'_>,
        matter: Matter<'_>,
        decide: impl Fn(&Person, &View<'_>) -> Result<Plan, ActError>,
    ) -> Result<Person, ActError> {
        let decide = |person, view: &View<'_>| Ok(Decision { plan: decide(&person, view)?, person });
        self.act_upon(act, matter, decide).await.map(|amended| amended.person)
    }

    /// The same, where the person's own fields change too, or the plan is of interest.
    pub(super) async fn act_upon(
        &self,
        act: &Act<'_>,
        matter: Matter<'_>,
        decide: impl Fn(Person, &View<'_>) -> Result<Decision, ActError>,
    ) -> Result<Amended, ActError> {
        let decide = |view: &View<'_>| {
            // Before anything is said about the person.
            if !act.right.allows(act.enterprise, act.actor.id(), view.actor) {
                return Err(ActError::NotAllowed);
            }
            decide(view.person.cloned().ok_or(ActError::UnknownPerson)?, view)
        };
        self.amend(&matter, None, decide).await
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
}

/// Whose act it may be, beside the operator's.
#[derive(Debug, Clone, Copy)]
pub(super) enum Right<'a> {
    /// Whoever it is about: a person who does something to themselves.
    Own,
    /// Owners of the enterprise.
    Enterprise,
    /// And those of this organization.
    Organization(&'a OrganizationSlug),
}

impl Right<'_> {
    /// `record` is the actor's, as it is now.
    pub fn allows(self, enterprise: &Enterprise, actor: Option<PersonId>, record: Option<&Person>) -> bool {
        if actor.is_none() || matches!(self, Self::Own) {
            return true;
        }
        let Some(record) = record.filter(|record| record.standing.is_active()) else { return false };
        let owns = |slug| record.membership(slug).is_some_and(|member| member.role == Role::Owner);
        Directory::is_enterprise_owner(enterprise, record)
            || matches!(self, Self::Organization(slug) if owns(slug))
    }
}

/// An act upon one person.
#[derive(Debug, Clone, Copy)]
pub(super) struct Act<'a> {
    pub enterprise: &'a Enterprise,
    pub actor: Actor<'a>,
    pub right: Right<'a>,
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
            actor: self.actor.id(),
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
