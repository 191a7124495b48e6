//! The second pass, over octets that [`super::Canonicalizer`] wrote.
//!
//! Canonical XML has one spelling for everything, so this tokenizer knows only that one and refuses every other: no
//! comment, CDATA section, processing instruction, declaration or empty-element tag, only double quotes and single
//! blanks, no bare `>` or carriage return in a text. What the tokens mean, [`Builder`] decides as in the first pass.
use super::{
    builder::Builder,
    find::first_of,
    repeats::Repeats,
    scan::check_characters,
    tape::{Kind, Tape},
    text,
};
use crate::saml::{Reason, Refusal};

/// Parses a canonical form, as strictly as [`super::scan`] and [`super::parse`] and more.
pub(in crate::saml) fn reread(source: &str) -> Result<Tape<'_>, Refusal> {
    reread_with(source, Builder::repeat_elements)
}

pub(super) fn reread_with<'s>(source: &'s str, repeats: impl Repeats<'s>) -> Result<Tape<'s>, Refusal> {
    check_characters(source.as_bytes())?;
    let mut pass = Pass { source, builder: Builder::of_canonical(source) };
    let mut at = 0;
    // Every token is at least one byte long.
    while let Some(byte) = source.as_bytes().get(at) {
        at = match byte {
            b'<' if source.as_bytes().get(at + 1) == Some(&b'/') => pass.end_tag(at)?,
            b'<' => match repeats(&mut pass.builder, at)? {
                end if end > at => end,
                _ => pass.start_tag(at)?,
            },
            b'&' => pass.reference(at)?,
            _ => pass.text(at)?,
        };
    }
    pass.builder.finish()
}

struct Pass<'s> {
    source: &'s str,
    builder: Builder<'s>,
}

/// Each reads the token at `at` and gives its end.
impl<'s> Pass<'s> {
    fn rest(&self, at: usize) -> &'s [u8] {
        self.source.as_bytes().get(at..).unwrap_or_default()
    }

    fn start_tag(&mut self, at: usize) -> Result<usize, Refusal> {
        if let Some(end) = self.builder.repeat_tag(at)? {
            return Ok(end);
        }
        let rest = self.rest(at);
        let close = tag_end(rest).ok_or_else(|| malformed(at))?;
        let inner = rest.get(1..close).unwrap_or_default();
        // C14N 1.0 2.1: an empty element is written as a start tag and an end tag.
        if inner.last() == Some(&b'/') {
            return Err(malformed(at));
        }
        let name_len = first_of(inner, [b' '], 0).unwrap_or(inner.len());
        let end = at + close + 1;
        self.builder.start_tag(at, end, name_len, false)?;
        Ok(end)
    }

    /// XML 1.0 3, Element Type Match: the name is the one of the innermost open element.
    fn end_tag(&mut self, at: usize) -> Result<usize, Refusal> {
        let name = self.builder.open_name().ok_or_else(|| malformed(at))?.as_bytes();
        let end = at + "</".len() + name.len() + 1;
        let after = self.rest(at + "</".len()).strip_prefix(name).and_then(<[u8]>::first);
        if after != Some(&b'>') {
            return Err(malformed(at));
        }
        self.builder.end_tag(at, end);
        Ok(end)
    }

    fn reference(&mut self, at: usize) -> Result<usize, Refusal> {
        let rest = self.source.get(at + 1..).unwrap_or_default();
        let name = rest.split_once(';').map(|(name, _)| name).filter(|name| text::reference(name).is_some());
        let name = name.ok_or_else(|| Refusal::at(Reason::ReferenceInvalid, at))?;
        let end = at + name.len() + "&;".len();
        self.builder.leaf(Kind::Reference, false, at, end)?;
        Ok(end)
    }

    fn text(&mut self, at: usize) -> Result<usize, Refusal> {
        let rest = self.rest(at);
        let length = memchr::memchr2(b'<', b'&', rest).unwrap_or(rest.len());
        let text = rest.get(..length).unwrap_or_default();
        // C14N 1.0 2.3, Text Nodes: `>` and CR are written as references.
        if memchr::memchr2(b'>', b'\r', text).is_some() {
            return Err(malformed(at));
        }
        self.builder.leaf(Kind::Text, true, at, at + length)?;
        Ok(at + length)
    }
}

/// The place of the `>` that ends the tag `rest` begins with: the first one outside of quotes.
#[inline]
fn tag_end(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    // Every round reads a value.
    loop {
        at += first_of(rest.get(at..)?, [b'>', b'"'], 0)?;
        if rest.get(at) == Some(&b'>') {
            return Some(at);
        }
        at += 1;
        at += first_of(rest.get(at..)?, [b'"'], 0)? + 1;
    }
}

