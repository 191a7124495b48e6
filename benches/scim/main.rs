//! SCIM over HTTP with a thousand and a hundred thousand users: create, look up by userName, PATCH one and a hundred members of a
//! group of 100 and of 50,000, read the large group, and the full initial synchronisation.
//!
//! `cargo bench --profile production --bench scim`. Ours is the gateway, built as it is deployed and in a process of its own, on Redis
//! and on the embedded store; beside it, in the same run, PyPI's scim2-server (`python3 -m venv target/tools/scim2-server` and `pip
//! install scim2-server` there) and the bare commands of a Redis that do the least of it. Everything but the large group goes over
//! eight connections at once; the client is one thread, which shares the cores. All sizes are measured in every round, one after
//! the other, and what counts is the median.
//!
//! Smaller, to try it: `SCIM_PEOPLE=1000,2000 SCIM_LARGE=500 SCIM_ROUNDS=1 SCIM_CALLS=100 SCIM_SYNC=500,5 SCIM_REFERENCE=100 cargo
//! test --bench scim`. `SCIM_STORES=redis` leaves the embedded store out, `SCIM_STORES=` ours, `SCIM_SYNC=0,0` the synchronisation.
#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "another bench uses the rest")]
mod common;

mod client;
mod load;
mod reference;

use std::{process::Command, time::Instant};

use portcullis::config::Overrides;

use client::Server;
use common::{CONFIG, Gateway, Place, Store, median, number, numbers, setting};
use load::{Population, Run};
use reference::Bare;

const CONNECTIONS: usize = 8;
const ROUNDS: usize = 5;
/// Calls of one kind in one round; creates and large PATCHes are fewer, look-ups more.
const CALLS: usize = 2_000;
const SMALL: usize = 100;
const LARGE: usize = 50_000;
const READS: usize = 5;
/// What is aimed at.
const RATIO_MAX: f64 = 1.3;
/// A second at the largest size, by their places in [`KINDS`].
const AIMS: [(usize, f64); 3] = [(0, 5_000.0), (1, 15_000.0), (5, 300.0)];
const GROWTH_BYTES_MAX: f64 = 8.0 * 1024.0 * 1024.0;

/// At the largest size of both that is measured, of what takes the reference longer there.
const TIMES_REFERENCE_MIN: f64 = 50.0;

/// In the order in which they are measured. The groups stand for no organization, but for the last one, whose members are invited
/// when they come, and their invitations withdrawn when they go.
const KINDS: [&str; 7] = [
    "create",
    "look up by userName",
    "PATCH 1, group of 100",
    "PATCH 100, group of 100",
    "PATCH 1, large group",
    "PATCH 100, large group",
    "PATCH 100 that invite",
];
/// Of a group that is small, by the place of the same of a large one.
const SMALL_OF: [(usize, usize); 2] = [(4, 2), (5, 3)];

/// How many a second of each kind, as far as it was measured.
type Rates = [Option<f64>; KINDS.len()];

/// Of the reference, at its smallest size and at its largest.
#[derive(Default)]
struct Reference {
    smallest: Rates,
    largest: Rates,
}

/// A store with people, and the gateway before it.
struct World {
    gateway: Gateway,
    people: Population,
    small: String,
    large: Option<String>,
    inviting: String,
    place: Place,
}

/// One kind in one round, with what it cost in microseconds.
#[derive(Clone, Copy, Default)]
struct Cell {
    run: Run,
    gateway: f64,
    redis: f64,
}

impl World {
    /// Only the gateway, with a token for it.
    fn empty(store: Store) -> Self {
        let place = Place::new(store);
        // A file for the command line to find.
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        drop(runtime.block_on(place.open()));
        let overrides = place
            .overrides()
            .set("enterprise.example.max_removals", "1000000")
            .set("enterprise.example.scim.enabled", "true")
            .set("enterprise.example.scim.unmatched_groups", "accept")
            .set("enterprise.example.scim.requests_per_second_max", "1000000")
            // Nobody listens there: mails wait.
            .set("mail.host", "localhost")
            .set("mail.port", "1")
            .set("mail.tls", "none")
            .set("mail.from", "gate@example.com");
        let token = token(&overrides);
        let gateway = Gateway::start(&place, overrides);
        let base = "/scim/v2/enterprises/example".to_owned();
        let server = Server { address: gateway.public, base, token: Some(token) };
        let people = Population::new(server, CONNECTIONS);
        Self { gateway, people, small: String::new(), large: None, inviting: String::new(), place }
    }

