//! PATCH: `fixtures/scim/patch`, against a naive model, and that nothing panics.
use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*, sample::select};
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::scim::{
    MembersChange, Node, Patch,
    limits::{GROUP_OPERATIONS_MAX, USER_OPERATIONS_MAX, USER_PATH_BYTES_MAX, VALUES_MAX},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "user")]
    kind: String,
    #[serde(default)]
    before: Option<Value>,
    operations: Value,
    #[serde(default)]
    after: Value,
    #[serde(default)]
    unchanged: bool,
    #[serde(default)]
    members: Change,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Change {
    reset: bool,
    add: Vec<String>,
    remove: Vec<String>,
}

fn user() -> String {
    "User".to_owned()
}

fn ids(texts: &[String]) -> BTreeSet<ScimId> {
    texts.iter().map(|text| ScimId::parse(text).unwrap()).collect()
}

fn patch(kind: ResourceType, operations: &Value) -> Result<Patch, ScimError> {
    let body =
        json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations });
    Patch::parse(kind, body.to_string().as_bytes())
}

fn check(case: &Case) {
    let (kind, name) = (kind(&case.kind), &case.name);
    let least = match kind {
        ResourceType::User => json!({ "userName": "a", "active": true }),
        ResourceType::Group => json!({ "displayName": "octo-org" }),
    };
    let before = draft(kind, case.before.as_ref().unwrap_or(&least)).unwrap();
    match patch(kind, &case.operations).and_then(|patch| patch.apply(before.resource(), id(9))) {
        Ok(patched) => {
            assert_eq!(None, case.error.as_deref(), "{name}");
            assert_eq!(stored(&patched.resource), case.after, "{name}");
            assert_eq!(!patched.changed, case.unchanged, "{name}");
            let Change { reset, add, remove } = &case.members;
            let expected = MembersChange { reset: *reset, add: ids(add), remove: ids(remove) };
            assert_eq!(patched.members, expected, "{name}");
        }
        Err(error) => assert_eq!(Some(error.code), case.error.as_deref(), "{name}: {error:?}"),
    }
}

#[test]
fn v_05_patches_do_what_the_rfc_says() {
    fixture::<Vec<Case>>("patch/rfc.json").iter().for_each(check);
}

#[test]
fn v_22_patches_of_the_idps_do_what_they_mean() {
    fixture::<Vec<Case>>("patch/idps.json").iter().for_each(check);
}

#[test]
fn v_05_patches_that_are_refused() {
    fixture::<Vec<Case>>("patch/refused.json").iter().for_each(check);
}

#[test]
fn v_05_to_do_it_again_changes_nothing() {
    let cases = ["patch/rfc.json", "patch/idps.json"].map(fixture::<Vec<Case>>);
    for case in cases.iter().flatten() {
        let kind = kind(&case.kind);
        let patch = patch(kind, &case.operations).unwrap();
        let once =
            patch.apply(draft(kind, case.before.as_ref().unwrap()).unwrap().resource(), id(9)).unwrap();
        let twice = patch.apply(&once.resource, id(9)).unwrap();
        assert_eq!(twice.members, once.members, "{}", case.name);
        assert_eq!(stored(&twice.resource), case.after, "{}", case.name);
        assert!(!twice.changed, "{}", case.name);
    }
}

#[test]
fn names_of_a_patch_are_read_in_any_case() {
    let body = br#"{"OPERATIONS":[{"OP":"rEpLaCe","PATH":"TITLE","VALUE":"t"}]}"#;
    let before = resource(ResourceType::User, &json!({ "userName": "a" }));
    let patched = Patch::parse(ResourceType::User, body).unwrap().apply(&before, id(9)).unwrap();
    assert_eq!(stored(&patched.resource)["title"], "t");
}

