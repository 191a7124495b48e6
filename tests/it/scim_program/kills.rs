//! A process is killed (kill -9) while it replaces the members of a large group, at one moment after the other: whoever comes next
//! finishes what was noted, and what was not noted did not begin.
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    caller::{Caller, members, operation},
    killing::{self, Heir, Victim},
    world::{ORGANIZATION, World, name},
};
use crate::support::{gateway::Backend, redis_sets::eventually};

const USERS: usize = 1_680;
/// The group is a window on the users, and moves by so many at each PUT: four commits and the note.
const STEP: usize = 420;
const MEMBERS: usize = 500;

/// Of any window every other one belongs to the organization before SCIM says so.
fn is_known(user: usize) -> bool {
    user.is_multiple_of(2)
}

/// The users of the group at that step.
fn window(steps: usize) -> impl Iterator<Item = usize> {
    (0..MEMBERS).map(move |n| (steps * STEP + n) % USERS)
}

struct Stage {
    victim: Victim,
    group: String,
    ids: Vec<String>,
    /// The group's window begins at this many steps.
    steps: usize,
    /// Who was taken out of the group.
    left: BTreeSet<usize>,
}

impl Stage {
    async fn new(backend: Backend) -> Self {
        let mut world = World::new(backend).await;
        world.seed(USERS, is_known).await;
        world.serve().await;
        let ids = world.users(USERS).await;
        let mut caller = Caller::new(&world.servers()[0]);
        let (group, left) = (String::new(), BTreeSet::new());
        let victim = Victim { world, undisturbed: Duration::ZERO };
        let mut stage = Self { victim, group, ids, steps: 0, left };
        let made = caller.done("POST", "/Groups", &stage.with_members(0)).await;
        stage.group = made["id"].as_str().unwrap().to_owned();
        let begun = Instant::now();
        caller.done("PUT", &format!("/Groups/{}", stage.group), &stage.with_members(1)).await;
        stage.victim.undisturbed = begun.elapsed();
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

    /// The next change of the group, which finds something to finish and has nothing to do itself.
    async fn changes_nothing(&self, process: usize) {
        let stays = window(self.steps + 1).next().unwrap();
        let add = json!({ "op": "add", "path": "members", "value": members(&[self.ids[stays].clone()]) });
        let mut caller = Caller::new(&self.victim.world.servers()[process]);
        caller.done("PATCH", &format!("/Groups/{}", self.group), &operation(add)).await;
    }

    async fn listed(&self) -> BTreeSet<String> {
        let servers = self.victim.world.servers();
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
        self.changes_nothing(self.victim.world.servers().len() - 1).await;
        self.victim.world.kill_all();
        assert!(!self.victim.world.is_unfinished().await, "{what}");
        let rest = self.victim.world.at_rest().await;
        // Whoever belonged to the organization before stays in until they leave; who comes back is invited.
        let members: BTreeSet<usize> =
            (0..USERS).filter(|user| is_known(*user) && !self.left.contains(user)).collect();
        let invited = window(self.steps).filter(|user| !members.contains(user)).map(name).collect();
        assert_eq!(
            rest.members,
            members.iter().map(|user| self.victim.world.person_id(*user)).collect(),
            "{what}"
        );
        assert_eq!(rest.invited, invited, "{what}");
        self.victim.world.serve().await;
    }
}

impl killing::Stage for Stage {
    fn victim(&mut self) -> &mut Victim {
        &mut self.victim
    }

    async fn run(&mut self, after: Duration, heir: Heir, what: &str) -> bool {
        let servers = self.victim.world.servers();
        let (path, body) = (format!("/Groups/{}", self.group), self.with_members(self.steps + 1));
        let (answer, is_interrupted) = self.victim.kill_during(after, ("PUT", path, body)).await;
        if let Some((status, answer)) = &answer {
            assert!(*status == 200 && !is_interrupted, "{what}: {status} {answer}");
        }
        match heir {
            Heir::Newcomer => self.victim.world.serve().await,
            Heir::NextCall => {
                if servers.len() == 1 {
                    self.victim.world.serve().await;
                }
                self.changes_nothing(servers.len() - 1).await;
                // Where somebody else lives who did not just start, nobody else can have finished it.
                if servers.len() > 1 {
                    assert!(!self.victim.world.is_unfinished().await, "{what}");
                }
                self.victim.world.serve().await;
            }
        }
        if is_interrupted || answer.is_some() || self.listed().await == self.ids_at(self.steps + 1) {
            self.moved_on();
        }
        self.judge(&format!("{what}, {heir:?}, interrupted: {is_interrupted}")).await;
        is_interrupted
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_12_a_killed_replacement_is_finished_by_another_process() {
    killing::kill(Stage::new(Backend::Redis).await, Backend::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_12_a_killed_replacement_is_finished_after_a_start() {
    killing::kill(Stage::new(Backend::Embedded).await, Backend::Embedded).await;
}
