//! The OpenAPI 3.1 document, written from the table.
use serde_json::{Map, Value, json};

use super::{
    BODY_BYTES_MAX,
    problem::Code,
    schemas,
    table::{Access, ROUTES, Route, Who},
};

/// Describes every route; `url` is where the API lies.
pub fn document(url: &str) -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let entry = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(entry) = entry.as_object_mut() {
            entry.insert(route.method.to_ascii_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portcullis",
            "version": "1",
            "description": "Organizations, people and access. Who may call what is said by each operation; docs/API.md explains it.",
        },
        "servers": [{ "url": url }],
        "paths": paths,
        "components": {
            "schemas": schemas::components(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "A personal access token." },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "__Host-portcullis-session",
                    "description": "The browser's session, for pages of the gateway's own origin.",
                },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.about,
        "description": who(route),
        "tags": [route.id.split('/').next().unwrap_or_default()],
        "parameters": parameters(route),
        "responses": responses(route),
        "security": security(route),
    });
    if let (Some(schema), Some(fields)) = (route.takes, operation.as_object_mut()) {
        let body = json!({
            "required": true,
            "description": format!("At most {BODY_BYTES_MAX} bytes. Names that stand twice and names that are not listed are refused."),
            "content": { "application/json": { "schema": schemas::reference(schema) } },
        });
        fields.insert("requestBody".into(), body);
    }
    operation
}

fn who(route: &Route) -> String {
    let who = match route.who {
        Who::Anyone => return "Anybody may read it.".into(),
        Who::Person => "For everybody, about themselves.",
        Who::Member => "For members of the organization and for owners of the enterprise.",
        Who::Overseer => "For owners of the organization and for owners of the enterprise.",
        Who::SelfOrOverseer => {
            "For the member concerned, for owners of the organization and for owners of the enterprise."
        }
        Who::EnterpriseOwner => "For owners of the enterprise.",
    };
    let access = match route.access {
        Access::Read => "A token needs the scope api:read or api:write",
        Access::Write => "A token needs the scope api:write",
        Access::Session => return format!("{who} Needs a session; a token does not do."),
    };
    match route.who {
        Who::EnterpriseOwner => format!("{who} {access}, and the scope enterprise."),
        Who::Member | Who::Overseer | Who::SelfOrOverseer => {
            format!("{who} {access}; of an owner of the enterprise it needs the scope enterprise too.")
        }
        _ => format!("{who} {access}."),
    }
}

fn security(route: &Route) -> Value {
    match (route.who, route.access) {
        (Who::Anyone, _) => json!([]),
        (_, Access::Session) => json!([{ "session": [] }]),
        _ => json!([{ "token": [] }, { "session": [] }]),
    }
}

fn parameters(route: &Route) -> Value {
    let of_path = route.names().map(|name| {
        let schema = schemas::path_parameter(name);
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let of_query = route.query.iter().map(|parameter| {
        json!({
            "name": parameter.name, "in": "query", "required": false,
            "description": parameter.about, "schema": parameter.form.schema(),
        })
    });
    of_path.chain(of_query).collect()
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    let (status, schema) = route.gives;
    let mut success = json!({ "description": "Done." });
    if let (Some(schema), Some(fields)) = (schema, success.as_object_mut()) {
        let content = json!({ "application/json": { "schema": schemas::reference(schema) } });
        fields.insert("description".into(), route.about.into());
        fields.insert("content".into(), content);
        if !route.query.is_empty() && route.is_list {
            let link = json!({ "description": "The next page, as RFC 8288 says it.", "schema": { "type": "string" } });
            fields.insert("headers".into(), json!({ "Link": link }));
        }
    }
    responses.insert(status.to_string(), success);
    for status in refusals(route) {
        responses.insert(status.to_string(), refusal(status));
    }
    Value::Object(responses)
}

/// What every route of its kind may refuse with, and what is the route's own.
fn refusals(route: &Route) -> Vec<u16> {
    let mut statuses = vec![400, 429];
    if route.who != Who::Anyone {
        statuses.extend([401, 403, 503]);
    }
    if route.path.contains('{') {
        statuses.push(404);
    }
    if route.takes.is_some() {
        statuses.extend([408, 413, 415, 422]);
    }
    if route.method != "GET" {
        statuses.push(409);
    }
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

fn refusal(status: u16) -> Value {
    let codes: Vec<&str> =
        Code::ALL.iter().filter(|code| code.status().as_u16() == status).map(|code| code.as_str()).collect();
    let field = |about: &str| json!({ "description": about, "schema": { "type": "string" } });
    let mut answer = json!({
        "description": format!("Refused: {}.", codes.join(", ")),
        "content": { "application/json": { "schema": schemas::reference("Problem") } },
    });
    if let (401, Some(fields)) = (status, answer.as_object_mut()) {
        fields.insert("headers".into(), json!({ "WWW-Authenticate": field("RFC 6750 3") }));
    }
    if let (429, Some(fields)) = (status, answer.as_object_mut()) {
        fields.insert("headers".into(), json!({ "Retry-After": field("RFC 9110 10.2.3, in seconds") }));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_that_is_named_is_there() {
        let document = document("https://gateway.example.com/.portcullis/api/v1");
        let text = document.to_string();
        let defined = document["components"]["schemas"].as_object().unwrap();
        let mut used = vec![];
        for part in text.split("\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(defined.contains_key(name), "{name}");
            used.push(name);
        }
        for name in defined.keys() {
            assert!(used.contains(&name.as_str()), "{name} is used nowhere");
        }
    }

    #[test]
    fn every_route_has_an_operation() {
        let document = document("https://gateway.example.com/.portcullis/api/v1");
        let operations = document["paths"].as_object().unwrap().values();
        let count: usize = operations.map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(count, ROUTES.len());
    }
}
