//! Thousands of PATCHes of one member each, on one group, by sixteen clients at once: nobody is lost, whatever comes and goes.
//!
//! `SCIM_PATCHES=10000 cargo test --test it scim_program::patches -- --nocapture` makes so many.
use std::{collections::BTreeSet, time::Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    caller::{Caller, Server, members, operation},
    world::{ORGANIZATION, World, name},
};
use crate::{faults::runs::number, support::gateway::Backend};

const PATCHES_VARIABLE: &str = "SCIM_PATCHES";
/// In an ordinary run of the tests.
const PATCHES: u64 = 1_120;
const CLIENTS: usize = 16;

/// What is done about four people in turn: who, and whether they come or go. The second one is out at the end.
const ROUND: [(usize, bool); 7] =
    [(0, true), (1, true), (2, true), (1, false), (3, true), (2, false), (2, true)];
const ROUND_PEOPLE: usize = 4;

/// Of each place in a round every other one belongs to the organization before SCIM says so.
fn is_known(user: usize) -> bool {
    (user + user / ROUND_PEOPLE).is_multiple_of(2)
}

fn is_out(user: usize) -> bool {
    user % ROUND_PEOPLE == 1
}

/// Who was known and came back is invited, as everybody is whom nobody knew.
fn is_member(user: usize) -> bool {
    is_known(user) && !is_out(user) && user % ROUND_PEOPLE != 2
}

/// The rounds of one client, one PATCH after the other.
async fn work(server: Server, group: String, people: Vec<(usize, String)>) {
    let mut caller = Caller::new(&server);
    for four in people.chunks(ROUND_PEOPLE) {
        for (who, comes) in ROUND {
            let id = &four[who].1;
            let change = match comes {
                true => json!({ "op": "add", "path": "members", "value": members(std::slice::from_ref(id)) }),
                false => json!({ "op": "remove", "path": format!("members[value eq \"{id}\"]") }),
            };
            caller.done("PATCH", &format!("/Groups/{group}"), &operation(change)).await;
        }
    }
}

async fn nobody_is_lost(backend: Backend) {
    let wanted = number(PATCHES_VARIABLE, PATCHES);
    let rounds_each = usize::try_from(wanted).unwrap().div_ceil(CLIENTS * ROUND.len());
    let (patches, count) = (rounds_each * CLIENTS * ROUND.len(), rounds_each * CLIENTS * ROUND_PEOPLE);
    let mut world = World::new(backend).await;
    world.seed(count, is_known).await;
    world.serve().await;
    let begun = Instant::now();
    let ids = world.users(count).await;
    let created_seconds = begun.elapsed().as_secs_f64();
    let servers = world.servers();
    let mut first = Caller::new(&servers[0]);
    let group = json!({ "displayName": ORGANIZATION, "members": [] });
    let group = first.done("POST", "/Groups", &group).await["id"].as_str().unwrap().to_owned();

    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for client in 0..CLIENTS {
        // Neighbours in the list, in turn: everybody's people lie everywhere.
        let rounds = (client..count / ROUND_PEOPLE).step_by(CLIENTS);
        let people = rounds.flat_map(|round| round * ROUND_PEOPLE..(round + 1) * ROUND_PEOPLE);
        let people = people.map(|user| (user, ids[user].clone())).collect();
        tasks.spawn(work(servers[client % servers.len()].clone(), group.clone(), people));
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{backend:?}: {count} users in {created_seconds:.1} s, then {patches} PATCHes of one member by {CLIENTS} clients over {} \
         processes in {seconds:.1} s, {:.0} a second",
        servers.len(),
        patches as f64 / seconds
    );

    let stays: BTreeSet<String> =
        (0..count).filter(|user| !is_out(*user)).map(|user| ids[user].clone()).collect();
    for server in &servers {
        let shown = Caller::new(server).done("GET", &format!("/Groups/{group}"), &Value::Null).await;
        let listed = shown["members"].as_array().unwrap();
        let listed_ids: BTreeSet<String> =
            listed.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect();
        assert_eq!(listed.len(), listed_ids.len(), "{backend:?}: nobody is there twice");
        assert_eq!(listed_ids, stays, "{backend:?}");
        assert_eq!(shown["meta"]["version"], format!("W/\"1.{patches}\""), "{backend:?}: each counts once");
    }
    world.kill_all();
    world.check_store();
    let rest = world.at_rest().await;
    let are = |member: bool| (0..count).filter(move |user| !is_out(*user) && is_member(*user) == member);
    assert_eq!(rest.members, are(true).map(|user| world.person_id(user)).collect(), "{backend:?}");
    assert_eq!(rest.invited, are(false).map(name).collect(), "{backend:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_of_one_group_over_two_processes_lose_nobody() {
    nobody_is_lost(Backend::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_of_one_group_on_the_embedded_store_lose_nobody() {
    nobody_is_lost(Backend::Embedded).await;
}
