//! What is wrong with a configuration, where, and how to mend it.
use std::{fmt, sync::Arc};

/// One thing that is wrong, or worth a warning. Never holds the value of a secret.
///
/// Shown as `place: what: why: how to mend it`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub place: Place,
    /// The key that the fault is about, as a dotted path.
    pub what: String,
    pub why: String,
    /// How to mend it.
    pub hint: String,
}

/// Where a value, or the lack of one, stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file as a whole.
    File(Arc<str>),
    /// Line and column count from 1; columns count characters.
    Line { file: Arc<str>, line: usize, column: usize },
    /// An environment variable, by name.
    Variable(String),
}

impl Place {
    /// The place of a byte offset of `text`.
    pub(super) fn of(file: &Arc<str>, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        Self::Line { file: file.clone(), line, column }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}: {}", self.place, self.what, self.why, self.hint)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => f.write_str(file),
            Self::Line { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let file: Arc<str> = "config.toml".into();
        let text = "a = 1\né = 2\n";
        let shown = |offset| Place::of(&file, text, offset).to_string();
        assert_eq!(shown(0), "config.toml:1:1");
        assert_eq!(shown(text.find("= 2").unwrap()), "config.toml:2:3");
        assert_eq!(shown(text.len()), "config.toml:3:1");
        assert_eq!(shown(text.len() + 9), "config.toml:3:1");
    }
}
