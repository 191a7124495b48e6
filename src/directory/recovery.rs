//! Recovery codes: an owner of the enterprise gets in while the IdP is down (statement 21).
//!
//! A code is 100 random bits, so no number of attempts finds one; what attempts may cost is bounded all the same. Whoever has
//! the next code gets in however many wrong ones others send for the same person: a wrong answer never shuts the true owner out
//! for longer than the limit of all attempts together, which ends with the second.
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError, atomic::Ordering::Relaxed},
};

use jiff::SignedDuration;

use super::{Directory, Enterprise, StoreError, audit, unexpected_reply};
use crate::{
    domain::{
        PersonId, RECOVERY_RANDOM_BYTES, RecoveryCodes, RecoveryMatch, Session, SessionToken, Timestamp,
    },
    store::{Commit, Committed, Key, Op, Reply, Revision, Write, records},
    telemetry::{AuditAction, AuditEvent, AuditLine, Trigger},
};

/// How a session that a code opened says that the person signed in. No IdP says this, so that a route that demands a way to
/// sign in is not satisfied with it.
pub const RECOVERY_CONTEXT: &str = "urn:portcullis:authn-context:recovery-code";
/// What a session lasts at most that a code opened, in seconds.
const SESSION_SECONDS_MAX: i64 = 24 * 60 * 60;
/// Attempts that one gateway looks at within a second, whoever they are for: more than people make, less than a gateway feels.
const ATTEMPTS_PER_SECOND_MAX: u32 = 50;
/// Wrong codes for one person that are told within a minute; more are answered and not looked into.
const FAILURES_PER_MINUTE_MAX: u32 = 5;
/// People of whom wrong codes are counted; only owners are.
const PEOPLE_MAX: usize = 10_000;
const COMMIT_ATTEMPTS_MAX: usize = 16;

/// Who somebody says they are, and the code that shall prove it.
#[derive(Debug, Clone, Copy)]
pub struct RecoveryClaim<'a> {
    pub person: PersonId,
    /// The stable id's value, which the person's id was made of.
    pub user: &'a str,
    pub code: &'a str,
}

/// A session that a code opened.
#[derive(Debug)]
pub struct Recovered {
    pub token: SessionToken,
    pub session: Session,
    /// How many codes the owner has left.
    pub left: usize,
}

/// Why there are no codes, or no session. Outside, the reasons of a failed attempt are one.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error("the person is no owner of the enterprise")]
    NotOwner,
    /// Whoever has one code must not be able to replace the list.
    #[error("the session was opened by a recovery code")]
    RecoverySession,
    #[error("too many attempts")]
    Throttled,
    #[error("the person has no codes, or was never here")]
    NoCodes,
    /// A12
    #[error("the person is deactivated")]
    Deactivated,
    #[error("no code of the list")]
    Unknown,
    #[error("the code was used before")]
    Used,
    #[error("codes are used in their order, and this is not the next one")]
    OutOfOrder,
    #[error("no randomness from the operating system: {0}")]
    Random(#[from] getrandom::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RecoveryError {
    /// Stable code for logs and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotOwner => "not_an_owner",
            Self::RecoverySession => "recovery_by_recovery",
            Self::Throttled => "recovery_throttled",
            Self::NoCodes => "recovery_no_codes",
            Self::Deactivated => "person_deactivated",
            Self::Unknown => "recovery_code_unknown",
            Self::Used => "recovery_code_used",
            Self::OutOfOrder => "recovery_code_out_of_order",
            Self::Random(_) => "no_randomness",
            Self::Store(error) => error.code(),
        }
    }
}

/// Whether a recovery code opened the session.
pub fn is_recovery(session: &Session) -> bool {
    session.authn_context.as_deref() == Some(RECOVERY_CONTEXT)
}

