//! What the answer is held to because we asked for it: the format of the NameID, how and when the person signed in.
use super::{
    Connection, Outstanding, Reason, Refusal,
    fields::{AuthnStatement, NameIdFields},
    guard::{Guard, stands},
    instant::{shifted, whole_seconds},
};
use crate::domain::{NameId, Timestamp};

/// The format of NameID that requests ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NameIdFormat {
    /// None is asked for: the IdP sends what it is set to.
    #[default]
    Any,
    Persistent,
    EmailAddress,
}

impl NameIdFormat {
    /// As NameIDPolicy says it.
    pub(super) fn uri(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Persistent => Some(NameId::PERSISTENT),
            Self::EmailAddress => Some(NameId::EMAIL_ADDRESS),
        }
    }
}

/// SAML Core 3.4.1.1: an IdP that cannot give the format that was asked for must say so, and not give another.
pub(super) fn check_format(name_id: &NameIdFields<'_>, connection: &Connection) -> Result<(), Refusal> {
    let Some(wanted) = connection.settings().name_id_format.uri() else { return Ok(()) };
    let found = name_id.format.as_deref().unwrap_or_default();
    if found == wanted || !stands(Guard::NameIdFormat) {
        Ok(())
    } else {
        Err(Refusal::from(Reason::NameIdFormat).expected(wanted).found(found))
    }
}

/// SAML Core 3.3.2.2.1: under the comparison "exact", one of the classes that were asked for comes back (S-99).
pub(super) fn check_context(statement: &AuthnStatement<'_>, asked: &[String]) -> Result<(), Refusal> {
    let found = statement.context_class.as_deref().unwrap_or_default();
    if asked.is_empty() || !stands(Guard::ContextAsked) || asked.iter().any(|class| class == found) {
        Ok(())
    } else {
        Err(Refusal::from(Reason::AuthnContextMismatch).expected(&asked.join(" or ")).found(found))
    }
}

/// SAML Core 3.4.1: ForceAuthn means that the person signs in after it was asked for, and not that the IdP remembers them
/// (S-99). The clocks may differ by `skew` seconds.
///
/// Answers when the person signed in, as well as our clock can tell: not ahead of it, and not before they were made to. That
/// is what the age of a sign-in is measured from, so that what passes here passes at the route that asked.
pub(super) fn check_instant(
    statement: &AuthnStatement<'_>,
    request: Option<&Outstanding<'_>>,
    now: Timestamp,
    skew: i64,
) -> Result<Timestamp, Refusal> {
    let said = statement.authn_instant;
    let Some(Outstanding { demand, issued_at, .. }) = request else { return Ok(said.min(now)) };
    // Whole seconds: many IdPs write no finer ones, and our request said no finer one either.
    let asked_at = whole_seconds(*issued_at);
    if stands(Guard::InstantAsked) && demand.force && shifted(said, skew) < asked_at {
        return Err(stale(asked_at, said));
    }
    let signed_in_at = if demand.force { said.max(asked_at) } else { said }.min(now);
    if let Some(most) = demand.age_seconds_max
        && now.as_second().saturating_sub(signed_in_at.as_second()) >= i64::from(most)
    {
        return Err(stale(shifted(now, -i64::from(most)), said));
    }
    Ok(signed_in_at)
}

fn stale(oldest: Timestamp, said: Timestamp) -> Refusal {
    Refusal::from(Reason::AuthnInstantStale).expected(&format!("{oldest} or later")).found(&said.to_string())
}
