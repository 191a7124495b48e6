//! PEM files of IdP certificates: taken apart into one block each, and shown to `saml`, which judges what is inside.
use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{reader::Reader, server::Ground, value::Placed};
use crate::saml::{Connection, ConnectionError, Settings};

const CERTIFICATE_FILE_BYTES_MAX: u64 = 256 * 1024;

/// The certificates in `certs/`, whose keys everybody has.
pub const DEVELOPMENT_CERTIFICATES: &[&str] = &[include_str!("../../certs/development-idp.crt")];

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// One certificate and the entry of the list that named its file.
struct Block {
    pem: Vec<u8>,
    file: Placed<String>,
}

/// Reads the certificates of the files that the list at `path` names; faults those that no connection could use.
pub fn read(reader: &mut Reader, ground: &Ground, folder: &Path, path: &str) -> Vec<Vec<u8>> {
    let hint = "name the PEM files of the IdP's signing certificates: [\"certs/idp.crt\"]";
    let files = match reader.texts(path) {
        Some(files) => files,
        None if reader.has(path) => return vec![],
        None => {
            let place = reader.place(path);
            reader.fault(&place, path, "is missing: nothing could be verified", hint);
            return vec![];
        }
    };
    if files.is_empty() {
        let place = reader.place(path);
        reader.fault(&place, path, "is empty: nothing could be verified", hint);
    }
    let mut found = vec![];
    for file in files {
        found.extend(read_file(reader, folder, path, file));
    }
    for block in found.iter().filter(|block| ground.in_production() && is_development(&block.pem)) {
        let why = format!("{:?} is the development certificate, whose key everybody has", block.file.value);
        reader.fault(&block.file.place, path, why, "use the certificate of your IdP");
    }
    check_keys(reader, path, &found);
    found.into_iter().map(|block| block.pem).collect()
}

fn read_file(reader: &mut Reader, folder: &Path, path: &str, file: Placed<String>) -> Vec<Block> {
    let text = match reader.file(path, &folder.join(&file.value), CERTIFICATE_FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(error) => {
            let why = format!("{:?} cannot be read ({error})", file.value);
            reader.fault(&file.place, path, why, "name a file relative to the configuration's folder");
            return vec![];
        }
    };
    match blocks(&text) {
        Ok(found) => found.into_iter().map(|pem| Block { pem, file: file.clone() }).collect(),
        Err((why, hint)) => {
            reader.fault(&file.place, path, format!("{:?} {why}", file.value), hint);
            vec![]
        }
    }
}

/// First each certificate alone, so that every fault is found, then all together.
fn check_keys(reader: &mut Reader, path: &str, found: &[Block]) {
    let mut all_fine = true;
    for block in found {
        if let Some(error) = connection_error(std::slice::from_ref(block)) {
            let error = error.to_string();
            let why = error.strip_prefix("certificate 0 ").unwrap_or(&error);
            let hint =
                "ask for a certificate with an RSA key of 2048 bits or more, or on P-256, P-384 or P-521";
            reader.fault(&block.file.place, path, format!("{:?} {why}", block.file.value), hint);
            all_fine = false;
        }
    }
    match connection_error(found).filter(|_| all_fine && !found.is_empty()) {
        None => {}
        Some(ConnectionError::KeyTwice { certificate }) => {
            let Some(block) = found.get(certificate) else { return };
            let why = format!("{:?} holds the same key as an earlier one", block.file.value);
            reader.fault(&block.file.place, path, why, "remove one of the two");
        }
        Some(error) => {
            let place = reader.place(path);
            reader.fault(&place, path, format!("has {error}"), "remove those that the IdP no longer uses");
        }
    }
}

/// What a connection with these certificates would be refused for; the other settings play no part in it.
fn connection_error(found: &[Block]) -> Option<ConnectionError> {
    let certificates = found.iter().map(|block| block.pem.clone()).collect();
    let settings = Settings { certificates, ..Settings::default() };
    Connection::new(settings).err()
}

/// The certificates of a PEM text, in order and at least one; else why there are none, and how to mend it.
///
/// Text around the blocks is passed over (RFC 7468 section 2): tools write a certificate's particulars there.
fn blocks(pem: &str) -> Result<Vec<Vec<u8>>, (&'static str, &'static str)> {
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
fn is_development(block: &[u8]) -> bool {
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
