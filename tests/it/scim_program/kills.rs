//! A process is killed (kill -9) while it replaces the members of a large group, at one moment after the other: whoever comes next
//! finishes what was noted, and what was not noted did not begin.
//!
//! `FAULT_RUNS=200 cargo test --test it scim_program::kills -- --nocapture` kills so often, `FAULT_SEED=17` begins with the dice of
//! run 17.
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    caller::{Caller, members, operation},
    world::{ORGANIZATION, World, name},
};
use crate::{
    faults::{
        Dice,
        runs::{RUNS_VARIABLE, SEED_VARIABLE, number},
    },
    support::{gateway::Backend, redis_sets::eventually},
};

const RUNS: u64 = 3;
/// Kills that hit nothing do not count, up to so many for one that counts.
const ATTEMPTS_PER_RUN_MAX: u64 = 6;
const USERS: usize = 1_680;
/// The group is a window on the users, and moves by so many at each PUT: four commits and the note.
const STEP: usize = 420;
const MEMBERS: usize = 500;
/// Moments of one PUT at which it is killed.
const MOMENTS: u64 = 16;

/// Of any window every other one belongs to the organization before SCIM says so.
fn is_known(user: usize) -> bool {
    user.is_multiple_of(2)
}

/// The users of the group at that step.
fn window(steps: usize) -> impl Iterator<Item = usize> {
    (0..MEMBERS).map(move |n| (steps * STEP + n) % USERS)
}

/// Who goes on after a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heir {
    /// A process that starts, without being asked.
    Newcomer,
    /// The next change of the group, at another process or at the same one anew.
    NextCall,
}

struct Stage {
    world: World,
    group: String,
    ids: Vec<String>,
    /// The group's window begins at this many steps.
    steps: usize,
    /// Who was taken out of the group.
    left: BTreeSet<usize>,
    /// How long a PUT takes that nobody disturbs.
    undisturbed: Duration,
}

impl Stage {
    async fn new(backend: Backend) -> Self {
        let mut world = World::new(backend).await;
        world.seed(USERS, is_known).await;
        world.serve().await;
        let ids = world.users(USERS).await;
        let mut caller = Caller::new(&world.servers()[0]);
        let (group, left) = (String::new(), BTreeSet::new());
        let mut stage = Self { world, group, ids, steps: 0, left, undisturbed: Duration::ZERO };
        let made = caller.done("POST", "/Groups", &stage.with_members(0)).await;
        stage.group = made["id"].as_str().unwrap().to_owned();
        let begun = Instant::now();
        caller.done("PUT", &format!("/Groups/{}", stage.group), &stage.with_members(1)).await;
        stage.undisturbed = begun.elapsed();
        stage.moved_on();
        stage.judge("undisturbed").await;
        stage
    }

    /// The group as it is at that step.
    fn with_members(&self, steps: usize) -> Value {
        let ids: Vec<String> = window(steps).map(|user| self.ids[user].clone()).collect();
        json!({ "displayName": ORGANIZATION, "members": members(&ids) })
    }

    fn ids_at(&self, steps: usize) -> BTreeSet<String> {
        window(steps).map(|user| self.ids[user].clone()).collect()
    }

    fn moved_on(&mut self) {
        let next: BTreeSet<usize> = window(self.steps + 1).collect();
        self.left.extend(window(self.steps).filter(|user| !next.contains(user)));
        self.steps += 1;
    }

