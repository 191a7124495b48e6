//! From a removal's commit on one gateway to the first request that another gateway process refuses, over a real Redis.
//!
//! `cargo bench --bench revocation`. The first gateway runs in this process, so that the moment is known at which its store
//! said that the commit applied; the second is the binary in a process of its own. One person's session is used there without
//! pause, so that it is always cached, while the person signs in at the first gateway with the group and without. Then the same
//! with the push channel cut, where the age of what is cached is the only bound. References in the same run: a bare PUBLISH to
//! a subscriber of the same Redis, and a request that the second gateway lets through. `REVOCATION_PUSHED` and `REVOCATION_CUT`
//! change how many removals there are.
#[path = "../tests/it/support/layer.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod layer;

use std::{
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use portcullis::{
    config::{self, Overrides, Source},
    demo::browser::Browser,
    gateway::{self, Running},
    idp,
    store::{self, BoxFuture, Commit, Committed, Key, Store, StoreError, Write as Step},
    telemetry::Metrics,
};

/// Enough for a 99th percentile of two that are worse.
const PUSHED: usize = 300;
/// Each takes half a second.
const CUT: usize = 60;
const REFERENCES: usize = 1_000;
/// What is aimed at: median and 99th percentile with the push channel, and the most without it, in milliseconds.
const MEDIAN_MILLIS_MAX: f64 = 20.0;
const P99_MILLIS_MAX: f64 = 100.0;
const CUT_MILLIS_MAX: f64 = 2_000.0;
/// Nothing that is waited for takes longer.
const WAIT_SECONDS_MAX: u64 = 30;
const SESSION_COOKIE: &str = "__Host-portcullis-session";

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The store of the first gateway: notes when it said that a commit with a removal applied.
struct Noting {
    inner: Arc<dyn Store>,
    removed_at: Arc<Mutex<Option<Instant>>>,
}

impl layer::Layer for Noting {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        let leaves = |step: &Step| matches!(step, Step::Remove(Key::OrganizationMembers(..), _));
        let is_removal = change.writes.iter().any(leaves);
        Box::pin(async move {
            let committed = self.inner.commit(change).await;
            if is_removal && matches!(committed, Ok(Committed::Applied)) {
                *self.removed_at.lock().unwrap() = Some(Instant::now());
            }
            committed
        })
    }
}

