//! Response fields: what an origin server may not say to the browser, and what we add.
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{self, Entry},
};

use super::{
    Body, ProxyError,
    fields::{ProtectedFields, X_REQUEST_ID, is_own_cookie, strip_hop_by_hop},
};

/// Removes what ends at this hop and what only we may say: our cookies and identity fields (P-11).
pub(super) fn screen(
    mut response: Response<Body>,
    protected: &ProtectedFields,
) -> Result<Response<Body>, ProxyError> {
    // P-34, P-38: we never ask for an upgrade, so this is no HTTP any more.
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ProxyError::Switched);
    }
    let fields = response.headers_mut();
    // RFC 9112 6.3: both is an attempt to smuggle.
    if fields.contains_key(header::TRANSFER_ENCODING) && fields.contains_key(header::CONTENT_LENGTH) {
        return Err(ProxyError::AmbiguousLength);
    }
    if let Entry::Occupied(mut length) = fields.entry(header::CONTENT_LENGTH) {
        // Several are equal, or hyper had refused them.
        let first = length.get().clone();
        length.insert(first);
    }
    strip_hop_by_hop(fields);
    let doomed: Vec<HeaderName> =
        fields.keys().filter(|name| protected.is_identity(name.as_str())).cloned().collect();
    for name in doomed {
        fields.remove(name);
    }
    strip_set_cookies(fields);
    Ok(response)
}

/// Adds our id, and keeps what one person may see out of shared caches (P-41), unless the origin server decided.
pub(super) fn mark(fields: &mut HeaderMap, identified: bool, request_id: &HeaderValue) {
    fields.insert(X_REQUEST_ID, request_id.clone());
    if !identified {
        return;
    }
    if !fields.contains_key(header::CACHE_CONTROL) {
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    // Both say who is there: a session and a token.
    for by in ["Cookie", "Authorization"] {
        let varies = |value: &HeaderValue| {
            let names = value.to_str().unwrap_or_default().split(',').map(str::trim);
            names.into_iter().any(|name| name == "*" || name.eq_ignore_ascii_case(by))
        };
        if !fields.get_all(header::VARY).iter().any(varies) {
            fields.append(header::VARY, HeaderValue::from_static(by));
        }
    }
}

fn strip_set_cookies(fields: &mut HeaderMap) {
    let Entry::Occupied(cookies) = fields.entry(header::SET_COOKIE) else { return };
    let own = |value: &HeaderValue| is_own_cookie(value.as_bytes().trim_ascii_start());
    if !cookies.iter().any(own) {
        return;
    }
    let (name, values) = cookies.remove_entry_mult();
    let kept: Vec<HeaderValue> = values.filter(|value| !own(value)).collect();
    for value in kept {
        fields.append(name.clone(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::IdentityFields, *};

    fn protected() -> ProtectedFields {
        ProtectedFields::new(&IdentityFields {
            user: "X-Forwarded-User".into(),
            email: "X-Forwarded-Email".into(),
            groups: "X-Forwarded-Groups".into(),
            organizations: "X-Forwarded-Organizations".into(),
            preferred_username: "X-Forwarded-Preferred-Username".into(),
            bytes_max: 100,
        })
        .unwrap()
    }

    fn screened(fields: &[(&str, &str)]) -> Result<String, ProxyError> {
        let mut response = Response::new(Body::empty());
        for (name, value) in fields {
            response.headers_mut().append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        let mut response = screen(response, &protected())?;
        mark(response.headers_mut(), true, &HeaderValue::from_static("id"));
        let mut lines: Vec<_> =
            response.headers().iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        lines.sort();
        Ok(lines.join("\n"))
    }

    #[test]
    fn p11_own_cookies_and_fields_do_not_come_from_origin_servers() {
        let seen = screened(&[
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", " __host-portcullis-session=x; Path=/"),
            ("Set-Cookie", "b=2"),
            ("X-Forwarded-User", "admin"),
            ("X-Portcullis-Any", "1"),
            ("X-Request-Id", "theirs"),
            ("Connection", "X-Hop"),
            ("X-Hop", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Cache-Control", "public"),
        ])
        .unwrap();
        let expected = "cache-control: public\nset-cookie: a=1\nset-cookie: b=2\nvary: Authorization\nvary: Cookie\nx-request-id: id";
        assert_eq!(seen, expected);
    }

    #[test]
    fn p41_private_by_default() {
        let expected = "cache-control: no-store\nvary: Authorization\nvary: Cookie\nx-request-id: id";
        assert_eq!(screened(&[]).unwrap(), expected);
        let expected = "cache-control: no-store\nvary: Accept, cookie, authorization\nx-request-id: id";
        assert_eq!(screened(&[("Vary", "Accept, cookie, authorization")]).unwrap(), expected);
    }

    #[test]
    fn p38_two_lengths() {
        let both = screened(&[("Transfer-Encoding", "chunked"), ("Content-Length", "1")]);
        assert!(matches!(both, Err(ProxyError::AmbiguousLength)));
        let twice = screened(&[("Content-Length", "1"), ("Content-Length", "1")]).unwrap();
        assert_eq!(twice.matches("content-length").count(), 1);
    }
}
