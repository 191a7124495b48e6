//! What was decided where the standards leave room: the answers to who is put out beyond the removal guard, and a PUT with no groups.
use portcullis::{
    config::Overrides,
    directory::AuditQuery,
    domain::{EnterpriseId, OrganizationSlug},
};
use serde_json::{Value, json};

use super::world::{EXAMPLE, HUBOT, World, user};
use crate::support::gateway::{BACKENDS, name_id};

/// Of the development identity provider.
const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

fn out() -> Value {
    json!([{"op": "replace", "path": "active", "value": "False"}])
}

fn without(member: &str) -> Value {
    json!([{"op": "remove", "path": format!("members[value eq \"{member}\"]")}])
}

async fn is_held(world: &World, name: &str) -> bool {
    let organization = OrganizationSlug::parse("octo-org").unwrap();
    let person = world.gateway.person(&name_id(name)).await.unwrap();
    assert!(!person.standing.is_active() && person.linked_at.is_none() && person.tokens.is_empty());
    person.membership(&organization).is_some_and(|member| member.held.is_some())
}

/// D2, D7: a person who is put out is a success, also where an owner has yet to end the membership; a group that loses somebody is none.
#[tokio::test(flavor = "multi_thread")]
async fn v_11_v_16_beyond_the_guard_people_are_put_out_and_groups_wait() {
    for backend in BACKENDS {
        let change = |overrides: Overrides| overrides.set("enterprise.example.max_removals", "0");
        let world = World::with(backend, change).await;
        let mut ids = vec![];
        for name in PEOPLE {
            world.gateway.people.set_groups(name, &["octo-org"]).unwrap();
            assert_eq!(world.sign_in(name).await.status, 200, "{backend:?} {name}");
            ids.push(world.user(name).await);
        }
        let (alice, bob, carol) = (&ids[0], &ids[1], &ids[2]);
        let group = world.group("octo-org", &[alice, bob, carol]).await;
        let held = world.scim.patch(&format!("/Groups/{group}"), &without(carol)).await;
        held.is_error(429, None);
        assert_eq!(held.field("retry-after"), "600");
        let answer = world.scim.patch(&format!("/Users/{alice}"), &out()).await.is(200).json();
        assert_eq!(answer["active"], false);
        let mut inactive = user("carol");
        inactive["active"] = false.into();
        world.scim.send("PUT", &format!("/Users/{carol}"), &inactive).await.is(200);
        world.scim.delete(&format!("/Users/{bob}")).await.is(204);
        world.scim.get(&format!("/Users/{bob}")).await.is_error(404, None);
        for name in PEOPLE {
            assert_eq!(world.sign_in(name).await.status, 403, "{backend:?} {name}");
            assert!(is_held(&world, name).await, "{backend:?} {name}");
        }
        world.stop().await;
    }
}

/// RFC 7643 4.1.2, RFC 7644 3.5.1: `groups` is read-only, and what a client says of it is not heard. Okta sends `"groups": []` with every
/// change of a profile.
#[tokio::test(flavor = "multi_thread")]
async fn a_put_without_any_groups_leaves_everybody_where_they_are() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let alice = world.user("alice").await;
        let group = world.group("octo-org", &[&alice]).await;
        assert_eq!(world.invited("octo-org").await, ["alice@example.com"]);
        let shown = world.scim.get(&format!("/Users/{alice}")).await.is(200).json();
        assert_eq!(shown["groups"][0]["value"], group.as_str());
        for groups in [json!([]), Value::Null, json!([{"value": "nobody knows it"}]), shown["groups"].clone()]
        {
            let mut body = user("alice");
            body["displayName"] = format!("Alice {groups}").into();
            body["groups"] = groups.clone();
            let answer = world.scim.send("PUT", &format!("/Users/{alice}"), &body).await.is(200).json();
            assert_eq!(answer["groups"], shown["groups"], "{backend:?} {groups}");
            assert_eq!(world.members(&group).await, std::slice::from_ref(&alice), "{backend:?} {groups}");
            assert_eq!(world.invited("octo-org").await, ["alice@example.com"], "{backend:?} {groups}");
        }
        // To take somebody out of everything, a client says so of the groups, or of `active`.
        world.scim.patch(&format!("/Groups/{group}"), &without(&alice)).await.is(204);
        assert_eq!(world.invited("octo-org").await, Vec::<String>::new());
        world.stop().await;
    }
}

