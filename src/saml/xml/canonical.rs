//! Exclusive XML Canonicalization 1.0 without comments, of one element of a [`Tape`].
//!
//! Most of a message is canonical as it stands, so this walks the nodes and copies runs of source between the places
//! that must change: start tags to which declarations are added, unusual spellings, comments, the omitted signature.
//! A fault here shows as a digest that does not match; what was digested is what is read (see [`super::reread`]).
use std::{borrow::Cow, cmp::Ordering, ops::Range};

use super::{
    tape::{Attribute, Binding, Kind, Node, NodeId, Tape},
    text,
};
use crate::saml::{
    Reason, Refusal,
    guard::{Guard, stands},
    limits::{CANONICAL_BYTES_MAX, PREFIX_LIST_MAX},
};

/// The prefixes of an `InclusiveNamespaces` PrefixList, the default namespace as the empty one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::saml) struct PrefixList(Vec<String>);

impl PrefixList {
    /// Reads the attribute's value (Exclusive C14N 1.0, 3); `None` if it holds too many or something that is no prefix.
    pub fn read(list: &str) -> Option<Self> {
        let mut prefixes = vec![];
        for token in list.split_ascii_whitespace() {
            let prefix = if token == "#default" { "" } else { token };
            let full = stands(Guard::PrefixListLength) && prefixes.len() >= PREFIX_LIST_MAX;
            if full || !(prefix.is_empty() || super::is_ncname(prefix)) {
                return None;
            }
            prefixes.push(prefix.to_owned());
        }
        Some(Self(prefixes))
    }
}

/// Writes canonical forms; its buffers serve all elements of a message.
#[derive(Debug, Default)]
pub(in crate::saml) struct Canonicalizer {
    /// The bindings that the output has in force, innermost last.
    rendered: Vec<u32>,
    open: Vec<Open>,
    /// The places of a tag's attributes in canonical order.
    order: Vec<usize>,
    last: LastTag,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    id: u32,
    /// The first node that is no descendant.
    after: u32,
    scope: u32,
    /// How many bindings were rendered outside of it.
    rendered: usize,
}

/// The last start tag that was looked at. One of the same octets in the same parent comes out the same.
#[derive(Debug, Default)]
struct LastTag {
    /// The parent and the [`Node::tag`]; `None` for the apex.
    place: Option<(u32, u32)>,
    /// The bindings that it renders.
    rendered: Vec<u32>,
    /// Where it was written; `None` if the source has it as it must be.
    written: Option<Range<usize>>,
}

impl Canonicalizer {
    /// Appends the canonical form of `apex` to `out`, without the element `omitted`.
    pub fn write(
        &mut self,
        tape: &Tape<'_>,
        apex: NodeId,
        omitted: Option<NodeId>,
        prefixes: &PrefixList,
        out: &mut String,
    ) -> Result<(), Refusal> {
        let Some(top) = tape.node(apex).copied() else { return Ok(()) };
        self.rendered.clear();
        self.rendered.push(Binding::UNPREFIXED);
        self.open.clear();
        self.last.place = None;
        let mut copy = Copy { source: tape.source, copied: top.start, out };
        let mut next = apex.0;
        while next < top.after {
            self.close_before(next, tape, &mut copy);
            let Some(node) = tape.node(NodeId(next)) else { break };
            if omitted == Some(NodeId(next)) {
                copy.replace(node.start, node.end);
                next = node.after;
                continue;
            }
            match node.kind {
                Kind::Element => self.start_tag(tape, next, prefixes, &mut copy),
                Kind::Text if node.plain => {}
                Kind::Comment => copy.replace(node.start, node.end),
                kind => {
                    copy.replace(node.start, node.end);
                    escape_text(&text::character_data(kind, tape.slice(node.start, node.end)), copy.out);
                }
            }
            if stands(Guard::CanonicalSize) && copy.out.len() > CANONICAL_BYTES_MAX {
                return Err(Refusal::at(Reason::CanonicalTooLarge, node.start as usize));
            }
            next += 1;
        }
        self.close_before(top.after, tape, &mut copy);
        copy.up_to(top.end);
        match copy.out.len() > CANONICAL_BYTES_MAX && stands(Guard::CanonicalSize) {
            true => Err(Reason::CanonicalTooLarge.into()),
            false => Ok(()),
        }
    }

    /// Closes the elements that end before the node at `next`.
    fn close_before(&mut self, next: u32, tape: &Tape<'_>, copy: &mut Copy<'_>) {
        while let Some(open) = self.open.pop_if(|open| open.after <= next) {
            self.rendered.truncate(open.rendered);
            let Some(node) = tape.node(NodeId(open.id)).filter(|node| !node.close_plain) else { continue };
            copy.replace(node.close_start, node.end);
            copy.out.push_str("</");
            copy.out.push_str(tape.qualified_name(node));
            copy.out.push('>');
        }
    }

