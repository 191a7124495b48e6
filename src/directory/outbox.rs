//! The outbox: a mail is written in the very commit that makes it due, and lies in the store until a mail server took it.
//!
//! Any gateway may send any mail. Who sends one first moves its due time behind the time that an attempt can take, by the
//! record's revision: of several gateways one succeeds. A gateway that dies in between leaves the mail to whoever finds it due
//! again. So nothing is lost, and a mail is sent twice only if a gateway dies, or loses the store, between the server's word and
//! the deletion; both copies then have the same Message-ID.
use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, watch};

use super::{Cause, Directory, Enterprise, StoreError, amend::Matter, unexpected_reply};
use crate::{
    domain::{
        BackOff, EnterpriseId, Invitation, InvitationReference, MailId, MailSubject, Person, QueuedMail,
        Timestamp, seconds_after,
    },
    mail::{self, Mailer, SendError},
    provisioning::{Change, Plan},
    store::{Commit, Committed, Key, Op, Reply, Revision, Versioned, Write, records},
    telemetry::{AuditLine, Trigger},
};

/// How long a mail waits that failed.
const BACK_OFF: BackOff = BackOff { first_seconds: 30, most_seconds: 60 * 60 };
/// About two and a half days of a dead server: a weekend.
const ATTEMPTS_MAX: u32 = 68;
/// How long a mail that another gateway queued, or that waits again, may lie after it is due.
const POLL_SECONDS: u64 = 15;
/// What is taken up in one round for each enterprise, so that none waits for another's thousands.
const ROUND_MAILS: usize = 32;
/// Beyond twice the time of an attempt, for clocks that differ between gateways.
const LEASE_MARGIN_SECONDS: i64 = 10;
const COMMIT_ATTEMPTS_MAX: usize = 16;

/// What a directory with mail knows of it.
#[derive(Debug, Clone)]
pub struct Post {
    /// Told when something was queued here.
    pub(super) wake: Arc<Notify>,
    pub(super) notices: bool,
}

/// A mail on its way into the outbox.
pub(super) struct Queued(QueuedMail);

impl Queued {
    pub fn invitation(invitation: &Invitation, subject: MailSubject, now: Timestamp) -> Self {
        let id = MailId::of_invitation(invitation.id, invitation.sent);
        Self::new(id, &invitation.email, subject, now)
    }

    /// A notice about `about`, which tells it from others of the same moment.
    pub fn notice(to: &str, subject: MailSubject, about: &[u8], now: Timestamp) -> Self {
        let at = now.as_millisecond().to_be_bytes();
        let parts: [&[u8]; 4] = [b"notice", about, subject.organization().as_str().as_bytes(), &at];
        Self::new(MailId::derived(&parts), to, subject, now)
    }

    fn new(id: MailId, to: &str, subject: MailSubject, now: Timestamp) -> Self {
        Self(QueuedMail { id, to: to.to_owned(), subject, queued_at: now, due_at: now, attempts: 0 })
    }

    pub fn writes(&self, enterprise: EnterpriseId) -> [Write; 2] {
        let Self(mail) = self;
        [
            Write::Put(Key::Mail(enterprise, mail.id), records::encode_mail(mail)),
            Write::Insert(Key::Outbox(enterprise), records::encode_due(mail.due_at, mail.id)),
        ]
    }
}

/// Where the mail of an invitation lies, if it still waits.
pub(super) fn key_of(enterprise: EnterpriseId, invitation: &Invitation) -> Key {
    Key::Mail(enterprise, MailId::of_invitation(invitation.id, invitation.sent))
}

impl Directory {
    /// Lets what was just queued go out at once.
    pub(super) fn wake_outbox(&self) {
        if let Some(post) = &self.post {
            post.wake.notify_one();
        }
    }

    /// Tells the person of every membership that the plan ends, if the configuration says so (section 3.5).
    pub(super) fn notices(&self, matter: &Matter<'_>, plan: &Plan, person: &Person) -> Vec<Write> {
        let email = person.profile.email.as_deref().filter(|_| self.post.as_ref().is_some_and(|p| p.notices));
        let Some(email) = email else { return vec![] };
        let ends = plan.changes.iter().filter_map(|change| match change {
            Change::Leave { organization, .. } => Some(organization.clone()),
            _ => None,
        });
        ends.flat_map(|organization| {
            let subject = MailSubject::Removed { organization };
            Queued::notice(email, subject, person.id.as_bytes(), matter.now).writes(matter.enterprise.id)
        })
        .collect()
    }
}

/// Sends what is due.
pub struct Outbox {
    pub directory: Arc<Directory>,
    pub mailer: Mailer,
    /// The enterprises as they are configured at the moment.
    pub senders: Box<dyn Fn() -> Vec<Sender> + Send + Sync>,
    pub now: fn() -> Timestamp,
}

