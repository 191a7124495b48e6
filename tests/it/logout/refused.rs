//! L-01 to L-09 and S-67: logout messages that must be refused.
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::{demo::browser::Browser, edge::cookies};

use super::{
    Message,
    forge_logout::{PERSISTENT, SUCCESS, at, code, deflated, envelope, escaped, form},
    gateway, token,
};
use crate::{
    saml::forge::{SAML, Spec},
    support::gateway::{BACKENDS, Backend, TestGateway},
};

/// The value of a response's field.
fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let lines = answer.lines().take_while(|line| !line.is_empty());
    let mut fields = lines.filter_map(|line| line.split_once(": "));
    fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Signs out as far as the redirect to the IdP: the handle that the browser now holds, and the ID of the LogoutRequest.
pub fn leaves(gateway: &TestGateway, browser: &Browser, target: &str) -> (String, String) {
    let session = format!("{}={}", cookies::SESSION, token(browser).expose());
    let fields = format!("Cookie: {session}\r\nSec-Fetch-Site: same-origin\r\n");
    let (status, answer) = gateway.call("POST", target, &fields, "");
    assert_eq!(status, 303, "{answer}");
    let (_, handle) = answer.split_once(&format!("{}=", cookies::SIGN_OUT)).expect("a handle");
    let location = field(&answer, "location").unwrap();
    let (_, query) = location.split_once('?').unwrap();
    let request = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "SAMLRequest").unwrap().1;
    let mut xml = String::new();
    let octets = STANDARD.decode(&*request).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::DeflateDecoder::new(&octets[..]), &mut xml).unwrap();
    let (_, id) = xml.split_once(" ID=\"").unwrap();
    (handle.split(';').next().unwrap().to_owned(), id.split('"').next().unwrap().to_owned())
}

