//! Why a request was refused, or did not come back from the origin server.

/// The client's fault: nothing was sent to the origin server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestFault {
    #[error("the client sent the identity field {0:?} (P-01)")]
    SpoofedField(String),
    #[error("the field name {0:?} contains an underscore (P-02)")]
    Underscore(String),
    #[error("Connection names the protected field {0:?} (P-04)")]
    ProtectedHop(String),
    #[error("Connection is not a list of field names")]
    Connection,
    #[error("Transfer-Encoding is not exactly `chunked` (P-30)")]
    TransferEncoding,
    #[error("more than one Content-Length (P-30)")]
    ContentLength,
    #[error("an expectation other than 100-continue (P-32)")]
    Expectation,
}

/// Anyone else's fault: the origin server's, or of what the IdP said about the person.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("no connection to the origin server: {0}")]
    Connect(#[source] std::io::Error),
    #[error("no connection to the origin server within {0:?}")]
    ConnectTimeout(std::time::Duration),
    #[error("no response head from the origin server within {0:?}")]
    ResponseHeadTimeout(std::time::Duration),
    #[error("the origin server closed the connection before its response: {0}")]
    Closed(#[source] hyper::Error),
    #[error("the origin server's response is malformed: {0}")]
    Response(#[source] hyper::Error),
    /// L-10, V-16
    #[error("what let the request in ended before the origin server answered")]
    AccessEnded,
    #[error("the client's body ended early: {0}")]
    ClientBody(#[source] hyper::Error),
    #[error("the origin server switched protocols unasked (P-38)")]
    Switched,
    #[error("the origin server's response has both Transfer-Encoding and Content-Length (P-38)")]
    AmbiguousLength,
    #[error("the identity fields have {bytes} bytes, more than {bytes_max} (P-07)")]
    IdentityTooLong { bytes: usize, bytes_max: usize },
    #[error("the canonical target is no URI")]
    Target,
    #[error("the request cannot be repeated")]
    Unrepeatable,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsFault {
    #[error("{0:?} is no field name that may carry identity")]
    FieldName(String),
    #[error("two identity fields are called {0:?}")]
    Duplicate(String),
}
