//! The rules of the house, checked on the code itself: who imports whom, who owns which crate, sizes, purity,
//! and words that must not be there. `tests/tidy/bad_trees.rs` proves that each rule can fail.
#[path = "tidy/bad_trees.rs"]
mod bad_trees;
#[path = "tidy/source.rs"]
mod source;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A top-level module: what it may import from this crate, and the foreign crates that only it, and other rows that
/// list them too, may use.
struct Module {
    name: &'static str,
    may_import: &'static [&'static str],
    owns: &'static [&'static str],
}

const fn module(
    name: &'static str,
    may_import: &'static [&'static str],
    owns: &'static [&'static str],
) -> Module {
    Module { name, may_import, owns }
}

/// In reading order. A row names only rows above it, so the house has no cycles.
#[rustfmt::skip]
const HOUSE: &[Module] = &[
    module("domain", &[], &[]),
    module("saml", &["domain"], &["quick_xml", "openssl"]),
    module("second_opinion", &["domain", "saml"], &["samael", "libxml", "openssl"]),
    module("scim", &["domain"], &[]),
    module("provisioning", &["domain"], &["regex_lite"]),
    module("access", &["domain"], &[]),
    module("telemetry", &["domain"], &["tracing_subscriber", "prometheus_client"]),
    module("store", &["domain", "telemetry"], &["redis", "redb", "rustls", "rustls_openssl", "hmac"]),
    module("mail", &["domain", "telemetry"], &["lettre", "rustls", "rustls_openssl"]),
    module("directory", &["domain", "saml", "scim", "provisioning", "store", "mail", "telemetry"], &[]),
    module("outward", &["domain", "saml"], &["rustls", "rustls_openssl", "tokio_rustls", "rustls_native_certs"]),
    module("metadata", &["domain", "saml", "store", "outward", "telemetry"], &["hyper", "hyper_util"]),
    module("webhook", &["domain", "store", "directory", "outward", "telemetry"], &["hyper", "hyper_util", "hmac"]),
    module("proxy", &["domain", "telemetry"], &["hyper", "hyper_util"]),
    module("api", &["domain", "scim", "provisioning", "access", "directory", "telemetry"], &[]),
    module("console", &["domain", "scim", "access", "directory", "telemetry"], &["axum", "askama"]),
    module("edge", &["domain", "saml", "second_opinion", "access", "directory", "proxy", "api", "console", "telemetry"],
        &["hyper", "hyper_util", "rustls", "askama"]),
    module("admin", &["domain", "directory", "telemetry"], &["hyper", "hyper_util", "axum"]),
    module("config", &["domain", "saml", "second_opinion", "scim", "provisioning", "access", "telemetry", "store", "mail", "directory",
        "outward", "metadata", "webhook", "proxy", "api", "console", "edge", "admin"], &["toml"]),
    module("gateway", &["domain", "saml", "second_opinion", "scim", "provisioning", "access", "telemetry", "store", "mail", "directory",
        "outward", "metadata", "webhook", "proxy", "api", "console", "edge", "admin", "config"], &["rustls", "rustls_openssl"]),
    module("idp", &[], &["axum", "askama", "openssl", "quick_xml", "hyper", "hyper_util"]),
    module("demo", &["domain", "directory", "config", "gateway", "idp"], &["axum", "askama", "hyper", "hyper_util"]),
    module("commands", &["domain", "saml", "second_opinion", "provisioning", "access", "telemetry", "store", "directory", "metadata", "config",
        "api", "gateway", "idp", "demo"], &["clap"]),
    module("main", &[], &["clap"]),
];

/// Modules that must stay free of clocks, chance, tasks, sockets and files.
const PURE: &[&str] = &["domain", "saml", "scim", "provisioning", "access"];
#[rustfmt::skip]
const IMPURE: &[&str] = &[
    "tokio", "hyper", "redis", "async", "std::thread", "thread::spawn", "std::process",
    "SystemTime", "Instant::now", "Utc::now", "Timestamp::now", "Zoned::now",
    "getrandom", "rand", "openssl::rand", "rand_bytes",
    "TcpStream", "TcpListener", "UdpSocket", "UnixStream", "ToSocketAddrs",
    "std::fs", "fs::read", "fs::write", "File::open", "File::create", "std::env", "env::var",
];
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!"];
const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const FORBID_UNSAFE: &str = "#![forbid(unsafe_code)]";

