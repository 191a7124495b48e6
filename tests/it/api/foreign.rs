//! Every route of the table with every credential that must not open it: 401, 403 or 404 as the table says, and nothing
//! changes. The cases are made from the table; a new route is tried without a word here.
use std::collections::BTreeMap;

use jiff::SignedDuration;
use portcullis::{
    api::{Access, ROUTES, Route, Who},
    domain::Timestamp,
};
use serde_json::{Value, json};

use super::{
    client::{Answer, Client, Credential},
    world::World,
};
use crate::support::gateway::{BACKENDS, Backend};

/// What the paths name: all of it is mia's, or octo-org's.
struct Target {
    names: BTreeMap<&'static str, String>,
}

impl Target {
    async fn of(world: &World) -> Self {
        let token = world.make_token(&world.mia, &["api:read"], &["octo-org"]).await;
        let token = token["id"].as_str().unwrap().to_owned();
        let names = BTreeMap::from([
            ("org", "octo-org".to_owned()),
            ("person", world.mia.id.to_string()),
            ("session", world.mia.session.to_string()),
            ("credential", format!("{}{token}", world.mia.id)),
            ("token", token),
            ("invitation", "0".repeat(32)),
            ("batch", "saml-2026-03-01T09".to_owned()),
        ]);
        Self { names }
    }

    fn in_organization(&self, org: &str) -> Self {
        let mut names = self.names.clone();
        names.insert("org", org.to_owned());
        Self { names }
    }

    fn path(&self, route: &Route) -> String {
        route.names().fold(route.path.to_owned(), |path, name| {
            let value = self.names.get(name).unwrap_or_else(|| panic!("what is {{{name}}}?"));
            path.replace(&format!("{{{name}}}"), value)
        })
    }
}

/// A body that nothing is wrong with, so that whatever is refused is refused for who asks.
fn body(route: &Route) -> Option<Value> {
    let expires_at = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
    Some(match route.takes? {
        "Role" => json!({ "role": "owner" }),
        "Claim" => json!({ "confirm": "octo-org" }),
        "NewToken" => json!({ "name": "n", "scopes": ["api:read"], "expires_at": expires_at }),
        "NewScimToken" => json!({ "name": "n", "expires_at": expires_at }),
        "NewOrganization" => json!({ "login": "new-org" }),
        "OrganizationChange" => json!({ "display_name": "Theirs" }),
        "NewInvitation" => json!({ "email": "carol@example.com" }),
        other => panic!("what does {other} look like?"),
    })
}

async fn call(client: &Client, route: &Route, target: &Target) -> Answer {
    client.call(route.method, &target.path(route), body(route).as_ref()).await
}

/// Tries the routes that `owed` has a code for.
async fn try_all(
    world: &World,
    who: &str,
    client: &Client,
    target: &Target,
    owed: impl Fn(&Route) -> Option<&'static str>,
) {
    let mut tried = 0;
    for route in ROUTES {
        let Some(code) = owed(route) else { continue };
        world.changes();
        let answer = call(client, route, target).await;
        let case = format!("{who}: {} {}: {}", route.method, route.path, answer.text);
        let changes = world.changes();
        assert!(changes.is_empty(), "{case}\n{changes:?}");
        assert_eq!(answer.code(), code, "{case}");
        let status = match code {
            "credential_required" | "credential_invalid" => 401,
            "not_found" => 404,
            _ => 403,
        };
        assert_eq!(answer.status, status, "{case}");
        assert_eq!(answer.field("cache-control"), "no-store", "{case}");
        assert!(!answer.fields.contains_key("location"), "{case}");
        let challenged = status == 401 || code == "scope_missing";
        assert_eq!(challenged, answer.fields.contains_key("www-authenticate"), "{case}");
        tried += 1;
    }
    assert!(tried > 5, "{who}: only {tried} routes");
}

const EVERYTHING: &[&str] = &["api:read", "api:write", "enterprise", "proxy"];

fn closed(route: &Route) -> bool {
    route.who != Who::Anyone
}

