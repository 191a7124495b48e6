//! Which of two facts about a person is the newer one (A13): what an assertion says, or what was decided here.
use crate::domain::Timestamp;

/// Whether an assertion of this IssueInstant was issued before something was `decided` about its person, or may have been: in
/// doubt it is, and undoes nothing.
///
/// The IdP's own time counts. Some IdPs write no fractions of a second (SAML Core 1.3.3 asks for none), so that what they issue
/// right after a decision seems to be older by up to a second. `asked_at` settles that second: what answers a request that we made
/// after the decision cannot have been issued before it. The store keeps milliseconds; what happened within the same one is in doubt.
pub fn is_stale(issued: Timestamp, asked_at: Option<Timestamp>, decided: Timestamp) -> bool {
    let (issued_millis, decided_millis) = (issued.as_millisecond(), decided.as_millisecond());
    if issued_millis > decided_millis {
        return false;
    }
    let is_whole_second = issued.subsec_nanosecond() == 0 && issued.as_second() == decided.as_second();
    let is_asked_later = asked_at.is_some_and(|asked| asked.as_millisecond() > decided_millis);
    !(is_whole_second && is_asked_later)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn the_identity_providers_time_counts() {
        assert!(is_stale(at(5_399), None, at(5_400)));
        assert!(is_stale(at(5_400), None, at(5_400)), "within the same millisecond");
        assert!(!is_stale(at(5_401), None, at(5_400)));
        assert!(!is_stale(at(6_000), None, at(5_400)));
        // A request of ours makes nothing newer than the IdP says.
        assert!(is_stale(at(5_399), Some(at(5_500)), at(5_400)));
        assert!(is_stale(at(4_000), Some(at(5_500)), at(5_400)), "another second");
    }

    #[test]
    fn within_a_whole_second_a_later_request_decides() {
        assert!(!is_stale(at(5_000), Some(at(5_401)), at(5_400)));
        for asked in [None, Some(at(5_399)), Some(at(5_400))] {
            assert!(is_stale(at(5_000), asked, at(5_400)), "{asked:?}");
        }
    }
}
