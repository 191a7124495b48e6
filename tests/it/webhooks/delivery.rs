//! What arrives, in which order, how it is signed; what a receiver that fails, redirects or ends costs; what a crash loses.
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicI64, Ordering},
};

use jiff::SignedDuration;
use portcullis::{
    demo::browser::Browser, directory::AuditQuery, domain::Timestamp, gateway, store, telemetry::Metrics,
};

use super::{
    SECRET, World,
    receiver::{Answer, Received, Receiver},
};
use crate::support::{
    gateway::{BACKENDS, Backend, TestGateway},
    process::Killed,
};

const OTHER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// `scripts/test` puts the library of Standard Webhooks there.
const PYTHON: &str = "target/tools/standardwebhooks/bin/python";
const VERIFY: &str = "
import json, sys
from standardwebhooks import Webhook
for line in sys.stdin:
    case = json.loads(line)
    Webhook(case['secret']).verify(case['body'], case['headers'])
    print('verified')
";

/// How many of them the library of Standard Webhooks takes for genuine.
fn verified(secret: &str, received: &[Received]) -> usize {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(PYTHON);
    let mut command = Command::new(&python);
    command.args(["-sBc", VERIFY]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}: run scripts/test", python.display()));
    let mut input = child.stdin.take().unwrap();
    for one in received {
        let headers = serde_json::json!({
            "webhook-id": one.id, "webhook-timestamp": one.timestamp, "webhook-signature": one.signature,
        });
        let case = serde_json::json!({ "secret": secret, "body": one.body, "headers": headers });
        // It ends with the first that it refuses.
        let _ = writeln!(input, "{case}");
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().count()
}

async fn events(gateway: &TestGateway) -> Vec<serde_json::Value> {
    let directory = &gateway.running.as_ref().unwrap().directory;
    let query = AuditQuery { limit: 1_000, ..AuditQuery::default() };
    let page = directory.audit_entries(gateway.enterprise(), &query).await.unwrap();
    page.entries.into_iter().map(|entry| entry.into_json()).collect()
}

fn ids(received: &[Received]) -> Vec<String> {
    received.iter().map(|one| one.id.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_arrives_once_in_order_and_signed() {
    for backend in BACKENDS {
        let world = World::start(backend, "*", Timestamp::now).await;
        world.sign_in(&["octo-org", "hubot-lab"]).await;
        world.sign_in(&[]).await;
        let expected = events(&world.gateway).await;
        assert!(expected.len() >= 6, "{expected:?}");
        let received = world.receiver.wait_for(expected.len()).await;
        for (one, event) in received.iter().zip(&expected) {
            let json = one.json();
            assert_eq!(json["data"], *event);
            assert_eq!((&json["type"], &json["timestamp"]), (&event["action"], &event["@timestamp"]));
            assert_eq!(one.id, event["_document_id"].as_str().unwrap());
        }
        assert_eq!(verified(SECRET, &received), expected.len());
        assert_eq!(verified(OTHER_SECRET, &received), 0);
        let mut changed = received.clone();
        changed[0].body = changed[0].body.replace("alice", "mallory");
        assert_eq!(verified(SECRET, &changed), 0);
        world
            .wait_for_metric("portcullis_webhook_lag_events{webhook=\"siem\",enterprise=\"example\"} 0")
            .await;
        assert_eq!(world.receiver.received().len(), expected.len());
        assert_eq!(world.receiver.connections(), 1, "a connection serves many");
        world.gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_asked_for_goes_out() {
    let world = World::start(Backend::Embedded, "org.add_member, org.remove_*", Timestamp::now).await;
    world.sign_in(&["octo-org"]).await;
    world.sign_in(&[]).await;
    let received = world.receiver.wait_for(2).await;
    let actions: Vec<String> = received.iter().map(Received::action).collect();
    assert_eq!(actions, ["org.add_member", "org.remove_member"]);
    world.gateway.stop().await;
}

static FAILING: AtomicI64 = AtomicI64::new(0);

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_before_anything_else() {
    let now = || Timestamp::now() + SignedDuration::from_secs(FAILING.load(Ordering::SeqCst));
    let world = World::start(Backend::Embedded, "*", now).await;
    let other = Receiver::start().await;
    let answers = [
        Answer::Status(500, None),
        Answer::Status(302, Some(("location", other.url.clone()))),
        Answer::Status(503, Some(("retry-after", "1800".into()))),
    ];
    let codes = ["webhook_status", "webhook_redirect", "webhook_status"];
    for (n, (answer, code)) in answers.into_iter().zip(codes).enumerate() {
        world.receiver.answer(answer);
        if n == 0 {
            world.sign_in(&["octo-org"]).await;
        }
        world.receiver.wait_for(n + 1).await;
        let counted = if n == 2 { 2 } else { 1 };
        let line =
            format!("portcullis_webhook_attempts_total{{webhook=\"siem\",result=\"{code}\"}} {counted}");
        world.wait_for_metric(&line).await;
        // Past the longest wait after so few failures, but not past what a receiver asks for.
        FAILING.fetch_add(120, Ordering::SeqCst);
    }
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert_eq!(world.receiver.received().len(), 3, "Retry-After is heeded");
    FAILING.fetch_add(1_800, Ordering::SeqCst);
    let expected = events(&world.gateway).await;
    let received = world.receiver.wait_for(3 + expected.len()).await;
    assert_eq!(ids(&received[..3]), vec![received[3].id.clone(); 3], "the same id at each attempt");
    let taken = ids(&world.receiver.taken());
    let all: Vec<&str> = expected.iter().map(|event| event["_document_id"].as_str().unwrap()).collect();
    assert_eq!(taken, all);
    assert_eq!(other.connections(), 0, "a redirect is not followed");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_no_more_is_asked_again_after_a_start() {
    let mut world = World::start(Backend::Embedded, "*", Timestamp::now).await;
    world.receiver.answer(Answer::Status(410, None));
    world.sign_in(&["octo-org"]).await;
    world
        .wait_for_metric("portcullis_webhook_attempts_total{webhook=\"siem\",result=\"webhook_gone\"} 1")
        .await;
    world.sign_in(&["octo-org"]).await;
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert_eq!(world.receiver.received().len(), 1);
    let expected = events(&world.gateway).await;
    world.gateway.stop_serving().await;
    world.gateway.serve_again().await;
    let received = world.receiver.wait_for(1 + expected.len()).await;
    assert_eq!(received[0].id, received[1].id, "nothing was left out");
    world.gateway.stop().await;
}

/// M-04: what the URL leads to is looked at before anything is connected.
#[tokio::test(flavor = "multi_thread")]
async fn m_04_a_webhook_leads_to_no_internal_address_that_is_not_named() {
    let change = |overrides: portcullis::config::Overrides| {
        overrides.set("audit.webhook.siem.internal_networks", "10.1.0.0/16")
    };
    let world = World::with(Backend::Embedded, Timestamp::now, "*", change).await;
    world.sign_in(&["octo-org"]).await;
    world
        .wait_for_metric("portcullis_webhook_attempts_total{webhook=\"siem\",result=\"webhook_address\"} 1")
        .await;
    assert_eq!(world.receiver.connections(), 0);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_rolled_over_while_the_gateway_runs() {
    let mut world = World::start(Backend::Embedded, "business.sso_response", Timestamp::now).await;
    world.sign_in(&[]).await;
    world.receiver.wait_for(1).await;
    let both = format!("{OTHER_SECRET}, {SECRET}");
    world.gateway.overrides = world.gateway.overrides.clone().set("audit.webhook.siem.secrets", both);
    let reloaded = world.gateway.reload().await.unwrap();
    assert_eq!((reloaded.applied.len(), reloaded.needs_restart.len()), (1, 0));
    world.sign_in(&[]).await;
    let received = world.receiver.wait_for(2).await;
    assert_eq!(verified(SECRET, &received[..1]), 1);
    for secret in [SECRET, OTHER_SECRET] {
        assert_eq!(verified(secret, &received[1..]), 1, "either is enough");
    }
    assert_eq!(world.receiver.received().len(), 2, "the place in the stream is kept");
    world.gateway.stop().await;
}

/// What was forgotten before it could be delivered holds nothing up.
#[tokio::test(flavor = "multi_thread")]
async fn what_retention_took_is_passed_over() {
    let mut world = World::start(Backend::Embedded, "*", Timestamp::now).await;
    world.receiver.answer(Answer::Status(410, None));
    world.sign_in(&["octo-org"]).await;
    world.receiver.wait_for(1).await;
    let directory = world.gateway.running.as_ref().unwrap().directory.clone();
    let now = Timestamp::now() + SignedDuration::from_secs(1);
    assert!(directory.trim_audit(world.gateway.enterprise(), now, now).await.unwrap() >= 3);
    drop(directory);
    world.gateway.stop_serving().await;
    world.gateway.serve_again().await;
    world.sign_in(&["octo-org"]).await;
    let received = world.receiver.wait_for(2).await;
    assert_eq!(received[1].action(), "business.sso_response");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_loses_no_event() {
    let mut world = World::start(Backend::Embedded, "*", Timestamp::now).await;
    world.receiver.answer(Answer::Status(410, None));
    world.sign_in(&["octo-org"]).await;
    world.receiver.wait_for(1).await;
    let expected = events(&world.gateway).await;
    world.gateway.stop_serving().await;
    // The first two arrive, the third gets no answer.
    world.receiver.answer(Answer::Status(204, None));
    world.receiver.answer(Answer::Status(204, None));
    world.receiver.answer(Answer::Silence);
    let killed = Killed::serve(world.gateway.command());
    world.receiver.wait_for(4).await;
    drop(killed);
    let _second = Killed::serve(world.gateway.command());
    let all: Vec<&str> = expected.iter().map(|event| event["_document_id"].as_str().unwrap()).collect();
    let is_all = |received: &[Received]| {
        all.iter().all(|id| received.iter().any(|one| one.status == 204 && one.id == *id))
    };
    world.receiver.wait(is_all).await;
    // What was delivered and not written down comes again; nothing overtakes.
    let taken = ids(&world.receiver.taken());
    assert_eq!(taken[2..], all[..], "{taken:?}");
}

/// Of several gateways one delivers at a time.
#[tokio::test(flavor = "multi_thread")]
async fn several_gateways_deliver_each_event_once() {
    let world = World::start(Backend::Redis, "*", Timestamp::now).await;
    let file = portcullis::config::Source::file(&world.gateway.config).unwrap();
    let mut others = vec![];
    for _ in 0..3 {
        let free = |overrides: portcullis::config::Overrides| {
            overrides.set("listen.public", "127.0.0.1:0").set("listen.private", "127.0.0.1:0")
        };
        let settings =
            portcullis::config::load(&file, &free(world.gateway.overrides.clone())).unwrap().settings;
        let store = store::open(&settings.store).await.unwrap();
        others.push(gateway::start(&settings, store, Metrics::new()).await.unwrap());
    }
    // Long enough for every gateway to look meanwhile.
    world.receiver.answer(Answer::Late(std::time::Duration::from_secs(4)));
    for groups in [&["octo-org", "hubot-lab"][..], &[], &["octo-org"], &[], &["hubot-lab"]] {
        world.gateway.people.set_groups("alice", groups).unwrap();
        world.gateway.sign_in(&mut Browser::new(), "alice").await;
    }
    let expected = events(&world.gateway).await;
    let received = world.receiver.wait_for(expected.len()).await;
    world.wait_for_metric("portcullis_webhook_lag_events{webhook=\"siem\",enterprise=\"example\"} 0").await;
    let all: Vec<&str> = expected.iter().map(|event| event["_document_id"].as_str().unwrap()).collect();
    assert_eq!(ids(&received), all);
    for other in others {
        other.shutdown().await;
    }
    assert_eq!(world.receiver.received().len(), all.len());
    assert!(world.folder().exists());
    world.gateway.stop().await;
}
