//! URLs and hosts as a configuration or an IdP's metadata may name them: absolute, http or https, no user, no fragment.
use std::net::{Ipv4Addr, Ipv6Addr};

/// An absolute http or https URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebUrl {
    pub https: bool,
    pub authority: Authority,
    /// Begins with a slash.
    pub path: String,
    pub has_query: bool,
}

/// Scheme and authority of an absolute URL, as they are written: `https://app.example.com` of `https://app.example.com/a?b`.
pub fn origin(url: &str) -> &str {
    let authority_at = url.find("://").map_or(0, |at| at + "://".len());
    let end = url.get(authority_at..).and_then(|rest| rest.find(['/', '?', '#']));
    end.and_then(|end| url.get(..authority_at + end)).unwrap_or(url)
}

/// Host and port of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Lower case; an IPv6 address in its brackets.
    pub host: String,
    pub port: Option<u16>,
}

impl WebUrl {
    /// Reads a URL; else says why it is none, fit to stand after "is": `no http or https URL`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: http::Uri = text.parse().map_err(|_| "no URL")?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("no http or https URL"),
        };
        if text.contains('#') {
            return Err("a URL with a fragment");
        }
        let authority = uri.authority().ok_or("a URL without a host")?;
        let mut authority = Authority::parse(authority.as_str())?;
        if authority.port == Some(if https { 443 } else { 80 }) {
            authority.port = None;
        }
        Ok(Self { https, authority, path: uri.path().to_owned(), has_query: uri.query().is_some() })
    }
}

impl Authority {
    /// Reads `host` or `host:port`; else says why it is none, fit to stand after "is".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let authority: http::uri::Authority = text.parse().map_err(|_| "no host")?;
        if text.contains('@') {
            return Err("a host with a user or password");
        }
        let host = authority.host();
        let port = match text.strip_prefix(host).unwrap_or(text) {
            "" => None,
            rest => match rest.strip_prefix(':').and_then(|digits| digits.parse().ok()) {
                Some(0) | None => return Err("a host with an impossible port"),
                Some(port) => Some(port),
            },
        };
        if !is_host(host) {
            return Err("no host");
        }
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }

    /// As a browser's Host field shows it where `https` or its lack fixes the default port.
    pub fn shown(&self, https: bool) -> String {
        match self.port {
            Some(port) if port != if https { 443 } else { 80 } => format!("{}:{port}", self.host),
            _ => self.host.clone(),
        }
    }

    /// Whether the host can only be this machine (RFC 6761 6.3 for `localhost`).
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost"
            || bare.ends_with(".localhost")
            || bare.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            || bare.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
    }
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
    }
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let url = WebUrl::parse("https://App.Example.com:443/a/b?c").unwrap();
        assert_eq!((url.https, url.path.as_str(), url.has_query), (true, "/a/b", true));
        assert_eq!(url.authority, Authority { host: "app.example.com".into(), port: None });
        assert_eq!(WebUrl::parse("http://localhost:8080").unwrap().authority.shown(false), "localhost:8080");
        assert_eq!(WebUrl::parse("http://[::1]:80").unwrap().authority.shown(false), "[::1]");
        let wrong = [
            "",
            "/path",
            "example.com",
            "ftp://example.com",
            "javascript:alert(1)",
            "https://",
            "https://a..b/",
            "https://user@example.com/",
            "https://example.com:0/",
            "https://example.com:99999/",
            "https://example.com/#top",
            "https://exa mple.com/",
            "https://*.example.com/",
            "https://[::1/",
        ];
        for text in wrong {
            assert!(WebUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn origins() {
        for (url, expected) in [
            ("https://app.example.com/saml/acs", "https://app.example.com"),
            ("http://localhost:8080/", "http://localhost:8080"),
            ("https://[::1]:8443?a=/b", "https://[::1]:8443"),
            ("https://app.example.com", "https://app.example.com"),
        ] {
            assert_eq!(origin(url), expected);
        }
    }

    #[test]
    fn loopback_hosts() {
        let loopback = |text| Authority::parse(text).unwrap().is_loopback();
        assert!(
            loopback("localhost:1")
                && loopback("app.localhost")
                && loopback("127.9.9.9")
                && loopback("[::1]:1")
        );
        assert!(!loopback("localhost.example.com") && !loopback("10.0.0.1") && !loopback("notlocalhost"));
    }
}
