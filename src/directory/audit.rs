//! What a change did, as the store's audit stream and the log tell it.
use crate::{
    domain::{
        AccessToken, GroupClaim, MembershipSource, OrganizationSlug, Person, PersonId, PinReason, Role,
    },
    provisioning::{Change, Plan},
    saml::VerifiedAssertion,
    store::{Key, Op, Write},
    telemetry::{AuditAction, AuditEvent, AuditLine, AuditPerson, MembershipState, Trigger},
};

use super::{Enterprise, amend::Matter};

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
    /// The event of the act itself, beside those of its changes.
    pub act: Option<AuditAction>,
    /// The changes of the plan are told as what would be, and none is made.
    pub is_dry_run: bool,
    /// What a sign-in says.
    pub assertion: Option<&'a VerifiedAssertion>,
    pub claim: Option<&'a GroupClaim>,
}

impl<'a> Cause<'a> {
    /// Of somebody's act.
    pub fn by(trigger: Trigger, actor: Option<(PersonId, &'a str)>, request_id: &'a str) -> Self {
        Self {
            trigger,
            request_id,
            actor,
            rule: None,
            act: None,
            is_dry_run: false,
            assertion: None,
            claim: None,
        }
    }
}

/// A change that was carried out on somebody, to be told.
#[derive(Clone, Copy)]
pub(super) struct Done<'d> {
    pub matter: &'d Matter<'d>,
    pub plan: &'d Plan,
    pub before: Option<&'d Person>,
    pub person: &'d Person,
}

/// One event for a new person, one for each change.
pub(super) fn changes(done: &Done<'_>) -> Vec<AuditLine> {
    let Done { matter, plan, before, person } = *done;
    let id = person.id.to_string();
    let actor_id = matter.cause.actor.map(|(id, _)| id.to_string());
    let event = |action| AuditEvent {
        user: Some(&person.profile.user),
        actor_id: actor_id.as_deref(),
        ..event(matter, &id, action)
    };
    // What SCIM provisions is told with the id of its user.
    let is_new = before.is_none() && matter.cause.trigger != Trigger::Scim;
    let new = is_new.then(|| AuditLine::of(&event(AuditAction::ProvisionIdentity)));
    let act =
        matter.cause.act.map(|act| AuditLine::of(&AuditEvent { reason: matter.cause.rule, ..event(act) }));
    let told = plan.changes.iter().flat_map(|change| {
        AuditLine::about(&of_change(matter, change, actor_id.as_deref()), &[whose(done, change)])
    });
    new.into_iter().chain(act).chain(told).collect()
}