struct World {
    first: Running,
    first_url: String,
    second: SocketAddr,
    second_private: SocketAddr,
    redis: SocketAddr,
    people: idp::Directory,
    removed_at: Arc<Mutex<Option<Instant>>>,
    _processes: [Killed; 2],
    _folder: tempfile::TempDir,
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

async fn start() -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let redis_port = free().port();
    let server = Command::new("redis-server")
        .args(["--port", &redis_port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed");
    let redis = SocketAddr::from(([127, 0, 0, 1], redis_port));
    let server = Killed(server);
    wait_for("redis-server answers", || TcpStream::connect(redis).is_ok());
    let idp = idp::bind(idp::Settings::development(SocketAddr::from(([127, 0, 0, 1], 0))));
    let idp = idp.await.expect("the IdP starts");
    let people = idp.directory();
    let origin = origin();
    let common = Overrides::default()
        .set("store.kind", "redis")
        .set("store.url", format!("redis://{redis}"))
        .set("route.app.origin", format!("http://{origin}"))
        .set("route.app.organizations", "octo-org")
        .set("enterprise.example.provisioning", "true")
        .set("enterprise.example.deprovisioning", "true")
        .set("enterprise.example.max_removals", "1000000")
        .set("enterprise.example.saml.idp_entity_id", idp.entity_id())
        .set("enterprise.example.saml.sso_url", idp.sso_url());
    tokio::spawn(idp.run(std::future::pending()));
    let place = |public: SocketAddr, private: SocketAddr| {
        let url = format!("http://localhost:{}", public.port());
        let common = common.clone().set("public_url", &url);
        (common.set("listen.public", public.to_string()).set("listen.private", private.to_string()), url)
    };

    let (second, second_private) = (free(), free());
    let process = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["serve", "--config", concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")])
        .envs(place(second, second_private).0.iter())
        .stderr(Stdio::null())
        .spawn()
        .expect("the second gateway starts");
    let process = Killed(process);
    let (overrides, first_url) = place(free(), free());
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml");
    let config = Source::file(config.as_ref()).expect("the shipped configuration");
    let settings = config::load(&config, &overrides).expect("a configuration").settings;
    let removed_at = Arc::<Mutex<Option<Instant>>>::default();
    let inner = store::open(&settings.store).await.expect("a store");
    let noting = layer::in_front(Noting { inner, removed_at: removed_at.clone() });
    let first = gateway::start(&settings, noting, Metrics::new()).await.expect("the first gateway starts");
    wait_for("the second gateway serves", || TcpStream::connect(second).is_ok());
    let _processes = [process, server];
    World { first, first_url, second, second_private, redis, people, removed_at, _processes, _folder: folder }
}

/// Answers 200 to everything, on connections that stay.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let (mut seen, mut piece) = (vec![], [0; 4096]);
    loop {
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        seen.extend_from_slice(&piece[..count]);
        if seen.ends_with(b"\r\n\r\n") {
            seen.clear();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").ok()?;
        }
    }
}

/// A connection to the second gateway with the person's session.
struct Client {
    stream: TcpStream,
    request: String,
}

impl Client {
    fn new(world: &World, session: &str) -> Self {
        let stream = TcpStream::connect(world.second).expect("the second gateway");
        stream.set_nodelay(true).expect("a socket");
        let port = world.second.port();
        let cookie = format!("Cookie: {SESSION_COOKIE}={session}\r\n");
        let request =
            format!("GET /x HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: application/json\r\n{cookie}\r\n");
        Self { stream, request }
    }

    fn status(&mut self) -> u16 {
        self.stream.write_all(self.request.as_bytes()).expect("a request");
        let (mut seen, mut piece) = (vec![], [0; 4096]);
        loop {
            let count = self.stream.read(&mut piece).expect("a response");
            assert!(count > 0, "the second gateway closed the connection");
            seen.extend_from_slice(&piece[..count]);
            if let Some(status) = complete(&seen) {
                return status;
            }
        }
    }
}

/// The status of a response that is there as a whole.
fn complete(seen: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(seen).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1)?.split("\r\n").next()?.parse::<usize>().ok()?;
    (body.len() >= length).then(|| head[9..12].parse().ok()).flatten()
}

impl World {
    async fn sign_in(&self, browser: &mut Browser, groups: &[&str]) {
        self.people.set_groups("alice", groups).expect("a person");
        let start = format!("{}/saml/login?return_to=/", self.first_url);
        let people = browser.open(&start).await.expect("the sign-in starts");
        let posting = browser.press(&people, "Sign in as Alice").await.expect("the IdP answers");
        let form = posting.button("Continue").expect("a form that posts the response");
        browser.submit(&form).await.expect("the first gateway answers");
    }

    /// Milliseconds from each removal's commit to the first refusal, sorted.
    async fn removals(&self, count: usize) -> Vec<f64> {
        let (mut watched, mut other) = (Browser::new(), Browser::new());
        self.sign_in(&mut watched, &["octo-org"]).await;
        let session = watched.cookie("localhost", SESSION_COOKIE).expect("a session").to_owned();
        let mut millis = vec![];
        for _ in 0..count {
            self.sign_in(&mut other, &["octo-org"]).await;
            let mut client = Client::new(self, &session);
            let begun = Instant::now();
            while client.status() != 200 {
                assert!(begun.elapsed() < Duration::from_secs(WAIT_SECONDS_MAX), "the member is let in");
            }
            self.removed_at.lock().unwrap().take();
            let poll = thread::spawn(move || {
                while client.status() == 200 {}
                Instant::now()
            });
            self.sign_in(&mut other, &[]).await;
            let refused_at = tokio::task::spawn_blocking(move || poll.join().expect("a poll")).await;
            let removed_at = self.removed_at.lock().unwrap().take().expect("a removal");
            let elapsed = refused_at.expect("a poll").saturating_duration_since(removed_at);
            millis.push(elapsed.as_secs_f64() * 1_000.0);
        }
        millis.sort_by(f64::total_cmp);
        millis
    }

