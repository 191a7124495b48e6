//! A gateway before the forged IdP, on either store, with people and organizations as a test needs them.
use std::sync::{Arc, Mutex};

use portcullis::{
    config::{self, Overrides, Source},
    demo::browser::{Browser, Page},
    directory::{Actor, Directory, Enterprise},
    domain::{
        AddressId, Invitation, InvitationId, InvitationSource, Invitee, Membership, MembershipSource, NameId,
        Organization, OrganizationId, OrganizationSlug, Person, PersonId, Profile, Role, StableId, Standing,
        Timestamp,
    },
    store::{Commit, Committed, Key, Store, Write, records},
};

use crate::{
    saml::forge::{self, Spec, attribute},
    support::{
        forged_idp::ForgedIdp,
        gateway::Backend,
        layer::{Faster, overtaken},
    },
};

/// What an assertion says about groups.
#[derive(Debug, Clone, Copy)]
pub enum Groups<'a> {
    These(&'a [&'a str]),
    Absent,
    /// Entra ID's pointer, beside a group.
    Overage,
}

pub const OVERAGE: &str = "http://schemas.microsoft.com/claims/groups.link";

impl Groups<'_> {
    pub fn attributes(self, user: &str) -> String {
        let mail = attribute("mail", &[user]);
        match self {
            Self::These(groups) => mail + &attribute("groups", groups),
            Self::Absent => mail,
            Self::Overage => {
                mail + &attribute("groups", &["something-else"])
                    + &attribute(OVERAGE, &["https://graph.example"])
            }
        }
    }
}

pub struct World {
    pub idp: ForgedIdp,
    /// Let go, for a program that opens it.
    pub store: Option<Arc<dyn Store>>,
    pub enterprise: Enterprise,
    /// What somebody else commits right before the gateway's next commit arrives.
    pub faster: Faster,
}

/// With both switches on, which is where everything can happen.
pub async fn world(backend: Backend) -> World {
    World::new(backend, |overrides| overrides).await
}

pub fn slug(text: &str) -> OrganizationSlug {
    OrganizationSlug::parse(text).unwrap()
}

pub fn operator() -> Actor<'static> {
    Actor::operator("test")
}

impl World {
    pub async fn new(backend: Backend, change: impl FnOnce(Overrides) -> Overrides + 'static) -> Self {
        let kept: Arc<Mutex<Option<Arc<dyn Store>>>> = Arc::default();
        let faster = Faster::default();
        let (keep, overtaking) = (kept.clone(), faster.clone());
        let wrap = move |inner: Arc<dyn Store>| {
            *keep.lock().unwrap() = Some(inner.clone());
            overtaken(inner, overtaking)
        };
        let idp = ForgedIdp::on(backend, change, wrap).await;
        let store = kept.lock().unwrap().take();
        let source = Source::file(&idp.gateway.config).unwrap();
        let settings = config::load(&source, &idp.gateway.overrides).unwrap().settings;
        let enterprise = settings.enterprises[0].tenant();
        Self { idp, store, enterprise, faster }
    }

    pub fn directory(&self) -> &Directory {
        &self.idp.gateway.running.as_ref().unwrap().directory
    }

    pub fn id(&self, user: &str) -> PersonId {
        self.idp.person(&StableId::NameId(user.into()))
    }

