//! Edits of an IdP's metadata, by whoever answers in its place.
use std::sync::LazyLock;

use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::{
    responses::{NOW, files, key},
    saml::{Connection, IdpMetadata, MetadataError, MetadataRules, MetadataSigners, Settings, read_metadata},
    verify::{Edit, edited},
};

/// Which document, whether its signer is pinned, and what is done to it.
#[derive(Debug, Arbitrary)]
pub struct Edits {
    base: u8,
    pinned: bool,
    edits: Vec<Edit>,
}

static DOCUMENTS: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| files("metadata/accept").into_iter().map(|(_, octets)| octets).collect());

/// What the documents say that the pinned key signed.
static SIGNED: LazyLock<Vec<IdpMetadata>> = LazyLock::new(|| {
    let signed: Vec<_> = DOCUMENTS.iter().filter_map(|octets| read(octets, true).ok()).collect();
    assert!(!signed.is_empty(), "no document is signed by the pinned key");
    signed
});

static SIGNERS: LazyLock<MetadataSigners> =
    LazyLock::new(|| MetadataSigners::new(vec![key("idp-rsa.cert.pem")]).expect("a signer"));

/// As `fixtures/saml/metadata/README.md` says.
fn read(octets: &[u8], pinned: bool) -> Result<IdpMetadata, MetadataError> {
    let rules = MetadataRules {
        entity_id: Some("https://idp.example.com/metadata".into()),
        own_authorities: vec!["sp.example.com".into(), "app.example.com:8443".into()],
        http_on_loopback: false,
        public_keys: vec![],
    };
    read_metadata(octets, &rules, pinned.then_some(&*SIGNERS), *NOW)
}

/// # Panics
/// If a document is taken that the pinned key did not sign, or that no connection could use.
pub fn check(edits: &Edits) {
    let base = DOCUMENTS[usize::from(edits.base) % DOCUMENTS.len()].clone();
    let Some(octets) = edited(base, &edits.edits) else { return };
    let Ok(metadata) = read(&octets, edits.pinned) else { return };
    if edits.pinned {
        assert!(metadata.is_signed() && SIGNED.contains(&metadata), "{metadata:?} was never signed");
    }
    let settings = Settings { certificates: metadata.certificates().to_vec(), ..Settings::default() };
    assert!(Connection::new(settings).is_ok(), "no connection takes the keys of {metadata:?}");
    assert_eq!(metadata.entity_id(), "https://idp.example.com/metadata");
    for endpoint in metadata.single_sign_on().iter().chain(metadata.single_logout()) {
        for url in std::iter::once(&endpoint.location).chain(&endpoint.response_location) {
            let host = url.strip_prefix("https://").expect("https").split(['/', '?', '#']).next();
            assert!(!matches!(host, Some("" | "sp.example.com" | "app.example.com:8443") | None), "{url}");
            assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "{url}");
        }
    }
}
