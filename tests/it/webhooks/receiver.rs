//! A receiver of webhooks: a real https server that remembers what came and answers as it is told.
use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::certificates::acceptor;

const WAIT_SECONDS_MAX: u64 = 60;

/// Stops with the runtime.
pub struct Receiver {
    pub url: String,
    /// Whoever trusts this trusts the server.
    pub authority_pem: Vec<u8>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    answers: Mutex<VecDeque<Answer>>,
    connections: AtomicUsize,
}

/// A POST.
#[derive(Debug, Clone)]
pub struct Received {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub body: String,
    pub status: u16,
}

/// What the receiver does with a POST; once they are used up, 204.
#[derive(Debug, Clone)]
pub enum Answer {
    Status(u16, Option<(&'static str, String)>),
    /// 204, after a while.
    Late(Duration),
    /// Never.
    Silence,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn action(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }
}

impl Receiver {
    pub async fn start() -> Self {
        let (acceptor, authority_pem) = acceptor();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://127.0.0.1:{}/hook?a=b", listener.local_addr().unwrap().port());
        let shared = Arc::<Shared>::default();
        tokio::spawn(run(listener, acceptor, shared.clone()));
        Self { url, authority_pem, shared }
    }

    /// What the next POST gets.
    pub fn answer(&self, answer: Answer) {
        self.shared.answers.lock().unwrap().push_back(answer);
    }

    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Those that were answered with a success.
    pub fn taken(&self) -> Vec<Received> {
        self.received().into_iter().filter(|received| received.status == 204).collect()
    }

    /// Waits until so many POSTs came, however they were answered.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        self.wait(|all| all.len() >= count).await
    }

    /// Waits until what came is enough.
    pub async fn wait(&self, is_enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let deadline = Instant::now() + Duration::from_secs(WAIT_SECONDS_MAX);
        loop {
            let received = self.received();
            if is_enough(&received) {
                return received;
            }
            assert!(Instant::now() < deadline, "{received:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn run(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let (acceptor, shared) = (acceptor.clone(), shared.clone());
        tokio::spawn(async move {
            let stream = acceptor.accept(stream).await.ok()?;
            let serve = service_fn(move |request| take(shared.clone(), request));
            http1::Builder::new().serve_connection(TokioIo::new(stream), serve).await.ok()
        });
    }
}

async fn take(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/hook"));
    assert_eq!(request.headers()[header::CONTENT_TYPE], "application/json");
    let field = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
    let (id, timestamp, signature) =
        (field("webhook-id"), field("webhook-timestamp"), field("webhook-signature"));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let answer = shared.answers.lock().unwrap().pop_front().unwrap_or(Answer::Status(204, None));
    let status = match &answer {
        Answer::Status(status, _) => *status,
        Answer::Late(_) => 204,
        Answer::Silence => 0,
    };
    shared.received.lock().unwrap().push(Received { id, timestamp, signature, body, status });
    match answer {
        Answer::Silence => std::future::pending().await,
        Answer::Late(wait) => {
            tokio::time::sleep(wait).await;
            Ok(Response::builder().status(204).body(Full::default()).unwrap())
        }
        Answer::Status(status, field) => {
            let mut response = Response::builder().status(status);
            if let Some((name, value)) = field {
                response = response.header(name, value);
            }
            Ok(response.body(Full::default()).unwrap())
        }
    }
}
