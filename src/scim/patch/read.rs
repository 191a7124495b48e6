//! From the body of a PATCH to operations, with the tolerances that the IdPs need.
use super::{Act, Operation};
use crate::scim::{
    Node, ResourceType,
    error::{Reason, ScimError, quoted},
    limits::{GROUP_OPERATIONS_MAX, USER_OPERATIONS_MAX, USER_PATH_BYTES_MAX},
    path::{Path, Place, key_place},
    said::Said,
    schema::Schema,
    value,
};

/// `schemas` may be missing; names and operations are compared without regard to case.
pub(super) fn operations(kind: ResourceType, mut body: Node) -> Result<Vec<Operation>, ScimError> {
    let items = match body.take("Operations") {
        Some(Node::Array(items)) if !items.is_empty() => items,
        Some(one @ Node::Object(_)) => vec![one],
        _ => return Err(Reason::OperationsMissing.bare()),
    };
    let operations_max = match kind {
        ResourceType::User => USER_OPERATIONS_MAX,
        ResourceType::Group => GROUP_OPERATIONS_MAX,
    };
    if items.len() > operations_max {
        let detail = format!("A PATCH of a {} has {operations_max} operations at most.", kind.name());
        return Err(Reason::OperationsTooMany.error(detail));
    }
    if kind == ResourceType::User && items.iter().map(filter_bytes).sum::<usize>() > USER_PATH_BYTES_MAX {
        let detail = format!("The paths with filters of a PATCH have {USER_PATH_BYTES_MAX} bytes at most.");
        return Err(Reason::FilterTooLong.error(detail));
    }
    items.into_iter().filter_map(|item| operation(kind, item).transpose()).collect()
}

/// `None` for an operation on what is forgotten.
fn operation(kind: ResourceType, mut item: Node) -> Result<Option<Operation>, ScimError> {
    let act = act(&item)?;
    if is_forgotten(kind, act, &item) {
        return Ok(None);
    }
    let place = match item.get("path") {
        None | Some(Node::Null) => None,
        Some(Node::Text(text)) if text.trim_ascii().is_empty() => None,
        Some(Node::Text(text)) => Some(Path::parse(text)?.bind(kind)?),
        Some(_) => return Err(Reason::PathSyntax.error("A path is a text.")),
    };
    let value = item.take("value");
    match (act, &place, &value) {
        // RFC 7644 3.5.2.2
        (Act::Remove, None, _) => Err(Reason::RemoveWithoutPath.bare()),
        // An explicit null takes away; nothing at all is a mistake (RFC 7644 3.5.2.1).
        (Act::Add | Act::Replace, _, None) => Err(Reason::OperationValueMissing.bare()),
        (Act::Add | Act::Replace, None, Some(value)) if without_path(value).is_none() => {
            Err(Reason::ValueType
                .error("Without a path, the value of an operation is an object of attributes."))
        }
        (_, place, _) => {
            if let Some(name) = place.as_ref().and_then(read_only) {
                return Err(Reason::ReadOnly.error(format!("{name} is set by the server.")));
            }
            if let (Act::Add | Act::Replace, Some(value)) = (act, &value) {
                said_once(kind, place.as_ref(), value)?;
            }
            Ok(Some(Operation { act, place: place.clone(), value }))
        }
    }
}

/// A password is taken, by a path as without one, and not kept.
fn is_forgotten(kind: ResourceType, act: Act, item: &Node) -> bool {
    let path = item.get("path").and_then(Node::as_text).unwrap_or_default();
    act != Act::Remove && item.get("value").is_some() && kind.is_password(path.trim_ascii())
}

/// That no two keys of a value, which are names and paths, say the same thing.
fn said_once(kind: ResourceType, place: Option<&Place>, value: &Node) -> Result<(), ScimError> {
    let mut said = Said::default();
    match place {
        None => without_path(value).map_or(&[][..], Node::entries).iter().try_for_each(|(key, node)| {
            match key_place(kind, key)? {
                Some(Place::Schema(schema)) => note_schema(&mut said, kind, schema, node),
                Some(place) => said.note(key, &place, node),
                None => Ok(()),
            }
        }),
        Some(Place::Schema(schema)) => note_schema(&mut said, kind, schema, value),
        Some(_) => Ok(()),
    }
}

fn note_schema(
    said: &mut Said,
    kind: ResourceType,
    schema: &'static Schema,
    node: &Node,
) -> Result<(), ScimError> {
    let Some(object) = value::schema_object(schema, node)? else {
        return said.note(schema.urn, &Place::Schema(schema), node);
    };
    for (key, node) in object.entries() {
        let key = format!("{}:{key}", schema.urn);
        if let Some(place) = key_place(kind, &key)? {
            said.note(&key, &place, node)?;
        }
    }
    Ok(())
}

/// The object of an operation without a path; one client puts it into an array.
pub(super) fn without_path(value: &Node) -> Option<&Node> {
    match value {
        Node::Object(_) => Some(value),
        Node::Array(items) => match items.as_slice() {
            [only @ Node::Object(_)] => Some(only),
            _ => None,
        },
        _ => None,
    }
}

/// How long the path of an operation is, and the keys of its value that are paths, where they have filters.
fn filter_bytes(item: &Node) -> usize {
    let path = item.get("path").and_then(Node::as_text);
    let value = item.get("value").and_then(without_path);
    let entries = value.into_iter().flat_map(Node::entries);
    // Those in the object of a schema are paths, too.
    let within = entries.clone().flat_map(|(_, node)| node.only().entries());
    let keys = entries.chain(within).map(|(key, _)| &**key);
    path.into_iter().chain(keys).filter(|path| path.contains('[')).map(str::len).sum()
}

fn act(item: &Node) -> Result<Act, ScimError> {
    let word = item.get("op").and_then(Node::as_text).unwrap_or_default();
    let acts = [("add", Act::Add), ("replace", Act::Replace), ("remove", Act::Remove)];
    let found = acts.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word.trim_ascii()));
    found.map(|(_, act)| act).ok_or_else(|| {
        Reason::OperationUnknown
            .error(format!("op is one of add, replace and remove, and not {}.", quoted(word)))
    })
}

/// What a place names that only the server writes (V-05).
fn read_only(place: &Place) -> Option<&'static str> {
    let target = match place {
        Place::Schema(_) => return None,
        Place::Attribute(target) => target,
        Place::Selected(selected) => &selected.target,
    };
    target.is_read_only().then_some(target.attribute.name)
}
