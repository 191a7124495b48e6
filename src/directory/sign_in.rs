//! From a verified assertion to memberships and a session.
use std::sync::{Arc, atomic::Ordering::Relaxed};

use crate::{
    domain::{
        ActiveSession, AddressId, BatchId, GroupClaim, MembershipSource, PendingSignIn, Person, PersonId,
        Profile, RequestId, Session, SessionToken, StableId, Standing, SubjectId, Timestamp, digest,
    },
    provisioning::{self, Current, GroupsMissing, Plan, Reading, UnusableAttribute},
    saml::{
        VerifiedAssertion,
        guard::{Guard, stands},
    },
    store::{Key, Note, Op, Reply, StoreError, records},
    telemetry::{AuditLine, Trigger},
};

use super::{
    Cause, Contended, Directory, Enterprise,
    amend::{Amended, Decision, Loaded, Matter, View},
    audit,
    logout::logged_out_key,
    unexpected_reply,
};

/// A person's record notes the time of a sign-in only this often, so that the steady state writes no record.
const LAST_SIGN_IN_RESOLUTION_SECONDS: i64 = 24 * 60 * 60;

/// A sign-in that went through.
#[derive(Debug)]
pub struct SignedIn {
    pub token: SessionToken,
    pub session: Arc<ActiveSession>,
    pub claim: GroupClaim,
    /// What changed.
    pub plan: Plan,
}

/// Why a verified assertion opened no session.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error("the request was answered before, or is too old")]
    RequestConsumed,
    #[error("the assertion was used before")]
    AssertionReplayed,
    /// SAML Core 3.7.3.1
    #[error("the IdP signed the person out after it issued the assertion")]
    LoggedOut,
    #[error(transparent)]
    Attribute(#[from] UnusableAttribute),
    /// A1, with `missing_groups = "deny"`
    #[error(transparent)]
    GroupsMissing(#[from] GroupsMissing),
    /// A12
    #[error("the person is deactivated")]
    Deactivated,
    /// Section 2.3
    #[error("the person's link was revoked after the IdP issued the assertion")]
    Unlinked,
    #[error(transparent)]
    Contended(#[from] Contended),
    #[error("no randomness from the operating system: {0}")]
    Random(#[from] getrandom::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SignInError {
    /// Stable code for logs, metrics and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::RequestConsumed => "request_consumed",
            Self::AssertionReplayed => "assertion_replayed",
            Self::LoggedOut => "logged_out",
            Self::GroupsMissing(_) => "groups_missing",
            Self::Deactivated => "person_deactivated",
            Self::Unlinked => "link_revoked",
            Self::Attribute(UnusableAttribute::Ambiguous { .. }) => "attribute_ambiguous",
            Self::Attribute(UnusableAttribute::NotText { .. }) => "attribute_not_text",
            Self::Contended(_) => "store_contended",
            Self::Random(_) => "no_randomness",
            Self::Store(error) => error.code(),
        }
    }

    /// What an administrator should do, as `docs/REASONS.md` says it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::RequestConsumed => {
                "A double click does this; if it is frequent, look for a proxy that repeats POSTs."
            }
            Self::AssertionReplayed => {
                "Treat it as an attack, unless a failover of the store lost a write at that moment."
            }
            Self::LoggedOut | Self::Unlinked => "Let the person sign in again.",
            Self::GroupsMissing(_) => {
                "Release the groups to this application at the identity provider, or change `missing_groups`."
            }
            Self::Deactivated => {
                "Reactivate the person where it was deactivated: by SCIM, or by an owner of the enterprise."
            }
            Self::Attribute(UnusableAttribute::Ambiguous { .. }) => {
                "Release one value of it at the identity provider, or map another attribute in the configuration."
            }
            Self::Attribute(UnusableAttribute::NotText { .. }) => {
                "Release it as text at the identity provider, or map another attribute in the configuration."
            }
            Self::Contended(_) => {
                "Let the person sign in again; if it stays, something writes to the same person all the time."
            }
            Self::Random(_) => "Look at the system's log.",
            Self::Store(error) => error.hint(),
        }
    }
}

/// Everything that a sign-in says, before the store is asked anything.
struct Incoming<'a> {
    enterprise: &'a Enterprise,
    assertion: &'a VerifiedAssertion,
    /// When we asked for it; `None` where nobody did.
    asked_at: Option<Timestamp>,
    person: PersonId,
    profile: Profile,
    claim: GroupClaim,
    settings: Arc<provisioning::Settings>,
    now: Timestamp,
}

