//! Who a request comes from, and whose exchanges end before their time.
//!
//! An Authorization field with a token of ours decides alone: the session cookie beside it is not looked at (V-21), and what is
//! wrong with it is told to a program, never turned into a sign-in. Any other Authorization field is between the client and
//! the origin server, and says nothing to us.
use std::{collections::BTreeSet, time::Duration};

use http::{HeaderMap, StatusCode, header};

use super::{cookies, pages::Class, respond::Problem, worker::Serving};
use crate::{
    access::Rule,
    directory::{Heard, Note, TokenRefusal},
    domain::{Caller, CallerId, Scope, TokenSecret},
    proxy::{ProxyError, Recipient, own_bearer},
};

/// What takes the origin server this long is looked at again before its answer goes out: whatever is known of sessions and tokens
/// is as old by then as it may get.
const LOOKED_AT_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Why a token was not let through. The text is for the log.
#[derive(Debug, thiserror::Error)]
pub enum TokenProblem {
    #[error("a token of ours that is none: cut off, mistyped, or beside another Authorization field")]
    Malformed,
    #[error("{0}")]
    Refused(TokenRefusal),
    #[error("the token is of an enterprise that the route is not for, or has run out")]
    Elsewhere,
    #[error("the token's scopes do not hold \"proxy\"")]
    Scope,
    #[error("the token does not meet the route's rule, or the route takes none")]
    Rule,
}

impl TokenProblem {
    /// Stable, for the log and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "token_malformed",
            Self::Refused(refusal) => refusal.code(),
            Self::Elsewhere => "token_elsewhere",
            Self::Scope => "token_scope",
            Self::Rule => "token_forbidden",
        }
    }

    /// V-20: whoever holds no token that counts cannot tell why.
    pub fn answer(&self) -> (StatusCode, Class) {
        match self {
            Self::Malformed | Self::Refused(_) | Self::Elsewhere => {
                (StatusCode::UNAUTHORIZED, Class::TokenRefused)
            }
            Self::Scope | Self::Rule => (StatusCode::FORBIDDEN, Class::Forbidden),
        }
    }

    /// RFC 6750 3.
    pub fn challenge(&self) -> &'static str {
        match self {
            Self::Malformed | Self::Refused(_) | Self::Elsewhere => {
                "Bearer realm=\"portcullis\", error=\"invalid_token\""
            }
            Self::Scope | Self::Rule => "Bearer realm=\"portcullis\", error=\"insufficient_scope\"",
        }
    }
}

impl From<TokenRefusal> for Problem {
    fn from(refusal: TokenRefusal) -> Self {
        match refusal {
            TokenRefusal::Store(error) => Self::Store(error),
            other => Self::TokenRefused(TokenProblem::Refused(other)),
        }
    }
}

/// The token that a request shows, if it shows one of ours.
pub fn token(fields: &HeaderMap) -> Result<Option<TokenSecret>, TokenProblem> {
    let values = fields.get_all(header::AUTHORIZATION);
    let Some(shown) = values.iter().find_map(own_bearer) else { return Ok(None) };
    // RFC 9110 11.6.2: one field; which of two counts would be for chance to say.
    if values.iter().nth(1).is_some() {
        return Err(TokenProblem::Malformed);
    }
    let secret = std::str::from_utf8(shown).ok().and_then(TokenSecret::parse);
    secret.map(Some).ok_or(TokenProblem::Malformed)
}

impl Serving {
    /// Whoever the request's token or cookie names; not even looked for where the rule does not ask.
    pub(super) async fn caller(&self, rule: &Rule, fields: &HeaderMap) -> Result<Option<Caller>, Problem> {
        if matches!(rule, Rule::Public) {
            return Ok(None);
        }
        let (directory, now) = (&self.gate.directory, (self.gate.now)());
        if let Some(secret) = token(fields)? {
            let active = directory.access_token(&secret, now).await?;
            if !active.allows(Scope::Proxy) {
                return Err(TokenProblem::Scope.into());
            }
            return Ok(Some(Caller::Token(active)));
        }
        let Some(cookie) = cookies::session_token(fields) else { return Ok(None) };
        Ok(directory.session(&cookie, now).await?.map(Caller::Session))
    }

    /// Whether the answer to a request that took the origin server so long may still go out (V-16). While the store does not
    /// answer it may.
    pub(super) async fn check_after(
        &self,
        waited: Duration,
        recipient: &Recipient,
    ) -> Result<(), ProxyError> {
        if waited < LOOKED_AT_AGAIN_AFTER {
            return Ok(());
        }
        let callers = BTreeSet::from([recipient.caller]);
        match self.gate.directory.present(&callers, (self.gate.now)()).await {
            Ok(present) if present.get(&recipient.caller).is_some_and(|caller| keeps(caller, recipient)) => {
                Ok(())
            }
            Ok(_) => {
                self.gate.directory.forget(recipient.caller);
                Err(ProxyError::AccessEnded)
            }
            Err(error) => {
                tracing::warn!(%error, "whether an answer may still go out is not known");
                Ok(())
            }
        }
    }

    /// Breaks off the exchanges of those who are concerned by what was heard, or of anybody, if what let the request in is gone:
    /// the session or the token (L-10), or the person's membership (V-16). While the store does not answer they go on.
    pub async fn cut_ended(&self, heard: Heard) {
        let callers = self.streams.callers(|recipient| concerns(heard, recipient));
        if callers.is_empty() {
            return;
        }
        match self.gate.directory.present(&callers, (self.gate.now)()).await {
            Ok(present) => self.streams.cut(|recipient| {
                let caller = present.get(&recipient.caller);
                let is_over = callers.contains(&recipient.caller)
                    && !caller.is_some_and(|caller| keeps(caller, recipient));
                if is_over {
                    // First: whoever is cut off and asks again at once finds it closed.
                    self.gate.directory.forget(recipient.caller);
                }
                is_over
            }),
            Err(error) => {
                tracing::warn!(%error, "whether responses under way may go on is not known")
            }
        }
    }
}

fn concerns(heard: Heard, recipient: &Recipient) -> bool {
    match heard {
        Heard::Gap => true,
        Heard::Note(Note::Person(_, person)) => recipient.person == person,
        Heard::Note(Note::Session(session)) => recipient.caller == CallerId::Session(session),
        Heard::Note(Note::Enterprise(_)) => false,
    }
}

/// Whether the caller, as it is now, would still be let in. How old the sign-in may be was judged when the request came.
fn keeps(caller: &Caller, recipient: &Recipient) -> bool {
    let demanded = &recipient.organizations;
    let is_member = demanded.is_empty() || demanded.iter().any(|slug| caller.is_member(slug));
    is_member && caller.token().is_none_or(|token| !token.memberships.is_empty())
}

/// What a response to a caller depends on.
pub(super) fn recipient(caller: &Caller, rule: &Rule) -> Recipient {
    let organizations = match rule {
        Rule::Protected { organizations, .. } => organizations.clone(),
        Rule::Public => vec![],
    };
    Recipient { caller: caller.id(), person: caller.person(), organizations }
}
