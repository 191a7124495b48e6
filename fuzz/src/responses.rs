//! The accepted fixtures, and the verdict on a response under the settings that they are made for.
use std::{fs, path::PathBuf, sync::LazyLock};

use crate::{
    domain::{AuthnDemand, Timestamp},
    saml::{
        Connection, NoTrail, Outstanding, OwnKey, Refusal, Settings, SignedElement, SubjectKey,
        VerifiedAssertion, verify,
    },
};

/// Longer ones only make everything slower.
const OCTETS_MAX: usize = 12 * 1024;

/// A response that was signed, and what it says.
pub struct Genuine {
    pub name: String,
    pub octets: Vec<u8>,
    pub verified: VerifiedAssertion,
}

/// All of `fixtures/saml/accept` but the long ones, by name.
pub static GENUINE: LazyLock<Vec<Genuine>> = LazyLock::new(|| {
    let all = files("accept").into_iter();
    all.filter(|(_, octets)| octets.len() <= OCTETS_MAX)
        .map(|(path, octets)| {
            let verified = judge(&octets).unwrap_or_else(|refusal| panic!("{}: {refusal}", path.display()));
            Genuine { name: path.display().to_string(), octets, verified }
        })
        .collect()
});

/// The connection of the fixtures.
pub static CONNECTION: LazyLock<Connection> = LazyLock::new(|| {
    let names = ["idp-rsa.cert.pem", "idp-p256.cert.pem", "idp-p384.cert.pem"];
    let pair = |name: &str| OwnKey::from_pem(&key(name)).expect("a key with its certificate");
    Connection::new(Settings {
        entity_id: "https://sp.example.com/saml/metadata".into(),
        idp_entity_id: "https://idp.example.com/metadata".into(),
        sso_url: "https://idp.example.com/sso".into(),
        certificates: names.iter().map(|name| key(name)).collect(),
        signed: SignedElement::Either,
        subject: SubjectKey::NameId,
        clock_skew_seconds: 60,
        decryption_keys: ["sp-decryption.pem", "sp-decryption-next.pem"].map(pair).into(),
        ..Settings::default()
    })
    .expect("a connection")
});

/// When everything in `fixtures/saml` is judged.
pub static NOW: LazyLock<Timestamp> = LazyLock::new(|| "2026-01-15T12:00:00Z".parse().expect("a timestamp"));

/// As `fixtures/saml/README.md` says.
pub fn judge(octets: &[u8]) -> Result<VerifiedAssertion, Refusal> {
    let issued_at = "2026-01-15T11:59:50.900Z".parse().expect("a timestamp");
    let demand = &AuthnDemand::default();
    let outstanding = ["_f0e1d2c3b4a5968778695a4b3c2d1e0f", "_other"].map(|request_id| Outstanding {
        request_id,
        demand,
        issued_at,
    });
    verify(octets, &CONNECTION, "https://sp.example.com/saml/acs", &outstanding, *NOW, &mut NoTrail)
}

/// A file of `fixtures/saml/keys`.
pub fn key(name: &str) -> Vec<u8> {
    fs::read(fixtures().join("keys").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The files of a folder of `fixtures/saml`, by name.
pub fn files(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(fixtures().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let octets = fs::read(&path).expect("a fixture");
        (path, octets)
    };
    paths.into_iter().map(read).collect()
}

pub fn fixtures() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/saml"))
}
