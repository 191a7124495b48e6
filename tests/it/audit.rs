//! The audit stream through the gateway, and the command that reads and verifies it.
use std::process::Output;

use portcullis::{
    demo::browser::Browser,
    directory::{AuditFilter, AuditQuery},
    domain::Timestamp,
    store::{self, Broken, Key, verify_stream},
};
use redb::ReadableTable;
use serde_json::Value;

use crate::support::gateway::{BACKENDS, Backend, TestGateway, name_id};

/// alice joins two organizations as owner and member, then loses both.
async fn world(backend: Backend) -> TestGateway {
    let gateway = TestGateway::start(backend).await;
    for groups in [&["octo-org", "octo-org-owners", "hubot-lab"][..], &[]] {
        gateway.people.set_groups("alice", groups).unwrap();
        gateway.sign_in(&mut Browser::new(), "alice").await;
    }
    gateway
}

async fn read(gateway: &TestGateway, query: AuditQuery) -> Vec<Value> {
    let directory = &gateway.running.as_ref().unwrap().directory;
    let page = directory.audit_entries(gateway.enterprise(), &query).await.unwrap();
    page.entries.into_iter().map(|entry| entry.into_json()).collect()
}

fn actions(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["action"].as_str().unwrap()).collect()
}

/// A page of everything.
fn all() -> AuditQuery {
    AuditQuery { limit: 1_000, ..AuditQuery::default() }
}

fn only(filter: AuditFilter) -> AuditQuery {
    AuditQuery { filter, ..all() }
}

fn run(gateway: &TestGateway, arguments: &[&str]) -> Output {
    gateway.command().args(arguments).output().unwrap()
}

#[track_caller]
fn ends(output: &Output, code: i32) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    text(if code == 0 || !output.stdout.is_empty() { &output.stdout } else { &output.stderr })
}

