//! Sign-in with an IdP that we did not write: SimpleSAMLphp, over plain HTTP as a browser would.
use std::{fs, io::Write, process::Command};

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, write::DeflateEncoder};

use crate::support::{
    html::Form,
    http::{Answer, Client},
    pages::{self, Reply},
    simplesamlphp::SimpleSaml,
};

/// One walk from a protected page through the IdP and back.
pub struct Walk {
    /// Where the response went.
    pub acs_url: String,
    /// SAMLResponse and RelayState, for a replay.
    pub form: Form,
    /// What the ACS answered.
    pub acs_answer: Answer,
}

/// Asks the gateway for `page_url` without a session, signs in at the IdP, and posts the response to the ACS.
///
/// # Panics
/// If the gateway does not send the browser to the IdP, or the IdP refuses.
pub async fn sign_in(
    client: &mut Client,
    page_url: &str,
    idp: &SimpleSaml,
    name: &str,
    password: &str,
) -> Walk {
    let first = client.get(page_url).await;
    let redirect = first.location().unwrap_or_else(|| panic!("no redirect: {} {}", first.status, first.body));
    assert!(
        redirect.starts_with(&idp.sso_url),
        "the gateway redirects to {redirect}, not to {}",
        idp.sso_url
    );
    let (page, form) = idp.log_in(client, &redirect, name, password).await;
    let acs_url = page.resolve(&form.action);
    let acs_answer = client.post(&acs_url, &form.fields).await;
    Walk { acs_url, form, acs_answer }
}

/// The URL that asks `sso_url` for a sign-in: HTTP-Redirect binding, SAML Bindings 3.4.
pub fn authn_request_url(
    sso_url: &str,
    id: &str,
    sp_entity_id: &str,
    acs_url: &str,
    relay_state: &str,
) -> String {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    let request = format!(
        r#"<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"
        xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="{now}"
        Destination="{sso_url}" AssertionConsumerServiceURL="{acs_url}"
        ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"><saml:Issuer>{sp_entity_id}</saml:Issuer></samlp:AuthnRequest>"#
    );
    let mut deflate = DeflateEncoder::new(vec![], Compression::default());
    deflate.write_all(request.as_bytes()).expect("memory never refuses");
    let request = BASE64_STANDARD.encode(deflate.finish().expect("memory never refuses"));
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("SAMLRequest", &request).append_pair("RelayState", relay_state);
    format!("{sso_url}?{}", query.finish())
}

const SP: &str = "http://sp.example/saml/metadata";
const ACS: &str = "http://sp.example/saml/acs";

/// The XML of the response that a form carries.
fn response_of(form: &Form) -> String {
    let encoded = form.field("SAMLResponse").expect("a SAMLResponse");
    String::from_utf8(BASE64_STANDARD.decode(encoded).expect("base64")).expect("UTF-8")
}

/// Whether xmlsec1 accepts the first signature of `response` under `certificate_pem`.
fn xmlsec1_accepts(response: &str, certificate_pem: &str) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let (document, certificate) = (folder.path().join("response.xml"), folder.path().join("idp.crt"));
    fs::write(&document, response).expect("response written");
    fs::write(&certificate, certificate_pem).expect("certificate written");
    let status = Command::new("xmlsec1")
        .args([
            "--verify",
            "--id-attr:ID",
            "urn:oasis:names:tc:SAML:2.0:protocol:Response",
            "--pubkey-cert-pem",
        ])
        .args([&certificate, &document])
        .output();
    status.expect("xmlsec1: `scripts/test` installs what the tests need").status.success()
}

#[tokio::test]
async fn simplesamlphp_answers_a_request_with_the_groups_of_the_person() {
    let idp = SimpleSaml::start(
        SP,
        ACS,
        &[("alice", "it's \\ secret", &["octo-org", "everyone"]), ("bob", "b", &[])],
    );
    let request = authn_request_url(&idp.sso_url, "_r1", SP, ACS, "handle-1");
    let (_, form) = idp.log_in(&mut Client::default(), &request, "alice", "it's \\ secret").await;
    assert_eq!(form.action, ACS);
    assert_eq!(form.field("RelayState"), Some("handle-1"));
    let response = response_of(&form);
    for part in [
        "InResponseTo=\"_r1\"",
        ">alice@example.com</saml:NameID>",
        ">octo-org</saml:AttributeValue>",
        ">everyone</saml:AttributeValue>",
        &format!("<saml:Issuer>{}</saml:Issuer>", idp.entity_id),
        &format!("<saml:Audience>{SP}</saml:Audience>"),
    ] {
        assert!(response.contains(part), "{part} is not in {response}");
    }
    assert!(xmlsec1_accepts(&response, &idp.certificate_pem));
    assert!(!xmlsec1_accepts(&response.replace("everyone", "octo-adm"), &idp.certificate_pem));
}

#[tokio::test]
#[should_panic(expected = "Incorrect username or password")]
async fn simplesamlphp_refuses_a_wrong_password() {
    let idp = SimpleSaml::start(SP, ACS, &[("alice", "a", &[])]);
    let request = authn_request_url(&idp.sso_url, "_r2", SP, ACS, "");
    idp.log_in(&mut Client::default(), &request, "alice", "b").await;
}

/// The walk against a stand-in for the gateway, that only redirects and shows what it is sent.
#[tokio::test]
async fn the_walk_ends_at_the_acs_with_the_groups_of_the_moment() {
    let sso_url = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let redirect_to = sso_url.clone();
    let base = pages::serve(move |asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/page") => Reply::redirect(redirect_to.get().expect("set before the walk")),
        ("POST", "/saml/acs") => Reply::page(format!("<p>{}</p>", asked.body.starts_with("SAMLResponse="))),
        _ => Reply::page("nothing here"),
    });
    let acs_url = format!("{base}/saml/acs");
    let idp = SimpleSaml::start(SP, &acs_url, &[("bob", "b", &["octo-org"])]);
    sso_url.set(authn_request_url(&idp.sso_url, "_r3", SP, &acs_url, "")).expect("set once");
    idp.set_groups("bob", &["hubot-lab"]);
    let walk = sign_in(&mut Client::default(), &format!("{base}/page"), &idp, "bob", "b").await;
    assert_eq!(walk.acs_url, acs_url);
    assert_eq!(walk.acs_answer.body, "<p>true</p>");
    let response = response_of(&walk.form);
    assert!(response.contains(">hubot-lab<") && !response.contains(">octo-org<"), "{response}");
}
