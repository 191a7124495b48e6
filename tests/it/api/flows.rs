//! What the API is for, step by step.
use portcullis::{
    api::ROUTES,
    domain::{BatchId, HeldRemoval, Role, Scope, Timestamp},
};
use serde_json::json;

use super::{client::Credential, world::World};
use crate::support::gateway::{BACKENDS, Backend};

#[tokio::test(flavor = "multi_thread")]
async fn who_am_i() {
    let world = World::new(Backend::Embedded).await;
    let user = world.by(&world.mia).get("/user").await.json();
    assert_eq!(user["user"], "mia@example.com");
    assert_eq!(user["credential"], "session");
    assert_eq!(user["organizations"][0]["organization"], "octo-org");
    assert_eq!(
        (&user["organizations"][0]["role"], &user["is_enterprise_owner"]),
        (&"member".into(), &false.into())
    );
    let token = world.by_token(&world.boss, &["api:read"], &[]).await;
    let user = token.get("/user").await.json();
    assert_eq!((&user["credential"], &user["is_enterprise_owner"]), (&"token".into(), &true.into()));
    // The document is for everybody and lists all routes.
    let document = world.client(Credential::Nothing).get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let server = document["servers"][0]["url"].as_str().unwrap();
    assert_eq!(server, format!("{}/.portcullis/api/v1", world.gateway.url));
    for route in ROUTES {
        assert!(document["paths"][route.path][route.method.to_ascii_lowercase()].is_object(), "{}", route.id);
    }
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_in_pages_and_by_role() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let olga = world.by(&world.olga);
        let all = olga.get("/orgs/octo-org/members").await;
        assert_eq!(all.json().as_array().unwrap().len(), 2);
        assert_eq!(all.field("link"), "", "there is no next page");
        let owners = olga.get("/orgs/octo-org/members?role=owner").await.json();
        assert_eq!(owners[0]["user"], "olga@example.com");
        assert_eq!(owners.as_array().unwrap().len(), 1);
        let members = olga.get("/orgs/octo-org/members?role=member").await.json();
        assert_eq!(members[0]["user"], "mia@example.com");

        let mut seen = vec![];
        let mut path = "/orgs/octo-org/members?per_page=1".to_owned();
        for _ in 0..2 {
            let page = olga.get(&path).await;
            seen.push(page.json()[0]["id"].as_str().unwrap().to_owned());
            let link = page.field("link");
            let Some((url, rel)) = link.trim_start_matches('<').split_once('>') else { break };
            assert_eq!(rel, "; rel=\"next\"");
            let prefix = format!("{}/.portcullis/api/v1", world.gateway.url);
            path = url.strip_prefix(&prefix).unwrap().to_owned();
        }
        let mut expected = vec![world.olga.id.to_string(), world.mia.id.to_string()];
        expected.sort();
        assert_eq!(seen, expected);
        assert_eq!(olga.get(&path).await.field("link"), "", "{path} is the last page");
        world.gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_change_roles_and_remove() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let (olga, mia) = (world.by(&world.olga), world.by(&world.mia));
        let path = format!("/orgs/octo-org/memberships/{}", world.mia.id);
        let promoted = olga.call("PUT", &path, Some(&json!({ "role": "owner" }))).await;
        assert_eq!((promoted.status.as_u16(), &promoted.json()["role"]), (200, &"owner".into()));
        // Nobody changes their own role.
        let own = mia.call("PUT", &path, Some(&json!({ "role": "member" }))).await;
        assert_eq!((own.status.as_u16(), own.code().as_str()), (403, "own_role"));
        let demoted = olga.call("PUT", &path, Some(&json!({ "role": "member" }))).await;
        assert_eq!(demoted.json()["role"], "member");

        assert_eq!(olga.call("PUT", &format!("{path}/pin"), None).await.status, 204);
        assert_eq!(olga.get(&path).await.json()["pinned"], "owner");
        assert_eq!(olga.delete(&format!("{path}/pin")).await.status, 204);
        assert_eq!(olga.delete(&path).await.status, 204);
        assert_eq!(mia.get("/orgs/octo-org").await.status, 404, "who was removed sees nothing any more");
        let restored = olga.call("POST", &format!("{path}/restore"), None).await;
        assert_eq!((restored.status.as_u16(), &restored.json()["role"]), (200, &"member".into()));
        let why = olga.get(&format!("{path}/explanation")).await.json();
        assert_eq!((&why["role"], &why["managed"]), (&"member".into(), &true.into()));
        // A member may leave.
        assert_eq!(mia.delete(&path).await.status, 204);
        assert_eq!(mia.get("/orgs").await.json(), json!([]));
        world.gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn organizations_are_created_changed_and_claimed() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let boss = world.by_token(&world.boss, &["api:write", "enterprise"], &[]).await;
        let new = json!({ "login": "Skunk-Works", "display_name": "Skunk Works", "managed": true, "aliases": ["sw"] });
        let made = boss.post("/orgs", &new).await;
        assert_eq!(made.status, 201, "{}", made.text);
        assert_eq!((&made.json()["login"], &made.json()["managed"]), (&"skunk-works".into(), &true.into()));
        assert_eq!(boss.post("/orgs", &new).await.code(), "organization_exists");
        let wrong = boss.post("/orgs", &json!({ "login": "no_such" })).await;
        assert_eq!((wrong.status.as_u16(), wrong.code().as_str()), (422, "organization_invalid"));

        let changed = boss.call("PATCH", "/orgs/skunk-works", Some(&json!({ "display_name": null }))).await;
        assert_eq!(changed.json()["display_name"], json!(null));
        assert_eq!(changed.json()["aliases"], json!(["sw"]), "what is not given stays");
        let by_file = boss.call("PATCH", "/orgs/octo-org", Some(&json!({ "managed": false }))).await;
        assert_eq!((by_file.status.as_u16(), by_file.code().as_str()), (409, "organization_configured"));

        let unread = boss.post("/orgs/skunk-works/claim", &json!({ "confirm": "yes" })).await;
        assert_eq!(unread.status, 422, "{}", unread.text);
        let claimed = boss.post("/orgs/skunk-works/claim", &json!({ "confirm": "skunk-works" })).await;
        assert_eq!(claimed.status, 200, "{}", claimed.text);
        assert_eq!((&claimed.json()["role"], &claimed.json()["pinned"]), (&"owner".into(), &"claim".into()));
        let owned = boss.post("/orgs/octo-org/claim", &json!({ "confirm": "octo-org" })).await;
        assert_eq!((owned.status.as_u16(), owned.code().as_str()), (409, "organization_owned"));

        // An organization that loses its last owner is listed.
        let own = format!("/orgs/octo-org/memberships/{}", world.olga.id);
        assert_eq!(world.by(&world.olga).delete(&own).await.status, 204);
        let unowned = boss.get("/enterprise/unowned").await.json();
        assert_eq!(unowned[0]["login"], "octo-org");
        assert_eq!(unowned.as_array().unwrap().len(), 1);
        let all = boss.get("/orgs?per_page=2").await;
        assert_eq!(all.json().as_array().unwrap().len(), 2);
        assert!(all.field("link").contains("after="), "{}", all.field("link"));
        world.gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_16_who_is_deactivated_has_nothing_left() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let token = world.by_token(&world.mia, &["api:read"], &["octo-org"]).await;
        assert_eq!(token.get("/orgs/octo-org").await.status, 200);
        let (boss, mia) = (world.by(&world.boss), world.by(&world.mia));
        let path = format!("/enterprise/people/{}", world.mia.id);
        let gone = boss.call("POST", &format!("{path}/deactivate"), None).await;
        assert_eq!((gone.status.as_u16(), &gone.json()["standing"]), (200, &"deactivated".into()));
        for client in [&token, &mia] {
            assert_eq!(client.get("/user").await.code(), "credential_invalid");
        }
        assert_eq!(boss.get(&format!("{path}/sessions")).await.json(), json!([]));
        let back = boss.call("POST", &format!("{path}/reactivate"), None).await;
        assert_eq!(back.json()["standing"], "active");
        assert_eq!(mia.get("/user").await.status, 401, "what was ended stays ended");
        assert_eq!(boss.delete(&path).await.status, 204);
        assert_eq!(boss.get(&path).await.json()["standing"], "deleted");
        world.gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_seen_and_ended() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let (olga, mia) = (world.by(&world.olga), world.by(&world.mia));
        let own = mia.get("/user/sessions").await.json();
        assert_eq!(
            (&own[0]["current"], &own[0]["id"]),
            (&true.into(), &world.mia.session.to_string().into())
        );
        let all = olga.get("/orgs/octo-org/sessions").await.json();
        assert_eq!(all.as_array().unwrap().len(), 2);
        // Otto is in no organization of hers.
        let foreign = format!("/orgs/octo-org/memberships/{}/sessions/{}", world.otto.id, world.otto.session);
        assert_eq!(olga.delete(&foreign).await.status, 404);
        assert_eq!(world.by(&world.otto).get("/user").await.status, 200);
        let path = format!("/orgs/octo-org/memberships/{}/sessions/{}", world.mia.id, world.mia.session);
        assert_eq!(olga.delete(&path).await.status, 204);
        assert_eq!(mia.get("/user").await.code(), "credential_invalid");
        assert_eq!(olga.delete(&path).await.status, 404, "ended already");
        assert_eq!(olga.delete(&format!("/user/sessions/{}", world.olga.session)).await.status, 204);
        assert_eq!(olga.get("/user").await.status, 401);
        world.gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_01_a_token_is_shown_once_and_its_authorisation_withdrawn() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let made = world.make_token(&world.mia, &["api:read"], &[]).await;
        let (secret, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
        let token = world.client(Credential::Token(secret.to_owned()));
        let (olga, mia) = (world.by(&world.olga), world.by(&world.mia));
        assert_eq!(token.get("/orgs/octo-org").await.status, 404);
        let authorised = format!("/orgs/octo-org/tokens/{id}");
        assert_eq!(mia.call("PUT", &authorised, None).await.status, 204);
        assert_eq!(token.get("/orgs/octo-org").await.status, 200);
        let listed = mia.get("/user/tokens").await;
        assert!(!listed.text.contains(secret), "{}", listed.text);
        assert_eq!(listed.json()[0]["organizations"], json!(["octo-org"]));

        let credentials = olga.get("/orgs/octo-org/credential-authorizations").await;
        assert!(!credentials.text.contains(secret));
        let credential = credentials.json()[0].clone();
        assert_eq!(
            (&credential["login"], &credential["scopes"]),
            (&"mia@example.com".into(), &json!(["api:read"]))
        );
        let path = format!(
            "/orgs/octo-org/credential-authorizations/{}",
            credential["credential_id"].as_str().unwrap()
        );
        assert_eq!(olga.delete(&path).await.status, 204);
        assert_eq!(token.get("/orgs/octo-org").await.status, 404);
        assert_eq!(token.get("/user").await.status, 200, "the token itself goes on");
        assert_eq!(olga.delete(&path).await.status, 404);
        world.gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_03_nobody_makes_a_token_for_more_than_they_are() {
    let world = World::new(Backend::Embedded).await;
    let end = (Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let mia = world.by(&world.mia);
    for (wanted, code) in [
        (json!({ "name": "n", "scopes": ["enterprise"], "expires_at": end }), "unprocessable"),
        (json!({ "name": "n", "scopes": ["everything"], "expires_at": end }), "unprocessable"),
        (json!({ "name": "n", "scopes": [], "expires_at": end }), "token_scopes_missing"),
        (
            json!({ "name": "n", "scopes": ["proxy"], "organizations": ["hubot-lab"], "expires_at": end }),
            "not_a_member",
        ),
        (
            json!({ "name": "n", "scopes": ["proxy"], "expires_at": "2001-01-01T00:00:00Z" }),
            "token_expiry_invalid",
        ),
        (json!({ "name": "n", "scopes": ["proxy"], "expires_at": "tomorrow" }), "unprocessable"),
    ] {
        let refused = mia.post("/user/tokens", &wanted).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (422, code), "{wanted}");
    }
    assert_eq!(mia.get("/user/tokens").await.json(), json!([]));
    // Not even with every scope does a token make another.
    let scopes: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    let token = world.by_token(&world.boss, &scopes, &[]).await;
    let refused =
        token.post("/user/tokens", &json!({ "name": "n", "scopes": ["proxy"], "expires_at": end })).await;
    assert_eq!(refused.code(), "session_required");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_11_held_removals_are_decided_and_batches_restored() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let olga = world.by(&world.olga);
        let (held, batch) =
            (world.hold(&world.mia, "octo-org", "saml-2026-03-01T09").await, "saml-2026-03-01T09");
        assert_eq!(held, Role::Member);
        let holds = olga.get("/orgs/octo-org/holds").await.json();
        assert_eq!((&holds[0]["user"], &holds[0]["batch"]), (&"mia@example.com".into(), &batch.into()));
        assert_eq!(world.by(&world.otto).get("/orgs/hubot-lab/holds").await.json(), json!([]));
        let path = format!("/orgs/octo-org/holds/{}", world.mia.id);
        assert_eq!(olga.call("POST", &format!("{path}/reject"), None).await.status, 204);
        assert_eq!(olga.call("POST", &format!("{path}/approve"), None).await.status, 404, "decided already");
        let member = olga.get(&format!("/orgs/octo-org/memberships/{}", world.mia.id)).await.json();
        assert_eq!((&member["pinned"], &member["held_since"]), (&"owner".into(), &json!(null)));

        world.hold(&world.mia, "octo-org", batch).await;
        assert_eq!(olga.call("POST", &format!("{path}/approve"), None).await.status, 204);
        assert_eq!(world.person(&world.mia).await.memberships, []);
        let boss = world.by(&world.boss);
        let restored = boss.call("POST", &format!("/enterprise/batches/{batch}/restore"), None).await;
        assert_eq!(restored.status, 200, "{}", restored.text);
        assert_eq!(restored.json()["restored"][0]["person"], world.mia.id.to_string());
        assert_eq!(world.person(&world.mia).await.memberships.len(), 1);
        world.gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_says_what_deprovisioning_would_do() {
    let world = World::new(Backend::Embedded).await;
    world.change_person(&world.mia, |person| person.last_groups = Some(vec![])).await;
    world.change_person(&world.otto, |person| person.last_groups = None).await;
    let plan = world.by(&world.boss).get("/enterprise/plan").await.json();
    assert_eq!(plan["people_with_unknown_groups"], 1);
    let organizations = plan["organizations"].as_array().unwrap();
    let octo = organizations.iter().find(|o| o["organization"] == "octo-org").unwrap();
    assert_eq!(octo["leaves"]["count"], 1);
    assert_eq!(octo["leaves"]["people"][0]["user"], "mia@example.com");
    world.gateway.stop().await;
}

/// What the world needs for holds.
impl World {
    /// A removal of the person that the guard stopped; the role that it would have ended.
    async fn hold(&self, someone: &super::world::Someone, organization: &str, batch: &str) -> Role {
        let removal = HeldRemoval { since: Timestamp::now(), batch: BatchId::parse(batch).unwrap() };
        let mut role = None;
        self.change_person(someone, |person| {
            let member = person.memberships.iter_mut().find(|m| m.organization.as_str() == organization);
            let member = member.unwrap();
            member.held = Some(removal);
            member.pin = None;
            role = Some(member.role);
        })
        .await;
        self.list_hold(someone, organization).await;
        role.unwrap()
    }
}
