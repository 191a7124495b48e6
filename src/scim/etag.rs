//! Entity tags (RFC 7644 3.14, RFC 9110 8.8.3): weak, for the same state can be written in more than one way.
use std::fmt;

use super::limits::ETAGS_MAX;

/// `meta.version` and the `ETag` field of one state of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// By a count that goes up with every change.
    pub fn of_count(count: u64) -> Self {
        Self(count.to_string())
    }

    /// What was told of a state before.
    pub fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// By two, for a group: changes of itself, and of its members.
    pub fn of_counts(own: u64, members: u64) -> Self {
        Self(format!("{own}.{members}"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "W/\"{}\"", self.0)
    }
}

/// What `If-Match` or `If-None-Match` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Etags {
    /// `*`
    Any,
    /// The opaque parts. What was malformed or too much is not in it, and matches nothing.
    List(Vec<String>),
}

impl Etags {
    /// Reads one field's value; where there are several fields, joined by commas (RFC 9110 5.3).
    pub fn parse(field: &str) -> Self {
        if field.trim_ascii() == "*" {
            return Self::Any;
        }
        let mut list = Vec::new();
        let mut rest = field;
        while let Some((tag, after)) = next_tag(rest) {
            if list.len() == ETAGS_MAX {
                break;
            }
            list.push(tag.to_owned());
            rest = after;
        }
        Self::List(list)
    }

    /// Whether the state that is there is one of them. Tags are compared weakly, with `If-Match` too: ours are weak, and a
    /// client can have nothing stronger (RFC 7644 3.14).
    pub fn matches(&self, version: &Version) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.contains(&version.0),
        }
    }
}

/// The opaque part of the next tag, and what follows it. `None` at the end, and at what is no tag.
fn next_tag(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_ascii_start();
    let opened = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?;
    let (tag, rest) = opened.split_once('"')?;
    let rest = rest.trim_ascii_start();
    match rest.strip_prefix(',') {
        Some(after) => Some((tag, after)),
        None => rest.is_empty().then_some((tag, "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_match_weakly_and_exactly() {
        let version = Version::of_count(7);
        assert_eq!(version.to_string(), "W/\"7\"");
        assert_eq!(Version::of_counts(1, 12).to_string(), "W/\"1.12\"");
        for field in ["W/\"7\"", "\"7\"", "*", " * ", "W/\"6\", W/\"7\"", "\"a,b\" ,\"7\"", "W/\"7\","] {
            assert!(Etags::parse(field).matches(&version), "{field}");
        }
        for field in ["", "7", "W/7", "\"77\"", "w/\"7\"", "\"6\" \"7\"", "x, \"7\"", "\"7", "*, \"7"] {
            assert!(!Etags::parse(field).matches(&version), "{field}");
        }
        let many = vec!["\"1\""; ETAGS_MAX].join(",") + ",\"7\"";
        assert!(!Etags::parse(&many).matches(&version));
    }
}
