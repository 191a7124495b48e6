//! The binding: how a message arrives, what comes with it, and what nobody may send (S-66, S-98, S-100 to S-104).
use std::collections::HashSet;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::world::{ACS_PATH, CASES, FORM, HOST, Post, RELAY_STATE, World, cookie, form, message};
use crate::gate_rig::{Answer, Client, read_head};

const IDP: &[&str] = &["idp-rsa"];

pub fn post(fields: &str, body: impl Into<Vec<u8>>) -> Post<'static> {
    Post { host: HOST, path: ACS_PATH, fields: format!("{fields}{}", cookie()), body: body.into() }
}

pub fn encoded(pairs: &[(&str, &str)]) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes()
}

/// The head of the answer to a request without a body.
fn bare(world: &World, line: &str, fields: &str) -> Answer {
    let mut client = Client::new(world.gateway.running.as_ref().unwrap().public_address);
    client.send(format!("{line} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{fields}\r\n").as_bytes());
    let head = read_head(&mut client.0).expect("an answer");
    Answer { status: head[9..12].parse().unwrap(), head, body: String::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_100_other_bindings_over_http() {
    let world = World::new(IDP).await;
    let value = message(|_| {});
    let genuine = [("SAMLResponse", value.as_str()), ("RelayState", RELAY_STATE)];
    let twice = [genuine[0], genuine[0], genuine[1]];
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(genuine).finish();
    let in_query: &'static str = format!("{ACS_PATH}?{query}").leak();
    let json = serde_json::json!({ "SAMLResponse": value, "RelayState": RELAY_STATE }).to_string();
    let soap = "Content-Type: text/xml\r\nSOAPAction: http://www.oasis-open.org/committees/security\r\n";
    let multipart = "Content-Type: multipart/form-data; boundary=b\r\n";
    let parts =
        format!("--b\r\nContent-Disposition: form-data; name=\"SAMLResponse\"\r\n\r\n{value}\r\n--b--\r\n");
    for (name, post, status, reason) in [
        ("JSON", post("Content-Type: application/json\r\n", json), 415, "content_type"),
        ("multipart", post(multipart, parts), 415, "content_type"),
        ("SOAP", post(soap, "<S:Envelope/>"), 415, "content_type"),
        ("no type", post("", encoded(&genuine)), 415, "content_type"),
        (
            "query and body",
            Post { path: in_query, ..post(FORM, encoded(&genuine)) },
            400,
            "parameters_in_query",
        ),
        ("twice", post(FORM, encoded(&twice)), 400, "parameters"),
        ("two RelayStates", post(FORM, encoded(&[genuine[0], genuine[1], genuine[1]])), 400, "parameters"),
        ("artifact", post(FORM, encoded(&[("SAMLart", "AAQAAMFbLinlXaCM")])), 400, "parameters"),
        ("with an artifact", post(FORM, encoded(&[genuine[0], ("SAMLart", "AAQ")])), 400, "parameters"),
        ("with a request", post(FORM, encoded(&[genuine[0], ("SAMLRequest", "AAQ")])), 400, "parameters"),
        ("nothing", post(FORM, ""), 400, "parameters"),
    ] {
        world.expect_refused(name, &world.post(&post), status, reason);
    }
    // PAOS in Accept has no effect, HTTP-Redirect has no endpoint.
    let paos = "Accept: application/vnd.paos+xml\r\nPAOS: ver=\"urn:liberty:paos:2003-08\"\r\n";
    for (line, status) in [
        (format!("GET {in_query}"), 405),
        (format!("HEAD {in_query}"), 405),
        (format!("PUT {ACS_PATH}"), 405),
    ] {
        let answer = bare(&world, &line, &format!("{paos}{}", cookie()));
        assert_eq!(answer.status, status, "{line}");
        assert!(answer.values("set-cookie").is_empty(), "{line}");
    }
    world.expect_accepted("the control", &world.post(&form(&value)));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_101_no_other_origin_is_invited() {
    let world = World::new(IDP).await;
    let preflight = "Origin: null\r\nAccess-Control-Request-Method: POST\r\n";
    for line in [format!("OPTIONS {ACS_PATH}"), format!("HEAD {ACS_PATH}")] {
        let answer = bare(&world, &line, preflight);
        assert_eq!(answer.status, 405, "{line}");
        assert!(!answer.head.contains("access-control"), "{}", answer.head);
    }
    // The POST comes from the IdP's page; its origin is none of our business, and learns nothing.
    let mut post = form("PHgvPg==");
    post.fields += "Origin: null\r\n";
    world.expect_refused("a cross-origin POST", &world.post(&post), 403, "root_not_response");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_98_relay_state_over_http() {
    let world = World::new(IDP).await;
    let value = message(|_| {});
    for evil in [
        "https://evil.test/",
        "//evil.test",
        "/\\evil.test",
        "/%09/evil.test",
        "javascript:alert(1)",
        "x\r\nSet-Cookie: a=b",
        "<script>alert(1)</script>",
        "another-handle",
        "",
        &"x".repeat(4000),
    ] {
        let body = encoded(&[("SAMLResponse", &value), ("RelayState", evil)]);
        let seen = world.post(&post(FORM, body));
        world.expect_refused(evil, &seen, 403, "relay_state_mismatch");
    }
    // The path to return to lies with the request, on our side.
    world.expect_accepted(
        "without RelayState",
        &world.post(&post(FORM, encoded(&[("SAMLResponse", &value)]))),
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_102_nothing_of_a_post_is_reflected() {
    let world = World::new(IDP).await;
    let script = "\"><script>alert(1)</script>";
    for body in [
        encoded(&[("SAMLResponse", script), ("RelayState", script)]),
        encoded(&[("SAMLResponse", &STANDARD.encode(script)), ("RelayState", script)]),
        encoded(&[("SAMLResponse", &STANDARD.encode(format!("<{script}")))]),
    ] {
        let seen = world.post(&post(FORM, body));
        let reason = seen.audit[0]["reason"].as_str().unwrap().to_owned();
        world.expect_refused(script, &seen, 403, &reason);
    }
    world.stop().await;
}

/// S-66: what is too long for the ACS, or for the verification, costs nothing more than reading it.
#[tokio::test(flavor = "multi_thread")]
async fn s_66_bodies_beyond_the_cap() {
    let world = World::new(IDP).await;
    let mut huge = encoded(&[("SAMLResponse", &"A".repeat(2 * 1024 * 1024))]);
    let seen = world.post_until_answer(&post(FORM, std::mem::take(&mut huge)));
    world.expect_refused("two megabytes", &seen, 413, "body_too_large");
    world.stop().await;
}

/// S-68: base64 within base64 is no message.
#[tokio::test(flavor = "multi_thread")]
async fn s_68_encoded_twice() {
    let world = World::new(IDP).await;
    let twice = STANDARD.encode(message(|_| {}));
    world.expect_refused("encoded twice", &world.post(&form(&twice)), 403, "content_outside_root");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_103_requests_cannot_be_guessed_or_led_elsewhere() {
    let world = World::new(IDP).await;
    let mut seen = HashSet::new();
    for query in
        ["", "?acs=https://evil.test/", "?AssertionConsumerServiceURL=https://evil.test/&RelayState=evil"]
    {
        let answer = bare(&world, &format!("GET /saml/login{query}"), "X-Forwarded-Host: evil.test\r\n");
        let location = answer.values("location").concat();
        let (sso_url, parameters) = location.split_once('?').unwrap();
        assert_eq!(sso_url, "https://idp.example.com/sso");
        let request =
            form_urlencoded::parse(parameters.as_bytes()).find(|(name, _)| name == "SAMLRequest").unwrap().1;
        let mut xml = String::new();
        let deflated = STANDARD.decode(request.as_bytes()).unwrap();
        std::io::Read::read_to_string(&mut flate2::read::DeflateDecoder::new(&deflated[..]), &mut xml)
            .unwrap();
        assert!(!xml.contains("evil") && !location.contains("evil"), "{xml}");
        let id = xml.split(" ID=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        // 128 random bits, and a character that an xs:ID may begin with.
        assert!(id.len() == 33 && id.starts_with('_'), "{id}");
        assert!(seen.insert(id));
    }
    world.stop().await;
}

/// S-104: what is sent comes from safe code; C is reached through OpenSSL's bindings only.
#[test]
fn s_104_no_unsafe_code() {
    for root in [include_str!("../../../src/lib.rs"), include_str!("../../../src/main.rs")] {
        assert!(root.contains("#![forbid(unsafe_code)]"));
    }
}

/// The table is not empty because nothing was made.
#[test]
fn the_table_holds_what_it_should() {
    assert!(CASES.len() > 250, "{}", CASES.len());
}
