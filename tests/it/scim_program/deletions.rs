//! A process is killed (kill -9) while it deletes a large group whose members go with it (`on_group_delete = "remove"`), at one moment after
//! the other: each member has left wholly or not at all, and whoever deletes the group again ends up where nobody would have been
//! disturbed.
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    caller::{Caller, members},
    killing::{self, Heir, Victim},
    world::{ORGANIZATION, World, name},
};
use crate::support::{gateway::Backend, redis_sets::eventually};

const USERS: usize = 1_680;
/// Each group is another window on the users: three commits take its members out, and there are the note before, the end behind, and
/// the two of the group itself.
const STEP: usize = 420;
const MEMBERS: usize = 900;

/// Of any window every other one belongs to the organization before SCIM says so.
fn is_known(user: usize) -> bool {
    user.is_multiple_of(2)
}

struct Stage {
    victim: Victim,
    ids: Vec<String>,
    group: String,
    /// The group's window begins at this many steps.
    steps: usize,
    /// Who belongs to the organization while no group says otherwise.
    members: BTreeSet<usize>,
}

impl Stage {
    async fn new(backend: Backend) -> Self {
        let mut world =
            World::with(backend, |set| set.set("enterprise.example.scim.on_group_delete", "remove")).await;
        world.seed(USERS, is_known).await;
        world.serve().await;
        let ids = world.users(USERS).await;
        let members = (0..USERS).filter(|user| is_known(*user)).collect();
        let victim = Victim { world, undisturbed: Duration::ZERO };
        let mut stage = Self { victim, ids, group: String::new(), steps: 0, members };
        stage.new_group().await;
        let begun = Instant::now();
        assert_eq!(stage.delete(0).await, 204);
        stage.victim.undisturbed = begun.elapsed();
        stage.judge("undisturbed").await;
        stage
    }

    fn window(&self) -> impl Iterator<Item = usize> + use<> {
        let begin = self.steps * STEP;
        (begin..begin + MEMBERS).map(|n| n % USERS)
    }

    async fn new_group(&mut self) {
        let ids: Vec<String> = self.window().map(|user| self.ids[user].clone()).collect();
        let group = json!({ "displayName": ORGANIZATION, "members": members(&ids) });
        let made = Caller::new(&self.victim.world.servers()[0]).done("POST", "/Groups", &group).await;
        made["id"].as_str().unwrap().clone_into(&mut self.group);
    }

    fn path(&self) -> String {
        format!("/Groups/{}", self.group)
    }

    async fn delete(&self, process: usize) -> u16 {
        let mut caller = Caller::new(&self.victim.world.servers()[process]);
        caller.send("DELETE", &self.path(), &Value::Null).await.expect("an answer").0
    }

    /// While nobody works: who is in the group is a member or invited as before, and who is not has neither. Everybody else is as before.
    async fn wholly_or_not_at_all(&self, what: &str) {
        let listed = self.victim.world.group_members(&self.group).await;
        let rest = self.victim.world.at_rest().await;
        let window: BTreeSet<usize> = self.window().collect();
        for user in 0..USERS {
            let (was_member, is_concerned) = (self.members.contains(&user), window.contains(&user));
            let stays = !is_concerned || listed.contains(&self.ids[user]);
            let expected = (stays && was_member, is_concerned && stays && !was_member);
            let is_member = rest.members.contains(&self.victim.world.person_id(user));
            let found = (is_member, rest.invited.contains(&name(user)));
            assert_eq!(found, expected, "{what}: member and invited, user {user}, in the group: {stays}");
        }
    }

    /// The group is gone from every record and its members from the organization, their invitations with them; another group then.
    async fn judge(&mut self, what: &str) {
        let last = self.victim.world.servers().len() - 1;
        let mut caller = Caller::new(&self.victim.world.servers()[last]);
        let status = caller.send("GET", &self.path(), &Value::Null).await.expect("an answer").0;
        assert_eq!(status, 404, "{what}");
        assert_eq!(self.delete(last).await, 404, "{what}");
        for user in self.window().step_by(MEMBERS / 10) {
            let shown = caller.done("GET", &format!("/Users/{}", self.ids[user]), &Value::Null).await;
            assert!(shown["groups"].as_array().is_none_or(Vec::is_empty), "{what}: {shown}");
        }
        // Two may have been at it, and one is done.
        eventually(what, async || last == 0 || !self.victim.world.is_unfinished().await).await;
        self.victim.world.kill_all();
        assert!(!self.victim.world.is_unfinished().await, "{what}");
        assert_eq!(self.victim.world.group_members(&self.group).await, [].into(), "{what}");
        for user in self.window() {
            self.members.remove(&user);
        }
        let rest = self.victim.world.at_rest().await;
        let expected = self.members.iter().map(|user| self.victim.world.person_id(*user)).collect();
        assert_eq!(rest.members, expected, "{what}");
        assert_eq!(rest.invited, [].into(), "{what}");
        self.victim.world.serve().await;
        self.steps += 1;
        self.new_group().await;
    }
}

impl killing::Stage for Stage {
    fn victim(&mut self) -> &mut Victim {
        &mut self.victim
    }

    async fn run(&mut self, after: Duration, heir: Heir, what: &str) -> bool {
        let servers = self.victim.world.servers();
        let delete = ("DELETE", self.path(), Value::Null);
        let (answer, is_interrupted) = self.victim.kill_during(after, delete).await;
        if let Some((status, answer)) = &answer {
            assert!(*status == 204 && !is_interrupted, "{what}: {status} {answer}");
        }
        if heir == Heir::Newcomer {
            self.victim.world.kill_all();
            self.wholly_or_not_at_all(what).await;
        }
        if heir == Heir::Newcomer || servers.len() == 1 {
            self.victim.world.serve().await;
        }
        let again = self.delete(servers.len() - 1).await;
        assert!(again == 404 || answer.is_none() && again == 204, "{what}: {again}");
        self.victim.world.serve().await;
        self.judge(&format!("{what}, {heir:?}, interrupted: {is_interrupted}")).await;
        is_interrupted
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_12_a_killed_deletion_is_finished_by_who_asks_again() {
    killing::kill(Stage::new(Backend::Redis).await, Backend::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_12_a_killed_deletion_is_finished_by_who_asks_again_after_a_start() {
    killing::kill(Stage::new(Backend::Embedded).await, Backend::Embedded).await;
}
