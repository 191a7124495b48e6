//! Kills a process (kill -9) in the middle of a call, at one moment after the other.
//!
//! `FAULT_RUNS=200 cargo test --test it scim_program:: -- --nocapture` kills so often, `FAULT_SEED=17` begins with the dice of run 17.
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{caller::Caller, world::World};
use crate::{
    faults::{
        Dice,
        runs::{RUNS_VARIABLE, SEED_VARIABLE, number},
    },
    support::gateway::Backend,
};

const RUNS: u64 = 3;
/// Kills that hit nothing do not count, up to so many for one that counts.
const ATTEMPTS_PER_RUN_MAX: u64 = 6;
/// Moments of one call at which it is killed.
const MOMENTS: u64 = 16;

/// Who goes on after a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heir {
    /// A process that starts.
    Newcomer,
    /// The next call about the group, at another process or at the same one anew.
    NextCall,
}

/// Programs on a store, and a call of theirs that is carried out in steps.
pub struct Victim {
    pub world: World,
    /// How long the call takes that nobody disturbs.
    pub undisturbed: Duration,
}

impl Victim {
    /// Sends the call to the first process and kills that; the answer, if it came, and whether something is left to be finished.
    pub async fn kill_during(
        &mut self,
        after: Duration,
        (method, path, body): (&'static str, String, Value),
    ) -> (Option<(u16, Value)>, bool) {
        let mut caller = Caller::new(&self.world.servers()[0]);
        let mut call = tokio::spawn(async move { caller.send(method, &path, &body).await });
        let begun = Instant::now();
        let early = tokio::time::timeout(after, &mut call).await;
        self.world.kill(0);
        let answer = match early {
            // The machine has less to do than when it was measured.
            Ok(answer) => {
                self.undisturbed = begun.elapsed();
                answer.unwrap()
            }
            Err(_) => call.await.unwrap(),
        };
        (answer, self.world.is_unfinished().await)
    }
}

/// What a test makes of it.
pub trait Stage {
    fn victim(&mut self) -> &mut Victim;

    /// One call, one kill, and one who goes on; whether the kill was in the middle.
    async fn run(&mut self, after: Duration, heir: Heir, what: &str) -> bool;
}

/// Kills until each run had a kill in the middle, or was tried often enough; then looks at the whole store.
pub async fn kill(mut stage: impl Stage, backend: Backend) {
    let (runs, seed) = (number(RUNS_VARIABLE, RUNS), number(SEED_VARIABLE, 1));
    let (mut interrupted, mut attempts) = (0, 0);
    for run in seed..seed + runs {
        let mut dice = Dice::of(run);
        for attempt in 0..ATTEMPTS_PER_RUN_MAX {
            attempts += 1;
            let moment = u32::try_from(1 + dice.throw(MOMENTS)).unwrap();
            let after = stage.victim().undisturbed * moment / u32::try_from(MOMENTS).unwrap();
            let heir = if (run + attempt).is_multiple_of(2) { Heir::Newcomer } else { Heir::NextCall };
            let what = format!("{backend:?}, run {run}, killed after {after:?}");
            if stage.run(after, heir, &what).await {
                interrupted += 1;
                break;
            }
        }
    }
    println!(
        "{backend:?}: {attempts} kills, {interrupted} in the middle of a call of {:?} that is carried out in steps",
        stage.victim().undisturbed
    );
    assert!(interrupted > 0, "no kill was in the middle");
    let world = &mut stage.victim().world;
    world.kill_all();
    world.check_store();
}
