//! What is shown of a resource, how much of it, and in which order.
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;
use crate::scim::{Document, Projection, Sort, limits::PROJECTION_NAMES_MAX};

fn alice() -> Document {
    let user = resource(
        ResourceType::User,
        &json!({
            "userName": "alice", "externalId": "e1", "name": { "givenName": "Alice", "familyName": "Example" },
            "emails": [{ "value": "a@example.com", "type": "work", "primary": true }, { "value": "b@example.com" }],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "R&D", "manager": "boss" },
        }),
    );
    let links = [Link { id: id(7), display: Some("octo-org") }];
    user.document(&server(1, &Version::of_count(3), &links))
}

fn json_of(document: &Document) -> Value {
    serde_json::from_str(&document.to_json()).unwrap()
}

#[test]
fn documents_have_the_part_of_the_server() {
    let (enterprise, one, seven) =
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", id(1), id(7));
    let shown = alice().to_json();
    assert!(shown.starts_with("{\"schemas\":[\"urn:ietf:params:scim:schemas:core:2.0:User\""), "{shown}");
    let shown = json_of(&alice());
    assert_eq!(shown["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:User", enterprise]));
    assert_eq!(shown["id"], one.to_string());
    let meta = json!({
        "resourceType": "User", "created": "2026-01-01T00:00:00Z", "lastModified": "2026-02-01T00:00:00Z",
        "location": format!("{BASE}/Users/{one}"), "version": "W/\"3\"",
    });
    assert_eq!(shown["meta"], meta);
    let group = json!({ "value": seven.to_string(), "$ref": format!("{BASE}/Groups/{seven}"), "display": "octo-org", "type": "direct" });
    assert_eq!(shown["groups"], json!([group]));
    assert_eq!(shown[enterprise]["manager"], json!({ "value": "boss" }));
}

#[test]
fn members_follow_what_stands_before_them() {
    let group = resource(ResourceType::Group, &json!({ "displayName": "octo-org" }));
    let links = [id(1), id(2)].map(|id| Link { id, display: None });
    let version = Version::of_counts(1, 2);
    let whole = group.document(&server(9, &version, &links));
    let empty = group.document(&server(9, &version, &[]));
    assert!(empty.as_map().get("members").is_none());
    let shape = Projection::Default.member_shape();
    let members: Vec<String> = links.iter().map(|link| shape.json(BASE, link.id)).collect();
    let streamed = format!("{},\"members\":[{}]}}", empty.open(), members.join(","));
    assert_eq!(serde_json::from_str::<Value>(&streamed).unwrap(), json_of(&whole));

    let only = |names: &str| Projection::parse(Some(names), None).unwrap();
    assert_eq!(
        only("members.value").member_shape().json(BASE, id(1)),
        format!("{{\"value\":\"{}\"}}", id(1))
    );
    let without = Projection::parse(None, Some("members.$ref,members.type")).unwrap();
    assert_eq!(without.member_shape(), only("members.value").member_shape());
    assert_eq!(
        json_of(&only("members.value").apply(whole.clone()))["members"][1],
        json!({ "value": id(2).to_string() })
    );
    assert!(only("Members.Value").wants(ResourceType::Group, "members"));
    assert!(!only("id").wants(ResourceType::Group, "members"));
    let without = Projection::parse(None, Some("MEMBERS")).unwrap();
    assert!(
        !without.wants(ResourceType::Group, "members") && without.wants(ResourceType::Group, "displayName")
    );
    assert!(json_of(&without.apply(whole)).get("members").is_none());
}

#[test]
fn projections_show_what_is_asked_for() {
    let keys = |attributes: Option<&str>, excluded: Option<&str>| {
        let shown = Projection::parse(attributes, excluded).unwrap().apply(alice());
        let mut keys: Vec<String> =
            shown.as_map().keys().map(|key| key.rsplit(':').next().unwrap().to_owned()).collect();
        keys.sort();
        keys.join(" ")
    };
    assert_eq!(keys(None, None), "User active emails externalId groups id meta name schemas userName");
    assert_eq!(keys(Some("userName"), None), "id schemas userName");
    assert_eq!(
        keys(Some("USERNAME, urn:ietf:params:scim:schemas:core:2.0:User:externalid"), None),
        "externalId id schemas userName"
    );
    assert_eq!(keys(Some("nothing,__proto__,password"), None), "id schemas");
    assert_eq!(keys(Some(" , "), Some("")), keys(None, None));
    assert_eq!(
        keys(Some("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"), None),
        "User id schemas"
    );
    assert_eq!(
        keys(None, Some("id,schemas,emails,meta,active,name,groups,userName,externalId")),
        "User id schemas"
    );
    assert_eq!(
        keys(None, Some("urn:ietf:params:scim:schemas:core:2.0:User")),
        "User externalId id meta schemas"
    );

    let shown = |attributes: Option<&str>, excluded: Option<&str>| {
        json_of(&Projection::parse(attributes, excluded).unwrap().apply(alice()))
    };
    assert_eq!(
        shown(Some("emails.value,emails.TYPE"), None)["emails"][0],
        json!({ "value": "a@example.com", "type": "work" })
    );
    assert_eq!(shown(Some("emails.type"), None)["emails"], json!([{ "type": "work" }]));
    assert_eq!(shown(None, Some("emails.value"))["emails"], json!([{ "type": "work", "primary": true }]));
    assert_eq!(shown(None, Some("name.givenName,name.familyName")).get("name"), None);
    assert_eq!(shown(Some("meta.version"), None)["meta"], json!({ "version": "W/\"3\"" }));
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let part = format!("{enterprise}:department");
    assert_eq!(shown(Some(&part), None)[enterprise], json!({ "department": "R&D" }));
    assert_eq!(shown(None, Some(&part))[enterprise], json!({ "manager": { "value": "boss" } }));
}

