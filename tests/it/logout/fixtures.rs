//! `fixtures/saml/logout`: messages at a fixed time, with the outcome that each is owed, without a gateway around.
//!
//! `UPDATE_FIXTURES=1 cargo test --test it logout::fixtures` writes them anew.
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::saml::{self, Connection, LogoutRefusal, MessageKind, Receiver, SloSettings};

use super::{
    encrypted::encrypted_id,
    forge_logout::{Message, SUCCESS, code, deflated, envelope, escaped},
};
use crate::saml::{
    forge::{IDP, NOW, REQUEST, SAML, Spec, attributes, now, signature_uri},
    seal::Seal,
};

pub const SLO: &str = "https://sp.example.com/saml/slo";

/// By which binding a fixture comes: its file's extension.
#[derive(Clone, Copy)]
pub enum Binding {
    /// The XML that the form's base64 holds.
    Request,
    Response,
    Query,
    Soap,
}

pub struct Case {
    pub name: &'static str,
    pub binding: Binding,
    /// The code of the refusal; `None` for accepted.
    pub owed: Option<&'static str>,
    pub octets: Vec<u8>,
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

fn plain() -> Message {
    request(|_| ())
}

fn post(name: &'static str, owed: Option<&'static str>, xml: String) -> Case {
    Case { name, binding: Binding::Request, owed, octets: xml.into() }
}

fn answer(name: &'static str, owed: Option<&'static str>, xml: String) -> Case {
    Case { name, binding: Binding::Response, owed, octets: xml.into() }
}

fn query(name: &'static str, owed: Option<&'static str>, query: String) -> Case {
    Case { name, binding: Binding::Query, owed, octets: query.into() }
}

fn soap(name: &'static str, owed: Option<&'static str>, xml: String) -> Case {
    Case { name, binding: Binding::Soap, owed, octets: xml.into() }
}

pub fn cases() -> Vec<Case> {
    [accepted(), unsigned(), queries(), parameters(), messages(), fields(), shapes()]
        .into_iter()
        .flatten()
        .collect()
}

fn accepted() -> Vec<Case> {
    let all = request(|m| m.rest = Message::request(IDP, SLO, "alice@example.com", &[]).rest);
    vec![
        post("post", None, plain().signed()),
        post("no-session-index", None, all.signed()),
        query("redirect", None, plain().query(Some("opaque"))),
        soap("soap", None, plain().envelope()),
        answer("response", None, message("LogoutResponse").signed()),
        post("encrypted-id", None, request(|m| m.rest = encrypted_id(&Seal::default(), "")).signed()),
        soap("encrypted-id", None, request(|m| m.rest = encrypted_id(&Seal::default(), "")).envelope()),
    ]
}

fn unsigned() -> Vec<Case> {
    let nested = request(|m| {
        let assertion = Spec::default().assertion_xml();
        m.rest = format!("<samlp:Extensions>{assertion}</samlp:Extensions>{}", m.rest);
    });
    let changed = plain().signed().replace("alice@", "bob@");
    vec![
        post("L-01-not-signed", Some("signature_missing"), plain().unsigned()),
        soap("L-01-not-signed", Some("signature_missing"), envelope(&plain().unsigned())),
        post("L-02-assertion-in-a-forged-request", Some("signature_misplaced"), nested.unsigned()),
        post("L-02-assertion-in-a-signed-request", Some("signature_misplaced"), nested.signed()),
        query("L-02-assertion-in-a-signed-query", Some("signature_misplaced"), nested.query(None)),
        query("L-01-not-signed", Some("signature_missing"), {
            format!("SAMLRequest={}", escaped(&STANDARD.encode(deflated(plain().unsigned().as_bytes()))))
        }),
        post("L-02-changed", Some("digest_mismatch"), changed),
        soap("two-in-a-body", Some("soap_envelope"), envelope(&(plain().signed() + "<a></a>"))),
    ]
}

fn queries() -> Vec<Case> {
    let with = |more: &str| format!("{}{more}", plain().query(None));
    let changed = plain().query(Some("a")).replace("RelayState=a", "RelayState=b");
    let bomb = deflated(&vec![b' '; 256 * 1024]);
    let trailing = [deflated(plain().unsigned().as_bytes()), vec![0]].concat();
    let of = |octets: &[u8]| plain().query_of(octets, None);
    vec![
        query("L-03-twice", Some("parameter_twice"), with("&SigAlg=a")),
        query("L-03-another-spelling", Some("parameter_encoding"), with("&Sig%41lg=a")),
        query("L-03-changed", Some("signature_invalid"), changed),
        query("L-04-both", Some("request_and_response"), with("&SAMLResponse=a")),
        query("neither", Some("message_missing"), "RelayState=a".into()),
        query("S-67-bomb", Some("inflated_too_large"), of(&bomb)),
        query("S-67-trailing", Some("deflate_trailing"), of(&trailing)),
        query("S-67-not-deflate", Some("deflate_invalid"), of(b"\xff\xff\xff")),
    ]
}

/// What is said in a query beside the message.
fn parameters() -> Vec<Case> {
    let signed = |more: &str| {
        let whole = plain().query(None);
        let (query, _) = whole.split_once("&SigAlg").unwrap();
        plain().sign_query(&format!("{query}{more}&SigAlg={}", escaped(&signature_uri("rsa-sha256"))))
    };
    let with_signature = |value: &str| {
        let whole = plain().query(None);
        format!("{}&Signature={value}", whole.split_once("&Signature").unwrap().0)
    };
    let sha1 = plain().query(None).replace("rsa-sha256", "rsa-sha1");
    vec![
        query("L-01-sha1", Some("signature_algorithm"), {
            plain().sign_query(sha1.split_once("&Signature").unwrap().0)
        }),
        query("L-01-signature-not-base64", Some("signature_encoding"), with_signature("%2A")),
        query("L-01-signature-too-long", Some("signature_encoding"), with_signature(&"A".repeat(5000))),
        query(
            "L-03-relay-state-twice",
            Some("parameter_twice"),
            format!("RelayState=x&{}", signed("&RelayState=a")),
        ),
        query("L-03-no-escape", Some("parameter_encoding"), signed("&RelayState=%zz")),
        query("L-03-message-not-base64", Some("parameter_encoding"), {
            plain().sign_query(&format!("SAMLRequest=%2A&SigAlg={}", escaped(&signature_uri("rsa-sha256"))))
        }),
        query("another-encoding", Some("parameter_encoding"), plain().query(None) + "&SAMLEncoding=urn:x"),
    ]
}

fn messages() -> Vec<Case> {
    let with =
        |attribute, value: &str| request(|m| drop(m.attributes.insert(attribute, value.to_owned()))).signed();
    let issuer = request(|m| m.issuer = m.issuer.replace("idp.", "idp2.")).signed();
    let format = " Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">";
    let format = request(|m| m.issuer = m.issuer.replacen('>', format, 1)).signed();
    let encrypted = format!("<saml:EncryptedID xmlns:saml=\"{SAML}\"></saml:EncryptedID>");
    let many = request(|m| m.rest += &"<samlp:SessionIndex>_x</samlp:SessionIndex>".repeat(65)).signed();
    let mut unasked = message("LogoutResponse");
    unasked.attributes.insert("InResponseTo", "_other".into());
    vec![
        post("L-06-expired", Some("logout_expired"), with("NotOnOrAfter", "2026-01-15T11:58:00Z")),
        post("L-06-stale", Some("issue_instant_stale"), with("IssueInstant", "2026-01-15T11:00:00Z")),
        post(
            "L-06-destination",
            Some("destination_mismatch"),
            with("Destination", "https://sp.example.com/saml/slo2"),
        ),
        post("L-06-issuer", Some("response_issuer_mismatch"), issuer),
        post("L-06-future", Some("issue_instant_future"), with("IssueInstant", "2026-01-15T13:00:00Z")),
        post("L-06-no-destination", Some("destination_missing"), {
            request(|m| drop(m.attributes.remove("Destination"))).signed()
        }),
        post("issuer-format", Some("issuer_format"), format),
        answer("L-07-another-request", Some("request_unknown"), unasked.signed()),
        post("another-message", Some("not_logout"), Spec::default().xml()),
        post("no-name-id", Some("logout_shape"), request(|m| m.rest.clear()).signed()),
        post("encrypted-id", Some("encrypted_part"), request(|m| m.rest = encrypted).signed()),
        post("many-sessions", Some("session_indexes_exceeded"), many),
    ]
}

fn fields() -> Vec<Case> {
    let about = |name: &str| request(|m| m.rest = Message::request(IDP, SLO, name, &[]).rest).signed();
    vec![
        post("version", Some("version_unsupported"), {
            request(|m| drop(m.attributes.insert("Version", "1.1".into()))).signed()
        }),
        post("empty-name-id", Some("name_id_missing"), about("")),
        post("long-name-id", Some("name_id_too_long"), about(&"a".repeat(1025))),
    ]
}

fn shapes() -> Vec<Case> {
    let shape = Some("logout_shape");
    let header = |attribute: &str| {
        let block = format!("<e:Header><x {attribute}=\"1\"></x></e:Header><e:Body>");
        envelope(&plain().signed()).replacen("<e:Body>", &block, 1)
    };
    let prefixes = || (0..55).map(|n| format!("p{n:02}"));
    let declared: String = prefixes().map(|p| format!(" xmlns:{p}=\"urn:{p}\"")).collect();
    let used: String = prefixes().map(|p| format!(" {p}:a=\"\"")).collect();
    let element = format!("<samlp:Extensions><x{declared}{used}></x></samlp:Extensions>");
    let heavy = request(|m| m.rest = element + &m.rest).signed();
    vec![
        post("unknown-child", shape, request(|m| m.rest += "<samlp:Other></samlp:Other>").signed()),
        post("text-between", shape, request(|m| m.rest += "text").signed()),
        post("two-name-ids", shape, request(|m| m.rest = plain().rest.repeat(2)).signed()),
        post("under-another-name", Some("not_logout"), request(|m| m.element = "LogoutOrder").signed()),
        soap("header", None, header("a")),
        soap("header-must-be-understood", Some("soap_envelope"), header("e:mustUnderstand")),
        soap(
            "long",
            Some("decoded_too_large"),
            envelope(&format!("{}{}", " ".repeat(200_000), plain().signed())),
        ),
        // Declared around, where it is used only within: what is read is the canonical form, which declares it there.
        post("L-02-attributes-of-the-canonical-form", Some("attributes_exceeded"), {
            let bare = heavy.replacen(&format!("<x{declared}"), "<x", 1);
            bare.replacen("<samlp:LogoutRequest", &format!("<samlp:LogoutRequest{declared}"), 1)
        }),
    ]
}

/// Files longer than this say nothing that a line in the table does not say.
const FIXTURE_BYTES_MAX: usize = 16 * 1024;

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

/// RSA encryption draws a random number, so files with an EncryptedKey stay as they are while they serve.
fn serves(case: &Case, found: &[u8]) -> bool {
    if !String::from_utf8_lossy(&case.octets).contains("<xenc:EncryptedKey") {
        return found == case.octets;
    }
    let found = Case { octets: found.to_vec(), ..*case };
    judged(&connection(&found), &found).err().map(|refusal| refusal.code()) == case.owed
}

/// With keys to decrypt with, but for what is refused without.
pub fn connection(case: &Case) -> Connection {
    let slo = SloSettings {
        url: "https://idp.example.com/slo".into(),
        response_url: None,
        binding: saml::Binding::Post,
    };
    let keys = if case.owed == Some("encrypted_part") { &[][..] } else { &["sp-decryption"] };
    crate::saml::encrypted::connection(keys, |settings| settings.slo = Some(slo))
}

pub fn judged(connection: &Connection, case: &Case) -> Result<(), LogoutRefusal> {
    let receiver = Receiver { connection, slo_url: SLO, outstanding: &[REQUEST], now: now() };
    match case.binding {
        Binding::Request => receiver.post(MessageKind::Request, &case.octets).map(drop),
        Binding::Response => receiver.post(MessageKind::Response, &case.octets).map(drop),
        Binding::Query => receiver.redirect(std::str::from_utf8(&case.octets).unwrap()).map(drop),
        Binding::Soap => receiver.soap(&case.octets).map(drop),
    }
}

#[test]
fn every_message_has_the_outcome_that_it_is_owed() {
    assert!(NOW.starts_with("2026-01-15T12:00"));
    for case in cases() {
        let found = judged(&connection(&case), &case).err();
        let code = found.as_ref().map(LogoutRefusal::code);
        assert_eq!(code, case.owed, "{}: {found:?}", path(&case).display());
    }
}

#[test]
fn the_fixtures_are_what_the_generator_makes() {
    let mut wanted = BTreeSet::new();
    for case in cases().into_iter().filter(|case| case.octets.len() <= FIXTURE_BYTES_MAX) {
        let path = path(&case);
        let found = fs::read(&path).unwrap_or_default();
        if std::env::var_os("UPDATE_FIXTURES").is_some() && !serves(&case, &found) {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &case.octets).unwrap();
        }
        assert!(fs::read(&path).is_ok_and(|found| serves(&case, &found)), "{}", path.display());
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
