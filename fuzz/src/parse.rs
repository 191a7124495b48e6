//! The raw scan and the two parsers.
use crate::saml::{decode, document::Document, limits::DEPTH_MAX};

/// The strict parser of canonical forms accepts nothing that the first one refuses or reads otherwise.
///
/// # Panics
/// If it does.
pub fn check(octets: &[u8]) {
    let _ = decode(octets);
    let first = Document::parse(octets);
    if let Ok(document) = &first {
        let outline = document.outline(0);
        assert_eq!(outline.len(), document.len());
        assert!(outline.iter().all(|element| element.depth < DEPTH_MAX && !element.local.is_empty()));
    }
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Ok(second) = Document::parse_canonical(text) {
        let first = first.expect("what is canonical XML is XML");
        assert_eq!(first.outline(0), second.outline(0));
    }
}
