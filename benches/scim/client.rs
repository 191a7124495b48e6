//! A SCIM client that costs little: requests written as they are, answers read to their end, all connections on one thread.
use std::{cell::Cell, future::poll_fn, net::SocketAddr, task::Poll, time::Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const PIECE_BYTES: usize = 64 * 1024;

/// Where a server is, and what it wants to be shown.
#[derive(Debug, Clone)]
pub struct Server {
    pub address: SocketAddr,
    /// The base URL's path.
    pub base: String,
    pub token: Option<String>,
}

/// One connection to a server, made anew where the server ends it.
pub struct Client<'s> {
    server: &'s Server,
    stream: Option<TcpStream>,
    /// What is read into.
    piece: Vec<u8>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl<'s> Client<'s> {
    pub fn new(server: &'s Server) -> Self {
        Self { server, stream: None, piece: vec![0; PIECE_BYTES] }
    }

    /// Sends a request and reads the answer; `body` is empty for none.
    pub async fn send(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let Server { address, base, token } = self.server;
        let token =
            token.as_ref().map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
        let request = format!(
            "{method} {base}{path} HTTP/1.1\r\nHost: localhost:{}\r\n{token}Accept: application/scim+json\r\n\
             Content-Type: application/scim+json\r\nContent-Length: {}\r\n\r\n{body}",
            address.port(),
            body.len()
        );
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(*address).await,
        };
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        let (answer, stays) = read(&mut stream, &mut self.piece).await;
        self.stream = stays.then_some(stream);
        answer
    }

    /// The same, where only success will do; the answer's `id`, if it has one.
    pub async fn done(&mut self, method: &str, path: &str, body: &str) -> String {
        let answer = self.send(method, path, body).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {text}", answer.status);
        let (_, rest) = text.split_once("\"id\"").unwrap_or_default();
        rest.split('"').nth(1).unwrap_or_default().to_owned()
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("the server accepts");
    stream.set_nodelay(true).expect("a socket");
    stream
}

/// What was read and not looked at yet.
struct Incoming<'c> {
    stream: &'c mut TcpStream,
    piece: &'c mut [u8],
    seen: Vec<u8>,
}

impl Incoming<'_> {
    /// Reads on; `false` at the end.
    async fn more(&mut self) -> bool {
        let count = self.stream.read(self.piece).await.expect("the server answers");
        self.seen.extend_from_slice(&self.piece[..count]);
        count > 0
    }

    /// Where these octets begin, from there on.
    async fn find<const N: usize>(&mut self, wanted: [u8; N], from: usize) -> usize {
        loop {
            let is_there = |some: &[u8]| some.first_chunk() == Some(&wanted);
            if let Some(at) = self.seen[from..].windows(N).position(is_there) {
                return from + at;
            }
            assert!(self.more().await, "the server broke its answer off");
        }
    }

    /// The chunks (RFC 9112 7.1) behind `at`.
    async fn chunks(&mut self, mut at: usize) -> Vec<u8> {
        let mut body = vec![];
        loop {
            let line_end = self.find(*b"\r\n", at).await;
            let size = str::from_utf8(&self.seen[at..line_end]).expect("digits").trim();
            let size = usize::from_str_radix(size, 16).expect("a chunk's size");
            let begin = line_end + 2;
            while self.seen.len() < begin + size + 2 {
                assert!(self.more().await, "the server broke its answer off");
            }
            if size == 0 {
                return body;
            }
            body.extend_from_slice(&self.seen[begin..begin + size]);
            at = begin + size + 2;
        }
    }
}

/// An answer, and whether the connection stays.
async fn read(stream: &mut TcpStream, piece: &mut [u8]) -> (Answer, bool) {
    let mut incoming = Incoming { stream, piece, seen: vec![] };
    let head_end = incoming.find(*b"\r\n\r\n", 0).await;
    let head = &incoming.seen[..head_end];
    let status: u16 =
        str::from_utf8(&head[9..12]).ok().and_then(|digits| digits.parse().ok()).expect("a status");
    let is_kept = field(head, "connection").map_or(head.starts_with(b"HTTP/1.1"), |said| said != "close");
    let length: Option<usize> = field(head, "content-length").and_then(|length| length.parse().ok());
    let is_chunked = field(head, "transfer-encoding") == Some("chunked");
    let begin = head_end + 4;
    let body = if status == 204 || status == 304 {
        vec![]
    } else if is_chunked {
        incoming.chunks(begin).await
    } else {
        while length.is_none_or(|length| incoming.seen.len() < begin + length) && incoming.more().await {}
        incoming.seen.split_off(begin)
    };
    (Answer { status, body }, is_kept)
}

/// The value of a field.
fn field<'h>(head: &'h [u8], name: &str) -> Option<&'h str> {
    let value = |line: &'h [u8]| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":").filter(|_| found.eq_ignore_ascii_case(name.as_bytes()))?;
        str::from_utf8(value.trim_ascii()).ok()
    };
    head.split(|byte| *byte == b'\n').find_map(value)
}

/// Waits on this thread.
pub fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    runtime.block_on(work)
}

/// So many calls over so many connections at once, on this thread; each call's number goes to `call`. Seconds of all, milliseconds
/// of each, sorted.
pub fn drive<C>(
    connections: usize,
    count: usize,
    connect: impl Fn() -> C,
    call: impl AsyncFn(usize, &mut C),
) -> (f64, Vec<f64>) {
    let next = Cell::new(0);
    let work = async || {
        let (mut client, mut millis) = (connect(), vec![]);
        loop {
            let n = next.replace(next.get() + 1);
            if n >= count {
                return millis;
            }
            let begun = Instant::now();
            call(n, &mut client).await;
            millis.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    };
    let begun = Instant::now();
    let mut millis = wait(all((0..connections).map(|_| work()).collect())).concat();
    let seconds = begun.elapsed().as_secs_f64();
    millis.sort_by(f64::total_cmp);
    (seconds, millis)
}

/// What all of them come to, in their order.
async fn all<F: Future>(work: Vec<F>) -> Vec<F::Output> {
    let mut work: Vec<_> = work.into_iter().map(|one| (Box::pin(one), None)).collect();
    let done = poll_fn(|context| {
        for (one, outcome) in work.iter_mut().filter(|(_, outcome)| outcome.is_none()) {
            if let Poll::Ready(ready) = one.as_mut().poll(context) {
                *outcome = Some(ready);
            }
        }
        if work.iter().all(|(_, outcome)| outcome.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    });
    done.await;
    work.into_iter().filter_map(|(_, outcome)| outcome).collect()
}
