//! E-mail addresses that mail is sent to.
use std::fmt;

/// RFC 5321 4.5.3.1.3: a path has 256 octets, of which two are its brackets.
const ADDRESS_BYTES_MAX: usize = 254;
/// RFC 5321 4.5.3.1.1
const LOCAL_BYTES_MAX: usize = 64;
/// RFC 1035 2.3.4
const LABEL_BYTES_MAX: usize = 63;

/// An address of the plain form: a dot-atom, `@`, a host name; ASCII only. Quoted local parts, address literals and
/// internationalized addresses are refused: what looks alike or needs quoting has no place where people are told apart (V-10),
/// and nothing in it can end a line of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress {
    text: String,
    at: usize,
}

impl EmailAddress {
    /// Blanks around it are not minded.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let (local, domain) = text.split_once('@')?;
        let fits = text.len() <= ADDRESS_BYTES_MAX && local.len() <= LOCAL_BYTES_MAX;
        (fits && is_dot_atom(local) && is_host_name(domain))
            .then(|| Self { text: text.to_owned(), at: local.len() })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn local(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    pub fn domain(&self) -> &str {
        self.text.get(self.at + 1..).unwrap_or_default()
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// RFC 5322 3.2.3
fn is_dot_atom(local: &str) -> bool {
    let is_atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom))
}

fn is_host_name(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v_10_only_plain_addresses_are_addresses() {
        for good in ["alice@example.com", " a.b+c@Sub.Example.com\n", "x@localhost", "o'neil@example.com"] {
            let address = EmailAddress::parse(good).unwrap();
            assert_eq!(format!("{}@{}", address.local(), address.domain()), good.trim());
        }
        let long = format!("{}@example.com", "a".repeat(65));
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "a b@example.com",
            "a@b@c",
            "a..b@example.com",
            ".a@example.com",
            "a@-b.com",
            "a@b..com",
            "a@b.com.",
            "\"a\"@example.com",
            "a@[127.0.0.1]",
            "a@ex\u{e4}mple.com",
            "\u{430}lice@example.com",
            "a@example.com\r\nBcc: b@example.com",
            "a,b@example.com",
            "a<b>@example.com",
            long.as_str(),
        ] {
            assert_eq!(EmailAddress::parse(bad), None, "{bad}");
        }
    }
}
