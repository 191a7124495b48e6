//! A filter as text that is read as the same filter.
use std::fmt;

use super::{Filter, Literal};

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(all) => joined(all, " and ", f),
            Self::Or(any) => joined(any, " or ", f),
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
            Self::Number(number) => write!(f, "{number}"),
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::Null => f.write_str("null"),
        }
    }
}

fn joined(filters: &[Filter], word: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, filter) in filters.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        match filter {
            Filter::And(_) | Filter::Or(_) => write!(f, "({filter})")?,
            _ => write!(f, "{filter}")?,
        }
    }
    Ok(())
}
