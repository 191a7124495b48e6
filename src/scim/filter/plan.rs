//! Which resources can pass at all, so that a look-up goes by an index and not through everything.
use super::{
    Operator,
    bind::{BoundFilter, Comparison, Element, Test},
};
use crate::{
    domain::{ScimId, Timestamp},
    scim::schema::{Attribute, Target},
};

/// Where to look. What is found there is still to be asked by [`BoundFilter::matches`].
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// Nothing passes.
    Nothing,
    /// Whatever passes is under one of these keys.
    Keys(Vec<Key>),
    /// Everything is to be looked at.
    Scan,
}

/// An index and what to look for in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Key {
    Id(ScimId),
    /// Of users; as [`crate::domain::fold_case`] folds it.
    UserName(String),
    /// Exactly so.
    ExternalId(String),
    /// Of groups; folded.
    DisplayName(String),
    /// Of users; folded.
    Email(String),
    /// Of groups: those with this member. Of users: those in this group.
    Member(ScimId),
    /// `meta.lastModified`, both ends included.
    Modified {
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    },
}

/// What a filter asks of the members of a group, or of the groups of a user.
#[derive(Debug, Clone, PartialEq)]
pub enum Members {
    /// Nothing.
    None,
    /// Whether these are among them. The document has those that are.
    Named(Vec<ScimId>),
    /// Something that only all of them answer.
    All,
}

impl BoundFilter {
    pub fn lookup(&self) -> Lookup {
        plan(&self.test)
    }

    /// What the document of a group must hold of its `members`, or that of a user of its `groups`.
    pub fn members(&self) -> Members {
        let mut named = Vec::new();
        if !collect(&self.test, &mut named) {
            return Members::All;
        }
        named.sort_unstable();
        named.dedup();
        if !named.is_empty() || mentions(&self.test) { Members::Named(named) } else { Members::None }
    }
}

/// How few resources a look-up brings: less is better.
fn cost(lookup: &Lookup) -> usize {
    let key = |key: &Key| match key {
        Key::Id(_) => 1,
        Key::UserName(_) | Key::DisplayName(_) => 2,
        Key::ExternalId(_) => 3,
        Key::Email(_) => 4,
        Key::Member(_) => 1_000,
        Key::Modified { from: Some(_), to: Some(_) } => 10_000,
        Key::Modified { .. } => 20_000,
    };
    match lookup {
        Lookup::Nothing => 0,
        Lookup::Keys(keys) => keys.iter().map(key).sum(),
        Lookup::Scan => usize::MAX,
    }
}

fn plan(test: &Test<Target>) -> Lookup {
    match test {
        Test::All(tests) => narrowest(tests.iter().map(plan)),
        Test::Any(tests) => widest(tests.iter().map(plan)),
        Test::Compare(target, comparison) => {
            target.leaf().map_or(Lookup::Scan, |leaf| key(target, leaf, comparison))
        }
        Test::Element(target, test) => plan_element(target, test),
        Test::Not(_) | Test::Present(_) => Lookup::Scan,
    }
}

/// All of them hold, so it is enough to look where the fewest are. Two halves of a range of time make one.
fn narrowest(lookups: impl Iterator<Item = Lookup>) -> Lookup {
    let mut best = Lookup::Scan;
    for lookup in lookups {
        best = match (&best, &lookup) {
            (Lookup::Keys(a), Lookup::Keys(b)) => match (a.as_slice(), b.as_slice()) {
                ([Key::Modified { from: f1, to: t1 }], [Key::Modified { from: f2, to: t2 }]) => {
                    let to = [*t1, *t2].into_iter().flatten().min();
                    Lookup::Keys(vec![Key::Modified { from: (*f1).max(*f2), to }])
                }
                _ if cost(&lookup) < cost(&best) => lookup,
                _ => best,
            },
            _ if cost(&lookup) < cost(&best) => lookup,
            _ => best,
        };
    }
    best
}

/// One of them holds, so all places are to be looked at.
fn widest(lookups: impl Iterator<Item = Lookup>) -> Lookup {
    let mut all = Vec::new();
    for lookup in lookups {
        match lookup {
            Lookup::Nothing => {}
            Lookup::Keys(keys) => all.extend(keys),
            Lookup::Scan => return Lookup::Scan,
        }
    }
    if all.is_empty() { Lookup::Nothing } else { Lookup::Keys(all) }
}

