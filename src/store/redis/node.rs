//! One server: runs commands in one round trip, and waits for its replicas where that is asked for.
use std::{sync::Arc, time::Duration};

use ::redis::{Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind, Value, cmd};
use tokio::time::Instant;

use super::{
    Replicas,
    commands::load_scripts,
    errors::{corrupt_reply, store_error},
    link::{Link, Manner, Place, Up},
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

pub(super) struct Node {
    link: Link,
    /// A connection of its own for writes that wait for replicas: what is sent behind a `WAIT` waits too, and no request's
    /// session should.
    lasting: Option<(Link, Replicas)>,
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
        (Self { link, lasting: Some((lasting, replicas)) }, first.and(second))
    }

    pub fn is_up(&self) -> bool {
        self.link.up().is_ok()
    }

    /// Runs commands in one round trip. Those whose script the server has forgotten run once more, behind the others. With
    /// `must_last` it fails unless the replicas have everything that was written.
    pub async fn run(
        &self,
        commands: Vec<Cmd>,
        must_last: bool,
        deadline: Deadline,
    ) -> Result<Answers, StoreError> {
        let lasting = self.lasting.as_ref().filter(|_| must_last);
        let link = lasting.map_or(&self.link, |(link, _)| link);
        let mut up = link.up()?;
        let sent = commands.len();
        let mut pipeline = Pipeline::with_capacity(sent + 1);
        for command in commands {
            pipeline.add_command(command);
        }
        if let Some((_, replicas)) = lasting {
            pipeline.add_command(wait(replicas));
        }
        let mut answers = send(link, &mut up, &mut pipeline, deadline).await?;
        if answers.iter().any(is_forgotten) {
            let again: Vec<Cmd> = forgotten(&pipeline, &answers);
            self.run_forgotten(link, &mut up, again, &mut answers, deadline).await?;
            if let Some((_, replicas)) = lasting {
                let mut pipeline = Pipeline::with_capacity(1);
                pipeline.add_command(wait(replicas));
                answers.pop();
                answers.extend(send(link, &mut up, &mut pipeline, deadline).await?);
            }
        }
        if let Some((_, replicas)) = lasting {
            acknowledged(answers.pop().ok_or_else(corrupt_reply)?, replicas)?;
        }
        if answers.len() == sent { Ok(answers) } else { Err(corrupt_reply()) }
    }

    /// Loads the scripts, and puts the answers of those that run again in place.
    async fn run_forgotten(
        &self,
        link: &Link,
        up: &mut Up,
        again: Vec<Cmd>,
        answers: &mut Answers,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let load = load_scripts();
        let loaded = load.len();
        let mut pipeline = Pipeline::with_capacity(loaded + again.len());
        for command in load.into_iter().chain(again) {
            pipeline.add_command(command);
        }
        let mut replies = send(link, up, &mut pipeline, deadline).await?.into_iter().skip(loaded);
        for answer in answers.iter_mut().filter(|answer| is_forgotten(answer)) {
            *answer = replies.next().ok_or_else(corrupt_reply)?;
        }
        Ok(())
    }
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
