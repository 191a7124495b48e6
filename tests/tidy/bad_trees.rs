//! Proof that each rule can fail: a small tree that breaks it, and what must be said. A rule that finds nothing
//! in its own bad tree is no rule.
use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{FILE_LINES_MAX, FOREIGN, FUNCTION_LINES_MAX, IMPURE, PURE, UNFINISHED, faults, source, walk};

/// Faults of a tree that holds only these files.
fn faults_of(files: &[(&str, &str)]) -> Vec<String> {
    let root = tempfile::tempdir().expect("a folder for the tree");
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folder made");
        fs::write(path, text).expect("file written");
    }
    faults(root.path(), &walk(root.path(), Path::new("")))
}

/// The tree of one documented file has exactly the fault `expected`.
#[track_caller]
fn refused(path: &str, code: &str, expected: &str) {
    assert_eq!(faults_of(&[(path, &format!("//! Doc.\n{code}\n"))]), [format!("{path}:{expected}")]);
}

/// The tree of one documented file is fine.
#[track_caller]
fn accepted(path: &str, code: &str) {
    assert_eq!(faults_of(&[(path, &format!("//! Doc.\n{code}\n"))]), [""; 0]);
}

#[test]
fn a_clean_tree_has_no_faults() {
    let root = "//! Doc.\n#![forbid(unsafe_code)]\n";
    let saml = "//! Doc.\nuse crate::domain::NameId;\nuse openssl::x509::X509;\nfn f() {}\n";
    assert_eq!(faults_of(&[("src/lib.rs", root), ("src/main.rs", root), ("src/saml/mod.rs", saml)]), [""; 0]);
}

#[test]
fn imports_follow_the_table() {
    refused("src/domain/mod.rs", "use crate::store::Store;", "2: `domain` must not import `store`");
    refused("src/saml/x.rs", "fn f() { crate::proxy::go() }", "2: `saml` must not import `proxy`");
    refused(
        "src/access.rs",
        "use crate::{\n    domain::{Id, Role},\n    edge,\n};",
        "2: `access` must not import `edge`",
    );
    refused("src/idp/mod.rs", "use crate::domain::Id;", "2: `idp` must not import `domain`");
    accepted("src/directory/mod.rs", "use crate::{domain::Id, saml, store};");
}

#[test]
fn the_root_is_not_reached_around_the_table() {
    refused("src/saml/x.rs", "use super::super::proxy;", "2: reaches the root by `super`: write `crate::`");
    refused("src/saml/mod.rs", "use super::proxy;", "2: reaches the root by `super`: write `crate::`");
    refused("src/domain/mod.rs", "use crate::*;", "2: imports the whole crate, which hides what it uses");
    refused(
        "src/domain/mod.rs",
        "use crate::{self as c};",
        "2: imports the whole crate, which hides what it uses",
    );
    accepted("src/saml/x.rs", "use super::y;");
    accepted("src/saml/a/b.rs", "use super::super::y;");
}

#[test]
fn every_module_has_a_row() {
    refused("src/helpers.rs", "fn f() {}", "1: `helpers` has no row in the table of tests/tidy.rs");
}

#[test]
fn crates_have_owners() {
    refused("src/edge/mod.rs", "use redis::Client;", "2: `redis` belongs to store");
    refused("src/domain/mod.rs", "fn f() -> toml::Table { g() }", "2: `toml` belongs to config");
    refused("src/store/mod.rs", "use openssl;", "2: `openssl` belongs to saml, second_opinion, idp");
    refused(
        "src/main.rs",
        "#![forbid(unsafe_code)]\nuse axum::Router;",
        "3: `axum` belongs to console, admin, idp, demo",
    );
    accepted(
        "src/gateway.rs",
        "use crate::store::{redis::RedisStore};\nfn f() { store::redis::open(); my_redis::x() }",
    );
}

#[test]
fn pure_modules_stay_pure() {
    for module in PURE {
        for word in IMPURE {
            let path = format!("src/{module}/mod.rs");
            let found = faults_of(&[(&path, &format!("//! Doc.\nfn f() {{ {word} (x) }}\n"))]);
            let expected = format!("{path}:2: `{module}` is pure: found `{word}`");
            assert!(found.contains(&expected), "{word} in {module}: {found:?}");
        }
    }
    accepted("src/saml/mod.rs", "/// Never async.\nfn operand() -> &'static str { \"tokio\" }");
    accepted("src/proxy/mod.rs", "async fn f() {}");
}