/// Written in halves, so that this file does not find itself. Paths of a machine that someone worked on, and hosts
/// that packages were once fetched from, mean nothing to a reader.
#[rustfmt::skip]
const FOREIGN: &[&str] = &[
    concat!("/wo", "rk/"), concat!("/tmp/", "research"),
    concat!("/ro", "ot/"),
    concat!("crates", ".io"), concat!("deb.", "debian.org"), concat!("pypi", ".org"), concat!("npmjs", ".org"),
    concat!("proxy.golang", ".org"), concat!("docker", ".io/"), concat!("gh", "cr.io/"),
];
const LOCK_FILES: &[&str] = &["Cargo.lock", "package-lock.json"];

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let faults = faults(root, &tracked_files(root));
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn rows_point_upward() {
    for (i, module) in HOUSE.iter().enumerate() {
        for import in module.may_import {
            let above = HOUSE[..i].iter().any(|m| m.name == *import);
            assert!(above, "the row of `{}` names `{import}`, which does not stand above it", module.name);
        }
    }
}

/// Every broken rule in `files`, which are relative to `root`, as `path:line: what`, sorted.
fn faults(root: &Path, files: &[PathBuf]) -> Vec<String> {
    let rust: Vec<SourceFile> =
        files.iter().filter(|f| is_rust(f)).filter_map(|f| SourceFile::read(root, f)).collect();
    let test_only: Vec<PathBuf> = rust.iter().flat_map(SourceFile::test_only_children).collect();
    let mut out = vec![];
    for file in &rust {
        let in_tests =
            test_only.iter().any(|t| file.path.starts_with(t) || file.path == t.with_extension("rs"));
        check_shape(file, &mut out);
        if file.module.is_some() {
            check_words(file, UNFINISHED, "unfinished", &file.code, &mut out);
            if !in_tests {
                check_module(file, &source::without_tests(&file.code), &mut out);
            }
        }
    }
    for path in files.iter().filter(|f| !LOCK_FILES.iter().any(|l| f.ends_with(l))) {
        check_foreign_words(root, path, &mut out);
    }
    out.sort();
    out.dedup();
    out
}

/// One Rust file: its text as it is, and lexed.
struct SourceFile {
    /// Relative to the root of the tree.
    path: PathBuf,
    /// The top-level module that it belongs to, or `lib`; `None` outside `src`.
    module: Option<String>,
    text: String,
    code: String,
}

impl SourceFile {
    fn read(root: &Path, path: &Path) -> Option<Self> {
        let text = fs::read_to_string(root.join(path)).ok()?;
        let module = path.strip_prefix("src").ok().and_then(|inside| {
            let first = inside.iter().next()?.to_str()?;
            Some(first.trim_end_matches(".rs").to_owned())
        });
        Some(Self { path: path.to_owned(), module, code: source::lex(&text), text })
    }

    fn fault(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path.display())
    }

    /// The folder in which this file's child modules lie.
    fn children_folder(&self) -> PathBuf {
        let stem = self.path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        match stem {
            "mod" | "lib" | "main" => self.path.parent().unwrap_or(Path::new("")).to_owned(),
            _ => self.path.with_extension(""),
        }
    }

    /// Modules of their own file that only tests see, without the extension.
    fn test_only_children(&self) -> Vec<PathBuf> {
        let folder = self.children_folder();
        source::test_modules(&self.code).iter().map(|name| folder.join(name)).collect()
    }

    /// How many `super::` lead from this file to the root of the crate.
    fn depth(&self) -> usize {
        self.children_folder().iter().count().saturating_sub(1)
    }
}

/// Length, documentation, length of functions: for every Rust file, tests too.
fn check_shape(file: &SourceFile, out: &mut Vec<String>) {
    let lines = file.text.lines().count();
    if lines > FILE_LINES_MAX {
        out.push(file.fault(1, format!("{lines} lines, more than {FILE_LINES_MAX}")));
    }
    if !file.text.starts_with("//!") {
        out.push(file.fault(1, "opens without a module doc"));
    }
    for (line, length) in source::functions(&file.code) {
        if length > FUNCTION_LINES_MAX {
            out.push(file.fault(line, format!("function of {length} lines, more than {FUNCTION_LINES_MAX}")));
        }
    }
}

