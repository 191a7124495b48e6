//! `attributes` and `excludedAttributes` (RFC 7644 3.9).
use serde_json::{Map, Value};

use super::{
    Node,
    document::{Document, location},
    error::{Reason, ScimError},
    limits::PROJECTION_NAMES_MAX,
    schema::{Attribute, Named, ResourceType, Returned, Schema, Target},
};
use crate::domain::ScimId;

/// What of a resource is shown. The names are resolved for each type, for a query can be about both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Projection {
    /// Everything that is shown by default.
    #[default]
    Default,
    /// These, and what is always shown.
    Only(Vec<String>),
    /// Everything but these, and what is always shown.
    Without(Vec<String>),
}

impl Projection {
    /// Reads the parameters of a query, each a list with commas. What there is not is ignored (RFC 7644 3.9).
    pub fn parse(attributes: Option<&str>, excluded: Option<&str>) -> Result<Self, ScimError> {
        let names = |list: Option<&str>| list.map(|list| list.split(',').map(str::to_owned).collect());
        Self::of_names(names(attributes).unwrap_or_default(), names(excluded).unwrap_or_default())
    }

    /// Reads the members of a SearchRequest: arrays of names, or the text that a query would have.
    pub(super) fn of_nodes(attributes: Option<&Node>, excluded: Option<&Node>) -> Result<Self, ScimError> {
        Self::of_names(node_names(attributes)?, node_names(excluded)?)
    }

    fn of_names(attributes: Vec<String>, excluded: Vec<String>) -> Result<Self, ScimError> {
        let clean = |names: Vec<String>| -> Vec<String> {
            names.iter().map(|name| name.trim_ascii().to_owned()).filter(|name| !name.is_empty()).collect()
        };
        let (attributes, excluded) = (clean(attributes), clean(excluded));
        if attributes.len().max(excluded.len()) > PROJECTION_NAMES_MAX {
            return Err(Reason::AttributesTooMany
                .error(format!("attributes and excludedAttributes name {PROJECTION_NAMES_MAX} at most.")));
        }
        match (attributes.is_empty(), excluded.is_empty()) {
            (true, true) => Ok(Self::Default),
            (false, true) => Ok(Self::Only(attributes)),
            (true, false) => Ok(Self::Without(excluded)),
            // RFC 7644 3.9: mutually exclusive.
            (false, false) => Err(Reason::AttributesBoth.bare()),
        }
    }

    /// Whether an attribute of the base schema is shown, by its canonical name or in parts: what is not need not be loaded.
    pub fn wants(&self, kind: ResourceType, name: &str) -> bool {
        let Some(target) = kind.target(name) else { return false };
        self.bind(kind).shows(&target)
    }

    /// Whether the client asked for anything in particular: then a PATCH answers with the resource (RFC 7644 3.5.2).
    pub fn is_said(&self) -> bool {
        *self != Self::Default
    }

    /// What is left of a resource.
    pub fn apply(&self, mut document: Document) -> Document {
        if !self.is_said() {
            return document;
        }
        let bound = self.bind(document.kind);
        let mut left = Map::new();
        for target in document.kind.attributes() {
            let (schema, attribute) = (target.schema, target.attribute);
            let held = if schema.is_extension {
                document.values.get_mut(schema.urn).and_then(Value::as_object_mut)
            } else {
                Some(&mut document.values)
            };
            let value = held.and_then(|held| held.remove(attribute.name));
            let Some(shown) = value.and_then(|value| bound.shown(&target, value)) else { continue };
            let place = if schema.is_extension {
                left.entry(schema.urn).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
            } else {
                Some(&mut left)
            };
            place.and_then(|place| place.insert(attribute.name.to_owned(), shown));
        }
        Document { kind: document.kind, values: left }
    }

