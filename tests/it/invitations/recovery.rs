//! Recovery codes: how an enterprise's owner gets in while the IdP is down.
use std::sync::Arc;

use jiff::SignedDuration;
use portcullis::{
    config::Overrides,
    demo::browser::{Browser, Form, Page},
    directory::{Directory, Enterprise, RECOVERY_CONTEXT, RecoveryError},
    domain::{PersonId, SessionToken, Timestamp},
    edge::cookies::SESSION,
};

use super::{person, tenant};
use crate::support::gateway::{BACKENDS, Backend, Setup, TestGateway, name_id};

/// A route that wants a way to sign in which no code gives.
const STRICT: &str = r#"
[route.strict]
path = "/strict"
origin = "http://127.0.0.1:1"
enterprise = "example"
authn_context = ["urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"]
"#;

async fn codes(gateway: &TestGateway, browser: &mut Browser) -> Vec<String> {
    let page = browser.open(&format!("{}/.portcullis/recovery-codes", gateway.url)).await.unwrap();
    let shown = browser.press(&page, "Make new codes").await.unwrap();
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert_eq!(shown.headers["cache-control"], "no-store");
    let items = shown.body.split("<li><code>").skip(1);
    items.map(|item| item.split('<').next().unwrap().to_owned()).collect()
}

async fn recover(gateway: &TestGateway, browser: &mut Browser, user: &str, code: &str) -> Page {
    let page = browser.open(&format!("{}/.portcullis/recover", gateway.url)).await.unwrap();
    let mut form: Form = page.button("Sign in").unwrap();
    for (name, value) in &mut form.fields {
        match name.as_str() {
            "user" => *value = user.to_owned(),
            "code" => *value = code.to_owned(),
            _ => {}
        }
    }
    browser.submit(&form).await.unwrap()
}