async fn events(world: &World, enterprise: EnterpriseId) -> Vec<Value> {
    let query = AuditQuery { limit: 500, ..AuditQuery::default() };
    let page = world.directory().audit_entries(enterprise, &query).await.unwrap();
    page.entries.into_iter().map(|entry| Value::Object(entry.event)).collect()
}

/// Whichever way a call is told of, by the commit or by itself: once, with what the client was answered, behind all that it changed.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_told_once() {
    for backend in BACKENDS {
        let remove =
            |overrides: Overrides| overrides.set("enterprise.example.scim.on_group_delete", "remove");
        let world = World::with(backend, remove).await;
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let group = world.group("octo-org", &[&alice]).await;
        let (of_alice, of_group) = (format!("/Users/{alice}"), format!("/Groups/{group}"));
        let patch = |operations: Value| json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
        let add = patch(json!([{"op": "add", "path": "members", "value": [{"value": bob}]}]));
        let empty = json!({"displayName": "octo-org", "members": []});
        let all = json!({"displayName": "octo-org", "members": [{"value": alice}, {"value": bob}]});
        let bulk = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": [
                {"method": "POST", "path": "/Users", "bulkId": "c", "data": user("carol")},
                {"method": "DELETE", "path": format!("/Users/{bob}")},
            ],
        });
        let partly = format!("{of_group}?attributes=displayName");
        for (method, path, body, status, route, is_group) in [
            ("PUT", of_alice.as_str(), &user("alice"), 200, "/Users/{id}", false),
            ("PATCH", &of_alice, &patch(out()), 200, "/Users/{id}", false),
            ("PATCH", &of_group, &add, 204, "/Groups/{id}", true),
            // Nothing to do.
            ("PATCH", &of_group, &add, 204, "/Groups/{id}", true),
            ("PATCH", &partly, &add, 200, "/Groups/{id}", true),
            ("PUT", &of_group, &empty, 200, "/Groups/{id}", true),
            ("PUT", &of_group, &all, 200, "/Groups/{id}", true),
            ("DELETE", &of_group, &Value::Null, 204, "/Groups/{id}", true),
            ("DELETE", &of_alice, &Value::Null, 204, "/Users/{id}", false),
            ("POST", "/Bulk", &bulk, 200, "/Bulk", false),
        ] {
            let enterprise = world.gateway.enterprise();
            let before = events(&world, enterprise).await.len();
            let answer = world.scim.send(method, path, body).await;
            answer.is(status);
            let told = events(&world, enterprise).await.split_off(before);
            let own = |event: &&Value| event["action"].as_str().unwrap().ends_with(".scim_api_success");
            assert_eq!(told.iter().filter(own).count(), 1, "{backend:?} {method} {path}: {told:?}");
            let last = told.last().unwrap();
            assert_eq!((&last["status_code"], &last["route"]), (&status.into(), &route.into()), "{last}");
            let path = path.split('?').next().unwrap();
            assert_eq!(
                (&last["request_method"], &last["url_path"]),
                (&method.into(), &format!("{EXAMPLE}{path}").into())
            );
            let id = if is_group { "scim_group_id" } else { "scim_user_id" };
            let expected = path.rsplit('/').next().filter(|_| route.ends_with("{id}"));
            assert_eq!(last[id].as_str(), expected, "{last}");
            assert!(told.iter().all(|event| event["request_id"] == last["request_id"]), "{told:?}");
        }
        // The group of everybody is made on the way, and is no call of its own.
        let hubot = world.client("hubot", HUBOT).await;
        let made = hubot.post("/Users", &user("hal")).await.is(201).id();
        let told = events(&world, world.tenant("hubot").id).await;
        let own: Vec<_> =
            told.iter().filter(|event| event["action"].as_str().unwrap().contains("scim_api")).collect();
        assert_eq!((own.len(), own[0]["scim_user_id"].as_str()), (1, Some(made.as_str())), "{own:?}");
        world.stop().await;
    }
}
