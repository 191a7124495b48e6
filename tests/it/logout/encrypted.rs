//! LogoutRequests about an EncryptedID: opened after the signature was verified, by the rules for those of an assertion.
use portcullis::config::Overrides;

use super::{
    Message,
    forge_logout::{PERSISTENT, at},
    gateway_with,
    refused::by_all,
};
use crate::{
    saml::{
        forge::{SAML, Spec},
        seal::Seal,
    },
    support::gateway::{BACKENDS, Backend, TestGateway},
};

/// `alice@example.com`, or whatever else the plaintext is to be.
pub fn encrypted_id(seal: &Seal, plaintext: &str) -> String {
    let alice =
        format!("<saml:NameID xmlns:saml=\"{SAML}\" Format=\"{PERSISTENT}\">alice@example.com</saml:NameID>");
    let sealed = seal.element("EncryptedID", if plaintext.is_empty() { &alice } else { plaintext });
    sealed.replacen("<saml:EncryptedID", &format!("<saml:EncryptedID xmlns:saml=\"{SAML}\""), 1)
}

fn name_id(value: &str) -> String {
    format!("<saml:NameID xmlns:saml=\"{SAML}\" Format=\"{PERSISTENT}\">{value}</saml:NameID>")
}

/// A gateway that opens what is encrypted to `sp-decryption`.
async fn gateway(backend: Backend, change: impl FnOnce(Overrides) -> Overrides + 'static) -> TestGateway {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys/sp-decryption.pem");
    let with_key = move |overrides: Overrides| overrides.set("enterprise.example.saml.decryption_keys", key);
    gateway_with(backend, "redirect", move |overrides| change(with_key(overrides))).await
}

