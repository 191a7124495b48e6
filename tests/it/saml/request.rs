//! The AuthnRequest as an IdP receives it.
use std::{io::Read, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::{
    domain::AuthnDemand,
    saml::{AuthnRequest, Binding, Connection, Delivery, NameIdFormat, OwnKey, Settings},
};

use super::forge::{ACS, now, settings};

const SSO: &str = "https://idp.example.com/sso";
const SIGNING_KEY: &str = include_str!("../../../certs/development-sp-signing.pem");

/// What leaves for the IdP.
fn sent(change: impl FnOnce(&mut Settings), demand: &AuthnDemand, login_hint: Option<&str>) -> Delivery {
    let mut settings = settings(&["idp-rsa"]);
    change(&mut settings);
    let connection = Connection::new(settings).unwrap();
    let request =
        AuthnRequest { id: "_id", acs_url: ACS, relay_state: "a b&c=d/+", demand, login_hint, now: now() };
    request.send(&connection).unwrap()
}

fn url(sso_url: &str, entity_id: &str) -> String {
    let change = |settings: &mut Settings| {
        settings.sso_url = sso_url.into();
        settings.entity_id = entity_id.into();
    };
    match sent(change, &AuthnDemand::default(), None) {
        Delivery::Redirect { url } => url,
        other => panic!("{other:?}"),
    }
}

/// The one value of a parameter.
fn value(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    let pairs = form_urlencoded::parse(query.as_bytes());
    let values: Vec<_> = pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect();
    assert_eq!(values.len(), 1, "one {name} in {url}");
    values[0].clone()
}

/// What an IdP reads: the request's XML and the RelayState.
fn received(sent: &Delivery) -> (String, String) {
    match sent {
        Delivery::Redirect { url } => {
            let deflated = STANDARD.decode(value(url, "SAMLRequest")).unwrap();
            let mut xml = String::new();
            flate2::read::DeflateDecoder::new(&deflated[..]).read_to_string(&mut xml).unwrap();
            (xml, value(url, "RelayState"))
        }
        Delivery::Post { parameter, message, relay_state, .. } => {
            assert_eq!(*parameter, "SAMLRequest");
            (String::from_utf8(STANDARD.decode(message).unwrap()).unwrap(), relay_state.clone().unwrap())
        }
    }
}

fn xml(change: impl FnOnce(&mut Settings), demand: &AuthnDemand) -> String {
    received(&sent(change, demand, None)).0
}

#[test]
fn s_103_the_request_says_what_the_profile_asks_for() {
    for binding in [Binding::Redirect, Binding::Post] {
        let (xml, relay_state) =
            received(&sent(|s| s.request_binding = binding, &AuthnDemand::default(), None));
        assert_eq!(relay_state, "a b&c=d/+");
        assert_eq!(
            xml,
            "<samlp:AuthnRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
             AssertionConsumerServiceURL=\"https://sp.example.com/saml/acs\" \
             Destination=\"https://idp.example.com/sso\" ID=\"_id\" IssueInstant=\"2026-01-15T12:00:00Z\" \
             ProtocolBinding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" Version=\"2.0\">\
             <saml:Issuer xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">https://sp.example.com/saml/metadata\
             </saml:Issuer><samlp:NameIDPolicy AllowCreate=\"true\"></samlp:NameIDPolicy></samlp:AuthnRequest>"
        );
    }
}

#[test]
fn s_99_the_request_asks_for_what_the_answer_is_held_to() {
    let demand = AuthnDemand {
        force: true,
        contexts: vec!["urn:a".into(), "https://refeds.org/profile/mfa".into()],
        age_seconds_max: Some(60),
    };
    let change = |settings: &mut Settings| {
        settings.name_id_format = NameIdFormat::Persistent;
        settings.idp_hint = Some("https://upstream.example.com/?a=\"b\"&c".into());
    };
    let (before, after) = (xml(|_| (), &AuthnDemand::default()), xml(change, &demand));
    for part in [
        " ForceAuthn=\"true\" ID=",
        "<samlp:NameIDPolicy AllowCreate=\"true\" \
         Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent\"></samlp:NameIDPolicy>\
         <samlp:RequestedAuthnContext Comparison=\"exact\">",
        ">urn:a</saml:AuthnContextClassRef><saml:AuthnContextClassRef ",
        ">https://refeds.org/profile/mfa</saml:AuthnContextClassRef></samlp:RequestedAuthnContext><samlp:Scoping>",
        "<samlp:IDPEntry ProviderID=\"https://upstream.example.com/?a=&quot;b&quot;&amp;c\"></samlp:IDPEntry>",
    ] {
        assert!(after.contains(part) && !before.contains(part), "{part} in {after}");
    }
}

#[test]
fn s_102_values_are_escaped() {
    let sent =
        Delivery::Redirect { url: url("https://idp.example.com/sso?a=1&b=\"2\"", "<evil attr=\"&\">") };
    let (xml, _) = received(&sent);
    assert!(xml.contains("Destination=\"https://idp.example.com/sso?a=1&amp;b=&quot;2&quot;\""), "{xml}");
    assert!(xml.contains(">&lt;evil attr="), "{xml}");
    assert!(!xml.contains("<evil"));
}

#[test]
fn an_existing_query_and_fragment_are_kept() {
    assert!(url(SSO, "x").starts_with("https://idp.example.com/sso?SAMLRequest="));
    assert!(url("https://idp.example.com/sso?", "x").starts_with("https://idp.example.com/sso?SAMLRequest="));
    assert!(
        url("https://idp.example.com/sso?a=b", "x")
            .starts_with("https://idp.example.com/sso?a=b&SAMLRequest=")
    );
    let fragment = url("https://idp.example.com/sso?a=b#c", "x");
    assert!(fragment.starts_with("https://idp.example.com/sso?a=b&SAMLRequest=") && fragment.ends_with("#c"));
}

#[test]
fn the_hint_goes_only_where_the_connection_says_so() {
    let hint = Some("a+b@example.com");
    for binding in [Binding::Redirect, Binding::Post] {
        let with = |login_hint: bool| {
            let change = |settings: &mut Settings| {
                settings.request_binding = binding;
                settings.login_hint = login_hint;
                settings.sso_url = format!("{SSO}?a=b#c");
            };
            match sent(change, &AuthnDemand::default(), hint) {
                Delivery::Redirect { url } => url,
                Delivery::Post { url, .. } => url,
            }
        };
        assert_eq!(value(with(true).trim_end_matches("#c"), "login_hint"), "a+b@example.com");
        assert!(with(true).starts_with(&format!("{SSO}?a=b&login_hint=a%2Bb%40example.com")), "{binding:?}");
        assert!(!with(false).contains("login_hint"), "{binding:?}");
    }
}

fn signing(settings: &mut Settings) {
    settings.signing_keys = vec![OwnKey::from_pem(SIGNING_KEY.as_bytes()).unwrap()];
    settings.sign_requests = true;
}

#[test]
fn a_redirect_is_signed_if_the_connection_signs() {
    let Delivery::Redirect { url } = sent(signing, &AuthnDemand::default(), None) else {
        panic!("a redirect")
    };
    assert!(!value(&url, "Signature").is_empty());
    let change = |settings: &mut Settings| {
        signing(settings);
        settings.sign_requests = false;
    };
    let Delivery::Redirect { url } = sent(change, &AuthnDemand::default(), None) else {
        panic!("a redirect")
    };
    assert!(!url.contains("Signature"), "{url}");
}

/// Whether xmlsec1 verifies the enveloped signature with our certificate.
fn xmlsec_accepts(xml: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (document, certificate) = (folder.path().join("request.xml"), folder.path().join("sp.crt"));
    std::fs::write(&document, xml).unwrap();
    let at = SIGNING_KEY.find("-----BEGIN CERTIFICATE").unwrap();
    std::fs::write(&certificate, &SIGNING_KEY[at..]).unwrap();
    let output = Command::new("xmlsec1")
        .args(["--verify", "--enabled-key-data", "key-name,x509", "--insecure", "--pubkey-cert-pem"])
        .arg(&certificate)
        .args(["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:protocol:AuthnRequest"])
        .arg(&document)
        .output()
        .expect("xmlsec1 is installed");
    output.status.success()
}

#[test]
fn a_posted_request_has_a_signature_that_xmlsec_accepts() {
    let change = |settings: &mut Settings| {
        signing(settings);
        settings.request_binding = Binding::Post;
        settings.entity_id = "https://sp.example.com/?a=1&b=<2>".into();
    };
    let demand = AuthnDemand { force: true, contexts: vec!["urn:a&b".into()], age_seconds_max: None };
    let xml = xml(change, &demand);
    assert!(xml.contains("</saml:Issuer><ds:Signature "), "{xml}");
    assert!(xmlsec_accepts(&xml), "{xml}");
    assert!(!xmlsec_accepts(&xml.replace("ForceAuthn=\"true\"", "ForceAuthn=\"false\"")));
}
