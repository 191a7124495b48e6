//! Our cookies: the session, the sign-ins that a browser has under way, its sign-out, and the enterprise that it signed in at
//! last.
use http::{HeaderMap, HeaderValue, header};

use crate::domain::{
    EnterpriseSlug, InvitationReference, InvitationSecret, LogoutHandle, SessionToken, SignInHandle,
};

/// `__Host-` makes browsers refuse it from another host, without `Secure`, or with a `Domain` (P-50).
pub const SESSION: &str = "__Host-portcullis-session";
/// Cross-site, because the response comes as a POST from the IdP's page.
pub const SIGN_IN: &str = "__Host-portcullis-signin";
/// Cross-site for the same reason.
pub const SIGN_OUT: &str = "__Host-portcullis-signout";
/// Where a person may belong to several enterprises, the one that they last signed in at. No secret, and never trusted
/// beyond the choice that anybody has.
pub const ENTERPRISE: &str = "__Host-portcullis-enterprise";
/// The invitation that this browser came for, with its secret, until it was accepted.
pub const INVITATION: &str = "__Host-portcullis-invitation";
/// As long as a sign-in may take, and some reading.
const INVITATION_SECONDS: u32 = 60 * 60;
/// A month without a sign-in, and the chooser asks again.
const ENTERPRISE_SECONDS: u32 = 30 * 24 * 60 * 60;
/// Cookies of this prefix are ours: never forwarded, never taken from an origin server.
pub const PREFIX: &str = "__Host-portcullis-";

/// The one value of a cookie: byte-exact in name, no trimming beyond the separator's space, no decoding. Two cookies of
/// the name are treated as none (P-50).
fn value<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = None;
    for line in fields.get_all(header::COOKIE) {
        for pair in line.as_bytes().split(|byte| *byte == b';') {
            let pair = pair.strip_prefix(b" ").unwrap_or(pair);
            let Some(value) = pair.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="))
            else {
                continue;
            };
            if found.replace(value).is_some() {
                return None;
            }
        }
    }
    std::str::from_utf8(found?).ok()
}

/// The token of the browser's session, if it carries exactly one that has the form of one.
pub fn session_token(fields: &HeaderMap) -> Option<SessionToken> {
    value(fields, SESSION).and_then(SessionToken::parse)
}

/// The handles of the sign-ins that this browser has under way, oldest first; none if any part of the cookie is malformed.
pub fn pending_sign_ins(fields: &HeaderMap, most: usize) -> Vec<SignInHandle> {
    let Some(value) = value(fields, SIGN_IN) else { return Vec::new() };
    let handles: Option<Vec<SignInHandle>> =
        value.split('.').take(most + 1).map(SignInHandle::parse).collect();
    handles.filter(|handles| handles.len() <= most).unwrap_or_default()
}

/// Hands out a session. It lives as long as the browser's own session; the server decides how long it is good for.
pub fn set_session(token: &SessionToken) -> HeaderValue {
    field(format!("{SESSION}={}; Path=/; Secure; HttpOnly; SameSite=Lax", token.expose()))
}

/// Remembers which sign-ins this browser has under way, for `seconds`; forgets all where there are none.
pub fn set_pending_sign_ins(handles: &[SignInHandle], seconds: u32) -> HeaderValue {
    let value: Vec<String> = handles.iter().map(SignInHandle::to_string).collect();
    let seconds = if handles.is_empty() { 0 } else { seconds };
    let value = value.join(".");
    field(format!("{SIGN_IN}={value}; Path=/; Secure; HttpOnly; SameSite=None; Max-Age={seconds}"))
}

/// The enterprise that this browser last signed in at.
pub fn enterprise(fields: &HeaderMap) -> Option<EnterpriseSlug> {
    value(fields, ENTERPRISE).and_then(|text| EnterpriseSlug::parse(text).ok())
}

/// Remembers the enterprise, so that the chooser need not ask again.
pub fn set_enterprise(slug: &EnterpriseSlug) -> HeaderValue {
    field(format!(
        "{ENTERPRISE}={slug}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={ENTERPRISE_SECONDS}"
    ))
}

/// Takes the session away from the browser.
pub fn clear_session() -> HeaderValue {
    field(format!("{SESSION}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"))
}

/// The handle of the sign-out that this browser has under way at the IdP.
pub fn pending_logout(fields: &HeaderMap) -> Option<LogoutHandle> {
    value(fields, SIGN_OUT).and_then(LogoutHandle::parse)
}

/// Remembers for `seconds` which sign-out this browser has under way; an earlier one is forgotten.
pub fn set_pending_logout(handle: LogoutHandle, seconds: u32) -> HeaderValue {
    field(format!("{SIGN_OUT}={handle}; Path=/; Secure; HttpOnly; SameSite=None; Max-Age={seconds}"))
}

pub fn clear_pending_logout() -> HeaderValue {
    field(format!("{SIGN_OUT}=; Path=/; Secure; HttpOnly; SameSite=None; Max-Age=0"))
}

/// The invitation that this browser came for.
pub fn invitation(fields: &HeaderMap) -> Option<(InvitationReference, InvitationSecret)> {
    let (reference, secret) = value(fields, INVITATION)?.split_once('.')?;
    Some((InvitationReference::parse(reference)?, InvitationSecret::parse(secret)?))
}

/// Keeps an invitation's secret while its person signs in.
pub fn set_invitation(reference: InvitationReference, secret: &InvitationSecret) -> HeaderValue {
    let secret = secret.expose();
    field(format!(
        "{INVITATION}={reference}.{secret}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={INVITATION_SECONDS}"
    ))
}

pub fn clear_invitation() -> HeaderValue {
    field(format!("{INVITATION}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"))
}

fn field(text: String) -> HeaderValue {
    // Built from our own hexadecimal, base64url and account names only; an empty field would merely set no cookie.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(cookies: &[&str]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for cookie in cookies {
            fields.append(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
        }
        fields
    }

    #[test]
    fn p_50_exactly_one_session_cookie_byte_for_byte() {
        let token = SessionToken::from_random([3; 32]);
        let good = format!("{SESSION}={}", token.expose());
        let found = |cookies: &[&str]| session_token(&fields(cookies)).is_some();
        assert!(found(&[&good]));
        assert!(found(&[&format!("a=b; {good}; c=d")]));
        assert!(!found(&[&format!("{good}; {good}")]));
        assert!(!found(&[&good, &good]));
        assert!(!found(&[&format!("$Version=1; {}", good.replace("__Host", "\u{2000}__Host"))]));
        assert!(!found(&[&good.replace("session=", "session =")]));
        assert!(!found(&[&good.replace("__Host", "__host")]));
        assert!(!found(&[&format!("{good}\t")]));
        assert!(!found(&[&format!("{SESSION}=\"{}\"", token.expose())]));
    }

    #[test]
    fn p_56_pending_sign_ins_are_bounded() {
        let ids: Vec<SignInHandle> = (0..4).map(|n| SignInHandle::from_bytes([n; 16])).collect();
        let cookie = set_pending_sign_ins(&ids, 600);
        let cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        assert_eq!(pending_sign_ins(&fields(&[&cookie]), 4), ids);
        assert_eq!(pending_sign_ins(&fields(&[&cookie]), 3), []);
        assert_eq!(pending_sign_ins(&fields(&[&format!("{cookie}.x")]), 8), []);
    }
}
