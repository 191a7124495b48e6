//! What requests were identified as within the last second, by the SHA-256 of what they showed.
//!
//! The age is bounded, whether a gateway hears of changes or not: a note that was lost is made good within it.
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::domain::{ActiveScimToken, ActiveSession, ActiveToken, EnterpriseId, PersonId, Timestamp};

/// How long another gateway's removal may go unseen here, in milliseconds. Our own are seen at once.
const CACHE_AGE_MILLIS_MAX: i64 = 1_000;
/// Entries that one shard holds; a full shard forgets what is stale, then everything.
const CACHE_SHARD_ENTRIES_MAX: usize = 4_096;
/// Shards, so that workers seldom wait for each other.
const CACHE_SHARDS: usize = 16;

/// What is known of somebody, and of whom.
pub(super) trait Known {
    /// By what all of it is forgotten: a person, or, of what is nobody's, an enterprise.
    type Whose: Copy + Eq + std::hash::Hash;

    fn whose(&self) -> Self::Whose;
}

impl Known for ActiveSession {
    type Whose = PersonId;

    fn whose(&self) -> PersonId {
        self.session.person
    }
}

impl Known for ActiveToken {
    type Whose = PersonId;

    fn whose(&self) -> PersonId {
        self.person
    }
}

impl Known for ActiveScimToken {
    type Whose = EnterpriseId;

    fn whose(&self) -> EnterpriseId {
        self.enterprise_id
    }
}

pub(super) struct Cache<T: Known> {
    shards: [Mutex<Shard<T>>; CACHE_SHARDS],
}

struct Shard<T: Known> {
    entries: HashMap<[u8; 32], (Arc<T>, Timestamp)>,
    /// Where a person's entries lie: forgetting somebody must not look at everybody, because many may be removed at once.
    keys: HashMap<T::Whose, Vec<[u8; 32]>>,
    /// Counts what was forgotten, so that a load that began before cannot put back what was forgotten since.
    generation: u64,
}

impl<T: Known> Default for Cache<T> {
    fn default() -> Self {
        let shard = |_| Mutex::new(Shard { entries: HashMap::new(), keys: HashMap::new(), generation: 0 });
        Self { shards: std::array::from_fn(shard) }
    }
}

impl<T: Known> Cache<T> {
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
        shard.make_room(now);
        shard.insert(key, known, now);
    }

    pub fn forget(&self, key: &[u8; 32]) {
        let mut shard = self.shard(key);
        shard.remove(key);
        shard.generation += 1;
    }

    /// Forgets everything that is known of a person, or of an enterprise.
    pub fn forget_all_of(&self, whose: T::Whose) {
        self.in_each_shard(|shard| {
            for key in shard.keys.remove(&whose).unwrap_or_default() {
                shard.entries.remove(&key);
            }
        });
    }

    pub fn forget_all(&self) {
        self.in_each_shard(Shard::clear);
    }

    fn in_each_shard(&self, forget: impl Fn(&mut Shard<T>)) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            forget(&mut shard);
            shard.generation += 1;
        }
    }
}

impl<T: Known> Shard<T> {
    fn insert(&mut self, key: [u8; 32], known: Arc<T>, now: Timestamp) {
        self.remove(&key);
        self.keys.entry(known.whose()).or_default().push(key);
        self.entries.insert(key, (known, now));
    }

    fn remove(&mut self, key: &[u8; 32]) {
        let Some((known, _)) = self.entries.remove(key) else { return };
        let Entry::Occupied(mut keys) = self.keys.entry(known.whose()) else { return };
        keys.get_mut().retain(|other| other != key);
        if keys.get().is_empty() {
            keys.remove();
        }
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.entries.len() < CACHE_SHARD_ENTRIES_MAX {
            return;
        }
        let stale = self.entries.iter().filter(|(_, (_, loaded_at))| !is_fresh(*loaded_at, now));
        for key in stale.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.remove(&key);
        }
        if self.entries.len() >= CACHE_SHARD_ENTRIES_MAX {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.keys.clear();
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
        type Whose = PersonId;

        fn whose(&self) -> PersonId {
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
            &|| cache.forget_all_of(PersonId::from_bytes([1; 16])),
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

    /// Whoever is forgotten is found by the keys alone: one that were missing there would be let in for a second more, and one too
    /// many would stay for good.
    #[test]
    fn the_keys_of_a_person_are_those_of_the_entries() {
        let cache: Cache<Of> = Cache::default();
        let agrees = || {
            for shard in &cache.shards {
                let shard = shard.lock().unwrap();
                let by_entry = shard.entries.iter().map(|(key, (known, _))| (known.whose(), *key));
                let by_person = shard.keys.iter().flat_map(|(of, keys)| keys.iter().map(|key| (*of, *key)));
                let (mut by_entry, mut by_person): (Vec<_>, Vec<_>) =
                    (by_entry.collect(), by_person.collect());
                by_entry.sort_unstable();
                by_person.sort_unstable();
                assert_eq!(by_entry, by_person);
                assert!(shard.keys.values().all(|keys| !keys.is_empty()));
                assert!(shard.entries.len() <= CACHE_SHARD_ENTRIES_MAX);
            }
        };
        let put = |n: usize, now| {
            let mut key = [0; 32];
            key[1..9].copy_from_slice(&n.to_be_bytes());
            cache.put(key, Arc::new(Of((n % 200) as u8)), cache.generation(&key), at(now));
            key
        };
        // All in one shard: stale ones give way, and where none is, everything does.
        for (now, count) in [(0, CACHE_SHARD_ENTRIES_MAX), (500, 1), (2_000, CACHE_SHARD_ENTRIES_MAX + 1)] {
            let keys: Vec<_> = (0..count).map(|n| put(n, now)).collect();
            agrees();
            put(0, now);
            cache.forget(&keys[0]);
            agrees();
            cache.forget_all_of(PersonId::from_bytes([7; 16]));
            agrees();
        }
        put(1, 3_000);
        cache.forget_all();
        agrees();
        assert!(cache.shards.iter().all(|shard| shard.lock().unwrap().entries.is_empty()));
    }

    #[test]
    fn only_the_person_concerned_is_forgotten() {
        let cache = Cache::default();
        for person in [1, 2] {
            cache.put([person; 32], Arc::new(Of(person)), 0, at(0));
        }
        cache.forget_all_of(PersonId::from_bytes([1; 16]));
        assert!(cache.get(&[1; 32], at(0)).is_none() && cache.get(&[2; 32], at(0)).is_some());
    }
}
