//! Processes of the program on one store, people who are known from before, and what the store says at rest.
use std::{collections::BTreeSet, sync::Arc};

use jiff::SignedDuration;
use portcullis::{
    config::{self, Overrides, Source},
    demo::browser::Browser,
    directory::{
        Directory, Enterprise, InvitationPage, InvitationState, NewScimToken, ScimTokenMaker,
        SessionSettings, examine,
    },
    domain::{OrganizationSlug, Person, PersonId, Role, ScimId, Timestamp},
    store::{self, Commit, Committed, Key, Store, Whole, records},
    telemetry::Metrics,
};
use serde_json::{Value, json};

use super::caller::{Caller, Server};
use crate::{
    invitations::{mail_settings, slug, tenant},
    store::PATIENT_MILLIS,
    support::{
        gateway::{Backend, Setup, TestGateway},
        people, ports,
        process::Process,
        redis::RedisServer,
        redis_sets::eventually,
    },
};

pub const ORGANIZATION: &str = "octo-org";
/// Nobody listens there: mails wait.
const NO_MAIL_PORT: u16 = 1;
const OPERATIONS_PER_BULK: usize = 100;
const PEOPLE_PER_COMMIT: usize = 100;
const MEMBERS_PER_PAGE: usize = 1_000;

struct Program {
    server: Server,
    private: u16,
    process: Option<Process>,
}

pub struct World {
    rig: TestGateway,
    enterprise: Enterprise,
    settings: store::Settings,
    programs: Vec<Program>,
    _redis: Option<RedisServer>,
}

/// What lies in the store while nobody writes.
pub struct AtRest {
    /// The organization's.
    pub members: BTreeSet<PersonId>,
    /// Addresses with an invitation to the organization that can be accepted.
    pub invited: BTreeSet<String>,
}

impl World {
    /// Two processes on Redis, one on the embedded store; none of them runs yet.
    pub async fn new(backend: Backend) -> Self {
        Self::with(backend, |overrides| overrides).await
    }

    /// The same with further settings.
    pub async fn with(backend: Backend, change: impl FnOnce(Overrides) -> Overrides + 'static) -> Self {
        let redis = (backend == Backend::Redis).then(RedisServer::start);
        let url = redis.as_ref().map(RedisServer::url);
        let mut setup = Setup::new(backend);
        setup.change = Box::new(move |overrides| {
            let overrides = mail_settings(overrides, NO_MAIL_PORT)
                .set("enterprise.example.scim.enabled", "true")
                .set("enterprise.example.scim.requests_per_second_max", "1000000")
                .set("enterprise.example.max_removals", "1000000");
            let overrides = change(overrides);
            match url {
                None => overrides,
                Some(url) => {
                    overrides.set("store.url", url).set("store.timeout_ms", PATIENT_MILLIS.to_string())
                }
            }
        });
        let mut rig = TestGateway::set_up(setup).await;
        let enterprise = tenant(&rig);
        let now = Timestamp::now();
        let wanted = NewScimToken { name: "test".into(), expires_at: now + SignedDuration::from_hours(24) };
        let directory = rig.running.as_ref().unwrap().directory.clone();
        let made = directory.create_scim_token(&enterprise, ScimTokenMaker::Operator, wanted, "test", now);
        let token = made.await.unwrap().0.expose().to_owned();
        drop(directory);
        rig.stop_serving().await;
        let authority = rig.url.trim_start_matches("http://").to_owned();
        let count = if redis.is_some() { 2 } else { 1 };
        let program = |_| Program {
            server: Server { port: ports::free(), authority: authority.clone(), token: token.clone() },
            private: ports::free(),
            process: None,
        };
        let programs = (0..count).map(program).collect();
        let loaded = config::load(&Source::file(&rig.config).unwrap(), &rig.overrides).unwrap();
        Self { rig, enterprise, settings: loaded.settings.store, programs, _redis: redis }
    }

    /// Where the processes listen.
    pub fn servers(&self) -> Vec<Server> {
        self.programs.iter().map(|program| program.server.clone()).collect()
    }

    /// Starts every process that does not run, and waits until it is ready.
    pub async fn serve(&mut self) {
        for program in &mut self.programs {
            program.start(&self.rig).await;
        }
    }

    /// Kills a process with whatever it has in its hands.
    pub fn kill(&mut self, which: usize) {
        if let Some(mut process) = self.programs[which].process.take() {
            process.kill();
        }
    }

    /// Kills them all.
    pub fn kill_all(&mut self) {
        (0..self.programs.len()).for_each(|which| self.kill(which));
    }

    /// Opens the store in this process: an embedded one only while no program runs.
    pub async fn open(&self) -> Arc<dyn Whole> {
        store::open_whole(&self.settings).await.unwrap()
    }

    /// Whether a change of a group is unfinished; an embedded store says so only while no program runs.
    pub async fn is_unfinished(&self) -> bool {
        let jobs = self.open().await.members(Key::ScimJobs(self.enterprise.id), None, 1).await;
        !jobs.unwrap().is_empty()
    }

    /// The users whom the store lists in a group, whether the group is there or not.
    pub async fn group_members(&self, group: &str) -> BTreeSet<String> {
        let set = Key::ScimGroupMembers(self.enterprise.id, ScimId::parse(group).unwrap());
        let (store, mut ids, mut after) = (self.open().await, BTreeSet::new(), None);
        loop {
            let page = store.members(set, after, MEMBERS_PER_PAGE).await.unwrap();
            after = page.last().cloned();
            ids.extend(page.iter().map(|id| records::decode_scim_id(id).unwrap().to_string()));
            if after.is_none() {
                return ids;
            }
        }
    }

