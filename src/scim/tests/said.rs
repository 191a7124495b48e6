//! That what a body says is done or refused, whichever way and in whichever order it is said.
use serde_json::{Value, json};

use super::*;
use crate::scim::{Patch, Projection};

const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// The body, with `CORE` and `ENT` for the URNs.
fn written(text: &str) -> String {
    text.replace("CORE", CORE).replace("ENT", ENTERPRISE)
}

/// What is stored of a body, or the code of the refusal.
fn posted(text: &str) -> Value {
    match Draft::parse(ResourceType::User, written(text).as_bytes()) {
        Ok(draft) => stored(draft.resource()),
        Err(error) => error.code.into(),
    }
}

/// What one operation leaves of a user, or the code of the refusal.
fn patched(kind: ResourceType, before: &Value, operation: &str) -> Value {
    let body = format!("{{\"Operations\":[{}]}}", written(operation));
    let before = resource(kind, before);
    match Patch::parse(kind, body.as_bytes()).and_then(|patch| patch.apply(&before, id(9))) {
        Ok(patched) => stored(&patched.resource),
        Err(error) => error.code.into(),
    }
}

fn replaced(value: &str) -> Value {
    let before = json!({ "userName": "a", "active": false });
    patched(ResourceType::User, &before, &format!("{{\"op\":\"replace\",\"value\":{value}}}"))
}

