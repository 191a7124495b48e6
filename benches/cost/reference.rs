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

/// What redb's tables in the file have in common.
type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;
const RECORDS: Rows = TableDefinition::new("records");
const SESSIONS: Rows = TableDefinition::new("sessions");
const MEMBERS: Rows = TableDefinition::new("members");
const ENTRIES: Rows = TableDefinition::new("stream entries");
/// How a person's key begins there, and which bytes of it are the person's id.
const PERSON: &[u8] = b"p:";
const ID: std::ops::Range<usize> = 2..18;
/// A session's id takes twice the bytes of a person's.
const SESSION: &[u8] = b"s:";

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
    let mut open: Vec<(Database, Vec<Vec<u8>>)> = stores
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
fn people(database: &Database) -> Vec<Vec<u8>> {
    let read = database.begin_read().expect("a transaction");
    let records = read.open_table(RECORDS).expect("the table of records");
    let keys = records.iter().expect("rows").flatten().map(|(key, _)| key.value().to_vec());
    let mut keys: Vec<Vec<u8>> = keys.filter(|key| key.starts_with(PERSON)).collect();
    let step = (keys.len() / PEOPLE).max(1);
    keys = keys.into_iter().step_by(step).collect();
    // Neighbours lie in one page; a stride that has no factor in common with the count visits all.
    let stride = (0..).map(|n| keys.len() / 3 + n).find(|stride| gcd(*stride, keys.len()) == 1).unwrap_or(1);
    (0..keys.len()).map(|n| keys[n * stride % keys.len()].clone()).collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn redb_act(database: &Database, person: &[u8]) {
    let record = {
        let read = database.begin_read().expect("a transaction");
        let records = read.open_table(RECORDS).expect("the table of records");
        let record = records.get(person).expect("a person").expect("a person");
        record.value().to_vec()
    };
    let id = &person[ID];
    let (session, member) = ([SESSION, id, id].concat(), [b"om:", id, id, b"\x01", id].concat());
    let entry = [b"audit:", id, &1_u64.to_be_bytes()[..]].concat();
    let write = database.begin_write().expect("a transaction");
    {
        let mut records = write.open_table(RECORDS).expect("the table of records");
        let mut sessions = write.open_table(SESSIONS).expect("the table of sessions");
        let mut members = write.open_table(MEMBERS).expect("the table of members");
        let mut entries = write.open_table(ENTRIES).expect("the table of entries");
        records.insert(person, &record[..]).expect("a write");
        sessions.insert(&session[..], &[b'x'; SESSION_BYTES][..]).expect("a write");
        members.insert(&member[..], &[][..]).expect("a write");
        entries.insert(&entry[..], &[b'x'; ENTRY_BYTES][..]).expect("a write");
        sessions.remove(&session[..]).expect("a write");
        members.remove(&member[..]).expect("a write");
        entries.remove(&entry[..]).expect("a write");
    }
    write.commit().expect("a commit");
}

/// Nanoseconds that this thread has run.
fn thread_nanos() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0.0)
}
