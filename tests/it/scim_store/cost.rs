//! What calls cost: round trips to the store, and entries of the audit stream. Neither grows with the people whom a call names.
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use portcullis::{
    directory::{
        AuditFilter, AuditQuery, Cause, Directory, Invite, SessionSettings, audit_entries,
        scim::{MembersChange, ScimCall, ScimCallEvent, ScimFault, ScimGroupView, UnmatchedGroups},
    },
    domain::{InvitationSource, Role, ScimId, ScimTokenId, Timestamp},
    scim::{Resource, ResourceType},
    store::{BoxFuture, Commit, Committed, Key, Note, Op, Reply, Store, StoreError, Write},
    telemetry::{Metrics, PEOPLE_BYTES_MAX, Trigger},
};

use super::world::{BOTH, World, directory, group_resource, slug, user_resource};
use crate::support::layer::{Layer, in_front};

/// Counts what goes to a store.
struct Counting {
    inner: Arc<dyn Store>,
    calls: Arc<AtomicUsize>,
    notes: Arc<AtomicUsize>,
}

impl Layer for Counting {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn batch(&self, now: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        self.calls.fetch_add(1, SeqCst);
        self.inner.batch(now, ops)
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        self.calls.fetch_add(1, SeqCst);
        let is_note = |write: &&Write| matches!(write, Write::Notify(Note::Person(..)));
        self.notes.fetch_add(change.writes.iter().filter(is_note).count(), SeqCst);
        self.inner.commit(change)
    }

    fn look(&self, _: Option<Key>) {
        self.calls.fetch_add(1, SeqCst);
    }
}

struct Counted<'w> {
    world: &'w World,
    directory: Arc<Directory>,
    calls: Arc<AtomicUsize>,
    /// About people.
    notes: Arc<AtomicUsize>,
}

impl<'w> Counted<'w> {
    async fn of(world: &'w World) -> Self {
        let (calls, notes) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counting = Counting { inner: world.store.clone(), calls: calls.clone(), notes: notes.clone() };
        let counted = Self { world, directory: directory(&in_front(counting)), calls, notes };
        counted.warm().await;
        counted
    }

    /// What is read once a second, however many calls there are.
    async fn warm(&self) {
        self.directory.settings(&self.world.enterprise, self.world.now).await.unwrap();
    }

    async fn trips<T>(&self, work: impl Future<Output = T>) -> (usize, T) {
        self.warm().await;
        let before = self.calls.load(SeqCst);
        let done = work.await;
        (self.calls.load(SeqCst) - before, done)
    }

    /// A PATCH of a group that names its members, as the API sends it.
    async fn patch(&self, group: ScimId, change: MembersChange) -> (usize, Result<ScimGroupView, ScimFault>) {
        let named: Vec<ScimId> = change.add.iter().chain(&change.remove).copied().collect();
        let call = self.world.call();
        let change = |r: &Resource| Ok::<_, ScimFault>((r.clone(), change.clone()));
        self.trips(self.directory.change_scim_group_of(&call, group, &named, change)).await
    }
}

fn adding(ids: &[ScimId]) -> MembersChange {
    MembersChange { add: ids.iter().copied().collect(), ..MembersChange::default() }
}

fn removing(ids: &[ScimId]) -> MembersChange {
    MembersChange { remove: ids.iter().copied().collect(), ..MembersChange::default() }
}

