//! `saml inspect`, the program itself: what it says, and that the ACS of a running gateway says the same.
use std::{
    io::Read,
    path::PathBuf,
    process::{Command, Output},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::read::DeflateDecoder;
use portcullis::{
    config::Overrides,
    demo::browser::{Browser, Form},
    domain::Timestamp,
};
use serde_json::Value;

use crate::{
    saml::forge::{self, Sign, Spec, attribute, audience},
    support::gateway::{Backend, Setup, TestGateway, name_id},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A folder with the configuration that the forged responses are meant for.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            r#"
public_url = "https://sp.example.com"
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

    fn file(&self, content: &[u8]) -> PathBuf {
        let path = self.0.path().join("captured");
        std::fs::write(&path, content).unwrap();
        path
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["saml", "inspect"]).current_dir(self.0.path());
        command
    }

    /// Inspects at the time of the forged responses, with their request outstanding.
    fn inspect(&self, content: &[u8], arguments: &[&str]) -> Output {
        let usual = ["--at", forge::NOW, "--request-id", forge::REQUEST];
        self.command().arg(self.file(content)).args(usual).args(arguments).output().unwrap()
    }
}

/// What the program wrote on standard output, which must be all that it wrote.
#[track_caller]
fn assert_ends(output: &Output, code: i32) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout:\n{out}\nstderr:\n{err}");
    assert_eq!(err, "");
    out.into_owned()
}

#[track_caller]
fn json(output: &Output, code: i32) -> Value {
    serde_json::from_str(&assert_ends(output, code)).unwrap()
}

/// Alice with groups of each kind.
fn alice() -> Spec {
    let mut spec = Spec::default();
    spec.attributes += &attribute("groups", &["octo-org", "octo-org-owners", "everyone"]);
    spec
}

#[test]
fn an_accepted_response_as_text() {
    let desk = Desk::new("");
    let form = BASE64_STANDARD.encode(alice().xml());
    insta::assert_snapshot!(assert_ends(&desk.inspect(form.as_bytes(), &[]), 0), @"TEXT-ACCEPTED");
}

#[test]
fn an_accepted_response_as_json() {
    let desk = Desk::new("");
    let output = desk.inspect(alice().xml().as_bytes(), &["--format", "json"]);
    insta::assert_snapshot!(assert_ends(&output, 0), @"JSON-ACCEPTED");
}

#[test]
fn a_refused_response_as_text() {
    let desk = Desk::new("");
    let mut spec = alice();
    spec.restrictions = Some(audience(&["https://other.example.com/saml/metadata"]));
    insta::assert_snapshot!(assert_ends(&desk.inspect(spec.xml().as_bytes(), &[]), 1), @"TEXT-REFUSED");
}

#[test]
fn a_refused_response_as_json() {
    let desk = Desk::new("");
    let mut spec = alice();
    spec.restrictions = Some(audience(&["https://other.example.com/saml/metadata"]));
    let report = json(&desk.inspect(spec.xml().as_bytes(), &["--format", "json"]), 1);
    insta::assert_snapshot!(report["reason"].to_string().replace("\",", "\",\n"), @"JSON-REASON");
    assert_eq!(report["verdict"], "refused");
    let checks = report["checks"].as_array().unwrap();
    let outcome = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap()["outcome"].clone();
    assert_eq!([outcome("conditions"), outcome("audience"), outcome("attributes")], ["passed", "failed", "not_reached"]);
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
        json(&output, i32::from(!output.stdout.windows(10).any(|w| w == b"\"accepted\"")))["reason"]["code"].clone()
    };
    assert_eq!(run(&["--at", forge::NOW]), "request_unknown");
    assert_eq!(run(&["--at", forge::NOW, "--request-id", "_other"]), "request_unknown");
    assert_eq!(run(&["--at", forge::NOW, "--request-id", "_other", "--request-id", forge::REQUEST]), Value::Null);
    assert_eq!(run(&["--request-id", forge::REQUEST]), "issue_instant_stale");
    assert_eq!(run(&["--at", "2026-01-15T11:50:00Z", "--request-id", forge::REQUEST]), "issue_instant_future");
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
        (&[file, "--person", "00000000000000000000000000000000"], "portcullis: --person: is not in the store: "),
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
    assert_eq!(json(&as_example, 1)["reason"]["code"], "destination_mismatch", "its ACS URL has its name in it");
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
    assert!(text.contains("\n  - leave octo-org, where the role is owner\n  ! octo-org loses its last owner"), "{text}");
    // Without the store: someone new.
    let report = json(&inspect(&["--format", "json"]), 0);
    let joins = report["plan"].as_array().unwrap().iter().map(|change| &change["organization"]);
    assert_eq!(joins.collect::<Vec<_>>(), ["docs-team", "hubot-lab"]);
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).expect(start).0
}

/// A sign-in under way at a gateway, whose answer this test writes.
struct Asked {
    browser: Browser,
    request_id: String,
    relay_state: String,
}

async fn ask(gateway: &TestGateway) -> Asked {
    let mut browser = Browser::new();
    let page = browser.open(&format!("{}/saml/login?return_to=/", gateway.url)).await.unwrap();
    let query = page.url.split_once('?').unwrap().1;
    let parameter = |wanted: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(name, _)| name == wanted).unwrap().1.into_owned()
    };
    let mut request = String::new();
    let deflated = BASE64_STANDARD.decode(parameter("SAMLRequest")).unwrap();
    DeflateDecoder::new(&*deflated).read_to_string(&mut request).unwrap();
    let request_id = between(&request, " ID=\"", "\"").to_owned();
    Asked { browser, request_id, relay_state: parameter("RelayState") }
}

