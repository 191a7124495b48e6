//! Request fields: which a client may not send, which end here, and which we add.
use std::borrow::Cow;

use http::{
    HeaderMap, HeaderName, HeaderValue, Request,
    header::{self, Entry},
};

use super::{IdentityFields, Outgoing, ProxyError, RequestFault, SettingsFault, identity::Identity};
use crate::domain::OWN_TOKEN_PREFIXES;

/// All our cookies' names begin with this, compared without case (P-10, P-11).
pub const COOKIE_PREFIX: &str = "__Host-portcullis";

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Fields of this prefix are ours in both directions.
const OWN_PREFIX: &str = "x-portcullis-";

/// What origin servers commonly take for identity, whatever names are configured here.
const IDENTITY_NAMES: [&str; 9] = [
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-organizations",
    "x-forwarded-preferred-username",
    "remote-user",
    "remote-groups",
    "remote-name",
    "remote-email",
];

/// The names that carry identity to origin servers, and that nobody else may set.
pub(super) struct ProtectedFields {
    user: HeaderName,
    email: HeaderName,
    groups: HeaderName,
    organizations: HeaderName,
    preferred_username: HeaderName,
    bytes_max: usize,
    /// Lower case, with `-` for `_` and `.`.
    folded: Vec<String>,
}

impl ProtectedFields {
    pub fn new(settings: &IdentityFields) -> Result<Self, SettingsFault> {
        let configured = [
            &settings.user,
            &settings.email,
            &settings.groups,
            &settings.organizations,
            &settings.preferred_username,
        ];
        let mut folded: Vec<String> = vec![];
        for name in configured {
            let parsed = parse(name)?;
            let name = fold(parsed.as_str());
            if folded.contains(&name) {
                return Err(SettingsFault::Duplicate(name));
            }
            folded.push(name);
        }
        folded.extend(IDENTITY_NAMES.map(str::to_owned));
        Ok(Self {
            user: parse(&settings.user)?,
            email: parse(&settings.email)?,
            groups: parse(&settings.groups)?,
            organizations: parse(&settings.organizations)?,
            preferred_username: parse(&settings.preferred_username)?,
            bytes_max: settings.bytes_max,
            folded,
        })
    }

    /// Whether an origin server might take this lower-case name for an identity field (P-02).
    pub fn is_identity(&self, name: &str) -> bool {
        // CGI and its heirs read every character that is neither letter nor digit as an underscore.
        let same = |a: u8, b: u8| a == b || (b == b'-' && !a.is_ascii_alphanumeric());
        let matches = |folded: &String| {
            folded.len() == name.len() && name.bytes().zip(folded.bytes()).all(|(a, b)| same(a, b))
        };
        name.starts_with(OWN_PREFIX) || self.folded.iter().any(matches)
    }

    /// Refuses what only an attacker sends, on public routes too (P-01, P-02, P-04, P-30, P-32).
    pub fn screen<B>(&self, request: &Request<B>) -> Result<(), RequestFault> {
        let fields = request.headers();
        for name in fields.keys().map(HeaderName::as_str) {
            if name.contains('_') {
                return Err(RequestFault::Underscore(name.to_owned()));
            }
            if self.is_identity(name) {
                return Err(RequestFault::SpoofedField(name.to_owned()));
            }
        }
        for value in fields.get_all(header::CONNECTION) {
            let list = value.to_str().map_err(|_| RequestFault::Connection)?;
            for token in list.split(',').map(|token| token.trim().to_ascii_lowercase()) {
                if self.is_identity(&token) || is_forwarding(&token) || is_vital(&token) {
                    return Err(RequestFault::ProtectedHop(token));
                }
            }
        }
        let mut encodings = fields.get_all(header::TRANSFER_ENCODING).iter();
        if encodings.next().is_some_and(|v| !v.as_bytes().eq_ignore_ascii_case(b"chunked"))
            || encodings.next().is_some()
        {
            return Err(RequestFault::TransferEncoding);
        }
        if fields.get_all(header::CONTENT_LENGTH).iter().nth(1).is_some() {
            return Err(RequestFault::ContentLength);
        }
        let mut expectations = fields.get_all(header::EXPECT).iter();
        if expectations.next().is_some_and(|v| !v.as_bytes().eq_ignore_ascii_case(b"100-continue"))
            || expectations.next().is_some()
        {
            return Err(RequestFault::Expectation);
        }
        Ok(())
    }

