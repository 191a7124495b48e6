//! Exclusive C14N, and the reading of what it wrote.
use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::saml::{
    Reason,
    document::{Document, Element},
};

/// What to canonicalize. The document comes last, so that a seed is its text and little before it.
#[derive(Debug)]
pub struct Question {
    element: u8,
    omitted: u8,
    prefixes: String,
    document: Vec<u8>,
}

impl Arbitrary<'_> for Question {
    fn arbitrary(raw: &mut arbitrary::Unstructured<'_>) -> arbitrary::Result<Self> {
        const PREFIXES: [&str; 8] =
            ["", "#default", "a", "xs", "saml", "ds", "a b", "#default saml samlp none"];
        let octets = raw.bytes(raw.len())?;
        // The choices stand at the end, where they shift nothing.
        let (document, choices) = octets.split_at(octets.len().saturating_sub(3));
        let choice = |at: usize| choices.get(at).copied().unwrap_or_default();
        let prefixes = PREFIXES[usize::from(choice(2)) % PREFIXES.len()].to_owned();
        Ok(Self { element: choice(0), omitted: choice(1), prefixes, document: document.to_vec() })
    }
}

/// # Panics
/// If the canonical octets mean something else than the source, or are not their own canonical form.
pub fn check(question: &Question) {
    let Ok(document) = Document::parse(&question.document) else { return };
    let element = usize::from(question.element) % document.len();
    let omitted = usize::from(question.omitted) % document.len();
    let outline = document.outline(element);
    let inside = (omitted > element && omitted < element + outline.len()).then_some(omitted);
    for omitted in [None, inside] {
        let Ok(canonical) = document.canonical(element, omitted, &question.prefixes) else { continue };
        assert!(!canonical.is_empty());
        let again = match Document::parse_canonical(&canonical) {
            Ok(again) => again,
            // Declarations and references that the form spells out may be too many for the second pass.
            Err(refusal) => {
                assert!(is_cap(refusal.reason), "{refusal} of {canonical}");
                continue;
            }
        };
        assert_eq!(again.canonical(0, None, &question.prefixes).as_ref(), Ok(&canonical));
        if omitted.is_none() {
            assert_eq!(sorted(outline.clone()), sorted(again.outline(0)));
        }
    }
}

fn is_cap(reason: Reason) -> bool {
    matches!(reason, Reason::NodesExceeded | Reason::AttributesExceeded | Reason::NamespacesExceeded)
}

/// C14N puts attributes in order.
fn sorted(mut outline: Vec<Element<'_>>) -> Vec<Element<'_>> {
    for element in &mut outline {
        element.attributes.sort();
    }
    outline
}
