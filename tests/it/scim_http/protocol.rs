//! The protocol as it is on the wire: media types, methods, errors, versions, projections.
use serde_json::json;

use super::world::{EXAMPLE, World, user};
use crate::support::gateway::{BACKENDS, Backend};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_can_do_is_open_to_everybody_and_says_nothing_of_tenants() {
    let world = World::new(Backend::Embedded).await;
    let nobody = world.scim.with(None);
    let config = nobody.get("/ServiceProviderConfig").await;
    config.is(200);
    assert_eq!(config.json()["authenticationSchemes"][0]["type"], "oauthbearertoken");
    assert_eq!(config.json()["pagination"]["cursor"], true);
    for path in [
        "/Schemas",
        "/ResourceTypes",
        "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
        "/ResourceTypes/Group",
    ] {
        let here = nobody.get(path).await;
        here.is(200);
        // V-20: a base that there is not says the same.
        let elsewhere = nobody.at("/scim/v2/enterprises/nobody").get(path).await;
        assert_eq!(here.text.replace("/example", "/nobody"), elsewhere.text, "{path}");
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let refused = nobody.raw(method, path, &[], vec![]).await;
            assert_eq!(refused.is_error(405, None).field("allow"), "GET, HEAD", "{method} {path}");
        }
        nobody.get(&format!("{path}?filter=id eq \"User\"")).await.is_error(403, None);
    }
    let escaped = "/Schemas/urn%3Aietf%3Aparams%3Ascim%3Aschemas%3Acore%3A2.0%3AGroup";
    assert_eq!(nobody.get(escaped).await.is(200).json()["name"], "Group");
    for unknown in ["/Schemas/urn:nothing", "/ResourceTypes/Device"] {
        nobody.get(unknown).await.is_error(404, None);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_a_scim_error_whoever_refuses() {
    let world = World::new(Backend::Embedded).await;
    let scim = &world.scim;
    let id = world.user("alice").await;
    for (method, path, allow) in [
        ("PUT", "/Users".to_owned(), "GET, HEAD, POST"),
        ("POST", format!("/Users/{id}"), "GET, HEAD, PUT, PATCH, DELETE"),
        ("GET", "/Bulk".to_owned(), "POST"),
        ("OPTIONS", "/Users".to_owned(), "GET, HEAD, POST"),
    ] {
        let refused = scim.send(method, &path, &json!({})).await;
        assert_eq!(refused.is_error(405, None).field("allow"), allow, "{method} {path}");
    }
    for path in ["/users", "/Users/", "/Users/a/b", "/Nothing", "/Users/not-an-id"] {
        let answer = scim.get(path).await;
        // An empty segment is refused before anything is looked at.
        assert!([400, 404].contains(&answer.status.as_u16()), "{path}: {}", answer.text);
        answer.is_error(answer.status.as_u16(), None);
    }
    // Before SCIM is reached: another version, a path of two readings, a field that only an attacker sends, a method of none.
    scim.at("/scim/v1").get("/Users").await.is_error(404, None);
    scim.at("/scim").get("").await.is_error(404, None);
    scim.get("/Users/%2e%2e/x").await.is_error(400, None);
    scim.raw("GET", "/Users", &[("x-forwarded-user", "root")], vec![]).await.is_error(400, None);
    scim.raw("TRACE", "/Users", &[], vec![]).await.is_error(405, None);
    scim.raw("GET", "/Users", &[("accept", "text/html"), ("sec-fetch-mode", "navigate")], vec![])
        .await
        .is(200);
    for (kind, body) in [("text/plain", "{}"), ("application/x-www-form-urlencoded", "a=b")] {
        let fields = [("content-type", kind)];
        scim.raw("POST", "/Users", &fields, body.into()).await.is_error(415, None);
    }
    let broken = scim.raw("POST", "/Users", &[], b"{".to_vec()).await;
    broken.is_error(400, Some("invalidSyntax"));
    let large = vec![b' '; 1024 * 1024 + 1];
    scim.raw("POST", "/Users", &[], large).await.is_error(413, None);
    scim.raw("POST", "/Me", &[], vec![]).await.is_error(501, None);
    world.stop().await;
}

/// RFC 7644 3.8
#[tokio::test(flavor = "multi_thread")]
async fn media_types() {
    let world = World::new(Backend::Embedded).await;
    for (kind, name) in
        [(Some("application/json"), "a"), (Some("application/scim+json;charset=utf-8"), "b"), (None, "c")]
    {
        let fields: Vec<(&str, &str)> = kind.map(|kind| ("content-type", kind)).into_iter().collect();
        let made = world.scim.raw("POST", "/Users", &fields, user(name).to_string().into()).await;
        assert!(made.is(201).field("content-type").starts_with("application/scim+json"));
    }
    let asked = [("accept", "application/json")];
    let shown = world.scim.raw("GET", "/Users", &asked, vec![]).await;
    assert!(shown.field("content-type").starts_with("application/json"), "{:?}", shown.fields);
    let refused = world.scim.raw("GET", "/Users/x", &asked, vec![]).await;
    assert_eq!(refused.status, 404);
    assert!(refused.field("content-type").starts_with("application/json"), "{:?}", refused.fields);
    world.stop().await;
}

/// RFC 7644 3.14
#[tokio::test(flavor = "multi_thread")]
async fn v_15_versions_keep_late_writers_from_undoing_what_they_did_not_see() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let scim = &world.scim;
        let made = scim.post("/Users", &user("alice")).await;
        let (path, first) = (format!("/Users/{}", made.is(201).id()), made.field("etag").to_owned());
        assert_eq!(made.json()["meta"]["version"], first);
        assert_eq!(made.json()["meta"]["created"], made.json()["meta"]["lastModified"]);
        let unchanged = scim.raw("GET", &path, &[("if-none-match", &first)], vec![]).await;
        assert_eq!((unchanged.is(304).field("etag"), unchanged.text.as_str()), (first.as_str(), ""));
        // A change that changes nothing is none.
        let same = json!([{ "op": "replace", "path": "displayName", "value": "Alice" }]);
        let second = scim.patch(&path, &same).await.is(200).field("etag").to_owned();
        assert_ne!(first, second);
        let again = scim.patch(&path, &same).await;
        assert_eq!(again.is(200).field("etag"), second);
        let body = json!({ "Operations": same }).to_string().into_bytes();
        for method in ["PATCH", "PUT", "DELETE"] {
            let late = scim.raw(method, &path, &[("if-match", &first)], body.clone()).await;
            if method != "PUT" {
                late.is_error(412, None);
            } else {
                assert!([400, 412].contains(&late.status.as_u16()), "{}", late.text);
            }
        }
        let put = scim.raw("PUT", &path, &[("if-match", &first)], user("alice").to_string().into()).await;
        put.is_error(412, None);
        scim.raw("PATCH", &path, &[("if-match", "*")], body.clone()).await.is(200);
        scim.raw("PATCH", &path, &[("if-match", &format!("\"x\", {second}"))], body).await.is(200);
        scim.raw("GET", &path, &[("if-none-match", &first)], vec![]).await.is(200);
        let head = scim.raw("HEAD", &path, &[], vec![]).await;
        assert_eq!((head.is(200).text.as_str(), head.field("etag")), ("", second.as_str()));

        let group = world.group("octo-org", &[]).await;
        let path = format!("/Groups/{group}");
        let before = scim.get(&path).await.is(200).field("etag").to_owned();
        let id =
            scim.get("/Users?filter=userName eq \"alice@example.com\"").await.json()["Resources"][0]["id"]
                .clone();
        let add = json!([{ "op": "add", "path": "members", "value": [{ "value": id }] }]);
        let after = scim.patch(&path, &add).await.is(204).field("etag").to_owned();
        assert_ne!(before, after, "members count");
        assert_eq!(
            scim.patch(&path, &add).await.is(204).field("etag"),
            after,
            "who is there already does not"
        );
        scim.raw("GET", &path, &[("if-none-match", &after)], vec![]).await.is(304);
        world.stop().await;
    }
}

