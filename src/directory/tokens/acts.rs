//! Tokens made, authorised, withdrawn and revoked.
use crate::{
    domain::{
        AccessToken, ActiveSession, BatchId, MembershipSource, OrganizationSlug, Person, PersonId, Timestamp,
        TokenHolder, TokenId, TokenSecret,
    },
    provisioning::Plan,
    store::{Key, Op, records},
    telemetry::Trigger,
};

use super::{CredentialId, Grant, NewToken, TOKENS_MAX, TokenError, kept_until, may_come_in, tidy_name};
use crate::directory::{
    Cause, Directory, Enterprise,
    acts::Right,
    amend::{Decision, Matter, View},
    recovery::is_recovery,
};

impl Directory {
    /// Makes a token for the person of a session that is young enough. The secret is handed out here and never again.
    pub async fn create_token(
        &self,
        enterprise: &Enterprise,
        session: &ActiveSession,
        wanted: NewToken,
        request_id: &str,
        now: Timestamp,
    ) -> Result<(TokenSecret, AccessToken), TokenError> {
        self.check_session(enterprise, session, now)?;
        let (secret, token) = self.new_token(wanted, now)?;
        let holder = TokenHolder {
            enterprise: enterprise.slug.clone(),
            enterprise_id: enterprise.id,
            person: session.session.person,
            token: token.id,
            last_used_at: None,
        };
        // First, and worth nothing until the person's record knows the token.
        let key = Key::AccessToken(token.secret);
        let value = records::encode_token_holder(&holder);
        let expires_at = kept_until(token.expires_at);
        self.store.batch(now, vec![Op::Put { key, value, expires_at }]).await?;
        let cause = own(session, request_id);
        let whose = Whose { person: holder.person, right: Right::Own };
        let made = self.amend_tokens(enterprise, &cause, whose, now, |person| {
            if !may_come_in(person) {
                return Err(TokenError::Person);
            }
            // Those that ran out make room.
            person.tokens.retain(|token| now < token.expires_at);
            if person.tokens.len() >= TOKENS_MAX {
                return Err(TokenError::TooMany);
            }
            token.organizations.iter().try_for_each(|organization| belongs(person, organization))?;
            person.tokens.push(token.clone());
            Ok(())
        });
        if let Err(error) = made.await {
            // Best effort: the secret was never handed out, and the entry expires by itself.
            let _ = self.store.batch(now, vec![Op::Delete(key)]).await;
            return Err(error);
        }
        Ok((secret, token))
    }

    /// Authorises one of the session's person's tokens for another of the person's organizations.
    pub async fn authorize_token(
        &self,
        enterprise: &Enterprise,
        session: &ActiveSession,
        Grant { token, organization }: Grant<'_>,
        request_id: &str,
        now: Timestamp,
    ) -> Result<(), TokenError> {
        self.check_session(enterprise, session, now)?;
        let whose = Whose { person: session.session.person, right: Right::Own };
        self.amend_tokens(enterprise, &own(session, request_id), whose, now, |person| {
            if !may_come_in(person) {
                return Err(TokenError::Person);
            }
            belongs(person, organization)?;
            let found = person.tokens.iter_mut().find(|t| t.id == token && now < t.expires_at);
            let found = found.ok_or(TokenError::NotFound)?;
            if !found.organizations.contains(organization) {
                found.organizations.push(organization.clone());
                found.organizations.sort_unstable();
            }
            Ok(())
        })
        .await
    }

    /// Withdraws a token's authorisation for one organization: by its person, or by an owner of that organization. For the
    /// person's other organizations the token stays as it is.
    pub async fn withdraw_token(
        &self,
        enterprise: &Enterprise,
        organization: &OrganizationSlug,
        CredentialId { person, token }: CredentialId,
        cause: &Cause<'_>,
        now: Timestamp,
    ) -> Result<(), TokenError> {
        let whose = Whose::of(person, cause, Right::Organization(organization));
        self.amend_tokens(enterprise, cause, whose, now, |person| {
            let is_it = |t: &&mut AccessToken| t.id == token && t.organizations.contains(organization);
            let found = person.tokens.iter_mut().find(is_it).ok_or(TokenError::NotFound)?;
            found.organizations.retain(|authorised| authorised != organization);
            Ok(())
        })
        .await
    }

