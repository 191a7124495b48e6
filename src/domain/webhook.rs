//! How far a webhook has come in an enterprise's audit stream.
use super::Timestamp;

/// Where a webhook stands with one enterprise's events, and which gateway is at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookCursor {
    /// The sequence of the last event that was delivered or passed over; 0 before the first.
    pub reached: u64,
    pub lease: Option<WebhookLease>,
    /// Attempts at the next event that failed, one after the other.
    pub failures: u32,
    /// No attempt before this.
    pub retry_at: Option<Timestamp>,
    /// Since when the receiver says that it wants no more.
    pub gone_at: Option<Timestamp>,
}

/// While it lasts, one gateway delivers and the others do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookLease {
    /// Drawn at random by whoever delivers.
    pub holder: [u8; 16],
    pub until: Timestamp,
}