/// An enterprise, and where its people accept invitations.
pub struct Sender {
    pub enterprise: Enterprise,
    /// `https://app.example.com`
    pub base_url: String,
}

/// A mail that this gateway has for itself until its lease ends.
struct Leased {
    mail: QueuedMail,
    revision: Revision,
}

/// Whether the next mail is worth an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    /// The server is out of order.
    Wait,
}

impl Outbox {
    /// Sends until told to stop; a mail that is under way then still gets its answer.
    pub async fn run(self, mut stopping: watch::Receiver<bool>) {
        let Some(post) = self.directory.post.clone() else { return };
        while !*stopping.borrow() {
            for sender in (self.senders)() {
                if let Err(error) = self.round(&sender, &stopping).await {
                    tracing::warn!(enterprise = sender.enterprise.slug.as_str(), %error, "the outbox is not reachable");
                }
            }
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                () = post.wake.notified() => {}
                () = tokio::time::sleep(Duration::from_secs(POLL_SECONDS)) => {}
            }
        }
    }

    /// Sends what is due of one enterprise, oldest first.
    async fn round(&self, sender: &Sender, stopping: &watch::Receiver<bool>) -> Result<(), StoreError> {
        loop {
            let set = Key::Outbox(sender.enterprise.id);
            let waiting = self.directory.store.members(set, None, ROUND_MAILS).await?;
            let mut taken_up = 0;
            for entry in waiting {
                let (due, id) = records::decode_due(&entry)?;
                if due > (self.now)() || *stopping.borrow() {
                    return Ok(());
                }
                taken_up += 1;
                let Some(leased) = self.lease(sender, &entry, id).await? else { continue };
                if self.deliver(sender, leased).await? == Next::Wait {
                    return Ok(());
                }
            }
            if taken_up < ROUND_MAILS {
                return Ok(());
            }
        }
    }

    /// `None` if the mail is gone, or another gateway has it.
    async fn lease(&self, sender: &Sender, entry: &[u8], id: MailId) -> Result<Option<Leased>, StoreError> {
        let (enterprise, now) = (sender.enterprise.id, (self.now)());
        let (set, key) = (Key::Outbox(enterprise), Key::Mail(enterprise, id));
        let stored = self.get(key, now).await?;
        let mail = stored.as_ref().map(|stored| records::decode_mail(id, &stored.value)).transpose()?;
        let (Some(stored), Some(mut mail)) = (stored, mail) else {
            // Its invitation was withdrawn or taken up before it was sent.
            self.directory.store.batch(now, vec![Op::Remove(set, entry.to_vec())]).await?;
            return Ok(None);
        };
        if records::encode_due(mail.due_at, id) != entry {
            self.directory.store.batch(now, vec![Op::Remove(set, entry.to_vec())]).await?;
            return Ok(None);
        }
        let attempt = i64::try_from(self.mailer.timeout().as_secs()).unwrap_or(i64::MAX / 4);
        mail.due_at = seconds_after(now, 2 * attempt + LEASE_MARGIN_SECONDS);
        mail.attempts = mail.attempts.saturating_add(1);
        let commit = Commit {
            expect: vec![(key, stored.revision)],
            writes: vec![
                Write::Put(key, records::encode_mail(&mail)),
                Write::Remove(set, entry.to_vec()),
                Write::Insert(set, records::encode_due(mail.due_at, id)),
            ],
        };
        let applied = self.directory.store.commit(commit).await? == Committed::Applied;
        Ok(applied.then(|| Leased { mail, revision: stored.revision + 1 }))
    }

    async fn deliver(&self, sender: &Sender, leased: Leased) -> Result<Next, StoreError> {
        let Leased { mail, .. } = &leased;
        let Enterprise { slug, .. } = &sender.enterprise;
        let link = match &mail.subject {
            MailSubject::Invitation { reference, secret, .. } => {
                if !self.is_wanted(sender, mail).await? {
                    self.directory.metrics.mail("obsolete");
                    self.finish(sender, &leased, None).await?;
                    return Ok(Next::GoOn);
                }
                Some(invitation_url(&sender.base_url, &sender.enterprise, *reference, secret.expose()))
            }
            _ => None,
        };
        let outgoing = mail::Outgoing { mail, enterprise: slug, link: link.as_deref(), now: (self.now)() };
        let (id, about, attempts) = (mail.id.to_string(), mail.subject.as_str(), mail.attempts);
        match self.mailer.send(&outgoing).await {
            Ok(()) => {
                self.directory.metrics.mail("sent");
                tracing::info!(enterprise = slug.as_str(), mail = id, about, attempts, "mail sent");
                self.finish(sender, &leased, None).await?;
                Ok(Next::GoOn)
            }
            Err(error) if error.is_permanent() || attempts >= ATTEMPTS_MAX => {
                self.directory.metrics.mail("failed");
                tracing::warn!(enterprise = slug.as_str(), mail = id, about, attempts, code = error.code(), %error, "mail given up");
                self.finish(sender, &leased, Some(&error)).await?;
                Ok(Next::GoOn)
            }
            Err(error) => {
                self.directory.metrics.mail("deferred");
                tracing::warn!(enterprise = slug.as_str(), mail = id, about, attempts, code = error.code(), %error, "mail deferred");
                self.defer(sender, &leased).await?;
                Ok(if error.is_of_server() { Next::Wait } else { Next::GoOn })
            }
        }
    }

    /// Whether the mail's link still opens something.
    async fn is_wanted(&self, sender: &Sender, mail: &QueuedMail) -> Result<bool, StoreError> {
        let MailSubject::Invitation { reference, secret, .. } = &mail.subject else { return Ok(true) };
        let now = (self.now)();
        let invitee = self.directory.invitee(sender.enterprise.id, reference.address, now).await?;
        let is_it =
            |i: &Invitation| i.id == reference.invitation && i.is_live(now) && i.secret == secret.hash();
        Ok(invitee.invitations.iter().any(is_it))
    }

    /// Takes the mail out of the outbox; `failed` says that nobody got it.
    async fn finish(
        &self,
        sender: &Sender,
        leased: &Leased,
        failed: Option<&SendError>,
    ) -> Result<(), StoreError> {
        let (enterprise, now) = (sender.enterprise.id, (self.now)());
        let key = Key::Mail(enterprise, leased.mail.id);
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let entry = records::encode_due(leased.mail.due_at, leased.mail.id);
            let mut commit = Commit {
                expect: vec![(key, leased.revision)],
                writes: vec![Write::Delete(key), Write::Remove(Key::Outbox(enterprise), entry)],
            };
            let told = match failed {
                Some(error) => {
                    let cause = Cause { rule: Some(error.code()), ..Cause::by(Trigger::Mail, None, "") };
                    let Sender { enterprise, .. } = sender;
                    self.directory.fail_invitation(enterprise, &leased.mail, &cause, &mut commit, now).await?
                }
                None => None,
            };
            if self.directory.store.commit(commit).await? == Committed::Applied {
                told.iter().for_each(AuditLine::log);
                return Ok(());
            }
            // Somebody withdrew the invitation, or our lease has run out: then it is not ours to finish.
            let revision = self.get(key, now).await?.map_or(0, |stored| stored.revision);
            if revision != leased.revision {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn defer(&self, sender: &Sender, leased: &Leased) -> Result<(), StoreError> {
        let (enterprise, id) = (sender.enterprise.id, leased.mail.id);
        let (set, key) = (Key::Outbox(enterprise), Key::Mail(enterprise, id));
        let mut random = [0; 4];
        // Without chance all gateways come back at once, which does no harm.
        let _ = getrandom::fill(&mut random);
        let wait = BACK_OFF.seconds(leased.mail.attempts, u32::from_be_bytes(random));
        let mail = QueuedMail { due_at: seconds_after((self.now)(), wait), ..leased.mail.clone() };
        let commit = Commit {
            expect: vec![(key, leased.revision)],
            writes: vec![
                Write::Put(key, records::encode_mail(&mail)),
                Write::Remove(set, records::encode_due(leased.mail.due_at, id)),
                Write::Insert(set, records::encode_due(mail.due_at, id)),
            ],
        };
        // A conflict: the invitation was withdrawn meanwhile, and the mail with it.
        self.directory.store.commit(commit).await.map(drop)
    }

    async fn get(&self, key: Key, now: Timestamp) -> Result<Option<Versioned>, StoreError> {
        match self.directory.store.batch(now, vec![Op::Get(key)]).await?.pop() {
            Some(Reply::Value(stored)) => Ok(stored),
            _ => Err(unexpected_reply()),
        }
    }
}

/// The link of an invitation's mail.
fn invitation_url(base: &str, enterprise: &Enterprise, of: InvitationReference, secret: &str) -> String {
    format!("{base}/.portcullis/invitations/{}/{of}?secret={secret}", enterprise.slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_outlast_a_weekend() {
        let all: i64 = (1..ATTEMPTS_MAX).map(|attempts| BACK_OFF.seconds(attempts, 0)).sum();
        assert!(all * 2 > 60 * 60 * 60, "{all}");
    }
}
