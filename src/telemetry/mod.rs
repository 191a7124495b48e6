//! Logs, metrics and audit events: names and fields in one place.

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub format: LogFormat,
    /// A `tracing_subscriber::EnvFilter` directive list: `info`, `portcullis=debug`.
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Text,
}
