//! Taking up another configuration without losing a session or a connection: in this process, and the program itself by
//! SIGHUP and by a change of the file.
use std::{
    io::Write,
    process::Command,
    sync::{Arc, Mutex, mpsc},
};

use portcullis::{
    config::Overrides,
    demo::browser::Browser,
    directory::AuditQuery,
    domain::{SessionToken, Timestamp},
    edge::cookies::SESSION,
    gateway::ReloadError,
};

use crate::{
    attacks::store::{Log, Recording},
    gate_rig::{Client, RecordingOrigin, read_head},
    saml::forge,
    serve::lines,
    support::{
        gateway::{Backend, Setup, TestGateway},
        ports,
        process::{Process, eventually},
    },
};

/// Without what the tests' world says of a key, so that the file has a say.
fn without(overrides: &Overrides, path: &str) -> Overrides {
    let name = Overrides::variable(path);
    let others = overrides.iter().filter(|(found, _)| *found != name);
    Overrides::from_variables(others.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

/// A gateway whose file decides about deprovisioning, which is off.
async fn gateway() -> TestGateway {
    let mut setup = Setup::new(Backend::Embedded);
    setup.change = Box::new(|overrides| without(&overrides, "enterprise.example.deprovisioning"));
    TestGateway::set_up(setup).await
}

async fn last_reload(gateway: &TestGateway) -> bool {
    let metrics = gateway.private("/metrics").await.body;
    assert!(metrics.contains("\nconfig_last_reload_success "), "{metrics}");
    metrics.contains("\nconfig_last_reload_success 1\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_counts_from_the_reload_on_and_sessions_go_on() {
    let mut gateway = gateway().await;
    let mut desk = Browser::new();
    gateway.people.set_groups("alice", &["octo-org"]).unwrap();
    gateway.sign_in(&mut desk, "alice").await;
    gateway.people.set_groups("alice", &[]).unwrap();
    gateway.sign_in(&mut Browser::new(), "alice").await;
    assert_eq!(gateway.organizations(&mut desk).await, ["octo-org"], "deprovisioning is off");

    gateway.edit("deprovisioning = false", "deprovisioning = true");
    let reloaded = gateway.reload().await.unwrap();
    let applied: Vec<String> = reloaded.applied.iter().map(ToString::to_string).collect();
    assert_eq!(applied, ["enterprise.example.deprovisioning: false -> true"]);
    assert!(reloaded.needs_restart.is_empty() && last_reload(&gateway).await);
    assert_eq!(gateway.organizations(&mut desk).await, ["octo-org"], "a session is none the wiser");
    gateway.sign_in(&mut Browser::new(), "alice").await;
    assert!(gateway.organizations(&mut desk).await.is_empty(), "the next sign-in removes");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_03_a_bad_file_changes_nothing_and_shows() {
    let mut gateway = gateway().await;
    let mut browser = Browser::new();
    gateway.sign_in(&mut browser, "alice").await;
    for (from, to) in [("[listen]", "[listen"), ("deprovisioning = false", "deprovisioning = \"yes\"")] {
        gateway.edit(from, to);
        gateway.edit("path = \"/public\"", "path = \"/other\"");
        let refused = gateway.reload().await.unwrap_err();
        assert!(matches!(&refused, ReloadError::Config(faults) if !faults.is_empty()), "{refused}");
        assert!(!last_reload(&gateway).await, "{refused}");
        assert!(gateway.identity(&mut browser).await.is_some());
        assert_eq!(Browser::new().fetch_json(&format!("{}/public", gateway.url)).await.unwrap().status, 200);
        gateway.edit(to, from);
        gateway.edit("path = \"/other\"", "path = \"/public\"");
    }
    assert!(gateway.reload().await.unwrap().applied.is_empty());
    assert!(last_reload(&gateway).await);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_restart_is_said_and_the_rest_applies() {
    let mut gateway = gateway().await;
    gateway.edit("# workers = 0", "workers = 2");
    gateway.edit("path = \"/public\"", "path = \"/open\"");
    for applied in [1, 0] {
        let reloaded = gateway.reload().await.unwrap();
        assert_eq!(reloaded.applied.len(), applied, "{reloaded:?}");
        let restart: Vec<&str> = reloaded.needs_restart.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(restart, ["listen.workers"]);
    }
    let mut stranger = Browser::new();
    assert_eq!(stranger.fetch_json(&format!("{}/open", gateway.url)).await.unwrap().status, 200);
    assert_eq!(stranger.fetch_json(&format!("{}/public", gateway.url)).await.unwrap().status, 401);
    gateway.stop().await;
}

/// The file that a key names counts by what it holds.
#[tokio::test(flavor = "multi_thread")]
async fn another_certificate_in_the_same_file_is_taken_up() {
    let mut gateway = gateway().await;
    let file = gateway.folder().join("certs/development-idp.crt");
    assert!(gateway.reload().await.unwrap().applied.is_empty());
    std::fs::write(&file, forge::certificate("idp-rsa")).unwrap();
    let reloaded = gateway.reload().await.unwrap();
    let applied: Vec<String> = reloaded.applied.iter().map(ToString::to_string).collect();
    assert_eq!(applied, ["enterprise.example.saml.certificates: changed"]);
    let mut browser = Browser::new();
    assert_eq!(gateway.sign_in(&mut browser, "alice").await.status, 403, "of another key");
    let directory = &gateway.running.as_ref().unwrap().directory;
    let query = AuditQuery { limit: 9, ..AuditQuery::default() };
    let told = directory.audit_entries(gateway.enterprise(), &query).await.unwrap().entries;
    let told: Vec<_> = told.into_iter().map(|entry| entry.into_json()).collect();
    assert_eq!(told.len(), 1, "the refused response is none of the stream's: {told:?}");
    assert_eq!(told[0]["action"], "business.update_saml_provider_settings");
    assert_eq!(told[0]["reason"], "enterprise.example.saml.certificates");
    assert_eq!(told[0]["issuer"], gateway.idp_entity_id.as_str());
    gateway.stop().await;
}

/// Later sessions live shorter; the earlier ones of the same person must still be found when the IdP ends them.
#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_lifetime_counts_for_new_sessions_and_loses_no_old_one() {
    let log = Arc::<Log>::default();
    let kept = log.clone();
    let change = |overrides: Overrides| overrides.set("session.lifetime", "24h");
    let wrap = |inner| Recording::before(inner, kept);
    let mut gateway = TestGateway::start_with(Backend::Embedded, change, wrap).await;
    let mut lives = vec![];
    for lifetime in ["24h", "1h"] {
        gateway.overrides = gateway.overrides.clone().set("session.lifetime", lifetime);
        gateway.reload().await.unwrap();
        let mut browser = Browser::new();
        gateway.sign_in(&mut browser, "alice").await;
        let token = SessionToken::parse(browser.cookie("localhost", SESSION).unwrap()).unwrap();
        let directory = &gateway.running.as_ref().unwrap().directory;
        let active = directory.session(&token, Timestamp::now()).await.unwrap().unwrap();
        lives.push(active.session.expires_at.as_second() - active.session.created_at.as_second());
    }
    assert_eq!(lives, [24 * 3600, 3600]);
    // Each sign-in tells the person's set how long to stay.
    let ends = log.set_ends();
    assert!(ends.len() == 2 && ends[0] <= ends[1], "{ends:?}");
    gateway.stop().await;
}

/// A response that is still coming, and the connection that it comes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_in_flight_survives_and_its_next_request_goes_the_new_way() {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let old = RecordingOrigin::new(move |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst").unwrap();
        wait.lock().unwrap().recv().unwrap();
        stream.write_all(b"-last").is_ok()
    });
    let new = RecordingOrigin::new(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew").is_ok()
    });
    let mut gateway = gateway().await;
    let origin = |address| format!("http://{address}");
    gateway.overrides = gateway.overrides.clone().set("route.public.origin", origin(old.address));
    gateway.reload().await.unwrap();
    let address = gateway.running.as_ref().unwrap().public_address;
    let request = format!("GET /public HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", address.port());
    let mut client = Client::new(address);
    client.send(request.as_bytes());
    let head = read_head(&mut client.0).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(client.bytes(5), b"first");

    // Another identity field, so that the way to origin servers is made anew as well.
    gateway.overrides = gateway
        .overrides
        .clone()
        .set("route.public.origin", origin(new.address))
        .set("proxy.identity.user", "X-Forwarded-Person");
    let reloaded = gateway.reload().await.unwrap();
    assert_eq!(reloaded.applied.len(), 2, "{reloaded:?}");
    go_on.send(()).unwrap();
    assert_eq!(client.bytes(5), b"-last");
    client.send(request.as_bytes());
    assert_eq!(client.answer().body, "new");
    assert_eq!((old.take().len(), new.take().len()), (1, 1));
    let mut browser = Browser::new();
    gateway.sign_in(&mut browser, "alice").await;
    let identity = gateway.identity(&mut browser).await.unwrap();
    assert_eq!(identity["x-forwarded-person"], "alice@example.com");
    assert!(identity.get("x-forwarded-user").is_none(), "{identity}");
    gateway.stop().await;
}

