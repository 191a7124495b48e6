//! `fixtures/saml/logout`: messages at a fixed time, with the outcome that each is owed, without a gateway around.
//!
//! `UPDATE_FIXTURES=1 cargo test --test it logout::fixtures` writes them anew.
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use portcullis::saml::{
    Connection, LogoutRefusal, MessageKind, Outstanding, Receiver, SloBinding, SloSettings,
};

use super::forge_logout::{Message, SUCCESS, code, deflated, envelope};
use crate::saml::forge::{IDP, NOW, REQUEST, SAML, Spec, attributes, now, settings};

const SLO: &str = "https://sp.example.com/saml/slo";

/// By which binding a fixture comes: its file's extension.
#[derive(Clone, Copy)]
enum Binding {
    /// The XML that the form's base64 holds.
    Request,
    Response,
    Query,
    Soap,
}

struct Case {
    name: &'static str,
    binding: Binding,
    /// The code of the refusal; `None` for accepted.
    owed: Option<&'static str>,
    octets: Vec<u8>,
}

fn message(element: &'static str) -> Message {
    let mut message = match element {
        "LogoutRequest" => Message::request(IDP, SLO, "alice@example.com", &["_session"]),
        _ => Message::response(IDP, SLO, REQUEST, &code(SUCCESS, "")),
    };
    message.attributes.extend(attributes([("ID", "_logout"), ("IssueInstant", "2026-01-15T11:59:58Z")]));
    message
}

fn request(change: impl FnOnce(&mut Message)) -> Message {
    let mut request = message("LogoutRequest");
    change(&mut request);
    request
}

fn cases() -> Vec<Case> {
    let plain = || request(|_| ());
    let post = |name, owed, xml: String| Case { name, binding: Binding::Request, owed, octets: xml.into() };
    let query =
        |name, owed, query: String| Case { name, binding: Binding::Query, owed, octets: query.into() };
    let soap = |name, owed, xml: String| Case { name, binding: Binding::Soap, owed, octets: xml.into() };
    let answer =
        |name, owed, xml: String| Case { name, binding: Binding::Response, owed, octets: xml.into() };
    let changed = |attribute, value: &str| {
        request(|message| drop(message.attributes.insert(attribute, value.to_owned()))).signed()
    };
    let nested = request(|message| {
        message.rest = format!(
            "<samlp:Extensions>{}</samlp:Extensions>{}",
            Spec::default().assertion_xml(),
            message.rest
        );
    });
    let encrypted = request(|message| {
        message.rest = format!("<saml:EncryptedID xmlns:saml=\"{SAML}\"></saml:EncryptedID>")
    });
    let many = request(|message| message.rest += &"<samlp:SessionIndex>_x</samlp:SessionIndex>".repeat(65));
    let bomb = deflated(&vec![b' '; 256 * 1024]);
    let trailing = [deflated(plain().unsigned().as_bytes()), vec![0]].concat();
    let unasked = {
        let mut response = message("LogoutResponse");
        response.attributes.insert("InResponseTo", "_other".into());
        response.signed()
    };
    vec![
        post("post", None, plain().signed()),
        post(
            "no-session-index",
            None,
            request(|m| m.rest = Message::request(IDP, SLO, "alice@example.com", &[]).rest).signed(),
        ),
        query("redirect", None, plain().query(Some("opaque"))),
        soap("soap", None, plain().envelope()),
        answer("response", None, message("LogoutResponse").signed()),
        post("L-01-not-signed", Some("signature_missing"), plain().unsigned()),
        soap("L-01-not-signed", Some("signature_missing"), envelope(&plain().unsigned())),
        post("L-02-assertion-in-a-forged-request", Some("signature_misplaced"), nested.unsigned()),
        post("L-02-changed", Some("digest_mismatch"), plain().signed().replace("alice@", "bob@")),
        query("L-03-twice", Some("parameter_twice"), format!("{}&SigAlg=a", plain().query(None))),
        query(
            "L-03-another-spelling",
            Some("parameter_encoding"),
            format!("{}&Sig%41lg=a", plain().query(None)),
        ),
        query(
            "L-03-changed",
            Some("signature_invalid"),
            plain().query(Some("a")).replace("RelayState=a", "RelayState=b"),
        ),
        query("L-04-both", Some("request_and_response"), format!("{}&SAMLResponse=a", plain().query(None))),
        query("neither", Some("message_missing"), "RelayState=a".into()),
        query("S-67-bomb", Some("inflated_too_large"), plain().query_of(&bomb, None)),
        query("S-67-trailing", Some("deflate_trailing"), plain().query_of(&trailing, None)),
        query("S-67-not-deflate", Some("deflate_invalid"), plain().query_of(b"\xff\xff\xff", None)),
        post("L-06-expired", Some("logout_expired"), changed("NotOnOrAfter", "2026-01-15T11:58:00Z")),
        post("L-06-stale", Some("issue_instant_stale"), changed("IssueInstant", "2026-01-15T11:00:00Z")),
        post(
            "L-06-destination",
            Some("destination_mismatch"),
            changed("Destination", "https://sp.example.com/saml/slo2"),
        ),
        post(
            "L-06-issuer",
            Some("response_issuer_mismatch"),
            request(|m| m.issuer = m.issuer.replace("idp.", "idp2.")).signed(),
        ),
        answer("L-07-another-request", Some("request_unknown"), unasked),
        post("another-message", Some("not_logout"), Spec::default().xml()),
        post("no-name-id", Some("logout_shape"), request(|m| m.rest.clear()).signed()),
        post("encrypted-id", Some("encrypted_part"), encrypted.signed()),
        post("many-sessions", Some("session_indexes_exceeded"), many.signed()),
        soap("two-in-a-body", Some("soap_envelope"), envelope(&(plain().signed() + "<a></a>"))),
    ]
}

