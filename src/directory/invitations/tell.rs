//! What happened to an invitation, as the audit stream and the log tell it.
use crate::{
    directory::{Cause, Enterprise},
    domain::{Invitation, Timestamp},
    telemetry::{AuditAction, AuditEvent, AuditLine},
};

pub(in crate::directory) fn invitation(
    enterprise: &Enterprise,
    cause: &Cause<'_>,
    action: AuditAction,
    invitation: &Invitation,
    rule: Option<&str>,
    now: Timestamp,
) -> AuditLine {
    let id = invitation.id.to_string();
    let actor_id = cause.actor.map(|(person, _)| person.to_string());
    AuditLine::of(&AuditEvent {
        organization: Some(invitation.organization.as_str()),
        role: Some(invitation.role.as_str()),
        invitation_id: Some(&id),
        invitee_email: Some(&invitation.email),
        actor: cause.actor.map(|(_, user)| user),
        actor_id: actor_id.as_deref(),
        request_id: Some(cause.request_id).filter(|id| !id.is_empty()),
        reason: cause.rule.or(rule),
        ..AuditEvent::new(now, action, cause.trigger, enterprise.slug.as_str())
    })
}
