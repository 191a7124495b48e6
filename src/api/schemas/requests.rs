//! What the API takes.
use serde_json::{Map, Value, json};

use super::{access::scope, list, maybe, object, optional_object, role, slug, text, time};

pub fn schemas() -> Vec<(&'static str, Value)> {
    let name = json!({ "type": "string", "minLength": 1, "maxLength": 128 });
    let alias = json!({ "type": "string", "minLength": 1, "maxLength": 1024 });
    let flag = json!({ "type": "boolean" });
    let token_name = json!({ "type": "string", "minLength": 1, "maxLength": 100 });
    let token = [
        ("name", token_name.clone()),
        ("scopes", list(&scope())),
        ("organizations", list(&slug())),
        ("expires_at", time()),
    ];
    let organization = [
        ("login", slug()),
        ("display_name", maybe(name.clone())),
        ("aliases", list(&alias)),
        ("managed", flag.clone()),
    ];
    let change = [("display_name", maybe(name)), ("aliases", maybe(list(&alias))), ("managed", maybe(flag))];
    vec![
        ("Role", object(&[("role", role())])),
        ("Claim", object(&[("confirm", text())])),
        ("NewToken", needing(&["name", "scopes", "expires_at"], &token)),
        ("NewScimToken", object(&[("name", token_name), ("expires_at", time())])),
        ("NewOrganization", needing(&["login"], &organization)),
        ("OrganizationChange", optional_object(&change)),
    ]
}

/// An object that may have all of these and must have some.
fn needing(required: &[&str], properties: &[(&str, Value)]) -> Value {
    let mut schema: Map<String, Value> = optional_object(properties).as_object().cloned().unwrap_or_default();
    schema.insert("required".into(), json!(required));
    Value::Object(schema)
}
