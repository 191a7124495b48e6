//! How many invitations people may send by hand for one organization within a day (section 3.5): a gateway is no engine for
//! unwanted mail. Those that SCIM asks for do not count.
use super::window::Window;
use crate::domain::{Organization, Timestamp};

/// What the reference system allows a young organization.
pub const INVITATIONS_PER_DAY_MAX: u32 = 50;
const DAY: Window = Window { seconds: 24 * 60 * 60, bucket_seconds: 60 * 60 };

/// Whether one more stays within [`INVITATIONS_PER_DAY_MAX`] for the day before `now`. What was cancelled since counts too.
pub fn allows_invitation(organization: &Organization, now: Timestamp) -> bool {
    DAY.left(&organization.invited, INVITATIONS_PER_DAY_MAX, now) > 0
}

/// Counts one, and forgets those that no longer count.
pub fn count_invitation(organization: &mut Organization, now: Timestamp) {
    DAY.count(&mut organization.invited, now);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OrganizationId, OrganizationSlug};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn fifty_a_day() {
        let slug = OrganizationSlug::parse("acme").unwrap();
        let mut organization = Organization::new(OrganizationId::from_bytes([1; 16]), slug);
        for n in 0..50 {
            assert!(allows_invitation(&organization, at(n * 600)));
            count_invitation(&mut organization, at(n * 600));
        }
        assert!(!allows_invitation(&organization, at(30_000)));
        assert!(!allows_invitation(&organization, at(0)), "a clock that was set back allows nothing more");
        assert!(!allows_invitation(&organization, at(86_400)), "the first hour's youngest is not a day old");
        assert!(allows_invitation(&organization, at(90_000)));
        count_invitation(&mut organization, at(200_000));
        assert_eq!(organization.invited, [(at(200_000), 1)]);
    }
}