#[test]
fn v_18_patches_are_bounded() {
    let operation = json!({ "op": "add", "path": "displayName", "value": "x" });
    let code =
        |kind, operations: Value| patch(kind, &operations).err().map(|error| (error.status, error.code));
    let too_many = Some((413, "scim_operations_too_many"));
    for (kind, most) in
        [(ResourceType::User, USER_OPERATIONS_MAX), (ResourceType::Group, GROUP_OPERATIONS_MAX)]
    {
        assert_eq!(code(kind, vec![operation.clone(); most].into()), None);
        assert_eq!(code(kind, vec![operation.clone(); most + 1].into()), too_many);
    }
    let filter = |bytes: usize| format!("emails[value eq \"{}\"]", "x".repeat(bytes - 19));
    let removes = |bytes: usize, last: usize| {
        let paths = std::iter::repeat_n(bytes, USER_PATH_BYTES_MAX / bytes).chain([last]).map(filter);
        paths.map(|path| json!({ "op": "remove", "path": path })).collect::<Value>()
    };
    let too_long = Some((400, "scim_filter_too_long"));
    assert_eq!(code(ResourceType::User, removes(8_000, USER_PATH_BYTES_MAX % 8_000)), None);
    assert_eq!(code(ResourceType::User, removes(8_000, USER_PATH_BYTES_MAX % 8_000 + 1)), too_long);
    let keys: Value = (0..9).map(|n| (filter(8_000) + &n.to_string(), json!("x"))).collect();
    assert_eq!(code(ResourceType::User, json!([{ "op": "add", "value": keys }])), too_long);
    let add = |from: usize| {
        let emails: Vec<String> = (from..from + VALUES_MAX).map(|n| format!("a{n}@example.com")).collect();
        json!({ "op": "add", "path": "emails", "value": emails })
    };
    let before = resource(ResourceType::User, &json!({ "userName": "a" }));
    let apply = |operations: Value| patch(ResourceType::User, &operations).unwrap().apply(&before, id(9));
    assert!(apply(json!([add(0), add(0)])).is_ok());
    let too_many = |operations: Value| {
        let error = apply(operations.clone()).unwrap_err();
        assert_eq!(error.code, "scim_values_too_many", "{operations}");
    };
    too_many(json!([add(0), add(1)]));
    too_many(json!([add(0), add(1), { "op": "remove", "path": "emails" }]));
    too_many(
        json!([add(0), { "op": "add", "path": "emails[type eq \"work\"].value", "value": "b@example.com" }]),
    );
}

/// The members that a change leaves of those who were there.
fn left(before: &BTreeSet<ScimId>, change: &MembersChange) -> BTreeSet<ScimId> {
    let stay = before.iter().filter(|id| !change.reset && !change.remove.contains(*id));
    stay.chain(&change.add).copied().collect()
}

/// Acts on members, as a PATCH says them and as a set takes them.
#[derive(Debug, Clone)]
enum MemberAct {
    Add(Vec<u8>),
    Remove(Vec<u8>),
    RemoveOne(u8),
    Replace(Vec<u8>),
    Clear,
}

impl MemberAct {
    fn operation(&self) -> Value {
        let list = |numbers: &[u8]| {
            numbers.iter().map(|n| json!({ "value": id(*n).to_string() })).collect::<Value>()
        };
        match self {
            Self::Add(them) => json!({ "op": "add", "path": "members", "value": list(them) }),
            Self::Remove(them) => json!({ "op": "remove", "path": "members", "value": list(them) }),
            Self::RemoveOne(one) => {
                json!({ "op": "remove", "path": format!("members[value eq \"{}\"]", id(*one)) })
            }
            Self::Replace(them) => json!({ "op": "replace", "path": "members", "value": list(them) }),
            Self::Clear => json!({ "op": "remove", "path": "members" }),
        }
    }

    fn act(&self, set: &mut BTreeSet<ScimId>) {
        match self {
            Self::Add(them) => set.extend(them.iter().map(|n| id(*n))),
            Self::Remove(them) => them.iter().for_each(|n| {
                set.remove(&id(*n));
            }),
            Self::RemoveOne(one) => {
                set.remove(&id(*one));
            }
            Self::Replace(them) => *set = them.iter().map(|n| id(*n)).collect(),
            Self::Clear => set.clear(),
        }
    }
}

fn member_act() -> impl Strategy<Value = MemberAct> {
    let some = || vec(0..8_u8, 0..5);
    prop_oneof![
        3 => some().prop_map(MemberAct::Add),
        3 => some().prop_map(MemberAct::Remove),
        2 => (0..8_u8).prop_map(MemberAct::RemoveOne),
        1 => some().prop_map(MemberAct::Replace),
        1 => Just(MemberAct::Clear),
    ]
}