    /// One PUT, one kill, and one who goes on; whether the kill was in the middle.
    async fn run(&mut self, after: Duration, heir: Heir, what: &str) -> bool {
        let servers = self.world.servers();
        let (path, body) = (format!("/Groups/{}", self.group), self.with_members(self.steps + 1));
        let mut caller = Caller::new(&servers[0]);
        let mut put = tokio::spawn(async move { caller.send("PUT", &path, &body).await });
        let begun = Instant::now();
        let early = tokio::time::timeout(after, &mut put).await;
        self.world.kill(0);
        let answer = match early {
            // The machine has less to do than when it was measured.
            Ok(answer) => {
                self.undisturbed = begun.elapsed();
                answer.unwrap()
            }
            Err(_) => put.await.unwrap(),
        };
        // What the store says now, before anybody else looks after it.
        let is_interrupted = self.world.is_unfinished().await;
        if let Some((status, answer)) = &answer {
            assert!(*status == 200 && !is_interrupted, "{what}: {status} {answer}");
        }
        match heir {
            Heir::Newcomer => self.world.serve().await,
            Heir::NextCall => {
                if servers.len() == 1 {
                    self.world.serve().await;
                }
                self.changes_nothing(servers.len() - 1).await;
                // Where somebody else lives who did not just start, nobody else can have finished it.
                if servers.len() > 1 {
                    assert!(!self.world.is_unfinished().await, "{what}");
                }
                self.world.serve().await;
            }
        }
        if is_interrupted || answer.is_some() || self.listed().await == self.ids_at(self.steps + 1) {
            self.moved_on();
        }
        self.judge(&format!("{what}, {heir:?}, interrupted: {is_interrupted}")).await;
        is_interrupted
    }

    /// The next change of the group, which finds something to finish and has nothing to do itself.
    async fn changes_nothing(&self, process: usize) {
        let stays = window(self.steps + 1).next().unwrap();
        let add = json!({ "op": "add", "path": "members", "value": members(&[self.ids[stays].clone()]) });
        let mut caller = Caller::new(&self.world.servers()[process]);
        caller.done("PATCH", &format!("/Groups/{}", self.group), &operation(add)).await;
    }

    async fn listed(&self) -> BTreeSet<String> {
        let servers = self.world.servers();
        let mut caller = Caller::new(&servers[servers.len() - 1]);
        let shown = caller.done("GET", &format!("/Groups/{}", self.group), &Value::Null).await;
        let listed = shown["members"].as_array().unwrap().iter();
        listed.map(|member| member["value"].as_str().unwrap().to_owned()).collect()
    }

    /// The group, the organization's members, its invitations and every index say the same; then everybody serves again.
    async fn judge(&mut self, what: &str) {
        let expected = self.ids_at(self.steps);
        eventually(what, async || self.listed().await == expected).await;
        // The last commit of all says that nothing is left.
        self.changes_nothing(self.world.servers().len() - 1).await;
        self.world.kill_all();
        assert!(!self.world.is_unfinished().await, "{what}");
        let rest = self.world.at_rest().await;
        // Whoever belonged to the organization before stays in until they leave; who comes back is invited.
        let members: BTreeSet<usize> =
            (0..USERS).filter(|user| is_known(*user) && !self.left.contains(user)).collect();
        let invited = window(self.steps).filter(|user| !members.contains(user)).map(name).collect();
        assert_eq!(rest.members, members.iter().map(|user| self.world.person_id(*user)).collect(), "{what}");
        assert_eq!(rest.invited, invited, "{what}");
        self.world.serve().await;
    }
}

async fn killed_and_resumed(backend: Backend) {
    let mut stage = Stage::new(backend).await;
    let (runs, seed) = (number(RUNS_VARIABLE, RUNS), number(SEED_VARIABLE, 1));
    let (mut interrupted, mut attempts) = (0, 0);
    for run in seed..seed + runs {
        let mut dice = Dice::of(run);
        for attempt in 0..ATTEMPTS_PER_RUN_MAX {
            attempts += 1;
            let moment = u32::try_from(1 + dice.throw(MOMENTS)).unwrap();
            let after = stage.undisturbed * moment / u32::try_from(MOMENTS).unwrap();
            let heir = if (run + attempt).is_multiple_of(2) { Heir::Newcomer } else { Heir::NextCall };
            let what = format!("{backend:?}, run {run}, killed after {after:?}");
            if stage.run(after, heir, &what).await {
                interrupted += 1;
                break;
            }
        }
    }
    println!(
        "{backend:?}: {attempts} kills, {interrupted} in the middle of a PUT of {:?} that is carried out in steps",
        stage.undisturbed
    );
    assert!(interrupted > 0, "no kill was in the middle");
    stage.world.kill_all();
    stage.world.check_store();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_12_a_killed_replacement_is_finished_by_another_process() {
    killed_and_resumed(Backend::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_12_a_killed_replacement_is_finished_after_a_start() {
    killed_and_resumed(Backend::Embedded).await;
}