fn event(status: u16, kind: ResourceType) -> ScimCallEvent {
    let request = ("PATCH", "/Groups/{id}", "/scim/v2/enterprises/example/Groups/g");
    ScimCallEvent::new(ScimTokenId::from_bytes([7; 16]), request, status, kind)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_take_as_few_round_trips_as_they_can() {
    for on in BOTH {
        let mut world = World::new(on).await;
        world.settings.unmatched_groups = UnmatchedGroups::Accept;
        let alice = world.create("alice").await.user.id;
        let (plain, octo) =
            (world.group("plain", &[]).await.group.id, world.group("octo-org", &[]).await.group.id);
        let counted = Counted::of(&world).await;
        let call = world.call();
        // The commit, which is right if nobody knows bob.
        let create = counted.directory.create_scim_user(&call, user_resource("bob"), &[]);
        assert_eq!(counted.trips(create).await.0, 1, "{on:?} create");
        // No invitation of an owner's matters to it, and none is lost.
        world.seed_invitation("dave", "hubot", InvitationSource::Manual).await;
        let create = counted.directory.create_scim_user(&call, user_resource("dave"), &[]);
        assert_eq!(counted.trips(create).await.0, 1, "{on:?} create of who is invited");
        assert_eq!(world.state("dave", "hubot").await, "invited", "{on:?}");
        // Who is created as shut out loses it: that is looked at first.
        world.seed_invitation("erin", "hubot", InvitationSource::Manual).await;
        let mut out = user_resource("erin");
        out.set_active(false);
        counted.trips(counted.directory.create_scim_user(&call, out, &[])).await.1.unwrap();
        assert_eq!(world.state("erin", "hubot").await, "none", "{on:?}");
        // Somebody does: then what is in the way is looked for, and the person and the addresses that are meant are read.
        world.seed("mallory", &[("hubot", Role::Member)]).await;
        let create = counted.directory.create_scim_user(&call, user_resource("mallory"), &[]);
        let (trips, adopted) = counted.trips(create).await;
        assert_eq!((trips, adopted.is_ok()), (4, true), "{on:?} create of who is known");
        assert_eq!(world.state("mallory", "hubot").await, "member", "{on:?}");
        // And the groups, before.
        let groups = [plain, octo];
        let create = counted.directory.create_scim_user(&call, user_resource("carol"), &groups);
        let (trips, carol) = counted.trips(create).await;
        let carol = carol.unwrap();
        assert_eq!((trips, carol.groups.len()), (3, 2), "{on:?} create in groups");
        assert_eq!(carol, world.directory.scim_user(&call, carol.user.id).await.unwrap());
        // The group with who is named; the commit.
        assert_eq!(counted.patch(plain, adding(&[alice])).await.0, 2, "{on:?} PATCH +1");
        assert_eq!(counted.patch(plain, adding(&[alice])).await.0, 1, "{on:?} nothing to do");
        assert_eq!(counted.patch(plain, removing(&[alice])).await.0, 2, "{on:?} PATCH -1");
        // And in between the people and addresses that are meant.
        assert_eq!(counted.patch(octo, adding(&[alice])).await.0, 3, "{on:?} PATCH +1, an organization's");
        assert_eq!(counted.patch(octo, removing(&[alice])).await.0, 3, "{on:?} an invitation is withdrawn");
        let change = |resource: &Resource| {
            let mut map = resource.to_map();
            map.insert("displayName".into(), "Alice".into());
            Ok::<_, ScimFault>(Resource::from_map(ResourceType::User, map))
        };
        let renamed = counted.directory.change_scim_user(&call, alice, change);
        assert_eq!(counted.trips(renamed).await.0, 3, "{on:?} PATCH of a user");
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_members_take_as_many_round_trips_as_one() {
    for on in BOTH {
        let mut world = World::new(on).await;
        world.enterprise.provisioning.max_removals = 1_000;
        let crowd = world.crowd(102, &[("octo-org", Role::Member)]).await;
        let (octo, hubot) =
            (world.group("octo-org", &[]).await.group.id, world.group("hubot", &[]).await.group.id);
        let counted = Counted::of(&world).await;
        for group in [octo, hubot] {
            let one = counted.patch(group, adding(&crowd[..1])).await;
            let hundred = counted.patch(group, adding(&crowd[1..])).await;
            assert_eq!((one.0, hundred.0), (3, 3), "{on:?}");
            assert_eq!(world.members(group).await.len(), crowd.len());
        }
        // The first one of the hour also says when the list of the batch may go.
        assert_eq!(counted.patch(octo, removing(&crowd[..1])).await.0, 5, "{on:?}");
        // The group with who is named; the people with the organization; what they sent; the commit.
        assert_eq!(counted.patch(octo, removing(&crowd[1..2])).await.0, 4, "{on:?}");
        assert_eq!(counted.patch(octo, removing(&crowd[2..])).await.0, 4, "{on:?}");
        assert_eq!(world.state("person-0101", "octo-org").await, "none");
        world.check().await;
    }
}

/// What a group says after a change, without having read it again, is what a read says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_of_a_change_is_what_is_there() {
    for on in BOTH {
        let world = World::new(on).await;
        let crowd = world.crowd(3, &[]).await;
        let call = world.call();
        let made = world.directory.create_scim_group(&call, group_resource("octo-org"), crowd[..1].to_vec());
        let made = made.await.unwrap();
        let read = async |id| world.directory.scim_group(&world.call(), id).await.unwrap();
        assert_eq!(made, read(made.group.id).await);
        let later = ScimCall { now: Timestamp::from_second(1_800_000_009).unwrap(), ..world.call() };
        for change in [adding(&crowd), adding(&crowd), removing(&crowd[1..]), MembersChange::replace([])] {
            let change = |r: &Resource| Ok::<_, ScimFault>((r.clone(), change.clone()));
            let changed = world.directory.change_scim_group(&later, made.group.id, change).await.unwrap();
            assert_eq!(changed, read(made.group.id).await, "{on:?}");
        }
        let renamed = world.directory.change_scim_group(&later, made.group.id, |_| {
            Ok::<_, ScimFault>((group_resource("OCTO-ORG"), adding(&crowd[..1])))
        });
        assert_eq!(renamed.await.unwrap(), read(made.group.id).await, "{on:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_entry_names_all_whom_a_call_concerns() {
    for on in BOTH {
        let mut world = World::new(on).await;
        world.enterprise.provisioning.max_removals = 1_000;
        let crowd = world.crowd(120, &[("octo-org", Role::Member)]).await;
        let (octo, hubot) =
            (world.group("octo-org", &[]).await.group.id, world.group("hubot", &[]).await.group.id);
        world.change(octo, adding(&crowd)).await.unwrap();
        let before = world.events().await.len();
        world.change(hubot, adding(&crowd)).await.unwrap();
        world.change(octo, removing(&crowd)).await.unwrap();
        let events = world.events().await.split_off(before);
        let told: Vec<(&str, &str, usize)> = events
            .iter()
            .map(|event| {
                let text = |name: &str| event[name].as_str().unwrap_or_default();
                (text("action"), text("org"), event["people"].as_array().map_or(0, Vec::len))
            })
            .collect();
        let expected = [
            ("org.invite_member", "hubot", 120),
            ("external_group.add_member", "", 120),
            ("org.remove_member", "octo-org", 120),
            ("external_group.remove_member", "", 120),
        ];
        assert_eq!(told, expected, "{on:?}");
        for event in &events {
            assert!(event.get("user_id").is_none() && event["request_id"] == "test", "{event}");
            assert!(event.to_string().len() < PEOPLE_BYTES_MAX, "{on:?}");
        }
        let removed = &events[2]["people"][7];
        assert_eq!(removed["before"]["role"], "member", "{removed}");
        assert!(removed.get("after").is_none() && events[2]["batch"].is_string());
        let mut invited = events[0]["people"].as_array().unwrap().iter();
        let invited = invited.find(|person| person["user"] == "person-0007").unwrap();
        assert_eq!(invited["invitee_email"], "person-0007@example.com", "{invited}");
        assert!(invited["invitation_id"].is_string());
        // Somebody is found among the many, by name and by id.
        for wanted in ["person-0117".to_owned(), world.person_id("person-0117").to_string()] {
            let filter =
                AuditFilter { user: Some(wanted), action: Some("org.*".into()), ..AuditFilter::default() };
            let query = AuditQuery { filter, limit: 1_000, ..AuditQuery::default() };
            let page = audit_entries(&*world.store, world.enterprise.id, &query).await.unwrap();
            assert_eq!(page.entries.len(), 2, "{on:?}");
        }
        let filter = AuditFilter { user: Some("person-9999".into()), ..AuditFilter::default() };
        let query = AuditQuery { filter, limit: 1_000, ..AuditQuery::default() };
        assert_eq!(audit_entries(&*world.store, world.enterprise.id, &query).await.unwrap().entries, []);
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commit_tells_of_the_call_itself() {
    for on in BOTH {
        let world = World::new(on).await;
        let counted = Counted::of(&world).await;
        let directory = &counted.directory;
        let last = async || world.events().await.pop().unwrap();
        let made = event(201, ResourceType::User);
        let call = ScimCall { event: Some(&made), ..world.call() };
        let alice = directory.create_scim_user(&call, user_resource("alice"), &[]);
        let (trips, alice) = counted.trips(alice).await;
        let alice = alice.unwrap().user.id;
        assert_eq!((trips, made.is_told()), (1, true), "{on:?}");
        let told = last().await;
        assert_eq!(told["action"], "external_identity.scim_api_success");
        assert_eq!((&told["status_code"], &told["scim_user_id"]), (&201.into(), &alice.to_string().into()));
        assert_eq!((&told["request_id"], &told["route"]), (&"test".into(), &"/Groups/{id}".into()));
        let group = world.group("octo-org", &[]).await.group.id;
        let change = |r: &Resource| Ok::<_, ScimFault>((r.clone(), adding(&[alice])));
        // What changes nothing has no commit, and is told by itself.
        for (is_told, entries) in [(true, 3), (false, 0)] {
            let patched = event(204, ResourceType::Group);
            let call = ScimCall { event: Some(&patched), ..world.call() };
            let before = world.events().await.len();
            directory.change_scim_group_of(&call, group, &[alice], change).await.unwrap();
            assert_eq!(
                (patched.is_told(), world.events().await.len() - before),
                (is_told, entries),
                "{on:?}"
            );
        }
        assert_eq!(last().await["action"], "external_group.scim_api_success");
        assert_eq!(last().await["scim_group_id"], group.to_string());
        let (changed, deleted) = (event(200, ResourceType::User), event(204, ResourceType::Group));
        let call = ScimCall { event: Some(&changed), ..world.call() };
        let out = |resource: &Resource| {
            let mut resource = resource.clone();
            resource.set_active(false);
            Ok::<_, ScimFault>(resource)
        };
        directory.change_scim_user(&call, alice, out).await.unwrap();
        assert!(changed.is_told());
        let call = ScimCall { event: Some(&deleted), ..world.call() };
        directory.delete_scim_group(&call, group).await.unwrap();
        assert!(deleted.is_told());
        assert_eq!(last().await["scim_group_id"], group.to_string());
        world.check().await;
    }
}

/// What is refused is not told as done, and what takes several commits is told when they are done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_commit_tells_of_what_is_not_done() {
    for on in BOTH {
        let world = World::new(on).await;
        let crowd = world.crowd(11, &[("octo-org", Role::Member)]).await;
        let group = world.group("octo-org", &[]).await.group.id;
        world.change(group, adding(&crowd)).await.unwrap();
        let held = event(204, ResourceType::Group);
        let call = ScimCall { event: Some(&held), ..world.call() };
        let change = |r: &Resource| Ok::<_, ScimFault>((r.clone(), MembersChange::replace([])));
        let refused = world.directory.change_scim_group(&call, group, change).await;
        assert!(matches!(refused, Err(ScimFault::Held { removals: 11, .. })), "{refused:?}");
        assert!(!held.is_told());
        let events = world.events().await;
        assert!(events.iter().all(|event| event["action"] != "external_group.scim_api_success"), "{on:?}");
        // Those who wait are told together as well.
        let waits: Vec<_> = events.iter().filter(|event| event["action"] == "saml.provision_held").collect();
        assert_eq!((waits.len(), waits[0]["people"].as_array().unwrap().len()), (1, 11), "{on:?}");
        assert_eq!(waits[0]["people"][0]["after"]["held"], true);
        world.check().await;
    }
}

/// V-16: everybody's invitations go, and looking for them is one round trip.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_16_a_hundred_leavers_take_their_invitations_along_at_once() {
    const LEAVERS: usize = 100;
    for on in BOTH {
        let mut world = World::new(on).await;
        world.enterprise.provisioning.max_removals = 1_000;
        let crowd = world.crowd(LEAVERS, &[("octo-org", Role::Owner)]).await;
        let group = world.group("octo-org", &[]).await.group.id;
        world.change(group, adding(&crowd)).await.unwrap();
        let sessions = SessionSettings { idle_seconds_max: 60, lifetime_seconds_max: 60 };
        let posting = Directory::new(world.store.clone(), sessions, Metrics::new()).with_mail(false);
        let organization = slug("octo-org");
        for n in [0, 41, LEAVERS - 1] {
            let (name, email) = (format!("person-{n:04}"), format!("guest-{n}@example.com"));
            let invite = Invite {
                organization: &organization,
                email: &email,
                role: Role::Member,
                source: InvitationSource::Manual,
                person: None,
            };
            let cause = Cause::by(Trigger::Owner, Some((world.person_id(&name), &name)), "test");
            posting.invite(&world.enterprise, &invite, cause, world.now).await.unwrap();
            assert_eq!(world.invitations(&email).await.len(), 1);
        }
        let counted = Counted::of(&world).await;
        // The list of the batch, and the addresses that were invited.
        assert_eq!(counted.patch(group, removing(&crowd)).await.0, 6, "{on:?}");
        for n in [0, 41, LEAVERS - 1] {
            assert_eq!(world.invitations(&format!("guest-{n}@example.com")).await.len(), 0, "{on:?} {n}");
        }
        assert!(world.organization("octo-org").await.unowned_since.is_some());
        world.check().await;
    }
}

/// gateways are told of whom they may know something else, and of nobody besides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_14_gateways_hear_of_who_left_and_not_of_who_was_invited() {
    for on in BOTH {
        let world = World::new(on).await;
        let members = world.crowd(3, &[("octo-org", Role::Member)]).await;
        let (octo, hubot) =
            (world.group("octo-org", &[]).await.group.id, world.group("hubot", &[]).await.group.id);
        let counted = Counted::of(&world).await;
        let notes = || counted.notes.swap(0, SeqCst);
        counted.patch(octo, adding(&members)).await.1.unwrap();
        counted.patch(hubot, adding(&members)).await.1.unwrap();
        assert_eq!((notes(), world.mails().await), (0, 3), "{on:?}: invited, and nothing else");
        counted.patch(octo, removing(&members[..2])).await.1.unwrap();
        assert_eq!(notes(), 2, "{on:?}");
        let out = |resource: &Resource| {
            let mut resource = resource.clone();
            resource.set_active(false);
            Ok::<_, ScimFault>(resource)
        };
        counted.directory.change_scim_user(&world.call(), members[0], out).await.unwrap();
        assert_eq!(notes(), 1, "{on:?}");
        world.check().await;
    }
}
