//! Encryption from end to end: sign-ins with IdPs that encrypt, what people see when it fails, what `saml inspect` says.
use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderMap;
use portcullis::{config::Overrides, demo::browser::Browser, demo::browser::Form, edge::cookies::SESSION};

use crate::{
    foreign_idp::{behind_with, response_of},
    inspect::{Desk, alice, assert_ends, json},
    saml::{
        forge::{self, Sign, Spec},
        seal::{Seal, pair},
    },
    support::{
        gateway::{BACKENDS, Backend, Setup, TestGateway, name_id},
        simplesamlphp::SimpleSaml,
    },
};

const KEYS: &str = "enterprise.example.saml.decryption_keys";

fn key_file(name: &str) -> String {
    format!("{}/fixtures/saml/keys/{name}.pem", env!("CARGO_MANIFEST_DIR"))
}

/// A gateway with these decryption keys, and the development IdP that encrypts to `to`.
async fn gateway(
    backend: Backend,
    keys: &[&str],
    to: Option<&str>,
    change: impl FnOnce(Overrides) -> Overrides + 'static,
) -> TestGateway {
    let mut setup = Setup::new(backend);
    setup.idp.encryption_certificate_pem = to.map(pair);
    let files: Vec<String> = keys.iter().map(|name| key_file(name)).collect();
    setup.change = Box::new(move |overrides| {
        change(if files.is_empty() { overrides } else { overrides.set(KEYS, files.join(",")) })
    });
    TestGateway::set_up(setup).await
}

/// Whichever of two keys the IdP encrypts to: the rollover of a key, from its first day to its last.
#[tokio::test(flavor = "multi_thread")]
async fn signs_in_while_keys_are_rolled_over() {
    for backend in BACKENDS {
        for to in ["sp-decryption", "sp-decryption-next"] {
            let keys = ["sp-decryption", "sp-decryption-next"];
            let gateway = gateway(backend, &keys, Some(to), |overrides| {
                overrides.set("enterprise.example.saml.encrypted", "true")
            })
            .await;
            let mut browser = Browser::new();
            let form = gateway.response_form(&mut browser, "alice").await;
            let response = response_of(&form);
            assert!(
                response.contains("<saml:EncryptedAssertion") && !response.contains("alice"),
                "{response}"
            );
            let page = browser.submit(&form).await.unwrap();
            assert_eq!(page.status, 200, "{}", page.body);
            let identity = gateway.identity(&mut browser).await.expect("a session");
            assert_eq!(identity["x-forwarded-user"], name_id("alice"));
            assert_eq!(gateway.organizations(&mut browser).await, ["octo-org"]);
            gateway.stop().await;
        }
    }
}

