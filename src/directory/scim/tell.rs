//! What happened to users and groups, as the audit stream and the log tell it. What it did to memberships is told beside.
use super::ScimCall;
use crate::{
    domain::{PersonId, ScimId},
    scim::Resource,
    telemetry::{AuditAction, AuditEvent, AuditLine, Trigger},
};

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
