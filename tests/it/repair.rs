//! `check --store --repair`: every kind of damage is mended, or named as what cannot be; records and streams stay as they are.
use std::{collections::BTreeSet, sync::Arc};

use portcullis::{
    directory::{IntegrityFault, IntegrityReport, Mending, examine, repair},
    domain::{
        AddressId, Invitation, InvitationId, InvitationReference, InvitationSource, Invitee, MailId,
        MailSubject, OrganizationSlug, Person, PersonId, QueuedMail, Role, Timestamp,
    },
    store::{self, Key, Op, Reply, Whole, Write, records},
};

use crate::{
    integrity::{World, commit, e, org, world},
    support::gateway::name_id,
};

/// A damaged copy of the sound store.
struct Damaged(Arc<dyn Whole>);

impl World {
    async fn damaged(&self, name: &str) -> Damaged {
        let path = self.gateway.folder().join(format!("{name}.redb"));
        std::fs::write(&path, &self.sound).unwrap();
        let settings = store::Settings::Embedded(store::embedded::Settings { path });
        Damaged(store::open_whole(&settings).await.unwrap())
    }
}

impl Damaged {
    async fn ops(&self, ops: Vec<Op>) {
        self.0.batch(Timestamp::now(), ops).await.unwrap();
    }

    async fn write(&self, write: Write) {
        commit(&self.0, write).await;
    }

    async fn person(&self, id: PersonId) -> Person {
        let mut found = self.0.batch(Timestamp::now(), vec![Op::Get(Key::Person(e(), id))]).await.unwrap();
        let Some(Reply::Value(Some(stored))) = found.pop() else { panic!("no record") };
        records::decode_person(e(), id, &stored.value).unwrap()
    }

    async fn examine(&self) -> IntegrityReport {
        examine(&*self.0, Timestamp::now()).await.unwrap()
    }

    /// Each fault and what becomes of it.
    async fn repair(&self, apply: bool) -> Vec<(IntegrityFault, Mending)> {
        let mut mendings = vec![];
        for fault in self.examine().await.faults {
            let mending = repair(&*self.0, &fault, apply, Timestamp::now()).await.unwrap();
            mendings.push((fault, mending));
        }
        mendings
    }

    /// That showing changes nothing, that applying mends all, and that there is something to mend.
    async fn is_mended(&self, name: &str) {
        let before = self.examine().await;
        assert!(!before.is_clean(), "{name}");
        let shown = self.repair(false).await;
        assert!(
            shown.iter().all(|(_, mending)| matches!(mending, Mending::Possible(_))),
            "{name}: {shown:#?}"
        );
        assert_eq!(self.examine().await.faults, before.faults, "{name}: showing changes nothing");
        assert_eq!(self.repair(true).await, shown, "{name}: what was shown is done");
        assert_eq!(self.examine().await.faults, [], "{name}");
    }

