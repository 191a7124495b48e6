//! Our own metadata: what it says, over HTTP and on the command line, and that a foreign hand verifies its signature.
use std::process::Command;

use openssl::{pkey::PKey, rsa::Rsa};
use portcullis::{
    config::Overrides,
    demo::browser::Browser,
    saml::{OwnDescriptor, OwnKey, Settings, SignedElement, own_metadata},
};

use crate::support::gateway::{Backend, TestGateway};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn own_key(name: &str) -> OwnKey {
    OwnKey::from_pem(&std::fs::read(format!("{ROOT}/certs/{name}.pem")).unwrap()).unwrap()
}

fn settings() -> Settings {
    Settings {
        entity_id: "https://sp.example.com/?a=1&b=\"2\"".into(),
        signing_keys: vec![own_key("development-sp-signing")],
        sign_requests: true,
        decryption_keys: vec![own_key("development-sp-decryption")],
        ..Settings::default()
    }
}

fn descriptor() -> OwnDescriptor {
    let acs_urls = vec!["https://a.example.com/saml/acs".into(), "https://b.example.com/saml/acs".into()];
    OwnDescriptor { acs_urls, slo_url: None, signed: false }
}

/// Certificates by their place, everything else as it is.
fn shown(document: &str) -> String {
    let mut shown = String::new();
    for piece in document.split("<ds:X509Certificate>") {
        let rest = piece.split_once("</ds:X509Certificate>").map_or(piece, |(_, rest)| rest);
        shown += rest;
    }
    shown.replace("><", ">\n<")
}

