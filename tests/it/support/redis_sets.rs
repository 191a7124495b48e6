//! Several Redis processes that belong together: a cluster, a primary with a replica, sentinels.
use std::{
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use super::redis::{PASSWORD, RedisServer, free_port};

/// At 20 ms each.
const ATTEMPTS_MAX: usize = 3_000;
/// The name of the primary, as the sentinels of the tests know it.
pub const PRIMARY: &str = "the-primary";
pub const SENTINEL_PASSWORD: &str = "the-sentinels";

/// Waits until `holds`, for a minute.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..ATTEMPTS_MAX {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came to this: {what}");
}

/// Three primaries that share the slots.
pub struct RedisCluster {
    pub nodes: Vec<RedisServer>,
}

impl RedisCluster {
    pub async fn start(more: &[&str]) -> Self {
        let nodes: Vec<RedisServer> = (0..3).map(|_| start_node(more)).collect();
        for (n, (node, slots)) in
            nodes.iter().zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")]).enumerate()
        {
            node.run::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()]).await;
            node.run::<()>(&["CLUSTER", "ADDSLOTSRANGE", slots.0, slots.1]).await;
        }
        for other in &nodes[1..] {
            let (port, bus) = (other.port().to_string(), bus_port(other).await);
            nodes[0].run::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await;
        }
        let cluster = Self { nodes };
        eventually("the nodes know each other", async || {
            for node in &cluster.nodes {
                let info: String = node.run(&["CLUSTER", "INFO"]).await;
                let says = |field: &str| info.contains(&format!("{field}\r\n"));
                if !says("cluster_state:ok")
                    || !says("cluster_known_nodes:3")
                    || !says("cluster_slots_assigned:16384")
                {
                    return false;
                }
            }
            true
        })
        .await;
        cluster
    }

    pub async fn flush(&self) {
        for node in &self.nodes {
            node.run::<()>(&["FLUSHALL"]).await;
        }
    }

    /// The number of the node that has a key's slot, as the nodes themselves say.
    pub async fn owner(&self, key: &str) -> usize {
        let slot: u16 = self.nodes[0].run(&["CLUSTER", "KEYSLOT", key]).await;
        for (n, node) in self.nodes.iter().enumerate() {
            let own: String = node.run(&["CLUSTER", "NODES"]).await;
            let line = own.lines().find(|line| line.contains("myself")).unwrap();
            let ranges = line.split_whitespace().skip(8).filter(|word| !word.starts_with('['));
            for range in ranges {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                if (first.parse::<u16>().unwrap()..=last.parse().unwrap()).contains(&slot) {
                    return n;
                }
            }
        }
        panic!("slot {slot} is nobody's");
    }

    pub async fn id(&self, node: usize) -> String {
        self.nodes[node].run(&["CLUSTER", "MYID"]).await
    }
}

fn start_node(more: &[&str]) -> RedisServer {
    let bus = free_port().to_string();
    let own = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "15000"];
    RedisServer::start_with(&[&own[..], more].concat())
}

async fn bus_port(node: &RedisServer) -> String {
    let own: String = node.run(&["CLUSTER", "NODES"]).await;
    let address = own.split_whitespace().nth(1).unwrap().to_owned();
    address.split_once('@').unwrap().1.split(',').next().unwrap().to_owned()
}

/// A server that replicates another and has everything that it has.
pub async fn replica_of(primary: &RedisServer) -> RedisServer {
    let port = primary.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port, "--masterauth", PASSWORD]);
    eventually("the replica follows", async || {
        let info: String = replica.run(&["INFO", "replication"]).await;
        info.contains("master_link_status:up")
    })
    .await;
    replica
}

/// A primary that may become a replica.
pub fn primary() -> RedisServer {
    RedisServer::start_with(&["--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0"])
}

/// A sentinel on a port of its own. Killed when dropped.
pub struct Sentinel {
    child: Child,
    pub port: u16,
    _folder: TempDir,
}

impl Sentinel {
    /// Watches the server at `watched`; `lines` are further settings.
    pub async fn start(port: u16, watched: u16, quorum: u8, lines: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sentinel.conf");
        let lines = lines.join("\n");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nrequirepass {SENTINEL_PASSWORD}\n\
             sentinel sentinel-pass {SENTINEL_PASSWORD}\n\
             sentinel monitor {PRIMARY} 127.0.0.1 {watched} {quorum}\n\
             sentinel auth-pass {PRIMARY} {PASSWORD}\n\
             sentinel down-after-milliseconds {PRIMARY} 1000\n\
             sentinel failover-timeout {PRIMARY} 5000\n{lines}\n",
            folder.path().display()
        );
        std::fs::write(&path, text).unwrap();
        let sentinel = Self { child: spawn(&path), port, _folder: folder };
        eventually("the sentinel listens", async || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
            .await;
        sentinel
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(configuration: &Path) -> Child {
    Command::new("redis-server")
        .arg(configuration)
        .arg("--sentinel")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is needed to run these tests")
}

/// Runs a command on a sentinel.
pub async fn ask_sentinel(port: u16, words: &[&str]) -> redis::RedisResult<redis::Value> {
    let client = redis::Client::open(format!("redis://:{SENTINEL_PASSWORD}@127.0.0.1:{port}")).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command.query_async(&mut connection).await
}
