//! Redis is killed in the middle of sign-ins that join and leave organizations, again and again. When it is back, nothing is
//! half-applied, nothing that was acknowledged is lost, no assertion opens a second session, and the audit stream is whole.
//!
//! `FAULT_RUNS=1000 cargo test --test it faults::` runs it that often.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use portcullis::{
    demo::browser::{Browser, Form},
    domain::Role,
    store::{self, Key, Store, stream},
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::support::{
    gateway::{Backend, TestGateway, name_id},
    redis::RedisServer,
    redis_sets::eventually,
};

const RUNS_VARIABLE: &str = "FAULT_RUNS";
/// In an ordinary run of the tests.
const RUNS: u64 = 5;
/// A kill comes after one to so many acknowledged sign-ins, and somewhere within so many milliseconds.
const KILL_SIGN_INS_MAX: u64 = 6;
const KILL_MILLIS_MAX: u64 = 40;
/// One person signs in so often at most before the kill.
const SIGN_INS_MAX: usize = 50;
const ENTRIES_PER_PAGE: usize = 500;
const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];
const ORGANIZATIONS: [&str; 3] = ["octo-org", "hubot-lab", "docs-team"];
const OWNERS: &str = "octo-org-owners";
/// What was acknowledged is on disk.
const LASTING: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// Small and repeatable: xorshift.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn groups(&mut self) -> BTreeSet<&'static str> {
        ORGANIZATIONS.into_iter().chain([OWNERS]).filter(|_| self.throw(2) == 0).collect()
    }
}

/// What one person tried until the kill.
struct Tried {
    person: &'static str,
    /// The groups of each sign-in from the last acknowledged one on, which is the first of them unless `is_first_open`.
    groups: Vec<BTreeSet<&'static str>>,
    /// Responses that were accepted, with the browser as it was before.
    accepted: Vec<(Browser, Form)>,
}

/// Signs in with other groups each time, until something fails.
async fn sign_in_until_it_fails(
    gateway: Arc<TestGateway>,
    person: &'static str,
    before: BTreeSet<&'static str>,
    mut dice: Dice,
    acknowledged: Arc<Semaphore>,
) -> Tried {
    let mut tried = Tried { person, groups: vec![before], accepted: vec![] };
    for _ in 0..SIGN_INS_MAX {
        let groups = dice.groups();
        gateway.people.set_groups(person, &groups.iter().copied().collect::<Vec<_>>()).unwrap();
        let mut browser = Browser::new();
        let start = format!("{}/saml/login?return_to=/", gateway.url);
        let Ok(people) = browser.open(&start).await else { break };
        let name = gateway.people.person(person).unwrap().display_name;
        let Ok(posting) = browser.press(&people, &format!("Sign in as {name}")).await else { break };
        let Ok(response) = posting.button("Continue") else { break };
        tried.groups.push(groups);
        match browser.clone().submit_once(&response).await {
            Ok(page) if page.status == 303 => {
                tried.groups.drain(..tried.groups.len() - 1);
                tried.accepted.push((browser, response));
                acknowledged.add_permits(1);
            }
            Ok(_) | Err(_) => break,
        }
    }
    tried
}

/// Whether these memberships are what the groups lead to. A sign-in raises a role and never lowers one.
fn lead_to(groups: &BTreeSet<&'static str>, held: &BTreeMap<String, Role>) -> bool {
    ORGANIZATIONS.into_iter().all(|organization| {
        let owns = organization == "octo-org" && groups.contains(OWNERS);
        match held.get(organization) {
            None => !owns && !groups.contains(organization),
            Some(Role::Member) => !owns && groups.contains(organization),
            Some(Role::Owner) => owns || groups.contains(organization),
        }
    })
}

/// A person's memberships, as the record has them.
async fn held(gateway: &TestGateway, person: &str) -> BTreeMap<String, Role> {
    let record = gateway.person(&name_id(person)).await;
    let memberships = record.into_iter().flat_map(|person| person.memberships);
    memberships.map(|membership| (membership.organization.as_str().to_owned(), membership.role)).collect()
}

