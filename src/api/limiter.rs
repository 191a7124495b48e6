//! How often whoever calls may call: each credential for itself, and each client address for what shows none that is good.
//!
//! A call that is good is never refused for what others do from the same address: behind a load balancer that is everybody's. Each
//! gateway counts for itself.
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use crate::domain::{CallerId, Timestamp};

/// Callers that are counted apart; any more share one count.
const CALLERS_MAX: usize = 100_000;
const MINUTE_MICROS: i64 = 60_000_000;

/// Calls within a minute; 0 is as many as they like. All of them may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// By one token or one session.
    pub calls_per_minute: u32,
    /// Without a credential that is good, from one address; from one /64 of IPv6.
    pub strangers_per_minute: u32,
}

/// Who is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counted {
    Credential(CallerId),
    Stranger(IpAddr),
    /// Whoever comes when [`CALLERS_MAX`] are counted.
    Others,
}

/// The call comes too early, by so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOften {
    pub retry_after_seconds: i64,
}

pub struct Limiter {
    limits: Limits,
    counts: Mutex<Counts>,
}

/// The generic cell rate algorithm: of each caller the moment at which what they used is paid for, in microseconds.
#[derive(Default)]
struct Counts {
    paid_at: HashMap<Counted, i64>,
    /// The second in which those were let go that owe nothing.
    swept_second: i64,
}

impl Counted {
    /// Whoever has one address of an IPv6 link has all of them.
    pub fn stranger(address: IpAddr) -> Self {
        Self::Stranger(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
            v4 => v4,
        })
    }
}

impl Limiter {
    pub fn new(limits: Limits) -> Self {
        Self { limits, counts: Mutex::default() }
    }

    /// Counts one more call.
    pub fn admit(&self, who: Counted, now: Timestamp) -> Result<(), TooOften> {
        let limit = match who {
            Counted::Credential(_) => self.limits.calls_per_minute,
            Counted::Stranger(_) | Counted::Others => self.limits.strangers_per_minute,
        };
        if limit == 0 {
            return Ok(());
        }
        let (now, cost) = (now.as_microsecond(), MINUTE_MICROS / i64::from(limit));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let who = counts.room(who, now);
        let paid_at = counts.paid_at.get(&who).copied().unwrap_or(now).max(now);
        let early = paid_at + cost - (now + MINUTE_MICROS);
        if early > 0 {
            return Err(TooOften { retry_after_seconds: seconds(early) });
        }
        counts.paid_at.insert(who, paid_at + cost);
        Ok(())
    }
}

impl Counts {
    /// Under whom a call is counted: where there are too many, and none of them can be let go, under all others.
    fn room(&mut self, who: Counted, now: i64) -> Counted {
        if self.paid_at.len() < CALLERS_MAX || self.paid_at.contains_key(&who) {
            return who;
        }
        let second = now.div_euclid(1_000_000);
        // Once a second at most: it looks at all of them.
        if self.swept_second != second {
            self.swept_second = second;
            self.paid_at.retain(|_, paid_at| *paid_at > now);
        }
        if self.paid_at.len() < CALLERS_MAX { who } else { Counted::Others }
    }
}

/// RFC 9110 10.2.3: whole seconds, and never too few.
fn seconds(micros: i64) -> i64 {
    (micros + 999_999).div_euclid(1_000_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SessionId;

    fn limiter(calls: u32, strangers: u32) -> Limiter {
        Limiter::new(Limits { calls_per_minute: calls, strangers_per_minute: strangers })
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + millis).unwrap()
    }

    fn token(byte: u8) -> Counted {
        Counted::Credential(CallerId::Token([byte; 32]))
    }

    #[test]
    fn a_minutes_worth_may_come_at_once_and_then_in_time() {
        let limiter = limiter(60, 0);
        assert!((0..60).all(|_| limiter.admit(token(1), at(0)).is_ok()));
        assert_eq!(limiter.admit(token(1), at(0)), Err(TooOften { retry_after_seconds: 1 }));
        assert_eq!(limiter.admit(token(1), at(999)), Err(TooOften { retry_after_seconds: 1 }));
        assert_eq!(limiter.admit(token(1), at(1_000)), Ok(()));
        assert!(limiter.admit(token(1), at(1_000)).is_err());
        // Who waits as long as is asked is let in; after a minute everything is as before.
        assert!((0..60).all(|_| limiter.admit(token(1), at(70_000)).is_ok()));
    }

    #[test]
    fn each_counts_for_itself() {
        let limiter = limiter(1, 1);
        let session = Counted::Credential(CallerId::Session(SessionId::from_bytes([1; 32])));
        for who in [token(1), token(2), session, Counted::stranger([192, 0, 2, 1].into())] {
            assert!(limiter.admit(who, at(0)).is_ok(), "{who:?}");
            assert_eq!(limiter.admit(who, at(0)), Err(TooOften { retry_after_seconds: 60 }), "{who:?}");
        }
    }

    #[test]
    fn none_is_as_many_as_they_like() {
        let limiter = limiter(0, 0);
        let stranger = Counted::stranger([192, 0, 2, 1].into());
        assert!((0..10_000).all(|_| limiter.admit(token(1), at(0)).is_ok()));
        assert!((0..10_000).all(|_| limiter.admit(stranger, at(0)).is_ok()));
    }

    #[test]
    fn addresses_of_one_link_are_one() {
        let of = |text: &str| Counted::stranger(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn r_07_the_list_of_callers_has_an_end() {
        let limiter = limiter(0, 1);
        let stranger = |n: u32| Counted::stranger(std::net::Ipv4Addr::from(n).into());
        let most = u32::try_from(CALLERS_MAX).unwrap();
        assert!((0..most).all(|n| limiter.admit(stranger(n), at(0)).is_ok()));
        assert!(limiter.admit(stranger(most), at(0)).is_ok(), "the first of all others");
        assert!(limiter.admit(stranger(most + 1), at(0)).is_err(), "they share one count");
        assert!(limiter.counts.lock().unwrap().paid_at.len() <= CALLERS_MAX + 1);
        assert!(limiter.admit(stranger(most + 1), at(61_000)).is_ok(), "those before owe nothing any more");
        assert!(limiter.counts.lock().unwrap().paid_at.len() < 10);
    }
}
