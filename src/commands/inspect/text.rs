//! The report for people: the verdict first, then what to do about it, then everything in order.
use std::fmt::Write as _;

use super::report::{ChangeReport, ClaimsReport, GroupsReport, ReasonReport, Report};

/// Values of an attribute that are listed before the rest is counted.
const VALUES_SHOWN_MAX: usize = 12;

pub(super) fn write(report: &Report) -> String {
    let mut out = String::new();
    match &report.reason {
        None => out.push_str("ACCEPTED\n"),
        Some(reason) => write_reason(&mut out, reason),
    }
    out.push_str("\nChecks\n");
    for check in &report.checks {
        let mark = match check.outcome {
            "passed" => "ok  ",
            "failed" => "FAIL",
            _ => " -  ",
        };
        row(&mut out, &format!("{mark} {}", check.name.replace('_', " ")), &tame(&check.detail));
    }
    if let Some(claims) = &report.claims {
        write_claims(&mut out, claims);
    }
    if let Some(groups) = &report.groups {
        write_groups(&mut out, groups);
        write_plan(&mut out, &report.plan, groups);
    }
    out
}

fn write_reason(out: &mut String, reason: &ReasonReport) {
    line(out, format_args!("REFUSED  {}\n", reason.code));
    line(out, format_args!("  {}\n", tame(&reason.message)));
    for (label, value) in [("expected", &reason.expected), ("found", &reason.found)] {
        if let Some(value) = value {
            row(out, label, &tame(value));
        }
    }
    row(out, "clause", reason.clause);
    row(out, "what to do", reason.hint);
    if reason.code == "request_unknown" {
        row(
            out,
            "here",
            "name the request as outstanding with --request-id, to see what comes after this check",
        );
    }
}

fn write_claims(out: &mut String, claims: &ClaimsReport) {
    out.push_str("\nPerson\n");
    row(out, "NameID", &tame(&claims.name_id.value));
    row(out, "format", &tame(&claims.name_id.format));
    row(out, "signed in at", &claims.authn_instant);
    if let Some(end) = &claims.session_not_on_or_after {
        row(out, "session until", end);
    }
    if let Some(index) = &claims.session_index {
        row(out, "session index", &tame(index));
    }
    if !claims.attributes.is_empty() {
        out.push_str("\nAttributes\n");
    }
    for attribute in &claims.attributes {
        let mut shown: Vec<String> =
            attribute.values.iter().take(VALUES_SHOWN_MAX).map(|v| tame(v)).collect();
        let rest = attribute.values.len().saturating_sub(VALUES_SHOWN_MAX);
        if rest > 0 {
            shown.push(format!("and {rest} more"));
        }
        let values = if shown.is_empty() { "(no value)".into() } else { shown.join(" | ") };
        row(out, &tame(&attribute.name), &values);
    }
}

fn write_groups(out: &mut String, groups: &GroupsReport) {
    let means = match groups.state {
        "absent" => "no group attribute: memberships stay as they are",
        "overage" => "too many groups for the identity provider to send: memberships stay as they are",
        "empty" => "the attribute is there and empty: the person is in no group",
        _ => "",
    };
    line(out, format_args!("\nGroups  ({})\n", groups.state));
    if !means.is_empty() {
        line(out, format_args!("  {means}\n"));
    }
    for found in &groups.matched {
        row(out, &tame(&found.group), &format!("{} of {}", found.role, found.organization));
    }
    for group in &groups.unmatched {
        row(out, &tame(group), "stands for no organization");
    }
}

fn write_plan(out: &mut String, plan: &[ChangeReport], groups: &GroupsReport) {
    out.push_str("\nPlan\n");
    if plan.is_empty() {
        let why = match groups.state {
            "absent" | "overage" => "nothing changes: the groups are not known",
            _ => "nothing changes: memberships agree with the groups, or the switches are off",
        };
        line(out, format_args!("  {why}\n"));
    }
    for change in plan {
        let role = change.role.unwrap_or("member");
        let organization = &change.organization;
        let words = match change.change {
            "join" => format!("+ join {organization} as {role}"),
            "promote" => format!("^ become owner of {organization}"),
            "leave" => format!("- leave {organization}, where the role is {role}"),
            "cancel_invitation" => format!("x cancel the invitation to {organization}"),
            _ => format!("! {organization} loses its last owner and becomes unowned"),
        };
        line(out, format_args!("  {words}\n"));
    }
}

fn row(out: &mut String, label: &str, value: &str) {
    line(out, format_args!("{}\n", format!("  {label:<24} {value}").trim_end()));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = out.write_fmt(text);
}

/// Nothing from a message reaches the terminal as a control character (S-97).
fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