    /// What is shown of each member of a group, for lists that are not in a document. [`Self::wants`] says whether there is
    /// a list at all.
    pub fn member_shape(&self) -> MemberShape {
        let bound = self.bind(ResourceType::Group);
        let shows = |part: &str| {
            ResourceType::Group.target("members").is_some_and(|target| match bound.mention(&target) {
                Mention::Parts(parts) => parts.iter().any(|named| named.name == part) == bound.only,
                Mention::Not | Mention::Whole => true,
            })
        };
        MemberShape { value: shows("value"), reference: shows("$ref"), kind: shows("type") }
    }

    fn bind(&self, kind: ResourceType) -> Bound {
        let (names, only) = match self {
            Self::Default => (&[][..], false),
            Self::Only(names) => (names.as_slice(), true),
            Self::Without(names) => (names.as_slice(), false),
        };
        Bound { only, named: names.iter().filter_map(|name| kind.resolve(name)).collect() }
    }
}

/// The parts of a member that are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberShape {
    value: bool,
    reference: bool,
    kind: bool,
}

impl MemberShape {
    /// One member, as JSON. `base` is a URL, in which nothing is to be escaped.
    pub fn json(&self, base: &str, id: ScimId) -> String {
        let value = self.value.then(|| format!("\"value\":\"{id}\""));
        let reference =
            self.reference.then(|| format!("\"$ref\":\"{}\"", location(base, ResourceType::User, id)));
        let kind = self.kind.then(|| "\"type\":\"User\"".to_owned());
        format!("{{{}}}", [value, reference, kind].into_iter().flatten().collect::<Vec<_>>().join(","))
    }
}

fn node_names(node: Option<&Node>) -> Result<Vec<String>, ScimError> {
    let name = |node: &Node| node.as_text().map(str::to_owned);
    match node {
        None | Some(Node::Null) => Some(vec![]),
        Some(Node::Text(list)) => Some(list.split(',').map(str::to_owned).collect()),
        Some(Node::Array(items)) => items.iter().map(name).collect(),
        Some(_) => None,
    }
    .ok_or_else(|| Reason::ValueType.error("attributes and excludedAttributes are arrays of names."))
}

/// A projection with its names resolved.
struct Bound {
    only: bool,
    named: Vec<Named>,
}

/// How much of an attribute is named.
enum Mention<'a> {
    Not,
    Whole,
    Parts(Vec<&'a Attribute>),
}

impl Bound {
    fn mention(&self, target: &Target) -> Mention<'_> {
        let mut parts = Vec::new();
        for named in &self.named {
            match named {
                Named::Schema(schema) if is_of(target, schema) => return Mention::Whole,
                Named::Attribute(named) if Target { part: None, ..*named } == *target => match named.part {
                    None => return Mention::Whole,
                    Some(part) => parts.push(part),
                },
                _ => {}
            }
        }
        if parts.is_empty() { Mention::Not } else { Mention::Parts(parts) }
    }

    fn shows(&self, target: &Target) -> bool {
        let always = target.attribute.returned == Returned::Always;
        always
            || match self.mention(target) {
                Mention::Not => !self.only,
                Mention::Whole => self.only,
                // Without all of its parts nothing is left of it.
                Mention::Parts(parts) => {
                    self.only || !target.attribute.sub_attributes.iter().all(|part| parts.contains(&part))
                }
            }
    }

    /// What is left of one attribute; `None` if nothing.
    fn shown(&self, target: &Target, value: Value) -> Option<Value> {
        if !self.shows(target) {
            return None;
        }
        let Mention::Parts(parts) = self.mention(target) else { return Some(value) };
        let cut = |value: Value| {
            let Value::Object(mut map) = value else { return None };
            map.retain(|name, _| parts.iter().any(|part| part.name == name) == self.only);
            (!map.is_empty()).then_some(Value::Object(map))
        };
        match value {
            Value::Array(items) => {
                let left: Vec<Value> = items.into_iter().filter_map(cut).collect();
                (!left.is_empty()).then_some(Value::Array(left))
            }
            other => cut(other),
        }
    }
}

/// A URN alone means the attributes of its schema, without those that every resource has.
fn is_of(target: &Target, schema: &Schema) -> bool {
    target.schema == schema
        && schema.attributes.iter().any(|attribute| attribute.name == target.attribute.name)
}
