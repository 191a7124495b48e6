//! Processes are killed (kill -9) in the middle of sign-ins, removals, claims, acceptances, deactivations and sessions that are
//! ended, all through HTTP and at once: the gateway on either store, Redis itself, and a primary whose replica is promoted by a
//! sentinel. After each recovery everything agrees, what was acknowledged is so and is told, and no assertion opens a
//! second session. `docs/FAULTS.md` says what was run.
//!
//! `FAULT_RUNS=1000 cargo test --test it faults::runs` runs each that often; `FAULT_SEED=17` begins with the dice of run 17.
mod acts;
mod failover;
mod judge;
pub mod runs;
mod world;

/// Small and repeatable: xorshift.
pub struct Dice(u64);

impl Dice {
    /// Of one run, or of one part of it.
    pub fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn throw(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    /// Some of these, each by the toss of a coin.
    pub fn some<'a>(&mut self, all: &[&'a str]) -> Vec<&'a str> {
        all.iter().copied().filter(|_| self.throw(2) == 0).collect()
    }
}
