//! The AuthnRequest as an IdP receives it.
use std::io::Read;

use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::saml::{Connection, authn_request_url};

use super::forge::{ACS, now, settings};

fn url(sso_url: &str, entity_id: &str) -> String {
    let mut settings = settings(&["idp-rsa"]);
    settings.sso_url = sso_url.into();
    settings.entity_id = entity_id.into();
    authn_request_url(&Connection::new(settings).unwrap(), "_id", ACS, "a b&c=d/+", now()).unwrap()
}

/// What an IdP reads: the request's XML and the RelayState.
fn received(url: &str) -> (String, String) {
    let query = url.split_once('?').unwrap().1;
    let value = |name: &str| {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let values: Vec<_> =
            pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect();
        assert_eq!(values.len(), 1, "one {name}");
        values[0].clone()
    };
    let deflated = STANDARD.decode(value("SAMLRequest")).unwrap();
    let mut xml = String::new();
    flate2::read::DeflateDecoder::new(&deflated[..]).read_to_string(&mut xml).unwrap();
    (xml, value("RelayState"))
}

#[test]
fn s_103_the_request_says_what_the_profile_asks_for() {
    let (xml, relay_state) = received(&url("https://idp.example.com/sso", "https://sp.example.com/"));
    assert_eq!(relay_state, "a b&c=d/+");
    assert_eq!(
        xml,
        "<samlp:AuthnRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
         xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_id\" Version=\"2.0\" \
         IssueInstant=\"2026-01-15T12:00:00Z\" Destination=\"https://idp.example.com/sso\" \
         ProtocolBinding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" \
         AssertionConsumerServiceURL=\"https://sp.example.com/saml/acs\">\
         <saml:Issuer>https://sp.example.com/</saml:Issuer><samlp:NameIDPolicy AllowCreate=\"true\"/></samlp:AuthnRequest>"
    );
}

#[test]
fn s_102_values_are_escaped() {
    let (xml, _) = received(&url("https://idp.example.com/sso?a=1&b=\"2\"", "<evil attr=\"&\">"));
    assert!(xml.contains("Destination=\"https://idp.example.com/sso?a=1&amp;b=&quot;2&quot;\""), "{xml}");
    assert!(xml.contains("<saml:Issuer>&lt;evil attr="), "{xml}");
    assert!(!xml.contains("<evil"));
}

#[test]
fn an_existing_query_and_fragment_are_kept() {
    assert!(url("https://idp.example.com/sso", "x").starts_with("https://idp.example.com/sso?SAMLRequest="));
    assert!(url("https://idp.example.com/sso?", "x").starts_with("https://idp.example.com/sso?SAMLRequest="));
    assert!(
        url("https://idp.example.com/sso?a=b", "x")
            .starts_with("https://idp.example.com/sso?a=b&SAMLRequest=")
    );
    let fragment = url("https://idp.example.com/sso?a=b#c", "x");
    assert!(fragment.starts_with("https://idp.example.com/sso?a=b&SAMLRequest=") && fragment.ends_with("#c"));
}
