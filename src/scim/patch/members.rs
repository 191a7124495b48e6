//! What a PATCH does to the members of a group, without knowing them.
use std::collections::BTreeSet;

use super::Act;
use crate::{
    domain::ScimId,
    scim::{
        Node,
        draft::{member_ids, member_values},
        error::{Reason, ScimError},
        filter::{Filter, Literal, Operator},
        path::Selected,
        schema::Attribute,
    },
};

/// What all operations come to, in their order: first nothing is left if `reset`, then `remove` leave and `add` are there.
/// The two have nothing in common. To add who is there and to remove who is not changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MembersChange {
    /// Whoever is not in `add` leaves. Then `remove` is empty.
    pub reset: bool,
    pub add: BTreeSet<ScimId>,
    pub remove: BTreeSet<ScimId>,
}

impl MembersChange {
    /// Of a PUT: these, and nobody else.
    pub fn replace(members: impl IntoIterator<Item = ScimId>) -> Self {
        Self { reset: true, add: members.into_iter().collect(), remove: BTreeSet::new() }
    }

    /// Whether nothing is asked for, whoever the members are.
    pub fn is_none(&self) -> bool {
        !self.reset && self.add.is_empty() && self.remove.is_empty()
    }

    /// Carries an operation on `members` out; `part` is a sub-attribute that the path names.
    pub(super) fn carry_out(
        &mut self,
        act: Act,
        part: Option<&Attribute>,
        value: Option<&Node>,
    ) -> Result<(), ScimError> {
        if let Some(part) = part {
            return Err(immutable(part));
        }
        match (act, value) {
            (Act::Add, Some(value)) => self.add(member_ids(value)?),
            (Act::Replace, Some(value)) => *self = Self::replace(member_ids(value)?),
            // Without a value, everybody: the RFC says so. With one, only those: Entra ID and OneLogin mean so.
            (Act::Remove, None) => *self = Self::replace([]),
            (Act::Remove, Some(Node::Null)) => return Err(Reason::OperationValueUnclear.bare()),
            (Act::Remove, Some(value)) => self.remove(parsed(member_values(value)?)),
            (Act::Add | Act::Replace, None) => return Err(Reason::OperationValueMissing.bare()),
        }
        Ok(())
    }

    /// The same where the path selects members.
    pub(super) fn carry_out_selected(&mut self, act: Act, selected: &Selected) -> Result<(), ScimError> {
        if let Some(part) = selected.part {
            return Err(immutable(part));
        }
        if act != Act::Remove {
            return Err(
                Reason::PathUnsupported.error("Members are added by the path members, without a filter.")
            );
        }
        let mut named = Vec::new();
        if !values(&selected.filter, &mut named) {
            return Err(Reason::PathUnsupported
                .error("Members are selected by value eq, and by several of these with or between them."));
        }
        self.remove(parsed(named));
        Ok(())
    }

    fn add(&mut self, ids: Vec<ScimId>) {
        for id in ids {
            self.remove.remove(&id);
            self.add.insert(id);
        }
    }

    fn remove(&mut self, ids: impl Iterator<Item = ScimId>) {
        for id in ids {
            self.add.remove(&id);
            if !self.reset {
                self.remove.insert(id);
            }
        }
    }
}

/// What is no id of ours is no member, so nothing is to be removed.
fn parsed<'t>(texts: Vec<&'t str>) -> impl Iterator<Item = ScimId> + 't {
    texts.into_iter().filter_map(ScimId::parse)
}

/// The ids that a filter names, if it does nothing else.
fn values<'f>(filter: &'f Filter, named: &mut Vec<&'f str>) -> bool {
    match filter {
        Filter::Or(filters) => filters.iter().all(|filter| values(filter, named)),
        Filter::Compare { name, operator: Operator::Equal, literal: Literal::Text(text) } => {
            named.push(text);
            name.eq_ignore_ascii_case("value")
        }
        _ => false,
    }
}

/// RFC 7643 4.2: `value`, `$ref` and `type` are immutable.
fn immutable(part: &Attribute) -> ScimError {
    let detail = format!("{} of a member cannot change: remove the member and add another.", part.name);
    Reason::Immutable.error(detail)
}
