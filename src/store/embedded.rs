//! The embedded store.
use super::*;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The database file; its folder is made if it is not there.
    pub path: PathBuf,
}
pub struct Embedded;
impl Embedded {
    pub fn open(_settings: &Settings) -> Result<Self, StoreError> {
        todo!()
    }
}
impl Store for Embedded {
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
