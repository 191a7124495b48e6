//! The raw scan, before any parser: encoding, declarations, forbidden characters.
use crate::saml::{
    Reason, Refusal,
    guard::{Guard, stands},
};

/// Checks the octets of a message and returns the text from its root element on, the XML declaration cut off.
///
/// A DTD can hide only behind an encoding, so UTF-8 comes first (S-60, S-61); what is left may hold `<!` only as a comment
/// or CDATA, and no processing instruction but a leading XML declaration (S-21).
pub(in crate::saml) fn scan(octets: &[u8]) -> Result<&str, Refusal> {
    let text = match std::str::from_utf8(octets) {
        Err(error) if stands(Guard::Utf8) => return Err(Refusal::at(Reason::NotUtf8, error.valid_up_to())),
        text => text.unwrap_or_default(),
    };
    if stands(Guard::ByteOrderMark) && text.starts_with('\u{feff}') {
        return Err(Refusal::at(Reason::NotUtf8, 0));
    }
    check_characters(octets)?;
    let text = without_declaration(text)?;
    check_markup(text)?;
    Ok(text)
}

/// Of what begins with `<?` and `<!`, only comments and CDATA sections; an instruction is named before a declaration.
fn check_markup(text: &str) -> Result<(), Refusal> {
    let octets = text.as_bytes();
    let mut declaration = None;
    // Both marks are rare in texts, unlike `<`.
    for mark in memchr::memchr2_iter(b'?', b'!', octets) {
        let at = mark.saturating_sub(1);
        match octets.get(at..).unwrap_or_default() {
            [b'<', b'?', ..] if stands(Guard::ProcessingInstructions) => {
                return Err(Refusal::at(Reason::ProcessingInstruction, at));
            }
            rest if rest.starts_with(b"<!--") || rest.starts_with(b"<![CDATA[") => {}
            [b'<', b'!', ..] if stands(Guard::MarkupDeclarations) => declaration = declaration.or(Some(at)),
            _ => {}
        }
    }
    declaration.map_or(Ok(()), |at| Err(Refusal::at(Reason::MarkupDeclaration, at)))
}

/// XML 1.0 2.2: only what `Char` lists.
pub(super) fn check_characters(octets: &[u8]) -> Result<(), Refusal> {
    // Most messages hold nothing below U+0020 at all, which is quicker to see.
    let low = octets.iter().fold(false, |found, byte| found | (*byte < 0x20));
    let control = low && octets.iter().any(|byte| is_control(*byte));
    let noncharacter = has_noncharacter(octets);
    if (control && stands(Guard::ControlCharacters)) || (noncharacter && stands(Guard::Noncharacters)) {
        return Err(Reason::CharacterForbidden.into());
    }
    Ok(())
}

/// XML 1.0 2.2: of the characters below U+0020 only tab, line feed and carriage return.
fn is_control(byte: u8) -> bool {
    byte < 0x20 && byte != b'\t' && byte != b'\n' && byte != b'\r'
}

/// U+FFFE and U+FFFF, the other characters outside XML's `Char` that UTF-8 can say.
fn has_noncharacter(octets: &[u8]) -> bool {
    memchr::memchr_iter(0xef, octets)
        .any(|at| matches!(octets.get(at + 1..at + 3), Some([0xbf, 0xbe | 0xbf])))
}

/// Cuts off a leading XML declaration after reading it strictly.
fn without_declaration(text: &str) -> Result<&str, Refusal> {
    let Some(declaration) = text.strip_prefix("<?xml") else {
        return Ok(text);
    };
    let wrong = || Refusal::at(Reason::XmlDeclaration, 0);
    let (declaration, rest) = declaration.split_once("?>").ok_or_else(wrong)?;
    let mut left = declaration;
    let version = pseudo_attribute(&mut left, "version").ok_or_else(wrong)?;
    let encoding = pseudo_attribute(&mut left, "encoding");
    let standalone = pseudo_attribute(&mut left, "standalone");
    let allowed = version == "1.0"
        && encoding.is_none_or(|name| name.eq_ignore_ascii_case("utf-8"))
        && standalone.is_none_or(|value| value == "yes" || value == "no")
        && left.trim_matches(is_space).is_empty();
    if !allowed && stands(Guard::XmlDeclaration) {
        return Err(wrong()
            .expected("version 1.0, encoding UTF-8")
            .found(declaration.trim_matches(is_space)));
    }
    Ok(rest)
}

/// Takes ` name = "value"` off the front of `left`.
fn pseudo_attribute<'a>(left: &mut &'a str, name: &str) -> Option<&'a str> {
    let trimmed = left.trim_start_matches(is_space);
    if trimmed.len() == left.len() {
        return None;
    }
    let value = trimmed.strip_prefix(name)?.trim_start_matches(is_space).strip_prefix('=')?;
    let value = value.trim_start_matches(is_space);
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (value, rest) = value.get(1..)?.split_once(quote)?;
    *left = rest;
    Some(value)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(octets: &[u8]) -> Option<Reason> {
        scan(octets).err().map(|refusal| refusal.reason)
    }

    #[test]
    fn s_61_only_utf8() {
        assert_eq!(reason(b"<a>\xff</a>"), Some(Reason::NotUtf8));
        assert_eq!(reason(b"\xef\xbb\xbf<a/>"), Some(Reason::NotUtf8));
        let utf16: Vec<u8> = "<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(reason(&utf16), Some(Reason::CharacterForbidden));
        for good in [
            "<?xml version=\"1.0\"?><a/>",
            "<?xml version='1.0' encoding='utf-8'?><a/>",
            "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\" ?><a/>",
        ] {
            assert_eq!(scan(good.as_bytes()).unwrap(), "<a/>");
        }
        for bad in [
            "<?xml version=\"1.1\"?><a/>",
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a/>",
            "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a/>",
            "<?xml encoding=\"UTF-8\"?><a/>",
            "<?xml version=\"1.0\"encoding=\"UTF-8\"?><a/>",
            "<?xml version=\"1.0\" x=\"y\"?><a/>",
            "<?xmlfoo?><a/>",
            "<?xml",
        ] {
            assert_eq!(reason(bad.as_bytes()), Some(Reason::XmlDeclaration), "{bad}");
        }
    }

    #[test]
    fn s_60_and_s_21_no_declaration_and_no_instruction() {
        for bad in
            ["<!DOCTYPE a><a/>", "<a><!ENTITY x 'y'></a>", "<!doctype a><a/>", "<a><![cdata[]]></a>", "<a><!"]
        {
            assert_eq!(reason(bad.as_bytes()), Some(Reason::MarkupDeclaration), "{bad}");
        }
        for bad in
            ["<a><?p x?></a>", "<a/><?p?>", " <?xml version='1.0'?><a/>", "<!DOCTYPE a><?p?><a/>", "<?"]
        {
            assert_eq!(reason(bad.as_bytes()), Some(Reason::ProcessingInstruction), "{bad}");
        }
        assert!(scan(b"<a><!-- c --><![CDATA[x]]>?! ?></a>").is_ok());
        assert!(scan(b"!<a>").is_ok(), "not for this scan");
    }

    #[test]
    fn forbidden_characters() {
        for bad in [&b"<a>\0</a>"[..], b"<a>\x1b</a>", b"<a>\xef\xbf\xbe</a>", b"<a>\xef\xbf\xbf</a>"] {
            assert_eq!(reason(bad), Some(Reason::CharacterForbidden));
        }
        assert!(scan("<a>\t\r\n\u{7f}\u{fffd}</a>".as_bytes()).is_ok());
    }
}
