//! What was found out about a response: the shape of the JSON report, and what the text is written from.
use serde::Serialize;

use crate::{
    domain::{GroupClaim, PersonId},
    provisioning::{Correspondence, GroupsMissing, Plan, Settings, UnusableAttribute},
    saml::{Check, Refusal, SubjectKey, VerifiedAssertion},
    second_opinion::Disagreement,
};

/// The whole report. Field names are stable.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `accepted` or `refused`.
    pub verdict: &'static str,
    pub reason: Option<ReasonReport>,
    /// In order; what comes after the failed one was not reached.
    pub checks: Vec<CheckReport>,
    pub claims: Option<ClaimsReport>,
    pub groups: Option<GroupsReport>,
    pub plan: Vec<ChangeReport>,
    /// When and for whom; for the text.
    #[serde(skip)]
    pub judged: String,
}

/// Why the response is refused.
#[derive(Debug, Serialize)]
pub struct ReasonReport {
    pub code: &'static str,
    pub message: String,
    pub expected: Option<String>,
    pub found: Option<String>,
    pub hint: &'static str,
    pub clause: &'static str,
}

/// One check: `passed`, `failed` or `not_reached`.
#[derive(Debug, Serialize)]
pub struct CheckReport {
    pub name: &'static str,
    pub outcome: &'static str,
    pub detail: String,
}

/// What the assertion says, from the octets that were digested.
#[derive(Debug, Serialize)]
pub struct ClaimsReport {
    pub subject: SubjectReport,
    pub name_id: NameIdReport,
    pub session_index: Option<String>,
    pub authn_instant: String,
    pub session_not_on_or_after: Option<String>,
    pub attributes: Vec<AttributeReport>,
}

/// Who the person is to the gateway.
#[derive(Debug, Serialize)]
pub struct SubjectReport {
    /// `name_id`, or the name of the attribute that the connection identifies people by.
    pub key: String,
    pub value: String,
    /// The person's id in the log and in the store.
    pub person: String,
}

#[derive(Debug, Serialize)]
pub struct NameIdReport {
    pub value: String,
    pub format: String,
}

#[derive(Debug, Serialize)]
pub struct AttributeReport {
    pub name: String,
    pub values: Vec<String>,
}

