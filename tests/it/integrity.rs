//! `check --store`: a store that the gateway wrote is clean, and every kind of damage to it is found.
use std::sync::Arc;

use portcullis::{
    demo::browser::Browser,
    directory::{IntegrityReport, examine},
    domain::{EnterpriseId, EnterpriseSlug, OrganizationId, OrganizationSlug, Person, PersonId, Timestamp},
    store::{self, Key, Op, Store, Whole, Write, records},
};

use crate::{
    store::change,
    support::gateway::{Backend, TestGateway, name_id},
};

pub fn e() -> EnterpriseId {
    EnterpriseId::of(&EnterpriseSlug::parse("example").unwrap())
}

pub fn org(slug: &str) -> OrganizationId {
    OrganizationId::of(e(), &OrganizationSlug::parse(slug).unwrap())
}

pub struct World {
    pub gateway: TestGateway,
    pub sound: Vec<u8>,
    pub alice: PersonId,
}

/// alice owns octo-org, bob owned hubot-lab and left it, carol's removal of docs-team is held.
pub async fn world() -> World {
    let mut gateway = TestGateway::start_with(
        Backend::Embedded,
        |overrides| overrides.set("enterprise.example.max_removals", "1"),
        |store| store,
    )
    .await;
    for (person, groups) in [
        ("alice", &["octo-org", "octo-org-owners"][..]),
        ("bob", &["octo-org", "octo-org-owners", "docs-team"]),
        ("carol", &["docs-team"]),
        ("bob", &["octo-org", "octo-org-owners"]),
        ("carol", &[]),
    ] {
        gateway.people.set_groups(person, groups).unwrap();
        gateway.sign_in(&mut Browser::new(), person).await;
    }
    gateway.stop_serving().await;
    let sound = std::fs::read(gateway.folder().join("store.redb")).unwrap();
    let alice = gateway.person_id(&name_id("alice"));
    World { gateway, sound, alice }
}

impl World {
    /// What is found after `damage` is done to the sound store.
    async fn after(&self, damage: impl AsyncFnOnce(&Arc<dyn Whole>)) -> IntegrityReport {
        let path = self.gateway.folder().join("damaged.redb");
        std::fs::write(&path, &self.sound).unwrap();
        let settings = store::Settings::Embedded(store::embedded::Settings { path });
        let store = store::open_whole(&settings).await.unwrap();
        damage(&store).await;
        examine(&*store, Timestamp::now()).await.unwrap()
    }

    async fn after_ops(&self, ops: Vec<Op>) -> IntegrityReport {
        self.after(async |store| drop(store.batch(Timestamp::now(), ops).await.unwrap())).await
    }

    /// Writes alice's record otherwise.
    async fn after_alice(&self, damage: impl FnOnce(&mut Person)) -> IntegrityReport {
        let key = Key::Person(e(), self.alice);
        self.after(async |store| {
            let mut found = store.batch(Timestamp::now(), vec![Op::Get(key)]).await.unwrap();
            let Some(store::Reply::Value(Some(stored))) = found.pop() else { panic!("no record") };
            let mut alice = records::decode_person(e(), self.alice, &stored.value).unwrap();
            damage(&mut alice);
            commit(store, Write::Put(key, records::encode_person(&alice))).await;
        })
        .await
    }

    async fn after_write(&self, write: Write) -> IntegrityReport {
        self.after(async |store| commit(store, write).await).await
    }
}

pub async fn commit(store: &Arc<dyn Whole>, write: Write) {
    let store: Arc<dyn Store> = store.clone();
    store.commit(change(&[], &[write])).await.unwrap();
}

#[track_caller]
fn assert_found(report: &IntegrityReport, expected: &[&str]) {
    let found: Vec<String> = report.faults.iter().map(|f| format!("{}: {}", f.what, f.why)).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for why in expected {
        assert!(found.iter().any(|found| found.contains(why)), "{why} is not in {found:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_ours_is_clean() {
    let world = world().await;
    let report = world.after_ops(vec![]).await;
    assert_found(&report, &[]);
    assert_eq!((report.people, report.memberships, report.sessions), (3, 3, 5));
    assert!(report.audit_entries > 10);
    let output = world.gateway.command().args(["check", "--store"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("3 people, 3 memberships") && said.contains(" 0 faults"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_index_that_says_too_little_or_too_much_is_found() {
    let world = world().await;
    let alice = world.alice.as_bytes().to_vec();
    let stray = vec![7; 16];
    let held = [&org("octo-org").as_bytes()[..], &alice].concat();
    let members = Key::OrganizationMembers(e(), org("octo-org"));
    let invitations = Key::OrganizationInvitations(e(), org("octo-org"));
    for (op, expected) in [
        (
            Op::Remove(members, alice.clone()),
            "memberships says it and the organization's set of members does not",
        ),
        (Op::Insert(members, stray.clone()), "set of members says it and a person's memberships does not"),
        (Op::Remove(Key::People(e()), alice.clone()), "record says it and the set of people does not"),
        (Op::Insert(Key::People(e()), stray.clone()), "the set of people says it"),
        (Op::Insert(Key::Unowned(e()), stray.clone()), "the set of unowned organizations says it"),
        (Op::Insert(Key::HeldRemovals(e()), held), "the set of held removals says it"),
        (Op::Delete(Key::HeldRemovals(e())), "held says it and the set of held removals does not"),
        (Op::Insert(Key::Organizations(e()), stray.clone()), "the set of organizations says it"),
        (Op::Insert(invitations, vec![7; 32]), "the organization's set of invitations says it"),
        (
            Op::Insert(Key::SentInvitations(e(), world.alice), vec![7; 32]),
            "the inviter's set of invitations says it",
        ),
        (Op::Insert(members, vec![1; 15]), "a member of another length"),
    ] {
        assert_found(&world.after_ops(vec![op]).await, &[expected]);
    }
    // An index that is cleared later may say more.
    let lingering = Op::Insert(Key::Outbox(e()), vec![7; 24]);
    assert_found(&world.after_ops(vec![lingering]).await, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_unreadable_or_disagree_are_found() {
    let world = world().await;
    let record = Key::Organization(e(), org("octo-org"));
    let broken = world.after_write(Write::Put(record, b"{}".to_vec())).await;
    assert_found(&broken, &["record is unreadable", "owner says it", "owner says it"]);
    let gone = world.after_write(Write::Delete(Key::Person(e(), world.alice))).await;
    assert_found(
        &gone,
        &["the set of people says it", "set of members says it", "organization's owners says it"],
    );
    let demoted =
        world.after_alice(|alice| alice.memberships[0].role = portcullis::domain::Role::Member).await;
    assert_found(&demoted, &["the organization's owners says it and a person's role of owner does not"]);
    let doubled = world.after_alice(|alice| {
        let again = alice.memberships[0].clone();
        alice.memberships.push(again);
    });
    assert!(doubled.await.faults.iter().any(|fault| fault.why.contains("out of order or double")));
    let elsewhere = Key::Organization(e(), org("hubot-lab"));
    let octo =
        portcullis::domain::Organization::new(org("octo-org"), OrganizationSlug::parse("octo-org").unwrap());
    let moved = world.after_write(Write::Put(elsewhere, records::encode_organization(&octo))).await;
    assert_found(&moved, &["under the key of another organization"]);
}
