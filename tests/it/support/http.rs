//! A small HTTP client with a cookie jar: enough browser to walk through a sign-in, and nothing automatic.
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::html::{self, Form};

/// A server that does not answer fails the test instead of hanging it.
const EXCHANGE_SECONDS_MAX: u64 = 30;
const REDIRECTS_MAX: usize = 10;

/// A client that keeps cookies, one jar for each host whatever the port, as browsers do. It keeps and sends `Secure`
/// cookies over plain HTTP, as browsers do on loopback, and ignores `SameSite`, `Path` and `Expires`.
#[derive(Default)]
pub struct Client {
    cookies: HashMap<String, BTreeMap<String, String>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Where it came from.
    pub url: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Client {
    /// A navigation to `url`; redirects are not followed.
    pub async fn get(&mut self, url: &str) -> Answer {
        self.send(Method::GET, url, &[], Bytes::new()).await
    }

    /// A form POST; redirects are not followed.
    pub async fn post(&mut self, url: &str, fields: &[(String, String)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let content_type = [("content-type", "application/x-www-form-urlencoded")];
        self.send(Method::POST, url, &content_type, body.into()).await
    }

    /// Sends a form of `page` back, to its action.
    pub async fn submit(&mut self, page: &Answer, form: &Form) -> Answer {
        self.post(&page.resolve(&form.action), &form.fields).await
    }

    /// Follows redirects, up to `REDIRECTS_MAX`, until an answer is none.
    pub async fn follow(&mut self, mut answer: Answer) -> Answer {
        for _ in 0..REDIRECTS_MAX {
            let Some(location) = answer.location() else { return answer };
            answer = self.get(&location).await;
        }
        panic!("more than {REDIRECTS_MAX} redirects, the last to {:?}", answer.location());
    }

    /// The cookies held for a host.
    pub fn cookies(&self, host: &str) -> BTreeMap<String, String> {
        self.cookies.get(host).cloned().unwrap_or_default()
    }

    async fn send(&mut self, method: Method, url: &str, fields: &[(&str, &str)], body: Bytes) -> Answer {
        let uri: Uri = url.parse().unwrap_or_else(|e| panic!("{url}: {e}"));
        assert_eq!(uri.scheme_str(), Some("http"), "{url}: only plain HTTP on loopback");
        let host = uri.host().unwrap_or_default().to_owned();
        let address = uri.authority().map(|a| (host.as_str(), a.port_u16().unwrap_or(80))).expect(url);
        let mut request = Request::builder()
            .method(method)
            .uri(uri.path_and_query().map_or("/", |p| p.as_str()))
            .header(header::HOST, uri.authority().expect(url).as_str())
            .header(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document");
        if let Some(cookies) = self.cookies.get(&host).filter(|c| !c.is_empty()) {
            let pairs: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, pairs.join("; "));
        }
        let mut request = request.body(Full::new(body)).expect("a request");
        for (name, value) in fields {
            let name: header::HeaderName = name.parse().expect("a field name");
            request.headers_mut().insert(name, value.parse().expect("a field value"));
        }
        let (parts, body) = exchange(address, request).await.unwrap_or_else(|e| panic!("{url}: {e}"));
        self.keep_cookies(&host, &parts.headers);
        Answer { url: url.to_owned(), status: parts.status, headers: parts.headers, body }
    }

    fn keep_cookies(&mut self, host: &str, headers: &HeaderMap) {
        let jar = self.cookies.entry(host.to_owned()).or_default();
        for line in headers.get_all(header::SET_COOKIE).iter().filter_map(|v| v.to_str().ok()) {
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let ended = parts.filter_map(|attribute| attribute.split_once('=')).any(|(key, age)| {
                key.eq_ignore_ascii_case("max-age") && age.parse::<i64>().is_ok_and(|s| s <= 0)
            });
            if ended {
                jar.remove(name)
            } else {
                jar.insert(name.to_owned(), value.to_owned())
            };
        }
    }
}

impl Answer {
    /// The absolute target of a redirect; `None` if this is none.
    pub fn location(&self) -> Option<String> {
        let location = self.headers.get(header::LOCATION)?.to_str().ok()?;
        self.status.is_redirection().then(|| self.resolve(location))
    }

    /// The only form of the page.
    ///
    /// # Panics
    /// With the page, if there is no form or more than one.
    pub fn form(&self) -> Form {
        let mut forms = html::forms(&self.body);
        assert_eq!(forms.len(), 1, "{} {}: one form expected: {}", self.url, self.status, self.body);
        forms.remove(0)
    }

    /// A reference on this page as an absolute URL: absolute, absolute path, query only, or empty.
    pub fn resolve(&self, reference: &str) -> String {
        let path_start = self.url.find("://").map_or(0, |n| n + 3);
        let origin_end = self.url[path_start..].find(['/', '?']).map_or(self.url.len(), |n| path_start + n);
        let page_end = self.url.find('?').unwrap_or(self.url.len());
        match reference {
            "" => self.url.clone(),
            r if r.contains("://") => r.to_owned(),
            r if r.starts_with('/') => format!("{}{r}", &self.url[..origin_end]),
            r if r.starts_with('?') => format!("{}{r}", &self.url[..page_end]),
            r => panic!("{}: cannot resolve `{r}`", self.url),
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One request on a connection of its own.
async fn exchange(
    address: (&str, u16),
    request: Request<Full<Bytes>>,
) -> Result<(http::response::Parts, String), Failure> {
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        connection.abort();
        Ok((parts, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::time::timeout(Duration::from_secs(EXCHANGE_SECONDS_MAX), exchange).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(url: &str) -> Answer {
        Answer {
            url: url.into(),
            status: StatusCode::SEE_OTHER,
            headers: HeaderMap::new(),
            body: String::new(),
        }
    }

    #[test]
    fn references_resolve_against_the_page() {
        let page = answer("http://a.example:1/b/c?d=e");
        assert_eq!(page.resolve(""), "http://a.example:1/b/c?d=e");
        assert_eq!(page.resolve("?x"), "http://a.example:1/b/c?x");
        assert_eq!(page.resolve("/x"), "http://a.example:1/x");
        assert_eq!(page.resolve("http://f.example/"), "http://f.example/");
        assert_eq!(answer("http://a.example").resolve("/x"), "http://a.example/x");
    }

    #[test]
    fn cookies_are_kept_for_their_host_until_they_end() {
        let mut client = Client::default();
        let set = |lines: &[&'static str]| {
            let values = lines.iter().map(|l| (header::SET_COOKIE, header::HeaderValue::from_static(l)));
            values.collect::<HeaderMap>()
        };
        client.keep_cookies("a.example", &set(&["__Host-s=1=2; Path=/; Secure", "t=3; Max-Age=60"]));
        assert_eq!(client.cookies("a.example").get("__Host-s").map(String::as_str), Some("1=2"));
        assert!(client.cookies("b.example").is_empty());
        client.keep_cookies("a.example", &set(&["__Host-s=; Path=/; Max-Age=0"]));
        assert_eq!(client.cookies("a.example").into_keys().collect::<Vec<_>>(), ["t"]);
    }
}
