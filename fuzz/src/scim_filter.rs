//! Filters and paths: read, printed, bound, planned, asked.
use crate::scim::{Document, Filter, Lookup, Path, ResourceType};

use crate::scim_resource::{document, example};

/// What is read is printed as what reads the same; whatever passes is where the look-up looks.
///
/// # Panics
/// If it does not.
pub fn check(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Ok(path) = Path::parse(text) {
        assert_eq!(Path::parse(&path.to_string()).as_ref(), Ok(&path));
    }
    let Ok(filter) = Filter::parse(text) else { return };
    let printed = filter.to_string();
    // Escapes can make it longer than a filter may be.
    if let Ok(again) = Filter::parse(&printed) {
        assert_eq!(again, filter);
    }
    for kind in ResourceType::ALL {
        let Ok(bound) = filter.bind(*kind) else { continue };
        let _ = bound.members();
        let resource: Document = document(&example(*kind));
        assert!(bound.lookup() != Lookup::Nothing || !bound.matches(&resource), "{printed}");
    }
}
