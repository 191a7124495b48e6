//! How what we send is spelt: XML as Canonical XML 1.0 has it, URLs by RFC 3986.
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// RFC 3986 2.3, unreserved: everything else is percent-encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Canonical XML 1.0, section 2.3: the text of an element.
pub(super) fn text(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#xD;")
}

/// Canonical XML 1.0, section 2.3: the value of an attribute.
pub(super) fn attribute(value: &str) -> String {
    let value = value.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    value.replace('\t', "&#x9;").replace('\n', "&#xA;").replace('\r', "&#xD;")
}

/// A value in a query.
pub(super) fn percent_encoded(value: &str) -> String {
    utf8_percent_encode(value, RESERVED).to_string()
}

/// A URL with more query, before its fragment.
pub(super) fn joined(url: &str, query: &str) -> String {
    let (base, fragment) = url.split_once('#').map_or((url, None), |(base, rest)| (base, Some(rest)));
    let separator = match base.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    match fragment {
        None => format!("{base}{separator}{query}"),
        Some(fragment) => format!("{base}{separator}{query}#{fragment}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_stands_behind_the_one_that_is_there_and_before_the_fragment() {
        for (url, expected) in [
            ("https://a/b", "https://a/b?c=d"),
            ("https://a/b?", "https://a/b?c=d"),
            ("https://a/b?e", "https://a/b?e&c=d"),
            ("https://a/b?e=f&", "https://a/b?e=f&c=d"),
            ("https://a/b#g", "https://a/b?c=d#g"),
            ("https://a/b?e=f#g?h", "https://a/b?e=f&c=d#g?h"),
        ] {
            assert_eq!(joined(url, "c=d"), expected);
        }
    }

    #[test]
    fn what_is_written_is_canonical() {
        assert_eq!(text("a<b>&\"'\r\n\t"), "a&lt;b&gt;&amp;\"'&#xD;\n\t");
        assert_eq!(attribute("a<b>&\"'\r\n\t"), "a&lt;b>&amp;&quot;'&#xD;&#xA;&#x9;");
        assert_eq!(percent_encoded("a b+/=&~é"), "a%20b%2B%2F%3D%26~%C3%A9");
    }
}
