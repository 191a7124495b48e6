//! What is asked of a SCIM server: the same of ours and of the reference.
use std::cell::{Cell, RefCell};

use super::client::{Client, Server, drive, wait};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// Members of one PATCH while a group is filled.
const MEMBERS_PER_PATCH: usize = 1_000;

/// Calls of one run: how many a second, and their durations in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run {
    pub per_second: f64,
    pub median: f64,
    pub p99: f64,
    pub calls: usize,
}

impl Run {
    pub fn of((seconds, millis): (f64, Vec<f64>)) -> Self {
        let at = |q: f64| {
            millis.get((millis.len().saturating_sub(1) as f64 * q) as usize).copied().unwrap_or_default()
        };
        Self {
            per_second: millis.len() as f64 / seconds,
            median: at(0.5),
            p99: at(0.99),
            calls: millis.len(),
        }
    }
}

/// A server, and who is known there.
pub struct Population {
    pub server: Server,
    pub connections: usize,
    /// By the number in the user name.
    pub ids: Vec<String>,
}

impl Population {
    pub fn new(server: Server, connections: usize) -> Self {
        Self { server, connections, ids: vec![] }
    }

    /// Creates so many more people; with a look for each before, as identity providers do it.
    pub fn create(&mut self, count: usize, looks_first: bool, name: &str) -> Run {
        let first = self.ids.len();
        let made = RefCell::new(vec![String::new(); count]);
        let server = &self.server;
        let create = async |n: usize, client: &mut Client<'_>| {
            if looks_first {
                assert_eq!(look_up(client, first + n).await, 200);
            }
            let id = client.done("POST", "/Users", &user(first + n)).await;
            made.borrow_mut()[n] = id;
            progress(name, n, count);
        };
        let run = drive(self.connections, count, || Client::new(server), create);
        self.ids.extend(made.into_inner());
        Run::of(run)
    }

    /// Finds people by user name, from all over.
    pub fn look_up(&self, count: usize) -> Run {
        let people = self.ids.len();
        let find = async |n: usize, client: &mut Client<'_>| {
            assert_eq!(look_up(client, n * 7_919 % people).await, 200);
        };
        Run::of(drive(self.connections, count, || Client::new(&self.server), find))
    }

    /// A group with the first `members` people.
    pub fn group(&self, name: &str, members: usize) -> String {
        wait(async {
            let mut client = Client::new(&self.server);
            let id = client.done("POST", "/Groups", &group(name)).await;
            for some in self.ids[..members].chunks(MEMBERS_PER_PATCH) {
                client.done("PATCH", &format!("/Groups/{id}"), &adding(some)).await;
            }
            id
        })
    }

    /// PATCHes of `members` each, that add people to a group and take them out again. Each connection has people of its own,
    /// from the end of the list.
    pub fn patch(&self, group: &str, members: usize, count: usize) -> Run {
        let path = format!("/Groups/{group}");
        let free: RefCell<Vec<&[String]>> =
            RefCell::new(self.ids.rchunks(members).take(self.connections).collect());
        let begin = || (Client::new(&self.server), free.borrow_mut().pop().expect("people"), true);
        let patch = async |_: usize, (client, people, adds): &mut (Client<'_>, &[String], bool)| {
            client.done("PATCH", &path, &if *adds { adding(people) } else { removing(people) }).await;
            *adds = !*adds;
        };
        Run::of(drive(self.connections, count, begin, patch))
    }

    /// Reads a group as a whole; how many bytes it has.
    pub fn read(&self, group: &str, members: usize, count: usize) -> (Run, usize) {
        let bytes = Cell::new(0);
        let read = async |_: usize, client: &mut Client<'_>| {
            let answer = client.send("GET", &format!("/Groups/{group}"), "").await;
            assert_eq!(answer.status, 200);
            let shown = answer.body.windows(7).filter(|seven| seven == b"\"value\"").count();
            assert!(shown >= members, "{shown} of {members} members");
            bytes.set(answer.body.len());
        };
        let run = drive(1, count, || Client::new(&self.server), read);
        (Run::of(run), bytes.get())
    }

    /// So many groups of so many members each: a look, a POST and a PATCH for each.
    pub fn groups(&self, count: usize, members: usize, name: &str) -> Run {
        let make = async |n: usize, client: &mut Client<'_>| {
            let filter =
                format!("/Groups?excludedAttributes=members&filter=displayName%20eq%20%22group-{n}%22");
            assert_eq!(client.send("GET", &filter, "").await.status, 200);
            let id = client.done("POST", "/Groups", &group(&format!("group-{n}"))).await;
            let people: Vec<String> =
                (0..members).map(|m| self.ids[(n * members + m) % self.ids.len()].clone()).collect();
            client.done("PATCH", &format!("/Groups/{id}"), &adding(&people)).await;
            progress(name, n, count);
        };
        Run::of(drive(self.connections, count, || Client::new(&self.server), make))
    }
}

fn progress(name: &str, n: usize, count: usize) {
    if !name.is_empty() && count >= 10 && (n + 1).is_multiple_of(count / 10) {
        println!("  {name}: {} of {count}", n + 1);
    }
}

async fn look_up(client: &mut Client<'_>, n: usize) -> u16 {
    client.send("GET", &format!("/Users?filter=userName%20eq%20%22u{n}@example.com%22"), "").await.status
}

fn user(n: usize) -> String {
    format!(
        r#"{{"schemas":["{USER}"],"userName":"u{n}@example.com","externalId":"{n:032x}","active":true,"displayName":"Person {n}","name":{{"givenName":"Person","familyName":"{n}"}},"emails":[{{"value":"u{n}@example.com","type":"work","primary":true}}]}}"#
    )
}

fn group(name: &str) -> String {
    format!(r#"{{"schemas":["{GROUP}"],"displayName":"{name}","externalId":"{name}","members":[]}}"#)
}

fn adding(people: &[String]) -> String {
    let members: Vec<String> = people.iter().map(|id| format!(r#"{{"value":"{id}"}}"#)).collect();
    operations(&format!(r#"{{"op":"add","path":"members","value":[{}]}}"#, members.join(",")))
}

/// As RFC 7644 3.5.2.2 has it, one operation for each.
fn removing(people: &[String]) -> String {
    let remove = |id: &String| format!(r#"{{"op":"remove","path":"members[value eq \"{id}\"]"}}"#);
    operations(&people.iter().map(remove).collect::<Vec<_>>().join(","))
}

fn operations(operations: &str) -> String {
    format!(r#"{{"schemas":["{PATCH}"],"Operations":[{operations}]}}"#)
}
