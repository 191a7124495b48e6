//! Our own metadata document: made once, made anew before it runs out, served with a validator.
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use sha2::{Digest, Sha256};

use super::{
    gate::Gate,
    respond::{self, Problem},
};
use crate::{
    domain::{EnterpriseSlug, Timestamp, hex},
    proxy::Body,
    saml::{self, OwnDescriptor, SigningError},
};

/// A rollover of our keys takes days, so an hour in a cache harms nobody.
const MAX_AGE_SECONDS: u64 = 3600;
/// A document is made anew when less than this part of its validity is left: 1 / this.
const VALIDITY_PARTS: u64 = 2;

/// Writes the document when it is first asked for, and again before its validUntil.
pub struct OwnMetadata {
    settings: saml::Settings,
    descriptor: OwnDescriptor,
    validity_seconds: Option<u64>,
    made: ArcSwapOption<Made>,
}

struct Made {
    body: Bytes,
    tag: HeaderValue,
    renew_at: Timestamp,
}

impl OwnMetadata {
    /// `validity_seconds` is how long a document says that it is valid; `None`: it does not say.
    pub fn new(settings: saml::Settings, descriptor: OwnDescriptor, validity_seconds: Option<u64>) -> Self {
        Self { settings, descriptor, validity_seconds, made: ArcSwapOption::empty() }
    }

    fn document(&self, now: Timestamp) -> Result<Arc<Made>, SigningError> {
        if let Some(made) = self.made.load_full().filter(|made| now < made.renew_at) {
            return Ok(made);
        }
        let after = |seconds: u64| {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            now.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
        };
        let document =
            saml::own_metadata(&self.settings, &self.descriptor, self.validity_seconds.map(after))?;
        let hash = Sha256::digest(document.as_bytes());
        let tag = hex(&hash[..16]);
        let made = Arc::new(Made {
            tag: HeaderValue::from_str(&format!("\"{tag}\"")).unwrap_or(HeaderValue::from_static("\"\"")),
            renew_at: self.validity_seconds.map_or(Timestamp::MAX, |seconds| after(seconds / VALIDITY_PARTS)),
            body: document.into(),
        });
        self.made.store(Some(made.clone()));
        Ok(made)
    }
}

/// `/saml/metadata`: for everybody, and cacheable.
pub fn serve(
    gate: &Gate,
    enterprise: &EnterpriseSlug,
    fields: &HeaderMap,
) -> Result<Response<Body>, Problem> {
    let own = &gate.enterprise(enterprise)?.own_metadata;
    let made = own.document((gate.now)())?;
    let known = fields.get(header::IF_NONE_MATCH).is_some_and(|tags| {
        let tags = tags.to_str().unwrap_or_default();
        tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == made.tag || tag.trim() == "*")
    });
    let mut response = Response::new(if known { Body::empty() } else { Body::from(made.body.clone()) });
    respond::harden(&mut response);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let age = own.validity_seconds.map_or(MAX_AGE_SECONDS, |v| MAX_AGE_SECONDS.min(v / VALIDITY_PARTS / 2));
    let cache = HeaderValue::from_str(&format!("public, max-age={age}"));
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, cache.unwrap_or(HeaderValue::from_static("no-store")));
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/samlmetadata+xml"));
    fields.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline; filename=\"metadata.xml\""));
    fields.insert(header::ETAG, made.tag.clone());
    Ok(response)
}
