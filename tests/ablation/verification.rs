//! The guards of `saml::decode` and `saml::verify`, over every case of the corpus.
use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use portcullis::saml::{
    Check, Connection, Reason, decode,
    guard::{Guard, without},
};

use crate::{
    over_http,
    saml::{
        Case, cases,
        forge::{connection, judge, usual_connection},
    },
};

/// Cases longer than this, refused while they are parsed, are left out for the guards of later checks, which they do not reach.
const LONG_BYTES_MIN: usize = 16 * 1024;
/// The last guard of the parser.
const PARSED: Guard = Guard::BoundPrefixes;
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

struct Corpus {
    cases: Vec<Case>,
    usual: Connection,
    rsa_only: Connection,
}

impl Corpus {
    fn outcome(&self, case: &Case) -> Outcome {
        let connection = match case.reason {
            Some(Reason::KeyTypeMissing) => &self.rsa_only,
            _ => &self.usual,
        };
        let is_form_value = case.reason.is_some_and(|reason| reason.check() == Check::Encoding);
        let judged = catch_unwind(AssertUnwindSafe(|| match is_form_value {
            true => judge(connection, &decode(&case.octets)?),
            false => judge(connection, &case.octets),
        }));
        match judged {
            Ok(Ok(verified)) => Outcome::Accepted(format!("{verified:?}")),
            Ok(Err(refusal)) => Outcome::Refused(refusal.reason.code()),
            Err(_) => Outcome::Panicked,
        }
    }
}

/// Takes each guard away; what is wrong.
pub fn run() -> Vec<String> {
    let corpus = Corpus { cases: cases(), usual: usual_connection(), rsa_only: connection(&["idp-rsa"]) };
    let owed: Vec<Outcome> = corpus.cases.iter().map(|case| corpus.outcome(case)).collect();
    let mut faults = vec![];
    for (case, outcome) in corpus.cases.iter().zip(&owed) {
        let code = case.reason.map(Reason::code);
        let same = match outcome {
            Outcome::Accepted(_) => code.is_none(),
            Outcome::Refused(found) => code == Some(*found),
            Outcome::Panicked => false,
        };
        if !same {
            faults.push(format!("{} with every guard: {outcome:?}", case.name));
        }
    }
    let mut changed: BTreeSet<Reason> = ABSENCES.iter().copied().collect();
    std::panic::set_hook(Box::new(|_| {}));
    for guard in Guard::ALL.iter().filter(|guard| !over_http::GUARDS.contains(guard)) {
        let found = without(&[*guard], || {
            let judge = |(case, owed): (&Case, &Outcome)| match guard > &PARSED && ends_early(case) {
                true => owed.clone(),
                false => corpus.outcome(case),
            };
            corpus.cases.iter().zip(&owed).map(judge).collect::<Vec<_>>()
        });
        let differ =
            |((case, a), b): ((&Case, &Outcome), &Outcome)| (a != b).then_some(case.reason).flatten();
        changed.extend(corpus.cases.iter().zip(&owed).zip(&found).filter_map(differ));
        faults.extend(report(*guard, &corpus, &owed, &found));
    }
    let _ = std::panic::take_hook();
    let unguarded = Reason::ALL.iter().filter(|reason| !changed.contains(reason));
    faults.extend(
        unguarded.map(|reason| format!("{}: no guard that can be taken away stands for it", reason.code())),
    );
    faults
}

fn ends_early(case: &Case) -> bool {
    case.octets.len() > LONG_BYTES_MIN
        && case.reason.is_some_and(|reason| reason.check() <= Check::WellFormed)
}

/// Prints the guard's line; what is wrong with it.
fn report(guard: Guard, corpus: &Corpus, owed: &[Outcome], found: &[Outcome]) -> Vec<String> {
    let mut faults = vec![];
    let (mut accepted, mut shown) = (0, vec![]);
    let mut differ = 0;
    for ((case, owed), found) in corpus.cases.iter().zip(owed).zip(found).filter(|((_, a), b)| a != b) {
        differ += 1;
        let what = match found {
            Outcome::Accepted(_) => {
                accepted += 1;
                "accepted".to_owned()
            }
            Outcome::Refused(reason) => (*reason).to_owned(),
            Outcome::Panicked => {
                faults.push(format!("{guard:?}: without it, {} panics", case.name));
                "PANIC".to_owned()
            }
        };
        if matches!((owed, found), (Outcome::Accepted(_), Outcome::Refused(_))) {
            faults.push(format!("{guard:?}: without it, {} is no longer accepted", case.name));
        }
        shown.push((!what.starts_with("accepted"), format!("{} -> {what}", case.name)));
    }
    shown.sort();
    let shown: Vec<String> = shown.into_iter().take(SHOWN_MAX).map(|(_, line)| line).collect();
    println!("{:<24} {differ:>3} differ, {accepted:>3} accepted: {}", format!("{guard:?}"), shown.join("; "));
    if differ == 0 {
        faults.push(format!("{guard:?}: nothing comes out differently without it"));
    }
    faults
}
