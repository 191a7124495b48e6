//! One canonical path: what rules are matched against is what the origin server receives (P-20).
//!
//! Canonical means: escapes of unreserved characters decoded, all others in upper-case hexadecimal, characters that
//! RFC 3986 forbids escaped. Nothing is merged or resolved: what could be read in two ways is refused, empty
//! segments (`//`) and doubly encoded octets among it.
use std::fmt::Write as _;

/// Longest path we look at; longer ones are refused.
pub const PATH_BYTES_MAX: usize = 8 * 1024;

/// A path in canonical form. Only [`canonical_path`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalPath {
    text: String,
    /// How a lenient origin server might read it, if that differs from `text`; see [`CanonicalPath::lenient`].
    lenient: Option<String>,
}

impl CanonicalPath {
    /// The path as it is matched and forwarded: begins with `/`, ASCII, without query.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path as origin servers read it that ignore case, cut `;parameters` off segments (servlet containers) or
    /// drop dots and spaces at a segment's end (Windows). Escapes are decoded: for comparison only, never forwarded.
    pub fn lenient(&self) -> &str {
        self.lenient.as_deref().unwrap_or(&self.text)
    }
}

/// Why a path was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    #[error("the path is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    #[error("a percent sign without two hexadecimal digits")]
    InvalidEscape,
    #[error("an escaped slash")]
    EncodedSlash,
    #[error("a backslash, raw or escaped")]
    Backslash,
    #[error("a control character, raw or escaped")]
    Control,
    #[error("an octet that is escaped twice")]
    DoubleEncoding,
    #[error("a dot segment")]
    DotSegment,
    #[error("an empty segment")]
    EmptySegment,
    #[error("a fragment or query mark within the path")]
    Delimiter,
    #[error("not UTF-8")]
    NotUtf8,
}

/// Brings a request target's path (without the query) into canonical form, or says why it has none.
pub fn canonical_path(raw: &str) -> Result<CanonicalPath, PathFault> {
    if raw.len() > PATH_BYTES_MAX {
        return Err(PathFault::TooLong);
    }
    let rest = raw.strip_prefix('/').ok_or(PathFault::NotAbsolute)?;
    if is_plain(raw) {
        return Ok(CanonicalPath { text: raw.to_owned(), lenient: None });
    }
    let mut text = String::with_capacity(raw.len() + 8);
    let mut lenient = String::new();
    let mut differs = false;
    let mut segments = rest.split('/').peekable();
    let mut decoded = Vec::new();
    while let Some(segment) = segments.next() {
        text.push('/');
        lenient.push('/');
        decoded.clear();
        let start = text.len();
        normalize(segment.as_bytes(), &mut text, &mut decoded)?;
        if has_escape(&decoded) {
            return Err(PathFault::DoubleEncoding);
        }
        // P-20 overlong UTF-8: a reader that is lenient there finds slashes and dots that we do not see.
        let plain = std::str::from_utf8(&decoded).map_err(|_| PathFault::NotUtf8)?;
        check_segment(plain, segments.peek().is_none())?;
        differs |= read_leniently(plain, text.get(start..).unwrap_or_default(), &mut lenient);
    }
    Ok(CanonicalPath { text, lenient: differs.then_some(lenient) })
}

/// Whether a path is its own canonical form and lenient reading at first sight: most are.
fn is_plain(raw: &str) -> bool {
    raw.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'/')) && !raw.contains("//")
}

/// Appends one segment's canonical form to `text` and its octets to `decoded`.
fn normalize(segment: &[u8], text: &mut String, decoded: &mut Vec<u8>) -> Result<(), PathFault> {
    let mut bytes = segment.iter().copied();
    while let Some(byte) = bytes.next() {
        let (octet, escaped) = match byte {
            b'%' => (escape(&mut bytes)?, true),
            b'#' | b'?' => return Err(PathFault::Delimiter),
            other => (other, false),
        };
        match octet {
            b'/' => return Err(PathFault::EncodedSlash),
            b'\\' => return Err(PathFault::Backslash),
            0..0x20 | 0x7f => return Err(PathFault::Control),
            _ => {}
        }
        decoded.push(octet);
        if is_unreserved(octet) || (!escaped && is_pchar(octet)) {
            text.push(char::from(octet));
        } else {
            write!(text, "%{octet:02X}").map_err(|_| PathFault::TooLong)?;
        }
    }
    Ok(())
}

/// Reads the two digits after a percent sign.
fn escape(bytes: &mut impl Iterator<Item = u8>) -> Result<u8, PathFault> {
    let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16)).ok_or(PathFault::InvalidEscape);
    let (high, low) = (digit()?, digit()?);
    u8::try_from(high << 4 | low).map_err(|_| PathFault::InvalidEscape)
}

