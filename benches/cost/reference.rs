//! The same shape in bare commands: one read of a person; then the person, a session, a member and an entry written at once.
use std::{net::SocketAddr, path::PathBuf, time::Instant};

use ::redis::{Connection, Value, cmd, pipe};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::{
    acts::Cell,
    common::{connect, cpu_nanos, median},
};

/// Acts of one round.
const ACTS: usize = 200;
/// People whose records are read and written, from all over the store.
const PEOPLE: usize = 2_000;
const SESSION_BYTES: usize = 500;
const ENTRY_BYTES: usize = 500;
/// Two reads, as a sign-in takes them.
const ROUND_TRIPS: f64 = 2.0;

const VALUES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("values");
const SETS: TableDefinition<'_, (&str, &[u8]), ()> = TableDefinition::new("sets");
const ENTRIES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("entries");

/// One store, past the gateway.
pub enum Bare {
    Redis { connection: Connection, pid: Option<u32>, people: Vec<String>, set: String, next: usize },
    Embedded(PathBuf),
}

impl Bare {
    pub fn redis(address: SocketAddr, pid: Option<u32>) -> Self {
        let mut connection = connect(address);
        let (mut people, mut cursor) = (vec![], "0".to_owned());
        let set = scan(&mut connection, &mut cursor, "pc:*:om:*").pop();
        while people.len() < PEOPLE {
            people.extend(scan(&mut connection, &mut cursor, "pc:*:p:*"));
            if cursor == "0" {
                break;
            }
        }
        let set = set.unwrap_or_else(|| "pc:reference".to_owned());
        Self::Redis { connection, pid, people, set, next: 0 }
    }

    pub fn embedded(file: PathBuf) -> Self {
        Self::Embedded(file)
    }
}

fn scan(connection: &mut Connection, cursor: &mut String, pattern: &str) -> Vec<String> {
    let mut keys = vec![];
    // The pattern is rare: look until something is found, or everything was.
    while keys.is_empty() {
        let mut scan = cmd("SCAN");
        scan.arg(cursor.as_str()).arg("MATCH").arg(pattern).arg("COUNT").arg(5_000);
        (*cursor, keys) = scan.query(connection).expect("SCAN");
        if cursor == "0" {
            break;
        }
    }
    keys
}

/// One round on every Redis; nothing for the others.
pub fn redis(stores: &mut [Bare]) -> Vec<Cell> {
    let round = |store: &mut Bare| match store {
        Bare::Redis { connection, pid, people, set, next } => {
            let spent = pid.map_or(0.0, cpu_nanos);
            let walls: Vec<f64> = (0..ACTS)
                .map(|_| {
                    *next = (*next + 1) % people.len();
                    let begun = Instant::now();
                    redis_act(connection, &people[*next], set);
                    begun.elapsed().as_secs_f64() * 1e6
                })
                .collect();
            let spent = pid.map_or(0.0, cpu_nanos) - spent;
            Some(cell(0.0, spent, walls))
        }
        Bare::Embedded(_) => None,
    };
    stores.iter_mut().filter_map(round).collect()
}

fn cell(own_nanos: f64, redis_nanos: f64, walls: Vec<f64>) -> Cell {
    Cell {
        round_trips: ROUND_TRIPS,
        gateway_micros: own_nanos / ACTS as f64 / 1e3,
        redis_micros: redis_nanos / ACTS as f64 / 1e3,
        wall_micros: median(walls),
    }
}

fn redis_act(connection: &mut Connection, person: &str, set: &str) {
    let record: Vec<u8> = cmd("GET").arg(person).query(connection).expect("GET");
    let (session, member) = (format!("{person}:s"), &record[..16.min(record.len())]);
    let mut writes = pipe();
    writes.atomic();
    writes.cmd("SET").arg(person).arg(&record);
    writes.cmd("SET").arg(&session).arg(vec![b'x'; SESSION_BYTES]).arg("PX").arg(60_000);
    writes.cmd("ZADD").arg(set).arg(0).arg(member);
    writes.cmd("ZREM").arg(set).arg(member);
    writes.cmd("XADD").arg("reference").arg("MAXLEN").arg(100_000).arg("*");
    writes.arg("v").arg(vec![b'x'; ENTRY_BYTES]);
    writes.cmd("UNLINK").arg(&session);
    let _: Value = writes.query(connection).expect("EXEC");
}

/// All rounds on the files, interleaved; nothing for the others. The files are as they were afterwards.
pub fn embedded(stores: &mut [Bare], rounds: usize) -> Vec<Vec<Cell>> {
    let mut open: Vec<(Database, Vec<String>)> = stores
        .iter()
        .filter_map(|store| match store {
            Bare::Embedded(file) => Some(Database::open(file).expect("the embedded store's file")),
            Bare::Redis { .. } => None,
        })
        .map(|database| {
            let people = people(&database);
            (database, people)
        })
        .collect();
    let mut cells = vec![Vec::new(); stores.len()];
    for round in 0..rounds {
        for ((database, people), cells) in open.iter_mut().zip(&mut cells) {
            let spent = thread_nanos();
            let walls = (0..ACTS).map(|n| {
                let begun = Instant::now();
                redb_act(database, &people[(round * ACTS + n) % people.len()]);
                begun.elapsed().as_secs_f64() * 1e6
            });
            let walls = walls.collect();
            cells.push(cell(thread_nanos() - spent, 0.0, walls));
        }
    }
    cells
}

/// Keys of people from all over the file.
fn people(database: &Database) -> Vec<String> {
    let read = database.begin_read().expect("a transaction");
    let values = read.open_table(VALUES).expect("the table of values");
    let keys = values.iter().expect("rows").flatten().map(|(key, _)| key.value().to_owned());
    let mut keys: Vec<String> = keys.filter(|key| key.contains(":p:")).collect();
    let step = (keys.len() / PEOPLE).max(1);
    keys = keys.into_iter().step_by(step).collect();
    // Neighbours lie in one page; a stride that has no factor in common with the count visits all.
    let stride = (0..).map(|n| keys.len() / 3 + n).find(|stride| gcd(*stride, keys.len()) == 1).unwrap_or(1);
    (0..keys.len()).map(|n| keys[n * stride % keys.len()].clone()).collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn redb_act(database: &Database, person: &str) {
    let record = {
        let read = database.begin_read().expect("a transaction");
        let values = read.open_table(VALUES).expect("the table of values");
        let record = values.get(person).expect("a person").expect("a person");
        record.value().to_vec()
    };
    let (session, member) = (format!("{person}:s"), &record[..16.min(record.len())]);
    let write = database.begin_write().expect("a transaction");
    {
        let mut values = write.open_table(VALUES).expect("the table of values");
        let mut sets = write.open_table(SETS).expect("the table of sets");
        let mut entries = write.open_table(ENTRIES).expect("the table of entries");
        values.insert(person, record.as_slice()).expect("a write");
        values.insert(session.as_str(), &vec![b'x'; SESSION_BYTES][..]).expect("a write");
        sets.insert(("pc:reference", member), ()).expect("a write");
        entries.insert(("pc:reference", 1), &vec![b'x'; ENTRY_BYTES][..]).expect("a write");
        values.remove(session.as_str()).expect("a write");
        sets.remove(("pc:reference", member)).expect("a write");
        entries.remove(("pc:reference", 1)).expect("a write");
    }
    write.commit().expect("a commit");
}

/// Nanoseconds that this thread has run.
fn thread_nanos() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0.0)
}
