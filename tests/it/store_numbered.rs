//! Numbered sets and tallies: cases of the conformance suite.
use std::sync::Arc;

use portcullis::{
    domain::{ScimId, Timestamp},
    store::{Committed, Key, Op, Store, StoreError, Write, records},
};
use tokio::task::JoinSet;

use crate::store::{at, change, enterprise, get, one, person, set};

fn numbered() -> Key {
    Key::ScimUsers(enterprise(1))
}

pub fn tally(n: u8) -> Key {
    Key::ScimGroupState(enterprise(1), ScimId::from_bytes([n; 16]))
}

pub async fn numbered_sets_are_counted_and_paged(store: Arc<dyn Store>) {
    let member = |n: u64| n.to_be_bytes().to_vec();
    let page = async |offset, limit| store.page(numbered(), offset, limit).await.unwrap();
    assert_eq!((store.count(numbered()).await.unwrap(), page(0, 5).await), (0, vec![]));
    // In any order; what is there already, or is not, counts once.
    let inserts = (0..100)
        .rev()
        .flat_map(|n| [Write::Insert(numbered(), member(n)), Write::Insert(numbered(), member(n))]);
    store.commit(change(&[], &inserts.collect::<Vec<_>>())).await.unwrap();
    one(&store, at(0), Op::Insert(numbered(), member(100))).await;
    one(&store, at(0), Op::Remove(numbered(), member(50))).await;
    store
        .commit(change(&[], &[Write::Remove(numbered(), member(50)), Write::Remove(numbered(), member(7))]))
        .await
        .unwrap();
    let all: Vec<Vec<u8>> = (0..=100).filter(|n| ![7, 50].contains(n)).map(member).collect();
    assert_eq!(store.count(numbered()).await.unwrap(), 99);
    for (offset, limit) in [
        (0, 1),
        (0, 99),
        (0, 1_000),
        (1, 3),
        (49, 2),
        (60, 10),
        (90, 9),
        (98, 1),
        (98, 5),
        (99, 5),
        (5_000, 5),
    ] {
        let expected: Vec<Vec<u8>> = all.iter().skip(offset).take(limit).cloned().collect();
        assert_eq!(page(offset as u64, limit).await, expected, "{offset} {limit}");
    }
    assert_eq!(page(u64::MAX, 5).await, Vec::<Vec<u8>>::new());
    // Another enterprise's, and another set's, are counted apart.
    assert_eq!(store.count(Key::ScimUsers(enterprise(2))).await.unwrap(), 0);
    one(&store, at(0), Op::Delete(numbered())).await;
    assert_eq!((store.count(numbered()).await.unwrap(), page(0, 5).await), (0, vec![]));
    assert!(matches!(store.count(set(1)).await, Err(StoreError::Misuse(_))));
    assert!(matches!(store.page(set(1), 0, 1).await, Err(StoreError::Misuse(_))));
    assert!(matches!(store.page(numbered(), 0, 0).await, Err(StoreError::Misuse(_))));
}

pub async fn touches_commute(store: Arc<dyn Store>) {
    assert_eq!(get(&store, at(0), tally(1)).await, None);
    let mut tasks = JoinSet::new();
    for n in 0..32_u8 {
        let store = Arc::clone(&store);
        let touch = change(
            &[(person(n), 0)],
            &[Write::Touch(tally(1), at(i64::from(n % 8))), Write::Put(person(n), vec![])],
        );
        tasks.spawn(async move { store.commit(touch).await.unwrap() });
    }
    assert!(
        tasks.join_all().await.iter().all(|committed| *committed == Committed::Applied),
        "nobody waits for anybody"
    );
    let read = async |key| {
        let stored = get(&store, at(0), key).await.unwrap();
        (stored.revision, records::decode_tally(&stored.value).unwrap())
    };
    assert_eq!(read(tally(1)).await, (32, at(7)), "the latest time, whoever came last");
    let refused = change(&[(person(1), 0)], &[Write::Touch(tally(1), at(99))]);
    assert_eq!(store.commit(refused).await.unwrap(), Committed::Conflict);
    assert_eq!(read(tally(1)).await, (32, at(7)), "a conflict touches nothing");
    // Who wants to be alone expects the count.
    for (expected, became) in [(31, Committed::Conflict), (0, Committed::Conflict), (32, Committed::Applied)]
    {
        let alone = change(&[(tally(1), expected)], &[Write::Touch(tally(1), at(8))]);
        assert_eq!(store.commit(alone).await.unwrap(), became, "{expected}");
    }
    assert_eq!(read(tally(1)).await, (33, at(8)));
    let first = change(&[(tally(3), 0)], &[Write::Touch(tally(3), at(0))]);
    assert_eq!(store.commit(first.clone()).await.unwrap(), Committed::Applied);
    assert_eq!(store.commit(first).await.unwrap(), Committed::Conflict);
    store.commit(change(&[], &[Write::Touch(tally(2), Timestamp::MIN)])).await.unwrap();
    assert_eq!(read(tally(2)).await, (1, Timestamp::UNIX_EPOCH));
    store.commit(change(&[], &[Write::Delete(tally(1))])).await.unwrap();
    assert_eq!(get(&store, at(0), tally(1)).await, None);
}
