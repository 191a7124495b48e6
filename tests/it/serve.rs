//! `serve` as operators run it: a process of its own, its log, its metrics, and how it stops.
use std::process::Command;

use portcullis::demo::{browser::Browser, origin::Origin};
use serde_json::Value;

use crate::support::{
    ports,
    process::{Process, eventually},
};

/// Starts `serve` on the shipped configuration before an origin server, with a store of its own.
/// `more` are further variables.
pub async fn serve(folder: &std::path::Path, more: &[(&str, &str)]) -> (Process, u16, u16) {
    let origin = Origin::bind("127.0.0.1:0".parse().unwrap(), "http://localhost:1").await.unwrap();
    let origin_url = format!("http://{}", origin.address());
    tokio::spawn(origin.run(std::future::pending()));
    let private = ports::free();
    let store = folder.join("store.redb");
    let process = Process::start(
        "portcullis serve",
        |port| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
            command
                .args(["serve", "--config", concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")])
                .env("PORTCULLIS_PUBLIC_URL", format!("http://localhost:{port}"))
                .env("PORTCULLIS_LISTEN_PUBLIC", format!("127.0.0.1:{port}"))
                .env("PORTCULLIS_LISTEN_PRIVATE", format!("127.0.0.1:{private}"))
                .env("PORTCULLIS_STORE_PATH", &store)
                .env("PORTCULLIS_LOG_FORMAT", "json")
                .env("PORTCULLIS_ROUTE_APP_ORIGIN", &origin_url)
                .env("PORTCULLIS_ROUTE_PUBLIC_ORIGIN", &origin_url)
                .envs(more.iter().copied());
            command
        },
        |port| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(),
    );
    let port = process.port();
    (process, port, private)
}

pub fn lines(log: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(wanted).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_leaves_one_line_and_one_count_and_a_refusal_one_audit_event() {
    let folder = tempfile::tempdir().unwrap();
    let (process, port, private) = serve(folder.path(), &[]).await;
    let mut browser = Browser::new();
    let page = browser.open(&format!("http://localhost:{port}/public/a%20b?token=hunter2")).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.body);
    let body = "SAMLResponse=PHg%2BPC94Pg%3D%3D";
    let post = format!(
        "POST /saml/acs HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\nX-Request-Id: acs-1\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    std::io::Write::write_all(&mut stream, post.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(!answer.to_ascii_lowercase().contains("set-cookie"), "{answer}");

    let access = |log: &str| lines(log, |line| line["decision"].is_string());
    assert!(eventually(|| access(&process.log()).len() >= 2), "{}", process.log());
    let log = process.log();
    assert!(!log.contains("hunter2"), "{log}");
    let access = access(&log);
    assert_eq!(access.len(), 2, "{log}");
    assert_eq!(access[0]["path"], "/public/a%20b");
    assert_eq!((&access[0]["route"], &access[0]["status"]), (&"public".into(), &200.into()));
    assert_eq!((&access[0]["decision"], &access[0]["method"]), (&"forward".into(), &"GET".into()));
    assert!(access[0]["response_bytes"].as_u64().unwrap() > 0 && access[0]["origin_us"].is_u64());
    assert_eq!(
        (&access[1]["decision"], &access[1]["request_id"]),
        (&"sign_in_refused".into(), &"acs-1".into())
    );

    let audit = lines(&log, |line| line["action"].is_string());
    assert_eq!(audit.len(), 1, "{log}");
    assert_eq!(audit[0]["action"], "saml.response_refused");
    assert_eq!(
        (&audit[0]["reason"], &audit[0]["request_id"]),
        (&"root_not_response".into(), &"acs-1".into())
    );

    let metrics = Browser::new().open(&format!("http://127.0.0.1:{private}/metrics")).await.unwrap().body;
    for line in [
        r#"portcullis_requests_total{route="public",code="200"} 1"#,
        r#"portcullis_saml_responses_total{result="refused",reason="root_not_response"} 1"#,
        "portcullis_requests_in_flight 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.contains("portcullis_store_duration_seconds_count{operation="), "{metrics}");
    assert!(metrics.contains("portcullis_certificate_expiry_seconds{use="), "{metrics}");
}

/// Tests are a quick build.
#[tokio::test(flavor = "multi_thread")]
async fn a_quick_build_is_warned_of_in_production_and_only_there() {
    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys/idp-rsa.cert.pem");
    let production = [
        ("PORTCULLIS_MODE", "production"),
        ("PORTCULLIS_PUBLIC_URL", "https://app.example.com"),
        ("PORTCULLIS_ENTERPRISE_EXAMPLE_SAML_SSO_URL", "https://idp.example.com/sso"),
        ("PORTCULLIS_ENTERPRISE_EXAMPLE_SAML_CERTIFICATES", certificate),
    ];
    for (more, expected) in [(&production[..], 1), (&[], 0)] {
        let folder = tempfile::tempdir().unwrap();
        let (process, ..) = serve(folder.path(), more).await;
        let told =
            |line: &Value| line["message"].as_str().is_some_and(|m| m.contains("--profile production"));
        let serving = |line: &Value| line["message"].as_str().is_some_and(|m| m.starts_with("serving "));
        assert!(eventually(|| lines(&process.log(), serving).len() == 1), "{}", process.log());
        assert_eq!(lines(&process.log(), told).len(), expected, "{}", process.log());
    }
}
