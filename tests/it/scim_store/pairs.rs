//! whatever two calls do to the same people and groups at once, it is what one after the other would have done, and each is answered
//! as it would have been then. One of them is stopped before each step that it takes in the store, and the other runs as a whole.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use portcullis::{
    directory::{
        Directory,
        scim::{GroupLookup, MembersChange, OnGroupDelete, ScimCall, ScimFault, UserLookup},
    },
    domain::{EnterpriseId, EnterpriseSlug, Role, ScimId, SessionToken, Timestamp},
    saml::{self, Connection},
    scim::{Etags, Resource},
    store::{BoxFuture, Commit, Committed, Op, Reply, Store, StoreError},
};
use tokio::sync::Semaphore;

use super::world::{IDP, On, World, directory, group_resource, mail, user_resource};
use crate::{
    saml::forge::{self, Spec},
    support::layer::{Layer, in_front},
};

/// Waits before the step of that number until it is let go.
struct Stopping {
    inner: Arc<dyn Store>,
    steps_left: AtomicUsize,
    gate: Arc<Gate>,
}

struct Gate {
    reached: Semaphore,
    open: Semaphore,
}

impl Stopping {
    async fn step(&self) {
        if self.steps_left.fetch_sub(1, SeqCst) == 0 {
            self.gate.reached.add_permits(1);
            self.gate.open.acquire().await.unwrap().forget();
        }
    }
}

