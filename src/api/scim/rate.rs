//! How fast one token may ask: the generic cell rate algorithm, one number for each token.
//!
//! Each gateway counts for itself, so what a token may do grows with the gateways, as does what they can serve.
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::domain::{ScimTokenId, Timestamp};

/// What may come at once, in seconds of the rate: an identity provider sends in bursts.
const BURST_SECONDS: i64 = 2;
/// Tokens that are counted at a time; only tokens that count get here, of which an enterprise has two.
const TOKENS_MAX: usize = 100_000;
const SECOND_MICROS: i64 = 1_000_000;

/// When the next request of each token would be on time, in microseconds since the epoch.
#[derive(Debug, Default)]
pub struct Rates(Mutex<HashMap<ScimTokenId, i64>>);

impl Rates {
    /// Counts a request; the seconds to wait if it is too much. Whoever waits for them is let in.
    pub fn admit(&self, token: ScimTokenId, per_second: u32, now: Timestamp) -> Result<(), i64> {
        let cost = SECOND_MICROS / i64::from(per_second.max(1));
        let now = now.as_microsecond();
        let mut due = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if due.len() >= TOKENS_MAX && !due.contains_key(&token) {
            due.retain(|_, at| *at > now);
            if due.len() >= TOKENS_MAX {
                return Err(1);
            }
        }
        let at = due.entry(token).or_insert(now);
        // A clock that was set back does not shut anybody out for longer than the burst.
        *at = (*at).clamp(now, now + BURST_SECONDS * SECOND_MICROS);
        let next = *at + cost;
        let late = next - now - BURST_SECONDS * SECOND_MICROS;
        if late > 0 {
            return Err((late / SECOND_MICROS) + 1);
        }
        *at = next;
        Ok(())
    }
}

impl Rates {
    /// Counts further requests that one brought along: they are let in, and those after them wait.
    pub fn charge(&self, token: ScimTokenId, requests: usize, per_second: u32) {
        let cost = SECOND_MICROS / i64::from(per_second.max(1));
        let requests = i64::try_from(requests).unwrap_or(i64::MAX);
        let mut due = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = due.get_mut(&token) {
            *at = at.saturating_add(cost.saturating_mul(requests));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_microsecond(1_000_000_000_000_000 + micros).unwrap()
    }

    #[test]
    fn v_21_a_burst_passes_and_then_the_rate() {
        let (rates, token) = (Rates::default(), ScimTokenId::from_bytes([1; 16]));
        let admitted =
            |rates: &Rates, now| (0..1_000).filter(|_| rates.admit(token, 50, at(now)).is_ok()).count();
        assert_eq!(admitted(&rates, 0), 100, "two seconds' worth at once");
        assert_eq!(rates.admit(token, 50, at(0)), Err(1));
        assert_eq!(admitted(&rates, 1_000_000), 50, "whoever waits for a second is let in");
        assert_eq!(admitted(&rates, 1_000_000), 0);
        let other = ScimTokenId::from_bytes([2; 16]);
        assert_eq!(rates.admit(other, 50, at(1_000_000)), Ok(()), "each token for itself");
    }

    #[test]
    fn v_21_what_one_request_brings_along_counts_too() {
        let (rates, token) = (Rates::default(), ScimTokenId::from_bytes([1; 16]));
        rates.admit(token, 50, at(0)).unwrap();
        rates.charge(token, 1_000, 50);
        assert_eq!(rates.admit(token, 50, at(0)), Err(1));
        // The debt is no longer than the burst.
        assert_eq!(rates.admit(token, 50, at(1_000_000)), Ok(()));
    }

    #[test]
    fn a_steady_rate_is_never_refused() {
        let (rates, token) = (Rates::default(), ScimTokenId::from_bytes([1; 16]));
        for request in 0..10_000 {
            assert_eq!(rates.admit(token, 50, at(request * 20_000)), Ok(()), "{request}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_shuts_nobody_out() {
        let (rates, token) = (Rates::default(), ScimTokenId::from_bytes([1; 16]));
        rates.admit(token, 50, at(3_600_000_000)).unwrap();
        let refused = rates.admit(token, 50, at(0));
        assert!(matches!(refused, Ok(()) | Err(1)), "{refused:?}");
        assert_eq!(rates.admit(token, 50, at(1_000_000)), Ok(()));
    }
}
