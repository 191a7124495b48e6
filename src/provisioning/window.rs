//! How often something happened lately, counted in buckets: what the removal guard and the limit of invitations go by.
use jiff::SignedDuration;

use crate::domain::Timestamp;

/// What is looked back on, and what is counted together, in seconds.
pub(super) struct Window {
    pub seconds: i64,
    pub bucket_seconds: i64,
}

/// When counting began, and how many; oldest first.
type Counts = Vec<(Timestamp, u32)>;

impl Window {
    /// How many more stay within `max`.
    pub fn left(&self, counts: &Counts, max: u32, now: Timestamp) -> u32 {
        let recent = counts.iter().filter(|(at, _)| self.reaches(*at, now));
        recent.fold(max, |left, (_, count)| left.saturating_sub(*count))
    }

    /// Counts one, and forgets those that no longer count.
    pub fn count(&self, counts: &mut Counts, now: Timestamp) {
        counts.retain(|(at, _)| self.reaches(*at, now));
        match counts.last_mut() {
            Some((at, count)) if now.duration_since(*at) < SignedDuration::from_secs(self.bucket_seconds) => {
                *count = count.saturating_add(1);
            }
            _ => counts.push((now, 1)),
        }
    }

    /// A bucket counts until its youngest is out of the window. One from the future counts too: the clock was set back.
    fn reaches(&self, at: Timestamp, now: Timestamp) -> bool {
        now.duration_since(at) < SignedDuration::from_secs(self.seconds + self.bucket_seconds)
    }
}