    /// Sets each identity field once, or not at all where the IdP said nothing (P-03).
    pub fn set_identity(&self, fields: &mut HeaderMap, identity: &Identity) -> Result<(), ProxyError> {
        let values = [
            (&self.user, Some(&identity.user)),
            (&self.email, identity.email.as_ref()),
            (&self.groups, Some(&identity.groups)),
            (&self.organizations, Some(&identity.organizations)),
            (&self.preferred_username, identity.preferred_username.as_ref()),
        ];
        let present = || values.iter().filter_map(|(name, value)| value.map(|value| (*name, value)));
        // P-07: an error that says so, rather than a list that lacks its end.
        let bytes = present().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if bytes > self.bytes_max {
            return Err(ProxyError::IdentityTooLong { bytes, bytes_max: self.bytes_max });
        }
        for (name, value) in present() {
            fields.insert(name.clone(), value.clone());
        }
        Ok(())
    }
}

/// What an Authorization field shows as a token of ours, right or wrong: a bearer that begins as ours do. Anything else is
/// between the client and the origin server.
pub fn own_bearer(value: &HeaderValue) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, token) = value.as_bytes().split_at_checked(SCHEME.len())?;
    // RFC 9110 11.4: the scheme in any letter case, then spaces; who reads leniently takes other white space, or none.
    let token = token.trim_ascii_start();
    let begins = |prefix: &&str| {
        let start = token.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    let is_ours = scheme.eq_ignore_ascii_case(SCHEME) && OWN_TOKEN_PREFIXES.iter().any(begins);
    is_ours.then_some(token)
}

/// Removes what ends at this hop (RFC 9110 7.6.1), what we say ourselves, our cookies and our tokens.
pub(super) fn strip_request(fields: &mut HeaderMap, protected: &ProtectedFields) {
    strip_hop_by_hop(fields);
    let ends_here = |name: &&HeaderName| {
        let name = name.as_str();
        is_forwarding(name)
            || protected.is_identity(name)
            || matches!(name, "expect" | "content-length" | "http2-settings" | "proxy-authorization")
    };
    let doomed: Vec<HeaderName> = fields.keys().filter(ends_here).cloned().collect();
    for name in doomed {
        fields.remove(name);
    }
    strip_cookies(fields);
    strip_tokens(fields);
}

/// P-10: an origin server, on whatever route, never gets to hold what it could act with as its client.
fn strip_tokens(fields: &mut HeaderMap) {
    let is_ours = |value: &HeaderValue| own_bearer(value).is_some();
    if !fields.get_all(header::AUTHORIZATION).iter().any(is_ours) {
        return;
    }
    if let Entry::Occupied(entry) = fields.entry(header::AUTHORIZATION) {
        let (name, values) = entry.remove_entry_mult();
        let others: Vec<HeaderValue> = values.filter(|value| !is_ours(value)).collect();
        for value in others {
            fields.append(name.clone(), value);
        }
    }
}

/// RFC 9110 7.6.1: the fields that Connection names, and those that always belong to one connection.
pub(super) fn strip_hop_by_hop(fields: &mut HeaderMap) {
    if let Entry::Occupied(connection) = fields.entry(header::CONNECTION) {
        let (_, values) = connection.remove_entry_mult();
        let named: Vec<HeaderName> = values
            .flat_map(|value| {
                let tokens = value.to_str().unwrap_or_default().split(',');
                tokens.filter_map(|token| token.trim().parse().ok()).collect::<Vec<HeaderName>>()
            })
            .collect();
        for name in named {
            fields.remove(name);
        }
    }
    for name in [
        &KEEP_ALIVE,
        &PROXY_CONNECTION,
        &header::TE,
        &header::TRAILER,
        &header::TRANSFER_ENCODING,
        &header::UPGRADE,
    ] {
        fields.remove(name);
    }
}

/// Sets where the request came from, and its id (P-08).
pub(super) fn set_forwarded(fields: &mut HeaderMap, to: &Outgoing<'_>) -> Result<(), ProxyError> {
    const FIELDS_ADDED: usize = 10;
    fields.reserve(FIELDS_ADDED);
    // Mostly the client wrote the host as we do, and its value can be shared.
    let host = match fields.get(header::HOST).filter(|value| value.as_bytes() == to.host.as_bytes()) {
        Some(value) => value.clone(),
        None => HeaderValue::from_str(to.host).map_err(|_| ProxyError::Target)?,
    };
    let scheme = match to.scheme {
        "https" => HeaderValue::from_static("https"),
        _ => HeaderValue::from_static("http"),
    };
    fields.insert(header::HOST, host.clone());
    fields.insert(X_FORWARDED_FOR, to.client.clone());
    fields.insert(X_FORWARDED_HOST, host);
    fields.insert(X_FORWARDED_PROTO, scheme);
    fields.insert(X_REQUEST_ID, to.request_id.clone());
    Ok(())
}