/// Acts on single values and on addresses told apart by their type, as a map takes them.
fn map_act() -> impl Strategy<Value = (Value, String, Option<String>)> {
    let texts =
        select(vec!["title", "nickName", "name.givenName", "name.familyName"]).prop_map(str::to_owned);
    let email =
        select(vec!["work", "home", "other"]).prop_map(|kind| format!("emails[type eq \"{kind}\"].value"));
    let path = prop_oneof![texts, email];
    (path, proptest::option::of("[a-z]{1,3}"), select(vec!["add", "Replace"]), any::<bool>()).prop_map(
        |(path, value, op, bare)| {
            let operation = match (&value, bare) {
                (None, _) => json!({ "op": "Remove", "path": path }),
                (Some(value), false) => json!({ "op": op, "path": path, "value": value }),
                (Some(value), true) => json!({ "op": op, "value": { &path: value } }),
            };
            (operation, path, value)
        },
    )
}

fn at_path(stored: &Value, path: &str) -> Option<String> {
    let found = match path.split_once(['.', '[']) {
        Some(("name", part)) => stored["name"][part].as_str(),
        Some((_, filter)) => {
            let kind = filter.split('"').nth(1)?;
            stored["emails"].as_array()?.iter().find(|email| email["type"] == kind)?["value"].as_str()
        }
        None => stored[path].as_str(),
    };
    found.map(str::to_owned)
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = select(vec![
        "",
        "a",
        "True",
        "members",
        "emails",
        "value",
        "emails[type eq \"work\"].value",
        "userName",
        "add",
        "remove",
        "replace",
        "name",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        "11111111-1111-4111-9111-111111111111",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let keys = select(vec![
        "Operations",
        "op",
        "path",
        "value",
        "members",
        "emails",
        "name",
        "type",
        "primary",
        "userName",
        "displayName",
        "active",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        "manager",
    ]);
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((keys.clone(), inner), 0..5)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn v_05_members_are_those_of_a_set(before in vec(0..8_u8, 0..8), acts in vec(member_act(), 1..8)) {
        let before: BTreeSet<ScimId> = before.into_iter().map(id).collect();
        let operations: Value = acts.iter().map(MemberAct::operation).collect();
        let group = resource(ResourceType::Group, &json!({ "displayName": "octo-org" }));
        let patched = patch(ResourceType::Group, &operations).unwrap().apply(&group, id(99)).unwrap();
        let mut expected = before.clone();
        acts.iter().for_each(|act| act.act(&mut expected));
        prop_assert_eq!(left(&before, &patched.members), expected);
        prop_assert!(patched.members.add.is_disjoint(&patched.members.remove));
        prop_assert!(!patched.members.reset || patched.members.remove.is_empty());
        prop_assert!(!patched.changed);
    }

    #[test]
    fn v_05_values_are_those_of_a_map(acts in vec(map_act(), 1..10)) {
        let before = resource(ResourceType::User, &json!({ "userName": "a" }));
        let operations: Value = acts.iter().map(|(operation, ..)| operation.clone()).collect();
        let patched = patch(ResourceType::User, &operations).unwrap().apply(&before, id(9)).unwrap();
        let after = stored(&patched.resource);
        let mut expected = std::collections::BTreeMap::new();
        acts.iter().for_each(|(_, path, value)| {
            expected.insert(path.clone(), value.clone());
        });
        for (path, value) in expected {
            prop_assert_eq!(at_path(&after, &path), value, "{} of {}", path, after);
        }
    }

    /// Whatever comes out is what would be stored: read again, it is the same, and obeys what holds for every resource.
    #[test]
    fn v_18_no_patch_and_no_body_panics(body in any_json(), value in any_json()) {
        for kind in ResourceType::ALL {
            let _ = Draft::read(*kind, &Node::from(&body));
            let _ = Patch::read(*kind, Node::from(&body));
            let named = match kind {
                ResourceType::User => json!({ "userName": "a", "active": true }),
                ResourceType::Group => json!({ "displayName": "a" }),
            };
            let before = resource(*kind, &named);
            let operations = json!([{ "op": "replace", "value": value }, { "op": "add", "value": body }]);
            let Ok(patch) = patch(*kind, &operations) else { continue };
            if let Ok(patched) = patch.apply(&before, id(9)) {
                let again = draft(*kind, &stored(&patched.resource)).unwrap();
                prop_assert_eq!(again.resource(), &patched.resource);
            }
        }
    }
}
