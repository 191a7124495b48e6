//! `check --store`: whether what lies in the store agrees with itself; with `--repair`, what can be mended of it.
use std::path::Path;

use serde_json::json;

use super::{
    Failure, Format, Outcome,
    audit::{open_whole, store_failure},
    runtime,
};
use crate::{
    directory::{IntegrityFault, IntegrityReport, Mending, examine, repair},
    domain::Timestamp,
    store::{StoreError, Whole},
};

/// Mending is looked for again after what was mended, so often at most: a report tells of a thousand faults at once.
const ROUNDS_MAX: usize = 1_000;

/// What `check --store` may do beside looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    No,
    /// Tells of each fault what would mend it, and changes nothing.
    Show,
    Apply,
}

/// Walks the store and prints every fault; exit code 1 if there is one in the end.
pub fn check_store(config: &Path, format: Format, how: Repair) -> Result<Outcome, Failure> {
    let (report, mendings) = runtime()?.block_on(async {
        let (settings, store) = open_whole(config).await?;
        let checked = check(&*store, how).await;
        checked.map_err(|error| store_failure(&error, &settings))
    })?;
    match format {
        Format::Text => print!("{}{}", mendings_text(&mendings), text(&report)),
        Format::Json => {
            let mut shown = shown(&report);
            if let Some(fields) = shown.as_object_mut().filter(|_| how != Repair::No) {
                fields.insert("repair".into(), mendings_shown(&mendings, how));
            }
            println!("{shown:#}");
        }
    }
    Ok(if report.is_clean() { Outcome::Fine } else { Outcome::Failed })
}

/// A fault, and what became of it.
type Mendings = Vec<(IntegrityFault, Mending)>;

async fn check(store: &dyn Whole, how: Repair) -> Result<(IntegrityReport, Mendings), StoreError> {
    let mut mendings: Mendings = vec![];
    let mut report = examine(store, Timestamp::now()).await?;
    if how == Repair::No {
        return Ok((report, mendings));
    }
    for _ in 0..ROUNDS_MAX {
        let mut mended = 0;
        for fault in &report.faults {
            let mending = repair(store, fault, how == Repair::Apply, Timestamp::now()).await?;
            mended += usize::from(matches!(mending, Mending::Possible(_)));
            if !mendings.iter().any(|(known, _)| known == fault) {
                mendings.push((fault.clone(), mending));
            }
        }
        if how == Repair::Show {
            break;
        }
        // What was mended is looked at once more: the report is what there is now.
        report = examine(store, Timestamp::now()).await?;
        if mended == 0 || report.is_clean() {
            break;
        }
    }
    Ok((report, mendings))
}

fn mendings_text(mendings: &Mendings) -> String {
    let line = |(fault, mending): &(IntegrityFault, Mending)| {
        let what = fault.what.escape_debug();
        let becomes = match mending {
            Mending::Possible(words) => words.clone(),
            Mending::Impossible(why) => format!("cannot be mended: {why}"),
            Mending::Settled => "has settled by itself".to_owned(),
        };
        format!("repair       {what}: {}: {becomes}\n", fault.why)
    };
    mendings.iter().map(line).collect()
}

fn mendings_shown(mendings: &Mendings, how: Repair) -> serde_json::Value {
    let shown = |(fault, mending): &(IntegrityFault, Mending)| {
        let (result, words) = match mending {
            Mending::Possible(words) if how == Repair::Apply => ("mended", words.as_str()),
            Mending::Possible(words) => ("mendable", words.as_str()),
            Mending::Impossible(why) => ("impossible", *why),
            Mending::Settled => ("settled", ""),
        };
        json!({ "what": fault.what, "why": fault.why, "result": result, "words": words })
    };
    mendings.iter().map(shown).collect()
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
