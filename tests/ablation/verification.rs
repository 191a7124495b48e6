//! The guards of `saml::decode` and `saml::verify`, over every case of the corpus.
use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use portcullis::saml::{
    Check, Connection, Reason, Refusal, VerifiedAssertion, decode,
    guard::{Guard, without},
};

use crate::{
    over_http,
    saml::{Case, cases, decryption, fixtures, forge},
};

/// What counts as a long message.
const LONG_BYTES_MIN: usize = 16 * 1024;
/// The last guard of the parser.
const PARSED: Guard = Guard::BoundPrefixes;
/// The first guard that no response passes.
pub const AFTER_RESPONSES: Guard = Guard::QueryOnce;
/// Cases named for a guard, at most.
const SHOWN_MAX: usize = 3;

/// Reasons without which there would be nothing to go on with, so that no guard can be taken away from before them.
const ABSENCES: &[Reason] =
    &[Reason::AssertionMissing, Reason::SubjectMissing, Reason::AuthnStatementMissing];

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// With everything that was read, in words.
    Accepted(String),
    Refused(&'static str),
    Panicked,
}

/// A case, and what it is owed with every guard in place.
struct Trial {
    case: Case,
    owed: Outcome,
    /// It is made for the connection that most cases are made for.
    is_usual: bool,
    /// The connection that this one is made for.
    own: Option<Connection>,
}

impl Trial {
    fn new(case: Case, usual: &Connection) -> Self {
        let owed = at(usual, &case);
        let is_usual = owed.is_owed_to(&case);
        let mut trial = Self { case, owed, is_usual, own: None };
        if !is_usual {
            trial.owed = trial.outcome(usual);
        }
        trial
    }

    /// What only a connection that takes CBC refuses for its padding.
    fn of_another_connection() -> Self {
        let (connection, xml) = decryption::overpadded();
        let reason = Some(Reason::DecryptionFailed);
        let case = Case { name: "S-72-padding".into(), reason, octets: xml.into_bytes() };
        let owed = at(&connection, &case);
        Self { case, owed, is_usual: false, own: Some(connection) }
    }

    /// Judges the case as the fixtures are judged. The usual connection is made once: it costs more than a message.
    fn outcome(&self, usual: &Connection) -> Outcome {
        let case = &self.case;
        if let Some(own) = &self.own {
            return at(own, case);
        }
        if self.is_usual { at(usual, case) } else { caught(|| fixtures::outcome(case.reason, &case.octets)) }
    }

    /// Refused while it is parsed, and long: left out for the guards of later checks, which it does not reach.
    fn is_beyond(&self, guard: Guard) -> bool {
        let ends_early = self.case.reason.is_some_and(|reason| reason.check() <= Check::WellFormed);
        guard > PARSED && ends_early && self.case.octets.len() > LONG_BYTES_MIN
    }
}

impl Outcome {
    fn is_owed_to(&self, case: &Case) -> bool {
        match (self, case.reason) {
            (Self::Accepted(_), None) => true,
            (Self::Refused(code), Some(reason)) => *code == reason.code(),
            _ => false,
        }
    }
}

fn at(connection: &Connection, case: &Case) -> Outcome {
    caught(|| match case.reason.is_some_and(|reason| reason.check() == Check::Encoding) {
        true => forge::judge(connection, &decode(&case.octets)?),
        false => forge::judge(connection, &case.octets),
    })
}

fn caught(judge: impl FnOnce() -> Result<VerifiedAssertion, Refusal>) -> Outcome {
    match catch_unwind(AssertUnwindSafe(judge)) {
        Ok(Ok(verified)) => Outcome::Accepted(format!("{verified:?}")),
        Ok(Err(refusal)) => Outcome::Refused(refusal.reason.code()),
        Err(_) => Outcome::Panicked,
    }
}

/// Takes each guard away; what is wrong.
pub fn run() -> Vec<String> {
    let usual = forge::usual_connection();
    let mut trials: Vec<Trial> = cases().into_iter().map(|case| Trial::new(case, &usual)).collect();
    trials.push(Trial::of_another_connection());
    let wrong = trials.iter().filter(|trial| !trial.owed.is_owed_to(&trial.case));
    let mut faults: Vec<String> =
        wrong.map(|trial| format!("{} with every guard: {:?}", trial.case.name, trial.owed)).collect();
    let mut changed: BTreeSet<Reason> = ABSENCES.iter().copied().collect();
    std::panic::set_hook(Box::new(|_| {}));
    let ours = |guard: &&Guard| **guard < AFTER_RESPONSES && !over_http::GUARDS.contains(guard);
    for guard in Guard::ALL.iter().filter(ours) {
        let different = without(&[*guard], || {
            let reached = trials.iter().filter(|trial| !trial.is_beyond(*guard));
            let found = reached.map(|trial| (trial, trial.outcome(&usual)));
            found.filter(|(trial, found)| *found != trial.owed).collect::<Vec<_>>()
        });
        changed.extend(different.iter().filter_map(|(trial, _)| trial.case.reason));
        faults.extend(report(*guard, &different));
    }
    let _ = std::panic::take_hook();
    let unguarded = Reason::ALL.iter().filter(|reason| !changed.contains(reason));
    faults.extend(unguarded.map(|reason| format!("{}: no guard for it can be taken away", reason.code())));
    faults
}

/// Prints the guard's line; what is wrong with it.
fn report(guard: Guard, different: &[(&Trial, Outcome)]) -> Vec<String> {
    let (mut faults, mut shown, mut accepted) = (vec![], vec![], 0);
    for (trial, found) in different {
        let name = &trial.case.name;
        let what = match found {
            Outcome::Accepted(_) => {
                accepted += 1;
                "accepted"
            }
            Outcome::Refused(reason) => reason,
            Outcome::Panicked => {
                faults.push(format!("{guard:?}: without it, {name} panics"));
                "PANIC"
            }
        };
        if matches!((&trial.owed, found), (Outcome::Accepted(_), Outcome::Refused(_))) {
            faults.push(format!("{guard:?}: without it, {name} is no longer accepted"));
        }
        shown.push((what != "accepted", format!("{name} -> {what}")));
    }
    if different.is_empty() {
        faults.push(format!("{guard:?}: nothing comes out differently without it"));
    }
    shown.sort();
    let shown: Vec<String> = shown.into_iter().take(SHOWN_MAX).map(|(_, line)| line).collect();
    let (name, count) = (format!("{guard:?}"), different.len());
    println!("{name:<24} {count:>3} differ, {accepted:>3} accepted: {}", shown.join("; "));
    faults
}
