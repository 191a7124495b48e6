//! Random sequences of valid requests, to our server and to scim2-server: after each, status, `scimType` and body must agree but
//! for what is documented here.
//!
//! Deviations, each with why:
//! - A PATCH of a user is answered 200 with the user by ours, so that what became of it can be seen, and 204 by the other; what
//!   is read after it is compared.
//! - With `attributes`, ours names the schema of an extension of which nothing is shown, because the resource has it.
//! - The other takes anybody as a member of a group, keeps those who were deleted, and gives users no `groups`: only users that are there
//!   are put into groups, and the rest is left out.
//! - The other has several groups of one `displayName`; ours answers 409, as Entra ID demands. Names are used once here.
//! - `$ref`, `meta`, and all of members but who they are: each server has its own.
use std::process::Command;

use serde_json::{Map, Value, json};

use super::{
    client::{Answer, Client},
    tester::program,
    world::World,
};
use crate::support::{gateway::BACKENDS, ports, process::Process};

/// On each store; more by hand with SCIM_SEQUENCES.
const SEQUENCES: u64 = 12;
const STEPS: usize = 30;
const NAMES: [&str; 5] = ["ann", "bob", "cem", "dea", "eve"];
const GROUPS: [&str; 3] = ["red", "green", "blue"];
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// xorshift64*: the same sequence for a seed on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let wide = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(wide).unwrap() % bound
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 0
    }
}

/// A resource that both servers have, or had.
#[derive(Clone)]
struct Twin {
    kind: &'static str,
    ids: [String; 2],
    is_gone: bool,
}

struct Pair {
    clients: [Client; 2],
    twins: Vec<Twin>,
    chance: Chance,
    log: Vec<String>,
    /// Of this sequence, which ends with it.
    difference: Option<String>,
}

struct Step {
    method: &'static str,
    path: String,
    body: Option<Value>,
    /// What a creation makes.
    makes: Option<&'static str>,
}

impl Pair {
    /// The placeholder of one of the resources of a kind.
    fn any(&mut self, kind: &str) -> Option<String> {
        let of: Vec<usize> = (0..self.twins.len()).filter(|at| self.twins[*at].kind == kind).collect();
        (!of.is_empty()).then(|| format!("<{}>", of[self.chance.below(of.len())]))
    }

    fn resolve(&self, text: &str, side: usize) -> String {
        (0..self.twins.len())
            .rev()
            .fold(text.to_owned(), |text, at| text.replace(&format!("<{at}>"), &self.twins[at].ids[side]))
    }

    async fn play(&mut self, step: Step) {
        let body = step.body.as_ref().map(Value::to_string).unwrap_or_default();
        self.log.push(format!("{} {} {body}", step.method, step.path));
        let mut answers = vec![];
        for side in 0..2 {
            let (path, body) = (self.resolve(&step.path, side), self.resolve(&body, side));
            let fields = [("content-type", "application/scim+json")];
            let fields = if body.is_empty() { &[][..] } else { &fields[..] };
            answers.push(self.clients[side].raw(step.method, &path, fields, body.into_bytes()).await);
        }
        let [ours, theirs] = &answers[..] else { unreachable!() };
        if let (Some(kind), 201, 201) = (step.makes, ours.status.as_u16(), theirs.status.as_u16()) {
            self.twins.push(Twin { kind, ids: [ours.id(), theirs.id()], is_gone: false });
        }
        if let ("DELETE", Some(at)) = (step.method, placed(&step.path)) {
            self.twins[at].is_gone |= ours.status == 204;
        }
        self.compare(&step, ours, theirs);
    }

    /// The placeholder of one of the users that are there.
    fn anybody(&mut self) -> Option<String> {
        let is_there = |at: &usize| self.twins[*at].kind == "Users" && !self.twins[*at].is_gone;
        let there: Vec<usize> = (0..self.twins.len()).filter(is_there).collect();
        (!there.is_empty()).then(|| format!("<{}>", there[self.chance.below(there.len())]))
    }

    fn compare(&mut self, step: &Step, ours: &Answer, theirs: &Answer) {
        let is_patch = step.method == "PATCH" && step.path.starts_with("/Users");
        if is_patch && ours.status == 200 && theirs.status == 204 {
            return;
        }
        let is_same = ours.status == theirs.status
            && match ours.status.is_success() {
                true => self.normal(step, ours, 0) == self.normal(step, theirs, 1),
                false => ours.json()["scimType"] == theirs.json()["scimType"],
            };
        if !is_same {
            let log = self.log.join("\n");
            let (one, other) = (&ours.text, &theirs.text);
            let shown = format!("{log}\nours: {} {one}\ntheirs: {} {other}", ours.status, theirs.status);
            self.difference = Some(shown);
        }
    }

