//! A real browser: headless Chromium, driven through chromedriver.
use std::{
    fmt::Display,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

use super::{ports, process::Process};

/// How long an element or a text may take to appear.
const APPEAR_SECONDS_MAX: u64 = 20;
const POLL_MS: u64 = 50;

/// No sandbox: tests run as root in containers. The rest keeps Chromium from talking to anyone but the test.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
];

/// A browser with an empty profile of its own. What fails leaves a screenshot and panics with the page's text.
/// Dropping it ends chromedriver and Chromium.
pub struct Browser {
    client: Client,
    driver: Process,
    profile: tempfile::TempDir,
}

impl Browser {
    /// Starts chromedriver and opens one window.
    pub async fn start() -> Self {
        let command = |port: u16| {
            let mut command = Command::new("chromedriver");
            command.arg(format!("--port={port}"));
            command
        };
        let driver = Process::start("chromedriver", command, ports::is_open);
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let mut flags: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let options = json!({ "goog:chromeOptions": { "args": flags } });
        let capabilities = options.as_object().cloned().expect("an object");
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", driver.port()))
            .await
            .unwrap_or_else(|e| panic!("Chromium does not start: {e}: {}", driver.log()));
        Self { client, driver, profile }
    }

    /// Opens `url` and waits until it is loaded.
    pub async fn goto(&self, url: &str) {
        let result = self.client.goto(url).await;
        self.checked(result, &format!("open {url}")).await;
    }

    /// Clicks the first element that `css` selects, once it is there.
    pub async fn click(&self, css: &str) {
        let element = self.element(Locator::Css(css)).await;
        let result = element.click().await;
        self.checked(result, &format!("click {css}")).await;
    }

    /// Clicks the link or button whose whole text is `text`, once it is there.
    pub async fn click_text(&self, text: &str) {
        let path = format!("//*[self::a or self::button][normalize-space()={}]", xpath_string(text));
        let element = self.element(Locator::XPath(&path)).await;
        let result = element.click().await;
        self.checked(result, &format!("click `{text}`")).await;
    }

    /// Replaces the text of the input that `css` selects.
    pub async fn fill(&self, css: &str, value: &str) {
        let element = self.element(Locator::Css(css)).await;
        let cleared = element.clear().await;
        self.checked(cleared, &format!("clear {css}")).await;
        let result = element.send_keys(value).await;
        self.checked(result, &format!("fill {css}")).await;
    }

    /// The page's text as a person sees it; empty while there is no page.
    pub async fn text(&self) -> String {
        let script = "return document.body ? document.body.innerText : ''";
        let text = self.client.execute(script, vec![]).await.unwrap_or_default();
        text.as_str().unwrap_or_default().to_owned()
    }

    /// The address of the page.
    pub async fn url(&self) -> String {
        self.client.current_url().await.map(|u| u.to_string()).unwrap_or_default()
    }

    /// Waits until the page shows `needle`, and gives all its text.
    pub async fn wait_for_text(&self, needle: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(APPEAR_SECONDS_MAX);
        while Instant::now() < deadline {
            let text = self.text().await;
            if text.contains(needle) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
        }
        self.fail(&format!("`{needle}` did not appear")).await
    }

    /// Saves what the window shows under the build's folder for test files.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        let file: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{file}.png"));
        if let Ok(image) = self.client.screenshot().await {
            std::fs::write(&path, image).expect("a screenshot written");
        }
        path
    }

    /// The folder of its profile, which every process of this browser names on its command line.
    pub fn profile(&self) -> &Path {
        self.profile.path()
    }

    /// Closes the window, then ends chromedriver.
    pub async fn close(self) {
        let Self { client, driver, profile } = self;
        client.close().await.unwrap_or_else(|e| panic!("Chromium does not close: {e}: {}", driver.log()));
        drop(driver);
        profile.close().expect("the profile removed");
    }

    async fn element(&self, locator: Locator<'_>) -> Element {
        let wait = self.client.wait().at_most(Duration::from_secs(APPEAR_SECONDS_MAX));
        let result = wait.for_element(locator).await;
        self.checked(result, &format!("find {locator:?}")).await
    }

    async fn checked<T>(&self, result: Result<T, impl Display>, what: &str) -> T {
        match result {
            Ok(value) => value,
            Err(e) => self.fail(&format!("cannot {what}: {e}")).await,
        }
    }

    async fn fail(&self, what: &str) -> ! {
        let image = self.screenshot(&format!("failure-{}", self.driver.id())).await;
        panic!("{what}: at {} ({}): {}", self.url().await, image.display(), self.text().await)
    }
}

/// XPath 1.0 has no escapes: a text with both quotes cannot be written as one literal, and no page of ours has one.
fn xpath_string(text: &str) -> String {
    if text.contains('\'') { format!("\"{text}\"") } else { format!("'{text}'") }
}