/// How often a reason was counted.
async fn refused(gateway: &TestGateway, reason: &str) -> bool {
    gateway.private("/metrics").await.body.lines().any(|line| {
        line.starts_with("portcullis_saml_responses_total") && line.contains(&format!("reason=\"{reason}\""))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_or_was_not_encrypted_opens_no_session() {
    let demand = |overrides: Overrides| overrides.set("enterprise.example.saml.encrypted", "true");
    let none = |overrides: Overrides| overrides;
    for (gateway, reason) in [
        (gateway(Backend::Embedded, &[], Some("sp-decryption"), none).await, "assertion_encrypted"),
        (
            gateway(Backend::Embedded, &["sp-decryption-next"], Some("sp-decryption"), none).await,
            "decryption_failed",
        ),
        (gateway(Backend::Embedded, &["sp-decryption"], None, demand).await, "assertion_not_encrypted"),
    ] {
        let mut browser = Browser::new();
        let page = gateway.sign_in(&mut browser, "alice").await;
        assert_eq!(page.status, 403, "{reason}: {}", page.body);
        assert_eq!(browser.cookie("localhost", SESSION), None);
        assert!(gateway.person(&name_id("alice")).await.is_none());
        assert!(refused(&gateway, reason).await, "{reason}");
        gateway.stop().await;
    }
}

/// The octets of the CipherValue that is `last` or first, changed.
fn changed(response: &str, last: bool, change: fn(&mut Vec<u8>)) -> String {
    let tag = "<xenc:CipherValue>";
    let at = if last { response.rfind(tag) } else { response.find(tag) }.expect("a CipherValue") + tag.len();
    let end = at + response[at..].find('<').expect("its end");
    let mut octets = BASE64_STANDARD.decode(&response[at..end]).expect("base64");
    change(&mut octets);
    format!("{}{}{}", &response[..at], BASE64_STANDARD.encode(octets), &response[end..])
}

/// What a browser sees, without what differs from one answer to the next.
fn seen(headers: &HeaderMap, body: &str) -> (Vec<(String, String)>, String) {
    let request_id = headers["x-request-id"].to_str().unwrap();
    let fields = headers.iter().filter(|(name, _)| *name != "date" && *name != "x-request-id");
    let fields = fields.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (fields.collect(), body.replace(request_id, "REQUEST"))
}

/// S-72: every way to fail looks alike to whoever sent the message, to the last octet, but for the id of the request.
#[tokio::test(flavor = "multi_thread")]
async fn s_72_failures_look_alike_over_http() {
    let mut setup = Setup::new(Backend::Embedded);
    // Signed within only, so that the ciphertext is anybody's to change.
    setup.idp.sign = portcullis::idp::Sign::Assertion;
    setup.idp.encryption_certificate_pem = Some(pair("sp-decryption"));
    setup.change = Box::new(|overrides| overrides.set(KEYS, key_file("sp-decryption")));
    let gateway = TestGateway::set_up(setup).await;
    let mut browser = Browser::new();
    let genuine = gateway.response_form(&mut browser, "alice").await;
    let response = response_of(&genuine);
    let strangers = Seal { to: "stranger", ..Seal::default() }.encrypted_key(true);
    let (from, to) =
        (response.find("<xenc:EncryptedKey>").unwrap(), response.find("</xenc:EncryptedKey>").unwrap());
    let failures = [
        changed(&response, false, |octets| octets[3] ^= 1),
        changed(&response, false, |octets| octets.truncate(255)),
        changed(&response, false, |octets| octets.fill(0xff)),
        changed(&response, true, |octets| octets[3] ^= 1),
        changed(&response, true, |octets| octets[99] ^= 1),
        changed(&response, true, |octets| octets.truncate(99)),
        changed(&response, true, Vec::clear),
        response.replace(&response[from..to + "</xenc:EncryptedKey>".len()], &strangers),
        response.replace("aes256-gcm", "aes128-gcm"),
        response.replace("aes256-gcm", "aes256-cbc"),
        response.replace("rsa-oaep-mgf1p", "rsa-1_5"),
        response.replace("rsa-oaep-mgf1p", "unknown"),
        response.replace("xmlenc#Element", "xmlenc#Content"),
        response
            .replace("<xenc:CipherValue>", "<xenc:CipherReference>")
            .replace("</xenc:CipherValue>", "</xenc:CipherReference>"),
    ];
    let mut looks = vec![];
    for failure in &failures {
        assert_ne!(*failure, response);
        let mut form: Form = genuine.clone();
        form.set("SAMLResponse", &BASE64_STANDARD.encode(failure));
        let page = browser.submit(&form).await.unwrap();
        assert_eq!(page.status, 403);
        assert_eq!(browser.cookie("localhost", SESSION), None);
        looks.push(seen(&page.headers, &page.body));
    }
    looks.dedup();
    assert_eq!(looks.len(), 1, "{looks:#?}");
    let count = format!(
        "portcullis_saml_responses_total{{result=\"refused\",reason=\"decryption_failed\"}} {}",
        failures.len()
    );
    let metrics = gateway.private("/metrics").await.body;
    assert!(metrics.contains(&count), "{metrics}");
    // Nothing of that consumed the request.
    assert_eq!(browser.submit(&genuine).await.unwrap().status, 200);
    gateway.stop().await;
}

/// SimpleSAMLphp encrypts with RSA-OAEP and AES-128-CBC: taken if the connection says so, under its signed Response.
#[tokio::test(flavor = "multi_thread")]
async fn simplesamlphp_encrypts() {
    let idp = SimpleSaml::start(&[("alice", "secret", &["octo-org"])]);
    for (backend, name_ids) in BACKENDS.into_iter().zip([false, true]) {
        for (allowed, status) in [("false", 403), ("true", 200)] {
            let gateway = behind_with(&idp, backend, move |overrides| {
                overrides
                    .set(KEYS, key_file("sp-decryption"))
                    .set("enterprise.example.saml.encrypted", "true")
                    .set("enterprise.example.saml.allow_padding_oracle_cbc", allowed)
            })
            .await;
            let (entity_id, acs) =
                (format!("{}/saml/metadata", gateway.url), format!("{}/saml/acs", gateway.url));
            idp.register_encrypting(&entity_id, &acs, &pair("sp-decryption"), name_ids);
            let mut browser = Browser::new();
            let form = idp.response_form(&mut browser, &gateway.url, "alice", "secret").await;
            let response = response_of(&form);
            assert!(response.contains("aes128-cbc") && !response.contains("alice"), "{response}");
            let page = browser.submit(&form).await.unwrap();
            assert_eq!(page.status, status, "{}", page.body);
            if allowed == "true" {
                let identity = gateway.identity(&mut browser).await.expect("a session");
                assert_eq!(identity["x-forwarded-user"], name_id("alice"));
                assert_eq!(gateway.organizations(&mut browser).await, ["octo-org"]);
            } else {
                assert_eq!(browser.cookie("localhost", SESSION), None);
                assert!(refused(&gateway, "decryption_failed").await);
            }
            gateway.stop().await;
        }
    }
}

#[test]
fn inspect_explains_the_decryption() {
    let desk = Desk::new("");
    let inspect = |xml: &str, keys: &[&str], format: &str| {
        let files: Vec<String> = keys.iter().map(|name| key_file(name)).collect();
        let mut command = desk.command();
        if !files.is_empty() {
            command.env("PORTCULLIS_ENTERPRISE_EXAMPLE_SAML_DECRYPTION_KEYS", files.join(","));
        }
        let arguments = ["--at", forge::NOW, "--request-id", forge::REQUEST, "--format", format];
        command.arg(desk.file(xml.as_bytes())).args(arguments).output().unwrap()
    };
    let xml = Seal::default().response(&Spec { sign_response: Some(Sign::default()), ..alice() });
    let text = assert_ends(&inspect(&xml, &["sp-decryption"], "text"), 0);
    let checks: Vec<&str> = text.lines().filter(|line| line.starts_with("  ok ")).collect();
    assert!(checks[4].contains("structure            one Response, one EncryptedAssertion"), "{text}");
    assert!(checks[5].contains("signature structure  Response RSA with SHA-256"), "{text}");
    assert!(
        checks[8].contains("decryption           EncryptedAssertion: AES-256-GCM under RSA-OAEP"),
        "{text}"
    );
    assert!(checks[9].contains("signature structure  Assertion RSA with SHA-256"), "{text}");

    let other = json(&inspect(&xml, &["sp-decryption-next"], "json"), 1);
    assert_eq!(other["reason"]["code"], "decryption_failed");
    let none = json(&inspect(&xml, &[], "json"), 1);
    assert_eq!(none["reason"]["code"], "assertion_encrypted");
    assert!(none["reason"]["hint"].as_str().unwrap().contains("decryption_keys"));
    // What is wrong with the plaintext is said of the plaintext.
    let unsigned = Seal::default().response(&Spec { sign_assertion: None, ..alice() });
    let unsigned = json(&inspect(&unsigned, &["sp-decryption"], "json"), 1);
    assert_eq!(unsigned["reason"]["code"], "signature_missing");
    let checks = unsigned["checks"].as_array().unwrap();
    let outcomes: Vec<_> = checks
        .iter()
        .map(|check| (check["name"].as_str().unwrap(), check["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(
        outcomes[4..8],
        [
            ("structure", "passed"),
            ("decryption", "passed"),
            ("signature_structure", "failed"),
            ("signature_value", "not_reached"),
        ]
    );
    assert_eq!(checks[6]["detail"], "in what was decrypted");
}
