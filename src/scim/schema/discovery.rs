//! `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas` (RFC 7643 sections 5, 6 and 7).
//!
//! They describe one base, and list the types of resources that this base serves.
use serde_json::{Map, Value, json};

use super::{Attribute, Kind, Mutability, ResourceType, Returned, Schema, Uniqueness};
use crate::scim::limits::{
    BULK_BODY_BYTES_MAX, BULK_OPERATIONS_MAX, CURSOR_SECONDS_MAX, PAGE_RESOURCES, PAGE_RESOURCES_MAX,
};

const CONFIG_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
const RESOURCE_TYPE_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const SCHEMA_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// What a base says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Service<'a> {
    /// The base's URL, without a slash at its end.
    pub base: &'a str,
    /// What it serves.
    pub kinds: &'a [ResourceType],
    pub documentation_uri: Option<&'a str>,
    pub authentication: &'a [AuthenticationScheme<'a>],
}

/// RFC 7643 5
#[derive(Debug, Clone, Copy)]
pub struct AuthenticationScheme<'a> {
    /// Such as `oauthbearertoken`.
    pub kind: &'a str,
    pub name: &'a str,
    pub description: &'a str,
}

/// The body of `/ServiceProviderConfig`.
pub fn service_provider_config(service: &Service<'_>) -> Value {
    let schemes = service.authentication.iter().enumerate().map(|(index, scheme)| {
        json!({
            "type": scheme.kind,
            "name": scheme.name,
            "description": scheme.description,
            "primary": index == 0,
        })
    });
    let mut config = json!({
        "schemas": [CONFIG_SCHEMA],
        "patch": { "supported": true },
        "bulk": {
            "supported": true,
            "maxOperations": BULK_OPERATIONS_MAX,
            "maxPayloadSize": BULK_BODY_BYTES_MAX,
        },
        "filter": { "supported": true, "maxResults": PAGE_RESOURCES_MAX },
        "changePassword": { "supported": false },
        "sort": { "supported": true },
        "etag": { "supported": true },
        // RFC 9865 4
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": PAGE_RESOURCES,
            "maxPageSize": PAGE_RESOURCES_MAX,
            "cursorTimeout": CURSOR_SECONDS_MAX,
        },
        "authenticationSchemes": schemes.collect::<Vec<_>>(),
        "meta": meta(service.base, "ServiceProviderConfig", "ServiceProviderConfig"),
    });
    if let (Some(object), Some(uri)) = (config.as_object_mut(), service.documentation_uri) {
        object.insert("documentationUri".to_owned(), uri.into());
    }
    config
}

/// Each of `/ResourceTypes`, with its name in the path.
pub fn resource_types(service: &Service<'_>) -> Vec<(&'static str, Value)> {
    service.kinds.iter().map(|kind| (kind.name(), resource_type(*kind, service.base))).collect()
}

/// Each of `/Schemas`, with its URN in the path.
pub fn schemas(service: &Service<'_>) -> Vec<(&'static str, Value)> {
    let schemas = service.kinds.iter().flat_map(|kind| kind.schemas());
    schemas.map(|schema| (schema.urn, schema_of(schema, service.base))).collect()
}

fn meta(base: &str, kind: &str, path: &str) -> Value {
    json!({ "resourceType": kind, "location": format!("{base}/{path}") })
}

fn resource_type(kind: ResourceType, base: &str) -> Value {
    let mut shown = json!({
        "schemas": [RESOURCE_TYPE_SCHEMA],
        "id": kind.name(),
        "name": kind.name(),
        "description": kind.schema().description,
        "endpoint": format!("/{}", kind.endpoint()),
        "schema": kind.schema().urn,
        "meta": meta(base, "ResourceType", &format!("ResourceTypes/{}", kind.name())),
    });
    if let (Some(object), Some(extension)) = (shown.as_object_mut(), kind.extension()) {
        let extensions = json!([{ "schema": extension.urn, "required": false }]);
        object.insert("schemaExtensions".to_owned(), extensions);
    }
    shown
}

fn schema_of(schema: &Schema, base: &str) -> Value {
    json!({
        "schemas": [SCHEMA_SCHEMA],
        "id": schema.urn,
        "name": schema.name,
        "description": schema.description,
        "attributes": schema.attributes.iter().map(attribute).collect::<Vec<_>>(),
        "meta": meta(base, "Schema", &format!("Schemas/{}", schema.urn)),
    })
}

