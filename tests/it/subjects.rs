//! Who is who, through the ACS: look-alikes, transient NameIDs, the attribute that identifies people, the names of groups.
use percent_encoding::percent_decode_str;
use portcullis::{
    config::Overrides,
    demo::browser::Browser,
    domain::{SessionToken, StableId, Timestamp},
    edge::cookies::SESSION,
};

use crate::{
    inspect,
    saml::{
        forge::{Spec, attribute},
        subjects::{OBJECT_ID, TRANSIENT},
    },
    support::forged_idp::ForgedIdp,
};

async fn by_object_id() -> ForgedIdp {
    ForgedIdp::new(|overrides| overrides.set("enterprise.example.saml.subject", OBJECT_ID)).await
}

const GENUINE: &str = "alice@example.com";

/// What looks like [`GENUINE`], or reads like it to somebody; the reason if it is refused, without the leading word.
const LOOK_ALIKES: &[(&str, Option<&str>)] = &[
    ("Alice@example.com", None),
    ("ALICE@EXAMPLE.COM", None),
    ("alice@EXAMPLE.com", None),
    (" alice@example.com", None),
    ("alice@example.com ", None),
    ("alice @example.com", None),
    ("\talice@example.com", Some("character")),
    ("alice@example.com\n", Some("character")),
    ("\u{a0}alice@example.com", None),
    ("alice@example.com\u{a0}", None),
    ("alice\u{200b}@example.com", Some("character")),
    ("alice\u{200d}@example.com", Some("character")),
    ("\u{feff}alice@example.com", Some("character")),
    ("ali\u{ad}ce@example.com", Some("character")),
    ("\u{202e}moc.elpmaxe@ecila", Some("character")),
    ("alice@example.com\u{200f}", Some("character")),
    ("alice\u{2028}@example.com", Some("character")),
    ("\u{ff41}lice@example.com", None),
    ("\u{430}lice@example.com", None),
    ("al\u{131}ce@example.com", None),
    ("alice\u{212a}@example.com", Some("not_nfc")),
    ("alice\u{2126}@example.com", Some("not_nfc")),
    ("alicee\u{301}@example.com", Some("not_nfc")),
    ("\"alice\"@example.com", None),
    ("alice(comment)@example.com", None),
    ("alice@example.com@evil.example", None),
    ("=?utf-8?q?alice?=@example.com", None),
    ("alice%40example.com", None),
    ("alice@example.com%00", None),
    ("alice@example.com,bob@example.com", None),
    ("alice@example.com.", None),
    ("alice+admin@example.com", None),
];

