//! A message as the verification core reads it, to be looked at from outside.
//!
//! Nothing is verified here and the gateway does not use it: this is for those who hold the core against other
//! implementations (`tests/it/differential`, `fuzz/`), and it reaches the same code that [`super::verify`] runs.
use std::borrow::Cow;

use super::{
    Reason, Refusal,
    xml::{self, Canonicalizer, NodeId, PrefixList, Tape},
};

/// A parsed message. Its elements are numbered from 0 in document order.
#[derive(Debug)]
pub struct Document<'s> {
    tape: Tape<'s>,
    elements: Vec<NodeId>,
}

/// What the core knows of one element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element<'d> {
    /// How many elements it stands in.
    pub depth: usize,
    pub namespace: &'d str,
    pub local: &'d str,
    /// Namespace name, local name and normalized value, in the order of the source; no declarations.
    pub attributes: Vec<(&'d str, &'d str, Cow<'d, str>)>,
    /// The text, comments left out; `None` if it holds elements.
    pub text: Option<Cow<'d, str>>,
}

impl<'s> Document<'s> {
    /// Scans and parses the octets of a message.
    ///
    /// # Errors
    /// A [`Refusal`] of the checks `characters` and `well_formed`.
    pub fn parse(octets: &'s [u8]) -> Result<Self, Refusal> {
        Ok(Self::of(xml::parse(xml::scan(octets)?)?))
    }

    /// Parses what [`Self::canonical`] wrote, as the core reads octets that were digested.
    ///
    /// # Errors
    /// A [`Refusal`] of the same checks, also for every spelling that canonical XML does not have.
    pub fn parse_canonical(canonical: &'s str) -> Result<Self, Refusal> {
        Ok(Self::of(xml::reread(canonical)?))
    }

    fn of(tape: Tape<'s>) -> Self {
        let elements = tape.elements().collect();
        Self { tape, elements }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Never: a message has a root element.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The exclusive canonical form, without comments, of the element of this number, without the element `omitted` if
    /// that is a descendant of it. `prefix_list` is that of `InclusiveNamespaces`, blank for none.
    ///
    /// # Errors
    /// [`Reason::CanonicalTooLarge`], and [`Reason::Transforms`] for a prefix list or an element that there is not.
    pub fn canonical(
        &self,
        element: usize,
        omitted: Option<usize>,
        prefix_list: &str,
    ) -> Result<String, Refusal> {
        let numbered = |number: usize| self.elements.get(number).copied().ok_or(Reason::Transforms);
        let prefixes = PrefixList::read(prefix_list).ok_or(Reason::Transforms)?;
        let mut out = String::new();
        let omitted = omitted.map(numbered).transpose()?;
        Canonicalizer::default().write(&self.tape, numbered(element)?, omitted, &prefixes, &mut out)?;
        Ok(out)
    }

    /// The element of this number and those below it, in document order; depths count from that element.
    pub fn outline(&self, element: usize) -> Vec<Element<'_>> {
        let Some(apex) = self.elements.get(element) else { return vec![] };
        let mut outline = vec![];
        self.describe(*apex, 0, &mut outline);
        outline
    }

    /// Recursion is bounded by [`super::limits::DEPTH_MAX`].
    fn describe<'d>(&'d self, id: NodeId, depth: usize, out: &mut Vec<Element<'d>>) {
        let attributes = self.tape.attributes(id).iter();
        out.push(Element {
            depth,
            namespace: self.tape.namespace_name(self.tape.namespace(id)),
            local: self.tape.local(id),
            attributes: attributes
                .map(|a| (self.tape.namespace_name(a.namespace), a.local(), a.value()))
                .collect(),
            text: self.tape.text(id),
        });
        for child in self.tape.children(id) {
            self.describe(child, depth + 1, out);
        }
    }
}
