//! The Redis store.
use super::*;

#[derive(Clone, PartialEq)]
pub struct Settings {
    /// `redis://` or `rediss://`, with ACL user and password. A secret: never logged.
    pub url: String,
    /// Every operation ends within this.
    pub timeout_millis_max: u64,
}
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("redis::Settings(…)")
    }
}
pub struct Redis;
impl Redis {
    pub async fn connect(_settings: &Settings) -> Result<Self, StoreError> {
        todo!()
    }
}
impl Store for Redis {
    fn batch(&self, _now: Timestamp, _ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        todo!()
    }
    fn commit(&self, _change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        todo!()
    }
    fn members(
        &self,
        _set: Key,
        _after: Option<Vec<u8>>,
        _limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        todo!()
    }
    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        todo!()
    }
}
