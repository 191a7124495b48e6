//! What the service can do (RFC 7644 4): the same for everybody and at every base of a kind, whether there is such a base or not,
//! so that nobody learns from it who is a tenant (V-20).
use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{
    PREFIX,
    answer::Answer,
    place::{Base, Endpoint},
    refusal::{Code, Refusal},
};
use crate::scim::{
    ResourceType,
    schema::{AuthenticationScheme, Service, resource_types, schemas, service_provider_config},
};

const BEARER: AuthenticationScheme<'_> = AuthenticationScheme {
    kind: "oauthbearertoken",
    name: "Bearer token",
    description: "A SCIM token that an owner of the enterprise makes, in the Authorization field",
};

pub fn answer(base: &Base, endpoint: Endpoint<'_>, origin: &str, query: &str) -> Result<Answer, Refusal> {
    // RFC 7644 4: "SHOULD respond with a 403 status code".
    let is_filtered =
        form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name.eq_ignore_ascii_case("filter"));
    if is_filtered {
        return Err(Code::FilterForbidden.into());
    }
    let base_url = format!("{origin}{PREFIX}{}", base.path());
    let kinds = match base.has_groups() {
        true => ResourceType::ALL,
        false => &[ResourceType::User],
    };
    let service = Service { base: &base_url, kinds, documentation_uri: None, authentication: &[BEARER] };
    match endpoint {
        Endpoint::ServiceProviderConfig => Ok(Answer::of(StatusCode::OK, &service_provider_config(&service))),
        Endpoint::ResourceTypes => Ok(list(resource_types(&service))),
        Endpoint::ResourceType(name) => one(resource_types(&service), name),
        Endpoint::Schemas => Ok(list(schemas_of(base, &service))),
        Endpoint::Schema(urn) => one(schemas_of(base, &service), urn),
        _ => Err(Code::NotFound.into()),
    }
}

/// At an organization's base everybody is invited, so nobody is taken without an address (A15).
fn schemas_of(base: &Base, service: &Service<'_>) -> Vec<(&'static str, Value)> {
    let mut all = schemas(service);
    if !base.has_groups() {
        let lists = all.iter_mut().filter_map(|(_, schema)| schema.get_mut("attributes"));
        lists.for_each(|list| require(list, &["emails", "value"]));
    }
    all
}

/// Marks an attribute as required, and then the part of it that follows in `names`.
fn require(list: &mut Value, names: &[&str]) {
    let Some((name, rest)) = names.split_first() else { return };
    let attributes = list.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut);
    for attribute in attributes.filter(|attribute| attribute.get("name").is_some_and(|found| found == name)) {
        attribute.insert("required".to_owned(), true.into());
        if let Some(parts) = attribute.get_mut("subAttributes") {
            require(parts, rest);
        }
    }
}

fn one(all: Vec<(&'static str, Value)>, segment: &str) -> Result<Answer, Refusal> {
    // A colon may be escaped in a path, and some clients do so.
    let wanted = percent_decode_str(segment).decode_utf8_lossy();
    let found = all.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(&wanted));
    let (_, value) = found.ok_or(Code::NotFound)?;
    Ok(Answer::of(StatusCode::OK, &value))
}

/// RFC 7644 3.4.2, and nothing beside it: strict clients refuse more.
fn list(all: Vec<(&'static str, Value)>) -> Answer {
    let resources: Vec<Value> = all.into_iter().map(|(_, value)| value).collect();
    Answer::of(
        StatusCode::OK,
        &json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": resources.len(),
            "itemsPerPage": resources.len(),
            "startIndex": 1,
            "Resources": resources,
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EnterpriseSlug, OrganizationSlug};

    #[test]
    fn an_organization_s_base_demands_an_address_and_knows_no_groups() {
        let service = |kinds: &'static [ResourceType]| Service {
            base: "https://a.example",
            kinds,
            documentation_uri: None,
            authentication: &[BEARER],
        };
        let emails = |base: &Base, kinds| {
            let all = schemas_of(base, &service(kinds));
            let user = all[0].1["attributes"].as_array().unwrap().clone();
            let emails = user.into_iter().find(|attribute| attribute["name"] == "emails").unwrap();
            (emails["required"].clone(), emails["subAttributes"][0]["required"].clone())
        };
        let enterprise = Base::Enterprise(EnterpriseSlug::parse("acme").unwrap());
        let organization = Base::Organization(OrganizationSlug::parse("acme").unwrap());
        assert_eq!(emails(&enterprise, ResourceType::ALL), (false.into(), false.into()));
        assert_eq!(emails(&organization, &[ResourceType::User]), (true.into(), true.into()));
    }
}