impl TestGateway {
    /// A LogoutRequest with `rest` behind its Issuer. It is some seconds old, so that a sign-in afterwards is later.
    fn about(&self, rest: String) -> Message {
        let mut message = Message { rest, ..self.logout_request("alice", &[]) };
        message.attributes.insert("IssueInstant", at(-30));
        message
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_id_ends_the_sessions_of_whom_it_names() {
    for backend in BACKENDS {
        let gateway = gateway(backend, |overrides| overrides).await;
        for binding in ["redirect", "post", "soap"] {
            let send = |message: &Message| match binding {
                "redirect" => gateway.redirect(&message.query(None)),
                "post" => gateway.post(&message.form(None)),
                _ => gateway.soap(&message.envelope()),
            };
            let (mut alice, session) = gateway.signed_in("alice").await;
            let status = if binding == "soap" { 200 } else { 303 };
            let bob = encrypted_id(&Seal::default(), &name_id("bob@example.com"));
            let (found, answer) = send(&gateway.about(bob));
            assert_eq!(found, status, "{binding}: {answer}");
            assert!(gateway.identity(&mut alice).await.is_some(), "{binding}");
            // With the session's index beside it.
            let index = session.session_index.unwrap();
            let alices = encrypted_id(&Seal::default(), "");
            let rest = format!("{alices}<samlp:SessionIndex>{index}</samlp:SessionIndex>");
            let (found, answer) = send(&gateway.about(rest));
            assert_eq!(found, status, "{binding}: {answer}");
            assert!(gateway.identity(&mut alice).await.is_none(), "{binding}");
        }
        gateway.stop().await;
    }
}

/// Answers as an attacker compares them: without what differs from one to the next anyway.
fn look(answer: &str) -> String {
    let lower = answer.to_ascii_lowercase();
    let (_, rest) = lower.split_once("x-request-id: ").expect("an id");
    let id = rest.split("\r\n").next().unwrap();
    let lines = lower.lines().filter(|line| !line.starts_with("date: "));
    lines.map(|line| line.replace(id, "REQUEST") + "\n").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s_72_an_encrypted_id_that_does_not_open_says_no_more() {
    let gateway = gateway(Backend::Embedded, |overrides| overrides).await;
    let (mut alice, _) = gateway.signed_in("alice").await;
    let seal = Seal::default;
    let failures = [
        ("another key", Seal { to: "sp-decryption-next", ..seal() }),
        ("a stranger's key", Seal { to: "stranger", ..seal() }),
        ("AES-CBC", Seal { content: "aes256-cbc", ..seal() }),
        ("PKCS #1 1.5", Seal { transport: "rsa-1_5", ..seal() }),
        ("tag", Seal { cipher: |cipher| cipher[..cipher.len() - 1].to_vec(), ..seal() }),
        ("content", Seal { cipher: |cipher| vec![b'x'; cipher.len()], ..seal() }),
        ("no content", Seal { cipher: |_| vec![], ..seal() }),
        ("key", Seal { key_cipher: |cipher| vec![0x5a; cipher.len()], ..seal() }),
        ("no key", Seal { key_cipher: |_| vec![], ..seal() }),
        ("no base64", Seal { edit: |xml| xml.replacen("CipherValue>", "CipherValue>*", 1), ..seal() }),
        (
            "comment",
            Seal { edit: |xml| xml.replacen("<xenc:CipherData>", "<xenc:CipherData><!-- -->", 1), ..seal() },
        ),
        ("nothing", Seal { edit: |_| "<saml:EncryptedID></saml:EncryptedID>".into(), ..seal() }),
    ];
    let mut looks = vec![];
    for (name, seal) in &failures {
        let made = || gateway.about(encrypted_id(seal, ""));
        // C14N leaves comments out of what is digested, so that one concerns redirects only.
        if *name != "comment" {
            by_all(&gateway, &mut alice, "decryption_failed", name, made).await;
        }
        let query = made().query(None);
        gateway.owes(&mut alice, "decryption_failed", name, || gateway.redirect(&query)).await;
        looks.push(look(&gateway.redirect(&query).1));
    }
    looks.dedup();
    assert_eq!(looks.len(), 1, "{looks:#?}");
    gateway.stop().await;
}

/// Nothing is opened for a message that the IdP did not sign: whether it would have opened does not show.
#[tokio::test(flavor = "multi_thread")]
async fn s_72_the_signature_comes_before_the_encrypted_id() {
    let gateway = gateway(Backend::Embedded, |overrides| overrides).await;
    let (mut alice, _) = gateway.signed_in("alice").await;
    let garbage = Seal { cipher: |cipher| vec![b'x'; cipher.len()], ..Seal::default() };
    for (name, seal) in [("genuine", &Seal::default()), ("garbage", &garbage)] {
        let made = || Message { key: "attacker-rsa", ..gateway.about(encrypted_id(seal, "")) };
        by_all(&gateway, &mut alice, "signature_invalid", name, made).await;
    }
    gateway.stop().await;
}

/// SAML Core 2.2.4: what comes out is a NameID like one that was never encrypted, or refused.
#[tokio::test(flavor = "multi_thread")]
async fn s_62_what_an_encrypted_id_holds_is_judged_like_any_name_id() {
    let gateway = gateway(Backend::Embedded, |overrides| overrides).await;
    let (mut alice, _) = gateway.signed_in("alice").await;
    let assertion = Spec::default().assertion_xml();
    for (reason, plaintext) in [
        ("assertion_shape", assertion.as_str()),
        ("assertion_shape", &name_id("alice@example.com").replace("NameID", "BaseID")),
        ("assertion_shape", "<NameID>alice@example.com</NameID>"),
        ("name_id_missing", &name_id("")),
        ("name_id_too_long", &name_id(&"a".repeat(1025))),
        ("value_not_text", &name_id("<saml:x></saml:x>alice@example.com")),
        ("markup_declaration", &format!("<!DOCTYPE a>{}", name_id("alice@example.com"))),
        ("prefix_unbound", "<saml:NameID>alice@example.com</saml:NameID>"),
        ("content_outside_root", "alice@example.com"),
    ] {
        let made = || gateway.about(encrypted_id(&Seal::default(), plaintext));
        by_all(&gateway, &mut alice, reason, plaintext, made).await;
    }
    // One NameID, encrypted or not.
    let both = encrypted_id(&Seal::default(), "") + &name_id("alice@example.com");
    by_all(&gateway, &mut alice, "logout_shape", "both", || gateway.about(both.clone())).await;
    gateway.stop().await;
}

/// What the connection allows for assertions, under a signature, it allows here.
#[tokio::test(flavor = "multi_thread")]
async fn s_72_weak_algorithms_are_taken_where_they_are_allowed() {
    for (key, seal) in [
        ("allow_padding_oracle_cbc", Seal { content: "aes128-cbc", ..Seal::default() }),
        ("allow_bleichenbacher_rsa_1_5", Seal { transport: "rsa-1_5", ..Seal::default() }),
    ] {
        let key = format!("enterprise.example.saml.{key}");
        let gateway = gateway(Backend::Embedded, move |overrides| overrides.set(&key, "true")).await;
        let (mut alice, _) = gateway.signed_in("alice").await;
        let (status, answer) = gateway.post(&gateway.about(encrypted_id(&seal, "")).form(None));
        assert_eq!(status, 303, "{answer}");
        assert!(gateway.identity(&mut alice).await.is_none());
        gateway.stop().await;
    }
}
