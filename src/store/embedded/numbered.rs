//! Numbered sets: how many members they have, and those from a number on.
//!
//! redb keeps no ranks. The count stands beside the set, and a page is reached from whichever end is nearer.
use redb::{AccessGuard, ReadTransaction, ReadableTable, StorageError};

use super::{
    rooms::{self, Room},
    tables::{Tables, unavailable},
};
use crate::store::{Key, StoreError};

pub(super) fn count(at: &ReadTransaction, set: &Key) -> Result<u64, StoreError> {
    count_in(&Room::Counts.read(at)?, &set.bytes())
}

/// Up to `limit` members behind the first `offset`.
pub(super) fn page(
    at: &ReadTransaction,
    set: &Key,
    offset: u64,
    limit: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let behind = count(at, set)?.saturating_sub(offset);
    let (bytes, sets) = (set.bytes(), Room::of(set).read(at)?);
    let (first, end) = (rooms::member_row(&bytes, &[]), rooms::members_end(&bytes));
    let rows = sets.range(&first[..]..&end[..]).map_err(unavailable)?;
    let member = |row: Result<Row<'_>, StorageError>| {
        Ok(rooms::member_of(row.map_err(unavailable)?.0.value(), bytes.len()))
    };
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
        let (bytes, counts) = (key.bytes(), self.room(Room::Counts)?);
        let count = count_in(counts, &bytes)?.saturating_add_signed(more);
        counts.insert(&bytes[..], &count.to_be_bytes()[..]).map(drop).map_err(unavailable)
    }

    /// A set is gone as a whole.
    pub(super) fn forget_count(&mut self, key: &Key) -> Result<(), StoreError> {
        if key.is_numbered() {
            self.room(Room::Counts)?.remove(&key.bytes()[..]).map_err(unavailable)?;
        }
        Ok(())
    }
}

type Row<'r> = (AccessGuard<'r, &'static [u8]>, AccessGuard<'r, &'static [u8]>);

fn count_in(
    counts: &impl ReadableTable<&'static [u8], &'static [u8]>,
    set: &[u8],
) -> Result<u64, StoreError> {
    let row = counts.get(set).map_err(unavailable)?;
    Ok(row.and_then(|row| rooms::number(row.value()).map(|(count, _)| count)).unwrap_or(0))
}
