//! Cases that are not responses, the guards that they stand for, and what comes out differently without those.
use std::panic::{AssertUnwindSafe, catch_unwind};

use portcullis::saml::guard::{Guard, without};

/// What an outcome begins with if the case got through.
pub const ACCEPTED: &str = "accepted";
const PANIC: &str = "PANIC";
/// Cases named for a guard, at most.
const SHOWN_MAX: usize = 3;

/// A case, and how to judge it: [`ACCEPTED`] with whatever was read, or the code of a refusal.
pub struct Probe {
    pub name: String,
    judge: Box<dyn Fn() -> String>,
}

impl Probe {
    pub fn new(name: impl Into<String>, judge: impl Fn() -> String + 'static) -> Self {
        Self { name: name.into(), judge: Box::new(judge) }
    }

    pub fn outcome(&self) -> String {
        catch_unwind(AssertUnwindSafe(&self.judge)).unwrap_or_else(|_| PANIC.into())
    }
}

/// Takes each guard away; what is wrong.
pub fn run(what: &str, guards: &[Guard], probes: &[Probe]) -> Vec<String> {
    std::panic::set_hook(Box::new(|_| {}));
    let owed: Vec<String> = probes.iter().map(Probe::outcome).collect();
    let mut faults = vec![];
    for guard in guards {
        let found = without(&[*guard], || probes.iter().map(Probe::outcome).collect::<Vec<_>>());
        let all = probes.iter().zip(&owed).zip(&found);
        let different: Vec<_> =
            all.filter(|((_, owed), found)| owed != found).map(|((p, o), f)| (&p.name, o, f)).collect();
        if different.is_empty() {
            faults.push(format!("{guard:?}: nothing of {what} comes out differently without it"));
        }
        for (name, owed, found) in &different {
            if *found == PANIC || (owed.starts_with(ACCEPTED) && !found.starts_with(ACCEPTED)) {
                faults.push(format!("{guard:?}: without it, {name} is no longer {owed} but {found}"));
            }
        }
        let short = |outcome: &str| outcome.split(' ').next().unwrap_or_default().to_owned();
        let mut shown: Vec<String> =
            different.iter().map(|(name, _, found)| format!("{name} -> {}", short(found))).collect();
        shown.sort_by_key(|line| !line.ends_with(ACCEPTED));
        shown.truncate(SHOWN_MAX);
        let (name, count) = (format!("{guard:?}"), different.len());
        println!("{name:<24} {count:>3} differ in {what}: {}", shown.join("; "));
    }
    let _ = std::panic::take_hook();
    faults
}
