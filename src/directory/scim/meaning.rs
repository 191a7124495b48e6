//! What a call means for a person: who it is, what it decides about memberships and invitations, and the mails that go with it.
use std::sync::Arc;

use super::{ScimCall, ScimFault, ScimLink};
use crate::{
    directory::{
        Cause, Directory,
        amend::{Decision, Matter, View},
        outbox::Queued,
        settings::Effective,
    },
    domain::{
        AddressId, BatchId, EmailAddress, Invitation, InvitationId, InvitationReference, InvitationSecret,
        InvitationSource, MailSubject, MembershipSource, NameId, OrganizationSlug, Person, PersonId, Profile,
        Role, ScimUser, StableId, Standing, Timestamp, digest,
    },
    provisioning::{self, Change, Correspondence, Current, Plan, ScimAddressee, ScimFact, reconcile},
    saml::SubjectKey,
    scim::Resource,
    store::Write,
    telemetry::Trigger,
};

/// Addresses of one user under which invitations are looked for.
const ADDRESSES_MAX: usize = 8;

/// Everything that one call is decided by, beside the records.
#[derive(Clone)]
pub(super) struct Bench<'a> {
    pub call: &'a ScimCall<'a>,
    pub effective: Effective,
    /// What new invitations are made of: chance, drawn once for the call.
    seed: [u8; 32],
}

/// A user, as stored or about to be.
#[derive(Clone, Copy)]
pub(super) struct Subject<'u> {
    pub user: &'u ScimUser,
    pub resource: &'u Resource,
}

/// What happens where the removal guard stops something (D7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The call is not carried out.
    Whole,
    /// Every removal is noted as held; [`Bench::without_allowance`].
    HoldsOnly,
    /// What is stopped is noted as held, everything else is done.
    Partial,
}

/// A decision, and whether an owner has to decide first.
pub(super) struct Meant {
    pub decision: Decision,
    pub waits: Vec<OrganizationSlug>,
}

impl Directory {
    pub(super) async fn bench<'a>(&self, call: &'a ScimCall<'a>) -> Result<Bench<'a>, ScimFault> {
        let effective = self.effective(call.enterprise, call.now).await?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        if self.post.is_none() {
            tracing::debug!(
                enterprise = call.enterprise.slug.as_str(),
                "mails of invitations wait until mail is configured"
            );
        }
        Ok(Bench { call, effective, seed })
    }
}

impl<'a> Bench<'a> {
    pub fn settings(&self) -> &Arc<provisioning::Settings> {
        &self.effective.provisioning
    }

    /// The organization that a group of this name corresponds to: the one of that name, else the only one that an exact mapping
    /// or an alias names. What conveys ownership counts for nothing here (V-06).
    pub fn correspondence(&self, display_name: &str) -> Option<OrganizationSlug> {
        let enterprise = self.call.enterprise;
        let named = OrganizationSlug::parse(display_name.trim()).ok();
        if let Some(slug) = named.filter(|slug| self.effective.knows(enterprise, slug)) {
            return Some(slug);
        }
        let mut settings = provisioning::Settings::clone(self.settings());
        settings.managed = enterprise.organizations.clone();
        settings.managed.extend(self.effective.created.iter().map(|record| record.slug.clone()));
        settings.mappings.retain(|mapping| mapping.role == Role::Member);
        let roles = Correspondence::of(&[display_name.to_owned()], &settings).roles();
        let mut found = roles.into_keys();
        found.next().filter(|_| found.next().is_none())
    }

    /// Whose sign-ins are the user's: the value that identifies the person, and the person.
    pub fn link(&self, resource: &Resource) -> Result<(String, PersonId), ScimFault> {
        let value = match self.call.settings.link {
            ScimLink::UserName => Some(resource.user_name()).filter(|name| !name.is_empty()),
            ScimLink::ExternalId => resource.external_id(),
        };
        let value = value.ok_or(match self.call.settings.link {
            ScimLink::UserName => ScimFault::UserName,
            ScimLink::ExternalId => ScimFault::ExternalIdMissing,
        })?;
        Ok((value.to_owned(), self.call.settings.person(self.call.enterprise.id, value)))
    }

