//! Sessions that end before their time: because their person says so, or because the IdP does.
use crate::{
    domain::{
        EnterpriseId, NameId, PendingLogout, PersonId, RequestId, Session, SessionId, SubjectId, Timestamp,
        digest,
    },
    saml::{
        ISSUE_AGE_SECONDS_MAX, VerifiedLogoutRequest,
        guard::{Guard, stands},
    },
    store::{Key, Note, Op, Reply, StoreError, records},
    telemetry::{AuditAction, AuditEvent, AuditLine, Trigger},
};

use super::{Directory, Enterprise, audit, unexpected_reply};

/// Sessions of one NameID that are looked at in one step.
const SESSIONS_PER_PAGE: usize = 256;
/// Steps of one logout; a person with more sessions than this is no person.
const PAGES_MAX: usize = 64;
/// How much later than its age an assertion may still be accepted, in seconds: twice the most that a clock may be off.
const SKEW_SECONDS_MAX: i64 = 600;

/// Why a verified LogoutRequest ended nothing.
#[derive(Debug, thiserror::Error)]
pub enum LogoutError {
    /// L-06
    #[error("the LogoutRequest was used before")]
    Replayed,
    #[error("the NameID has more than {} sessions", SESSIONS_PER_PAGE * PAGES_MAX)]
    TooManySessions,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LogoutError {
    /// Stable code for logs, metrics and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Replayed => "logout_replayed",
            Self::TooManySessions => "logout_sessions_exceeded",
            Self::Store(error) => error.code(),
        }
    }
}

/// In which HTTP request a verified logout message came, and when.
#[derive(Debug, Clone, Copy)]
pub struct LogoutNotice<'a> {
    pub request_id: &'a str,
    pub now: Timestamp,
}

impl LogoutNotice<'_> {
    fn event<'a>(&'a self, enterprise: &'a Enterprise, action: AuditAction) -> AuditEvent<'a> {
        let event = AuditEvent::new(self.now, action, Trigger::Saml, enterprise.slug.as_str());
        AuditEvent { request_id: Some(self.request_id), ..event }
    }
}

impl Directory {
    /// Remembers a LogoutRequest that is about to be sent to the IdP.
    pub async fn open_logout(&self, pending: &PendingLogout, now: Timestamp) -> Result<(), StoreError> {
        let put = Op::Put {
            key: Key::PendingLogout(pending.request),
            value: records::encode_pending_logout(pending),
            expires_at: pending.expires_at,
        };
        self.store.batch(now, vec![put]).await.map(drop)
    }

    /// The LogoutRequest if it is outstanding. Reads only: a refused response consumes nothing.
    pub async fn outstanding_logout(
        &self,
        request: RequestId,
        now: Timestamp,
    ) -> Result<Option<PendingLogout>, StoreError> {
        let mut replies = self.store.batch(now, vec![Op::Get(Key::PendingLogout(request))]).await?;
        match replies.pop() {
            Some(Reply::Value(stored)) => {
                stored.map(|stored| records::decode_pending_logout(request, &stored.value)).transpose()
            }
            _ => Err(unexpected_reply()),
        }
    }

    /// Consumes an outstanding LogoutRequest, whose verified answer came; whether it was still there. The audit stream is told
    /// in the same step; of an answer that came a second time at that very moment also that it was refused.
    pub async fn close_logout(
        &self,
        enterprise: &Enterprise,
        request: RequestId,
        outcome: Option<&str>,
        notice: LogoutNotice<'_>,
    ) -> Result<bool, StoreError> {
        let answered = notice.event(enterprise, AuditAction::LogoutResponse);
        let told = [AuditLine::of(&AuditEvent { reason: outcome, ..answered })];
        let mut ops = vec![Op::Take(Key::PendingLogout(request))];
        ops.extend(audit::append(enterprise, &told));
        let taken = match self.store.batch(notice.now, ops).await?.into_iter().next() {
            Some(Reply::Value(taken)) => taken.is_some(),
            _ => return Err(unexpected_reply()),
        };
        if taken {
            told.iter().for_each(AuditLine::log);
        } else {
            let refused = notice.event(enterprise, AuditAction::LogoutRefused);
            let refused = AuditLine::of(&AuditEvent { reason: Some("request_consumed"), ..refused });
            self.store.batch(notice.now, audit::append(enterprise, &[refused])).await?;
        }
        Ok(taken)
    }

