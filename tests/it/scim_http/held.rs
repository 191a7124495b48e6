//! The owners hear by mail of removals that wait for them: a real mail server, and what arrives there.
use portcullis::{
    directory::Actor,
    domain::{OrganizationSlug, Timestamp},
    idp,
};
use serde_json::json;

use super::world::World;
use crate::support::{
    gateway::{BACKENDS, Backend, Setup, name_id},
    mail_server::{MailServer, Received},
};

/// Alice and Erin own the enterprise and belong to no organization, Bob owns `octo-org`; Carol, Hans, Ida and the crowd are members.
const PEOPLE: [(&str, &[&str]); 10] = [
    ("alice", &[]),
    ("bob", &["octo-org", "octo-org-owners"]),
    ("erin", &[]),
    ("carol", &["octo-org"]),
    ("hans", &["octo-org"]),
    ("ida", &["octo-org"]),
    ("dora", &["octo-org", "docs-team"]),
    ("emil", &["octo-org", "docs-team"]),
    ("fritz", &["octo-org", "docs-team"]),
    ("gina", &["octo-org", "docs-team"]),
];
const CROWD: [&str; 4] = ["dora", "emil", "fritz", "gina"];
const OTHERS: [&str; 3] = ["carol", "hans", "ida"];

struct Stage {
    world: World,
    mail: MailServer,
    /// The crowd's.
    users: Vec<String>,
}

impl Stage {
    async fn new(backend: Backend) -> Self {
        let mail = MailServer::start("none", None);
        let port = mail.port().to_string();
        let mut setup = Setup::new(backend);
        setup.idp.people = PEOPLE.into_iter().map(|(id, groups)| person(id, groups)).collect();
        let world = World::set_up(setup, move |overrides| {
            overrides
                .set("mail.port", port)
                .set("enterprise.example.managed", "octo-org,docs-team")
                .set("enterprise.example.owners", "alice@example.com,erin@example.com")
                .set("enterprise.example.max_removals", "2")
        })
        .await;
        for (id, _) in PEOPLE {
            assert_eq!(world.sign_in(id).await.status, 200, "{id}");
        }
        // Who was put out hears of nothing, whatever the configuration says.
        let erin = world.gateway.person_id(&name_id("erin"));
        let (tenant, operator) = (world.tenant("example"), Actor::operator("test"));
        world.directory().deactivate_person(&tenant, operator, erin, Timestamp::now()).await.unwrap();
        let mut users = vec![];
        for id in CROWD {
            users.push(world.user(id).await);
        }
        Self { world, mail, users }
    }

