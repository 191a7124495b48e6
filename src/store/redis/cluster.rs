//! Redis Cluster: which node has which slot, and batches that cross nodes.
//!
//! Steps run in order, as the trait promises: what lies on one node one after the other travels together, and the next node
//! is asked after the last one has answered. A slot that moves while a batch is on its way is followed where the order is
//! kept, and is an error where later steps have run already: the next call finds the slot in its new place.
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ::redis::{ConnectionInfo, ErrorKind, RedisError, ServerErrorKind, Value, cmd};
use arc_swap::ArcSwap;
use tokio::{
    sync::{Mutex, Notify},
    task::{AbortHandle, JoinSet},
};

use super::{
    Replicas, Step,
    link::{Manner, Place},
    node::{Answers, Deadline, Leg, Node},
    sentinel::at,
    slot::{SLOTS, slot},
    topology::{Address, View, ask},
};
use crate::store::StoreError;

/// Between two looks at who has which slot.
const REFRESH_PAUSE_MILLIS: u64 = 1_000;
/// While a node is away.
const HASTY_PAUSE_MILLIS: u64 = 200;
/// Nodes that are asked in one look.
const ASKED_MAX: usize = 8;
/// How often one batch follows slots that move.
const REDIRECTS_MAX: usize = 5;
/// Before a moved slot is looked for again.
const REDIRECT_PAUSE_MILLIS: u64 = 20;
/// Keys that are tried to find one on a node.
const READY_KEYS_MAX: u32 = 100_000;

/// See the module's documentation. Dropping it ends all connections.
pub(super) struct Cluster {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

pub(super) struct Shared {
    template: ConnectionInfo,
    /// Asked when no node that we know answers.
    seeds: Vec<Address>,
    manner: Manner,
    replicas: Option<Replicas>,
    map: ArcSwap<Map>,
    /// Held while the map is made anew.
    making: Mutex<()>,
    wanted: Notify,
}

#[derive(Default)]
struct Map {
    /// Counts the maps, so that who waited for a new one knows that it has come.
    number: u64,
    /// First and last slot, and whose they are; in order.
    ranges: Vec<(u16, u16, Arc<Node>)>,
    nodes: BTreeMap<Address, Arc<Node>>,
}

impl Map {
    fn node(&self, slot: u16) -> Option<&Arc<Node>> {
        let after = self.ranges.partition_point(|(first, _, _)| *first <= slot);
        let (_, last, node) = self.ranges.get(after.checked_sub(1)?)?;
        (slot <= *last).then_some(node)
    }

    /// A key that is written for nothing but to see that the node takes writes.
    fn ready_key(&self, node: &Arc<Node>) -> Option<String> {
        let (first, last, _) = self.ranges.iter().find(|(_, _, of)| Arc::ptr_eq(of, node))?;
        ready_key(*first, *last)
    }

