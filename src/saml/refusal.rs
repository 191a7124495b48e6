//! A refusal: the reason, and the values that the log and `saml inspect` show.
use std::fmt;

use super::{Reason, limits::REPORTED_CHARS_MAX};

/// Why a response was refused. Everything but `reason` comes from the message or the configuration and is for the
/// log and `saml inspect` only; the browser sees a class and a request id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// What the configuration or the standard asks for.
    pub expected: Option<String>,
    /// What the message says, cut to a bounded length, control characters replaced.
    pub found: Option<String>,
    /// Where in the message, or what exactly.
    pub detail: Option<String>,
}

impl Refusal {
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(shown(&detail.into()));
        self
    }

    /// Says where, if nothing was said yet.
    pub(super) fn detail_unless_given(self, detail: &str) -> Self {
        if self.detail.is_none() { self.detail(detail) } else { self }
    }

    /// Says that it concerns what was decrypted, not the message around it.
    pub(super) fn decrypted(self) -> Self {
        let detail = self.detail.as_deref().map_or(String::new(), |detail| format!(", {detail}"));
        self.detail(format!("in what was decrypted{detail}"))
    }

    pub(super) fn expected(mut self, value: &str) -> Self {
        self.expected = Some(shown(value));
        self
    }

    pub(super) fn found(mut self, value: &str) -> Self {
        self.found = Some(shown(value));
        self
    }

    /// A refusal at a byte of the message.
    pub(super) fn at(reason: Reason, offset: usize) -> Self {
        Self::from(reason).detail(format!("at byte {offset}"))
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, expected: None, found: None, detail: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.code(), self.reason.message())?;
        for (label, value) in [("expected", &self.expected), ("found", &self.found)] {
            if let Some(value) = value {
                write!(f, " {label} {value:?}")?;
            }
        }
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, " ({detail})"))
    }
}

impl std::error::Error for Refusal {}

/// A value fit for a terminal and a log line (S-97): bounded, no control character.
pub(super) fn shown(value: &str) -> String {
    let mut shown: String = value
        .chars()
        .take(REPORTED_CHARS_MAX)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if shown.len() < value.len() && value.chars().nth(REPORTED_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_97_values_are_bounded_and_tame() {
        let refusal =
            Refusal::from(Reason::AudienceMismatch).found("\u{1b}[31mred\r\n").expected(&"a".repeat(300));
        assert_eq!(refusal.found.as_deref(), Some("\u{fffd}[31mred\u{fffd}\u{fffd}"));
        let expected = refusal.expected.unwrap();
        assert_eq!(expected.chars().count(), REPORTED_CHARS_MAX + 1);
        assert!(expected.ends_with('…'));
        assert_eq!(shown(&"ü".repeat(REPORTED_CHARS_MAX)), "ü".repeat(REPORTED_CHARS_MAX));
    }
}
