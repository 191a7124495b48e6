//! `check --store` on what SCIM wrote: each thing that two places say is damaged by hand, named, and mended where it can be; on both
//! stores.
use jiff::SignedDuration;
use portcullis::{
    directory::{IntegrityReport, Mending, NewScimToken, ScimTokenMaker, examine, repair},
    domain::{OrganizationId, Role, ScimGroupJob, ScimId, ScimMembership, Timestamp},
    scim::ResourceType,
    store::{Commit, Committed, Key, Op, Piece, Reply, Write, records},
};
use serde_json::json;

use super::world::{BOTH, On, World, resource, slug};

const BY_LIST: &str = "the list of its kind says it and a SCIM resource does not";
const NOT_LISTED: &str = "a SCIM resource says it and the list of its kind does not";
const BY_INDEX: &str = "its index says it and a SCIM resource's externalId or address does not";
const NOT_INDEXED: &str = "a SCIM resource's externalId or address says it and its index does not";
const BY_NAME: &str = "the record of that name or link says it and a SCIM resource's name or link does not";
const NOT_NAMED: &str = "a SCIM resource's name or link says it and the record of that name or link does not";
const OTHER_LENGTH: &str = "a member of another length";

/// Whether a key is of some kind.
type IsOne = fn(&Key) -> bool;

/// Alice belongs to octo-org and is in its group, Bob is in none; every index has something in it.
struct Scene {
    world: World,
    alice: ScimId,
    bob: ScimId,
    group: ScimId,
}

impl Scene {
    async fn new(on: On) -> Self {
        let world = World::new(on).await;
        world.seed("alice", &[("octo-org", Role::Member)]).await;
        let (alice, bob) = (world.create("alice").await, world.create("bob").await);
        let described =
            resource(ResourceType::Group, &json!({ "displayName": "octo-org", "externalId": "ext-octo" }));
        let members = vec![alice.user.id];
        let group = world.directory.create_scim_group(&world.call(), described, members).await.unwrap();
        let wanted = NewScimToken { name: "test".into(), expires_at: in_a_day(&world) };
        let maker = ScimTokenMaker::Operator;
        world.directory.create_scim_token(&world.enterprise, maker, wanted, "test", world.now).await.unwrap();
        let scene = Self { world, alice: alice.user.id, bob: bob.user.id, group: group.group.id };
        assert_eq!(scene.examine().await.faults, [], "{on:?}");
        scene
    }

    async fn examine(&self) -> IntegrityReport {
        examine(&*self.world.whole, self.world.now).await.unwrap()
    }

    async fn write(&self, writes: Vec<Write>) {
        let commit = Commit { expect: vec![], writes };
        assert_eq!(self.world.store.commit(commit).await.unwrap(), Committed::Applied);
    }

    /// Those of SCIM's keys that are of one kind, in their order.
    async fn keys(&self, is_one: IsOne) -> Vec<Key> {
        let mut keys = vec![];
        let mut visit = |piece| {
            if let Piece::Record { key, .. } | Piece::Members { key, .. } | Piece::Expiring { key, .. } =
                piece
            {
                keys.extend(Some(key).filter(|key| is_one(key) && !keys.contains(key)));
            }
            Ok(())
        };
        self.world.whole.walk(self.world.now, &mut visit).await.unwrap();
        keys.sort();
        keys
    }

    /// The one set of its kind that has this member.
    async fn set_with(&self, id: ScimId, is_one: IsOne) -> Key {
        for key in self.keys(is_one).await {
            let members = self.world.store.members(key, None, 10).await.unwrap();
            if members.contains(&id.as_bytes().to_vec()) {
                return key;
            }
        }
        panic!("no set has {id}");
    }

    async fn value(&self, key: Key) -> Option<Vec<u8>> {
        let found = self.world.store.batch(self.world.now, vec![Op::Get(key)]).await.unwrap().pop();
        let Some(Reply::Value(stored)) = found else { panic!("{}", key.text()) };
        stored.map(|stored| stored.value)
    }

    /// The member by which a user or a group is listed.
    async fn listed(&self, list: Key, id: ScimId) -> Vec<u8> {
        let members = self.world.store.members(list, None, 10).await.unwrap();
        members.into_iter().find(|member| member.ends_with(id.as_bytes())).unwrap()
    }

    async fn repair(&self, apply: bool) -> Vec<Mending> {
        let mut mendings = vec![];
        for fault in self.examine().await.faults {
            mendings.push(repair(&*self.world.store, &fault, apply, self.world.now).await.unwrap());
        }
        mendings
    }

