//! Gets the document: one GET over TLS to an address that was looked at, or a file. Everything has an end.
use std::{
    convert::Infallible,
    fmt,
    fs::File,
    io::Read,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{
    Remote,
    address::{ADDRESSES_MAX, choose},
    error::{FetchError, RefreshError},
};
use crate::saml::{
    guard::{Guard, stands},
    limits::METADATA_BYTES_MAX,
};

/// From the look-up of the host to the last octet.
const FETCH_SECONDS_MAX: u64 = 10;
/// The head of the answer.
const HEAD_BYTES_MAX: usize = 32 * 1024;
const HEAD_FIELDS_MAX: usize = 64;

/// Whose signature under a server's certificate counts.
#[derive(Clone)]
pub struct Authorities(Arc<ClientConfig>);

/// Why there is nobody to believe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    #[error("holds no certificate in PEM")]
    NoCertificate,
    #[error("holds a certificate that cannot be an authority: {0}")]
    Unusable(String),
    #[error("has no usable TLS: {0}")]
    Tls(String),
}

impl Authorities {
    /// Those of this system, or of `SSL_CERT_FILE`.
    pub fn of_system() -> Result<Self, AuthoritiesError> {
        let mut roots = RootCertStore::empty();
        // Some in a system's store are odd; the others serve.
        let _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::new(roots)
    }

    /// Those of a PEM text and no others.
    pub fn of_pem(pem: &[u8]) -> Result<Self, AuthoritiesError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| AuthoritiesError::NoCertificate)?;
            roots.add(certificate).map_err(|error| AuthoritiesError::Unusable(error.to_string()))?;
        }
        if roots.is_empty() { Err(AuthoritiesError::NoCertificate) } else { Self::new(roots) }
    }

    fn new(roots: RootCertStore) -> Result<Self, AuthoritiesError> {
        let provider = Arc::new(rustls_openssl::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| AuthoritiesError::Tls(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorities(…)")
    }
}

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
    let address = resolve(remote).await?;
    let host = remote.url.authority.host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host).map_err(|error| FetchError::Tls(error.to_string()))?;
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|error| FetchError::Connect(error.to_string()))?;
    let stream = TlsConnector::from(remote.authorities.0.clone()).connect(name, stream).await;
    let stream = stream.map_err(|error| FetchError::Tls(error.to_string()))?;
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

/// The one address to connect to.
async fn resolve(remote: &Remote) -> Result<SocketAddr, FetchError> {
    let authority = &remote.url.authority;
    let host = authority.host.trim_matches(['[', ']']);
    let port = authority.port.unwrap_or(443);
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) if is_number(host) && stands(Guard::FetchNumericHost) => {
            return Err(FetchError::NumericHost(host.to_owned()));
        }
        Err(_) => {
            let found = tokio::net::lookup_host((host, port)).await;
            found.map_err(|error| FetchError::Resolve(error.to_string()))?.take(ADDRESSES_MAX + 1).collect()
        }
    };
    choose(&addresses, &remote.internal_networks)
}

/// Whether resolvers might take the host for an IPv4 address in another spelling: `0x7f.1`, `2130706433`, `127.1`.
fn is_number(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").is_some_and(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
    hexadecimal || (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m_04_numbers_in_disguise_are_known() {
        for bad in ["0x7f.1", "2130706433", "127.1", "0177.0.0.1", "0x7f000001", "127.0.0.1.", "1.2.3.0x4"] {
            assert!(is_number(bad), "{bad}");
        }
        for good in ["idp.example.com", "1.example", "0xample.com", "a-1", "idp.example.c0m"] {
            assert!(!is_number(good), "{good}");
        }
    }

    #[tokio::test]
    async fn m_04_addresses_are_judged_before_anything_is_connected() {
        let resolved = async |url: &str| {
            let authorities = Authorities::of_system().unwrap();
            resolve(&Remote::parse(url, authorities, vec![]).unwrap()).await
        };
        for bad in [
            "https://127.0.0.1/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest",
            "https://100.64.0.1/",
            "https://[::1]:8443/",
            "https://localhost/",
        ] {
            assert!(matches!(resolved(bad).await, Err(FetchError::Address { .. })), "{bad}");
        }
        for bad in ["https://0x7f.1/", "https://2130706433/", "https://127.1/"] {
            assert!(matches!(resolved(bad).await, Err(FetchError::NumericHost(_))), "{bad}");
        }
        assert_eq!(resolved("https://9.9.9.9/").await, Ok("9.9.9.9:443".parse().unwrap()));
    }

    #[test]
    fn m_04_only_https_without_a_user() {
        let authorities = Authorities::of_system().unwrap();
        for bad in
            ["http://idp.example.com/", "https://user:pass@idp.example.com/", "file:///etc/passwd", "idp"]
        {
            assert!(Remote::parse(bad, authorities.clone(), vec![]).is_err(), "{bad}");
        }
        let remote = Remote::parse("https://idp.example.com/a?b=c", authorities, vec![]).unwrap();
        assert_eq!(remote.target, "/a?b=c");
    }
}
