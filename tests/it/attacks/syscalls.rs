//! What the program asks of the system while it takes responses, seen by strace: no file is opened, no connection made.
//!
//! The program is the one that ships, with its own clock; the messages are those of the table, made for now.
use std::path::Path;

use super::program::Program;
use crate::{
    saml::{Case, cases},
    support::{process::eventually, redis::RedisServer},
};

/// Opens of files, and everything by which a connection could be made; and the accepted ones, which tell where we are.
pub const TRACED: &str = "trace=open,openat,openat2,creat,socket,connect,accept,accept4";
/// None of these may happen. A datagram socket of a resolver is found by `socket`.
pub const FORBIDDEN: &[&str] = &["open(", "openat(", "openat2(", "creat(", "socket(", "connect("];

/// The lines of `trace` from the connection from one port to the connection from another.
pub fn between(trace: &str, from: u16, to: u16) -> Vec<&str> {
    let is_of = |line: &&str, port: u16| line.contains("accept") && line.contains(&format!("htons({port})"));
    let lines = trace.lines().skip_while(|line| !is_of(line, from));
    let lines: Vec<&str> = lines.take_while(|line| !is_of(line, to)).collect();
    assert!(!lines.is_empty(), "the connection from {from} is not in\n{trace}");
    lines
}

pub fn calls<'a>(lines: &[&'a str], names: &[&str]) -> Vec<&'a str> {
    lines.iter().copied().filter(|line| names.iter().any(|name| line.contains(&format!(" {name}")))).collect()
}

/// Accepted and refused responses, each more than once, and what happened meanwhile.
fn check(store: &[(&str, String)]) {
    let mut traced = Program::start_traced(store, TRACED);
    // Once of each, for what is loaded at its first use.
    let requests = traced.begin();
    let warm_up = traced.made(requests, "_warm_up", cases);
    let named = |cases: &[Case], name: &str| cases.iter().position(|case| case.name == name).expect("a case");
    for name in ["S-35-file", "S-60-external-subset", "rsa-sha512", "ecdsa-sha256", "S-50-rsa-key-value"] {
        traced.post(&warm_up[named(&warm_up, name)]);
    }

    let requests = traced.begin();
    let cases = traced.made(requests, "_cold", cases);
    let (_, mark) = traced.send("GET /saml/nothing", "", "");
    let (mut refused, mut accepted) = (0, 0);
    for case in cases.iter().filter(|case| case.reason.is_some()) {
        let answer = traced.post(case);
        // `key_type_missing` is another connection's.
        let genuine = case.name == "ecdsa-without-such-a-key";
        assert!(genuine || answer.status == 403, "{}: {} {}", case.name, answer.status, answer.body);
        refused += usize::from(answer.status == 403);
    }
    for _ in 0..3 {
        traced.cookie = traced.sign_in(&format!("_accepted_{accepted}"));
        accepted += 1;
    }
    assert!(refused > 200 && accepted == 3);
    // The control: this one does connect, to the origin server.
    let (answer, end) = traced.send("GET /", "", "");
    assert_eq!(answer.status, 200, "{}", answer.head);
    let origin = format!("htons({})", traced.origin.address.port());
    assert!(eventually(|| traced.trace().contains(&origin)), "strace saw no connection to the origin server");
    let trace = traced.end();

    assert!(trace.lines().any(|line| line.contains("openat(")), "strace saw no file opened at the start");
    let meanwhile = between(&trace, mark, end);
    let accepts = meanwhile.iter().filter(|line| line.contains("htons(")).count();
    assert!(accepts >= refused + accepted, "{accepts} connections seen");
    let forbidden = calls(&meanwhile, FORBIDDEN);
    assert!(forbidden.is_empty(), "while responses were taken:\n{}", forbidden.join("\n"));
}

#[test]
fn s_35_and_s_60_nothing_is_opened_with_the_embedded_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = |folder: &Path| folder.join("store.redb").display().to_string();
    check(&[("PORTCULLIS_STORE_PATH", path(folder.path()))]);
}

#[test]
fn s_35_and_s_60_nothing_is_opened_with_redis() {
    let redis = RedisServer::start();
    check(&[("PORTCULLIS_STORE_KIND", "redis".into()), ("PORTCULLIS_STORE_URL", redis.url())]);
}

/// The reader of traces finds what it must not find.
#[test]
fn forbidden_calls_are_found_in_a_trace() {
    let trace = "1 openat(AT_FDCWD, \"a\") = 3\n2 accept4(9, {sin_port=htons(11)}) = 5\n\
                 2 openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY <unfinished ...>\n3 connect(7, {sin_port=htons(80)}) = 0\n\
                 2 <... openat resumed>) = 8\n2 accept4(9, {sin_port=htons(12)}) = 5\n1 socket(AF_INET) = 3\n";
    assert_eq!(calls(&between(trace, 11, 12), FORBIDDEN).len(), 2);
}
