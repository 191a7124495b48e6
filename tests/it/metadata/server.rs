//! An https server on loopback that answers with whatever a test gives it, octet by octet.
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::support::certificates::acceptor;

/// Stops with the runtime.
pub struct MetadataServer {
    /// `https://127.0.0.1:PORT/metadata?a=b`
    pub url: String,
    /// Whoever trusts this trusts the server.
    pub authority_pem: Vec<u8>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// `None`: takes the request and never answers.
    answer: Mutex<Option<Vec<u8>>>,
    endless: AtomicBool,
    connections: AtomicUsize,
    heads: Mutex<Vec<String>>,
}

impl MetadataServer {
    /// Answers 404 until told otherwise.
    pub async fn start() -> Self {
        let (acceptor, authority_pem) = acceptor();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://127.0.0.1:{}/metadata?a=b", listener.local_addr().unwrap().port());
        let shared = Arc::<Shared>::default();
        tokio::spawn(run(listener, acceptor, shared.clone()));
        let server = Self { url, authority_pem, shared };
        server.respond("404 Not Found", "", b"");
        server
    }

    /// From now on serves this document.
    pub fn serve(&self, document: &str) {
        self.respond("200 OK", "", document.as_bytes());
    }

    /// From now on answers with this status, these further field lines, each ended by CRLF, and this body.
    pub fn respond(&self, status: &str, fields: &str, body: &[u8]) {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{fields}Connection: close\r\n\r\n");
        self.answer(Some([head.as_bytes(), body].concat()));
    }

    /// From now on answers with these octets, or never.
    pub fn answer(&self, octets: Option<Vec<u8>>) {
        self.shared.endless.store(false, Ordering::SeqCst);
        *self.shared.answer.lock().unwrap() = octets;
    }

    /// From now on answers with this head and then blanks without end.
    pub fn answer_without_end(&self, head: &str) {
        self.answer(Some(head.as_bytes().to_vec()));
        self.shared.endless.store(true, Ordering::SeqCst);
    }

    /// How many connections came until now.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The head of the last request.
    pub fn last_head(&self) -> String {
        self.shared.heads.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

async fn run(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let (acceptor, shared) = (acceptor.clone(), shared.clone());
        tokio::spawn(async move {
            let mut stream = acceptor.accept(stream).await.ok()?;
            let mut head = vec![];
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.ok()?);
            }
            shared.heads.lock().unwrap().push(String::from_utf8(head).unwrap());
            let answer = shared.answer.lock().unwrap().clone();
            let Some(answer) = answer else { return std::future::pending().await };
            stream.write_all(&answer).await.ok()?;
            while shared.endless.load(Ordering::SeqCst) {
                stream.write_all(&[b' '; 4096]).await.ok()?;
            }
            stream.shutdown().await.ok()
        });
    }
}
