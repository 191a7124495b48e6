//! The connection: fails at once while there is none, and comes back by itself.
//!
//! redis-rs' own manager lets callers wait while it reconnects, and keeps a connection whose server hangs. Here a
//! loss, or an answer that did not come in time, opens the circuit: callers get an error at once, and one task tries
//! again at a fixed pace until a server answers that is fit to be written to. Where sentinels say which server that is, they
//! are asked before each attempt, and at a fixed pace besides: who is connected to a primary that was left behind learns it.
use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline,
    ProtocolVersion, PushInfo, PushKind, RedisError,
    aio::{MultiplexedConnection, SendError},
};
use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, broadcast},
    task::AbortHandle,
    time::Instant,
};

use super::{
    errors::{error_or_lack, store_error},
    fitness::{self, Identity},
    sentinel::Sentinels,
};
use crate::store::{Heard, StoreError};

/// Between two attempts to connect.
const RECONNECT_PAUSE_MILLIS: u64 = 100;
/// Between two questions whether the sentinels still say the same.
const WATCH_PAUSE_MILLIS: u64 = 2_000;
/// Requests that wait to be written to the socket; more wait outside, each with its own deadline.
const REQUESTS_QUEUED_MAX: usize = 1_024;

/// Where the server to be written to is.
pub(super) enum Place {
    Fixed(ConnectionInfo),
    Sentinels(Sentinels),
}

impl Place {
    pub async fn find(&self) -> Result<ConnectionInfo, StoreError> {
        match self {
            Self::Fixed(info) => Ok(info.clone()),
            Self::Sentinels(sentinels) => sentinels.find().await,
        }
    }
}

/// What all connections of a store have in common.
#[derive(Clone)]
pub(super) struct Manner {
    pub timeout_millis_max: u64,
    /// How many replicas must acknowledge what we wait for; 0 if we wait for none.
    pub replicas_min: u32,
    /// Told of a gap when a server's data may be another than before.
    pub told: broadcast::Sender<Heard>,
}

/// One server, and the task that keeps the connection to it. Dropping it ends both.
pub(super) struct Link {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

/// A connection that was there a moment ago.
pub(super) struct Up {
    pub generation: u64,
    pub connection: MultiplexedConnection,
}

struct Shared {
    place: Arc<Place>,
    manner: Manner,
    generations: AtomicU64,
    state: ArcSwap<State>,
    lost: Notify,
    /// Of the server that we were connected to last.
    identity: Mutex<Seen>,
}

enum Seen {
    Nothing,
    Server(Option<Identity>),
}

struct State {
    generation: u64,
    /// Or why there is none.
    connection: Result<MultiplexedConnection, StoreError>,
    address: Option<ConnectionAddr>,
}

impl Link {
    /// Tries to connect once, and keeps connected from then on, in tasks on the present runtime. The result is that of the
    /// first attempt.
    pub async fn start(place: Arc<Place>, manner: Manner) -> (Self, Result<(), StoreError>) {
        let shared = Arc::new(Shared {
            place,
            manner,
            generations: AtomicU64::new(1),
            state: ArcSwap::from_pointee(State {
                generation: 0,
                connection: Err(unconnected("not yet")),
                address: None,
            }),
            lost: Notify::new(),
            identity: Mutex::new(Seen::Nothing),
        });
        let state = Shared::open(&shared).await;
        let first = state.connection.as_ref().map(|_| ()).map_err(StoreError::clone);
        shared.state.store(Arc::new(state));
        let keeper = tokio::spawn(Shared::keep(Arc::clone(&shared))).abort_handle();
        (Self { shared, keeper }, first)
    }

    /// The connection, or at once why there is none.
    pub fn up(&self) -> Result<Up, StoreError> {
        let state = self.shared.state.load();
        Ok(Up { generation: state.generation, connection: state.connection.clone()? })
    }

