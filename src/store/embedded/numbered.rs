//! Numbered sets: how many members they have, and those from a number on.
//!
//! redb keeps no ranks. The count stands beside the set, and a page is reached from whichever end is nearer.
use redb::{ReadTransaction, ReadableTable, TableDefinition};

use super::tables::{SETS, Tables, bounds, unavailable};
use crate::store::{Key, StoreError};

/// How many members each numbered set has; no row for none.
pub(super) const COUNTS: TableDefinition<'_, &str, u64> = TableDefinition::new("counts");

pub(super) fn count(at: &ReadTransaction, set: &Key) -> Result<u64, StoreError> {
    let counts = at.open_table(COUNTS).map_err(unavailable)?;
    let count = counts.get(set.text().as_str()).map_err(unavailable)?.map(|row| row.value());
    Ok(count.unwrap_or(0))
}

/// Up to `limit` members behind the first `offset`.
pub(super) fn page(
    at: &ReadTransaction,
    set: &Key,
    offset: u64,
    limit: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let behind = count(at, set)?.saturating_sub(offset);
    let sets = at.open_table(SETS).map_err(unavailable)?;
    let (text, end) = bounds(set);
    let rows = sets.range((text.as_str(), &[][..])..(end.as_str(), &[][..])).map_err(unavailable)?;
    let wanted = usize::try_from(behind).unwrap_or(usize::MAX).min(limit);
    if offset <= behind {
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        return rows.skip(skipped).take(wanted).map(member).collect();
    }
    let passed_over = usize::try_from(behind).unwrap_or(usize::MAX) - wanted;
    let found: Result<Vec<Vec<u8>>, StoreError> =
        rows.rev().skip(passed_over).take(wanted).map(member).collect();
    found.map(|mut page| {
        page.reverse();
        page
    })
}

impl Tables<'_> {
    /// Notes that members came to a numbered set, or went from it.
    pub(super) fn count(&mut self, key: &Key, more: i64) -> Result<(), StoreError> {
        if !key.is_numbered() {
            return Ok(());
        }
        let text = key.text();
        let count = self.counts.get(text.as_str()).map_err(unavailable)?.map_or(0, |row| row.value());
        self.counts.insert(text.as_str(), count.saturating_add_signed(more)).map_err(unavailable)?;
        Ok(())
    }

    /// A set is gone as a whole.
    pub(super) fn forget_count(&mut self, key: &Key) -> Result<(), StoreError> {
        if key.is_numbered() {
            self.counts.remove(key.text().as_str()).map_err(unavailable)?;
        }
        Ok(())
    }
}

type Row<'r> = (redb::AccessGuard<'r, (&'static str, &'static [u8])>, redb::AccessGuard<'r, ()>);

fn member(row: Result<Row<'_>, redb::StorageError>) -> Result<Vec<u8>, StoreError> {
    Ok(row.map_err(unavailable)?.0.value().1.to_vec())
}
