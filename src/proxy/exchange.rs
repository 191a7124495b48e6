//! One request and its response on one origin connection, driven by the task that wants the response.
//!
//! hyper wants its connection polled beside the response and the body. Here that is done in place, by the same task:
//! a wake-up costs one poll, and dropping the response drops the connection.
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::SizeHint;
use hyper::{
    body::{Body as _, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::Instant};

use super::{Body, ProxyError, Watch, body::RequestBody, pool::Slot};

/// Response heads beyond this are refused (P-38), as are more than the 100 fields that hyper takes.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 64 * 1024;

/// An origin connection that no request uses.
pub(super) struct OriginConnection {
    sender: SendRequest<RequestBody>,
    connection: http1::Connection<TokioIo<TcpStream>, RequestBody>,
}

/// A request that got no response; `unsent` if not a byte of it left.
pub(super) struct Failure {
    pub error: ProxyError,
    pub unsent: Option<Box<Request<RequestBody>>>,
}

impl OriginConnection {
    pub async fn new(stream: TcpStream) -> Result<Self, hyper::Error> {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(RESPONSE_HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self { sender, connection })
    }

    /// Whether the next request may go out here. Looks for a close or for bytes nobody asked for (P-39), and leaves
    /// no waker behind that would wake the last user of this connection.
    pub fn is_usable(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(&mut self.connection).poll(&mut cx).is_pending() && self.sender.is_ready()
    }

    /// Sends a request and waits for the response's head. The body brings the connection back to `slot` when both
    /// bodies are complete, and closes it otherwise. An upload goes on as long as `watch` lets it.
    pub async fn send(
        mut self,
        request: Request<RequestBody>,
        slot: &Slot,
        head_max: Duration,
        mut watch: Option<&mut Watch>,
    ) -> Result<Response<Body>, Failure> {
        let upload = request.body().upload();
        let mut response = pin!(self.sender.try_send_request(request));
        let mut deadline = pin!(tokio::time::sleep(head_max));
        let mut seen = (upload.complete.get(), upload.pieces.get());
        let outcome = poll_fn(|cx| {
            if watch.as_ref().is_some_and(|watch| watch.is_cut()) {
                return Poll::Ready(Waited::Cut);
            }
            // The connection's own result is told through the response.
            let ended = Pin::new(&mut self.connection).poll(cx).is_ready();
            // Only the poll above can complete the response, so nobody needs to be woken for it.
            if let Poll::Ready(outcome) = response.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Poll::Ready(Waited::Head(outcome, ended));
            }
            while deadline.as_mut().poll(cx).is_ready() {
                // An upload may take its time as long as it moves.
                let now = (upload.complete.get(), upload.pieces.get());
                if seen == now {
                    return Poll::Ready(Waited::TooLong);
                }
                seen = now;
                deadline.as_mut().reset(Instant::now() + head_max);
            }
            // Here and not where the body is read: an origin server that takes nothing keeps it from being read.
            if let Some(watch) = watch.as_mut().filter(|_| !upload.complete.get()) {
                watch.list(cx.waker());
            }
            Poll::Pending
        })
        .await;
        match outcome {
            Waited::Cut => Err(Failure { error: ProxyError::AccessEnded, unsent: None }),
            Waited::TooLong => {
                Err(Failure { error: ProxyError::ResponseHeadTimeout(head_max), unsent: None })
            }
            Waited::Head(Err(mut failure), _) => {
                let unsent = failure.take_message().map(Box::new);
                Err(Failure { error: classify(failure.into_error()), unsent })
            }
            Waited::Head(Ok(response), ended) => {
                let exchange = (!ended).then(|| Exchange { connection: self, slot: slot.clone() });
                Ok(response.map(|incoming| Body::origin(ResponseBody::new(incoming, exchange))))
            }
        }
    }
}

/// How the wait for a response's head ended.
enum Waited<T> {
    /// And whether the connection did too.
    Head(T, bool),
    TooLong,
    Cut,
}

fn classify(error: hyper::Error) -> ProxyError {
    if error.is_user() {
        ProxyError::ClientBody(error)
    } else if error.is_parse() || error.is_parse_status() || error.is_parse_too_large() {
        ProxyError::Response(error)
    } else {
        ProxyError::Closed(error)
    }
}

/// A connection in use.
struct Exchange {
    connection: OriginConnection,
    slot: Slot,
}

/// An origin server's response body, together with the connection it comes from.
pub(super) struct ResponseBody {
    incoming: Incoming,
    /// `None` once the connection ended or went back to the pool.
    exchange: Option<Exchange>,
}

impl ResponseBody {
    fn new(incoming: Incoming, exchange: Option<Exchange>) -> Self {
        let mut body = Self { incoming, exchange };
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    /// The next piece. Pieces are asked for one at a time, so a slow client slows the origin server down.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        if let Poll::Ready(piece) = self.poll_incoming() {
            return Poll::Ready(piece);
        }
        // Asking told the connection that we want more; polling it fetches it.
        let Some(exchange) = &mut self.exchange else { return Poll::Pending };
        if Pin::new(&mut exchange.connection.connection).poll(cx).is_ready() {
            self.exchange = None;
        }
        self.poll_incoming()
    }

    /// What the connection has read already. Only polling the connection brings more, so nobody is woken for this.
    fn poll_incoming(&mut self) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            return match ready!(Pin::new(&mut self.incoming).poll_frame(&mut cx)) {
                Some(Ok(frame)) => {
                    // Trailers are dropped: no field gets past the response screen (P-11).
                    let Ok(data) = frame.into_data() else { continue };
                    if self.incoming.is_end_stream() {
                        self.finish();
                    }
                    Poll::Ready(Some(Ok(data)))
                }
                Some(Err(error)) => {
                    self.exchange = None;
                    Poll::Ready(Some(Err(error)))
                }
                None => {
                    self.finish();
                    Poll::Ready(None)
                }
            };
        }
    }

    pub fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }

    /// The response is complete. The pool keeps the connection only if hyper is ready to use it again, which it is
    /// not while a part of the request is unsent or a byte of something else has come (P-39).
    fn finish(&mut self) {
        if let Some(Exchange { connection, slot }) = self.exchange.take() {
            slot.put_back(connection);
        }
    }
}