/// The records, the member sets and the owners say the same of everybody.
async fn indexes_agree(gateway: &TestGateway, run: u64) {
    for organization in ORGANIZATIONS {
        let members: BTreeSet<_> = gateway.members(organization).await.into_iter().collect();
        let record = gateway.organization(organization).await;
        for person in PEOPLE {
            let role = held(gateway, person).await.remove(organization);
            let id = gateway.person_id(&name_id(person));
            assert_eq!(members.contains(&id), role.is_some(), "run {run}: {person} in {organization}");
            assert_eq!(record.owners.contains(&id), role == Some(Role::Owner), "run {run}: {person}");
        }
        assert!(record.owners.is_empty() || record.unowned_since.is_none(), "run {run}: {record:?}");
    }
}

async fn the_chain_is_whole(store: &store::redis::Redis, gateway: &TestGateway, run: u64) {
    let audit = Key::Audit(gateway.enterprise());
    let head = store.stream_head(audit).await.unwrap();
    let (mut sequence, mut link) = (head.first - 1, head.link_before_first);
    loop {
        let page = store.entries(audit, sequence, ENTRIES_PER_PAGE).await.unwrap();
        if page.is_empty() {
            break;
        }
        for entry in page {
            (sequence, link) = (sequence + 1, stream::link(&link, sequence + 1, &entry.value));
            assert_eq!((entry.sequence, entry.link), (sequence, link), "run {run}");
        }
    }
    assert_eq!((sequence, link), (head.last, head.link), "run {run}");
}

/// Everything that must hold when Redis is back; answers what each person has now.
async fn judge(gateway: &TestGateway, tried: Vec<Tried>, run: u64) -> Vec<BTreeSet<&'static str>> {
    let mut now = vec![];
    for tried in tried {
        let held = held(gateway, tried.person).await;
        let left_by = tried.groups.iter().rev().find(|groups| lead_to(groups, &held));
        let left_by = left_by
            .unwrap_or_else(|| panic!("run {run}: {} has {held:?} after {:?}", tried.person, tried.groups));
        now.push(left_by.clone());
        for (mut browser, response) in tried.accepted.into_iter().rev().take(2) {
            let again = browser.submit_once(&response).await.unwrap();
            assert_eq!(again.status, 403, "run {run}: an assertion was used twice");
        }
    }
    indexes_agree(gateway, run).await;
    now
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_and_r_12_kills_of_redis_leave_nothing_half_done_and_lose_nothing() {
    let runs = std::env::var(RUNS_VARIABLE).ok().and_then(|runs| runs.parse().ok()).unwrap_or(RUNS);
    let mut server = RedisServer::start_with(&LASTING);
    let url = server.url();
    let settings = store::redis::Settings::single(url.clone(), crate::store::PATIENT_MILLIS);
    let change = move |overrides: portcullis::config::Overrides| {
        overrides.set("store.url", url).set("enterprise.example.max_removals", "1000000")
    };
    let gateway = Arc::new(TestGateway::start_with(Backend::Redis, change, |store| store).await);
    let mut groups = vec![BTreeSet::new(); PEOPLE.len()];
    let mut acknowledged = 0;
    for run in 1..=runs {
        let mut dice = Dice(run.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (mut tasks, done) = (JoinSet::new(), Arc::new(Semaphore::new(0)));
        for (person, before) in PEOPLE.into_iter().zip(groups) {
            let own = Dice(dice.throw(u64::MAX) | 1);
            let done = Arc::clone(&done);
            tasks.spawn(sign_in_until_it_fails(Arc::clone(&gateway), person, before, own, done));
        }
        let before_the_kill = 1 + u32::try_from(dice.throw(KILL_SIGN_INS_MAX)).unwrap();
        drop(done.acquire_many(before_the_kill).await.unwrap());
        tokio::time::sleep(Duration::from_millis(dice.throw(KILL_MILLIS_MAX))).await;
        server.kill();
        let mut tried = tasks.join_all().await;
        tried.sort_by_key(|tried| tried.person);
        acknowledged += tried.iter().map(|tried| tried.accepted.len()).sum::<usize>();
        server.crash_and_return(&LASTING);
        eventually("the gateway is ready again", async || gateway.private("/readyz").await.status == 200)
            .await;
        groups = judge(&gateway, tried, run).await;
        let own = store::redis::Redis::connect(&settings).await.unwrap();
        the_chain_is_whole(&own, &gateway, run).await;
    }
    println!("{runs} kills, {acknowledged} sign-ins acknowledged before them");
}
