//! What endpoints of ours that take a body have in common: its media type, its cap and deadline; and redirects.
use std::{error::Error, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body;

use super::{
    Settings,
    respond::{self, Problem},
};
use crate::proxy::Body;

/// The media type of a form.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// Why a request's message could not be read, before anything of it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransportFault {
    #[error("Content-Type is none that is taken here")]
    ContentType,
    #[error("a parameter of the binding stands in the query of a POST")]
    Query,
    #[error("the body is too long")]
    BodyTooLarge,
    #[error("the body did not arrive in time")]
    BodyTimeout,
    #[error("the body broke off")]
    BodyBroken,
}

impl TransportFault {
    pub const ALL: [Self; 5] =
        [Self::ContentType, Self::Query, Self::BodyTooLarge, Self::BodyTimeout, Self::BodyBroken];

    /// Stable code for logs, metrics and `docs/REASONS.md`.
    pub fn code(self) -> &'static str {
        match self {
            Self::ContentType => "content_type",
            Self::Query => "parameters_in_query",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyBroken => "body_broken",
        }
    }

    pub fn status(self) -> StatusCode {
        match self {
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Query | Self::BodyBroken => StatusCode::BAD_REQUEST,
        }
    }
}

/// How much of a body is read, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    pub bytes_max: usize,
    pub read_millis_max: u64,
}

impl BodyLimits {
    /// Of a SAML message.
    pub fn of(settings: &Settings) -> Self {
        Self { bytes_max: settings.acs_body_bytes_max, read_millis_max: settings.acs_body_read_millis_max }
    }
}

/// Reads a body to its end. The cap is held while it streams, so that no more than the cap is ever in memory.
///
/// # Errors
/// [`TransportFault::BodyTooLarge`], [`TransportFault::BodyTimeout`] or [`TransportFault::BodyBroken`].
pub async fn read_body<B>(body: B, limits: BodyLimits) -> Result<Bytes, TransportFault>
where
    B: body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let body = Limited::new(body, limits.bytes_max).collect();
    let deadline = Duration::from_millis(limits.read_millis_max);
    let body = tokio::time::timeout(deadline, body).await.map_err(|_| TransportFault::BodyTimeout)?;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => TransportFault::BodyTooLarge,
        false => TransportFault::BodyBroken,
    })?;
    Ok(body.to_bytes())
}

/// Whether the Content-Type is this media type, whatever its parameters (RFC 9110 8.3.1: in any case).
pub fn is_media_type(fields: &HeaderMap, media_type: &str) -> bool {
    let kind = fields.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
}

/// A redirect without a body. `url` is one that we made: what cannot stand in a field fails as a path to return to.
pub fn redirect(status: StatusCode, url: &str) -> Result<Response<Body>, Problem> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    respond::harden(&mut response);
    let location = HeaderValue::from_str(url).map_err(|_| Problem::ReturnTo)?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use super::*;

    /// A body of which nothing ever comes.
    struct Endless;

    impl body::Body for Endless {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<body::Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }
    }

    #[test]
    fn every_fault_is_documented() {
        for fault in TransportFault::ALL {
            let entry = format!("\n- `{}`", fault.code());
            assert!(include_str!("../../docs/REASONS.md").contains(&entry), "{entry}");
        }
    }

    #[test]
    fn a_media_type_is_compared_without_its_parameters_and_case() {
        let judged = |kind: &'static str| {
            let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
            is_media_type(&HeaderMap::from_iter([kind]), FORM)
        };
        assert!(judged(FORM) && judged("Application/X-WWW-Form-URLEncoded ; charset=UTF-8"));
        for other in ["", "text/plain", "application/x-www-form-urlencodedx", "text/plain; application/x"] {
            assert!(!judged(other), "{other}");
        }
        assert!(!is_media_type(&HeaderMap::new(), FORM));
    }

    #[test]
    fn a_body_is_read_up_to_its_cap_and_not_for_ever() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let read = |body: Body, bytes_max, read_millis_max| {
            runtime.block_on(read_body(body, BodyLimits { bytes_max, read_millis_max }))
        };
        assert_eq!(read(Body::from("12345".to_owned()), 5, 60_000), Ok(Bytes::from_static(b"12345")));
        assert_eq!(read(Body::from("12345".to_owned()), 4, 60_000), Err(TransportFault::BodyTooLarge));
        let limits = BodyLimits { bytes_max: 5, read_millis_max: 1 };
        let found = runtime.block_on(read_body(Endless, limits));
        assert_eq!(found, Err(TransportFault::BodyTimeout));
    }
}
