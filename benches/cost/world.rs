//! One store of one size, and the processes around it: Redis, the gateway, and what both have cost so far.
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use portcullis::{
    config::{self, Overrides, Source},
    directory,
    store::{self, Whole},
};

use super::{
    reference::Bare,
    seed::{self, Town},
};

/// Nothing that is waited for takes longer.
const WAIT_SECONDS_MAX: u64 = 120;
/// A gateway that used less than this of a second has nothing left over from its start.
const QUIET_SHARE_MAX: f64 = 0.05;
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    Redis,
    Embedded,
}

impl Store {
    pub fn named(name: &str) -> Self {
        match name.trim() {
            "redis" => Self::Redis,
            "embedded" => Self::Embedded,
            other => panic!("COST_STORES names redis and embedded, not {other}"),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "Redis",
            Self::Embedded => "embedded",
        }
    }
}

/// Where the IdP is that signs for all worlds.
pub struct IdpPlace {
    pub entity_id: String,
    pub sso_url: String,
}

pub struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A store without a gateway.
pub struct Place {
    pub store: Store,
    /// Of Redis.
    pub redis: Option<SocketAddr>,
    server: Option<Killed>,
    folder: tempfile::TempDir,
}

impl Place {
    /// An empty store.
    pub fn new(store: Store) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut place = Self { store, redis: None, server: None, folder };
        if store == Store::Redis {
            let address = free();
            let server = Command::new("redis-server")
                .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"])
                .args(["--save", "", "--appendonly", "no"])
                .current_dir(place.folder.path())
                .stdout(Stdio::null())
                .spawn()
                .expect("redis-server is installed");
            place.server = Some(Killed(server));
            wait_for("redis-server answers", || TcpStream::connect(address).is_ok());
            place.redis = Some(address);
        }
        place
    }

    /// The embedded store's file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("store.redb")
    }

    pub fn overrides(&self) -> Overrides {
        match self.redis {
            Some(address) => Overrides::default()
                .set("store.kind", "redis")
                .set("store.url", format!("redis://{address}"))
                .set("store.timeout_ms", "60000"),
            None => Overrides::default()
                .set("store.kind", "embedded")
                .set("store.path", self.file().to_string_lossy().into_owned()),
        }
    }

    pub async fn open(&self) -> Arc<dyn Whole> {
        let source = Source::file(CONFIG.as_ref()).expect("the shipped configuration");
        let settings = config::load(&source, &self.overrides()).expect("a configuration").settings;
        store::open_whole(&settings.store).await.expect("a store")
    }

    /// What lies in it, in bytes: Redis' memory, or the file.
    pub fn bytes(&self) -> f64 {
        match self.redis {
            Some(address) => super::reference::used_memory(address),
            None => fs::metadata(self.file()).map_or(0, |file| file.len()) as f64,
        }
    }
}

pub struct World {
    pub people: usize,
    pub public: SocketAddr,
    private: SocketAddr,
    place: Place,
    gateway: Option<Killed>,
}

/// CPU so far, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    pub gateway: f64,
    pub redis: f64,
}

/// What the gateway counted so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub round_trips: f64,
    pub changes: f64,
    pub sessions: f64,
}

impl World {
    /// Makes a store and fills it. `is_examined`: and walks it, to see that what was written is what sign-ins leave.
    pub async fn seeded(store: Store, idp: &IdpPlace, town: &Town, is_examined: bool) -> Self {
        let place = Place::new(store);
        let begun = Instant::now();
        let empty = place.bytes();
        seed::fill(place.open().await, town, idp, store.name()).await;
        let bytes = place.bytes() - empty;
        println!(
            "{} store: {} people seeded in {:.1} s, {:.0} MB, {:.0} bytes for each with everything that belongs to them",
            store.name(),
            town.people,
            begun.elapsed().as_secs_f64(),
            bytes / 1e6,
            bytes / town.people as f64
        );
        if is_examined {
            examined(&place, town, store.name()).await;
        }
        Self { people: town.people, public: free(), private: free(), place, gateway: None }
    }

    /// Where bare commands find the store.
    pub fn bare(&self) -> Bare {
        match self.place.redis {
            Some(address) => Bare::redis(address, self.redis_pid()),
            None => Bare::embedded(self.place.file()),
        }
    }

    /// Starts the gateway, and waits until it has nothing to do.
    pub fn serve(&mut self, idp: &IdpPlace) {
        let url = format!("http://localhost:{}", self.public.port());
        let mut organizations = vec!["octo-org".to_owned(), "hubot-lab".to_owned(), "docs-team".to_owned()];
        organizations.extend(seed::teams().map(|team| team.to_string()));
        let overrides = self
            .place
            .overrides()
            .set("public_url", url)
            .set("listen.public", self.public.to_string())
            .set("listen.private", self.private.to_string())
            .set("enterprise.example.provisioning", "true")
            .set("enterprise.example.deprovisioning", "true")
            .set("enterprise.example.max_removals", "1000000")
            .set("enterprise.example.organizations", organizations.join(","))
            .set("enterprise.example.saml.idp_entity_id", &idp.entity_id)
            .set("enterprise.example.saml.sso_url", &idp.sso_url);
        let gateway = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["serve", "--config", CONFIG])
            .envs(overrides.iter())
            .stderr(Stdio::null())
            .spawn()
            .expect("the gateway starts");
        self.gateway = Some(Killed(gateway));
        wait_for("the gateway serves", || TcpStream::connect(self.public).is_ok());
        wait_for("the gateway is quiet", || {
            let (before, begun) = (self.spent(), Instant::now());
            thread::sleep(Duration::from_secs(1));
            let after = self.spent();
            let used = after.gateway - before.gateway + after.redis - before.redis;
            used / begun.elapsed().as_nanos() as f64 <= QUIET_SHARE_MAX
        });
    }

    fn redis_pid(&self) -> Option<u32> {
        self.place.server.as_ref().map(|server| server.0.id())
    }

    pub fn spent(&self) -> Spent {
        let of = |pid: Option<u32>| pid.map_or(0.0, cpu_nanos);
        Spent {
            gateway: of(self.gateway.as_ref().map(|gateway| gateway.0.id())),
            redis: of(self.redis_pid()),
        }
    }

    pub fn counts(&self) -> Counts {
        let mut stream = TcpStream::connect(self.private).expect("the private listener");
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let sum = |name: &str| -> f64 {
            let lines = answer.lines().filter(|line| line.starts_with(name));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        Counts {
            round_trips: sum("portcullis_store_duration_seconds_count"),
            changes: sum("portcullis_provisioning_changes_total"),
            sessions: sum("portcullis_sessions_total"),
        }
    }
}

/// What `check --store` does.
async fn examined(place: &Place, town: &Town, name: &str) {
    let begun = Instant::now();
    let report = directory::examine(&*place.open().await, town.now).await.expect("the store is walked");
    println!(
        "{name} store: {} people, {} memberships, {} sessions, {} audit entries walked in {:.1} s",
        report.people,
        report.memberships,
        report.sessions,
        report.audit_entries,
        begun.elapsed().as_secs_f64()
    );
    assert!(report.is_clean(), "{:?}", report.faults.first());
}

/// What all threads of a process have run, in nanoseconds. Threads that ended are not in it; ours stay.
pub fn cpu_nanos(pid: u32) -> f64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0.0 };
    let of = |task: fs::DirEntry| -> Option<f64> {
        let stat = fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse().ok()
    };
    tasks.flatten().filter_map(of).sum()
}

fn free() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr()).expect("a free port")
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(WAIT_SECONDS_MAX), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}
