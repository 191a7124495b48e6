//! The same program on both backends gives the same answers, step by step.
use std::sync::Arc;

use portcullis::{
    domain::{PersonId, ScimId, SessionId},
    store::{Commit, Key, Note, Op, Store, Write},
};
use proptest::{collection::vec, prelude::*, sample::select, strategy::ValueTree, test_runner::TestRunner};

use crate::{
    store::{at, embedded, enterprise, redis},
    support::redis::RedisServer,
};

const PROGRAMS: u8 = 30;
const STEPS_MAX: usize = 40;

#[derive(Debug, Clone)]
enum Step {
    Batch(i64, Vec<Op>),
    Commit(Commit),
    Members(Key, Option<Vec<u8>>, usize),
    Entries(Key, u64, usize),
    Head(Key),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_backends_answer_alike() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start();
    let (embedded, redis) = (embedded(&folder).await, redis(&server).await);
    let mut runner = TestRunner::deterministic();
    for program in 1..=PROGRAMS {
        let steps = vec(step(program), 1..STEPS_MAX).new_tree(&mut runner).unwrap().current();
        for (n, step) in steps.iter().enumerate() {
            let (ours, theirs) = (run(&embedded, step).await, run(&redis, step).await);
            assert_eq!(ours, theirs, "program {program}, step {n} of {steps:#?}");
        }
    }
}

async fn run(store: &Arc<dyn Store>, step: &Step) -> String {
    match step.clone() {
        Step::Batch(now, ops) => format!("{:?}", store.batch(at(now), ops).await),
        Step::Commit(change) => format!("{:?}", store.commit(change).await),
        Step::Members(set, after, limit) => format!("{:?}", store.members(set, after, limit).await),
        Step::Entries(stream, after, limit) => format!("{:?}", store.entries(stream, after, limit).await),
        Step::Head(stream) => format!("{:?}", store.stream_head(stream).await),
    }
}

/// The keys of a program: two of each sort, apart from every other program's.
fn records(program: u8) -> impl Strategy<Value = Key> {
    (0..2_u8).prop_map(move |n| Key::Person(enterprise(program), PersonId::from_bytes([n; 16])))
}

fn tallies(program: u8) -> impl Strategy<Value = Key> {
    (0..2_u8).prop_map(move |n| Key::ScimGroupState(enterprise(program), ScimId::from_bytes([n; 16])))
}

fn sets(program: u8) -> impl Strategy<Value = Key> {
    (0..2_u8).prop_map(move |n| Key::PersonSessions(enterprise(program), PersonId::from_bytes([n; 16])))
}

fn sessions(program: u8) -> impl Strategy<Value = Key> {
    (0..2_u8).prop_map(move |n| {
        let mut id = [program; 32];
        id[0] = n;
        Key::Session(SessionId::from_bytes(id))
    })
}

fn marks(program: u8) -> impl Strategy<Value = Key> {
    (0..2_u8).prop_map(move |n| {
        let mut digest = [program; 32];
        digest[0] = n;
        Key::UsedAssertion(digest)
    })
}

fn small() -> impl Strategy<Value = Vec<u8>> {
    vec(select(vec![0, 1, b'a', 0x7f, 0x80, 0xff]), 0..3)
}

fn step(program: u8) -> impl Strategy<Value = Step> {
    let expect = vec((prop_oneof![records(program), tallies(program)], 0..4_u64), 0..2);
    prop_oneof![
        3 => (0..100_i64, vec(op(program), 0..6)).prop_map(|(now, ops)| Step::Batch(now, ops)),
        3 => (expect, vec(write(program), 0..5)).prop_map(|(expect, writes)| Step::Commit(Commit { expect, writes })),
        1 => (sets(program), proptest::option::of(small()), 0..4_usize)
            .prop_map(|(set, after, limit)| Step::Members(set, after, limit)),
        1 => (0..6_u64, 0..4_usize)
            .prop_map(move |(after, limit)| Step::Entries(Key::Audit(enterprise(program)), after, limit)),
        1 => Just(Step::Head(Key::Audit(enterprise(program)))),
    ]
}

/// Sessions expire while the program runs. One-time marks do not: how long they outlive their expiry is open.
fn op(program: u8) -> impl Strategy<Value = Op> {
    let expiry = || (0..100_i64).prop_map(at);
    prop_oneof![
        prop_oneof![records(program), tallies(program), sessions(program), marks(program)].prop_map(Op::Get),
        (sets(program), 1..4_usize).prop_map(|(set, limit)| Op::Members(set, limit)),
        sessions(program).prop_map(Op::Take),
        (marks(program), small()).prop_map(|(key, value)| Op::PutOnce {
            key,
            value,
            expires_at: at(1_000_000)
        }),
        (sessions(program), small(), expiry()).prop_map(|(key, value, expires_at)| Op::Put {
            key,
            value,
            expires_at
        }),
        (sessions(program), small(), expiry()).prop_map(|(key, value, expires_at)| Op::Replace {
            key,
            value,
            expires_at
        }),
        (sets(program), small()).prop_map(|(key, member)| Op::Insert(key, member)),
        (sets(program), small()).prop_map(|(key, member)| Op::Remove(key, member)),
        (sets(program), small()).prop_map(|(key, end)| Op::RemoveBelow(key, end)),
        prop_oneof![records(program), sessions(program), marks(program), sets(program)].prop_map(Op::Delete),
        small().prop_map(move |value| Op::Append(Key::Audit(enterprise(program)), value)),
        (0..8_u64).prop_map(move |upto| Op::Trim(Key::Audit(enterprise(program)), upto)),
    ]
}

fn write(program: u8) -> impl Strategy<Value = Write> {
    prop_oneof![
        (records(program), small()).prop_map(|(key, value)| Write::Put(key, value)),
        prop_oneof![records(program), tallies(program), sets(program), sessions(program)]
            .prop_map(Write::Delete),
        (sets(program), small()).prop_map(|(key, member)| Write::Insert(key, member)),
        (sets(program), small()).prop_map(|(key, member)| Write::Remove(key, member)),
        (tallies(program), (0..100_i64).prop_map(at)).prop_map(|(key, at)| Write::Touch(key, at)),
        small().prop_map(move |value| Write::Append(Key::Audit(enterprise(program)), value)),
        Just(Write::Notify(Note::Enterprise(enterprise(program)))),
    ]
}
