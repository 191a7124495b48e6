//! Names that look like others, names that are code to somebody, attributes that say two things (S-20, S-95 to S-97).
use super::world::{World, form, message};
use crate::{saml::forge, support::gateway::name_id};

const IDP: &[&str] = &["idp-rsa"];

fn named(value: &str) -> String {
    let escaped = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    message(move |spec| spec.name_id = format!("<saml:NameID>{escaped}</saml:NameID>"))
}

/// What the origin server is told, undone.
fn told(field: &str) -> String {
    percent_encoding::percent_decode_str(field).decode_utf8().unwrap().into_owned()
}

/// Everything that looks like `alice@example.com` and is not, octet for octet.
const LOOK_ALIKES: &[&str] = &[
    "Alice@example.com",
    "ALICE@EXAMPLE.COM",
    "alice@Example.com",
    " alice@example.com",
    "alice@example.com ",
    "alice @example.com",
    "alice@example.com\u{a0}",
    "alice\u{200b}@example.com",
    "alice\u{200d}@example.com",
    "alice\u{ad}@example.com",
    "\u{202e}alice@example.com",
    "\u{feff}alice@example.com",
    "\u{ff41}lice@example.com",
    "\u{430}lice@example.com",
    "al\u{131}ce@example.com",
    "alice@example\u{3002}com",
    "\u{e1}lice@example.com",
    "a\u{301}lice@example.com",
    "\u{212a}alice@example.com",
    "\"alice\"@example.com",
    "(x)alice@example.com",
    "alice@example.com@evil.test",
    "alice@evil.test@example.com",
    "=?utf-8?q?alice?=@example.com",
    "alice%40example.com",
    "alice@example.com,bob@example.com",
    "alice@example.com\u{2028}",
    "alice@example.com\t",
    "alice@example.com.",
];

#[tokio::test(flavor = "multi_thread")]
async fn s_96_a_look_alike_is_another_person_or_nobody() {
    let world = World::new(IDP).await;
    world.expect_accepted("alice", &world.post(&form(&named(&name_id("alice")))));
    let alice = world.gateway.person_id_at(forge::IDP, &name_id("alice")).to_string();
    let mut refused = vec![];
    for look_alike in LOOK_ALIKES {
        world.rewind().await;
        let seen = world.post(&form(&named(look_alike)));
        if seen.answer.status == 303 {
            assert_eq!(seen.audit[0]["user"], *look_alike);
            let person = world.gateway.person_id_at(forge::IDP, look_alike).to_string();
            assert_eq!(seen.audit[0]["user_id"], person.as_str(), "{look_alike:?}");
            assert_ne!(person, alice, "{look_alike:?}");
            let user = world.forwarded_with(&seen).values("x-forwarded-user").concat();
            assert_eq!(told(&user), *look_alike);
        } else {
            let reason = seen.audit[0]["reason"].as_str().unwrap().to_owned();
            world.expect_refused(look_alike, &seen, 403, &reason);
            refused.push(reason);
        }
    }
    // Invisible characters and other normalization forms name nobody at all.
    assert!(refused.iter().all(|reason| reason.starts_with("name_id_")), "{refused:?}");
    assert!(refused.len() >= 8, "{refused:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_97_names_that_are_code_to_somebody() {
    let world = World::new(IDP).await;
    for name in [
        "a:b*{c}[d]",
        "person:{1}:*",
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "${jndi:ldap://127.0.0.1:9/a}",
        "a%0d%0aX-Forwarded-User: admin",
        "' OR 1=1 --",
        "a,b;c=d",
        "\u{e9}lise \u{1f600}",
    ] {
        world.rewind().await;
        let seen = world.post(&form(&named(name)));
        world.expect_accepted(name, &seen);
        let request = world.forwarded_with(&seen);
        assert_eq!(told(&request.values("x-forwarded-user").concat()), name);
        assert!(request.head.is_ascii(), "{}", request.head);
        // Found again by exactly this name.
        let person = world.gateway.person_id_at(forge::IDP, name);
        assert_eq!(seen.audit[0]["user_id"], person.to_string());
    }
    for name in ["a\r\nX-Evil: 1", "a\nb", "a\u{1b}[31m", "a\u{7f}", "a\u{85}b"] {
        world.rewind().await;
        let escaped: String = name.chars().map(|c| format!("&#{};", u32::from(c))).collect();
        let value = message(move |spec| spec.name_id = format!("<saml:NameID>{escaped}</saml:NameID>"));
        let seen = world.post(&form(&value));
        let reason = if name.contains('\u{1b}') { "reference_invalid" } else { "digest_mismatch" };
        let found = seen.audit[0]["reason"].as_str().unwrap().to_owned();
        assert!(found == reason || found == "name_id_character", "{name:?}: {found}");
        world.expect_refused(name, &seen, 403, &found);
    }
    world.stop().await;
}

/// Neither the first nor the last of two values wins, and no element is taken for a text.
#[tokio::test(flavor = "multi_thread")]
async fn s_95_attributes_that_say_two_things() {
    let world = World::new(IDP).await;
    let twice = forge::attribute("mail", &["admin@example.com"]);
    let several = forge::attribute("mail", &["alice@example.com", "admin@example.com"]);
    let nested = "<saml:Attribute Name=\"mail\"><saml:AttributeValue><saml:NameID>admin</saml:NameID>\
                  </saml:AttributeValue></saml:Attribute>"
        .to_owned();
    let nested_group = nested.replace("\"mail\"", "\"groups\"");
    for (name, attributes, replaces, reason) in [
        ("one name twice", twice, false, "attribute_ambiguous"),
        ("two values", several, true, "attribute_ambiguous"),
        ("an element", nested, true, "attribute_not_text"),
        ("an element among groups", nested_group, false, "attribute_not_text"),
    ] {
        let value = message(move |spec| match replaces {
            true => spec.attributes = attributes,
            false => spec.attributes += &attributes,
        });
        world.expect_refused(name, &world.post(&form(&value)), 403, reason);
    }
    world.expect_accepted("one value", &world.post(&form(&message(|_| {}))));
    world.stop().await;
}

/// A comment inserted after signing: the whole name is read, not the part before it.
#[tokio::test(flavor = "multi_thread")]
async fn s_20_a_comment_cuts_no_name_short() {
    let world = World::new(IDP).await;
    let whole = "alice@example.com.evil.test";
    for comment in ["<!---->", "<!-- x -->", "<![CDATA[]]>"] {
        world.rewind().await;
        let value = super::world::aimed(move || {
            let spec = forge::Spec {
                name_id: format!("<saml:NameID>{whole}</saml:NameID>"),
                ..forge::Spec::default()
            };
            let xml = spec.xml().replacen(".evil.test", &format!("{comment}.evil.test"), 1);
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, xml)
        });
        let seen = world.post(&form(&value));
        world.expect_accepted(comment, &seen);
        assert_eq!(seen.audit[0]["user"], whole);
        assert_eq!(told(&world.forwarded_with(&seen).values("x-forwarded-user").concat()), whole);
    }
    world.stop().await;
}
