//! How far webhooks have come.
use serde::{Deserialize, Serialize};

use super::{V, V1, corrupt, millis, time};
use crate::{
    domain::{self, WebhookLease, hex, parse_hex},
    store::StoreError,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store::records) struct WebhookCursor {
    v: V1,
    reached: u64,
    lease: Option<Lease>,
    failures: u32,
    retry: Option<i64>,
    gone: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lease {
    holder: String,
    until: i64,
}

impl From<&domain::WebhookCursor> for WebhookCursor {
    fn from(cursor: &domain::WebhookCursor) -> Self {
        let lease = |lease: &WebhookLease| Lease { holder: hex(&lease.holder), until: millis(lease.until) };
        Self {
            v: V,
            reached: cursor.reached,
            lease: cursor.lease.as_ref().map(lease),
            failures: cursor.failures,
            retry: cursor.retry_at.map(millis),
            gone: cursor.gone_at.map(millis),
        }
    }
}

impl WebhookCursor {
    pub fn into_domain(self) -> Result<domain::WebhookCursor, StoreError> {
        let lease = |lease: Lease| {
            let holder = parse_hex(&lease.holder).ok_or_else(|| corrupt("a holder"))?;
            Ok(WebhookLease { holder, until: time(lease.until)? })
        };
        Ok(domain::WebhookCursor {
            reached: self.reached,
            lease: self.lease.map(lease).transpose()?,
            failures: self.failures,
            retry_at: self.retry.map(time).transpose()?,
            gone_at: self.gone.map(time).transpose()?,
        })
    }
}
