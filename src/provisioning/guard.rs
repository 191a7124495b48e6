//! The removal guard (decision D7): how many people automation may take out of one organization within an hour.
use jiff::SignedDuration;

use crate::domain::{Organization, Timestamp};

/// What a count looks back on, in seconds.
const WINDOW_SECONDS: i64 = 60 * 60;
/// Removals within so many seconds are counted together.
const BUCKET_SECONDS: i64 = 5 * 60;

/// Whether one more removal stays within `max_removals` for the hour before `now`.
pub fn allows(organization: &Organization, max_removals: u32, now: Timestamp) -> bool {
    left(organization, max_removals, now) > 0
}

/// How many more removals stay within `max_removals` for the hour before `now`.
pub fn left(organization: &Organization, max_removals: u32, now: Timestamp) -> u32 {
    let recent = organization.removals.iter().filter(|(at, _)| is_recent(*at, now));
    recent.fold(max_removals, |left, (_, count)| left.saturating_sub(*count))
}

/// Counts one removal, and forgets those that no longer count.
pub fn count(organization: &mut Organization, now: Timestamp) {
    organization.removals.retain(|(at, _)| is_recent(*at, now));
    match organization.removals.last_mut() {
        Some((at, count)) if now.duration_since(*at) < SignedDuration::from_secs(BUCKET_SECONDS) => {
            *count = count.saturating_add(1);
        }
        _ => organization.removals.push((now, 1)),
    }
}

/// A bucket counts until its youngest removal is an hour old. One from the future counts too: the clock was set back.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) < SignedDuration::from_secs(WINDOW_SECONDS + BUCKET_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OrganizationId, OrganizationSlug};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn so_many_an_hour() {
        let slug = OrganizationSlug::parse("acme").unwrap();
        let mut organization = Organization::new(OrganizationId::from_bytes([1; 16]), slug);
        assert!(!allows(&organization, 0, at(0)));
        for n in 0..10 {
            assert!(allows(&organization, 10, at(n)));
            count(&mut organization, at(n));
        }
        assert!(!allows(&organization, 10, at(10)));
        assert!(allows(&organization, 11, at(10)));
        assert_eq!(organization.removals.len(), 1);
        assert!(!allows(&organization, 10, at(3_600)), "the youngest is not an hour old");
        assert!(allows(&organization, 10, at(3_900)));
        assert!(!allows(&organization, 10, at(-3_600)), "a clock that was set back allows nothing more");
        count(&mut organization, at(3_900));
        assert_eq!(organization.removals, [(at(3_900), 1)]);
    }
}
