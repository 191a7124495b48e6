//! From the mail's link to the membership.
use portcullis::{
    demo::browser::Browser,
    directory::{AcceptError, InvitationState},
    domain::{InvitationReference, InvitationSecret, MembershipSource, Role, Session, Standing, Timestamp},
};

use super::{World, person, slug};
use crate::support::{
    gateway::{BACKENDS, Backend, name_id},
    webdriver,
};

/// What a link names.
fn parts(link: &str) -> (InvitationReference, InvitationSecret) {
    let (path, secret) = link.split_once("?secret=").unwrap();
    let reference = InvitationReference::parse(path.rsplit('/').next().unwrap()).unwrap();
    (reference, InvitationSecret::parse(secret).unwrap())
}

async fn accepted(backend: Backend) {
    let world = World::start(backend).await;
    let invitation = world.invite("docs-team", "Bob@Example.com").await.unwrap();
    let mails = world.mail.wait_for(1).await;
    assert_eq!(mails[0].to, ["Bob@Example.com"]);
    let link = mails[0].link();
    assert!(link.starts_with(&format!("{}/.portcullis/invitations/example/", world.gateway.url)), "{link}");

    let mut bob = person();
    let page = world.open_link(&mut bob, &link, "bob").await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("Join docs-team?") && !page.url.contains("secret"), "{}", page.url);
    assert!(!world.is_member("bob", "docs-team").await, "opening a link changes nothing");
    let form = page.button("Join docs-team").unwrap();
    let home = bob.submit(&form).await.unwrap();
    assert_eq!((home.status.as_u16(), home.url.as_str()), (200, &*format!("{}/", world.gateway.url)));
    assert!(world.gateway.organizations(&mut bob).await.contains(&"docs-team".to_owned()));
    let record = world.gateway.person(&name_id("bob")).await.unwrap();
    let member = record.membership(&slug("docs-team")).unwrap();
    assert_eq!((member.source, member.role), (MembershipSource::Invitation, Role::Member));
    let members = world.gateway.members("docs-team").await;
    assert_eq!(members, [world.gateway.person_id(&name_id("bob"))]);
    assert!(world.pending("docs-team").await.is_empty());
    let (directory, address) = (world.directory(), parts(&link).0.address);
    let invitee = directory.invitee(world.enterprise.id, address, Timestamp::now());
    assert!(invitee.await.unwrap().invitations.is_empty());

    // A second click leads to the same place and changes nothing; the link itself is over.
    assert_eq!(bob.submit(&form).await.unwrap().status, 200);
    assert_eq!(bob.open(&link).await.unwrap().status, 403);
    assert_eq!(world.gateway.members("docs-team").await.len(), 1);
    assert_eq!(invitation.sent, 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_accepts_by_signing_in() {
    for backend in BACKENDS {
        accepted(backend).await;
    }
}

/// V-08: the mail alone is not enough, and neither is the address.
#[tokio::test(flavor = "multi_thread")]
async fn v_08_only_whom_it_is_for_accepts_and_only_with_the_secret() {
    let world = World::start(Backend::Embedded).await;
    world.invite("docs-team", "bob@example.com").await.unwrap();
    let link = world.mail.wait_for(1).await[0].link();

    // Alice has the mail.
    let mut alice = person();
    let page = world.open_link(&mut alice, &link, "alice").await;
    assert_eq!(page.status, 403, "{}", page.body);
    assert!(!page.body.contains("bob@example.com") && !page.body.contains("docs-team"), "{}", page.body);
    // Bob has the address and guesses.
    let mut bob = person();
    let (path, _) = link.split_once('?').unwrap();
    let page = world.open_link(&mut bob, path, "bob").await;
    assert_eq!(page.status, 403);
    let wrong = format!("{path}?secret={}", InvitationSecret::from_random([9; 32]).expose());
    assert_eq!(bob.open(&wrong).await.unwrap().status, 403);
    assert!(world.gateway.members("docs-team").await.is_empty());
    assert_eq!(world.pending("docs-team").await.len(), 1, "a refusal consumes nothing");
    // With both it works all the same.
    let page = bob.open(&link).await.unwrap();
    assert_eq!(bob.press(&page, "Join docs-team").await.unwrap().status, 200);
    assert!(world.is_member("bob", "docs-team").await);
    world.stop().await;
}

/// A form that another site posts joins nobody, whatever cookies come along.
#[tokio::test(flavor = "multi_thread")]
async fn v_08_a_form_of_another_site_joins_nobody() {
    let world = World::start(Backend::Embedded).await;
    world.invite("docs-team", "bob@example.com").await.unwrap();
    let link = world.mail.wait_for(1).await[0].link();
    // One that says nothing of where its forms come from.
    let mut bob = Browser::new();
    let page = world.open_link(&mut bob, &link, "bob").await;
    let form = page.button("Join docs-team").unwrap();
    for site in ["cross-site", "same-site", "none"] {
        let mut elsewhere = bob.clone();
        elsewhere.send_along("sec-fetch-site", site);
        assert_eq!(elsewhere.submit(&form).await.unwrap().status, 403, "{site}");
    }
    assert_eq!(bob.submit(&form).await.unwrap().status, 403, "no word of where it comes from");
    assert!(world.gateway.members("docs-team").await.is_empty());
    world.stop().await;
}

async fn session_of(world: &World, name: &str) -> Session {
    let mut browser = person();
    world.gateway.sign_in(&mut browser, name).await;
    let token = browser.cookie("localhost", portcullis::edge::cookies::SESSION).unwrap();
    let token = portcullis::domain::SessionToken::parse(token).unwrap();
    let active = world.directory().session(&token, Timestamp::now()).await.unwrap().unwrap();
    active.session.clone()
}

/// Every reason by name, at the directory; outside all of them are one.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_apart_inside() {
    let world = World::start(Backend::Embedded).await;
    let now = Timestamp::now();
    world.invite("docs-team", "bob@example.com").await.unwrap();
    let (reference, secret) = parts(&world.mail.wait_for(1).await[0].link());
    let (bob, alice) = (session_of(&world, "bob").await, session_of(&world, "alice").await);
    let directory = world.directory();
    let accept = async |session: &Session, reference, secret: &InvitationSecret, now| {
        directory.accept_invitation(&world.enterprise, session, reference, secret, "t", now).await
    };
    let other = InvitationReference::from_bytes([1; 32]);
    let wrong = InvitationSecret::from_random([1; 32]);
    assert!(matches!(accept(&bob, other, &secret, now).await, Err(AcceptError::NotFound)));
    assert!(matches!(accept(&bob, reference, &wrong, now).await, Err(AcceptError::Secret)));
    assert!(matches!(accept(&alice, reference, &secret, now).await, Err(AcceptError::OfAnother)));
    let without = Session { profile: Default::default(), ..bob.clone() };
    assert!(matches!(accept(&without, reference, &secret, now).await, Err(AcceptError::OfAnother)));
    // Another tenant's session opens nothing here (V-02).
    let foreign =
        Session { enterprise_id: portcullis::domain::EnterpriseId::from_bytes([9; 16]), ..bob.clone() };
    assert!(matches!(accept(&foreign, reference, &secret, now).await, Err(AcceptError::NotFound)));
    // Statement 14: seven days, to the second.
    let end = now + jiff::SignedDuration::from_hours(7 * 24 + 1);
    assert!(matches!(accept(&bob, reference, &secret, end).await, Err(AcceptError::Failed("expired"))));
    let nobody = Session { person: portcullis::domain::PersonId::from_bytes([3; 16]), ..bob.clone() };
    assert!(matches!(accept(&nobody, reference, &secret, now).await, Err(AcceptError::Deactivated)));
    let recovered = portcullis::directory::RECOVERY_CONTEXT.to_owned();
    let recovered = Session { authn_context: Some(recovered), ..bob.clone() };
    assert!(matches!(accept(&recovered, reference, &secret, now).await, Err(AcceptError::RecoverySession)));
    assert_eq!(world.pending("docs-team").await.len(), 1);
    assert!(world.gateway.members("docs-team").await.is_empty());
    // And the right one.
    assert!(accept(&bob, reference, &secret, now).await.is_ok());
    assert!(matches!(accept(&bob, reference, &secret, now).await, Err(AcceptError::NotFound)));
    world.stop().await;
}

