//! Personal access tokens: what programs show instead of a session.
//!
//! The person's record is what counts: it says which tokens there are, what each may do and until when, so that whatever takes
//! a membership away takes the token's authorisation along in the same commit. Under the SHA-256 of a token lies only whose
//! it is. That entry is written before the record and deleted after it, so that one without the other opens nothing.
mod acts;

use std::sync::Arc;

use jiff::SignedDuration;

use crate::{
    domain::{
        AccessToken, ActiveToken, EnterpriseId, OrganizationSlug, Person, PersonId, Scope, Timestamp,
        TokenHolder, TokenId, TokenSecret,
    },
    store::{Key, Op, Reply, StoreError, records},
};

use super::{Contended, Directory, SCIM_TOKENS_LIVE_MAX, sessions::may_come_in, unexpected_reply};

/// Tokens that one person may have at a time.
pub const TOKENS_MAX: usize = 50;
/// Of a token's name.
const NAME_CHARS_MAX: usize = 100;
/// A token notes that it was used at most this often, in seconds.
pub(super) const LAST_USED_RESOLUTION_SECONDS: i64 = 60;
/// How long it is known that a token has run out, in hours, so that the log can say so to whoever wonders.
const KEPT_HOURS: i64 = 30 * 24;

/// What the configuration says about tokens, in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// Of the session that makes a token or authorises one.
    pub session_age_seconds_max: u32,
    /// Of a token.
    pub lifetime_seconds_max: u32,
}

impl Default for TokenSettings {
    /// A session that was left open or stolen does not become a token that lasts; a year is what people can remember.
    fn default() -> Self {
        Self { session_age_seconds_max: 2 * 3600, lifetime_seconds_max: 365 * 24 * 3600 }
    }
}

/// What a person asks of a new token.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Up to 100 characters, for people to tell tokens apart.
    pub name: String,
    /// At least one.
    pub scopes: Vec<Scope>,
    /// Those of the person's organizations that it is for; without any it passes no route, and the API lets it do what takes no
    /// organization.
    pub organizations: Vec<OrganizationSlug>,
    pub expires_at: Timestamp,
}

/// A token as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownToken {
    pub token: AccessToken,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
}

/// A token that is authorised for an organization, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    pub person: PersonId,
    /// The stable id's value.
    pub user: String,
    pub known: KnownToken,
}

/// A token, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialId {
    pub person: PersonId,
    pub token: TokenId,
}

/// What one of a person's own tokens is to be authorised for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant<'a> {
    pub token: TokenId,
    pub organization: &'a OrganizationSlug,
}

/// Why a token opens nothing. Outside, all of them read the same.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenRefusal {
    #[error("no such token: it was never one, or it was revoked")]
    Unknown,
    #[error("the token has run out")]
    Expired,
    /// A12, V-16
    #[error("the token's person is deactivated, or no longer linked to the IdP")]
    Person,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why nothing was changed about a token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the session is of another enterprise, or has ended")]
    Session,
    #[error("the session was opened by a recovery code and not by the IdP")]
    Recovery,
    #[error("the session is older than {0} s: sign in again")]
    SessionAge(u32),
    #[error("a token's name has 1 to {NAME_CHARS_MAX} characters, and no control characters")]
    Name,
    #[error("a token needs a scope")]
    Scopes,
    #[error("a token ends after now and within {0} s")]
    Expiry(u32),
    #[error("the person has {TOKENS_MAX} tokens already")]
    TooMany,
    /// V-03
    #[error("only an owner of the enterprise makes SCIM tokens")]
    NotEnterpriseOwner,
    #[error("the enterprise has {SCIM_TOKENS_LIVE_MAX} SCIM tokens already: revoke one of them")]
    TooManyScim,
    #[error("the person does not belong to {0}")]
    NotMember(OrganizationSlug),
    #[error("the person has no such token")]
    NotFound,
    #[error("the person is deactivated, or no longer linked to the IdP")]
    Person,
    #[error("only an owner may do this to the token of somebody else")]
    NotOwner,
    #[error(transparent)]
    Contended(#[from] Contended),
    #[error("no randomness from the operating system: {0}")]
    Random(#[from] getrandom::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TokenRefusal {
    /// Stable code for logs and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "token_unknown",
            Self::Expired => "token_expired",
            Self::Person => "token_person_out",
            Self::Store(error) => error.code(),
        }
    }
}

impl TokenError {
    /// Stable code for the API, logs and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Session => "session_ended",
            Self::Recovery => "session_by_recovery",
            Self::SessionAge(_) => "session_too_old",
            Self::Name => "token_name_invalid",
            Self::Scopes => "token_scopes_missing",
            Self::Expiry(_) => "token_expiry_invalid",
            Self::TooMany => "tokens_exceeded",
            Self::NotEnterpriseOwner => "enterprise_owner_required",
            Self::TooManyScim => "scim_tokens_exceeded",
            Self::NotMember(_) => "not_a_member",
            Self::NotFound => "token_not_found",
            Self::Person => "person_deactivated",
            Self::NotOwner => "not_an_owner",
            Self::Contended(_) => "store_contended",
            Self::Random(_) => "no_randomness",
            Self::Store(error) => error.code(),
        }
    }
}

