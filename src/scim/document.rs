//! A resource with the server's part to it: what is shown, searched and sorted.
use serde_json::{Map, Value, json};

use super::{
    Resource,
    etag::Version,
    schema::{ResourceType, Target},
};
use crate::domain::{ScimId, Timestamp};

/// What the server knows of a resource.
#[derive(Debug, Clone, Copy)]
pub struct Server<'a> {
    /// The base's URL, without a slash at its end.
    pub base: &'a str,
    pub id: ScimId,
    pub created: Timestamp,
    pub last_modified: Timestamp,
    pub version: &'a Version,
    /// The groups of a user; the members of a group, or those of them that matter.
    pub links: &'a [Link<'a>],
}

/// Another resource that one stands in relation with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link<'a> {
    pub id: ScimId,
    /// The `displayName` of a group; members are shown without.
    pub display: Option<&'a str>,
}

/// A user or a group as clients see it, by canonical names; what is in an extension lies under its URN.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub(super) kind: ResourceType,
    pub(super) values: Map<String, Value>,
}

impl Resource {
    /// Puts the server's part to it.
    pub fn document(&self, server: &Server<'_>) -> Document {
        Document::new(self, server)
    }
}

impl Document {
    fn new(resource: &Resource, server: &Server<'_>) -> Self {
        let kind = resource.kind();
        let mut values = resource.united();
        let schemas: Vec<&str> = resource.schemas().map(|schema| schema.urn).collect();
        values.insert("schemas".to_owned(), schemas.into());
        values.insert("id".to_owned(), server.id.to_string().into());
        values.insert(
            "meta".to_owned(),
            json!({
                "resourceType": kind.name(),
                "created": server.created.to_string(),
                "lastModified": server.last_modified.to_string(),
                "location": location(server.base, kind, server.id),
                "version": server.version.to_string(),
            }),
        );
        let links: Vec<Value> = server.links.iter().map(|link| link_value(kind, server.base, link)).collect();
        if !links.is_empty() {
            let name = match kind {
                ResourceType::User => "groups",
                ResourceType::Group => "members",
            };
            values.insert(name.to_owned(), links.into());
        }
        Self { kind, values }
    }

    pub fn kind(&self) -> ResourceType {
        self.kind
    }

    pub fn as_map(&self) -> &Map<String, Value> {
        &self.values
    }

    /// JSON, with the names in the order of the schema.
    pub fn to_json(&self) -> String {
        let mut json = self.open();
        json.push('}');
        json
    }

    /// The beginning of [`Self::to_json`], without the last brace, for a group whose members follow: `,"members":[`, as many
    /// [`super::MemberShape::json`] as there are, with commas between them, and `]}`.
    pub fn open(&self) -> String {
        let (mut json, mut last) = (b"{".to_vec(), "");
        for target in self.kind.attributes() {
            let name = if target.schema.is_extension { target.schema.urn } else { target.attribute.name };
            // The attributes of an extension stand together.
            let Some(value) = self.values.get(name).filter(|_| name != last) else { continue };
            if !last.is_empty() {
                json.push(b',');
            }
            // Names of ours have nothing to escape, and nothing fails that writes to memory.
            json.extend_from_slice(format!("\"{name}\":").as_bytes());
            let _ = serde_json::to_writer(&mut json, value);
            last = name;
        }
        String::from_utf8(json).unwrap_or_default()
    }

    /// Every value of an attribute, or of its sub-attribute: the values of a multi-valued one, one by one.
    pub(super) fn all(&self, target: &Target) -> impl Iterator<Item = &Value> + use<'_> {
        let container = if target.schema.is_extension {
            self.values.get(target.schema.urn).and_then(Value::as_object)
        } else {
            Some(&self.values)
        };
        let held = container.and_then(|values| values.get(target.attribute.name));
        let (one, many) = match held {
            Some(Value::Array(items)) => (None, items.as_slice()),
            other => (other, [].as_slice()),
        };
        let part = target.part.map(|part| part.name);
        many.iter().chain(one).filter_map(move |value| match part {
            Some(part) => value.get(part),
            None => Some(value),
        })
    }
}

/// Where a resource is (RFC 7643 3.1, `meta.location`).
pub fn location(base: &str, kind: ResourceType, id: ScimId) -> String {
    format!("{base}/{}/{id}", kind.endpoint())
}

/// An element of the `groups` of a user or of the `members` of a group.
fn link_value(of: ResourceType, base: &str, link: &Link<'_>) -> Value {
    let (kind, relation) = match of {
        ResourceType::User => (ResourceType::Group, "direct"),
        ResourceType::Group => (ResourceType::User, "User"),
    };
    let mut value = Map::new();
    value.insert("value".to_owned(), link.id.to_string().into());
    value.insert("$ref".to_owned(), location(base, kind, link.id).into());
    value.insert("type".to_owned(), relation.into());
    if let (ResourceType::User, Some(display)) = (of, link.display) {
        value.insert("display".to_owned(), display.into());
    }
    Value::Object(value)
}
