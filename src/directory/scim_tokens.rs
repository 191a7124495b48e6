//! SCIM tokens: what an identity provider shows when it provisions.
//!
//! They are the enterprise's and nobody's in particular, so that nobody's leaving stops provisioning. One record of the
//! enterprise says which there are; under the SHA-256 of a token lies only whose it is. That entry is written before the record
//! and deleted after it, so that one without the other opens nothing. Two may live at a time, so that one can be replaced
//! without a gap.
use std::sync::Arc;

use jiff::SignedDuration;

use crate::{
    domain::{
        ActiveScimToken, ActiveSession, EnterpriseId, ScimSecret, ScimToken, ScimTokenHolder, ScimTokenId,
        Timestamp,
    },
    store::{Commit, Committed, Key, Note, Op, Reply, Revision, StoreError, Write, records},
    telemetry::{AuditAction, AuditEvent, AuditLine, Trigger},
};

use super::{
    Actor, Contended, Directory, Enterprise, TokenError, TokenRefusal, audit,
    tokens::{LAST_USED_RESOLUTION_SECONDS, kept_until, tidy_name},
    unexpected_reply,
};

/// Tokens of one enterprise that open SCIM at a time: the one in use, and the one that takes its place.
pub const SCIM_TOKENS_LIVE_MAX: usize = 2;
/// How long lists show a token that ran out, in hours.
const SHOWN_HOURS: i64 = 30 * 24;
/// Attempts at one commit; each failed one means that somebody else's succeeded.
const COMMIT_ATTEMPTS_MAX: usize = 16;

/// What is asked of a new token.
#[derive(Debug, Clone)]
pub struct NewScimToken {
    /// Up to 100 characters, for people to tell tokens apart.
    pub name: String,
    pub expires_at: Timestamp,
}

/// A token as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownScimToken {
    pub token: ScimToken,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
}

/// Who makes a token.
#[derive(Debug, Clone, Copy)]
pub enum ScimTokenMaker<'a> {
    /// An owner of the enterprise, by a session that the IdP opened a short while ago (V-03).
    Owner(&'a ActiveSession),
    /// Whoever runs the gateway, at the command line.
    Operator,
}

impl Directory {
    /// What a token opens at this moment, through a cache whose age is bounded by a second.
    pub async fn scim_token(
        &self,
        secret: &ScimSecret,
        now: Timestamp,
    ) -> Result<Arc<ActiveScimToken>, TokenRefusal> {
        let sha256 = secret.sha256();
        if let Some(active) = self.scim_tokens.get(&sha256, now) {
            return if active.token.is_live(now) { Ok(active) } else { Err(TokenRefusal::Expired) };
        }
        let generation = self.scim_tokens.generation(&sha256);
        let active = Arc::new(self.load_scim_token(&sha256, now).await?);
        self.scim_tokens.put(sha256, active.clone(), generation, now);
        Ok(active)
    }

    /// An enterprise's tokens in the order in which they were made, those that ran out within a month among them.
    pub async fn scim_tokens(
        &self,
        enterprise: EnterpriseId,
        now: Timestamp,
    ) -> Result<Vec<KnownScimToken>, StoreError> {
        let (_, tokens) = self.scim_token_record(enterprise, now).await?;
        let values = self.values(tokens.iter().map(|token| Key::ScimToken(token.secret)), now).await?;
        let known = |(token, value): (ScimToken, Option<Vec<u8>>)| {
            let holder = value.map(|value| records::decode_scim_token_holder(&value)).transpose()?;
            Ok(KnownScimToken { token, last_used_at: holder.and_then(|holder| holder.last_used_at) })
        };
        tokens.into_iter().zip(values).map(known).collect()
    }