fn path(case: &Case) -> PathBuf {
    let extension = match case.binding {
        Binding::Request => "request.xml",
        Binding::Response => "response.xml",
        Binding::Query => "query",
        Binding::Soap => "soap.xml",
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/saml/logout");
    let folder = case.owed.map_or("accept".into(), |code| Path::new("reject").join(code));
    root.join(folder).join(format!("{}.{extension}", case.name))
}

fn judged(connection: &Connection, case: &Case) -> Result<(), LogoutRefusal> {
    let outstanding = [Outstanding { request_id: REQUEST }];
    let receiver = Receiver { connection, slo_url: SLO, outstanding: &outstanding, now: now() };
    match case.binding {
        Binding::Request => receiver.post(MessageKind::Request, &case.octets).map(drop),
        Binding::Response => receiver.post(MessageKind::Response, &case.octets).map(drop),
        Binding::Query => receiver.redirect(std::str::from_utf8(&case.octets).unwrap()).map(drop),
        Binding::Soap => receiver.soap(&case.octets).map(drop),
    }
}

#[test]
fn every_message_has_the_outcome_that_it_is_owed() {
    let slo = SloSettings {
        url: "https://idp.example.com/slo".into(),
        response_url: None,
        binding: SloBinding::Post,
    };
    let connection =
        Connection::new(portcullis::saml::Settings { slo: Some(slo), ..settings(&["idp-rsa"]) }).unwrap();
    assert!(NOW.starts_with("2026-01-15T12:00"));
    for case in cases() {
        let found = judged(&connection, &case).err();
        let code = found.as_ref().map(LogoutRefusal::code);
        assert_eq!(code, case.owed, "{}: {found:?}", path(&case).display());
    }
}

#[test]
fn the_fixtures_are_what_the_generator_makes() {
    let mut wanted = BTreeSet::new();
    for case in cases() {
        let path = path(&case);
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &case.octets).unwrap();
        }
        assert_eq!(fs::read(&path).ok().as_ref(), Some(&case.octets), "{}", path.display());
        assert!(wanted.insert(path.clone()), "two are called {}", path.display());
    }
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/saml/logout")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert!(wanted.contains(&path), "no case makes {}", path.display());
            }
        }
    }
}
