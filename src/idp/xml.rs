//! Writes XML in exclusive canonical form from the start, so that what is signed needs no canonicalizer.
//!
//! Exclusive XML Canonicalization 1.0 of an element written here is the element itself, wherever it stands: namespaces are
//! declared where they are first used, attributes are sorted, empty elements have an end tag, and there is no white space
//! between elements.

/// The prefixes that this IdP writes, and what they are bound to.
const NAMESPACES: &[(&str, &str)] = &[
    ("ds", "http://www.w3.org/2000/09/xmldsig#"),
    ("md", "urn:oasis:names:tc:SAML:2.0:metadata"),
    ("saml", "urn:oasis:names:tc:SAML:2.0:assertion"),
    ("samlp", "urn:oasis:names:tc:SAML:2.0:protocol"),
    ("xenc", "http://www.w3.org/2001/04/xmlenc#"),
];

/// An element with a prefixed name, attributes without prefix, and either text or elements inside.
#[derive(Debug, Clone)]
pub(super) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// `name` with its prefix: `saml:Assertion`.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), text: String::new(), children: Vec::new() }
    }

    /// Adds an attribute; the order of calls does not matter.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    pub(super) fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    pub(super) fn child(mut self, child: Element) -> Self {
        self.children.push(child);
        self
    }

    pub(super) fn children(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.children.extend(children);
        self
    }

    /// Puts `child` behind the first child; a signature stands there, after the Issuer (SAML Core 2.3.3, 3.2.2).
    pub(super) fn insert_second(&mut self, child: Element) {
        self.children.insert(1.min(self.children.len()), child);
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    /// The canonical octets of this element on its own.
    pub(super) fn canonical(&self) -> String {
        let mut out = String::with_capacity(4096);
        self.write(&mut out, &mut Vec::new());
        out
    }

    /// `declared` are the prefixes that an ancestor in the output has declared already.
    fn write(&self, out: &mut String, declared: &mut Vec<&'static str>) {
        let depth = declared.len();
        out.push('<');
        out.push_str(self.name);
        let prefix = self.name.split(':').next().unwrap_or_default();
        if !declared.contains(&prefix)
            && let Some((prefix, uri)) = NAMESPACES.iter().find(|(known, _)| *known == prefix)
        {
            declared.push(prefix);
            out.push_str(&format!(" xmlns:{prefix}=\"{uri}\""));
        }
        let mut attributes: Vec<_> = self.attributes.iter().collect();
        attributes.sort_by_key(|(name, _)| *name);
        for (name, value) in attributes {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            escape(value, true, out);
            out.push('"');
        }
        out.push('>');
        escape(&self.text, false, out);
        for child in &self.children {
            child.write(out, declared);
        }
        out.push_str("</");
        out.push_str(self.name);
        out.push('>');
        declared.truncate(depth);
    }
}

/// Whether XML 1.0 can say this text at all (XML 1.0, section 2.2, `Char`).
pub(super) fn is_text(text: &str) -> bool {
    text.chars().all(|c| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
    })
}

/// Canonical XML 1.0, section 2.3: which characters are replaced in text and in attribute values.
fn escape(text: &str, in_attribute: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' if !in_attribute => out.push_str("&gt;"),
            '"' if in_attribute => out.push_str("&quot;"),
            '\t' if in_attribute => out.push_str("&#x9;"),
            '\n' if in_attribute => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_by_construction() {
        let inner = Element::new("saml:Issuer").text("a<b>&\"\r");
        let outer = Element::new("samlp:Response").with("Version", "2.0").with("ID", "\"<>&\t\n");
        assert_eq!(
            outer.child(inner.clone()).child(inner).child(Element::new("samlp:Status")).canonical(),
            "<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
             ID=\"&quot;&lt;>&amp;&#x9;&#xA;\" Version=\"2.0\">\
             <saml:Issuer xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">a&lt;b&gt;&amp;\"&#xD;</saml:Issuer>\
             <saml:Issuer xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">a&lt;b&gt;&amp;\"&#xD;</saml:Issuer>\
             <samlp:Status></samlp:Status></samlp:Response>"
        );
    }

    #[test]
    fn text_that_xml_cannot_say() {
        assert!(is_text("tab\t, line\n, é, \u{1f600}"));
        assert!(!is_text("\0") && !is_text("\u{b}") && !is_text("\u{ffff}"));
    }
}