impl Layer for Stopping {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn batch(&self, now: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        Box::pin(async move {
            self.step().await;
            self.inner.batch(now, ops).await
        })
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        Box::pin(async move {
            self.step().await;
            self.inner.commit(change).await
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Add(&'static str, &'static str),
    Remove(&'static str, &'static str),
    Replace(&'static str, &'static [&'static str]),
    /// The same of the version that was there before both.
    ReplaceVersion(&'static str, &'static [&'static str]),
    Rename(&'static str, &'static str),
    DeleteGroup(&'static str, OnGroupDelete),
    CreateGroup(&'static str, &'static [&'static str]),
    SetActive(&'static str, bool),
    DeleteUser(&'static str),
    CreateUser(&'static str, &'static [&'static str]),
    RenameUser(&'static str, &'static str),
    /// Through the identity provider.
    SignIn(&'static str),
}

const ACTS: [Act; 21] = [
    Act::Add("octo-org", "bob"),
    Act::Remove("octo-org", "alice"),
    Act::Replace("octo-org", &["bob"]),
    Act::ReplaceVersion("octo-org", &[]),
    Act::DeleteGroup("octo-org", OnGroupDelete::Keep),
    Act::DeleteUser("alice"),
    Act::CreateUser("carol", &["octo-org"]),
    Act::Replace("octo-org", &["alice", "bob"]),
    Act::Rename("hubot", "lone"),
    Act::Add("hubot", "alice"),
    Act::DeleteGroup("octo-org", OnGroupDelete::Remove),
    Act::CreateGroup("lone", &["alice", "bob"]),
    Act::SetActive("alice", false),
    Act::SetActive("dave", true),
    Act::DeleteUser("bob"),
    Act::RenameUser("alice", "carol"),
    Act::Add("octo-org", "dave"),
    Act::SignIn("alice"),
    Act::SignIn("bob"),
    Act::SignIn("carol"),
    Act::SignIn("dave"),
];
/// The first of them that are always tried; `SCIM_PAIRS=all` tries them all, which takes minutes.
const ACTS_USUALLY: usize = 7;

/// An enterprise of its own: alice is a member and in the group, bob is neither, dave is shut out.
struct Scene<'w> {
    world: &'w World,
    users: BTreeMap<&'static str, ScimId>,
    groups: BTreeMap<&'static str, ScimId>,
    etags: Etags,
    assertions: AtomicUsize,
    sessions: Mutex<Vec<SessionToken>>,
}

impl<'w> Scene<'w> {
    async fn new(world: &'w mut World, number: usize) -> Self {
        world.enterprise.slug = EnterpriseSlug::parse(&format!("e-{number}")).unwrap();
        world.enterprise.id = EnterpriseId::of(&world.enterprise.slug);
        world.seed("alice", &[("octo-org", Role::Member)]).await;
        let world = &*world;
        let mut users = BTreeMap::new();
        for user in ["alice", "bob", "dave"] {
            users.insert(user, world.create(user).await);
        }
        world.set_active(users["dave"].user.id, false).await.unwrap();
        let octo = world.group("octo-org", &[&users["alice"]]).await;
        let hubot = world.group("hubot", &[]).await;
        let groups = [("octo-org", octo.group.id), ("hubot", hubot.group.id)].into();
        let users = users.into_iter().map(|(name, view)| (name, view.user.id)).collect();
        let etags = Etags::parse(&octo.version.to_string());
        Self { world, users, groups, etags, assertions: AtomicUsize::new(0), sessions: Mutex::default() }
    }

    fn ids(&self, users: &[&str]) -> BTreeSet<ScimId> {
        users.iter().map(|user| self.users[user]).collect()
    }

    /// Whether it was done, and why not.
    async fn act(&self, directory: &Directory, act: Act) -> String {
        let call = self.world.call();
        let replaced = |users| MembersChange { reset: true, add: self.ids(users), ..Default::default() };
        let done = match act {
            Act::Add(group, user) => {
                let add = MembersChange { add: self.ids(&[user]), ..Default::default() };
                self.change(directory, &call, group, add).await
            }
            Act::Remove(group, user) => {
                let remove = MembersChange { remove: self.ids(&[user]), ..Default::default() };
                self.change(directory, &call, group, remove).await
            }
            Act::Replace(group, users) => self.change(directory, &call, group, replaced(users)).await,
            Act::ReplaceVersion(group, users) => {
                let call = ScimCall { if_match: Some(&self.etags), ..call };
                self.change(directory, &call, group, replaced(users)).await
            }
            Act::Rename(group, name) => {
                let change = |_: &_| Ok::<_, ScimFault>((group_resource(name), MembersChange::default()));
                directory.change_scim_group(&call, self.groups[group], change).await.map(drop)
            }
            Act::DeleteGroup(group, on_group_delete) => {
                let mut settings = self.world.settings.clone();
                settings.on_group_delete = on_group_delete;
                let call = ScimCall { settings: &settings, ..call };
                directory.delete_scim_group(&call, self.groups[group]).await
            }
            Act::CreateGroup(name, users) => {
                let users = self.ids(users).into_iter().collect();
                directory.create_scim_group(&call, group_resource(name), users).await.map(drop)
            }
            Act::SetActive(user, active) => {
                let change = |resource: &Resource| {
                    let mut resource = resource.clone();
                    resource.set_active(active);
                    Ok::<_, ScimFault>(resource)
                };
                directory.change_scim_user(&call, self.users[user], change).await.map(drop)
            }
            Act::DeleteUser(user) => directory.delete_scim_user(&call, self.users[user]).await,
            Act::CreateUser(user, groups) => {
                let groups: Vec<ScimId> = groups.iter().map(|group| self.groups[group]).collect();
                directory.create_scim_user(&call, user_resource(user), &groups).await.map(drop)
            }
            Act::SignIn(user) => return self.sign_in(directory, user).await,
            Act::RenameUser(user, name) => {
                let change = |_: &_| Ok::<_, ScimFault>(user_resource(name));
                directory.change_scim_user(&call, self.users[user], change).await.map(drop)
            }
        };
        match done {
            Ok(()) => "done".into(),
            Err(fault) => format!("{fault:?}").split(['(', ' ']).next().unwrap_or_default().into(),
        }
    }

    async fn sign_in(&self, directory: &Directory, user: &str) -> String {
        let name = |name: &str| format!("_{name}-{}-{user}", self.world.enterprise.slug);
        let mut spec = Spec { name_id: format!("<saml:NameID>{user}</saml:NameID>"), ..Spec::default() };
        spec.attributes = forge::attribute("mail", &[&mail(user)]);
        for issuer in [&mut spec.response_issuer, &mut spec.issuer] {
            *issuer = forge::issuer(IDP);
        }
        let number = self.assertions.fetch_add(1, SeqCst);
        spec.assertion.insert("ID", name(&number.to_string()));
        let settings = saml::Settings { idp_entity_id: IDP.into(), ..forge::settings(&["idp-rsa"]) };
        let connection = Connection::new(settings).unwrap();
        let assertion = forge::judge(&connection, spec.xml().as_bytes()).unwrap();
        match directory.sign_in(&self.world.enterprise, assertion, None, "test", forge::now()).await {
            Ok(signed_in) => {
                self.sessions.lock().unwrap().push(signed_in.token);
                "done".into()
            }
            Err(error) => error.code().into(),
        }
    }

    async fn change(
        &self,
        directory: &Directory,
        call: &ScimCall<'_>,
        group: &str,
        change: MembersChange,
    ) -> Result<(), ScimFault> {
        let change = |resource: &Resource| Ok::<_, ScimFault>((resource.clone(), change.clone()));
        directory.change_scim_group(call, self.groups[group], change).await.map(drop)
    }

    /// Everything that anybody could see, by names.
    async fn outcome(&self) -> Vec<String> {
        let (world, call) = (self.world, self.world.call());
        let mut outcome = vec![];
        for user in ["alice", "bob", "carol", "dave"] {
            let found = world.directory.find_scim_users(&call, UserLookup::UserName(user)).await.unwrap();
            for view in found {
                let mut groups: Vec<_> = view.groups.iter().map(|(_, name)| name.clone()).collect();
                groups.sort();
                let active = view.user.active;
                outcome.push(format!("user {user}: active {active}, in {groups:?}"));
            }
            for organization in ["octo-org", "hubot", "lone"] {
                outcome.push(format!("{user} in {organization}: {}", world.state(user, organization).await));
            }
        }
        for name in ["octo-org", "hubot", "lone"] {
            let found =
                world.directory.find_scim_groups(&call, GroupLookup::DisplayName(name)).await.unwrap();
            for view in found {
                let size = world.members(view.group.id).await.len();
                outcome.push(format!("group {name}: {size} for {:?}", view.group.organization));
            }
        }
        let tokens = std::mem::take(&mut *self.sessions.lock().unwrap());
        for token in tokens {
            let session = directory(&world.store).session(&token, forge::now()).await.unwrap();
            outcome.push(format!("a session: {}", session.is_some()));
        }
        outcome.sort();
        outcome
    }
}

/// What each was answered, and what is there then.
type Came = (Vec<String>, Vec<String>);

async fn one_by_one(world: &mut World, number: usize, acts: &[Act]) -> Came {
    let scene = Scene::new(world, number).await;
    let mut answers = vec![];
    for act in acts {
        answers.push(scene.act(&scene.world.directory, *act).await);
    }
    (answers, scene.outcome().await)
}

/// The orders in which the two may have been: the answers in that in which they are named.
async fn orders(world: &mut World, number: usize, first: Act, second: Act) -> Vec<Came> {
    let one = one_by_one(world, number, &[first, second]).await;
    let (mut answers, left) = one_by_one(world, number + 1, &[second, first]).await;
    answers.reverse();
    let mut orders = vec![one, (answers, left)];
    // Who is to leave has left before the group is gone, and that can be seen.
    if let Act::DeleteGroup(group, OnGroupDelete::Remove) = first {
        let (answers, left) = one_by_one(world, number + 2, &[Act::Replace(group, &[]), second, first]).await;
        orders.push((vec![answers[2].clone(), answers[1].clone()], left));
    }
    orders
}

/// The second one runs before that step of the first; `None` if there are not so many.
async fn between(world: &mut World, number: usize, step: usize, first: Act, second: Act) -> Option<Came> {
    let scene = Scene::new(world, number).await;
    let gate = Arc::new(Gate { reached: Semaphore::new(0), open: Semaphore::new(0) });
    let inner = scene.world.store.clone();
    let store = in_front(Stopping { inner, steps_left: AtomicUsize::new(step), gate: gate.clone() });
    let other = directory(&store);
    let interrupted = async {
        let answer = scene.act(&other, first).await;
        // Not reached: nobody has to wait.
        gate.reached.close();
        answer
    };
    let interrupting = async {
        gate.reached.acquire().await.ok()?.forget();
        let answer = scene.act(&scene.world.directory, second).await;
        gate.open.add_permits(1);
        Some(answer)
    };
    let (first, second) = tokio::join!(interrupted, interrupting);
    Some((vec![first, second?], scene.outcome().await))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_15_two_calls_that_meet_come_out_as_one_after_the_other() {
    let acts = match std::env::var("SCIM_PAIRS").as_deref() {
        Ok("all") => &ACTS[..],
        _ => &ACTS[..ACTS_USUALLY],
    };
    let mut world = World::new(On::Redis).await;
    // Sign-ins come after everything else that was decided.
    world.now = forge::now() - jiff::SignedDuration::from_secs(60);
    // By themselves they are done.
    for (number, act) in ACTS.into_iter().enumerate() {
        let (answers, left) = one_by_one(&mut world, number, &[act]).await;
        let expected = if matches!(act, Act::SignIn("dave")) { "person_deactivated" } else { "done" };
        assert_eq!(answers, [expected], "{act:?}: {left:?}");
    }
    let (mut number, mut meetings) = (ACTS.len(), 0);
    for (first, second) in acts.iter().flat_map(|first| acts.iter().map(|second| (*first, *second))) {
        let orders = orders(&mut world, number, first, second).await;
        number += 3;
        for step in 0.. {
            number += 1;
            let Some(came) = between(&mut world, number, step, first, second).await else { break };
            assert!(
                orders.contains(&came),
                "{first:?}, and before its step {step} {second:?}: {came:#?}\nis none of {orders:#?}"
            );
            meetings += 1;
        }
        number += 1;
    }
    println!("{meetings} meetings");
    assert!(meetings > 2 * acts.len() * acts.len(), "{meetings}");
    world.check().await;
}
