//! `plan`, `explain` and the outlook of `check`: what the program says about a store that sign-ins have filled.
use portcullis::config::Overrides;
use serde_json::Value;

use super::world::World;
use crate::support::gateway::Backend;

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const CAROL: &str = "carol@example.com";

fn run(world: &World, arguments: &[&str]) -> String {
    let output = world.idp.gateway.command().args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{out}\n{err}");
    out
}

fn json(world: &World, arguments: &[&str]) -> Value {
    serde_json::from_str(&run(world, &[arguments, &["--format", "json"]].concat())).unwrap()
}

/// Deprovisioning is off. Alice, the only owner, and Bob left their groups; Carol is in hers; the operator pinned nobody.
async fn filled() -> World {
    let change = |overrides: Overrides| {
        overrides
            .set("enterprise.example.deprovisioning", "false")
            .set("enterprise.example.max_removals", "1")
            .set("enterprise.example.break_glass", "glass@example.com")
    };
    let mut world = World::new(Backend::Embedded, change).await;
    world.enter(ALICE, &["octo-org-owners"]).await;
    for user in [BOB, CAROL, "glass@example.com"] {
        world.enter(user, &["octo-org"]).await;
    }
    for user in [ALICE, BOB, "glass@example.com"] {
        world.enter(user, &[]).await;
    }
    world.idp.gateway.stop_serving().await;
    world.store = None;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_shows_who_would_leave_and_what_nobody_would_own() {
    let world = filled().await;
    let plan = json(&world, &["plan"]);
    assert_eq!((&plan["people"], &plan["deprovisioning"]), (&4.into(), &false.into()));
    let organizations = plan["organizations"].as_array().unwrap();
    assert_eq!(organizations.len(), 3);
    let octo = organizations.iter().find(|o| o["organization"] == "octo-org").unwrap();
    assert_eq!((&octo["members"], &octo["leaves"], &octo["held"]), (&4.into(), &2.into(), &1.into()));
    assert_eq!(octo["becomes_unowned"], true);
    let mut leaving: Vec<&str> =
        octo["leaving"].as_array().unwrap().iter().map(|who| who["user"].as_str().unwrap()).collect();
    leaving.sort_unstable();
    assert_eq!(leaving, [ALICE, BOB]);
    assert_eq!(octo["spared"][0]["reason"], "break_glass");
    let text = run(&world, &["plan"]);
    let line = "octo-org: 2 of 4 would leave, 0 would join, 1 of the removals would be held, and NOBODY would own it";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("  - alice@example.com (owner)"), "{text}");
    // `check` says so too, where deprovisioning is on.
    assert!(!run(&world, &["check"]).contains("deprovisioning in"));
    let output = world
        .idp
        .gateway
        .command()
        .env("PORTCULLIS_ENTERPRISE_EXAMPLE_DEPROVISIONING", "true")
        .arg("check")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(&format!("deprovisioning in example, by the last known groups\n  {line}\n")),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_names_the_fact_that_decides() {
    let world = filled().await;
    let explain = |person: &str, organization: &str| {
        json(&world, &["explain", "--person", person, "--organization", organization])
    };
    for (person, organization, role, reason) in [
        (CAROL, "octo-org", "member".into(), "in_group"),
        (BOB, "octo-org", "member".into(), "deprovisioning_off"),
        ("glass@example.com", "octo-org", "member".into(), "break_glass"),
        (CAROL, "hubot-lab", Value::Null, "no_group"),
        ("eve@example.com", "octo-org", Value::Null, "never_signed_in"),
    ] {
        let told = explain(person, organization);
        assert_eq!((&told["role"], &told["reason"]), (&role, &reason.into()), "{person}: {told:#}");
        assert_ne!(told["meaning"], "", "{reason}");
    }
    let told = explain(CAROL, "octo-org");
    assert_eq!(told["matched"], serde_json::json!([{ "group": "octo-org", "role": "member" }]));
    assert_eq!(told["membership"]["source"], "saml");
    let by_id = explain(&world.id(CAROL).to_string(), "octo-org");
    assert_eq!(by_id["reason"], "in_group");
    let text = run(&world, &["explain", "--person", BOB, "--organization", "octo-org"]);
    assert!(
        text.starts_with("bob@example.com in octo-org: member\n  because: no group stands for it any more"),
        "{text}"
    );
    let unknown =
        world.idp.gateway.command().args(["explain", "--person", BOB, "--organization", "nobody"]).output();
    assert_eq!(unknown.unwrap().status.code(), Some(1));
}
