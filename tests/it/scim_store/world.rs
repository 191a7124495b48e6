//! A directory on either store, an enterprise with two organizations, and what is known of people.
use std::{collections::BTreeSet, sync::Arc};

use portcullis::{
    directory::{
        Directory, Enterprise, SessionSettings,
        scim::{
            GroupLookup, MembersChange, OnGroupDelete, ScimCall, ScimFault, ScimGroupView, ScimLink,
            ScimSettings, ScimUserView, UnmatchedGroups,
        },
    },
    domain::{
        AddressId, EnterpriseId, EnterpriseSlug, Invitation, InvitationId, InvitationSource, Invitee,
        Organization, OrganizationId, OrganizationSlug, Person, PersonId, Role, ScimId, Timestamp,
    },
    provisioning::{self, AttributeNames, GroupNaming, LastOwner, MissingGroups, Policy},
    saml::SubjectKey,
    scim::{Draft, Resource, ResourceType},
    store::{self, Commit, Committed, Key, Store, Whole, Write, records},
    telemetry::Metrics,
};

pub use crate::support::people::mail;
use crate::{
    store::PATIENT_MILLIS,
    support::{people, redis::RedisServer},
};

pub const IDP: &str = "https://idp.example.com";

/// Where a store lies, as long as it is needed.
enum Ground {
    Embedded { _folder: tempfile::TempDir },
    Redis { _server: RedisServer },
}

pub struct World {
    _ground: Ground,
    pub whole: Arc<dyn Whole>,
    pub store: Arc<dyn Store>,
    pub directory: Arc<Directory>,
    pub enterprise: Enterprise,
    pub settings: ScimSettings,
    pub now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Embedded,
    Redis,
}

pub const BOTH: [On; 2] = [On::Embedded, On::Redis];

pub fn slug(text: &str) -> OrganizationSlug {
    OrganizationSlug::parse(text).unwrap()
}

pub fn directory(store: &Arc<dyn Store>) -> Arc<Directory> {
    let sessions = SessionSettings { idle_seconds_max: 3_600, lifetime_seconds_max: 86_400 };
    Arc::new(Directory::new(store.clone(), sessions, Metrics::new()))
}

impl World {
    pub async fn new(on: On) -> Self {
        let (ground, settings) = match on {
            On::Embedded => {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("store.redb");
                let settings = store::Settings::Embedded(store::embedded::Settings { path });
                (Ground::Embedded { _folder: folder }, settings)
            }
            On::Redis => {
                let server = RedisServer::start();
                let settings = store::redis::Settings::single(server.url(), PATIENT_MILLIS);
                (Ground::Redis { _server: server }, store::Settings::Redis(settings))
            }
        };
        let whole = store::open_whole(&settings).await.unwrap();
        let store: Arc<dyn Store> = whole.clone();
        let slug_of = EnterpriseSlug::parse("example").unwrap();
        let enterprise = Enterprise {
            id: EnterpriseId::of(&slug_of),
            slug: slug_of,
            owners: vec![],
            organizations: ["octo-org", "hubot", "lone"].map(slug).to_vec(),
            provisioning: provisioning_settings(),
        };
        let settings = ScimSettings {
            link: ScimLink::UserName,
            idp: IDP.into(),
            subject: SubjectKey::NameId,
            unmatched_groups: UnmatchedGroups::Refuse,
            on_group_delete: OnGroupDelete::Keep,
            reinvite: false,
        };
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        Self { _ground: ground, directory: directory(&store), whole, store, enterprise, settings, now }
    }

    /// Everything that lies in the store agrees with itself.
    pub async fn check(&self) {
        let report = portcullis::directory::examine(&*self.whole, self.now).await.unwrap();
        assert_eq!(report.faults, []);
    }

