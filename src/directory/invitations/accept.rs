//! Taking up an invitation: by whom it is for, signed in, with the link's secret.
use super::InviteError;
use crate::{
    directory::{
        Cause, Contended, Directory, Enterprise, StoreError,
        amend::{Decision, Matter, View},
        recovery,
    },
    domain::{
        AddressId, BatchId, Invitation, InvitationReference, InvitationSecret, MembershipSource,
        OrganizationSlug, Person, PersonId, Role, Session, Timestamp,
    },
    provisioning::{self, Plan},
    telemetry::{AuditAction, AuditEvent, Trigger, audit},
};

/// What a mail's link says: which invitation, and that whoever opens it has the mail.
#[derive(Debug, Clone)]
pub struct InvitationLink {
    pub reference: InvitationReference,
    pub secret: InvitationSecret,
}

/// An invitation that was taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub organization: OrganizationSlug,
    pub role: Role,
    pub plan: Plan,
}

/// Why nobody joined. Outside, all of them are one.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Never there, withdrawn, or accepted already.
    #[error("there is no such invitation")]
    NotFound,
    #[error("the link's secret is not the invitation's newest")]
    Secret,
    #[error(
        "the invitation is for somebody else: the address differs from what the IdP says, or it names another person"
    )]
    OfAnother,
    #[error("the invitation has failed: {0}")]
    Failed(&'static str),
    #[error("who sent the invitation may not invite any more")]
    InviterLeft,
    /// A12
    #[error("the person is deactivated")]
    Deactivated,
    #[error("the session was opened by a recovery code, so no IdP says whose address it is")]
    RecoverySession,
    #[error(transparent)]
    Contended(#[from] Contended),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AcceptError {
    /// Stable code for logs and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => InviteError::NotFound.code(),
            Self::Secret => "invitation_secret",
            Self::OfAnother => "invitation_of_another",
            Self::Failed(_) => "invitation_failed",
            Self::InviterLeft => "invitation_inviter_left",
            Self::Deactivated => "person_deactivated",
            Self::RecoverySession => "invitation_by_recovery",
            Self::Contended(_) => "store_contended",
            Self::Store(error) => error.code(),
        }
    }
}

impl Directory {
    /// What the page before the acceptance shows: the invitation, if the session's person could accept it now.
    pub async fn offered(
        &self,
        enterprise: &Enterprise,
        session: &Session,
        link: &InvitationLink,
        now: Timestamp,
    ) -> Result<Invitation, AcceptError> {
        let invitations = self.invitee(enterprise.id, link.reference.address, now).await?.invitations;
        let invitation = check(enterprise, session, link, &invitations, now)?;
        let inviter = match invitation.inviter {
            Some(inviter) => self.person(enterprise.id, inviter, now).await?,
            None => None,
        };
        check_inviter(enterprise, invitation, inviter.as_ref())?;
        Ok(invitation.clone())
    }

    /// Joins the session's person to what the invitation offers, and takes the invitation away, in one commit. A refusal
    /// changes nothing and leaves one line in the audit log.
    pub async fn accept_invitation(
        &self,
        enterprise: &Enterprise,
        session: &Session,
        link: &InvitationLink,
        request_id: &str,
        now: Timestamp,
    ) -> Result<Accepted, AcceptError> {
        let accepted = self.accept(enterprise, session, link, request_id, now).await;
        if let Err(error) = &accepted {
            let (id, person) = (link.reference.invitation.to_string(), session.person.to_string());
            audit(&AuditEvent {
                person: Some(&person),
                user: Some(&session.profile.user),
                invitation_id: Some(&id),
                request_id: Some(request_id),
                reason: Some(error.code()),
                ..AuditEvent::new(
                    now,
                    AuditAction::InvitationRefused,
                    Trigger::Person,
                    enterprise.slug.as_str(),
                )
            });
        }
        accepted
    }

    async fn accept(
        &self,
        enterprise: &Enterprise,
        session: &Session,
        link: &InvitationLink,
        request_id: &str,
        now: Timestamp,
    ) -> Result<Accepted, AcceptError> {
        let offered = self.offered(enterprise, session, link, now).await?;
        let actor: Option<(PersonId, &str)> = Some((session.person, &session.profile.user));
        let matter = Matter {
            enterprise,
            person: session.person,
            addresses: vec![link.reference.address],
            actor: offered.inviter,
            source: MembershipSource::Invitation,
            is_automatic: false,
            batch: BatchId::of_hour("invitation", now),
            cause: Cause {
                rule: Some("invitation_accepted"),
                ..Cause::by(Trigger::Person, actor, request_id)
            },
            now,
        };
        let decide = |view: &View<'_>| {
            let invitation = check(enterprise, session, link, view.invitations, now)?;
            check_inviter(enterprise, invitation, view.actor)?;
            let person = view.person.filter(|person| person.standing.is_active());
            let mut person = person.ok_or(AcceptError::Deactivated)?.clone();
            let plan = provisioning::acceptance(&person.memberships, invitation);
            // A13: an assertion that was issued before says nothing against it.
            person.decided_at = Some(now);
            Ok::<_, AcceptError>(Decision { person, plan })
        };
        let plan = self.amend(&matter, None, decide).await?.plan;
        Ok(Accepted { organization: offered.organization, role: offered.role, plan })
    }
}

/// Whether the session's person may accept it (V-08): nobody is anybody by an e-mail address alone. The enterprise's own IdP said
/// the address at this sign-in, and whoever has the mail has the secret.
fn check<'i>(
    enterprise: &Enterprise,
    session: &Session,
    InvitationLink { reference, secret }: &InvitationLink,
    invitations: &'i [Invitation],
    now: Timestamp,
) -> Result<&'i Invitation, AcceptError> {
    // An invitation of another tenant is none (V-02).
    let foreign = session.enterprise_id != enterprise.id;
    let invitation = invitations.iter().find(|i| i.id == reference.invitation).filter(|_| !foreign);
    let invitation = invitation.ok_or(AcceptError::NotFound)?;
    if recovery::is_recovery(session) {
        return Err(AcceptError::RecoverySession);
    }
    // Hashes: the time says nothing of the secret.
    if secret.hash() != invitation.secret {
        return Err(AcceptError::Secret);
    }
    let is_for = match invitation.person {
        Some(person) => person == session.person,
        None => {
            let said = session.profile.email.as_deref();
            said.is_some_and(|email| AddressId::of(enterprise.id, email) == reference.address)
        }
    };
    if !is_for {
        return Err(AcceptError::OfAnother);
    }
    if let Some((_, why)) = invitation.failed_at(now) {
        return Err(AcceptError::Failed(why));
    }
    Ok(invitation)
}

/// Statement 20: what somebody sent who may not invite any more opens nothing, whenever that is noticed.
fn check_inviter(
    enterprise: &Enterprise,
    invitation: &Invitation,
    inviter: Option<&Person>,
) -> Result<(), AcceptError> {
    if invitation.inviter.is_none() {
        return Ok(());
    }
    let may = inviter.is_some_and(|inviter| {
        // Ownership comes from who has it (D5); to invite members, it is enough to have stayed.
        let role = inviter.membership(&invitation.organization).map(|member| member.role);
        let belongs = role.is_some_and(|role| role >= invitation.role);
        inviter.standing.is_active() && (belongs || enterprise.owners.contains(&inviter.profile.user))
    });
    if may { Ok(()) } else { Err(AcceptError::InviterLeft) }
}
