//! From a cookie's token to a live session, through a cache of bounded age.
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    domain::{ActiveSession, PersonId, SessionId, SessionToken, Timestamp},
    store::{BATCH_STEPS_MAX, Key, Op, Reply, StoreError, records},
};

use super::{Directory, unexpected_reply};

/// How long another gateway's removal may go unseen here, in milliseconds. Our own are seen at once.
const CACHE_AGE_MILLIS_MAX: i64 = 1_000;
/// Sessions that one shard of the cache holds; a full shard forgets what is stale, then everything.
const CACHE_SHARD_SESSIONS_MAX: usize = 4_096;
/// Shards, so that workers seldom wait for each other.
const CACHE_SHARDS: usize = 16;
/// A session notes that it was seen at most this often, in seconds, unless its idle time is short.
const LAST_SEEN_RESOLUTION_SECONDS_MAX: i64 = 60;

impl Directory {
    /// The live session of a token with the person's present memberships; `None` if there is none.
    pub async fn session(
        &self,
        token: &SessionToken,
        now: Timestamp,
    ) -> Result<Option<Arc<ActiveSession>>, StoreError> {
        let id = token.session_id();
        if let Some(active) = self.cache.get(id, now) {
            return Ok(active.session.is_live(now).then_some(active));
        }
        let generation = self.cache.generation(id);
        let Some(active) = self.load_session(id, now).await? else { return Ok(None) };
        let active = Arc::new(active);
        self.cache.put(id, active.clone(), generation, now);
        Ok(Some(active))
    }

    /// Ends a session, at once on this gateway and within the cache's bounded age on others.
    pub async fn end_session(&self, token: &SessionToken, now: Timestamp) -> Result<(), StoreError> {
        let id = token.session_id();
        let ended = self.store.batch(now, vec![Op::Delete(Key::Session(id))]).await;
        self.cache.forget(id);
        ended.map(drop)
    }

    /// Those of the sessions that are over. Looks past the cache, and is no use of a session that would prolong it.
    pub async fn ended(
        &self,
        sessions: &BTreeSet<SessionId>,
        now: Timestamp,
    ) -> Result<BTreeSet<SessionId>, StoreError> {
        let ids: Vec<SessionId> = sessions.iter().copied().collect();
        let mut ended = BTreeSet::new();
        for ids in ids.chunks(BATCH_STEPS_MAX) {
            let gets = ids.iter().map(|id| Op::Get(Key::Session(*id))).collect();
            for (reply, id) in self.store.batch(now, gets).await?.into_iter().zip(ids) {
                let Reply::Value(stored) = reply else { return Err(unexpected_reply()) };
                let session = stored.map(|s| records::decode_session(*id, &s.value)).transpose()?.flatten();
                if !session.is_some_and(|session| session.is_live(now)) {
                    ended.insert(*id);
                }
            }
        }
        Ok(ended)
    }

    async fn load_session(&self, id: SessionId, now: Timestamp) -> Result<Option<ActiveSession>, StoreError> {
        let mut replies = self.store.batch(now, vec![Op::Get(Key::Session(id))]).await?;
        let stored = match replies.pop() {
            Some(Reply::Value(Some(stored))) => stored,
            Some(Reply::Value(None)) => return Ok(None),
            _ => return Err(unexpected_reply()),
        };
        let session = records::decode_session(id, &stored.value)?;
        let Some(mut session) = session.filter(|session| session.is_live(now)) else { return Ok(None) };
        let person = self.person(session.enterprise_id, session.person, now).await?;
        let Some(person) = person.filter(|person| person.standing.is_active()) else { return Ok(None) };
        let unseen = now.as_second() - session.last_seen_at.as_second();
        let resolution = LAST_SEEN_RESOLUTION_SECONDS_MAX.min(i64::from(session.idle_seconds_max) / 10);
        if unseen > resolution {
            session.last_seen_at = now;
            let value = records::encode_session(&session);
            let touch = Op::Replace { key: Key::Session(id), value, expires_at: session.expires_at };
            // Replace, not put: a session that was ended in the meantime stays ended.
            let replies = self.store.batch(now, vec![touch]).await?;
            if replies != [Reply::Created(true)] {
                return Ok(None);
            }
        }
        Ok(Some(ActiveSession { session, memberships: person.memberships }))
    }
}

/// Sessions seen within the last second.
pub(super) struct Cache {
    shards: [Mutex<Shard>; CACHE_SHARDS],
}

#[derive(Default)]
struct Shard {
    sessions: HashMap<SessionId, (Arc<ActiveSession>, Timestamp)>,
    /// Counts what was forgotten, so that a load that began before cannot put back what was forgotten since.
    generation: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Cache {
    fn shard(&self, id: SessionId) -> MutexGuard<'_, Shard> {
        let at = usize::from(id.as_bytes()[0]) % CACHE_SHARDS;
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: SessionId, now: Timestamp) -> Option<Arc<ActiveSession>> {
        let shard = self.shard(id);
        let (active, loaded_at) = shard.sessions.get(&id)?;
        is_fresh(*loaded_at, now).then(|| active.clone())
    }

    fn generation(&self, id: SessionId) -> u64 {
        self.shard(id).generation
    }

    fn put(&self, id: SessionId, active: Arc<ActiveSession>, generation: u64, now: Timestamp) {
        let mut shard = self.shard(id);
        if shard.generation != generation {
            return;
        }
        if shard.sessions.len() >= CACHE_SHARD_SESSIONS_MAX {
            shard.sessions.retain(|_, (_, loaded_at)| is_fresh(*loaded_at, now));
            if shard.sessions.len() >= CACHE_SHARD_SESSIONS_MAX {
                shard.sessions.clear();
            }
        }
        shard.sessions.insert(id, (active, now));
    }

    pub(super) fn forget(&self, id: SessionId) {
        let mut shard = self.shard(id);
        shard.sessions.remove(&id);
        shard.generation += 1;
    }

    /// Forgets every session of a person whose memberships changed.
    pub(super) fn forget_person(&self, person: PersonId) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.sessions.retain(|_, (active, _)| active.session.person != person);
            shard.generation += 1;
        }
    }
}

fn is_fresh(loaded_at: Timestamp, now: Timestamp) -> bool {
    let age = now.as_millisecond() - loaded_at.as_millisecond();
    (0..CACHE_AGE_MILLIS_MAX).contains(&age)
}
