//! What requests were identified as within the last second, by the SHA-256 of what they showed.
//!
//! The age is bounded, whether a gateway hears of changes or not: a note that was lost is made good within it.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::domain::{ActiveSession, ActiveToken, PersonId, Timestamp};

/// How long another gateway's removal may go unseen here, in milliseconds. Our own are seen at once.
const CACHE_AGE_MILLIS_MAX: i64 = 1_000;
/// Entries that one shard holds; a full shard forgets what is stale, then everything.
const CACHE_SHARD_ENTRIES_MAX: usize = 4_096;
/// Shards, so that workers seldom wait for each other.
const CACHE_SHARDS: usize = 16;

/// What is known of somebody, and of whom.
pub(super) trait Known {
    fn person(&self) -> PersonId;
}

impl Known for ActiveSession {
    fn person(&self) -> PersonId {
        self.session.person
    }
}

impl Known for ActiveToken {
    fn person(&self) -> PersonId {
        self.person
    }
}

pub(super) struct Cache<T> {
    shards: [Mutex<Shard<T>>; CACHE_SHARDS],
}

struct Shard<T> {
    entries: HashMap<[u8; 32], (Arc<T>, Timestamp)>,
    /// Counts what was forgotten, so that a load that began before cannot put back what was forgotten since.
    generation: u64,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        let shard = |_| Mutex::new(Shard { entries: HashMap::new(), generation: 0 });
        Self { shards: std::array::from_fn(shard) }
    }
}

impl<T> Cache<T> {
    fn shard(&self, key: &[u8; 32]) -> MutexGuard<'_, Shard<T>> {
        let at = usize::from(key[0]) % CACHE_SHARDS;
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, key: &[u8; 32], now: Timestamp) -> Option<Arc<T>> {
        let shard = self.shard(key);
        let (known, loaded_at) = shard.entries.get(key)?;
        is_fresh(*loaded_at, now).then(|| known.clone())
    }

    /// To be asked before the load whose result is put in.
    pub fn generation(&self, key: &[u8; 32]) -> u64 {
        self.shard(key).generation
    }

    pub fn put(&self, key: [u8; 32], known: Arc<T>, generation: u64, now: Timestamp) {
        let mut shard = self.shard(&key);
        if shard.generation != generation {
            return;
        }
        if shard.entries.len() >= CACHE_SHARD_ENTRIES_MAX {
            shard.entries.retain(|_, (_, loaded_at)| is_fresh(*loaded_at, now));
            if shard.entries.len() >= CACHE_SHARD_ENTRIES_MAX {
                shard.entries.clear();
            }
        }
        shard.entries.insert(key, (known, now));
    }

    pub fn forget(&self, key: &[u8; 32]) {
        let mut shard = self.shard(key);
        shard.entries.remove(key);
        shard.generation += 1;
    }

    /// Forgets all of which this is so.
    pub fn forget_where(&self, is_stale: impl Fn(&T) -> bool) {
        self.retain(|known| !is_stale(known));
    }

    pub fn forget_all(&self) {
        self.retain(|_| false);
    }

    fn retain(&self, stays: impl Fn(&T) -> bool) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.entries.retain(|_, (known, _)| stays(known));
            shard.generation += 1;
        }
    }
}

impl<T: Known> Cache<T> {
    /// Forgets everything that is known of a person.
    pub fn forget_person(&self, person: PersonId) {
        self.retain(|known| known.person() != person);
    }
}

fn is_fresh(loaded_at: Timestamp, now: Timestamp) -> bool {
    let age = now.as_millisecond() - loaded_at.as_millisecond();
    (0..CACHE_AGE_MILLIS_MAX).contains(&age)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Of(u8);

    impl Known for Of {
        fn person(&self) -> PersonId {
            PersonId::from_bytes([self.0; 16])
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    /// The bound that holds when every note is lost.
    #[test]
    fn r_14_nothing_is_known_for_longer_than_a_second() {
        let cache = Cache::default();
        cache.put([1; 32], Arc::new(Of(1)), 0, at(5_000));
        for (now, is_known) in [(4_999, false), (5_000, true), (5_999, true), (6_000, false)] {
            assert_eq!(cache.get(&[1; 32], at(now)).is_some(), is_known, "{now}");
        }
    }

    #[test]
    fn what_was_forgotten_is_not_put_back_by_a_load_that_began_before() {
        let cache = Cache::default();
        let known = |key: u8| cache.get(&[key; 32], at(0)).is_some();
        for forget in [
            &(|| cache.forget(&[1; 32])) as &dyn Fn(),
            &|| cache.forget_person(PersonId::from_bytes([1; 16])),
            &|| cache.forget_all(),
        ] {
            let generation = cache.generation(&[1; 32]);
            cache.put([1; 32], Arc::new(Of(1)), generation, at(0));
            assert!(known(1));
            forget();
            assert!(!known(1));
            cache.put([1; 32], Arc::new(Of(1)), generation, at(0));
            assert!(!known(1), "the load began before");
        }
    }

    #[test]
    fn only_the_person_concerned_is_forgotten() {
        let cache = Cache::default();
        for person in [1, 2] {
            cache.put([person; 32], Arc::new(Of(person)), 0, at(0));
        }
        cache.forget_person(PersonId::from_bytes([1; 16]));
        assert!(cache.get(&[1; 32], at(0)).is_none() && cache.get(&[2; 32], at(0)).is_some());
    }
}
