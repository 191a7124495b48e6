//! The removal guard (decision D7): how many people automation may take out of one organization within an hour.
use super::window::Window;
use crate::domain::{Organization, Timestamp};

const HOUR: Window = Window { seconds: 60 * 60, bucket_seconds: 5 * 60 };

/// Whether one more removal stays within `max_removals` for the hour before `now`.
pub fn allows(organization: &Organization, max_removals: u32, now: Timestamp) -> bool {
    left(organization, max_removals, now) > 0
}

/// How many more removals stay within `max_removals` for the hour before `now`.
pub fn left(organization: &Organization, max_removals: u32, now: Timestamp) -> u32 {
    HOUR.left(&organization.removals, max_removals, now)
}

/// Counts one removal, and forgets those that no longer count.
pub fn count(organization: &mut Organization, now: Timestamp) {
    HOUR.count(&mut organization.removals, now);
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
