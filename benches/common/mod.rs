//! What benches share: stores in processes of their own, a gateway before one, and what both have cost so far.
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
    store::{self, Whole},
};

/// Nothing that is waited for takes longer.
const WAIT_SECONDS_MAX: u64 = 120;
/// A gateway that used less than this of a second has nothing left over from its start.
const QUIET_SHARE_MAX: f64 = 0.05;
pub const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml");

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
            other => panic!("there are redis and embedded, and no {other}"),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "Redis",
            Self::Embedded => "embedded",
        }
    }
}

pub struct Killed(pub Child);

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

    /// Of Redis' process.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(|server| server.0.id())
    }

    /// What Redis has cost so far; the embedded store costs the gateway.
    pub fn cpu_nanos(&self) -> f64 {
        self.pid().map_or(0.0, cpu_nanos)
    }

    /// What lies in it, in bytes: Redis' memory, or the file.
    pub fn bytes(&self) -> f64 {
        match self.redis {
            Some(address) => used_memory(address),
            None => fs::metadata(self.file()).map_or(0, |file| file.len()) as f64,
        }
    }
}

/// A gateway in a process of its own.
pub struct Gateway {
    process: Killed,
    pub public: SocketAddr,
    private: SocketAddr,
}

impl Gateway {
    /// Starts it on a store, with more settings, and waits until it serves and has nothing else to do.
    pub fn start(place: &Place, overrides: Overrides) -> Self {
        let (public, private) = (free(), free());
        let overrides = overrides
            .set("public_url", format!("http://localhost:{}", public.port()))
            .set("listen.public", public.to_string())
            .set("listen.private", private.to_string());
        let process = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["serve", "--config", CONFIG])
            .envs(overrides.iter())
            .stderr(Stdio::null())
            .spawn()
            .expect("the gateway starts");
        let gateway = Self { process: Killed(process), public, private };
        wait_for("the gateway serves", || TcpStream::connect(public).is_ok());
        let spent = || gateway.cpu_nanos() + place.cpu_nanos();
        wait_for("the gateway is quiet", || {
            let (before, begun) = (spent(), Instant::now());
            thread::sleep(Duration::from_secs(1));
            (spent() - before) / begun.elapsed().as_nanos() as f64 <= QUIET_SHARE_MAX
        });
        gateway
    }

    pub fn cpu_nanos(&self) -> f64 {
        cpu_nanos(self.process.0.id())
    }

    /// Of `/proc/PID/status`, in bytes: `VmRSS` is what it holds in memory now, `VmHWM` the most since [`Gateway::forget_peak`].
    pub fn memory(&self, line: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap_or_default();
        let found = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'));
        let kilobytes = found.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        kilobytes.expect("a number of kB") * 1_024.0
    }

    pub fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.process.0.id()), "5").expect("our own child");
    }

    /// What the metrics of these names add up to, over all labels.
    pub fn sums<const N: usize>(&self, names: [&str; N]) -> [f64; N] {
        let mut stream = TcpStream::connect(self.private).expect("the private listener");
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        names.map(|name| {
            let lines = answer.lines().filter(|line| line.starts_with(name));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        })
    }
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

pub fn free() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr()).expect("a free port")
}

pub fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(WAIT_SECONDS_MAX), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What Redis holds, in bytes.
fn used_memory(address: SocketAddr) -> f64 {
    let info: String = ::redis::cmd("INFO").arg("memory").query(&mut connect(address)).expect("INFO");
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).expect("used_memory")
}

/// A connection for bare commands.
pub fn connect(address: SocketAddr) -> ::redis::Connection {
    let client = ::redis::Client::open(format!("redis://{address}")).expect("a URL");
    client.get_connection().expect("redis")
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A variable of the environment, or what is usual.
pub fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

pub fn number(name: &str, default: usize) -> usize {
    setting(name, &default.to_string()).parse().unwrap_or_else(|_| panic!("{name} is a number"))
}

/// Numbers, with commas between them.
pub fn numbers(name: &str, default: &str) -> Vec<usize> {
    let text = setting(name, default);
    text.split(',').map(|n| n.trim().parse().unwrap_or_else(|_| panic!("{name} lists numbers"))).collect()
}
