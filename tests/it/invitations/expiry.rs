//! what nobody takes away goes in time.
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use portcullis::{
    config::{self, Source},
    demo::browser::Browser,
    directory::{
        AuditFilter, AuditQuery, Cause, Directory, FAILED_INVITATION_DAYS, INVITATION_DAYS, InvitationPage,
        InvitationState, Invite, MAIL_DAYS, Purged,
    },
    domain::{InvitationSource, Role, Timestamp},
    store::{self, Key, Piece},
    telemetry::{Metrics, Trigger},
};

use super::{World, slug, tenant};
use crate::support::gateway::{BACKENDS, Backend, TestGateway};

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

#[tokio::test(flavor = "multi_thread")]
async fn r_07_invitations_that_failed_long_ago_go() {
    for backend in BACKENDS {
        let world = World::start(backend).await;
        let (begun, directory) = (Timestamp::now(), world.directory());
        let failing = world.invite("docs-team", "p0@example.com").await.unwrap();
        let lasting = world.by_scim("docs-team", "p1@example.com").await.unwrap();
        // A mail that waits as long as that is given up, and its invitation has failed since then only.
        world.wait_for_metric("portcullis_mail_total{result=\"sent\"} 2").await;
        let purge = async |at| directory.purge(&world.enterprise, at).await.unwrap().invitations;
        let failed_at = begun + days(INVITATION_DAYS);
        assert_eq!(purge(failed_at + days(FAILED_INVITATION_DAYS - 1)).await, 0);
        let listed = world.listed("docs-team", InvitationState::Failed, failed_at + days(1)).await;
        assert_eq!(listed.iter().map(|i| i.id).collect::<Vec<_>>(), [failing.id], "it can be sent again");
        let late = failed_at + days(FAILED_INVITATION_DAYS + 1);
        assert_eq!(purge(late).await, 1);
        assert_eq!(purge(late).await, 0);
        assert!(world.listed("docs-team", InvitationState::Failed, late).await.is_empty());
        let pending = world.listed("docs-team", InvitationState::Pending, late).await;
        assert_eq!(pending.iter().map(|i| i.id).collect::<Vec<_>>(), [lasting.id], "SCIM's own last");

        let filter = AuditFilter { trigger: Some("system".into()), ..AuditFilter::default() };
        let query = AuditQuery { filter, limit: 9, ..AuditQuery::default() };
        let told = directory.audit_entries(world.enterprise.id, &query).await.unwrap().entries;
        let told: Vec<_> = told.into_iter().map(|entry| entry.into_json()).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["action"], "org.cancel_invitation");
        assert_eq!(told[0]["reason"], "failed_long_ago");
        assert_eq!(told[0]["invitation_id"], failing.id.to_string());
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r_07_mails_that_nobody_sends_go_with_their_secrets() {
    let mut gateway = TestGateway::start(Backend::Redis).await;
    gateway.stop_serving().await;
    let settings =
        config::load(&Source::file(&gateway.config).unwrap(), &gateway.overrides).unwrap().settings;
    let store = store::open(&settings.store).await.unwrap();
    // Nobody sends what is queued here.
    let directory = Directory::new(store.clone(), settings.session, Metrics::new()).with_mail(false);
    let (enterprise, organization, begun) = (tenant(&gateway), slug("docs-team"), Timestamp::now());
    let invite = Invite {
        organization: &organization,
        email: "p0@example.com",
        role: Role::Member,
        source: InvitationSource::Scim,
        person: None,
    };
    let cause = Cause::by(Trigger::Scim, None, "test-purge");
    directory.invite(&enterprise, &invite, cause, begun).await.unwrap();
    let purge = async |at| directory.purge(&enterprise, at).await.unwrap();
    assert_eq!(purge(begun + days(MAIL_DAYS - 1)).await, Purged::default());
    assert_eq!(purge(begun + days(MAIL_DAYS + 1)).await, Purged { mails: 1, invitations: 0 });
    assert_eq!(purge(begun + days(MAIL_DAYS + 1)).await, Purged::default());
    assert!(store.members(Key::Outbox(enterprise.id), None, 9).await.unwrap().is_empty());
    let page = InvitationPage { state: InvitationState::Failed, after: None, limit: 9 };
    let (failed, _) = directory.invitations(enterprise.id, &organization, page, begun).await.unwrap();
    assert_eq!(failed[0].1.failed_at(begun).unwrap().1, "undeliverable", "its owner can see it");
}

/// `[mail]` was taken out of the configuration while mails waited.
#[tokio::test(flavor = "multi_thread")]
async fn r_07_without_a_mail_server_old_mails_go_all_the_same() {
    let mut gateway = TestGateway::start(Backend::Redis).await;
    gateway.stop_serving().await;
    let settings =
        config::load(&Source::file(&gateway.config).unwrap(), &gateway.overrides).unwrap().settings;
    assert!(settings.mail.is_none());
    let store = store::open(&settings.store).await.unwrap();
    let directory = Directory::new(store.clone(), settings.session, Metrics::new()).with_mail(false);
    let (enterprise, organization) = (tenant(&gateway), slug("docs-team"));
    for (email, age) in [("old@example.com", MAIL_DAYS + 1), ("new@example.com", 1)] {
        let source = InvitationSource::Scim;
        let invite = Invite { organization: &organization, email, role: Role::Member, source, person: None };
        let cause = Cause::by(Trigger::Scim, None, "test-purge");
        directory.invite(&enterprise, &invite, cause, Timestamp::now() - days(age)).await.unwrap();
    }
    let outbox = Key::Outbox(enterprise.id);
    assert_eq!(store.members(outbox, None, 9).await.unwrap().len(), 2);
    gateway.serve_again().await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while store.members(outbox, None, 9).await.unwrap().len() > 1 {
        assert!(Instant::now() < deadline, "the gateway looks when it starts");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    gateway.stop().await;
}

/// What is left of the store long after, by key.
async fn left(gateway: &TestGateway, at: Timestamp) -> BTreeSet<String> {
    let settings =
        config::load(&Source::file(&gateway.config).unwrap(), &gateway.overrides).unwrap().settings;
    let store = store::open_whole(&settings.store).await.unwrap();
    let (mut kept, mut ended) = (BTreeSet::new(), BTreeSet::new());
    let mut visit = |piece| {
        match piece {
            Piece::Record { key, .. } | Piece::Members { key, .. } | Piece::Head { key, .. } => {
                kept.insert(key.text());
            }
            Piece::Expiring { key, expires_at, .. } if expires_at > at => drop(kept.insert(key.text())),
            Piece::Until { key, at: end } if end <= at => drop(ended.insert(key.text())),
            _ => {}
        }
        Ok(())
    };
    store.walk(Timestamp::now(), &mut visit).await.unwrap();
    kept.difference(&ended).cloned().collect()
}

/// However often people come and go, what is left of it in the end is themselves and the audit stream.
#[tokio::test(flavor = "multi_thread")]
async fn r_07_sign_ins_and_removals_leave_nothing_that_grows() {
    let mut gateway = TestGateway::start(Backend::Embedded).await;
    let late = Timestamp::now() + days(400);
    let mut seen: Option<BTreeSet<String>> = None;
    for rounds in [1, 4] {
        for _ in 0..rounds {
            // One that is begun and never answered, one that joins, one that leaves, and a session that is ended.
            Browser::new().open(&format!("{}/saml/login?return_to=/", gateway.url)).await.unwrap();
            for groups in [&["octo-org", "hubot-lab"][..], &[]] {
                gateway.people.set_groups("alice", groups).unwrap();
                let mut browser = Browser::new();
                gateway.sign_in(&mut browser, "alice").await;
                let asks = browser.open(&format!("{}/saml/logout", gateway.url)).await.unwrap();
                browser.press(&asks, "Sign out").await.unwrap();
            }
        }
        gateway.stop_serving().await;
        let left = left(&gateway, late).await;
        assert!(!left.is_empty());
        let batches =
            left.iter().filter_map(|text| Key::parse(text)).filter(|key| matches!(key, Key::Batch(..)));
        assert_eq!(batches.count(), 0, "a batch is told when to go");
        if let Some(seen) = seen.replace(left.clone()) {
            assert_eq!(left, seen);
        }
        gateway.serve_again().await;
    }
    gateway.stop().await;
}