    fn filled(store: Store, count: usize, large: usize) -> Self {
        let mut world = Self::empty(store);
        let begun = Instant::now();
        let run = world.people.create(count, false, &format!("{} store, creating", store.name()));
        println!(
            "{} store: {count} users created in {:.1} s, {:.0} a second, median {:.2} ms, p99 {:.2} ms",
            store.name(),
            begun.elapsed().as_secs_f64(),
            run.per_second,
            run.median,
            run.p99
        );
        world.small = world.people.group("bench-small", SMALL);
        world.inviting = world.people.group("octo-org", SMALL);
        if count >= large + CONNECTIONS * SMALL {
            let begun = Instant::now();
            world.large = Some(world.people.group("bench-large", large));
            println!("  a group of {large} filled in {:.1} s", begun.elapsed().as_secs_f64());
        }
        world
    }

    fn measured(&mut self, kind: usize, calls: usize) -> Option<Cell> {
        let before = (self.gateway.cpu_nanos(), self.place.cpu_nanos());
        let large = self.large.as_deref();
        let run = match kind {
            // Few enough that a thousand stay some thousand.
            0 => self.people.create((calls / 4).max(CONNECTIONS), false, ""),
            1 => self.people.look_up(5 * calls),
            2 => self.people.patch(&self.small, 1, calls),
            3 => self.people.patch(&self.small, SMALL, (calls / 10).max(CONNECTIONS)),
            4 => self.people.patch(large?, 1, calls),
            5 => self.people.patch(large?, SMALL, (calls / 10).max(CONNECTIONS)),
            _ => self.people.patch(&self.inviting, SMALL, (calls / 10).max(CONNECTIONS)),
        };
        let cost = |before: f64, after: f64| (after - before) / run.calls as f64 / 1e3;
        let (gateway, redis) = (self.gateway.cpu_nanos(), self.place.cpu_nanos());
        Some(Cell { run, gateway: cost(before.0, gateway), redis: cost(before.1, redis) })
    }

    /// The large group, and what the gateway's memory does meanwhile.
    fn read(&self, members: usize) {
        let Some(large) = &self.large else { return };
        self.gateway.forget_peak();
        let before = self.gateway.memory("VmRSS");
        let (run, bytes) = self.people.read(large, members, READS);
        let growth = self.gateway.memory("VmHWM") - before;
        println!(
            "  GET of a group of {members}: {:.1} MB in {:.1} ms (median of {READS}); memory grew by {:.1} MiB at the most, \
             from {:.1}: under {:.0} MiB: {}",
            bytes as f64 / 1e6,
            run.median,
            growth / 1_048_576.0,
            before / 1_048_576.0,
            GROWTH_BYTES_MAX / 1_048_576.0,
            verdict(growth < GROWTH_BYTES_MAX)
        );
    }
}

/// A SCIM token, made at the command line.
fn token(overrides: &Overrides) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["token", "create", "--config", CONFIG])
        .args(["--scim", "--enterprise", "example", "--name", "bench", "--days", "30"])
        .envs(overrides.iter())
        .output()
        .expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let token = words.into_iter().find(|word| word.starts_with("pcs_"));
    token.unwrap_or_else(|| panic!("no token: {}", String::from_utf8_lossy(&output.stderr))).to_owned()
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}

