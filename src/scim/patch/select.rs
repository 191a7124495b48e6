//! Operations on some values of a multi-valued attribute: those that a filter selects, or all of them.
use serde_json::{Map, Value};

use super::{
    Act,
    apply::{merge, no_primary, set_part, taken},
};
use crate::scim::{
    Node, Resource,
    error::{Reason, ScimError},
    filter::{Filter, Literal, Operator},
    path::Selected,
    resource::is_primary,
    schema::{Attribute, Target},
    value,
};

/// `attr[filter]` and `attr[filter].sub`.
pub(super) fn carry_out(
    resource: &mut Resource,
    act: Act,
    selected: &Selected,
    value: &Node,
) -> Result<(), ScimError> {
    // RFC 7644 3.5.2.3: a value of null or nothing takes away.
    let act = if value.is_empty() { Act::Remove } else { act };
    let attribute = selected.target.attribute;
    let mut items = taken(resource, &selected.target);
    let mut hits: Vec<usize> = (0..items.len())
        .filter(|index| items.get(*index).is_some_and(|item| selected.test.matches(item)))
        .collect();
    if act == Act::Remove && selected.part.is_none() {
        let mut index = 0;
        items.retain(|_| {
            index += 1;
            !hits.contains(&(index - 1))
        });
        resource.set(&selected.target, Some(Value::Array(items)));
        return Ok(());
    }
    let stamp = stamp(attribute, &selected.filter);
    if hits.is_empty() && act != Act::Remove {
        // RFC 7644 3.5.2.3 refuses; Entra ID counts on the value being made, with what the filter says of it.
        let made = stamp.clone().ok_or_else(|| Reason::NoTarget.bare())?;
        hits.push(items.len());
        items.push(Value::Object(made));
    }
    change(&mut items, &hits, |parts| match selected.part {
        Some(part) => set_part(parts, part, act, value),
        None => {
            if act == Act::Replace {
                // What the filter asks for stays, or a replaced value could not be found again.
                *parts = stamp.clone().unwrap_or_default();
            }
            merge(attribute, parts, value)
        }
    })?;
    resource.set(&selected.target, Some(Value::Array(items)));
    Ok(())
}

/// `attr.sub` of a multi-valued attribute: of all values, or of a first one if there is none.
pub(super) fn each(
    resource: &mut Resource,
    act: Act,
    target: &Target,
    part: &Attribute,
    value: &Node,
) -> Result<(), ScimError> {
    let mut items = taken(resource, target);
    if items.is_empty() && act != Act::Remove {
        items.push(Value::Object(Map::new()));
    }
    let all: Vec<usize> = (0..items.len()).collect();
    change(&mut items, &all, |parts| set_part(parts, part, act, value))?;
    resource.set(target, Some(Value::Array(items)));
    Ok(())
}

/// Changes some values. If one of them is primary then, the others no longer are.
fn change(
    items: &mut [Value],
    hits: &[usize],
    change: impl Fn(&mut Map<String, Value>) -> Result<(), ScimError>,
) -> Result<(), ScimError> {
    let mut have_primary = false;
    for index in hits {
        let Some(item) = items.get_mut(*index) else { continue };
        if let Some(parts) = item.as_object_mut() {
            change(parts)?;
        }
        have_primary |= is_primary(item);
    }
    if have_primary {
        let others = items.iter_mut().enumerate().filter(|(index, _)| !hits.contains(index));
        no_primary(others.map(|(_, item)| item));
    }
    Ok(())
}

/// The value that a filter describes: equalities, all of which hold. `None` where it could be several.
fn stamp(attribute: &Attribute, filter: &Filter) -> Option<Map<String, Value>> {
    let mut parts = Map::new();
    write(attribute, filter, &mut parts).then_some(parts)
}

fn write(attribute: &Attribute, filter: &Filter, parts: &mut Map<String, Value>) -> bool {
    match filter {
        Filter::And(filters) => filters.iter().all(|filter| write(attribute, filter, parts)),
        Filter::Compare { name, operator: Operator::Equal, literal } => {
            let Some(part) = attribute.sub_attribute(name) else { return false };
            let Some(value) = literal_value(part, literal) else { return false };
            let before = parts.insert(part.name.to_owned(), value.clone());
            before.is_none_or(|before| before == value)
        }
        _ => false,
    }
}

fn literal_value(part: &Attribute, literal: &Literal) -> Option<Value> {
    let text = match literal {
        Literal::Null => return None,
        Literal::Text(text) if text.is_empty() => return None,
        Literal::Text(text) => text.clone(),
        other => other.to_string(),
    };
    value::single(part, &Node::Text(text.into())).ok().flatten()
}
