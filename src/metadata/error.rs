//! Why a refresh brought nothing.
use crate::{
    outward::ReachError,
    saml::{ConnectionError, MetadataError},
};

/// Why a URL yielded no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error(transparent)]
    Reach(#[from] ReachError),
    #[error("the exchange failed: {0}")]
    Exchange(String),
    #[error("no document within {0} seconds")]
    Timeout(u64),
    #[error("the server redirects (status {0}); redirects are not followed")]
    Redirect(u16),
    #[error("the server answers with status {0}")]
    Status(u16),
    #[error("the document comes with a Content-Encoding, which is not asked for")]
    Encoded,
    #[error("the document is longer than {0} bytes")]
    TooLarge(usize),
}

/// Why the last good document stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("the file cannot be read: {0}")]
    File(String),
    #[error("{0}")]
    Metadata(#[from] MetadataError),
    #[error(
        "none of its keys is known: {}; approve one in metadata_approved_keys after comparing it with the IdP's administrator",
        fingerprints.join(", ")
    )]
    KeysUnknown { fingerprints: Vec<String> },
    #[error("{0}")]
    Connection(#[from] ConnectionError),
    #[error("the task that refreshes has ended")]
    Stopped,
}

impl FetchError {
    fn code(&self) -> &'static str {
        match self {
            Self::Reach(ReachError::NumericHost(_) | ReachError::Address { .. }) => "metadata_address",
            Self::Reach(ReachError::Resolve(_)) => "metadata_unresolved",
            Self::Reach(ReachError::Connect(_)) | Self::Exchange(_) => "metadata_unreachable",
            Self::Reach(ReachError::Tls(_)) => "metadata_tls",
            Self::Timeout(_) => "metadata_timeout",
            Self::Redirect(_) => "metadata_redirect",
            Self::Status(_) => "metadata_status",
            Self::Encoded => "metadata_encoded",
            Self::TooLarge(_) => "metadata_too_large",
        }
    }
}

impl RefreshError {
    /// Stable code for logs, metrics and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.code(),
            Self::File(_) => "metadata_file",
            Self::Metadata(error) => error.code(),
            Self::KeysUnknown { .. } => "metadata_keys_unknown",
            Self::Connection(_) => "metadata_key",
            Self::Stopped => "metadata_stopped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_documented() {
        let address = std::net::IpAddr::from([127, 0, 0, 1]);
        let fetching = [
            ReachError::NumericHost(String::new()).into(),
            ReachError::Resolve(String::new()).into(),
            ReachError::Address { address, why: "" }.into(),
            ReachError::Connect(String::new()).into(),
            ReachError::Tls(String::new()).into(),
            FetchError::Exchange(String::new()),
            FetchError::Timeout(0),
            FetchError::Redirect(302),
            FetchError::Status(404),
            FetchError::Encoded,
            FetchError::TooLarge(0),
        ];
        let others = [
            RefreshError::File(String::new()),
            RefreshError::KeysUnknown { fingerprints: vec![] },
            RefreshError::Connection(ConnectionError::NoKey),
            RefreshError::Stopped,
        ];
        for error in fetching.into_iter().map(RefreshError::from).chain(others) {
            let entry = format!("\n- `{}`", error.code());
            assert!(include_str!("../../docs/REASONS.md").contains(&entry), "{entry}");
        }
    }
}