    fn is_complete(&self) -> bool {
        let next = self.ranges.iter().try_fold(0_u32, |next, (first, last, _)| {
            (u32::from(*first) == next).then(|| u32::from(*last) + 1)
        });
        next == Some(u32::from(SLOTS))
    }
}

impl Cluster {
    /// Finds all primaries and connects to them; fails if one is not fit or a slot is nobody's.
    pub async fn connect(
        template: ConnectionInfo,
        seeds: Vec<Address>,
        manner: Manner,
        replicas: Option<Replicas>,
    ) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            template,
            seeds,
            manner,
            replicas,
            map: ArcSwap::default(),
            making: Mutex::new(()),
            wanted: Notify::new(),
        });
        shared.refresh(0).await?;
        if !shared.map.load().is_complete() {
            return Err(StoreError::Unavailable("some of the cluster's slots are on no node".into()));
        }
        let keeper = tokio::spawn(Shared::keep(Arc::clone(&shared))).abort_handle();
        Ok(Self { shared, keeper })
    }

    /// Where any node may be asked.
    pub fn source(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The nodes that have slots, each once.
    pub fn primaries(&self) -> Vec<Arc<Node>> {
        let map = self.shared.map.load();
        let has_slots = |node: &&Arc<Node>| map.ranges.iter().any(|(_, _, of)| Arc::ptr_eq(of, node));
        map.nodes.values().filter(has_slots).cloned().collect()
    }

    /// Runs the steps in order.
    pub async fn run(&self, steps: Vec<Step>, deadline: Deadline) -> Result<Answers, StoreError> {
        deadline.limit(self.follow(steps, deadline)).await?
    }

    async fn follow(&self, steps: Vec<Step>, deadline: Deadline) -> Result<Answers, StoreError> {
        let mut answers = Vec::with_capacity(steps.len());
        let mut redirects = 0;
        let mut asking = None;
        while answers.len() < steps.len() {
            let map = self.shared.map.load_full();
            let rest = steps.get(answers.len()..).unwrap_or_default();
            let (node, count) = match asking.take() {
                Some(node) => (node, 1),
                None => self.leg(&map, rest)?,
            };
            let leg = rest.get(..count).unwrap_or_default();
            let is_asking = asking_of(&map, &node, leg);
            let said = run_leg(&map, &node, leg, is_asking, deadline).await?;
            let Some(moved) = said.iter().position(|answer| redirect(answer).is_some()) else {
                answers.extend(said);
                continue;
            };
            redirects += 1;
            if redirects > REDIRECTS_MAX || said.iter().skip(moved).any(|answer| redirect(answer).is_none()) {
                self.shared.wanted.notify_one();
                return Err(StoreError::Unavailable("slots of the cluster are moving".into()));
            }
            let to = said.get(moved).and_then(redirect);
            answers.extend(said.into_iter().take(moved));
            asking = self.redirected(&map, to).await?;
        }
        Ok(answers)
    }

    /// The node of the first step, and how many steps it may take: those that follow on the same node.
    fn leg(&self, map: &Map, steps: &[Step]) -> Result<(Arc<Node>, usize), StoreError> {
        let nobodys = || StoreError::Unavailable("no node of the cluster has the slot".into());
        let node_of = |step: &Step| step.key.as_ref().map(|key| map.node(slot(key)));
        // A note is told by any node, so by the one that is spoken to.
        let first = steps.iter().find_map(node_of).unwrap_or_else(|| map.nodes.values().find(|n| n.is_up()));
        let first = first.ok_or_else(nobodys).inspect_err(|_| self.shared.wanted.notify_one())?;
        let is_its = |step: &&Step| match node_of(step) {
            None => true,
            Some(node) => node.is_some_and(|node| Arc::ptr_eq(node, first)),
        };
        Ok((Arc::clone(first), steps.iter().take_while(is_its).count()))
    }

    /// Follows a redirection: a moved slot by a new map, one that is moving by the node that is named.
    async fn redirected(&self, map: &Map, to: Option<Redirect>) -> Result<Option<Arc<Node>>, StoreError> {
        match to {
            Some(Redirect::Ask(address)) => {
                let node = map.nodes.get(&address).cloned();
                let node = match node {
                    Some(node) => node,
                    None => {
                        self.shared.refresh(map.number).await?;
                        self.shared.map.load().nodes.get(&address).cloned().ok_or_else(|| {
                            StoreError::Unavailable("a slot of the cluster moves to a node unknown".into())
                        })?
                    }
                };
                Ok(Some(node))
            }
            Some(Redirect::Moved) | None => {
                tokio::time::sleep(Duration::from_millis(REDIRECT_PAUSE_MILLIS)).await;
                self.shared.refresh(map.number).await?;
                Ok(None)
            }
        }
    }

    /// Ready as long as one node takes writes: what lies on the others is refused by itself.
    pub async fn ready(&self, write: impl Fn(String) -> Step, deadline: Deadline) -> Result<(), StoreError> {
        let map = self.shared.map.load_full();
        let mut why = StoreError::Unavailable("no node of the cluster is known".into());
        for (first, last, node) in &map.ranges {
            let Some(key) = ready_key(*first, *last) else { continue };
            let leg = Leg::of([write(key.clone())]);
            match node.run(leg, &|| Some(key.clone()), deadline).await.map(|mut said| said.pop()) {
                Ok(Some(Ok(_))) => return Ok(()),
                Ok(Some(Err(error))) => why = super::errors::store_error(&error),
                Ok(None) => {}
                Err(error) => why = error,
            }
        }
        Err(why)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Shared {
    /// Looks who has which slot, at a fixed pace and whenever somebody was led astray.
    async fn keep(shared: Arc<Self>) {
        loop {
            let map = shared.map.load_full();
            let is_well = map.is_complete() && map.nodes.values().all(|node| node.is_up());
            let pause = if is_well { REFRESH_PAUSE_MILLIS } else { HASTY_PAUSE_MILLIS };
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(pause)) => {}
                () = shared.wanted.notified() => {}
            }
            if let Err(error) = shared.refresh(map.number).await {
                tracing::debug!(%error, "nobody tells who has which slot of the Redis cluster");
            }
        }
    }

    /// Makes a map that is newer than `number`.
    async fn refresh(&self, number: u64) -> Result<(), StoreError> {
        let _making = self.making.lock().await;
        let old = self.map.load_full();
        if old.number > number {
            return Ok(());
        }
        let view = self.look(&old).await?;
        let mut map = Map { number: number + 1, ..Map::default() };
        let mut unfit = Ok(());
        for (first, last, address) in view.ranges {
            let node = match map.nodes.get(&address).or_else(|| old.nodes.get(&address)) {
                Some(node) => Arc::clone(node),
                None => {
                    let (node, first) = self.start(&address).await;
                    unfit = unfit.and(first);
                    Arc::new(node)
                }
            };
            map.nodes.insert(address, Arc::clone(&node));
            map.ranges.push((first, last, node));
        }
        map.ranges.sort_by_key(|(first, _, _)| *first);
        self.map.store(Arc::new(map));
        // At the start an unfit node is a reason not to start; later it is one that refuses what lies on it.
        if number == 0 { unfit } else { Ok(()) }
    }

    async fn start(&self, (host, port): &Address) -> (Node, Result<(), StoreError>) {
        let place = Arc::new(Place::Fixed(at(&self.template, host.clone(), *port)));
        Node::start(place, self.manner.clone(), self.replicas).await
    }

    /// Asks some nodes, and believes the one whose view is the latest.
    async fn look(&self, old: &Map) -> Result<View, StoreError> {
        let mut asked = JoinSet::new();
        let up = old.nodes.iter().filter(|(_, node)| node.is_up()).map(|(address, _)| address);
        for address in up.chain(&self.seeds).take(ASKED_MAX) {
            let (host, port) = address.clone();
            let info = at(&self.template, host, port);
            let limit = Duration::from_millis(self.manner.timeout_millis_max);
            asked.spawn(async move { tokio::time::timeout(limit, ask(info)).await });
        }
        let mut latest: Option<View> = None;
        let mut why = StoreError::Unavailable("no node of the cluster answers".into());
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(Ok(view))) if latest.as_ref().is_none_or(|latest| view.epoch > latest.epoch) => {
                    latest = Some(view);
                }
                Ok(Ok(Err(error))) => why = error,
                Ok(_) | Err(_) => {}
            }
        }
        latest.ok_or(why)
    }

    /// Where each node is that may be subscribed to.
    pub fn addresses(&self) -> Vec<ConnectionInfo> {
        let map = self.map.load();
        let known = map.nodes.keys().chain(&self.seeds);
        known.map(|(host, port)| at(&self.template, host.clone(), *port)).collect()
    }
}

