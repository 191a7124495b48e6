//! Sign-in with a real browser, through the real gateway.
use std::{fs, process::Command};

use crate::{
    foreign_idp::behind,
    support::{
        gateway::{Backend, TestGateway},
        ports,
        process::{Process, eventually},
        simplesamlphp::SimpleSaml,
        webdriver::Browser,
    },
};

/// The page asked for, the IdP's page, the form that submits itself, and back to the page asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_and_comes_back_to_the_page_asked_for() {
    let gateway = TestGateway::start(Backend::Embedded).await;
    let browser = Browser::start().await;
    let wanted = format!("{}/reports?view=short", gateway.url);
    browser.goto(&wanted).await;
    browser.wait_for_text("Who are you today?").await;
    let image = browser.screenshot("the development IdP").await;
    assert!(fs::read(image).expect("a screenshot").starts_with(b"\x89PNG"));
    browser.click_text("Sign in as Alice").await;
    let text = browser.wait_for_text("Hello").await;
    assert!(text.contains("Hello, alice@example.com") && text.contains("octo-org"), "{text}");
    assert_eq!(browser.url().await, wanted);
    browser.screenshot("the application").await;

    // A page of our own, with a request id.
    browser.goto(&format!("{}/.portcullis/nothing", gateway.url)).await;
    browser.wait_for_text("Request id").await;
    browser.screenshot("nothing there").await;
    gateway.people.set_groups("alice", &["hubot-lab"]).unwrap();
    browser.goto(&format!("{}/", gateway.url)).await;
    browser.click_text("Sign in again").await;
    browser.click_text("Sign in as Alice").await;
    let text = browser.wait_for_text("hubot-lab").await;
    assert!(!text.contains("octo-org"), "{text}");
    browser.close().await;
    gateway.stop().await;
}

/// The program, as a newcomer starts it.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_says_where_to_click_and_stops_at_ctrl_c() {
    let folder = tempfile::tempdir().expect("a folder");
    let command = |_| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["demo", "--folder"]).arg(folder.path().join("demo"));
        command
    };
    let mut demo =
        Process::start_until("the demo", command, |demo| demo.log().contains("delete it to start afresh"));
    let log = demo.log();
    let page =
        log.split_whitespace().find(|word| word.starts_with("http://localhost:")).expect("where to click");
    let browser = Browser::start().await;
    browser.goto(page).await;
    browser.click_text("Sign in as Bob").await;
    let text = browser.wait_for_text("Hello").await;
    assert!(text.contains("Hello, bob@example.com") && text.contains("hubot-lab"), "{text}");
    assert_eq!(browser.url().await, page);
    browser.close().await;
    assert_eq!(demo.interrupt(), Some(0), "{}", demo.log());
    let port =
        page.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    assert!(!ports::is_open(port));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_at_simplesamlphp() {
    let idp = SimpleSaml::start(&[("alice", "a", &["octo-org"])]);
    let gateway = behind(&idp, Backend::Embedded).await;
    let browser = Browser::start().await;
    browser.goto(&format!("{}/page", gateway.url)).await;
    browser.fill("#username", "alice").await;
    browser.fill("#password", "a").await;
    browser.click("#submit_button").await;
    let text = browser.wait_for_text("Hello").await;
    assert!(text.contains("Hello, alice@example.com") && text.contains("octo-org"), "{text}");
    browser.close().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_browser_that_is_closed_or_dropped_leaves_no_process() {
    for close in [true, false] {
        let browser = Browser::start().await;
        let profile = browser.profile().display().to_string();
        assert!(runs_with(&profile));
        if close {
            browser.close().await;
        } else {
            drop(browser);
        }
        assert!(eventually(|| !runs_with(&profile)));
    }
}

/// Whether any process has `text` in its command line.
fn runs_with(text: &str) -> bool {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries
        .map(|e| e.path().join("cmdline"))
        .filter_map(|p| fs::read(p).ok())
        .any(|line| String::from_utf8_lossy(&line).contains(text))
}
