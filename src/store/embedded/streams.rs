//! Streams in the file: one row for each entry, one for each head.
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::tables::unavailable;
use crate::store::{Entry, Key, StoreError, StreamHead};

/// A stream's text and a sequence to the link and the value.
pub(super) const ENTRIES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("entries");
/// A stream's text to its head.
pub(super) const HEADS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("heads");

/// The tables within a write transaction.
pub(super) struct Streams<'t> {
    entries: Table<'t, (&'static str, u64), &'static [u8]>,
    heads: Table<'t, &'static str, &'static [u8]>,
}

impl<'t> Streams<'t> {
    pub fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            entries: transaction.open_table(ENTRIES).map_err(unavailable)?,
            heads: transaction.open_table(HEADS).map_err(unavailable)?,
        })
    }

    pub fn head(&self, stream: &Key) -> Result<StreamHead, StoreError> {
        head_in(&self.heads, stream)
    }

    pub fn append(&mut self, stream: &Key, value: &[u8]) -> Result<(), StoreError> {
        let head = self.head(stream)?.appended(value);
        let text = stream.text();
        let row = [&head.link, value].concat();
        self.entries.insert((text.as_str(), head.last), row.as_slice()).map_err(unavailable)?;
        self.write_head(&text, &head)
    }

    /// Answers whether anything was forgotten.
    pub fn trim(&mut self, stream: &Key, upto: u64) -> Result<bool, StoreError> {
        let head = self.head(stream)?;
        let upto = upto.min(head.last);
        if upto < head.first {
            return Ok(false);
        }
        let text = stream.text();
        let last = self.entries.get((text.as_str(), upto)).map_err(unavailable)?;
        let last = last.ok_or_else(|| StoreError::Corrupt("a stream lacks an entry".into()))?;
        let link_before_first = entry(upto, last.value())?.link;
        drop(last);
        let forgotten = (text.as_str(), head.first)..=(text.as_str(), upto);
        self.entries.retain_in(forgotten, |_, _| false).map_err(unavailable)?;
        self.write_head(&text, &StreamHead { first: upto + 1, link_before_first, ..head })?;
        Ok(true)
    }

    /// For an import.
    pub fn write_entry(&mut self, text: &str, entry: &Entry) -> Result<(), StoreError> {
        let row = [&entry.link[..], &entry.value].concat();
        self.entries.insert((text, entry.sequence), row.as_slice()).map_err(unavailable)?;
        Ok(())
    }

    pub fn write_head(&mut self, text: &str, head: &StreamHead) -> Result<(), StoreError> {
        self.heads.insert(text, head.encode().as_slice()).map_err(unavailable)?;
        Ok(())
    }
}

/// A page of a stream.
pub(super) fn entries(
    at: &ReadTransaction,
    stream: &Key,
    after: u64,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let table = at.open_table(ENTRIES).map_err(unavailable)?;
    let text = stream.text();
    let Some(first) = after.checked_add(1) else { return Ok(vec![]) };
    let rows = table.range((text.as_str(), first)..=(text.as_str(), u64::MAX)).map_err(unavailable)?;
    let mut page = Vec::new();
    for row in rows.take(limit) {
        let (key, value) = row.map_err(unavailable)?;
        page.push(entry(key.value().1, value.value())?);
    }
    Ok(page)
}

pub(super) fn head(at: &ReadTransaction, stream: &Key) -> Result<StreamHead, StoreError> {
    head_in(&at.open_table(HEADS).map_err(unavailable)?, stream)
}

fn head_in(
    heads: &impl ReadableTable<&'static str, &'static [u8]>,
    stream: &Key,
) -> Result<StreamHead, StoreError> {
    match heads.get(stream.text().as_str()).map_err(unavailable)? {
        Some(stored) => StreamHead::decode(stored.value()),
        None => Ok(StreamHead::EMPTY),
    }
}

pub(super) fn entry(sequence: u64, row: &[u8]) -> Result<Entry, StoreError> {
    let (link, value) =
        row.split_first_chunk::<32>().ok_or_else(|| StoreError::Corrupt("an entry".into()))?;
    Ok(Entry { sequence, link: *link, value: value.to_vec() })
}
