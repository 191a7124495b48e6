//! What a client says in a POST or a PUT (RFC 7644 3.3 and 3.5.1).
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    Node, Resource,
    error::{Reason, ScimError, quoted},
    path::Place,
    said::Said,
    schema::{Named, ResourceType, Schema, Target},
    value,
};
use crate::domain::ScimId;

/// A resource as a client wants it. What the server decides (`id`, `meta`, `schemas`) is left out, as is what there is not.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    resource: Resource,
    /// Of a group, each once. `None` where the client says nothing of them, which is not the same as none (decision D3).
    pub members: Option<Vec<ScimId>>,
    /// What the client says of the read-only `groups` of a user: the values, as they came. Okta sends back what it got.
    pub groups: Option<Vec<String>>,
}

impl Draft {
    /// Reads the body of a POST or PUT to the endpoint of `kind`.
    pub fn parse(kind: ResourceType, body: &[u8]) -> Result<Self, ScimError> {
        Self::read(kind, &Node::parse_object(body, super::body_bytes_max(kind))?)
    }

    /// The same of what was parsed already, such as the data of a Bulk operation.
    pub fn read(kind: ResourceType, body: &Node) -> Result<Self, ScimError> {
        if !matches!(body, Node::Object(_)) {
            return Err(Reason::NotAnObject.bare());
        }
        let mut draft = Self { resource: Resource::empty(kind), members: None, groups: None };
        let mut said = Said::default();
        for (key, node) in body.entries() {
            match kind.resolve(key) {
                Some(Named::Attribute(target)) => draft.take(&mut said, key, &target, node)?,
                Some(Named::Schema(schema)) => draft.take_schema(&mut said, schema, node)?,
                None => {}
            }
        }
        draft.resource = draft.resource.settle()?;
        Ok(draft)
    }

    /// The resource that a POST makes. A user of whom `active` is not said is active.
    pub fn create(self) -> Resource {
        let mut resource = self.resource;
        if resource.kind() == ResourceType::User && resource.active().is_none() {
            resource.set_active(true);
        }
        resource
    }

    /// The resource that a PUT leaves behind. What the client does not say is gone, but for `active`: silence switches nobody
    /// on (V-22).
    pub fn replace(self, current: &Resource) -> Resource {
        let mut resource = self.resource;
        if let (None, Some(active)) = (resource.active(), current.active()) {
            resource.set_active(active);
        }
        resource
    }

    /// As far as it was said: for the questions that come before [`Self::create`] and [`Self::replace`].
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    fn take_schema(
        &mut self,
        said: &mut Said,
        schema: &'static Schema,
        node: &Node,
    ) -> Result<(), ScimError> {
        let Some(object) = value::schema_object(schema, node)? else {
            // The base schema cannot be without its attributes, so nothing says nothing of them.
            return if schema.is_extension {
                said.note(schema.urn, &Place::Schema(schema), node)
            } else {
                Ok(())
            };
        };
        for (key, node) in object.entries() {
            // Within a schema's object, names are relative to it.
            let key = format!("{}:{key}", schema.urn);
            if let Some(target) = self.resource.kind().target(&key) {
                self.take(said, &key, &target, node)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, said: &mut Said, key: &str, target: &Target, node: &Node) -> Result<(), ScimError> {
        said.note_attribute(key, target, node)?;
        if target.is("members") {
            self.members = Some(member_ids(node)?);
        } else if target.is("groups") {
            self.groups = Some(group_values(node));
        } else if !target.is_read_only() {
            self.assign(target, node)?;
        }
        Ok(())
    }

    fn assign(&mut self, target: &Target, node: &Node) -> Result<(), ScimError> {
        let Some(part) = target.part else {
            if let Some(value) = value::read(target.attribute, node)? {
                self.put(target, value);
            }
            return Ok(());
        };
        // A dotted key, which Entra ID uses in patches.
        if let (false, Some(value)) = (target.attribute.multi_valued, value::single(part, node)?) {
            self.put(target, Value::Object(Map::from_iter([(part.name.to_owned(), value)])));
        }
        Ok(())
    }

    /// Parts of a value come together, in whatever order they are said.
    fn put(&mut self, target: &Target, value: Value) {
        let value = match (self.resource.take(target), value) {
            (Some(Value::Object(mut parts)), Value::Object(more)) => {
                parts.extend(more);
                Value::Object(parts)
            }
            (_, value) => value,
        };
        self.resource.set(target, Some(value));
    }
}

/// The ids in a value of `members`, each once, in order: objects with a `value`, or the ids alone.
pub(super) fn member_ids(node: &Node) -> Result<Vec<ScimId>, ScimError> {
    let texts = member_values(node)?;
    let mut seen = BTreeSet::new();
    let mut ids = Vec::with_capacity(texts.len());
    for text in texts {
        let id = ScimId::parse(text).ok_or_else(|| {
            Reason::MemberInvalid.error(format!("There is no user with the id {}.", quoted(text)))
        })?;
        if seen.insert(id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// The `value` of each member, as it came.
pub(super) fn member_values(node: &Node) -> Result<Vec<&str>, ScimError> {
    let items = match node {
        Node::Array(items) => items.as_slice(),
        empty if empty.is_empty() => &[],
        one => std::slice::from_ref(one),
    };
    items.iter().map(member_value).collect()
}

fn member_value(node: &Node) -> Result<&str, ScimError> {
    let kind = node.get("type").and_then(Node::as_text).unwrap_or_default();
    let reference = node.get("$ref").and_then(Node::as_text).unwrap_or_default();
    if kind.eq_ignore_ascii_case("Group") || reference.contains("/Groups/") {
        return Err(Reason::GroupNested.error("Groups within groups are not supported: members are users."));
    }
    let value = node.as_text().or_else(|| node.get("value").and_then(Node::as_text));
    value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Reason::MemberInvalid.error("A member has no value, which is the id of a user."))
}

fn group_values(node: &Node) -> Vec<String> {
    let items = match node {
        Node::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let value = |item: &Node| item.as_text().or_else(|| item.get("value")?.as_text()).map(str::to_owned);
    items.iter().filter_map(value).collect()
}
