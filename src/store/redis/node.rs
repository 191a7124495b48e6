//! One server: runs commands in one round trip, and waits for its replicas where that is asked for.
use std::{sync::Arc, time::Duration};

use ::redis::{Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind, Value, cmd};
use tokio::time::Instant;

use super::{
    Replicas, Step,
    commands::load_scripts,
    errors::{corrupt_reply, store_error},
    link::{Link, Manner, Place, Up},
    ready_command,
    unsure::{Touched, Unsure},
};
use crate::store::StoreError;

/// What the server said to each command.
pub(super) type Answers = Vec<Result<Value, RedisError>>;

/// How long a batch may take, and what to say if it takes longer.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    millis_max: u64,
}

impl Deadline {
    pub fn within(millis_max: u64) -> Self {
        Self { at: Instant::now() + Duration::from_millis(millis_max), millis_max }
    }

    pub fn passed(&self) -> StoreError {
        StoreError::Timeout(self.millis_max)
    }

    pub async fn limit<T>(&self, work: impl Future<Output = T>) -> Result<T, StoreError> {
        tokio::time::timeout_at(self.at, work).await.map_err(|_| self.passed())
    }
}

/// What goes to one server in one round trip.
#[derive(Default)]
pub(super) struct Leg {
    pub commands: Vec<Cmd>,
    /// Whether replicas must have it.
    pub must_last: bool,
    pub touched: Touched,
}

impl Leg {
    pub fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        let mut leg = Self::default();
        for Step { command, must_last, touched, .. } in steps {
            leg.commands.push(command);
            leg.must_last |= must_last;
            leg.touched.add(touched);
        }
        leg
    }

    /// A command that touches nothing that replicas must have.
    pub fn free(command: Cmd) -> Self {
        Self { commands: vec![command], ..Self::default() }
    }
}

/// Says which key of the server's own may be written to it, so that a `WAIT` has something to wait for.
pub(super) type ReadyKey<'a> = &'a (dyn Fn() -> Option<String> + Sync);

pub(super) struct Node {
    link: Link,
    lasting: Option<Lasting>,
}

/// For writes that wait for replicas. Their connection is their own: what is sent behind a `WAIT` waits too, and no request's
/// session should.
struct Lasting {
    link: Link,
    replicas: Replicas,
    unsure: Unsure,
}

impl Node {
    /// Connects; the result is that of the first attempt.
    pub async fn start(
        place: Arc<Place>,
        manner: Manner,
        replicas: Option<Replicas>,
    ) -> (Self, Result<(), StoreError>) {
        let (link, first) = Link::start(Arc::clone(&place), manner.clone()).await;
        let Some(replicas) = replicas else { return (Self { link, lasting: None }, first) };
        // A gap is told by the first connection alone, and so are warnings, but it does no harm to hear them twice.
        let (lasting, second) = Link::start(place, manner).await;
        let lasting = Lasting { link: lasting, replicas, unsure: Unsure::default() };
        (Self { link, lasting: Some(lasting) }, first.and(second))
    }

    pub fn is_up(&self) -> bool {
        self.link.up().is_ok()
    }

    /// Runs commands in one round trip. Those whose script the server has forgotten run once more, behind the others. What must
    /// last fails unless the replicas have everything that was written, and so does what was read if it is not known that
    /// they have it.
    pub async fn run(
        &self,
        leg: Leg,
        ready_key: ReadyKey<'_>,
        deadline: Deadline,
    ) -> Result<Answers, StoreError> {
        if let Some(lasting) = self.lasting.as_ref().filter(|_| leg.must_last) {
            return lasting.run(leg, ready_key, deadline).await;
        }
        let mut up = self.link.up()?;
        let (answers, _) = exchange(&self.link, &mut up, leg.commands, &[], deadline).await?;
        // After the answer: what was read and is not marked by now is on the replicas.
        if let Some(lasting) = &self.lasting
            && lasting.unsure.has(&leg.touched.reads)
        {
            lasting.settle(ready_key, deadline).await?;
        }
        Ok(answers)
    }
}

impl Lasting {
    async fn run(
        &self,
        leg: Leg,
        ready_key: ReadyKey<'_>,
        deadline: Deadline,
    ) -> Result<Answers, StoreError> {
        let mut up = self.link.up()?;
        let attempt = self.unsure.begin(leg.touched.writes, up.generation);
        let tail = self.tail(attempt.is_settling, ready_key)?;
        let (answers, said) = exchange(&self.link, &mut up, leg.commands, &tail, deadline).await?;
        self.check(said)?;
        attempt.acknowledged();
        Ok(answers)
    }

    /// Waits until replicas have everything that the server has.
    async fn settle(&self, ready_key: ReadyKey<'_>, deadline: Deadline) -> Result<(), StoreError> {
        let mut up = self.link.up()?;
        let attempt = self.unsure.begin_to_settle(up.generation);
        let tail = self.tail(true, ready_key)?;
        let (_, said) = exchange(&self.link, &mut up, vec![], &tail, deadline).await?;
        self.check(said)?;
        attempt.acknowledged();
        Ok(())
    }

