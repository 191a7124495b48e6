//! The flat tree: nodes in document order with ranges into the source, no allocation per node.
use std::borrow::Cow;

use super::text;
use crate::saml::guard::{Guard, stands};

/// A namespace name, interned. The names that SAML speaks of are constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::saml) struct Namespace(pub(super) u16);

impl Namespace {
    pub(in crate::saml) const NONE: Self = Self(0);
    pub(in crate::saml) const XML: Self = Self(1);
    pub(in crate::saml) const SAMLP: Self = Self(2);
    pub(in crate::saml) const SAML: Self = Self(3);
    pub(in crate::saml) const DS: Self = Self(4);
    pub(in crate::saml) const EXC_C14N: Self = Self(5);
    pub(in crate::saml) const XSI: Self = Self(6);
    pub(in crate::saml) const XENC: Self = Self(7);
    pub(in crate::saml) const XENC11: Self = Self(8);
    pub(in crate::saml) const MD: Self = Self(9);
    pub(in crate::saml) const SOAP: Self = Self(10);
    /// The names of the constants above, at their places.
    pub(super) const KNOWN: &'static [&'static str] = &[
        "",
        "http://www.w3.org/XML/1998/namespace",
        "urn:oasis:names:tc:SAML:2.0:protocol",
        "urn:oasis:names:tc:SAML:2.0:assertion",
        "http://www.w3.org/2000/09/xmldsig#",
        "http://www.w3.org/2001/10/xml-exc-c14n#",
        "http://www.w3.org/2001/XMLSchema-instance",
        "http://www.w3.org/2001/04/xmlenc#",
        "http://www.w3.org/2009/xmlenc11#",
        "urn:oasis:names:tc:SAML:2.0:metadata",
        "http://schemas.xmlsoap.org/soap/envelope/",
    ];
}

/// A prefix bound to a namespace. Bindings in scope form a chain through `previous`, innermost first, that ends at
/// [`Binding::UNPREFIXED`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Binding<'s> {
    pub prefix: &'s str,
    pub namespace: Namespace,
    pub previous: u32,
    /// How many bindings the chain holds from here on.
    pub in_scope: u16,
}

impl Binding<'_> {
    /// No prefix, no namespace: what a document starts with, and the chain's end.
    pub const UNPREFIXED: u32 = 0;
    /// `xml`, bound in every document and never declared in a canonical form.
    pub const XML: u32 = 1;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Element,
    Text,
    CData,
    Reference,
    Comment,
}

/// One node. Offsets are bytes of the source; names and attributes concern elements only.
#[derive(Debug, Clone, Copy)]
pub(in crate::saml) struct Node {
    pub(super) kind: Kind,
    /// An element's start tag is spelled as C14N would, declarations aside; a text needs no change.
    pub(super) plain: bool,
    /// An element's end tag is spelled as C14N would.
    pub(super) close_plain: bool,
    pub(super) attribute_count: u8,
    pub(super) namespace: Namespace,
    pub(super) name_len: u16,
    /// Where the local name begins within the name.
    pub(super) local_at: u16,
    pub(super) start: u32,
    /// End of the start tag.
    pub(super) open_end: u32,
    /// Start of the end tag; equal to `end` for an empty-element tag.
    pub(super) close_start: u32,
    pub(super) end: u32,
    /// The first node that is no descendant.
    pub(super) after: u32,
    /// The first element whose start tag has the same octets and the same bindings around it, perhaps this one.
    pub(super) tag: u32,
    /// The binding of the element's prefix.
    pub(super) binding: u32,
    /// The innermost binding in scope.
    pub(super) scope: u32,
    /// Where the element's attributes begin among the tape's.
    pub(super) attributes: u32,
}

impl Node {
    /// The element that a start tag of the same octets opens at `start..end` as the node `id`.
    #[inline]
    pub(super) fn moved_to(&self, start: usize, end: usize, id: usize) -> Self {
        let (start, end) = (start as u32, end as u32);
        let after = id as u32 + 1;
        Self { start, open_end: end, close_start: end, end, after, close_plain: false, ..*self }
    }

    /// What is no element, at `start..end` as the node `id`.
    #[inline]
    pub(super) fn leaf(kind: Kind, plain: bool, start: usize, end: usize, id: usize) -> Self {
        let (start, end, id) = (start as u32, end as u32, id as u32);
        Self {
            kind,
            plain,
            close_plain: true,
            attribute_count: 0,
            namespace: Namespace::NONE,
            name_len: 0,
            local_at: 0,
            start,
            open_end: end,
            close_start: end,
            end,
            after: id + 1,
            tag: id,
            binding: Binding::UNPREFIXED,
            scope: Binding::UNPREFIXED,
            attributes: 0,
        }
    }
}

