//! Invitations that come to nothing: whose mail reached nobody, and that failed long ago.
use super::{Changed, Desk, InvitationPage, InvitationState, InviteError, tell, withdraw};
use crate::{
    directory::{Cause, Directory, Enterprise, StoreError, audit, unexpected_reply},
    domain::{Invitation, InvitationReference, MailSubject, OrganizationSlug, QueuedMail, Timestamp},
    store::{Commit, Key, Op, Reply, Write, records},
    telemetry::{AuditAction, AuditLine, Trigger},
};

/// Invitations that are looked at in one step.
const PAGE_INVITATIONS: usize = 256;

impl Directory {
    /// Marks the invitation whose mail reached nobody, as a part of `commit`; what is told of it. `None` if it is gone, was sent
    /// with another link since, or if the mail is about something else.
    pub(in crate::directory) async fn fail_invitation(
        &self,
        enterprise: &Enterprise,
        mail: &QueuedMail,
        cause: &Cause<'_>,
        commit: &mut Commit,
        now: Timestamp,
    ) -> Result<Option<AuditLine>, StoreError> {
        let MailSubject::Invitation { reference, secret, .. } = &mail.subject else { return Ok(None) };
        let InvitationReference { address, invitation } = *reference;
        let key = Key::Invitee(enterprise.id, address);
        let stored = match self.store.batch(now, vec![Op::Get(key)]).await?.pop() {
            Some(Reply::Value(Some(stored))) => stored,
            Some(Reply::Value(None)) => return Ok(None),
            _ => return Err(unexpected_reply()),
        };
        let mut invitee = records::decode_invitee(address, &stored.value)?;
        let is_it = |i: &&mut Invitation| i.id == invitation && i.secret == secret.hash();
        let Some(failed) = invitee.invitations.iter_mut().find(is_it) else { return Ok(None) };
        failed.undeliverable_since = Some(now);
        let failed = failed.clone();
        commit.expect.push((key, stored.revision));
        commit.writes.push(Write::Put(key, records::encode_invitee(&invitee)));
        let line = tell(enterprise, cause, AuditAction::InvitationFailed, &failed, None, now);
        commit.writes.extend(audit::appends(enterprise, std::slice::from_ref(&line)));
        Ok(Some(line))
    }

    /// Takes away the invitations of every organization that failed before `before`; answers how many.
    pub(in crate::directory) async fn purge_invitations(
        &self,
        enterprise: &Enterprise,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut purged = 0;
        let created = self.effective(enterprise, now).await?.created;
        let created = created.iter().map(|organization| &organization.slug);
        for slug in enterprise.organizations.iter().chain(created) {
            let mut after = None;
            loop {
                let page = InvitationPage { state: InvitationState::Failed, after, limit: PAGE_INVITATIONS };
                let (failed, next) = self.invitations(enterprise.id, slug, page, now).await?;
                for (reference, invitation) in failed {
                    if is_long_ago(&invitation, before, now) {
                        let gone = self.forget_invitation(enterprise, slug, reference, before, now).await?;
                        purged += u64::from(gone);
                    }
                }
                if next.is_none() {
                    break;
                }
                after = next;
            }
        }
        Ok(purged)
    }

    async fn forget_invitation(
        &self,
        enterprise: &Enterprise,
        organization: &OrganizationSlug,
        InvitationReference { address, invitation }: InvitationReference,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let cause = Cause { rule: Some("failed_long_ago"), ..Cause::by(Trigger::System, None, "") };
        let desk = Desk { enterprise, organization, address, cause, now };
        let forgotten = self.change_invitations(&desk, |seen| {
            let mut changed = Changed::of(seen, false);
            // It may have been sent again, or withdrawn, since it was listed.
            let found = seen.invitation(invitation).filter(|found| is_long_ago(found, before, now));
            if let Some(found) = found {
                changed.result = true;
                withdraw(&desk, &mut changed, found, "failed_long_ago");
            }
            Ok(changed)
        });
        match forgotten.await {
            Ok(forgotten) => Ok(forgotten),
            Err(InviteError::Store(error)) => Err(error),
            // Contended: the next time.
            Err(_) => Ok(false),
        }
    }
}

fn is_long_ago(invitation: &Invitation, before: Timestamp, now: Timestamp) -> bool {
    invitation.failed_at(now).is_some_and(|(since, _)| since <= before)
}
