//! No mail is lost and none is sent twice: dead servers, several gateways, a gateway that is killed.
use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use portcullis::{
    config::{self, Source},
    directory::{
        Cause, Directory, InvitationState, Invite,
        outbox::{Outbox, Sender},
    },
    domain::{InvitationSource, Role, Timestamp},
    mail::Mailer,
    store::{self, Key, Store},
    telemetry::{Metrics, Trigger},
};
use tokio::sync::watch;

use super::{World, mail_settings, slug, tenant};
use crate::support::{
    gateway::{BACKENDS, Backend, Setup, TestGateway},
    mail_server::MailServer,
    process::Killed,
};

const WAIT_SECONDS_MAX: u64 = 60;

/// How far the clock of a test's gateway is ahead, in seconds.
static AHEAD: AtomicI64 = AtomicI64::new(0);

fn ahead() -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(AHEAD.load(Ordering::SeqCst))
}

impl World {
    /// Waits for a line of the metrics.
    pub async fn wait_for_metric(&self, line: &str) {
        let deadline = Instant::now() + Duration::from_secs(WAIT_SECONDS_MAX);
        loop {
            let metrics = self.gateway.private("/metrics").await.body;
            if metrics.lines().any(|found| found == line) {
                return;
            }
            assert!(Instant::now() < deadline, "{line} is not in {metrics}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn wait_until_empty(store: &dyn Store, outbox: Key) {
    let deadline = Instant::now() + Duration::from_secs(WAIT_SECONDS_MAX);
    while !store.members(outbox, None, 1).await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "the outbox is not empty");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_17_a_dead_mail_server_loses_nothing() {
    let setup = Setup { now: ahead, ..Setup::new(Backend::Embedded) };
    let mut world = World::with(MailServer::down("none", None), setup, |overrides| overrides).await;
    for n in 0..3 {
        world.invite("docs-team", &format!("p{n}@example.com")).await.unwrap();
    }
    // Each may be tried, and what was tried waits; nobody is told that it failed.
    let deferred = "portcullis_mail_total{result=\"deferred\"}";
    let deadline = Instant::now() + Duration::from_secs(WAIT_SECONDS_MAX);
    while !world.gateway.private("/metrics").await.body.contains(deferred) {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(world.listed("docs-team", InvitationState::Failed, Timestamp::now()).await.is_empty());
    world.mail.begin();
    AHEAD.store(120, Ordering::SeqCst);
    // Wakes the outbox, which looks every quarter of a minute anyway.
    let late = world.invite_as("alice", "docs-team", "late@example.com", Role::Member, ahead()).await;
    late.unwrap();
    let mut recipients: Vec<String> =
        world.mail.wait_for(4).await.into_iter().flat_map(|mail| mail.to).collect();
    recipients.sort();
    assert_eq!(recipients, ["late@example.com", "p0@example.com", "p1@example.com", "p2@example.com"]);
    world.wait_for_metric("portcullis_mail_total{result=\"sent\"} 4").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_reaches_nobody_fails_its_invitation() {
    for backend in BACKENDS {
        let world = World::start(backend).await;
        let failing = world.invite("docs-team", "unknown@example.com").await.unwrap();
        world.wait_for_metric("portcullis_mail_total{result=\"failed\"} 1").await;
        let failed = world.listed("docs-team", InvitationState::Failed, Timestamp::now()).await;
        assert_eq!(failed.iter().map(|i| i.id).collect::<Vec<_>>(), [failing.id]);
        assert!(failed[0].undeliverable_since.is_some());
        assert_eq!(failed[0].failed_at(Timestamp::now()).unwrap().1, "undeliverable");
        assert!(world.pending("docs-team").await.is_empty());
        // For now is another matter.
        let later = world.invite("docs-team", "later@example.com").await.unwrap();
        world.wait_for_metric("portcullis_mail_total{result=\"deferred\"} 1").await;
        assert_eq!(world.pending("docs-team").await.iter().map(|i| i.id).collect::<Vec<_>>(), [later.id]);
        // To invite again is to try again, as another invitation.
        let again = world.invite("docs-team", "unknown@example.com").await.unwrap();
        assert_ne!(again.id, failing.id);
        world.stop().await;
    }
}

/// What was withdrawn before it was sent is not sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_invitation_sends_no_mail() {
    let setup = Setup { now: ahead, ..Setup::new(Backend::Embedded) };
    let mut world = World::with(MailServer::down("none", None), setup, |overrides| overrides).await;
    let invitation = world.invite("docs-team", "bob@example.com").await.unwrap();
    let (directory, organization) = (world.directory(), slug("docs-team"));
    let alice = crate::support::gateway::name_id("alice");
    let cause = world.by(&alice);
    directory
        .cancel_invitation(&world.enterprise, &organization, invitation.id, cause, Timestamp::now())
        .await
        .unwrap();
    world.mail.begin();
    AHEAD.store(120, Ordering::SeqCst);
    world.invite_as("alice", "docs-team", "carol@example.com", Role::Member, ahead()).await.unwrap();
    let mails = world.mail.wait_for(1).await;
    assert_eq!(mails[0].to, ["carol@example.com"]);
    world.stop().await;
}

/// A directory of its own on the store of a gateway, which sends nothing by itself.
async fn queue(gateway: &TestGateway, mails: usize) -> (Arc<dyn Store>, Arc<Directory>) {
    let loaded = config::load(&Source::file(&gateway.config).unwrap(), &gateway.overrides).unwrap();
    let store = store::open(&loaded.settings.store).await.unwrap();
    let directory = Directory::new(store.clone(), loaded.settings.session, Metrics::new()).with_mail(false);
    let (enterprise, organization) = (tenant(gateway), slug("docs-team"));
    for n in 0..mails {
        let email = format!("p{n}@example.com");
        let source = InvitationSource::Manual;
        let invite =
            Invite { organization: &organization, email: &email, role: Role::Member, source, person: None };
        let cause = Cause::by(Trigger::Owner, None, "test-queue");
        directory.invite(&enterprise, &invite, cause, Timestamp::now()).await.unwrap();
    }
    (store, Arc::new(directory))
}

/// Several gateways find the same mails at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn several_gateways_send_each_mail_once() {
    const MAILS: usize = 20;
    let mail = MailServer::start("none", None);
    let port = mail.port();
    let change = Box::new(move |overrides| mail_settings(overrides, port));
    let mut gateway = TestGateway::set_up(Setup { change, ..Setup::new(Backend::Redis) }).await;
    gateway.stop_serving().await;
    let (store, _) = queue(&gateway, MAILS).await;
    let loaded = config::load(&Source::file(&gateway.config).unwrap(), &gateway.overrides).unwrap();
    let mailer = Mailer::new(loaded.settings.mail.unwrap()).unwrap();
    let (stop, stopping) = watch::channel(false);
    let mut running = vec![];
    for _ in 0..4 {
        let store = store::open(&loaded.settings.store).await.unwrap();
        let directory = Directory::new(store, loaded.settings.session.clone(), Metrics::new());
        let (enterprise, base_url) = (tenant(&gateway), gateway.url.clone());
        let sender = move || vec![Sender { enterprise: enterprise.clone(), base_url: base_url.clone() }];
        let outbox = Outbox {
            directory: Arc::new(directory.with_mail(false)),
            mailer: mailer.clone(),
            senders: Box::new(sender),
            now: Timestamp::now,
        };
        running.push(outbox.run(stopping.clone()));
    }
    let running: Vec<_> = running.into_iter().map(tokio::spawn).collect();
    mail.wait_for(MAILS).await;
    wait_until_empty(&*store, Key::Outbox(gateway.enterprise())).await;
    stop.send_replace(true);
    for task in running {
        task.await.unwrap();
    }
    let mut recipients: Vec<String> = mail.mails().into_iter().flat_map(|mail| mail.to).collect();
    assert_eq!(recipients.len(), MAILS, "{recipients:?}");
    recipients.dedup();
    recipients.sort();
    recipients.dedup();
    assert_eq!(recipients.len(), MAILS);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_17_a_gateway_that_is_killed_between_commit_and_sending_loses_no_mail() {
    let mut mail = MailServer::down("none", None);
    let port = mail.port();
    // A server that takes the connection and says nothing.
    let silent = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let change = Box::new(move |overrides| mail_settings(overrides, port).set("mail.timeout", "2s"));
    let mut gateway = TestGateway::set_up(Setup { change, ..Setup::new(Backend::Redis) }).await;
    gateway.stop_serving().await;
    let (store, _) = queue(&gateway, 1).await;
    let first = Killed::serve(gateway.command());
    let connection = tokio::task::spawn_blocking(move || silent.accept().map(|(stream, _)| (silent, stream)));
    let (silent, stream) = connection.await.unwrap().unwrap();
    drop(first);
    drop((silent, stream));
    mail.begin();
    let _second = Killed::serve(gateway.command());
    let mails = mail.wait_for(1).await;
    wait_until_empty(&*store, Key::Outbox(gateway.enterprise())).await;
    assert_eq!(mails[0].to, ["p0@example.com"]);
    assert_eq!(mail.mails().len(), 1);
}
