//! A user or a group as it is stored: what clients said of it, in canonical names, without anything of the server.
use serde_json::{Map, Value};

use super::{
    error::{Reason, ScimError},
    limits::{KEY_TEXT_BYTES_MAX, RESOURCE_BYTES_MAX, VALUES_MAX},
    schema::{Attribute, Kind, ResourceType, Schema, Target},
};
use crate::domain::{AccountName, fold_case};

/// The attributes of a user or of a group that clients write, but for the members of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    kind: ResourceType,
    /// By canonical name. Nothing is null or empty.
    pub(super) values: Map<String, Value>,
    /// Those of the extension.
    pub(super) extension: Map<String, Value>,
}

/// One of a user's e-mail addresses, as the client wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Email<'a> {
    pub value: &'a str,
    pub primary: bool,
}

impl Resource {
    pub(super) fn empty(kind: ResourceType) -> Self {
        Self { kind, values: Map::new(), extension: Map::new() }
    }

    pub fn kind(&self) -> ResourceType {
        self.kind
    }

    /// What [`Self::to_stored`] gave.
    pub fn from_stored(kind: ResourceType, text: &str) -> Result<Self, serde_json::Error> {
        let mut values: Map<String, Value> = serde_json::from_str(text)?;
        let extension = match kind.extension().and_then(|schema| values.remove(schema.urn)) {
            Some(Value::Object(extension)) => extension,
            _ => Map::new(),
        };
        Ok(Self { kind, values, extension })
    }

    /// JSON, equal for equal resources. The extension lies under its URN.
    pub fn to_stored(&self) -> String {
        Value::Object(self.united()).to_string()
    }

    /// What [`Self::to_map`] gave.
    pub fn from_map(kind: ResourceType, mut values: Map<String, Value>) -> Self {
        let extension = match kind.extension().and_then(|schema| values.remove(schema.urn)) {
            Some(Value::Object(extension)) => extension,
            _ => Map::new(),
        };
        Self { kind, values, extension }
    }

    /// The attributes by their canonical names; the extension lies under its URN.
    pub fn to_map(&self) -> Map<String, Value> {
        self.united()
    }

    /// As they are shown.
    pub(super) fn united(&self) -> Map<String, Value> {
        let mut values = self.values.clone();
        if let (Some(schema), false) = (self.kind.extension(), self.extension.is_empty()) {
            values.insert(schema.urn.to_owned(), Value::Object(self.extension.clone()));
        }
        values
    }

    /// Empty for a group.
    pub fn user_name(&self) -> &str {
        self.text("userName").unwrap_or_default()
    }

    /// [`Self::user_name`] as it is compared (V-10).
    pub fn user_name_folded(&self) -> String {
        fold_case(self.user_name())
    }

    pub fn external_id(&self) -> Option<&str> {
        self.text("externalId")
    }

    pub fn display_name(&self) -> Option<&str> {
        self.text("displayName")
    }

    /// `None` where no client ever said (a group, or a draft).
    pub fn active(&self) -> Option<bool> {
        self.values.get("active").and_then(Value::as_bool)
    }

    /// For what the gateway itself decides.
    pub fn set_active(&mut self, active: bool) {
        self.values.insert("active".to_owned(), active.into());
    }

    /// Every address with a value, in the client's order.
    pub fn emails(&self) -> impl Iterator<Item = Email<'_>> {
        let items = self.values.get("emails").and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| {
            let primary = item.get("primary").and_then(Value::as_bool) == Some(true);
            Some(Email { value: item.get("value")?.as_str()?, primary })
        })
    }

    /// Where invitations go (A15): the primary address, else the first.
    pub fn primary_email(&self) -> Option<&str> {
        self.emails().find(|email| email.primary).or_else(|| self.emails().next()).map(|email| email.value)
    }

    /// The schemas whose attributes it has (RFC 7643 3).
    pub(super) fn schemas(&self) -> impl Iterator<Item = &'static Schema> {
        self.kind.schemas().filter(|schema| !schema.is_extension || !self.extension.is_empty())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(Value::as_str)
    }

    /// The object that holds the attributes of a schema.
    fn container(&self, schema: &Schema) -> &Map<String, Value> {
        if schema.is_extension { &self.extension } else { &self.values }
    }

    fn container_mut(&mut self, schema: &Schema) -> &mut Map<String, Value> {
        if schema.is_extension { &mut self.extension } else { &mut self.values }
    }

    /// The attribute of a target, in whatever part.
    pub(super) fn get(&self, target: &Target) -> Option<&Value> {
        self.container(target.schema).get(target.attribute.name)
    }

    /// Replaces the attribute of a target; `None` takes it away.
    pub(super) fn set(&mut self, target: &Target, value: Option<Value>) {
        let name = target.attribute.name;
        let values = self.container_mut(target.schema);
        match value {
            Some(value) => values.insert(name.to_owned(), value),
            None => values.remove(name),
        };
    }

    /// Takes the attribute of a target out.
    pub(super) fn take(&mut self, target: &Target) -> Option<Value> {
        self.container_mut(target.schema).remove(target.attribute.name)
    }

    /// Brings it into the one form, and checks what holds for every resource.
    pub(super) fn settle(mut self) -> Result<Self, ScimError> {
        for target in self.kind.attributes() {
            if let Some(value) = self.take(&target) {
                self.set(&target, settle_value(target.attribute, value)?);
            }
        }
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> Result<(), ScimError> {
        // Where a client does not say `active`, the draft's use decides: see `Draft::create` and `Draft::replace`.
        let must_be_said = |target: &Target| target.attribute.required && !target.is("active");
        for target in self.kind.attributes().filter(must_be_said) {
            if self.get(&target).is_none() {
                return Err(Reason::ValueMissing.error(format!("{} is required.", target.attribute.name)));
            }
        }
        if self.kind == ResourceType::User {
            AccountName::parse(self.user_name())
                .map_err(|error| Reason::UserNameInvalid.error(format!("userName {error}.")))?;
        }
        let mut keys = vec![("externalId", self.external_id())];
        if self.kind == ResourceType::Group {
            keys.push(("displayName", self.display_name()));
        }
        for (name, text) in keys {
            if text.is_some_and(|text| text.len() > KEY_TEXT_BYTES_MAX) {
                return Err(
                    Reason::TextTooLong.error(format!("{name} is longer than {KEY_TEXT_BYTES_MAX} bytes."))
                );
            }
        }
        let values = self.values.values().chain(self.extension.values());
        if values.map(weight).sum::<usize>() > RESOURCE_BYTES_MAX {
            return Err(Reason::ResourceTooLarge
                .error(format!("The texts of a resource have {RESOURCE_BYTES_MAX} bytes at most.")));
        }
        Ok(())
    }
}