    /// What `user` does by hand.
    pub fn actor<'a>(&self, user: &'a str) -> Actor<'a> {
        Actor::person(self.id(user), user, "test")
    }

    pub async fn sign_in(&self, user: &str, groups: Groups<'_>) -> (Browser, Page) {
        self.sign_in_with(user, groups, |_| {}).await
    }

    pub async fn sign_in_with(
        &self,
        user: &str,
        groups: Groups<'_>,
        change: impl FnOnce(&mut Spec),
    ) -> (Browser, Page) {
        let signed_in = self.idp.sign_in(|spec| {
            spec.name_id = format!("<saml:NameID>{user}</saml:NameID>");
            spec.attributes = groups.attributes(user);
            change(spec);
        });
        signed_in.await
    }

    /// Signs in, which must succeed.
    pub async fn enter(&self, user: &str, groups: &[&str]) -> Browser {
        let (browser, page) = self.sign_in(user, Groups::These(groups)).await;
        assert_eq!(page.status, 200, "{user}: {}", page.body);
        browser
    }

    pub async fn person(&self, user: &str) -> Option<Person> {
        let now = Timestamp::now();
        self.directory().person(self.enterprise.id, self.id(user), now).await.unwrap()
    }

    /// `owner`, `member`, or `none`.
    pub async fn role(&self, user: &str, organization: &str) -> &'static str {
        let person = self.person(user).await;
        let person = person.as_ref();
        let role = person.and_then(|p| p.membership(&slug(organization))).map_or("none", |m| m.role.as_str());
        let members = self.idp.gateway.members(organization).await;
        assert_eq!(members.contains(&self.id(user)), role != "none", "{user} in {organization}: {members:?}");
        let owners = self.idp.gateway.organization(organization).await.owners;
        assert_eq!(owners.contains(&self.id(user)), role == "owner", "{user} in {organization}: {owners:?}");
        role
    }

    /// The names of the organizations that are listed as unowned.
    pub async fn unowned(&self) -> Vec<String> {
        let unowned =
            self.directory().unowned(self.enterprise.id, None, 100, Timestamp::now()).await.unwrap();
        unowned.iter().inspect(|o| assert!(o.unowned_since.is_some())).map(|o| o.slug.to_string()).collect()
    }

    pub async fn invitations(&self, user: &str) -> Vec<Invitation> {
        let address = AddressId::of(self.enterprise.id, user);
        let invitee = self.directory().invitee(self.enterprise.id, address, Timestamp::now()).await.unwrap();
        invitee.invitations
    }

    /// The events of the enterprise's stream about a person.
    pub async fn events(&self, user: &str) -> Vec<serde_json::Value> {
        let entries =
            self.store.as_ref().unwrap().entries(Key::Audit(self.enterprise.id), 0, 1_000).await.unwrap();
        let lines =
            entries.iter().map(|entry| serde_json::from_slice::<serde_json::Value>(&entry.value).unwrap());
        lines.filter(|line| line["user"] == user).collect()
    }

    pub async fn actions(&self, user: &str) -> Vec<String> {
        let events = self.events(user).await;
        events.iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn stop(self) {
        self.idp.gateway.stop().await;
    }

    /// Puts a person into an organization as nobody but time could: with a membership, with an invitation, or with none.
    pub async fn seed(&self, user: &str, organization: &str, role: Option<Role>, invited: bool) {
        let (e, now) = (self.enterprise.id, Timestamp::from_second(1_700_000_000).unwrap());
        let mut person = person(&self.enterprise, self.id(user), user, now);
        let mut commit = Commit::default();
        let organization = slug(organization);
        let id = OrganizationId::of(e, &organization);
        if let Some(role) = role {
            let source = MembershipSource::Manual;
            person.memberships = vec![Membership::new(organization.clone(), role, source, now)];
            let member = person.id.as_bytes().to_vec();
            commit.writes.push(Write::Insert(Key::OrganizationMembers(e, id), member));
        }
        if invited {
            self.seed_invitation(user, &organization).await;
        }
        commit.writes.push(Write::Put(Key::Person(e, person.id), records::encode_person(&person)));
        commit.writes.push(Write::Insert(Key::People(e), person.id.as_bytes().to_vec()));
        self.commit(commit).await;
    }

    /// Writes an invitation to the address that the person's assertions state.
    pub async fn seed_invitation(&self, user: &str, organization: &OrganizationSlug) {
        let (e, now) = (self.enterprise.id, Timestamp::from_second(1_700_000_000).unwrap());
        let address = AddressId::of(e, user);
        let invitation = invitation(organization, user, now);
        let reference = [&address.as_bytes()[..], invitation.id.as_bytes()].concat();
        let listed = Key::OrganizationInvitations(e, OrganizationId::of(e, organization));
        let invitee = Invitee { address, invitations: vec![invitation] };
        let put = Write::Put(Key::Invitee(e, address), records::encode_invitee(&invitee));
        self.commit(Commit { writes: vec![Write::Insert(listed, reference), put], ..Commit::default() })
            .await;
    }

    pub async fn commit(&self, commit: Commit) {
        let store = self.store.as_ref().unwrap();
        assert_eq!(store.commit(commit).await.unwrap(), Committed::Applied);
    }

    /// Writes who owns an organization.
    pub async fn seed_owners(&self, organization: &str, owners: impl IntoIterator<Item = PersonId>) {
        let organization = slug(organization);
        let id = OrganizationId::of(self.enterprise.id, &organization);
        let owners = owners.into_iter().collect();
        let record = Organization { owners, ..Organization::new(id, organization) };
        let put =
            Write::Put(Key::Organization(self.enterprise.id, id), records::encode_organization(&record));
        self.commit(Commit { writes: vec![put], ..Commit::default() }).await;
    }
}

fn invitation(organization: &OrganizationSlug, email: &str, now: Timestamp) -> Invitation {
    Invitation {
        id: InvitationId::derived(&[email.as_bytes()]),
        organization: organization.clone(),
        role: Role::Member,
        source: InvitationSource::Manual,
        email: email.into(),
        person: None,
        inviter: None,
        invited_at: now,
        expires_at: None,
        secret: [0; 32],
        sent: 1,
        sent_at: now,
        undeliverable_since: None,
    }
}

fn person(enterprise: &Enterprise, id: PersonId, user: &str, now: Timestamp) -> Person {
    Person {
        id,
        enterprise: enterprise.id,
        standing: Standing::Active,
        linked_at: Some(now),
        issuer: forge::IDP.into(),
        name_id: NameId { value: user.into(), format: "f".into(), ..NameId::default() },
        profile: Profile { user: user.into(), email: Some(user.into()), ..Profile::default() },
        memberships: vec![],
        former: vec![],
        tokens: vec![],
        last_groups: None,
        decided_at: None,
        created_at: now,
        last_sign_in_at: now,
    }
}
