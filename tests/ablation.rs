//! Guard ablation: takes the guards of the SAML pipeline away, one at a time, and sees what gets through.
//!
//! `cargo test --features guard-ablation --test ablation` prints for each guard the cases that come out differently without
//! it, and fails for a guard without such a case: then a case is missing, or the guard has no reason to exist.
#![allow(dead_code, unused_imports, reason = "shared with the integration tests, of which this runs a part")]

#[path = "it/attacks/mod.rs"]
mod attacks;
#[path = "it/gate_rig.rs"]
mod gate_rig;
#[path = "ablation/over_http.rs"]
mod over_http;
#[path = "it/saml/mod.rs"]
mod saml;
#[path = "it/support/mod.rs"]
mod support;
#[path = "ablation/verification.rs"]
mod verification;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut faults = verification::run();
    faults.extend(over_http::run());
    faults.sort();
    for fault in &faults {
        eprintln!("FAILED {fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