impl Directory {
    /// New codes for the session's person, shown this once; the old list is good no more.
    pub async fn generate_recovery_codes(
        &self,
        enterprise: &Enterprise,
        session: &Session,
        request_id: &str,
        now: Timestamp,
    ) -> Result<Vec<String>, RecoveryError> {
        let owns = session.enterprise_id == enterprise.id && is_owner(enterprise, &session.profile.user);
        if !owns {
            return Err(RecoveryError::NotOwner);
        }
        if is_recovery(session) {
            return Err(RecoveryError::RecoverySession);
        }
        let mut random = [0; RECOVERY_RANDOM_BYTES];
        getrandom::fill(&mut random)?;
        let (codes, shown) = RecoveryCodes::generate(session.person, &random, now);
        let key = Key::RecoveryCodes(enterprise.id, session.person);
        let (action, user) = (AuditAction::RecoveryCodesGenerated, &session.profile.user);
        let told = [line(enterprise, action, session.person, user, None, (request_id, now))];
        let mut writes = vec![Write::Put(key, records::encode_recovery_codes(&codes))];
        writes.extend(audit::appends(enterprise, &told));
        // Whatever list there is, this one takes its place.
        self.store.commit(Commit { expect: vec![], writes }).await?;
        told.iter().for_each(AuditLine::log);
        Ok(shown)
    }

    /// How many codes the session's person has left; `None` if there never were any.
    pub async fn recovery_codes_left(
        &self,
        enterprise: &Enterprise,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Option<usize>, StoreError> {
        Ok(self.recovery_codes(enterprise, person, now).await?.map(|(_, codes)| codes.left()))
    }

    /// Opens a session for the owner whose next code this is. A failed attempt writes nothing to the store: anybody can make
    /// one.
    pub async fn recover(
        &self,
        enterprise: &Enterprise,
        RecoveryClaim { person, user, code }: RecoveryClaim<'_>,
        request_id: &str,
        now: Timestamp,
    ) -> Result<Recovered, RecoveryError> {
        if !self.recovery.admits(now) {
            return Err(RecoveryError::Throttled);
        }
        if !is_owner(enterprise, user) {
            // V-20: looks as long as for an owner.
            let _ = self.recovery_codes(enterprise, person, now).await?;
            return Err(RecoveryError::NotOwner);
        }
        let used = line(enterprise, AuditAction::RecoveryCodeUsed, person, user, None, (request_id, now));
        let recovered = self.try_code(enterprise, person, code, &used, now).await;
        match &recovered {
            Ok(_) => {
                used.log();
                self.metrics.session_opened();
            }
            Err(RecoveryError::Store(_) | RecoveryError::Random(_)) => {}
            Err(error) => {
                if !self.recovery.counts(person, now) {
                    return Err(RecoveryError::Throttled);
                }
                let (action, reason) = (AuditAction::RecoveryCodeFailed, Some(error.code()));
                line(enterprise, action, person, user, reason, (request_id, now)).log();
            }
        }
        recovered
    }

    async fn try_code(
        &self,
        enterprise: &Enterprise,
        person: PersonId,
        typed: &str,
        used: &AuditLine,
        now: Timestamp,
    ) -> Result<Recovered, RecoveryError> {
        let key = Key::RecoveryCodes(enterprise.id, person);
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let codes = self.recovery_codes(enterprise, person, now).await?;
            let (revision, mut codes) = codes.ok_or(RecoveryError::NoCodes)?;
            match codes.find(typed) {
                RecoveryMatch::Next => {}
                RecoveryMatch::Used => return Err(RecoveryError::Used),
                RecoveryMatch::OutOfOrder => return Err(RecoveryError::OutOfOrder),
                RecoveryMatch::Unknown => return Err(RecoveryError::Unknown),
            }
            let record = self.person(enterprise.id, person, now).await?.ok_or(RecoveryError::NoCodes)?;
            if !record.standing.is_active() {
                return Err(RecoveryError::Deactivated);
            }
            codes.used += 1;
            let mut writes = vec![Write::Put(key, records::encode_recovery_codes(&codes))];
            writes.extend(audit::appends(enterprise, std::slice::from_ref(used)));
            let commit = Commit { expect: vec![(key, revision)], writes };
            // Of several who have the same code one gets in; the others find it used when they look again.
            if self.store.commit(commit).await? == Committed::Conflict {
                continue;
            }
            let mut random = [0; 32];
            getrandom::fill(&mut random)?;
            let token = SessionToken::from_random(random);
            let terms = self.session_settings.load();
            let lifetime = i64::from(terms.lifetime_seconds_max).min(SESSION_SECONDS_MAX);
            let session = Session {
                id: token.session_id(),
                enterprise: enterprise.slug.clone(),
                enterprise_id: enterprise.id,
                person,
                name_id: record.name_id,
                session_index: None,
                // When an IdP last said so: a code says nothing of it, and a route that wants a fresh sign-in gets none.
                authn_instant: record.last_sign_in_at,
                authn_context: Some(RECOVERY_CONTEXT.to_owned()),
                profile: record.profile,
                // No assertion names any; memberships are the person's.
                groups: vec![],
                created_at: now,
                last_seen_at: now,
                expires_at: now.checked_add(SignedDuration::from_secs(lifetime)).unwrap_or(now),
                idle_seconds_max: terms.idle_seconds_max,
            };
            self.store.batch(now, self.opening(&session)).await?;
            return Ok(Recovered { token, session, left: codes.left() });
        }
        Err(RecoveryError::Used)
    }

