//! Filters: `fixtures/scim/filters.json`, their caps, and that they are read as they are written.
use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*, sample::select};
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::scim::{
    Document, Filter, Key, Lookup, Members,
    filter::{Literal, Operator},
    limits::{FILTER_BYTES_MAX, FILTER_DEPTH_MAX, FILTER_NODES_MAX},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    users: Vec<Value>,
    found: Vec<Found>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    filter: String,
    /// A letter for each user that passes, in order.
    finds: String,
    /// Where that is not how it was written.
    prints: Option<String>,
    #[serde(default = "scan")]
    lookup: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    filter: String,
    error: String,
}

fn scan() -> String {
    "Scan".to_owned()
}

static CASES: LazyLock<Cases> = LazyLock::new(|| fixture("filters.json"));
static USERS: LazyLock<Vec<Document>> = LazyLock::new(|| users(&CASES.users));

fn users(bodies: &[Value]) -> Vec<Document> {
    let version = Version::of_count(1);
    let user = |(number, body): (usize, &Value)| {
        let user = draft(ResourceType::User, body).unwrap();
        user.resource().document(&server(number as u8 + 1, &version, &[]))
    };
    bodies.iter().enumerate().map(user).collect()
}

fn shown(lookup: &Lookup) -> String {
    let key = |key: &Key| {
        let shown = format!("{key:?}");
        shown.split(['(', ' ']).next().unwrap_or_default().to_owned()
    };
    match lookup {
        Lookup::Nothing => "Nothing".to_owned(),
        Lookup::Scan => "Scan".to_owned(),
        Lookup::Keys(keys) => keys.iter().map(key).collect::<Vec<_>>().join(" "),
    }
}

#[test]
fn v_04_filters_find_what_they_say_and_by_an_index_where_there_is_one() {
    for Found { filter: text, finds, prints, lookup } in &CASES.found {
        let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(&filter.to_string(), prints.as_ref().unwrap_or(text));
        let bound = filter.bind(ResourceType::User).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let passing = USERS.iter().zip('a'..).filter(|(user, _)| bound.matches(user));
        assert_eq!(&passing.map(|(_, letter)| letter).collect::<String>(), finds, "{text}");
        assert_eq!(&shown(&bound.lookup()), lookup, "{text}");
    }
}

#[test]
fn v_04_what_is_no_filter_is_refused() {
    for Refused { filter: text, error } in &CASES.refused {
        let found = Filter::parse(text).and_then(|filter| filter.bind(ResourceType::User)).err();
        assert_eq!(found.as_ref().map(|error| error.code), Some(error.as_str()), "{text}");
        assert_eq!(
            found.and_then(|error| error.scim_type).map(|s| s.as_str()),
            Some("invalidFilter"),
            "{text}"
        );
    }
}

