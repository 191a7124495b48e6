//! What a person has open: listed and ended by the person, or by an owner. Who may is for the caller to say.
use crate::{
    domain::{EnterpriseId, PersonId, Session, SessionId, Timestamp},
    store::{Key, Note, Op, Reply, StoreError, records},
    telemetry::{AuditAction, AuditEvent, AuditLine},
};

use super::{Cause, Directory, Enterprise, audit, unexpected_reply};

/// Sessions that are looked at in one step.
const SESSIONS_PER_PAGE: usize = 256;
/// Steps of one listing; a person with more sessions than this is no person.
const PAGES_MAX: usize = 64;

impl Directory {
    /// A person's live sessions, those that end first coming first. No use of a session that would prolong it.
    pub async fn sessions_of(
        &self,
        enterprise: EnterpriseId,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        let mut sessions = vec![];
        let mut after = records::subject_sessions_before(now).to_vec();
        for _ in 0..PAGES_MAX {
            let set = Key::PersonSessions(enterprise, person);
            let page = self.store.members(set, Some(after.clone()), SESSIONS_PER_PAGE).await?;
            let ids: Vec<SessionId> = page
                .iter()
                .map(|member| records::decode_subject_session(member))
                .collect::<Result<_, _>>()?;
            let values = self.values(ids.iter().map(|id| Key::Session(*id)), now).await?;
            for (id, value) in ids.into_iter().zip(values) {
                let session = value.map(|value| records::decode_session(id, &value)).transpose()?.flatten();
                let is_theirs = |session: &Session| {
                    session.enterprise_id == enterprise && session.person == person && session.is_live(now)
                };
                sessions.extend(session.filter(is_theirs));
            }
            match page.last() {
                Some(last) if page.len() == SESSIONS_PER_PAGE => after.clone_from(last),
                _ => break,
            }
        }
        Ok(sessions)
    }

    /// Ends one of a person's sessions; `false` if the person has no such session, whoever else may have it (V-02).
    pub async fn end_session_of(
        &self,
        enterprise: &Enterprise,
        person: PersonId,
        session: SessionId,
        cause: &Cause<'_>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let value = self.values(std::iter::once(Key::Session(session)), now).await?.pop().flatten();
        let found = value.map(|value| records::decode_session(session, &value)).transpose()?.flatten();
        let is_theirs = |found: &Session| {
            found.enterprise_id == enterprise.id && found.person == person && found.is_live(now)
        };
        let Some(found) = found.filter(is_theirs) else { return Ok(false) };
        Ok(!self.end(enterprise, person, vec![found], cause, now).await?.is_empty())
    }

    /// Ends every session that a person has; answers which.
    pub async fn end_sessions_of_person(
        &self,
        enterprise: &Enterprise,
        person: PersonId,
        cause: &Cause<'_>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let sessions = self.sessions_of(enterprise.id, person, now).await?;
        self.end(enterprise, person, sessions, cause, now).await
    }

    /// Takes the sessions, so that of several who end one at once a single one says that it did. What the audit stream is told
    /// goes along with it.
    async fn end(
        &self,
        enterprise: &Enterprise,
        person: PersonId,
        sessions: Vec<Session>,
        cause: &Cause<'_>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let set = Key::PersonSessions(enterprise.id, person);
        let mut ended = vec![];
        for page in sessions.chunks(SESSIONS_PER_PAGE) {
            let lines: Vec<AuditLine> =
                page.iter().map(|session| told(enterprise, session, cause, now)).collect();
            let takes = page.iter().map(|session| Op::Take(Key::Session(session.id)));
            let tell = |session: &Session| {
                let member = records::encode_subject_session(session.id, session.expires_at);
                [Op::Remove(set, member), Op::Notify(Note::Session(session.id))]
            };
            let appends = audit::append(enterprise, &lines);
            let ops = takes.chain(page.iter().flat_map(tell)).chain(appends).collect();
            let taken = self.store.batch(now, ops).await;
            page.iter().for_each(|session| self.sessions.forget(session.id.as_bytes()));
            for ((session, line), reply) in page.iter().zip(&lines).zip(taken?) {
                match reply {
                    Reply::Value(Some(_)) => {
                        line.log();
                        self.removals.note_session(session.id, now);
                        ended.push(session.id);
                    }
                    Reply::Value(None) => {}
                    _ => return Err(unexpected_reply()),
                }
            }
        }
        Ok(ended)
    }
}

fn told(enterprise: &Enterprise, session: &Session, cause: &Cause<'_>, now: Timestamp) -> AuditLine {
    AuditLine::of(&AuditEvent {
        person: Some(&session.person.to_string()),
        user: Some(&session.profile.user),
        actor: cause.actor.map(|(_, user)| user),
        actor_id: cause.actor.map(|(id, _)| id.to_string()).as_deref(),
        request_id: Some(cause.request_id),
        session: Some(&session.id.to_string()),
        reason: cause.rule,
        ..AuditEvent::new(now, AuditAction::RevokeSsoSession, cause.trigger, enterprise.slug.as_str())
    })
}
