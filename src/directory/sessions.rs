//! From a cookie's token to a live session, through a cache of bounded age.
use std::sync::Arc;

use crate::{
    domain::{ActiveSession, Person, Session, SessionId, SessionToken, Timestamp},
    store::{Key, Note, Op, Reply, StoreError, records},
    telemetry::{AuditAction, AuditEvent, AuditLine, Trigger},
};

use super::{Directory, unexpected_reply};

/// A session notes that it was seen at most this often, in seconds, unless its idle time is short.
const LAST_SEEN_RESOLUTION_SECONDS_MAX: i64 = 60;

impl Directory {
    /// The live session of a token with the person's present memberships; `None` if there is none.
    pub async fn session(
        &self,
        token: &SessionToken,
        now: Timestamp,
    ) -> Result<Option<Arc<ActiveSession>>, StoreError> {
        let id = token.session_id();
        if let Some(active) = self.sessions.get(id.as_bytes(), now) {
            return Ok(active.session.is_live(now).then_some(active));
        }
        let generation = self.sessions.generation(id.as_bytes());
        let Some(active) = self.load_session(id, now).await? else { return Ok(None) };
        let active = Arc::new(active);
        self.sessions.put(*id.as_bytes(), active.clone(), generation, now);
        Ok(Some(active))
    }

    /// Ends a session, at once on this gateway; others are told, and forget it within the cache's bounded age in any case.
    pub async fn end_session(&self, token: &SessionToken, now: Timestamp) -> Result<(), StoreError> {
        let id = token.session_id();
        let ended =
            self.store.batch(now, vec![Op::Delete(Key::Session(id)), Op::Notify(Note::Session(id))]).await;
        self.sessions.forget(id.as_bytes());
        ended?;
        self.removals.note_session(id, now);
        Ok(())
    }

    /// The same by the word of the session's own person; the audit stream is told in the same step.
    pub async fn sign_out(
        &self,
        active: &ActiveSession,
        request_id: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let session = &active.session;
        let line = AuditLine::of(&AuditEvent {
            person: Some(&session.person.to_string()),
            user: Some(&session.profile.user),
            session: Some(&session.id.to_string()),
            request_id: Some(request_id),
            ..AuditEvent::new(now, AuditAction::SignOut, Trigger::Person, session.enterprise.as_str())
        });
        let ops = vec![
            Op::Delete(Key::Session(session.id)),
            Op::Notify(Note::Session(session.id)),
            Op::Append(Key::Audit(session.enterprise_id), line.as_bytes().to_vec()),
        ];
        let ended = self.store.batch(now, ops).await;
        self.sessions.forget(session.id.as_bytes());
        ended?;
        self.removals.note_session(session.id, now);
        line.log();
        Ok(())
    }

    async fn load_session(&self, id: SessionId, now: Timestamp) -> Result<Option<ActiveSession>, StoreError> {
        let mut replies = self.store.batch(now, vec![Op::Get(Key::Session(id))]).await?;
        let stored = match replies.pop() {
            Some(Reply::Value(Some(stored))) => stored,
            Some(Reply::Value(None)) => return Ok(None),
            _ => return Err(unexpected_reply()),
        };
        let session = records::decode_session(id, &stored.value)?;
        let Some(mut session) = session.filter(|session| session.is_live(now)) else { return Ok(None) };
        let person = self.person(session.enterprise_id, session.person, now).await?;
        let Some(person) = person.filter(may_come_in) else { return Ok(None) };
        if !is_of_link(&session, &person) {
            return Ok(None);
        }
        let unseen = now.as_second() - session.last_seen_at.as_second();
        let resolution = LAST_SEEN_RESOLUTION_SECONDS_MAX.min(i64::from(session.idle_seconds_max) / 10);
        if unseen > resolution {
            session.last_seen_at = now;
            let value = records::encode_session(&session);
            let touch = Op::Replace { key: Key::Session(id), value, expires_at: session.expires_at };
            // Replace, not put: a session that was ended in the meantime stays ended.
            let replies = self.store.batch(now, vec![touch]).await?;
            if replies != [Reply::Created(true)] {
                return Ok(None);
            }
        }
        Ok(Some(ActiveSession { session, memberships: person.memberships }))
    }
}

/// Whether anything that a person has open opens something: who is out, or whose link to the IdP was revoked, is let in by
/// nothing that was handed out before (A12, V-16).
pub(super) fn may_come_in(person: &Person) -> bool {
    person.standing.is_active() && person.linked_at.is_some()
}

/// Whether the session was opened by the present link: what was open before a revocation, or before a person was put out,
/// stays closed when the person is linked anew (section 2.3).
pub(super) fn is_of_link(session: &Session, person: &Person) -> bool {
    let linked_at = person.linked_at.map(|at| at.as_millisecond());
    linked_at.is_some_and(|at| session.created_at.as_millisecond() >= at)
}