impl Directory {
    /// Remembers a sign-in that is about to be sent to the IdP; forgets `evicted` ones of the same browser.
    pub async fn open_sign_in(
        &self,
        pending: &PendingSignIn,
        evicted: &[RequestId],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut ops: Vec<Op> = evicted.iter().map(|id| Op::Delete(Key::PendingSignIn(*id))).collect();
        ops.push(Op::Put {
            key: Key::PendingSignIn(pending.request),
            value: records::encode_pending_sign_in(pending),
            expires_at: pending.expires_at,
        });
        self.store.batch(now, ops).await.map(drop)
    }

    /// Those of `requests` that are outstanding. Reads only: a refused response consumes nothing.
    pub async fn outstanding(
        &self,
        requests: &[RequestId],
        now: Timestamp,
    ) -> Result<Vec<PendingSignIn>, StoreError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let ops = requests.iter().map(|id| Op::Get(Key::PendingSignIn(*id))).collect();
        let mut found = Vec::new();
        for (reply, request) in self.store.batch(now, ops).await?.into_iter().zip(requests) {
            if let Reply::Value(Some(stored)) = reply {
                found.extend(records::decode_pending_sign_in(*request, &stored.value)?);
            }
        }
        found.retain(|pending| now < pending.expires_at);
        Ok(found)
    }

    /// Consumes the request, if one was answered, and the assertion once, applies the plan, opens a session.
    ///
    /// One round trip does all of it when nothing has to change: it takes the request, marks the assertion, loads the
    /// person and writes the session, whose token nobody knows yet. Where the marks show that another was faster, or
    /// where the plan cannot be committed, the session is deleted before anyone learns its token. `request_id` is the HTTP
    /// request's, for the audit log.
    pub async fn sign_in(
        &self,
        enterprise: &Enterprise,
        assertion: VerifiedAssertion,
        pending: Option<&PendingSignIn>,
        request_id: &str,
        now: Timestamp,
    ) -> Result<SignedIn, SignInError> {
        let names = &enterprise.provisioning.attributes;
        let (attributes, structured) = (assertion.attributes(), assertion.structured_attributes());
        let Reading { profile, claim } = Reading::of(assertion.stable_id(), attributes, structured, names)?;
        let settings = self.settings(enterprise, now).await?;
        let claim = provisioning::doubt(claim, &settings);
        let incoming = Incoming {
            enterprise,
            assertion: &assertion,
            asked_at: pending.map(|pending| pending.issued_at),
            person: PersonId::of_stable_id(enterprise.id, assertion.issuer(), assertion.stable_id()),
            profile,
            claim,
            settings,
            now,
        };
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let token = SessionToken::from_random(random);
        let session = self.new_session(&incoming, &token);
        let matter = incoming.matter(request_id);

        let told = audit::response(&matter, &assertion, &incoming.claim);
        let appends = audit::append(enterprise, &told);
        let settled = match self.consume(&incoming, &matter, pending, &session, appends).await {
            Ok(loaded) => self.amend(&matter, Some(loaded), |view| incoming.decide(view)).await,
            Err(error) => Err(error),
        };
        match settled {
            Ok(Amended { person, plan }) => {
                told.iter().for_each(AuditLine::log);
                self.metrics.session_opened();
                let session = Arc::new(ActiveSession { session, memberships: person.memberships });
                Ok(SignedIn { token, session, claim: incoming.claim.clone(), plan })
            }
            Err(error) => {
                // Best effort: the token was never handed out, and the record expires by itself.
                let refused = audit::refused(&matter, &assertion, error.code());
                let mut ops = vec![Op::Delete(Key::Session(session.id))];
                ops.extend(audit::append(enterprise, &[refused]));
                let _ = self.store.batch(now, ops).await;
                Err(error)
            }
        }
    }

    /// The one round trip: one-time marks, the person, the session.
    async fn consume(
        &self,
        incoming: &Incoming<'_>,
        matter: &Matter<'_>,
        pending: Option<&PendingSignIn>,
        session: &Session,
        appends: Vec<Op>,
    ) -> Result<Loaded, SignInError> {
        let Incoming { assertion, now, .. } = incoming;
        let mark = digest(&[assertion.issuer().as_bytes(), assertion.assertion_id().as_bytes()]);
        let mark = Key::UsedAssertion(mark);
        // S-82: also where a failover of the store has lost the mark.
        let is_known = self.removals.has_mark(&mark);
        let mut ops = vec![
            Op::PutOnce { key: mark, value: Vec::new(), expires_at: assertion.replayable_until() },
            Op::Put {
                key: Key::Session(session.id),
                value: records::encode_session(session),
                expires_at: session.expires_at,
            },
        ];
        ops.extend(pending.map(|pending| Op::Take(Key::PendingSignIn(pending.request))));
        let records_at = ops.len();
        ops.extend(matter.gets());
        let records_end = ops.len();
        ops.extend(self.index(incoming, session));
        // After the session is there: see `end_sessions_of`.
        let marks = logout_marks(incoming);
        let marked_at = ops.len();
        ops.extend(marks.iter().copied().map(Op::Get));
        let replaced = pending.and_then(|pending| pending.replaces);
        let ended = |id| [Op::Delete(Key::Session(id)), Op::Notify(Note::Session(id))];
        ops.extend(replaced.into_iter().flat_map(ended));
        // Written before the answer: what is told of a response that is refused after all is told after it.
        ops.extend(appends);
        let mut replies = self.store.batch(*now, ops).await?;
        if let Some(replaced) = replaced {
            self.sessions.forget(replaced.as_bytes());
            self.removals.note_session(replaced, *now);
        }
        if replies.len() < marked_at + marks.len() {
            return Err(unexpected_reply().into());
        }
        let logged_out: Vec<Reply> = replies.drain(marked_at..).take(marks.len()).collect();
        let records: Vec<Reply> = replies.drain(records_at..records_end).collect();
        let mut replies = replies.into_iter();
        let (marked, written) = (replies.next(), replies.next());
        // What answers no request took none, and has the mark of the assertion alone.
        let is_taken = match pending.map(|_| replies.next()) {
            None | Some(Some(Reply::Value(Some(_)))) => true,
            Some(Some(Reply::Value(None))) => !stands(Guard::RequestOnce),
            Some(_) => return Err(unexpected_reply().into()),
        };
        match (marked, written) {
            _ if !is_taken => Err(SignInError::RequestConsumed),
            (Some(Reply::Created(is_new)), _) if stands(Guard::AssertionOnce) && (is_known || !is_new) => {
                Err(SignInError::AssertionReplayed)
            }
            (Some(Reply::Created(_)), Some(Reply::Done)) => {
                self.removals.note_mark(mark, Vec::new(), assertion.replayable_until(), *now);
                check_logged_out(logged_out, assertion.issue_instant())?;
                Ok(matter.loaded(records)?)
            }
            _ => Err(unexpected_reply().into()),
        }
    }

    /// Lets the person and its owners find the session by the person, and the IdP by its NameID (L-05), which is the same where
    /// the NameID is what tells people apart; for as long as any of the person's sessions may live.
    fn index(&self, incoming: &Incoming<'_>, session: &Session) -> Vec<Op> {
        let Incoming { assertion, now, .. } = *incoming;
        let name_id = &assertion.name_id().value;
        let enterprise = incoming.enterprise.id;
        let is_attribute = matches!(assertion.stable_id(), StableId::Attribute { .. });
        let subject = is_attribute
            .then(|| Key::SubjectSessions(SubjectId::of(enterprise, assertion.issuer(), name_id)));
        // As long as the longest-lived session in it, also where later ones are given less.
        let end = lifetime_end(now, self.lifetime_seconds_seen_max.load(Relaxed));
        let list = |set| {
            [
                Op::RemoveBelow(set, records::subject_sessions_before(now).to_vec()),
                Op::Insert(set, records::encode_subject_session(session.id, session.expires_at)),
                Op::Expire(set, end),
            ]
        };
        let person = Key::PersonSessions(enterprise, incoming.person);
        std::iter::once(person).chain(subject).flat_map(list).collect()
    }

    fn new_session(&self, incoming: &Incoming<'_>, token: &SessionToken) -> Session {
        let now = incoming.now;
        let terms = self.session_settings.load();
        let absolute = lifetime_end(now, terms.lifetime_seconds_max);
        Session {
            id: token.session_id(),
            enterprise: incoming.enterprise.slug.clone(),
            enterprise_id: incoming.enterprise.id,
            person: incoming.person,
            name_id: incoming.assertion.name_id().clone(),
            session_index: incoming.assertion.session_index().map(str::to_owned),
            authn_instant: incoming.assertion.signed_in_at(),
            authn_context: incoming.assertion.authn_context().map(str::to_owned),
            profile: incoming.profile.clone(),
            groups: incoming.claim.groups().to_vec(),
            created_at: now,
            last_seen_at: now,
            // SAML Core 2.7.2: the session ends no later than SessionNotOnOrAfter.
            expires_at: incoming
                .assertion
                .session_not_on_or_after()
                .map_or(absolute, |end| end.min(absolute)),
            idle_seconds_max: terms.idle_seconds_max,
        }
    }
}

