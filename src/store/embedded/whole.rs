//! The whole file, walked as it is at one moment, or filled in one transaction.
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::{
    streams::{self, ENTRIES, HEADS},
    tables::{SETS, Tables, VALUES, unavailable},
};
use crate::store::{
    Key, Kind, StoreError, StreamHead,
    envelope::{self, Head},
    whole::{MEMBERS_PER_PIECE_MAX, Next, Piece, Visit, not_empty},
};

pub(super) fn walk(database: &Database, visit: &mut Visit<'_>) -> Result<(), StoreError> {
    let at = database.begin_read().map_err(unavailable)?;
    let mut times = vec![];
    for row in at.open_table(VALUES).map_err(unavailable)?.iter().map_err(unavailable)? {
        let (key, stored) = row.map_err(unavailable)?;
        match value(key.value(), stored.value()) {
            // Redis tells a set when to go only once it is there.
            time @ Piece::Until { .. } => times.push(time),
            piece => visit(piece)?,
        }
    }
    walk_sets(&at, visit)?;
    times.into_iter().try_for_each(&mut *visit)?;
    for row in at.open_table(HEADS).map_err(unavailable)?.iter().map_err(unavailable)? {
        let (key, stored) = row.map_err(unavailable)?;
        let head = StreamHead::decode(stored.value());
        visit(match (stream(key.value()), head) {
            (Some(key), Ok(head)) => Piece::Head { key, head },
            _ => foreign(key.value(), "is no stream's head"),
        })?;
    }
    for row in at.open_table(ENTRIES).map_err(unavailable)?.iter().map_err(unavailable)? {
        let (key, stored) = row.map_err(unavailable)?;
        let (text, sequence) = key.value();
        visit(match (stream(text), streams::entry(sequence, stored.value())) {
            (Some(key), Ok(entry)) => Piece::Entry { key, entry },
            _ => foreign(text, "is no entry of a stream"),
        })?;
    }
    Ok(())
}

/// Everything or nothing: an error lets the transaction go.
pub(super) fn restore(database: &Database, next: &mut Next<'_>) -> Result<(), StoreError> {
    let mut transaction = database.begin_write().map_err(unavailable)?;
    transaction.set_durability(Durability::Immediate).map_err(unavailable)?;
    let is_empty = {
        let values = transaction.open_table(VALUES).map_err(unavailable)?;
        let sets = transaction.open_table(SETS).map_err(unavailable)?;
        let heads = transaction.open_table(HEADS).map_err(unavailable)?;
        [values.len(), sets.len(), heads.len()].into_iter().try_fold(0, |sum, len| len.map(|len| sum + len))
    };
    if is_empty.map_err(unavailable)? != 0 {
        return Err(not_empty());
    }
    let mut tables = Tables::open(&transaction)?;
    while let Some(piece) = next()? {
        tables.restore(piece)?;
    }
    drop(tables);
    transaction.commit().map_err(unavailable)
}

fn walk_sets(at: &ReadTransaction, visit: &mut Visit<'_>) -> Result<(), StoreError> {
    let mut pending: Option<(String, Vec<Vec<u8>>)> = None;
    for row in at.open_table(SETS).map_err(unavailable)?.iter().map_err(unavailable)? {
        let (key, _) = row.map_err(unavailable)?;
        let (text, member) = key.value();
        match &mut pending {
            Some((set, members)) if set == text && members.len() < MEMBERS_PER_PIECE_MAX => {
                members.push(member.to_vec());
            }
            _ => {
                pending
                    .replace((text.to_owned(), vec![member.to_vec()]))
                    .map_or(Ok(()), |set| visit(members(set)))?;
            }
        }
    }
    pending.map_or(Ok(()), |set| visit(members(set)))
}

fn members((text, members): (String, Vec<Vec<u8>>)) -> Piece {
    match Key::parse(&text).filter(|key| key.kind() == Kind::Set) {
        Some(key) => Piece::Members { key, members },
        None => foreign(&text, "is no set of ours"),
    }
}

fn value(text: &str, stored: &[u8]) -> Piece {
    let Some(key) = Key::parse(text) else { return foreign(text, "is no key of ours") };
    let body = stored.get(envelope::HEAD_BYTES..).unwrap_or_default().to_vec();
    match (key.kind(), envelope::head(stored)) {
        (Kind::Record, Ok(Head::Record(revision))) => Piece::Record { key, revision, value: body },
        (Kind::Expiring, Ok(Head::Expires(at))) => {
            Piece::Expiring { key, expires_at: envelope::at(at), value: body }
        }
        (Kind::Tally, Ok(Head::Tally(_))) => match envelope::read_tally(stored) {
            Ok((count, latest)) => Piece::Tally { key, count, latest: envelope::at(latest) },
            Err(_) => foreign(text, "has a value of another kind than its key"),
        },
        (Kind::Set, Ok(Head::Expires(at))) => Piece::Until { key, at: envelope::at(at) },
        _ => foreign(text, "has a value of another kind than its key"),
    }
}

fn stream(text: &str) -> Option<Key> {
    Key::parse(text).filter(|key| key.kind() == Kind::Stream)
}

fn foreign(text: &str, why: &'static str) -> Piece {
    Piece::Foreign { key: text.to_owned(), why }
}

impl Tables<'_> {
    fn restore(&mut self, piece: Piece) -> Result<(), StoreError> {
        match piece {
            Piece::Record { key, revision, value } => {
                self.put(&key.text(), &envelope::record(revision, &value))
            }
            Piece::Expiring { key, expires_at, value } => self.put_expiring(&key.text(), &value, expires_at),
            Piece::Tally { key, count, latest } => {
                self.put(&key.text(), &envelope::tally(count, envelope::millis(latest)))
            }
            Piece::Until { key, at } => self.put_expiring(&key.text(), &[], at),
            Piece::Members { key, members } => {
                members.iter().try_for_each(|member| self.insert(&key, member))
            }
            Piece::Head { key, head } => self.streams.write_head(&key.text(), &head),
            Piece::Entry { key, entry } => self.streams.write_entry(&key.text(), &entry),
            Piece::Foreign { .. } => Err(StoreError::Misuse("what is not ours is not restored")),
        }
    }
}
