//! Values as clients write them, brought into the form in which they are stored.
use base64::{Engine, alphabet, engine};
use serde_json::{Map, Value};

use super::{
    Node,
    error::{Reason, ScimError, quoted},
    limits::VALUES_MAX,
    schema::{Attribute, Kind, Schema},
};

/// What a client said of one attribute, or of one value where `attribute` is a sub-attribute. `None`: that there is nothing.
///
/// A single value may stand where an array belongs and an array of one where a single value does; a plain text may stand for an
/// object whose `value` it is. Sub-attributes that there are not, and those of the server, are dropped.
pub(super) fn read(attribute: &Attribute, node: &Node) -> Result<Option<Value>, ScimError> {
    if !attribute.multi_valued {
        return single(attribute, node);
    }
    Ok(many(attribute, node)?.map(Value::Array))
}

/// [`read`] of a multi-valued attribute.
pub(super) fn many(attribute: &Attribute, node: &Node) -> Result<Option<Vec<Value>>, ScimError> {
    let items = match node {
        Node::Array(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    // RFC 7643 2.5
    if items.len() > VALUES_MAX {
        return Err(
            Reason::ValuesTooMany.error(format!("{} has more than {VALUES_MAX} values.", attribute.name))
        );
    }
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        values.extend(single(attribute, item)?);
    }
    Ok(if values.is_empty() { None } else { Some(values) })
}

/// One value of an attribute.
pub(super) fn single(attribute: &Attribute, node: &Node) -> Result<Option<Value>, ScimError> {
    let node = node.only();
    if node.is_empty() {
        return Ok(None);
    }
    match attribute.kind {
        Kind::Complex => complex(attribute, node),
        Kind::Boolean => {
            boolean(node).map(|bool| Some(bool.into())).ok_or_else(|| wrong_type(attribute, node))
        }
        Kind::Binary => match node {
            Node::Text(text) if is_base64(text) => Ok(Some(text.to_string().into())),
            _ => Err(wrong_type(attribute, node)),
        },
        Kind::Reference => match node {
            Node::Text(text) if is_uri(text) => Ok(Some(text.to_string().into())),
            _ => Err(wrong_type(attribute, node)),
        },
        Kind::String | Kind::DateTime => match node {
            Node::Text(text) => Ok(Some(text.to_string().into())),
            _ => Err(wrong_type(attribute, node)),
        },
    }
}

/// What counts as true and false (V-22): the literals, and their words in any case, which Entra ID sends.
pub(super) fn boolean(node: &Node) -> Option<bool> {
    match node {
        Node::Bool(bool) => Some(*bool),
        Node::Text(text) => word_boolean(text),
        _ => None,
    }
}

pub(super) fn word_boolean(word: &str) -> Option<bool> {
    if word.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    word.eq_ignore_ascii_case("false").then_some(false)
}

/// The object under the URN of a schema. `None`: that there is nothing.
pub(super) fn schema_object<'n>(schema: &Schema, node: &'n Node) -> Result<Option<&'n Node>, ScimError> {
    match node.only() {
        object @ Node::Object(_) => Ok(Some(object)),
        nothing if nothing.is_empty() => Ok(None),
        _ => Err(Reason::ValueType.error(format!("{} is an object.", schema.urn))),
    }
}

fn complex(attribute: &Attribute, node: &Node) -> Result<Option<Value>, ScimError> {
    let mut parts = Map::new();
    match (node, attribute.value_part()) {
        (Node::Object(entries), _) => {
            for (key, node) in entries {
                let Some(part) = attribute.sub_attribute(key).filter(|part| !part.is_read_only()) else {
                    continue;
                };
                if let Some(value) = single(part, node)? {
                    parts.insert(part.name.to_owned(), value);
                }
            }
        }
        (Node::Text(_), Some(part)) => {
            parts.extend(single(part, node)?.map(|value| (part.name.to_owned(), value)));
        }
        _ => return Err(wrong_type(attribute, node)),
    }
    Ok(if parts.is_empty() { None } else { Some(Value::Object(parts)) })
}

fn wrong_type(attribute: &Attribute, node: &Node) -> ScimError {
    let wanted = match (attribute.kind, attribute.value_part()) {
        (Kind::Boolean, _) => "true or false",
        (Kind::Binary, _) => "base64",
        (Kind::Complex, Some(_)) => "an object or a text",
        (Kind::Complex, None) => "an object",
        (Kind::Reference, _) => "a URI",
        (Kind::String | Kind::DateTime, _) => "a text",
    };
    let found = match node {
        Node::Null => "null".to_owned(),
        Node::Bool(bool) => bool.to_string(),
        Node::Number(number) => number.to_string(),
        Node::Text(text) => quoted(text),
        Node::Array(_) => "an array".to_owned(),
        Node::Object(_) => "an object".to_owned(),
    };
    Reason::ValueType.error(format!("{} is {wanted}, and not {found}.", attribute.name))
}

/// RFC 7643 2.3.7: absolute or relative, so that its characters are all that tells (RFC 3986 2; RFC 3987 has those beyond ASCII).
fn is_uri(text: &str) -> bool {
    let never = |c: char| c.is_whitespace() || c.is_control() || "\"<>\\^`{|}".contains(c);
    !text.contains(never)
}

/// RFC 7643 2.3.6: with or without padding.
fn is_base64(text: &str) -> bool {
    let padding = engine::DecodePaddingMode::Indifferent;
    let config = engine::GeneralPurposeConfig::new().with_decode_padding_mode(padding);
    engine::GeneralPurpose::new(&alphabet::STANDARD, config).decode(text).is_ok()
}
