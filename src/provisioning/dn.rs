//! Distinguished names (RFC 4514): directories send groups as `CN=octo-org,OU=Groups,DC=example,DC=com`, and the leaf of it
//! is what people call the group.

/// A value longer than this is no name of ours.
const DN_BYTES_MAX: usize = 1024;

/// The value of the first relative distinguished name, unescaped; `None` for what is no distinguished name, or whose first
/// part is of several values or is not text. The whole name is read, so that nothing is taken for the leaf of a name that a
/// directory would read otherwise. Blanks around separators are allowed as in RFC 2253, which many products still write.
pub(super) fn leaf(text: &str) -> Option<String> {
    if text.len() > DN_BYTES_MAX {
        return None;
    }
    let mut rest = text;
    let mut leaf = None;
    loop {
        let (part, after) = attribute(rest)?;
        match (leaf.is_none(), after.chars().next()) {
            // RFC 4514 2.2: several values of one entry, in no order that means anything.
            (true, Some('+')) => return None,
            (true, _) => leaf = Some(part),
            (false, _) => {}
        }
        match after.split_at_checked(1) {
            None => return leaf?,
            Some((_, next)) => rest = next,
        }
    }
}

/// RFC 4514 3, `attributeTypeAndValue`: its value (`None` for one in hexadecimal) and the rest, which is empty or begins
/// with a separator.
fn attribute(text: &str) -> Option<(Option<String>, &str)> {
    let (kind, value) = text.split_once('=')?;
    if !is_type(kind.trim_matches(' ')) {
        return None;
    }
    let value = value.trim_start_matches(' ');
    match value.strip_prefix('#') {
        Some(hex) => {
            let end = hex.find(is_separator).unwrap_or(hex.len());
            let (digits, rest) = hex.split_at(end);
            let digits = digits.trim_end_matches(' ');
            let whole = !digits.is_empty() && digits.len().is_multiple_of(2);
            (whole && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some((None, rest))
        }
        None => string(value).map(|(value, rest)| (Some(value), rest)),
    }
}

/// RFC 4512 1.4: a `descr` such as `CN`, or a numeric object identifier.
fn is_type(kind: &str) -> bool {
    let is_word = kind.starts_with(|c: char| c.is_ascii_alphabetic())
        && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_oid = kind.contains('.')
        && kind.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()));
    is_word || is_oid
}

fn is_separator(c: char) -> bool {
    matches!(c, ',' | '+')
}

/// RFC 4514 2.4 and 3, `string`: undoes the escapes. Blanks at the end that are not escaped are not part of it.
fn string(text: &str) -> Option<(String, &str)> {
    let mut value = vec![];
    // How much of `value` stands whatever follows: up to the last character that is no bare blank.
    let mut kept = 0;
    let mut rest = text;
    loop {
        let mut ahead = rest.chars();
        let Some(c) = ahead.next().filter(|c| !is_separator(*c)) else { break };
        rest = ahead.as_str();
        match c {
            '\\' => {
                let (byte, after) = escaped(rest)?;
                value.push(byte);
                rest = after;
                kept = value.len();
            }
            '"' | ';' | '<' | '>' | '\0' => return None,
            ' ' => value.push(b' '),
            other => {
                value.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                kept = value.len();
            }
        }
    }
    value.truncate(kept);
    String::from_utf8(value).ok().map(|value| (value, rest))
}

/// What stands after a backslash: a special character, or a byte in hexadecimal.
fn escaped(text: &str) -> Option<(u8, &str)> {
    let (first, after) = text.split_at_checked(1)?;
    match first.as_bytes() {
        [byte @ (b' ' | b'#' | b'=' | b'\\' | b'"' | b'+' | b',' | b';' | b'<' | b'>')] => {
            Some((*byte, after))
        }
        _ => {
            let (pair, after) = text.split_at_checked(2)?;
            let is_pair = pair.bytes().all(|b| b.is_ascii_hexdigit());
            u8::from_str_radix(pair, 16).ok().filter(|_| is_pair).map(|byte| (byte, after))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves() {
        for (dn, expected) in [
            ("cn=octo-org,ou=groups,dc=example,dc=com", "octo-org"),
            ("CN=Octo-Org, OU=Groups, DC=example, DC=com", "Octo-Org"),
            ("cn = octo-org , ou=groups", "octo-org"),
            ("2.5.4.3=octo-org,dc=example", "octo-org"),
            ("cn=octo-org", "octo-org"),
            (r"cn=a\,b,ou=c", "a,b"),
            (r"cn=a\2cb,ou=c", "a,b"),
            (r"cn=a\+b\=c\#\\\22\;\<\>,ou=c", "a+b=c#\\\";<>"),
            (r"cn=\ a\ ,ou=c", " a "),
            (r"cn=a\20 ,ou=c", "a "),
            (r"cn=\#a,ou=c", "#a"),
            (r"CN=Lu\C4\8Di\C4\87", "Lučić"),
            ("cn=Lučić,ou=Büro", "Lučić"),
            ("cn=a b  c,ou=d", "a b  c"),
            ("cn=a=b,ou=c", "a=b"),
            ("cn=,ou=c", ""),
            ("cn=a,ou=b+l=c,dc=d", "a"),
            ("cn=a,x=#04024869,dc=d", "a"),
        ] {
            assert_eq!(leaf(dn).as_deref(), Some(expected), "{dn}");
        }
    }

    #[test]
    fn what_is_no_name_or_has_no_one_leaf() {
        for text in [
            "",
            "octo-org",
            "=octo-org",
            "cn octo=a",
            "1a=octo-org",
            "2..3=octo-org",
            ".=a",
            "cn=octo-org,",
            "cn=octo-org,,ou=a",
            "cn=octo-org,ou",
            "cn=octo-org;ou=a",
            "cn=octo-org<a",
            "cn=\"octo-org\",ou=a",
            "cn=octo-org\0",
            r"cn=octo-org\",
            r"cn=octo-org\4",
            r"cn=octo-org\+4\g1",
            r"cn=a\+1\x,ou=b",
            r"cn=\ff,ou=a",
            r"cn=\é,ou=a",
            "cn=octo-org+uid=a,ou=b",
            "cn=#04024869,ou=a",
            "cn=#0,ou=a",
            "cn=a,x=#zz",
            "cn=a,x=#",
        ] {
            assert_eq!(leaf(text), None, "{text}");
        }
        let long = format!("cn=a,ou={}", "b".repeat(DN_BYTES_MAX));
        assert_eq!(leaf(&long), None);
        assert!(leaf(&long[..DN_BYTES_MAX]).is_some());
    }

    #[test]
    fn what_is_escaped_does_not_end_the_leaf() {
        assert_eq!(leaf(r"cn=evil\,cn=octo-org,dc=a").as_deref(), Some("evil,cn=octo-org"));
        assert_eq!(leaf(r"cn=evil\2ccn\3docto-org,dc=a").as_deref(), Some("evil,cn=octo-org"));
        assert_eq!(leaf(r"cn=evil\\,cn=octo-org").as_deref(), Some(r"evil\"));
    }
}
