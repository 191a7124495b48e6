//! The text of the logout messages that we send, and the URLs that carry them.
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::{
    domain::NameId,
    saml::{
        Binding, Connection, Delivery, OwnKey, Reply, Settings, SloSettings, logout_request, logout_response,
    },
};

use super::forge_logout::PERSISTENT;
use crate::saml::{
    forge::{now, settings},
    seal::pair,
};

fn connection(url: &str, binding: Binding) -> Connection {
    let slo = SloSettings { url: url.into(), response_url: None, binding };
    Connection::new(Settings {
        entity_id: "urn:sp?a&b".into(),
        slo: Some(slo),
        signing_keys: vec![OwnKey::from_pem(&pair("sp-decryption")).unwrap()],
        ..settings(&["idp-rsa"])
    })
    .unwrap()
}

fn request(url: &str, binding: Binding) -> Delivery {
    let name_id = NameId {
        value: "<al&ice>\r\n\"'".into(),
        format: PERSISTENT.into(),
        name_qualifier: Some("a\"<&>'\n".into()),
        sp_name_qualifier: None,
    };
    let delivery = logout_request(&connection(url, binding), "_id", &name_id, Some("i<1"), "r s", now());
    delivery.unwrap().expect("single logout is on")
}

#[test]
fn l_03_a_redirect_keeps_the_query_of_the_slo_url_and_its_fragment_stays_last() {
    for (url, begins, ends) in [
        ("https://idp.example.com/slo", "https://idp.example.com/slo?SAMLRequest=", ""),
        ("https://idp.example.com/slo?a=b", "https://idp.example.com/slo?a=b&SAMLRequest=", ""),
        ("https://idp.example.com/slo?a=b#c", "https://idp.example.com/slo?a=b&SAMLRequest=", "#c"),
    ] {
        let Delivery::Redirect { url } = request(url, Binding::Redirect) else { panic!("a redirect") };
        assert!(url.starts_with(begins) && url.ends_with(ends), "{url}");
        assert!(
            url.contains("&RelayState=r%20s&SigAlg=http%3A%2F%2F") && url.contains("&Signature="),
            "{url}"
        );
        let reply = Reply { id: "_id", in_response_to: "_of", done: true, now: now() };
        let answer = logout_response(&connection(&url, Binding::Redirect), &reply, None).unwrap();
        let Some(Delivery::Redirect { url }) = answer else { panic!("a redirect") };
        assert!(url.contains("&SAMLResponse=") && url.ends_with(ends), "{url}");
    }
}

#[test]
fn s_102_values_of_a_logout_request_are_escaped_and_come_back() {
    let Delivery::Post { message, relay_state, parameter, .. } =
        request("https://idp.example.com/slo?a&b", Binding::Post)
    else {
        panic!("a form")
    };
    assert_eq!((parameter, relay_state.as_deref()), ("SAMLRequest", Some("r s")));
    let xml = String::from_utf8(STANDARD.decode(message).unwrap()).unwrap();
    let (head, signed) = xml.split_once("<ds:Signature").expect("a signature");
    assert_eq!(
        head,
        "<samlp:LogoutRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
         xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_id\" Version=\"2.0\" \
         IssueInstant=\"2026-01-15T12:00:00Z\" Destination=\"https://idp.example.com/slo?a&amp;b\" \
         NotOnOrAfter=\"2026-01-15T12:05:00Z\"><saml:Issuer>urn:sp?a&amp;b</saml:Issuer>"
    );
    let (_, rest) = signed.split_once("</ds:Signature>").unwrap();
    assert_eq!(
        rest,
        format!(
            "<saml:NameID Format=\"{PERSISTENT}\" NameQualifier=\"a&quot;&lt;&amp;>'&#xA;\">\
             &lt;al&amp;ice&gt;&#xD;\n\"'</saml:NameID><samlp:SessionIndex>i&lt;1</samlp:SessionIndex></samlp:LogoutRequest>"
        )
    );
}
