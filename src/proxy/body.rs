//! Bodies on their way: the client's to the origin server, and what goes back to the client.
use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::{exchange::ResponseBody, streams::Watch};

/// From so many bytes on a response is looked after even if it never waits: a client that reads slowly can make it last.
const LISTED_BYTES: u64 = 64 * 1024;

/// A response body: a few bytes of our own, or an origin server's as it comes.
pub struct Body {
    kind: Kind,
    sent_bytes: u64,
    on_end: Option<Box<dyn FnOnce(u64)>>,
    watch: Option<Watch>,
}

/// Why a response breaks off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error(transparent)]
    Origin(#[from] hyper::Error),
    /// L-10, V-16
    #[error("what let the request in has ended")]
    AccessEnded,
    #[error("an answer of our own could not be written to its end: {0}")]
    Own(String),
}

enum Kind {
    Full(Option<Bytes>),
    Origin(Box<ResponseBody>),
    Own(Pin<Box<OwnBody>>),
}

/// An answer of our own that comes in pieces.
type OwnBody = dyn hyper::body::Body<Data = Bytes, Error = BodyError>;

impl Body {
    pub fn empty() -> Self {
        Self::of(Kind::Full(None))
    }

    pub(super) fn origin(body: ResponseBody) -> Self {
        Self::of(Kind::Origin(Box::new(body)))
    }

    /// An answer of our own that comes in pieces. What fails on the way breaks it off: its head is sent already.
    pub fn own<B>(body: B) -> Self
    where
        B: hyper::body::Body<Data = Bytes> + 'static,
        B::Error: std::fmt::Display,
    {
        let body = body.map_err(|error| BodyError::Own(error.to_string()));
        Self::of(Kind::Own(Box::pin(body)))
    }

    fn of(kind: Kind) -> Self {
        Self { kind, sent_bytes: 0, on_end: None, watch: None }
    }

    /// Breaks off when the recipient may have it no more.
    pub fn watched(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Is told, once, how many bytes were sent when the body has ended or was given up.
    pub fn on_end(mut self, tell: impl FnOnce(u64) + 'static) -> Self {
        self.on_end = Some(Box::new(tell));
        self
    }
}

impl Body {
    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Kind::Own(body) = &mut self.kind else { return Poll::Ready(None) };
        let frame = ready!(hyper::body::Body::poll_frame(body.as_mut(), cx));
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            self.sent_bytes += data.len() as u64;
        }
        Poll::Ready(frame)
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self::of(Kind::Full(Some(bytes.into()).filter(|b| !b.is_empty())))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.watch.as_ref().is_some_and(Watch::is_cut) {
            return Poll::Ready(Some(Err(BodyError::AccessEnded)));
        }
        let data = match &mut self.kind {
            Kind::Full(bytes) => bytes.take().map(Ok),
            Kind::Own(_) => return self.poll_own(cx),
            Kind::Origin(body) => match body.poll_data(cx) {
                Poll::Ready(data) => data,
                Poll::Pending => {
                    self.watch.iter_mut().for_each(|watch| watch.list(cx.waker()));
                    return Poll::Pending;
                }
            },
        };
        if let Some(Ok(data)) = &data {
            self.sent_bytes += data.len() as u64;
            if self.sent_bytes >= LISTED_BYTES {
                let watch = self.watch.iter_mut().filter(|watch| !watch.is_listed());
                watch.for_each(|watch| watch.list(cx.waker()));
            }
        }
        Poll::Ready(data.map(|data| data.map(Frame::data).map_err(BodyError::Origin)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full(bytes) => bytes.is_none(),
            Kind::Own(body) => hyper::body::Body::is_end_stream(body),
            Kind::Origin(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Kind::Own(body) => hyper::body::Body::size_hint(body),
            Kind::Origin(body) => body.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(tell) = self.on_end.take() {
            tell(self.sent_bytes);
        }
    }
}

/// How far the client's body has come, as the exchange watches it.
#[derive(Debug, Default)]
pub(super) struct Upload {
    /// The last byte was handed to the origin connection.
    pub complete: Cell<bool>,
    /// Rises with every piece.
    pub pieces: Cell<u64>,
}

/// The client's body without its trailers (P-05).
pub(super) struct RequestBody<B = Incoming> {
    inner: Option<B>,
    upload: Rc<Upload>,
}

impl<B: hyper::body::Body> RequestBody<B> {
    pub fn new(inner: B) -> Self {
        let inner = Some(inner).filter(|body| !hyper::body::Body::is_end_stream(body));
        let upload = Rc::<Upload>::default();
        upload.complete.set(inner.is_none());
        Self { inner, upload }
    }

    pub fn empty() -> Self {
        let upload = Rc::<Upload>::default();
        upload.complete.set(true);
        Self { inner: None, upload }
    }

    pub fn upload(&self) -> Rc<Upload> {
        self.upload.clone()
    }
}

impl<B: hyper::body::Body<Data = Bytes> + Unpin> hyper::body::Body for RequestBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(inner).poll_frame(cx));
        self.upload.pieces.set(self.upload.pieces.get().wrapping_add(1));
        match frame {
            Some(Ok(frame)) if frame.is_data() => {
                let ended = self.inner.as_ref().is_none_or(hyper::body::Body::is_end_stream);
                self.upload.complete.set(ended);
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            // Trailers come last; whatever they say, the origin server does not hear it.
            Some(Ok(_)) | None => {
                self.inner = None;
                self.upload.complete.set(true);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), hyper::body::Body::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::HeaderMap;
    use hyper::body::Body as _;

    use super::*;
    use crate::{
        domain::{CallerId, PersonId},
        proxy::{Recipient, Streams},
    };

    /// Gives its frames one by one.
    struct Frames(Vec<Frame<Bytes>>);

    impl hyper::body::Body for Frames {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready((!self.0.is_empty()).then(|| Ok(self.0.remove(0))))
        }
    }

    /// A response that never waits is looked after all the same, once it is long.
    #[test]
    fn v_16_long_responses_are_listed_and_break_off() {
        let person = PersonId::from_bytes([1; 16]);
        let caller = CallerId::Token([1; 32]);
        let streams = Streams::default();
        let recipient = || Recipient { caller, person, organizations: vec![] };
        let body = |bytes: u64| {
            let bytes = vec![b'x'; usize::try_from(bytes).unwrap()];
            let mut body = Body::from(bytes).watched(streams.watch(recipient()));
            let mut cx = Context::from_waker(std::task::Waker::noop());
            assert!(matches!(Pin::new(&mut body).poll_frame(&mut cx), Poll::Ready(Some(Ok(_)))));
            body
        };
        let short = body(LISTED_BYTES - 1);
        assert!(streams.callers(|_| true).is_empty());
        let mut long = body(LISTED_BYTES);
        assert_eq!(streams.callers(|_| true), [caller].into());
        streams.cut(|_| true);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let next = Pin::new(&mut long).poll_frame(&mut cx);
        assert!(matches!(next, Poll::Ready(Some(Err(BodyError::AccessEnded)))));
        drop((short, long));
        assert!(streams.callers(|_| true).is_empty());
    }

    #[test]
    fn p05_trailers_end_the_body_unseen() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-forwarded-user", "admin".parse().unwrap());
        let frames = vec![Frame::data(Bytes::from_static(b"abc")), Frame::trailers(trailers)];
        let body = RequestBody::new(Frames(frames));
        let upload = body.upload();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let collected = runtime.block_on(body.collect()).unwrap();
        assert!(collected.trailers().is_none());
        assert_eq!(collected.to_bytes(), "abc");
        assert!(upload.complete.get());
    }
}
