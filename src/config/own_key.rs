//! PEM files with key pairs of our own: read here, judged by `saml`.
use std::path::Path;

use super::{reader::Reader, server::Ground};
use crate::saml::OwnKey;

const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;
/// One in use, one to come, one to go.
const KEYS_MAX: usize = 3;

/// The key pairs in `certs/`, which everybody has.
const DEVELOPMENT_KEYS: &[&str] = &[
    include_str!("../../certs/development-sp-signing.pem"),
    include_str!("../../certs/development-sp-decryption.pem"),
];

/// Reads the files that the list at `path` names, one pair each; faults those that no connection could use. Empty if the
/// list is not there.
pub fn read(reader: &mut Reader, ground: &Ground, folder: &Path, path: &str) -> Vec<OwnKey> {
    let files = reader.texts(path).unwrap_or_default();
    if files.len() > KEYS_MAX {
        let place = reader.place(path);
        let why = format!("has more than {KEYS_MAX} keys");
        reader.fault(&place, path, why, "keep the one in use and the one that is to follow it");
    }
    let mut keys: Vec<OwnKey> = vec![];
    for file in files {
        let text = match reader.file(path, &folder.join(&file.value), KEY_FILE_BYTES_MAX) {
            Ok(text) => text,
            Err(error) => {
                let why = format!("{:?} cannot be read ({error})", file.value);
                reader.fault(&file.place, path, why, "name a file relative to the configuration's folder");
                continue;
            }
        };
        let key = match OwnKey::from_pem(text.as_bytes()) {
            Ok(key) => key,
            Err(error) => {
                let hint =
                    "name one PEM file that holds the private key, without a passphrase, and its certificate";
                reader.fault(&file.place, path, format!("{:?} {error}", file.value), hint);
                continue;
            }
        };
        if ground.in_production() && is_development(&key) {
            let why = format!("{:?} is a development key, which everybody has", file.value);
            reader.fault(&file.place, path, why, "make a key of your own; certs/README.md says how");
        }
        if keys.iter().any(|other| other.is_same_key(&key)) {
            let why = format!("{:?} holds the same key as an earlier one", file.value);
            reader.fault(&file.place, path, why, "remove one of the two");
        }
        keys.push(key);
    }
    keys
}

/// Faults what is wrong between the signing keys and the decryption keys: kinds, and a key that does both (S-76).
pub fn check(reader: &mut Reader, path: &str, signing: &[OwnKey], decryption: &[OwnKey]) {
    let place = reader.place(path);
    for key in decryption {
        if !key.is_rsa() {
            let hint = "make an RSA key of 3072 bits for decryption; the signing key may be of another kind";
            reader.fault(&place, path, "holds a key that is not RSA", hint);
        }
        if signing.iter().any(|other| other.is_same_key(key)) {
            let hint = "make a key of its own for decryption";
            reader.fault(&place, path, "holds a key of signing_keys too", hint);
        }
    }
}

fn is_development(key: &OwnKey) -> bool {
    let ours = DEVELOPMENT_KEYS.iter().filter_map(|pem| OwnKey::from_pem(pem.as_bytes()).ok());
    ours.into_iter().any(|development| development.is_same_key(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_development_keys_are_known() {
        for pem in DEVELOPMENT_KEYS {
            assert!(is_development(&OwnKey::from_pem(pem.as_bytes()).unwrap()));
        }
    }
}