/// The group claim, and what its groups stand for.
#[derive(Debug, Serialize)]
pub struct GroupsReport {
    /// `absent`, `overage`, `object_ids`, `empty` or `present`.
    pub state: &'static str,
    pub matched: Vec<MatchReport>,
    pub unmatched: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct MatchReport {
    pub group: String,
    pub organization: String,
    pub role: &'static str,
}

/// One membership change: `join`, `promote`, `leave`, `cancel_invitation` or `become_unowned`.
#[derive(Debug, Serialize)]
pub struct ChangeReport {
    pub change: &'static str,
    pub organization: String,
    pub role: Option<&'static str>,
}

impl Report {
    pub fn is_accepted(&self) -> bool {
        self.reason.is_none()
    }

    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).unwrap_or_default();
        json.push('\n');
        json
    }

    pub(super) fn refused(trail: &[(Check, String)], refusal: &Refusal) -> Self {
        let reason = refusal.reason;
        let failed = reason.check();
        // What was decrypted goes through checks that the message around it has passed.
        let mut checks = passed(trail);
        checks.retain(|check| check.name != failed.name());
        let detail = refusal.detail.clone().unwrap_or_else(|| reason.message().into());
        checks.push(line(failed, "failed", detail));
        for check in Check::ALL {
            if checks.iter().all(|seen| seen.name != check.name()) {
                checks.push(line(*check, "not_reached", String::new()));
            }
        }
        Self {
            verdict: "refused",
            checks,
            reason: Some(ReasonReport {
                code: reason.code(),
                message: reason.message().into(),
                expected: refusal.expected.clone(),
                found: refusal.found.clone(),
                hint: reason.hint(),
                clause: reason.clause(),
            }),
            claims: None,
            groups: None,
            plan: Vec::new(),
            judged: String::new(),
        }
    }

    /// The assertion is good, but an attribute that the configuration names cannot be used (S-23, S-95).
    pub(super) fn unusable(
        trail: &[(Check, String)],
        (assertion, person): (&VerifiedAssertion, PersonId),
        error: &UnusableAttribute,
    ) -> Self {
        let (code, found) = match error {
            UnusableAttribute::Ambiguous { values, .. } => {
                ("attribute_ambiguous", format!("{values} values"))
            }
            UnusableAttribute::NotText { .. } => ("attribute_not_text", "elements, or nil".to_owned()),
        };
        let reason = ReasonReport {
            code,
            message: format!("{error}."),
            expected: Some("1 value that is text".into()),
            found: Some(found),
            hint: "Release one text value of this attribute at the identity provider, or map another one in the configuration.",
            clause: "SAML Core 2.7.3.1",
        };
        Self::in_spite_of(trail, (assertion, person), reason)
    }

    /// The assertion is good and says nothing about groups, where the connection demands that it does (A1).
    pub(super) fn groupless(
        trail: &[(Check, String)],
        (assertion, person): (&VerifiedAssertion, PersonId),
        error: &GroupsMissing,
    ) -> Self {
        let reason = ReasonReport {
            code: "groups_missing",
            message: format!("{error}."),
            expected: Some("a group attribute".into()),
            found: Some("none".into()),
            hint: "Release the groups to this application at the identity provider, or change `missing_groups`.",
            clause: "none: the enterprise's missing_groups asks for it",
        };
        Self::in_spite_of(trail, (assertion, person), reason)
    }

    /// The core accepts the response; the second verifier, which the connection asks for, does not.
    pub(super) fn disagreed(
        trail: &[(Check, String)],
        (assertion, person): (&VerifiedAssertion, PersonId),
        disagreement: &Disagreement,
    ) -> Self {
        let reason = ReasonReport {
            code: "second_opinion_disagrees",
            message: format!("{disagreement}."),
            expected: None,
            found: None,
            hint: "Keep the response and report it: one of the two verifiers is wrong.",
            clause: "none: the connection's second_opinion asks for it",
        };
        Self::in_spite_of(trail, (assertion, person), reason)
    }

    /// Refused after every check of the core passed.
    fn in_spite_of(
        trail: &[(Check, String)],
        (assertion, person): (&VerifiedAssertion, PersonId),
        reason: ReasonReport,
    ) -> Self {
        Self {
            verdict: "refused",
            checks: passed(trail),
            reason: Some(reason),
            claims: Some(ClaimsReport::of(assertion, person)),
            groups: None,
            plan: Vec::new(),
            judged: String::new(),
        }
    }

    pub(super) fn accepted(
        trail: &[(Check, String)],
        (assertion, person): (&VerifiedAssertion, PersonId),
        claim: &GroupClaim,
        settings: &Settings,
        plan: &Plan,
    ) -> Self {
        let found = Correspondence::of(claim.groups(), settings);
        let matched = found.matched.into_iter().map(|m| MatchReport {
            group: m.group,
            organization: m.organization.to_string(),
            role: m.role.as_str(),
        });
        let changes = plan.changes.iter().map(|change| ChangeReport {
            change: change.kind(),
            organization: change.organization().to_string(),
            role: change.role().map(|role| role.as_str()),
        });
        Self {
            verdict: "accepted",
            reason: None,
            checks: passed(trail),
            claims: Some(ClaimsReport::of(assertion, person)),
            groups: Some(GroupsReport {
                state: claim.state(),
                matched: matched.collect(),
                unmatched: found.unmatched,
            }),
            plan: changes.collect(),
            judged: String::new(),
        }
    }
}

impl ClaimsReport {
    fn of(assertion: &VerifiedAssertion, person: PersonId) -> Self {
        let name_id = assertion.name_id();
        let attributes = assertion.attributes().iter();
        let subject = assertion.stable_id();
        Self {
            subject: SubjectReport {
                key: subject.attribute().unwrap_or(SubjectKey::NAME_ID).to_owned(),
                value: subject.value().to_owned(),
                person: person.to_string(),
            },
            name_id: NameIdReport { value: name_id.value.clone(), format: name_id.format.clone() },
            session_index: assertion.session_index().map(str::to_owned),
            authn_instant: assertion.authn_instant().to_string(),
            session_not_on_or_after: assertion.session_not_on_or_after().map(|end| end.to_string()),
            attributes: attributes
                .map(|a| AttributeReport { name: a.name.clone(), values: a.values.clone() })
                .collect(),
        }
    }
}

fn passed(trail: &[(Check, String)]) -> Vec<CheckReport> {
    trail.iter().map(|(check, detail)| line(*check, "passed", detail.clone())).collect()
}

fn line(check: Check, outcome: &'static str, detail: String) -> CheckReport {
    CheckReport { name: check.name(), outcome, detail }
}