impl Directory {
    /// What a token opens at this moment, through a cache whose age is bounded by a second. What the token is used for is for
    /// the caller to check: its scopes, and the organizations among its memberships.
    pub async fn access_token(
        &self,
        secret: &TokenSecret,
        now: Timestamp,
    ) -> Result<Arc<ActiveToken>, TokenRefusal> {
        let sha256 = secret.sha256();
        if let Some(active) = self.tokens.get(&sha256, now) {
            return if active.is_live(now) { Ok(active) } else { Err(TokenRefusal::Expired) };
        }
        let generation = self.tokens.generation(&sha256);
        let active = Arc::new(self.load_token(&sha256, now).await?);
        self.tokens.put(sha256, active.clone(), generation, now);
        Ok(active)
    }

    /// A person's tokens, those that ran out among them, in the order in which they were made.
    pub async fn tokens_of(
        &self,
        enterprise: EnterpriseId,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Vec<KnownToken>, StoreError> {
        match self.person(enterprise, person, now).await? {
            Some(person) => self.with_last_use(person.tokens, now).await,
            None => Ok(vec![]),
        }
    }

    /// The tokens that are authorised for an organization, of up to `limit` members that come after `after`; and after whom to
    /// ask on, if there are more.
    pub async fn authorizations(
        &self,
        enterprise: EnterpriseId,
        organization: &OrganizationSlug,
        after: Option<PersonId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Vec<Authorization>, Option<PersonId>), StoreError> {
        let members = self.members(enterprise, organization, after, limit).await?;
        let values = self.values(members.iter().map(|id| Key::Person(enterprise, *id)), now).await?;
        let mut found = vec![];
        for (id, value) in members.iter().zip(values) {
            let Some(value) = value else { continue };
            let Person { id: person, tokens, profile, .. } = records::decode_person(enterprise, *id, &value)?;
            let theirs =
                |token: &AccessToken| token.organizations.contains(organization) && now < token.expires_at;
            let tokens = self.with_last_use(tokens.into_iter().filter(theirs).collect(), now).await?;
            let user = || profile.user.clone();
            found.extend(tokens.into_iter().map(|known| Authorization { person, user: user(), known }));
        }
        let more = members.last().filter(|_| members.len() == limit).copied();
        Ok((found, more))
    }

    async fn with_last_use(
        &self,
        tokens: Vec<AccessToken>,
        now: Timestamp,
    ) -> Result<Vec<KnownToken>, StoreError> {
        let values = self.values(tokens.iter().map(|token| Key::AccessToken(token.secret)), now).await?;
        let known = |(token, value): (AccessToken, Option<Vec<u8>>)| {
            let holder = value.map(|value| records::decode_token_holder(&value)).transpose()?;
            Ok(KnownToken { token, last_used_at: holder.and_then(|holder| holder.last_used_at) })
        };
        tokens.into_iter().zip(values).map(known).collect()
    }

    async fn load_token(&self, sha256: &[u8; 32], now: Timestamp) -> Result<ActiveToken, TokenRefusal> {
        let value = self.values(std::iter::once(Key::AccessToken(*sha256)), now).await?.pop().flatten();
        let mut holder = records::decode_token_holder(&value.ok_or(TokenRefusal::Unknown)?)?;
        let person = self.person(holder.enterprise_id, holder.person, now).await?;
        let active = active(sha256, &holder, person.ok_or(TokenRefusal::Unknown)?, now)?;
        let unused = |at: Timestamp| now.as_second() - at.as_second() >= LAST_USED_RESOLUTION_SECONDS;
        if holder.last_used_at.is_none_or(unused) {
            holder.last_used_at = Some(now);
            let (key, value) = (Key::AccessToken(*sha256), records::encode_token_holder(&holder));
            let touch = Op::Replace { key, value, expires_at: kept_until(active.token.expires_at) };
            // Replace, not put: a token that was revoked in the meantime stays revoked.
            match self.store.batch(now, vec![touch]).await?.pop() {
                Some(Reply::Created(true)) => {}
                Some(Reply::Created(false)) => return Err(TokenRefusal::Unknown),
                _ => return Err(unexpected_reply().into()),
            }
        }
        Ok(active)
    }
}

/// What a token opens by its person's record: the person must let it, and be let in.
pub(super) fn active(
    sha256: &[u8; 32],
    holder: &TokenHolder,
    person: Person,
    now: Timestamp,
) -> Result<ActiveToken, TokenRefusal> {
    let is_it = |token: &&AccessToken| token.id == holder.token && token.secret == *sha256;
    let Some(token) = person.tokens.iter().find(is_it).cloned() else { return Err(TokenRefusal::Unknown) };
    if !may_come_in(&person) {
        return Err(TokenRefusal::Person);
    }
    if token.expires_at <= now {
        return Err(TokenRefusal::Expired);
    }
    let mut memberships = person.memberships;
    memberships.retain(|membership| token.organizations.contains(&membership.organization));
    Ok(ActiveToken {
        token,
        enterprise: holder.enterprise.clone(),
        enterprise_id: holder.enterprise_id,
        person: person.id,
        profile: person.profile,
        memberships,
    })
}

/// A token's name as it is kept.
pub(super) fn tidy_name(name: &str) -> Result<String, TokenError> {
    let name = name.trim();
    let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    fits.then(|| name.to_owned()).ok_or(TokenError::Name)
}

pub(super) fn kept_until(expires_at: Timestamp) -> Timestamp {
    expires_at.checked_add(SignedDuration::from_hours(KEPT_HOURS)).unwrap_or(Timestamp::MAX)
}
