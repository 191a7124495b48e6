//! What waits, what would be, what was given back, and why it is as it is.
use serde_json::{Value, json};

use super::{count, hex, list, maybe, object, role, slug, text, time};

pub fn schemas() -> Vec<(&'static str, Value)> {
    let hold = object(&[
        ("organization", slug()),
        ("person", hex(16)),
        ("user", text()),
        ("role", role()),
        ("held_since", time()),
        ("batch", text()),
    ]);
    let restored = object(&[("person", hex(16)), ("organization", slug())]);
    vec![
        ("Holds", list(&hold)),
        ("Restored", object(&[("restored", list(&restored)), ("inactive", list(&hex(16)))])),
        ("Plan", plan()),
        (
            "AuditEntries",
            list(&object(&[
                ("sequence", count()),
                ("link", hex(32)),
                ("event", json!({ "type": "object" })),
            ])),
        ),
        ("Explanation", explanation()),
    ]
}

fn plan() -> Value {
    let mover = [("person", hex(16)), ("user", text()), ("role", role())];
    let movers = object(&[("count", count()), ("people", list(&object(&mover)))]);
    let spared = object(&[&mover[..], &[("why", text())]].concat());
    let organization = object(&[
        ("organization", slug()),
        ("members", count()),
        ("joins", movers.clone()),
        ("leaves", movers),
        ("spared", list(&spared)),
        ("held", count()),
        ("becomes_unowned", flag()),
    ]);
    object(&[
        ("people", count()),
        ("people_with_unknown_groups", count()),
        ("organizations", list(&organization)),
    ])
}

fn explanation() -> Value {
    object(&[
        ("organization", slug()),
        ("role", maybe(role())),
        ("reason", text()),
        ("managed", flag()),
        ("provisioning", flag()),
        ("deprovisioning", flag()),
        ("dry_run", flag()),
        ("last_groups", maybe(list(&text()))),
        ("matched_groups", list(&text())),
        ("next_sign_in", list(&text())),
    ])
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}
