//! A small browser without a window, for the demo's walk and the tests: cookies, redirects, forms. No scripts, no styles.
use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::html;
pub use super::html::Form;

/// Redirects followed for one navigation.
const REDIRECTS_MAX: usize = 20;
/// Length of a page.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long one exchange may take.
const EXCHANGE_MAX: Duration = Duration::from_secs(30);

const HTML: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    #[error("{0:?} is no URL that this browser can open")]
    Url(String),
    #[error("cannot connect to {0}: {1}")]
    Connect(String, std::io::Error),
    #[error("the exchange failed: {0}")]
    Exchange(#[from] hyper::Error),
    #[error("the request cannot be sent: {0}")]
    Request(#[from] http::Error),
    #[error("the page is longer than {PAGE_BYTES_MAX} bytes or broke off")]
    Body,
    #[error("no answer within {} seconds", EXCHANGE_MAX.as_secs())]
    Slow,
    #[error("more than {REDIRECTS_MAX} redirects")]
    Redirects,
    #[error("the page has no button {0:?}")]
    NoButton(String),
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where it came from, after redirects.
    pub url: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Page {
    /// The page's forms in document order, with absolute actions.
    pub fn forms(&self) -> Vec<Form> {
        html::forms(&self.body).into_iter().map(|form| form.at(|action| resolve(&self.url, action))).collect()
    }

    /// The form that pressing the button with this label would submit.
    pub fn button(&self, label: &str) -> Result<Form, BrowserError> {
        let pressed = self.forms().into_iter().find_map(|form| form.pressed(label));
        let form = pressed.ok_or_else(|| BrowserError::NoButton(label.into()))?;
        Ok(form.at(|action| resolve(&self.url, action)))
    }
}

#[derive(Debug, Clone)]
struct Cookie {
    value: String,
    path: String,
    secure: bool,
}

/// Keeps cookies by host and name, like any browser without regard to ports, and sends `Secure` ones to this machine too.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    cookies: HashMap<(String, String), Cookie>,
    /// Fields that go with every request.
    extra: Vec<(String, String)>,
}

impl Browser {
    pub fn new() -> Self {
        Self::default()
    }

    /// Navigates to a URL and follows redirects.
    pub async fn open(&mut self, url: &str) -> Result<Page, BrowserError> {
        self.follow(Method::GET, url.into(), None, HTML, true).await
    }

    /// Fetches as a script would: wants JSON, is no navigation, follows no redirect.
    pub async fn fetch_json(&mut self, url: &str) -> Result<Page, BrowserError> {
        self.follow(Method::GET, url.into(), None, "application/json", false).await
    }

    /// Submits a form and follows redirects.
    pub async fn submit(&mut self, form: &Form) -> Result<Page, BrowserError> {
        let fields = form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
        if form.is_post {
            return self.follow(Method::POST, form.action.clone(), Some(fields), HTML, true).await;
        }
        let bare = form.action.split(['?', '#']).next().unwrap_or_default();
        self.follow(Method::GET, format!("{bare}?{fields}"), None, HTML, true).await
    }

    /// Submits a form by POST and stays where it is sent from: the answer as it comes.
    pub async fn submit_once(&mut self, form: &Form) -> Result<Page, BrowserError> {
        let fields = form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
        let exchange = self.exchange(&Method::POST, &form.action, Some(&fields), HTML, true);
        tokio::time::timeout(EXCHANGE_MAX, exchange).await.map_err(|_| BrowserError::Slow)?
    }

    /// Presses the button with this label.
    pub async fn press(&mut self, page: &Page, label: &str) -> Result<Page, BrowserError> {
        let form = page.button(label)?;
        self.submit(&form).await
    }

    /// The value of a cookie that this browser would send to `host`.
    pub fn cookie(&self, host: &str, name: &str) -> Option<&str> {
        self.cookies.get(&(host.into(), name.into())).map(|cookie| cookie.value.as_str())
    }

    /// Names of the cookies kept for `host`.
    pub fn cookie_names(&self, host: &str) -> Vec<&str> {
        self.cookies.keys().filter(|(h, _)| h == host).map(|(_, name)| name.as_str()).collect()
    }

    pub fn set_cookie(&mut self, host: &str, name: &str, value: &str) {
        let cookie = Cookie { value: value.into(), path: "/".into(), secure: false };
        self.cookies.insert((host.into(), name.into()), cookie);
    }

    /// Sends this field with every request from now on, beside any of the same name.
    pub fn send_along(&mut self, name: &str, value: &str) {
        self.extra.push((name.into(), value.into()));
    }

    pub fn forget_cookies(&mut self) {
        self.cookies.clear();
    }

    async fn follow(
        &mut self,
        mut method: Method,
        mut url: String,
        mut form: Option<String>,
        accept: &'static str,
        navigates: bool,
    ) -> Result<Page, BrowserError> {
        for _ in 0..=REDIRECTS_MAX {
            let exchange = self.exchange(&method, &url, form.as_deref(), accept, navigates);
            let page =
                tokio::time::timeout(EXCHANGE_MAX, exchange).await.map_err(|_| BrowserError::Slow)??;
            let location = page.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
            let Some(location) = location.filter(|_| navigates && page.status.is_redirection()) else {
                return Ok(page);
            };
            url = resolve(&page.url, location);
            // RFC 9110 15.4: 307 and 308 keep method and body; the others turn into GET, as browsers do.
            if !matches!(page.status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
                method = Method::GET;
                form = None;
            }
        }
        Err(BrowserError::Redirects)
    }

    /// One request and its answer.
    async fn exchange(
        &mut self,
        method: &Method,
        url: &str,
        form: Option<&str>,
        accept: &str,
        navigates: bool,
    ) -> Result<Page, BrowserError> {
        let bad = || BrowserError::Url(url.into());
        let uri: Uri = url.split('#').next().unwrap_or_default().parse().map_err(|_| bad())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(bad)?;
        let (host, port) = (authority.host().to_owned(), authority.port_u16().unwrap_or(80));
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, authority.as_str())
            .header(header::ACCEPT, accept)
            .header("sec-fetch-mode", if navigates { "navigate" } else { "cors" })
            .header("sec-fetch-dest", if navigates { "document" } else { "empty" });
        for (name, value) in &self.extra {
            request = request.header(name, value);
        }
        if let Some(cookies) = self.cookies_for(&host, uri.path()) {
            request = request.header(header::COOKIE, cookies);
        }
        if form.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request.body(Full::new(Bytes::from(form.unwrap_or_default().to_owned())))?;
        let (status, headers, body) = send(&host, port, request).await?;
        for value in headers.get_all(header::SET_COOKIE) {
            self.keep(&host, uri.path(), value.to_str().unwrap_or_default());
        }
        Ok(Page { url: url.into(), status, headers, body })
    }

    fn cookies_for(&self, host: &str, path: &str) -> Option<String> {
        let mut pairs: Vec<String> = self
            .cookies
            .iter()
            .filter(|((h, _), c)| h == host && covers(&c.path, path) && (!c.secure || is_this_machine(host)))
            .map(|((_, name), cookie)| format!("{name}={}", cookie.value))
            .collect();
        pairs.sort();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// RFC 6265 5.3, without Domain: every cookie here is host-only.
    fn keep(&mut self, host: &str, path: &str, field: &str) {
        let mut parts = field.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let default_path = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
        let mut cookie = Cookie { value: value.into(), path: default_path.into(), secure: false };
        let mut expired = false;
        for part in parts {
            let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
            match attribute.to_ascii_lowercase().as_str() {
                "path" => cookie.path = value.into(),
                "secure" => cookie.secure = true,
                "max-age" => expired = value.parse::<i64>().is_ok_and(|seconds| seconds <= 0),
                _ => {}
            }
        }
        // The prefix is a promise; a browser drops a cookie that breaks it.
        let keeps_promise = !name.starts_with("__Host-") || (cookie.secure && cookie.path == "/");
        let key = (host.to_owned(), name.to_owned());
        if expired {
            self.cookies.remove(&key);
        } else if keeps_promise {
            self.cookies.insert(key, cookie);
        }
    }
}

async fn send(
    host: &str,
    port: u16,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, HeaderMap, String), BrowserError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port))
        .await
        .map_err(|error| BrowserError::Connect(format!("{host}:{port}"), error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, PAGE_BYTES_MAX).collect().await.map_err(|_| BrowserError::Body)?;
    driver.abort();
    Ok((head.status, head.headers, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}

/// RFC 6265 5.1.4.
fn covers(cookie_path: &str, path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie_path.ends_with('/'))
        || cookie_path.is_empty()
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A reference against the URL of its page: absolute, from the root, a query, or beside the page. Without dot segments.
fn resolve(base: &str, reference: &str) -> String {
    if reference.starts_with("http://") || reference.starts_with("https://") {
        return reference.into();
    }
    let authority_end =
        base.find("://").and_then(|at| base[at + 3..].find(['/', '?', '#']).map(|end| at + 3 + end));
    let (origin, rest) = base.split_at(authority_end.unwrap_or(base.len()));
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    match reference.chars().next() {
        // RFC 3986 5.2.2: the page itself, query and all.
        None => base.split('#').next().unwrap_or_default().into(),
        Some('/') => format!("{origin}{reference}"),
        Some('?' | '#') => format!("{origin}{path}{reference}"),
        Some(_) => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{origin}{folder}/{reference}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let check = |base: &str, reference: &str, whole: &str| assert_eq!(resolve(base, reference), whole);
        check("http://a:1/b/c?d#e", "http://x/", "http://x/");
        check("http://a:1/b/c?d#e", "/f", "http://a:1/f");
        check("http://a:1/b/c?d#e", "/f?to=http://x/", "http://a:1/f?to=http://x/");
        check("http://a:1/b/c?d#e", "f?g", "http://a:1/b/f?g");
        check("http://a:1/b/c?d#e", "?g", "http://a:1/b/c?g");
        check("http://a:1/b/c?d#e", "", "http://a:1/b/c?d");
        check("http://a:1", "/f", "http://a:1/f");
    }

    #[test]
    fn cookies() {
        let mut browser = Browser::new();
        browser.keep("localhost", "/saml/acs", "__Host-s=1; Path=/; Secure; HttpOnly; SameSite=Lax");
        browser.keep("localhost", "/saml/acs", "__Host-t=1; Path=/saml; Secure");
        browser.keep("localhost", "/saml/acs", "__Host-u=1; Path=/");
        browser.keep("localhost", "/saml/acs", "near=2");
        assert_eq!(browser.cookies_for("localhost", "/").as_deref(), Some("__Host-s=1"));
        assert_eq!(browser.cookies_for("localhost", "/saml/slo").as_deref(), Some("__Host-s=1; near=2"));
        assert_eq!(browser.cookies_for("localhost", "/samlet").as_deref(), Some("__Host-s=1"));
        assert_eq!(browser.cookies_for("127.0.0.1", "/"), None);
        browser.keep("example.com", "/", "a=1; Secure; Path=/");
        assert_eq!(browser.cookies_for("example.com", "/"), None, "no Secure cookie over plain HTTP");
        browser.keep("localhost", "/", "__Host-s=; Path=/; Secure; Max-Age=0");
        assert_eq!(browser.cookies_for("localhost", "/"), None);
    }
}
