//! Offers of membership: made and withdrawn by owners (and by SCIM), taken up by signing in as whom they are for.
//!
//! `change` is how the records of one address change, `accept` joins by the path on which all memberships change, `sent` takes
//! back what somebody sent who leaves, `lists` finds and lists, `tell` tells.
use jiff::SignedDuration;

use super::{
    Cause, Contended, Directory, Enterprise, StoreError,
    outbox::{self, Queued},
};
use crate::{
    domain::{
        AddressId, EmailAddress, Invitation, InvitationId, InvitationReference, InvitationSecret,
        InvitationSource, MailSubject, OrganizationId, OrganizationSlug, Person, PersonId, Role, Timestamp,
    },
    provisioning,
    store::{Key, Write},
    telemetry::AuditAction,
};

mod accept;
mod change;
mod gone;
mod lists;
pub(super) mod sent;
mod tell;

pub use accept::{AcceptError, Accepted, InvitationLink};
pub use lists::{InvitationPage, InvitationState};
pub(super) use tell::invitation as tell;

use change::{Changed, Desk, Seen};

/// How long an invitation by hand can be accepted, in days (A14).
pub const INVITATION_DAYS: i64 = 7;
/// How long nobody can have the mail of an invitation sent again, in seconds.
pub const RESEND_SECONDS_MIN: i64 = 10 * 60;
/// How often the mail of an invitation is sent at most, until it is renewed.
pub const SENDS_MAX: u32 = 5;

/// An invitation to be made.
#[derive(Debug, Clone, Copy)]
pub struct Invite<'a> {
    pub organization: &'a OrganizationSlug,
    pub email: &'a str,
    /// Owner only by an owner's own act (D5).
    pub role: Role,
    pub source: InvitationSource,
    /// Whom alone it is for; `None`: whoever signs in with that address.
    pub person: Option<PersonId>,
}

/// Why an owner's act on invitations was refused.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    #[error("no mail server is configured")]
    MailOff,
    #[error("the actor owns neither the organization nor the enterprise")]
    NotOwner,
    #[error("there is no such organization")]
    UnknownOrganization,
    #[error("there is no such invitation")]
    NotFound,
    #[error("the e-mail address has a form that no mail is sent to")]
    Email,
    #[error("an invitation by SCIM gives no ownership")]
    Role,
    #[error("more than {} invitations within a day", provisioning::INVITATIONS_PER_DAY_MAX)]
    TooMany,
    #[error("the mail was sent within the last {RESEND_SECONDS_MIN} seconds")]
    ResendTooSoon { retry_at: Timestamp },
    #[error("the mail was sent {SENDS_MAX} times")]
    ResentTooOften,
    #[error(transparent)]
    Contended(#[from] Contended),
    #[error("no randomness from the operating system: {0}")]
    Random(#[from] getrandom::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl InviteError {
    /// Stable code for logs, clients and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MailOff => "mail_not_configured",
            Self::NotOwner => "not_an_owner",
            Self::UnknownOrganization => "organization_unknown",
            Self::NotFound => "invitation_unknown",
            Self::Email => "email_malformed",
            Self::Role => "invitation_role",
            Self::TooMany => "invitations_too_many",
            Self::ResendTooSoon { .. } => "invitation_resend_too_soon",
            Self::ResentTooOften => "invitation_resent_too_often",
            Self::Contended(_) => "store_contended",
            Self::Random(_) => "no_randomness",
            Self::Store(error) => error.code(),
        }
    }
}

/// What a new invitation, or a mail that is sent again, needs of chance.
struct Draft {
    id: InvitationId,
    secret: InvitationSecret,
}

impl Draft {
    fn new() -> Result<Self, getrandom::Error> {
        let (mut id, mut secret) = ([0; 16], [0; 32]);
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        Ok(Self { id: InvitationId::from_bytes(id), secret: InvitationSecret::from_random(secret) })
    }
}

impl Directory {
    /// Invites whoever has the address, and puts the mail into the outbox in the same commit. The same again is the same
    /// invitation and no further mail (A2).
    ///
    /// With an actor in `cause`, only an owner of the organization or of the enterprise may; without one the caller answers
    /// for it.
    pub async fn invite(
        &self,
        enterprise: &Enterprise,
        invite: &Invite<'_>,
        cause: Cause<'_>,
        now: Timestamp,
    ) -> Result<Invitation, InviteError> {
        if self.post.is_none() {
            return Err(InviteError::MailOff);
        }
        let email = EmailAddress::parse(invite.email).ok_or(InviteError::Email)?;
        if invite.source == InvitationSource::Scim && invite.role == Role::Owner {
            return Err(InviteError::Role);
        }
        let address = AddressId::of(enterprise.id, email.as_str());
        let draft = Draft::new()?;
        let desk = Desk { enterprise, organization: invite.organization, address, cause, now };
        self.change_invitations(&desk, |seen| {
            seen.check_owner(&desk)?;
            decide_invite(&desk, seen, invite, &email, &draft)
        })
        .await
    }

