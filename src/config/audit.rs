//! `[audit]`: how long what happened is kept, and where it goes beside the store.
use std::path::Path;

use crate::telemetry::AuditSink;

use super::reader::Reader;

/// As long as the reference system keeps it (section 6).
const RETENTION_DAYS: u64 = 180;

/// Days, and the sink.
pub fn audit(reader: &mut Reader, folder: &Path) -> (u32, AuditSink) {
    let days = reader.integer("audit.retention_days", RETENTION_DAYS);
    let sink = reader.text_or("audit.sink", "log");
    let chosen = match sink.value.as_str() {
        "log" => AuditSink::Log,
        "stdout" => AuditSink::Stdout,
        file if file.trim().is_empty() => {
            reader.fault(&sink.place, "audit.sink", "is blank", "write \"log\", \"stdout\" or a file's name");
            AuditSink::Log
        }
        file => AuditSink::File(folder.join(file)),
    };
    (u32::try_from(days).unwrap_or(u32::MAX), chosen)
}
