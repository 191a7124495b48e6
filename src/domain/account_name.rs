//! `userName`: which texts are one, and when two are the same account.
use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// The longest `userName`, in bytes. A NameID of SAML has 256 characters (SAML Core 8.3.7).
pub const ACCOUNT_NAME_BYTES_MAX: usize = 1024;

/// Why a text is no `userName`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountNameError {
    #[error("is empty")]
    Empty,
    #[error("is longer than {ACCOUNT_NAME_BYTES_MAX} bytes")]
    TooLong,
    #[error("begins or ends with a blank, or has two in a row")]
    Blank,
    #[error("holds U+{0:04X}, which cannot be seen or looks like a blank")]
    Invisible(u32),
}

/// What people are called by an IdP's provisioning. Two names are the same account exactly when [`Self::folded`] is the same
/// (V-10): SCIM, sign-in and the API ask nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountName {
    text: String,
    folded: String,
}

impl AccountName {
    /// Takes a text as it is: nothing is trimmed, what could be mistaken for another name is refused.
    pub fn parse(text: &str) -> Result<Self, AccountNameError> {
        if text.is_empty() {
            return Err(AccountNameError::Empty);
        }
        if text.len() > ACCOUNT_NAME_BYTES_MAX {
            return Err(AccountNameError::TooLong);
        }
        if let Some(bad) = text.chars().find(|c| is_invisible(*c)) {
            return Err(AccountNameError::Invisible(bad.into()));
        }
        if text.starts_with(' ') || text.ends_with(' ') || text.contains("  ") {
            return Err(AccountNameError::Blank);
        }
        Ok(Self { text: text.to_owned(), folded: fold_case(text) })
    }

    /// As the IdP wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// By [`fold_case`].
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The one folding for everything that is compared without regard to case: NFC, ASCII letters in lower case, NFC again, since
/// a lower-case letter can join an accent that its capital does not join. Other letters keep their case: their folding
/// depends on the language and on the version of Unicode, and two people must never become one by an upgrade.
pub fn fold_case(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfc().map(|c| c.to_ascii_lowercase()).nfc().collect()
}

/// Controls, blanks other than the space, and what Unicode calls default ignorable: it shows nothing, or moves what is shown.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}'..='\u{ffff}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn v_10_one_account_however_it_is_written() {
        for (one, other) in [
            ("alice@example.com", "ALICE@Example.Com"),
            ("zo\u{eb}", "zoe\u{308}"),
            ("\u{c5}sa", "A\u{30a}SA"),
            // The lower-case letter has a composed form, the capital has none.
            ("H\u{331}", "\u{1e96}"),
            ("\u{212a}im", "kim"),
        ] {
            let folded = |text| AccountName::parse(text).unwrap().folded().to_owned();
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        for (one, other) in
            [("\u{e5}sa", "\u{c5}sa"), ("alice", "\u{430}lice"), ("ss", "\u{df}"), ("i", "\u{131}")]
        {
            assert_ne!(fold_case(one), fold_case(other), "{one} {other}");
        }
    }

    #[test]
    fn v_10_what_cannot_be_seen_is_refused() {
        for (text, why) in [
            ("", AccountNameError::Empty),
            (" alice", AccountNameError::Blank),
            ("alice ", AccountNameError::Blank),
            ("al  ice", AccountNameError::Blank),
            ("alice\n", AccountNameError::Invisible(10)),
            ("al\0ice", AccountNameError::Invisible(0)),
            ("al\u{a0}ice", AccountNameError::Invisible(0xa0)),
            ("al\u{200b}ice", AccountNameError::Invisible(0x200b)),
            ("al\u{202e}ice", AccountNameError::Invisible(0x202e)),
            ("al\u{ad}ice", AccountNameError::Invisible(0xad)),
            ("al\u{3164}ice", AccountNameError::Invisible(0x3164)),
            ("\u{feff}alice", AccountNameError::Invisible(0xfeff)),
            ("al\u{e0061}ice", AccountNameError::Invisible(0xe0061)),
        ] {
            assert_eq!(AccountName::parse(text), Err(why), "{text:?}");
        }
        let name = |length| AccountName::parse(&"a".repeat(length));
        assert!(name(ACCOUNT_NAME_BYTES_MAX).is_ok());
        assert_eq!(name(ACCOUNT_NAME_BYTES_MAX + 1), Err(AccountNameError::TooLong));
        assert_eq!(AccountName::parse("Alice Example").unwrap().as_str(), "Alice Example");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn v_10_folding_is_once_and_for_all(text in any::<String>()) {
            let folded = fold_case(&text);
            prop_assert_eq!(fold_case(&folded), folded.clone());
            let composed: String = text.nfc().collect();
            prop_assert_eq!(fold_case(&composed), folded.clone());
            let decomposed: String = text.nfd().collect();
            prop_assert_eq!(fold_case(&decomposed), folded);
        }
    }
}
