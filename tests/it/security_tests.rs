//! `docs/SECURITY_TESTS.md`: every item of the security checklist, the tests that carry its number, and the outcome.
//!
//! `UPDATE_DOCS=1 cargo test --test it security_tests` writes it; without the variable it is compared.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use portcullis::saml::Reason;

use crate::saml::cases;

const ITEMS: &str = include_str!("../security_items.txt");
const HEAD: &str = "# The security checklist and its tests

Every attack that the gateway owes an answer to, the outcome, and the tests that show it. A test's name begins with the number of
its item. What is owed for every message that is refused at the ACS: 403 (400, 405, 413 or 415 where it is no message yet), an
error id, no cookie, no request to the origin server, no write to the store, no connection, one audit event with the reason,
nothing of the message in the answer. `tests/it/attacks` posts the cases of `tests/it/saml` over HTTP and holds each to that, and
`tests/it/logout/table.rs` does the same with logout messages by each binding. Metadata is served over HTTP to running gateways and
to `metadata import`: what is refused changes and writes nothing, and a refresh leaves one audit event. The three `syscalls.rs` watch
the system calls. `cargo test --features guard-ablation --test ablation` takes each guard away and shows the cases that then come
out differently.

This page is generated from `tests/security_items.txt` and the names of the tests:
`UPDATE_DOCS=1 cargo test --test it security_tests`.
";
const PARTS: &[(&str, &str)] = &[
    ("S", "SAML responses"),
    ("L", "Logout"),
    ("M", "Metadata"),
    ("P", "Sessions and cookies"),
    ("R", "Redis"),
    ("A", "The API and administration"),
    ("V", "People, tokens and memberships"),
];

/// One line of the list of items.
struct Item {
    number: &'static str,
    title: &'static str,
    outcome: &'static str,
    /// Why there may be no test.
    not_yet: &'static str,
}

fn items() -> Vec<Item> {
    let lines = ITEMS.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let item = |line: &'static str| {
        let mut columns = line.split('|').map(str::trim);
        let mut next = || columns.next().unwrap_or_default();
        Item { number: next(), title: next(), outcome: next(), not_yet: next() }
    };
    lines.map(item).collect()
}

/// Numbers of items that a test's name carries: `S-35` and `S-60` of `s_35_and_s_60_nothing_is_opened`.
fn numbers(name: &str) -> Vec<String> {
    let words: Vec<&str> = name.split('_').collect();
    let pairs = words.windows(2).filter(|pair| {
        PARTS.iter().any(|(part, _)| part.to_lowercase() == pair[0])
            // Three only of the longest part: `a_503` is a status.
            && (pair[1].len() == 2 || pair[0] == "s" && pair[1].len() == 3)
            && pair[1].bytes().all(|byte| byte.is_ascii_digit())
    });
    pairs.map(|pair| format!("{}-{}", pair[0].to_uppercase(), pair[1])).collect()
}

/// Names of tests in a source: functions, and the lines of a table of them (`name "S-01",`).
fn test_names(source: &str) -> Vec<&str> {
    let names = source.lines().filter_map(|line| {
        let line = line.trim();
        let function = line.split("fn ").nth(1).and_then(|rest| rest.split(['(', '<']).next());
        let row = line.strip_suffix("\",").and_then(|row| row.split_once(" \"")).map(|(name, _)| name);
        function.or(row).map(str::trim)
    });
    names.filter(|name| !name.is_empty() && !name.contains(' ')).collect()
}

/// The tests of each item, as `file: name`.
fn tests(root: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in sources(&root.join("src")).into_iter().chain(sources(&root.join("tests"))) {
        let source = fs::read_to_string(&path).unwrap();
        let shown = path.strip_prefix(root).unwrap().display().to_string();
        for name in test_names(&source) {
            for number in numbers(name) {
                found.entry(number).or_default().insert(format!("`{name}` in {shown}"));
            }
        }
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut out = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => out.extend(sources(&path)),
            // This file holds examples of names.
            false if path.ends_with("security_tests.rs") => {}
            false if path.extension().is_some_and(|extension| extension == "rs") => out.push(path),
            false => {}
        }
    }
    out.sort();
    out
}

