//! The schemas of what the API takes and gives, as JSON Schema 2020-12. Objects list every name that may stand in them.
mod access;
mod invitations;
mod plans;
mod requests;

use serde_json::{Map, Value, json};

/// A schema by its name.
pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// What the braces of a path stand for.
pub fn path_parameter(name: &str) -> Value {
    match name {
        "org" => slug(),
        "session" | "credential" => hex(32),
        "batch" => json!({ "type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,64}$" }),
        _ => hex(16),
    }
}

/// All of them.
pub fn components() -> Value {
    let mut all = Map::new();
    let mut add = |name: &str, schema: Value| all.insert(name.to_owned(), schema);
    add("Document", json!({ "type": "object" }));
    add("Problem", object(&[("message", text()), ("code", text()), ("request_id", text())]));
    add("User", user());
    add(
        "OrganizationSummaries",
        list(&object(&[("login", slug()), ("display_name", maybe(text())), ("role", maybe(role()))])),
    );
    add("Organization", organization());
    add("Organizations", list(&reference("Organization")));
    add("Members", list(&object(&member())));
    add("Membership", membership());
    add("Person", person());
    add("People", list(&reference("Person")));
    for (name, schema) in invitations::schemas() {
        add(name, schema);
    }
    for (name, schema) in access::schemas().into_iter().chain(plans::schemas()).chain(requests::schemas()) {
        add(name, schema);
    }
    Value::Object(all)
}

fn user() -> Value {
    let own = object(&[("organization", slug()), ("role", role()), ("source", source()), ("since", time())]);
    object(&[
        ("id", hex(16)),
        ("user", text()),
        ("enterprise", slug()),
        ("is_enterprise_owner", json!({ "type": "boolean" })),
        ("credential", one_of(&["session", "token"])),
        ("organizations", list(&own)),
    ])
}

fn organization() -> Value {
    object(&[
        ("id", hex(16)),
        ("login", slug()),
        ("display_name", maybe(text())),
        ("managed", json!({ "type": "boolean" })),
        ("aliases", list(&text())),
        ("owners", count()),
        ("unowned_since", maybe(time())),
        ("created_at", maybe(time())),
    ])
}

fn member() -> [(&'static str, Value); 6] {
    [
        ("id", hex(16)),
        ("user", text()),
        ("display_name", maybe(text())),
        ("role", role()),
        ("source", source()),
        ("since", time()),
    ]
}

fn membership() -> Value {
    let more = [
        ("organization", slug()),
        ("email", maybe(text())),
        ("pinned", maybe(one_of(&["claim", "owner"]))),
        ("held_since", maybe(time())),
        ("held_batch", maybe(text())),
    ];
    object(&[&member()[..], &more[..]].concat())
}

fn person() -> Value {
    let former = object(&[
        ("organization", slug()),
        ("role", role()),
        ("source", source()),
        ("since", time()),
        ("ended_at", time()),
        ("batch", text()),
    ]);
    object(&[
        ("id", hex(16)),
        ("user", text()),
        ("email", maybe(text())),
        ("display_name", maybe(text())),
        ("standing", one_of(&["active", "deactivated", "deleted"])),
        ("standing_since", maybe(time())),
        ("linked_at", maybe(time())),
        ("issuer", text()),
        ("created_at", time()),
        ("last_sign_in_at", time()),
        ("memberships", list(&reference("Membership"))),
        ("former", list(&former)),
        ("last_groups", maybe(list(&text()))),
    ])
}

/// An object that has all of these and nothing else.
fn object(properties: &[(&str, Value)]) -> Value {
    let required: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let mut schema = optional_object(properties);
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("required".into(), json!(required));
    }
    schema
}

/// An object that may have these and nothing else.
fn optional_object(properties: &[(&str, Value)]) -> Value {
    let listed: Map<String, Value> =
        properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "properties": listed, "additionalProperties": false })
}

fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn maybe(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn one_of(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn role() -> Value {
    one_of(&["member", "owner"])
}

fn source() -> Value {
    one_of(&["saml", "scim", "invitation", "manual", "claim"])
}

fn hex(bytes: usize) -> Value {
    json!({ "type": "string", "pattern": format!("^[0-9a-f]{{{}}}$", 2 * bytes) })
}

/// An account name.
fn slug() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$", "maxLength": 39 })
}
