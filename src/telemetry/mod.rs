//! Logs, metrics and audit events: names and fields in one place.
mod action_names;
mod audit_action;
mod audit_line;
mod audit_people;
mod histogram;
mod lines;
mod log;
mod metrics;
mod scim_line;
mod sink;
mod traffic;
mod trigger;

pub use audit_action::AuditAction;
pub use audit_line::MembershipState;
pub use audit_people::{AuditPerson, PEOPLE_BYTES_MAX};
pub use histogram::DurationHistogram;
pub use lines::{AccessLine, AuditEvent, AuditLine, access_log, audit};
pub use log::{InitError, check_level, init};
pub use metrics::Metrics;
pub use scim_line::ScimRequest;
pub use sink::AuditSink;
pub use traffic::{InFlight, Recorder, RouteMetrics};
pub use trigger::Trigger;

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub format: LogFormat,
    /// A `tracing_subscriber::filter::Targets` list: `info`, `portcullis=debug`.
    pub level: String,
    pub audit: AuditSink,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Text,
}