/// Whether decoding once left an escape: `%252e` is harmless to us and a dot to whoever decodes twice.
fn has_escape(decoded: &[u8]) -> bool {
    decoded.windows(3).any(|w| matches!(w, [b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

/// Refuses dot segments, with parameters too (`..;x`), and empty segments other than the last.
fn check_segment(plain: &str, last: bool) -> Result<(), PathFault> {
    let name = plain.split(';').next().unwrap_or(plain);
    match name {
        "." | ".." => Err(PathFault::DotSegment),
        "" if !(last && plain.is_empty()) => Err(PathFault::EmptySegment),
        _ => Ok(()),
    }
}

/// Appends the lenient reading of a segment; `true` if it is another text than the canonical one.
fn read_leniently(plain: &str, canonical: &str, lenient: &mut String) -> bool {
    let start = lenient.len();
    let name = plain.split(';').next().unwrap_or(plain).trim_end_matches(['.', ' ']);
    if name.is_ascii() {
        lenient.extend(name.chars().map(|c| c.to_ascii_lowercase()));
    } else {
        // Up and down again: case-insensitive file systems hold `ſ` and `s`, or the Kelvin sign and `k`, for one letter.
        lenient.push_str(&name.to_uppercase().to_lowercase());
    }
    lenient.get(start..) != Some(canonical)
}

/// RFC 3986 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 3.3, without the unreserved ones and escapes.
fn is_pchar(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(raw: &str) -> Result<String, PathFault> {
        canonical_path(raw).map(|p| p.as_str().to_owned())
    }

    #[test]
    fn p20_canonical_forms() {
        for (raw, canonical_form) in [
            ("/", "/"),
            ("/a/b/", "/a/b/"),
            ("/%61dmin", "/admin"),
            ("/a%2db%5f%7E", "/a-b_~"),
            ("/a%20b", "/a%20b"),
            ("/a%3bb", "/a%3Bb"),
            ("/a;v=1/b", "/a;v=1/b"),
            ("/gr%c3%bcn", "/gr%C3%BCn"),
            ("/a|b\"<>{}[]^`", "/a%7Cb%22%3C%3E%7B%7D%5B%5D%5E%60"),
            ("/100%25", "/100%25"),
            ("/100%25zz", "/100%25zz"),
            ("/...", "/..."),
            ("/a..b", "/a..b"),
            ("/.well-known/x", "/.well-known/x"),
            ("/x@y:z,(1)", "/x@y:z,(1)"),
        ] {
            assert_eq!(canonical(raw).as_deref(), Ok(canonical_form), "{raw}");
        }
    }

    #[test]
    fn p20_refused_forms() {
        use PathFault::*;
        for (raw, fault) in [
            ("", NotAbsolute),
            ("admin", NotAbsolute),
            ("*", NotAbsolute),
            ("/public/..;/admin", DotSegment),
            ("/public/.;x/admin", DotSegment),
            ("/public/..%3bx/admin", DotSegment),
            ("/public/%2e%2e/admin", DotSegment),
            ("/public/.%2E/admin", DotSegment),
            ("/./admin", DotSegment),
            ("/admin/.", DotSegment),
            ("/admin/..", DotSegment),
            ("/public/..%2fadmin", EncodedSlash),
            ("/public%2F..%2fadmin", EncodedSlash),
            ("//admin", EmptySegment),
            ("/a//b", EmptySegment),
            ("/a/b//", EmptySegment),
            ("/;/admin", EmptySegment),
            ("/admin/;x", EmptySegment),
            ("/a\\b", Backslash),
            ("/a%5cb", Backslash),
            ("/a%5Cb", Backslash),
            ("/admin%00", Control),
            ("/admin%0a", Control),
            ("/admin%7f", Control),
            ("/a\tb", Control),
            ("/%c0%af", NotUtf8),
            ("/%c0%ae%c0%ae/admin", NotUtf8),
            ("/%ed%a0%80", NotUtf8),
            ("/%ff", NotUtf8),
            ("/%252e%252e/admin", DoubleEncoding),
            ("/%25%32%65", DoubleEncoding),
            ("/%252%65", DoubleEncoding),
            ("/%u002e", InvalidEscape),
            ("/a%", InvalidEscape),
            ("/a%2", InvalidEscape),
            ("/a%zz", InvalidEscape),
            ("/a%+1", InvalidEscape),
            ("/admin#/public", Delimiter),
            ("/a?b", Delimiter),
        ] {
            assert_eq!(canonical(raw), Err(fault), "{raw}");
        }
        assert_eq!(canonical(&format!("/{}", "a".repeat(PATH_BYTES_MAX))), Err(TooLong));
        assert!(canonical(&format!("/{}", "a".repeat(PATH_BYTES_MAX - 1))).is_ok());
    }

    #[test]
    fn p20_lenient_readings() {
        for (raw, lenient) in [
            ("/admin", "/admin"),
            ("/ADMIN/X", "/admin/x"),
            ("/admin;x=1/y", "/admin/y"),
            ("/admin%20", "/admin"),
            ("/admin.../x", "/admin/x"),
            ("/admin..;/x", "/admin/x"),
            ("/%e2%84%aaeys", "/keys"),
            ("/%c5%bfecret", "/secret"),
            ("/a%20b", "/a b"),
        ] {
            assert_eq!(canonical_path(raw).unwrap().lenient(), lenient, "{raw}");
        }
    }
}
