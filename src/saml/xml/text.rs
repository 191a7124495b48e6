//! Character data and attribute values: what the spelling in the source stands for.
use std::borrow::Cow;

use super::tape::Kind;

/// What a text, CDATA section or reference (with its delimiters) stands for. Line ends become LF, XML 1.0 2.11.
pub(super) fn character_data(kind: Kind, raw: &str) -> Cow<'_, str> {
    match kind {
        Kind::Text => line_ends(raw),
        Kind::CData => line_ends(
            raw.strip_prefix("<![CDATA[").and_then(|rest| rest.strip_suffix("]]>")).unwrap_or_default(),
        ),
        Kind::Reference => {
            let name = raw.strip_prefix('&').and_then(|rest| rest.strip_suffix(';')).unwrap_or_default();
            reference(name).map_or(Cow::Borrowed(""), |c| Cow::Owned(c.to_string()))
        }
        Kind::Element | Kind::Comment => Cow::Borrowed(""),
    }
}

fn line_ends(raw: &str) -> Cow<'_, str> {
    if raw.contains('\r') {
        Cow::Owned(raw.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(raw)
    }
}

/// The normalized value of an attribute, XML 1.0 3.3.3: white space becomes blanks, references what they stand for.
pub(super) fn attribute_value(raw: &str) -> Cow<'_, str> {
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '\t', '\n', '\r']) {
        let (before, special) = rest.split_at(at);
        value.push_str(before);
        rest = match special.strip_prefix('&').and_then(|special| special.split_once(';')) {
            Some((name, after)) => {
                value.extend(reference(name));
                after
            }
            None => {
                value.push(' ');
                special.strip_prefix("\r\n").or_else(|| special.get(1..)).unwrap_or_default()
            }
        };
    }
    value.push_str(rest);
    Cow::Owned(value)
}

/// The character that `&name;` stands for: one of the five predefined entities or a character reference to a character
/// that XML allows; `None` for everything else (S-14, S-60, S-63).
pub(super) fn reference(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let (digits, radix) = match number.strip_prefix('x') {
                Some(digits) => (digits, 16),
                None => (number, 10),
            };
            if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
                return None;
            }
            char::from_u32(u32::from_str_radix(digits, radix).ok()?).filter(|c| is_allowed(*c))
        }
    }
}

/// XML 1.0 2.2, `Char`.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

pub(super) fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        assert_eq!(reference("#97"), Some('a'));
        assert_eq!(reference("#x61"), Some('a'));
        assert_eq!(reference("#xD"), Some('\r'));
        assert_eq!(reference("amp"), Some('&'));
        for bad in [
            "", "#", "#x", "#0", "#x0", "#xFFFE", "#xD800", "#x110000", "#+97", "#X61", "nbsp", "AMP", "# 97",
        ] {
            assert_eq!(reference(bad), None, "{bad}");
        }
    }

    #[test]
    fn attribute_values_are_normalized() {
        assert_eq!(attribute_value("a\tb\r\nc\rd&#10;e&amp;f&#x9;"), "a b c d\ne&f\t");
    }

    #[test]
    fn line_ends_become_line_feeds() {
        assert_eq!(character_data(Kind::Text, "a\r\nb\rc\n"), "a\nb\nc\n");
        assert_eq!(character_data(Kind::CData, "<![CDATA[<&\r]]>"), "<&\n");
        assert_eq!(character_data(Kind::Reference, "&#13;"), "\r");
    }
}
