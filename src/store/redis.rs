//! The Redis store: one multiplexed connection, one pipeline per batch, one script per commit.
//!
//! Layout. A record or a value with an expiry is a string: the envelope's head, then the bytes. A set is a sorted set
//! whose members all score 0, so that Redis keeps them in byte order and a page costs no more than its size. Nothing
//! but ids of fixed length stands in a key, and everything else travels as a bulk argument.
//!
//! Threads. [`Redis::connect`] is called on the runtime that lives as long as the process: the connection's task and
//! the task that reconnects run there. Calls may come from any thread and any runtime that has its timer enabled.
//!
//! Rights. An ACL user needs `~pc:* +get +getdel +set +unlink +zadd +zrem +zcard +zrangebylex +zremrangebylex +pexpire
//! +getrange +evalsha
//! +script|load +info`; without `+info` the checks of the server's version and eviction policy are left out.
//!
//! Durability and atomicity are the server's: a commit is one script on one node. What `appendfsync` and replication
//! lose in a failover is lost.
mod errors;
mod link;

use std::{sync::LazyLock, time::Duration};

use ::redis::{Cmd, ErrorKind, Pipeline, RedisError, Script, ServerErrorKind, Value, cmd};
use tokio::time::Instant;

use super::{
    BoxFuture, Commit, Committed, Key, Op, Reply, Store, StoreError, Timestamp, Versioned, Write, envelope,
    rules,
};
use errors::{corrupt_reply, store_error};
use link::Link;

/// How long a value outlives its expiry on the server, so that a server whose clock runs ahead of ours does not
/// forget a mark that we still rely on. Reads judge the expiry by our clock.
const EXPIRY_MARGIN_MILLIS: u64 = 60_000;
/// The lifetime of the key that [`Store::ready`] writes.
const READY_MILLIS: u64 = 1_000;
const READY_KEY: &str = "pc:ready";

static COMMIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/commit.lua")));
static REPLACE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/replace.lua")));

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
        Ok(Self { link, timeout_millis_max })
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

    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.timeout_millis_max)
    }
}

impl Store for Redis {
    /// After the server forgot its scripts, a [`Op::Replace`] of that one batch runs after the batch's other steps.
    fn batch(&self, now: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        Box::pin(async move {
            rules::check_batch(&ops)?;
            if ops.is_empty() {
                return Ok(Vec::new());
            }
            let commands = || ops.iter().map(|op| command(op, now)).collect();
            let answers = if ops.iter().any(|op| matches!(op, Op::Replace { .. })) {
                self.run_scripts(commands, self.deadline()).await?
            } else {
                self.run(commands(), self.deadline()).await?
            };
            ops.iter().zip(answers).map(|(op, answer)| reply(op, answer, now)).collect()
        })
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        Box::pin(async move {
            rules::check_commit(&change)?;
            let answers = self.run_scripts(|| vec![commit_command(&change)], self.deadline()).await?;
            match answers.into_iter().next() {
                Some(Ok(Value::Int(1))) => Ok(Committed::Applied),
                Some(Ok(Value::Int(0))) => Ok(Committed::Conflict),
                Some(Err(error)) => Err(store_error(&error)),
                _ => Err(corrupt_reply()),
            }
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
            let answers = self.run(vec![page], self.deadline()).await?;
            match answers.into_iter().next() {
                Some(Ok(Value::Array(members))) => members.into_iter().map(bytes).collect(),
                Some(Err(error)) => Err(store_error(&error)),
                _ => Err(corrupt_reply()),
            }
        })
    }

    /// Writes: a replica, a full server, one without enough replicas or with a broken disk refuse just that.
    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut write = cmd("SET");
            write.arg(READY_KEY).arg(1).arg("PX").arg(READY_MILLIS);
            match self.run(vec![write], self.deadline()).await?.into_iter().next() {
                Some(Ok(Value::Okay)) => Ok(()),
                Some(Err(error)) => Err(store_error(&error)),
                _ => Err(corrupt_reply()),
            }
        })
    }
}

