//! Makes a [`Tape`] of the tokens that a tokenizer finds: what may stand where, names, namespaces, and the caps.
//!
//! A start tag is read once. Messages repeat tags (`<saml:AttributeValue xsi:type="xs:string">` hundreds of times), and a
//! tag of the same octets with the same bindings in scope means the same, so its node is copied instead.
use super::{
    attributes::{Attributes, RawAttribute},
    names::local_part,
    tape::{Attribute, Binding, Kind, Namespace, Node, NodeId, Tape},
    text,
    uri::is_absolute_uri,
};
use crate::saml::{
    Reason, Refusal,
    guard::{Guard, stands},
    limits::{
        ATTRIBUTES_PER_ELEMENT_MAX, CANONICAL_BYTES_MAX, DECODED_BYTES_MAX, DEPTH_MAX, METADATA_BYTES_MAX,
        NAME_BYTES_MAX, NAMESPACES_IN_SCOPE_MAX, NAMESPACES_PER_DOCUMENT_MAX, NODES_MAX,
    },
};

// The caps keep what the tape counts within the widths that it counts in.
const _: () = assert!(
    ATTRIBUTES_PER_ELEMENT_MAX <= u8::MAX as usize
        && NAME_BYTES_MAX <= u16::MAX as usize
        && NAMESPACES_PER_DOCUMENT_MAX <= u16::MAX as usize
        && NAMESPACES_IN_SCOPE_MAX < u16::MAX as usize
        && NODES_MAX < u32::MAX as usize
        && DECODED_BYTES_MAX <= u32::MAX as usize
        && CANONICAL_BYTES_MAX <= u32::MAX as usize
        && METADATA_BYTES_MAX <= u32::MAX as usize
);

pub(super) struct Builder<'s> {
    tape: Tape<'s>,
    /// The open elements, outermost first.
    open: Vec<Open>,
    /// By depth, the last start tag that was read.
    tags: Vec<ReadTag>,
    /// The attributes of the tag at hand.
    raw: Vec<RawAttribute<'s>>,
    names: NameMemo<'s>,
    /// Attributes must be spelled as C14N does.
    canonical: bool,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    id: u32,
    /// The innermost binding in scope.
    scope: u32,
}

#[derive(Debug, Clone, Copy)]
struct ReadTag {
    id: u32,
    /// The innermost binding in scope around it.
    outer: u32,
}

impl<'s> Builder<'s> {
    pub fn new(source: &'s str) -> Self {
        let xml =
            Binding { prefix: "xml", namespace: Namespace::XML, previous: Binding::UNPREFIXED, in_scope: 0 };
        let unprefixed = Binding { prefix: "", namespace: Namespace::NONE, ..xml };
        let tape = Tape {
            source,
            // A guess that fits most messages: growing copies, and untouched memory costs nothing.
            nodes: Vec::with_capacity(source.len() / 32 + 16),
            attributes: Vec::with_capacity(64),
            bindings: vec![unprefixed, xml],
            namespaces: Namespace::KNOWN.to_vec(),
        };
        Self {
            tape,
            open: Vec::with_capacity(DEPTH_MAX),
            tags: Vec::with_capacity(DEPTH_MAX),
            raw: Vec::with_capacity(8),
            names: NameMemo::default(),
            canonical: false,
        }
    }

    /// Builds of a canonical form, and refuses attributes that are not spelled as one.
    pub fn of_canonical(source: &'s str) -> Self {
        Self { canonical: true, ..Self::new(source) }
    }

    /// The start tag at `start..end`, delimiters included, `empty` if it ends in `/>`.
    #[inline]
    pub fn start_tag(
        &mut self,
        start: usize,
        end: usize,
        name_len: usize,
        empty: bool,
    ) -> Result<(), Refusal> {
        self.check_place(start)?;
        let node = match self.repeated().filter(|known| self.spelled(known) == self.between(start, end)) {
            Some(known) => known.moved_to(start, end, self.tape.nodes.len()),
            None => self.read_tag(start, end, name_len, empty)?,
        };
        self.open_element(node, empty)
    }

