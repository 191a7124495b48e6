//! When to try again what failed.
use super::Timestamp;

/// Waits that double, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    pub first_seconds: i64,
    pub most_seconds: i64,
}

/// More doublings than any wait that is bounded.
const DOUBLINGS_MAX: u32 = 16;

impl BackOff {
    /// The wait after so many failures: half to one and a half times the doubled one, as `random` says, so that those who failed
    /// together do not come back together.
    pub fn seconds(self, failures: u32, random: u32) -> i64 {
        let doublings = failures.saturating_sub(1).min(DOUBLINGS_MAX);
        let wait = (self.first_seconds << doublings).min(self.most_seconds);
        wait / 2 + i64::from(random) % (wait + 1)
    }
}

/// So many seconds later.
pub fn seconds_after(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_spread() {
        let waits = BackOff { first_seconds: 30, most_seconds: 3_600 };
        assert_eq!((waits.seconds(1, 0), waits.seconds(1, 30)), (15, 45));
        assert_eq!((waits.seconds(2, 0), waits.seconds(2, 60)), (30, 90));
        for random in [0, 1, 77, u32::MAX] {
            let wait = waits.seconds(u32::MAX, random);
            assert!((1_800..=5_400).contains(&wait), "{wait}");
        }
    }
}
