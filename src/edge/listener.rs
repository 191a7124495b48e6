//! One thread for each worker, each with its own socket, runtime and origin connections: nothing wakes across threads.
use std::{
    convert::Infallible,
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use hyper::{rt::Executor, server::conn, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, watch},
    time::MissedTickBehavior,
};

use super::{
    Settings,
    framing::Watched,
    gate::{Peer, RequestIds},
    worker::{Gates, Worker},
};
use crate::{
    directory::Heard,
    proxy::{self, Proxy},
};

/// Connections that one worker serves at a time; more wait in the backlog.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Connections that wait to be accepted, for each worker.
const BACKLOG_MAX: i32 = 1024;
/// Rest after a failed accept, so that a lack of file descriptors does not become a busy loop.
const ACCEPT_PAUSE_MILLIS: u64 = 50;
/// How long open connections may go on after the stop.
const DRAIN_SECONDS_MAX: u64 = 30;
/// Between two looks at idle origin connections.
const SWEEP_SECONDS: u64 = 5;
/// Between two looks at all whose responses are still under way: how long one may outlive its session (L-10), or what else let
/// it in, where no note of that arrives.
const ENDED_SESSIONS_SECONDS: u64 = 2;
/// Requests at a time on one HTTP/2 connection.
const STREAMS_MAX: u32 = 100;
/// Between two looks at a connection whose first bytes could be HTTP/2's preface and are not complete; each pause is twice
/// the one before.
const PREFACE_PAUSE_MILLIS_MIN: u64 = 1;
const PREFACE_PAUSE_MILLIS_MAX: u64 = 500;

/// Turns to `true` once the gateway stops.
pub type Stop = watch::Receiver<bool>;

/// Bound sockets, one for each worker.
pub struct Listeners {
    sockets: Vec<TcpListener>,
    address: SocketAddr,
}

/// Running workers.
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Proxy(#[from] proxy::SettingsFault),
    #[error("cannot start a worker: {0}")]
    Thread(#[from] io::Error),
    #[error("no randomness: {0}")]
    Random(String),
}

/// Binds `settings.listen` once for each worker. Port 0 takes a free one, the same for all.
pub fn bind(settings: &Settings) -> io::Result<Listeners> {
    let first = socket(settings.listen)?;
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..settings.workers {
        sockets.push(socket(address)?);
    }
    Ok(Listeners { sockets, address })
}

impl Listeners {
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Starts the workers. They end after `stop` turns true, once their connections are done.
    pub fn serve(self, gates: &Arc<Gates>, stop: &Stop) -> Result<Workers, ServeError> {
        // A fault in the settings shows here, and not in a thread.
        Proxy::new(&gates.load().proxy)?;
        let mut threads = vec![];
        for (index, socket) in self.sockets.into_iter().enumerate() {
            let (gates, stop) = (gates.clone(), stop.clone());
            let mut id = [0; 8];
            getrandom::fill(&mut id).map_err(|error| ServeError::Random(error.to_string()))?;
            let work = move || {
                let request_ids = RequestIds::new(u64::from_ne_bytes(id));
                let Ok(worker) = Worker::new(gates, request_ids) else { return };
                if let Err(error) = run(socket, worker, stop) {
                    tracing::error!(index, %error, "a worker ended");
                }
            };
            threads.push(std::thread::Builder::new().name(format!("edge-{index}")).spawn(work)?);
        }
        Ok(Workers { threads })
    }
}

impl Workers {
    /// Waits until all have ended. Blocks.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG_MAX)?;
    Ok(socket.into())
}

/// A worker's thread.
fn run(socket: TcpListener, worker: Worker, stop: Stop) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(socket)?;
        let worker = Rc::new(worker);
        let sweeper = tokio::task::spawn_local(sweep(worker.clone()));
        let cutter = tokio::task::spawn_local(cut_ended(worker.clone()));
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        accept(&listener, &worker, &slots, &stop).await;
        drop(listener);
        let all = slots.acquire_many(u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX));
        if tokio::time::timeout(Duration::from_secs(DRAIN_SECONDS_MAX), all).await.is_err() {
            tracing::warn!("connections were cut after {DRAIN_SECONDS_MAX} s of draining");
        }
        sweeper.abort();
        cutter.abort();
        Ok(())
    })
}

async fn sweep(worker: Rc<Worker>) {
    loop {
        tokio::time::sleep(Duration::from_secs(SWEEP_SECONDS)).await;
        // Here a worker without requests lets an old gate go, too.
        worker.serving().proxy.sweep();
    }
}