/// Runs `of` over all cases before it complains.
fn check(cases: &[(&str, Value)], of: impl Fn(&str) -> Value) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(text, expected)| (text, expected, of(text)))
        .filter(|(_, expected, found)| *expected != found)
        .map(|(text, expected, found)| format!("{text}: expected {expected}, found {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn v_22_the_object_of_a_schema_is_taken_or_refused() {
    let department = json!({ "userName": "a", ENTERPRISE: { "department": "D" } });
    let bare = json!({ "userName": "a" });
    let refused = json!("scim_value_type");
    check(
        &[
            (r#"{"userName":"a","ENT":{"department":"D"}}"#, department.clone()),
            (r#"{"userName":"a","ENT":[{"department":"D"}]}"#, department),
            (r#"{"CORE":[{"userName":"a"}]}"#, bare.clone()),
            (r#"{"userName":"a","CORE":null,"ENT":null}"#, bare.clone()),
            (r#"{"userName":"a","ENT":[]}"#, bare.clone()),
            (r#"{"userName":"a","ENT":""}"#, bare.clone()),
            (r#"{"userName":"a","ENT":{}}"#, bare),
            (r#"{"userName":"a","ENT":"D"}"#, refused.clone()),
            (r#"{"userName":"a","ENT":7}"#, refused.clone()),
            (r#"{"userName":"a","ENT":true}"#, refused.clone()),
            (r#"{"userName":"a","ENT":["D"]}"#, refused.clone()),
            (r#"{"userName":"a","ENT":[{"department":"D"},{"division":"N"}]}"#, refused.clone()),
            (r#"{"userName":"a","CORE":"active"}"#, refused.clone()),
            (r#"{"userName":"a","CORE":[{"active":true},{"active":false}]}"#, refused),
        ],
        posted,
    );
    let active = json!({ "userName": "a", "active": false, ENTERPRISE: { "department": "D" } });
    check(
        &[
            (r#"{"ENT":[{"department":"D"}]}"#, active),
            (r#"{"CORE":[{"title":"t"}]}"#, json!({ "userName": "a", "active": false, "title": "t" })),
            (r#"{"ENT":[{"department":"D"},{}]}"#, json!("scim_value_type")),
            (r#"{"ENT":"D"}"#, json!("scim_value_type")),
        ],
        replaced,
    );
}

#[test]
fn v_18_v_22_no_body_says_an_attribute_twice() {
    let twice = [
        r#"{"userName":"a","active":false,"CORE:active":true}"#,
        r#"{"userName":"a","active":false,"CORE:ACTIVE":true}"#,
        r#"{"userName":"a","CORE":{"active":true},"active":false}"#,
        r#"{"userName":"a","CORE":{"active":true},"CORE:active":false}"#,
        r#"{"userName":"a","CORE:userName":"b"}"#,
        r#"{"userName":"a","id":"1","CORE:id":"2"}"#,
        r#"{"userName":"a","emails":["a@example.com"],"CORE:emails":["b@example.com"]}"#,
        r#"{"userName":"a","groups":[],"CORE":{"groups":[]}}"#,
        r#"{"userName":"a","ENT":{"department":"D"},"ENT:department":"E"}"#,
        r#"{"userName":"a","ENT":{"department":"D"},"urn:scim:schemas:extension:enterprise:1.0":{"department":"E"}}"#,
        r#"{"userName":"a","ENT":null,"ENT:department":"E"}"#,
        r#"{"userName":"a","name":{"givenName":"G"},"name.givenName":"H"}"#,
        r#"{"userName":"a","name.givenName":"H","name":[{"GIVENNAME":"G"}]}"#,
        r#"{"userName":"a","name.givenName":"H","CORE:name.givenName":"G"}"#,
        r#"{"userName":"a","name.givenName":"H","name":null}"#,
        r#"{"userName":"a","ENT:manager":"m","ENT:manager.value":"n"}"#,
    ];
    let refused = || json!("scim_duplicate_key");
    check(&twice.map(|text| (text, refused())), posted);
    check(&twice.map(|text| (text, refused())), replaced);
    let paths = [
        r#"{"emails[type eq \"work\"].value":"x","CORE:emails[type eq \"work\"].value":"y"}"#,
        r#"{"emails[type eq \"work\"].value":"x","emails[ Type  eq 'work' ].value":"y"}"#,
        r#"{"emails[type eq \"work\"].value":"x","emails":["y"]}"#,
        r#"{"emails[type eq \"work\"].value":"x","CORE":{"emails":["y"]}}"#,
        r#"{"emails.value":"x","emails[type eq \"work\"].value":"y"}"#,
        r#"{"emails[type eq \"work\"]":{"value":"x"},"emails[type eq \"work\"].value":"y"}"#,
    ];
    check(&paths.map(|text| (text, refused())), replaced);
    let at_urn = r#"{"op":"add","path":"ENT","value":{"manager":{"value":"m"},"manager.value":"n"}}"#;
    assert_eq!(patched(ResourceType::User, &json!({ "userName": "a" }), at_urn), "scim_duplicate_key");
}

#[test]
fn v_18_what_is_said_once_in_parts_is_taken() {
    let whole = json!({ "userName": "a", "active": false, "name": { "givenName": "G", "familyName": "F" } });
    let enterprise = json!({
        "userName": "a", "active": false, "emails": [{ "value": "a@example.com" }],
        ENTERPRISE: { "department": "D", "division": "N", "manager": { "value": "m" } },
    });
    let cases = [
        (r#"{"userName":"a","active":false,"name.givenName":"G","name.familyName":"F"}"#, whole.clone()),
        (r#"{"userName":"a","active":false,"name.givenName":"G","name":{"familyName":"F"}}"#, whole.clone()),
        (r#"{"userName":"a","active":false,"name":{"familyName":"F"},"name.givenName":"G"}"#, whole.clone()),
        (r#"{"userName":"a","active":false,"name.givenName":"G","CORE":{"name":{"familyName":"F"}}}"#, whole),
        (
            r#"{"userName":"a","active":false,"emails":["a@example.com"],"ENT":{"division":"N"},"ENT:department":"D","ENT:manager.value":"m"}"#,
            enterprise.clone(),
        ),
        (
            r#"{"userName":"a","active":false,"emails":["a@example.com"],"ENT:department":"D","ENT:manager":"m","ENT":{"division":"N"}}"#,
            enterprise,
        ),
    ];
    check(&cases, posted);
    check(&cases, replaced);
    let emails = json!({
        "userName": "a", "active": false,
        "emails": [{ "type": "work", "value": "x", "display": "X" }, { "type": "home", "value": "y" }],
    });
    check(
        &[(
            r#"{"emails[type eq \"work\"].value":"x","emails[type eq \"work\"].display":"X","emails[type eq \"home\"].value":"y"}"#,
            emails,
        )],
        replaced,
    );
}

#[test]
fn v_05_keys_that_are_no_paths_are_refused_as_paths_are() {
    let before = json!({ "userName": "a", "active": false });
    let work = json!({ "userName": "a", "active": false, "emails": [{ "type": "work", "value": "z" }] });
    check(
        &[
            (r#"{"emails[primary gt true].value":"z"}"#, json!("scim_filter_type")),
            (r#"{"emails[type eq \"work\"":"z"}"#, json!("scim_path_syntax")),
            (r#"{"userName[value eq \"a\"]":"z"}"#, json!("scim_path_unsupported")),
            (r#"{"emails.value.more":"z"}"#, json!("scim_path_syntax")),
            (r#"{"title or 1":"z"}"#, json!("scim_path_syntax")),
            (r#"{"CORE:emails/0":"z"}"#, json!("scim_path_syntax")),
            (r#"{"CORE":{"emails[primary gt true].value":"z"}}"#, json!("scim_filter_type")),
            (r#"{"CORE":{"emails[type eq \"work\"].value":"z"}}"#, work),
            (
                r#"{"nothing":"z","":1,"no thing":{},"__proto__.x":1,"ENT:nothing":1,"password":"p","CORE:password":"p"}"#,
                before.clone(),
            ),
            (
                r#"{"emails[type eq \"work\"].nothing":"z","nothing[type eq \"work\"].value":"z","nothing[":"z"}"#,
                before.clone(),
            ),
            (
                r#"{"emails.nothing":"z","ENT:manager.nothing":"z","ENT:manager.displayName":"z"}"#,
                before.clone(),
            ),
            (r#"{"ENT":{"nothing":1},"titles":"z","urn:example:User:title":"z"}"#, before),
        ],
        replaced,
    );
    let group = json!({ "displayName": "octo-org" });
    let display = r#"{"op":"replace","value":{"members[value eq \"11111111-1111-4111-9111-111111111111\"].display":"z"}}"#;
    assert_eq!(patched(ResourceType::Group, &group, display), group);
    let filters: String =
        (0..9).map(|n| format!("\"emails[value eq \\\"{}{n}\\\"]\":\"x\",", "x".repeat(7_990))).collect();
    let nested = format!("{{\"CORE\":{{{filters}\"title\":\"t\"}}}}");
    assert_eq!(replaced(&nested), "scim_filter_too_long");
}

#[test]
fn v_22_remove_takes_away_what_its_value_describes() {
    let before = json!({
        "userName": "a", "active": true,
        "emails": [
            { "value": "a@example.com", "type": "work", "primary": true },
            { "value": "b@example.com", "type": "home", "display": "B" },
        ],
    });
    let left = |kept: &[usize]| {
        let mut left = before.clone();
        let emails: Vec<Value> = kept.iter().map(|index| before["emails"][*index].clone()).collect();
        left["emails"] = emails.into();
        left
    };
    let none = json!({ "userName": "a", "active": true });
    check(
        &[
            (r#"[{"primary":true}]"#, left(&[1])),
            (r#"{"primary":"True"}"#, left(&[1])),
            (r#"[{"primary":false}]"#, left(&[0])),
            (r#"[{"display":"b"}]"#, left(&[0])),
            (r#"[{"primary":true,"display":"B"}]"#, left(&[0, 1])),
            // With a value or a type, the rest is what was shown once.
            (r#"[{"value":"A@example.com","primary":false,"display":"x"}]"#, left(&[1])),
            (r#"[{"value":"nobody@example.com"}]"#, left(&[0, 1])),
            (r#"[]"#, left(&[0, 1])),
            (r#"null"#, none),
            (r#"[{"nothing":true}]"#, json!("scim_operation_value_unclear")),
            (r#"[{}]"#, json!("scim_operation_value_unclear")),
            (r#"{"nothing":true}"#, json!("scim_operation_value_unclear")),
        ],
        |value| {
            let operation = format!(r#"{{"op":"remove","path":"emails","value":{value}}}"#);
            patched(ResourceType::User, &before, &operation)
        },
    );
}

#[test]
fn members_of_which_nothing_is_left_are_not_shown() {
    let parts = ["members.value", "members.type", "members.$ref"];
    let without = |names: &[&str]| Projection::parse(None, Some(&names.join(","))).unwrap();
    assert!(!without(&parts).wants(ResourceType::Group, "members"));
    assert!(without(&parts[1..]).wants(ResourceType::Group, "members"));
    let emails = ["emails.value", "emails.display", "emails.type", "emails.primary"];
    assert!(!without(&emails).wants(ResourceType::User, "emails"));
}

#[test]
fn a_path_to_the_password_is_taken_and_forgotten() {
    let user = json!({ "userName": "a", "active": true });
    check(
        &[
            (r#"{"op":"replace","path":"password","value":"p"}"#, user.clone()),
            (r#"{"op":"Add","path":"PassWord","value":"p"}"#, user.clone()),
            (r#"{"op":"replace","path":"CORE:password","value":"p"}"#, user.clone()),
            (r#"{"op":"replace","path":"password"}"#, json!("scim_path_unknown")),
            (r#"{"op":"remove","path":"password"}"#, json!("scim_path_unknown")),
            (r#"{"op":"replace","path":"password.value","value":"p"}"#, json!("scim_path_unknown")),
            (r#"{"op":"replace","path":"password[value eq \"p\"]","value":"p"}"#, json!("scim_path_unknown")),
            (r#"{"op":"replace","path":"ENT:password","value":"p"}"#, json!("scim_path_unknown")),
        ],
        |operation| patched(ResourceType::User, &user, operation),
    );
    let group = json!({ "displayName": "octo-org" });
    let operation = r#"{"op":"replace","path":"password","value":"p"}"#;
    assert_eq!(patched(ResourceType::Group, &group, operation), "scim_path_unknown");
}

#[test]
fn references_are_uris() {
    let user = |url: &str| json!({ "userName": "a", "profileUrl": url });
    for url in [
        "https://example.com/a?b=%20#c",
        "urn:example:a",
        "people/a",
        "https://[::1]/",
        "https://example.com/ä",
    ] {
        assert_eq!(posted(&user(url).to_string()), user(url), "{url}");
    }
    for url in ["not a url", "https://example.com/\n", "<script>", "a\\b", "a\"b"] {
        assert_eq!(posted(&user(url).to_string()), "scim_value_type", "{url}");
    }
    assert_eq!(posted(r#"{"userName":"a","photos":["not a url"]}"#), "scim_value_type");
    assert_eq!(replaced(r#"{"profileUrl":"not a url"}"#), "scim_value_type");
    assert_eq!(replaced(r#"{"photos[value eq \"not a url\"].display":"d"}"#), "scim_no_target");
}