/// No member is null: some clients stumble over that. What only texts have stands with texts only.
fn attribute(attribute: &Attribute) -> Value {
    let mut shown = Map::new();
    let mut put = |key: &str, value: Value| shown.insert(key.to_owned(), value);
    put("name", attribute.name.into());
    put("type", kind(attribute.kind).into());
    put("multiValued", attribute.multi_valued.into());
    put("description", attribute.description.into());
    put("required", attribute.required.into());
    put("mutability", mutability(attribute.mutability).into());
    put("returned", returned(attribute.returned).into());
    if attribute.kind != Kind::Complex {
        put("caseExact", attribute.case_exact.into());
        put("uniqueness", uniqueness(attribute.uniqueness).into());
    } else {
        let parts: Vec<Value> = attribute.sub_attributes.iter().map(self::attribute).collect();
        put("subAttributes", parts.into());
    }
    if !attribute.canonical_values.is_empty() {
        put("canonicalValues", attribute.canonical_values.into());
    }
    if !attribute.reference_types.is_empty() {
        put("referenceTypes", attribute.reference_types.into());
    }
    Value::Object(shown)
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "string",
        Kind::Boolean => "boolean",
        Kind::DateTime => "dateTime",
        Kind::Binary => "binary",
        Kind::Reference => "reference",
        Kind::Complex => "complex",
    }
}

fn mutability(mutability: Mutability) -> &'static str {
    match mutability {
        Mutability::ReadOnly => "readOnly",
        Mutability::ReadWrite => "readWrite",
        Mutability::Immutable => "immutable",
    }
}

fn returned(returned: Returned) -> &'static str {
    match returned {
        Returned::Always => "always",
        Returned::Default => "default",
    }
}

fn uniqueness(uniqueness: Uniqueness) -> &'static str {
    match uniqueness {
        Uniqueness::None => "none",
        Uniqueness::Server => "server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://gateway.example.com/scim/v2/enterprises/acme";

    fn service(kinds: &[ResourceType]) -> Service<'_> {
        let bearer =
            AuthenticationScheme { kind: "oauthbearertoken", name: "Bearer token", description: "A token" };
        // What lives as long as the test.
        Service { base: BASE, kinds, documentation_uri: None, authentication: Box::leak(Box::new([bearer])) }
    }

    fn has_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(items) => items.iter().any(has_null),
            Value::Object(map) => map.values().any(has_null),
            _ => false,
        }
    }

    #[test]
    fn a_base_lists_what_it_serves() {
        let all = service(ResourceType::ALL);
        assert_eq!(schemas(&all).len(), 3);
        assert_eq!(resource_types(&all).iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["User", "Group"]);
        let users = service(&[ResourceType::User]);
        assert!(schemas(&users).iter().all(|(urn, _)| !urn.ends_with(":Group")));
        assert_eq!(resource_types(&users).len(), 1);
        let types = resource_types(&all);
        assert_eq!(types[0].1["meta"]["location"], format!("{BASE}/ResourceTypes/User"));
        assert_eq!(types[0].1["schemaExtensions"][0]["required"], false);
        assert!(types[1].1.get("schemaExtensions").is_none());
    }

    #[test]
    fn schemas_say_what_is_stored_and_nothing_else() {
        let all = schemas(&service(ResourceType::ALL));
        assert!(all.iter().all(|(_, schema)| !has_null(schema)));
        let text = all.iter().map(|(_, schema)| schema.to_string()).collect::<String>();
        assert!(!text.contains("password"));
        let user = &all[0].1["attributes"];
        let named = |name: &str| user.as_array().unwrap().iter().find(|a| a["name"] == name).unwrap();
        let user_name = json!({
            "name": "userName", "type": "string", "multiValued": false, "required": true, "caseExact": false,
            "description": named("userName")["description"], "mutability": "readWrite", "returned": "default",
            "uniqueness": "server",
        });
        assert_eq!(*named("userName"), user_name);
        let types = &named("emails")["subAttributes"][2];
        assert_eq!(types["canonicalValues"], json!(["work", "home", "other"]));
        assert_eq!(named("groups")["mutability"], "readOnly");
        assert_eq!(all[1].1["attributes"][5]["subAttributes"][0]["name"], "value");
    }

    #[test]
    fn v_19_the_service_tells_its_caps() {
        let mut service = service(ResourceType::ALL);
        service.documentation_uri = Some("https://gateway.example.com/docs");
        let config = service_provider_config(&service);
        assert_eq!(config["pagination"]["maxPageSize"], PAGE_RESOURCES_MAX);
        assert_eq!(config["filter"]["maxResults"], PAGE_RESOURCES_MAX);
        assert_eq!(config["pagination"]["cursorTimeout"], CURSOR_SECONDS_MAX);
        assert_eq!(config["authenticationSchemes"][0]["type"], "oauthbearertoken");
        assert_eq!(config["documentationUri"], "https://gateway.example.com/docs");
        assert!(!has_null(&config));
    }
}
