//! The IdP's metadata from a file or a URL: fetched, judged by `saml`, kept in the store, and taken up by running sign-ins.
//!
//! `fetch` gets the octets over a connection of `outward`, under its rules against server-side request forgery, `adopt` decides whether a document
//! may take the place of the last good one, `schedule` when to look again and when to raise an alarm, `watch` is the
//! task that does it. A document that is refused changes nothing: the last good one stays until its own end.
mod adopt;
mod error;
mod fetch;
mod schedule;
mod watch;

use std::{path::PathBuf, sync::Arc};

pub use error::{FetchError, RefreshError};
pub use watch::{Handle, Home, Outcome, Watch};

pub use crate::outward::{Authorities, AuthoritiesError, Network, Remote, choose};
use crate::{
    domain::Timestamp,
    saml::{self, IdpMetadata, MetadataRules, MetadataSigners},
};

/// How one enterprise learns of its IdP.
#[derive(Clone)]
pub struct Settings {
    pub source: Source,
    pub rules: MetadataRules,
    /// If there are any, one of them must have signed the document.
    pub signers: Option<Arc<MetadataSigners>>,
    pub trust: Trust,
    /// SHA-256 fingerprints of certificates or public keys, lower-case hexadecimal, that an administrator has approved.
    pub approved_keys: Vec<String>,
    /// Looks again after this long at the latest.
    pub refresh_seconds: u64,
    /// A document is relied upon for this long at most after it was fetched.
    pub validity_seconds_max: u64,
}

/// Where the document comes from.
#[derive(Debug, Clone)]
pub enum Source {
    File(PathBuf),
    Url(Box<Remote>),
}

/// What a document without a pinned signer needs for new keys (M-02).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// One key must be known already: from the last good document, or by an administrator's approval.
    Overlap,
    /// The server's TLS certificate vouches for everything.
    Tls,
}

impl Source {
    /// For people and logs: the path, or the URL without its query, which may be a secret.
    pub fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Url(remote) => remote.text.split('?').next().unwrap_or_default().to_owned(),
        }
    }

    /// The document's octets.
    async fn get(&self) -> Result<Vec<u8>, RefreshError> {
        match self {
            Self::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || fetch::read_file(&path)).await;
                read.map_err(|error| RefreshError::File(error.to_string()))?
            }
            Self::Url(remote) => Ok(fetch::fetch(remote).await?),
        }
    }
}

impl Settings {
    /// Gets and reads the document once, as commands do that keep nothing: no last good one, no rule about keys.
    pub async fn once(&self, now: Timestamp) -> Result<IdpMetadata, RefreshError> {
        let octets = self.source.get().await?;
        Ok(saml::read_metadata(&octets, &self.rules, self.signers.as_deref(), now)?)
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("metadata::Settings")
            .field("source", &self.source)
            .field("rules", &self.rules)
            .field("pinned", &self.signers.is_some())
            .field("trust", &self.trust)
            .field("approved_keys", &self.approved_keys)
            .field("refresh_seconds", &self.refresh_seconds)
            .field("validity_seconds_max", &self.validity_seconds_max)
            .finish()
    }
}