    /// Ends a token for good: by its person, or by an owner of the enterprise.
    pub async fn revoke_token(
        &self,
        enterprise: &Enterprise,
        person: PersonId,
        token: TokenId,
        cause: &Cause<'_>,
        now: Timestamp,
    ) -> Result<(), TokenError> {
        let known = self.person(enterprise.id, person, now).await?;
        let found = known.and_then(|person| person.tokens.into_iter().find(|found| found.id == token));
        let found = found.ok_or(TokenError::NotFound)?;
        let whose = Whose::of(person, cause, Right::Enterprise);
        self.amend_tokens(enterprise, cause, whose, now, |person| {
            let before = person.tokens.len();
            person.tokens.retain(|found| found.id != token);
            if person.tokens.len() == before { Err(TokenError::NotFound) } else { Ok(()) }
        })
        .await?;
        // It opens nothing any more; what is left expires by itself.
        let _ = self.store.batch(now, vec![Op::Delete(Key::AccessToken(found.secret))]).await;
        Ok(())
    }

    /// By the one path: what changes is the person's own record.
    async fn amend_tokens(
        &self,
        enterprise: &Enterprise,
        cause: &Cause<'_>,
        Whose { person, right }: Whose<'_>,
        now: Timestamp,
        change: impl Fn(&mut Person) -> Result<(), TokenError>,
    ) -> Result<(), TokenError> {
        let actor = cause.actor.map(|(actor, _)| actor);
        let matter = Matter {
            enterprise,
            person,
            addresses: vec![],
            actor,
            source: MembershipSource::Manual,
            is_automatic: false,
            batch: BatchId::of_hour("token", now),
            cause: *cause,
            now,
        };
        let decide = |view: &View<'_>| {
            if !right.allows(enterprise, actor, view.actor) {
                // Who is of another enterprise finds nothing here (V-02).
                return Err(if view.actor.is_some() { TokenError::NotOwner } else { TokenError::NotFound });
            }
            let mut person = view.person.cloned().ok_or(TokenError::NotFound)?;
            change(&mut person)?;
            Ok(Decision { person, plan: Plan::default() })
        };
        self.amend(&matter, None, decide).await.map(drop)
    }

    pub(in crate::directory) fn check_lifetime(
        &self,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), TokenError> {
        let most = self.token_settings.load().lifetime_seconds_max;
        let lifetime = expires_at.as_second().saturating_sub(now.as_second());
        if (1..=i64::from(most)).contains(&lifetime) { Ok(()) } else { Err(TokenError::Expiry(most)) }
    }

    pub(in crate::directory) fn check_session(
        &self,
        enterprise: &Enterprise,
        session: &ActiveSession,
        now: Timestamp,
    ) -> Result<(), TokenError> {
        let session = &session.session;
        if session.enterprise_id != enterprise.id || !session.is_live(now) {
            return Err(TokenError::Session);
        }
        // What outlasts the hour in which the IdP is down takes the IdP's word.
        if is_recovery(session) {
            return Err(TokenError::Recovery);
        }
        let most = self.token_settings.load().session_age_seconds_max;
        let age = now.as_second().saturating_sub(session.created_at.as_second());
        if age >= i64::from(most) { Err(TokenError::SessionAge(most)) } else { Ok(()) }
    }

    fn new_token(&self, wanted: NewToken, now: Timestamp) -> Result<(TokenSecret, AccessToken), TokenError> {
        let NewToken { name, mut scopes, mut organizations, expires_at } = wanted;
        let name = tidy_name(&name)?;
        tidy(&mut scopes);
        tidy(&mut organizations);
        if scopes.is_empty() {
            return Err(TokenError::Scopes);
        }
        self.check_lifetime(expires_at, now)?;
        let (mut random, mut id) = ([0; 32], [0; 16]);
        getrandom::fill(&mut random)?;
        getrandom::fill(&mut id)?;
        let secret = TokenSecret::from_random(random);
        let token = AccessToken {
            id: TokenId::from_bytes(id),
            secret: secret.sha256(),
            name,
            organizations,
            scopes,
            last_eight: secret.last_eight().to_owned(),
            created_at: now,
            expires_at,
        };
        Ok((secret, token))
    }
}

/// Whose tokens it is about, and who may act upon them.
struct Whose<'a> {
    person: PersonId,
    right: Right<'a>,
}

impl<'a> Whose<'a> {
    /// People act upon their own tokens, and upon those of others with a right to it.
    fn of(person: PersonId, cause: &Cause<'_>, right: Right<'a>) -> Self {
        let is_own = cause.actor.is_some_and(|(actor, _)| actor == person);
        Self { person, right: if is_own { Right::Own } else { right } }
    }
}

/// A person's own act.
fn own<'a>(session: &'a ActiveSession, request_id: &'a str) -> Cause<'a> {
    let session = &session.session;
    Cause::by(Trigger::Person, Some((session.person, &session.profile.user)), request_id)
}

fn belongs(person: &Person, organization: &OrganizationSlug) -> Result<(), TokenError> {
    match person.membership(organization) {
        Some(_) => Ok(()),
        None => Err(TokenError::NotMember(organization.clone())),
    }
}

fn tidy<T: Ord>(list: &mut Vec<T>) {
    list.sort_unstable();
    list.dedup();
}