#[test]
fn v_04_filters_are_bounded() {
    let code = |text: &str| Filter::parse(text).err().map(|error| error.code);
    let nested = |depth: usize| format!("{}a pr{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(code(&nested(FILTER_DEPTH_MAX)), None);
    assert_eq!(code(&nested(FILTER_DEPTH_MAX + 1)), Some("scim_filter_too_deep"));
    assert_eq!(code(&"(".repeat(FILTER_BYTES_MAX)), Some("scim_filter_too_deep"));
    assert_eq!(code(&"not(".repeat(FILTER_BYTES_MAX / 4)), Some("scim_filter_too_deep"));
    assert_eq!(code(&"a[".repeat(FILTER_BYTES_MAX / 2)), Some("scim_filter_too_deep"));
    let joined = |tests: usize| vec!["a pr"; tests].join(" and ");
    assert_eq!(code(&joined(FILTER_NODES_MAX / 2)), None);
    assert_eq!(code(&joined(FILTER_NODES_MAX / 2 + 1)), Some("scim_filter_too_large"));
    let long = |bytes: usize| format!("a eq \"{}\"", "x".repeat(bytes - 7));
    assert_eq!(code(&long(FILTER_BYTES_MAX)), None);
    assert_eq!(code(&long(FILTER_BYTES_MAX + 1)), Some("scim_filter_too_long"));
}

#[test]
fn members_are_asked_for_by_name() {
    let asked = |text: &str| Filter::parse(text).unwrap().bind(ResourceType::Group).unwrap().members();
    let one = id(1);
    let named = Members::Named(vec![one]);
    for text in [
        format!("members eq \"{one}\""),
        format!("members.value eq \"{one}\""),
        format!("members[value eq \"{one}\"]"),
        format!("displayName eq \"a\" and not (members[value eq \"{one}\"]) or members eq \"{one}\""),
    ] {
        assert_eq!(asked(&text), named, "{text}");
    }
    assert_eq!(asked("displayName eq \"a\""), Members::None);
    assert_eq!(asked("members eq \"x\""), Members::Named(vec![]));
    for text in [
        "members pr",
        "members co \"1\"",
        "members ne \"1\"",
        "members[not (value eq \"1\")]",
        "members.type eq \"User\"",
    ] {
        assert_eq!(asked(text), Members::All, "{text}");
    }

    let group = resource(ResourceType::Group, &json!({ "displayName": "octo-org" }));
    let links = [Link { id: one, display: None }];
    let matches = |text: &str, links: &[Link<'_>]| {
        let document = group.document(&server(9, &Version::of_count(1), links));
        Filter::parse(text).unwrap().bind(ResourceType::Group).unwrap().matches(&document)
    };
    let check = format!("id eq \"{}\" and members eq \"{one}\"", id(9));
    assert!(matches(&check, &links) && !matches(&check, &[]));
    let bound = Filter::parse(&check).unwrap().bind(ResourceType::Group).unwrap();
    assert_eq!(bound.lookup(), Lookup::Keys(vec![Key::Id(id(9))]));
    let by_name = Filter::parse("displayName eq \"Octo-Org\"").unwrap().bind(ResourceType::Group).unwrap();
    assert_eq!(by_name.lookup(), Lookup::Keys(vec![Key::DisplayName("octo-org".into())]));
    // A user is none of a group's business.
    let user = resource(ResourceType::User, &json!({ "userName": "octo-org", "displayName": "octo-org" }));
    assert!(!by_name.matches(&user.document(&server(1, &Version::of_count(1), &[]))));
}

#[test]
fn v_07_keys_are_folded_where_the_attribute_is() {
    let lookup = |text: &str| Filter::parse(text).unwrap().bind(ResourceType::User).unwrap().lookup();
    assert_eq!(lookup("userName eq \"ZOe\u{308}\""), Lookup::Keys(vec![Key::UserName("zo\u{eb}".into())]));
    assert_eq!(lookup("externalId eq \"ZOE\""), Lookup::Keys(vec![Key::ExternalId("ZOE".into())]));
    assert_eq!(lookup("emails eq \"A@B\""), Lookup::Keys(vec![Key::Email("a@b".into())]));
    let (from, to) = (at("2026-01-01T00:00:00Z"), at("2026-01-03T00:00:00Z"));
    let range = "meta.lastModified ge \"2026-01-01T00:00:00Z\" and meta.lastModified lt \"2026-01-03T00:00:00Z\" \
                 and meta.lastModified le \"2026-01-04T00:00:00Z\"";
    assert_eq!(lookup(range), Lookup::Keys(vec![Key::Modified { from: Some(from), to: Some(to) }]));
}

fn name() -> impl Strategy<Value = String> {
    const URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    prop_oneof![
        select(vec![
            "userName",
            "emails.value",
            "active",
            "and",
            "not",
            "pr",
            "$ref",
            "meta.lastModified",
            "x"
        ])
        .prop_map(str::to_owned),
        "[A-Za-z$][A-Za-z0-9_$-]{0,6}(\\.[A-Za-z$][A-Za-z0-9_-]{0,3})?",
        Just(format!("{URN}:manager.value")),
        Just(format!("{URN}:employeeNumber")),
    ]
}

fn compared(name: String) -> impl Strategy<Value = Filter> {
    let literal = prop_oneof![
        any::<String>().prop_map(Literal::Text),
        any::<bool>().prop_map(Literal::Bool),
        Just(Literal::Null),
    ];
    (Just(name), select(Operator::ALL), literal).prop_map(|(name, operator, literal)| Filter::Compare {
        name,
        operator,
        literal,
    })
}

fn test() -> impl Strategy<Value = Filter> {
    name().prop_flat_map(|name| prop_oneof![Just(Filter::Present(name.clone())), compared(name)])
}

fn simple_test() -> impl Strategy<Value = Filter> {
    select(vec!["value", "type", "$ref"]).prop_flat_map(|name| compared(name.to_owned()))
}

fn any_filter() -> impl Strategy<Value = Filter> {
    test().prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Filter::And),
            vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
            (name(), inner, proptest::option::of(simple_test())).prop_map(|(name, filter, then)| {
                Filter::Element { name, filter: Box::new(filter), then: then.map(Box::new) }
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn v_04_a_filter_is_read_as_it_is_written(filter in any_filter()) {
        let text = filter.to_string();
        prop_assume!(text.len() <= FILTER_BYTES_MAX);
        match Filter::parse(&text) {
            Ok(read) => prop_assert_eq!(read, filter),
            Err(error) => prop_assert_eq!(error.code, "scim_filter_too_large", "{}", text),
        }
    }

    #[test]
    fn v_04_nothing_panics_on_any_text(text in "[ ()\\[\\]\"'\\\\.:a-zA-Zé0-9eqprandot$-]{0,60}|\\PC{0,40}") {
        if let Ok(filter) = Filter::parse(&text) {
            prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter.clone()));
            for kind in ResourceType::ALL {
                let _ = filter.bind(*kind).map(|bound| (bound.lookup(), bound.members()));
            }
        }
    }

    /// What a look-up leaves out does not pass either.
    #[test]
    fn v_04_no_index_hides_what_passes(filter in any_filter(), user in 0..3_usize) {
        if let (Ok(bound), Some(user)) = (filter.bind(ResourceType::User), USERS.get(user))
            && bound.lookup() == Lookup::Nothing
        {
            prop_assert!(!bound.matches(user));
        }
    }
}