fn main() {
    let sizes = numbers("SCIM_PEOPLE", "1000,100000");
    let (rounds, calls) = (number("SCIM_ROUNDS", ROUNDS), number("SCIM_CALLS", CALLS));
    let large = number("SCIM_LARGE", LARGE);
    let fewest = SMALL + CONNECTIONS * SMALL;
    assert!(sizes.iter().all(|count| *count >= fewest), "SCIM_PEOPLE: {fewest} at least");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load before: {}", load.trim());
    let floor = bare(&sizes, large, calls);
    let reference = reference(&numbers("SCIM_REFERENCE", "1000,30000"), calls);
    let stores = setting("SCIM_STORES", "redis,embedded");
    for store in stores.split(',').filter(|name| !name.is_empty()).map(Store::named) {
        println!();
        let mut worlds: Vec<World> = sizes.iter().map(|count| World::filled(store, *count, large)).collect();
        let mut cells: Vec<Vec<Vec<Cell>>> = vec![vec![vec![]; worlds.len()]; KINDS.len()];
        for _ in 0..rounds {
            for (kind, cells) in cells.iter_mut().enumerate() {
                for (world, cells) in worlds.iter_mut().zip(cells) {
                    cells.extend(world.measured(kind, calls));
                }
            }
        }
        let rates = print(store, &sizes, &cells);
        compare(&rates, &floor, &reference);
        worlds.iter().for_each(|world| world.read(large));
    }
    synchronise(&numbers("SCIM_SYNC", "100000,1000"));
}

/// Answers how many a second at the largest size.
fn print(store: Store, sizes: &[usize], cells: &[Vec<Vec<Cell>>]) -> Rates {
    let mut rates = Rates::default();
    println!("{} store, {CONNECTIONS} connections, medians of the rounds", store.name());
    println!(
        "  {:<26} {:>9} {:>10} {:>10} {:>10} {:>11} {:>9}",
        "", "users", "per second", "median ms", "p99 ms", "gateway µs", "Redis µs"
    );
    for ((kind, worlds), at_largest) in KINDS.iter().zip(cells).zip(&mut rates) {
        let rate = |cells: &Vec<Cell>| median(cells.iter().map(|cell| cell.run.per_second).collect());
        for (count, cells) in sizes.iter().zip(worlds).filter(|(_, cells)| !cells.is_empty()) {
            let of = |part: fn(&Cell) -> f64| median(cells.iter().map(part).collect());
            println!(
                "  {kind:<26} {count:>9} {:>10.0} {:>10.2} {:>10.2} {:>11.0} {:>9.0}",
                rate(cells),
                of(|cell| cell.run.median),
                of(|cell| cell.run.p99),
                of(|cell| cell.gateway),
                of(|cell| cell.redis)
            );
        }
        let (Some(first), Some(last)) = (worlds.first(), worlds.last()) else { continue };
        *at_largest = (!last.is_empty()).then(|| rate(last));
        let cpu = |cells: &Vec<Cell>| median(cells.iter().map(|cell| cell.gateway + cell.redis).collect());
        if !first.is_empty() && !last.is_empty() && sizes.len() > 1 {
            let (time, cpu) = (rate(first) / rate(last), cpu(last) / cpu(first));
            let is_met = verdict(time.max(cpu) <= RATIO_MAX);
            println!(
                "  {:<26} the largest size takes {time:.2} times the time, {cpu:.2} times the CPU: {is_met}",
                ""
            );
        }
    }
    for (large, small) in SMALL_OF {
        if let (Some(slow), Some(fast)) = (rates[large], rates[small]) {
            println!("  {}: {:.2} times the time of the group of {SMALL}", KINDS[large], fast / slow);
        }
    }
    for (kind, aim) in AIMS {
        if let Some(rate) = rates[kind] {
            println!("  {}: {rate:.0} of {aim:.0} a second: {}", KINDS[kind], verdict(rate >= aim));
        }
    }
    rates
}