/// The program itself, with the configuration of a gateway that has stopped.
fn program(gateway: &TestGateway) -> Process {
    let port = gateway.url.rsplit(':').next().unwrap().parse().unwrap();
    let command = |_| -> Command {
        let mut command = gateway.command();
        command.arg("serve").env("PORTCULLIS_LOG_FORMAT", "json");
        command
    };
    Process::start("portcullis serve", command, move |_| ports::is_open(port))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_reads_its_file_anew_at_sighup_and_when_it_changes() {
    let mut gateway = gateway().await;
    gateway.stop_serving().await;
    let mut process = program(&gateway);
    let told = |message: &str| {
        lines(&process.log(), |line| line["message"].as_str().is_some_and(|m| m.starts_with(message)))
    };
    let mut desk = Browser::new();
    gateway.people.set_groups("alice", &["octo-org"]).unwrap();
    gateway.sign_in(&mut desk, "alice").await;
    gateway.people.set_groups("alice", &[]).unwrap();
    gateway.sign_in(&mut Browser::new(), "alice").await;
    assert_eq!(gateway.organizations(&mut desk).await, ["octo-org"]);

    // Nothing has changed that another reason could be found in.
    let reasons =
        || told("reading the configuration anew").iter().map(|line| line["why"].clone()).collect::<Vec<_>>();
    process.hang_up();
    assert!(eventually(|| reasons() == ["SIGHUP"]), "{}", process.log());

    gateway.edit("deprovisioning = false", "deprovisioning = true");
    process.hang_up();
    assert!(eventually(|| told("configuration taken up").len() == 1), "{}", process.log());
    let changes = &told("configuration taken up")[0]["changes"];
    assert_eq!(*changes, "enterprise.example.deprovisioning: false -> true");
    gateway.sign_in(&mut Browser::new(), "alice").await;
    // Within the age that the cache of sessions may have: another process has no say in it.
    assert!(gateway.organizations(&mut desk).await.is_empty());

    // No signal: the file alone.
    gateway.edit("deprovisioning = true", "deprovisioning = 7");
    assert!(eventually(|| !told("configuration refused").is_empty()), "{}", process.log());
    assert!(told("configuration refused")[0]["fault"].as_str().unwrap().contains("deprovisioning"));
    assert!(gateway.identity(&mut desk).await.is_some(), "the one before it stays");
    gateway.edit("deprovisioning = 7", "deprovisioning = false");
    assert!(eventually(|| told("configuration taken up").len() == 2), "{}", process.log());
    assert_eq!(process.interrupt(), Some(0), "{}", process.log());
}
