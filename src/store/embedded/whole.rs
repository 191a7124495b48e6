//! The whole file, walked as it is at one moment, or filled in one transaction.
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::{
    rooms::{self, Room, SetRow},
    streams,
    tables::{Tables, unavailable},
};
use crate::store::{
    Key, Kind, StoreError, StreamHead,
    envelope::{self, Head},
    whole::{MEMBERS_PER_PIECE_MAX, Next, Piece, Visit, not_empty},
};

pub(super) fn walk(database: &Database, visit: &mut Visit<'_>) -> Result<(), StoreError> {
    let at = database.begin_read().map_err(unavailable)?;
    for room in Room::VALUES {
        each(&at, room, |row, stored| visit(value(row, stored)))?;
    }
    // Redis tells a set when to go only once it is there.
    let mut times = vec![];
    for room in Room::MEMBERS {
        walk_sets(&at, room, &mut times, visit)?;
    }
    times.into_iter().try_for_each(&mut *visit)?;
    each(&at, Room::Heads, |row, stored| {
        let stream = Key::parse_bytes(row).filter(|key| key.kind() == Kind::Stream);
        visit(match (stream, StreamHead::decode(stored)) {
            (Some(key), Ok(head)) => Piece::Head { key, head },
            _ => foreign(row, "is no stream's head"),
        })
    })?;
    each(&at, Room::Entries, |row, stored| {
        let read = Key::split_bytes(row, Kind::Stream)
            .and_then(|(key, rest)| Some((key, rooms::number(rest).filter(|(_, rest)| rest.is_empty())?.0)))
            .and_then(|(key, sequence)| Some((key, streams::entry(sequence, stored).ok()?)));
        visit(match read {
            Some((key, entry)) => Piece::Entry { key, entry },
            None => foreign(row, "is no entry of a stream"),
        })
    })
}

/// All rows of a room, in order.
fn each(
    at: &ReadTransaction,
    room: Room,
    mut show: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for row in room.read(at)?.iter().map_err(unavailable)? {
        let (row, stored) = row.map_err(unavailable)?;
        show(row.value(), stored.value())?;
    }
    Ok(())
}

/// Everything or nothing: an error lets the transaction go.
pub(super) fn restore(database: &Database, next: &mut Next<'_>) -> Result<(), StoreError> {
    let mut transaction = database.begin_write().map_err(unavailable)?;
    transaction.set_durability(Durability::Immediate).map_err(unavailable)?;
    let mut tables = Tables::of(&transaction);
    for room in Room::ALL {
        if !tables.room(room)?.is_empty().map_err(unavailable)? {
            return Err(not_empty());
        }
    }
    while let Some(piece) = next()? {
        tables.restore(piece)?;
    }
    drop(tables);
    transaction.commit().map_err(unavailable)
}

/// A set while its rows are read, with the members of the next piece.
struct Walked {
    key: Key,
    bytes: Vec<u8>,
    members: Vec<Vec<u8>>,
}

impl Walked {
    fn piece(&mut self) -> Piece {
        Piece::Members { key: self.key, members: std::mem::take(&mut self.members) }
    }
}

fn walk_sets(
    at: &ReadTransaction,
    room: Room,
    times: &mut Vec<Piece>,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let mut walked: Option<Walked> = None;
    each(at, room, |row, stored| {
        let is_of = |set: &Walked| row.starts_with(&set.bytes);
        if !walked.as_ref().is_some_and(is_of) {
            if let Some(mut set) = walked.take().filter(|set| !set.members.is_empty()) {
                visit(set.piece())?;
            }
            walked = Key::split_bytes(row, Kind::Set).map(|(key, _)| Walked {
                key,
                bytes: key.bytes(),
                members: vec![],
            });
        }
        let Some(set) = &mut walked else { return visit(foreign(row, "is no set of ours")) };
        match (rooms::set_row(row.get(set.bytes.len()..).unwrap_or_default()), rooms::number(stored)) {
            (Some(SetRow::Member(member)), _) => set.members.push(member.to_vec()),
            (Some(SetRow::Time), Some((at, []))) => {
                times.push(Piece::Until { key: set.key, at: envelope::at(at) });
            }
            _ => return visit(foreign(row, "is no member of a set")),
        }
        if set.members.len() < MEMBERS_PER_PIECE_MAX { Ok(()) } else { visit(set.piece()) }
    })?;
    match walked.filter(|set| !set.members.is_empty()) {
        Some(mut set) => visit(set.piece()),
        None => Ok(()),
    }
}

fn value(row: &[u8], stored: &[u8]) -> Piece {
    let Some(key) = Key::parse_bytes(row) else { return foreign(row, "is no key of ours") };
    let body = stored.get(envelope::HEAD_BYTES..).unwrap_or_default().to_vec();
    match (key.kind(), envelope::head(stored)) {
        (Kind::Record, Ok(Head::Record(revision))) => Piece::Record { key, revision, value: body },
        (Kind::Expiring, Ok(Head::Expires(at))) => {
            Piece::Expiring { key, expires_at: envelope::at(at), value: body }
        }
        (Kind::Tally, Ok(Head::Tally(_))) => match envelope::read_tally(stored) {
            Ok((count, latest)) => Piece::Tally { key, count, latest: envelope::at(latest) },
            Err(_) => foreign(row, "has a value of another kind than its key"),
        },
        _ => foreign(row, "has a value of another kind than its key"),
    }
}

fn foreign(row: &[u8], why: &'static str) -> Piece {
    Piece::Foreign { key: row.escape_ascii().to_string(), why }
}

impl Tables<'_> {
    fn restore(&mut self, piece: Piece) -> Result<(), StoreError> {
        match piece {
            Piece::Record { key, revision, value } => self.put(&key, &envelope::record(revision, &value)),
            Piece::Expiring { key, expires_at, value } => self.put_expiring(&key, &value, expires_at),
            Piece::Tally { key, count, latest } => {
                self.put(&key, &envelope::tally(count, envelope::millis(latest)))
            }
            Piece::Until { key, at } => self.expire(&key, at),
            Piece::Members { key, members } => {
                members.iter().try_for_each(|member| self.insert(&key, member))
            }
            Piece::Head { key, head } => self.write_head(&key, &head),
            Piece::Entry { key, entry } => self.restore_entry(&key, &entry),
            Piece::Foreign { .. } => Err(StoreError::Misuse("what is not ours is not restored")),
        }
    }
}
