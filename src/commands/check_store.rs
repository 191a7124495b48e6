//! `check --store`: whether what lies in the store agrees with itself.
use std::path::Path;

use serde_json::json;

use super::{
    Failure, Format, Outcome,
    audit::{open_whole, store_failure},
    runtime,
};
use crate::{
    directory::{IntegrityReport, examine},
    domain::Timestamp,
};

/// Walks the store and prints every fault; exit code 1 if there is one.
pub fn check_store(config: &Path, format: Format) -> Result<Outcome, Failure> {
    let report = runtime()?.block_on(async {
        let (settings, store) = open_whole(config).await?;
        examine(&*store, Timestamp::now()).await.map_err(|error| store_failure(&error, &settings))
    })?;
    match format {
        Format::Text => print!("{}", text(&report)),
        Format::Json => println!("{:#}", shown(&report)),
    }
    Ok(if report.is_clean() { Outcome::Fine } else { Outcome::Failed })
}

fn text(report: &IntegrityReport) -> String {
    let mut lines: Vec<String> = report
        .faults
        .iter()
        .map(|fault| format!("{}: {}: {}", fault.what.escape_debug(), fault.why, fault.hint))
        .collect();
    if report.faults_untold > 0 {
        lines.push(format!("and {} more", report.faults_untold));
    }
    let found = report.faults.len() as u64 + report.faults_untold;
    lines.push(format!(
        "store        {} people, {} memberships, {} organizations with a record, {} sessions, {} audit entries, {found} faults",
        report.people, report.memberships, report.organizations, report.sessions, report.audit_entries
    ));
    lines.join("\n") + "\n"
}

fn shown(report: &IntegrityReport) -> serde_json::Value {
    let faults = report.faults.iter();
    let faults: Vec<_> =
        faults.map(|fault| json!({ "what": fault.what, "why": fault.why, "hint": fault.hint })).collect();
    json!({
        "clean": report.is_clean(),
        "people": report.people,
        "memberships": report.memberships,
        "organizations": report.organizations,
        "sessions": report.sessions,
        "audit_entries": report.audit_entries,
        "faults": faults,
        "faults_untold": report.faults_untold,
    })
}