    /// Withdraws an invitation, whatever state it is in. Told to the invited person if the configuration says so.
    pub async fn cancel_invitation(
        &self,
        enterprise: &Enterprise,
        organization: &OrganizationSlug,
        invitation: InvitationId,
        cause: Cause<'_>,
        now: Timestamp,
    ) -> Result<Invitation, InviteError> {
        let found = self.find_invitation(enterprise.id, organization, invitation).await?;
        let InvitationReference { address, .. } = found.ok_or(InviteError::NotFound)?;
        let desk = Desk { enterprise, organization, address, cause, now };
        let notices = self.post.as_ref().is_some_and(|post| post.notices);
        self.change_invitations(&desk, |seen| {
            seen.check_owner(&desk)?;
            let cancelled = seen.invitation(invitation).ok_or(InviteError::NotFound)?.clone();
            let mut changed = Changed::of(seen, cancelled.clone());
            withdraw(&desk, &mut changed, &cancelled, "by_owner");
            if notices && cancelled.is_live(now) {
                let subject = MailSubject::InvitationCancelled { organization: organization.clone() };
                let queued = Queued::notice(&cancelled.email, subject, invitation.as_bytes(), now);
                changed.writes.extend(queued.writes(enterprise.id));
            }
            Ok(changed)
        })
        .await
    }

    /// Sends the mail of an invitation again, with a new link; the old one is good no more. One that has failed gets seven
    /// days anew, and counts as another one of the day.
    pub async fn resend_invitation(
        &self,
        enterprise: &Enterprise,
        organization: &OrganizationSlug,
        invitation: InvitationId,
        cause: Cause<'_>,
        now: Timestamp,
    ) -> Result<Invitation, InviteError> {
        if self.post.is_none() {
            return Err(InviteError::MailOff);
        }
        let found = self.find_invitation(enterprise.id, organization, invitation).await?;
        let InvitationReference { address, .. } = found.ok_or(InviteError::NotFound)?;
        let secret = Draft::new()?.secret;
        let desk = Desk { enterprise, organization, address, cause, now };
        self.change_invitations(&desk, |seen| {
            seen.check_owner(&desk)?;
            decide_resend(&desk, seen, invitation, &secret)
        })
        .await
    }
}

/// Statements 3 and 4: a live one stays as it is, unless SCIM takes over from a person.
fn decide_invite(
    desk: &Desk<'_>,
    seen: &Seen,
    invite: &Invite<'_>,
    email: &EmailAddress,
    draft: &Draft,
) -> Result<Changed<Invitation>, InviteError> {
    let now = desk.now;
    let existing = seen.invitee.invitations.iter().find(|i| i.organization == *desk.organization);
    if let Some(live) = existing.filter(|i| i.is_live(now))
        && (live.source == InvitationSource::Scim || invite.source == InvitationSource::Manual)
    {
        let mut same = live.clone();
        // An owner who thinks better of the role changes it; SCIM's own keep theirs.
        if live.source == InvitationSource::Manual {
            same.role = invite.role;
        }
        let mut changed = Changed::of(seen, same.clone());
        if same.role != live.role {
            changed.told.push((AuditAction::InviteMember, same.clone(), Some("role_changed")));
            changed.replace(same);
        }
        return Ok(changed);
    }
    let mut changed = Changed::of(seen, fresh(desk, invite, email, draft));
    if let Some(old) = existing {
        withdraw(desk, &mut changed, old, "superseded");
    }
    if invite.source == InvitationSource::Manual {
        count(&mut changed, now)?;
    }
    let invitation = changed.result.clone();
    changed.invitee.invitations.push(invitation.clone());
    changed.invitee.invitations.sort_by(|a, b| a.organization.cmp(&b.organization));
    changed.writes.extend(listed(desk, &invitation).map(|(set, member)| Write::Insert(set, member)));
    changed.writes.extend(mail(desk, seen, &invitation, &draft.secret).writes(desk.enterprise.id));
    changed.told.push((AuditAction::InviteMember, invitation, None));
    Ok(changed)
}

