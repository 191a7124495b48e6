//! Absolute URIs (RFC 3986), as far as namespace names need them.
//!
//! A canonicalizer that resolves or checks namespace names must not find anything to object to in one that is accepted here:
//! one that gives up writes nothing, and nothing has a well-known digest (S-11).

/// Whether `text` is a URI with a scheme and something after it, without what no namespace name needs: user information, IP
/// addresses in brackets.
pub(super) fn is_absolute_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (hierarchy, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match hierarchy.strip_prefix("//") {
        None => (None, hierarchy),
        Some(after) => {
            let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
            (Some(authority), path)
        }
    };
    is_scheme(scheme)
        && !(authority.unwrap_or_default().is_empty() && path.is_empty())
        && authority.is_none_or(is_authority)
        && consists_of(path, b":@/")
        && consists_of(query, b":@/?")
        && consists_of(fragment, b":@/?")
}

/// RFC 3986 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// RFC 3986 3.2: a host that has a name, perhaps a port.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        None => (text, None),
        Some((host, port)) => (host, Some(port)),
    };
    let digits = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    !host.is_empty() && consists_of(host, b"") && port.is_none_or(digits)
}

/// RFC 3986 2: unreserved characters, sub-delimiters but for `&` and the apostrophe, percent-encoded octets, and the characters of
/// `more`.
fn consists_of(text: &str, more: &[u8]) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$()*+,;=".contains(&byte) || more.contains(&byte);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let encoded = byte == b'%'
            && bytes.next().is_some_and(|b| b.is_ascii_hexdigit())
            && bytes.next().is_some_and(|b| b.is_ascii_hexdigit());
        if !encoded && !plain(byte) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_11_namespace_names_are_absolute_uris() {
        for good in [
            "urn:a",
            "URN:oasis:names:tc:SAML:2.0:assertion",
            "http://www.w3.org/2001/XMLSchema",
            "http://www.w3.org/2000/09/xmldsig#",
            "http://example.com",
            "https://example.com:8443/a/b?c=d;e",
            "urn:a%2Fb",
            "tag:example.com,2026:a",
            "a+b-c.1:x",
        ] {
            assert!(is_absolute_uri(good), "{good}");
        }
        for bad in [
            "",
            "1",
            "a",
            "/a",
            "../a",
            "a/b:c",
            ":a",
            "1a:b",
            "urn:",
            "urn:#",
            "http://",
            "http:///a",
            "p://:",
            "p://h:",
            "p://h:x/",
            "p://h:123456/",
            "p://u@h/",
            "http://[::1]/",
            "urn:a b",
            "urn:a\u{e9}",
            "urn:%",
            "urn:%4",
            "urn:%4g",
            "urn:a#b#c",
            "urn:<",
            "urn:'",
            "urn:&",
            "urn:a\\b",
            "urn:a^b",
            "urn:a`b",
            "urn:{a}",
            "urn:a|b",
            "urn:[",
        ] {
            assert!(!is_absolute_uri(bad), "{bad}");
        }
    }
}
