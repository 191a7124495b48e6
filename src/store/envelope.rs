//! What stands before every stored value: a letter and sixteen decimal digits.
//!
//! `r` leads a record's revision, `e` a point in time in milliseconds since the epoch after which the value is gone, `t` the count of
//! a tally, whose value is a point in time in the same digits.
//! Decimal digits of fixed width, because Redis' scripts read them, and so does whoever looks into the store by hand.
//! The expiry is kept here as well as with the server, so that our clock judges it.
use super::{Revision, StoreError, Versioned};
use crate::domain::Timestamp;

/// The letter and its digits.
pub(super) const HEAD_BYTES: usize = 17;
/// Lua counts in 64-bit floating point: beyond this, one more is the same number.
const REVISION_MAX: Revision = (1 << 53) - 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    Record(Revision),
    /// Milliseconds since the epoch.
    Expires(u64),
    /// How often it was touched.
    Tally(u64),
}

/// A point in time in milliseconds since the epoch, rounded down; what lies before the epoch counts as the epoch.
pub(super) fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

/// The point in time that [`millis`] wrote.
pub(super) fn at(millis: u64) -> Timestamp {
    i64::try_from(millis).ok().and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or(Timestamp::MAX)
}

pub(super) fn record(revision: Revision, value: &[u8]) -> Vec<u8> {
    seal('r', revision.min(REVISION_MAX), value)
}

pub(super) fn expiring(expires_at: Timestamp, value: &[u8]) -> Vec<u8> {
    seal('e', millis(expires_at), value)
}

/// A tally that was touched so often, at last at `latest` in milliseconds since the epoch.
pub(super) fn tally(count: u64, latest: u64) -> Vec<u8> {
    seal('t', count.min(REVISION_MAX), digits(latest.min(REVISION_MAX)).as_bytes())
}

/// Count and latest time of what [`tally`] wrote.
pub(super) fn read_tally(stored: &[u8]) -> Result<(u64, u64), StoreError> {
    let corrupt = || StoreError::Corrupt("a tally without its time".into());
    let Head::Tally(count) = head(stored)? else { return Err(corrupt()) };
    let time = stored.get(HEAD_BYTES..).filter(|time| time.len() == HEAD_BYTES - 1).ok_or_else(corrupt)?;
    number(time).map(|latest| (count, latest)).ok_or_else(corrupt)
}

/// A revision in the digits that stand in a record's head.
pub(super) fn digits(revision: Revision) -> String {
    format!("{revision:016}")
}

/// Reads the head of a stored value.
pub(super) fn head(stored: &[u8]) -> Result<Head, StoreError> {
    let corrupt = || StoreError::Corrupt("a value without its head".into());
    let head = stored.get(..HEAD_BYTES).ok_or_else(corrupt)?;
    let (letter, digits) = head.split_first().ok_or_else(corrupt)?;
    let number = number(digits).ok_or_else(corrupt)?;
    match letter {
        b'r' => Ok(Head::Record(number)),
        b'e' => Ok(Head::Expires(number)),
        b't' => Ok(Head::Tally(number)),
        _ => Err(corrupt()),
    }
}

/// Sixteen digits at most, so that it fits.
fn number(digits: &[u8]) -> Option<u64> {
    let are_digits = digits.len() < HEAD_BYTES && digits.iter().all(u8::is_ascii_digit);
    are_digits.then(|| digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// Takes the head off; `None` if the value has expired at `now`.
pub(super) fn open(mut stored: Vec<u8>, now: Timestamp) -> Result<Option<Versioned>, StoreError> {
    let revision = match head(&stored)? {
        Head::Record(revision) | Head::Tally(revision) => revision,
        Head::Expires(at) if at <= millis(now) => return Ok(None),
        Head::Expires(_) => 0,
    };
    stored.drain(..HEAD_BYTES);
    Ok(Some(Versioned { revision, value: stored }))
}

fn seal(letter: char, number: u64, value: &[u8]) -> Vec<u8> {
    let mut sealed = format!("{letter}{number:016}").into_bytes();
    sealed.extend_from_slice(value);
    sealed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn a_record_keeps_its_revision_and_bytes() {
        let opened = open(record(7, b"\0\xff"), at(0)).unwrap().unwrap();
        assert_eq!(opened, Versioned { revision: 7, value: b"\0\xff".to_vec() });
    }

    #[test]
    fn a_tally_keeps_its_count_and_its_time() {
        assert_eq!(read_tally(&tally(3, 7_000)).unwrap(), (3, 7_000));
        assert_eq!(open(tally(3, 7_000), at(0)).unwrap().unwrap().revision, 3);
        for other in [
            record(1, b"0000000000007000"),
            tally(3, 7_000)[..32].to_vec(),
            b"t000000000000000100000000000000-1".to_vec(),
        ] {
            assert!(matches!(read_tally(&other), Err(StoreError::Corrupt(_))), "{other:?}");
        }
    }

    #[test]
    fn a_value_is_gone_from_its_expiry_on() {
        let sealed = expiring(at(1_000), b"x");
        assert!(open(sealed.clone(), at(999)).unwrap().is_some());
        assert!(open(sealed.clone(), at(1_000)).unwrap().is_none());
        assert!(open(sealed, at(1_001)).unwrap().is_none());
    }

    #[test]
    fn the_head_has_one_length() {
        assert_eq!(expiring(Timestamp::MAX, b"").len(), HEAD_BYTES);
        assert_eq!(expiring(Timestamp::MIN, b"").len(), HEAD_BYTES);
        assert_eq!(record(u64::MAX, b"").len(), HEAD_BYTES);
        assert_eq!(digits(3), "0000000000000003");
    }

    #[test]
    fn other_bytes_are_corrupt() {
        for bytes in [&b""[..], b"r000000000000001", b"x0000000000000001", b"r00000000000000-1"] {
            assert!(matches!(head(bytes), Err(StoreError::Corrupt(_))), "{bytes:?}");
        }
    }
}
