//! The second verifier agrees with the core on everything that the core accepts, and can disagree.
//!
//! `OPENSSL_NO_VENDOR=1 cargo test --features samael --test second_opinion --target-dir target/samael`
#![allow(dead_code, reason = "shared with the integration tests, of which this uses a part")]

#[path = "it/saml"]
mod saml {
    pub mod forge;
}
#[path = "it/support/mod.rs"]
mod support;

use std::{fs, path::Path};

use portcullis::{
    config::Overrides,
    domain::StableId,
    saml::VerifiedAssertion,
    second_opinion::{AVAILABLE, Disagreement, SecondOpinion},
};
use saml::forge::{self, Sign, Spec, judge, usual_connection};
use support::forged_idp::ForgedIdp;

/// What it says with the certificates of the fixtures' connection.
fn asked(octets: &[u8], verified: &VerifiedAssertion) -> Result<(), Disagreement> {
    asked_with(&["idp-rsa", "idp-p256", "idp-p384"], octets, verified)
}

fn asked_with(
    certificates: &[&str],
    octets: &[u8],
    verified: &VerifiedAssertion,
) -> Result<(), Disagreement> {
    SecondOpinion::new().expect("available").on(octets, &forge::settings(certificates), verified)
}

fn accepted() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/saml/accept");
    let entries = fs::read_dir(folder).expect("the fixtures");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let mut all: Vec<_> =
        files.map(|path| (path.display().to_string(), fs::read(&path).expect("a fixture"))).collect();
    all.sort();
    all
}

#[test]
fn it_agrees_on_every_accepted_fixture() {
    assert!(AVAILABLE);
    let connection = usual_connection();
    let mut faults = vec![];
    for (name, octets) in accepted().into_iter().filter(|(_, octets)| !is_encrypted(octets)) {
        let verified = judge(&connection, &octets).expect("accepted");
        if let Err(disagreement) = asked(&octets, &verified) {
            faults.push(format!("{name}: {disagreement}"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn is_encrypted(octets: &[u8]) -> bool {
    String::from_utf8_lossy(octets).contains("EncryptedData")
}

/// It has no decryption key. The configuration says so; nothing gets by if that should be overlooked.
#[test]
fn what_is_encrypted_is_a_disagreement() {
    let connection = usual_connection();
    let encrypted: Vec<_> = accepted().into_iter().filter(|(_, octets)| is_encrypted(octets)).collect();
    assert!(!encrypted.is_empty());
    for (name, octets) in encrypted {
        let verified = judge(&connection, &octets).expect("accepted");
        assert!(asked(&octets, &verified).is_err(), "{name}");
    }
}

/// What the core read of one response is held against another, as if the core had read it wrong.
#[test]
fn another_value_is_a_disagreement() {
    let connection = usual_connection();
    let verified = judge(&connection, Spec::default().xml().as_bytes()).expect("accepted");
    let changes: [(&str, fn(&mut Spec)); 5] = [
        ("assertion ID", |spec| drop(spec.assertion.insert("ID", "_another".into()))),
        ("NameID", |spec| spec.name_id = spec.name_id.replace("alice", "bob")),
        ("list of attributes", |spec| spec.attributes += &forge::attribute("groups", &["admins"])),
        ("list of attributes", |spec| spec.attributes = spec.attributes.replace("alice", "bob")),
        ("list of structured attributes", |spec| {
            spec.attributes += &forge::attribute("targeted", &["<saml:NameID>x</saml:NameID>"]);
        }),
    ];
    for (what, change) in changes {
        for whole in [false, true] {
            let mut spec = Spec::default();
            if whole {
                spec.sign_response = spec.sign_assertion.take();
            }
            change(&mut spec);
            let found = asked(spec.xml().as_bytes(), &verified);
            assert_eq!(found, Err(Disagreement::Value(what)), "{what}");
        }
    }
}

#[test]
fn what_it_does_not_verify_is_a_disagreement() {
    let genuine = Spec::default().xml();
    let verified = judge(&usual_connection(), genuine.as_bytes()).expect("accepted");
    let unsigned = Spec { sign_assertion: None, ..Spec::default() }.xml();
    let weak = Spec {
        sign_assertion: Some(Sign { algorithm: "rsa-sha1", digest: "sha1", ..Sign::default() }),
        ..Spec::default()
    };
    let cases = [
        asked_with(&["attacker-rsa"], genuine.as_bytes(), &verified),
        asked(genuine.replace("alice@", "bob@").as_bytes(), &verified),
        asked(unsigned.as_bytes(), &verified),
        asked(weak.xml().as_bytes(), &verified),
        asked(b"<a", &verified),
    ];
    for found in cases {
        assert!(matches!(found, Err(Disagreement::Signature(_))), "{found:?}");
    }
    assert_eq!(asked(b"\xff", &verified), Err(Disagreement::Shape("no UTF-8")));
}

/// Several threads ask at once, as the gateway's workers do.
#[test]
fn it_can_be_asked_by_several_threads() {
    let connection = usual_connection();
    let genuine = forge::with_groups(20).xml();
    let verified = judge(&connection, genuine.as_bytes()).expect("accepted");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..25).for_each(|_| assert_eq!(asked(genuine.as_bytes(), &verified), Ok(()))));
        }
    });
}

/// A gateway whose connection trusts an RSA key and an EC key of its IdP.
async fn gateway(second_opinion: &'static str) -> ForgedIdp {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys");
    let certificates = format!("{keys}/idp-rsa.cert.pem,{keys}/idp-p256.cert.pem");
    ForgedIdp::new(move |overrides: Overrides| {
        overrides
            .set("enterprise.example.saml.certificates", certificates)
            .set("enterprise.example.saml.second_opinion", second_opinion)
    })
    .await
}

/// Bob, in a response that is right in every way, with two signatures by keys of two kinds: samael gives up at the second.
fn signed_by_two_kinds(spec: &mut Spec) {
    spec.name_id = spec.name_id.replace("alice", "bob");
    spec.sign_response = Some(Sign { key: "idp-p256", algorithm: "ecdsa-sha256", ..Sign::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_gateway_asks_it_and_a_disagreement_refuses_the_sign_in() {
    let world = gateway("true").await;
    let (mut alice, page) = world.sign_in(|_| ()).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(world.user(&mut alice).await, "alice@example.com");
    let (browser, page) = world.sign_in(signed_by_two_kinds).await;
    let bob = world.person(&StableId::NameId("bob@example.com".into()));
    world.assert_refused(&browser, &page, "second_opinion_disagrees", bob).await;
    world.gateway.stop().await;

    // The control: nothing else refuses it.
    let world = gateway("false").await;
    let (mut bob, page) = world.sign_in(signed_by_two_kinds).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(world.user(&mut bob).await, "bob@example.com");
    world.gateway.stop().await;
}