/// Where it stands that the IdP signed the person out: of everything, or of this session.
fn logout_marks(incoming: &Incoming<'_>) -> Vec<Key> {
    let Incoming { enterprise, assertion, .. } = incoming;
    let key = |index| logged_out_key(enterprise.id, assertion.issuer(), assertion.name_id(), index);
    std::iter::once(key(None)).chain(assertion.session_index().map(|index| key(Some(index)))).collect()
}

/// SAML Core 3.7.3.1: a logout holds for assertions that were issued before it, whenever they arrive. Both times are the
/// IdP's own.
fn check_logged_out(marked: Vec<Reply>, issued: Timestamp) -> Result<(), SignInError> {
    for mark in marked {
        let Reply::Value(mark) = mark else { return Err(unexpected_reply().into()) };
        let Some(mark) = mark else { continue };
        let earlier = issued.as_millisecond() <= records::decode_logged_out(&mark.value)?.as_millisecond();
        if earlier && stands(Guard::LoggedOut) {
            return Err(SignInError::LoggedOut);
        }
    }
    Ok(())
}

impl<'i> Incoming<'i> {
    fn matter<'a>(&'a self, request_id: &'a str) -> Matter<'a> {
        Matter {
            enterprise: self.enterprise,
            person: self.person,
            addresses: self
                .profile
                .email
                .iter()
                .map(|email| AddressId::of(self.enterprise.id, email))
                .collect(),
            actor: None,
            source: MembershipSource::Saml,
            is_automatic: true,
            batch: BatchId::of_hour(Trigger::Saml.as_str(), self.now),
            cause: Cause {
                assertion: Some(self.assertion),
                claim: Some(&self.claim),
                is_dry_run: self.settings.dry_run,
                ..Cause::by(Trigger::Saml, None, request_id)
            },
            now: self.now,
        }
    }

