//! The runs themselves, one test for each thing that is killed.
use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{
    Dice,
    acts::{self, Ledger, Progress, Stage},
    judge,
    world::{Killed, World},
};
use crate::support::redis_sets::eventually;

pub const RUNS_VARIABLE: &str = "FAULT_RUNS";
pub const SEED_VARIABLE: &str = "FAULT_SEED";
/// A kill comes after so many acknowledged acts, and somewhere within so many milliseconds after them.
const KILL_ACTS_MAX: u64 = 12;
const KILL_MILLIS_MAX: u64 = 40;

/// A variable of the environment, or what is usual.
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// `ordinary` is how often in an ordinary run of the tests.
async fn run(killed: Killed, ordinary: u64) {
    let (runs, seed) = (number(RUNS_VARIABLE, ordinary), number(SEED_VARIABLE, 1));
    let mut world = World::start(killed).await;
    let (mut acknowledged, mut replayed) = (0, 0);
    for run in seed..seed + runs {
        let mut dice = Dice::of(run);
        let stage = Arc::new(Stage::of(&world, run));
        let done = Arc::new(Progress::default());
        let mut tasks = JoinSet::new();
        for person in acts::PEOPLE {
            let ledger = Ledger::new(person, world.states[person].clone());
            let own = Dice::of(dice.throw(u64::MAX));
            tasks.spawn(acts::act_until_it_fails(Arc::clone(&stage), ledger, own, Arc::clone(&done)));
        }
        let before_the_kill = 1 + usize::try_from(dice.throw(KILL_ACTS_MAX)).unwrap();
        // On a machine that is very busy all may fail before.
        eventually("enough was done before the kill", async || {
            done.acts.load(SeqCst) >= before_the_kill || done.over.load(SeqCst) == acts::PEOPLE.len()
        })
        .await;
        tokio::time::sleep(Duration::from_millis(dice.throw(KILL_MILLIS_MAX))).await;
        world.kill().await;
        let ledgers = tasks.join_all().await;
        acknowledged += ledgers.iter().map(|ledger| ledger.acknowledged.len()).sum::<usize>();
        world.recover().await;
        replayed += judge::judge(&mut world, ledgers, run).await;
    }
    assert!(acknowledged > 0 && (replayed > 0 || runs < 3), "{acknowledged} acts, {replayed} replays");
    world.check_store();
    println!(
        "{killed:?}: runs {seed} to {}, {acknowledged} acts acknowledged, {replayed} responses replayed",
        seed + runs - 1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_12_kills_of_the_gateway_on_the_embedded_store() {
    run(Killed::GatewayOnEmbedded, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_12_kills_of_the_gateway_on_redis() {
    run(Killed::GatewayOnRedis, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_and_r_12_kills_of_redis_leave_nothing_half_done_and_lose_nothing() {
    run(Killed::Redis, 4).await;
}

/// The replica acknowledges (`wait_replicas = 1`), the sentinel promotes it, and what was the primary comes back as its replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_and_r_12_kills_of_a_primary_before_a_failover() {
    run(Killed::Primary, 2).await;
}