/// Beside what was measured in the same run: the commands that it takes at least, and the server that others use.
fn compare(rates: &Rates, floor: &Rates, reference: &Reference) {
    for (n, kind) in KINDS.iter().enumerate() {
        let Some(rate) = rates[n] else { continue };
        let share = floor[n].map_or(String::new(), |floor| {
            format!(" the bare commands are {:.1} times as many a second;", floor / rate)
        });
        let times = reference.smallest[n].zip(reference.largest[n]).map_or(String::new(), |(small, large)| {
            let (times, growth) = (rate / large, small / large);
            let judged = match growth > RATIO_MAX {
                true => format!("{TIMES_REFERENCE_MIN:.0} or more: {}", verdict(times >= TIMES_REFERENCE_MIN)),
                false => "nothing that grows".to_owned(),
            };
            format!(" {times:.0} times scim2-server, which takes {growth:.1} times its time at its smallest size: {judged}")
        });
        println!("  {kind:<26}{share}{times}");
    }
}

/// The floor, at the largest size.
fn bare(sizes: &[usize], large: usize, calls: usize) -> Rates {
    println!("reference: bare Redis commands over {CONNECTIONS} connections");
    let mut rates = Rates::default();
    for count in sizes {
        let groups = if *count >= large { vec![SMALL, large] } else { vec![SMALL] };
        let mut bare = Bare::new(*count, &groups, CONNECTIONS);
        let create = bare.create(calls).per_second;
        rates[0] = Some(create);
        let look_up = bare.look_up(calls).per_second;
        rates[1] = Some(look_up);
        println!("  {count:>9} users: create {create:.0}, look up {look_up:.0} a second");
        for (group, members) in groups.iter().enumerate() {
            let (one, hundred) = (bare.patch(group, 1, calls), bare.patch(group, SMALL, calls / 10));
            let (one, hundred) = (one.per_second, hundred.per_second);
            (rates[2 + 2 * group], rates[3 + 2 * group]) = (Some(one), Some(hundred));
            let read = bare.read(group, READS).median;
            println!(
                "  {:>9} group of {members}: PATCH 1 {one:.0}, PATCH 100 {hundred:.0} a second, read {read:.1} ms",
                ""
            );
        }
    }
    rates
}

/// PyPI's server: one connection, because it serves one at a time.
fn reference(sizes: &[usize], calls: usize) -> Reference {
    let mut measured = Reference::default();
    for (n, count) in sizes.iter().enumerate() {
        let Some((server, _process)) = reference::server() else { return measured };
        let mut people = Population::new(server, 1);
        let fill = people.create(*count, false, "");
        let members = SMALL.min(count / 2);
        let group = people.group("bench-small", members);
        let few = (calls / 20).clamp(8, 100);
        let (create, look_up) = (people.create(few, false, ""), people.look_up(few));
        let (one, hundred) = (people.patch(&group, 1, few), people.patch(&group, members, few));
        let runs = [create, look_up, one, hundred];
        println!(
            "reference: scim2-server, {count} users created at {:.0} a second; then create {:.0}, look up {:.0}, \
             group of {members}: PATCH 1 {:.0}, PATCH {members} {:.0} a second",
            fill.per_second, create.per_second, look_up.per_second, one.per_second, hundred.per_second
        );
        for (rate, run) in measured.largest.iter_mut().zip(runs) {
            *rate = Some(run.per_second);
        }
        if n == 0 {
            measured.smallest = measured.largest;
        }
    }
    measured
}

/// Everything that an identity provider sends at first: a look and a POST for each user; for each group a look, a POST and a
/// PATCH of a hundred members.
fn synchronise(sync: &[usize]) {
    let &[users, groups] = sync else { panic!("SCIM_SYNC is two numbers: users and groups") };
    if users == 0 {
        return;
    }
    let mut world = World::empty(Store::Redis);
    let begun = Instant::now();
    world.people.create(users, true, "synchronising users");
    let after_users = begun.elapsed().as_secs_f64();
    world.people.groups(groups, SMALL, "synchronising groups");
    println!(
        "full initial synchronisation over {CONNECTIONS} connections, Redis: {users} users in {after_users:.1} s, {groups} groups of \
         {SMALL} in {:.1} s",
        begun.elapsed().as_secs_f64() - after_users
    );
}
