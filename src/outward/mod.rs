//! Connections to servers that a setting names, under the rules against server-side request forgery (M-04): https, the host
//! resolved once, all of its addresses looked at, connected to one of those, no proxy. What is said over them is for
//! `metadata` and `webhook`; neither follows a redirect.
mod address;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use address::ADDRESSES_MAX;
pub use address::{Network, choose};

use crate::{
    domain::url::WebUrl,
    saml::guard::{Guard, stands},
};

/// An https URL, whom to believe that it is the right server, and which internal addresses it may lead to.
#[derive(Debug, Clone)]
pub struct Remote {
    /// As configured; without a user.
    pub text: String,
    pub url: WebUrl,
    /// Path and query.
    pub target: String,
    pub authorities: Authorities,
    /// Internal networks that the URL may lead to all the same (M-04).
    pub internal_networks: Vec<Network>,
}

/// Why a server cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    #[error("the host {0:?} is a number in disguise")]
    NumericHost(String),
    #[error("the host cannot be resolved: {0}")]
    Resolve(String),
    #[error("the host leads to {address}, which is {why}")]
    Address { address: IpAddr, why: &'static str },
    #[error("no connection: {0}")]
    Connect(String),
    #[error("no TLS: {0}")]
    Tls(String),
}

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

impl Remote {
    /// Reads the URL; else says why it is none, fit to stand after "is".
    pub fn parse(
        text: &str,
        authorities: Authorities,
        internal_networks: Vec<Network>,
    ) -> Result<Self, &'static str> {
        let url = WebUrl::parse(text)?;
        if !url.https && stands(Guard::FetchHttps) {
            return Err("no https URL");
        }
        let uri: http::Uri = text.parse().map_err(|_| "no URL")?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Ok(Self { text: text.to_owned(), url, target, authorities, internal_networks })
    }
}

/// Opens a connection. It has no deadline of its own.
pub async fn connect(remote: &Remote) -> Result<TlsStream<TcpStream>, ReachError> {
    let address = resolve(remote).await?;
    let host = remote.url.authority.host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host).map_err(|error| ReachError::Tls(error.to_string()))?;
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|error| ReachError::Connect(error.to_string()))?;
    let stream = TlsConnector::from(remote.authorities.0.clone()).connect(name, stream).await;
    stream.map_err(|error| ReachError::Tls(error.to_string()))
}

/// The one address to connect to.
async fn resolve(remote: &Remote) -> Result<SocketAddr, ReachError> {
    let authority = &remote.url.authority;
    let host = authority.host.trim_matches(['[', ']']);
    let port = authority.port.unwrap_or(443);
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) if is_number(host) && stands(Guard::FetchNumericHost) => {
            return Err(ReachError::NumericHost(host.to_owned()));
        }
        Err(_) => {
            let found = tokio::net::lookup_host((host, port)).await;
            found.map_err(|error| ReachError::Resolve(error.to_string()))?.take(ADDRESSES_MAX + 1).collect()
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
            assert!(matches!(resolved(bad).await, Err(ReachError::Address { .. })), "{bad}");
        }
        for bad in ["https://0x7f.1/", "https://2130706433/", "https://127.1/"] {
            assert!(matches!(resolved(bad).await, Err(ReachError::NumericHost(_))), "{bad}");
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
