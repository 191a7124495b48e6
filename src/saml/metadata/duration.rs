//! `xs:duration` as cacheDuration uses it (SAML Metadata 2.2.3, XML Schema 2 3.2.6).

/// No part of a duration has more digits.
const DIGITS_MAX: usize = 10;

/// Reads a duration that is not negative, in seconds, fractions cut off; `None` for everything else. A month counts 30
/// days and a year 365: a cache needs no calendar. What is too long for a number is the longest there is.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let (date, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((date, time)) if !time.is_empty() => (date, time),
        Some(_) => return None,
        None => (text.strip_prefix('P')?, ""),
    };
    const DAY: u64 = 86_400;
    let of_date = parts(date, &[('Y', 365 * DAY), ('M', 30 * DAY), ('D', DAY)])?;
    let of_time = parts(time, &[('H', 3600), ('M', 60), ('S', 1)])?;
    match (date.is_empty(), time.is_empty()) {
        (true, true) => None,
        _ => Some(of_date.saturating_add(of_time)),
    }
}

/// The sum of the parts, each a number and its letter, in the order of `units`, each at most once.
fn parts(mut text: &str, units: &[(char, u64)]) -> Option<u64> {
    let mut sum: u64 = 0;
    let mut units = units.iter();
    while !text.is_empty() {
        let end = text.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, rest) = text.split_at(end);
        let letter = rest.chars().next()?;
        let (_, factor) = units.find(|(unit, _)| *unit == letter)?;
        let whole = match number.split_once('.') {
            Some((whole, fraction)) if letter == 'S' && is_digits(fraction) => whole,
            Some(_) => return None,
            None => number,
        };
        if !is_digits(whole) {
            return None;
        }
        sum = sum.saturating_add(whole.parse::<u64>().ok()?.saturating_mul(*factor));
        text = rest.get(1..)?;
    }
    Some(sum)
}

fn is_digits(text: &str) -> bool {
    (1..=DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("PT1H", 3600),
            ("P1D", 86_400),
            ("P7DT30M", 7 * 86_400 + 1800),
            ("PT604800S", 604_800),
            ("PT1.9S", 1),
            ("P1Y2M3DT4H5M6S", 365 * 86_400 + 63 * 86_400 + 4 * 3600 + 306),
            ("P0D", 0),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for bad in [
            "",
            "P",
            "PT",
            "P1DT",
            "1D",
            "-P1D",
            "P-1D",
            "P1",
            "PD",
            "P1H",
            "PT1D",
            "P1D1Y",
            "P1D1D",
            "P1.5D",
            "PT1.S",
            "PT.5S",
            "P 1D",
            "P1D ",
            "p1d",
            "PT1,5S",
            "P٣D",
            "P99999999999D",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
        assert!(seconds("P9999999999Y").is_some_and(|long| long > 1 << 40));
    }
}
