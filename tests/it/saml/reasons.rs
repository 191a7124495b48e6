//! `docs/REASONS.md` says of every reason what the code says.
//!
//! `UPDATE_FIXTURES=1 cargo test --test it saml::reasons` writes the part between the two marks anew.
use std::fmt::Write;

use portcullis::saml::{Check, Reason};

const BEGIN: &str = "<!-- reasons: begin -->\n";
const END: &str = "<!-- reasons: end -->";

/// The table of all reasons, check by check.
fn table() -> String {
    let mut table = String::new();
    for check in Check::ALL {
        write!(table, "\n## {}\n\n", check.name()).unwrap();
        for reason in Reason::ALL.iter().filter(|reason| reason.check() == *check) {
            let (code, message, hint, clause) =
                (reason.code(), reason.message(), reason.hint(), reason.clause());
            writeln!(table, "- `{code}` ({clause}): {message} {hint}").unwrap();
        }
    }
    table + "\n"
}

#[test]
fn every_reason_is_in_the_documentation() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/REASONS.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (old, tail) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(path, [head, BEGIN, &table(), END, tail].concat()).unwrap();
    } else {
        assert_eq!(old, table(), "run with UPDATE_FIXTURES=1");
    }
}
