//! What the core accepts, python3-saml accepts, and reads the same name, groups and session from it.
use std::{
    fs,
    io::{Read, Write},
    path::Path,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use portcullis::saml::VerifiedAssertion;
use serde_json::{Value, json};

use super::trees::{Dice, mutated};
use crate::{
    saml::forge::{self, judge, usual_connection},
    support::python,
};

/// It allows no skew for a confirmation, and more than ours for conditions: it is asked where both are inside.
const WITHOUT_SKEW: (&str, &str) = ("within-the-clock-skew", "2026-01-15T11:59:00Z");
/// Its schemas, not its checks, refuse these: an `InclusiveNamespaces` in a CanonicalizationMethod, a type with a prefix that
/// is not bound, text in a StatusDetail.
const AGAINST_THE_SCHEMA: &[&str] =
    &["S-23-nil-and-mixed-values", "prefix-list-of-signed-info", "typed-values", "unsigned-status-detail"];
/// What it does not have: encrypted attributes, keys beside the content or for several recipients, a second decryption key,
/// digests other than SHA-1 for RSA-OAEP (they come with xmlsec1 1.3).
const BEYOND_IT: &[&str] = &[
    "encrypted-attribute",
    "encrypted-for-another-recipient-too",
    "encrypted-key-beside",
    "encrypted-mgf1p-sha512",
    "encrypted-oaep-defaults",
    "encrypted-oaep-sha1-mgf1-sha512",
    "encrypted-oaep-sha256-mgf1-sha1",
    "encrypted-oaep-sha256-mgf1-sha256",
    "encrypted-to-the-next-key",
];
/// Mutated copies of each accepted response.
const MUTATED: u64 = 200;

struct Asked {
    name: String,
    octets: Vec<u8>,
    now: String,
    strict: bool,
}

/// The answer to each, in order.
fn ask(asked: &[Asked]) -> Vec<Value> {
    let settings = forge::settings(&["idp-rsa", "idp-p256", "idp-p384"]);
    let responses: Vec<Value> = asked
        .iter()
        .map(|asked| {
            let base64 = BASE64_STANDARD.encode(&asked.octets);
            json!({ "base64": base64, "now": asked.now, "strict": asked.strict })
        })
        .collect();
    let certificates: Vec<_> =
        settings.certificates.iter().map(|pem| String::from_utf8_lossy(pem).into_owned()).collect();
    let question = json!({
        "entity_id": settings.entity_id,
        "acs_url": forge::ACS,
        "idp_entity_id": settings.idp_entity_id,
        "sso_url": settings.sso_url,
        "certificates": certificates,
        "request_id": forge::REQUEST,
        "private_key": private_key(),
        "responses": responses,
    });
    let mut child = python::spawn("tests/it/differential/python3_saml.py");
    let mut input = child.stdin.take().expect("stdin");
    input.write_all(question.to_string().as_bytes()).expect("asked");
    drop(input);
    let mut answers = String::new();
    child.stdout.take().expect("stdout").read_to_string(&mut answers).expect("answers");
    assert!(child.wait().expect("its end").success());
    let answers: Vec<Value> = serde_json::from_str(&answers).expect("JSON");
    assert_eq!(answers.len(), asked.len());
    answers
}

/// The key of the file that fixtures are encrypted to.
fn private_key() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys/sp-decryption.pem");
    let pem = fs::read_to_string(path).expect("a file");
    let from = pem.find("-----BEGIN PRIVATE KEY").expect("a private key");
    let end = "-----END PRIVATE KEY-----";
    let to = pem.find(end).expect("its end") + end.len();
    pem[from..to].to_owned()
}

/// What python3-saml should have said. It trims values.
fn expected(verified: &VerifiedAssertion) -> Value {
    let mut attributes = serde_json::Map::new();
    for attribute in verified.attributes() {
        let values = attributes.entry(attribute.name.clone()).or_insert_with(|| json!([]));
        let trimmed = attribute.values.iter().map(|value| Value::from(value.trim()));
        values.as_array_mut().expect("a list").extend(trimmed);
    }
    json!({
        "name_id": verified.name_id().value.trim(),
        "session_index": verified.session_index(),
        "attributes": attributes,
    })
}

/// Names every response that it refuses or reads otherwise.
fn disagreements(asked: &[Asked]) -> Vec<String> {
    let connection = usual_connection();
    let mut found = vec![];
    for (asked, mut answer) in asked.iter().zip(ask(asked)) {
        let verified = judge(&connection, &asked.octets).expect("accepted");
        if let Some(answer) = answer.as_object_mut() {
            answer.remove("format");
            // What the core does not read as text, nobody takes identity from (S-23).
            if let Some(attributes) = answer.get_mut("attributes").and_then(Value::as_object_mut) {
                attributes.retain(|name, _| !verified.structured_attributes().contains(name));
            }
        }
        if answer != expected(&verified) {
            found.push(format!("{}: {answer} instead of {}", asked.name, expected(&verified)));
        }
    }
    found
}

/// Every accepted fixture but those beyond it.
fn accepted() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/saml/accept");
    let entries = fs::read_dir(folder).expect("the fixtures");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let mut all: Vec<_> = files
        .map(|path| {
            let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
            (name, fs::read(&path).expect("a fixture"))
        })
        .filter(|(name, _)| !BEYOND_IT.contains(&name.as_str()))
        .collect();
    all.sort();
    all
}

#[test]
fn python3_saml_accepts_what_is_accepted() {
    let asked = accepted().into_iter().map(|(name, octets)| {
        let now = if name == WITHOUT_SKEW.0 { WITHOUT_SKEW.1 } else { forge::NOW };
        let strict = !AGAINST_THE_SCHEMA.contains(&name.as_str());
        Asked { name, octets, now: now.into(), strict }
    });
    let found = disagreements(&asked.collect::<Vec<_>>());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Only signatures and values: its schema refuses what the core leaves alone outside of what was signed.
#[test]
fn python3_saml_reads_the_same_from_mutated_responses() {
    let connection = usual_connection();
    let mut asked = vec![];
    for (place, (name, octets)) in accepted().into_iter().enumerate() {
        for seed in 0..MUTATED {
            let octets = mutated(&octets, &mut Dice::new(seed << 8 | place as u64));
            if judge(&connection, &octets).is_ok() {
                asked.push(Asked {
                    name: format!("{name} {seed}"),
                    octets,
                    now: forge::NOW.into(),
                    strict: false,
                });
            }
        }
    }
    assert!(asked.len() > 100, "only {} mutated responses are accepted", asked.len());
    let found = disagreements(&asked);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// The oracle can say no.
#[test]
fn python3_saml_refuses_what_was_changed() {
    let xml = forge::Spec::default().xml();
    let changed = xml.replace("alice@", "mallory@");
    let asked = [changed.into_bytes(), b"<a/>".to_vec()].map(|octets| Asked {
        name: String::new(),
        octets,
        now: forge::NOW.into(),
        strict: false,
    });
    for answer in ask(&asked) {
        assert!(answer["error"].is_string(), "{answer}");
    }
}