#[test]
fn nothing_is_unfinished() {
    for word in UNFINISHED {
        refused(
            "src/proxy/mod.rs",
            &format!("fn f() {{ {word}() }}"),
            &format!("2: unfinished: found `{word}`"),
        );
    }
    let in_tests = "#[cfg(test)]\nmod tests {\n    fn f() { todo!() }\n}";
    refused("src/proxy/mod.rs", in_tests, "4: unfinished: found `todo!`");
}

#[test]
fn files_and_functions_stay_small() {
    let file = "\n".repeat(FILE_LINES_MAX);
    refused("src/proxy/mod.rs", &file, "1: 502 lines, more than 500");
    let body = "    g();\n".repeat(FUNCTION_LINES_MAX - 1);
    let function = format!("pub async fn f(x: [u8; 3]) -> [u8; 3] {{\n{body}}}");
    refused("tests/it/x.rs", &function, "2: function of 71 lines, more than 70");
    accepted("src/proxy/mod.rs", &format!("fn f() {{\n{}}}", "    g();\n".repeat(FUNCTION_LINES_MAX - 2)));
}

#[test]
fn files_open_with_their_doc() {
    let bare = [("src/proxy/mod.rs", "fn f() {}\n")];
    assert_eq!(faults_of(&bare), ["src/proxy/mod.rs:1: opens without a module doc"]);
}

#[test]
fn unsafe_is_forbidden_in_both_roots() {
    for path in ["src/lib.rs", "src/main.rs"] {
        refused(path, "fn f() {}", "1: lacks `#![forbid(unsafe_code)]`");
    }
}

#[test]
fn foreign_words_are_found_in_any_file_but_lock_files() {
    for word in FOREIGN {
        let text = format!("first\nsee {word}x\n");
        let files = [("docs/A.md", text.as_str()), ("Cargo.lock", text.as_str())];
        assert_eq!(faults_of(&files), [format!("docs/A.md:2: names `{word}`, which no reader has")]);
    }
}

#[test]
fn tests_may_import_what_they_like() {
    accepted("src/domain/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::store::Store;\n}");
    let parent = "//! Doc.\n#[cfg(test)]\nmod suite;\n";
    let suite = "//! Doc.\nuse crate::edge::Edge;\n";
    assert_eq!(faults_of(&[("src/store/mod.rs", parent), ("src/store/suite.rs", suite)]), [""; 0]);
    assert_eq!(faults_of(&[("src/store/mod.rs", parent), ("src/store/suite/a.rs", suite)]), [""; 0]);
    let visible = parent.replace("#[cfg(test)]\n", "");
    let found = faults_of(&[("src/store/mod.rs", &visible), ("src/store/suite.rs", suite)]);
    assert_eq!(found, ["src/store/suite.rs:2: `store` must not import `edge`"]);
    refused(
        "src/domain/mod.rs",
        "#[cfg(test)]\nuse std::fmt;\nuse crate::edge;",
        "4: `domain` must not import `edge`",
    );
}

#[test]
fn comments_and_literals_are_no_code() {
    for hidden in [
        "// crate::edge",
        "/* crate::edge /* nested */ crate::edge */",
        "const A: &str = \"crate::edge \\\" crate::edge\";",
        "const A: &str = r#\"crate::edge \" crate::edge\"#;",
        "const A: &[u8] = b\"crate::edge\";",
        "const A: char = '\"'; // crate::edge \"",
    ] {
        accepted("src/domain/mod.rs", hidden);
    }
    refused(
        "src/domain/mod.rs",
        "const A: &str = \"http://\"; use crate::edge;",
        "2: `domain` must not import `edge`",
    );
    refused(
        "src/domain/mod.rs",
        "fn f<'a>(x: &'a str, q: char) { q == '\\''; crate::edge }",
        "2: `domain` must not import `edge`",
    );
}

#[test]
fn lexing_keeps_lines() {
    let text = "a\n/* b\nc */ d\n\"e\nf\" g\n";
    assert_eq!(source::lex(text).lines().count(), text.lines().count());
}

#[test]
fn a_clone_and_a_bare_folder_list_the_same_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = |files: Vec<PathBuf>| {
        let mut sources: Vec<PathBuf> = files.into_iter().filter(|f| f.starts_with("src")).collect();
        sources.sort();
        sources
    };
    assert_eq!(sources(crate::tracked_files(root)), sources(walk(root, Path::new(""))));
}