    /// What the store says, and that it agrees with itself; while nobody writes.
    pub async fn at_rest(&self) -> AtRest {
        let store = self.open().await;
        let report = examine(&*store, Timestamp::now()).await.unwrap();
        assert_eq!((report.faults, report.faults_untold), (vec![], 0));
        let store: Arc<dyn Store> = store;
        let sessions = SessionSettings { idle_seconds_max: 3_600, lifetime_seconds_max: 3_600 };
        let directory = Directory::new(store, sessions, Metrics::new());
        let (e, organization) = (self.enterprise.id, slug(ORGANIZATION));
        let (mut members, mut after) = (BTreeSet::new(), None);
        loop {
            let page = directory.members(e, &organization, after, MEMBERS_PER_PAGE).await.unwrap();
            after = page.last().copied();
            members.extend(page);
            if after.is_none() {
                break;
            }
        }
        let invited = invited(&directory, &self.enterprise, &organization).await;
        AtRest { members, invited }
    }

    /// `portcullis check --store`, as an operator runs it.
    pub fn check_store(&self) {
        let output = self.rig.command().args(["check", "--store"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains(" 0 faults"), "{said}");
    }

    /// Everybody whom `is_known` names has signed in before and is a member of the organization.
    pub async fn seed(&self, users: usize, is_known: impl Fn(usize) -> bool) {
        let store = self.open().await;
        let known: Vec<usize> = (0..users).filter(|user| is_known(*user)).collect();
        for some in known.chunks(PEOPLE_PER_COMMIT) {
            let writes = some.iter().flat_map(|user| people::writes(&self.member(*user))).collect();
            let commit = Commit { expect: vec![], writes };
            assert_eq!(store.commit(commit).await.unwrap(), Committed::Applied);
        }
    }

    /// Provisions so many users, by Bulk over all processes; their ids by their numbers.
    pub async fn users(&self, count: usize) -> Vec<String> {
        let servers = self.servers();
        let mut tasks = tokio::task::JoinSet::new();
        for (n, begin) in (0..count).step_by(OPERATIONS_PER_BULK).enumerate() {
            let server = servers[n % servers.len()].clone();
            let end = count.min(begin + OPERATIONS_PER_BULK);
            tasks.spawn(async move { (begin, bulk(&server, begin..end).await) });
        }
        let mut parts = tasks.join_all().await;
        parts.sort();
        parts.into_iter().flat_map(|(_, ids)| ids).collect()
    }

    pub fn person_id(&self, user: usize) -> PersonId {
        self.member(user).id
    }

    fn member(&self, user: usize) -> Person {
        people::person(
            self.enterprise.id,
            &self.rig.idp_entity_id,
            &name(user),
            &[(ORGANIZATION, Role::Member)],
        )
    }
}

impl Program {
    async fn start(&mut self, rig: &TestGateway) {
        if self.process.is_none() {
            let port = self.server.port;
            let listen = |name: &str, port: u16| (Overrides::variable(name), format!("127.0.0.1:{port}"));
            let command = |_| {
                let mut command = rig.command();
                // Thousands of lines say what was done; a failure shows what went wrong.
                command.arg("serve").env("PORTCULLIS_LOG_LEVEL", "warn");
                command.envs([listen("listen.public", port), listen("listen.private", self.private)]);
                command
            };
            self.process = Some(Process::start("portcullis serve", command, move |_| ports::is_open(port)));
        }
        let url = format!("http://127.0.0.1:{}/readyz", self.private);
        eventually("the gateway is ready", async || {
            Browser::new().open(&url).await.is_ok_and(|page| page.status == 200)
        })
        .await;
    }
}

/// The user name, which is the NameID and the address.
pub fn name(user: usize) -> String {
    format!("u{user}@example.com")
}

async fn bulk(server: &Server, users: std::ops::Range<usize>) -> Vec<String> {
    let operation = |user: usize| {
        let data = json!({ "userName": name(user), "emails": [{ "value": name(user), "type": "work" }] });
        json!({ "method": "POST", "path": "/Users", "bulkId": user.to_string(), "data": data })
    };
    let operations: Vec<Value> = users.map(operation).collect();
    let answer = Caller::new(server).done("POST", "/Bulk", &json!({ "Operations": operations })).await;
    let made = answer["Operations"].as_array().unwrap().iter();
    made.map(|made| {
        assert_eq!(made["status"], "201", "{made}");
        made["location"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
    })
    .collect()
}

async fn invited(
    directory: &Directory,
    enterprise: &Enterprise,
    organization: &OrganizationSlug,
) -> BTreeSet<String> {
    let (mut emails, mut after) = (BTreeSet::new(), None);
    loop {
        let page = InvitationPage { state: InvitationState::Pending, after, limit: MEMBERS_PER_PAGE };
        let (found, next) =
            directory.invitations(enterprise.id, organization, page, Timestamp::now()).await.unwrap();
        emails.extend(found.into_iter().map(|(_, invitation)| invitation.email));
        if next.is_none() {
            return emails;
        }
        after = next;
    }
}
