//! When to look again, and when to raise an alarm. Pure: the clock and chance are parameters.
use crate::domain::Timestamp;

/// No refresh sooner after another than this, whatever a document says of itself.
pub(super) const REFRESH_SECONDS_MIN: u64 = 60;
/// A file is looked at this often: that costs nothing, and whoever changes it waits for it.
const FILE_SECONDS_MAX: u64 = 300;
/// What is left of a document's life holds at least this many refreshes.
const REFRESHES_PER_LIFE: u64 = 4;
/// After this many failures the pause grows no longer.
const DOUBLINGS_MAX: u32 = 16;

/// How much of a document's life is over. Ordered by how much it matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    #[default]
    None,
    /// Half of it.
    Half,
    /// Four fifths.
    FourFifths,
    /// All: nobody can sign in.
    Over,
}

impl Alarm {
    /// The alarm at `now` for a document that lives from `since` to `until` (M-01).
    pub fn at(now: Timestamp, since: Timestamp, until: Timestamp) -> Self {
        if now >= until {
            return Self::Over;
        }
        let life = until.as_second().saturating_sub(since.as_second());
        let used = now.as_second().saturating_sub(since.as_second());
        match used {
            used if used.saturating_mul(5) >= life.saturating_mul(4) => Self::FourFifths,
            used if used.saturating_mul(2) >= life => Self::Half,
            _ => Self::None,
        }
    }

    /// The number in the metric: 0 to 3.
    pub fn level(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Half => 1,
            Self::FourFifths => 2,
            Self::Over => 3,
        }
    }
}

/// What decides about the next refresh.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub configured_seconds: u64,
    pub is_file: bool,
    /// What the document says.
    pub cache_seconds: Option<u64>,
    /// Of the document's life.
    pub left_seconds: Option<u64>,
}

impl Pace {
    fn interval_seconds(self) -> u64 {
        let own = if self.is_file { FILE_SECONDS_MAX } else { u64::MAX };
        let life = self.left_seconds.map_or(u64::MAX, |left| left / REFRESHES_PER_LIFE);
        let interval = self.configured_seconds.min(self.cache_seconds.unwrap_or(u64::MAX)).min(own).min(life);
        interval.max(REFRESH_SECONDS_MIN)
    }

    /// Seconds until the refresh after a good one, up to a tenth early, so that replicas spread.
    pub fn after_success(self, chance: u32) -> u64 {
        let interval = self.interval_seconds();
        interval - spread(interval / 10, chance)
    }

    /// Seconds until the next attempt after `failures` in a row: doubled each time, up to the interval, from half of it.
    pub fn after_failure(self, failures: u32, chance: u32) -> u64 {
        let doubled = REFRESH_SECONDS_MIN << failures.saturating_sub(1).min(DOUBLINGS_MAX);
        let pause = doubled.min(self.interval_seconds());
        pause / 2 + spread(pause.div_ceil(2), chance)
    }
}

/// From 0 to `width`, by chance.
fn spread(width: u64, chance: u32) -> u64 {
    u64::try_from(u128::from(width) * u128::from(chance) / u128::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace =
        Pace { configured_seconds: 21_600, is_file: false, cache_seconds: None, left_seconds: None };

    #[test]
    fn m_01_alarms_at_half_and_at_four_fifths_of_the_life() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let alarm = |now| Alarm::at(at(now), at(1000), at(2000));
        for (now, expected) in [
            (0, Alarm::None),
            (1499, Alarm::None),
            (1500, Alarm::Half),
            (1799, Alarm::Half),
            (1800, Alarm::FourFifths),
            (1999, Alarm::FourFifths),
            (2000, Alarm::Over),
        ] {
            assert_eq!(alarm(now), expected, "{now}");
        }
        assert_eq!(Alarm::at(at(5), at(5), at(5)), Alarm::Over);
    }

    #[test]
    fn m_01_what_a_document_says_of_itself_is_bounded() {
        assert_eq!(PACE.after_success(0), 21_600);
        assert_eq!(PACE.after_success(u32::MAX), 19_440);
        assert_eq!(Pace { cache_seconds: Some(3600), ..PACE }.after_success(0), 3600);
        assert_eq!(Pace { cache_seconds: Some(0), ..PACE }.after_success(0), REFRESH_SECONDS_MIN);
        assert_eq!(Pace { cache_seconds: Some(u64::MAX), ..PACE }.after_success(0), 21_600);
        assert_eq!(Pace { left_seconds: Some(4000), ..PACE }.after_success(0), 1000);
        assert_eq!(Pace { left_seconds: Some(0), ..PACE }.after_success(0), REFRESH_SECONDS_MIN);
        assert_eq!(Pace { is_file: true, ..PACE }.after_success(0), FILE_SECONDS_MAX);
    }

    #[test]
    fn failures_back_off_and_spread() {
        let pauses: Vec<u64> = (1..5).map(|failures| PACE.after_failure(failures, u32::MAX)).collect();
        assert_eq!(pauses, [60, 120, 240, 480]);
        assert_eq!(PACE.after_failure(1, 0), 30);
        assert_eq!(PACE.after_failure(u32::MAX, u32::MAX), 21_600);
    }
}