    fn normal(&self, step: &Step, answer: &Answer, side: usize) -> Value {
        if answer.text.is_empty() {
            return Value::Null;
        }
        let names = (0..self.twins.len()).map(|at| (&self.twins[at].ids[side], format!("<{at}>")));
        let text = names.fold(answer.text.clone(), |text, (id, name)| text.replace(id.as_str(), &name));
        let text = match step.path.contains("attributes=") {
            true => text.replace(&format!(",\"{ENTERPRISE}\""), ""),
            false => text,
        };
        let gone = (0..self.twins.len()).filter(|at| self.twins[*at].is_gone);
        let gone: Vec<Value> = gone.map(|at| format!("<{at}>").into()).collect();
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let mut json = normal(json, &gone);
        // Who does not ask for an order gets any.
        if let (false, Some(list)) = (step.path.contains("sortBy"), json.get_mut("Resources")) {
            list.as_array_mut().unwrap().sort_by_key(ToString::to_string);
        }
        json
    }
}

/// The number in the placeholder that a path ends with.
fn placed(path: &str) -> Option<usize> {
    path.rsplit_once('<')?.1.strip_suffix('>')?.parse().ok()
}

/// Without what each server has of its own, and what has no order in one.
fn normal(value: Value, gone: &[Value]) -> Value {
    match value {
        Value::Object(fields) => {
            let is_ours = |name: &str| !["meta", "$ref", "itemsPerPage", "groups"].contains(&name);
            let fields: Map<String, Value> = fields
                .into_iter()
                .filter(|(name, value)| is_ours(name) && !value.is_null())
                .map(|(name, value)| {
                    let mut value = normal(value, gone);
                    if let Value::Array(items) = &mut value {
                        if name == "members" {
                            items.retain(|item| !gone.contains(&item["value"]));
                            items.iter_mut().for_each(|item| *item = json!(item["value"]));
                        }
                        if ["members", "schemas"].contains(&name.as_str()) {
                            items.sort_by_key(ToString::to_string);
                        }
                    }
                    (name, value)
                })
                .filter(|(name, value)| name == "Resources" || *value != json!([]))
                .collect();
            fields.into()
        }
        Value::Array(items) => items.into_iter().map(|item| normal(item, gone)).collect(),
        other => other,
    }
}

fn user(chance: &mut Chance) -> Value {
    let name = chance.of(&NAMES);
    let mut user = json!({
        "schemas": [USER], "userName": format!("{name}@example.com"), "active": chance.yes(),
        "emails": [{ "value": format!("{name}@example.com"), "type": "work", "primary": true }],
    });
    for (field, value) in [
        ("displayName", json!(chance.of(&["Ann A.", "Bob"]))),
        ("title", json!("Chief")),
        ("name", json!({ "givenName": name, "familyName": chance.of(&["Oak", "Elm"]) })),
        ("phoneNumbers", json!([{ "value": "tel:+1-201-555-0123", "type": "mobile" }])),
        ("externalId", json!(format!("x-{name}"))),
    ] {
        if chance.yes() {
            user[field] = value;
        }
    }
    if chance.yes() {
        user["schemas"] = json!([USER, ENTERPRISE]);
        user[ENTERPRISE] = json!({ "department": chance.of(&["Sales", "Lab"]), "employeeNumber": "7" });
    }
    user
}

fn user_operation(chance: &mut Chance) -> Value {
    let text = chance.of(&["one", "two"]);
    match chance.below(10) {
        0 => json!({ "op": "replace", "path": "displayName", "value": text }),
        1 => json!({ "op": "add", "path": "title", "value": text }),
        2 => json!({ "op": "remove", "path": "title" }),
        3 => json!({ "op": "replace", "path": "active", "value": chance.yes() }),
        4 => json!({ "op": "replace", "path": "name.familyName", "value": text }),
        5 => json!({ "op": "add", "value": { "nickName": text, "displayName": text } }),
        6 => {
            json!({ "op": "replace", "path": "emails[type eq \"work\"].value", "value": format!("{text}@example.com") })
        }
        7 => json!({ "op": "add", "path": format!("{ENTERPRISE}:department"), "value": text }),
        8 => json!({ "op": "remove", "path": "phoneNumbers" }),
        _ => json!({ "op": "replace", "path": "name", "value": { "givenName": text } }),
    }
}

fn filter(chance: &mut Chance) -> String {
    let name = chance.of(&NAMES);
    let one = match chance.below(8) {
        0 => format!("userName eq \"{}@EXAMPLE.com\"", name),
        1 => format!("externalId eq \"x-{name}\""),
        2 => "title pr".to_owned(),
        3 => format!("emails.value sw \"{}\"", &name[..1]),
        4 => "active eq true".to_owned(),
        5 => format!("name.familyName co \"{}\"", chance.of(&["O", "lm", "n"])),
        6 => "emails[type eq \"work\" and value co \"@\"]".to_owned(),
        _ => format!("{ENTERPRISE}:department eq \"lab\""),
    };
    match chance.below(4) {
        0 => format!("not ({one})"),
        1 => format!("{one} and userName pr"),
        2 => format!("{one} or userName sw \"{}\"", &name[..1]),
        _ => one,
    }
}