/// Several clicks at once, on both stores: one membership, one acceptance, and nothing half done.
#[tokio::test(flavor = "multi_thread")]
async fn many_clicks_at_once_join_once() {
    for backend in BACKENDS {
        let world = World::start(backend).await;
        world.invite("docs-team", "bob@example.com").await.unwrap();
        let (reference, secret) = parts(&world.mail.wait_for(1).await[0].link());
        let bob = session_of(&world, "bob").await;
        let clicks = (0..8).map(|_| {
            let (directory, enterprise) = (world.directory(), world.enterprise.clone());
            let (bob, secret) = (bob.clone(), secret.clone());
            tokio::spawn(async move {
                let now = Timestamp::now();
                let accepted =
                    directory.accept_invitation(&enterprise, &bob, reference, &secret, "t", now).await;
                match accepted {
                    Ok(_) => 1,
                    Err(AcceptError::NotFound) => 0,
                    Err(error) => panic!("{error}"),
                }
            })
        });
        let mut accepted = 0;
        for click in clicks.collect::<Vec<_>>() {
            accepted += click.await.unwrap();
        }
        assert_eq!(accepted, 1);
        assert_eq!(world.gateway.members("docs-team").await.len(), 1);
        world.stop().await;
    }
}

/// Statements 5, 6 and 12: a sign-in with provisioning takes up or cancels invitations of managed organizations, and leaves the
/// others alone.
#[tokio::test(flavor = "multi_thread")]
async fn statement_05_06_and_12_a_sign_in_settles_invitations_of_managed_organizations() {
    let world = World::start(Backend::Embedded).await;
    for organization in ["octo-org", "docs-team"] {
        world.invite(organization, "bob@example.com").await.unwrap();
        world.invite(organization, "carol@example.com").await.unwrap();
    }
    world.mail.wait_for(4).await;
    // 5: in the group.
    world.gateway.people.set_groups("bob", &["octo-org"]).unwrap();
    world.gateway.sign_in(&mut person(), "bob").await;
    assert!(world.is_member("bob", "octo-org").await);
    // 6: not in it.
    world.gateway.people.set_groups("carol", &[]).unwrap();
    world.gateway.sign_in(&mut person(), "carol").await;
    assert!(!world.is_member("carol", "octo-org").await);
    assert!(world.pending("octo-org").await.is_empty());
    // 12: not managed.
    assert_eq!(world.pending("docs-team").await.len(), 2);
    assert!(!world.is_member("bob", "docs-team").await);
    world.stop().await;
}