    pub fn call(&self) -> ScimCall<'_> {
        ScimCall {
            enterprise: &self.enterprise,
            settings: &self.settings,
            request_id: "test",
            if_match: None,
            event: None,
            now: self.now,
        }
    }

    pub fn person_id(&self, user: &str) -> PersonId {
        PersonId::of(self.enterprise.id, IDP, user)
    }

    pub async fn create(&self, user: &str) -> ScimUserView {
        self.directory.create_scim_user(&self.call(), user_resource(user), &[]).await.unwrap()
    }

    /// The ids of a [`World::shown_crowd`].
    pub async fn crowd(&self, count: usize, memberships: &[(&str, Role)]) -> Vec<ScimId> {
        self.shown_crowd(count, memberships).await.into_iter().map(|view| view.user.id).collect()
    }

    /// Users `person-0000` and on, of people who have these memberships where there are any.
    pub async fn shown_crowd(&self, count: usize, memberships: &[(&str, Role)]) -> Vec<ScimUserView> {
        let mut crowd = vec![];
        for n in 0..count {
            let name = format!("person-{n:04}");
            if !memberships.is_empty() {
                self.seed(&name, memberships).await;
            }
            crowd.push(self.create(&name).await);
        }
        crowd
    }

    pub async fn group(&self, name: &str, members: &[&ScimUserView]) -> ScimGroupView {
        let members = members.iter().map(|view| view.user.id).collect();
        self.directory.create_scim_group(&self.call(), group_resource(name), members).await.unwrap()
    }

    pub async fn change(&self, group: ScimId, change: MembersChange) -> Result<ScimGroupView, ScimFault> {
        self.directory
            .change_scim_group(&self.call(), group, |r| Ok::<_, ScimFault>((r.clone(), change.clone())))
            .await
    }

    pub async fn add(&self, group: ScimId, user: ScimId) -> Result<ScimGroupView, ScimFault> {
        self.change(group, MembersChange { add: [user].into(), ..MembersChange::default() }).await
    }

    pub async fn remove(&self, group: ScimId, user: ScimId) -> Result<ScimGroupView, ScimFault> {
        self.change(group, MembersChange { remove: [user].into(), ..MembersChange::default() }).await
    }

    pub async fn members(&self, group: ScimId) -> BTreeSet<ScimId> {
        let members = self.directory.scim_group_members(&self.call(), group, None, 10_000).await.unwrap();
        let size = self.directory.scim_group_size(&self.call(), group).await.unwrap();
        assert_eq!(size, members.len() as u64);
        members.into_iter().collect()
    }

    pub async fn set_active(&self, user: ScimId, active: bool) -> Result<ScimUserView, ScimFault> {
        let change = |resource: &Resource| {
            let mut resource = resource.clone();
            resource.set_active(active);
            Ok::<_, ScimFault>(resource)
        };
        self.directory.change_scim_user(&self.call(), user, change).await
    }

    /// By PUT.
    pub async fn replace(&self, user: ScimId, with: Resource) -> Result<ScimUserView, ScimFault> {
        self.directory.change_scim_user(&self.call(), user, |_| Ok::<_, ScimFault>(with.clone())).await
    }

    pub async fn person(&self, user: &str) -> Option<Person> {
        self.directory.person(self.enterprise.id, self.person_id(user), self.now).await.unwrap()
    }

    pub async fn invitations(&self, email: &str) -> Vec<Invitation> {
        let address = AddressId::of(self.enterprise.id, email);
        self.directory.invitee(self.enterprise.id, address, self.now).await.unwrap().invitations
    }

    /// `none`, `invited`, `member` or `owner`, held removals with a `!`; records and sets must agree.
    pub async fn state(&self, user: &str, organization: &str) -> String {
        let organization = slug(organization);
        let person = self.person(user).await;
        let member = person.as_ref().and_then(|person| person.membership(&organization)).cloned();
        let set = self.directory.members(self.enterprise.id, &organization, None, 10_000).await.unwrap();
        assert_eq!(set.contains(&self.person_id(user)), member.is_some(), "{user}");
        let invited = self
            .invitations(&mail(user))
            .await
            .into_iter()
            .filter(|i| i.organization == organization)
            .count();
        match member {
            Some(member) => {
                assert_eq!(invited, 0, "{user} is in and invited");
                format!("{}{}", member.role.as_str(), if member.held.is_some() { "!" } else { "" })
            }
            None if invited > 0 => format!("invited{}", if invited > 1 { " twice" } else { "" }),
            None => "none".into(),
        }
    }

    /// How many mails wait.
    pub async fn mails(&self) -> usize {
        self.store.members(Key::Outbox(self.enterprise.id), None, 10_000).await.unwrap().len()
    }

    /// The actions of the audit stream.
    pub async fn actions(&self) -> Vec<String> {
        let action = |event: &serde_json::Value| event["action"].as_str().unwrap().to_owned();
        self.events().await.iter().map(action).collect()
    }

    /// The audit stream.
    pub async fn events(&self) -> Vec<serde_json::Value> {
        let mut events = vec![];
        loop {
            let after = events.len() as u64;
            let page = self.store.entries(Key::Audit(self.enterprise.id), after, 1_000).await.unwrap();
            if page.is_empty() {
                return events;
            }
            events.extend(
                page.iter().map(|entry| serde_json::from_slice::<serde_json::Value>(&entry.value).unwrap()),
            );
        }
    }

    pub async fn organization(&self, organization: &str) -> Organization {
        self.directory.organization(self.enterprise.id, &slug(organization), self.now).await.unwrap()
    }

    /// Who signed in before, with these memberships.
    pub async fn seed(&self, user: &str, memberships: &[(&str, Role)]) {
        let e = self.enterprise.id;
        let person = people::person(e, IDP, user, memberships);
        let mut writes = people::writes(&person);
        for membership in person.memberships.iter().filter(|membership| membership.role == Role::Owner) {
            let mut record = self.organization(membership.organization.as_str()).await;
            record.owners.insert(person.id);
            let key = Key::Organization(e, OrganizationId::of(e, &membership.organization));
            writes.push(Write::Put(key, records::encode_organization(&record)));
        }
        self.commit(writes).await;
    }

    /// An invitation to the person's address that `source` made.
    pub async fn seed_invitation(&self, user: &str, organization: &str, source: InvitationSource) {
        let (e, organization) = (self.enterprise.id, slug(organization));
        let address = AddressId::of(e, &mail(user));
        let invitation = Invitation {
            id: InvitationId::derived(&[user.as_bytes(), organization.as_str().as_bytes()]),
            organization: organization.clone(),
            role: Role::Member,
            source,
            email: mail(user),
            person: None,
            inviter: None,
            invited_at: self.now,
            expires_at: None,
            secret: [0; 32],
            sent: 1,
            sent_at: self.now,
            undeliverable_since: None,
        };
        let reference = [&address.as_bytes()[..], invitation.id.as_bytes()].concat();
        let mut invitations = self.invitations(&mail(user)).await;
        invitations.push(invitation);
        let invitee = Invitee { address, invitations };
        let listed = Key::OrganizationInvitations(e, OrganizationId::of(e, &organization));
        let put = Write::Put(Key::Invitee(e, address), records::encode_invitee(&invitee));
        self.commit(vec![Write::Insert(listed, reference), put]).await;
    }

    async fn commit(&self, writes: Vec<Write>) {
        assert_eq!(self.store.commit(Commit { expect: vec![], writes }).await.unwrap(), Committed::Applied);
    }

    pub async fn groups_of(&self, user: ScimId) -> Vec<ScimGroupView> {
        self.directory.find_scim_groups(&self.call(), GroupLookup::Member(user)).await.unwrap()
    }
}

pub fn user_resource(user: &str) -> Resource {
    resource(
        ResourceType::User,
        &serde_json::json!({
            "userName": user,
            "externalId": format!("ext-{user}"),
            "emails": [{"value": mail(user), "type": "work", "primary": true}],
        }),
    )
}

pub fn group_resource(name: &str) -> Resource {
    resource(ResourceType::Group, &serde_json::json!({"displayName": name}))
}

pub fn resource(kind: ResourceType, json: &serde_json::Value) -> Resource {
    Draft::parse(kind, json.to_string().as_bytes()).unwrap().create()
}

fn provisioning_settings() -> provisioning::Settings {
    provisioning::Settings {
        policy: Policy::default(),
        managed: vec![],
        mappings: vec![],
        naming: GroupNaming::default(),
        attributes: AttributeNames {
            groups: vec![],
            email: vec![],
            display_name: vec![],
            preferred_username: vec![],
        },
        max_removals: 10,
        break_glass: vec!["glass".into()],
        missing_groups: MissingGroups::Ignore,
        last_owner: LastOwner::Allow,
        dry_run: false,
    }
}