/// Names something that belongs to somebody, beside the organization.
fn names_something(route: &Route) -> bool {
    route.names().any(|name| name != "org" && name != "batch")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_04_without_a_good_credential_no_route_opens() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let target = Target::of(&world).await;
        let nothing = world.client(Credential::Nothing);
        try_all(&world, "nobody", &nothing, &target, |r| closed(r).then_some("credential_required")).await;
        let cross = world.cross_origin(&world.boss);
        try_all(&world, "another site's page", &cross, &target, |r| closed(r).then_some("cross_origin"))
            .await;
        let invalid = |route: &Route| closed(route).then_some("credential_invalid");
        for wrong in ["", "x", "ptc_", &format!("ptc_{}", "a".repeat(49))] {
            let client = world.client(Credential::Token(wrong.to_owned()));
            try_all(&world, "no token", &client, &target, invalid).await;
        }
        let revoked = world.by_token(&world.olga, &["api:write"], &["octo-org"]).await;
        assert_eq!(revoked.get("/orgs/octo-org/holds").await.status, 200);
        let own = revoked.get("/user/tokens").await.json();
        let id = own[0]["id"].as_str().unwrap();
        assert_eq!(world.by(&world.olga).delete(&format!("/user/tokens/{id}")).await.status, 204);
        try_all(&world, "a revoked token", &revoked, &target, invalid).await;
        let expired = world.by_token(&world.olga, &["api:write"], &["octo-org"]).await;
        world.change_person(&world.olga, |person| person.tokens[0].expires_at = Timestamp::UNIX_EPOCH).await;
        try_all(&world, "an expired token", &expired, &target, invalid).await;
        world.gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_04_v_02_another_enterprise_s_owner_finds_nothing() {
    for backend in BACKENDS {
        let world = World::new(backend).await;
        let target = Target::of(&world).await;
        let token = world.by_token(&world.gina, EVERYTHING, &["octo-org"]).await;
        for client in [world.by(&world.gina), token] {
            assert_eq!(client.get("/user").await.json()["enterprise"], "globex");
            // Of an organization that her enterprise does not have.
            let elsewhere = target.in_organization("hubot-lab");
            let not_hers = |route: &Route| match (&client.credential, route.access) {
                (Credential::Token(_), Access::Session) => closed(route).then_some("session_required"),
                _ => route.names().any(|name| name == "org").then_some("not_found"),
            };
            try_all(&world, "gina elsewhere", &client, &elsewhere, not_hers).await;
            // Of one that hers has too: what is named is not there.
            let foreign = |route: &Route| match (&client.credential, route.access) {
                (Credential::Token(_), Access::Session) => closed(route).then_some("session_required"),
                _ => names_something(route).then_some("not_found"),
            };
            try_all(&world, "gina at home", &client, &target, foreign).await;
            no_word_of(&world, &client, &target).await;
        }
        world.gateway.stop().await;
    }
}

/// What she may call about her own says nothing of the others.
async fn no_word_of(world: &World, client: &Client, target: &Target) {
    for route in
        ROUTES.iter().filter(|route| route.method == "GET" && closed(route) && !names_something(route))
    {
        let answer = call(client, route, target).await;
        assert_eq!(answer.status, 200, "{}: {}", route.path, answer.text);
        for word in ["mia", "olga", "otto", "hubot-lab", "docs-team", &world.mia.id.to_string()] {
            assert!(!answer.text.contains(word), "{}: {word} in {}", route.path, answer.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_20_who_has_no_part_in_an_organization_does_not_learn_that_it_is_there() {
    let world = World::new(Backend::Embedded).await;
    let target = Target::of(&world).await;
    let of_otto = world.by_token(&world.otto, EVERYTHING.get(..2).unwrap(), &["hubot-lab"]).await;
    for (who, client) in
        [("nora", world.by(&world.nora)), ("otto", world.by(&world.otto)), ("otto's token", of_otto.clone())]
    {
        let outside = |route: &Route| match (route.who, &client.credential) {
            (Who::Anyone, _) => None,
            (_, Credential::Token(_)) if route.access == Access::Session => Some("session_required"),
            (Who::EnterpriseOwner, _) => Some("enterprise_owner_required"),
            (Who::Person, _) => names_something(route).then_some("not_found"),
            _ => Some("not_found"),
        };
        try_all(&world, who, &client, &target, outside).await;
        for route in
            ROUTES.iter().filter(|r| matches!(r.who, Who::Member | Who::Overseer | Who::SelfOrOverseer))
        {
            let there = call(&client, route, &target).await.json();
            let nowhere = call(&client, route, &target.in_organization("nothing")).await.json();
            assert_eq!((&there["code"], &there["message"]), (&nowhere["code"], &nowhere["message"]));
        }
    }
    // A token reaches no more than what it is authorised for, whatever its person owns.
    let narrow = world.by_token(&world.olga, &["api:write"], &[]).await;
    let unauthorised = |route: &Route| match route.who {
        Who::Member | Who::Overseer | Who::SelfOrOverseer if route.access != Access::Session => {
            Some("not_found")
        }
        _ => None,
    };
    try_all(&world, "olga's narrow token", &narrow, &target, unauthorised).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_and_scopes_are_held_to_the_table() {
    let world = World::new(Backend::Embedded).await;
    let target = Target::of(&world).await;
    let mut others = target.in_organization("octo-org");
    others.names.insert("person", world.olga.id.to_string());
    let member = |route: &Route| match route.who {
        Who::Overseer | Who::SelfOrOverseer => Some("owner_required"),
        Who::EnterpriseOwner => Some("enterprise_owner_required"),
        Who::Anyone | Who::Person | Who::Member => None,
    };
    try_all(&world, "mia", &world.by(&world.mia), &others, member).await;
    let owner = |route: &Route| (route.who == Who::EnterpriseOwner).then_some("enterprise_owner_required");
    try_all(&world, "olga", &world.by(&world.olga), &target, owner).await;

    let proxy = world.by_token(&world.olga, &["proxy"], &["octo-org"]).await;
    let no_scope = |route: &Route| match (route.who, route.access) {
        (Who::Anyone, _) => None,
        (_, Access::Session) => Some("session_required"),
        _ => Some("scope_missing"),
    };
    try_all(&world, "a token for the proxy", &proxy, &target, no_scope).await;
    let reading = world.by_token(&world.olga, &["api:read"], &["octo-org"]).await;
    let writes = |route: &Route| (route.access == Access::Write).then_some("scope_missing");
    try_all(&world, "a token for reading", &reading, &target, writes).await;
    let boss = world.by_token(&world.boss, &["api:write"], &[]).await;
    let enterprise = |route: &Route| match (route.who, route.access) {
        (Who::EnterpriseOwner, Access::Session) => Some("session_required"),
        (Who::EnterpriseOwner, _) => Some("scope_missing"),
        (Who::Overseer | Who::SelfOrOverseer | Who::Member, Access::Read | Access::Write) => {
            Some("not_found")
        }
        _ => None,
    };
    try_all(&world, "the boss's token for organizations", &boss, &target, enterprise).await;
    world.gateway.stop().await;
}
