//! `saml inspect`, the program itself: what it says of a response, and with which exit code.
use std::{
    path::PathBuf,
    process::{Command, Output},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use portcullis::{demo::browser::Browser, saml::Check};
use serde_json::Value;

use crate::{
    saml::forge::{self, Spec, attribute, audience},
    support::gateway::{Backend, TestGateway, name_id},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A folder with the configuration that the forged responses are meant for.
pub struct Desk(pub tempfile::TempDir);

impl Desk {
    pub fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            r#"public_url = "https://sp.example.com"
[store]
kind = "embedded"
[enterprise.example]
provisioning = true
deprovisioning = true
organizations = ["hubot-lab", "octo-org"]
mappings = [{{ group = "octo-org-owners", organization = "octo-org", role = "owner" }}]
[enterprise.example.saml]
idp_entity_id = "{}"
sso_url = "https://idp.example.com/sso"
certificates = ["{ROOT}/fixtures/saml/keys/idp-rsa.cert.pem"]
[route.app]
path = "/"
origin = "http://127.0.0.1:8082"
enterprise = "example"
{more}"#,
            forge::IDP
        );
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        Self(folder)
    }

    pub fn file(&self, content: &[u8]) -> PathBuf {
        let path = self.0.path().join("captured");
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["saml", "inspect"]).current_dir(self.0.path());
        command
    }

    /// Inspects at the time of the forged responses, with their request outstanding.
    pub fn inspect(&self, content: &[u8], arguments: &[&str]) -> Output {
        let usual = ["--at", forge::NOW, "--request-id", forge::REQUEST];
        self.command().arg(self.file(content)).args(usual).args(arguments).output().unwrap()
    }
}

/// What the program wrote on standard output, which must be all that it wrote.
#[track_caller]
pub fn assert_ends(output: &Output, code: i32) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout:\n{out}\nstderr:\n{err}");
    assert_eq!(err, "");
    out.into_owned()
}

#[track_caller]
pub fn json(output: &Output, code: i32) -> Value {
    serde_json::from_str(&assert_ends(output, code)).unwrap()
}

/// Alice with groups of each kind.
pub fn alice() -> Spec {
    let mut spec = Spec::default();
    spec.attributes += &attribute("groups", &["octo-org", "octo-org-owners", "everyone"]);
    spec
}

