//! The Redis store: one multiplexed connection to each primary, one pipeline per batch and node, one script per commit.
//!
//! Layout. A record or a value with an expiry is a string: the envelope's head, then the bytes. A set is a sorted set
//! whose members all score 0, so that Redis keeps them in byte order and a page costs no more than its size. A tally is a string:
//! the head, then its time. A stream is a
//! stream whose ids are `SEQUENCE-0`, with the head in a string beside it. Nothing but ids of fixed length stands in a key, and
//! everything else travels as a bulk argument.
//!
//! Threads. [`Redis::connect`] is called on the runtime that lives as long as the process: the connection's task and
//! the task that reconnects run there. Calls may come from any thread and any runtime that has its timer enabled.
//!
//! Rights. `docs/REDIS.md` has them; the tests run with those, and `fitness` tries each one at every connection.
//!
//! Durability and atomicity are the server's: a commit is one script on one node. What `appendfsync` and replication
//! lose in a failover is lost, unless [`Replicas`] are waited for.
mod answers;
mod cluster;
mod commands;
mod ends;
mod errors;
mod fitness;
mod link;
mod listener;
mod node;
mod sentinel;
mod slot;
mod topology;
mod unsure;
mod whole;

use std::sync::Arc;

use ::redis::{Cmd, RedisError, Value, cmd};
use tokio::sync::broadcast;

use super::{
    BoxFuture, Commit, Committed, Entry, Key, NOTES_QUEUED_MAX, Notes, Op, Reply, SealKey, Store, StoreError,
    StreamHead, Timestamp, Write, rules,
};
use cluster::Cluster;
use commands::{
    append_command, command, commit_command, gets_command, key_of, members_command, must_last, sealed,
};
use ends::{Ends, Guess};
use errors::{corrupt_reply, store_error};
use link::{Manner, Place, connection_info, install_crypto_provider};
use listener::{Listener, Source};
use node::{Answers, Deadline, Leg, Node};
use sentinel::Sentinels;
use unsure::Touched;

/// The lifetime of the key that [`Store::ready`] writes.
const READY_MILLIS: u64 = 1_000;
const READY_KEY: &str = "pc:ready";

/// Which server, and how long to wait for it.
#[derive(Clone, PartialEq)]
pub struct Settings {
    /// `redis://` or `rediss://`, with ACL user and password. A secret: never logged. With sentinels its host is not used.
    pub url: String,
    pub topology: Topology,
    /// Every operation ends within this.
    pub timeout_millis_max: u64,
    /// `None` waits for no replica.
    pub replicas: Option<Replicas>,
    /// The first seals what is written, and every one opens it; none, and nothing is sealed.
    pub seal_keys: Vec<SealKey>,
}

/// Who says where the server is.
#[derive(Clone, PartialEq)]
pub enum Topology {
    /// The URL.
    Single,
    /// The sentinels, and the name that the primary bears there.
    Sentinel(Sentinel),
    /// The nodes of a cluster. Those of the URL and these (host and port) are asked first.
    Cluster { nodes: Vec<(String, u16)> },
}

#[derive(Clone, PartialEq)]
pub struct Sentinel {
    /// Host and port of each; reached with or without TLS as the URL says.
    pub sentinels: Vec<(String, u16)>,
    pub primary: String,
    pub user: Option<String>,
    /// A secret: never logged.
    pub password: Option<String>,
}

/// What must be on replicas before it counts: what is used once, what is taken away, and every commit.
///
/// A write that too few replicas acknowledge in time fails with [`StoreError::NotReplicated`], although the primary has it. Until
/// they do, this process's reads of what it wrote wait for them too, and fail likewise. It
/// makes it unlikely that a failover forgets what was acknowledged; it does not rule it out, because Redis may promote a
/// replica that does not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicas {
    /// At least 1.
    pub acknowledged_min: u32,
    /// Less than the timeout of an operation.
    pub wait_millis_max: u64,
}

impl Settings {
    /// One server, and no waiting for replicas.
    pub fn single(url: String, timeout_millis_max: u64) -> Self {
        Self { url, topology: Topology::Single, timeout_millis_max, replicas: None, seal_keys: vec![] }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("redis::Settings(…)")
    }
}

/// See the module's documentation.
pub struct Redis {
    servers: Servers,
    listener: Listener,
    ends: Ends,
    timeout_millis_max: u64,
    has_replicas: bool,
}

enum Servers {
    One(Node),
    Cluster(Cluster),
}