/// The answer that the gateway would accept.
fn answer(gateway: &TestGateway, asked: &Asked, id: usize) -> Spec {
    let now = Timestamp::now();
    let at = |seconds: i64| (now + jiff::SignedDuration::from_secs(seconds)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let acs = format!("{}/saml/acs", gateway.url);
    let request = asked.request_id.as_str();
    Spec {
        response: forge::attributes([
            ("Destination", &acs),
            ("ID", "_response"),
            ("InResponseTo", request),
            ("IssueInstant", &at(0)),
            ("Version", "2.0"),
        ]),
        assertion: forge::attributes([("ID", &format!("_assertion-{id}")), ("IssueInstant", &at(0)), ("Version", "2.0")]),
        confirmation: forge::attributes([("InResponseTo", request), ("NotOnOrAfter", &at(300)), ("Recipient", &acs)]),
        conditions: forge::attributes([("NotBefore", &at(0)), ("NotOnOrAfter", &at(300))]),
        restrictions: Some(audience(&[&format!("{}/saml/metadata", gateway.url)])),
        authn: forge::attributes([("AuthnInstant", &at(0)), ("SessionIndex", "_session")]),
        ..alice()
    }
}

/// A change before signing, or one after it.
enum Change {
    Before(fn(&mut Spec)),
    After(fn(String) -> String),
}

use Change::{After, Before};

/// What may be wrong with a response, by the reason that both must give.
const WRONGS: &[(&str, Change)] = &[
    ("audience_mismatch", Before(|spec| spec.restrictions = Some(audience(&["https://other.example"])))),
    ("conditions_expired", Before(|spec| set(&mut spec.conditions, "NotOnOrAfter", "2026-01-01T00:00:00Z"))),
    ("confirmation_expired", Before(|spec| set(&mut spec.confirmation, "NotOnOrAfter", "2026-01-01T00:00:00Z"))),
    ("session_expired", Before(|spec| set(&mut spec.authn, "SessionNotOnOrAfter", "2026-01-01T00:00:00Z"))),
    ("issue_instant_stale", Before(|spec| set(&mut spec.assertion, "IssueInstant", "2026-01-01T00:00:00Z"))),
    ("request_unknown", Before(|spec| set(&mut spec.response, "InResponseTo", "_0123456789abcdef0123456789abcdef"))),
    ("destination_mismatch", Before(|spec| set(&mut spec.response, "Destination", "https://other.example/saml/acs"))),
    ("assertion_issuer_mismatch", Before(|spec| spec.issuer = forge::issuer("https://other.example"))),
    ("signature_missing", Before(|spec| spec.sign_assertion = None)),
    ("signature_invalid", Before(|spec| spec.sign_assertion = Some(Sign { key: "attacker-rsa", ..Sign::default() }))),
    ("attribute_ambiguous", Before(|spec| spec.attributes += &attribute("email", &["a@example.com", "b@example.com"]))),
    ("digest_mismatch", After(|xml| xml.replace("everyone", "hubot-lab"))),
    ("markup_declaration", After(|xml| format!("<!DOCTYPE x>{xml}"))),
    ("content_outside_root", After(|xml| xml + "<more/>")),
];

fn set(attributes: &mut forge::Attributes, name: &'static str, value: &str) {
    attributes.insert(name, value.to_owned());
}

/// What the gateway counts of responses, by result and reason.
async fn counted(gateway: &TestGateway, result: &str, reason: &str) -> bool {
    let line = format!("portcullis_saml_responses_total{{result=\"{result}\",reason=\"{reason}\"}} 1");
    gateway.private("/metrics").await.body.lines().any(|found| found == line)
}

#[tokio::test(flavor = "multi_thread")]
async fn inspect_and_the_acs_agree() {
    let mut setup = Setup::new(Backend::Embedded);
    setup.change = Box::new(|overrides: Overrides| {
        let certificate = format!("{ROOT}/fixtures/saml/keys/idp-rsa.cert.pem");
        overrides
            .set("enterprise.example.saml.idp_entity_id", forge::IDP)
            .set("enterprise.example.saml.certificates", certificate)
    });
    let gateway = TestGateway::set_up(setup).await;
    let nothing = ("", Before(|_| ()));
    for (id, (reason, change)) in WRONGS.iter().chain([&nothing]).enumerate() {
        let mut asked = ask(&gateway).await;
        let mut spec = answer(&gateway, &asked, id);
        let xml = match change {
            Before(change) => {
                change(&mut spec);
                spec.xml()
            }
            After(change) => change(spec.xml()),
        };
        let value = BASE64_STANDARD.encode(xml);
        let file = gateway.folder().join("captured");
        std::fs::write(&file, &value).unwrap();
        let mut command = gateway.command();
        command.args(["saml", "inspect", "--format", "json", "--request-id", &asked.request_id]).arg(&file);
        let report = json(&command.output().unwrap(), i32::from(!reason.is_empty()));
        assert_eq!(report["reason"]["code"].as_str().unwrap_or_default(), *reason, "{report:#}");

        let mut form = Form::default();
        form.is_post = true;
        form.action = format!("{}/saml/acs", gateway.url);
        form.set("SAMLResponse", &value);
        form.set("RelayState", &asked.relay_state);
        let result = if reason.is_empty() { "accepted" } else { "refused" };
        assert!(!counted(&gateway, result, reason).await);
        let page = asked.browser.submit(&form).await.unwrap();
        assert_eq!(page.status, if reason.is_empty() { 200 } else { 403 }, "{reason}: {}", page.body);
        assert!(!page.body.contains(reason) || reason.is_empty(), "the browser is not told: {}", page.body);
        assert!(counted(&gateway, result, reason).await, "{reason}: {}", gateway.private("/metrics").await.body);
    }
    gateway.stop().await;
}
