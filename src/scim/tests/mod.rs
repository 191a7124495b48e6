//! The room against the files of `fixtures/scim`, and against what holds for everything.
mod drafts;
mod filters;
mod opinion;
mod patches;
mod said;
mod shown;

use serde::Deserialize;
use serde_json::Value;

use super::{Draft, Link, Resource, ResourceType, ScimError, Server, Version};
use crate::domain::{ScimId, Timestamp};

const BASE: &str = "https://gateway.example.com/scim/v2/enterprises/acme";

fn fixture<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let path = format!("{}/fixtures/scim/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn kind(name: &str) -> ResourceType {
    ResourceType::ALL.iter().copied().find(|kind| kind.name() == name).unwrap()
}

fn draft(kind: ResourceType, body: &Value) -> Result<Draft, ScimError> {
    Draft::parse(kind, body.to_string().as_bytes())
}

fn resource(kind: ResourceType, body: &Value) -> Resource {
    draft(kind, body).unwrap().create()
}

fn stored(resource: &Resource) -> Value {
    serde_json::from_str(&resource.to_stored()).unwrap()
}

fn id(number: u8) -> ScimId {
    ScimId::from_random([number; 16])
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Of the server, for tests that do not mind.
fn server<'a>(number: u8, version: &'a Version, links: &'a [Link<'a>]) -> Server<'a> {
    let created = at("2026-01-01T00:00:00Z");
    let last_modified = at("2026-02-01T00:00:00Z");
    Server { base: BASE, id: id(number), created, last_modified, version, links }
}
