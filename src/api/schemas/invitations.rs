//! Offers of membership.
use serde_json::{Value, json};

use super::{count, hex, list, maybe, object, one_of, optional_object, reference, role, text, time};

pub fn schemas() -> Vec<(&'static str, Value)> {
    let invitation = object(&[
        ("id", hex(16)),
        ("email", text()),
        ("role", role()),
        ("source", one_of(&["manual", "scim"])),
        ("inviter", maybe(hex(16))),
        ("created_at", time()),
        ("expires_at", maybe(time())),
        ("sent", count()),
        ("sent_at", time()),
        ("failed_at", maybe(time())),
        ("failed_reason", maybe(one_of(&["expired", "undeliverable"]))),
    ]);
    let mut new = optional_object(&[
        ("email", json!({ "type": "string", "minLength": 3, "maxLength": 254 })),
        ("role", maybe(role())),
    ]);
    if let Some(fields) = new.as_object_mut() {
        fields.insert("required".into(), json!(["email"]));
    }
    vec![("Invitation", invitation), ("Invitations", list(&reference("Invitation"))), ("NewInvitation", new)]
}