/// The same of everybody whom one commit concerns. What SCIM does to several people is told by one event for each sort of change
/// of each organization, with all whom it is about: the cost of a call is not that of as many calls.
pub(super) fn changes_of_all(all: &[Done<'_>]) -> Vec<AuditLine> {
    let is_shared = |done: &Done<'_>| {
        done.matter.cause.trigger == Trigger::Scim
            && done.matter.cause.actor.is_none()
            && done.matter.cause.act.is_none()
    };
    if all.len() < 2 || !all.iter().all(is_shared) {
        return all.iter().flat_map(changes).collect();
    }
    let mut sorts: Vec<(AuditEvent<'_>, Vec<AuditPerson>)> = vec![];
    for done in all {
        for change in &done.plan.changes {
            let event = of_change(done.matter, change, None);
            let whose = whose(done, change);
            let is_same = |(known, _): &(AuditEvent<'_>, _)| {
                (known.action, known.organization, known.reason)
                    == (event.action, event.organization, event.reason)
            };
            match sorts.iter().position(is_same).and_then(|at| sorts.get_mut(at)) {
                Some((_, people)) => people.push(whose),
                None => sorts.push((event, vec![whose])),
            }
        }
    }
    sorts.iter().flat_map(|(event, people)| AuditLine::about(event, people)).collect()
}

/// What a change's event says of whomever it is about.
fn of_change<'a>(matter: &'a Matter<'_>, change: &'a Change, actor_id: Option<&'a str>) -> AuditEvent<'a> {
    let (action, rule) = names(change, matter.source);
    AuditEvent {
        actor_id,
        organization: Some(change.organization().as_str()),
        reason: Some(matter.cause.rule.unwrap_or(rule)),
        batch: matches!(change, Change::Leave { .. } | Change::Hold { .. }).then_some(matter.batch.as_str()),
        person: None,
        ..event(matter, "", action)
    }
}

/// Whom a change is about, and what is theirs alone.
fn whose(done: &Done<'_>, change: &Change) -> AuditPerson {
    let (invitation_id, invitee_email, role) = match change {
        Change::Invite { invitation } => {
            (Some(invitation.id), Some(invitation.email.clone()), Some(invitation.role))
        }
        Change::CancelInvitation { invitation, .. } | Change::AcceptInvitation { invitation, .. } => {
            (Some(*invitation), None, change.role())
        }
        _ => (None, None, change.role()),
    };
    AuditPerson {
        person: Some(done.person.id.to_string()),
        user: Some(done.person.profile.user.clone()),
        scim_user_id: None,
        role: role.map(Role::as_str),
        before: done.before.and_then(|person| state(person, change)),
        after: state(done.person, change),
        invitation_id: invitation_id.map(|id| id.to_string()),
        invitee_email,
    }
}

/// One event for each change that a dry run would have made: `reason` is the change.
pub(super) fn plan(matter: &Matter<'_>, plan: &Plan, person: &Person) -> Vec<AuditLine> {
    let id = person.id.to_string();
    let told = plan.changes.iter().map(|change| {
        AuditLine::of(&AuditEvent {
            user: Some(&person.profile.user),
            organization: Some(change.organization().as_str()),
            role: change.role().map(|role| role.as_str()),
            reason: Some(change.kind()),
            ..event(matter, &id, AuditAction::PlanRecorded)
        })
    });
    told.collect()
}

/// One event for each token and each of its authorisations that came or went. What ran out went by itself and is not told.
pub(super) fn tokens(matter: &Matter<'_>, before: Option<&Person>, after: &Person) -> Vec<AuditLine> {
    let id = after.id.to_string();
    let actor_id = matter.cause.actor.map(|(id, _)| id.to_string());
    let mut told = vec![];
    let mut tell = |action, token: &AccessToken, organization: Option<&OrganizationSlug>, reason| {
        told.push(AuditLine::of(&AuditEvent {
            user: Some(&after.profile.user),
            actor_id: actor_id.as_deref(),
            organization: organization.map(OrganizationSlug::as_str),
            credential_id: Some(&token.id.to_string()),
            reason,
            ..event(matter, &id, action)
        }));
    };
    let known = before.map_or(&[][..], |person| &person.tokens);
    for token in &after.tokens {
        let was = known.iter().find(|was| was.id == token.id);
        if was.is_none() {
            tell(AuditAction::CreateToken, token, None, None);
        }
        let had = was.map_or(&[][..], |was| &was.organizations);
        for organization in token.organizations.iter().filter(|one| !had.contains(one)) {
            tell(AuditAction::GrantCredential, token, Some(organization), None);
        }
    }
    let withdrawn = match matter.cause.trigger {
        Trigger::Owner => AuditAction::RevokeCredential,
        _ => AuditAction::DeauthorizeCredential,
    };
    for was in known.iter().filter(|was| matter.now < was.expires_at) {
        let token = after.tokens.iter().find(|token| token.id == was.id);
        let has = token.map_or(&[][..], |token| &token.organizations);
        for organization in was.organizations.iter().filter(|one| !has.contains(one)) {
            let left = after.membership(organization).is_none();
            tell(withdrawn, was, Some(organization), left.then_some("left_organization"));
        }
        if token.is_none() {
            tell(AuditAction::RevokeToken, was, None, matter.cause.rule);
        }
    }
    told
}

/// The membership that a change is about; invitations and flags are about none.
fn state(person: &Person, change: &Change) -> Option<MembershipState> {
    let is_of_membership = !matches!(change, Change::CancelInvitation { .. } | Change::BecomeUnowned { .. });
    let membership = is_of_membership.then(|| person.membership(change.organization())).flatten();
    membership.map(MembershipState::from)
}

/// One event for the verified response, one for groups that were not known.
pub(super) fn response(
    matter: &Matter<'_>,
    assertion: &VerifiedAssertion,
    claim: &GroupClaim,
) -> Vec<AuditLine> {
    let id = matter.person.to_string();
    let user = Some(assertion.stable_id().value());
    // What began at the IdP is told apart: nobody here asked for it.
    let unsolicited = assertion.in_response_to().is_none();
    // S-105: what a stolen key of the IdP would show in, beside the client's address in the access line of the request.
    let response = AuditLine::of(&AuditEvent {
        user,
        reason: unsolicited.then_some("idp_initiated"),
        authn_instant: Some(assertion.authn_instant()),
        session_index: assertion.session_index(),
        ..event(matter, &id, AuditAction::SsoResponse)
    });
    let unknown = claim
        .known()
        .is_none()
        .then(|| AuditLine::of(&AuditEvent { user, ..event(matter, &id, AuditAction::GroupsUnknown) }));
    std::iter::once(response).chain(unknown).collect()
}

/// A verified response that opened no session all the same, as the store tells it beside [`response`]: the log is told by
/// whoever answers the request.
pub(super) fn refused(matter: &Matter<'_>, assertion: &VerifiedAssertion, reason: &str) -> AuditLine {
    let id = matter.person.to_string();
    AuditLine::of(&AuditEvent {
        user: Some(assertion.stable_id().value()),
        reason: Some(reason),
        ..event(matter, &id, AuditAction::ResponseRefused)
    })
}

/// What appends lines to the enterprise's stream.
pub(super) fn append(enterprise: &Enterprise, lines: &[AuditLine]) -> Vec<Op> {
    let append = |line: &AuditLine| Op::Append(Key::Audit(enterprise.id), line.as_bytes().to_vec());
    lines.iter().map(append).collect()
}

/// The same in a commit.
pub(super) fn appends(enterprise: &Enterprise, lines: &[AuditLine]) -> Vec<Write> {
    let append = |line: &AuditLine| Write::Append(Key::Audit(enterprise.id), line.as_bytes().to_vec());
    lines.iter().map(append).collect()
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
        groups: cause.claim.map(GroupClaim::groups).unwrap_or_default(),
        ..AuditEvent::new(*now, action, cause.trigger, enterprise.slug.as_str())
    }
}

