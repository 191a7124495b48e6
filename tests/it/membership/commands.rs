//! `plan`, `explain` and the outlook of `check`: what the program says about a store that sign-ins have filled.
use portcullis::{config::Overrides, demo::browser::Browser, directory::NewOrganization, domain::Timestamp};
use serde_json::Value;

use super::world::{Groups, World, operator, slug};
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

/// What would be if the configuration said something else.
fn explained(world: &World, variables: &[(&str, &str)], person: &str) -> Value {
    let mut command = world.idp.gateway.command();
    for (key, value) in variables {
        command.env(format!("PORTCULLIS_ENTERPRISE_EXAMPLE_{key}"), value);
    }
    let arguments = ["explain", "--person", person, "--organization", "octo-org", "--format", "json"];
    let output = command.args(arguments).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_what_the_next_sign_in_does() {
    let world = filled().await;
    let on = ("DEPROVISIONING", "true");
    for (variables, person, reason, next) in [
        (&[on][..], BOB, "by_next_sign_in", vec!["leave"]),
        (&[on], ALICE, "by_next_sign_in", vec!["leave", "become_unowned"]),
        (&[on, ("LAST_OWNER", "protect")], ALICE, "would_be_held", vec!["hold"]),
        (&[on, ("MAX_REMOVALS", "0")], BOB, "would_be_held", vec!["hold"]),
        (&[on, ("MANAGED", "docs-team")], BOB, "not_managed", vec![]),
        (&[on], CAROL, "in_group", vec![]),
    ] {
        let told = explained(&world, variables, person);
        assert_eq!(told["reason"], reason, "{variables:?} {person}: {told:#}");
        let changes: Vec<_> =
            told["next_sign_in"].as_array().unwrap().iter().map(|change| change["change"].clone()).collect();
        assert_eq!(changes, next, "{variables:?} {person}");
    }
}

/// The embedded store belongs to the gateway that serves.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_in_use_is_said_to_be() {
    let world = World::new(Backend::Embedded, |overrides| overrides).await;
    for arguments in [&["plan"][..], &["explain", "--person", BOB, "--organization", "octo-org"]] {
        let output = world.idp.gateway.command().args(arguments).output().unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(words.contains("stop the gateway if it holds an embedded one"), "{words}");
    }
    // A configuration is good or not, whatever becomes of its store.
    let output = world.idp.gateway.command().arg("check").output().unwrap();
    let words = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{words}");
    assert!(words.contains("not known: store: "), "{words}");
    world.stop().await;
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

/// What `saml inspect` says of a person whom the store knows counts the organizations that were created in it.
#[tokio::test(flavor = "multi_thread")]
async fn inspect_knows_organizations_that_were_created() {
    let mut world = World::new(Backend::Embedded, |overrides| overrides).await;
    world.enter(BOB, &[]).await;
    let new = NewOrganization {
        slug: slug("skunk-works"),
        display_name: None,
        aliases: vec!["sw".into()],
        managed: true,
    };
    world
        .directory()
        .create_organization(&world.enterprise, operator(), new, Timestamp::now())
        .await
        .unwrap();
    let mut spec = world.idp.asked(&mut Browser::new()).await;
    spec.name_id = format!("<saml:NameID>{BOB}</saml:NameID>");
    spec.attributes = Groups::These(&["sw"]).attributes(BOB);
    let (id, request) = (world.id(BOB).to_string(), spec.response["InResponseTo"].clone());
    world.idp.gateway.stop_serving().await;
    world.store = None;
    let file = world.idp.gateway.folder().join("response.xml");
    std::fs::write(&file, spec.xml()).unwrap();
    let report =
        run(&world, &["saml", "inspect", file.to_str().unwrap(), "--person", &id, "--request-id", &request]);
    assert!(report.contains("skunk-works"), "{report}");
}
