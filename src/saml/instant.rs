//! Timestamps: `xs:dateTime` in UTC as SAML writes it, and nothing else.
use jiff::SignedDuration;

use super::{
    guard::{Guard, stands},
    limits::FRACTION_DIGITS_MAX,
};
use crate::domain::Timestamp;

/// Reads `YYYY-MM-DDThh:mm:ss[.f…]Z`; `None` for every other spelling (S-89).
///
/// SAML Core 1.3.3: values are in UTC with no time zone component other than `Z`, and nobody generates leap seconds.
/// xs:dateTime would allow `24:00:00`, offsets, signs and blanks; no IdP writes them, and their readings differ.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let whole = text.strip_suffix('Z')?;
    let (seconds, fraction) = match whole.split_once('.') {
        Some((seconds, fraction)) => (seconds, Some(fraction)),
        None => (whole, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(fraction) = fraction
        && (fraction.is_empty() || fraction.len() > FRACTION_DIGITS_MAX || !digits(fraction))
    {
        return None;
    }
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let fits = |(byte, shape): (u8, &u8)| if *shape == b'd' { byte.is_ascii_digit() } else { byte == *shape };
    let leaps = seconds.ends_with("60") && stands(Guard::LeapSecond);
    if seconds.len() != shape.len() || !seconds.bytes().zip(shape).all(fits) || leaps {
        return None;
    }
    text.parse().ok()
}

/// `instant` moved by `seconds`, held within what a timestamp can say.
pub(super) fn shifted(instant: Timestamp, seconds: i64) -> Timestamp {
    let end = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    instant.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(end)
}

/// `instant` without fractions of a second, as we write it: SAML Core 1.3.3 asks nobody to read finer ones.
pub(super) fn whole_seconds(instant: Timestamp) -> Timestamp {
    Timestamp::from_second(instant.as_second()).unwrap_or(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_89_timestamps() {
        for good in ["2026-01-15T12:00:00Z", "2026-01-15T12:00:00.1234567Z", "2024-02-29T23:59:59.999999999Z"]
        {
            assert!(parse(good).is_some(), "{good}");
        }
        let long = format!("2026-01-15T12:00:00.{}Z", "0".repeat(400));
        for bad in [
            "",
            "Z",
            "2026-01-15T12:00:00",
            "2026-01-15T12:00:00z",
            "2026-01-15 12:00:00Z",
            "2026-01-15t12:00:00Z",
            " 2026-01-15T12:00:00Z",
            "2026-01-15T12:00:00Z ",
            "2026-01-15T12:00:00+00:00",
            "2026-01-15T12:00:00.Z",
            "2026-01-15T12:00:00,5Z",
            "2026-01-15T24:00:00Z",
            "2026-01-15T23:59:60Z",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "-2026-01-15T12:00:00Z",
            "12026-01-15T12:00:00Z",
            "٢٠٢٦-01-15T12:00:00Z",
            &long,
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn shifting_stops_at_the_ends() {
        assert_eq!(shifted(Timestamp::MAX, 1), Timestamp::MAX);
        assert_eq!(shifted(Timestamp::MIN, -1), Timestamp::MIN);
        assert_eq!(shifted(Timestamp::UNIX_EPOCH, 5).as_second(), 5);
    }
}
