//! Operations carried out on a resource.
use serde_json::{Map, Value};

use super::{Act, MembersChange, Operation, Patched, read::without_path};
use crate::{
    domain::ScimId,
    scim::{
        Node, Resource,
        error::{Reason, ScimError},
        limits::VALUES_MAX,
        path::{Place, key_place},
        resource::{is_primary, is_same, is_same_text},
        schema::{Attribute, Kind, Schema, Target},
        value,
    },
};

/// A resource under work.
pub(super) struct Work {
    pub(super) resource: Resource,
    pub(super) members: MembersChange,
    pub(super) id: ScimId,
}

impl Work {
    pub(super) fn carry_out(&mut self, operation: &Operation) -> Result<(), ScimError> {
        match (&operation.place, &operation.value) {
            (Some(place), value) => self.at(place, operation.act, value.as_ref()),
            (None, Some(value)) => self.each_key(operation.act, without_path(value).unwrap_or(value)),
            (None, None) => Err(Reason::OperationValueMissing.bare()),
        }
    }

    pub(super) fn finish(self, before: &Resource) -> Result<Patched, ScimError> {
        let resource = self.resource.settle()?;
        Ok(Patched { changed: resource != *before, resource, members: self.members })
    }

    /// Without a path, each key is one. What there is not is ignored, and so is what the server sets: clients send back what
    /// they got. Another `id` is not.
    fn each_key(&mut self, act: Act, value: &Node) -> Result<(), ScimError> {
        for (key, node) in value.entries() {
            if let Some(place) = key_place(self.resource.kind(), key)? {
                self.at_unless_read_only(act, &place, node)?;
            }
        }
        Ok(())
    }

    fn at_unless_read_only(&mut self, act: Act, place: &Place, node: &Node) -> Result<(), ScimError> {
        let is_read_only = match place {
            Place::Attribute(target) if target.is("id") && node.as_text() != Some(&self.id.to_string()) => {
                return Err(Reason::ReadOnly.error("id is set by the server, and is another one."));
            }
            Place::Attribute(target) => target.is_read_only(),
            Place::Selected(selected) => selected.target.is_read_only(),
            Place::Schema(_) => false,
        };
        if is_read_only {
            return Ok(());
        }
        self.at(place, act, Some(node))
    }

    fn at(&mut self, place: &Place, act: Act, given: Option<&Node>) -> Result<(), ScimError> {
        let value = given.unwrap_or(&Node::Null);
        match place {
            Place::Schema(schema) => self.at_schema(schema, act, value),
            Place::Attribute(target) if target.is("members") => {
                self.members.carry_out(act, target.part, given)
            }
            Place::Selected(selected) if selected.target.is("members") => {
                self.members.carry_out_selected(act, selected)
            }
            Place::Selected(selected) => super::select::carry_out(&mut self.resource, act, selected, value),
            Place::Attribute(target) => match target.part {
                None => self.whole(target, act, value),
                Some(part) if target.attribute.multi_valued => {
                    super::select::each(&mut self.resource, act, target, part, value)
                }
                Some(part) => self.part(target, part, act, value),
            },
        }
    }

    /// The object under a schema's URN.
    fn at_schema(&mut self, schema: &'static Schema, act: Act, value: &Node) -> Result<(), ScimError> {
        let object = if act == Act::Remove { None } else { value::schema_object(schema, value)? };
        let Some(object) = object else {
            if !schema.is_extension {
                return Err(Reason::RequiredRemoved.error(format!("{} has what is required.", schema.urn)));
            }
            self.resource.extension = Map::new();
            return Ok(());
        };
        for (key, node) in object.entries() {
            if let Some(place) = key_place(self.resource.kind(), &format!("{}:{key}", schema.urn))? {
                self.at_unless_read_only(act, &place, node)?;
            }
        }
        Ok(())
    }

    /// An attribute as a whole.
    fn whole(&mut self, target: &Target, act: Act, value: &Node) -> Result<(), ScimError> {
        let attribute = target.attribute;
        if attribute.multi_valued {
            return self.values(target, act, value);
        }
        if act == Act::Remove {
            return self.unassign(target);
        }
        if attribute.kind == Kind::Complex {
            if value.is_empty() {
                return self.unassign(target);
            }
            let mut parts = match self.resource.take(target) {
                Some(Value::Object(parts)) => parts,
                _ => Map::new(),
            };
            merge(attribute, &mut parts, value)?;
            self.resource.set(target, Some(Value::Object(parts)));
            return Ok(());
        }
        match value::single(attribute, value)? {
            Some(value) => self.resource.set(target, Some(value)),
            None => self.unassign(target)?,
        }
        Ok(())
    }

    /// Takes an attribute away.
    fn unassign(&mut self, target: &Target) -> Result<(), ScimError> {
        if target.attribute.required {
            return Err(Reason::RequiredRemoved.error(format!("{} is required.", target.attribute.name)));
        }
        self.resource.set(target, None);
        Ok(())
    }

