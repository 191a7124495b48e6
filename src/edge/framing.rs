//! Watches the octets of an HTTP/1 connection for framing that two readers could read in two ways (P-30, P-31).
//!
//! hyper resolves such messages (Transfer-Encoding wins, equal lengths are merged, a bare LF ends a line, a fragment is
//! dropped) and shows us the result only. We refuse them instead, so the octets are looked at once before hyper has them.
//! Nothing here decides where a message ends for anyone but this watch.
use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest line of a chunked body: a size and its extensions.
const CHUNK_LINE_BYTES_MAX: usize = 1024;
/// Longest line kept for inspection; hyper's limit of the whole head lies below it.
const HEAD_LINE_BYTES_MAX: usize = 1024 * 1024;

/// Why a message was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingFault {
    #[error("a line that ends in LF alone")]
    BareLf,
    #[error("both Content-Length and Transfer-Encoding")]
    TwoFramings,
    #[error("Content-Length is repeated or no plain number")]
    ContentLength,
    #[error("Transfer-Encoding is repeated or not exactly `chunked`")]
    TransferEncoding,
    #[error("a fragment in the request target")]
    Fragment,
    #[error("a line that is too long")]
    Line,
    #[error("a chunk size that is no plain number")]
    ChunkSize,
}

/// What the watch found, as the service asks for it: one message at a time, in order.
#[derive(Debug, Default)]
pub struct Verdicts {
    taken: Cell<u64>,
    fault: Cell<Option<(u64, FramingFault)>>,
}

impl Verdicts {
    /// The verdict on the next message's head.
    pub fn next(&self) -> Result<(), FramingFault> {
        let index = self.taken.get();
        self.taken.set(index + 1);
        match self.fault.get() {
            Some((at, fault)) if at <= index => Err(fault),
            _ => Ok(()),
        }
    }
}

/// A stream whose read half is watched.
pub struct Watched<IO> {
    io: IO,
    scanner: Scanner,
}

impl<IO> Watched<IO> {
    pub fn new(io: IO) -> (Self, Rc<Verdicts>) {
        let verdicts = Rc::<Verdicts>::default();
        (Self { io, scanner: Scanner::new(verdicts.clone()) }, verdicts)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let read = buf.filled().get(before..).unwrap_or_default();
        // A fault in a head is answered with 400; in a body it is too late for that.
        Poll::Ready(
            self.scanner.feed(read).map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault)),
        )
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    RequestLine,
    Fields,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    Trailers,
    /// A fault was found; the connection closes after its answer.
    Blind,
}

struct Scanner {
    state: State,
    /// The beginning of a line that has not ended yet.
    partial: Vec<u8>,
    heads: u64,
    length: Option<u64>,
    chunked: bool,
    verdicts: Rc<Verdicts>,
}

impl Scanner {
    fn new(verdicts: Rc<Verdicts>) -> Self {
        let state = State::RequestLine;
        Self { state, partial: vec![], heads: 0, length: None, chunked: false, verdicts }
    }