    /// Reports that the connection of `generation` is of no use any more.
    pub fn lost(&self, generation: u64, why: &str) {
        self.shared.lose(generation, why);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Shared {
    /// Reconnects whenever the connection is lost, no faster than the pause allows.
    async fn keep(shared: Arc<Self>) {
        let mut next_attempt_at = Instant::now();
        loop {
            let state = shared.state.load_full();
            if state.connection.is_ok() {
                let pause = tokio::time::sleep(Duration::from_millis(WATCH_PAUSE_MILLIS));
                tokio::select! {
                    () = shared.lost.notified() => {}
                    () = pause => shared.watch(&state).await,
                }
                continue;
            }
            tokio::time::sleep_until(next_attempt_at).await;
            next_attempt_at = Instant::now() + Duration::from_millis(RECONNECT_PAUSE_MILLIS);
            let state = Self::open(&shared).await;
            match &state.connection {
                Ok(_) => tracing::info!("connected to Redis again"),
                Err(error) => tracing::debug!(%error, "no connection to Redis"),
            }
            shared.state.store(Arc::new(state));
        }
    }

    /// Leaves a server that the sentinels have left.
    async fn watch(&self, state: &State) {
        if let Place::Sentinels(sentinels) = &*self.place
            && let Ok(info) = sentinels.find().await
            && state.address.as_ref() != Some(info.addr())
        {
            self.lose(state.generation, "the sentinels name another primary");
        }
    }

    fn lose(&self, generation: u64, why: &str) {
        let current = self.state.load_full();
        if current.generation != generation || current.connection.is_err() {
            return;
        }
        let down = Arc::new(State { generation, connection: Err(unconnected(why)), address: None });
        if Arc::ptr_eq(&self.state.compare_and_swap(&current, down), &current) {
            tracing::warn!(why, "lost the connection to Redis");
            self.lost.notify_one();
        }
    }

    /// One attempt, within the timeout.
    async fn open(shared: &Arc<Self>) -> State {
        let generation = shared.generations.fetch_add(1, Ordering::Relaxed);
        let limit = shared.manner.timeout_millis_max;
        let attempt = tokio::time::timeout(Duration::from_millis(limit), attempt(shared, generation));
        let silent = || unconnected(&format!("no answer within {limit} ms"));
        match attempt.await.unwrap_or_else(|_| Err(silent())) {
            Ok((connection, address)) => {
                State { generation, connection: Ok(connection), address: Some(address) }
            }
            Err(error) => State { generation, connection: Err(error), address: None },
        }
    }

    /// Remembers whom we are connected to. If that is another than before, or the same after a restart, or if it does not
    /// tell, what was cached may be ahead of what it knows.
    fn met(&self, identity: Option<Identity>) -> bool {
        let mut seen = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *seen, Seen::Server(identity));
        match (&before, &*seen) {
            (Seen::Nothing, _) => return true,
            (Seen::Server(Some(before)), Seen::Server(Some(now))) if before == now => {}
            _ => {
                tracing::warn!("Redis was restarted or failed over: whatever is cached is read again");
                // Perhaps nobody listens.
                let _ = self.manner.told.send(Heard::Gap);
            }
        }
        false
    }
}

/// Connects, hands over our scripts, and looks whether the server is fit to be our store.
async fn attempt(
    shared: &Arc<Shared>,
    generation: u64,
) -> Result<(MultiplexedConnection, ConnectionAddr), StoreError> {
    let info = shared.place.find().await?;
    let address = info.addr().clone();
    let client = Client::open(info).map_err(|error| store_error(&error))?;
    // With RESP3 the library tells of a closed socket before anybody trips over it.
    let weak: Weak<Shared> = Arc::downgrade(shared);
    let on_push = move |push: PushInfo| {
        if push.kind == PushKind::Disconnection
            && let Some(shared) = weak.upgrade()
        {
            shared.lose(generation, "the connection was closed");
        }
        Ok::<(), SendError>(())
    };
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(REQUESTS_QUEUED_MAX)
        .set_push_sender(on_push);
    let connection = client.get_multiplexed_async_connection_with_config(&config).await;
    let mut connection = connection.map_err(|error| store_error(&error))?;
    let mut load = Pipeline::new();
    super::commands::load_scripts().into_iter().for_each(|script| {
        load.add_command(script);
    });
    load.exec_async(&mut connection).await.map_err(|error| error_or_lack(&error, "+script|load"))?;
    let report = fitness::examine(&mut connection, shared.manner.replicas_min).await?;
    if shared.met(report.identity) {
        for warning in report.warnings {
            tracing::warn!(server = %address, "Redis: {warning}");
        }
    }
    Ok((connection, address))
}

/// Reads a URL for a connection of ours.
pub(super) fn connection_info(url: &str) -> Result<ConnectionInfo, RedisError> {
    let info = url.into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
    Ok(info.set_redis_settings(settings))
}

pub(super) fn unconnected(why: &str) -> StoreError {
    StoreError::Unavailable(format!("no connection: {why}"))
}

/// rustls wants one provider per process; whoever installed one before us has chosen.
pub(super) fn install_crypto_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing the race against another thread means that one is installed.
        let _ = rustls_openssl::default_provider().install_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_url_is_refused_without_being_repeated() {
        for url in ["http://u:secret@localhost", "secret", "redis://:secret@"] {
            if let Err(error) = connection_info(url) {
                assert!(!store_error(&error).to_string().contains("secret"), "{url}");
            }
        }
        assert!(connection_info("http://localhost").is_err());
    }
}