/// Each look-alike is refused or somebody else: it never sees what the genuine one belongs to.
async fn look_alikes(desk: &ForgedIdp, prefix: &str, say: fn(&mut Spec, &str), id: fn(&str) -> StableId) {
    let (mut alice, page) = desk
        .sign_in(|spec| {
            say(spec, GENUINE);
            spec.attributes += &attribute("groups", &["octo-org", "octo-org-owners"]);
        })
        .await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(desk.gateway.organizations(&mut alice).await, ["octo-org"]);
    for (value, refused) in LOOK_ALIKES {
        // Without a group claim nothing changes: whoever is a member now was one before.
        let (mut browser, page) = desk.sign_in(|spec| say(spec, value)).await;
        match refused {
            Some(reason) => {
                let reason = format!("{prefix}_{reason}");
                desk.assert_refused(&browser, &page, &reason, desk.person(&id(value))).await;
            }
            None => {
                assert_eq!(page.status, 200, "{value:?}: {}", page.body);
                assert_eq!(desk.user(&mut browser).await, *value);
                assert!(desk.gateway.organizations(&mut browser).await.is_empty(), "{value:?}");
            }
        }
    }
    let owners = desk.gateway.organization("octo-org").await.owners;
    assert_eq!(owners.into_iter().collect::<Vec<_>>(), [desk.person(&id(GENUINE))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_96_a_look_alike_of_a_name_id_is_refused_or_somebody_else() {
    let desk = ForgedIdp::new(|overrides| overrides).await;
    let say = |spec: &mut Spec, value: &str| spec.name_id = format!("<saml:NameID>{value}</saml:NameID>");
    look_alikes(&desk, "name_id", say, |value| StableId::NameId(value.into())).await;
    // S-20: a comment ends no name; what is signed without it is what counts.
    let mut browser = Browser::new();
    let mut spec = desk.asked(&mut browser).await;
    spec.name_id = "<saml:NameID>alice@example.com.evil.example</saml:NameID>".into();
    let commented = spec.xml().replace("alice@example.com.evil", "alice@example.com<!-- -->.evil");
    assert_eq!(desk.post(&mut browser, &commented).await.status, 200);
    assert_eq!(desk.user(&mut browser).await, "alice@example.com.evil.example");
    assert!(desk.gateway.organizations(&mut browser).await.is_empty());
    desk.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_96_a_look_alike_of_an_attribute_that_identifies_is_refused_or_somebody_else() {
    let desk = by_object_id().await;
    let say = |spec: &mut Spec, value: &str| spec.attributes += &attribute(OBJECT_ID, &[value]);
    let id = |value: &str| StableId::Attribute { name: OBJECT_ID.into(), value: value.into() };
    // The NameID is the genuine one's in all of them: it does not matter.
    look_alikes(&desk, "subject_attribute", say, id).await;
    desk.gateway.stop().await;
}

/// S-97: a NameID is a value wherever it goes: in a key of the store, a path, a page, a field.
#[tokio::test(flavor = "multi_thread")]
async fn s_97_a_name_id_reaches_the_origin_server_as_it_was_and_nothing_else() {
    let desk = ForgedIdp::new(|overrides| overrides).await;
    for value in
        ["a:b", "*", "{a}:b", "../../etc/passwd", "a/b", "<script>alert(1)</script>", "%0d%0aX: y", "ä€"]
    {
        let escaped = value.replace('<', "&lt;").replace('>', "&gt;");
        let (mut browser, page) =
            desk.sign_in(|spec| spec.name_id = format!("<saml:NameID>{escaped}</saml:NameID>")).await;
        assert_eq!(page.status, 200, "{value}: {}", page.body);
        assert_eq!(desk.user(&mut browser).await, value);
        assert!(desk.gateway.person(value).await.is_some());
    }
    desk.gateway.stop().await;
}

fn transient(value: &str) -> String {
    let format = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
    format!("<saml:NameID Format=\"{format}\">{value}</saml:NameID>")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transient_name_id_needs_an_attribute_that_identifies() {
    let desk = ForgedIdp::new(|overrides| overrides).await;
    let say = |name_id: &str| {
        let name_id = transient(name_id);
        move |spec: &mut Spec| {
            spec.name_id = name_id;
            spec.attributes += &attribute(OBJECT_ID, &["7f1d"]);
            spec.attributes += &attribute("groups", &["octo-org"]);
        }
    };
    let (browser, page) = desk.sign_in(say("_1")).await;
    let person = desk.person(&StableId::NameId("_1".into()));
    desk.assert_refused(&browser, &page, "name_id_transient", person).await;
    desk.gateway.stop().await;

    let desk = by_object_id().await;
    let id = StableId::Attribute { name: OBJECT_ID.into(), value: "7f1d".into() };
    let directory = desk.gateway.running.as_ref().unwrap().directory.clone();
    let mut first = None;
    for name_id in ["_1", "_2", "_3"] {
        let (mut browser, page) = desk.sign_in(say(name_id)).await;
        assert_eq!(page.status, 200, "{}", page.body);
        assert_eq!(desk.user(&mut browser).await, "7f1d");
        assert_eq!(desk.gateway.members("octo-org").await, [desk.person(&id)], "one person, however often");
        // Logout needs the NameID of this very session.
        let token = SessionToken::parse(browser.cookie("localhost", SESSION).unwrap()).unwrap();
        let active = directory.session(&token, Timestamp::now()).await.unwrap().unwrap();
        assert_eq!(active.session.name_id.value, name_id);
        // A sign-in that changes nothing writes nothing about the person.
        let stored = directory.person(desk.gateway.enterprise(), desk.person(&id), Timestamp::now()).await;
        let stored = stored.unwrap().unwrap();
        assert_eq!(*first.get_or_insert_with(|| stored.clone()), stored);
    }
    desk.gateway.stop().await;
}

/// S-95: through the ACS, with the outcome owed.
#[tokio::test(flavor = "multi_thread")]
async fn s_95_two_values_where_one_identifies_open_no_session() {
    let desk = by_object_id().await;
    let id = |value: &str| desk.person(&StableId::Attribute { name: OBJECT_ID.into(), value: value.into() });
    let one = attribute(OBJECT_ID, &["a"]);
    let other = attribute(OBJECT_ID, &["b"]);
    let nested = one.replace(">a<", "><saml:NameID>a</saml:NameID><");
    for (attributes, reason) in [
        (String::new(), "subject_attribute_missing"),
        (attribute(OBJECT_ID, &["a", "b"]), "subject_attribute_ambiguous"),
        (attribute(OBJECT_ID, &["b", "a"]), "subject_attribute_ambiguous"),
        (attribute(OBJECT_ID, &["a", "a"]), "subject_attribute_ambiguous"),
        (format!("{one}{other}"), "subject_attribute_ambiguous"),
        (format!("{one}{one}"), "subject_attribute_ambiguous"),
        (format!("{one}{nested}"), "subject_attribute_not_text"),
        (format!("{one}{}", attribute("email", &["a@example.com", "b@example.com"])), "attribute_ambiguous"),
        (format!("{one}{}", attribute("mail", &["a"]) + &attribute("mail", &["b"])), "attribute_ambiguous"),
    ] {
        let (browser, page) = desk.sign_in(|spec| spec.attributes = attributes).await;
        for value in ["a", "b"] {
            desk.assert_refused(&browser, &page, reason, id(value)).await;
        }
    }
    desk.gateway.stop().await;
}

/// V-07: after the key was changed, an attribute's value that equals somebody's NameID is not that person.
#[tokio::test(flavor = "multi_thread")]
async fn v_07_another_subject_key_makes_other_people() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb").display().to_string();
    let store = path.clone();
    let desk = ForgedIdp::new(|overrides| overrides.set("store.path", store)).await;
    let groups = attribute("groups", &["octo-org"]);
    let (mut alice, _) = desk.sign_in(|spec| spec.attributes = groups).await;
    assert_eq!(desk.gateway.organizations(&mut alice).await, ["octo-org"]);
    desk.gateway.stop().await;

    let change = |overrides: Overrides| {
        overrides.set("store.path", path).set("enterprise.example.saml.subject", OBJECT_ID)
    };
    let desk = ForgedIdp::new(change).await;
    let (mut mallory, page) = desk.sign_in(|spec| spec.attributes = attribute(OBJECT_ID, &[GENUINE])).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(desk.user(&mut mallory).await, GENUINE);
    assert!(desk.gateway.organizations(&mut mallory).await.is_empty());
    assert!(desk.gateway.person(GENUINE).await.is_some(), "the one whom the NameID named is still there");
    desk.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_name_organizations_by_leaf_and_pattern_and_travel_as_they_came() {
    let change = |overrides: Overrides| {
        overrides
            .set("enterprise.example.groups.name", "dn_leaf")
            .set("enterprise.example.groups.pattern", "(?i)app-(.+)")
    };
    let desk = ForgedIdp::new(change).await;
    let (mut alice, page) = desk
        .sign_in(|spec| {
            let dns = ["CN=App-Octo-Org,OU=Groups,DC=example,DC=com", "cn=hubot-lab,ou=groups"];
            spec.attributes = attribute("groups", &dns)
                + &attribute(
                    "http://schemas.xmlsoap.org/claims/Group",
                    &["app-docs-team", r"cn=a\,app-hubot-lab"],
                );
        })
        .await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(desk.gateway.organizations(&mut alice).await, ["docs-team", "octo-org"]);
    let identity = desk.gateway.identity(&mut alice).await.unwrap();
    let groups: Vec<String> = identity["x-forwarded-groups"]
        .as_str()
        .unwrap()
        .split(',')
        .map(|group| percent_decode_str(group).decode_utf8().unwrap().into_owned())
        .collect();
    assert_eq!(groups[0], "CN=App-Octo-Org,OU=Groups,DC=example,DC=com");
    assert_eq!(groups.len(), 4);
    desk.gateway.stop().await;
}

#[test]
fn the_subject_is_the_attribute_that_the_connection_names() {
    let desk = inspect::Desk::new("");
    let config = desk.0.path().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let subject = format!("[enterprise.example.saml]\nsubject = \"{OBJECT_ID}\"");
    std::fs::write(&config, text.replace("[enterprise.example.saml]", &subject)).unwrap();
    let mut spec = inspect::alice();
    spec.name_id = TRANSIENT.into();
    let refused = inspect::json(&desk.inspect(spec.xml().as_bytes(), &["--format", "json"]), 1);
    assert_eq!(refused["reason"]["code"], "subject_attribute_missing");
    assert_eq!(refused["reason"]["expected"], OBJECT_ID);
    spec.attributes += &attribute(OBJECT_ID, &["7f1d"]);
    let xml = spec.xml();
    let claims = &inspect::json(&desk.inspect(xml.as_bytes(), &["--format", "json"]), 0)["claims"];
    assert_eq!((&claims["subject"]["key"], &claims["subject"]["value"]), (&OBJECT_ID.into(), &"7f1d".into()));
    assert_eq!(claims["name_id"]["value"], "_5f0c");
    let text = inspect::assert_ends(&desk.inspect(xml.as_bytes(), &[]), 0);
    assert!(text.contains("The gateway would sign 7f1d in."), "{text}");
    assert!(text.contains(&format!("identified by             {OBJECT_ID}")), "{text}");
    assert!(text.contains("subject                   7f1d"), "{text}");
}