#[test]
fn an_accepted_response_as_text() {
    let desk = Desk::new("");
    let form = BASE64_STANDARD.encode(alice().xml());
    insta::assert_snapshot!(assert_ends(&desk.inspect(form.as_bytes(), &[]), 0), @r#"
    ACCEPTED
      The gateway would sign alice@example.com in.

      judged                    at 2026-01-15T12:00:00Z, for the enterprise example

    Checks
      ok   encoding             base64 of 2999 bytes
      ok   characters           UTF-8, no DTD, no processing instruction
      ok   well formed          34 elements
      ok   identifiers          unique
      ok   structure            one Response, one Assertion
      ok   signature structure  Assertion RSA with SHA-256
      ok   signature value      verified with a certificate of the connection
      ok   digest               1407 canonical bytes
      ok   decryption           nothing is encrypted
      ok   fields               read from what the signatures cover
      ok   status               Success
      ok   issuer               https://idp.example.com/metadata
      ok   destination          https://sp.example.com/saml/acs
      ok   in response to       _f0e1d2c3b4a5968778695a4b3c2d1e0f
      ok   issue instant        2026-01-15T11:59:58.123Z
      ok   subject              alice@example.com
                                (urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified)
      ok   subject confirmation bearer, until 2026-01-15T12:05:00Z
      ok   conditions           valid until 2026-01-15T12:05:00Z
      ok   audience             https://sp.example.com/saml/metadata
      ok   authn statement      signed in at 2026-01-15T11:50:00Z by
                                urn:oasis:names:tc:SAML:2.0:ac:classes:Password
      ok   attributes           2 attributes

    Person
      NameID                    alice@example.com
      format                    urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified
      identified by             the NameID
      person                    4d69727cefbb97b5d2d3e8419b7ef511
      signed in at              2026-01-15T11:50:00Z
      session index             _session

    Attributes
      mail                      alice@example.com
      groups                    octo-org
                                octo-org-owners
                                everyone

    Groups  (present)
      octo-org                  member of octo-org
      octo-org-owners           owner of octo-org
      These stand for no organization:
        everyone

    Plan
      + join octo-org as owner
    "#);
}

/// The checks stand in the text's snapshot: for the shape of the JSON the first is enough.
fn with_one_check(text: &str) -> String {
    let (start, rest) = text.split_once("\n    },\n    {").unwrap();
    let (_, end) = rest.split_once("\n  ],\n").unwrap();
    format!("{start}\n    }},\n    ...\n  ],\n{end}")
}

#[test]
fn an_accepted_response_as_json() {
    let desk = Desk::new("");
    let output = desk.inspect(alice().xml().as_bytes(), &["--format", "json"]);
    let text = with_one_check(&assert_ends(&output, 0));
    let (head, tail) = text.split_at(text.find("  \"groups\": {").unwrap());
    insta::assert_snapshot!(head, @r#"
    {
      "verdict": "accepted",
      "reason": null,
      "checks": [
        {
          "name": "encoding",
          "outcome": "passed",
          "detail": "given as XML, no base64 to decode"
        },
        ...
      ],
      "claims": {
        "subject": {
          "key": "name_id",
          "value": "alice@example.com",
          "person": "4d69727cefbb97b5d2d3e8419b7ef511"
        },
        "name_id": {
          "value": "alice@example.com",
          "format": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
        },
        "session_index": "_session",
        "authn_instant": "2026-01-15T11:50:00Z",
        "session_not_on_or_after": null,
        "attributes": [
          {
            "name": "mail",
            "values": [
              "alice@example.com"
            ]
          },
          {
            "name": "groups",
            "values": [
              "octo-org",
              "octo-org-owners",
              "everyone"
            ]
          }
        ]
      },
    "#);
    assert_groups_and_plan(tail);
}

#[track_caller]
fn assert_groups_and_plan(text: &str) {
    insta::assert_snapshot!(text, @r#"
      "groups": {
        "state": "present",
        "matched": [
          {
            "group": "octo-org",
            "organization": "octo-org",
            "role": "member"
          },
          {
            "group": "octo-org-owners",
            "organization": "octo-org",
            "role": "owner"
          }
        ],
        "unmatched": [
          "everyone"
        ]
      },
      "plan": [
        {
          "change": "join",
          "organization": "octo-org",
          "role": "owner"
        }
      ]
    }
    "#);
}

#[test]
fn every_check_of_an_accepted_response_has_passed_once() {
    let report = json(&Desk::new("").inspect(alice().xml().as_bytes(), &["--format", "json"]), 0);
    let checks = report["checks"].as_array().unwrap();
    for check in checks {
        assert_eq!(check.as_object().unwrap().keys().collect::<Vec<_>>(), ["detail", "name", "outcome"]);
        assert_eq!(check["outcome"], "passed");
    }
    let names: Vec<_> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, Check::ALL.iter().map(|check| check.name()).collect::<Vec<_>>());
}

#[test]
fn a_refused_response_as_text() {
    let desk = Desk::new("");
    let mut spec = alice();
    spec.restrictions = Some(audience(&["https://other.example.com/saml/metadata"]));
    insta::assert_snapshot!(assert_ends(&desk.inspect(spec.xml().as_bytes(), &[]), 1), @r#"
    REFUSED  audience_mismatch
      The assertion is meant for another audience.

      expected                  https://sp.example.com/saml/metadata
      found                     https://other.example.com/saml/metadata
      clause                    SAML Core 2.5.1.4
      what to do                Make the audience (also called SP entity id) at the identity provider
                                equal to the connection's entity id, byte for byte.
      judged                    at 2026-01-15T12:00:00Z, for the enterprise example

    Checks
      ok   encoding             given as XML, no base64 to decode
      ok   characters           UTF-8, no DTD, no processing instruction
      ok   well formed          34 elements
      ok   identifiers          unique
      ok   structure            one Response, one Assertion
      ok   signature structure  Assertion RSA with SHA-256
      ok   signature value      verified with a certificate of the connection
      ok   digest               1410 canonical bytes
      ok   decryption           nothing is encrypted
      ok   fields               read from what the signatures cover
      ok   status               Success
      ok   issuer               https://idp.example.com/metadata
      ok   destination          https://sp.example.com/saml/acs
      ok   in response to       _f0e1d2c3b4a5968778695a4b3c2d1e0f
      ok   issue instant        2026-01-15T11:59:58.123Z
      ok   subject              alice@example.com
                                (urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified)
      ok   subject confirmation bearer, until 2026-01-15T12:05:00Z
      ok   conditions           valid until 2026-01-15T12:05:00Z
      FAIL audience             The assertion is meant for another audience.
           2 more checks were not reached
    "#);
}

#[test]
fn a_refused_response_as_json() {
    let desk = Desk::new("");
    let mut spec = alice();
    spec.restrictions = Some(audience(&["https://other.example.com/saml/metadata"]));
    let report = json(&desk.inspect(spec.xml().as_bytes(), &["--format", "json"]), 1);
    insta::assert_snapshot!(report["reason"].to_string().replace("\",", "\",\n"), @r#"
    {"clause":"SAML Core 2.5.1.4",
    "code":"audience_mismatch",
    "expected":"https://sp.example.com/saml/metadata",
    "found":"https://other.example.com/saml/metadata",
    "hint":"Make the audience (also called SP entity id) at the identity provider equal to the connection's entity id, byte for byte.",
    "message":"The assertion is meant for another audience."}
    "#);
    assert_eq!(report["verdict"], "refused");
    let checks = report["checks"].as_array().unwrap();
    let outcome = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap()["outcome"].clone();
    assert_eq!(
        [outcome("conditions"), outcome("audience"), outcome("attributes")],
        ["passed", "failed", "not_reached"]
    );
    assert_eq!((&report["claims"], &report["groups"]), (&Value::Null, &Value::Null));
    assert_eq!(report["plan"], serde_json::json!([]));
}

#[test]
fn xml_base64_and_form_body_are_one_response() {
    let desk = Desk::new("");
    let xml = alice().xml();
    let value = BASE64_STANDARD.encode(&xml);
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("RelayState", "handle")
        .append_pair("SAMLResponse", &value)
        .finish();
    let escaped: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let mut told = Vec::new();
    for content in [xml, format!("{value}\n"), body, escaped] {
        let mut report = json(&desk.inspect(content.as_bytes(), &["--format", "json"]), 0);
        report["checks"][0]["detail"] = Value::Null;
        told.push(report);
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:#?}");
}

#[test]
fn the_clock_and_the_outstanding_requests_are_those_of_the_command_line() {
    let desk = Desk::new("");
    let file = desk.file(alice().xml().as_bytes());
    let run = |arguments: &[&str]| {
        let output = desk.command().arg(&file).args(["--format", "json"]).args(arguments).output().unwrap();
        json(&output, i32::from(!output.stdout.windows(10).any(|w| w == b"\"accepted\"")))["reason"]["code"]
            .clone()
    };
    assert_eq!(run(&["--at", forge::NOW]), "request_unknown");
    assert_eq!(run(&["--at", forge::NOW, "--request-id", "_other"]), "request_unknown");
    assert_eq!(
        run(&["--at", forge::NOW, "--request-id", "_other", "--request-id", forge::REQUEST]),
        Value::Null
    );
    assert_eq!(run(&["--request-id", forge::REQUEST]), "issue_instant_stale");
    assert_eq!(
        run(&["--at", "2026-01-15T11:50:00Z", "--request-id", forge::REQUEST]),
        "issue_instant_future"
    );
}

#[test]
fn a_refusal_that_is_only_here_and_now_says_how_to_look_further() {
    let desk = Desk::new("");
    let file = desk.file(alice().xml().as_bytes());
    let told = |arguments: &[&str]| {
        let output = desk.command().arg(&file).args(arguments).output().unwrap();
        let text = assert_ends(&output, 1);
        let advice = between(&text, "to look further", "\n  judged").split_whitespace();
        advice.collect::<Vec<_>>().join(" ")
    };
    let request = format!("--request-id {} takes this request as outstanding", forge::REQUEST);
    assert_eq!(told(&["--at", forge::NOW]), request);
    let advice = told(&["--request-id", forge::REQUEST]);
    let at = advice.strip_prefix("--at ").and_then(|rest| rest.split(' ').next()).unwrap();
    // The advice is good as it stands.
    let output =
        desk.command().arg(&file).args(["--request-id", forge::REQUEST, "--at", at]).output().unwrap();
    assert_ends(&output, 0);
}

#[test]
fn long_lists_are_counted_and_long_names_have_a_line() {
    let desk = Desk::new("");
    let mut spec = forge::with_groups(500);
    spec.attributes += &attribute("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname", &["Doe"]);
    let text = assert_ends(&desk.inspect(spec.xml().as_bytes(), &[]), 0);
    assert!(text.lines().count() < 80, "{text}");
    for part in [
        "\n                            and 488 more\n",
        "\n    and 488 more\n",
        "\n  http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname\n                            Doe\n",
        "\n  nothing changes: ",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let report = json(&desk.inspect(spec.xml().as_bytes(), &["--format", "json"]), 0);
    assert_eq!(report["groups"]["unmatched"].as_array().unwrap().len(), 500);
}

#[test]
fn what_cannot_be_judged_exits_with_2_and_says_how_to_mend_it() {
    let desk = Desk::new("");
    let file = desk.file(alice().xml().as_bytes());
    let file = file.to_str().unwrap();
    for (arguments, told) in [
        (&["nowhere.xml"][..], "portcullis: nowhere.xml: "),
        (&[file, "--at", "noon"], "portcullis: --at: \"noon\" is no point in time: write it as "),
        (&[file, "--enterprise", "globex"], "portcullis: --enterprise: there is no globex among example: "),
        (&[file, "--config", "nowhere.toml"], "portcullis: nowhere.toml: configuration: cannot be read "),
        (&[file, "--person", "alice"], "portcullis: --person: is no id of a person: "),
        (&[file, "--person", "00000000000000000000000000000000"], "portcullis: store: "),
    ] {
        let output = desk.command().args(arguments).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {err}");
        assert!(err.starts_with(told) && err.lines().count() == 1, "{arguments:?}: {err}");
        assert!(output.stdout.is_empty());
    }
}

const GLOBEX: &str = r#"
[enterprise.globex]
[enterprise.globex.saml]
idp_entity_id = "https://idp.globex.example/metadata"
sso_url = "https://idp.globex.example/sso"
certificates = ["ROOT/fixtures/saml/keys/idp-p256.cert.pem"]
[route.globex]
path = "/globex"
origin = "http://127.0.0.1:8082"
enterprise = "globex"
"#;

#[test]
fn several_enterprises_must_be_told_apart() {
    let desk = Desk::new(&GLOBEX.replace("ROOT", ROOT));
    let xml = alice().xml();
    let output = desk.inspect(xml.as_bytes(), &[]);
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.starts_with("portcullis: --enterprise: there are several: example, globex: "), "{err}");
    // The key of one enterprise's IdP is nobody in the other.
    let as_globex = desk.inspect(xml.as_bytes(), &["--enterprise", "globex", "--format", "json"]);
    assert_eq!(json(&as_globex, 1)["reason"]["code"], "key_type_missing");
    let as_example = desk.inspect(xml.as_bytes(), &["--enterprise", "example", "--format", "json"]);
    assert_eq!(
        json(&as_example, 1)["reason"]["code"],
        "destination_mismatch",
        "its ACS URL has its name in it"
    );
}

#[test]
fn nothing_of_a_message_reaches_the_terminal_as_a_control_character() {
    let desk = Desk::new("");
    let mut spec = alice();
    spec.attributes += &attribute("display\u{9b}31mname", &["\u{85}red\u{9b}0m"]);
    let text = assert_ends(&desk.inspect(spec.xml().as_bytes(), &[]), 0);
    assert!(text.contains("\u{fffd}red\u{fffd}0m"), "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

/// The person of the store, as the gateway left it: the plan against that person leaves what the groups no longer name.
#[tokio::test(flavor = "multi_thread")]
async fn the_plan_of_a_person_in_the_store() {
    let mut gateway = TestGateway::start(Backend::Embedded).await;
    let mut browser = Browser::new();
    gateway.people.set_groups("alice", &["octo-org", "octo-org-owners", "hubot-lab"]).unwrap();
    assert_eq!(gateway.sign_in(&mut browser, "alice").await.status, 200);
    gateway.people.set_groups("alice", &["hubot-lab", "docs-team"]).unwrap();
    let form = gateway.response_form(&mut browser, "alice").await;
    let value = form.field("SAMLResponse").unwrap();
    let xml = String::from_utf8(BASE64_STANDARD.decode(value).unwrap()).unwrap();
    let request_id = between(&xml, "InResponseTo=\"", "\"").to_owned();
    let person = gateway.person_id(&name_id("alice")).to_string();
    gateway.stop_serving().await;

    let file = gateway.folder().join("captured");
    std::fs::write(&file, value).unwrap();
    let inspect = |arguments: &[&str]| {
        let mut command = gateway.command();
        command.args(["saml", "inspect", "--request-id", &request_id]).arg(&file).args(arguments);
        command.output().unwrap()
    };
    let report = json(&inspect(&["--person", &person, "--format", "json"]), 0);
    let plan = serde_json::json!([
        { "change": "join", "organization": "docs-team", "role": "member" },
        { "change": "leave", "organization": "octo-org", "role": "owner" },
        { "change": "become_unowned", "organization": "octo-org", "role": null },
    ]);
    assert_eq!(report["plan"], plan);
    let text = assert_ends(&inspect(&["--person", &person]), 0);
    assert!(
        text.contains("\n  - leave octo-org, where the role is owner\n  ! octo-org loses its last owner"),
        "{text}"
    );
    let report = json(&inspect(&["--format", "json"]), 0);
    let joins = report["plan"].as_array().unwrap().iter().map(|change| &change["organization"]);
    assert_eq!(joins.collect::<Vec<_>>(), ["docs-team", "hubot-lab"]);
}

pub fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).expect(start).0
}