/// At once for whom the store tells of, and for everybody every now and then.
async fn cut_ended(worker: Rc<Worker>) {
    let mut notes = worker.serving().gate.directory.notes();
    let mut ticks = tokio::time::interval(Duration::from_secs(ENDED_SESSIONS_SECONDS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_listening = true;
    loop {
        let heard = tokio::select! {
            // First, so that no flood of notes keeps it from being everybody's turn.
            biased;
            _ = ticks.tick() => Heard::Gap,
            heard = notes.next(), if is_listening => {
                is_listening = heard.is_some();
                heard.unwrap_or(Heard::Gap)
            }
        };
        worker.serving().cut_ended(heard).await;
    }
}

/// Accepts until the stop. No error ends it: what fails is one connection, or a lack that passes.
async fn accept(
    listener: &tokio::net::TcpListener,
    worker: &Rc<Worker>,
    slots: &Arc<Semaphore>,
    stop: &Stop,
) {
    let mut stopping = stop.clone();
    loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            next = next => next,
        };
        match accepted {
            Ok((stream, address)) => {
                let (worker, stop) = (worker.clone(), stop.clone());
                tokio::task::spawn_local(async move {
                    serve(stream, address, worker, stop).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MILLIS)).await;
            }
        }
    }
}

/// One client connection, HTTP/1.1 or HTTP/2 with prior knowledge.
async fn serve(stream: TcpStream, address: SocketAddr, worker: Rc<Worker>, stop: Stop) {
    let head_max = Duration::from_millis(worker.serving().gate.settings.header_read_millis_max);
    let preface = async {
        stream.set_nodelay(true)?;
        begins_http2(&stream).await
    };
    match tokio::time::timeout(head_max, preface).await {
        Ok(Ok(true)) => serve_http2(stream, address, worker, stop).await,
        Ok(Ok(false)) => serve_http1(stream, address, worker, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection failed before its first request"),
        Err(_) => {}
    }
}

/// Looks at the first bytes without taking them: HTTP/2 only with its whole preface (RFC 9113 3.4), for which the client
/// has as long as for a request's head.
async fn begins_http2(stream: &TcpStream) -> io::Result<bool> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut seen = [0; PREFACE.len()];
    let mut pause = PREFACE_PAUSE_MILLIS_MIN;
    loop {
        let count = stream.peek(&mut seen).await?;
        let start = seen.get(..count).unwrap_or_default();
        if count == PREFACE.len() || count == 0 || !PREFACE.starts_with(start) {
            return Ok(start == PREFACE);
        }
        // Peeked bytes keep the socket readable, so there is nothing to wait for but time.
        tokio::time::sleep(Duration::from_millis(pause)).await;
        pause = (pause * 2).min(PREFACE_PAUSE_MILLIS_MAX);
    }
}

async fn serve_http1(stream: TcpStream, address: SocketAddr, worker: Rc<Worker>, stop: Stop) {
    let serving = worker.serving();
    let settings = &serving.gate.settings;
    // hyper takes 100 fields unless told; being told that very number would cost it an array to clear each time.
    let mut builder = conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(settings.header_read_millis_max))
        .max_header_size(settings.header_bytes_max)
        .half_close(false);
    drop(serving);
    let (stream, verdicts) = Watched::new(stream);
    let peer = Rc::new(Peer::new(address, Some(verdicts)));
    let service = service_fn(move |request| {
        let (worker, peer) = (worker.clone(), peer.clone());
        async move { Ok::<_, Infallible>(worker.handle(request, &peer).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    drive(connection, conn::http1::Connection::graceful_shutdown, stop).await;
}

async fn serve_http2(stream: TcpStream, address: SocketAddr, worker: Rc<Worker>, stop: Stop) {
    let serving = worker.serving();
    let settings = &serving.gate.settings;
    let mut builder = conn::http2::Builder::new(SameThread);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(settings.header_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_millis(settings.header_read_millis_max));
    drop(serving);
    let peer = Rc::new(Peer::new(address, None));
    let service = service_fn(move |request| {
        let (worker, peer) = (worker.clone(), peer.clone());
        async move { Ok::<_, Infallible>(worker.handle(request, &peer).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    drive(connection, conn::http2::Connection::graceful_shutdown, stop).await;
}

/// Serves a connection to its end; after the stop it takes no further request.
async fn drive<C>(connection: C, shut_down: impl FnOnce(Pin<&mut C>), mut stop: Stop)
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        _ = stop.wait_for(|stop| *stop) => {
            shut_down(connection.as_mut());
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Runs an HTTP/2 connection's requests on the thread that has the connection.
#[derive(Clone, Copy)]
struct SameThread;

impl<F: Future<Output = ()> + 'static> Executor<F> for SameThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
