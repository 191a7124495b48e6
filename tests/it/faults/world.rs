//! The program as it ships, on one of the stores, and the hand that kills.
use std::{collections::BTreeMap, sync::Arc};

use jiff::SignedDuration;
use portcullis::{
    config::{self, Overrides, Source},
    demo::browser::{Browser, Page},
    directory::{ActError, Actor, Cause, Directory, Enterprise, Invite, InviteError},
    domain::{
        AddressId, Invitation, InvitationReference, InvitationSource, MailId, MailSubject, PersonId, Role,
        Timestamp,
    },
    edge::cookies::SESSION,
    idp,
    store::{self, Key, Op, Reply, Store, StoreError, Whole, records},
    telemetry::{Metrics, Trigger},
};
use serde_json::json;

use super::acts::{INVITED, PEOPLE, State};
use crate::{
    api::client::{Client, Credential},
    invitations::{mail_settings, slug, tenant},
    support::{
        gateway::{Backend, Setup, TestGateway, name_id},
        ports,
        process::Process,
        redis::{PASSWORD, RedisServer, free_port},
        redis_sets::{PRIMARY, SENTINEL_PASSWORD, Sentinel, ask_sentinel, eventually},
    },
};

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Killed {
    GatewayOnEmbedded,
    GatewayOnRedis,
    Redis,
    Primary,
}

/// What was acknowledged is on disk.
const LASTING: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];
/// To write what is got ready for a run.
const ATTEMPTS_MAX: u32 = 300;
const GROUPS: &str = "octo-org,hubot-lab,docs-team";
/// Nobody listens there: mails wait.
const NO_MAIL_PORT: u16 = 1;
/// Organizations that no group decides about.
const CREATED: [&str; 3] = ["skunk-works", INVITED[0], INVITED[1]];

/// The servers behind the gateway.
enum Servers {
    Embedded,
    One(RedisServer),
    /// The primary comes first.
    Pair(Vec<RedisServer>, Sentinel),
}

pub struct World {
    pub rig: TestGateway,
    pub enterprise: Enterprise,
    /// What everybody is at the moment, when nothing is under way.
    pub states: BTreeMap<&'static str, State>,
    /// Links by which the invited person joins, by organization.
    pub links: BTreeMap<&'static str, String>,
    /// A token of the enterprise's owner.
    pub token: String,
    /// Up to here the audit stream was looked at.
    pub audited: u64,
    killed: Killed,
    program: Option<Process>,
    servers: Servers,
    settings: store::Settings,
}

impl World {
    pub async fn start(killed: Killed) -> Self {
        let servers = match killed {
            Killed::GatewayOnEmbedded => Servers::Embedded,
            Killed::GatewayOnRedis | Killed::Redis => Servers::One(RedisServer::start_with(&LASTING)),
            Killed::Primary => pair().await,
        };
        let backend = match servers {
            Servers::Embedded => Backend::Embedded,
            _ => Backend::Redis,
        };
        let mut setup = Setup::new(backend);
        setup.idp.people = PEOPLE.into_iter().map(known).collect();
        setup.change = store_settings(&servers);
        let mut rig = TestGateway::set_up(setup).await;
        rig.stop_serving().await;
        let loaded = config::load(&Source::file(&rig.config).unwrap(), &rig.overrides).unwrap();
        let mut world = Self {
            enterprise: tenant(&rig),
            rig,
            states: PEOPLE.into_iter().map(|person| (person, State::default())).collect(),
            links: BTreeMap::new(),
            token: String::new(),
            audited: 0,
            killed,
            program: None,
            servers,
            settings: loaded.settings.store,
        };
        world.serve().await;
        world.found().await;
        if world.killed == Killed::GatewayOnEmbedded {
            world.stop();
        }
        let store = world.open().await;
        world.invite(&store).await;
        drop(store);
        world.serve().await;
        world
    }

    /// Kills what is to be killed.
    pub async fn kill(&mut self) {
        match (&mut self.servers, self.killed) {
            (Servers::One(server), Killed::Redis) => server.kill(),
            (Servers::Pair(pair, _), Killed::Primary) => pair[0].kill(),
            _ => self.stop(),
        }
    }

    /// Brings back what was killed, but for a gateway that holds its store: that one comes back by [`World::serve`].
    pub async fn recover(&mut self) {
        match (&mut self.servers, self.killed) {
            (Servers::One(server), Killed::Redis) => server.crash_and_return(&LASTING),
            (Servers::Pair(pair, sentinel), _) => fail_over(pair, sentinel).await,
            (_, Killed::GatewayOnEmbedded) => return,
            _ => {}
        }
        self.serve().await;
    }

    /// Starts the program where it does not run, and waits until it is ready.
    pub async fn serve(&mut self) {
        if self.program.is_none() {
            let port: u16 = self.rig.url.rsplit(':').next().unwrap().parse().unwrap();
            let command = |_| {
                let mut command = self.rig.command();
                command.arg("serve").env("PORTCULLIS_LOG_FORMAT", "json");
                command
            };
            self.program = Some(Process::start("portcullis serve", command, move |_| ports::is_open(port)));
        }
        let private = Overrides::variable("listen.private");
        let private = self.rig.overrides.iter().find(|(name, _)| *name == private).unwrap().1;
        let url = format!("http://{private}/readyz");
        eventually("the gateway is ready", async || {
            Browser::new().open(&url).await.is_ok_and(|page: Page| page.status == 200)
        })
        .await;
    }

