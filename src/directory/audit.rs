//! What a sign-in did, told to the audit log and to the metrics.
use crate::{
    domain::GroupClaim,
    provisioning::{Change, Plan},
    telemetry::{AuditAction, AuditEvent, Metrics, Trigger, audit},
};

use super::sign_in::Incoming;

/// One event for the accepted response, one for a new person, one for groups that were not known, one for each change.
pub(super) fn record(
    incoming: &Incoming<'_>,
    plan: &Plan,
    is_new: bool,
    request_id: &str,
    metrics: &Metrics,
) {
    let person = incoming.person.to_string();
    let claim = &incoming.claim;
    let event = |action| AuditEvent {
        person: Some(&person),
        user: Some(incoming.assertion.stable_id().value()),
        issuer: Some(incoming.assertion.issuer()),
        request_id: Some(request_id),
        assertion_id: Some(incoming.assertion.assertion_id()),
        groups_state: Some(claim.state()),
        groups: claim.known().unwrap_or_default(),
        ..AuditEvent::new(incoming.now, action, Trigger::Saml, incoming.enterprise.slug.as_str())
    };
    // What began at the IdP is told apart: nobody here asked for it.
    let unsolicited = incoming.assertion.in_response_to().is_none();
    // S-105: what a stolen key of the IdP would show in, beside the client's address in the access line of the request.
    audit(&AuditEvent {
        reason: unsolicited.then_some("idp_initiated"),
        authn_instant: Some(incoming.assertion.authn_instant()),
        session_index: incoming.assertion.session_index(),
        ..event(AuditAction::SsoResponse)
    });
    if is_new {
        audit(&event(AuditAction::ProvisionIdentity));
    }
    if matches!(claim, GroupClaim::Absent | GroupClaim::Overage) {
        audit(&event(AuditAction::GroupsUnknown));
    }
    for change in &plan.changes {
        metrics.provisioning_change(Trigger::Saml, change.kind());
        let (action, rule) = names(change);
        let invitation = match change {
            Change::CancelInvitation { invitation, .. } => Some(invitation.to_string()),
            _ => None,
        };
        audit(&AuditEvent {
            organization: Some(change.organization().as_str()),
            role: change.role().map(|role| role.as_str()),
            invitation_id: invitation.as_deref(),
            reason: Some(rule),
            ..event(action)
        });
    }
}

/// The event of a change, and the rule that fired.
fn names(change: &Change) -> (AuditAction, &'static str) {
    match change {
        Change::Join { .. } => (AuditAction::AddMember, "in_group"),
        Change::Promote { .. } => (AuditAction::UpdateMember, "in_owner_group"),
        Change::Leave { .. } => (AuditAction::RemoveMember, "not_in_group"),
        Change::CancelInvitation { .. } => (AuditAction::CancelInvitation, "superseded_by_assertion"),
        Change::BecomeUnowned { .. } => (AuditAction::BecameUnowned, "last_owner_left"),
    }
}