fn command(op: &Op, now: Timestamp) -> Cmd {
    let with_key = |name: &str, key: &Key| {
        let mut command = cmd(name);
        command.arg(key.text());
        command
    };
    match op {
        Op::Get(key) => with_key("GET", key),
        Op::Take(key) => with_key("GETDEL", key),
        Op::Delete(key) => with_key("UNLINK", key),
        Op::PutOnce { key, value, expires_at } => {
            let mut command = with_key("SET", key);
            let value = envelope::expiring(*expires_at, value);
            command.arg(value).arg("NX").arg("PX").arg(kept_millis(*expires_at, now));
            command
        }
        Op::Put { key, value, expires_at } => {
            let mut command = with_key("SET", key);
            command.arg(envelope::expiring(*expires_at, value)).arg("PX").arg(kept_millis(*expires_at, now));
            command
        }
        Op::Replace { key, value, expires_at } => {
            let mut command = cmd("EVALSHA");
            command
                .arg(REPLACE.get_hash())
                .arg(1)
                .arg(key.text())
                .arg(envelope::digits(envelope::millis(now)));
            command.arg(envelope::expiring(*expires_at, value)).arg(kept_millis(*expires_at, now));
            command
        }
        Op::Insert(key, member) => {
            let mut command = with_key("ZADD", key);
            command.arg(0).arg(member.as_slice());
            command
        }
        Op::Remove(key, member) => {
            let mut command = with_key("ZREM", key);
            command.arg(member.as_slice());
            command
        }
        Op::RemoveBelow(key, end) => {
            let mut command = with_key("ZREMRANGEBYLEX", key);
            command.arg("-").arg([b"(", end.as_slice()].concat());
            command
        }
        Op::Expire(key, at) => {
            let mut command = with_key("PEXPIRE", key);
            command.arg(kept_millis(*at, now));
            command
        }
    }
}

/// How long the server keeps a value: what remains by our clock, and the margin.
fn kept_millis(expires_at: Timestamp, now: Timestamp) -> u64 {
    envelope::millis(expires_at).saturating_sub(envelope::millis(now)) + EXPIRY_MARGIN_MILLIS
}

fn reply(op: &Op, answer: Result<Value, RedisError>, now: Timestamp) -> Result<Reply, StoreError> {
    let answer = answer.map_err(|error| store_error(&error))?;
    match (op, answer) {
        (Op::Get(_) | Op::Take(_), answer) => stored(answer, now).map(Reply::Value),
        (Op::PutOnce { .. }, Value::Okay) | (Op::Replace { .. }, Value::Int(1)) => Ok(Reply::Created(true)),
        (Op::PutOnce { .. }, Value::Nil) | (Op::Replace { .. }, Value::Int(0)) => Ok(Reply::Created(false)),
        (Op::Put { .. }, Value::Okay) => Ok(Reply::Done),
        (
            Op::Insert(..) | Op::Remove(..) | Op::RemoveBelow(..) | Op::Expire(..) | Op::Delete(_),
            Value::Int(_),
        ) => Ok(Reply::Done),
        _ => Err(corrupt_reply()),
    }
}

fn stored(answer: Value, now: Timestamp) -> Result<Option<Versioned>, StoreError> {
    match answer {
        Value::Nil => Ok(None),
        answer => envelope::open(bytes(answer)?, now),
    }
}

fn bytes(answer: Value) -> Result<Vec<u8>, StoreError> {
    match answer {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(corrupt_reply()),
    }
}

fn commit_command(change: &Commit) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(COMMIT.get_hash()).arg(change.expect.len() + change.writes.len());
    for (key, _) in &change.expect {
        command.arg(key.text());
    }
    for write in &change.writes {
        match write {
            Write::Put(key, _) | Write::Delete(key) | Write::Insert(key, _) | Write::Remove(key, _) => {
                command.arg(key.text())
            }
        };
    }
    command.arg(change.expect.len());
    for (_, revision) in &change.expect {
        command.arg(envelope::digits(*revision));
    }
    for write in &change.writes {
        match write {
            Write::Put(_, value) => command.arg("put").arg(value.as_slice()),
            Write::Delete(_) => command.arg("delete").arg(""),
            Write::Insert(_, member) => command.arg("insert").arg(member.as_slice()),
            Write::Remove(_, member) => command.arg("remove").arg(member.as_slice()),
        };
    }
    command
}

/// The commands that make the server know our scripts.
fn load_scripts() -> [Cmd; 2] {
    [include_str!("redis/commit.lua"), include_str!("redis/replace.lua")].map(|text| {
        let mut command = cmd("SCRIPT");
        command.arg("LOAD").arg(text);
        command
    })
}

fn is_forgotten(answer: &Result<Value, RedisError>) -> bool {
    matches!(answer, Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
}

fn is_read_only(answer: &Result<Value, RedisError>) -> bool {
    matches!(answer, Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly))
}