/// Whether a cookie's name is one of ours; browsers compare prefixes without case.
pub(super) fn is_own_cookie(name: &[u8]) -> bool {
    name.get(..COOKIE_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(COOKIE_PREFIX.as_bytes()))
}

/// Takes our cookies out of Cookie (P-10) and joins what is left to one field (RFC 9113 8.2.3).
fn strip_cookies(fields: &mut HeaderMap) {
    let Entry::Occupied(cookies) = fields.entry(header::COOKIE) else { return };
    let mut kept = Vec::new();
    for value in cookies.iter() {
        for pair in value.as_bytes().split(|b| *b == b';').map(<[u8]>::trim_ascii) {
            let name = pair.split(|b| *b == b'=').next().unwrap_or(pair).trim_ascii();
            if !pair.is_empty() && !is_own_cookie(name) {
                if !kept.is_empty() {
                    kept.extend_from_slice(b"; ");
                }
                kept.extend_from_slice(pair);
            }
        }
    }
    cookies.remove_entry_mult();
    if let Some(value) =
        HeaderValue::from_maybe_shared(bytes::Bytes::from(kept)).ok().filter(|v| !v.is_empty())
    {
        fields.insert(header::COOKIE, value);
    }
}

/// Fields in which proxies, and clients that play one, say where a request came from or went (P-08).
fn is_forwarding(name: &str) -> bool {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let name = if is_plain { Cow::Borrowed(name) } else { Cow::Owned(fold(name)) };
    name.starts_with("x-forwarded-")
        || matches!(
            name.as_ref(),
            "forwarded"
                | "via"
                | "x-forwarded"
                | "x-real-ip"
                | "x-client-ip"
                | "true-client-ip"
                | "x-original-url"
                | "x-original-uri"
                | "x-original-host"
                | "x-rewrite-url"
                | "x-request-id"
        )
}

/// Fields that a request loses its meaning without.
fn is_vital(name: &str) -> bool {
    matches!(
        name,
        "host" | "content-length" | "transfer-encoding" | "cookie" | "authorization" | "content-type"
    )
}

fn parse(name: &str) -> Result<HeaderName, SettingsFault> {
    let fault = || SettingsFault::FieldName(name.to_owned());
    let parsed = HeaderName::try_from(name).map_err(|_| fault())?;
    let text = parsed.as_str();
    let taken = is_vital(text)
        || matches!(
            text,
            "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-proto" | "x-request-id" | "connection"
        );
    if taken || text.contains('_') { Err(fault()) } else { Ok(parsed) }
}

fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protected() -> ProtectedFields {
        ProtectedFields::new(&settings()).unwrap()
    }

    fn settings() -> IdentityFields {
        IdentityFields {
            user: "X-Forwarded-User".into(),
            email: "X-Forwarded-Email".into(),
            groups: "X-Team".into(),
            organizations: "X-Forwarded-Organizations".into(),
            preferred_username: "X-Forwarded-Preferred-Username".into(),
            bytes_max: 100,
        }
    }

    fn screened(fields: &[(&str, &str)]) -> Result<(), RequestFault> {
        let mut request = Request::new(());
        for (name, value) in fields {
            request.headers_mut().append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        protected().screen(&request)
    }

    #[test]
    fn p_10_tokens_of_ours_are_stripped_and_others_are_not() {
        for (value, is_ours) in [
            ("Bearer ptc_x", true),
            ("bearer   ptc_", true),
            ("BEARER\tPTC_x", true),
            ("Bearerptc_x", true),
            ("Bearer ptb_x", false),
            ("Bearer eyJptc_.x.y", false),
            ("Basic ptc_x", false),
            ("ptc_x", false),
            ("Bearer", false),
        ] {
            let value = HeaderValue::from_static(value);
            assert_eq!(own_bearer(&value).is_some(), is_ours, "{value:?}");
            let mut fields = HeaderMap::new();
            fields.append(header::AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
            fields.append(header::AUTHORIZATION, value);
            strip_request(&mut fields, &protected());
            assert_eq!(fields.get_all(header::AUTHORIZATION).iter().count(), if is_ours { 1 } else { 2 });
        }
    }

    #[test]
    fn p01_p02_identity_fields_are_refused_in_every_spelling() {
        for name in
            ["X-Forwarded-User", "x.forwarded.user", "x-forwarded.USER", "X-Team", "x.team", "Remote-User"]
        {
            assert!(matches!(screened(&[(name, "admin")]), Err(RequestFault::SpoofedField(_))), "{name}");
        }
        for name in ["X_Forwarded_User", "x-forwarded_user", "harmless_name"] {
            assert!(matches!(screened(&[(name, "admin")]), Err(RequestFault::Underscore(_))), "{name}");
        }
        assert!(matches!(screened(&[("X-Portcullis-Any", "1")]), Err(RequestFault::SpoofedField(_))));
        assert_eq!(screened(&[("X-Forwarded-Users", "1"), ("X-Teams", "1"), ("X-Custom", "1")]), Ok(()));
    }

    #[test]
    fn p04_connection_may_not_name_protected_fields() {
        for list in
            ["close, X-Forwarded-User", "x-team", "x.team", "keep-alive,X-Forwarded-For", "Host", "cookie"]
        {
            let found = screened(&[("Connection", list)]);
            assert!(matches!(found, Err(RequestFault::ProtectedHop(_))), "{list}");
        }
        assert_eq!(screened(&[("Connection", "close"), ("Connection", "X-Custom, Upgrade")]), Ok(()));
    }

    #[test]
    fn p30_p32_framing_and_expectations() {
        use RequestFault::*;
        for (fields, expected) in [
            (&[("Transfer-Encoding", "chunked")][..], Ok(())),
            (&[("Transfer-Encoding", "gzip, chunked")], Err(TransferEncoding)),
            (&[("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")], Err(TransferEncoding)),
            (&[("Transfer-Encoding", "xchunked")], Err(TransferEncoding)),
            (&[("Content-Length", "5"), ("Content-Length", "5")], Err(ContentLength)),
            (&[("Expect", "100-Continue")], Ok(())),
            (&[("Expect", "y100-continue")], Err(Expectation)),
            (&[("Expect", "100-continue"), ("Expect", "100-continue")], Err(Expectation)),
        ] {
            assert_eq!(screened(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn p10_own_cookies_are_taken_out() {
        for (lines, kept) in [
            (&["a=1; __Host-portcullis-session=x; b=2"][..], Some("a=1; b=2")),
            (&["__Host-portcullis-session=x"], None),
            (&["__host-PORTCULLIS-sign-in-1=x; c=d=e"], Some("c=d=e")),
            (&["a=1", "__Host-portcullis-session=x", "b=2"], Some("a=1; b=2")),
            (&["a=1;__Host-portcullis-session=x;;b=\"q\""], Some("a=1; b=\"q\"")),
            (&["x__Host-portcullis-session=1"], Some("x__Host-portcullis-session=1")),
        ] {
            let mut fields = HeaderMap::new();
            lines.iter().for_each(|line| _ = fields.append(header::COOKIE, line.parse().unwrap()));
            strip_request(&mut fields, &protected());
            let left: Vec<_> = fields.get_all(header::COOKIE).iter().map(|v| v.to_str().unwrap()).collect();
            assert_eq!(left, kept.into_iter().collect::<Vec<_>>(), "{lines:?}");
        }
    }

    #[test]
    fn p07_identity_has_a_cap_and_no_silent_truncation() {
        let identity = |groups: &str| Identity {
            user: HeaderValue::from_static("alice"),
            email: None,
            groups: groups.parse().unwrap(),
            organizations: HeaderValue::from_static(""),
            preferred_username: None,
        };
        let mut fields = HeaderMap::new();
        protected().set_identity(&mut fields, &identity("a,b")).unwrap();
        assert_eq!(fields.len(), 3);
        assert_eq!(fields["x-team"], "a,b");
        let too_long = protected().set_identity(&mut HeaderMap::new(), &identity(&"g".repeat(100)));
        assert!(matches!(too_long, Err(ProxyError::IdentityTooLong { .. })));
    }

    #[test]
    fn settings_are_checked() {
        for (name, expected) in [
            ("not a name", Some(SettingsFault::FieldName("not a name".into()))),
            ("Host", Some(SettingsFault::FieldName("Host".into()))),
            ("X_User", Some(SettingsFault::FieldName("X_User".into()))),
            ("x-forwarded.email", Some(SettingsFault::Duplicate("x-forwarded-email".into()))),
            ("X-User", None),
        ] {
            let settings = IdentityFields { user: name.into(), ..settings() };
            assert_eq!(ProtectedFields::new(&settings).err(), expected, "{name}");
        }
    }
}
