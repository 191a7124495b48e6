//! What a change did, told to the audit log and to the metrics.
use crate::{
    domain::{GroupClaim, Person, PersonId},
    provisioning::{Change, Plan},
    saml::VerifiedAssertion,
    telemetry::{AuditAction, AuditEvent, Metrics, Trigger, audit},
};

use super::amend::Matter;

/// Who or what makes a change, as the audit log tells it.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    pub trigger: Trigger,
    /// The HTTP request's id.
    pub request_id: &'a str,
    /// Who did it, where somebody did: the person's id and user.
    pub actor: Option<(PersonId, &'a str)>,
    /// The rule that fired, where the change itself does not say it.
    pub rule: Option<&'a str>,
    /// What a sign-in says.
    pub assertion: Option<&'a VerifiedAssertion>,
    pub claim: Option<&'a GroupClaim>,
}

impl<'a> Cause<'a> {
    /// Of somebody's act.
    pub fn by(trigger: Trigger, actor: Option<(PersonId, &'a str)>, request_id: &'a str) -> Self {
        Self { trigger, request_id, actor, rule: None, assertion: None, claim: None }
    }
}

/// One event for a new person, one for each change.
pub(super) fn record(matter: &Matter<'_>, plan: &Plan, person: &Person, is_new: bool, metrics: &Metrics) {
    let id = person.id.to_string();
    let actor_id = matter.cause.actor.map(|(id, _)| id.to_string());
    let event = |action| AuditEvent {
        user: Some(&person.profile.user),
        actor_id: actor_id.as_deref(),
        ..event(matter, &id, action)
    };
    if is_new {
        audit(&event(AuditAction::ProvisionIdentity));
    }
    for change in &plan.changes {
        metrics.provisioning_change(matter.cause.trigger, change.kind());
        let (action, rule) = names(change);
        let invitation = match change {
            // Told with its particulars where it is accepted.
            Change::AcceptInvitation { .. } => continue,
            Change::CancelInvitation { invitation, .. } => Some(invitation.to_string()),
            _ => None,
        };
        audit(&AuditEvent {
            organization: Some(change.organization().as_str()),
            role: change.role().map(|role| role.as_str()),
            invitation_id: invitation.as_deref(),
            reason: Some(matter.cause.rule.unwrap_or(rule)),
            batch: matches!(change, Change::Leave { .. } | Change::Hold { .. })
                .then_some(matter.batch.as_str()),
            ..event(action)
        });
    }
}

/// One event for the accepted response, one for groups that were not known.
pub(super) fn record_response(matter: &Matter<'_>, assertion: &VerifiedAssertion, claim: &GroupClaim) {
    let id = matter.person.to_string();
    let user = Some(assertion.stable_id().value());
    // What began at the IdP is told apart: nobody here asked for it.
    let unsolicited = assertion.in_response_to().is_none();
    // S-105: what a stolen key of the IdP would show in, beside the client's address in the access line of the request.
    audit(&AuditEvent {
        user,
        reason: unsolicited.then_some("idp_initiated"),
        authn_instant: Some(assertion.authn_instant()),
        session_index: assertion.session_index(),
        ..event(matter, &id, AuditAction::SsoResponse)
    });
    if claim.known().is_none() {
        audit(&AuditEvent { user, ..event(matter, &id, AuditAction::GroupsUnknown) });
    }
}

fn event<'a>(matter: &'a Matter<'_>, person: &'a str, action: AuditAction) -> AuditEvent<'a> {
    let Matter { cause, enterprise, now, .. } = matter;
    AuditEvent {
        person: Some(person),
        issuer: cause.assertion.map(VerifiedAssertion::issuer),
        actor: cause.actor.map(|(_, user)| user),
        request_id: Some(cause.request_id),
        assertion_id: cause.assertion.map(VerifiedAssertion::assertion_id),
        groups_state: cause.claim.map(GroupClaim::state),
        groups: cause.claim.and_then(GroupClaim::known).unwrap_or_default(),
        ..AuditEvent::new(*now, action, cause.trigger, enterprise.slug.as_str())
    }
}

/// The event of a change, and the rule that fired.
fn names(change: &Change) -> (AuditAction, &'static str) {
    match change {
        Change::Join { .. } => (AuditAction::AddMember, "in_group"),
        Change::Promote { .. } => (AuditAction::UpdateMember, "in_owner_group"),
        Change::Demote { .. } => (AuditAction::UpdateMember, "by_owner"),
        Change::Leave { .. } => (AuditAction::RemoveMember, "not_in_group"),
        Change::CancelInvitation { .. } => (AuditAction::CancelInvitation, "superseded_by_assertion"),
        Change::AcceptInvitation { .. } => (AuditAction::AcceptInvitation, "invitation_accepted"),
        Change::BecomeUnowned { .. } => (AuditAction::BecameUnowned, "last_owner_left"),
        Change::Hold { .. } => (AuditAction::ProvisionHeld, "max_removals"),
        Change::Release { .. } => (AuditAction::HoldReleased, "in_group"),
        Change::Pin { .. } => (AuditAction::PinMember, "by_owner"),
        Change::Unpin { .. } => (AuditAction::UnpinMember, "by_owner"),
    }
}
