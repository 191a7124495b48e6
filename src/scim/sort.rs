//! `sortBy` and `sortOrder` (RFC 7644 3.4.2.3).
use std::cmp::Ordering;

use serde_json::Value;

use super::{
    document::Document,
    error::{Reason, ScimError, quoted},
    resource::is_primary,
    schema::{Kind, ResourceType, Target},
};
use crate::domain::{Timestamp, fold_case};

/// By what, and which way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    by: String,
    descending: bool,
}

/// A value in the order of its type: what is not of it comes as if it were not there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Text(String),
    Bool(bool),
    Instant(Timestamp),
}

impl Sort {
    /// `None` without a `sortBy`. Fails for what is an attribute of none of `kinds` (V-19), and for one that has no order.
    pub fn parse(
        by: Option<&str>,
        order: Option<&str>,
        kinds: &[ResourceType],
    ) -> Result<Option<Self>, ScimError> {
        let descending = match order.map(str::trim_ascii) {
            None | Some("") => false,
            Some(order) if order.eq_ignore_ascii_case("ascending") => false,
            Some(order) if order.eq_ignore_ascii_case("descending") => true,
            Some(order) => {
                let detail = format!("sortOrder is ascending or descending, and not {}.", quoted(order));
                return Err(Reason::SortInvalid.error(detail));
            }
        };
        let Some(by) = by.map(str::trim_ascii).filter(|by| !by.is_empty()) else { return Ok(None) };
        // A group of any size is listed without looking at its members.
        let can = |kind: &ResourceType| {
            kind.target(by).is_some_and(|target| target.leaf().is_some() && !target.is("members"))
        };
        if !kinds.iter().any(can) {
            let detail = format!("sortBy {} is no attribute with values that have an order.", quoted(by));
            return Err(Reason::SortInvalid.error(detail));
        }
        Ok(Some(Self { by: by.to_owned(), descending }))
    }

    /// How two resources follow each other. What has no value is last, and first the other way round. Use a stable sort, so
    /// that equals stay in the order in which they were made.
    pub fn compare(&self, one: &Document, other: &Document) -> Ordering {
        let ordering = match (self.key(one), self.key(other)) {
            (Some(one), Some(other)) => one.cmp(&other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        if self.descending { ordering.reverse() } else { ordering }
    }

    /// Puts resources in order. Each key is made once.
    pub fn sort(&self, documents: &mut [Document]) {
        // `None` is least, and has to be last.
        let last = |key: Option<Key>| (key.is_none(), key);
        if self.descending {
            documents.sort_by_cached_key(|document| std::cmp::Reverse(last(self.key(document))));
        } else {
            documents.sort_by_cached_key(|document| last(self.key(document)));
        }
    }

    /// Of a multi-valued attribute, the primary value, else the first.
    fn key(&self, document: &Document) -> Option<Key> {
        let target = document.kind.target(&self.by)?;
        let leaf = target.leaf()?;
        let wholes = || document.all(&Target { part: None, ..target });
        let whole = wholes().find(|value| is_primary(value)).or_else(|| wholes().next())?;
        let is_part = target.attribute.kind == Kind::Complex;
        let value = if is_part { whole.get(leaf.name)? } else { whole };
        match (leaf.kind, value) {
            (Kind::DateTime, Value::String(text)) => text.parse().ok().map(Key::Instant),
            (_, Value::String(text)) if leaf.case_exact => Some(Key::Text(text.clone())),
            (_, Value::String(text)) => Some(Key::Text(fold_case(text))),
            (_, Value::Bool(bool)) => Some(Key::Bool(*bool)),
            _ => None,
        }
    }
}
