//! Names (XML Names 1.0 4): an NCName, or two of them with a colon between.

/// Whether `text` is an NCName, and so also whether it has the form of an xs:ID.
pub(in crate::saml) fn is_ncname(text: &str) -> bool {
    let start = text.bytes().next().map_or(0, |byte| CLASS[usize::from(byte)]) & START;
    // Names are short: one look-up for each byte is quicker than stopping early.
    let inner = text.bytes().fold(INNER, |all, byte| all & CLASS[usize::from(byte)]);
    (start != 0 && inner != 0) || (!text.is_ascii() && is_ncname_beyond_ascii(text))
}

/// Where the local part of a qualified name begins: 0 without a prefix. `None` if it is no QName.
#[inline]
pub(super) fn local_part(name: &str) -> Option<usize> {
    // In one pass as long as all is ASCII and valid.
    let mut local_at = 0;
    let mut wanted = START;
    for (at, byte) in name.bytes().enumerate() {
        if CLASS[usize::from(byte)] & wanted != 0 {
            wanted = INNER;
        } else if byte == b':' && wanted == INNER && local_at == 0 {
            local_at = at + 1;
            wanted = START;
        } else {
            return if byte.is_ascii() { None } else { local_part_beyond_ascii(name) };
        }
    }
    // A part without its first character is none.
    (wanted == INNER).then_some(local_at)
}

#[cold]
fn local_part_beyond_ascii(name: &str) -> Option<usize> {
    match name.split_once(':') {
        None => is_ncname(name).then_some(0),
        Some((prefix, local)) => (is_ncname(prefix) && is_ncname(local)).then_some(prefix.len() + 1),
    }
}

const START: u8 = 1;
const INNER: u8 = 2;

/// The classes of ASCII characters; a colon is in none.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let c = byte as u8;
        if c.is_ascii_alphabetic() || c == b'_' {
            class[byte] = START | INNER;
        } else if c.is_ascii_digit() || c == b'-' || c == b'.' {
            class[byte] = INNER;
        }
        byte += 1;
    }
    class
};

fn is_ncname_beyond_ascii(text: &str) -> bool {
    let start = |c: char| match c {
        '\0'..='\x7f' => c.is_ascii_alphabetic() || c == '_',
        _ => is_name_start(c),
    };
    let inner = |c: char| {
        start(c)
            || c.is_ascii_digit()
            || matches!(c, '-' | '.' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
    };
    text.chars().next().is_some_and(start) && text.chars().all(inner)
}

/// XML 1.0 (fifth edition) 2.3, NameStartChar beyond ASCII.
fn is_name_start(c: char) -> bool {
    matches!(c,
        '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}'
        | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}'
        | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ncnames() {
        for good in ["a", "_1", "Ünï", "a-b.c", "a\u{b7}"] {
            assert!(is_ncname(good), "{good}");
        }
        for bad in ["", "1a", "-a", "a:b", "a b", "a\u{d7}", "\u{d7}a", "é:a", "a/", "\u{b7}a"] {
            assert!(!is_ncname(bad), "{bad}");
        }
    }

    #[test]
    fn qnames() {
        assert_eq!(local_part("a"), Some(0));
        assert_eq!(local_part("saml:a"), Some(5));
        assert_eq!(local_part("é:a"), Some(3));
        assert_eq!(local_part("a:é"), Some(2));
        for bad in
            ["", ":", "a:", ":a", "a:b:c", "a:1", "1", "1:a", "a::b", "é:", ":é", "é:a:b", "é:1", "a b"]
        {
            assert_eq!(local_part(bad), None, "{bad}");
        }
    }
}