    /// Ends every session that the request names, of this enterprise and opened by this IdP (L-05): at once on this gateway,
    /// within the bounded age of the cache on others (L-10). Answers their ids.
    ///
    /// SAML Core 3.7.3.1: an assertion that was issued before the request and arrives after it opens no session either. The
    /// marks for that are written before the sessions are looked for, and a sign-in reads them after it has written its
    /// session, so that one of the two finds the other.
    pub async fn end_sessions_of(
        &self,
        enterprise: &Enterprise,
        sp_entity_id: &str,
        request: &VerifiedLogoutRequest,
        notice: LogoutNotice<'_>,
    ) -> Result<Vec<SessionId>, LogoutError> {
        let now = notice.now;
        let issuer = request.issuer();
        let used = digest(&[issuer.as_bytes(), b"LogoutRequest", request.id().as_bytes()]);
        let once = Op::PutOnce {
            key: Key::UsedAssertion(used),
            value: Vec::new(),
            expires_at: request.replayable_until(),
        };
        match self.store.batch(now, vec![once]).await?.pop() {
            Some(Reply::Created(true)) => {}
            // Told to the log alone: whoever has one message could fill the stream with it.
            Some(Reply::Created(false)) if stands(Guard::LogoutOnce) => return Err(LogoutError::Replayed),
            Some(Reply::Created(false)) => {}
            _ => return Err(unexpected_reply().into()),
        }
        let line = AuditLine::of(&AuditEvent {
            user: Some(&request.name_id().value),
            issuer: Some(issuer),
            ..notice.event(enterprise, AuditAction::LogoutRequest)
        });
        let told = std::slice::from_ref(&line);
        let marks = logged_out(enterprise.id, request);
        let steps = marks.iter().cloned().chain(audit::append(enterprise, told)).collect();
        self.store.batch(now, steps).await?;
        self.removals.note_marks(marks, now);
        line.log();
        let mut ended = vec![];
        for set in sessions_by_name_id(enterprise.id, issuer, &request.name_id().value) {
            // L-05: whose enterprise, IdP and NameID it is stands in the key of the set.
            let named = |session: &Session| names(request, session, sp_entity_id);
            ended.extend(self.end_all(set, named, now).await?);
        }
        Ok(ended)
    }

