//! What it is measured beside: the reference server of PyPI, and the bare commands of a Redis.
use std::{
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
    time::Instant,
};

use ::redis::{Connection, Value, cmd, pipe};

use super::{
    client::Server,
    common::{Killed, Place, Store, connect, free, wait_for},
    load::Run,
};

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/scim2-server/bin/scim2-server");
const DOCUMENT_BYTES: usize = 500;
const MEMBERS_PER_PAGE: usize = 1_000;
const MEMBER_BYTES: usize = 16;

/// PyPI's scim2-server, which keeps everything in memory; `None` where it is not installed.
pub fn server() -> Option<(Server, Killed)> {
    if !Path::new(SERVER).exists() {
        println!(
            "no reference server: python3 -m venv target/tools/scim2-server, and pip install scim2-server there"
        );
        return None;
    }
    let address = free();
    let process = Command::new(SERVER)
        .args(["--port", &address.port().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("scim2-server starts");
    let process = Killed(process);
    wait_for("scim2-server answers", || TcpStream::connect(address).is_ok());
    Some((Server { address, base: "/v2".into(), token: None }, process))
}

/// A Redis with as many documents, and sets of members.
pub struct Bare {
    place: Place,
    connections: usize,
    people: usize,
}

impl Bare {
    pub fn new(people: usize, groups: &[usize], connections: usize) -> Self {
        let bare = Self { place: Place::new(Store::Redis), connections, people };
        let mut connection = bare.connect();
        for n in 0..people {
            create(&mut connection, n);
        }
        for (group, members) in groups.iter().enumerate() {
            for n in 0..*members {
                let mut add = cmd("ZADD");
                let _: Value =
                    add.arg(set(group)).arg(0).arg(member(n)).query(&mut connection).expect("ZADD");
            }
        }
        bare
    }

    fn connect(&self) -> Connection {
        connect(self.place.redis.expect("a Redis"))
    }

    fn run(&self, count: usize, act: impl Fn(usize, &mut Connection) + Sync) -> Run {
        Run::of(drive(self.connections, count, || self.connect(), act))
    }

    pub fn create(&mut self, count: usize) -> Run {
        let first = self.people;
        self.people += count;
        self.run(count, |n, connection| create(connection, first + n))
    }

    /// The index, then the document.
    pub fn look_up(&self, count: usize) -> Run {
        self.run(count, |n, connection| {
            let n = n * 7_919 % self.people;
            let id: String = cmd("GET").arg(format!("i:u{n}@example.com")).query(connection).expect("GET");
            let _: Vec<u8> = cmd("GET").arg(format!("u:{id}")).query(connection).expect("GET");
        })
    }

    /// Members, and the group's version.
    pub fn patch(&self, group: usize, members: usize, count: usize) -> Run {
        self.run(count, |n, connection| {
            let mut change = pipe();
            change.atomic();
            let sets = if n % 2 == 0 { "ZADD" } else { "ZREM" };
            let command = change.cmd(sets).arg(set(group));
            for m in 0..members {
                if n % 2 == 0 {
                    command.arg(0);
                }
                command.arg(member(1_000_000 + n / 2 * members + m));
            }
            change.cmd("INCR").arg(format!("v{group}"));
            let _: Value = change.query(connection).expect("EXEC");
        })
    }

    /// The members, page by page.
    pub fn read(&self, group: usize, count: usize) -> Run {
        Run::of(drive(
            1,
            count,
            || self.connect(),
            |_, connection| {
                let mut at = 0;
                loop {
                    let mut range = cmd("ZRANGE");
                    range.arg(set(group)).arg(at).arg(at + MEMBERS_PER_PAGE - 1);
                    let page: Vec<Vec<u8>> = range.query(connection).expect("ZRANGE");
                    at += page.len();
                    if page.len() < MEMBERS_PER_PAGE {
                        break;
                    }
                }
            },
        ))
    }
}

/// Calls over connections that each have a thread of their own.
fn drive<C>(
    connections: usize,
    count: usize,
    connect: impl Fn() -> C + Sync,
    call: impl Fn(usize, &mut C) + Sync,
) -> (f64, Vec<f64>) {
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let work = || {
        let (mut client, mut millis) = (connect(), vec![]);
        loop {
            let n = next.fetch_add(1, Relaxed);
            if n >= count {
                return millis;
            }
            let begun = Instant::now();
            call(n, &mut client);
            millis.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    };
    let mut millis: Vec<f64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a connection's share")).collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    millis.sort_by(f64::total_cmp);
    (seconds, millis)
}

fn create(connection: &mut Connection, n: usize) {
    let mut made = pipe();
    made.atomic();
    made.cmd("SET").arg(format!("u:{n}")).arg(vec![b'x'; DOCUMENT_BYTES]);
    made.cmd("SET").arg(format!("i:u{n}@example.com")).arg(n).arg("NX");
    made.cmd("SET").arg(format!("e:{n:032x}")).arg(n).arg("NX");
    made.cmd("ZADD").arg("users").arg(0).arg(member(n));
    let _: Value = made.query(connection).expect("EXEC");
}

fn set(group: usize) -> String {
    format!("g{group}")
}

fn member(n: usize) -> Vec<u8> {
    let mut id = vec![0; MEMBER_BYTES];
    // Spread, as ids are.
    id[..8].copy_from_slice(&(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    id[8..].copy_from_slice(&(n as u64).to_be_bytes());
    id
}
