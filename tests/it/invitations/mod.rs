//! Invitations from the owner's act to the membership, their mails, and recovery codes.
mod accept;
mod expiry;
mod mails;
mod outbox;
mod owners;
mod recovery;

use std::sync::Arc;

use portcullis::{
    config::{self, Overrides, Source},
    demo::browser::{Browser, Page},
    directory::{Cause, Directory, Enterprise, InvitationPage, InvitationState, Invite, InviteError},
    domain::{Invitation, InvitationSource, OrganizationSlug, Role, Timestamp},
    telemetry::Trigger,
};

use crate::support::{
    foreign::browser,
    gateway::{Backend, Setup, TestGateway, name_id},
    mail_server::MailServer,
};

/// A gateway with mail. Groups decide about `octo-org` alone; alice owns it, and the enterprise.
pub struct World {
    pub gateway: TestGateway,
    pub mail: MailServer,
    pub enterprise: Enterprise,
}

pub fn slug(text: &str) -> OrganizationSlug {
    OrganizationSlug::parse(text).unwrap()
}

/// Mail by that server, without TLS.
pub fn mail_settings(overrides: Overrides, port: u16) -> Overrides {
    overrides
        .set("mail.host", "localhost")
        .set("mail.port", port.to_string())
        .set("mail.tls", "none")
        .set("mail.from", "The gate <gate@example.com>")
        .set("enterprise.example.managed", "octo-org")
}

impl World {
    pub async fn start(backend: Backend) -> Self {
        Self::with(MailServer::start("none", None), Setup::new(backend), |overrides| overrides).await
    }

    pub async fn with(
        mail: MailServer,
        setup: Setup,
        change: impl FnOnce(Overrides) -> Overrides + 'static,
    ) -> Self {
        let port = mail.port();
        let change = move |overrides| change(mail_settings(overrides, port));
        let gateway = TestGateway::set_up(Setup { change: Box::new(change), ..setup }).await;
        let enterprise = tenant(&gateway);
        let world = Self { gateway, mail, enterprise };
        // Whoever invites must have been here.
        world.gateway.sign_in(&mut Browser::new(), "alice").await;
        world
    }

    pub fn directory(&self) -> Arc<Directory> {
        self.gateway.running.as_ref().unwrap().directory.clone()
    }

    /// Alice invites an address as a member.
    pub async fn invite(&self, organization: &str, email: &str) -> Result<Invitation, InviteError> {
        self.invite_as("alice", organization, email, Role::Member, Timestamp::now()).await
    }

    pub async fn invite_as(
        &self,
        inviter: &str,
        organization: &str,
        email: &str,
        role: Role,
        now: Timestamp,
    ) -> Result<Invitation, InviteError> {
        let organization = slug(organization);
        let source = InvitationSource::Manual;
        let invite = Invite { organization: &organization, email, role, source, person: None };
        let user = name_id(inviter);
        let actor = Some((self.gateway.person_id(&user), user.as_str()));
        let cause = Cause::by(Trigger::Owner, actor, "test-invite");
        self.directory().invite(&self.enterprise, &invite, cause, now).await
    }

    pub async fn by_scim(&self, organization: &str, email: &str) -> Result<Invitation, InviteError> {
        let organization = slug(organization);
        let source = InvitationSource::Scim;
        let invite = Invite { organization: &organization, email, role: Role::Member, source, person: None };
        let cause = Cause::by(Trigger::Scim, None, "test-scim");
        self.directory().invite(&self.enterprise, &invite, cause, Timestamp::now()).await
    }

    /// What an owner's act is made as.
    pub fn by<'a>(&self, user: &'a str) -> Cause<'a> {
        Cause::by(Trigger::Owner, Some((self.gateway.person_id(user), user)), "test-act")
    }

    pub async fn listed(
        &self,
        organization: &str,
        state: InvitationState,
        now: Timestamp,
    ) -> Vec<Invitation> {
        let (directory, organization) = (self.directory(), slug(organization));
        let found = directory
            .invitations(
                self.enterprise.id,
                &organization,
                InvitationPage { state, after: None, limit: 1_000 },
                now,
            )
            .await;
        found.unwrap().0.into_iter().map(|(_, invitation)| invitation).collect()
    }

    pub async fn pending(&self, organization: &str) -> Vec<Invitation> {
        self.listed(organization, InvitationState::Pending, Timestamp::now()).await
    }

    /// Opens the link of the newest mail and signs in as somebody; the page that follows.
    pub async fn open_link(&self, browser: &mut Browser, link: &str, person: &str) -> Page {
        let people = browser.open(link).await.unwrap();
        let name = self.gateway.people.person(person).unwrap().display_name;
        let posting = browser.press(&people, &format!("Sign in as {name}")).await.unwrap();
        browser.press(&posting, "Continue").await.unwrap()
    }

    pub async fn is_member(&self, person: &str, organization: &str) -> bool {
        let person = self.gateway.person(&name_id(person)).await;
        person.is_some_and(|person| person.membership(&slug(organization)).is_some())
    }

    pub async fn stop(self) {
        self.gateway.stop().await;
    }
}

/// The enterprise as the gateway knows it.
pub fn tenant(gateway: &TestGateway) -> Enterprise {
    let loaded = config::load(&Source::file(&gateway.config).unwrap(), &gateway.overrides).unwrap();
    loaded.settings.enterprises[0].tenant()
}

/// One whose forms come from the pages that it was shown.
pub fn person() -> Browser {
    browser()
}
