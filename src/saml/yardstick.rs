//! What every message is measured by, whatever it says: who issued it, where it went, and when.
use super::{
    Connection, Reason, Refusal,
    fields::Issuer,
    guard::{Guard, stands},
    instant::shifted,
    limits::ISSUE_AGE_SECONDS_MAX,
};
use crate::domain::{NameId, Timestamp};

/// A connection, at a moment.
#[derive(Clone, Copy)]
pub(super) struct Yardstick<'a> {
    pub connection: &'a Connection,
    pub now: Timestamp,
}

impl Yardstick<'_> {
    /// SAML Core 2.2.5, S-90: the configured IdP, whatever message or Assertion names it.
    pub fn check_issuer(&self, issuer: &Issuer<'_>, mismatch: Reason, guard: Guard) -> Result<(), Refusal> {
        // SAML Profiles 4.1.4.2, 4.4.4.1: the format is left out or `entity`.
        let other = |format: &&str| stands(Guard::IssuerFormat) && *format != NameId::ENTITY;
        if let Some(format) = issuer.format.as_deref().filter(other) {
            return Err(Refusal::from(Reason::IssuerFormat).expected(NameId::ENTITY).found(format));
        }
        equal(&issuer.value, &self.connection.settings().idp_entity_id, mismatch, guard)
    }

    /// SAML Core 3.2.1, 3.2.2: a message that names a place goes only there (S-85, L-06). `required` where it must name one.
    pub fn check_destination(&self, found: Option<&str>, url: &str, required: bool) -> Result<(), Refusal> {
        match found {
            Some(found) => equal(found, url, Reason::DestinationMismatch, Guard::Destination),
            None if required && stands(Guard::DestinationThere) => {
                Err(Refusal::from(Reason::DestinationMissing).expected(url))
            }
            None => Ok(()),
        }
    }

    /// S-89, L-06: issued just now.
    pub fn check_issue_instant(&self, issued: Timestamp, element: &str) -> Result<(), Refusal> {
        if stands(Guard::IssuedInFuture) && self.is_ahead(issued) {
            return Err(self.late(Reason::IssueInstantFuture, issued).detail(element));
        }
        if stands(Guard::IssuedLongAgo) && self.is_past(shifted(issued, ISSUE_AGE_SECONDS_MAX)) {
            return Err(self.late(Reason::IssueInstantStale, issued).detail(element));
        }
        Ok(())
    }

    /// How far clocks may be apart, in seconds.
    pub fn skew(&self) -> i64 {
        i64::from(self.connection.settings().clock_skew_seconds)
    }

    /// Whether `end` is past, with the clock skew in the message's favour.
    pub fn is_past(&self, end: Timestamp) -> bool {
        self.now >= shifted(end, self.skew())
    }

    /// Whether `start` lies ahead, with the clock skew in the message's favour.
    pub fn is_ahead(&self, start: Timestamp) -> bool {
        start > shifted(self.now, self.skew())
    }

    /// A refusal of a time, beside the present one.
    pub fn late(&self, reason: Reason, at: Timestamp) -> Refusal {
        Refusal::from(reason).expected(&format!("now {}", self.now)).found(&at.to_string())
    }
}

/// Byte for byte, as every comparison here.
pub(super) fn equal(found: &str, expected: &str, mismatch: Reason, guard: Guard) -> Result<(), Refusal> {
    if found == expected || !stands(guard) {
        return Ok(());
    }
    Err(Refusal::from(mismatch).expected(expected).found(found))
}
