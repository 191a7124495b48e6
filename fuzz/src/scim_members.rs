//! What a PATCH does to the members of a group, against a set that its operations are carried out on one by one.
use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    domain::ScimId,
    scim::{MembersChange, Patch},
};

/// What may be loaded before a PATCH of a group is the same as what it turns out to change, whoever is in the group.
///
/// # Panics
/// If it is not.
pub fn check(octets: &[u8], patch: &Patch, id: ScimId, change: &MembersChange) {
    let named = patch.named_members(id);
    let concerned: BTreeSet<ScimId> = named.iter().copied().collect();
    assert_eq!(concerned.len(), named.len(), "each once");
    let changed: BTreeSet<ScimId> = change.add.union(&change.remove).copied().collect();
    if change.reset {
        assert!(named.is_empty(), "who leaves is found by looking");
    } else if !named.is_empty() {
        assert_eq!(concerned, changed);
    }
    let Some(steps) = serde_json::from_slice(octets).ok().and_then(|body: Value| steps(&body)) else {
        return;
    };
    // Nothing but members, so nothing that an empty group would refuse: everybody is named.
    assert!(change.reset || concerned == changed, "{changed:?}");
    let universe: BTreeSet<ScimId> = steps.iter().flat_map(|step| step.ids.iter().copied()).collect();
    let every_other = universe.iter().copied().step_by(2).collect();
    for before in [BTreeSet::new(), universe.clone(), every_other] {
        let after = carried_out(&steps, before.clone());
        assert_eq!(applied(change, before.clone()), after, "{change:?}");
        if !change.reset {
            assert!(before.symmetric_difference(&after).all(|id| concerned.contains(id)), "{concerned:?}");
        }
    }
}

struct Step {
    act: String,
    ids: Vec<ScimId>,
    is_everybody: bool,
}

/// RFC 7644 3.5.2 on a set.
fn carried_out(steps: &[Step], mut members: BTreeSet<ScimId>) -> BTreeSet<ScimId> {
    for step in steps {
        if step.act == "replace" || step.is_everybody {
            members.clear();
        }
        for id in &step.ids {
            match step.act.as_str() {
                "remove" => members.remove(id),
                _ => members.insert(*id),
            };
        }
    }
    members
}

fn applied(change: &MembersChange, mut members: BTreeSet<ScimId>) -> BTreeSet<ScimId> {
    if change.reset {
        members.clear();
    }
    members.retain(|id| !change.remove.contains(id));
    members.extend(&change.add);
    members
}

/// The operations of a body that speaks of nothing but members, in the forms that leave no doubt.
fn steps(body: &Value) -> Option<Vec<Step>> {
    body.get("Operations")?.as_array()?.iter().map(step).collect()
}

fn step(operation: &Value) -> Option<Step> {
    let operation = operation.as_object()?;
    let is_known = |key: &String| ["op", "path", "value"].contains(&key.as_str());
    if !operation.keys().all(is_known) {
        return None;
    }
    let act = operation.get("op")?.as_str()?.to_ascii_lowercase();
    let path = operation.get("path")?.as_str()?;
    match (act.as_str(), operation.get("value")) {
        ("remove", None) if path == "members" => Some(Step { act, ids: vec![], is_everybody: true }),
        ("remove", None) => {
            let text = path.strip_prefix("members[value eq \"")?.strip_suffix("\"]")?;
            Some(Step { act, ids: vec![ScimId::parse(text)?], is_everybody: false })
        }
        ("add" | "replace" | "remove", Some(Value::Array(items))) if path == "members" => {
            let ids = items.iter().map(member).collect::<Option<_>>()?;
            Some(Step { act, ids, is_everybody: false })
        }
        _ => None,
    }
}

fn member(item: &Value) -> Option<ScimId> {
    let item = item.as_object().filter(|item| item.len() == 1)?;
    ScimId::parse(item.get("value")?.as_str()?)
}
