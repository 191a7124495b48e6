//! What acts cost, with a thousand people in the store and with a million: store round trips, CPU of the gateway and of Redis, wall
//! clock, on Redis and on the embedded store; and how large people, memberships, sessions and audit entries are there.
//!
//! `cargo bench --bench cost`. Each store of each size is filled by the way that `import` takes, then served by a gateway in a
//! process of its own, and everything that is measured is a request over HTTP: sign-ins are posted to the ACS, an owner's
//! removal goes to the API. Responses are signed before the clock runs. All sizes are measured in every round, one after the
//! other, and the ratio is the median of the rounds' ratios. The reference beside them is the same shape in bare commands: of Redis
//! over a connection of its own, in every round; of redb on the seeded file, before the gateway opens it.
//!
//! Smaller, to try it: `COST_PEOPLE=100,1000 COST_ROUNDS=2 COST_SIZES=500 cargo test --bench cost`. `COST_STORES=redis` leaves
//! the embedded store out, `COST_EXAMINE=0` the walk through what was seeded.
#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "another bench uses the rest")]
mod common;

mod acts;
mod reference;
mod seed;
mod sizes;
mod world;

use portcullis::idp;

use acts::{ACTS, Act, Cell};
use common::{Store, median, number, numbers, setting};
use seed::Town;
use world::{IdpPlace, World};

/// What the cost at the largest size may be, over that at the smallest.
const RATIO_MAX: f64 = 1.3;
const ROUNDS: usize = 15;
const PEOPLE: &str = "1000,1000000";
const STORES: &str = "redis,embedded";

#[tokio::main]
async fn main() {
    let people = numbers("COST_PEOPLE", PEOPLE);
    let rounds = number("COST_ROUNDS", ROUNDS);
    let stores: Vec<Store> = setting("COST_STORES", STORES).split(',').map(Store::named).collect();
    let idp = idp::bind(acts::idp_settings()).await.expect("the IdP starts");
    let place = IdpPlace { entity_id: idp.entity_id().to_owned(), sso_url: idp.sso_url().to_owned() };
    let directory = idp.directory();
    tokio::spawn(idp.run(std::future::pending()));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load before: {}", load.trim());

    for store in &stores {
        sizes::report(*store, &place, number("COST_SIZES", sizes::COUNT)).await;
    }
    for store in stores {
        let mut worlds = Vec::new();
        let mut bare = Vec::new();
        for count in &people {
            let town = Town::new(&place, *count);
            let world = World::seeded(store, &place, &town, setting("COST_EXAMINE", "1") == "1").await;
            bare.push(world.bare());
            worlds.push(world);
        }
        let embedded = reference::embedded(&mut bare, rounds);
        for world in &mut worlds {
            world.serve(&place);
        }
        let mut table = Table::new(worlds.len());
        table.references = embedded;
        // The first round brings records up to what the IdP says, and is not counted.
        for round in 0..=rounds {
            let cells = acts::round(&worlds, &directory, &place).await;
            let references = reference::redis(&mut bare);
            if round > 0 {
                table.add(cells, references);
            }
        }
        table.print(store, &people);
    }
}

/// What was measured: for each act and for the reference, the rounds of each world.
struct Table {
    acts: Vec<Vec<Vec<Cell>>>,
    references: Vec<Vec<Cell>>,
}

impl Table {
    fn new(worlds: usize) -> Self {
        Self { acts: vec![vec![Vec::new(); worlds]; ACTS.len()], references: vec![Vec::new(); worlds] }
    }

    fn add(&mut self, cells: Vec<Vec<Cell>>, references: Vec<Cell>) {
        for (rows, cells) in self.acts.iter_mut().zip(cells) {
            rows.iter_mut().zip(cells).for_each(|(rounds, cell)| rounds.push(cell));
        }
        self.references.iter_mut().zip(references).for_each(|(rounds, cell)| rounds.push(cell));
    }

    fn print(&self, store: Store, people: &[usize]) {
        println!("\n{} store: medians of {} rounds, per act", store.name(), self.references[0].len());
        println!(
            "  {:<38} {:>9} {:>11} {:>11} {:>11} {:>11}",
            "", "people", "round trips", "gateway µs", "Redis µs", "wall µs"
        );
        for (act, worlds) in ACTS.iter().zip(&self.acts) {
            lines(act.name(), people, worlds);
            verdict(*act, worlds);
        }
        lines("reference: bare commands", people, &self.references);
        let (cpu, wall) = ratios(&self.references);
        println!("  {:<38} ratio: CPU {cpu:.2}, wall {wall:.2}", "");
    }
}

fn lines(name: &str, people: &[usize], worlds: &[Vec<Cell>]) {
    for (nth, (count, rounds)) in people.iter().zip(worlds).enumerate() {
        let of = |part: fn(&Cell) -> f64| median(rounds.iter().map(part).collect());
        let name = if nth == 0 { name } else { "" };
        println!(
            "  {name:<38} {count:>9} {:>11.1} {:>11.1} {:>11.1} {:>11.1}",
            of(|cell| cell.round_trips),
            of(|cell| cell.gateway_micros),
            of(|cell| cell.redis_micros),
            of(|cell| cell.wall_micros),
        );
    }
}

fn verdict(act: Act, worlds: &[Vec<Cell>]) {
    let (cpu, wall) = ratios(worlds);
    let is_met = cpu.max(wall) <= RATIO_MAX;
    println!(
        "  {:<38} ratio: CPU {cpu:.2}, wall {wall:.2}; within {RATIO_MAX}: {}",
        "",
        if is_met { "met" } else { "MISSED" }
    );
    let trips = |rounds: &Vec<Cell>| median(rounds.iter().map(|cell| cell.round_trips).collect()).round();
    let (Some(first), Some(last)) = (worlds.first(), worlds.last()) else { return };
    if trips(first) != trips(last) {
        println!("  {} takes another number of round trips at the largest size", act.name());
    }
}

/// Of the last world over the first: CPU of gateway and Redis together, and wall clock.
fn ratios(worlds: &[Vec<Cell>]) -> (f64, f64) {
    let (Some(first), Some(last)) = (worlds.first(), worlds.last()) else { return (0.0, 0.0) };
    let of = |part: fn(&Cell) -> f64| {
        median(first.iter().zip(last).map(|(first, last)| part(last) / part(first)).collect())
    };
    (of(|cell| cell.gateway_micros + cell.redis_micros), of(|cell| cell.wall_micros))
}