/// One attribute; namespace declarations are bindings instead.
#[derive(Debug, Clone, Copy)]
pub(in crate::saml) struct Attribute<'s> {
    pub(super) name: &'s str,
    pub(super) local_at: u16,
    /// The value needs no change, neither to be read nor for C14N.
    pub(super) plain: bool,
    pub(in crate::saml) namespace: Namespace,
    pub(super) binding: u32,
    pub(super) raw_value: &'s str,
}

impl<'s> Attribute<'s> {
    #[inline]
    pub(in crate::saml) fn local(&self) -> &'s str {
        self.name.get(usize::from(self.local_at)..).unwrap_or_default()
    }

    pub(in crate::saml) fn value(&self) -> Cow<'s, str> {
        if self.plain { Cow::Borrowed(self.raw_value) } else { text::attribute_value(self.raw_value) }
    }
}

/// A node's place on the tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::saml) struct NodeId(pub(super) u32);

/// A parsed document. The root element is the first node.
#[derive(Debug)]
pub(in crate::saml) struct Tape<'s> {
    pub(super) source: &'s str,
    pub(super) nodes: Vec<Node>,
    pub(super) attributes: Vec<Attribute<'s>>,
    pub(super) bindings: Vec<Binding<'s>>,
    /// By [`Namespace`].
    pub(super) namespaces: Vec<&'s str>,
}

impl<'s> Tape<'s> {
    pub(in crate::saml) const ROOT: NodeId = NodeId(0);

    /// The length of the document in bytes.
    pub(in crate::saml) fn source_len(&self) -> usize {
        self.source.len()
    }

