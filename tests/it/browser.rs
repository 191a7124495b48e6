//! Sign-in with a real browser.
use std::fs;

use crate::{
    foreign_idp::authn_request_url,
    support::{
        pages::{self, Asked, Reply},
        process::eventually,
        simplesamlphp::SimpleSaml,
        webdriver::Browser,
    },
};

/// Opens `page_url` at the gateway and signs in at the development IdP as the person whom its page calls
/// `display_name`; gives the text of the page where the browser ends once it shows `needle`.
pub async fn sign_in_at_development_idp(
    browser: &Browser,
    page_url: &str,
    display_name: &str,
    needle: &str,
) -> String {
    browser.goto(page_url).await;
    browser.click_text(&format!("Sign in as {display_name}")).await;
    browser.wait_for_text(needle).await
}

/// The same with SimpleSAMLphp. `page_url` is one that the gateway protects.
pub async fn sign_in_at_simplesamlphp(
    browser: &Browser,
    page_url: &str,
    (name, password): (&str, &str),
    needle: &str,
) -> String {
    browser.goto(page_url).await;
    browser.fill("#username", name).await;
    browser.fill("#password", password).await;
    browser.click("#submit_button").await;
    browser.wait_for_text(needle).await
}

/// A stand-in for gateway and development IdP in one: the pages and redirects of a sign-in, and a cookie.
fn stand_in(asked: &Asked) -> Reply {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/page") if asked.cookie.contains("__Host-session=alice") => Reply::page("<h1>Hello Alice</h1>"),
        ("GET", "/page") => Reply::redirect("/sso?SAMLRequest=x"),
        ("GET", "/sso?SAMLRequest=x") => Reply::page(
            "<form method=post action=/groups><input type=hidden name=person value=alice>
             <button formaction=/sso/continue> Sign in as <b>Alice Example</b></button><button>Save</button></form>",
        ),
        ("POST", "/sso/continue") => Reply::page(format!(
            "<form id=f method=post action=/saml/acs><input type=hidden name=SAMLResponse value='{}'></form>
             <script>document.getElementById('f').submit()</script>",
            asked.body
        )),
        ("POST", "/saml/acs") if asked.body == "SAMLResponse=person%3Dalice" => {
            let cookie = "Set-Cookie: __Host-session=alice; Path=/; Secure; HttpOnly; SameSite=Lax";
            let mut reply = Reply::redirect("/page");
            reply.fields.push(cookie.into());
            reply
        }
        _ => Reply::page(format!("nothing at {} {}: {}", asked.method, asked.path, asked.body)),
    }
}

#[tokio::test]
async fn the_browser_signs_in_keeps_host_cookies_on_loopback_and_leaves_no_process() {
    let base = pages::serve(stand_in);
    let browser = Browser::start().await;
    let page = format!("{base}/page");
    let text = sign_in_at_development_idp(&browser, &page, "Alice Example", "Hello").await;
    assert_eq!(text.trim(), "Hello Alice");
    assert_eq!(browser.url().await, page);
    let image = browser.screenshot("signed in").await;
    assert!(fs::read(image).expect("a screenshot").starts_with(b"\x89PNG"));
    let profile = browser.profile().display().to_string();
    assert!(runs_with(&profile));
    browser.close().await;
    assert!(eventually(|| !runs_with(&profile)));
}

#[tokio::test]
async fn a_dropped_browser_leaves_no_process() {
    let browser = Browser::start().await;
    let profile = browser.profile().display().to_string();
    assert!(runs_with(&profile));
    drop(browser);
    assert!(eventually(|| !runs_with(&profile)));
}

/// The walk against a stand-in for the gateway: its cookie for the sign-in under way is sent with the cross-site POST.
#[tokio::test]
async fn the_browser_signs_in_at_simplesamlphp() {
    let sso_url = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let redirect_to = sso_url.clone();
    let base = pages::serve(move |asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/page") => {
            let mut reply = Reply::redirect(redirect_to.get().expect("set before the walk"));
            reply.fields.push("Set-Cookie: __Host-pending=1; Path=/; Secure; HttpOnly; SameSite=None".into());
            reply
        }
        ("POST", "/saml/acs") => Reply::page(format!(
            "response {}, cookie {}",
            asked.body.starts_with("SAMLResponse="),
            asked.cookie
        )),
        _ => Reply::page("nothing here"),
    });
    let acs_url = format!("{base}/saml/acs");
    let sp = "http://sp.example/saml/metadata";
    let idp = SimpleSaml::start(sp, &acs_url, &[("alice", "a", &["octo-org"])]);
    sso_url.set(authn_request_url(&idp.sso_url, "_b1", sp, &acs_url, "")).expect("set once");
    let browser = Browser::start().await;
    let page = format!("{base}/page");
    let text = sign_in_at_simplesamlphp(&browser, &page, ("alice", "a"), "response").await;
    assert_eq!(text.trim(), "response true, cookie __Host-pending=1");
    browser.close().await;
}

/// Whether any process has `text` in its command line.
fn runs_with(text: &str) -> bool {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries
        .map(|e| e.path().join("cmdline"))
        .filter_map(|p| fs::read(p).ok())
        .any(|line| String::from_utf8_lossy(&line).contains(text))
}
