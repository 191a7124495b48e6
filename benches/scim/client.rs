//! A SCIM client that costs little: one connection, requests written as they are, answers read to their end.
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
    time::Instant,
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
    pub fn send(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let Server { address, base, token } = self.server;
        let token =
            token.as_ref().map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
        let request = format!(
            "{method} {base}{path} HTTP/1.1\r\nHost: localhost:{}\r\n{token}Accept: application/scim+json\r\n\
             Content-Type: application/scim+json\r\nContent-Length: {}\r\n\r\n{body}",
            address.port(),
            body.len()
        );
        let mut stream = self.stream.take().unwrap_or_else(|| {
            let stream = TcpStream::connect(address).expect("the server accepts");
            stream.set_nodelay(true).expect("a socket");
            stream
        });
        stream.write_all(request.as_bytes()).expect("the server reads");
        let (answer, stays) = read(&mut stream, &mut self.piece);
        self.stream = stays.then_some(stream);
        answer
    }

    /// The same, where only success will do; the answer's `id`, if it has one.
    pub fn done(&mut self, method: &str, path: &str, body: &str) -> String {
        let answer = self.send(method, path, body);
        let text = String::from_utf8_lossy(&answer.body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {text}", answer.status);
        let (_, rest) = text.split_once("\"id\"").unwrap_or_default();
        rest.split('"').nth(1).unwrap_or_default().to_owned()
    }
}

/// An answer, and whether the connection stays.
fn read(stream: &mut TcpStream, piece: &mut [u8]) -> (Answer, bool) {
    let mut seen = vec![];
    let mut more = |seen: &mut Vec<u8>| {
        let count = stream.read(piece).expect("the server answers");
        seen.extend_from_slice(&piece[..count]);
        count > 0
    };
    let head_end = loop {
        if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        assert!(more(&mut seen), "the server closed the connection");
    };
    let head = String::from_utf8_lossy(&seen[..head_end]).to_ascii_lowercase();
    let mut rest = seen.split_off(head_end + 4);
    let status: u16 = head[9..12].parse().expect("a status");
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let stays = head.starts_with("http/1.1") && field("connection:") != Some("close");
    let body = if status == 204 || status == 304 {
        vec![]
    } else if field("transfer-encoding:") == Some("chunked") {
        let (mut body, mut at) = (vec![], 0);
        while let Some(size) = chunk(&mut rest, &mut at, &mut body, &mut more) {
            if size == 0 {
                break;
            }
        }
        body
    } else {
        let length = field("content-length:").and_then(|length| length.parse().ok());
        while length.is_none_or(|length| rest.len() < length) && more(&mut rest) {}
        rest
    };
    (Answer { status, body }, stays)
}

/// Appends the chunk at `at` to the body; answers its size.
fn chunk(
    raw: &mut Vec<u8>,
    at: &mut usize,
    body: &mut Vec<u8>,
    more: &mut impl FnMut(&mut Vec<u8>) -> bool,
) -> Option<usize> {
    let line_end = loop {
        if let Some(end) = raw[*at..].windows(2).position(|two| two == b"\r\n") {
            break *at + end;
        }
        assert!(more(raw), "the server broke the body off");
    };
    let size = usize::from_str_radix(std::str::from_utf8(&raw[*at..line_end]).ok()?.trim(), 16).ok()?;
    let begin = line_end + 2;
    while raw.len() < begin + size + 2 {
        assert!(more(raw), "the server broke the body off");
    }
    body.extend_from_slice(&raw[begin..begin + size]);
    *at = begin + size + 2;
    Some(size)
}

/// So many calls over so many connections; each call's number goes to `call`. Seconds of all, milliseconds of each, sorted.
pub fn drive<C>(
    connections: usize,
    count: usize,
    connect: impl Fn() -> C + Sync,
    call: impl Fn(usize, &mut C) + Sync,
) -> (f64, Vec<f64>) {
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let work = || {
        let (mut client, mut millis) = (connect(), vec![]);
        loop {
            let n = next.fetch_add(1, Relaxed);
            if n >= count {
                return millis;
            }
            let begun = Instant::now();
            call(n, &mut client);
            millis.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    };
    let mut millis: Vec<f64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a connection's share")).collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    millis.sort_by(f64::total_cmp);
    (seconds, millis)
}