async fn in_order(backend: Backend) {
    let gateway = TestGateway::start(backend).await;
    let alice = name_id("alice");
    let mut owner = person();
    gateway.sign_in(&mut owner, "alice").await;
    let codes = codes(&gateway, &mut owner).await;
    assert_eq!(codes.len(), 16);

    let mut elsewhere = person();
    // Not the second before the first.
    assert_eq!(recover(&gateway, &mut elsewhere, &alice, &codes[1]).await.status, 403);
    assert!(gateway.identity(&mut elsewhere).await.is_none());
    let page = recover(&gateway, &mut elsewhere, &alice, &codes[0]).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(gateway.organizations(&mut elsewhere).await.contains(&"octo-org".to_owned()));
    let token = SessionToken::parse(elsewhere.cookie("localhost", SESSION).unwrap()).unwrap();
    let directory = gateway.running.as_ref().unwrap().directory.clone();
    let active = directory.session(&token, Timestamp::now()).await.unwrap().unwrap();
    assert_eq!(active.session.authn_context.as_deref(), Some(RECOVERY_CONTEXT));
    assert!(active.session.expires_at <= active.session.created_at + SignedDuration::from_hours(24));
    assert!(active.session.groups.is_empty());

    // Once, and in order.
    let mut third = person();
    assert_eq!(recover(&gateway, &mut third, &alice, &codes[0]).await.status, 403);
    assert_eq!(recover(&gateway, &mut third, &alice, &codes[2]).await.status, 403);
    let typed = codes[1].to_uppercase().replace('-', " ");
    assert_eq!(recover(&gateway, &mut third, &alice, &typed).await.status, 200);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_21_a_recovery_code_works_once_in_order_for_a_day() {
    for backend in BACKENDS {
        in_order(backend).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_owners_of_the_enterprise_have_codes_and_new_ones_replace_the_old() {
    let gateway = TestGateway::start(Backend::Embedded).await;
    let alice = name_id("alice");
    let url = format!("{}/.portcullis/recovery-codes", gateway.url);
    let mut bob = person();
    gateway.sign_in(&mut bob, "bob").await;
    assert_eq!(bob.open(&url).await.unwrap().status, 403);
    let mut owner = person();
    gateway.sign_in(&mut owner, "alice").await;
    let old = codes(&gateway, &mut owner).await;
    let new = codes(&gateway, &mut owner).await;
    let mut other = person();
    assert_eq!(recover(&gateway, &mut other, &alice, &old[0]).await.status, 403);
    assert_eq!(recover(&gateway, &mut other, &alice, &new[0]).await.status, 200);
    let page = owner.open(&url).await.unwrap();
    assert!(page.body.contains("You have 15 left"), "{}", page.body);
    // Whoever has one code cannot take the others away.
    let page = other.open(&url).await.unwrap();
    assert_eq!(other.press(&page, "Make new codes").await.unwrap().status, 403);
    assert_eq!(recover(&gateway, &mut person(), &alice, &new[1]).await.status, 200);
    // A form of another site makes none.
    let page = owner.open(&url).await.unwrap();
    let form = page.button("Make new codes").unwrap();
    let mut cross = Browser::new();
    cross.set_cookie("localhost", SESSION, owner.cookie("localhost", SESSION).unwrap());
    cross.send_along("sec-fetch-site", "cross-site");
    assert_eq!(cross.submit(&form).await.unwrap().status, 403);
    assert_eq!(recover(&gateway, &mut person(), &alice, &new[2]).await.status, 200);
    gateway.stop().await;
}

/// V-20: whoever asks learns nothing of who owns the enterprise, or has codes.
#[tokio::test(flavor = "multi_thread")]
async fn v_20_failed_attempts_look_alike() {
    let gateway = TestGateway::start(Backend::Embedded).await;
    let mut owner = person();
    gateway.sign_in(&mut owner, "alice").await;
    gateway.sign_in(&mut person(), "bob").await;
    let codes = codes(&gateway, &mut owner).await;
    let mut pages = vec![];
    for (user, code) in [("alice", codes[1].as_str()), ("alice", "wrong"), ("bob", "wrong"), ("x", "wrong")] {
        let mut nobody = person();
        nobody.send_along("x-request-id", "the-same");
        let page = recover(&gateway, &mut nobody, &name_id(user), code).await;
        assert!(nobody.cookie("localhost", SESSION).is_none());
        pages.push((page.status, page.body));
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:?}");
    assert_eq!(pages[0].0, 403);
    gateway.stop().await;
}

/// A route that asks for a way to sign in does not take a code for one: it sends to the IdP.
#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_session_does_not_pass_for_a_stronger_sign_in() {
    let setup = Setup { tables: STRICT, ..Setup::new(Backend::Embedded) };
    let gateway = TestGateway::set_up(setup).await;
    let mut owner = person();
    gateway.sign_in(&mut owner, "alice").await;
    let codes = codes(&gateway, &mut owner).await;
    let mut elsewhere = person();
    assert_eq!(recover(&gateway, &mut elsewhere, &name_id("alice"), &codes[0]).await.status, 200);
    let page = elsewhere.open(&format!("{}/strict", gateway.url)).await.unwrap();
    assert!(page.url.starts_with(&gateway.idp_url), "{}", page.url);
    gateway.stop().await;
}

struct Asked {
    directory: Arc<Directory>,
    enterprise: Enterprise,
    person: PersonId,
    user: String,
}

impl Asked {
    async fn try_code(&self, code: &str, now: Timestamp) -> Result<SessionToken, RecoveryError> {
        let Self { directory, enterprise, person, user } = self;
        directory.recover(enterprise, *person, user, code, "test", now).await.map(|recovered| recovered.token)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_bounded_and_shut_nobody_out() {
    let gateway = TestGateway::start(Backend::Redis).await;
    let mut owner = person();
    gateway.sign_in(&mut owner, "alice").await;
    let codes = codes(&gateway, &mut owner).await;
    let user = name_id("alice");
    let asked = Arc::new(Asked {
        directory: gateway.running.as_ref().unwrap().directory.clone(),
        enterprise: tenant(&gateway),
        person: gateway.person_id(&user),
        user,
    });
    // At the beginning of a minute.
    let now = Timestamp::from_second((Timestamp::now().as_second() / 60 + 1) * 60).unwrap();
    for _ in 0..5 {
        assert!(matches!(asked.try_code("wrong", now).await, Err(RecoveryError::Unknown)));
    }
    assert!(matches!(asked.try_code("wrong", now).await, Err(RecoveryError::Throttled)));
    // The true owner gets in while somebody else keeps failing.
    asked.try_code(&codes[0], now).await.unwrap();
    // The same code, at once: one session.
    let tries = (0..8).map(|_| {
        let (asked, code) = (asked.clone(), codes[1].clone());
        tokio::spawn(async move { asked.try_code(&code, now).await.is_ok() })
    });
    let mut opened = 0;
    for one in tries.collect::<Vec<_>>() {
        opened += usize::from(one.await.unwrap());
    }
    assert_eq!(opened, 1);
    // All attempts together: nothing is looked at any more, until the second is over.
    for _ in 0..60 {
        let _ = asked.try_code("wrong", now).await;
    }
    assert!(matches!(asked.try_code(&codes[2], now).await, Err(RecoveryError::Throttled)));
    let next = now + SignedDuration::from_secs(1);
    asked.try_code(&codes[2], next).await.unwrap();
    gateway.stop().await;
}

/// Who is no owner any more gets in by no code.
#[tokio::test(flavor = "multi_thread")]
async fn codes_of_a_former_owner_open_nothing() {
    let mut gateway = TestGateway::start(Backend::Embedded).await;
    let mut owner = person();
    gateway.sign_in(&mut owner, "alice").await;
    let codes = codes(&gateway, &mut owner).await;
    gateway.stop_serving().await;
    let overrides: Overrides = gateway.overrides.clone();
    gateway.overrides = overrides.set("enterprise.example.owners", "bob@example.com");
    gateway.serve_again().await;
    assert_eq!(recover(&gateway, &mut person(), &name_id("alice"), &codes[0]).await.status, 403);
    gateway.stop().await;
}
