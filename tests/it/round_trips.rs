//! What acts ask the store, counted: a cost that grows with the people or the organizations shows here and not in production.
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use portcullis::{
    config::{self, Overrides, Source},
    demo::browser::Browser,
    directory::Enterprise,
    domain::Timestamp,
    store::{BoxFuture, Commit, Committed, Key, Op, Reply, Store, StoreError},
};

use crate::support::{
    gateway::{Backend, TestGateway},
    layer::{Layer, in_front},
};

/// What went to a store.
#[derive(Default)]
struct Counts {
    calls: AtomicUsize,
    /// Records of organizations that were read.
    organizations: AtomicUsize,
    /// Looks at the set of removals that wait.
    holds: AtomicUsize,
}

impl Counts {
    fn of(count: &AtomicUsize) -> usize {
        count.load(SeqCst)
    }
}

struct Counting {
    inner: Arc<dyn Store>,
    counts: Arc<Counts>,
}

impl Counting {
    fn count(&self) {
        self.counts.calls.fetch_add(1, SeqCst);
    }
}

impl Layer for Counting {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn batch(&self, now: Timestamp, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        self.count();
        let organizations = ops.iter().filter(|op| matches!(op, Op::Get(Key::Organization(..)))).count();
        self.counts.organizations.fetch_add(organizations, SeqCst);
        self.inner.batch(now, ops)
    }

    fn commit(&self, change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        self.count();
        self.inner.commit(change)
    }

    fn look(&self, at: Option<Key>) {
        // A gateway looks at these now and then, and at most once a second, however many sign in.
        match at {
            Some(Key::HeldRemovals(_)) => drop(self.counts.holds.fetch_add(1, SeqCst)),
            Some(Key::Organizations(_) | Key::ScimOrganizations(_)) => {}
            // What is too old, to be forgotten.
            Some(Key::Audit(_) | Key::Outbox(_) | Key::OrganizationInvitations(..)) => {}
            _ => self.count(),
        }
    }
}

struct Counted {
    gateway: TestGateway,
    counts: Arc<Counts>,
    browser: Browser,
}

impl Counted {
    async fn start(change: impl FnOnce(Overrides) -> Overrides + 'static) -> Self {
        let counts = Arc::<Counts>::default();
        let kept = counts.clone();
        let wrap = move |inner| in_front(Counting { inner, counts: kept });
        let gateway = TestGateway::start_with(Backend::Redis, change, wrap).await;
        Self { gateway, counts, browser: Browser::new() }
    }

    /// Posts a response without following the redirect; how many calls of the store that took.
    async fn sign_in(&mut self, groups: &[&str]) -> usize {
        self.gateway.people.set_groups("alice", groups).unwrap();
        let response = self.gateway.response_form(&mut self.browser, "alice").await;
        let before = Counts::of(&self.counts.calls);
        let page = self.browser.submit_once(&response).await.unwrap();
        assert_eq!(page.status, 303, "{}", page.body);
        Counts::of(&self.counts.calls) - before
    }

    fn enterprise(&self) -> Enterprise {
        let source = Source::file(&self.gateway.config).unwrap();
        config::load(&source, &self.gateway.overrides).unwrap().settings.enterprises[0].tenant()
    }
}

/// One read of the outstanding requests, one for the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_steady_sign_in_is_one_round_trip_after_the_pending_request() {
    let mut counted = Counted::start(|overrides| overrides).await;
    let groups = ["octo-org", "octo-org-owners", "everyone"];
    let first = counted.sign_in(&groups).await;
    assert!(first > 2, "the first sign-in joins and must commit, but took {first} calls");
    assert_eq!(counted.sign_in(&groups).await, 2);
    assert_eq!(counted.sign_in(&groups).await, 2);
    counted.gateway.stop().await;
}

/// Whoever leaves needs the organizations' records, and gets all of them at once.
#[tokio::test(flavor = "multi_thread")]
async fn to_leave_three_organizations_takes_as_many_round_trips_as_to_leave_one() {
    let mut counted = Counted::start(|overrides| overrides).await;
    let joined = counted.sign_in(&["octo-org"]).await;
    let one = counted.sign_in(&["everyone"]).await;
    assert_eq!(counted.sign_in(&["octo-org", "hubot-lab", "docs-team"]).await, joined);
    // The first one also says when the record of the batch may go.
    assert_eq!(counted.sign_in(&["everyone"]).await, one - 1);
    counted.gateway.stop().await;
}

/// With ten thousand removals that wait, counting them for each would cost as much as all the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_is_held_does_not_count_the_others() {
    let change = |overrides: Overrides| overrides.set("enterprise.example.max_removals", "0");
    let mut counted = Counted::start(change).await;
    // The gateway counts once at its start and then every half minute.
    let before = Counts::of(&counted.counts.holds);
    const ROUNDS: usize = 6;
    for _ in 0..ROUNDS {
        counted.sign_in(&["octo-org"]).await;
        counted.sign_in(&["everyone"]).await;
    }
    let alice = counted.gateway.person("alice@example.com").await.unwrap();
    assert!(alice.memberships[0].held.is_some());
    let looks = Counts::of(&counted.counts.holds) - before;
    assert!(looks < ROUNDS, "{looks}");
    counted.gateway.stop().await;
}

/// A page of organizations reads those that it shows.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_organizations_reads_no_others() {
    let counted = Counted::start(|overrides| overrides).await;
    let directory = counted.gateway.running.as_ref().unwrap().directory.clone();
    let (enterprise, now) = (counted.enterprise(), Timestamp::now());
    assert!(enterprise.organizations.len() > 2);
    for (limit, wanted, shown, has_more) in [
        (1, None, vec!["docs-team"], true),
        (2, Some("octo-org"), vec!["octo-org"], false),
        (2, Some("nothing"), vec![], false),
        (3, None, vec!["docs-team", "hubot-lab", "octo-org"], false),
    ] {
        let before = Counts::of(&counted.counts.organizations);
        let page = directory
            .organizations_page(
                &enterprise,
                limit,
                |slug| wanted.is_none_or(|wanted| slug.as_str() == wanted),
                now,
            )
            .await
            .unwrap();
        let slugs: Vec<&str> = page.0.iter().map(|record| record.slug.as_str()).collect();
        assert_eq!((slugs, page.1), (shown.clone(), has_more));
        assert_eq!(Counts::of(&counted.counts.organizations) - before, shown.len());
    }
    counted.gateway.stop().await;
}
