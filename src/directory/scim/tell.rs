//! What happened to users and groups, as the audit stream and the log tell it. What it did to memberships is told beside.
use std::sync::atomic::{AtomicBool, Ordering};

use super::{ScimCall, ScimFault, lookup::UserRecords};
use crate::{
    directory::{Directory, Enterprise, audit, outbox::Queued},
    domain::{
        MailSubject, OrganizationId, OrganizationSlug, Person, PersonId, ScimId, ScimTokenId, Timestamp,
    },
    scim::{Resource, ResourceType},
    store::{Key, StoreError, Write},
    telemetry::{AuditAction, AuditEvent, AuditLine, AuditPerson, ScimRequest, Trigger},
};

/// The event of a call itself. A call that one commit carries out tells it there: no second round trip, and nothing is done of
/// which it is not told. What only read, was refused, or took several commits is told by itself ([`Directory::tell_scim_call`]).
#[derive(Debug)]
pub struct ScimCallEvent {
    pub token: ScimTokenId,
    pub method: String,
    /// With a name in braces where the path has an id.
    pub route: &'static str,
    pub path: String,
    /// What the client is answered if all goes well.
    pub status: u16,
    pub kind: ResourceType,
    told: AtomicBool,
}

/// Why a call was refused, for its event.
#[derive(Debug, Clone, Copy)]
pub struct ScimCallFailure<'a> {
    /// The stable code.
    pub code: &'a str,
    /// What the client was told.
    pub message: &'a str,
}

impl ScimCallEvent {
    pub fn new(
        token: ScimTokenId,
        (method, route, path): (&str, &'static str, &str),
        status: u16,
        kind: ResourceType,
    ) -> Self {
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { token, method, route, path, status, kind, told: AtomicBool::new(false) }
    }

    /// Whether a commit carried it.
    pub fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    fn line(
        &self,
        (enterprise, request_id, now): (&Enterprise, &str, Timestamp),
        resource: Option<ScimId>,
        failure: Option<ScimCallFailure<'_>>,
    ) -> AuditLine {
        let (token, id) = (self.token.to_string(), resource.map(|id| id.to_string()));
        let id = |kind| id.as_deref().filter(|_| kind == self.kind);
        let action = match (self.kind, failure) {
            (ResourceType::User, None) => AuditAction::ScimUserCall,
            (ResourceType::User, Some(_)) => AuditAction::ScimUserCallFailed,
            (ResourceType::Group, None) => AuditAction::ScimGroupCall,
            (ResourceType::Group, Some(_)) => AuditAction::ScimGroupCallFailed,
        };
        AuditLine::of(&AuditEvent {
            request_id: Some(request_id),
            credential_id: Some(&token),
            reason: failure.map(|failure| failure.code),
            scim_user_id: id(ResourceType::User),
            scim_group_id: id(ResourceType::Group),
            scim: Some(ScimRequest {
                method: &self.method,
                route: self.route,
                path: &self.path,
                status: self.status,
                message: failure.map(|failure| failure.message),
            }),
            ..AuditEvent::new(now, action, Trigger::Scim, enterprise.slug.as_str())
        })
    }
}

impl ScimCall<'_> {
    /// The call's own event, to stand behind those of what it changed.
    pub(super) fn own_event(&self, resource: ScimId) -> Option<AuditLine> {
        let of = (self.enterprise, self.request_id, self.now);
        self.event.map(|event| event.line(of, Some(resource), None))
    }

    /// A commit with [`Self::own_event`] was applied.
    pub(super) fn was_told(&self) {
        if let Some(event) = self.event {
            event.told.store(true, Ordering::Relaxed);
        }
    }

    /// What is not the call itself, but on its way.
    pub fn untold(&self) -> Self {
        Self { event: None, ..*self }
    }
}

impl Directory {
    /// Tells of a call that no commit told of. `resource` is what it is about, of the event's kind.
    pub async fn tell_scim_call(
        &self,
        enterprise: &Enterprise,
        request_id: &str,
        event: &ScimCallEvent,
        (resource, failure): (Option<ScimId>, Option<ScimCallFailure<'_>>),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let line = event.line((enterprise, request_id, now), resource, failure);
        self.store.batch(now, audit::append(enterprise, std::slice::from_ref(&line))).await?;
        line.log();
        Ok(())
    }

    /// The mails that tell the owners of an organization, and of the enterprise, that removals wait for them (D7): once, until
    /// all of them are decided.
    /// `leaver` is told nothing.
    pub(super) async fn owners_notice(
        &self,
        call: &ScimCall<'_>,
        organization: &OrganizationSlug,
        leaver: Option<PersonId>,
    ) -> Result<Vec<Write>, ScimFault> {
        let e = call.enterprise.id;
        let id = OrganizationId::of(e, organization).as_bytes().to_vec();
        // Members of the set begin with the organization.
        let waiting = self.store.members(Key::HeldRemovals(e), Some(id.clone()), 1).await?;
        if self.post.is_none() || waiting.iter().any(|member| member.starts_with(&id)) {
            return Ok(vec![]);
        }
        let (_, record) = self.load_organization(e, organization, call.now).await?;
        let mut owners = record.owners;
        owners.extend(call.enterprise.owners.iter().map(|owner| call.settings.person(e, owner)));
        let owners: Vec<PersonId> = owners.into_iter().collect();
        let people = self.people_of(e, &owners, call.now).await?;
        let is_told = |person: &&Person| person.standing.is_active() && Some(person.id) != leaver;
        let mails = people.iter().filter(is_told).filter_map(|person| {
            let subject = MailSubject::RemovalsHeld { organization: organization.clone() };
            let email = person.profile.email.as_deref()?;
            Some(Queued::notice(email, subject, person.id.as_bytes(), call.now).writes(e))
        });
        Ok(mails.flatten().collect())
    }
}

/// A group's event.
pub(super) fn group(call: &ScimCall<'_>, action: AuditAction, (id, name): (ScimId, &str)) -> AuditLine {
    AuditLine::of(&AuditEvent {
        scim_group_id: Some(&id.to_string()),
        external_group: Some(name),
        ..event(call, action)
    })
}

/// That these came into a group, or went: one event for all of them, or a few.
pub(super) fn members(
    call: &ScimCall<'_>,
    action: AuditAction,
    (id, name): (ScimId, &str),
    users: &[&UserRecords],
) -> Vec<AuditLine> {
    let id = id.to_string();
    let group = AuditEvent { scim_group_id: Some(&id), external_group: Some(name), ..event(call, action) };
    let member = |user: &&UserRecords| AuditPerson {
        person: Some(user.user.link.to_string()),
        user: Some(user.resource.user_name().to_owned()),
        scim_user_id: Some(user.user.id.to_string()),
        ..AuditPerson::default()
    };
    AuditLine::about(&group, &users.iter().map(member).collect::<Vec<_>>())
}

/// A user's event.
pub(super) fn user(
    call: &ScimCall<'_>,
    action: AuditAction,
    (id, resource): (ScimId, &Resource),
    person: PersonId,
    reason: Option<&str>,
) -> AuditLine {
    AuditLine::of(&AuditEvent {
        scim_user_id: Some(&id.to_string()),
        user: Some(resource.user_name()),
        person: Some(&person.to_string()),
        reason,
        ..event(call, action)
    })
}

fn event<'a>(call: &ScimCall<'a>, action: AuditAction) -> AuditEvent<'a> {
    AuditEvent {
        request_id: Some(call.request_id),
        ..AuditEvent::new(call.now, action, Trigger::Scim, call.enterprise.slug.as_str())
    }
}
