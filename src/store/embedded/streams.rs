//! Streams in the file: one row for each entry, one for each head.
use redb::{ReadTransaction, ReadableTable};

use super::{
    rooms::{self, Room},
    tables::{Tables, unavailable},
};
use crate::store::{Entry, Key, StoreError, StreamHead};

impl Tables<'_> {
    pub(super) fn head(&mut self, stream: &Key) -> Result<StreamHead, StoreError> {
        head_in(self.room(Room::Heads)?, stream)
    }

    pub(super) fn append(&mut self, stream: &Key, value: &[u8]) -> Result<(), StoreError> {
        let head = self.head(stream)?.appended(value);
        self.write_entry(stream, head.last, &[&head.link, value].concat())?;
        self.write_head(stream, &head)
    }

    pub(super) fn trim(&mut self, stream: &Key, upto: u64) -> Result<(), StoreError> {
        let head = self.head(stream)?;
        let upto = upto.min(head.last);
        if upto < head.first {
            return Ok(());
        }
        let bytes = stream.bytes();
        let (first, last) = (rooms::entry_row(&bytes, head.first), rooms::entry_row(&bytes, upto));
        let entries = self.room(Room::Entries)?;
        let row = entries.get(&last[..]).map_err(unavailable)?;
        let row = row.ok_or_else(|| StoreError::Corrupt("a stream lacks an entry".into()))?;
        let link_before_first = entry(upto, row.value())?.link;
        drop(row);
        entries.retain_in(&first[..]..=&last[..], |_, _| false).map_err(unavailable)?;
        self.write_head(stream, &StreamHead { first: upto + 1, link_before_first, ..head })
    }

    /// For an import.
    pub(super) fn restore_entry(&mut self, stream: &Key, entry: &Entry) -> Result<(), StoreError> {
        self.write_entry(stream, entry.sequence, &[&entry.link[..], &entry.value].concat())
    }

    fn write_entry(&mut self, stream: &Key, sequence: u64, stored: &[u8]) -> Result<(), StoreError> {
        let row = rooms::entry_row(&stream.bytes(), sequence);
        self.room(Room::Entries)?.insert(&row[..], stored).map(drop).map_err(unavailable)
    }

    pub(super) fn write_head(&mut self, stream: &Key, head: &StreamHead) -> Result<(), StoreError> {
        self.changed = true;
        let heads = self.room(Room::Heads)?;
        heads.insert(&stream.bytes()[..], &head.encode()[..]).map(drop).map_err(unavailable)
    }
}

/// A page of a stream.
pub(super) fn entries(
    at: &ReadTransaction,
    stream: &Key,
    after: u64,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let (bytes, rows) = (stream.bytes(), Room::Entries.read(at)?);
    let Some(first) = after.checked_add(1) else { return Ok(vec![]) };
    let (first, last) = (rooms::entry_row(&bytes, first), rooms::entry_row(&bytes, u64::MAX));
    let mut page = Vec::new();
    for row in rows.range(&first[..]..=&last[..]).map_err(unavailable)?.take(limit) {
        let (row, value) = row.map_err(unavailable)?;
        page.push(entry(sequence(row.value(), bytes.len())?, value.value())?);
    }
    Ok(page)
}

pub(super) fn head(at: &ReadTransaction, stream: &Key) -> Result<StreamHead, StoreError> {
    head_in(&Room::Heads.read(at)?, stream)
}

fn head_in(
    heads: &impl ReadableTable<&'static [u8], &'static [u8]>,
    stream: &Key,
) -> Result<StreamHead, StoreError> {
    match heads.get(&stream.bytes()[..]).map_err(unavailable)? {
        Some(stored) => StreamHead::decode(stored.value()),
        None => Ok(StreamHead::EMPTY),
    }
}

fn sequence(row: &[u8], stream_bytes: usize) -> Result<u64, StoreError> {
    let sequence = row.get(stream_bytes..).and_then(rooms::number).map(|(sequence, _)| sequence);
    sequence.ok_or_else(|| StoreError::Corrupt("an entry without its sequence".into()))
}

pub(super) fn entry(sequence: u64, row: &[u8]) -> Result<Entry, StoreError> {
    let (link, value) =
        row.split_first_chunk::<32>().ok_or_else(|| StoreError::Corrupt("an entry".into()))?;
    Ok(Entry { sequence, link: *link, value: value.to_vec() })
}