    /// Milliseconds of a request that the second gateway lets through, sorted.
    async fn requests(&self) -> Vec<f64> {
        let mut browser = Browser::new();
        self.sign_in(&mut browser, &["octo-org"]).await;
        let session = browser.cookie("localhost", SESSION_COOKIE).expect("a session").to_owned();
        let mut client = Client::new(self, &session);
        timed(|| assert_eq!(client.status(), 200))
    }

    /// Milliseconds from a PUBLISH to its arrival at a subscriber, sorted.
    fn publishes(&self) -> Vec<f64> {
        let (mut subscriber, mut publisher) = (self.redis(), self.redis());
        command(&mut subscriber, "SUBSCRIBE reference");
        let mut piece = [0; 256];
        timed(|| {
            publisher.write_all(b"PUBLISH reference x\r\n").expect("redis");
            assert!(subscriber.read(&mut piece).expect("redis") > 0);
            assert!(publisher.read(&mut piece).expect("redis") > 0);
        })
    }

    fn redis(&self) -> TcpStream {
        let stream = TcpStream::connect(self.redis).expect("redis");
        stream.set_nodelay(true).expect("a socket");
        stream
    }

    /// Takes the push channel away from both gateways, and waits until they know.
    fn cut(&self) {
        let mut redis = self.redis();
        command(&mut redis, "ACL SETUSER default -subscribe -psubscribe -ssubscribe");
        command(&mut redis, "CLIENT KILL TYPE pubsub");
        wait_for("the second gateway knows that nobody tells it", || {
            let mut stream = TcpStream::connect(self.second_private).expect("the private listener");
            let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).expect("a request");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            answer.contains("portcullis_push_listening 0")
        });
    }
}

fn command(redis: &mut TcpStream, line: &str) {
    redis.write_all(format!("{line}\r\n").as_bytes()).expect("redis");
    let mut answer = [0; 1024];
    let count = redis.read(&mut answer).expect("redis");
    assert!(count > 0 && answer[0] != b'-', "{line}: {}", String::from_utf8_lossy(&answer[..count]));
}

fn timed(mut run: impl FnMut()) -> Vec<f64> {
    let mut millis: Vec<f64> = (0..REFERENCES)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    millis.sort_by(f64::total_cmp);
    millis
}

/// Of sorted values.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(((last as f64) * q).round() as usize).copied().unwrap_or_default()
}

/// Prints a line; its median and its 99th percentile.
fn report(what: &str, millis: &[f64]) -> (f64, f64) {
    let (median, p99) = (quantile(millis, 0.5), quantile(millis, 0.99));
    let most = quantile(millis, 1.0);
    println!(
        "{what:<44} {:>4} times: median {median:>9.3} ms, p99 {p99:>9.3} ms, most {most:>9.3} ms",
        millis.len()
    );
    (median, p99)
}

fn number(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |count| count.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}

#[tokio::main]
async fn main() {
    let world = start().await;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load before: {}", load.trim());
    let (publish, _) = report("reference: PUBLISH to a subscriber", &world.publishes());
    let (request, _) = report("reference: a request let through", &world.requests().await);
    let (median, p99) =
        report("removal to refusal, pushed", &world.removals(number("REVOCATION_PUSHED", PUSHED)).await);
    println!(
        "  {:.1} times a PUBLISH, {:.1} times a request; under {MEDIAN_MILLIS_MAX} and {P99_MILLIS_MAX} ms: {}",
        median / publish,
        median / request,
        verdict(median < MEDIAN_MILLIS_MAX && p99 < P99_MILLIS_MAX)
    );
    world.cut();
    let cut = world.removals(number("REVOCATION_CUT", CUT)).await;
    report("removal to refusal, push channel cut", &cut);
    println!("  under {CUT_MILLIS_MAX} ms at the most: {}", verdict(quantile(&cut, 1.0) < CUT_MILLIS_MAX));
    world.first.shutdown().await;
}
