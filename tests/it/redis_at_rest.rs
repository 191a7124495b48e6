//! What lies in Redis once people have signed in: no secret that opens anything, and nothing that stays for ever without
//! being counted.
use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis::demo::browser::Browser;

use crate::support::{
    gateway::{Backend, TestGateway},
    redis::RedisServer,
};

/// Shorter pieces of a cookie are no secrets.
const SECRET_CHARS_MIN: usize = 20;
/// The ends of keys that hold people, organizations, invitations, what is to be mailed and approved, and the audit stream: as
/// many as there are of those. Everything else must go by itself.
const LASTING: [&str; 6] = [":p", ":o", ":om", ":unowned", ":people", ":orgs"];

/// Every key with its whole content, as the server shows it.
async fn dump(server: &RedisServer) -> Vec<(String, Vec<u8>)> {
    let mut dump = vec![];
    for key in server.run::<Vec<String>>(&["KEYS", "*"]).await {
        let content = match server.run::<String>(&["TYPE", &key]).await.as_str() {
            "string" => server.run::<Vec<u8>>(&["GET", &key]).await,
            "zset" => server.run::<Vec<Vec<u8>>>(&["ZRANGE", &key, "0", "-1"]).await.concat(),
            "stream" => {
                let entries: Vec<(String, Vec<Vec<u8>>)> = server.run(&["XRANGE", &key, "-", "+"]).await;
                entries.into_iter().flat_map(|(_, fields)| fields.concat()).collect()
            }
            // It went since.
            "none" => continue,
            other => panic!("{key} is a {other}"),
        };
        dump.push((key, content));
    }
    assert!(!dump.is_empty());
    dump
}

/// The long pieces of all cookies of the gateway, as they are and decoded.
fn secrets(browser: &Browser) -> Vec<Vec<u8>> {
    let mut secrets = vec![];
    for name in browser.cookie_names("localhost") {
        let value = browser.cookie("localhost", name).unwrap();
        for piece in value.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_') {
            if piece.len() >= SECRET_CHARS_MIN {
                secrets.push(piece.as_bytes().to_vec());
                secrets.extend(URL_SAFE_NO_PAD.decode(piece));
                secrets.extend(hex(piece));
            }
        }
    }
    secrets
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let bytes = (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok());
    bytes.collect()
}

fn contains(content: &[u8], secret: &[u8]) -> bool {
    content.windows(secret.len()).any(|window| window == secret)
}

#[tokio::test(flavor = "multi_thread")]
async fn r_05_redis_holds_hashes_and_no_secrets() {
    let gateway = TestGateway::start(Backend::Redis).await;
    let server = &gateway.redis.as_ref().unwrap().server;
    let mut browser = Browser::new();
    let response = gateway.response_form(&mut browser, "alice").await;
    let mut found = secrets(&browser);
    assert!(!found.is_empty(), "the browser holds a handle of its request");
    let mut dumps = dump(server).await;
    browser.submit(&response).await.unwrap();
    let of_session = secrets(&browser);
    assert!(of_session.iter().any(|secret| !found.contains(secret)), "and now a session's token");
    found.extend(of_session);
    dumps.extend(dump(server).await);
    for (key, content) in dumps {
        for secret in &found {
            let shown = String::from_utf8_lossy(secret);
            assert!(!contains(key.as_bytes(), secret) && !contains(&content, secret), "{key} holds {shown}");
        }
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_07_what_is_no_membership_has_a_time_to_live() {
    let gateway = TestGateway::start(Backend::Redis).await;
    let server = &gateway.redis.as_ref().unwrap().server;
    let mut before = BTreeSet::new();
    for round in 0..4 {
        let mut browser = Browser::new();
        gateway.sign_in(&mut browser, "alice").await;
        // Somebody who never comes back from the IdP.
        gateway.response_form(&mut Browser::new(), "alice").await;
        let mut lasting = BTreeSet::new();
        for key in server.run::<Vec<String>>(&["KEYS", "*"]).await {
            if server.run::<i64>(&["PTTL", &key]).await == -1 {
                let kind = &key[key.find('}').map_or(0, |end| end + 1)..];
                let is_stream = kind == ":audit" || kind == ":audit:head";
                let is_counted = LASTING
                    .iter()
                    .any(|lasting| kind == *lasting || kind.starts_with(&format!("{lasting}:")));
                assert!(is_stream || is_counted, "{key} stays for ever");
                lasting.insert(key);
            }
        }
        assert!(round == 0 || lasting == before, "more sign-ins, more keys: {lasting:?}");
        before = lasting;
    }
    gateway.stop().await;
}