    /// Ends those sessions of a set that are `named`.
    async fn end_all(
        &self,
        set: Key,
        named: impl Fn(&Session) -> bool,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, LogoutError> {
        let mut after = records::subject_sessions_before(now).to_vec();
        let mut ended = vec![];
        for _ in 0..PAGES_MAX {
            let page = self.store.members(set, Some(after), SESSIONS_PER_PAGE).await?;
            let is_last = page.len() < SESSIONS_PER_PAGE;
            let last = page.last().cloned().unwrap_or_default();
            ended.extend(self.end_those(set, page, &named, now).await?);
            if is_last {
                return Ok(ended);
            }
            after = last;
        }
        Err(LogoutError::TooManySessions)
    }

    /// Ends those sessions of a page that are `named`, and forgets those that are over.
    async fn end_those(
        &self,
        set: Key,
        page: Vec<Vec<u8>>,
        named: impl Fn(&Session) -> bool,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let ids: Vec<SessionId> =
            page.iter().map(|member| records::decode_subject_session(member)).collect::<Result<_, _>>()?;
        let gets = ids.iter().map(|id| Op::Get(Key::Session(*id))).collect();
        let replies = self.store.batch(now, gets).await?;
        let (mut ended, mut deletions) = (vec![], vec![]);
        for ((member, id), reply) in page.into_iter().zip(ids).zip(replies) {
            let Reply::Value(stored) = reply else { return Err(unexpected_reply()) };
            match stored.map(|stored| records::decode_session(id, &stored.value)).transpose()? {
                None => {}
                Some(Some(session)) if !named(&session) => continue,
                Some(Some(_)) => {
                    deletions.extend([Op::Delete(Key::Session(id)), Op::Notify(Note::Session(id))]);
                    ended.push(id);
                }
                // Of an older version: none here, but perhaps one to a gateway that still runs that version.
                Some(None) => deletions.push(Op::Delete(Key::Session(id))),
            }
            deletions.push(Op::Remove(set, member));
        }
        let deleted = self.store.batch(now, deletions).await;
        ended.iter().for_each(|id| self.sessions.forget(id.as_bytes()));
        deleted?;
        ended.iter().for_each(|id| self.removals.note_session(*id, now));
        Ok(ended)
    }
}

/// Where sessions stand that a NameID opened: with the person whom it stands for, or by itself, where something else tells people
/// apart. Which of both it was at sign-in the configuration of today does not say.
fn sessions_by_name_id(enterprise: EnterpriseId, issuer: &str, name_id: &str) -> [Key; 2] {
    [
        Key::PersonSessions(enterprise, PersonId::of(enterprise, issuer, name_id)),
        Key::SubjectSessions(SubjectId::of(enterprise, issuer, name_id)),
    ]
}

/// L-05: the same NameID, byte for byte, and where the request names sessions, one of them.
fn names(request: &VerifiedLogoutRequest, session: &Session, sp_entity_id: &str) -> bool {
    let (found, asked) = (&session.name_id, request.name_id());
    // SAML Core 8.3.7: a qualifier that is left out is the entity id of the provider that it stands for.
    let idp = |name: &NameId| name.name_qualifier.as_deref().unwrap_or(request.issuer()).to_owned();
    let sp = |name: &NameId| name.sp_name_qualifier.as_deref().unwrap_or(sp_entity_id).to_owned();
    let same = found.value == asked.value
        && found.format == asked.format
        && idp(found) == idp(asked)
        && sp(found) == sp(asked);
    let indexes = request.session_indexes();
    (same || !stands(Guard::LogoutNameId))
        && (indexes.is_empty()
            || !stands(Guard::LogoutSessionIndex)
            || session.session_index.as_ref().is_some_and(|index| indexes.contains(index)))
}

/// What keeps assertions out that were issued up to the request.
fn logged_out(enterprise: EnterpriseId, request: &VerifiedLogoutRequest) -> Vec<Op> {
    let at = request.issue_instant();
    let seconds = jiff::SignedDuration::from_secs(ISSUE_AGE_SECONDS_MAX + SKEW_SECONDS_MAX);
    let expires_at = at.checked_add(seconds).unwrap_or(Timestamp::MAX);
    let put = |index: Option<&str>| Op::Put {
        key: logged_out_key(enterprise, request.issuer(), request.name_id(), index),
        value: records::encode_logged_out(at),
        expires_at,
    };
    match request.session_indexes() {
        [] => vec![put(None)],
        indexes => indexes.iter().map(|index| put(Some(index))).collect(),
    }
}

/// The key of the mark for one session of a NameID, or for all.
pub(super) fn logged_out_key(
    enterprise: EnterpriseId,
    issuer: &str,
    name_id: &NameId,
    session_index: Option<&str>,
) -> Key {
    let parts =
        [enterprise.as_bytes(), issuer.as_bytes(), name_id.value.as_bytes(), name_id.format.as_bytes()];
    Key::LoggedOut(match session_index {
        None => digest(&parts),
        Some(index) => digest(&[&parts[..], &[index.as_bytes()]].concat()),
    })
}