    /// Makes a token. The secret is handed out here and never again (V-01).
    pub async fn create_scim_token(
        &self,
        enterprise: &Enterprise,
        maker: ScimTokenMaker<'_>,
        wanted: NewScimToken,
        request_id: &str,
        now: Timestamp,
    ) -> Result<(ScimSecret, ScimToken), TokenError> {
        self.check_maker(enterprise, maker, now)?;
        self.check_lifetime(wanted.expires_at, now)?;
        let (secret, token) = new_token(&wanted, maker, now)?;
        let holder = ScimTokenHolder {
            enterprise: enterprise.slug.clone(),
            enterprise_id: enterprise.id,
            token: token.id,
            last_used_at: None,
        };
        // First, and worth nothing until the enterprise's record knows the token.
        let key = Key::ScimToken(token.secret);
        let value = records::encode_scim_token_holder(&holder);
        let expires_at = kept_until(token.expires_at);
        self.store.batch(now, vec![Op::Put { key, value, expires_at }]).await?;
        let line = line(enterprise, maker.actor(request_id), AuditAction::CreateScimToken, token.id, now);
        let made = self.amend_scim_tokens(enterprise, line, now, |tokens| {
            let shown = SignedDuration::from_hours(SHOWN_HOURS);
            let oldest = now.checked_sub(shown).unwrap_or(Timestamp::MIN);
            tokens.retain(|token| oldest < token.expires_at);
            if tokens.iter().filter(|token| token.is_live(now)).count() >= SCIM_TOKENS_LIVE_MAX {
                return Err(TokenError::TooManyScim);
            }
            tokens.push(token.clone());
            Ok(())
        });
        if let Err(error) = made.await {
            // Best effort: the secret was never handed out, and the entry expires by itself.
            let _ = self.store.batch(now, vec![Op::Delete(key)]).await;
            return Err(error);
        }
        Ok((secret, token))
    }

    /// Ends a token for good, on every gateway at once.
    pub async fn revoke_scim_token(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        id: ScimTokenId,
        now: Timestamp,
    ) -> Result<(), TokenError> {
        let (_, known) = self.scim_token_record(enterprise.id, now).await?;
        let found = known.into_iter().find(|token| token.id == id).ok_or(TokenError::NotFound)?;
        let line = line(enterprise, actor, AuditAction::RevokeScimToken, id, now);
        self.amend_scim_tokens(enterprise, line, now, |tokens| {
            let before = tokens.len();
            tokens.retain(|token| token.id != id);
            if tokens.len() == before { Err(TokenError::NotFound) } else { Ok(()) }
        })
        .await?;
        // It opens nothing any more; what is left expires by itself.
        let _ = self.store.batch(now, vec![Op::Delete(Key::ScimToken(found.secret))]).await;
        Ok(())
    }

    pub(super) fn forget_scim_tokens(&self, enterprise: EnterpriseId) {
        self.scim_tokens.forget_all_of(enterprise);
    }

    /// V-03: what lasts a year takes an owner, and the IdP's word of just now.
    fn check_maker(
        &self,
        enterprise: &Enterprise,
        maker: ScimTokenMaker<'_>,
        now: Timestamp,
    ) -> Result<(), TokenError> {
        let ScimTokenMaker::Owner(session) = maker else { return Ok(()) };
        self.check_session(enterprise, session, now)?;
        let is_owner = enterprise.owners.contains(&session.session.profile.user);
        if is_owner { Ok(()) } else { Err(TokenError::NotEnterpriseOwner) }
    }