    fn decide(&self, view: &View<'_>) -> Result<Decision, SignInError> {
        let mut person = view.person.cloned().unwrap_or_else(|| self.new_person());
        // A12: whom SCIM or an owner put out does not come back by an assertion.
        if !person.standing.is_active() {
            return Err(SignInError::Deactivated);
        }
        let issued = self.assertion.issue_instant();
        let is_stale = |decided| provisioning::is_stale(issued, self.asked_at, decided);
        let is_stale = person.decided_at.is_some_and(is_stale);
        if is_stale && person.linked_at.is_none() {
            return Err(SignInError::Unlinked);
        }
        let current = Current {
            person: person.id,
            memberships: &person.memberships,
            invitations: view.invitations,
            organizations: view.organizations,
            is_break_glass: self.settings.break_glass.contains(&person.profile.user),
            now: self.now,
        };
        // A13: what was issued before the newest fact says nothing against it.
        let claim = provisioning::settle(&self.claim, &self.settings)?;
        let plan = match is_stale {
            true => Plan::default(),
            false => provisioning::plan(&current, &claim, &self.settings),
        };
        self.refresh(&mut person, &claim, is_stale);
        Ok(Decision { person, plan })
    }

    fn new_person(&self) -> Person {
        Person {
            id: self.person,
            enterprise: self.enterprise.id,
            standing: Standing::Active,
            linked_at: Some(self.now),
            issuer: self.assertion.issuer().to_owned(),
            name_id: self.assertion.name_id().clone(),
            profile: self.profile.clone(),
            memberships: Vec::new(),
            former: Vec::new(),
            tokens: Vec::new(),
            last_groups: None,
            decided_at: None,
            created_at: self.now,
            last_sign_in_at: self.now,
        }
    }

    /// Brings the record up to what this sign-in says of the person.
    fn refresh(&self, person: &mut Person, claim: &GroupClaim, is_stale: bool) {
        // A transient NameID is another one each time and says nothing of the person: the first one stays.
        if !self.assertion.name_id().is_transient() {
            person.name_id = self.assertion.name_id().clone();
        }
        person.profile = self.profile.clone();
        if !is_stale {
            // Of several first sign-ins at once the earliest counts, so that the sessions of all are the link's.
            person.linked_at = Some(person.linked_at.map_or(self.now, |at| at.min(self.now)));
        }
        if let Some(groups) = claim.known()
            && !is_stale
        {
            // Sorted, so that an IdP that sends them in another order each time changes nothing.
            let mut groups = groups.to_vec();
            groups.sort_unstable();
            person.last_groups = Some(groups);
        }
        let since = self.now.as_second().saturating_sub(person.last_sign_in_at.as_second());
        if since >= LAST_SIGN_IN_RESOLUTION_SECONDS {
            person.last_sign_in_at = self.now;
        }
    }
}

fn lifetime_end(now: Timestamp, seconds: u32) -> Timestamp {
    now.checked_add(jiff::SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX)
}