    /// Writes the session, and lists it under its person as a sign-in does.
    fn opening(&self, session: &Session) -> Vec<Op> {
        let set = Key::PersonSessions(session.enterprise_id, session.person);
        // As long as the longest-lived session in it.
        let lifetime = i64::from(self.lifetime_seconds_seen_max.load(Relaxed));
        let end = session.created_at.checked_add(SignedDuration::from_secs(lifetime));
        let value = records::encode_session(session);
        vec![
            Op::Put { key: Key::Session(session.id), value, expires_at: session.expires_at },
            Op::RemoveBelow(set, records::subject_sessions_before(session.created_at).to_vec()),
            Op::Insert(set, records::encode_subject_session(session.id, session.expires_at)),
            Op::Expire(set, end.unwrap_or(Timestamp::MAX)),
        ]
    }

    async fn recovery_codes(
        &self,
        enterprise: &Enterprise,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Option<(Revision, RecoveryCodes)>, StoreError> {
        let get = Op::Get(Key::RecoveryCodes(enterprise.id, person));
        match self.store.batch(now, vec![get]).await?.pop() {
            Some(Reply::Value(Some(stored))) => {
                let codes = records::decode_recovery_codes(&stored.value)?;
                // Those of another person are none of this one's.
                Ok((codes.person == person).then_some((stored.revision, codes)))
            }
            Some(Reply::Value(None)) => Ok(None),
            _ => Err(unexpected_reply()),
        }
    }
}

fn is_owner(enterprise: &Enterprise, user: &str) -> bool {
    enterprise.owners.iter().any(|owner| owner == user)
}

fn line(
    enterprise: &Enterprise,
    action: AuditAction,
    person: PersonId,
    user: &str,
    reason: Option<&str>,
    (request_id, now): (&str, Timestamp),
) -> AuditLine {
    let id = person.to_string();
    AuditLine::of(&AuditEvent {
        person: Some(&id),
        user: Some(user),
        reason,
        request_id: Some(request_id),
        ..AuditEvent::new(now, action, Trigger::Person, enterprise.slug.as_str())
    })
}

/// Counts attempts of this gateway.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    second: i64,
    attempts: u32,
    minute: i64,
    failures: HashMap<PersonId, u32>,
}

impl Throttle {
    /// Whether one more attempt is looked at.
    fn admits(&self, now: Timestamp) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.second != now.as_second() {
            (counts.second, counts.attempts) = (now.as_second(), 0);
        }
        counts.attempts = counts.attempts.saturating_add(1);
        counts.attempts <= ATTEMPTS_PER_SECOND_MAX
    }

    /// Whether one more wrong code for the person is told.
    fn counts(&self, person: PersonId, now: Timestamp) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.as_second().div_euclid(60);
        if counts.minute != minute {
            counts.minute = minute;
            counts.failures.clear();
        }
        if counts.failures.len() >= PEOPLE_MAX && !counts.failures.contains_key(&person) {
            return false;
        }
        let failures = counts.failures.entry(person).or_default();
        *failures = failures.saturating_add(1);
        *failures <= FAILURES_PER_MINUTE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_bounded_and_a_moment_later_nobody_is_shut_out() {
        let throttle = Throttle::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let [alice, bob] = [1, 2].map(|n| PersonId::from_bytes([n; 16]));
        assert!((0..ATTEMPTS_PER_SECOND_MAX).all(|_| throttle.admits(at(0))));
        assert!(!throttle.admits(at(0)));
        assert!(throttle.admits(at(1)));
        assert!((0..FAILURES_PER_MINUTE_MAX).all(|_| throttle.counts(alice, at(61))));
        assert!(!throttle.counts(alice, at(62)));
        assert!(throttle.counts(bob, at(62)), "one person's failures are not another's");
        assert!(throttle.counts(alice, at(120)));
    }
}
