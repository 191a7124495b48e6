//! The fixtures on disk: what the generator makes, judged as the gateway would.
//!
//! `UPDATE_FIXTURES=1 cargo test --test it saml::fixtures` writes them anew.
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use portcullis::saml::{Check, Reason, Refusal, VerifiedAssertion, decode};

use super::{
    Case, cases, demands, encrypted,
    forge::{connection, judge, usual_connection},
    subjects::by_object_id,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/saml")
}

/// Where a case lies.
fn path(case: &Case) -> PathBuf {
    match case.reason {
        None => root().join("accept").join(format!("{}.xml", case.name)),
        Some(reason) => {
            let extension = if reason.check() == Check::Encoding { "b64" } else { "xml" };
            root().join("reject").join(reason.code()).join(format!("{}.{extension}", case.name))
        }
    }
}

/// ECDSA draws a random number per signature and RSA encryption one per key, so those files stay as they are while they
/// serve.
fn is_repeatable(octets: &[u8]) -> bool {
    let text = String::from_utf8_lossy(octets);
    !text.contains("ecdsa-sha") && !text.contains("<xenc:EncryptedKey")
}

/// What becomes of a case, at the connection that it is made for.
pub fn outcome(reason: Option<Reason>, octets: &[u8]) -> Result<VerifiedAssertion, Refusal> {
    if let Some(judged) = demands::outcome(reason, octets) {
        return judged;
    }
    let connection = &match reason {
        Some(Reason::KeyTypeMissing | Reason::AssertionEncrypted | Reason::EncryptedPart) => {
            connection(&["idp-rsa"])
        }
        Some(Reason::AssertionNotEncrypted) => {
            encrypted::connection(&["sp-decryption"], |settings| settings.encrypted = true)
        }
        Some(reason) if reason.code().starts_with("subject_attribute") => by_object_id(),
        _ => usual_connection(),
    };
    match reason {
        Some(reason) if reason.check() == Check::Encoding => judge(connection, &decode(octets)?),
        _ => judge(connection, octets),
    }
}

/// Names every outcome that is not the one owed.
fn faults<'a>(judged: impl Iterator<Item = (String, Option<Reason>, &'a [u8])>) -> Vec<String> {
    judged
        .filter_map(|(name, reason, octets)| {
            let found = outcome(reason, octets).err();
            let same = found.as_ref().map(|refusal| refusal.reason) == reason;
            (!same).then(|| {
                format!(
                    "{name}: owed {reason:?}, found {}",
                    found.map_or("accepted".into(), |r| r.to_string())
                )
            })
        })
        .collect()
}

#[test]
fn every_case_has_the_outcome_that_it_is_owed() {
    let cases = cases();
    let faults = faults(cases.iter().map(|case| (case.name.clone(), case.reason, case.octets.as_slice())));
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_fixtures_are_what_the_generator_makes() {
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    let mut wanted = BTreeSet::new();
    for case in cases() {
        let path = path(&case);
        assert!(wanted.insert(path.clone()), "two cases are called {}", path.display());
        let found = fs::read(&path).ok();
        let serves = found.as_deref() == Some(&case.octets)
            || (!is_repeatable(&case.octets)
                && found.as_deref().is_some_and(|found| still_serves(&case, found)));
        if update && !serves {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &case.octets).unwrap();
        } else {
            assert!(serves, "{} is not what the generator makes: run with UPDATE_FIXTURES=1", path.display());
        }
    }
    let found: BTreeSet<PathBuf> = files().into_iter().map(|(path, _)| path).collect();
    let stray: Vec<_> = found.difference(&wanted).collect();
    assert!(stray.is_empty(), "no case makes {stray:?}");
}

fn still_serves(case: &Case, found: &[u8]) -> bool {
    outcome(case.reason, found).err().map(|refusal| refusal.reason) == case.reason
}

#[test]
fn every_reason_has_a_fixture_and_every_fixture_its_outcome() {
    let files = files();
    let read: Vec<_> = files.iter().map(|(path, reason)| (path, *reason, fs::read(path).unwrap())).collect();
    let judged =
        read.iter().map(|(path, reason, octets)| (path.display().to_string(), *reason, octets.as_slice()));
    let mut faults = faults(judged);
    for reason in Reason::ALL {
        if !files.iter().any(|(_, of)| *of == Some(*reason)) {
            faults.push(format!("no fixture for {}", reason.code()));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Every fixture with the reason that its folder names.
fn files() -> Vec<(PathBuf, Option<Reason>)> {
    let listed = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder)
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default()
    };
    let mut files: Vec<_> = listed(&root().join("accept")).into_iter().map(|path| (path, None)).collect();
    for folder in listed(&root().join("reject")) {
        let code = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let reason = Reason::ALL.iter().find(|reason| reason.code() == code);
        let reason = *reason.unwrap_or_else(|| panic!("{code} is no reason"));
        files.extend(listed(&folder).into_iter().map(|path| (path, Some(reason))));
    }
    files
}