    /// Looks at what was read; an error is a fault in a body.
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), FramingFault> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Blind => return Ok(()),
                State::Body(left) => self.skip(bytes, left, State::Body, State::RequestLine),
                State::ChunkData(left) => self.skip(bytes, left, State::ChunkData, State::ChunkSize),
                _ => self.feed_line(bytes)?,
            };
        }
        Ok(())
    }

    /// Skips body octets; answers what comes after them.
    fn skip<'a>(&mut self, bytes: &'a [u8], left: u64, more: fn(u64) -> State, then: State) -> &'a [u8] {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - count as u64;
        self.state = if left == 0 { then } else { more(left) };
        bytes.get(count..).unwrap_or_default()
    }

    /// Takes one line, or keeps the beginning of one; answers what comes after it.
    fn feed_line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], FramingFault> {
        let limit = match self.state {
            State::ChunkSize => CHUNK_LINE_BYTES_MAX,
            _ => HEAD_LINE_BYTES_MAX,
        };
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        if self.partial.len() + part.len() > limit {
            return self.refuse(FramingFault::Line).map(|()| rest);
        }
        if end.is_none() {
            self.partial.extend_from_slice(part);
            return Ok(rest);
        }
        let outcome = if self.partial.is_empty() {
            self.line(part)
        } else {
            let mut whole = std::mem::take(&mut self.partial);
            whole.extend_from_slice(part);
            let outcome = self.line(&whole);
            whole.clear();
            self.partial = whole;
            outcome
        };
        match outcome {
            Ok(()) => Ok(rest),
            Err(fault) => self.refuse(fault).map(|()| rest),
        }
    }

    /// Notes a fault in a head, or fails the body that it lies in.
    fn refuse(&mut self, fault: FramingFault) -> Result<(), FramingFault> {
        let in_head = matches!(self.state, State::RequestLine | State::Fields);
        self.state = State::Blind;
        self.verdicts.fault.set(Some((self.heads, fault)));
        if in_head { Ok(()) } else { Err(fault) }
    }

    /// One line with its end.
    fn line(&mut self, line: &[u8]) -> Result<(), FramingFault> {
        // RFC 9112 2.2 lets a recipient take LF alone; two recipients then differ about where a head ends.
        let line = line.strip_suffix(b"\r\n").ok_or(FramingFault::BareLf)?;
        match self.state {
            // RFC 9112 2.2: an empty line before a request is skipped.
            State::RequestLine if line.is_empty() => {}
            State::RequestLine => {
                if line.contains(&b'#') {
                    return Err(FramingFault::Fragment);
                }
                (self.length, self.chunked, self.state) = (None, false, State::Fields);
            }
            State::Fields if line.is_empty() => self.end_head()?,
            State::Fields => self.field(line)?,
            State::ChunkSize => self.state = chunk(line)?,
            State::Trailers if line.is_empty() => self.state = State::RequestLine,
            State::Trailers | State::Body(_) | State::ChunkData(_) | State::Blind => {}
        }
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), FramingFault> {
        let name_len = match line.first() {
            Some(b'c' | b'C') => b"content-length".len(),
            Some(b't' | b'T') => b"transfer-encoding".len(),
            _ => return Ok(()),
        };
        let Some((name, rest)) = line.split_at_checked(name_len) else { return Ok(()) };
        let Some(value) = rest.strip_prefix(b":").map(<[u8]>::trim_ascii) else { return Ok(()) };
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = decimal(value).filter(|_| self.length.is_none());
            self.length = Some(length.ok_or(FramingFault::ContentLength)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(FramingFault::TransferEncoding);
            }
            self.chunked = true;
        }
        Ok(())
    }

    fn end_head(&mut self) -> Result<(), FramingFault> {
        // RFC 9112 6.1: such a message ought to be handled as an error.
        if self.chunked && self.length.is_some() {
            return Err(FramingFault::TwoFramings);
        }
        self.heads += 1;
        self.state = match (self.chunked, self.length) {
            (true, _) => State::ChunkSize,
            (false, Some(length)) if length > 0 => State::Body(length),
            (false, _) => State::RequestLine,
        };
        Ok(())
    }
}

