//! The whole decision table of section 4.3, columns T2 to T5, cell by cell through the ACS, on both stores.
use portcullis::{config::Overrides, domain::Role};

use super::world::{Groups, World};
use crate::support::gateway::{BACKENDS, Backend};

const OBJECT_IDS: &[&str] = &["0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"];

/// G, the state before, and the states after in T2, T3, T4 and T5. N: none; I: invited; M: member; W: owner beside another;
/// L: the last owner; U: none, and the organization unowned.
const TABLE: &[(&str, &str, [&str; 4])] = &[
    ("yes", "N", ["N", "M", "M", "N"]),
    ("yes", "I", ["I", "M", "M", "I"]),
    ("yes", "M", ["M", "M", "M", "M"]),
    ("yes", "W", ["W", "W", "W", "W"]),
    ("yes", "L", ["L", "L", "L", "L"]),
    ("no", "N", ["N", "N", "N", "N"]),
    ("no", "I", ["I", "N", "N", "I"]),
    ("no", "M", ["M", "M", "N", "N"]),
    ("no", "W", ["W", "W", "N", "N"]),
    ("no", "L", ["L", "L", "U", "U"]),
    ("empty", "N", ["N", "N", "N", "N"]),
    ("empty", "I", ["I", "N", "N", "I"]),
    ("empty", "M", ["M", "M", "N", "N"]),
    ("empty", "W", ["W", "W", "N", "N"]),
    ("empty", "L", ["L", "L", "U", "U"]),
    ("absent", "N", ["N", "N", "N", "N"]),
    ("absent", "I", ["I", "I", "I", "I"]),
    ("absent", "M", ["M", "M", "M", "M"]),
    ("absent", "W", ["W", "W", "W", "W"]),
    ("absent", "L", ["L", "L", "L", "L"]),
    ("overage", "N", ["N", "N", "N", "N"]),
    ("overage", "I", ["I", "I", "I", "I"]),
    ("overage", "M", ["M", "M", "M", "M"]),
    ("overage", "W", ["W", "W", "W", "W"]),
    ("overage", "L", ["L", "L", "L", "L"]),
    ("ids", "N", ["N", "N", "N", "N"]),
    ("ids", "I", ["I", "I", "I", "I"]),
    ("ids", "M", ["M", "M", "M", "M"]),
    ("ids", "W", ["W", "W", "W", "W"]),
    ("ids", "L", ["L", "L", "L", "L"]),
];

/// The two switches of the columns, provisioning first.
const COLUMNS: [(&str, &str); 4] =
    [("false", "false"), ("true", "false"), ("true", "true"), ("false", "true")];

/// Each cell has an organization and a person of its own.
fn organization(groups: &str, state: &str) -> String {
    format!("cell-{groups}-{}", state.to_lowercase())
}

async fn seed(world: &World, groups: &str, state: &str) {
    let (organization, user) = (organization(groups, state), user(groups, state));
    let role = match state {
        "M" => Some(Role::Member),
        "W" | "L" => Some(Role::Owner),
        _ => None,
    };
    world.seed(&user, &organization, role, state == "I").await;
    let other = (state != "L").then(|| world.id("somebody-else@example.com"));
    let own = (role == Some(Role::Owner)).then(|| world.id(&user));
    world.seed_owners(&organization, own.into_iter().chain(other)).await;
}

fn user(groups: &str, state: &str) -> String {
    format!("{groups}-{}@example.com", state.to_lowercase())
}

async fn state(world: &World, user: &str, organization: &str) -> &'static str {
    let owners = world.idp.gateway.organization(organization).await;
    let invited = world.invitations(user).await.len();
    match (world.role(user, organization).await, invited) {
        ("member", 0) => "M",
        ("owner", 0) if owners.owners.len() > 1 => "W",
        ("owner", 0) => "L",
        ("none", 1) => "I",
        ("none", 0) if world.unowned().await.iter().any(|unowned| unowned == organization) => "U",
        ("none", 0) => "N",
        other => panic!("{user} in {organization}: {other:?}"),
    }
}

async fn column(backend: Backend, at: usize) {
    let (provisioning, deprovisioning) = COLUMNS[at];
    let cells: Vec<String> = TABLE.iter().map(|(groups, state, _)| organization(groups, state)).collect();
    let all = format!("octo-org,{}", cells.join(","));
    let change = move |overrides: Overrides| {
        overrides
            .set("enterprise.example.provisioning", provisioning)
            .set("enterprise.example.deprovisioning", deprovisioning)
            .set("enterprise.example.organizations", all)
    };
    let world = World::new(backend, change).await;
    for (groups, before, after) in TABLE {
        seed(&world, groups, before).await;
        let (user, organization) = (user(groups, before), organization(groups, before));
        let named = organization.to_uppercase();
        let said = match *groups {
            "yes" => Groups::These(&[&named, "something-else"]),
            "no" => Groups::These(&["something-else"]),
            "empty" => Groups::These(&[]),
            "absent" => Groups::Absent,
            "overage" => Groups::Overage,
            _ => Groups::These(OBJECT_IDS),
        };
        let (_, page) = world.sign_in(&user, said).await;
        assert_eq!(page.status, 200, "{user}: {}", page.body);
        let what = format!("{backend:?}, {provisioning}/{deprovisioning}, G {groups}, {before}");
        assert_eq!(state(&world, &user, &organization).await, after[at], "{what}");
        let unknown = ["absent", "overage", "ids"].contains(groups);
        let told = world.actions(&user).await.iter().any(|action| action == "saml.groups_unknown");
        assert_eq!(told, unknown, "{what}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decision_table_t2_no_switch_is_on() {
    for backend in BACKENDS {
        column(backend, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decision_table_t3_provisioning() {
    for backend in BACKENDS {
        column(backend, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decision_table_t4_both() {
    for backend in BACKENDS {
        column(backend, 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decision_table_t5_deprovisioning_alone() {
    for backend in BACKENDS {
        column(backend, 3).await;
    }
}