    /// Damages something that is derived: it is named, shown, mended, and everything is as it was.
    async fn is_mended(&self, name: &str, damage: Write, expected: &str) {
        let before = self.sizes().await;
        self.write(vec![damage]).await;
        let found = self.examine().await.faults;
        assert!(found.len() == 1 && found[0].why.contains(expected), "{name}: {expected}: {found:#?}");
        let shown = self.repair(false).await;
        assert!(matches!(shown[..], [Mending::Possible(_)]), "{name}: {shown:?}");
        assert_eq!(self.examine().await.faults, found, "{name}: showing changes nothing");
        assert_eq!(self.repair(true).await, shown, "{name}: what was shown is done");
        assert_eq!(self.examine().await.faults, [], "{name}");
        assert_eq!(self.sizes().await, before, "{name}: as it was");
    }

    /// Damages what nothing else says: it is named, so often, and left alone.
    async fn is_named(&self, name: &str, damage: Write, expected: &[&str]) {
        let key = *damage.key().unwrap();
        let before = self.value(key).await;
        self.write(vec![damage]).await;
        let found = self.examine().await.faults;
        for why in expected {
            let is_said = found.iter().any(|fault| format!("{}: {}", fault.what, fault.why).contains(why));
            assert!(is_said, "{name}: {why}: {found:#?}");
        }
        let mendings = self.repair(true).await;
        let impossible = mendings.iter().all(|mending| matches!(mending, Mending::Impossible(_)));
        assert!(impossible, "{name}: {mendings:#?}");
        assert_eq!(self.examine().await.faults, found, "{name}: nothing was changed");
        let back = before.map_or(Write::Delete(key), |value| Write::Put(key, value));
        self.write(vec![back]).await;
        assert_eq!(self.examine().await.faults, [], "{name}");
    }

    /// One fault, which cannot be mended.
    async fn says(&self, what: &str, why: &str) {
        let found = self.examine().await.faults;
        assert!(found.len() == 1 && found[0].what == what && found[0].why.contains(why), "{why}: {found:#?}");
        let mendings = self.repair(true).await;
        assert!(matches!(mendings[..], [Mending::Impossible(_)]), "{mendings:?}");
    }

    /// How many are listed, and in the group.
    async fn sizes(&self) -> Vec<u64> {
        let e = self.world.enterprise.id;
        let mut sizes = vec![];
        for set in [Key::ScimUsers(e), Key::ScimGroups(e), Key::ScimGroupMembers(e, self.group)] {
            sizes.push(self.world.store.count(set).await.unwrap());
        }
        sizes
    }
}