/// One value of each kind, no more than may be, at most one primary. What says nothing is nothing.
fn settle_value(attribute: &Attribute, value: Value) -> Result<Option<Value>, ScimError> {
    if attribute.kind != Kind::Complex {
        return Ok(Some(value));
    }
    let Value::Array(items) = value else {
        return Ok(Some(value).filter(|value| says_something(attribute, value)));
    };
    let mut settled: Vec<Value> = Vec::with_capacity(items.len());
    for item in items.into_iter().filter(|item| says_something(attribute, item)) {
        // RFC 7643 2.4: the same (type, value) SHOULD NOT stand there twice.
        match settled.iter_mut().find(|other| is_same(attribute, other, &item)) {
            Some(Value::Object(other)) if is_primary(&item) => {
                other.insert("primary".to_owned(), true.into());
            }
            Some(_) => {}
            None => settled.push(item),
        }
        if settled.len() > VALUES_MAX {
            return Err(
                Reason::ValuesTooMany.error(format!("{} has more than {VALUES_MAX} values.", attribute.name))
            );
        }
    }
    // RFC 7643 2.4
    if settled.iter().filter(|item| is_primary(item)).count() > 1 {
        return Err(Reason::PrimaryRepeated.error(format!("More than one of {} is primary.", attribute.name)));
    }
    Ok(if settled.is_empty() { None } else { Some(Value::Array(settled)) })
}

/// A value that lost its `value`, or of which only the kind is known, is none.
fn says_something(attribute: &Attribute, value: &Value) -> bool {
    let Some(parts) = value.as_object() else { return false };
    match attribute.value_part() {
        Some(part) => parts.contains_key(part.name),
        None => parts.keys().any(|name| name != "type" && name != "primary"),
    }
}

/// In bytes of its texts, with something for each value.
fn weight(value: &Value) -> usize {
    const EACH_BYTES: usize = 8;
    EACH_BYTES
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(map) => map.values().map(weight).sum(),
            _ => 0,
        }
}

/// Whether two values of an attribute are one (RFC 7643 2.4): the same `type` and `value`, or, without a `value`, all the same.
pub(super) fn is_same(attribute: &Attribute, one: &Value, other: &Value) -> bool {
    let part = |name: &str| {
        let exact = attribute.sub_attribute(name).is_some_and(|part| part.case_exact);
        match (one.get(name).and_then(Value::as_str), other.get(name).and_then(Value::as_str)) {
            (Some(a), Some(b)) => Some(is_same_text(a, b, exact)),
            (None, None) => None,
            _ => Some(false),
        }
    };
    match part("value") {
        Some(is_same) => is_same && part("type") != Some(false),
        None => without_primary(one).eq(without_primary(other)),
    }
}

/// RFC 7643 2.2, `caseExact`
pub(super) fn is_same_text(one: &str, other: &str, exact: bool) -> bool {
    if exact || (one.is_ascii() && other.is_ascii()) {
        return if exact { one == other } else { one.eq_ignore_ascii_case(other) };
    }
    fold_case(one) == fold_case(other)
}

pub(super) fn is_primary(value: &Value) -> bool {
    value.get("primary").and_then(Value::as_bool) == Some(true)
}

/// The parts of a value, but for whether it is the preferred one.
fn without_primary(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten().filter(|(name, _)| *name != "primary")
}
