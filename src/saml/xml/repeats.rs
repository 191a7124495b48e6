//! Elements that repeat the last one of their depth: the same start tag, one text, the end tag.
//!
//! A message says `<saml:AttributeValue>…</saml:AttributeValue>` hundreds of times. A token ends where its own octets say so,
//! whatever follows, so octets that were read as a start tag once are the same start tag wherever a tag may begin; with
//! the same bindings around it, it means the same. The text holds nothing but characters that stand for themselves, and
//! the end tag is compared octet for octet. What is unlike that in any way is left to the tokenizer.
use super::{
    builder::Builder,
    find::first_of,
    tape::{Kind, Node},
};
use crate::saml::Refusal;

/// [`Builder::repeat_elements`]; the tests put nothing in its place.
pub(super) trait Repeats<'s>: Fn(&mut Builder<'s>, usize) -> Result<usize, Refusal> {}

impl<'s, F: Fn(&mut Builder<'s>, usize) -> Result<usize, Refusal>> Repeats<'s> for F {}

impl Builder<'_> {
    /// Reads such elements from `start` on, where a token begins, as the tokenizer and this builder would, and gives the
    /// end of the last one: `start` if there is none.
    pub fn repeat_elements(&mut self, start: usize) -> Result<usize, Refusal> {
        let again = |known: &&Node| self.rest(start).starts_with(self.spelled(known));
        let Some(known) = self.repeated().filter(again).copied() else { return Ok(start) };
        let tag = self.spelled(&known);
        let name = self.name_of(&known).as_bytes();
        if tag.ends_with(b"/>") {
            return Ok(start);
        }
        let mut at = start;
        // Every round reads a tag.
        while let Some(text_len) = text_between(self.rest(at), tag, name) {
            self.check_place(at)?;
            let (text, close) = (at + tag.len(), at + tag.len() + text_len);
            let end = close + "</>".len() + name.len();
            let element = known.moved_to(at, text, self.len());
            // Behind its text.
            let after = element.after + 1;
            let (close_start, end_offset) = (close as u32, end as u32);
            self.push(Node { close_start, end: end_offset, after, close_plain: true, ..element })?;
            self.push(Node::leaf(Kind::Text, true, text, close, self.len()))?;
            at = end;
        }
        Ok(at)
    }
}

/// The length of the text if `rest` begins with `tag`, a text and the end tag of `name`. `None` also if the text is empty
/// or holds something that is no character data (`&`) or may be none (`]`, `>`) or is read as another (CR).
#[inline]
fn text_between(rest: &[u8], tag: &[u8], name: &[u8]) -> Option<usize> {
    let rest = rest.strip_prefix(tag)?;
    let text_len = first_of(rest, [b'<', b'&', b'>', b'\r', b']'], 0).filter(|length| *length > 0)?;
    let close = rest.get(text_len..)?;
    let closed = close.strip_prefix(b"</")?.strip_prefix(name)?.first() == Some(&b'>');
    closed.then_some(text_len)
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select, test_runner::TestCaseError};

    use super::*;
    use crate::saml::xml::{parse::parse_with, reread::reread_with};

    /// Whether both passes give the same tape, or the same refusal, as without this file.
    fn agree(source: &str) -> Result<(), TestCaseError> {
        let alone = |_: &mut Builder<'_>, at: usize| Ok(at);
        let first = [parse_with(source, Builder::repeat_elements), parse_with(source, alone)];
        let second = [reread_with(source, Builder::repeat_elements), reread_with(source, alone)];
        for [with, without] in [first, second].map(|pair| pair.map(|tape| format!("{tape:?}"))) {
            prop_assert_eq!(with, without, "{}", source);
        }
        Ok(())
    }

    /// What may be next to a repeated element, or make one that is none.
    const PIECES: &[&str] = &[
        "<a>",
        "</a>",
        "<a>t</a>",
        "<a>u</a>",
        "<a></a>",
        "<a/>",
        "<a b=\"1\">t</a>",
        "<a b=\"1\">",
        "<a b=\"2\">",
        "<a b='/'>t</a>",
        "<p:a>t</p:a>",
        "<p:a>",
        "</p:a>",
        "<p:a xmlns:p=\"urn:q\">",
        "<a xmlns=\"urn:b\">t</a>",
        "<a>&amp;</a>",
        "<a>]</a>",
        "<a>]]></a>",
        "<a>></a>",
        "<a>\r</a>",
        "<a>t</a >",
        "<a>t</ab>",
        "<a>é</a>",
        "t",
        " ",
        "&amp;",
        "&",
        "<!-- c -->",
        "<a>t<!-- c --></a>",
        "<![CDATA[<a>t</a>]]>",
        "<a>t",
        "</",
        "<",
        "<a",
        "<a b=\"<a>t</a>",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn tokens_are_read_as_the_tokenizer_reads_them(pieces in prop::collection::vec(select(PIECES), 0..12)) {
            agree(&format!("<p:r xmlns:p=\"urn:p\">{}</p:r>", pieces.concat()))?;
            agree(&pieces.concat())?;
        }

        #[test]
        fn well_formed_trees_too(pieces in prop::collection::vec(select(&PIECES[2..7]), 1..12), at in 0_usize..300) {
            let inner = pieces.concat();
            let source = format!("<r><s>{inner}</s><s>{inner}</s><s b=\"1\">{inner}</s>{inner}</r>");
            prop_assert!(parse_with(&source, Builder::repeat_elements).is_ok());
            agree(&source)?;
            // Without one of its octets.
            let mut cut = source;
            if at < cut.len() {
                cut.remove(at);
            }
            agree(&cut)?;
        }
    }

    /// What looks repeated and is not.
    #[test]
    fn an_empty_element_or_another_scope_is_no_repetition() {
        let source = "<r><s><a/></s><s><a/>t</a></s></r>";
        let refused = parse_with(source, Builder::repeat_elements).map_err(|refusal| refusal.reason);
        assert_eq!(refused.err(), Some(crate::saml::Reason::NotWellFormed));
        agree(source).unwrap();
        let source = "<r><s xmlns:p=\"urn:1\"><p:a>t</p:a></s><s xmlns:p=\"urn:2\"><p:a>t</p:a></s></r>";
        let same = source.replace("urn:2", "urn:1");
        for (source, expected) in [(source, ["urn:1", "urn:2"]), (&same, ["urn:1", "urn:1"])] {
            for tape in
                [parse_with(source, Builder::repeat_elements), reread_with(source, Builder::repeat_elements)]
            {
                let tape = tape.unwrap();
                let named = tape.elements().filter(|id| tape.local(*id) == "a");
                let namespaces: Vec<_> = named.map(|id| tape.namespace_name(tape.namespace(id))).collect();
                assert_eq!(namespaces, expected);
            }
            agree(source).unwrap();
        }
    }

    #[test]
    fn caps_hold_for_repeated_elements() {
        let many = format!("<r>{}</r>", "<a>t</a>".repeat(crate::saml::limits::NODES_MAX));
        let refused = parse_with(&many, Builder::repeat_elements).map_err(|refusal| refusal.reason);
        assert_eq!(refused.err(), Some(crate::saml::Reason::NodesExceeded));
        agree(&many).unwrap();
        agree("<a>t</a><a>t</a>").unwrap();
    }
}
