//! The Redis store: one multiplexed connection, one pipeline per batch, one script per commit.
//!
//! Layout. A record or a value with an expiry is a string: the envelope's head, then the bytes. A set is a sorted set
//! whose members all score 0, so that Redis keeps them in byte order and a page costs no more than its size. Nothing
//! but ids of fixed length stands in a key, and everything else travels as a bulk argument.
//!
//! Threads. [`Redis::connect`] is called on the runtime that lives as long as the process: the connection's task and
//! the task that reconnects run there. Calls may come from any thread and any runtime that has its timer enabled.
//!
//! Rights. An ACL user needs `~pc:* &pc:notes +get +getdel +set +unlink +zadd +zrem +zcard +zrangebylex +zremrangebylex
//! +pexpire +getrange +xadd +xrange +xtrim +publish +subscribe +ping +evalsha +script|load +info`; without `+info` the
//! checks of the server's version and eviction policy are left out.
//!
//! Durability and atomicity are the server's: a commit is one script on one node. What `appendfsync` and replication
//! lose in a failover is lost.
mod answers;
mod commands;
mod errors;
mod link;
mod listener;

use std::time::Duration;

use ::redis::{Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind, Value, cmd};
use tokio::time::Instant;

use super::{
    BoxFuture, Commit, Committed, Entry, Key, Notes, Op, Reply, Store, StoreError, StreamHead, Timestamp,
    rules,
};
use commands::{command, commit_command, is_script, load_scripts};
use errors::{corrupt_reply, store_error};
use link::Link;
use listener::Listener;

/// The lifetime of the key that [`Store::ready`] writes.
const READY_MILLIS: u64 = 1_000;
const READY_KEY: &str = "pc:ready";

/// Which server, and how long to wait for it.
#[derive(Clone, PartialEq)]
pub struct Settings {
    /// `redis://` or `rediss://`, with ACL user and password. A secret: never logged.
    pub url: String,
    /// Every operation ends within this.
    pub timeout_millis_max: u64,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("redis::Settings(…)")
    }
}

/// See the module's documentation.
pub struct Redis {
    link: Link,
    listener: Listener,
    timeout_millis_max: u64,
}

impl Redis {
    /// Connects, and fails if the server cannot be reached, refuses us, or is not fit to be our store; later losses
    /// are mended in the background. Call it on the runtime that lives as long as the process.
    ///
    /// `rediss://` trusts the system's certificates, or those that `SSL_CERT_FILE` names.
    pub async fn connect(settings: &Settings) -> Result<Self, StoreError> {
        let timeout_millis_max = settings.timeout_millis_max;
        let link = Link::connect(&settings.url, timeout_millis_max).await?;
        let listener = Listener::start(&settings.url, timeout_millis_max).await?;
        Ok(Self { link, listener, timeout_millis_max })
    }

    /// Runs commands in one round trip; answers what the server said to each. Ends by `deadline`.
    async fn run(
        &self,
        commands: Vec<Cmd>,
        deadline: Instant,
    ) -> Result<Vec<Result<Value, RedisError>>, StoreError> {
        let mut up = self.link.up()?;
        let sent = commands.len();
        let mut pipeline = Pipeline::with_capacity(sent);
        for command in commands {
            pipeline.add_command(command);
        }
        pipeline.ignore_errors();
        let answers = pipeline.query_async::<Vec<Result<Value, RedisError>>>(&mut up.connection);
        let answers = match tokio::time::timeout_at(deadline, answers).await {
            // A server that hangs keeps its socket open: only a new connection tells when it is back.
            Err(_) => {
                self.link.lost(up.generation, "it stopped answering");
                return Err(StoreError::Timeout(self.timeout_millis_max));
            }
            Ok(Err(error)) => {
                self.link.lost(up.generation, "the connection broke");
                return Err(store_error(&error));
            }
            Ok(Ok(answers)) => answers,
        };
        // A primary that became a replica: the address may lead to the new primary by now.
        if answers.iter().any(is_read_only) {
            self.link.lost(up.generation, "it became read-only");
        }
        if answers.len() == sent { Ok(answers) } else { Err(corrupt_reply()) }
    }

    /// Runs commands of which some may name a script; those whose script the server has forgotten run once more.
    async fn run_scripts(
        &self,
        commands: impl Fn() -> Vec<Cmd>,
        deadline: Instant,
    ) -> Result<Vec<Result<Value, RedisError>>, StoreError> {
        let mut answers = self.run(commands(), deadline).await?;
        if !answers.iter().any(is_forgotten) {
            return Ok(answers);
        }
        let load = load_scripts();
        let loaded = load.len();
        let forgotten = commands().into_iter().zip(&answers).filter(|(_, answer)| is_forgotten(answer));
        let again = load.into_iter().chain(forgotten.map(|(command, _)| command)).collect();
        let mut replies = self.run(again, deadline).await?.into_iter().skip(loaded);
        for answer in answers.iter_mut().filter(|answer| is_forgotten(answer)) {
            *answer = replies.next().ok_or_else(corrupt_reply)?;
        }
        Ok(answers)
    }

    /// Runs one command that names no script.
    async fn run_one(&self, command: Cmd) -> Result<Result<Value, RedisError>, StoreError> {
        self.run(vec![command], self.deadline()).await?.into_iter().next().ok_or_else(corrupt_reply)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.timeout_millis_max)
    }
}

impl Store for Redis {
    /// After the server forgot its scripts, the scripts of that one batch run after the batch's other steps.
    fn batch(&self, now: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        Box::pin(async move {
            rules::check_batch(&ops)?;
            if ops.is_empty() {
                return Ok(Vec::new());
            }
            let commands = || ops.iter().map(|op| command(op, now)).collect();
            let answers = if ops.iter().any(is_script) {
                self.run_scripts(commands, self.deadline()).await?
            } else {
                self.run(commands(), self.deadline()).await?
            };
            ops.iter().zip(answers).map(|(op, answer)| answers::reply(op, answer, now)).collect()
        })
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        Box::pin(async move {
            rules::check_commit(&change)?;
            let script = || vec![commit_command(&change.expect, &change.writes)];
            let answers = self.run_scripts(script, self.deadline()).await?;
            answers::committed(answers.into_iter().next().ok_or_else(corrupt_reply)?)
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
            let after = after.map_or_else(|| b"-".to_vec(), |after| [b"(", after.as_slice()].concat());
            let mut page = cmd("ZRANGEBYLEX");
            page.arg(set.text()).arg(after).arg("+").arg("LIMIT").arg(0).arg(limit);
            answers::members(self.run_one(page).await?)
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
            answers::entries(self.run_one(page).await?)
        })
    }

    fn stream_head(&self, stream: Key) -> BoxFuture<'_, Result<StreamHead, StoreError>> {
        Box::pin(async move {
            rules::stream(&stream)?;
            let mut get = cmd("GET");
            get.arg(stream.head_text());
            answers::stream_head(self.run_one(get).await?)
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
            let mut write = cmd("SET");
            write.arg(READY_KEY).arg(1).arg("PX").arg(READY_MILLIS);
            match self.run_one(write).await? {
                Ok(Value::Okay) => Ok(()),
                Err(error) => Err(store_error(&error)),
                Ok(_) => Err(corrupt_reply()),
            }
        })
    }
}

fn is_forgotten(answer: &Result<Value, RedisError>) -> bool {
    matches!(answer, Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
}

fn is_read_only(answer: &Result<Value, RedisError>) -> bool {
    matches!(answer, Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly))
}
