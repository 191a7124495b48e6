//! What lies on which listener, and what is in no build that ships.
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use portcullis::demo::browser::Browser;

use crate::support::gateway::{Backend, TestGateway};

/// A GET with this Host field: the status and everything that came.
fn get(at: SocketAddr, host: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = vec![];
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer[9..12].parse().unwrap(), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_01_a_07_the_private_listener_and_the_public_one_share_nothing() {
    let gateway = TestGateway::start(Backend::Embedded).await;
    gateway.sign_in(&mut Browser::new(), "alice").await;
    let running = gateway.running.as_ref().unwrap();
    let (public, private) = (running.public_address, running.private_address);
    let known = gateway.url.trim_start_matches("http://").to_owned();
    // What is for operators alone is not on the public listener, whatever it is called by.
    let private_host = private.to_string();
    for path in ["/metrics", "/healthz", "/readyz", "/debug/pprof", "/debug/vars", "/.portcullis/metrics"] {
        for host in [known.as_str(), private_host.as_str(), "localhost"] {
            let (_, answer) = get(public, host, path);
            assert!(
                !answer.contains("portcullis_") && !answer.contains("\r\n\r\nok"),
                "{host} {path}: {answer}"
            );
        }
    }
    // And the private one has no part of the API, of sign-ins, or of any route.
    for path in
        ["/", "/.portcullis/api/v1/user", "/.portcullis/recover", "/saml/login", "/saml/metadata", "/public"]
    {
        for host in [known.as_str(), private_host.as_str()] {
            assert_eq!(get(private, host, path).0, 404, "{host} {path}");
        }
    }
    // Metrics name routes and enterprises, and nobody.
    let (status, metrics) = get(private, &private_host, "/metrics");
    assert!(status == 200 && metrics.contains("portcullis_saml_responses_total"), "{metrics}");
    let alice = gateway.person_id(&crate::support::gateway::name_id("alice")).to_string();
    for identity in ["alice", alice.as_str(), "@", "octo-org"] {
        assert!(!metrics.contains(identity), "{identity}: {metrics}");
    }
    gateway.stop().await;
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, into),
            false => into.push(path),
        }
    }
}

/// What tests may switch off hangs on one feature, which no build without debug assertions takes; nothing else in the code
/// depends on a feature of its own, or on an environment variable that is none of the configuration's.
#[test]
fn a_08_no_build_that_ships_has_a_switch_for_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guard = fs::read_to_string(root.join("src/saml/guard/mod.rs")).unwrap();
    let refusal = "#[cfg(all(feature = \"guard-ablation\", not(debug_assertions)))]\ncompile_error!(";
    assert!(guard.contains(refusal));
    let mut files = vec![];
    sources(&root.join("src"), &mut files);
    for file in &files {
        let Ok(text) = fs::read_to_string(file) else { continue };
        let shown = file.display();
        for feature in text.split("feature = \"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(["guard-ablation", "samael"].contains(&feature), "{shown}: {feature}");
        }
        let reads = text.matches("env::var").count();
        assert!(
            reads == 0 || ENVIRONMENT.iter().any(|reader| file.ends_with(reader)),
            "{shown} reads variables"
        );
    }
    // The program itself, as this test's build made it: without the feature there is no trace of it.
    let program = fs::read(env!("CARGO_BIN_EXE_portcullis")).unwrap();
    let holds = |text: &str| program.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("PORTCULLIS_"), "the search finds what is there");
    assert!(!holds("guard-ablation"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let default = manifest.lines().find(|line| line.starts_with("default ="));
    assert!(default.is_none_or(|line| line.ends_with("[]")), "{default:?}");
}

/// Who reads the environment: the configuration, and two tests that write their fixtures.
const ENVIRONMENT: &[&str] =
    &["src/config/overrides.rs", "src/commands/mod.rs", "src/config/tests.rs", "src/edge/pages/mod.rs"];

/// A-01, on request: what a session opens of ours lies on a host that no application's scripts share.
#[tokio::test(flavor = "multi_thread")]
async fn a_01_the_api_has_a_host_of_its_own_where_that_is_asked_for() {
    let mut gateway = TestGateway::start(Backend::Embedded).await;
    let public = gateway.running.as_ref().unwrap().public_address;
    let (own, app) = (format!("localhost:{}", public.port()), format!("app.localhost:{}", public.port()));
    let paths = ["/.portcullis/api/v1/openapi.json", "/.portcullis/recovery-codes"];
    assert_eq!(get(public, &own, paths[0]).0, 200);
    gateway.edit("# own_host = false", "own_host = true");
    assert!(gateway.reload().await.is_err(), "routes lie there");
    for route in ["[route.app]", "[route.public]"] {
        gateway.edit(route, &format!("{route}\nhost = \"{app}\""));
    }
    gateway.reload().await.unwrap();
    assert_eq!(get(public, &own, paths[0]).0, 200);
    assert_ne!(get(public, &own, paths[1]).0, 404);
    for path in paths {
        assert_eq!(get(public, &app, path).0, 404, "{path}");
    }
    assert_eq!(get(public, &app, "/public/x").0, 200);
    assert_eq!(get(public, &own, "/public/x").0, 404);
    gateway.stop().await;
}