/// A12, V-14: who was put out does not come back by an old invitation.
#[tokio::test(flavor = "multi_thread")]
async fn v_14_a_deactivated_person_accepts_nothing() {
    let world = World::start(Backend::Redis).await;
    world.invite("docs-team", "bob@example.com").await.unwrap();
    let (reference, secret) = parts(&world.mail.wait_for(1).await[0].link());
    let bob = session_of(&world, "bob").await;
    let mut record = world.gateway.person(&name_id("bob")).await.unwrap();
    record.standing = Standing::Deactivated { since: Timestamp::now() };
    world.put_person(&record).await;
    let now = Timestamp::now();
    let accepted =
        world.directory().accept_invitation(&world.enterprise, &bob, reference, &secret, "t", now).await;
    assert!(matches!(accepted, Err(AcceptError::Deactivated)), "{accepted:?}");
    assert_eq!(world.listed("docs-team", InvitationState::Pending, now).await.len(), 1);
    world.stop().await;
}

/// In Chromium: the link, the IdP, the question, the application.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_browser_accepts_an_invitation() {
    let world = World::start(Backend::Embedded).await;
    world.invite("docs-team", "bob@example.com").await.unwrap();
    let link = world.mail.wait_for(1).await[0].link();
    let browser = webdriver::Browser::start().await;
    browser.goto(&link).await;
    browser.wait_for_text("Who are you today?").await;
    browser.click_text("Sign in as Bob").await;
    let text = browser.wait_for_text("Join docs-team?").await;
    assert!(text.contains("bob@example.com"), "{text}");
    assert!(!browser.url().await.contains("secret"));
    browser.screenshot("an invitation").await;
    browser.click_text("Join docs-team").await;
    let text = browser.wait_for_text("Hello").await;
    assert!(text.contains("docs-team"), "{text}");
    assert!(world.is_member("bob", "docs-team").await);
    browser.close().await;
    world.stop().await;
}