/// How the cases of an item come out: their number, and the reasons.
fn outcome_of_cases(item: &str, cases: &[(String, Option<Reason>)]) -> Option<String> {
    let is_its = |name: &str| name.strip_prefix(item).is_some_and(|rest| rest.starts_with(['-', '.']));
    let its: Vec<_> = cases.iter().filter(|(name, _)| is_its(name)).collect();
    let codes: BTreeSet<&str> = its.iter().filter_map(|(_, reason)| reason.map(Reason::code)).collect();
    let accepted = its.iter().filter(|(_, reason)| reason.is_none()).count();
    let codes: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    let refused = (!codes.is_empty()).then(|| format!("refused: {}", codes.join(", ")));
    let accepted = (accepted > 0).then(|| "accepted as what was signed".to_owned());
    let said: Vec<String> = refused.into_iter().chain(accepted).collect();
    let count = if its.len() == 1 { "1 case".to_owned() } else { format!("{} cases", its.len()) };
    (!said.is_empty()).then(|| format!("{} ({count})", said.join("; ")))
}

/// The page, and what is wrong with the tests.
fn page(root: &Path) -> (String, Vec<String>) {
    let (mut page, mut faults) = (HEAD.to_owned(), vec![]);
    let tests = tests(root);
    let cases: Vec<_> = cases().into_iter().map(|case| (case.name, case.reason)).collect();
    let items = items();
    for (part, title) in PARTS {
        let of_part = |item: &&Item| item.number.split('-').next() == Some(part);
        write!(page, "\n## {title}\n\n| item | attack | outcome | tests |\n|---|---|---|---|\n").unwrap();
        for item in items.iter().filter(of_part) {
            // S-01.3 is a case of the test of S-01.
            let whole = item.number.split('.').next().unwrap_or_default();
            let named: Vec<String> = tests.get(whole).into_iter().flatten().cloned().collect();
            let tested = !named.is_empty();
            let outcome = match (item.outcome, outcome_of_cases(item.number, &cases)) {
                _ if !tested => format!("not yet: {}", item.not_yet),
                ("", cases) => cases.unwrap_or_else(|| "refused".into()),
                (said, None) => said.to_owned(),
                (said, Some(cases)) => format!("{said}. {cases}"),
            };
            if !tested && item.not_yet.is_empty() {
                faults.push(format!("{} has no test, and no reason why", item.number));
            }
            let named = named.join("<br>");
            writeln!(page, "| {} | {} | {outcome} | {named} |", item.number, item.title).unwrap();
        }
    }
    let known: BTreeSet<&str> =
        items.iter().map(|item| item.number.split('.').next().unwrap_or_default()).collect();
    // Of the other parts of the checklist, those are listed that lie close.
    let strays =
        tests.iter().filter(|(number, _)| !known.contains(number.as_str()) && !number.starts_with("P-"));
    faults
        .extend(strays.map(|(number, tests)| format!("{number} is no item, but {tests:?} carry its number")));
    (page, faults)
}

#[test]
fn every_item_has_its_tests_in_the_documentation() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (page, faults) = page(root);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let path = root.join("docs/SECURITY_TESTS.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, page).unwrap();
    } else {
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == page, "docs/SECURITY_TESTS.md is not what the tests say: run with UPDATE_DOCS=1");
    }
}

#[test]
fn names_carry_numbers() {
    assert_eq!(numbers("s_35_and_s_60_nothing_is_opened"), ["S-35", "S-60"]);
    assert_eq!(numbers("l_03_the_query_as_it_came"), ["L-03"]);
    assert!(numbers("as_40_as_ever").is_empty() && numbers("whatever_s_4_x").is_empty());
    let source =
        "    fn s_01_a() {\nitems! {\n    s_02_b \"S-02\",\n}\nasync fn m_04_c<T>(x: T) {\n// fn is a word\n";
    assert_eq!(test_names(source), ["s_01_a", "s_02_b", "m_04_c"]);
}