    /// The tag at `start` if it is the last one of this depth again; its end. For canonical forms: they have no
    /// empty-element tags.
    #[inline]
    pub fn repeat_tag(&mut self, start: usize) -> Result<Option<usize>, Refusal> {
        let rest = self.rest(start);
        let Some(known) = self.repeated().filter(|known| rest.starts_with(self.spelled(known))) else {
            return Ok(None);
        };
        let end = start + (known.open_end - known.start) as usize;
        let node = known.moved_to(start, end, self.tape.nodes.len());
        self.check_place(start)?;
        self.open_element(node, false)?;
        Ok(Some(end))
    }

    /// The qualified name of the innermost open element.
    #[inline]
    pub fn open_name(&self) -> Option<&'s str> {
        let node = self.tape.node(NodeId(self.open.last()?.id))?;
        Some(self.tape.qualified_name(node))
    }

    #[inline]
    pub(super) fn check_place(&self, start: usize) -> Result<(), Refusal> {
        if stands(Guard::OneRoot) && self.open.is_empty() && !self.tape.nodes.is_empty() {
            return Err(Refusal::at(Reason::ContentOutsideRoot, start));
        }
        if stands(Guard::Depth) && self.open.len() >= DEPTH_MAX {
            return Err(Refusal::at(Reason::DepthExceeded, start));
        }
        Ok(())
    }

    /// The last start tag that was read at this depth, if it would mean the same here.
    #[inline]
    pub(super) fn repeated(&self) -> Option<&Node> {
        let tag = self.tags.get(self.open.len()).filter(|tag| tag.outer == self.scope())?;
        self.tape.node(NodeId(tag.id))
    }

    pub(super) fn spelled(&self, tag: &Node) -> &'s [u8] {
        self.between(tag.start as usize, tag.open_end as usize)
    }

    pub(super) fn name_of(&self, element: &Node) -> &'s str {
        self.tape.qualified_name(element)
    }

    pub(super) fn rest(&self, at: usize) -> &'s [u8] {
        self.between(at, self.tape.source.len())
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.tape.nodes.len()
    }

    fn between(&self, start: usize, end: usize) -> &'s [u8] {
        self.tape.source.as_bytes().get(start..end).unwrap_or_default()
    }

    #[inline]
    fn scope(&self) -> u32 {
        self.open.last().map_or(Binding::XML, |open| open.scope)
    }

    #[inline]
    fn open_element(&mut self, node: Node, empty: bool) -> Result<(), Refusal> {
        let id = self.tape.nodes.len() as u32;
        self.push(node)?;
        if !empty {
            self.open.push(Open { id, scope: node.scope });
        }
        Ok(())
    }

    /// Reads a start tag unlike the last one.
    fn read_tag(&mut self, start: usize, end: usize, name_len: usize, empty: bool) -> Result<Node, Refusal> {
        if stands(Guard::NameLength) && name_len > NAME_BYTES_MAX {
            return Err(Refusal::at(Reason::NameTooLong, start));
        }
        let name_end = start + 1 + name_len;
        let tag_end = end - if empty { 2 } else { 1 };
        let mut plain = !empty;
        self.raw.clear();
        if name_end < tag_end {
            plain &= self.read_attributes(name_end, tag_end)?;
        }
        let outer = self.scope();
        let scope = self.declare(outer, start)?;
        let name = self.tape.source.get(start + 1..name_end).unwrap_or_default();
        let resolved = self.resolve(name, scope, start)?;
        let first_attribute = self.tape.attributes.len();
        plain &= self.resolve_attributes(scope, start)?;
        let id = self.tape.nodes.len() as u32;
        self.remember(ReadTag { id, outer });
        Ok(Node {
            kind: Kind::Element,
            plain,
            close_plain: false,
            attribute_count: (self.tape.attributes.len() - first_attribute) as u8,
            namespace: resolved.namespace,
            name_len: name_len as u16,
            local_at: resolved.local_at,
            start: start as u32,
            open_end: end as u32,
            close_start: end as u32,
            end: end as u32,
            after: id + 1,
            tag: id,
            binding: resolved.binding,
            scope,
            attributes: first_attribute as u32,
        })
    }

    fn remember(&mut self, tag: ReadTag) {
        // A tag at this depth stands within tags at all depths above, so there is never a gap.
        match self.tags.get_mut(self.open.len()) {
            Some(last) => *last = tag,
            None => self.tags.push(tag),
        }
    }

    /// Reads the tag's attributes into `self.raw`; whether they are spelled as C14N would, but for their order.
    fn read_attributes(&mut self, at: usize, end: usize) -> Result<bool, Refusal> {
        let mut attributes = Attributes::new(self.tape.source, at, end);
        let mut spelled = 0;
        let mut plain = true;
        let mut canonical = true;
        while let Some(raw) = attributes.next()? {
            if stands(Guard::AttributesPerElement) && self.raw.len() >= ATTRIBUTES_PER_ELEMENT_MAX {
                return Err(Refusal::at(Reason::AttributesExceeded, at));
            }
            spelled += raw.name.len() + raw.value.len() + " =\"\"".len();
            plain &= raw.plain;
            canonical &= raw.spelled_plain;
            self.raw.push(raw);
        }
        // Each of them with one blank before it and none within, and nothing behind the last.
        canonical &= at + spelled == end;
        if self.canonical && !canonical {
            return Err(Refusal::at(Reason::NotWellFormed, at).expected("canonical XML"));
        }
        Ok(plain && canonical)
    }

    /// Binds the prefixes that the tag declares; the new innermost binding.
    fn declare(&mut self, outer: u32, offset: usize) -> Result<u32, Refusal> {
        let mut scope = outer;
        for at in 0..self.raw.len() {
            let Some(raw) = self.raw.get(at).copied() else { break };
            let prefix = match raw.name.strip_prefix("xmlns") {
                Some("") => "",
                Some(rest) if rest.starts_with(':') => rest.get(1..).unwrap_or_default(),
                _ => continue,
            };
            let twice = self.raw.iter().take(at).any(|other| other.name == raw.name);
            if twice && stands(Guard::DuplicateDeclarations) {
                return Err(Refusal::at(Reason::AttributeDuplicate, offset).found(raw.name));
            }
            check_declaration(raw.name, prefix, raw.value)
                .map_err(|()| Refusal::at(Reason::NamespaceInvalid, offset).found(raw.value))?;
            let in_scope = self.tape.binding(scope).map_or(0, |binding| binding.in_scope) + 1;
            if stands(Guard::NamespacesInScope) && usize::from(in_scope) > NAMESPACES_IN_SCOPE_MAX {
                return Err(Refusal::at(Reason::NamespacesExceeded, offset));
            }
            let namespace = self.intern(raw.value, offset)?;
            self.tape.bindings.push(Binding { prefix, namespace, previous: scope, in_scope });
            scope = self.tape.bindings.len() as u32 - 1;
        }
        Ok(scope)
    }

    fn intern(&mut self, name: &'s str, offset: usize) -> Result<Namespace, Refusal> {
        if stands(Guard::NameLength) && name.len() > NAME_BYTES_MAX {
            return Err(Refusal::at(Reason::NameTooLong, offset));
        }
        let known = self.tape.namespaces.iter().position(|known| *known == name);
        let index = known.unwrap_or(self.tape.namespaces.len());
        if known.is_none() {
            if stands(Guard::NamespacesPerDocument) && index >= NAMESPACES_PER_DOCUMENT_MAX {
                return Err(Refusal::at(Reason::NamespacesExceeded, offset));
            }
            self.tape.namespaces.push(name);
        }
        Ok(Namespace(index as u16))
    }

    /// Resolves an element's name.
    fn resolve(&mut self, name: &'s str, scope: u32, offset: usize) -> Result<Resolved, Refusal> {
        if let Some(resolved) = self.names.get(name, scope) {
            return Ok(resolved);
        }
        let local_at = known_local_part(name, offset)?;
        let prefix = name.get(..local_at.saturating_sub(1)).unwrap_or_default();
        let resolved = self.bound(prefix, local_at, scope).ok_or_else(|| unbound(prefix, offset))?;
        self.names.put(name, scope, resolved);
        Ok(resolved)
    }

    fn bound(&self, prefix: &str, local_at: usize, scope: u32) -> Option<Resolved> {
        // XML Names 1.0 3: `xmlns` is bound to nothing that an element or attribute could be in.
        let index = self.tape.lookup(scope, prefix).or((!stands(Guard::BoundPrefixes)).then_some(0))?;
        let namespace = self.tape.binding(index)?.namespace;
        Some(Resolved { namespace, binding: index, local_at: local_at as u16 })
    }

    /// Resolves and keeps the tag's attributes; whether a canonical tag could hold them as they stand.
    fn resolve_attributes(&mut self, scope: u32, offset: usize) -> Result<bool, Refusal> {
        let first = self.tape.attributes.len();
        let mut plain = true;
        for at in 0..self.raw.len() {
            let Some(raw) = self.raw.get(at).copied() else { break };
            if raw.name == "xmlns" || raw.name.starts_with("xmlns:") {
                plain = false;
                continue;
            }
            let local_at = known_local_part(raw.name, offset)?;
            let prefix = raw.name.get(..local_at.saturating_sub(1)).unwrap_or_default();
            // XML Names 1.0 6.2: the default namespace does not apply to attributes.
            let resolved = if local_at == 0 {
                Resolved { namespace: Namespace::NONE, binding: Binding::UNPREFIXED, local_at: 0 }
            } else {
                self.bound(prefix, local_at, scope).ok_or_else(|| unbound(prefix, offset))?
            };
            let attribute = Attribute {
                name: raw.name,
                local_at: resolved.local_at,
                plain: raw.plain,
                namespace: resolved.namespace,
                binding: resolved.binding,
                raw_value: raw.value,
            };
            let others = self.tape.attributes.get(first..).unwrap_or_default();
            if others
                .iter()
                .any(|other| other.namespace == attribute.namespace && other.local() == attribute.local())
                && stands(Guard::DuplicateAttributes)
            {
                return Err(Refusal::at(Reason::AttributeDuplicate, offset).found(raw.name));
            }
            plain &= others.last().is_none_or(|last| self.tape.attribute_order(last, &attribute).is_lt());
            self.tape.attributes.push(attribute);
        }
        Ok(plain)
    }

    /// The end tag at `start..end`; that its name is the open element's is for the tokenizer to check.
    #[inline]
    pub fn end_tag(&mut self, start: usize, end: usize) {
        let after = self.tape.nodes.len() as u32;
        let Some(open) = self.open.pop() else { return };
        if let Some(node) = self.tape.nodes.get_mut(open.id as usize) {
            node.close_start = start as u32;
            node.end = end as u32;
            node.after = after;
            node.close_plain = end - start == usize::from(node.name_len) + "</>".len();
        }
    }

    /// Character data without reference.
    #[inline]
    pub fn text(&mut self, start: usize, end: usize) -> Result<(), Refusal> {
        let raw = self.tape.source.get(start..end).unwrap_or_default();
        if self.open.is_empty() {
            return if text::is_blank(raw) || !stands(Guard::OneRoot) {
                Ok(())
            } else {
                Err(Refusal::at(Reason::ContentOutsideRoot, start))
            };
        }
        let plain = memchr::memchr3(b'>', b'\r', b']', raw.as_bytes()).is_none();
        // XML 1.0 2.4: `]]>` ends a CDATA section and stands nowhere else.
        if !plain && raw.contains("]]>") && stands(Guard::CdataEnd) {
            return Err(Refusal::at(Reason::NotWellFormed, start));
        }
        self.leaf(Kind::Text, plain, start, end)
    }

    pub fn comment(&mut self, start: usize, end: usize) -> Result<(), Refusal> {
        if self.open.is_empty() { Ok(()) } else { self.leaf(Kind::Comment, false, start, end) }
    }

    #[inline]
    pub fn leaf(&mut self, kind: Kind, plain: bool, start: usize, end: usize) -> Result<(), Refusal> {
        if stands(Guard::OneRoot) && self.open.is_empty() {
            return Err(Refusal::at(Reason::ContentOutsideRoot, start));
        }
        self.push(Node::leaf(kind, plain, start, end, self.tape.nodes.len()))
    }

    #[inline]
    pub(super) fn push(&mut self, node: Node) -> Result<(), Refusal> {
        if stands(Guard::Nodes) && self.tape.nodes.len() >= NODES_MAX {
            return Err(Refusal::at(Reason::NodesExceeded, node.start as usize));
        }
        self.tape.nodes.push(node);
        Ok(())
    }

    pub fn finish(self) -> Result<Tape<'s>, Refusal> {
        if (self.open.is_empty() && !self.tape.nodes.is_empty()) || !stands(Guard::Complete) {
            Ok(self.tape)
        } else {
            Err(Refusal::at(Reason::NotWellFormed, self.tape.source.len()).found("the end of the message"))
        }
    }
}

