//! What the API never says, and what it never changes.
use std::collections::BTreeSet;

use openssl::{base64::encode_block, sha::sha256};
use portcullis::api::ROUTES;
use serde_json::{Value, json};

use super::{client::Credential, world::World};
use crate::support::gateway::Backend;

/// The forms in which a secret could come back.
fn forms(secret: &str) -> Vec<String> {
    let hash = sha256(secret.as_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let base64 = encode_block(&hash);
    let url = base64.trim_end_matches('=').replace('+', "-").replace('/', "_");
    vec![secret.to_owned(), hex.to_uppercase(), hex, base64, url]
}

/// The names of all fields.
fn names(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                into.insert(name.clone());
                names(value, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, into)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_05_no_secret_is_read_back() {
    let world = World::new(Backend::Embedded).await;
    let made = world.make_token(&world.mia, &["api:read"], &["octo-org"]).await;
    let (token, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
    let olga = world.by(&world.olga);
    let invited = olga.post("/orgs/octo-org/invitations", &json!({ "email": "carol@example.com" })).await;
    assert_eq!(invited.status, 201, "{}", invited.text);
    let secrets: Vec<String> = [token, world.mia.secret(), world.boss.secret()]
        .into_iter()
        .flat_map(forms)
        // A session is named by its id, which is its hash: that opens nothing.
        .filter(|form| *form != world.mia.session.to_string() && *form != world.boss.session.to_string())
        .collect();
    let path = |path: &str| {
        path.replace("{org}", "octo-org")
            .replace("{person}", &world.mia.id.to_string())
            .replace("{token}", id)
            .replace("{invitation}", invited.json()["id"].as_str().unwrap())
    };
    let (mut read, mut fields) = (0, BTreeSet::new());
    for client in [world.by(&world.boss), world.by(&world.mia), olga] {
        for route in ROUTES.iter().filter(|route| route.method == "GET") {
            let answer = client.get(&path(route.path)).await;
            if answer.status != 200 || route.path == "/openapi.json" {
                continue;
            }
            read += 1;
            for secret in &secrets {
                assert!(!answer.text.contains(secret), "{}: {}", route.path, answer.text);
            }
            names(&answer.json(), &mut fields);
        }
    }
    assert!(read > 20, "{read}");
    let secret = ["secret", "hash", "password", "private", "token"];
    let named: Vec<_> =
        fields.iter().filter(|field| secret.iter().any(|word| field.contains(word))).collect();
    // The last eight characters are for people to tell tokens apart.
    let fine = |name: &&&String| ["token_last_eight", "tokens", "token_id"].contains(&name.as_str());
    assert!(named.iter().all(|name| fine(&name)), "{named:?}");
    world.gateway.stop().await;
}

/// How people sign in stands in a file: no call takes a word about it, and none is served that would.
#[tokio::test(flavor = "multi_thread")]
async fn a_02_no_call_changes_how_people_sign_in() {
    let world = World::new(Backend::Embedded).await;
    let document = world.client(Credential::Nothing).get("/openapi.json").await.json();
    let mut taken = BTreeSet::new();
    for route in ROUTES {
        if let Some(body) = route.takes {
            let schema = &document["components"]["schemas"][body];
            assert_eq!(schema["additionalProperties"], false, "{body}");
            taken.extend(schema["properties"].as_object().unwrap().keys().cloned());
        }
    }
    let words =
        ["saml", "idp", "sso", "certificate", "key", "metadata", "entity", "acs", "audience", "connection"];
    let about = |text: &str| words.iter().any(|word| text.contains(word));
    assert!(taken.len() > 5 && !taken.iter().any(|field| about(field)), "{taken:?}");
    assert!(ROUTES.iter().all(|route| route.method == "GET" || !about(route.path)));
    world.gateway.stop().await;
}
