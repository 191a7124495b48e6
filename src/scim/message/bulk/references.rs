//! Where an operation may refer to what another one makes (RFC 7644 3.7.2): by the members of a group, the groups of a user and
//! the manager of one. Anywhere else a text that begins with `bulkId:` is that text.
use super::BulkMethod;
use crate::{
    domain::ScimId,
    scim::{
        Node, Path, ResourceType,
        error::ScimError,
        filter::{Filter, Literal},
        schema::{Named, Target},
    },
};

const REFERENCE: &str = "bulkId:";

/// Is told each bulkId that is referred to, and says what takes the place of the reference, if anything does.
type Visit<'v> = &'v mut dyn FnMut(&str) -> Result<Option<ScimId>, ScimError>;

/// The bulkId that a text refers to.
pub(super) fn reference(text: &str) -> Option<&str> {
    text.strip_prefix(REFERENCE)
}

/// Goes through the references in the body of a call.
pub(super) fn each(
    kind: ResourceType,
    method: BulkMethod,
    data: &mut Node,
    visit: Visit<'_>,
) -> Result<(), ScimError> {
    match method {
        BulkMethod::Post | BulkMethod::Put => in_attributes(kind, data, visit),
        BulkMethod::Patch => in_patch(kind, data, visit),
        BulkMethod::Delete => Ok(()),
    }
}

fn in_patch(kind: ResourceType, data: &mut Node, visit: Visit<'_>) -> Result<(), ScimError> {
    match data.get_mut("Operations") {
        Some(Node::Array(items)) => items.iter_mut().try_for_each(|item| in_operation(kind, item, visit)),
        Some(one) => in_operation(kind, one, visit),
        None => Ok(()),
    }
}

/// With a path the value is that of the attribute; without one it is an object of attributes.
fn in_operation(kind: ResourceType, operation: &mut Node, visit: Visit<'_>) -> Result<(), ScimError> {
    let path = operation.get_mut("path").and_then(|path| match path {
        Node::Text(text) if !text.trim_ascii().is_empty() => Some(text),
        _ => None,
    });
    let named = match path {
        None => None,
        Some(text) => match Path::parse(text) {
            Ok(path) => Some(in_path(kind, path, text, visit)?),
            // Whoever reads the operation refuses it.
            Err(_) => return Ok(()),
        },
    };
    match (named, operation.get_mut("value")) {
        (_, None) => Ok(()),
        (Some(named), Some(value)) => in_named(kind, named, value, visit),
        (None, Some(Node::Array(items))) => {
            items.iter_mut().try_for_each(|item| in_attributes(kind, item, visit))
        }
        (None, Some(value)) => in_attributes(kind, value, visit),
    }
}

/// What a path names; its filter may say which members are meant.
fn in_path(
    kind: ResourceType,
    mut path: Path,
    text: &mut Box<str>,
    visit: Visit<'_>,
) -> Result<Option<Named>, ScimError> {
    let named = kind.resolve(&path.name);
    if let (Some(Named::Attribute(target)), Some(filter)) = (&named, &mut path.filter)
        && is_relation(target)
    {
        let before = filter.clone();
        in_filter(filter, visit)?;
        if *filter != before {
            *text = path.to_string().into();
        }
    }
    Ok(named)
}

/// As deep as filters are, which is bounded.
fn in_filter(filter: &mut Filter, visit: Visit<'_>) -> Result<(), ScimError> {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter_mut().try_for_each(|filter| in_filter(filter, visit))
        }
        Filter::Not(filter) => in_filter(filter, visit),
        Filter::Compare { name, literal: Literal::Text(text), .. } if name.eq_ignore_ascii_case("value") => {
            if let Some(id) = reference(text).map(visit).transpose()?.flatten() {
                *text = id.to_string();
            }
            Ok(())
        }
        Filter::Compare { .. } | Filter::Present(_) | Filter::Element { .. } => Ok(()),
    }
}

fn in_attributes(kind: ResourceType, object: &mut Node, visit: Visit<'_>) -> Result<(), ScimError> {
    let Node::Object(entries) = object else { return Ok(()) };
    entries.iter_mut().try_for_each(|(key, node)| in_named(kind, kind.resolve(key), node, visit))
}

/// Within a schema's object, names are relative to it.
fn in_named(
    kind: ResourceType,
    named: Option<Named>,
    node: &mut Node,
    visit: Visit<'_>,
) -> Result<(), ScimError> {
    match (named, node) {
        (Some(Named::Attribute(target)), node) if is_relation(&target) => in_values(node, visit),
        (Some(Named::Schema(schema)), Node::Object(entries)) => {
            entries.iter_mut().try_for_each(|(key, node)| {
                match kind.target(&format!("{}:{key}", schema.urn)) {
                    Some(target) if is_relation(&target) => in_values(node, visit),
                    _ => Ok(()),
                }
            })
        }
        _ => Ok(()),
    }
}

/// Values that are ids of resources, alone or as the `value` of an object. As deep as bodies are, which is bounded.
fn in_values(node: &mut Node, visit: Visit<'_>) -> Result<(), ScimError> {
    match node {
        Node::Text(text) => {
            if let Some(id) = reference(text).map(visit).transpose()?.flatten() {
                *text = id.to_string().into();
            }
            Ok(())
        }
        Node::Array(items) => items.iter_mut().try_for_each(|item| in_values(item, visit)),
        Node::Object(_) => node.get_mut("value").map_or(Ok(()), |value| in_values(value, visit)),
        Node::Null | Node::Bool(_) | Node::Number(_) => Ok(()),
    }
}

/// Whether the values of an attribute are ids of resources.
fn is_relation(target: &Target) -> bool {
    target.is("members")
        || target.is("groups")
        || (target.schema.is_extension && target.attribute.name == "manager")
}