    fn start_tag(&mut self, tape: &Tape<'_>, id: u32, prefixes: &PrefixList, copy: &mut Copy<'_>) {
        let Some(node) = tape.node(NodeId(id)) else { return };
        let outer = self.rendered.len();
        let parent = self.open.last().copied();
        self.open.push(Open { id, after: node.after, scope: node.scope, rendered: outer });
        let place = parent.map(|parent| (parent.id, node.tag));
        if place.is_some() && place == self.last.place {
            self.rendered.extend_from_slice(&self.last.rendered);
            if let Some(written) = &self.last.written {
                copy.replace(node.start, node.open_end);
                copy.out.extend_from_within(written.clone());
            }
            return;
        }
        self.render(tape, node.binding);
        for attribute in tape.attributes_of(node) {
            if attribute.binding != Binding::UNPREFIXED {
                self.render(tape, attribute.binding);
            }
        }
        if parent.map(|parent| parent.scope) != Some(node.scope) {
            for prefix in &prefixes.0 {
                if let Some(binding) = tape.lookup(node.scope, prefix) {
                    self.render(tape, binding);
                }
            }
        }
        self.last.place = place;
        self.last.written = None;
        if !node.plain || self.rendered.len() > outer {
            self.last.written = self.replace_tag(tape, node, outer, copy);
        }
        self.last.rendered.clear();
        self.last.rendered.extend_from_slice(self.rendered.get(outer..).unwrap_or_default());
    }

    /// Writes a start tag in place of the source's, unless that turns out to be the same: then the run goes on.
    fn replace_tag(
        &mut self,
        tape: &Tape<'_>,
        node: &Node,
        outer: usize,
        copy: &mut Copy<'_>,
    ) -> Option<Range<usize>> {
        copy.replace(node.start, node.open_end);
        let from = copy.out.len();
        self.write_tag(tape, node, outer, copy.out);
        if copy.out.get(from..) == Some(tape.slice(node.start, node.open_end)) {
            copy.out.truncate(from);
            copy.copied = node.start;
            return None;
        }
        Some(from..copy.out.len())
    }

    /// Puts a binding into force in the output unless an equal one is (Exclusive C14N 1.0, 3).
    fn render(&mut self, tape: &Tape<'_>, index: u32) {
        let Some(binding) = tape.binding(index) else { return };
        if index == Binding::XML {
            return;
        }
        for rendered in self.rendered.iter().rev() {
            if *rendered == index {
                return;
            }
            let Some(other) = tape.binding(*rendered) else { continue };
            if other.prefix == binding.prefix {
                if other.namespace == binding.namespace {
                    return;
                }
                break;
            }
        }
        self.rendered.push(index);
    }

    /// Writes a start tag: the declarations from `outer` on by prefix, then the attributes by namespace and name.
    fn write_tag(&mut self, tape: &Tape<'_>, node: &Node, outer: usize, out: &mut String) {
        out.push('<');
        out.push_str(tape.qualified_name(node));
        if let Some(declared) = self.rendered.get_mut(outer..) {
            declared.sort_unstable_by_key(|index| tape.binding(*index).map(|binding| binding.prefix));
            for binding in declared.iter().filter_map(|index| tape.binding(*index)) {
                out.push_str(if binding.prefix.is_empty() { " xmlns" } else { " xmlns:" });
                out.push_str(binding.prefix);
                out.push_str("=\"");
                // A namespace name holds nothing that must be escaped: the parser refuses it.
                out.push_str(tape.namespace_name(binding.namespace));
                out.push('"');
            }
        }
        let attributes = tape.attributes_of(node);
        self.order.clear();
        self.order.extend(0..attributes.len());
        self.order.sort_unstable_by(|a, b| match (attributes.get(*a), attributes.get(*b)) {
            (Some(a), Some(b)) => tape.attribute_order(a, b),
            _ => Ordering::Equal,
        });
        for attribute in self.order.iter().filter_map(|at| attributes.get(*at)) {
            write_attribute(attribute, out);
        }
        out.push('>');
    }
}

impl Tape<'_> {
    /// C14N 1.0, 2.2: by namespace name, then by local name; those in no namespace come first.
    pub(super) fn attribute_order(&self, a: &Attribute<'_>, b: &Attribute<'_>) -> Ordering {
        let namespaces = match a.namespace == b.namespace {
            true => Ordering::Equal,
            false => self.namespace_name(a.namespace).cmp(self.namespace_name(b.namespace)),
        };
        namespaces.then_with(|| a.local().cmp(b.local()))
    }
}

/// Copies the source in runs, leaving out what is replaced.
struct Copy<'a> {
    source: &'a str,
    copied: u32,
    out: &'a mut String,
}