/// The event of a change, and the rule that fired.
fn names(change: &Change, source: MembershipSource) -> (AuditAction, &'static str) {
    match change {
        // Nobody joins by hand but by being restored: all others are invited.
        Change::Join { .. } if source == MembershipSource::Manual => (AuditAction::RestoreMember, "by_owner"),
        Change::Join { .. } => (AuditAction::AddMember, "in_group"),
        Change::Promote { .. } => (AuditAction::UpdateMember, "in_owner_group"),
        Change::Demote { .. } => (AuditAction::UpdateMember, "by_owner"),
        Change::Leave { .. } => (AuditAction::RemoveMember, "not_in_group"),
        Change::CancelInvitation { .. } if source == MembershipSource::Scim => {
            (AuditAction::CancelInvitation, "superseded_by_scim")
        }
        Change::CancelInvitation { .. } => (AuditAction::CancelInvitation, "superseded_by_assertion"),
        Change::Invite { .. } => (AuditAction::InviteMember, "in_group"),
        Change::AcceptInvitation { .. } => (AuditAction::AcceptInvitation, "invitation_accepted"),
        Change::BecomeUnowned { .. } => (AuditAction::BecameUnowned, "last_owner_left"),
        Change::Hold { reason, .. } => (AuditAction::ProvisionHeld, reason.as_str()),
        Change::Release { .. } => (AuditAction::HoldReleased, "in_group"),
        Change::Pin { reason: PinReason::Claim, .. } => (AuditAction::Claimed, "unowned"),
        Change::Pin { .. } => (AuditAction::PinMember, "by_owner"),
        Change::Unpin { .. } => (AuditAction::UnpinMember, "by_owner"),
    }
}