    /// The crowd's group of that name.
    async fn group(&self, name: &str) -> String {
        self.world.group(name, &self.users.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// Empties the group, which is too much at once.
    async fn is_held(&self, group: &str, name: &str) {
        let empty = json!({ "displayName": name, "members": [] });
        let held = self.world.scim.send("PUT", &format!("/Groups/{group}"), &empty).await;
        held.is_error(429, None);
        assert_eq!(held.field("retry-after"), "600");
        assert_eq!(self.world.members(group).await.len(), CROWD.len());
    }

    async fn approve_all(&self) {
        let (world, operator) = (&self.world, Actor::operator("test"));
        let (tenant, directory, now) = (world.tenant("example"), world.directory(), Timestamp::now());
        let (holds, _) = directory.holds(tenant.id, None, 100, now).await.unwrap();
        assert_eq!(holds.len(), CROWD.len());
        for hold in holds {
            directory.approve_removal(&tenant, operator, &hold.organization, hold.person, now).await.unwrap();
        }
    }
}

fn person(id: &str, groups: &[&str]) -> idp::Person {
    idp::Person {
        id: id.into(),
        display_name: format!("{}{}", id[..1].to_uppercase(), &id[1..]),
        email: name_id(id),
        groups: groups.iter().map(ToString::to_string).collect(),
    }
}

/// Sorted, as they were on the wire: each mail has one recipient.
fn recipients(mails: &[Received]) -> Vec<&str> {
    let mut all: Vec<&str> = mails
        .iter()
        .map(|mail| {
            assert_eq!(mail.to.len(), 1, "nobody sees who else is told");
            assert_eq!(mail.header("To"), Some(mail.to[0].as_str()));
            mail.to[0].as_str()
        })
        .collect();
    all.sort_unstable();
    all
}

/// What the mail says, in both of its parts.
fn says(mail: &Received, organization: &str) {
    let subject = format!("People are to be removed from {organization}: please decide");
    assert_eq!(mail.header("Subject"), Some(subject.as_str()));
    assert_eq!(mail.from, "gate@example.com");
    assert_eq!(mail.header("Auto-Submitted"), Some("auto-generated"));
    for part in [mail.body("text/plain"), mail.body("text/html")] {
        let words = part.split_whitespace().collect::<Vec<_>>().join(" ").replace(['<', '>'], " ");
        for expected in [
            "the identity provider of example asks to remove more people",
            organization,
            "Their memberships stay until you decide.",
            "Whoever was deactivated at the identity provider is kept out all the same.",
            "approve or reject them",
        ] {
            assert!(words.contains(expected), "{expected}: {words}");
        }
        // Who they are is for those to see who have signed in.
        assert!(CROWD.iter().all(|user| !words.contains(user)), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_11_owners_are_mailed_once_when_a_mass_removal_is_held() {
    for backend in BACKENDS {
        let stage = Stage::new(backend).await;
        let group = stage.group("octo-org").await;
        for _ in 0..3 {
            stage.is_held(&group, "octo-org").await;
        }
        // Asking again brings no other mail: what comes next is of something else.
        let teams = stage.group("docs-team").await;
        stage.is_held(&teams, "docs-team").await;
        let mails = stage.mail.wait_for(3).await;
        let (octo, docs): (Vec<_>, Vec<_>) =
            mails.into_iter().partition(|mail| mail.header("Subject").unwrap().contains("octo-org"));
        assert_eq!(recipients(&octo), ["alice@example.com", "bob@example.com"], "{backend:?}");
        assert_eq!(recipients(&docs), ["alice@example.com"], "{backend:?}: bob owns the other one");
        octo.iter().for_each(|mail| says(mail, "octo-org"));
        docs.iter().for_each(|mail| says(mail, "docs-team"));
        stage.world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_11_what_is_held_after_a_decision_is_told_anew() {
    let stage = Stage::new(Backend::Embedded).await;
    let group = stage.group("octo-org").await;
    stage.is_held(&group, "octo-org").await;
    stage.mail.wait_for(2).await;
    stage.approve_all().await;
    let empty = json!({ "displayName": "octo-org", "members": [] });
    stage.world.scim.send("PUT", &format!("/Groups/{group}"), &empty).await.is(200);
    assert!(stage.world.members(&group).await.is_empty());
    let mut others = vec![];
    for user in OTHERS {
        others.push(stage.world.user(user).await);
    }
    let members: Vec<_> = others.iter().map(|id| json!({ "value": id })).collect();
    let add = json!([{ "op": "add", "path": "members", "value": members }]);
    stage.world.scim.patch(&format!("/Groups/{group}"), &add).await.is(204);
    stage.world.scim.send("PUT", &format!("/Groups/{group}"), &empty).await.is_error(429, None);
    let mails = stage.mail.wait_for(4).await;
    assert_eq!(recipients(&mails[2..]), ["alice@example.com", "bob@example.com"]);
    mails[2..].iter().for_each(|mail| says(mail, "octo-org"));
    let slug = OrganizationSlug::parse("octo-org").unwrap();
    let other = stage.world.gateway.person(&name_id(OTHERS[0])).await.unwrap();
    assert!(other.standing.is_active() && other.membership(&slug).unwrap().held.is_some());
    stage.world.stop().await;
}