    #[inline]
    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0 as usize)
    }

    #[inline]
    pub(super) fn slice(&self, start: u32, end: u32) -> &'s str {
        self.source.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The qualified name of an element as written, empty for other nodes.
    #[inline]
    pub(super) fn qualified_name(&self, node: &Node) -> &'s str {
        self.slice(node.start + 1, node.start + 1 + u32::from(node.name_len))
    }

    #[inline]
    pub(in crate::saml) fn local(&self, id: NodeId) -> &'s str {
        let Some(node) = self.node(id) else { return "" };
        let name = node.start + 1;
        self.slice(name + u32::from(node.local_at), name + u32::from(node.name_len))
    }

    #[inline]
    pub(in crate::saml) fn namespace(&self, id: NodeId) -> Namespace {
        self.node(id).map_or(Namespace::NONE, |node| node.namespace)
    }

    /// Whether the element has this expanded name. Prefixes never matter (S-13).
    #[inline]
    pub(in crate::saml) fn is(&self, id: NodeId, namespace: Namespace, local: &str) -> bool {
        self.namespace(id) == namespace && self.local(id) == local
    }

    /// The byte of the source at which the node begins.
    pub(in crate::saml) fn offset(&self, id: NodeId) -> usize {
        self.node(id).map_or(0, |node| node.start as usize)
    }

    /// Every element in document order.
    pub(in crate::saml) fn elements(&self) -> impl Iterator<Item = NodeId> {
        self.within(0, self.nodes.len() as u32)
    }

    /// The element and every element below it.
    pub(in crate::saml) fn subtree(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        self.within(id.0, self.node(id).map_or(id.0, |node| node.after))
    }

    /// The elements of the subtree without those whose start tag, octet for octet and with the same bindings around it,
    /// is another's before them in the subtree: enough to find a name.
    pub(in crate::saml) fn distinct(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let from = id.0;
        let nodes = self.nodes.get(from as usize..self.node(id).map_or(from, |node| node.after) as usize);
        let first = move |(node, at): &(&Node, u32)| {
            node.kind == Kind::Element && (node.tag == *at || node.tag < from)
        };
        nodes.unwrap_or_default().iter().zip(from..).filter(first).map(|(_, id)| NodeId(id))
    }

    /// The first element that has the same start tag, octet for octet and with the same bindings around it; perhaps this
    /// one.
    #[inline]
    pub(in crate::saml) fn first_like(&self, id: NodeId) -> NodeId {
        self.node(id).map_or(id, |node| NodeId(node.tag))
    }

    /// Whether an element before this one has the same start tag.
    #[inline]
    pub(in crate::saml) fn repeats(&self, id: NodeId) -> bool {
        self.first_like(id) != id
    }

    fn within(&self, from: u32, to: u32) -> impl Iterator<Item = NodeId> {
        let nodes = self.nodes.get(from as usize..to as usize).unwrap_or_default();
        nodes.iter().zip(from..).filter(|(node, _)| node.kind == Kind::Element).map(|(_, id)| NodeId(id))
    }

    /// The child elements in document order.
    pub(in crate::saml) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        self.child_nodes(id).filter(|(_, node)| node.kind == Kind::Element).map(|(id, _)| id)
    }

    fn child_nodes(&self, id: NodeId) -> impl Iterator<Item = (NodeId, &Node)> {
        let (mut next, end) = self.node(id).map_or((0, 0), |node| (id.0 + 1, node.after));
        std::iter::from_fn(move || {
            let here = NodeId(next);
            let node = self.node(here).filter(|_| next < end)?;
            next = node.after;
            Some((here, node))
        })
    }

    /// Whether there is a comment anywhere below the element.
    pub(in crate::saml) fn has_comment(&self, id: NodeId) -> bool {
        let end = self.node(id).map_or(0, |node| node.after);
        self.nodes
            .get(id.0 as usize..end as usize)
            .is_some_and(|nodes| nodes.iter().any(|node| node.kind == Kind::Comment))
    }

    /// Whether an element that may only hold elements holds text other than white space.
    pub(in crate::saml) fn has_stray_text(&self, id: NodeId) -> bool {
        self.child_nodes(id).any(|(_, node)| match node.kind {
            Kind::Element | Kind::Comment => false,
            Kind::Text => !text::is_blank(self.slice(node.start, node.end)),
            Kind::CData | Kind::Reference => true,
        })
    }

    /// The text of an element without child elements, comments left out and everything around them joined (S-20,
    /// S-22); `None` if there is a child element (S-23).
    pub(in crate::saml) fn text(&self, id: NodeId) -> Option<Cow<'s, str>> {
        if let Some(only) = self.only_text(id) {
            return Some(Cow::Borrowed(only));
        }
        let mut whole = Cow::Borrowed("");
        for (_, node) in self.child_nodes(id) {
            let piece = match node.kind {
                Kind::Element if stands(Guard::TextOnly) => return None,
                Kind::Element | Kind::Comment => continue,
                Kind::Text if node.plain => Cow::Borrowed(self.slice(node.start, node.end)),
                kind => text::character_data(kind, self.slice(node.start, node.end)),
            };
            if whole.is_empty() {
                whole = piece;
            } else {
                whole.to_mut().push_str(&piece);
            }
        }
        Some(whole)
    }

    /// The text of an element that holds one text and nothing else, where that needs no change.
    #[inline]
    fn only_text(&self, id: NodeId) -> Option<&'s str> {
        let parent = self.node(id)?;
        let child = self.node(NodeId(id.0 + 1)).filter(|_| parent.after == id.0 + 2)?;
        (child.kind == Kind::Text && child.plain).then(|| self.slice(child.start, child.end))
    }

    pub(in crate::saml) fn attributes(&self, id: NodeId) -> &[Attribute<'s>] {
        self.node(id).map_or(&[], |node| self.attributes_of(node))
    }

    #[inline]
    pub(super) fn attributes_of(&self, node: &Node) -> &[Attribute<'s>] {
        let first = node.attributes as usize;
        self.attributes.get(first..first + usize::from(node.attribute_count)).unwrap_or_default()
    }

    /// The value of the attribute of this name in no namespace.
    pub(in crate::saml) fn attribute(&self, id: NodeId, name: &str) -> Option<Cow<'s, str>> {
        let own =
            |attribute: &&Attribute<'_>| attribute.namespace == Namespace::NONE && attribute.name == name;
        self.attributes(id).iter().find(own).map(Attribute::value)
    }

    #[inline]
    pub(super) fn binding(&self, index: u32) -> Option<&Binding<'s>> {
        self.bindings.get(index as usize)
    }

    /// The innermost binding of a prefix, from `scope` outwards.
    pub(super) fn lookup(&self, scope: u32, prefix: &str) -> Option<u32> {
        let mut index = scope;
        loop {
            let binding = self.binding(index)?;
            if binding.prefix == prefix {
                return Some(index);
            }
            if index == Binding::UNPREFIXED {
                return None;
            }
            index = binding.previous;
        }
    }

    pub(in crate::saml) fn namespace_name(&self, namespace: Namespace) -> &'s str {
        self.namespaces.get(usize::from(namespace.0)).copied().unwrap_or_default()
    }
}
