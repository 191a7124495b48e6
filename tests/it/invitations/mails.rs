//! What arrives at a real mail server, how it was sent, and what is not sent.
use portcullis::{
    config::{self, Overrides, Source},
    domain::{EnterpriseSlug, MailId, MailSubject, QueuedMail, Timestamp},
    mail::{Mailer, Outgoing, SendError, Settings},
};

use super::World;
use crate::support::{
    gateway::{Backend, Setup},
    mail_server::MailServer,
};

/// The shipped configuration with mail by that server.
fn settings(server: &MailServer, tls: &str, change: impl FnOnce(Overrides) -> Overrides) -> Settings {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let overrides = Overrides::default()
        .set("mail.host", "localhost")
        .set("mail.port", server.port().to_string())
        .set("mail.tls", tls)
        .set("mail.from", "The gate <gate@example.com>")
        .set("mail.timeout", "10s");
    let loaded = config::load(&Source::shipped(root), &change(overrides)).unwrap();
    loaded.settings.mail.unwrap()
}

fn trusting(server: &MailServer) -> impl FnOnce(Overrides) -> Overrides {
    let ca = server.ca().display().to_string();
    move |overrides| overrides.set("mail.ca", ca)
}

async fn send(settings: Settings, to: &str) -> Result<(), SendError> {
    let now = Timestamp::now();
    let mail = QueuedMail {
        id: MailId::from_bytes([5; 16]),
        to: to.into(),
        subject: MailSubject::Removed { organization: super::slug("docs-team") },
        queued_at: now,
        due_at: now,
        attempts: 1,
    };
    let enterprise = EnterpriseSlug::parse("example").unwrap();
    let outgoing = Outgoing { mail: &mail, enterprise: &enterprise, link: None, now };
    Mailer::new(settings).unwrap().send(&outgoing).await
}