fn malformed(at: usize) -> Refusal {
    Refusal::at(Reason::NotWellFormed, at).expected("canonical XML")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saml::xml::parse;

    fn reason(source: &str) -> Option<Reason> {
        reread(source).err().map(|refusal| refusal.reason)
    }

    /// Canonical forms, with everything that may stand in one.
    const CANONICAL: &[&str] = &[
        "<a></a>",
        "<a>b ]] c</a>",
        "<a b=\"c>'\" d=\"&amp;&lt;&quot;&#x9;&#xA;&#xD;\">&amp;&lt;&gt;&#xD;\n\t x</a>",
        "<p:a xmlns:p=\"urn:p\" p:b=\"\"><p:c>é</p:c><p:c>f</p:c><c xmlns=\"urn:d\"><c></c></c><c></c></p:a>",
        "<a><b x=\"1\"><c>1</c><c>2</c></b><b x=\"1\"><c>3</c></b><b x=\"2\"><c>4</c></b></a>",
        "<a xmlns=\"urn:x\"><b xmlns=\"urn:y\"><c></c></b><b xmlns=\"urn:z\"><c></c></b><b><c></c></b></a>",
    ];

    #[test]
    fn both_passes_read_the_same() {
        for source in CANONICAL {
            let (first, second) = (parse(source).unwrap(), reread(source).unwrap());
            let described = |tape: &Tape<'_>| {
                let nodes: Vec<_> = tape.elements().map(|id| describe(tape, id)).collect();
                (nodes, tape.nodes.iter().map(|node| (node.kind, node.start, node.end)).collect::<Vec<_>>())
            };
            assert_eq!(described(&first), described(&second), "{source}");
        }
    }

    fn describe(tape: &Tape<'_>, id: super::super::NodeId) -> String {
        let attributes: Vec<_> =
            tape.attributes(id).iter().map(|a| (a.namespace, a.local(), a.value())).collect();
        let children: Vec<_> = tape.children(id).collect();
        format!(
            "{} {:?} {attributes:?} {children:?} {:?}",
            tape.namespace_name(tape.namespace(id)),
            tape.local(id),
            tape.text(id)
        )
    }

    #[test]
    fn every_cut_is_refused() {
        for source in CANONICAL {
            for cut in (0..source.len()).filter(|cut| source.is_char_boundary(*cut)) {
                assert!(reread(&source[..cut]).is_err(), "{}", &source[..cut]);
            }
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for bad in [
            "<a/>",
            "<a b=\"\"/>",
            "<a ></a>",
            "<a></a >",
            "<a b='c'></a>",
            "<a b='>'></a>",
            "<a b='\"'>\"></a>",
            "<a  b=\"c\"></a>",
            "<a b =\"c\"></a>",
            "<a\tb=\"c\"></a>",
            "<a\nb=\"c\"></a>",
            "<a b=\"c\" ></a>",
            "<a>></a>",
            "<a>\r</a>",
            "<a>]]></a>",
            "<a><!-- b --></a>",
            "<a><!--></a>",
            "<a><![CDATA[b]]></a>",
            "<a><?b?></a>",
            "<?xml version=\"1.0\"?><a></a>",
            "<a></b>",
            "<a></ab>",
            "<ab></a>",
            "</a>",
            "<>",
            "<></>",
        ] {
            assert_eq!(reason(bad), Some(Reason::NotWellFormed), "{bad}");
        }
        for bad in ["<a></a><a></a>", "<a></a>b", "<a></a>\n", " <a></a>", "<a></a>&amp;"] {
            assert_eq!(reason(bad), Some(Reason::ContentOutsideRoot), "{bad}");
        }
        for bad in ["<a>&b;</a>", "<a>&</a>", "<a>&amp</a>", "<a>&#0;</a>", "<a b=\"&c;\"></a>"] {
            assert_eq!(reason(bad), Some(Reason::ReferenceInvalid), "{bad}");
        }
        for bad in ["<a>\u{1}</a>", "<a b=\"\u{ffff}\"></a>"] {
            assert_eq!(reason(bad), Some(Reason::CharacterForbidden), "{bad}");
        }
        for bad in ["\u{feff}<a></a>", "<!DOCTYPE a><a></a>", "<a><!ENTITY></a>"] {
            assert!(reason(bad).is_some(), "{bad}");
        }
        assert_eq!(reason("<p:a></p:a>"), Some(Reason::PrefixUnbound));
        assert_eq!(reason("<a b=\"\" b=\"\"></a>"), Some(Reason::AttributeDuplicate));
    }
}