    async fn amend_scim_tokens(
        &self,
        enterprise: &Enterprise,
        line: AuditLine,
        now: Timestamp,
        change: impl Fn(&mut Vec<ScimToken>) -> Result<(), TokenError>,
    ) -> Result<(), TokenError> {
        let key = Key::ScimTokens(enterprise.id);
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let (revision, mut tokens) = self.scim_token_record(enterprise.id, now).await?;
            change(&mut tokens)?;
            let mut commit = Commit { expect: vec![(key, revision)], writes: vec![] };
            commit.writes.push(Write::Put(key, records::encode_scim_tokens(&tokens)));
            commit.writes.extend(audit::appends(enterprise, std::slice::from_ref(&line)));
            commit.writes.push(Write::Notify(Note::Enterprise(enterprise.id)));
            if self.store.commit(commit).await? == Committed::Applied {
                self.forget_scim_tokens(enterprise.id);
                line.log();
                return Ok(());
            }
        }
        Err(Contended.into())
    }

    async fn scim_token_record(
        &self,
        enterprise: EnterpriseId,
        now: Timestamp,
    ) -> Result<(Revision, Vec<ScimToken>), StoreError> {
        let read = self.store.batch(now, vec![Op::Get(Key::ScimTokens(enterprise))]).await?.pop();
        match read {
            Some(Reply::Value(Some(stored))) => {
                Ok((stored.revision, records::decode_scim_tokens(&stored.value)?))
            }
            Some(Reply::Value(None)) => Ok((0, vec![])),
            _ => Err(unexpected_reply()),
        }
    }

    async fn load_scim_token(
        &self,
        sha256: &[u8; 32],
        now: Timestamp,
    ) -> Result<ActiveScimToken, TokenRefusal> {
        let key = Key::ScimToken(*sha256);
        let value = self.values(std::iter::once(key), now).await?.pop().flatten();
        let mut holder = records::decode_scim_token_holder(&value.ok_or(TokenRefusal::Unknown)?)?;
        let (_, tokens) = self.scim_token_record(holder.enterprise_id, now).await?;
        let is_it = |token: &ScimToken| token.id == holder.token && token.secret == *sha256;
        let token = tokens.into_iter().find(is_it).ok_or(TokenRefusal::Unknown)?;
        if !token.is_live(now) {
            return Err(TokenRefusal::Expired);
        }
        let unused = |at: Timestamp| now.as_second() - at.as_second() >= LAST_USED_RESOLUTION_SECONDS;
        if holder.last_used_at.is_none_or(unused) {
            holder.last_used_at = Some(now);
            let value = records::encode_scim_token_holder(&holder);
            let touch = Op::Replace { key, value, expires_at: kept_until(token.expires_at) };
            // Replace, not put: a token that was revoked in the meantime stays revoked.
            match self.store.batch(now, vec![touch]).await?.pop() {
                Some(Reply::Created(true)) => {}
                Some(Reply::Created(false)) => return Err(TokenRefusal::Unknown),
                _ => return Err(unexpected_reply().into()),
            }
        }
        Ok(ActiveScimToken { token, enterprise: holder.enterprise, enterprise_id: holder.enterprise_id })
    }
}

fn new_token(
    wanted: &NewScimToken,
    maker: ScimTokenMaker<'_>,
    now: Timestamp,
) -> Result<(ScimSecret, ScimToken), TokenError> {
    let name = tidy_name(&wanted.name)?;
    let (mut random, mut cursor_key, mut id) = ([0; 32], [0; 32], [0; 16]);
    getrandom::fill(&mut random)?;
    getrandom::fill(&mut cursor_key)?;
    getrandom::fill(&mut id)?;
    let secret = ScimSecret::from_random(random);
    let token = ScimToken {
        id: ScimTokenId::from_bytes(id),
        secret: secret.sha256(),
        cursor_key,
        name,
        last_eight: secret.last_eight().to_owned(),
        created_by: maker.actor("").user().map(str::to_owned),
        created_at: now,
        expires_at: wanted.expires_at,
    };
    Ok((secret, token))
}

impl<'a> ScimTokenMaker<'a> {
    fn actor(self, request_id: &'a str) -> Actor<'a> {
        match self {
            Self::Owner(active) => {
                Actor::person(active.session.person, &active.session.profile.user, request_id)
            }
            Self::Operator => Actor::operator(request_id),
        }
    }
}

fn line(
    enterprise: &Enterprise,
    actor: Actor<'_>,
    action: AuditAction,
    token: ScimTokenId,
    now: Timestamp,
) -> AuditLine {
    let trigger = if actor.id().is_some() { Trigger::Owner } else { Trigger::Operator };
    let actor_id = actor.id().map(|id| id.to_string());
    AuditLine::of(&AuditEvent {
        actor: actor.user(),
        actor_id: actor_id.as_deref(),
        request_id: Some(actor.request_id()),
        credential_id: Some(&token.to_string()),
        ..AuditEvent::new(now, action, trigger, enterprise.slug.as_str())
    })
}
