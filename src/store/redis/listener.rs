//! The subscriber: a connection of its own on which notes arrive, made again whenever it is lost.
//!
//! After each subscription a gap is told, because notes may have been missed before it. The line is asked at a fixed pace
//! whether it still works: nothing else tells a quiet channel from a dead one.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ::redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, PushInfo, PushKind, Value,
    aio::{MultiplexedConnection, SendError},
    cmd,
};
use tokio::{
    sync::{Notify, broadcast},
    task::AbortHandle,
    time::Instant,
};

use super::{
    cluster,
    commands::CHANNEL,
    errors::store_error,
    link::{Place, unconnected},
};
use crate::store::{Heard, Notes, StoreError};

/// Between two attempts to subscribe.
const RESUBSCRIBE_PAUSE_MILLIS: u64 = 100;
/// Between two questions whether the line still works.
const PING_PAUSE_MILLIS: u64 = 1_000;

/// See the module's documentation. Dropping it ends the connection and the task that keeps it.
pub(super) struct Listener {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

/// Where may be subscribed: every node of a cluster hears what is told on any.
pub(super) enum Source {
    Place(Arc<Place>),
    Cluster(Arc<cluster::Shared>),
}

impl Source {
    async fn find(&self) -> Result<Vec<ConnectionInfo>, StoreError> {
        match self {
            Self::Place(place) => Ok(vec![place.find().await?]),
            Self::Cluster(cluster) => Ok(cluster.addresses()),
        }
    }
}

struct Shared {
    source: Source,
    timeout_millis_max: u64,
    told: broadcast::Sender<Heard>,
    is_up: AtomicBool,
}

/// A subscription, and what tells of its end.
struct Line {
    connection: MultiplexedConnection,
    closed: Arc<Notify>,
}

impl Listener {
    /// Tries to subscribe once, and keeps trying in a task on the present runtime. A server that takes no subscription is
    /// no reason not to start: notes only make faster what happens anyway.
    pub async fn start(source: Source, timeout_millis_max: u64, told: broadcast::Sender<Heard>) -> Self {
        let shared = Arc::new(Shared { source, timeout_millis_max, told, is_up: AtomicBool::new(false) });
        let first = shared.subscribe().await;
        if let Err(error) = &first {
            tracing::warn!(%error, "Redis does not let us hear what other gateways tell; what is cached ages instead");
        }
        let keeper = tokio::spawn(Shared::keep(Arc::clone(&shared), first.ok())).abort_handle();
        Self { shared, keeper }
    }

    pub fn notes(&self) -> Notes {
        Notes::new(self.shared.told.subscribe())
    }

    pub fn is_up(&self) -> bool {
        self.shared.is_up.load(Ordering::Acquire)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Shared {
    /// Listens, and subscribes anew whenever the line is lost, no faster than the pause allows.
    async fn keep(shared: Arc<Self>, mut line: Option<Line>) {
        loop {
            let begun = Instant::now();
            if line.is_none() {
                line = shared
                    .subscribe()
                    .await
                    .inspect_err(|error| tracing::debug!(%error, "no subscription"))
                    .ok();
            }
            if let Some(line) = line.take() {
                shared.listen(line).await;
                shared.is_up.store(false, Ordering::Release);
                tracing::warn!("lost the subscription to Redis");
            }
            tokio::time::sleep_until(begun + Duration::from_millis(RESUBSCRIBE_PAUSE_MILLIS)).await;
        }
    }

    /// One attempt at each server, each within the timeout. Once a subscription is there, a gap is told.
    async fn subscribe(&self) -> Result<Line, StoreError> {
        let timeout = Duration::from_millis(self.timeout_millis_max);
        let silent = || unconnected(&format!("no answer within {} ms", self.timeout_millis_max));
        let mut why = unconnected("no server is known");
        for info in self.source.find().await? {
            match tokio::time::timeout(timeout, self.open(info)).await.unwrap_or_else(|_| Err(silent())) {
                Ok(line) => {
                    self.is_up.store(true, Ordering::Release);
                    // Perhaps nobody listens.
                    let _ = self.told.send(Heard::Gap);
                    return Ok(line);
                }
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    async fn open(&self, info: ConnectionInfo) -> Result<Line, StoreError> {
        let (told, closed) = (self.told.clone(), Arc::new(Notify::new()));
        let tell = Arc::clone(&closed);
        let on_push = move |push: PushInfo| {
            match (&push.kind, push.data.as_slice()) {
                (PushKind::Message, [_, Value::BulkString(note)]) => {
                    Heard::told(note).map(|heard| told.send(heard));
                }
                (PushKind::Message, _) => drop(told.send(Heard::Gap)),
                (PushKind::Disconnection, _) => tell.notify_one(),
                _ => {}
            }
            Ok::<(), SendError>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(on_push);
        let client = Client::open(info).map_err(|error| store_error(&error))?;
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        let mut connection = connection.map_err(|error| store_error(&error))?;
        connection.subscribe(CHANNEL).await.map_err(|error| store_error(&error))?;
        Ok(Line { connection, closed })
    }

    /// Returns when the line is lost; what arrives on it is told by its own task.
    async fn listen(&self, mut line: Line) {
        loop {
            let pause = tokio::time::sleep(Duration::from_millis(PING_PAUSE_MILLIS));
            tokio::select! {
                () = line.closed.notified() => return,
                () = pause => {}
            }
            let timeout = Duration::from_millis(self.timeout_millis_max);
            let ping = cmd("PING");
            let answer = tokio::time::timeout(timeout, ping.query_async::<Value>(&mut line.connection));
            if !matches!(answer.await, Ok(Ok(_))) {
                return;
            }
        }
    }
}
