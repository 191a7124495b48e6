//! Idle origin connections of one worker: last in, first out, so that few stay warm and the rest age.
use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::net::TcpStream;

use super::{ProxyError, Settings, exchange::OriginConnection};

pub(super) struct Pool {
    slots: RefCell<Vec<Slot>>,
    limits: Limits,
}

#[derive(Clone, Copy)]
struct Limits {
    connect_max: Duration,
    idle_connections_max: usize,
    idle_max: Duration,
}

/// One origin server's connections. There are as many as the configuration has origin servers.
#[derive(Clone)]
pub(super) struct Slot(Rc<Inner>);

struct Inner {
    host: Box<str>,
    port: u16,
    limits: Limits,
    idle: RefCell<Vec<Idle>>,
}

struct Idle {
    connection: OriginConnection,
    since: Instant,
}

impl Pool {
    pub fn new(settings: &Settings) -> Self {
        let limits = Limits {
            connect_max: Duration::from_millis(settings.connect_millis_max),
            idle_connections_max: settings.idle_connections_max,
            idle_max: Duration::from_secs(settings.idle_connection_seconds_max),
        };
        Self { slots: RefCell::default(), limits }
    }

    pub fn slot(&self, host: &str, port: u16) -> Slot {
        let mut slots = self.slots.borrow_mut();
        if let Some(slot) = slots.iter().find(|slot| slot.0.port == port && *slot.0.host == *host) {
            return slot.clone();
        }
        let inner = Inner { host: host.into(), port, limits: self.limits, idle: RefCell::default() };
        let slot = Slot(Rc::new(inner));
        slots.push(slot.clone());
        slot
    }

    /// Drops what is too old or was closed by the origin server.
    pub fn sweep(&self) {
        for slot in self.slots.borrow().iter() {
            let max = self.limits.idle_max;
            let mut idle = slot.0.idle.borrow_mut();
            idle.retain_mut(|i| i.since.elapsed() < max && i.connection.is_usable());
        }
    }
}

impl Slot {
    /// The connection that was used last, if it is still good.
    pub fn take_idle(&self) -> Option<OriginConnection> {
        let mut idle = self.0.idle.borrow_mut();
        while let Some(Idle { mut connection, since }) = idle.pop() {
            if since.elapsed() >= self.0.limits.idle_max {
                // The ones below are older still.
                idle.clear();
                return None;
            }
            if connection.is_usable() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose last exchange is complete, unless there are enough or it is closing.
    pub fn put_back(&self, mut connection: OriginConnection) {
        if !connection.is_usable() {
            return;
        }
        let mut idle = self.0.idle.borrow_mut();
        if idle.len() < self.0.limits.idle_connections_max {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    pub async fn connect(&self) -> Result<OriginConnection, ProxyError> {
        let Inner { host, port, limits, .. } = &*self.0;
        let connecting = async {
            let stream = TcpStream::connect((&**host, *port)).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let stream = match tokio::time::timeout(limits.connect_max, connecting).await {
            Ok(stream) => stream.map_err(ProxyError::Connect)?,
            Err(_) => return Err(ProxyError::ConnectTimeout(limits.connect_max)),
        };
        OriginConnection::new(stream).await.map_err(ProxyError::Closed)
    }
}