#[test]
fn the_document_says_who_we_are() {
    let document = own_metadata(&settings(), &descriptor(), None).unwrap();
    insta::assert_snapshot!(shown(&document), @r##"
    <md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://sp.example.com/?a=1&amp;b=&quot;2&quot;" ID="_eec68033490ead32d6e164a943be9442">
    <md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol" AuthnRequestsSigned="true" WantAssertionsSigned="true">
    <md:KeyDescriptor use="signing">
    <ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
    <ds:X509Data>
    </ds:X509Data>
    </ds:KeyInfo>
    </md:KeyDescriptor>
    <md:KeyDescriptor use="encryption">
    <ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
    <ds:X509Data>
    </ds:X509Data>
    </ds:KeyInfo>
    <md:EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#aes256-gcm"/>
    <md:EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#aes128-gcm"/>
    <md:EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#rsa-oaep"/>
    <md:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"/>
    </md:KeyDescriptor>
    <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>
    <md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress</md:NameIDFormat>
    <md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified</md:NameIDFormat>
    <md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://a.example.com/saml/acs" index="0" isDefault="true"/>
    <md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://b.example.com/saml/acs" index="1"/>
    </md:SPSSODescriptor>
    </md:EntityDescriptor>
    "##);
    assert!(document.contains(&own_key("development-sp-signing").certificate_base64()));
    // Equal content is the same document, other content another.
    assert_eq!(own_metadata(&settings(), &descriptor(), None).unwrap(), document);
    let until = Some("2026-01-15T12:00:00.5Z".parse().unwrap());
    let limited = own_metadata(&settings(), &descriptor(), until).unwrap();
    assert!(limited.contains(" validUntil=\"2026-01-15T12:00:00Z\""), "{limited}");
    let id = |document: &str| document.split_once(" ID=\"").unwrap().1[..33].to_owned();
    assert_ne!(id(&limited), id(&document));
}

#[test]
fn what_is_asked_for_follows_the_settings() {
    let said = |settings: &Settings| {
        let document = own_metadata(settings, &descriptor(), None).unwrap();
        ["AuthnRequestsSigned=\"true\"", "WantAssertionsSigned=\"true\""].map(|flag| document.contains(flag))
    };
    assert_eq!(said(&settings()), [true, true]);
    assert_eq!(said(&Settings { signing_keys: vec![], ..settings() }), [false, true]);
    assert_eq!(said(&Settings { sign_requests: false, ..settings() }), [false, true]);
    assert_eq!(said(&Settings { signed: SignedElement::Response, ..settings() }), [true, false]);
    assert_eq!(said(&Settings { signed: SignedElement::Both, ..settings() }), [true, true]);
    let slo = OwnDescriptor { slo_url: Some("https://a.example.com/saml/slo".into()), ..descriptor() };
    let document = own_metadata(&settings(), &slo, None).unwrap();
    assert_eq!(document.matches("Location=\"https://a.example.com/saml/slo\"").count(), 3);
    let unsigned = Settings { signing_keys: vec![], ..settings() };
    assert!(own_metadata(&unsigned, &OwnDescriptor { signed: true, ..descriptor() }, None).is_err());
}

/// Both signing keys of a rollover are in it, over HTTP as on the command line; xmlsec1 verifies the first one's signature.
#[tokio::test(flavor = "multi_thread")]
async fn two_keys_are_served_signed_and_cacheable() {
    let folder = tempfile::tempdir().unwrap();
    let next = folder.path().join("next.pem");
    std::fs::write(&next, fresh_pair()).unwrap();
    let keys = format!("{ROOT}/certs/development-sp-signing.pem,{}", next.display());
    let change = move |overrides: Overrides| {
        overrides
            .set("enterprise.example.saml.signing_keys", keys)
            .set(
                "enterprise.example.saml.decryption_keys",
                format!("{ROOT}/certs/development-sp-decryption.pem"),
            )
            .set("enterprise.example.saml.own_metadata_signed", "true")
    };
    let gateway = TestGateway::start_with(Backend::Embedded, change, |store| store).await;
    let url = format!("{}/saml/metadata", gateway.url);
    let page = Browser::new().open(&url).await.unwrap();
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "application/samlmetadata+xml");
    assert_eq!(page.headers["cache-control"], "public, max-age=3600");
    assert_eq!(page.body.matches("use=\"signing\"").count(), 2);
    assert_eq!(page.body.matches("use=\"encryption\"").count(), 1);
    assert!(page.body.contains(&format!("entityID=\"{url}\"")), "{}", page.body);
    assert!(page.body.contains(&format!("Location=\"{}/saml/acs\"", gateway.url)), "{}", page.body);

    let tag = page.headers["etag"].to_str().unwrap();
    let mut knowing = Browser::new();
    knowing.send_along("if-none-match", tag);
    let unchanged = knowing.open(&url).await.unwrap();
    assert_eq!((unchanged.status.as_u16(), unchanged.body.as_str()), (304, ""));
    assert_eq!(unchanged.headers["etag"], page.headers["etag"]);

    let metrics = gateway.private("/metrics").await.body;
    for (purpose, count) in [("own_signing", 2), ("own_decryption", 1), ("idp_signing", 1)] {
        let of = format!("portcullis_certificate_expiry_seconds{{use=\"{purpose}:example:");
        assert_eq!(metrics.lines().filter(|line| line.starts_with(&of)).count(), count, "{purpose}");
    }

    let printed = gateway.command().arg("metadata").output().unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap().trim_end(), page.body);

    let file = folder.path().join("metadata.xml");
    let certificate = folder.path().join("signing.crt");
    std::fs::write(&certificate, std::fs::read(format!("{ROOT}/certs/development-sp-signing.pem")).unwrap())
        .unwrap();
    let verified = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut xmlsec = Command::new("xmlsec1");
        xmlsec.args(["--verify", "--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor"]);
        let output = xmlsec.arg("--pubkey-cert-pem").arg(&certificate).arg(&file).output();
        output.expect("`scripts/test` installs xmlsec1")
    };
    let output = verified(&page.body);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!verified(&page.body.replace("/saml/acs", "/evil/acs")).status.success());
    gateway.stop().await;
}

fn fresh_pair() -> Vec<u8> {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut builder = openssl::x509::X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_not_before(&openssl::asn1::Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&openssl::asn1::Asn1Time::days_from_now(2).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.sign(&key, openssl::hash::MessageDigest::sha256()).unwrap();
    [key.private_key_to_pem_pkcs8().unwrap(), builder.build().to_pem().unwrap()].concat()
}
