//! What the API does not take.
use portcullis::api::BODY_BYTES_MAX;
use serde_json::json;

use super::{client::Credential, world::World};
use crate::support::gateway::Backend;

/// What a case is called, its fields and body, and the status and code of the answer.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

#[tokio::test(flavor = "multi_thread")]
async fn v_18_bodies_are_strict_json_of_bounded_size() {
    let world = World::new(Backend::Embedded).await;
    let olga = world.by(&world.olga);
    let path = format!("/orgs/octo-org/memberships/{}", world.mia.id);
    world.changes();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let long = format!("{{\"role\":\"{}\"}}", "x".repeat(BODY_BYTES_MAX));
    let cases: [Case<'_>; 16] = [
        ("a name twice", JSON, br#"{"role":"member","role":"owner"}"#, 400, "json_invalid"),
        ("an escaped name twice", JSON, br#"{"role":"member","\u0072ole":"owner"}"#, 400, "json_invalid"),
        ("an unknown name", JSON, br#"{"role":"owner","admin":true}"#, 400, "json_invalid"),
        ("a prototype", JSON, br#"{"role":"owner","__proto__":{}}"#, 400, "json_invalid"),
        ("another type", JSON, br#"{"role":1}"#, 400, "json_invalid"),
        ("another word", JSON, br#"{"role":"Owner"}"#, 400, "json_invalid"),
        ("a list", JSON, br#"["owner"]"#, 400, "json_invalid"),
        ("nothing", JSON, b"", 400, "json_invalid"),
        ("junk behind", JSON, br#"{"role":"owner"}x"#, 400, "json_invalid"),
        ("a lone surrogate", JSON, br#"{"role":"\ud800"}"#, 400, "json_invalid"),
        ("no UTF-8", JSON, b"{\"role\":\"\xff\"}", 400, "json_invalid"),
        ("not a number", JSON, br#"{"role":NaN}"#, 400, "json_invalid"),
        ("depth", JSON, deep.as_bytes(), 400, "json_invalid"),
        ("length", JSON, long.as_bytes(), 413, "body_too_large"),
        ("a form", &[("content-type", "text/plain")], br#"{"role":"owner"}"#, 415, "content_type"),
        ("no type", &[], br#"{"role":"owner"}"#, 415, "content_type"),
    ];
    for (what, fields, body, status, code) in cases {
        let refused = olga.raw("PUT", &path, fields, body.to_vec()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (status, code),
            "{what}: {}",
            refused.text
        );
    }
    assert_eq!(world.changes(), Vec::<String>::new());
    world.gateway.stop().await;
}

/// Names that the edge refuses before the API sees them are refused in the API's form too, and never with a page or a redirect.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_one_form_wherever_it_is_made() {
    let world = World::new(Backend::Embedded).await;
    let nobody = world.client(Credential::Nothing);
    let page = [("accept", "text/html"), ("sec-fetch-mode", "navigate")];
    for (method, path, status) in [
        ("GET", "/orgs/%2e%2e/x", 400),
        ("GET", "/orgs//x", 400),
        ("GET", "/orgs/a%2fb", 400),
        ("TRACE", "/user", 405),
        ("OPTIONS", "/user", 405),
        ("POST", "/openapi.json", 405),
        ("GET", "/nothing", 404),
        ("GET", "", 404),
        ("GET", "/user/", 404),
        ("GET", "/user", 401),
    ] {
        let refused = nobody.raw(method, path, &page, vec![]).await;
        assert_eq!(refused.status, status, "{method} {path}: {}", refused.text);
        let json = refused.json();
        assert!(json["code"].is_string() && json["message"].is_string(), "{method} {path}: {json}");
        assert_eq!(json["request_id"], refused.field("x-request-id"), "{method} {path}");
        assert_eq!(refused.field("cache-control"), "no-store");
        assert_eq!(status == 405, refused.fields.contains_key("allow"), "{method} {path}");
    }
    let head = world.by(&world.mia).raw("HEAD", "/user", &[], vec![]).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_07_v_19_parameters_and_ids_are_of_their_form() {
    let world = World::new(Backend::Embedded).await;
    let olga = world.by(&world.olga);
    for query in [
        "role=Owner",
        "rol=owner",
        "per_page=0",
        "per_page=101",
        "per_page=9999999999999999999999",
        "after=x",
        "per_page=1&per_page=2",
    ] {
        let refused = olga.get(&format!("/orgs/octo-org/members?{query}")).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "parameter_invalid"), "{query}");
    }
    // Neither a user's name nor an id in another spelling names anybody.
    let id = world.mia.id.to_string();
    for name in ["mia@example.com", &id.to_uppercase(), &id[1..], "1"] {
        assert_eq!(olga.get(&format!("/orgs/octo-org/memberships/{name}")).await.status, 404, "{name}");
    }
    assert_eq!(olga.get(&format!("/orgs/Octo-Org/memberships/{id}")).await.status, 200, "names have no case");
    world.gateway.stop().await;
}

/// A token in the Authorization field counts, whatever cookie comes along; and the API is not reached by another host.
#[tokio::test(flavor = "multi_thread")]
async fn v_21_one_credential_counts() {
    let world = World::new(Backend::Embedded).await;
    let olga = world.by(&world.olga);
    for field in ["Bearer nothing", "Basic b2xnYTpvbGdh", "Bearer"] {
        let refused = olga.raw("GET", "/user", &[("authorization", field)], vec![]).await;
        assert_eq!(refused.code(), "credential_invalid", "{field}");
    }
    let twice = olga
        .raw("GET", "/user", &[("authorization", "Bearer a"), ("authorization", "Bearer b")], vec![])
        .await;
    assert_eq!(twice.code(), "credential_invalid");
    // V-01: nowhere but in the field.
    let token = world.make_token(&world.olga, &["api:read"], &["octo-org"]).await;
    let nobody = world.client(Credential::Nothing);
    let query = nobody.get(&format!("/user?access_token={}", token["token"].as_str().unwrap())).await;
    assert_eq!(query.code(), "credential_required");
    assert_eq!(olga.post("/user", &json!({})).await.status, 405);
    world.gateway.stop().await;
}