    /// `WAIT` covers what its connection has written, so it covers everything behind a write of that moment (a Redis before
    /// 7.2 does so without).
    fn tail(&self, is_settling: bool, ready_key: ReadyKey<'_>) -> Result<Vec<Cmd>, StoreError> {
        let nowhere = || StoreError::Unavailable("the server has no slot of the cluster".into());
        let write = is_settling.then(|| ready_key().ok_or_else(nowhere)).transpose()?;
        Ok(write.map(|key| ready_command(&key)).into_iter().chain([wait(&self.replicas)]).collect())
    }

    fn check(&self, mut said: Answers) -> Result<(), StoreError> {
        acknowledged(said.pop().ok_or_else(corrupt_reply)?, &self.replicas)?;
        said.into_iter().try_for_each(|written| written.map(drop).map_err(|error| store_error(&error)))
    }
}

/// Runs commands, and a tail behind them all; answers what the server said to either.
async fn exchange(
    link: &Link,
    up: &mut Up,
    commands: Vec<Cmd>,
    tail: &[Cmd],
    deadline: Deadline,
) -> Result<(Answers, Answers), StoreError> {
    let sent = commands.len();
    let mut pipeline = pipeline(commands.into_iter().chain(tail.iter().cloned()));
    let mut answers = send(link, up, &mut pipeline, deadline).await?;
    let mut said = answers.split_off(sent);
    if answers.iter().any(is_forgotten) {
        let again: Vec<Cmd> = forgotten(&pipeline, &answers);
        run_forgotten(link, up, again, &mut answers, deadline).await?;
        if !tail.is_empty() {
            said = send(link, up, &mut self::pipeline(tail.iter().cloned()), deadline).await?;
        }
    }
    Ok((answers, said))
}

/// Loads the scripts, and puts the answers of those that run again in place.
async fn run_forgotten(
    link: &Link,
    up: &mut Up,
    again: Vec<Cmd>,
    answers: &mut Answers,
    deadline: Deadline,
) -> Result<(), StoreError> {
    let load = load_scripts();
    let loaded = load.len();
    let mut pipeline = pipeline(load.into_iter().chain(again));
    let mut replies = send(link, up, &mut pipeline, deadline).await?.into_iter().skip(loaded);
    for answer in answers.iter_mut().filter(|answer| is_forgotten(answer)) {
        *answer = replies.next().ok_or_else(corrupt_reply)?;
    }
    Ok(())
}

fn pipeline(commands: impl Iterator<Item = Cmd>) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(commands.size_hint().0);
    for command in commands {
        pipeline.add_command(command);
    }
    pipeline
}

/// Sends a pipeline on a connection, and reports a connection that is of no use any more.
async fn send(
    link: &Link,
    up: &mut Up,
    pipeline: &mut Pipeline,
    deadline: Deadline,
) -> Result<Answers, StoreError> {
    pipeline.ignore_errors();
    let answers = pipeline.query_async::<Answers>(&mut up.connection);
    let answers = match tokio::time::timeout_at(deadline.at, answers).await {
        // A server that hangs keeps its socket open: only a new connection tells when it is back.
        Err(_) => {
            link.lost(up.generation, "it stopped answering");
            return Err(deadline.passed());
        }
        Ok(Err(error)) => {
            link.lost(up.generation, "the connection broke");
            return Err(store_error(&error));
        }
        Ok(Ok(answers)) => answers,
    };
    // A primary that became a replica: the address may lead to the new primary by now.
    if answers.iter().any(is_read_only) {
        link.lost(up.generation, "it became read-only");
    }
    if answers.len() == pipeline.len() { Ok(answers) } else { Err(corrupt_reply()) }
}

/// Blocks the connection until the replicas have what was written on it. What it answers must be looked at.
fn wait(replicas: &Replicas) -> Cmd {
    let mut command = cmd("WAIT");
    command.arg(replicas.acknowledged_min).arg(replicas.wait_millis_max);
    command
}

fn acknowledged(answer: Result<Value, RedisError>, replicas: &Replicas) -> Result<(), StoreError> {
    let Value::Int(acknowledged) = answer.map_err(|error| store_error(&error))? else {
        return Err(corrupt_reply());
    };
    let acknowledged = u64::try_from(acknowledged).unwrap_or(0);
    let wanted = replicas.acknowledged_min;
    if acknowledged < u64::from(wanted) {
        return Err(StoreError::NotReplicated { acknowledged, wanted });
    }
    Ok(())
}

fn forgotten(pipeline: &Pipeline, answers: &Answers) -> Vec<Cmd> {
    let asked = pipeline.cmd_iter().zip(answers);
    asked.filter(|(_, answer)| is_forgotten(answer)).map(|(command, _)| command.clone()).collect()
}

fn is_forgotten(answer: &Result<Value, RedisError>) -> bool {
    matches!(answer, Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
}

fn is_read_only(answer: &Result<Value, RedisError>) -> bool {
    matches!(answer, Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly))
}
