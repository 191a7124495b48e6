//! What was decided where the standards leave room: the answers to who is put out beyond the removal guard, and a PUT with no groups.
use portcullis::{config::Overrides, domain::OrganizationSlug};
use serde_json::{Value, json};

use super::world::{World, user};
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
            assert_eq!(world.members(&group).await, [alice.clone()], "{backend:?} {groups}");
            assert_eq!(world.invited("octo-org").await, ["alice@example.com"], "{backend:?} {groups}");
        }
        // To take somebody out of everything, a client says so of the groups, or of `active`.
        world.scim.patch(&format!("/Groups/{group}"), &without(&alice)).await.is(204);
        assert_eq!(world.invited("octo-org").await, Vec::<String>::new());
        world.stop().await;
    }
}