fn in_a_day(world: &World) -> Timestamp {
    world.now + SignedDuration::from_hours(24)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lists_repeat_of_scim_is_found_and_mended() {
    for on in BOTH {
        let scene = Scene::new(on).await;
        let (e, alice, bob) = (scene.world.enterprise.id, scene.alice, scene.bob);
        let stray = ScimId::from_bytes([9; 16]);
        for (list, id) in [(Key::ScimUsers(e), alice), (Key::ScimGroups(e), scene.group)] {
            let listed = scene.listed(list, id).await;
            scene.is_mended("not listed", Write::Remove(list, listed), NOT_LISTED).await;
            let twice = records::encode_scim_created(Timestamp::UNIX_EPOCH, id);
            scene.is_mended("listed twice", Write::Insert(list, twice), BY_LIST).await;
            let gone = records::encode_scim_created(scene.world.now, stray);
            scene.is_mended("listed and gone", Write::Insert(list, gone), BY_LIST).await;
        }
        let indexes: [(ScimId, IsOne); 3] = [
            (alice, |key| matches!(key, Key::ScimExternalId(..))),
            (alice, |key| matches!(key, Key::ScimEmail(..))),
            (scene.group, |key| matches!(key, Key::ScimGroupExternalId(..))),
        ];
        for (id, is_one) in indexes {
            let set = scene.set_with(id, is_one).await;
            let member = || records::encode_scim_id(id);
            scene.is_mended("not found by index", Write::Remove(set, member()), NOT_INDEXED).await;
            for other in [bob, stray] {
                let member = records::encode_scim_id(other);
                scene.is_mended("found as somebody else", Write::Insert(set, member), BY_INDEX).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_in_which_group_is_found_and_mended() {
    for on in BOTH {
        let scene = Scene::new(on).await;
        let (e, group) = (scene.world.enterprise.id, scene.group);
        let (members, id) = (Key::ScimGroupMembers(e, group), records::encode_scim_id);
        let lost = "a SCIM user's groups says it and the group's members does not";
        scene.is_mended("a member is lost", Write::Remove(members, id(scene.alice)), lost).await;
        let added = "the group's members says it and a SCIM user's groups does not";
        scene.is_mended("a member too many", Write::Insert(members, id(scene.bob)), added).await;
        let ghost = ScimId::from_bytes([9; 16]);
        scene.is_mended("a member who is not there", Write::Insert(members, id(ghost)), added).await;

        let managed = Key::ScimOrganizations(e);
        let place = |organization: &str, group: ScimId| {
            [&OrganizationId::of(e, &slug(organization)).as_bytes()[..], group.as_bytes()].concat()
        };
        let unmanaged = "a SCIM group's organization says it and the set of them does not";
        let octo = place("octo-org", group);
        scene.is_mended("not managed", Write::Remove(managed, octo), unmanaged).await;
        let too_many = "the set of them says it and a SCIM group's organization does not";
        for place in [place("hubot", group), place("octo-org", ghost)] {
            scene.is_mended("managed and is not", Write::Insert(managed, place), too_many).await;
        }

        let jobs = Key::ScimJobs(e);
        let idle = "the set of them says it and an unfinished change of a SCIM group does not";
        scene.is_mended("nothing to finish", Write::Insert(jobs, id(group)), idle).await;
        let job = ScimGroupJob {
            adds: vec![scene.bob],
            removes: vec![],
            deletes: false,
            request_id: "test".into(),
            since: scene.world.now,
        };
        let noted = Write::Put(Key::ScimGroupJob(e, group), records::encode_scim_group_job(Some(&job)));
        let forgotten = "an unfinished change of a SCIM group says it and the set of them does not";
        scene.write(vec![noted.clone()]).await;
        scene.is_mended("forgotten", noted, forgotten).await;
        // Found again, it is finished.
        let directory = &scene.world.directory;
        let resumed = directory
            .resume_scim_jobs(&scene.world.enterprise, &scene.world.settings, scene.world.now)
            .await
            .unwrap();
        assert_eq!(resumed, 1, "{on:?}");
        assert_eq!(scene.world.members(group).await, [scene.alice, scene.bob].into(), "{on:?}");
        scene.world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_another_length_leave_the_sets_of_scim() {
    for on in BOTH {
        let scene = Scene::new(on).await;
        let sets = scene
            .keys(|key| {
                matches!(
                    key,
                    Key::ScimUsers(_)
                        | Key::ScimGroups(_)
                        | Key::ScimExternalId(..)
                        | Key::ScimEmail(..)
                        | Key::ScimGroupExternalId(..)
                        | Key::ScimGroupMembers(..)
                        | Key::ScimOrganizations(_)
                )
            })
            .await;
        assert_eq!(sets.len(), 9, "two of everybody's, and one of everything else: {sets:?}");
        for set in sets.into_iter().chain([Key::ScimJobs(scene.world.enterprise.id)]) {
            scene.is_mended(&set.text(), Write::Insert(set, vec![1; 15]), OTHER_LENGTH).await;
        }
    }
}

/// Names and links are records on both sides: who is right cannot be said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_links_of_scim_are_named_and_left_alone() {
    for on in BOTH {
        let scene = Scene::new(on).await;
        let (e, bob) = (scene.world.enterprise.id, scene.bob);
        let mut names = scene.keys(|key| matches!(key, Key::ScimUserName(..) | Key::ScimLink(..))).await;
        assert_eq!(names.len(), 4, "{names:?}");
        names.extend(scene.keys(|key| matches!(key, Key::ScimGroupName(..))).await);
        assert_eq!(names.len(), 5, "{names:?}");
        for name in names {
            let text = name.text();
            scene.is_named(&text, Write::Delete(name), &[NOT_NAMED]).await;
            let other = Write::Put(name, records::encode_scim_id(ScimId::from_bytes([9; 16])));
            scene.is_named(&text, other, &[NOT_NAMED, BY_NAME]).await;
        }
        for name in [Key::ScimUserName(e, [9; 32]), Key::ScimGroupName(e, [9; 32])] {
            scene.is_named("nobody's name", Write::Put(name, records::encode_scim_id(bob)), &[BY_NAME]).await;
        }
        // The person's record keeps out whom SCIM put out: without it nothing does.
        let person = Key::Person(e, scene.world.person_id("bob"));
        let value = scene.value(person).await.unwrap();
        scene.write(vec![Write::Delete(person)]).await;
        let found = scene.examine().await.faults;
        let link = Key::ScimLink(e, scene.world.person_id("bob")).text();
        let is_told = found
            .iter()
            .any(|fault| fault.what == link && fault.why.contains("linked to a person without a record"));
        assert!(is_told, "{on:?}: {found:#?}");
        scene.write(vec![Write::Put(person, value)]).await;
        scene.world.check().await;
    }
}

/// Both sides of who is in which group may agree on what cannot be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_what_is_gone_are_named() {
    for on in BOTH {
        let scene = Scene::new(on).await;
        let (e, alice, group) = (scene.world.enterprise.id, scene.alice, scene.group);
        let id = records::encode_scim_id;
        let of = |group: ScimId, organization: Option<&str>| {
            let of = ScimMembership { group, organization: organization.map(slug) };
            records::encode_scim_user_groups(&[of])
        };
        let gone = ScimId::from_bytes([9; 16]);
        let member = Key::ScimUserGroups(e, gone);
        let members = |group| Key::ScimGroupMembers(e, group);
        scene.write(vec![Write::Insert(members(group), id(gone))]).await;
        scene.write(vec![Write::Put(member, of(group, Some("octo-org")))]).await;
        scene.says(&member.text(), "there is no such SCIM user").await;
        scene.write(vec![Write::Remove(members(group), id(gone)), Write::Delete(member)]).await;
        scene.world.check().await;

        let key = Key::ScimUserGroups(e, alice);
        scene.write(vec![Write::Put(key, of(group, Some("hubot")))]).await;
        scene.says(&members(group).text(), "corresponds to something else").await;
        scene.write(vec![Write::Put(key, of(group, Some("octo-org")))]).await;
        scene.world.check().await;

        let bobs = Key::ScimUserGroups(e, scene.bob);
        scene
            .write(vec![Write::Insert(members(gone), id(scene.bob)), Write::Put(bobs, of(gone, None))])
            .await;
        scene.says(&members(gone).text(), "there is no such SCIM group").await;
        // A group that is being deleted has members until the last of them was told.
        let job = ScimGroupJob {
            adds: vec![],
            removes: vec![],
            deletes: true,
            request_id: "test".into(),
            since: scene.world.now,
        };
        let noted = Write::Put(Key::ScimGroupJob(e, gone), records::encode_scim_group_job(Some(&job)));
        scene.write(vec![noted, Write::Insert(Key::ScimJobs(e), id(gone))]).await;
        scene.world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_scim_that_cannot_be_read_are_named_and_nothing_else_is_touched() {
    for on in BOTH {
        let scene = Scene::new(on).await;
        let e = scene.world.enterprise.id;
        let mut keys = scene
            .keys(|key| {
                matches!(
                    key,
                    Key::ScimUser(..)
                        | Key::ScimUserGroups(..)
                        | Key::ScimGroup(..)
                        | Key::ScimUserName(..)
                        | Key::ScimGroupName(..)
                        | Key::ScimLink(..)
                        | Key::ScimTokens(_)
                )
            })
            .await;
        assert!(keys.len() >= 10, "{keys:?}");
        keys.push(Key::ScimGroupJob(e, scene.group));
        for key in keys {
            for value in [&b"{\"v\":999}"[..], b"x"] {
                let text = key.text();
                scene.is_named(&text, Write::Put(key, value.to_vec()), &[&text]).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scim_token_that_opens_nothing_is_named() {
    for on in BOTH {
        let scene = Scene::new(on).await;
        let keys = scene.keys(|key| matches!(key, Key::ScimToken(_))).await;
        let [key] = keys[..] else { panic!("{keys:?}") };
        let value = scene.value(key).await.unwrap();
        scene.world.store.batch(scene.world.now, vec![Op::Delete(key)]).await.unwrap();
        let found = scene.examine().await.faults;
        let expected = "a SCIM token of the enterprise says it and the token's own key does not";
        assert!(found.len() == 1 && found[0].why.contains(expected), "{on:?}: {found:#?}");
        let mendings = scene.repair(true).await;
        assert!(matches!(mendings[..], [Mending::Impossible(_)]), "{on:?}: {mendings:?}");
        let expires_at = in_a_day(&scene.world);
        // One more than the enterprise lists: it expires by itself, and the enterprise's record is asked in any case.
        let put = |key| Op::Put { key, value: value.clone(), expires_at };
        let both = vec![put(key), put(Key::ScimToken([9; 32]))];
        scene.world.store.batch(scene.world.now, both).await.unwrap();
        scene.world.check().await;
        scene
            .world
            .store
            .batch(scene.world.now, vec![Op::Put { key, value: b"x".to_vec(), expires_at }])
            .await
            .unwrap();
        let found = scene.examine().await.faults;
        assert!(found.len() == 1 && found[0].what == key.text(), "{on:?}: {found:#?}");
    }
}