#[tokio::test(flavor = "multi_thread")]
async fn events_say_what_was_before_and_after_and_why() {
    for backend in BACKENDS {
        let gateway = world(backend).await;
        let events = read(&gateway, all()).await;
        assert_eq!(
            actions(&events),
            [
                "business.sso_response",
                "external_identity.provision",
                "org.add_member",
                "org.add_member",
                "business.sso_response",
                "org.remove_member",
                "org.remove_member",
                "org.became_unowned",
            ]
        );
        let alice = gateway.person_id(&name_id("alice")).to_string();
        for (n, event) in events.iter().enumerate() {
            assert_eq!(event["sequence"], n + 1);
            assert_eq!(event["user_id"], alice.as_str());
            assert_eq!(event["business_id"], gateway.enterprise().to_string());
            assert_eq!(event["_document_id"], format!("{}-{}", gateway.enterprise(), n + 1));
            for field in ["assertion_id", "request_id", "issuer", "trigger", "operation_type", "groups_state"]
            {
                assert!(event[field].is_string(), "{field} of {event}");
            }
            assert!(event["created_at"].is_i64());
        }
        let joined = only(AuditFilter { organization: Some("octo-org".into()), ..AuditFilter::default() });
        let events = read(&gateway, joined).await;
        assert_eq!(events[0]["after"]["role"], "owner");
        assert_eq!(events[0]["after"]["source"], "saml");
        assert!(events[0].get("before").is_none());
        assert_eq!(events[0]["groups"], serde_json::json!(["octo-org", "octo-org-owners", "hubot-lab"]));
        assert_eq!((&events[1]["before"]["role"], events[1].get("after")), (&"owner".into(), None));
        assert_eq!(events[1]["reason"], "not_in_group");
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_filters_and_both_directions_agree() {
    let gateway = world(Backend::Embedded).await;
    let events = read(&gateway, all()).await;
    let mut newest = read(&gateway, AuditQuery { newest_first: true, ..all() }).await;
    newest.reverse();
    assert_eq!(events, newest);
    let directory = &gateway.running.as_ref().unwrap().directory;
    for newest_first in [false, true] {
        let (mut after, mut found) = (None, vec![]);
        loop {
            let query = AuditQuery { after, newest_first, limit: 3, filter: AuditFilter::default() };
            let page = directory.audit_entries(gateway.enterprise(), &query).await.unwrap();
            after = Some(page.reached);
            found.extend(page.entries.into_iter().map(|entry| entry.into_json()));
            if page.is_end {
                break;
            }
        }
        if newest_first {
            found.reverse();
        }
        assert_eq!(found, events);
    }
    let of = |filter| only(filter);
    let some = |text: &str| Some(text.to_owned());
    for (filter, expected) in [
        (AuditFilter { action: some("org.*"), ..AuditFilter::default() }, 5),
        (AuditFilter { action: some("org.remove_member"), ..AuditFilter::default() }, 2),
        (AuditFilter { user: some(&name_id("alice")), ..AuditFilter::default() }, 8),
        (AuditFilter { user: some("nobody"), ..AuditFilter::default() }, 0),
        (AuditFilter { trigger: some("saml"), ..AuditFilter::default() }, 8),
        (AuditFilter { trigger: some("scim"), ..AuditFilter::default() }, 0),
        (AuditFilter { since: Some(Timestamp::MAX), ..AuditFilter::default() }, 0),
        (AuditFilter { until: Some(Timestamp::UNIX_EPOCH), ..AuditFilter::default() }, 0),
        (AuditFilter { since: Some(Timestamp::UNIX_EPOCH), ..AuditFilter::default() }, 8),
    ] {
        assert_eq!(read(&gateway, of(filter.clone())).await.len(), expected, "{filter:?}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_goes_and_the_rest_can_still_be_verified() {
    for backend in BACKENDS {
        let gateway = world(backend).await;
        let directory = gateway.running.as_ref().unwrap().directory.clone();
        let (e, now) = (gateway.enterprise(), Timestamp::now());
        assert_eq!(directory.trim_audit(e, Timestamp::UNIX_EPOCH, now).await.unwrap(), 0);
        let events = read(&gateway, all()).await;
        let middle: Timestamp = events[4]["@timestamp"].as_str().unwrap().parse().unwrap();
        assert_eq!(directory.trim_audit(e, middle, now).await.unwrap(), 4);
        assert_eq!(read(&gateway, all()).await, events[4..]);
        drop(directory);
        let mut gateway = gateway;
        gateway.stop_serving().await;
        let store = store::open(&settings(&gateway)).await.unwrap();
        let chain = verify_stream(&*store, Key::Audit(e), None).await.unwrap().unwrap();
        assert_eq!((chain.first, chain.last), (5, 8));
    }
}

fn settings(gateway: &TestGateway) -> store::Settings {
    let source = portcullis::config::Source::file(&gateway.config).unwrap();
    portcullis::config::load(&source, &gateway.overrides).unwrap().settings.store
}

/// whoever changes an entry in the file, leaves one out or cuts the end off is found out, and the entry is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_06_a_changed_stream_is_named_by_its_first_wrong_entry() {
    let mut gateway = world(Backend::Embedded).await;
    gateway.stop_serving().await;
    let intact = ends(&run(&gateway, &["audit", "verify"]), 0);
    let noted = intact.lines().last().unwrap().to_owned();
    assert!(noted.starts_with("8:"), "{intact}");
    ends(&run(&gateway, &["audit", "verify", "--noted", &noted]), 0);
    let other = noted.replace(|c: char| c.is_ascii_lowercase(), "0");
    ends(&run(&gateway, &["audit", "verify", "--noted", &other]), 1);
    ends(&run(&gateway, &["audit", "verify", "--noted", "nine"]), 2);

    let path = gateway.folder().join("store.redb");
    let sound = std::fs::read(&path).unwrap();
    let entries = redb::TableDefinition::<&[u8], &[u8]>::new("stream entries");
    let enterprise = gateway.enterprise();
    let row_of = |sequence: u64| [&b"audit:"[..], enterprise.as_bytes(), &sequence.to_be_bytes()].concat();
    let tamper = |sequence: u64, change: &dyn Fn(Vec<u8>) -> Option<Vec<u8>>| {
        std::fs::write(&path, &sound).unwrap();
        let database = redb::Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(entries).unwrap();
            let key = row_of(sequence);
            let row = table.get(&key[..]).unwrap().unwrap().value().to_vec();
            match change(row) {
                Some(row) => drop(table.insert(&key[..], &row[..]).unwrap()),
                None => drop(table.remove(&key[..]).unwrap()),
            }
        }
        transaction.commit().unwrap();
    };
    let edit = |row: Vec<u8>| {
        let text = String::from_utf8(row[32..].to_vec()).unwrap().replace("octo-org", "evil-org");
        Some([&row[..32], text.as_bytes()].concat())
    };
    tamper(3, &edit);
    let told = ends(&run(&gateway, &["audit", "verify"]), 1);
    assert!(told.starts_with(
        &Broken::Changed { sequence: if told.contains("entry 3") { 3 } else { 4 } }.to_string()
    ));
    let check = ends(&run(&gateway, &["check", "--store"]), 1);
    assert!(check.contains("is not what was appended"), "{check}");
    tamper(5, &|row| Some([&[0; 32], &row[32..]].concat()));
    assert!(ends(&run(&gateway, &["audit", "verify"]), 1).contains("entry 5 is not what was appended"));
    for sequence in [1, 6, 8] {
        tamper(sequence, &|_| None);
        let told = ends(&run(&gateway, &["audit", "verify", "--format", "json"]), 1);
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["intact"], false);
        assert_eq!(told["fault"], Broken::Missing { sequence }.to_string());
    }
}

/// the same in Redis, where an attacker can rewrite the whole stream and yet not its links.
#[tokio::test(flavor = "multi_thread")]
async fn a_06_a_stream_that_is_written_anew_in_redis_is_found_out() {
    let gateway = world(Backend::Redis).await;
    ends(&run(&gateway, &["audit", "verify"]), 0);
    let stream = Key::Audit(gateway.enterprise()).text();
    let url = settings(&gateway);
    let store::Settings::Redis(redis) = url else { panic!("not Redis") };
    let client = redis::Client::open(redis.url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let found: Vec<(String, Vec<Vec<u8>>)> =
        redis::cmd("XRANGE").arg(&stream).arg("-").arg("+").query_async(&mut connection).await.unwrap();
    let () = redis::cmd("DEL").arg(&stream).query_async(&mut connection).await.unwrap();
    for (id, mut fields) in found {
        if id == "7-0" {
            fields[3] =
                String::from_utf8(fields[3].clone()).unwrap().replace("alice", "mallory").into_bytes();
        }
        let mut add = redis::cmd("XADD");
        add.arg(&stream).arg(&id);
        for field in &fields {
            add.arg(field);
        }
        let _: String = add.query_async(&mut connection).await.unwrap();
    }
    let told = ends(&run(&gateway, &["audit", "verify"]), 1);
    assert!(told.contains("entry 7 is not what was appended"), "{told}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tails_filters_and_exports() {
    let mut gateway = world(Backend::Embedded).await;
    // The file belongs to the gateway while it runs.
    let refused = ends(&run(&gateway, &["audit", "tail"]), 1);
    assert!(
        refused.contains("in use by another process: the embedded store belongs to one process"),
        "{refused}"
    );
    gateway.stop_serving().await;
    let tail = ends(&run(&gateway, &["audit", "tail", "-n", "2"]), 0);
    assert_eq!(tail.lines().count(), 2);
    assert!(tail.lines().last().unwrap().contains("org.became_unowned"), "{tail}");
    let of_org = ends(&run(&gateway, &["audit", "tail", "--org", "hubot-lab", "--format", "json"]), 0);
    let events: Vec<Value> = of_org.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(actions(&events), ["org.add_member", "org.remove_member"]);
    let export = ends(&run(&gateway, &["audit", "export"]), 0);
    assert_eq!(export.lines().count(), 8);
    let removed = ends(&run(&gateway, &["audit", "export", "--action", "org.remove_member"]), 0);
    assert_eq!(removed.lines().count(), 2);
    ends(&run(&gateway, &["audit", "tail", "--enterprise", "another"]), 2);
    ends(&run(&gateway, &["audit", "tail", "--since", "yesterday"]), 2);
}
