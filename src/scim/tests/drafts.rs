//! What becomes of the bodies of POST and PUT: `fixtures/scim/drafts.json`.
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::scim::limits::{KEY_TEXT_BYTES_MAX, RESOURCE_BYTES_MAX, VALUES_MAX};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "user")]
    kind: String,
    body: Value,
    /// What is stored, or the code of the refusal.
    #[serde(default)]
    stored: Value,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    members: Option<Vec<String>>,
    #[serde(default)]
    groups: Option<Vec<String>>,
}

fn user() -> String {
    "User".to_owned()
}

#[test]
fn v_05_v_06_v_22_bodies_become_what_is_stored() {
    for case in fixture::<Vec<Case>>("drafts.json") {
        let name = &case.name;
        match draft(kind(&case.kind), &case.body) {
            Ok(draft) => {
                assert_eq!(None, case.error.as_deref(), "{name}");
                assert_eq!(stored(draft.resource()), case.stored, "{name}");
                let members =
                    draft.members.map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>());
                assert_eq!(members, case.members, "{name}");
                assert_eq!(draft.groups, case.groups, "{name}");
            }
            Err(error) => assert_eq!(Some(error.code), case.error.as_deref(), "{name}: {error:?}"),
        }
    }
}

#[test]
fn what_is_stored_is_read_again() {
    for case in fixture::<Vec<Case>>("drafts.json") {
        if let Ok(draft) = draft(kind(&case.kind), &case.body) {
            let made = draft.create();
            assert_eq!(Resource::from_stored(made.kind(), &made.to_stored()).unwrap(), made);
            // What is shown can be sent back and changes nothing.
            let shown = made.document(&server(1, &Version::of_count(1), &[]));
            let again = Draft::parse(made.kind(), shown.to_json().as_bytes()).unwrap();
            assert_eq!(again.replace(&made), made, "{}", case.name);
        }
    }
}

#[test]
fn v_22_silence_switches_nobody_on() {
    let alice = |active: Value| json!({ "userName": "alice", "active": active });
    let off = resource(ResourceType::User, &alice(json!("False")));
    assert_eq!(off.active(), Some(false));
    let silent = || draft(ResourceType::User, &json!({ "userName": "alice", "title": "t" })).unwrap();
    assert_eq!(silent().create().active(), Some(true));
    assert_eq!(silent().replace(&off).active(), Some(false));
    let null = draft(ResourceType::User, &alice(Value::Null)).unwrap();
    assert_eq!(null.replace(&off).active(), Some(false));
    let on = draft(ResourceType::User, &alice(json!(true))).unwrap();
    assert_eq!(on.replace(&off).active(), Some(true));
}

#[test]
fn v_18_resources_are_bounded() {
    let code = |kind, body: Value| draft(kind, &body).err().map(|error| error.code);
    let user = |name: &str, value: Value| {
        let mut body = json!({ "userName": "alice" });
        body[name] = value;
        code(ResourceType::User, body)
    };
    let emails = |count: usize| (0..count).map(|n| format!("a{n}@example.com")).collect::<Vec<_>>();
    assert_eq!(user("emails", emails(VALUES_MAX).into()), None);
    assert_eq!(user("emails", emails(VALUES_MAX + 1).into()), Some("scim_values_too_many"));
    assert_eq!(user("emails", vec!["a@example.com"; VALUES_MAX + 1].into()), Some("scim_values_too_many"));
    assert_eq!(user("externalId", "x".repeat(KEY_TEXT_BYTES_MAX).into()), None);
    assert_eq!(user("externalId", "x".repeat(KEY_TEXT_BYTES_MAX + 1).into()), Some("scim_text_too_long"));
    let name = json!({ "displayName": "x".repeat(KEY_TEXT_BYTES_MAX + 1) });
    assert_eq!(code(ResourceType::Group, name), Some("scim_text_too_long"));
    let photos = vec!["x".repeat(60 * 1024); RESOURCE_BYTES_MAX / (60 * 1024)];
    let photos: Vec<String> = photos.iter().enumerate().map(|(n, photo)| format!("{photo}{n}")).collect();
    assert_eq!(user("photos", photos.clone().into()), None);
    let more: Vec<String> = photos.into_iter().chain(["x".repeat(60 * 1024)]).collect();
    assert_eq!(user("photos", more.into()), Some("scim_resource_too_large"));
}

#[test]
fn invitations_go_to_the_primary_address_or_the_first() {
    let emails = |emails: Value| resource(ResourceType::User, &json!({ "userName": "a", "emails": emails }));
    let primary = |value: Value| emails(value).primary_email().map(str::to_owned);
    assert_eq!(
        primary(json!(["a@example.com", { "value": "b@example.com", "primary": "True" }])),
        Some("b@example.com".into())
    );
    assert_eq!(primary(json!(["a@example.com", "b@example.com"])), Some("a@example.com".into()));
    assert_eq!(primary(json!([{ "type": "work" }])), None);
    assert_eq!(emails(json!(["a@example.com", "A@Example.com"])).emails().count(), 1);
}
