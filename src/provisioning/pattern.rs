//! Regular expressions over groups, as an operator writes them: always over the whole value, in linear time.
use regex_lite::{Regex, RegexBuilder};

/// The longest pattern.
pub const PATTERN_BYTES_MAX: usize = 256;
/// What a compiled pattern may take. Time to match is at most proportional to this and the length of the value.
const COMPILED_BYTES_MAX: usize = 16 * 1024;
/// Groups within groups in a pattern.
const NESTING_MAX: u32 = 16;
/// A longer value matches no pattern: the cost of all values together stays bounded.
const VALUE_BYTES_MAX: usize = 1024;

/// A regular expression that the whole of a value must match, letter case included.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// As it was written.
    text: String,
    regex: Regex,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("is longer than {PATTERN_BYTES_MAX} bytes")]
    TooLong,
    #[error("is no regular expression ({0})")]
    Syntax(String),
}

impl Pattern {
    /// Compiles `text` so that it matches whole values only; `^` and `$` in it are allowed and change nothing.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::TooLong);
        }
        // By itself first: what is only balanced within our group would not be held by it.
        compile(text)?;
        let regex = compile(&format!("^(?:{text})$"))?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// How many capture groups it has.
    pub fn captures(&self) -> usize {
        self.regex.captures_len().saturating_sub(1)
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn matches(&self, value: &str) -> bool {
        value.len() <= VALUE_BYTES_MAX && self.regex.is_match(value)
    }

    /// What the pattern's one capture group holds, or the whole value if it has none or several; `None` if the value does not
    /// match.
    pub fn capture<'v>(&self, value: &'v str) -> Option<&'v str> {
        if value.len() > VALUE_BYTES_MAX {
            return None;
        }
        let captures = self.regex.captures(value)?;
        captures.get(usize::from(self.captures() == 1)).map(|found| found.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

fn compile(text: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(text)
        .size_limit(COMPILED_BYTES_MAX)
        .nest_limit(NESTING_MAX)
        .build()
        .map_err(|error| PatternError::Syntax(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(pattern: &str, value: &str) -> Option<String> {
        Pattern::parse(pattern).unwrap().capture(value).map(str::to_owned)
    }

    #[test]
    fn patterns_match_whole_values() {
        for (pattern, value, expected) in [
            ("app-(.+)", "app-octo-org", Some("octo-org")),
            ("app-(.+)", "my-app-octo-org", None),
            ("app-([a-z-]+)", "app-octo-org!", None),
            ("app-.+", "app-octo-org", Some("app-octo-org")),
            ("^app-(.+)$", "app-octo-org", Some("octo-org")),
            // An alternative is not let out of the whole.
            ("a|octo", "octo-org", None),
            ("octo-org|a", "x-octo-org", None),
            ("a|ab", "ab", Some("ab")),
            ("app-(.+)", "APP-octo-org", None),
            ("(?i)app-(.+)", "APP-Octo-Org", Some("Octo-Org")),
            // A line break is no end, and no character.
            ("octo-org", "octo-org\n", None),
            ("(?m)octo-org", "octo-org\nevil", None),
            (".*", "octo\norg", None),
            // A capture that took no part names nothing.
            ("a|b(c)", "a", None),
            ("", "", Some("")),
        ] {
            assert_eq!(captured(pattern, value).as_deref(), expected, "{pattern} {value:?}");
            assert_eq!(Pattern::parse(pattern).unwrap().matches(value), expected.is_some() || value == "a");
        }
    }

    #[test]
    fn what_cannot_be_a_pattern() {
        for wrong in ["(", ")", "a)|(?:b", "[", "a{1000}{1000}", "(?x)a # comment", r"(a)\1", "(?=a)", "(?m"]
        {
            assert!(matches!(Pattern::parse(wrong), Err(PatternError::Syntax(_))), "{wrong}");
        }
        assert_eq!(Pattern::parse("(a)(?:b)(c)").unwrap().captures(), 2);
        assert_eq!(Pattern::parse(&"a".repeat(PATTERN_BYTES_MAX + 1)), Err(PatternError::TooLong));
        assert!(Pattern::parse(&"a".repeat(PATTERN_BYTES_MAX)).is_ok());
        let deep = |depth| format!("{}a{}", "(?:".repeat(depth), ")".repeat(depth));
        assert!(Pattern::parse(&deep(8)).is_ok());
        assert!(matches!(Pattern::parse(&deep(40)), Err(PatternError::Syntax(_))));
    }

    #[test]
    fn long_values_match_nothing() {
        let pattern = Pattern::parse("(a*)").unwrap();
        let long = "a".repeat(VALUE_BYTES_MAX + 1);
        assert!(!pattern.matches(&long) && pattern.capture(&long).is_none());
        assert!(pattern.matches(&long[1..]));
    }
}
