//! Our cookies, read byte for byte (P-50).
use http::{HeaderMap, header};

use crate::domain::SessionToken;

/// Holds the session's token.
pub const SESSION_COOKIE: &str = "__Host-portcullis-session";

/// The session's token: `None` unless exactly one cookie has exactly our name and a token's form.
pub fn session_token(fields: &HeaderMap) -> Option<SessionToken> {
    let mut found = None;
    for line in fields.get_all(header::COOKIE) {
        for pair in line.as_bytes().split(|byte| *byte == b';') {
            let pair = pair.strip_prefix(b" ").unwrap_or(pair);
            let Some(value) = pair.strip_prefix(SESSION_COOKIE.as_bytes()) else { continue };
            let Some(value) = value.strip_prefix(b"=") else { continue };
            if found.replace(value).is_some() {
                return None;
            }
        }
    }
    SessionToken::parse(std::str::from_utf8(found?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p50_exactly_one_byte_exact_cookie() {
        let token = SessionToken::from_random([7; 32]);
        let ours = format!("{SESSION_COOKIE}={}", token.expose());
        let read = |lines: &[String]| {
            let mut fields = HeaderMap::new();
            lines.iter().for_each(|line| _ = fields.append(header::COOKIE, line.parse().unwrap()));
            session_token(&fields).map(|token| token.expose().to_owned())
        };
        let value = Some(token.expose().to_owned());
        assert_eq!(read(std::slice::from_ref(&ours)), value);
        assert_eq!(read(&[format!("a=1; {ours}; b=2")]), value);
        assert_eq!(read(&["a=1".into(), ours.clone()]), value);
        for lines in [
            vec![],
            vec![format!("{ours}; {ours}")],
            vec![ours.clone(), ours.clone()],
            vec![format!("{ours}; {SESSION_COOKIE}=")],
            vec![ours.to_lowercase()],
            vec![format!("a=1;  {ours}")],
            vec![format!("a=1;\t{ours}")],
            vec![ours.replace('=', " =")],
            vec![ours.replace('=', "=\"") + "\""],
            vec![format!("$Version=1; $Path=/; x{ours}")],
        ] {
            assert_eq!(read(&lines), None, "{lines:?}");
        }
    }
}