/// What holds for code of the crate that ships; `code` is lexed and free of tests.
fn check_module(file: &SourceFile, code: &str, out: &mut Vec<String>) {
    let name = file.module.as_deref().unwrap_or_default();
    if [Path::new("src/lib.rs"), Path::new("src/main.rs")].contains(&&*file.path)
        && !code.contains(FORBID_UNSAFE)
    {
        out.push(file.fault(1, format!("lacks `{FORBID_UNSAFE}`")));
    }
    check_owners(file, name, code, out);
    if name == "lib" {
        return;
    }
    let Some(module) = HOUSE.iter().find(|m| m.name == name) else {
        return out.push(file.fault(1, format!("`{name}` has no row in the table of tests/tidy.rs")));
    };
    check_imports(file, module, code, out);
    if PURE.contains(&name) {
        check_words(file, IMPURE, &format!("`{name}` is pure"), code, out);
    }
}

fn check_imports(file: &SourceFile, module: &Module, code: &str, out: &mut Vec<String>) {
    for (line, target) in source::crate_paths(code) {
        if target == "*" || target == "self" {
            out.push(file.fault(line, "imports the whole crate, which hides what it uses"));
        }
        let known = HOUSE.iter().any(|m| m.name == target);
        if known && target != module.name && !module.may_import.contains(&target.as_str()) {
            out.push(file.fault(line, format!("`{}` must not import `{target}`", module.name)));
        }
    }
    for (line, length) in source::super_chains(code) {
        if length >= file.depth() {
            out.push(file.fault(line, "reaches the root by `super`: write `crate::`"));
        }
    }
}

fn check_owners(file: &SourceFile, name: &str, code: &str, out: &mut Vec<String>) {
    let code = source::without_own_uses(code);
    let mut crates: Vec<&str> = HOUSE.iter().flat_map(|m| m.owns).copied().collect();
    crates.sort_unstable();
    crates.dedup();
    for owned in crates {
        let owners: Vec<&str> = HOUSE.iter().filter(|m| m.owns.contains(&owned)).map(|m| m.name).collect();
        if owners.contains(&name) {
            continue;
        }
        for line in source::crate_uses(&code, owned) {
            out.push(file.fault(line, format!("`{owned}` belongs to {}", owners.join(", "))));
        }
    }
}

fn check_words(file: &SourceFile, words: &[&str], why: &str, code: &str, out: &mut Vec<String>) {
    for word in words {
        for line in source::occurrences(code, word) {
            out.push(file.fault(line, format!("{why}: found `{word}`")));
        }
    }
}

fn check_foreign_words(root: &Path, path: &Path, out: &mut Vec<String>) {
    let Ok(bytes) = fs::read(root.join(path)) else { return };
    for (n, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
        for word in FOREIGN.iter().filter(|w| line.contains(**w)) {
            out.push(format!("{}:{}: names `{word}`, which no reader has", path.display(), n + 1));
        }
    }
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "rs")
}

/// What git tracks or would track; outside a clone, every file but those of a build.
fn tracked_files(root: &Path) -> Vec<PathBuf> {
    let git = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output();
    match git {
        Ok(listed) if listed.status.success() => String::from_utf8_lossy(&listed.stdout)
            .split('\0')
            .filter(|f| !f.is_empty() && root.join(f).is_file())
            .map(PathBuf::from)
            .collect(),
        _ => walk(root, Path::new("")),
    }
}

/// Every file under `root`/`inside`, relative to `root`.
fn walk(root: &Path, inside: &Path) -> Vec<PathBuf> {
    let mut out = vec![];
    for entry in fs::read_dir(root.join(inside)).into_iter().flatten().flatten() {
        let path = inside.join(entry.file_name());
        if ["target", ".git"].iter().any(|skipped| path == Path::new(skipped)) {
            continue;
        }
        if root.join(&path).is_dir() { out.extend(walk(root, &path)) } else { out.push(path) }
    }
    out
}