    /// A multi-valued attribute as a whole.
    fn values(&mut self, target: &Target, act: Act, value: &Node) -> Result<(), ScimError> {
        let attribute = target.attribute;
        let given = value::many(attribute, value)?;
        match (act, given) {
            (Act::Remove, Some(given)) => {
                let mut held = taken(&mut self.resource, target);
                held.retain(|item| !given.iter().any(|wanted| is_meant(attribute, wanted, item)));
                self.resource.set(target, Some(Value::Array(held)));
            }
            // An empty list of what to remove is nothing to remove.
            (Act::Remove, None) if matches!(value, Node::Array(items) if items.is_empty()) => {}
            (Act::Remove, None) if !value.is_empty() => return Err(Reason::OperationValueUnclear.bare()),
            (Act::Remove | Act::Replace, None) => self.resource.set(target, None),
            (Act::Replace, Some(given)) => self.resource.set(target, Some(Value::Array(given))),
            (Act::Add, None) => {}
            (Act::Add, Some(given)) => {
                let held = add(attribute, taken(&mut self.resource, target), given)?;
                self.resource.set(target, Some(Value::Array(held)));
            }
        }
        Ok(())
    }

    /// A sub-attribute of a single value.
    fn part(
        &mut self,
        target: &Target,
        part: &'static Attribute,
        act: Act,
        value: &Node,
    ) -> Result<(), ScimError> {
        let mut parts = match self.resource.take(target) {
            Some(Value::Object(parts)) => parts,
            _ => Map::new(),
        };
        set_part(&mut parts, part, act, value)?;
        self.resource.set(target, (!parts.is_empty()).then_some(Value::Object(parts)));
        Ok(())
    }
}

/// The values of a multi-valued attribute, taken out.
pub(super) fn taken(resource: &mut Resource, target: &Target) -> Vec<Value> {
    match resource.take(target) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// RFC 7644 3.5.2.1: values that are there already are not added again.
fn add(attribute: &Attribute, mut held: Vec<Value>, given: Vec<Value>) -> Result<Vec<Value>, ScimError> {
    for item in given {
        if is_primary(&item) {
            no_primary(&mut held);
        }
        match held.iter_mut().find(|other| is_same(attribute, other, &item)) {
            Some(Value::Object(other)) => {
                if let Value::Object(item) = item {
                    other.extend(item);
                }
            }
            _ => held.push(item),
        }
        if held.len() > VALUES_MAX {
            let detail = format!("{} has more than {VALUES_MAX} values.", attribute.name);
            return Err(Reason::ValuesTooMany.error(detail));
        }
    }
    Ok(held)
}

/// RFC 7644 3.5.2: whatever becomes primary, the others no longer are.
pub(super) fn no_primary<'v>(values: impl IntoIterator<Item = &'v mut Value>) {
    for value in values {
        if let (true, Some(parts)) = (is_primary(value), value.as_object_mut()) {
            parts.insert("primary".to_owned(), false.into());
        }
    }
}

/// Puts the parts that are given over those that are there; what is given as nothing goes.
pub(super) fn merge(
    attribute: &Attribute,
    parts: &mut Map<String, Value>,
    value: &Node,
) -> Result<(), ScimError> {
    let value = value.only();
    match (value, attribute.value_part()) {
        (Node::Object(entries), _) => {
            for (key, node) in entries {
                if let Some(part) = attribute.sub_attribute(key).filter(|part| !part.is_read_only()) {
                    set_part(parts, part, Act::Replace, node)?;
                }
            }
            Ok(())
        }
        (Node::Text(_), Some(part)) => set_part(parts, part, Act::Replace, value),
        // Says what is wrong with it.
        _ => value::single(attribute, value).map(|_| ()),
    }
}

pub(super) fn set_part(
    parts: &mut Map<String, Value>,
    part: &Attribute,
    act: Act,
    value: &Node,
) -> Result<(), ScimError> {
    let given = if act == Act::Remove { None } else { value::single(part, value)? };
    match given {
        Some(given) => parts.insert(part.name.to_owned(), given),
        None => parts.remove(part.name),
    };
    Ok(())
}

/// Whether a value that is to be removed means `held`: in everything that it says, but for what is only shown, unless it says
/// nothing else.
fn is_meant(attribute: &Attribute, wanted: &Value, held: &Value) -> bool {
    let is_shown = |name: &str| name == "primary" || name == "display";
    let said = || wanted.as_object().into_iter().flatten();
    let all_shown = said().all(|(name, _)| is_shown(name));
    let mut said = said().filter(|(name, _)| all_shown || !is_shown(name)).peekable();
    said.peek().is_some()
        && said.all(|(name, value)| {
            let exact = attribute.sub_attribute(name).is_none_or(|part| part.case_exact);
            match (value.as_str(), held.get(name).and_then(Value::as_str)) {
                (Some(a), Some(b)) => is_same_text(a, b, exact),
                _ if name == "primary" => is_primary(held) == is_primary(wanted),
                _ => held.get(name) == Some(value),
            }
        })
}
