//! Filters (RFC 7644 3.4.2.2): read, written, bound to a type of resources, asked, and planned for.
//!
//! Beyond the grammar of the RFC, as clients need it: `emails[type eq "work"].value eq "x"`, blanks where the grammar has none or
//! more than one, texts in single quotes or in none, `active eq "True"`, and `$ref` as a name.
mod bind;
mod parse;
mod plan;
mod print;
mod scan;
mod test;

pub use self::{
    bind::BoundFilter,
    plan::{Key, Lookup, Members},
};
pub(super) use self::{
    bind::{Element, bind_element},
    parse::value_path,
};
use super::error::ScimError;

/// A filter as it was written. Names are not resolved, for one filter can be asked about users and about groups.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Two or more.
    And(Vec<Filter>),
    /// Two or more.
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Present(String),
    Compare {
        name: String,
        operator: Operator,
        literal: Literal,
    },
    /// `name[filter]`: one value of the attribute matches all of the filter.
    Element {
        name: String,
        filter: Box<Filter>,
        /// `.sub op value` or `.sub pr` behind the bracket, about that same value.
        then: Option<Box<Filter>>,
    },
}

/// RFC 7644, table 3, but for `pr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// What is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// A number is the text of its digits, too: no attribute here is one.
    Text(String),
    Bool(bool),
    Null,
}

impl Filter {
    /// Reads the parameter `filter`. Bounded in length, depth and number of parts (V-04).
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        parse::filter(text)
    }
}

impl Operator {
    pub const ALL: &[Self] = &[
        Self::Equal,
        Self::NotEqual,
        Self::Contains,
        Self::StartsWith,
        Self::EndsWith,
        Self::Greater,
        Self::GreaterOrEqual,
        Self::Less,
        Self::LessOrEqual,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "eq",
            Self::NotEqual => "ne",
            Self::Contains => "co",
            Self::StartsWith => "sw",
            Self::EndsWith => "ew",
            Self::Greater => "gt",
            Self::GreaterOrEqual => "ge",
            Self::Less => "lt",
            Self::LessOrEqual => "le",
        }
    }

    /// Operators are compared without regard to case (RFC 7644 3.4.2.2).
    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operator| operator.as_str().eq_ignore_ascii_case(word))
    }
}