/// Refused by every binding that carries it.
pub async fn by_all(
    gateway: &TestGateway,
    alice: &mut Browser,
    reason: &str,
    name: &str,
    make: impl Fn() -> Message,
) {
    gateway.owes(alice, reason, name, || gateway.redirect(&make().query(None))).await;
    gateway.owes(alice, reason, name, || gateway.post(&make().form(None))).await;
    gateway.owes(alice, reason, name, || gateway.soap(&make().envelope())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l_01_an_unsigned_request_ends_nothing() {
    for backend in BACKENDS {
        let gateway = gateway(backend, "redirect").await;
        let (mut alice, _) = gateway.signed_in("alice").await;
        let request = gateway.logout_request("alice", &[]);
        let missing = "signature_missing";
        let bare =
            format!("SAMLRequest={}", escaped(&STANDARD.encode(deflated(request.unsigned().as_bytes()))));
        gateway.owes(&mut alice, missing, "redirect", || gateway.redirect(&bare)).await;
        let signed = request.query(None);
        let without = signed.split_once("&Signature=").unwrap().0;
        gateway.owes(&mut alice, missing, "no Signature", || gateway.redirect(without)).await;
        let form = form("SAMLRequest", &request.unsigned(), None);
        gateway.owes(&mut alice, missing, "post", || gateway.post(&form)).await;
        let envelope = envelope(&request.unsigned());
        gateway.owes(&mut alice, missing, "soap", || gateway.soap(&envelope)).await;
        // Signed, but by somebody else; or with what nobody should sign with.
        by_all(&gateway, &mut alice, "signature_invalid", "attacker", || Message {
            key: "attacker-rsa",
            ..gateway.logout_request("alice", &[])
        })
        .await;
        let weak = signed.replace("rsa-sha256", "rsa-sha1");
        gateway.owes(&mut alice, "signature_algorithm", "SHA-1", || gateway.redirect(&weak)).await;
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l_02_the_message_itself_is_the_signed_element() {
    let gateway = gateway(Backend::Embedded, "redirect").await;
    let (mut alice, _) = gateway.signed_in("alice").await;
    let forged = gateway.logout_request("alice", &[]);
    let extensions = |content: &str| format!("<samlp:Extensions>{content}</samlp:Extensions>");
    // A captured assertion that this IdP signed, within a forged request.
    let assertion = Spec::default().assertion_xml();
    assert!(assertion.contains("SignatureValue"));
    let mut nested = forged.clone();
    nested.rest = extensions(&assertion) + &nested.rest;
    // A genuine, signed request about somebody else, within a forged one.
    let genuine = gateway.logout_request("bob", &[]).signed();
    let mut wrapped = forged.clone();
    wrapped.rest = extensions(&genuine) + &wrapped.rest;
    for (name, message) in [("assertion", &nested), ("request", &wrapped)] {
        let form = form("SAMLRequest", &message.unsigned(), None);
        gateway.owes(&mut alice, "signature_misplaced", name, || gateway.post(&form)).await;
        let envelope = envelope(&message.unsigned());
        gateway.owes(&mut alice, "signature_misplaced", name, || gateway.soap(&envelope)).await;
        gateway.owes(&mut alice, "signature_misplaced", name, || gateway.post(&message.form(None))).await;
        gateway
            .owes(&mut alice, "signature_misplaced", name, || gateway.redirect(&message.query(None)))
            .await;
    }
    // The genuine signature moved to the forged root.
    let (_, rest) = genuine.split_once("<ds:Signature").unwrap();
    let signature = format!("<ds:Signature{}</ds:Signature>", rest.split_once("</ds:Signature>").unwrap().0);
    let moved = forged.unsigned().replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1);
    gateway
        .owes(&mut alice, "reference_uri", "moved", || gateway.post(&form("SAMLRequest", &moved, None)))
        .await;
    // Changed after it was signed.
    let changed = gateway.logout_request("bob", &[]).signed().replace("bob@", "alice@");
    gateway
        .owes(&mut alice, "digest_mismatch", "changed", || gateway.post(&form("SAMLRequest", &changed, None)))
        .await;
    gateway.owes(&mut alice, "digest_mismatch", "changed", || gateway.soap(&envelope(&changed))).await;
    // The same steps as a response: a DTD, a second root.
    let dtd = format!("<!DOCTYPE a>{}", forged.signed());
    gateway
        .owes(&mut alice, "markup_declaration", "DTD", || gateway.post(&form("SAMLRequest", &dtd, None)))
        .await;
    gateway.owes(&mut alice, "markup_declaration", "DTD", || gateway.soap(&dtd)).await;
    let response = Spec::default().xml();
    gateway
        .owes(&mut alice, "not_logout", "Response", || gateway.post(&form("SAMLRequest", &response, None)))
        .await;
    let in_header = format!(
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Header><x:a xmlns:x=\"urn:x\" \
         e:mustUnderstand=\"1\"/></e:Header><e:Body>{}</e:Body></e:Envelope>",
        forged.signed()
    );
    let two = envelope(&format!("{}<a/>", forged.signed()));
    for soap in [in_header, two, forged.signed()] {
        gateway.owes(&mut alice, "soap_envelope", "SOAP", || gateway.soap(&soap)).await;
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l_03_the_query_is_verified_as_it_was_received() {
    let gateway = gateway(Backend::Embedded, "redirect").await;
    let (mut alice, _) = gateway.signed_in("alice").await;
    let bob = || gateway.logout_request("bob", &[]);
    let alices = || gateway.logout_request("alice", &[]);
    // Escapes in lower case and of what needs none, other parameters, another order: as long as those octets were signed.
    let lower = |query: &str| {
        let mut lower = String::new();
        for (n, part) in query.split('%').enumerate() {
            let (digits, rest) = if n == 0 { ("", part) } else { part.split_at(2) };
            lower.push_str(&format!(
                "{}{}{rest}",
                if n == 0 { "" } else { "%" },
                digits.to_ascii_lowercase()
            ));
        }
        lower
    };
    let unsigned = |message: &Message| {
        let query = message.query(Some("~a b"));
        query.split_once("&Signature=").unwrap().0.to_owned()
    };
    let lowered = bob().sign_query(&lower(&unsigned(&bob())));
    let beside = format!("x=1&{}&y=%zz", bob().query(None));
    let message = bob();
    let signed = message.sign_query(&unsigned(&message));
    let mut parts: Vec<&str> = signed.split('&').collect();
    parts.rotate_left(2);
    for (name, query) in [("lower case", lowered), ("others", beside), ("order", parts.join("&"))] {
        let (status, answer) = gateway.redirect(&query);
        assert_eq!(status, 303, "{name}: {answer}");
    }
    // Encoded anew after it was signed.
    let re_encoded = lower(&unsigned(&alices()));
    let (_, signature) = alices()
        .query(Some("~a b"))
        .split_once("&Signature=")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let query = format!("{re_encoded}&Signature={signature}");
    gateway.owes(&mut alice, "signature_invalid", "encoded anew", || gateway.redirect(&query)).await;
    // RelayState taken away, changed, added.
    let with = alices().query(Some("a"));
    for (name, query) in [
        ("taken away", with.replace("&RelayState=a", "")),
        ("changed", with.replace("&RelayState=a", "&RelayState=b")),
        ("added", format!("{}&RelayState=a", alices().query(None))),
    ] {
        gateway.owes(&mut alice, "signature_invalid", name, || gateway.redirect(&query)).await;
    }
    for name in ["SAMLRequest", "RelayState", "SigAlg", "Signature"] {
        let twice = format!("{with}&{name}=a");
        gateway.owes(&mut alice, "parameter_twice", name, || gateway.redirect(&twice)).await;
        let disguised = format!("{with}&%{:02X}{}=a", name.as_bytes()[0], &name[1..]);
        gateway.owes(&mut alice, "parameter_encoding", name, || gateway.redirect(&disguised)).await;
    }
    let form = alices().form(None);
    let twice = format!("{form}&{form}");
    gateway.owes(&mut alice, "parameter_twice", "form", || gateway.post(&twice)).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l_04_a_request_and_a_response_at_once() {
    let gateway = gateway(Backend::Embedded, "redirect").await;
    let (mut alice, _) = gateway.signed_in("alice").await;
    let request = gateway.logout_request("alice", &[]);
    let reason = "request_and_response";
    for both in
        [format!("{}&SAMLResponse=a", request.query(None)), format!("SAMLResponse=a&{}", request.query(None))]
    {
        gateway.owes(&mut alice, reason, "redirect", || gateway.redirect(&both)).await;
    }
    let form = format!("{}&SAMLResponse=a", request.form(None));
    gateway.owes(&mut alice, reason, "post", || gateway.post(&form)).await;
    gateway.owes(&mut alice, "message_missing", "neither", || gateway.redirect("RelayState=a")).await;
    // A message under the other's name.
    let named = request.form(None).replace("SAMLRequest", "SAMLResponse");
    gateway.owes(&mut alice, "not_logout", "other name", || gateway.post(&named)).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l_05_only_the_sessions_that_the_request_names_end() {
    for backend in BACKENDS {
        let gateway = gateway(backend, "redirect").await;
        let (mut alice, session) = gateway.signed_in("alice").await;
        let index = session.session_index.clone().unwrap();
        let person = |name: &str| Message::request(&gateway.idp_entity_id, &gateway.slo_url(), name, &[]);
        let mut formats = gateway.logout_request("alice", &[&index]);
        formats.rest = formats.rest.replace("nameid-format:persistent", "nameid-format:transient");
        let mut qualified = gateway.logout_request("alice", &[&index]);
        qualified.rest = qualified.rest.replace("\">alice", "\" NameQualifier=\"urn:other\">alice");
        for (name, request) in [
            ("another index", gateway.logout_request("alice", &["_other", ""])),
            ("another person", gateway.logout_request("bob", &[])),
            ("another person of the same index", gateway.logout_request("bob", &[&index])),
            ("upper case", person("Alice@example.com")),
            ("blank", person(" alice@example.com")),
            ("wildcard", person("*")),
            ("pattern", person("%")),
            ("another format", formats),
            ("another qualifier", qualified),
        ] {
            // Genuine, so it is answered; it just does not concern this session.
            let (status, answer) = gateway.redirect(&request.query(None));
            assert_eq!(status, 303, "{name}: {answer}");
            assert!(gateway.identity(&mut alice).await.is_some(), "{name}");
        }
        let (status, answer) =
            gateway.redirect(&gateway.logout_request("alice", &["_other", &index]).query(None));
        assert_eq!(status, 303, "{answer}");
        assert!(gateway.identity(&mut alice).await.is_none());
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l_06_replayed_expired_and_misdirected_requests() {
    for backend in BACKENDS {
        let gateway = gateway(backend, "redirect").await;
        // Used once: afterwards, by whichever binding, it ends nothing any more. It is some seconds old, so that the new
        // sign-in is later.
        let (mut alice, _) = gateway.signed_in("alice").await;
        let mut request = gateway.logout_request("alice", &[]);
        request.attributes.insert("IssueInstant", at(-30));
        assert_eq!(gateway.redirect(&request.query(None)).0, 303);
        assert!(gateway.identity(&mut alice).await.is_none());
        let (mut alice, _) = gateway.signed_in("alice").await;
        by_all(&gateway, &mut alice, "logout_replayed", "replay", || request.clone()).await;
        let changed = |name: &'static str, value: String| {
            let mut request = gateway.logout_request("alice", &[]);
            request.attributes.insert(name, value);
            request
        };
        by_all(&gateway, &mut alice, "logout_expired", "NotOnOrAfter", || changed("NotOnOrAfter", at(-120)))
            .await;
        by_all(&gateway, &mut alice, "issue_instant_stale", "old", || changed("IssueInstant", at(-3600)))
            .await;
        by_all(&gateway, &mut alice, "issue_instant_future", "future", || changed("IssueInstant", at(3600)))
            .await;
        by_all(&gateway, &mut alice, "timestamp_invalid", "time", || changed("NotOnOrAfter", "soon".into()))
            .await;
        by_all(&gateway, &mut alice, "version_unsupported", "1.1", || changed("Version", "1.1".into())).await;
        for wrong in [
            "http://other.example.com/saml/slo",
            "",
            &format!("{}/", gateway.slo_url()),
            &gateway.slo_url().to_uppercase(),
        ] {
            by_all(&gateway, &mut alice, "destination_mismatch", wrong, || {
                changed("Destination", wrong.into())
            })
            .await;
        }
        let missing = || {
            let mut request = gateway.logout_request("alice", &[]);
            request.attributes.remove("Destination");
            request
        };
        gateway
            .owes(&mut alice, "destination_missing", "none", || gateway.redirect(&missing().query(None)))
            .await;
        gateway.owes(&mut alice, "destination_missing", "none", || gateway.post(&missing().form(None))).await;
        by_all(&gateway, &mut alice, "response_issuer_mismatch", "issuer", || {
            Message::request("https://idp.example.com", &gateway.slo_url(), "alice@example.com", &[])
        })
        .await;
        gateway.stop().await;
    }
}

/// What a LogoutRequest must say of its IdP and of whom it is about.
#[tokio::test(flavor = "multi_thread")]
async fn l_05_a_request_that_names_nobody_ends_nothing() {
    let gateway = gateway(Backend::Embedded, "redirect").await;
    let (mut alice, _) = gateway.signed_in("alice").await;
    by_all(&gateway, &mut alice, "issuer_format", "format", || {
        let mut request = gateway.logout_request("alice", &[]);
        let format = format!(" Format=\"{PERSISTENT}\">");
        request.issuer = request.issuer.replacen('>', &format, 1);
        request
    })
    .await;
    let shaped = |rest: String| Message { rest, ..gateway.logout_request("alice", &[]) };
    by_all(&gateway, &mut alice, "logout_shape", "no NameID", || shaped(String::new())).await;
    by_all(&gateway, &mut alice, "encrypted_part", "EncryptedID", || {
        shaped(format!("<saml:EncryptedID xmlns:saml=\"{SAML}\"></saml:EncryptedID>"))
    })
    .await;
    let name_id = shaped(String::new()).rest + &gateway.logout_request("alice", &[]).rest;
    by_all(&gateway, &mut alice, "session_indexes_exceeded", "indexes", || {
        shaped(name_id.clone() + &"<samlp:SessionIndex>_x</samlp:SessionIndex>".repeat(65))
    })
    .await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l_07_a_response_answers_what_this_browser_asked() {
    let gateway = gateway(Backend::Embedded, "redirect").await;
    let (mut alice, _) = gateway.signed_in("alice").await;
    let (bob, _) = gateway.signed_in("bob").await;
    let (carol, _) = gateway.signed_in("carol").await;
    let (handle, request) = leaves(&gateway, &bob, "/saml/logout?return_to=/public");
    let (other_handle, other_request) = leaves(&gateway, &carol, "/saml/logout");
    let cookie = |handle: &str| format!("Cookie: {}={handle}\r\n", cookies::SIGN_OUT);
    let answers = |request: &str| {
        Message::response(&gateway.idp_entity_id, &gateway.slo_url(), request, &code(SUCCESS, ""))
    };
    let send = |fields: &str, message: &Message, relay_state: Option<&str>| {
        gateway.call("GET", &format!("/saml/slo?{}", message.query(relay_state)), fields, "")
    };
    let unknown = "request_unknown";
    for (name, fields, request) in [
        ("no cookie", String::new(), request.as_str()),
        ("another's handle", cookie(&other_handle), request.as_str()),
        ("another's request", cookie(&handle), other_request.as_str()),
        ("nobody's request", cookie(&handle), "_f0e1d2c3b4a5968778695a4b3c2d1e0f"),
        ("no request", cookie(&handle), ""),
        ("a handle that is none", cookie(&format!("{handle}0")), request.as_str()),
    ] {
        gateway.owes(&mut alice, unknown, name, || send(&fields, &answers(request), None)).await;
    }
    let forged = Message { key: "attacker-rsa", ..answers(&request) };
    gateway.owes(&mut alice, "signature_invalid", "forged", || send(&cookie(&handle), &forged, None)).await;
    gateway
        .owes(&mut alice, "relay_state_mismatch", "RelayState", || {
            send(&cookie(&handle), &answers(&request), Some("x"))
        })
        .await;
    // After all these, the one that is owed still passes, once.
    let (status, answer) = send(&cookie(&handle), &answers(&request), None);
    assert_eq!(status, 303, "{answer}");
    assert_eq!(field(&answer, "location"), Some(format!("{}/public", gateway.url).as_str()));
    gateway.owes(&mut alice, unknown, "again", || send(&cookie(&handle), &answers(&request), None)).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l_08_nobody_is_signed_out_by_another_site() {
    let gateway = gateway(Backend::Embedded, "redirect").await;
    let (mut alice, _) = gateway.signed_in("alice").await;
    let session = format!("Cookie: {}={}\r\n", cookies::SESSION, token(&alice).expose());
    // An image: answered by the page that asks.
    let (status, answer) =
        gateway.call("GET", "/saml/logout", &format!("{session}Sec-Fetch-Site: cross-site\r\n"), "");
    assert_eq!(status, 200, "{answer}");
    assert!(!answer.to_ascii_lowercase().contains("set-cookie:"), "{answer}");
    let host = &gateway.url;
    for fields in [
        String::new(),
        "Sec-Fetch-Site: cross-site\r\n".into(),
        "Sec-Fetch-Site: same-site\r\n".into(),
        format!("Sec-Fetch-Site: cross-site\r\nOrigin: {host}\r\n"),
        "Origin: null\r\n".into(),
        "Origin: https://evil.example\r\n".into(),
        format!("Origin: {host}.evil.example\r\n"),
    ] {
        let writes = gateway.log().expect("a log").writes();
        let (status, answer) = gateway.call("POST", "/saml/logout", &format!("{session}{fields}"), "");
        assert_eq!(status, 403, "{fields}: {answer}");
        assert_eq!(gateway.log().expect("a log").writes(), writes, "{fields}: writes to the store");
        assert!(!answer.to_ascii_lowercase().contains("set-cookie:"), "{fields}: {answer}");
        assert!(gateway.identity(&mut alice).await.is_some(), "{fields}");
    }
    // A browser that knows only Origin.
    let (status, answer) = gateway.call("POST", "/saml/logout", &format!("{session}Origin: {host}\r\n"), "");
    assert_eq!(status, 303, "{answer}");
    assert!(gateway.identity(&mut alice).await.is_none());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l_09_a_sign_out_leads_nowhere_else() {
    let gateway = gateway(Backend::Embedded, "redirect").await;
    let (mut alice, _) = gateway.signed_in("alice").await;
    let session =
        format!("Cookie: {}={}\r\nSec-Fetch-Site: same-origin\r\n", cookies::SESSION, token(&alice).expose());
    for target in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/%5cevil.example",
        "javascript:alert(1)",
        "",
        "/a%0d%0aSet-Cookie: a=b",
    ] {
        let target = format!("/saml/logout?return_to={}", escaped(target));
        let writes = gateway.log().expect("a log").writes();
        let (status, answer) = gateway.call("POST", &target, &session, "");
        assert_eq!(status, 400, "{target}: {answer}");
        assert_eq!(gateway.log().expect("a log").writes(), writes, "{target}: writes to the store");
        assert!(gateway.identity(&mut alice).await.is_some(), "{target}");
    }
    let twice = "/saml/logout?return_to=/a&return_to=/b";
    assert_eq!(gateway.call("POST", twice, &session, "").0, 400);
    // What the IdP says as RelayState with its own request goes back to the IdP and nowhere else.
    let (status, answer) =
        gateway.redirect(&gateway.logout_request("bob", &[]).query(Some("https://evil.example/")));
    assert_eq!(status, 303, "{answer}");
    assert!(
        field(&answer, "location").unwrap().starts_with(&format!("{}/slo?SAMLResponse=", gateway.idp_url)),
        "{answer}"
    );
    let long = "a".repeat(1025);
    let request = gateway.logout_request("alice", &[]);
    gateway
        .owes(&mut alice, "relay_state_too_long", "long", || gateway.redirect(&request.query(Some(&long))))
        .await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_67_what_inflates_too_far_is_refused() {
    let gateway = gateway(Backend::Embedded, "redirect").await;
    let (mut alice, _) = gateway.signed_in("alice").await;
    let request = gateway.logout_request("alice", &[]);
    let bomb = deflated(&vec![b' '; 8 * 1024 * 1024]);
    let trailing = [deflated(request.unsigned().as_bytes()), vec![0]].concat();
    let zlib = [&b"\x78\x9c"[..], &deflated(request.unsigned().as_bytes())].concat();
    for (reason, octets) in [
        ("inflated_too_large", bomb),
        ("deflate_trailing", trailing),
        ("deflate_invalid", zlib),
        ("not_well_formed", deflated(b"")),
    ] {
        gateway.owes(&mut alice, reason, reason, || gateway.redirect(&request.query_of(&octets, None))).await;
    }
    gateway.stop().await;
}
