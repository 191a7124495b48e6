//! Gets the document: one GET over TLS to an address that was looked at, or a file. Everything has an end.
use std::{convert::Infallible, fs::File, io::Read, path::Path, time::Duration};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::error::{FetchError, RefreshError};
use crate::{
    outward::{Remote, connect},
    saml::{
        guard::{Guard, stands},
        limits::METADATA_BYTES_MAX,
    },
};

/// From the look-up of the host to the last octet.
const FETCH_SECONDS_MAX: u64 = 10;
/// The head of the answer.
const HEAD_BYTES_MAX: usize = 32 * 1024;
const HEAD_FIELDS_MAX: usize = 64;

/// Gets the document of a URL (M-04, M-05): https only, resolved once, connected to the address that was looked at, no
/// redirect, no proxy, no content coding, within ten seconds and two mebibytes.
pub(super) async fn fetch(remote: &Remote) -> Result<Vec<u8>, FetchError> {
    let deadline = Duration::from_secs(FETCH_SECONDS_MAX);
    let timeout = |_| FetchError::Timeout(FETCH_SECONDS_MAX);
    tokio::time::timeout(deadline, attempt(remote)).await.map_err(timeout)?
}

/// Reads a file of at most the same length.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, RefreshError> {
    let unreadable = |error: std::io::Error| RefreshError::File(error.to_string());
    let mut octets = vec![];
    let mut file = File::open(path).map_err(unreadable)?.take(size_max() as u64 + 1);
    file.read_to_end(&mut octets).map_err(unreadable)?;
    Ok(octets)
}

/// How much of a document is read.
fn size_max() -> usize {
    // One less than there is, for what reads one more.
    if stands(Guard::MetadataSize) { METADATA_BYTES_MAX } else { usize::MAX - 1 }
}

async fn attempt(remote: &Remote) -> Result<Vec<u8>, FetchError> {
    let stream = connect(remote).await?;
    let broken = |error: hyper::Error| FetchError::Exchange(error.to_string());
    let mut builder = http1::Builder::new();
    if stands(Guard::FetchHead) {
        builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEAD_FIELDS_MAX);
    }
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // The connection is driven along and may end before the last octets are taken from it.
    let driven = async {
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        document = exchange(sender, remote) => document,
        never = driven => match never {},
    }
}

async fn exchange(
    mut sender: http1::SendRequest<Empty<Bytes>>,
    remote: &Remote,
) -> Result<Vec<u8>, FetchError> {
    let request = Request::get(&remote.target)
        .header(header::HOST, remote.url.authority.shown(true))
        .header(
            header::ACCEPT,
            "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.8, */*;q=0.1",
        )
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::CONNECTION, "close")
        .header(header::USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new())
        .map_err(|error| FetchError::Exchange(error.to_string()))?;
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|error| FetchError::Exchange(error.to_string()))?;
    match answer.status() {
        status if status == 200 || !stands(Guard::FetchStatus) => {}
        status if status.is_redirection() => return Err(FetchError::Redirect(status.as_u16())),
        status => return Err(FetchError::Status(status.as_u16())),
    }
    let codings = answer.headers().get_all(header::CONTENT_ENCODING);
    let coded = codings.iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if coded && stands(Guard::FetchCoding) {
        return Err(FetchError::Encoded);
    }
    let body = Limited::new(answer.into_body(), size_max()).collect().await;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => FetchError::TooLarge(METADATA_BYTES_MAX),
        false => FetchError::Exchange(error.to_string()),
    })?;
    Ok(body.to_bytes().to_vec())
}