fn fresh(desk: &Desk<'_>, invite: &Invite<'_>, email: &EmailAddress, draft: &Draft) -> Invitation {
    Invitation {
        id: draft.id,
        organization: invite.organization.clone(),
        role: invite.role,
        source: invite.source,
        email: email.to_string(),
        person: invite.person,
        inviter: desk.cause.actor.map(|(person, _)| person),
        invited_at: desk.now,
        expires_at: expiry(invite.source, desk.now),
        secret: draft.secret.hash(),
        sent: 1,
        sent_at: desk.now,
        undeliverable_since: None,
    }
}

fn decide_resend(
    desk: &Desk<'_>,
    seen: &Seen,
    invitation: InvitationId,
    secret: &InvitationSecret,
) -> Result<Changed<Invitation>, InviteError> {
    let now = desk.now;
    let old = seen.invitation(invitation).ok_or(InviteError::NotFound)?;
    let retry_at = after_seconds(old.sent_at, RESEND_SECONDS_MIN);
    if now < retry_at {
        return Err(InviteError::ResendTooSoon { retry_at });
    }
    let has_failed = !old.is_live(now);
    if !has_failed && old.sent >= SENDS_MAX {
        return Err(InviteError::ResentTooOften);
    }
    let mut new = old.clone();
    new.secret = secret.hash();
    new.sent = old.sent.saturating_add(1);
    new.sent_at = now;
    new.undeliverable_since = None;
    let mut changed = Changed::of(seen, new.clone());
    if has_failed {
        new.expires_at = expiry(old.source, now);
        new.invited_at = now;
        if old.source == InvitationSource::Manual {
            count(&mut changed, now)?;
        }
    }
    changed.result = new.clone();
    changed.replace(new.clone());
    changed.writes.push(Write::Delete(outbox::key_of(desk.enterprise.id, old)));
    changed.writes.extend(mail(desk, seen, &new, secret).writes(desk.enterprise.id));
    changed.told.push((AuditAction::ResendInvitation, new, None));
    Ok(changed)
}

/// Takes an invitation away, with its mail if that still waits.
fn withdraw<T>(desk: &Desk<'_>, changed: &mut Changed<T>, invitation: &Invitation, rule: &'static str) {
    changed.invitee.invitations.retain(|i| i.id != invitation.id);
    changed.writes.extend(listed(desk, invitation).map(|(set, member)| Write::Remove(set, member)));
    changed.writes.push(Write::Delete(outbox::key_of(desk.enterprise.id, invitation)));
    changed.told.push((AuditAction::CancelInvitation, invitation.clone(), Some(rule)));
}

/// The sets in which an invitation is listed.
fn listed(desk: &Desk<'_>, invitation: &Invitation) -> impl Iterator<Item = (Key, Vec<u8>)> {
    let enterprise = desk.enterprise.id;
    let reference = InvitationReference { address: desk.address, invitation: invitation.id };
    let organization = OrganizationId::of(enterprise, &invitation.organization);
    let of_organization = Key::OrganizationInvitations(enterprise, organization);
    let of_inviter = invitation.inviter.map(|inviter| Key::SentInvitations(enterprise, inviter));
    let sets = std::iter::once(of_organization).chain(of_inviter);
    sets.map(move |set| (set, reference.to_bytes().to_vec()))
}

fn mail(desk: &Desk<'_>, seen: &Seen, invitation: &Invitation, secret: &InvitationSecret) -> Queued {
    let shown = |person: &Person| {
        let profile = &person.profile;
        profile.display_name.clone().unwrap_or_else(|| profile.user.clone())
    };
    let subject = MailSubject::Invitation {
        organization: invitation.organization.clone(),
        reference: InvitationReference { address: desk.address, invitation: invitation.id },
        role: invitation.role,
        inviter: seen.actor.as_ref().map(shown),
        secret: secret.clone(),
        expires_at: invitation.expires_at,
    };
    Queued::invitation(invitation, subject, desk.now)
}

fn count<T>(changed: &mut Changed<T>, now: Timestamp) -> Result<(), InviteError> {
    if !provisioning::allows_invitation(&changed.organization, now) {
        return Err(InviteError::TooMany);
    }
    provisioning::count_invitation(&mut changed.organization, now);
    Ok(())
}

/// Statement 14: what SCIM asks for stays until SCIM, or an owner, takes it back.
fn expiry(source: InvitationSource, now: Timestamp) -> Option<Timestamp> {
    match source {
        InvitationSource::Manual => Some(after_seconds(now, INVITATION_DAYS * 24 * 60 * 60)),
        InvitationSource::Scim => None,
    }
}

fn after_seconds(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