/// A command on its way.
#[derive(Clone)]
struct Step {
    pub command: Cmd,
    /// The text of the key that says on which node of a cluster it runs: only a cluster asks for it.
    pub key: Option<String>,
    /// Whether replicas must have it.
    pub must_last: bool,
    /// Empty where no replicas are waited for.
    pub touched: Touched,
}

impl Redis {
    /// Connects, and fails if a server cannot be reached, refuses us, or is not fit to be our store; later losses
    /// are mended in the background. Call it on the runtime that lives as long as the process.
    ///
    /// `rediss://` trusts the system's certificates, or those that `SSL_CERT_FILE` names.
    pub async fn connect(settings: &Settings) -> Result<Self, StoreError> {
        install_crypto_provider();
        let (timeout_millis_max, replicas) = (settings.timeout_millis_max, settings.replicas);
        let template = connection_info(&settings.url).map_err(|error| store_error(&error))?;
        let told = broadcast::Sender::new(NOTES_QUEUED_MAX);
        let replicas_min = replicas.map_or(0, |replicas| replicas.acknowledged_min);
        let manner = Manner { timeout_millis_max, replicas_min, told: told.clone() };
        let place = match &settings.topology {
            Topology::Single => Place::Fixed(template),
            Topology::Sentinel(settings) => Place::Sentinels(Sentinels::new(settings, template)),
            Topology::Cluster { nodes } => {
                let own = topology::address(&template);
                let seeds = own.into_iter().chain(nodes.iter().cloned()).collect();
                let cluster = Cluster::connect(template, seeds, manner, replicas).await?;
                let listener =
                    Listener::start(Source::Cluster(cluster.source()), timeout_millis_max, told).await;
                return Ok(Self {
                    servers: Servers::Cluster(cluster),
                    listener,
                    ends: Ends::default(),
                    timeout_millis_max,
                    has_replicas: replicas.is_some(),
                });
            }
        };
        let place = Arc::new(place);
        let (node, first) = Node::start(Arc::clone(&place), manner, replicas).await;
        first?;
        let listener = Listener::start(Source::Place(place), timeout_millis_max, told).await;
        let has_replicas = replicas.is_some();
        Ok(Self {
            servers: Servers::One(node),
            listener,
            ends: Ends::default(),
            timeout_millis_max,
            has_replicas,
        })
    }

    /// Runs steps in order; answers what the servers said to each.
    async fn run(&self, steps: Vec<Step>) -> Result<Answers, StoreError> {
        let deadline = Deadline::within(self.timeout_millis_max);
        match &self.servers {
            Servers::One(node) => node.run(Leg::of(steps), &|| Some(READY_KEY.to_owned()), deadline).await,
            Servers::Cluster(cluster) => cluster.run(steps, deadline).await,
        }
    }

    /// Runs one step.
    async fn run_one(&self, step: Step) -> Result<Result<Value, RedisError>, StoreError> {
        self.run(vec![step]).await?.into_iter().next().ok_or_else(corrupt_reply)
    }

    /// Runs a command that only reads, or whose loss does no harm.
    async fn ask(&self, key: &Key, command: Cmd) -> Result<Result<Value, RedisError>, StoreError> {
        let touched = self.touched(|| Touched { reads: vec![*key], writes: vec![] });
        self.run_one(Step { command, key: self.place(key), must_last: false, touched }).await
    }

    fn place(&self, key: &Key) -> Option<String> {
        matches!(self.servers, Servers::Cluster(_)).then(|| key.text())
    }

    fn touched(&self, keys: impl FnOnce() -> Touched) -> Touched {
        if self.has_replicas { keys() } else { Touched::default() }
    }
}

/// Writes what nobody reads.
fn ready_command(key: &str) -> Cmd {
    let mut command = cmd("SET");
    command.arg(key).arg(1).arg("PX").arg(READY_MILLIS);
    command
}

fn ready_step(key: String) -> Step {
    Step { command: ready_command(&key), key: Some(key), must_last: true, touched: Touched::default() }
}

