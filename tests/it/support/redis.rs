//! A real `redis-server` on a free port, and a proxy before it that breaks the network on demand.
//!
//! There is no skipping: where `redis-server` is missing, the tests that need it fail. `scripts/test` installs it.
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream as StdStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

pub use super::ports::free as free_port;

/// Ports may be taken between being found and being used.
const START_ATTEMPTS_MAX: usize = 10;
/// At 10 ms each.
const ANSWER_ATTEMPTS_MAX: usize = 1_000;
const COMMAND_DURATION_MAX: Duration = Duration::from_secs(30);
/// Proves that the server at the port is the one that we started.
pub const PASSWORD: &str = "the-test-server";

/// A server of its own, empty, without persistence. Killed when dropped.
pub struct RedisServer {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl RedisServer {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With further arguments for `redis-server`.
    pub fn start_with(arguments: &[&str]) -> Self {
        for _ in 0..START_ATTEMPTS_MAX {
            if let Some(server) = Self::try_start(arguments) {
                return server;
            }
        }
        panic!("redis-server did not start; its arguments were {arguments:?}");
    }

    /// For the default user.
    pub fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs a command behind the store's back.
    pub async fn run<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_run(words).await.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// The same with a server that may cut the line, as one does that changes its role.
    pub async fn try_run<T: redis::FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        // The library's own limits are half a second and one, which a busy machine exceeds.
        let patient = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(COMMAND_DURATION_MAX))
            .set_response_timeout(Some(COMMAND_DURATION_MAX));
        let mut connection = client.get_multiplexed_async_connection_with_config(&patient).await?;
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(*word);
        }
        command.query_async(&mut connection).await
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it where it is: it keeps its connections and answers nothing.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success(), "kill {signal}");
    }

    /// Starts it again, empty, at the same port.
    pub fn start_again(&mut self, arguments: &[&str]) {
        self.folder = tempfile::tempdir().unwrap();
        self.crash_and_return(arguments);
    }

    /// Ends it at once and starts it again, at the same port and on what it left on disk.
    pub fn crash_and_return(&mut self, arguments: &[&str]) {
        for _ in 0..START_ATTEMPTS_MAX {
            let _ = self.child.kill();
            self.child.wait().unwrap();
            self.child = spawn(self.port, self.folder.path(), arguments);
            if self.answers() {
                return;
            }
        }
        panic!("redis-server did not start again");
    }

    fn try_start(arguments: &[&str]) -> Option<Self> {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut server = Self { child: spawn(port, folder.path(), arguments), port, folder };
        server.answers().then_some(server)
    }

    /// Waits until it does, or has ended.
    fn answers(&mut self) -> bool {
        for _ in 0..ANSWER_ATTEMPTS_MAX {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if answers(self.port) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

fn spawn(port: u16, folder: &Path, arguments: &[&str]) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--requirepass", PASSWORD])
        .args(["--save", "", "--appendonly", "no", "--dir"])
        .arg(folder)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is needed to run these tests")
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answers(port: u16) -> bool {
    const EXPECTED: &[u8] = b"+OK\r\n+PONG\r\n";
    let Ok(mut stream) = StdStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut answer = vec![0; EXPECTED.len()];
    stream.write_all(format!("AUTH {PASSWORD}\r\nPING\r\n").as_bytes()).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer == EXPECTED
}

/// What the proxy does to every connection, old and new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    Works,
    /// Bytes are held back in both directions.
    Stalled,
    /// Requests arrive, and their answers are dropped.
    AnswersLost,
    /// Requests arrive, and instead of each answer comes this.
    Says(&'static [u8]),
    /// Connections are closed, new ones at once.
    Cut,
}

/// A server that is reached through a network which the test breaks and mends.
pub struct BreakableRedis {
    pub server: RedisServer,
    address: SocketAddr,
    network: watch::Sender<Network>,
    target: Arc<AtomicU16>,
    proxy: JoinHandle<()>,
}

impl BreakableRedis {
    pub async fn start() -> Self {
        let server = RedisServer::start();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (network, state) = watch::channel(Network::Works);
        let target = Arc::new(AtomicU16::new(server.port()));
        let port = Arc::clone(&target);
        let proxy = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, port.load(Ordering::SeqCst), state.clone()));
            }
        });
        Self { server, address, network, target, proxy }
    }

    /// The way through the proxy.
    pub fn url(&self) -> String {
        format!("redis://:{PASSWORD}@{}", self.address)
    }

    /// New connections lead to another server, as after a failover; those that are open stay.
    pub fn lead_to(&self, other: &RedisServer) {
        self.target.store(other.port(), Ordering::SeqCst);
    }

    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

impl Drop for BreakableRedis {
    fn drop(&mut self) {
        self.proxy.abort();
    }
}

async fn carry(client: TcpStream, port: u16, network: watch::Receiver<Network>) {
    if *network.borrow() == Network::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pump(from_client, to_server, network.clone(), false) => {}
        () = pump(from_server, to_client, network, true) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut network: watch::Receiver<Network>,
    answers: bool,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let state = *network.borrow_and_update();
        if state == Network::Cut {
            return;
        }
        let read = tokio::select! {
            changed = network.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            read = from.read(&mut buffer), if state != Network::Stalled => read,
        };
        match read {
            Ok(0) | Err(_) => return,
            Ok(_) if answers && state == Network::AnswersLost => {}
            Ok(bytes) => {
                let bytes = match state {
                    Network::Says(said) if answers => said,
                    _ => &buffer[..bytes],
                };
                if to.write_all(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}
