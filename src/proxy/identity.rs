//! What an origin server learns about the person.
use std::{borrow::Cow, fmt::Write as _};

use crate::domain::ActiveSession;

/// Between the elements of a list. An element's own commas are escaped.
pub const DELIMITER: char = ',';

/// Identity as field values: visible ASCII only. Every other byte of the UTF-8 text, the percent sign, and in lists the
/// delimiter, is percent-encoded (P-07), so `unquote` after splitting gives the exact text back. What the IdP did not say is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub user: String,
    pub email: Option<String>,
    pub groups: String,
    pub organizations: String,
    pub preferred_username: Option<String>,
}

impl Identity {
    pub fn of(active: &ActiveSession) -> Self {
        let profile = &active.session.profile;
        Self {
            user: encode(&profile.user, false).into_owned(),
            email: profile.email.as_deref().map(|text| encode(text, false).into_owned()),
            groups: join(active.session.groups.iter().map(String::as_str)),
            organizations: join(active.memberships.iter().map(|m| m.organization.as_str())),
            preferred_username: profile.preferred_username.as_deref().map(|t| encode(t, false).into_owned()),
        }
    }
}

fn join<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut joined = String::new();
    for text in texts {
        if !joined.is_empty() {
            joined.push(DELIMITER);
        }
        joined.push_str(&encode(text, true));
    }
    joined
}

fn encode(text: &str, in_list: bool) -> Cow<'_, str> {
    let plain = |byte: u8| matches!(byte, 0x21..=0x7e) && byte != b'%' && !(in_list && byte == b',');
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p07_values_are_visible_ascii_and_lists_split_exactly() {
        assert_eq!(encode("alice@example.com", false), "alice@example.com");
        assert_eq!(encode("CN=a,O=b", false), "CN=a,O=b");
        assert_eq!(encode("a\r\nX: y", false), "a%0D%0AX:%20y");
        assert_eq!(encode("gr\u{fc}n%", true), "gr%C3%BCn%25");
        assert_eq!(join(["CN=a,O=b", "plain", "\u{7f}"].into_iter()), "CN=a%2CO=b,plain,%7F");
        assert_eq!(join([].into_iter()), "");
    }
}
