//! Guard ablation: takes the guards of responses, of logout and of metadata away, one at a time, and sees what gets through.
//!
//! `cargo test --features guard-ablation --test ablation` prints for each guard the cases that come out differently without
//! it, and fails for a guard without such a case: then a case is missing, or the guard has no reason to exist.
#![allow(dead_code, unused_imports, reason = "shared with the integration tests, of which this runs a part")]

#[path = "it/attacks/mod.rs"]
mod attacks;
#[path = "it/gate_rig.rs"]
mod gate_rig;
#[path = "it/logout/mod.rs"]
mod logout;
#[path = "ablation/logout.rs"]
mod logout_guards;
#[path = "it/metadata/mod.rs"]
mod metadata;
#[path = "ablation/metadata.rs"]
mod metadata_guards;
#[path = "ablation/over_http.rs"]
mod over_http;
#[path = "ablation/probes.rs"]
mod probes;
#[path = "it/saml/mod.rs"]
mod saml;
#[path = "it/support/mod.rs"]
mod support;
#[path = "ablation/verification.rs"]
mod verification;

use std::process::ExitCode;

use portcullis::saml::guard::Guard;

fn main() -> ExitCode {
    let mut faults = verification::run();
    faults.extend(over_http::run());
    faults.extend(logout_guards::run());
    faults.extend(metadata_guards::run());
    faults.extend(nobodys());
    faults.sort();
    for fault in &faults {
        eprintln!("FAILED {fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Guards behind those of responses that no list names.
fn nobodys() -> Vec<String> {
    let lists = [
        logout_guards::MESSAGES,
        logout_guards::OVER_HTTP,
        metadata_guards::DOCUMENTS,
        metadata_guards::ADDRESSES,
        metadata_guards::FETCHED,
    ];
    let named: Vec<Guard> = lists.concat();
    let behind = Guard::ALL.iter().filter(|guard| **guard >= verification::AFTER_RESPONSES);
    behind
        .filter(|guard| !named.contains(guard))
        .map(|guard| format!("{guard:?}: nobody takes it away"))
        .collect()
}