impl Pair {
    fn step(&mut self) -> Step {
        let step = |method, path: String, body: Option<Value>| Step { method, path, body, makes: None };
        let create_user = |chance: &mut Chance| Step {
            makes: Some("Users"),
            ..step("POST", "/Users".into(), Some(user(chance)))
        };
        let kind = self.chance.below(16);
        let (Some(person), choice) = (self.any("Users"), kind) else { return create_user(&mut self.chance) };
        let group = self.any("Groups");
        let Some(member) = self.anybody() else { return create_user(&mut self.chance) };
        match (choice, group) {
            (0..=3, _) => create_user(&mut self.chance),
            (4, _) => step("GET", format!("/Users/{person}"), None),
            (5, _) => step("PUT", format!("/Users/{person}"), Some(user(&mut self.chance))),
            (6 | 7, _) => {
                let count = 1 + self.chance.below(3);
                let operations: Vec<Value> = (0..count).map(|_| user_operation(&mut self.chance)).collect();
                step("PATCH", format!("/Users/{person}"), Some(patch(operations)))
            }
            (8, _) => step("DELETE", format!("/Users/{person}"), None),
            (9, _) => {
                let filter = filter(&mut self.chance);
                step("GET", format!("/Users?filter={filter}"), None)
            }
            (10, _) => {
                let by = self.chance.of(&["userName", "emails.value"]);
                let order = self.chance.of(&["ascending", "descending"]);
                let (start, count) = (self.chance.below(4), self.chance.below(4));
                let query = format!("sortBy={by}&sortOrder={order}&startIndex={start}&count={count}");
                step("GET", format!("/Users?{query}&attributes=userName"), None)
            }
            (11, _) | (_, None) => {
                let members: Vec<Value> =
                    if self.chance.yes() { vec![json!({ "value": member })] } else { vec![] };
                let name = format!("{} {}", self.chance.of(&GROUPS), self.log.len());
                let body = json!({ "schemas": [GROUP], "displayName": name, "members": members });
                Step { makes: Some("Groups"), ..step("POST", "/Groups".into(), Some(body)) }
            }
            (12, Some(group)) => step("GET", format!("/Groups/{group}"), None),
            (13, Some(group)) => {
                let operation = match self.chance.below(4) {
                    0 => json!({ "op": "replace", "path": "members", "value": [{ "value": member }] }),
                    1 => json!({ "op": "remove", "path": format!("members[value eq \"{member}\"]") }),
                    _ => json!({ "op": "add", "path": "members", "value": [{ "value": member }] }),
                };
                step("PATCH", format!("/Groups/{group}"), Some(patch(vec![operation])))
            }
            (14, Some(group)) => {
                let body = json!({ "schemas": [GROUP], "displayName": format!("{} {}", self.chance.of(&GROUPS), self.log.len()), "members": [{ "value": member }] });
                step("PUT", format!("/Groups/{group}"), Some(body))
            }
            (_, Some(group)) => step("DELETE", format!("/Groups/{group}"), None),
        }
    }
}

fn patch(operations: Vec<Value>) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations })
}

fn start() -> Process {
    let command = |port: u16| {
        let mut command = Command::new(program("scim2-server"));
        command.args(["--port", &port.to_string()]);
        command
    };
    Process::start("scim2-server", command, ports::is_open)
}

#[tokio::test(flavor = "multi_thread")]
async fn our_answers_are_those_of_a_server_of_other_hands() {
    let sequences =
        std::env::var("SCIM_SEQUENCES").ok().and_then(|text| text.parse().ok()).unwrap_or(SEQUENCES);
    let (mut seed, mut differences) = (0x5eed_5c1d_u64, vec![]);
    for backend in BACKENDS {
        for _ in 0..sequences {
            seed += 1;
            let other = tokio::task::spawn_blocking(start).await.unwrap();
            let world = World::with(backend, |overrides| {
                overrides
                    .set("enterprise.example.scim.unmatched_groups", "accept")
                    .set("enterprise.example.scim.requests_per_second_max", "100000")
            })
            .await;
            let theirs =
                Client { url: format!("http://127.0.0.1:{}", other.port()), base: "/v2".into(), token: None };
            let mut pair = Pair {
                clients: [world.scim.clone(), theirs],
                twins: vec![],
                chance: Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                log: vec![format!("seed {seed}")],
                difference: None,
            };
            for _ in 0..STEPS {
                if pair.difference.is_some() {
                    break;
                }
                let step = pair.step();
                let look = (step.method == "PATCH").then(|| step.path.clone());
                pair.play(step).await;
                if let Some(path) = look {
                    pair.play(Step { method: "GET", path, body: None, makes: None }).await;
                }
            }
            differences.extend(pair.difference.take());
            world.stop().await;
            drop(other);
        }
    }
    assert!(differences.is_empty(), "{} sequences differ:\n{}", differences.len(), differences.join("\n\n"));
}
