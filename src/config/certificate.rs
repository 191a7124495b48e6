//! PEM files of IdP certificates: taken apart into one block each. What is inside a certificate is `saml`'s to judge.
use base64::{Engine, engine::general_purpose::STANDARD};

/// The certificates in `certs/`, whose keys everybody has.
const DEVELOPMENT_CERTIFICATES: &[&str] = &[include_str!("../../certs/development-idp.crt")];

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates of a PEM text, in order and at least one; else why there are none, and how to mend it.
///
/// Text around the blocks is passed over (RFC 7468 section 2): tools write a certificate's particulars there.
pub fn blocks(pem: &str) -> Result<Vec<Vec<u8>>, (&'static str, &'static str)> {
    if pem.contains("PRIVATE KEY-----") {
        return Err(("holds a private key", "name a file with the certificate alone; the IdP keeps its key"));
    }
    let mut blocks = vec![];
    let mut rest = pem;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let Some((body, after)) = after.split_once(END) else { return Err(NO_PEM) };
        if der(body).is_none_or(|der| der.is_empty()) {
            return Err(NO_PEM);
        }
        blocks.push(format!("{BEGIN}{body}{END}\n").into_bytes());
        rest = after;
    }
    if blocks.is_empty() { Err(NO_PEM) } else { Ok(blocks) }
}

/// Whether a block of [`blocks`] is a certificate of the development set-up.
pub fn is_development(block: &[u8]) -> bool {
    let ours = DEVELOPMENT_CERTIFICATES.iter().filter_map(|pem| blocks(pem).ok()).flatten();
    let decoded = |block: &[u8]| {
        let text = std::str::from_utf8(block).ok()?;
        der(text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?)
    };
    let found = decoded(block);
    found.is_some() && ours.into_iter().any(|development| decoded(&development) == found)
}

const NO_PEM: (&str, &str) = (
    "holds no PEM certificate",
    "save the IdP's signing certificate as text with BEGIN CERTIFICATE and END CERTIFICATE lines",
);

fn der(body: &str) -> Option<Vec<u8>> {
    let digits: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = DEVELOPMENT_CERTIFICATES[0];

    #[test]
    fn bundles_are_taken_apart() {
        let bundle = format!("Subject: CN=example\n{OURS}\n{OURS}");
        let blocks = blocks(&bundle).unwrap();
        assert_eq!(blocks.len(), 2);
        assert!(blocks.iter().all(|block| block.starts_with(BEGIN.as_bytes())));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        for wrong in ["", "hello", BEGIN, &format!("{BEGIN}\n{END}"), &format!("{BEGIN}\n!!!!\n{END}")] {
            assert_eq!(blocks(wrong), Err(NO_PEM), "{wrong}");
        }
        let key = format!("{OURS}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        assert_eq!(blocks(&key).unwrap_err().0, "holds a private key");
    }

    /// Compared as DER, so that line ends and line lengths hide nothing.
    #[test]
    fn development_certificates_are_known_in_any_wrapping() {
        let block = blocks(OURS).unwrap().remove(0);
        assert!(is_development(&block));
        let body: String = OURS.lines().filter(|line| !line.starts_with('-')).collect();
        assert!(is_development(format!("{BEGIN}\r\n{body}\r\n{END}").as_bytes()));
        assert!(!is_development(format!("{BEGIN}\nAAAA\n{END}\n").as_bytes()));
        assert!(!is_development(b""));
    }
}