enum Redirect {
    Moved,
    Ask(Address),
}

fn redirect(answer: &Result<Value, RedisError>) -> Option<Redirect> {
    let error = answer.as_ref().err()?;
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::Moved) => Some(Redirect::Moved),
        ErrorKind::Server(ServerErrorKind::Ask) => {
            let (address, _) = error.redirect_node()?;
            let (host, port) = address.rsplit_once(':')?;
            Some(Redirect::Ask((host.to_owned(), port.parse().ok()?)))
        }
        _ => None,
    }
}

/// Whether the node is asked for a slot that is only moving to it.
fn asking_of(map: &Map, node: &Arc<Node>, leg: &[Step]) -> bool {
    let slot_of_first = leg.first().and_then(|step| step.key.as_ref()).map(|key| slot(key));
    slot_of_first.is_some_and(|slot| !map.node(slot).is_some_and(|owner| Arc::ptr_eq(owner, node)))
}

fn ready_key(first: u16, last: u16) -> Option<String> {
    let mut keys = (0..READY_KEYS_MAX).map(|n| format!("pc:{{ready-{n}}}"));
    keys.find(|key| (first..=last).contains(&slot(key)))
}

async fn run_leg(
    map: &Map,
    node: &Arc<Node>,
    leg: &[Step],
    is_asking: bool,
    deadline: Deadline,
) -> Result<Answers, StoreError> {
    let mut leg = Leg::of(leg.iter().cloned());
    if is_asking {
        leg.commands.insert(0, cmd("ASKING"));
    }
    let mut answers = node.run(leg, &|| map.ready_key(node), deadline).await?;
    answers.drain(..usize::from(is_asking));
    Ok(answers)
}