/// XML Names 1.0 4: where the local part of a QName begins.
fn known_local_part(name: &str, offset: usize) -> Result<usize, Refusal> {
    let local_at = local_part(name).or((!stands(Guard::QualifiedNames)).then_some(0));
    local_at.ok_or_else(|| Refusal::at(Reason::NotWellFormed, offset).found(name))
}

fn unbound(prefix: &str, offset: usize) -> Refusal {
    Refusal::at(Reason::PrefixUnbound, offset).found(prefix)
}

/// XML Names 1.0 2.2 and 3: a prefix is an NCName and not reserved, only the default namespace may be undeclared, and
/// (W3C's deprecation of relative namespace names, S-11) a namespace name is an absolute URI.
fn check_declaration(name: &str, prefix: &str, uri: &str) -> Result<(), ()> {
    let default = name == "xmlns";
    let reserved = matches!(prefix, "xml" | "xmlns")
        || uri == "http://www.w3.org/XML/1998/namespace"
        || uri == "http://www.w3.org/2000/xmlns/";
    let prefix_ok = default || local_part(prefix) == Some(0);
    let uri_ok =
        if uri.is_empty() { default } else { Namespace::KNOWN.contains(&uri) || is_absolute_uri(uri) };
    let wrong = (reserved && stands(Guard::ReservedPrefixes))
        || (!prefix_ok && stands(Guard::DeclaredPrefixes))
        || (!uri_ok && stands(Guard::AbsoluteNamespaces));
    if wrong { Err(()) } else { Ok(()) }
}

/// What a qualified name means where it stands.
#[derive(Debug, Clone, Copy)]
struct Resolved {
    namespace: Namespace,
    binding: u32,
    local_at: u16,
}

/// Names that are remembered at a time.
const NAME_SLOTS: usize = 8;

/// The last names that were resolved, by length: a message says `saml:AttributeValue` hundreds of times.
#[derive(Default)]
struct NameMemo<'s> {
    slots: [Option<(&'s str, u32, Resolved)>; NAME_SLOTS],
}

impl<'s> NameMemo<'s> {
    fn slot(name: &str) -> usize {
        name.len() % NAME_SLOTS
    }

    fn get(&self, name: &str, scope: u32) -> Option<Resolved> {
        let (known, at, resolved) = (*self.slots.get(Self::slot(name))?)?;
        (known == name && at == scope).then_some(resolved)
    }

    fn put(&mut self, name: &'s str, scope: u32, resolved: Resolved) {
        if let Some(slot) = self.slots.get_mut(Self::slot(name)) {
            *slot = Some((name, scope, resolved));
        }
    }
}
