//! The report for people: the verdict first, then what to do about it, then everything in order.
use std::fmt::Write as _;

use crate::saml::SubjectKey;

use super::report::{ChangeReport, CheckReport, ClaimsReport, GroupsReport, ReasonReport, Report};

/// Values of an attribute, and groups without organization, that are listed before the rest is counted.
const VALUES_SHOWN_MAX: usize = 12;
/// Where a line of words ends.
const LINE_CHARS_MAX: usize = 100;
/// The column in which values begin; a longer label has a line of its own.
const LABEL_CHARS: usize = 26;

pub(super) fn write(report: &Report) -> String {
    let mut out = String::new();
    match (&report.reason, &report.claims) {
        (Some(reason), _) => write_reason(&mut out, reason),
        (None, Some(claims)) => {
            let name = tame(&claims.subject.value);
            line(&mut out, format_args!("ACCEPTED\n  The gateway would sign {name} in.\n\n"));
        }
        (None, None) => out.push_str("ACCEPTED\n\n"),
    }
    row(&mut out, "judged", &report.judged);
    write_checks(&mut out, &report.checks);
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
    line(out, format_args!("REFUSED  {}\n  {}\n\n", reason.code, tame(&reason.message)));
    for (label, value) in [("expected", &reason.expected), ("found", &reason.found)] {
        if let Some(value) = value {
            row(out, label, &tame(value));
        }
    }
    row(out, "clause", reason.clause);
    row(out, "what to do", reason.hint);
    if let Some(further) = further(reason) {
        row(out, "to look further", &further);
    }
}

/// How to see what comes after a check that fails only because the response is looked at elsewhere and later.
fn further(reason: &ReasonReport) -> Option<String> {
    let found = reason.found.as_deref().map(tame);
    match (reason.code, found) {
        ("request_unknown", Some(id)) => Some(format!("--request-id {id} takes this request as outstanding")),
        ("issue_instant_stale" | "issue_instant_future", Some(issued)) => {
            Some(format!("--at {issued} judges the response at the time when it was issued"))
        }
        (
            "confirmation_expired" | "conditions_expired" | "conditions_not_yet_valid" | "session_expired",
            _,
        ) => Some("--at judges the response at another time, such as that of its IssueInstant".into()),
        _ => None,
    }
}

fn write_checks(out: &mut String, checks: &[CheckReport]) {
    out.push_str("\nChecks\n");
    for check in checks.iter().filter(|check| check.outcome != "not_reached") {
        let mark = if check.outcome == "passed" { "ok  " } else { "FAIL" };
        row(out, &format!("{mark} {}", check.name.replace('_', " ")), &tame(&check.detail));
    }
    let missed = checks.iter().filter(|check| check.outcome == "not_reached").count();
    match missed {
        0 => {}
        1 => out.push_str("       1 more check was not reached\n"),
        _ => line(out, format_args!("       {missed} more checks were not reached\n")),
    }
}

fn write_claims(out: &mut String, claims: &ClaimsReport) {
    out.push_str("\nPerson\n");
    row(out, "NameID", &tame(&claims.name_id.value));
    row(out, "format", &tame(&claims.name_id.format));
    match claims.subject.key.as_str() {
        SubjectKey::NAME_ID => row(out, "identified by", "the NameID"),
        name => {
            row(out, "identified by", &tame(name));
            row(out, "subject", &tame(&claims.subject.value));
        }
    }
    row(out, "person", &claims.subject.person);
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
        let values = &attribute.values;
        let label = tame(&attribute.name);
        row(out, &label, &values.first().map_or("(no value)".into(), |value| tame(value)));
        for value in values.iter().take(VALUES_SHOWN_MAX).skip(1) {
            row(out, "", &tame(value));
        }
        let rest = values.len().saturating_sub(VALUES_SHOWN_MAX);
        if rest > 0 {
            row(out, "", &format!("and {rest} more"));
        }
    }
}

fn write_groups(out: &mut String, groups: &GroupsReport) {
    let means = match groups.state {
        "absent" => "no group attribute: memberships stay as they are",
        "overage" => "too many groups for the identity provider to send: memberships stay as they are",
        "object_ids" => {
            "object ids, and nothing here stands for one: memberships stay as they are; map the ids, or have names sent"
        }
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
    if groups.unmatched.is_empty() {
        return;
    }
    out.push_str("  These stand for no organization:\n");
    for group in groups.unmatched.iter().take(VALUES_SHOWN_MAX) {
        line(out, format_args!("    {}\n", tame(group)));
    }
    let rest = groups.unmatched.len().saturating_sub(VALUES_SHOWN_MAX);
    if rest > 0 {
        line(out, format_args!("    and {rest} more\n"));
    }
}

fn write_plan(out: &mut String, plan: &[ChangeReport], groups: &GroupsReport) {
    out.push_str("\nPlan\n");
    if plan.is_empty() {
        let why = match groups.state {
            "absent" | "overage" | "object_ids" => "nothing changes: the groups are not known",
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

/// A label and its value, in lines of bounded length: what does not fit goes on below the value.
fn row(out: &mut String, label: &str, value: &str) {
    let mut text = format!("  {label:<LABEL_CHARS$}");
    let mut column = text.chars().count();
    if column > LABEL_CHARS + 2 {
        text = format!("{}\n{:indent$}", text.trim_end(), "", indent = LABEL_CHARS + 2);
        column = LABEL_CHARS + 2;
    }
    for (index, word) in value.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > LINE_CHARS_MAX {
            text.push_str(&format!("\n{:indent$}", "", indent = LABEL_CHARS + 2));
            column = LABEL_CHARS + 2;
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    line(out, format_args!("{}\n", text.trim_end()));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = out.write_fmt(text);
}

/// Nothing from a message reaches the terminal as a control character (S-97).
fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
