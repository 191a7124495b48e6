//! To the origin server and back: strip, set identity, stream, map failures.

/// Limits towards origin servers.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub connect_millis_max: u64,
    /// Until the origin server's response head.
    pub response_head_millis_max: u64,
    /// Idle connections kept per worker and origin server.
    pub idle_connections_max: usize,
    pub idle_connection_seconds_max: u64,
    pub identity: IdentityFields,
}

/// The names of the identity fields, and how lists are joined.
#[derive(Debug, Clone, PartialEq)]
pub struct IdentityFields {
    pub user: String,
    pub email: String,
    pub groups: String,
    pub organizations: String,
    pub preferred_username: String,
    /// All identity fields of one request together may have this many bytes.
    pub bytes_max: usize,
}
