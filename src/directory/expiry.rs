//! What nobody takes away goes in time: invitations that failed long ago, and mails that nobody sends any more.
use jiff::SignedDuration;

use super::{Cause, Directory, Enterprise, StoreError, unexpected_reply};
use crate::{
    domain::{EnterpriseId, MailId, QueuedMail, Timestamp},
    store::{Commit, Committed, Key, Op, Reply, Revision, Write, records},
    telemetry::{AuditLine, Trigger},
};

/// How long owners can see that an invitation failed, and send it again, in days: as long as a membership can be given back.
pub const FAILED_INVITATION_DAYS: i64 = 90;
/// How long a mail with its secret may wait to be sent, in days: longer than any attempt is made again, and no longer than the
/// link in it opens anything that was sent by hand.
pub const MAIL_DAYS: i64 = 7;
/// What is looked at in one step.
const PAGE_ENTRIES: usize = 256;
/// Why a mail was given up that was never refused.
const MAIL_TOO_OLD: &str = "mail_too_old";

/// What went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    pub invitations: u64,
    pub mails: u64,
}

impl Directory {
    /// Takes away what is older than it may become. Several gateways do so without harm.
    pub async fn purge(&self, enterprise: &Enterprise, now: Timestamp) -> Result<Purged, StoreError> {
        let mails = self.purge_mails(enterprise, now).await?;
        let before = days_before(now, FAILED_INVITATION_DAYS);
        let invitations = self.purge_invitations(enterprise, before, now).await?;
        Ok(Purged { invitations, mails })
    }

    /// Mails wait for a server that is down, and for nothing at all once no server is configured.
    async fn purge_mails(&self, enterprise: &Enterprise, now: Timestamp) -> Result<u64, StoreError> {
        let (set, before) = (Key::Outbox(enterprise.id), days_before(now, MAIL_DAYS));
        let (mut after, mut purged) = (None, 0);
        loop {
            let page = self.store.members(set, after, PAGE_ENTRIES).await?;
            for entry in &page {
                let (_, id) = records::decode_due(entry)?;
                let Some((mail, revision)) = self.queued(enterprise.id, id, now).await? else {
                    // Its invitation was withdrawn before it was sent.
                    self.store.batch(now, vec![Op::Remove(set, entry.clone())]).await?;
                    continue;
                };
                if mail.queued_at <= before {
                    purged += u64::from(self.give_up(enterprise, &mail, revision, entry, now).await?);
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE_ENTRIES => after = Some(last.clone()),
                _ => return Ok(purged),
            }
        }
    }

    /// Deletes a mail; its invitation is then known to have reached nobody. `false` if somebody was faster.
    async fn give_up(
        &self,
        enterprise: &Enterprise,
        mail: &QueuedMail,
        revision: Revision,
        entry: &[u8],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (key, set) = (Key::Mail(enterprise.id, mail.id), Key::Outbox(enterprise.id));
        let mut commit = Commit {
            expect: vec![(key, revision)],
            writes: vec![Write::Delete(key), Write::Remove(set, entry.to_vec())],
        };
        let cause = Cause { rule: Some(MAIL_TOO_OLD), ..Cause::by(Trigger::System, None, "") };
        let told = self.fail_invitation(enterprise, mail, &cause, &mut commit, now).await?;
        let applied = self.store.commit(commit).await? == Committed::Applied;
        if applied {
            told.iter().for_each(AuditLine::log);
            self.metrics.mail("failed");
        }
        Ok(applied)
    }

    async fn queued(
        &self,
        enterprise: EnterpriseId,
        id: MailId,
        now: Timestamp,
    ) -> Result<Option<(QueuedMail, Revision)>, StoreError> {
        match self.store.batch(now, vec![Op::Get(Key::Mail(enterprise, id))]).await?.pop() {
            Some(Reply::Value(Some(stored))) => {
                Ok(Some((records::decode_mail(id, &stored.value)?, stored.revision)))
            }
            Some(Reply::Value(None)) => Ok(None),
            _ => Err(unexpected_reply()),
        }
    }
}

fn days_before(now: Timestamp, days: i64) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(days * 24)).unwrap_or(Timestamp::MIN)
}
