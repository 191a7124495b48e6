//! What happened to users and groups, as the audit stream and the log tell it. What it did to memberships is told beside.
use super::{ScimCall, ScimFault};
use crate::{
    directory::{Directory, outbox::Queued},
    domain::{MailSubject, OrganizationId, OrganizationSlug, PersonId, ScimId},
    scim::Resource,
    store::{Key, Write},
    telemetry::{AuditAction, AuditEvent, AuditLine, Trigger},
};

impl Directory {
    /// The mails that tell the owners of an organization, and of the enterprise, that removals wait for them (D7): once, until
    /// all of them are decided.
    pub(super) async fn owners_notice(
        &self,
        call: &ScimCall<'_>,
        organization: &OrganizationSlug,
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
        let mails = people.iter().filter(|person| person.standing.is_active()).filter_map(|person| {
            let subject = MailSubject::RemovalsHeld { organization: organization.clone() };
            let email = person.profile.email.as_deref()?;
            Some(Queued::notice(email, subject, person.id.as_bytes(), call.now).writes(e))
        });
        Ok(mails.flatten().collect())
    }
}

/// A group's event; `user` is the member that it is about.
pub(super) fn group(
    call: &ScimCall<'_>,
    action: AuditAction,
    (id, name): (ScimId, &str),
    user: Option<ScimId>,
) -> AuditLine {
    let user = user.map(|user| user.to_string());
    AuditLine::of(&AuditEvent {
        scim_group_id: Some(&id.to_string()),
        external_group: Some(name),
        scim_user_id: user.as_deref(),
        ..event(call, action)
    })
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