#[tokio::test]
async fn mails_travel_by_tls_with_a_password() {
    for tls in ["starttls", "implicit"] {
        let server = MailServer::start(tls, Some(("gate", "hunter2")));
        let signed_in = |overrides: Overrides| {
            trusting(&server)(overrides).set("mail.user", "gate").set("mail.password", "hunter2")
        };
        send(settings(&server, tls, signed_in), "bob@example.com").await.unwrap();
        let mails = server.wait_for(1).await;
        assert!(mails[0].tls, "{tls}");
        assert_eq!(mails[0].user.as_deref(), Some("gate"));
        assert_eq!(
            (mails[0].from.as_str(), mails[0].to[0].as_str()),
            ("gate@example.com", "bob@example.com")
        );
        let wrong = |overrides: Overrides| {
            trusting(&server)(overrides).set("mail.user", "gate").set("mail.password", "other")
        };
        let refused = send(settings(&server, tls, wrong), "bob@example.com").await.unwrap_err();
        // An operator's fault: the mail waits until it is mended.
        assert!(!refused.is_permanent() && refused.is_of_server(), "{refused}");
        assert!(!refused.to_string().contains("other"), "{refused}");
        assert_eq!(server.mails().len(), 1);
    }
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_that_nobody_vouches_for() {
    for tls in ["starttls", "implicit"] {
        let (server, other) = (MailServer::start(tls, None), MailServer::down(tls, None));
        let refused = send(settings(&server, tls, trusting(&other)), "bob@example.com").await.unwrap_err();
        assert!(!refused.is_permanent(), "{refused}");
        // Those of the system do not vouch for it either.
        let refused = send(settings(&server, tls, |overrides| overrides), "bob@example.com").await;
        assert!(refused.is_err());
        assert!(server.mails().is_empty());
    }
}

/// RFC 3207 4.1: whoever sits in between and takes the offer away gets no mail.
#[tokio::test]
async fn without_starttls_nothing_is_sent_in_clear() {
    let server = MailServer::start("none", None);
    let refused =
        send(settings(&server, "starttls", trusting(&server)), "bob@example.com").await.unwrap_err();
    assert!(!refused.is_permanent(), "{refused}");
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn for_good_and_for_now_are_told_apart() {
    let server = MailServer::start("none", None);
    let plain = || settings(&server, "none", |overrides| overrides);
    let unknown = send(plain(), "unknown@example.com").await.unwrap_err();
    assert!(unknown.is_permanent() && unknown.to_string().contains("no such person"), "{unknown}");
    let later = send(plain(), "later@example.com").await.unwrap_err();
    assert!(!later.is_permanent() && !later.is_of_server(), "{later}");
    let down = MailServer::down("none", None);
    let refused = send(settings(&down, "none", |overrides| overrides), "bob@example.com").await.unwrap_err();
    assert!(!refused.is_permanent() && refused.is_of_server(), "{refused}");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let hanging = settings(&server, "none", |o| o.set("mail.port", port).set("mail.timeout", "1s"));
    let refused = send(hanging, "bob@example.com").await.unwrap_err();
    assert!(!refused.is_permanent() && refused.is_of_server(), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_says_what_it_is_about_in_text_and_html() {
    let world = World::start(Backend::Embedded).await;
    world.invite("docs-team", "bob@example.com").await.unwrap();
    let mail = world.mail.wait_for(1).await.remove(0);
    assert_eq!(mail.header("Subject"), Some("You are invited to join docs-team"));
    assert_eq!(mail.header("To"), Some("bob@example.com"));
    assert_eq!(mail.header("Auto-Submitted"), Some("auto-generated"));
    let link = mail.link();
    let html = mail.body("text/html").replace("&amp;", "&");
    assert!(html.contains(&format!("href=\"{link}\"")), "{html}");
    for part in [mail.body("text/plain"), html] {
        assert!(part.contains("Alice") && part.contains("docs-team") && part.contains("UTC"), "{part}");
    }
    world.stop().await;
}

/// Words of an operator's own, and people who are told that they left.
#[tokio::test(flavor = "multi_thread")]
async fn words_may_be_replaced_and_notices_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let text = "Subject: Komm zu {{organization}}\n\nHier entlang: {{link}}\n";
    std::fs::write(folder.path().join("invitation.txt"), text).unwrap();
    let templates = folder.path().display().to_string();
    let change =
        move |overrides: Overrides| overrides.set("mail.templates", templates).set("mail.notices", "true");
    let server = MailServer::start("none", None);
    let world = World::with(server, Setup::new(Backend::Embedded), change).await;
    let invitation = world.invite("docs-team", "carol@example.com").await.unwrap();
    let mail = world.mail.wait_for(1).await.remove(0);
    assert_eq!(mail.header("Subject"), Some("Komm zu docs-team"));
    assert!(mail.body("text/plain").contains("Hier entlang: http"));
    assert!(mail.body("text/html").contains("Accept the invitation"), "ours stays where it is not replaced");
    let alice = crate::support::gateway::name_id("alice");
    let organization = super::slug("docs-team");
    let cause = world.by(&alice);
    let (directory, now) = (world.directory(), Timestamp::now());
    directory.cancel_invitation(&world.enterprise, &organization, invitation.id, cause, now).await.unwrap();
    let mails = world.mail.wait_for(2).await;
    assert_eq!(mails[1].header("Subject"), Some("Your invitation to docs-team was withdrawn"));

    let mut bob = portcullis::demo::browser::Browser::new();
    world.gateway.sign_in(&mut bob, "bob").await;
    world.gateway.people.set_groups("bob", &[]).unwrap();
    world.gateway.sign_in(&mut bob, "bob").await;
    let mails = world.mail.wait_for(3).await;
    assert_eq!(mails[2].header("Subject"), Some("You are no longer a member of octo-org"));
    assert_eq!(mails[2].to, ["bob@example.com"]);
    world.stop().await;
}
