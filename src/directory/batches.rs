//! When the lists of who lost a membership together are let go.
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::SignedDuration;

use crate::{
    domain::{BatchId, FORMER_DAYS, PersonId, Timestamp, digest},
    store::{Key, Op, StoreError},
};

use super::{Directory, Enterprise};

/// How long nobody tells a batch anew when to go, in seconds: a batch of automation is one of an hour, so that of all who lose
/// something in it a single one waits for this. A batch is kept a day longer than what it names, which leaves room for it.
const TOLD_SECONDS: i64 = 3_600;
/// Batches that are remembered; more of them are told again.
const BATCHES_MAX: usize = 1_024;

/// Where it stands who lost a membership in a batch.
pub(super) fn batch_key(enterprise: &Enterprise, batch: &BatchId) -> Key {
    Key::Batch(enterprise.id, digest(&[batch.as_str().as_bytes()]))
}

/// The batches that this process told when to go, and when it did.
#[derive(Default)]
pub(super) struct Told(Mutex<HashMap<Key, Timestamp>>);

impl Told {
    fn is_recent(&self, batch: &Key, now: Timestamp) -> bool {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = told.get(batch).map(|at| now.as_second().saturating_sub(at.as_second()));
        age.is_some_and(|age| (0..TOLD_SECONDS).contains(&age))
    }

    fn remember(&self, batch: Key, now: Timestamp) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= BATCHES_MAX {
            told.clear();
        }
        told.insert(batch, now);
    }
}

impl Directory {
    /// Tells a batch that somebody is to be put into when to go: it is of no use longer than the former memberships that it
    /// names. Before the commit that removes them, which can say of no set when it goes: whoever died behind it would leave one
    /// that never does. So a batch may name whom it did not remove.
    pub(super) async fn list_in_batch(
        &self,
        batch: Key,
        person: PersonId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.batches.is_recent(&batch, now) {
            return Ok(());
        }
        let end = now.checked_add(SignedDuration::from_hours((FORMER_DAYS + 1) * 24));
        // A set that nobody is in cannot be told anything.
        let listed = Op::Insert(batch, person.as_bytes().to_vec());
        let expire = Op::Expire(batch, end.unwrap_or(Timestamp::MAX));
        self.store.batch(now, vec![listed, expire]).await?;
        self.batches.remember(batch, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EnterpriseId;

    #[test]
    fn a_batch_is_told_once_an_hour_and_what_is_remembered_is_bounded() {
        let told = Told::default();
        let key = |n: u8| Key::Batch(EnterpriseId::from_bytes([1; 16]), [n; 32]);
        let at = |second| Timestamp::from_second(second).unwrap();
        told.remember(key(1), at(0));
        assert!(told.is_recent(&key(1), at(TOLD_SECONDS - 1)) && !told.is_recent(&key(2), at(0)));
        assert!(!told.is_recent(&key(1), at(TOLD_SECONDS)));
        assert!(!told.is_recent(&key(1), at(-1)), "a clock that went back");
        for n in 0..2 * BATCHES_MAX {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&n.to_be_bytes());
            told.remember(Key::Batch(EnterpriseId::from_bytes([2; 16]), name), at(0));
        }
        assert!(told.0.lock().unwrap().len() <= BATCHES_MAX);
    }
}