impl Copy<'_> {
    /// Copies what is pending before `start` and leaves out what stands up to `end`.
    fn replace(&mut self, start: u32, end: u32) {
        self.up_to(start);
        self.copied = end;
    }

    fn up_to(&mut self, end: u32) {
        self.out.push_str(self.source.get(self.copied as usize..end as usize).unwrap_or_default());
        self.copied = end;
    }
}

fn write_attribute(attribute: &Attribute<'_>, out: &mut String) {
    out.push(' ');
    out.push_str(attribute.name);
    out.push_str("=\"");
    match attribute.value() {
        Cow::Borrowed(plain) => out.push_str(plain),
        Cow::Owned(value) => {
            for c in value.chars() {
                match c {
                    '&' => out.push_str("&amp;"),
                    '<' => out.push_str("&lt;"),
                    '"' => out.push_str("&quot;"),
                    '\t' => out.push_str("&#x9;"),
                    '\n' => out.push_str("&#xA;"),
                    '\r' => out.push_str("&#xD;"),
                    c => out.push(c),
                }
            }
        }
    }
    out.push('"');
}

fn escape_text(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#xD;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saml::xml::parse;

    /// The canonical form of the first element called `apex`, without the first one called `omitted`.
    fn canonical(source: &str, apex: &str, omitted: &str, prefixes: &str) -> String {
        let tape = parse(source).unwrap();
        let find = |name: &str| tape.elements().find(|id| tape.local(*id) == name);
        let mut out = String::new();
        let prefixes = PrefixList::read(prefixes).unwrap();
        Canonicalizer::default()
            .write(&tape, find(apex).unwrap(), find(omitted), &prefixes, &mut out)
            .unwrap();
        out
    }

    #[test]
    fn declarations_go_where_they_are_used() {
        let source = "<a:r xmlns:a=\"urn:a\" xmlns:b=\"urn:b\" xmlns=\"urn:d\"><b:x a:y=\"\" c=\"\"><b:z/><e/></b:x></a:r>";
        assert_eq!(
            canonical(source, "x", "-", ""),
            "<b:x xmlns:a=\"urn:a\" xmlns:b=\"urn:b\" c=\"\" a:y=\"\"><b:z></b:z><e xmlns=\"urn:d\"></e></b:x>"
        );
        assert_eq!(
            canonical(source, "z", "-", "a #default none"),
            "<b:z xmlns=\"urn:d\" xmlns:a=\"urn:a\" xmlns:b=\"urn:b\"></b:z>"
        );
    }

    #[test]
    fn a_default_namespace_is_undeclared_where_it_ends() {
        let source = "<r xmlns=\"urn:d\"><x xmlns=\"\"><y xmlns=\"\"/><z xmlns=\"urn:d\"/></x></r>";
        assert_eq!(
            canonical(source, "r", "-", ""),
            "<r xmlns=\"urn:d\"><x xmlns=\"\"><y></y><z xmlns=\"urn:d\"></z></x></r>"
        );
        assert_eq!(canonical(source, "x", "-", ""), "<x><y></y><z xmlns=\"urn:d\"></z></x>");
    }

    #[test]
    fn rebound_prefixes_and_attribute_order() {
        let source = "<p:r xmlns:p=\"urn:1\"><p:s xmlns:p=\"urn:2\"/><p:t xmlns:p=\"urn:1\"/></p:r>";
        assert_eq!(
            canonical(source, "r", "-", ""),
            "<p:r xmlns:p=\"urn:1\"><p:s xmlns:p=\"urn:2\"></p:s><p:t></p:t></p:r>"
        );
        let source = "<r b='1' a='2' z:c='3' y:c='4' xml:lang='en' xmlns:y='urn:z' xmlns:z='urn:a'/>";
        assert_eq!(
            canonical(source, "r", "-", ""),
            "<r xmlns:y=\"urn:z\" xmlns:z=\"urn:a\" a=\"2\" b=\"1\" xml:lang=\"en\" z:c=\"3\" y:c=\"4\"></r>"
        );
    }

    #[test]
    fn text_is_escaped_and_comments_and_the_omitted_go() {
        let source = "<r a='&lt;\"&#9;&#10;\n>'>1<!-- c -->2<![CDATA[<&>]]>\r\n&#13;]<o>gone</o>&gt;</r\n>";
        assert_eq!(
            canonical(source, "r", "o", ""),
            "<r a=\"&lt;&quot;&#x9;&#xA; >\">12&lt;&amp;&gt;\n&#xD;]&gt;</r>"
        );
    }

    /// What is canonical stays as it is, through a second parse.
    #[test]
    fn canonical_forms_are_fixed_points() {
        let source = "<a:r xmlns:a=\"urn:a\" x='1'><a:b z=\"&amp;\"  y=\"2\"/>t&gt;<c xmlns=\"urn:c\" a:q=\"\"/></a:r>";
        let once = canonical(source, "r", "-", "");
        assert_eq!(canonical(&once, "r", "-", ""), once);
    }
}
