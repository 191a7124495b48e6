//! Whether a resource, or one value of it, passes a test.
use std::{borrow::Cow, cmp::Ordering};

use serde_json::{Map, Value};

use super::{
    Operator,
    bind::{Comparison, Element, Test},
};
use crate::{
    domain::{Timestamp, fold_case},
    scim::{
        document::Document,
        resource::is_same_text,
        schema::{Kind, Target},
    },
};

/// Of a multi-valued attribute, one value that passes is enough (RFC 7644 3.4.2.2).
pub(super) fn document(test: &Test<Target>, of: &Document) -> bool {
    match test {
        Test::All(tests) => tests.iter().all(|test| document(test, of)),
        Test::Any(tests) => tests.iter().any(|test| document(test, of)),
        Test::Not(test) => !document(test, of),
        Test::Present(target) => of.all(target).any(is_something),
        Test::Compare(target, comparison) => {
            let part = target.part.is_none().then(|| target.leaf()).flatten();
            let stands_for_it = target.part.is_none() && target.attribute.kind == Kind::Complex;
            let values = of.all(target).filter_map(|value| match part {
                Some(part) if stands_for_it => value.get(part.name),
                _ => Some(value),
            });
            compare(values, comparison)
        }
        Test::Element(target, test) => {
            of.all(target).filter_map(Value::as_object).any(|value| element(test, value))
        }
    }
}

/// The same, of one value of a complex attribute.
pub(super) fn element(test: &Element, of: &Map<String, Value>) -> bool {
    match test {
        Test::All(tests) => tests.iter().all(|test| element(test, of)),
        Test::Any(tests) => tests.iter().any(|test| element(test, of)),
        Test::Not(test) => !element(test, of),
        Test::Present(part) => of.get(part.name).is_some_and(is_something),
        Test::Compare(part, comparison) => compare(of.get(part.name).into_iter(), comparison),
        // Parts have no parts.
        Test::Element(..) => false,
    }
}

impl Element {
    /// Whether one value of the attribute passes.
    pub(in crate::scim) fn matches(&self, value: &Value) -> bool {
        value.as_object().is_some_and(|value| element(self, value))
    }
}

/// RFC 7644, table 3, `pr`
fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn compare<'v>(values: impl Iterator<Item = &'v Value>, comparison: &Comparison) -> bool {
    let mut values = values.peekable();
    if values.peek().is_none() {
        // What has no value is null, and not equal to anything else.
        return match comparison {
            Comparison::Null { equal } => *equal,
            Comparison::Bool { equal, .. } => !*equal,
            Comparison::Text { operator, .. } | Comparison::Instant { operator, .. } => {
                *operator == Operator::NotEqual
            }
        };
    }
    values.any(|value| passes(value, comparison))
}

fn passes(value: &Value, comparison: &Comparison) -> bool {
    match comparison {
        Comparison::Null { equal } => !*equal,
        Comparison::Bool { equal, value: wanted } => {
            value.as_bool().is_some_and(|b| (b == *wanted) == *equal)
        }
        Comparison::Instant { operator, at } => {
            let stored = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
            stored.is_some_and(|stored| ordered(*operator, stored.cmp(at)))
        }
        Comparison::Text { operator, text, case_exact } => {
            let Some(stored) = value.as_str() else { return false };
            if *operator == Operator::Equal {
                return is_same_text(stored, text, *case_exact);
            }
            let stored = if *case_exact { Cow::Borrowed(stored) } else { Cow::Owned(fold_case(stored)) };
            match operator {
                Operator::Contains => stored.contains(text.as_str()),
                Operator::StartsWith => stored.starts_with(text.as_str()),
                Operator::EndsWith => stored.ends_with(text.as_str()),
                _ => ordered(*operator, (*stored).cmp(text.as_str())),
            }
        }
    }
}

fn ordered(operator: Operator, ordering: Ordering) -> bool {
    match operator {
        Operator::Equal => ordering.is_eq(),
        Operator::NotEqual => ordering.is_ne(),
        Operator::Greater => ordering.is_gt(),
        Operator::GreaterOrEqual => ordering.is_ge(),
        Operator::Less => ordering.is_lt(),
        Operator::LessOrEqual => ordering.is_le(),
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => false,
    }
}
