//! Reads a call's body: capped while it streams, and not for ever.
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::{
    answer,
    place::Endpoint,
    refusal::{Code, Refusal},
};
use crate::scim::{
    Reason,
    limits::{BULK_BODY_BYTES_MAX, GROUP_BODY_BYTES_MAX, USER_BODY_BYTES_MAX},
};

/// A search is a filter and a few names.
const SEARCH_BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a client may take to send a body, in milliseconds: the largest within the minute that Okta waits for an answer.
const READ_MILLIS_MAX: u64 = 30_000;

/// The body, if the operation takes one; of others it is not even read.
pub async fn read<B>(
    endpoint: Endpoint<'_>,
    method: &Method,
    fields: &HeaderMap,
    body: B,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if !matches!(*method, Method::POST | Method::PUT | Method::PATCH) || endpoint == Endpoint::Me {
        return Ok(Bytes::new());
    }
    if !answer::is_json(fields) {
        return Err(Code::MediaType.into());
    }
    if !answer::is_uncoded(fields) {
        return Err(Code::ContentCoding.into());
    }
    let bytes_max = bytes_max(endpoint);
    let declared = fields.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > bytes_max as u64) {
        return Err(too_large(bytes_max));
    }
    let body = std::pin::pin!(Limited::new(body, bytes_max).collect());
    let body = tokio::time::timeout(Duration::from_millis(READ_MILLIS_MAX), body).await;
    let body =
        body.map_err(|_| Code::BodyTimeout)?.map_err(|error| match error.is::<LengthLimitError>() {
            true => too_large(bytes_max),
            false => Code::BodyBroken.into(),
        })?;
    Ok(body.to_bytes())
}

/// How long a body may be.
pub fn bytes_max(endpoint: Endpoint<'_>) -> usize {
    match endpoint {
        Endpoint::Groups | Endpoint::Group(_) => GROUP_BODY_BYTES_MAX,
        Endpoint::Bulk => BULK_BODY_BYTES_MAX,
        _ if endpoint.is_search() => SEARCH_BODY_BYTES_MAX,
        _ => USER_BODY_BYTES_MAX,
    }
}

fn too_large(bytes_max: usize) -> Refusal {
    Reason::BodyTooLarge.error(format!("The body is longer than {bytes_max} bytes.")).into()
}