impl Store for Redis {
    /// After the server forgot its scripts, the scripts of that one batch run after the batch's other steps.
    fn batch(&self, now: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        Box::pin(async move {
            rules::check_batch(&ops)?;
            if ops.is_empty() {
                return Ok(Vec::new());
            }
            if let (Servers::One(_), Some(gets)) = (&self.servers, gets_command(&ops)) {
                let touched = self.touched(|| Touched::by_ops(&ops));
                let step = Step { command: gets, key: None, must_last: false, touched };
                return answers::gets(ops.len(), self.run_one(step).await?, now);
            }
            let step = |op: &Op| Step {
                command: command(op, now),
                key: key_of(op).and_then(|key| self.place(key)),
                must_last: must_last(op),
                touched: self.touched(|| Touched::by_op(op)),
            };
            let mut steps: Vec<Step> = ops.iter().map(step).collect();
            // As late as can be: who guesses and is overtaken on the way to the connection was wrong.
            let mut guesses: Vec<(usize, Key, Guess)> = Vec::new();
            for (at, (op, step)) in ops.iter().zip(&mut steps).enumerate() {
                let Op::Append(key, value) = op else { continue };
                let guess = self.ends.guess(*key, std::iter::once(&value[..]));
                for seal in &guess.seals {
                    step.command = append_command(key, value, seal);
                }
                guesses.push((at, *key, guess));
            }
            let answers = self.run(steps).await;
            for (at, key, guess) in &guesses {
                self.ends.settle(*key, guess, answers.as_ref().ok().and_then(|answers| answers.get(*at)));
            }
            ops.iter().zip(answers?).map(|(op, answer)| answers::reply(op, answer, now)).collect()
        })
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        Box::pin(async move {
            rules::check_commit(&change)?;
            let first = change.expect.first().map(|(key, _)| key);
            let key = first.or_else(|| change.writes.iter().find_map(Write::key));
            let key = key.and_then(|key| self.place(key));
            let command = commit_command(&change.expect, &change.writes);
            let touched = self.touched(|| Touched::by_commit(&change));
            // All appends of a commit go to one stream.
            let appended = change.writes.iter().filter_map(|write| match write {
                Write::Append(key, value) => Some((*key, &value[..])),
                _ => None,
            });
            let stream = appended.clone().next().map(|(key, _)| key);
            let guess =
                stream.map(|stream| (stream, self.ends.guess(stream, appended.map(|(_, value)| value))));
            let seals = guess.as_ref().map_or(&[][..], |(_, guess)| &guess.seals);
            let command = sealed(command, seals);
            let answer = self.run_one(Step { command, key, must_last: true, touched }).await;
            if let Some((stream, guess)) = &guess {
                self.ends.settle(*stream, guess, answer.as_ref().ok());
            }
            answers::committed(answer?)
        })
    }

    fn members(
        &self,
        set: Key,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            rules::check_members(&set, limit)?;
            let page = members_command(&set, after.as_deref(), limit);
            answers::members(self.ask(&set, page).await?)
        })
    }

    fn page(&self, set: Key, offset: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            rules::check_page(&set, limit)?;
            let first = i64::try_from(offset).unwrap_or(i64::MAX);
            let last = first.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX) - 1);
            let mut page = cmd("ZRANGE");
            page.arg(set.text()).arg(first).arg(last);
            answers::members(self.ask(&set, page).await?)
        })
    }

    fn count(&self, set: Key) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            rules::check_numbered(&set)?;
            let mut count = cmd("ZCARD");
            count.arg(set.text());
            answers::count(self.ask(&set, count).await?)
        })
    }

    fn entries(
        &self,
        stream: Key,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        Box::pin(async move {
            rules::check_entries(&stream, limit)?;
            let mut page = cmd("XRANGE");
            page.arg(stream.text()).arg(format!("({after}-0")).arg("+").arg("COUNT").arg(limit);
            answers::entries(self.ask(&stream, page).await?)
        })
    }

    fn stream_head(&self, stream: Key) -> BoxFuture<'_, Result<StreamHead, StoreError>> {
        Box::pin(async move {
            rules::stream(&stream)?;
            let mut get = cmd("GET");
            get.arg(stream.head_text());
            answers::stream_head(self.ask(&stream, get).await?)
        })
    }

    fn notes(&self) -> Notes {
        self.listener.notes()
    }

    fn is_listening(&self) -> bool {
        self.listener.is_up()
    }

    /// Writes: a replica, a full server, one without enough replicas or with a broken disk refuse just that.
    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let deadline = Deadline::within(self.timeout_millis_max);
            if let Servers::Cluster(cluster) = &self.servers {
                return cluster.ready(ready_step, deadline).await;
            }
            match self.run_one(ready_step(READY_KEY.to_owned())).await? {
                Ok(Value::Okay) => Ok(()),
                Err(error) => Err(store_error(&error)),
                Ok(_) => Err(corrupt_reply()),
            }
        })
    }
}
