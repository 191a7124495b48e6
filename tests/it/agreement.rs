//! `saml inspect` and the ACS of a running gateway give the same answer for the same response.
use std::io::Read;

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::read::DeflateDecoder;
use portcullis::{
    config::Overrides,
    demo::browser::{Browser, Form},
    domain::Timestamp,
};

use crate::{
    inspect::{alice, between, json},
    saml::forge::{self, Sign, Spec, attribute, audience},
    support::gateway::{Backend, Setup, TestGateway},
};

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
    let at = |seconds: i64| {
        (now + jiff::SignedDuration::from_secs(seconds)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    };
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
        assertion: forge::attributes([
            ("ID", &format!("_assertion-{id}")),
            ("IssueInstant", &at(0)),
            ("Version", "2.0"),
        ]),
        confirmation: forge::attributes([
            ("InResponseTo", request),
            ("NotOnOrAfter", &at(300)),
            ("Recipient", &acs),
        ]),
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
    (
        "confirmation_expired",
        Before(|spec| set(&mut spec.confirmation, "NotOnOrAfter", "2026-01-01T00:00:00Z")),
    ),
    ("session_expired", Before(|spec| set(&mut spec.authn, "SessionNotOnOrAfter", "2026-01-01T00:00:00Z"))),
    ("issue_instant_stale", Before(|spec| set(&mut spec.assertion, "IssueInstant", "2026-01-01T00:00:00Z"))),
    (
        "request_unknown",
        Before(|spec| set(&mut spec.response, "InResponseTo", "_0123456789abcdef0123456789abcdef")),
    ),
    (
        "destination_mismatch",
        Before(|spec| set(&mut spec.response, "Destination", "https://other.example/saml/acs")),
    ),
    ("assertion_issuer_mismatch", Before(|spec| spec.issuer = forge::issuer("https://other.example"))),
    ("signature_missing", Before(|spec| spec.sign_assertion = None)),
    (
        "signature_invalid",
        Before(|spec| spec.sign_assertion = Some(Sign { key: "attacker-rsa", ..Sign::default() })),
    ),
    (
        "attribute_ambiguous",
        Before(|spec| spec.attributes += &attribute("email", &["a@example.com", "b@example.com"])),
    ),
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
        let certificate = format!("{}/fixtures/saml/keys/idp-rsa.cert.pem", env!("CARGO_MANIFEST_DIR"));
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
        assert!(
            counted(&gateway, result, reason).await,
            "{reason}: {}",
            gateway.private("/metrics").await.body
        );
    }
    gateway.stop().await;
}