/// RFC 9110 8.6: one or more digits, nothing else.
fn decimal(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

/// RFC 9112 7.1: a hexadecimal size, then extensions that we ignore. The data's own CRLF counts to the data.
fn chunk(line: &[u8]) -> Result<State, FramingFault> {
    let size = line.split(|byte| *byte == b';').next().unwrap_or(line);
    let size = if size.len() < line.len() { size.trim_ascii_end() } else { size };
    let digits = !size.is_empty() && size.iter().all(u8::is_ascii_hexdigit);
    let size =
        std::str::from_utf8(size).ok().filter(|_| digits).and_then(|s| u64::from_str_radix(s, 16).ok());
    match size.map(|size| (size, size.checked_add(2))) {
        Some((0, _)) => Ok(State::Trailers),
        Some((_, Some(with_end))) => Ok(State::ChunkData(with_end)),
        _ => Err(FramingFault::ChunkSize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds pieces of `step` bytes; answers the verdicts of `heads` messages, or the fault in a body.
    fn judge(bytes: &[u8], step: usize, heads: usize) -> Result<Vec<Result<(), FramingFault>>, FramingFault> {
        let verdicts = Rc::<Verdicts>::default();
        let mut scanner = Scanner::new(verdicts.clone());
        bytes.chunks(step).try_for_each(|piece| scanner.feed(piece))?;
        Ok((0..heads).map(|_| verdicts.next()).collect())
    }

    fn check(message: &str, expected: Result<(), FramingFault>) {
        // Behind messages of every framing, in pieces of every size.
        let before = "GET / HTTP/1.1\r\nHost: a\r\n\r\n\
            POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\na\nb#c\
            POST / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n3;x=y\r\na\nb\r\n0\r\nX: y\r\n\r\n\r\n";
        for step in [1, 2, 7, 1000] {
            let found = judge(format!("{before}{message}").as_bytes(), step, 4);
            assert_eq!(found, Ok(vec![Ok(()), Ok(()), Ok(()), expected]), "{message:?} by {step}");
        }
    }

    #[test]
    fn p30_framing_that_could_be_read_in_two_ways() {
        use FramingFault::*;
        let post = |fields: &str| format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n");
        for (fields, expected) in [
            ("Host: a", Ok(())),
            ("Content-Length: 5", Ok(())),
            ("Content-Lengths: x", Ok(())),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", Err(TwoFramings)),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5", Err(TwoFramings)),
            ("Transfer-Encoding: chunked\r\ncontent-LENGTH: 0", Err(TwoFramings)),
            ("Content-Length: 5\r\nContent-Length: 5", Err(ContentLength)),
            ("Content-Length: 5, 5", Err(ContentLength)),
            ("Content-Length: +5", Err(ContentLength)),
            ("Content-Length: 0x5", Err(ContentLength)),
            ("Content-Length: 5 5", Err(ContentLength)),
            ("Content-Length:", Err(ContentLength)),
            ("Content-Length: 99999999999999999999", Err(ContentLength)),
            ("Transfer-Encoding: xchunked", Err(TransferEncoding)),
            ("Transfer-Encoding: chunked, identity", Err(TransferEncoding)),
            ("Transfer-Encoding: gzip, chunked", Err(TransferEncoding)),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Err(TransferEncoding)),
            ("X: y\nZ: z", Err(BareLf)),
        ] {
            check(&post(fields), expected);
        }
        check("GET / HTTP/1.1\nHost: a\r\n\r\n", Err(BareLf));
        check("GET / HTTP/1.1\r\nHost: a\r\n\n", Err(BareLf));
        check("GET /admin#/public HTTP/1.1\r\n\r\n", Err(Fragment));
    }

    #[test]
    fn p31_chunks_are_read_strictly() {
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (chunks, fault) in [
            ("0\n\r\n", FramingFault::BareLf),
            ("-1\r\n", FramingFault::ChunkSize),
            ("0x1\r\n", FramingFault::ChunkSize),
            (" 1\r\n", FramingFault::ChunkSize),
            ("1 \r\n", FramingFault::ChunkSize),
            ("\r\n", FramingFault::ChunkSize),
            ("ffffffffffffffff\r\n", FramingFault::ChunkSize),
            ("11111111111111111\r\n", FramingFault::ChunkSize),
            ("1\r\na\r\n0\r\nX: y\n\r\n", FramingFault::BareLf),
        ] {
            for step in [1, 1000] {
                assert_eq!(judge(format!("{head}{chunks}").as_bytes(), step, 1), Err(fault), "{chunks:?}");
            }
        }
        let long = format!("{head}1;{}\r\n", "x".repeat(CHUNK_LINE_BYTES_MAX));
        assert_eq!(judge(long.as_bytes(), 1000, 1), Err(FramingFault::Line));
    }
}
