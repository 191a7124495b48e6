//! The domains of e-mail addresses that the chooser knows an enterprise by.
use super::{enterprise::Draft, reader::Reader};

/// RFC 1035 2.3.4.
const DOMAIN_BYTES_MAX: usize = 253;

/// Reads `email_domains` of an enterprise, whose path is `path`, in lower case.
pub fn read(reader: &mut Reader, path: &str) -> Vec<String> {
    let path = format!("{path}.email_domains");
    let mut domains: Vec<String> = vec![];
    for text in reader.texts(&path).unwrap_or_default() {
        let domain = text.value.to_ascii_lowercase();
        if !is_domain(&domain) {
            let why = format!("{:?} is no domain in ASCII", text.value);
            let hint = "write what follows the @ in the people's addresses: \"example.com\"; \
                        one with other letters in its xn-- form";
            reader.fault(&text.place, &path, why, hint);
        } else if domains.contains(&domain) {
            let why = format!("names {:?} twice, in another letter case", text.value);
            reader.fault(&text.place, &path, why, "remove one of the two");
        }
        domains.push(domain);
    }
    domains
}

/// A domain of two enterprises would let chance decide where its people are sent.
pub fn check(reader: &mut Reader, drafts: &[Draft]) {
    for (index, draft) in drafts.iter().enumerate() {
        for earlier in drafts.iter().take(index) {
            let theirs = &earlier.settings.email_domains;
            for domain in draft.settings.email_domains.iter().filter(|domain| theirs.contains(domain)) {
                let path = format!("enterprise.{}.email_domains", draft.table);
                let place = reader.place(&path);
                let why = format!("{domain:?} is a domain of the enterprise {} too", earlier.settings.slug);
                let hint =
                    "give it to one of them; the others' people can start at /enterprises/NAME/saml/login";
                reader.fault(&place, &path, why, hint);
            }
        }
    }
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= DOMAIN_BYTES_MAX && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        for right in ["example.com", "xn--bcher-kva.example", "localhost", "3.example"] {
            assert!(is_domain(right), "{right}");
        }
        for wrong in
            ["", ".", "example.com.", ".example.com", "a..b", "a@b.example", "a b", "b\u{fc}cher.example"]
        {
            assert!(!is_domain(wrong), "{wrong}");
        }
        assert!(is_domain(&"a".repeat(DOMAIN_BYTES_MAX)) && !is_domain(&"a".repeat(DOMAIN_BYTES_MAX + 1)));
    }
}