#[test]
fn v_19_projections_are_bounded_and_say_one_thing() {
    let code = |attributes: &str, excluded: &str| {
        Projection::parse(Some(attributes), Some(excluded)).err().map(|error| error.code)
    };
    assert_eq!(code("id", "emails"), Some("scim_attributes_both"));
    assert_eq!(code(&vec!["id"; PROJECTION_NAMES_MAX].join(","), ""), None);
    assert_eq!(code(&vec!["id"; PROJECTION_NAMES_MAX + 1].join(","), ""), Some("scim_attributes_too_many"));
}

fn sorted(by: &str, order: &str) -> Vec<String> {
    let bodies = [
        json!({ "userName": "b", "title": "X", "emails": ["z@example.com", { "value": "A@example.com", "primary": true }] }),
        json!({ "userName": "C", "active": false, "externalId": "B" }),
        json!({ "userName": "a", "title": "x", "name": { "familyName": "Z" }, "emails": ["m@example.com"], "externalId": "a" }),
    ];
    let version = Version::of_count(1);
    let mut users: Vec<Document> = bodies
        .iter()
        .zip(1..)
        .map(|(body, number)| resource(ResourceType::User, body).document(&server(number, &version, &[])))
        .collect();
    let sort = Sort::parse(Some(by), Some(order), ResourceType::ALL).unwrap().unwrap();
    let mut others = users.clone();
    sort.sort(&mut users);
    others.sort_by(|one, other| sort.compare(one, other));
    assert_eq!(users, others, "{by}");
    users.iter().map(|user| user.as_map()["userName"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn lists_are_in_order() {
    assert_eq!(sorted("userName", "ascending"), ["a", "b", "C"]);
    assert_eq!(sorted("USERNAME", "Descending"), ["C", "b", "a"]);
    // With regard to case, capitals come first; who has none comes last, and first the other way round.
    assert_eq!(sorted("externalId", ""), ["C", "a", "b"]);
    assert_eq!(sorted("externalId", "descending"), ["b", "a", "C"]);
    assert_eq!(sorted("title", "ascending"), ["b", "a", "C"]);
    assert_eq!(sorted("title", "descending"), ["C", "b", "a"]);
    // The primary address counts.
    assert_eq!(sorted("emails", "ascending"), ["b", "a", "C"]);
    assert_eq!(sorted("emails.value", "descending"), ["C", "a", "b"]);
    assert_eq!(sorted("name.familyName", "ascending"), ["a", "b", "C"]);
    assert_eq!(sorted("active", "ascending"), ["C", "b", "a"]);
    assert_eq!(sorted("meta.created", "ascending"), ["b", "C", "a"]);
    assert_eq!(sorted("id", "descending"), ["a", "C", "b"]);
}

#[test]
fn v_19_nothing_is_sorted_by_what_there_is_not() {
    let code =
        |by: &str, order: Option<&str>| Sort::parse(Some(by), order, ResourceType::ALL).err().map(|e| e.code);
    let schema = "urn:ietf:params:scim:schemas:core:2.0:User";
    for by in ["password", "name", "addresses", "x", schema, "userName.x", "members", "Members.value"] {
        assert_eq!(code(by, None), Some("scim_sort_invalid"), "{by}");
    }
    assert_eq!(code("userName", Some("up")), Some("scim_sort_invalid"));
    assert_eq!(code("groups", None), None);
    assert_eq!(
        Sort::parse(Some("groups"), None, &[ResourceType::Group]).unwrap_err().code,
        "scim_sort_invalid"
    );
    assert_eq!(Sort::parse(None, Some("descending"), ResourceType::ALL), Ok(None));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn v_05_to_cut_twice_is_to_cut_once(
        names in vec(select(vec![
            "userName", "name", "name.givenName", "emails", "emails.value", "emails.type", "meta", "meta.version", "groups.$ref", "id",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "nothing", "members",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value", "schemas",
        ]), 0..5),
        excluded in any::<bool>(),
    ) {
        let list = names.join(",");
        let projection = if excluded { Projection::parse(None, Some(&list)) } else { Projection::parse(Some(&list), None) }.unwrap();
        let once = projection.apply(alice());
        prop_assert_eq!(projection.apply(once.clone()), once.clone());
        prop_assert!(once.as_map().contains_key("id") && once.as_map().contains_key("schemas"));
        let whole = alice();
        for (key, _) in once.as_map() {
            prop_assert!(whole.as_map().contains_key(key));
        }
        // What one leaves out, the other shows.
        if !names.is_empty() {
            let other = if excluded { Projection::parse(Some(&list), None) } else { Projection::parse(None, Some(&list)) }.unwrap();
            let other = other.apply(alice());
            for key in whole.as_map().keys() {
                prop_assert!(once.as_map().contains_key(key) || other.as_map().contains_key(key), "{}", key);
            }
        }
    }
}
