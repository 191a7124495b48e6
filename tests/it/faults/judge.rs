//! What must hold after a recovery.
use std::{collections::BTreeSet, sync::Arc, time::Duration};

use portcullis::{
    directory::{AuditQuery, audit_entries, examine},
    domain::Timestamp,
    store::{StoreError, Whole},
};

use super::{
    acts::{Ledger, State},
    world::World,
};

/// While gateways write, a walk may see two moments; what is still there in the third is a fault.
const EXAMINATIONS_MAX: usize = 3;
const ENTRIES_PER_PAGE: usize = 500;
const ATTEMPTS_MAX: u32 = 300;
const ATTEMPT_PAUSE_MILLIS: u64 = 100;
/// Of each person the last so many.
const REPLAYS_MAX: usize = 3;

/// Looks at the store, lets the program run again if it does not, and looks at what it answers; then gets ready for the next run.
/// Answers how many responses were posted again.
pub async fn judge(world: &mut World, ledgers: Vec<Ledger>, run: u64) -> usize {
    let store = world.open().await;
    agrees(&store, run).await;
    for ledger in &ledgers {
        let state = state(world, &store, ledger.person).await;
        if !ledger.possible.contains(&state) {
            let Ledger { person, possible, .. } = ledger;
            let servers = world.described().await;
            panic!("run {run}: {person} is {state:?} and may be {possible:?}\n{servers}");
        }
        world.states.insert(ledger.person, state);
    }
    is_told(world, &store, &ledgers, run).await;
    world.invite(&store).await;
    drop(store);
    world.serve().await;
    let mut replayed = 0;
    for ledger in ledgers {
        for (mut browser, response) in ledger.accepted.into_iter().rev().take(REPLAYS_MAX) {
            let mut again = browser.submit_once(&response).await.unwrap();
            while again.status == 503 {
                world.serve().await;
                again = browser.submit_once(&response).await.unwrap();
            }
            assert_eq!(again.status, 403, "run {run}: an assertion of {} opened twice", ledger.person);
            replayed += 1;
        }
        for mut browser in ledger.ended {
            let identity = world.rig.identity(&mut browser).await;
            assert!(identity.is_none(), "run {run}: a session that was ended is back: {identity:?}");
        }
    }
    replayed
}

/// A sentinel on a busy machine may change its mind once more, which takes the connection away for a moment.
async fn patiently<T>(mut ask: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match ask().await {
            Ok(answer) => return answer,
            Err(StoreError::Unavailable(_) | StoreError::Timeout(_)) if attempts < ATTEMPTS_MAX => {
                tokio::time::sleep(Duration::from_millis(ATTEMPT_PAUSE_MILLIS)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// What `check --store` says.
async fn agrees(store: &Arc<dyn Whole>, run: u64) {
    for last in (0..EXAMINATIONS_MAX).rev() {
        let report = patiently(async || examine(&**store, Timestamp::now()).await).await;
        if report.is_clean() {
            assert!(report.audit_entries > 0 && report.people > 0);
            return;
        }
        assert!(last > 0, "run {run}: {:#?}", report.faults);
    }
}

/// What the records say.
async fn state(world: &World, store: &Arc<dyn Whole>, person: &str) -> State {
    let (directory, now) = (World::directory(store), Timestamp::now());
    let e = world.enterprise.id;
    let id = world.person_id(person);
    let record = patiently(async || directory.person(e, id, now).await).await.unwrap();
    let invitee = patiently(async || directory.invitee(e, world.address(person), now).await).await;
    let live = invitee.invitations.iter().filter(|invitation| invitation.is_live(now));
    State {
        roles: record.memberships.iter().map(|m| (m.organization.as_str().to_owned(), m.role)).collect(),
        pending: live.map(|invitation| invitation.organization.as_str().to_owned()).collect(),
        is_out: !record.standing.is_active(),
    }
}

/// Every act that was acknowledged has its line in the audit stream. Whether the stream is whole is asked by [`agrees`].
async fn is_told(world: &mut World, store: &Arc<dyn Whole>, ledgers: &[Ledger], run: u64) {
    let store: Arc<dyn portcullis::store::Store> = store.clone();
    let mut told = BTreeSet::new();
    let mut after = world.audited;
    loop {
        let query = AuditQuery { after: Some(after), limit: ENTRIES_PER_PAGE, ..AuditQuery::default() };
        let e = world.enterprise.id;
        let page = patiently(async || audit_entries(&*store, e, &query).await).await;
        let ids = page.entries.iter().filter_map(|entry| entry.event.get("request_id")?.as_str());
        told.extend(ids.map(str::to_owned));
        after = page.reached;
        if page.is_end {
            break;
        }
    }
    world.audited = after;
    for id in ledgers.iter().flat_map(|ledger| &ledger.acknowledged) {
        assert!(told.contains(id), "run {run}: {id} was acknowledged and is not told: {told:?}");
    }
}