fn plan_element(target: &Target, test: &Element) -> Lookup {
    match test {
        Test::All(tests) => narrowest(tests.iter().map(|test| plan_element(target, test))),
        Test::Any(tests) => widest(tests.iter().map(|test| plan_element(target, test))),
        Test::Compare(part, comparison) => key(target, part, comparison),
        Test::Not(_) | Test::Present(_) | Test::Element(..) => Lookup::Scan,
    }
}

/// The key of one comparison of `leaf`, which is the attribute of `target` or a part of it.
fn key(target: &Target, leaf: &Attribute, comparison: &Comparison) -> Lookup {
    if let Comparison::Instant { operator, at } = comparison {
        return modified(target, leaf, *operator, *at);
    }
    let Comparison::Text { operator: Operator::Equal, text, .. } = comparison else { return Lookup::Scan };
    if target.schema.is_extension {
        return Lookup::Scan;
    }
    let text = text.clone();
    // What is no id of ours is nobody's.
    let by_id = |make: fn(ScimId) -> Key| match ScimId::parse(&text) {
        Some(id) => Lookup::Keys(vec![make(id)]),
        None => Lookup::Nothing,
    };
    match (target.attribute.name, leaf.name) {
        ("id", _) => by_id(Key::Id),
        ("members" | "groups", "value") => by_id(Key::Member),
        ("userName", _) => Lookup::Keys(vec![Key::UserName(text)]),
        ("externalId", _) => Lookup::Keys(vec![Key::ExternalId(text)]),
        ("emails", "value") => Lookup::Keys(vec![Key::Email(text)]),
        // The schema that a name is resolved in is that of the type.
        ("meta", "resourceType") if text != target.schema.name => Lookup::Nothing,
        // Groups are found by it, users are not.
        ("displayName", _) if target.attribute.required => Lookup::Keys(vec![Key::DisplayName(text)]),
        _ => Lookup::Scan,
    }
}

fn modified(target: &Target, leaf: &Attribute, operator: Operator, at: Timestamp) -> Lookup {
    let (from, to) = match operator {
        Operator::Equal => (Some(at), Some(at)),
        Operator::Greater | Operator::GreaterOrEqual => (Some(at), None),
        Operator::Less | Operator::LessOrEqual => (None, Some(at)),
        _ => return Lookup::Scan,
    };
    if target.is("meta") && leaf.name == "lastModified" {
        return Lookup::Keys(vec![Key::Modified { from, to }]);
    }
    Lookup::Scan
}

fn is_relation(target: &Target) -> bool {
    target.is("members") || target.is("groups")
}

fn mentions(test: &Test<Target>) -> bool {
    match test {
        Test::All(tests) | Test::Any(tests) => tests.iter().any(mentions),
        Test::Not(test) => mentions(test),
        Test::Present(target) | Test::Compare(target, _) | Test::Element(target, _) => is_relation(target),
    }
}

/// Gathers the ids that are asked for; `false` where ids are not all that is asked for.
fn collect(test: &Test<Target>, named: &mut Vec<ScimId>) -> bool {
    match test {
        Test::All(tests) | Test::Any(tests) => tests.iter().all(|test| collect(test, named)),
        Test::Not(test) => collect(test, named),
        Test::Present(target) => !is_relation(target),
        Test::Compare(target, comparison) if is_relation(target) => {
            target.leaf().is_some_and(|leaf| names(leaf, comparison, named))
        }
        Test::Element(target, test) if is_relation(target) => collect_element(test, named),
        Test::Compare(..) | Test::Element(..) => true,
    }
}

/// Negations are about members that are not named.
fn collect_element(test: &Element, named: &mut Vec<ScimId>) -> bool {
    match test {
        Test::All(tests) | Test::Any(tests) => tests.iter().all(|test| collect_element(test, named)),
        Test::Compare(part, comparison) => names(part, comparison, named),
        Test::Not(_) | Test::Present(_) | Test::Element(..) => false,
    }
}

fn names(leaf: &Attribute, comparison: &Comparison, named: &mut Vec<ScimId>) -> bool {
    let Comparison::Text { operator: Operator::Equal, text, .. } = comparison else { return false };
    if leaf.name != "value" {
        return false;
    }
    named.extend(ScimId::parse(text));
    true
}
