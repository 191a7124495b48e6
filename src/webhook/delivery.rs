//! One POST: signed, over a connection that is kept for the next one, with an end to everything.
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;

use super::{Settings, secret::signatures};
use crate::{
    domain::Timestamp,
    outward::{ReachError, connect},
};

/// From the look-up of the host to the end of the answer.
pub(super) const DELIVERY_SECONDS_MAX: u64 = 10;
/// The head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEAD_FIELDS_MAX: usize = 64;
/// The body of an answer says nothing to us; one that is longer costs its sender the connection.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// So does one that takes longer than this after its head.
const ANSWER_SECONDS_MAX: u64 = 1;

/// Why an event was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    #[error(transparent)]
    Reach(#[from] ReachError),
    #[error("the exchange failed: {0}")]
    Exchange(String),
    #[error("no answer within {0} seconds")]
    Timeout(u64),
    #[error("the receiver redirects (status {0}); redirects are not followed")]
    Redirect(u16),
    #[error("the receiver answers with status {status}")]
    Status {
        status: u16,
        /// What it asked to wait, in seconds.
        retry_after_seconds: Option<u32>,
    },
    #[error("the receiver wants no more of this (status 410)")]
    Gone,
}

impl DeliveryError {
    /// Stable code for logs, metrics and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Reach(ReachError::NumericHost(_) | ReachError::Address { .. }) => "webhook_address",
            Self::Reach(ReachError::Resolve(_)) => "webhook_unresolved",
            Self::Reach(ReachError::Connect(_)) | Self::Exchange(_) => "webhook_unreachable",
            Self::Reach(ReachError::Tls(_)) => "webhook_tls",
            Self::Timeout(_) => "webhook_timeout",
            Self::Redirect(_) => "webhook_redirect",
            Self::Status { .. } => "webhook_status",
            Self::Gone => "webhook_gone",
        }
    }
}

/// A message as it goes out.
pub(super) struct Message {
    /// The same at each attempt: the receiver knows by it what it has already.
    pub id: String,
    pub body: Bytes,
}

/// A connection to the receiver, if there is one at the moment. It ends with this.
#[derive(Default)]
pub(super) struct Line(Option<Open>);

struct Open {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Line {
    /// Makes one attempt.
    pub async fn deliver(
        &mut self,
        settings: &Settings,
        message: &Message,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        let deadline = Duration::from_secs(DELIVERY_SECONDS_MAX);
        // Taken out: what does not end well is not used again.
        let open = self.0.take();
        let attempt = async {
            let (answer, open) = attempt(settings, message, now, open).await?;
            let verdict = judge(answer.status(), answer.headers());
            Ok::<_, DeliveryError>((verdict, drain(answer).await.then_some(open)))
        };
        let timeout = |_| DeliveryError::Timeout(DELIVERY_SECONDS_MAX);
        let (verdict, open) = tokio::time::timeout(deadline, attempt).await.map_err(timeout)??;
        self.0 = open;
        verdict
    }
}

/// By the connection that is there; by a new one where there is none, or where the old one broke: the receiver may have
/// closed it at that very moment.
async fn attempt(
    settings: &Settings,
    message: &Message,
    now: Timestamp,
    open: Option<Open>,
) -> Result<(Response<Incoming>, Open), DeliveryError> {
    if let Some(mut open) = open.filter(|open| !open.sender.is_closed())
        && let Ok(answer) = post(&mut open, settings, message, now).await
    {
        return Ok((answer, open));
    }
    let mut open = dial(settings).await?;
    let answer = post(&mut open, settings, message, now).await?;
    Ok((answer, open))
}

async fn dial(settings: &Settings) -> Result<Open, DeliveryError> {
    let stream = connect(&settings.remote).await?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEAD_FIELDS_MAX);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = tokio::spawn(async move {
        // Whoever sends hears of it.
        let _ = connection.await;
    });
    Ok(Open { sender, driver: driver.abort_handle() })
}

async fn post(
    open: &mut Open,
    settings: &Settings,
    message: &Message,
    now: Timestamp,
) -> Result<Response<Incoming>, DeliveryError> {
    let at = now.as_second();
    let request = Request::post(&settings.remote.target)
        .header(header::HOST, settings.remote.url.authority.shown(true))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", &message.id)
        .header("webhook-timestamp", at)
        .header("webhook-signature", signatures(&settings.secrets, &message.id, at, &message.body))
        .body(Full::new(message.body.clone()))
        .map_err(|error| DeliveryError::Exchange(error.to_string()))?;
    open.sender.ready().await.map_err(broken)?;
    open.sender.send_request(request).await.map_err(broken)
}

fn judge(status: StatusCode, fields: &HeaderMap) -> Result<(), DeliveryError> {
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::GONE => Err(DeliveryError::Gone),
        status if status.is_redirection() => Err(DeliveryError::Redirect(status.as_u16())),
        status => {
            // RFC 9110 10.2.3; a date is not read, and our own wait counts.
            let asked = fields.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after_seconds = asked.and_then(|seconds| seconds.trim().parse().ok());
            Err(DeliveryError::Status { status: status.as_u16(), retry_after_seconds })
        }
    }
}

/// Reads the answer to its end; whether that came soon enough for the connection to be kept.
async fn drain(answer: Response<Incoming>) -> bool {
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
    let deadline = Duration::from_secs(ANSWER_SECONDS_MAX);
    tokio::time::timeout(deadline, body).await.is_ok_and(|body| body.is_ok())
}

fn broken(error: hyper::Error) -> DeliveryError {
    DeliveryError::Exchange(error.to_string())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn every_reason_is_documented() {
        let address = std::net::IpAddr::from([127, 0, 0, 1]);
        for error in [
            ReachError::NumericHost(String::new()).into(),
            ReachError::Address { address, why: "" }.into(),
            ReachError::Resolve(String::new()).into(),
            ReachError::Connect(String::new()).into(),
            ReachError::Tls(String::new()).into(),
            DeliveryError::Exchange(String::new()),
            DeliveryError::Timeout(1),
            DeliveryError::Redirect(302),
            DeliveryError::Status { status: 500, retry_after_seconds: None },
            DeliveryError::Gone,
        ] {
            let entry = format!("\n- `{}`", error.code());
            assert!(include_str!("../../docs/REASONS.md").contains(&entry), "{entry}");
        }
    }

    #[test]
    fn only_a_success_is_one() {
        let judged = |status: u16, retry: Option<&'static str>| {
            let mut fields = HeaderMap::new();
            if let Some(retry) = retry {
                fields.insert(header::RETRY_AFTER, HeaderValue::from_static(retry));
            }
            judge(StatusCode::from_u16(status).unwrap(), &fields)
        };
        assert_eq!(judged(200, None), Ok(()));
        assert_eq!(judged(204, None), Ok(()));
        assert_eq!(judged(301, None), Err(DeliveryError::Redirect(301)));
        assert_eq!(judged(410, None), Err(DeliveryError::Gone));
        for (status, retry, seconds) in [
            (503, Some("120"), Some(120)),
            (429, Some("Fri, 31 Dec 1999 23:59:59 GMT"), None),
            (400, Some("-1"), None),
            (404, None, None),
        ] {
            let expected = DeliveryError::Status { status, retry_after_seconds: seconds };
            assert_eq!(judged(status, retry), Err(expected));
        }
    }
}
