//! The connection: fails at once while there is none, and comes back by itself.
//!
//! redis-rs' own manager lets callers wait while it reconnects, and keeps a connection whose server hangs. Here a
//! loss, or an answer that did not come in time, opens the circuit: callers get an error at once, and one task tries
//! again at a fixed pace until a server answers that is fit to be written to.
use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::redis::{
    AsyncConnectionConfig, Client, Pipeline, ProtocolVersion, PushInfo, PushKind, RedisError,
    aio::{MultiplexedConnection, SendError},
    cmd,
};
use arc_swap::ArcSwap;
use tokio::{sync::Notify, task::AbortHandle, time::Instant};

use super::errors::store_error;
use crate::store::StoreError;

/// Between two attempts to connect.
const RECONNECT_PAUSE_MILLIS: u64 = 100;
/// Requests that wait to be written to the socket; more wait outside, each with its own deadline.
const REQUESTS_QUEUED_MAX: usize = 1_024;
/// `GETDEL` came with 6.2.
const VERSION_MIN: (u32, u32) = (6, 2);

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
    client: Client,
    timeout_millis_max: u64,
    generations: AtomicU64,
    state: ArcSwap<State>,
    lost: Notify,
}

struct State {
    generation: u64,
    /// Or why there is none.
    connection: Result<MultiplexedConnection, StoreError>,
}

impl Link {
    /// Connects once and keeps connected from then on, in tasks on the present runtime.
    pub async fn connect(url: &str, timeout_millis_max: u64) -> Result<Self, StoreError> {
        install_crypto_provider();
        let shared = Arc::new(Shared {
            client: client(url).map_err(|error| store_error(&error))?,
            timeout_millis_max,
            generations: AtomicU64::new(1),
            state: ArcSwap::from_pointee(State { generation: 0, connection: Err(unconnected("not yet")) }),
            lost: Notify::new(),
        });
        let state = Shared::open(&shared).await;
        state.connection.clone()?;
        shared.state.store(Arc::new(state));
        let keeper = tokio::spawn(Shared::keep(Arc::clone(&shared))).abort_handle();
        Ok(Self { shared, keeper })
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
            if shared.state.load().connection.is_ok() {
                shared.lost.notified().await;
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

    fn lose(&self, generation: u64, why: &str) {
        let current = self.state.load_full();
        if current.generation != generation || current.connection.is_err() {
            return;
        }
        let down = Arc::new(State { generation, connection: Err(unconnected(why)) });
        if Arc::ptr_eq(&self.state.compare_and_swap(&current, down), &current) {
            tracing::warn!(why, "lost the connection to Redis");
            self.lost.notify_one();
        }
    }

    /// One attempt, within the timeout.
    async fn open(shared: &Arc<Self>) -> State {
        let generation = shared.generations.fetch_add(1, Ordering::Relaxed);
        let timeout = Duration::from_millis(shared.timeout_millis_max);
        let attempt =
            tokio::time::timeout(timeout, attempt(&shared.client, Arc::downgrade(shared), generation));
        let silent = || unconnected(&format!("no answer within {} ms", shared.timeout_millis_max));
        let connection = attempt.await.unwrap_or_else(|_| Err(silent()));
        State { generation, connection }
    }
}

/// Connects, hands over our scripts, and looks whether the server is fit to be our store.
async fn attempt(
    client: &Client,
    shared: Weak<Shared>,
    generation: u64,
) -> Result<MultiplexedConnection, StoreError> {
    // With RESP3 the library tells of a closed socket before anybody trips over it.
    let on_push = move |push: PushInfo| {
        if push.kind == PushKind::Disconnection
            && let Some(shared) = shared.upgrade()
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
    load.exec_async(&mut connection).await.map_err(|error| store_error(&error))?;
    match cmd("INFO").query_async::<String>(&mut connection).await {
        Ok(info) => check_server(&info)?,
        Err(error) => {
            tracing::warn!(error = %store_error(&error), "Redis does not tell its version and settings")
        }
    }
    Ok(connection)
}

/// Refuses a server that lacks our commands, or that may drop what we rely on.
fn check_server(info: &str) -> Result<(), StoreError> {
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default().trim()
    };
    let version = field("redis_version");
    let mut numbers = version.split('.').map(str::parse::<u32>);
    if let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next())
        && (major, minor) < VERSION_MIN
    {
        return Err(StoreError::Unavailable(format!("it is Redis {version}; 6.2 or later is needed")));
    }
    let policy = field("maxmemory_policy");
    if !matches!(field("maxmemory"), "" | "0") && !matches!(policy, "" | "noeviction") {
        let why =
            format!("its maxmemory-policy is {policy} and would drop marks and memberships; set noeviction");
        return Err(StoreError::Unavailable(why));
    }
    Ok(())
}

pub(super) fn client(url: &str) -> Result<Client, RedisError> {
    let info = Client::open(url)?.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
    Client::open(info.set_redis_settings(settings))
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
    fn unfit_servers_are_refused() {
        let info = |version: &str, memory: u64, policy: &str| {
            format!(
                "# Server\r\nredis_version:{version}\r\nmaxmemory:{memory}\r\nmaxmemory_policy:{policy}\r\n"
            )
        };
        assert!(check_server(&info("7.0.15", 0, "noeviction")).is_ok());
        assert!(check_server(&info("10.0.0", 1_000, "noeviction")).is_ok());
        assert!(check_server(&info("6.2.0", 0, "allkeys-lru")).is_ok());
        assert!(check_server(&info("6.0.16", 0, "noeviction")).is_err());
        assert!(check_server(&info("5.9.1", 0, "noeviction")).is_err());
        assert!(check_server(&info("7.0.15", 1_000, "allkeys-lru")).is_err());
        assert!(check_server(&info("7.0.15", 1_000, "volatile-ttl")).is_err());
        assert!(check_server("").is_ok());
    }

    #[test]
    fn a_bad_url_is_refused_without_being_repeated() {
        for url in ["http://u:secret@localhost", "secret", "redis://:secret@"] {
            if let Err(error) = client(url) {
                assert!(!store_error(&error).to_string().contains("secret"), "{url}");
            }
        }
        assert!(client("http://localhost").is_err());
    }
}
