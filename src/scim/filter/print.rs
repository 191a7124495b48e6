//! A filter as text that is read as the same filter.
use std::fmt;

use super::{Filter, Literal};

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(all) => joined(all, " and ", |part| matches!(part, Self::And(_) | Self::Or(_)), f),
            Self::Or(any) => joined(any, " or ", |part| matches!(part, Self::Or(_)), f),
            Self::Not(filter) => write!(f, "not ({filter})"),
            Self::Present(name) => write!(f, "{name} pr"),
            Self::Compare { name, operator, literal } => write!(f, "{name} {} {literal}", operator.as_str()),
            Self::Element { name, filter, then: None } => write!(f, "{name}[{filter}]"),
            Self::Element { name, filter, then: Some(then) } => write!(f, "{name}[{filter}].{then}"),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::Null => f.write_str("null"),
        }
    }
}

/// `needs_parentheses`: what would be read as something else without.
fn joined(
    filters: &[Filter],
    word: &str,
    needs_parentheses: fn(&Filter) -> bool,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (index, filter) in filters.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        if needs_parentheses(filter) {
            write!(f, "({filter})")?;
        } else {
            write!(f, "{filter}")?;
        }
    }
    Ok(())
}