    /// That nothing is changed, and everything is named.
    async fn cannot_be_mended(&self, name: &str) {
        let before = self.examine().await;
        assert!(!before.is_clean(), "{name}");
        let named = self.repair(true).await;
        assert!(
            named.iter().all(|(_, mending)| matches!(mending, Mending::Impossible(_))),
            "{name}: {named:#?}"
        );
        assert_eq!(self.examine().await.faults, before.faults, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_derived_is_mended() {
    let world = world().await;
    let alice = world.alice.as_bytes().to_vec();
    let stray = vec![7; 16];
    let members = Key::OrganizationMembers(e(), org("octo-org"));
    let held = [&org("octo-org").as_bytes()[..], &alice].concat();
    let listed = Key::OrganizationInvitations(e(), org("octo-org"));
    let cases = [
        ("a member is missing", Op::Remove(members, alice.clone())),
        ("a member too many", Op::Insert(members, stray.clone())),
        ("a person is missing", Op::Remove(Key::People(e()), alice.clone())),
        ("a person too many", Op::Insert(Key::People(e()), stray.clone())),
        ("unowned and is not", Op::Insert(Key::Unowned(e()), org("octo-org").as_bytes().to_vec())),
        ("unowned is missing", Op::Delete(Key::Unowned(e()))),
        ("held and is not", Op::Insert(Key::HeldRemovals(e()), held)),
        ("held is missing", Op::Delete(Key::HeldRemovals(e()))),
        ("an organization too many", Op::Insert(Key::Organizations(e()), stray.clone())),
        ("an invitation too many", Op::Insert(listed, vec![7; 32])),
        ("a sent one too many", Op::Insert(Key::SentInvitations(e(), world.alice), vec![7; 32])),
        ("of another length", Op::Insert(members, vec![1; 15])),
    ];
    for (n, (name, op)) in cases.into_iter().enumerate() {
        let damaged = world.damaged(&format!("mended-{n}")).await;
        // Nobody in this world lost the last owner; whoever did must be found again.
        if name == "unowned is missing" {
            let mut record = portcullis::domain::Organization::new(
                org("docs-team"),
                OrganizationSlug::parse("docs-team").unwrap(),
            );
            record.unowned_since = Some(Timestamp::UNIX_EPOCH);
            let key = Key::Organization(e(), org("docs-team"));
            damaged.write(Write::Put(key, records::encode_organization(&record))).await;
        }
        damaged.ops(vec![op]).await;
        damaged.is_mended(name).await;
    }
}

fn invitation(inviter: PersonId) -> Invitation {
    Invitation {
        id: InvitationId::from_bytes([9; 16]),
        organization: OrganizationSlug::parse("octo-org").unwrap(),
        role: Role::Member,
        source: InvitationSource::Manual,
        email: "dora@example.com".into(),
        person: None,
        inviter: Some(inviter),
        invited_at: Timestamp::now(),
        expires_at: None,
        secret: [1; 32],
        sent: 1,
        sent_at: Timestamp::now(),
        undeliverable_since: None,
    }
}

/// What records say and no index does: invitations, mails, batches.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_records_say_is_listed_again() {
    let world = world().await;
    let address = AddressId::of(e(), "dora@example.com");
    let damaged = world.damaged("invitation").await;
    let invitee = Invitee { address, invitations: vec![invitation(world.alice)] };
    let record = Write::Put(Key::Invitee(e(), address), records::encode_invitee(&invitee));
    damaged.write(record).await;
    assert_eq!(damaged.examine().await.faults.len(), 2, "listed, and sent");
    damaged.is_mended("an invitation").await;
    let reference = InvitationReference { address, invitation: InvitationId::from_bytes([9; 16]) };
    let listed =
        damaged.0.members(Key::OrganizationInvitations(e(), org("octo-org")), None, 9).await.unwrap();
    assert_eq!(listed, [reference.to_bytes().to_vec()]);

    let damaged = world.damaged("mail").await;
    let id = MailId::from_bytes([8; 16]);
    let subject = MailSubject::Removed { organization: OrganizationSlug::parse("octo-org").unwrap() };
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    let mail =
        QueuedMail { id, to: "dora@example.com".into(), subject, queued_at: at, due_at: at, attempts: 0 };
    damaged.write(Write::Put(Key::Mail(e(), id), records::encode_mail(&mail))).await;
    damaged.is_mended("a mail").await;
    let due = damaged.0.members(Key::Outbox(e()), None, 9).await.unwrap();
    assert_eq!(due, [records::encode_due(at, id)]);

    let damaged = world.damaged("batch").await;
    let bob = damaged.person(world.gateway.person_id(&name_id("bob"))).await;
    let mut batches = BTreeSet::new();
    let mut find = |piece| {
        if let store::Piece::Members { key: key @ Key::Batch(..), .. } = piece {
            batches.insert(key.text());
        }
        Ok(())
    };
    damaged.0.walk(Timestamp::now(), &mut find).await.unwrap();
    assert!(!bob.former.is_empty() && batches.len() == 1, "{batches:?}");
    let batch = Key::parse(batches.first().unwrap()).unwrap();
    damaged.ops(vec![Op::Delete(batch)]).await;
    damaged.is_mended("a batch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_derived_is_named_and_left_alone() {
    let world = world().await;
    let record = Key::Organization(e(), org("octo-org"));
    let damaged = world.damaged("unreadable-organization").await;
    damaged.write(Write::Put(record, b"{}".to_vec())).await;
    damaged.cannot_be_mended("an organization that cannot be read").await;

    // Nothing is taken out of an index because the record that would explain it cannot be read.
    let damaged = world.damaged("unreadable-person").await;
    damaged.write(Write::Put(Key::Person(e(), world.alice), b"{}".to_vec())).await;
    damaged.cannot_be_mended("a person who cannot be read").await;

    for (n, change) in
        [(|alice: &mut Person| alice.memberships[0].role = Role::Member) as fn(&mut Person), |alice| {
            alice.memberships.push(alice.memberships[0].clone())
        }]
        .into_iter()
        .enumerate()
    {
        let damaged = world.damaged(&format!("alice-{n}")).await;
        let mut alice = damaged.person(world.alice).await;
        change(&mut alice);
        let key = Key::Person(e(), world.alice);
        damaged.write(Write::Put(key, records::encode_person(&alice))).await;
        damaged.cannot_be_mended("a record of alice").await;
    }
    for (name, key, value) in [
        ("mail", Key::Mail(e(), MailId::from_bytes([8; 16])), &b"x"[..]),
        ("codes", Key::RecoveryCodes(e(), world.alice), b"{}"),
        ("cursor", Key::WebhookCursor(e(), portcullis::domain::WebhookId::of("siem")), b"{\"v\":9}"),
    ] {
        let damaged = world.damaged(&format!("unreadable-{name}")).await;
        damaged.write(Write::Put(key, value.to_vec())).await;
        damaged.cannot_be_mended(name).await;
    }
    let damaged = world.damaged("unreadable-token").await;
    let put = Op::Put { key: Key::AccessToken([1; 32]), value: b"{}".to_vec(), expires_at: Timestamp::MAX };
    damaged.ops(vec![put]).await;
    damaged.cannot_be_mended("a token").await;
}

/// A member whose record is gone leaves the lists, and the record that still names it as owner is named itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_mended_is_mended_beside_what_cannot() {
    let world = world().await;
    let damaged = world.damaged("gone").await;
    damaged.write(Write::Delete(Key::Person(e(), world.alice))).await;
    let mendings = damaged.repair(true).await;
    let impossible = |(_, mending): &&(IntegrityFault, Mending)| matches!(mending, Mending::Impossible(_));
    assert_eq!((mendings.len(), mendings.iter().filter(impossible).count()), (3, 1), "{mendings:#?}");
    let left = damaged.examine().await;
    assert!(left.faults.len() == 1 && left.faults[0].why.contains("owners says it"), "{:#?}", left.faults);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_shows_first_and_mends_when_told() {
    let world = world().await;
    let path = world.gateway.folder().join("store.redb");
    let settings = store::Settings::Embedded(store::embedded::Settings { path });
    let store = store::open_whole(&settings).await.unwrap();
    let members = Key::OrganizationMembers(e(), org("octo-org"));
    let op = Op::Remove(members, world.alice.as_bytes().to_vec());
    store.batch(Timestamp::now(), vec![op]).await.unwrap();
    drop(store);
    let run = |arguments: &[&str], code: i32| {
        let output = world.gateway.command().args(["check", "--store"]).args(arguments).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    let insert = format!("insert {} into {}", world.alice, members.text());
    for _ in 0..2 {
        let shown = run(&["--repair"], 1);
        assert!(shown.contains(&insert) && shown.contains(" 1 faults"), "{shown}");
    }
    let json: serde_json::Value = serde_json::from_str(&run(&["--repair", "--format", "json"], 1)).unwrap();
    assert_eq!(json["repair"][0]["result"], "mendable");
    let mended = run(&["--repair", "--apply"], 0);
    assert!(mended.contains(&insert) && mended.contains(" 0 faults"), "{mended}");
    run(&[], 0);
    let usage = world.gateway.command().args(["check", "--store", "--apply"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
}