    /// Opens the store in this process: an embedded one only while the program does not run.
    pub async fn open(&self) -> Arc<dyn Whole> {
        store::open_whole(&self.settings).await.unwrap()
    }

    pub fn directory(store: &Arc<dyn Whole>) -> Directory {
        let store: Arc<dyn Store> = store.clone();
        let session =
            portcullis::directory::SessionSettings { idle_seconds_max: 3_600, lifetime_seconds_max: 3_600 };
        Directory::new(store, session, Metrics::new()).with_mail(false)
    }

    pub fn person_id(&self, person: &str) -> PersonId {
        self.rig.person_id(&name_id(person))
    }

    pub fn address(&self, person: &str) -> AddressId {
        AddressId::of(self.enterprise.id, &name_id(person))
    }

    /// Invites the invited person to whatever the person neither belongs nor is invited to, and collects the links.
    pub async fn invite(&mut self, store: &Arc<dyn Whole>) {
        for organization in INVITED {
            for attempt in 1.. {
                match self.invite_to(store, organization).await {
                    // What an attempt before this one wrote may lie on the primary alone, and be found there: a write that is
                    // acknowledged after it tells that it does not.
                    Ok(_) if attempt > 1 && store.ready().await.is_err() && attempt < ATTEMPTS_MAX => {}
                    Ok(link) => {
                        self.links.insert(organization, link);
                        break;
                    }
                    // A replica on a busy machine may take longer than is waited for, and a sentinel may change its mind.
                    Err(
                        StoreError::NotReplicated { .. }
                        | StoreError::Unavailable(_)
                        | StoreError::Timeout(_),
                    ) if attempt < ATTEMPTS_MAX => {
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                    Err(error) => panic!("{organization}: {error}"),
                }
            }
        }
        let pending = INVITED.into_iter().map(str::to_owned).collect();
        let dave = self.states.get_mut("dave").unwrap();
        dave.roles.retain(|organization, _| !INVITED.contains(&organization.as_str()));
        dave.pending = pending;
    }

    async fn invite_to(&self, store: &Arc<dyn Whole>, organization: &str) -> Result<String, StoreError> {
        let (directory, now) = (Self::directory(store), Timestamp::now());
        let (operator, name) = (Actor::operator("faults"), slug(organization));
        let dave = self.person_id("dave");
        match directory.remove_member(&self.enterprise, operator, &name, dave, now).await {
            Ok(_) | Err(ActError::NotMember) => {}
            Err(ActError::Store(error)) => return Err(error),
            Err(error) => panic!("{error}"),
        }
        let email = name_id("dave");
        let source = InvitationSource::Scim;
        let invite = Invite { organization: &name, email: &email, role: Role::Member, source, person: None };
        let cause = Cause::by(Trigger::Scim, None, "faults");
        match directory.invite(&self.enterprise, &invite, cause, now).await {
            Ok(invitation) => Ok(self.link(store, &invitation).await),
            Err(InviteError::Store(error)) => Err(error),
            Err(error) => panic!("{error}"),
        }
    }

    /// What the servers say of themselves, for a failure.
    pub async fn described(&self) -> String {
        let Servers::Pair(pair, sentinel) = &self.servers else { return String::new() };
        let mut said = format!("the sentinel names {:?}\n", named(sentinel).await);
        for server in pair {
            let info = server.try_run::<String>(&["INFO", "replication"]).await;
            said += &format!("{}: {}\n", server.port(), info.unwrap_or_else(|error| error.to_string()));
        }
        said
    }

    /// `portcullis check --store`, as an operator runs it.
    pub fn check_store(&mut self) {
        self.stop();
        let output = self.rig.command().args(["check", "--store"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    /// The link of an invitation, from the mail that waits.
    async fn link(&self, store: &Arc<dyn Whole>, invitation: &Invitation) -> String {
        let (enterprise, id) = (self.enterprise.id, MailId::of_invitation(invitation.id, invitation.sent));
        let get = vec![Op::Get(Key::Mail(enterprise, id))];
        let Some(Reply::Value(Some(stored))) = store.batch(Timestamp::now(), get).await.unwrap().pop() else {
            panic!("the mail of {invitation:?} does not wait");
        };
        let mail = records::decode_mail(id, &stored.value).unwrap();
        let MailSubject::Invitation { secret, .. } = mail.subject else { panic!("{:?}", mail.subject) };
        let reference = InvitationReference { address: self.address("dave"), invitation: invitation.id };
        let secret = secret.expose();
        format!("{}/.portcullis/invitations/example/{reference}?secret={secret}", self.rig.url)
    }

    fn stop(&mut self) {
        if let Some(mut program) = self.program.take() {
            program.kill();
        }
    }

    /// What there is before the first run: a token of the enterprise's owner, organizations, people.
    async fn found(&mut self) {
        for person in PEOPLE {
            self.rig.people.set_groups(person, &[]).unwrap();
            self.rig.sign_in(&mut Browser::new(), person).await;
        }
        let mut alice = Browser::new();
        self.rig.sign_in(&mut alice, "alice").await;
        let session = alice.cookie("localhost", SESSION).unwrap().to_owned();
        let own = Client { url: self.rig.url.clone(), credential: Credential::Session(session) };
        let expires_at = (Timestamp::now() + SignedDuration::from_hours(24)).to_string();
        let wanted = json!({
            "name": "faults", "scopes": ["api:write", "enterprise"], "organizations": [], "expires_at": expires_at,
        });
        let made = own.post("/user/tokens", &wanted).await;
        assert_eq!(made.status, 201, "{}", made.text);
        self.token = made.json()["token"].as_str().unwrap().to_owned();
        let boss = Client { credential: Credential::Token(self.token.clone()), ..own };
        for organization in CREATED {
            let made = boss.post("/orgs", &json!({ "login": organization, "managed": false })).await;
            assert_eq!(made.status, 201, "{}", made.text);
        }
    }
}

fn known(id: &str) -> idp::Person {
    let first = id[..1].to_uppercase();
    idp::Person {
        id: id.into(),
        display_name: format!("{first}{}", &id[1..]),
        email: name_id(id),
        groups: vec![],
    }
}

/// Of a server that is now the one and now the other.
const OF_PAIR: [&str; 4] = ["--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0"];

/// A primary, its replica, and a sentinel.
async fn pair() -> Servers {
    let primary = RedisServer::start_with(&[&OF_PAIR[..], &LASTING].concat());
    let port = primary.port().to_string();
    let replica =
        RedisServer::start_with(&[&OF_PAIR[..], &LASTING, &["--replicaof", "127.0.0.1", &port]].concat());
    let sentinel = Sentinel::start(free_port(), primary.port(), 1, &[]).await;
    let replica_port = replica.port().to_string();
    eventually("the sentinel knows the replica", async || {
        let said = ask_sentinel(sentinel.port, &["SENTINEL", "REPLICAS", PRIMARY]).await;
        format!("{said:?}").contains(&replica_port)
    })
    .await;
    let mut pair = vec![primary, replica];
    whole(&mut pair, &sentinel).await;
    Servers::Pair(pair, sentinel)
}

/// The sentinel promotes the replica; what was the primary follows it from then on.
async fn fail_over(pair: &mut [RedisServer], sentinel: &Sentinel) {
    let promoted = pair[1].port();
    eventually("the replica is promoted", async || named(sentinel).await == Some(promoted)).await;
    let follow = ["--replicaof", "127.0.0.1", &promoted.to_string()];
    pair[0].crash_and_return(&[&OF_PAIR[..], &LASTING, &follow].concat());
    whole(pair, sentinel).await;
}

/// Waits until the sentinel's primary has the other one as its replica, and puts it first: a busy machine may have made the
/// sentinel change its mind once more.
async fn whole(pair: &mut [RedisServer], sentinel: &Sentinel) {
    eventually("the replica follows the primary", async || {
        let Some(port) = named(sentinel).await else { return false };
        if pair[0].port() != port {
            pair.swap(0, 1);
        }
        let info = async |server: &RedisServer| {
            server.try_run::<String>(&["INFO", "replication"]).await.unwrap_or_default()
        };
        let (primary, replica) = (info(&pair[0]).await, info(&pair[1]).await);
        primary.contains("role:master")
            && primary.contains("state=online")
            && replica.contains(&format!("master_port:{port}\r"))
            && replica.contains("master_link_status:up")
    })
    .await;
}

/// The port of the primary, as the sentinel says.
async fn named(sentinel: &Sentinel) -> Option<u16> {
    let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", PRIMARY];
    let said = ask_sentinel(sentinel.port, &words).await.ok()?;
    let [_, port]: [String; 2] = redis::from_redis_value::<Vec<String>>(said).ok()?.try_into().ok()?;
    port.parse().ok()
}

type Change = Box<dyn FnOnce(Overrides) -> Overrides>;

fn store_settings(servers: &Servers) -> Change {
    let more: Vec<(&'static str, String)> = match servers {
        Servers::Embedded => vec![],
        Servers::One(server) => vec![("store.url", server.url())],
        Servers::Pair(pair, sentinel) => vec![
            ("store.url", pair[0].url()),
            ("store.sentinels", format!("127.0.0.1:{}", sentinel.port)),
            ("store.primary", PRIMARY.to_owned()),
            ("store.sentinel_password", SENTINEL_PASSWORD.to_owned()),
            ("store.wait_replicas", "1".to_owned()),
            ("store.wait_ms", "1500".to_owned()),
        ],
    };
    Box::new(move |overrides| {
        let overrides = mail_settings(overrides, NO_MAIL_PORT)
            .set("enterprise.example.managed", GROUPS)
            .set("enterprise.example.max_removals", "1000000");
        more.into_iter().fold(overrides, |overrides, (path, value)| overrides.set(path, value))
    })
}
