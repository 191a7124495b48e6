//! Account names: the part of a URL that names an enterprise or an organization, and what a group must be called.
use std::fmt;

/// The longest account name, in bytes. Equal to the reference system's, so that names move between the two.
const SLUG_BYTES_MAX: usize = 39;

/// Why a text is no account name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlugError {
    #[error("is empty")]
    Empty,
    #[error("is longer than {SLUG_BYTES_MAX} characters")]
    TooLong,
    #[error("contains {0:?}; only ASCII letters, digits and single hyphens may stand in it")]
    Character(char),
    #[error("starts or ends with a hyphen, or has two in a row")]
    Hyphen,
}

/// Checks an account name and folds it to lower case: names are compared without regard to ASCII case.
fn fold(text: &str) -> Result<Box<str>, SlugError> {
    if text.is_empty() {
        return Err(SlugError::Empty);
    }
    if let Some(c) = text.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
        return Err(SlugError::Character(c));
    }
    if text.len() > SLUG_BYTES_MAX {
        return Err(SlugError::TooLong);
    }
    if text.starts_with('-') || text.ends_with('-') || text.contains("--") {
        return Err(SlugError::Hyphen);
    }
    Ok(text.to_ascii_lowercase().into())
}

macro_rules! slug {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Parses and folds to lower case: ASCII letters, digits and single inner hyphens, at most 39 bytes.
            pub fn parse(text: &str) -> Result<Self, SlugError> {
                fold(text).map(Self)
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

slug! {
    /// The account name of an enterprise: the tenant, the unit of atomicity and of sharding.
    EnterpriseSlug
}
slug! {
    /// The account name of an organization, unique within its enterprise. A group of this name corresponds to it.
    OrganizationSlug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        let ok = |text: &str| OrganizationSlug::parse(text).map(|s| s.to_string());
        assert_eq!(ok("Octo-Org"), Ok("octo-org".into()));
        assert_eq!(ok(""), Err(SlugError::Empty));
        assert_eq!(ok("a--b"), Err(SlugError::Hyphen));
        assert_eq!(ok("-a"), Err(SlugError::Hyphen));
        assert_eq!(ok("a/b"), Err(SlugError::Character('/')));
        assert_eq!(ok("\u{212a}elvin"), Err(SlugError::Character('\u{212a}')));
        assert_eq!(ok(&"a".repeat(39)), Ok("a".repeat(39)));
        assert_eq!(ok(&"a".repeat(40)), Err(SlugError::TooLong));
    }
}
