//! What identity providers send, request by request, with what they must be answered and what must have become of it:
//! `fixtures/scim/dialects`, whose README says what may stand in a file.
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::world::World;
use crate::support::gateway::{BACKENDS, Backend};

/// Attempts at a sign-in, half a second apart.
const SIGN_INS_MAX: usize = 20;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scim/dialects")
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Whether `found` has everything that `expected` has: objects may have more, arrays not. `null` stands for what is not there.
fn fits(expected: &Value, found: Option<&Value>) -> Result<(), String> {
    let wrong = || Err(format!("expected {expected}, found {found:?}"));
    match (expected, found) {
        (Value::Null, None) => Ok(()),
        (Value::Object(fields), Some(Value::Object(found))) => fields.iter().try_for_each(|(name, value)| {
            fits(value, found.get(name)).map_err(|why| format!("{name}: {why}"))
        }),
        (Value::Array(items), Some(Value::Array(found))) if items.len() == found.len() => {
            items.iter().zip(found).try_for_each(|(item, found)| fits(item, Some(found)))
        }
        (expected, Some(found)) if expected == found && !expected.is_null() => Ok(()),
        _ => wrong(),
    }
}

/// The step with what was saved in the place of `{{name}}`.
fn resolved(step: &Value, saved: &BTreeMap<String, String>) -> Value {
    let text = saved
        .iter()
        .fold(step.to_string(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value));
    assert!(!text.contains("{{"), "what is not saved: {text}");
    serde_json::from_str(&text).unwrap()
}

async fn play(world: &World, step: &Value, saved: &mut BTreeMap<String, String>) {
    let step = resolved(step, saved);
    let case = step["say"].as_str().unwrap_or_default().to_owned();
    if let Some(person) = step["sign_in"].as_str() {
        let owed = step["status"].as_u64().unwrap_or(200);
        let mut status = world.sign_in(person).await.status;
        // A13: an assertion of the very second of the last word about somebody counts as issued before it.
        for _ in 0..SIGN_INS_MAX {
            if owed != 200 || status == 200 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            status = world.sign_in(person).await.status;
        }
        assert_eq!(u64::from(status.as_u16()), owed, "{case}");
    }
    if let Some(request) = step["request"].as_str() {
        let (method, path) = request.split_once(' ').unwrap();
        let mut fields = vec![];
        if !step["body"].is_null() {
            fields.push(("content-type", step["content_type"].as_str().unwrap_or("application/scim+json")));
        }
        if let Some(accept) = step["accept"].as_str() {
            fields.push(("accept", accept));
        }
        let body = if step["body"].is_null() { vec![] } else { step["body"].to_string().into_bytes() };
        let answer = world.scim.raw(method, path, &fields, body).await;
        let shown = format!("{case}: {request}: {}", answer.text);
        assert_eq!(u64::from(answer.status.as_u16()), step["status"].as_u64().unwrap(), "{shown}");
        if answer.status.as_u16() >= 400 {
            answer.is_error(answer.status.as_u16(), step["scim_type"].as_str());
        }
        if !step["expect"].is_null() {
            fits(&step["expect"], Some(&answer.json())).unwrap_or_else(|why| panic!("{shown}: {why}"));
        }
        for (name, pointer) in step["save"].as_object().into_iter().flatten() {
            let json = answer.json();
            let value = json.pointer(pointer.as_str().unwrap()).and_then(Value::as_str);
            saved.insert(name.clone(), value.unwrap_or_else(|| panic!("{shown}: no {name}")).to_owned());
        }
        for (name, value) in step["answer_fields"].as_object().into_iter().flatten() {
            assert_eq!(answer.field(name), value.as_str().unwrap(), "{shown}: {name}");
        }
    }
    check_state(world, &step["state"], &case).await;
}

async fn check_state(world: &World, state: &Value, case: &str) {
    for (name, expected) in state.as_object().into_iter().flatten() {
        if name == "mails" {
            assert_eq!(world.mails().await as u64, expected.as_u64().unwrap(), "{case}: mails");
            continue;
        }
        if !expected["invited"].is_null() {
            assert_eq!(world.invited(name).await, texts(&expected["invited"]), "{case}: invited to {name}");
        }
        if !expected["members"].is_null() {
            let mut members = vec![];
            for id in world.gateway.members(name).await {
                let found = world
                    .directory()
                    .person(world.gateway.enterprise(), id, portcullis::domain::Timestamp::now())
                    .await;
                members.push(found.unwrap().unwrap().profile.user);
            }
            members.sort();
            assert_eq!(members, texts(&expected["members"]), "{case}: members of {name}");
        }
    }
}

async fn play_file(file: &Path, backend: Backend) {
    let text = std::fs::read_to_string(file).unwrap();
    let scenario: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let settings: Vec<(String, String)> = scenario["settings"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (format!("enterprise.example.{key}"), value.as_str().unwrap().to_owned()))
        .collect();
    let world = World::with(backend, |overrides| {
        settings.into_iter().fold(overrides, |all, (key, value)| all.set(&key, value))
    })
    .await;
    let mut saved = BTreeMap::new();
    for step in scenario["steps"].as_array().unwrap() {
        play(&world, step, &mut saved).await;
    }
    world.stop().await;
}

/// Every file of a dialect's folder, on both stores.
async fn play_all(dialect: &str) {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder().join(dialect)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{dialect} has no scenario");
    for file in files {
        for backend in BACKENDS {
            println!("{} on {backend:?}", file.display());
            play_file(&file, backend).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entra_as_it_comes() {
    play_all("entra").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entra_with_its_compliance_flag() {
    play_all("entra-flag").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_22_entra_s_validator_by_the_names_of_its_cases() {
    play_all("entra-validator").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn okta_by_an_application_of_its_network() {
    play_all("okta-oin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn okta_by_an_application_of_the_wizard() {
    play_all("okta-aiw").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn onelogin() {
    play_all("onelogin").await;
}

#[test]
fn what_is_expected_can_be_missed() {
    let found = serde_json::json!({ "a": 1, "b": [{ "c": "x", "d": 2 }] });
    let check = |expected: Value| fits(&expected, Some(&found)).is_ok();
    assert!(check(serde_json::json!({ "b": [{ "c": "x" }], "z": null })));
    for wrong in [
        serde_json::json!({ "a": 2 }),
        serde_json::json!({ "a": null }),
        serde_json::json!({ "b": [] }),
        serde_json::json!({ "b": [{ "c": "y" }] }),
        serde_json::json!({ "z": 1 }),
    ] {
        assert!(!check(wrong.clone()), "{wrong}");
    }
}