/// RFC 7644 3.9
#[tokio::test(flavor = "multi_thread")]
async fn projections_hold_for_every_operation() {
    let world = World::new(Backend::Embedded).await;
    let scim = &world.scim;
    let names = |json: &serde_json::Value| {
        let mut names: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    };
    let made = scim.post("/Users?attributes=userName", &user("alice")).await;
    assert_eq!(names(&made.is(201).json()), ["id", "schemas", "userName"]);
    let path = format!("/Users/{}", made.id());
    let rename = json!([{ "op": "replace", "value": { "displayName": "A" } }]);
    for shown in [
        scim.get(&format!("{path}?attributes=urn:ietf:params:scim:schemas:core:2.0:User:userName")).await,
        scim.send("PUT", &format!("{path}?attributes=USERNAME"), &user("alice")).await,
        scim.patch(&format!("{path}?attributes=userName"), &rename).await,
    ] {
        assert_eq!(names(&shown.is(200).json()), ["id", "schemas", "userName"]);
    }
    let without =
        scim.get(&format!("{path}?excludedAttributes=emails,name.familyName,id")).await.is(200).json();
    assert!(without.get("emails").is_none() && without["name"].get("familyName").is_none(), "{without}");
    assert!(without.get("id").is_some(), "{without}");
    let list = scim.get("/Users?attributes=emails.value").await.is(200).json();
    assert_eq!(list["Resources"][0]["emails"], json!([{ "value": "alice@example.com" }]));
    let both = scim.get("/Users?attributes=id&excludedAttributes=emails").await;
    both.is_error(400, Some("invalidValue"));
    let group = world.group("octo-org", &[&made.id()]).await;
    let path = format!("/Groups/{group}");
    let patched = scim
        .patch(
            &format!("{path}?attributes=members.value"),
            &json!([{ "op": "replace", "path": "externalId", "value": "x" }]),
        )
        .await;
    assert_eq!(patched.is(200).json()["members"], json!([{ "value": made.id() }]));
    let bare = scim.get(&format!("{path}?excludedAttributes=members")).await.is(200).json();
    assert!(bare.get("members").is_none() && bare["displayName"] == "octo-org", "{bare}");
    let parts = "excludedAttributes=members.value,members.type,members.$ref";
    let bare = scim.get(&format!("{path}?{parts}")).await.is(200).json();
    assert!(bare.get("members").is_none() && bare["displayName"] == "octo-org", "{bare}");
    let list = scim.get(&format!("/Groups?{parts}")).await.is(200).json();
    assert!(list["Resources"][0].get("members").is_none(), "{list}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_07_what_a_client_says_of_ids_and_times_is_not_heard() {
    let world = World::new(Backend::Embedded).await;
    let mut claimed = user("alice");
    claimed["id"] = "1".into();
    claimed["externalId"] = "2".into();
    claimed["meta"] = json!({ "created": "1970-01-01T00:00:00Z", "location": "https://evil.example.com/" });
    let made = world.scim.post("/Users", &claimed).await;
    let json = made.is(201).json();
    assert!(
        json["id"] != "1" && json["externalId"] == "2" && json["meta"]["created"] != "1970-01-01T00:00:00Z"
    );
    let own = format!("{}{EXAMPLE}/Users/{}", world.gateway.url, made.id());
    assert_eq!(
        (json["meta"]["location"].as_str(), made.field("location")),
        (Some(own.as_str()), own.as_str())
    );
    for id in ["1", "2"] {
        world.scim.get(&format!("/Users/{id}")).await.is_error(404, None);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_18_bodies_that_two_readers_could_read_in_two_ways() {
    let world = World::new(Backend::Embedded).await;
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    for (body, scim_type) in [
        (r#"{"userName":"a","userName":"b"}"#.to_owned(), "invalidSyntax"),
        (r#"{"userName":"a","USERNAME":"b"}"#.to_owned(), "invalidSyntax"),
        (
            r#"{"userName":"a","urn:ietf:params:scim:schemas:core:2.0:User:userName":"b"}"#.to_owned(),
            "invalidSyntax",
        ),
        (
            r#"{"userName":"a","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":"x"}"#.to_owned(),
            "invalidValue",
        ),
        (format!("{{\"userName\":\"a\",\"x\":{deep}}}"), "invalidSyntax"),
        ("[]".to_owned(), "invalidSyntax"),
        (r#"{"userName":"a\u0000"}"#.to_owned(), "invalidValue"),
        (r#"{"userName":"\ud800"}"#.to_owned(), "invalidSyntax"),
        (r#"{"active":NaN}"#.to_owned(), "invalidSyntax"),
        (String::new(), "invalidSyntax"),
    ] {
        let answer = world.scim.raw("POST", "/Users", &[], body.clone().into()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        answer.is_error(400, Some(scim_type));
    }
    let list = world.scim.get("/Users").await.is(200).json();
    assert_eq!(list["totalResults"], 0);
    world.stop().await;
}

/// One call, one event; what only reads is not told, and nothing of a person is.
#[tokio::test(flavor = "multi_thread")]
async fn calls_are_told_to_the_audit_log_and_counted() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let id = world.user("alice").await;
        world.scim.post("/Users", &user("alice")).await.is_error(409, Some("uniqueness"));
        world.scim.get("/Users?filter=userName eq \"alice@example.com\"").await.is(200);
        world.scim.get("/Users/00000000-0000-4000-8000-000000000000").await.is_error(404, None);
        let group = world.group("octo-org", &[]).await;
        world.scim.with(None).get("/Users").await.is_error(401, None);
        let query =
            portcullis::directory::AuditQuery { limit: 500, ..portcullis::directory::AuditQuery::default() };
        let page = world.directory().audit_entries(world.gateway.enterprise(), &query).await.unwrap();
        let told: Vec<_> =
            page.entries.iter().map(|entry| serde_json::Value::Object(entry.event.clone())).collect();
        let text = serde_json::Value::Array(told).to_string();
        let of = |action: &str| text.matches(&format!("\"{action}\"")).count();
        assert_eq!(of("external_identity.scim_api_success"), 1, "{text}");
        assert_eq!(of("external_identity.scim_api_failure"), 2, "{text}");
        assert_eq!(of("external_group.scim_api_success"), 1, "{text}");
        assert!(text.contains(&id) && text.contains(&group), "{text}");
        assert!(text.contains("\"scim_user_name_taken\"") && text.contains("\"/Users/{id}\""), "{text}");
        let metrics = world.gateway.private("/metrics").await.body;
        let line =
            "portcullis_scim_requests_total{enterprise=\"example\",operation=\"/Users\",code=\"409\"} 1";
        assert!(metrics.contains(line), "{metrics}");
        assert!(
            metrics
                .contains("portcullis_scim_requests_total{enterprise=\"-\",operation=\"-\",code=\"401\"} 1")
        );
        world.stop().await;
    }
}

/// A store that is down is told as such, with when to ask again.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_is_told_as_such() {
    let world = World::with(Backend::Redis, |overrides| overrides.set("store.timeout_ms", "500")).await;
    let id = world.user("alice").await;
    world.gateway.redis.as_ref().unwrap().set(crate::support::redis::Network::Cut);
    for answer in
        [world.scim.get(&format!("/Users/{id}")).await, world.scim.post("/Users", &user("bob")).await]
    {
        assert_eq!(answer.is_error(503, None).field("retry-after"), "5");
    }
    world.stop().await;
}