    /// The matter of a change of this person's memberships; `besides` is where else invitations may lie.
    pub fn matter(&self, person: PersonId, resource: &Resource, besides: &[AddressId]) -> Matter<'a> {
        let ScimCall { enterprise, request_id, now, .. } = *self.call;
        let mut addresses: Vec<AddressId> = besides.to_vec();
        addresses.extend(self.address(resource));
        addresses.extend(resource.emails().map(|email| AddressId::of(enterprise.id, email.value)));
        let mut distinct: Vec<AddressId> = vec![];
        for address in addresses {
            if !distinct.contains(&address) && distinct.len() < ADDRESSES_MAX {
                distinct.push(address);
            }
        }
        Matter {
            enterprise,
            person,
            addresses: distinct,
            actor: None,
            source: MembershipSource::Scim,
            is_automatic: true,
            batch: BatchId::of_hour(Trigger::Scim.as_str(), now),
            cause: Cause::by(Trigger::Scim, None, request_id),
            now,
        }
    }

    /// Where invitations go (A15); `None` where mail cannot go.
    fn address(&self, resource: &Resource) -> Option<AddressId> {
        let email = EmailAddress::parse(resource.primary_email()?)?;
        Some(AddressId::of(self.call.enterprise.id, email.as_str()))
    }

    pub fn is_reachable(&self, resource: &Resource) -> bool {
        self.address(resource).is_some()
    }

    /// The same call where nobody may be removed without an owner.
    pub fn without_allowance(&self) -> Self {
        let mut strict = self.clone();
        let settings = provisioning::Settings::clone(self.settings());
        strict.effective.provisioning = Arc::new(provisioning::Settings { max_removals: 0, ..settings });
        strict
    }

    /// The person as the user's record says, before any membership changes.
    pub fn person(&self, view: &View<'_>, of: Subject<'_>) -> Result<Person, ScimFault> {
        let (value, id) = self.link(of.resource)?;
        let mut person = match view.person {
            Some(person) => person.clone(),
            None => self.new_person(id, value, of),
        };
        // V-08: what the sign-in of the person says counts more than what SCIM says.
        if person.last_sign_in_at == Timestamp::UNIX_EPOCH {
            person.profile.email = of.resource.primary_email().map(str::to_owned);
            person.profile.display_name = of.resource.display_name().map(str::to_owned);
            person.profile.preferred_username = Some(of.resource.user_name().to_owned());
        }
        // A13
        person.decided_at = Some(self.call.now);
        Ok(person)
    }

    fn new_person(&self, id: PersonId, value: String, of: Subject<'_>) -> Person {
        let ScimCall { settings, enterprise, now, .. } = *self.call;
        let stable_id = match &settings.subject {
            SubjectKey::NameId => StableId::NameId(value),
            SubjectKey::Attribute(name) => StableId::Attribute { name: name.clone(), value },
        };
        Person {
            id,
            enterprise: enterprise.id,
            standing: Standing::Active,
            linked_at: of.user.active.then_some(now),
            issuer: settings.idp.clone(),
            // Until a sign-in says what it is.
            name_id: NameId {
                value: of.resource.user_name().to_owned(),
                format: NameId::UNSPECIFIED.to_owned(),
                ..NameId::default()
            },
            profile: Profile { user: stable_id.value().to_owned(), ..Profile::default() },
            memberships: vec![],
            former: vec![],
            tokens: vec![],
            last_groups: None,
            decided_at: None,
            created_at: now,
            last_sign_in_at: Timestamp::UNIX_EPOCH,
        }
    }

    /// What the fact means for the person. A break-glass identity keeps everything (D7).
    pub fn mean(
        &self,
        way: Way,
        view: &View<'_>,
        of: Subject<'_>,
        mut person: Person,
        fact: ScimFact<'_>,
    ) -> Result<Meant, ScimFault> {
        let settings = self.settings();
        let current = Current {
            person: person.id,
            memberships: &person.memberships,
            invitations: view.invitations,
            organizations: view.organizations,
            is_break_glass: settings.break_glass.contains(&person.profile.user),
            now: self.call.now,
        };
        let address = self.address(of.resource);
        let addressee = ScimAddressee { enterprise: self.call.enterprise.id, address };
        let invite = |organization: &OrganizationSlug| self.invitation(person.id, of.resource, organization);
        let scim = reconcile(&current, fact, addressee, settings, invite);
        let mut plan = scim.plan;
        match way {
            Way::Whole => {
                if let Some(organization) = scim.waits.first() {
                    return Err(ScimFault::Held { organization: organization.clone(), removals: 1 });
                }
                if address.is_none() && scim.unreached {
                    return Err(ScimFault::EmailMissing);
                }
            }
            Way::HoldsOnly => {
                // A departure is asked for once more, with the record that says whether the guard lets it pass.
                plan.changes.retain(|change| match change {
                    Change::Hold { .. } => true,
                    Change::Leave { organization, .. } => !view.organizations.contains_key(organization),
                    _ => false,
                });
                if let Some(before) = view.person {
                    person = before.clone();
                }
            }
            Way::Partial => {}
        }
        Ok(Meant { decision: Decision { person, plan }, waits: scim.waits })
    }

    /// The invitation that this call would make: the same whenever it is asked.
    fn invitation(
        &self,
        person: PersonId,
        resource: &Resource,
        organization: &OrganizationSlug,
    ) -> Invitation {
        let drawn = self.drawn(b"id", person, organization);
        let mut id = [0; 16];
        id.copy_from_slice(drawn.split_at(16).0);
        Invitation {
            id: InvitationId::from_bytes(id),
            organization: organization.clone(),
            // A11, V-06
            role: Role::Member,
            source: InvitationSource::Scim,
            email: resource.primary_email().unwrap_or_default().trim().to_owned(),
            person: Some(person),
            inviter: None,
            invited_at: self.call.now,
            // A14
            expires_at: None,
            secret: self.secret(person, organization).hash(),
            sent: 1,
            sent_at: self.call.now,
            undeliverable_since: None,
        }
    }

    fn secret(&self, person: PersonId, organization: &OrganizationSlug) -> InvitationSecret {
        InvitationSecret::from_random(self.drawn(b"secret", person, organization))
    }

    /// SHA-256 over 256 bits of chance and what it is for: nobody who knows one of them knows another.
    fn drawn(&self, what: &[u8], person: PersonId, organization: &OrganizationSlug) -> [u8; 32] {
        digest(&[b"scim invitation", what, &self.seed, person.as_bytes(), organization.as_str().as_bytes()])
    }

    /// The mails of the invitations that plans make.
    pub fn mails(&self, plans: &[&Plan]) -> Vec<Write> {
        let enterprise = self.call.enterprise.id;
        let made = plans.iter().flat_map(|plan| &plan.changes).filter_map(|change| match change {
            Change::Invite { invitation } => Some(invitation),
            _ => None,
        });
        made.flat_map(|invitation| {
            let person = invitation.person.unwrap_or(PersonId::from_bytes([0; 16]));
            let address = AddressId::of(enterprise, &invitation.email);
            let subject = MailSubject::Invitation {
                organization: invitation.organization.clone(),
                reference: InvitationReference { address, invitation: invitation.id },
                role: invitation.role,
                inviter: None,
                secret: self.secret(person, &invitation.organization),
                expires_at: invitation.expires_at,
            };
            Queued::invitation(invitation, subject, self.call.now).writes(enterprise)
        })
        .collect()
    }
}

/// Puts the person in or out, as the user's record says (D2). SCIM lets in again whom it, or an owner, put out (A12).
pub(super) fn set_standing(person: &mut Person, standing: Standing, is_break_glass: bool) {
    if standing.is_active() {
        person.standing = Standing::Active;
        return;
    }
    if is_break_glass {
        return;
    }
    let is_deleted = matches!(person.standing, Standing::Deleted { .. });
    if person.standing.is_active() || (matches!(standing, Standing::Deleted { .. }) && !is_deleted) {
        person.standing = standing;
    }
    // Whatever is open stays closed, also once the person is let in again.
    person.linked_at = None;
    person.tokens.clear();
    if matches!(standing, Standing::Deleted { .. }) {
        person.profile.email = None;
        person.profile.display_name = None;
        person.profile.preferred_username = None;
        person.last_groups = None;
    }
}
