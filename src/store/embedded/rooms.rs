//! Where in the file a key's rows lie, and what they look like.
//!
//! A commit writes every page on the way from a tree's root to each leaf that it changes, so what costs is how many leaves it
//! touches, far apart from each other, and how deep their trees are. So what lasts, what a session needs, and what is gone after
//! minutes have trees of their own: the last ones stay small whatever the first hold. A set's time lies beside its members.
//! Rows are found by bytes that begin with what tells them apart: redb's branches keep no more of them than that.
use redb::{ReadOnlyTable, ReadTransaction, Table, TableDefinition};

use super::tables::unavailable;
use crate::store::{Key, Kind, StoreError};

pub(super) type Rows<'t> = Table<'t, &'static [u8], &'static [u8]>;
pub(super) type ReadRows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// Comes after a set's key in the row that says when it goes: 8 bytes, milliseconds since the epoch.
const TIME: u8 = 0;
/// Comes after a set's key and before a member. The row has no value.
const MEMBER: u8 = 1;

/// A tree of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Records, tallies, and values that expire after days or never.
    Records,
    Sessions,
    /// One-time marks, and requests that wait for their answer: minutes.
    Passing,
    /// Members of sets that last.
    Sets,
    /// Members of the sets in which sessions are listed.
    Lists,
    /// A time in 8 bytes, then a key that is looked at by then.
    Expiries,
    /// The same for what is in `Passing`.
    PassingExpiries,
    /// A stream's key, a sequence in 8 bytes, to the link and the value.
    Entries,
    /// A stream's key to its head.
    Heads,
    /// How many members each numbered set has, in 8 bytes; no row for none.
    Counts,
}

impl Room {
    pub const COUNT: usize = Self::ALL.len();
    pub const ALL: [Self; 10] = [
        Self::Records,
        Self::Sessions,
        Self::Passing,
        Self::Sets,
        Self::Lists,
        Self::Expiries,
        Self::PassingExpiries,
        Self::Entries,
        Self::Heads,
        Self::Counts,
    ];
    /// Those with a value behind each key.
    pub const VALUES: [Self; 3] = [Self::Records, Self::Sessions, Self::Passing];
    pub const MEMBERS: [Self; 2] = [Self::Sets, Self::Lists];

    /// Where a key's value lies, or its members.
    pub fn of(key: &Key) -> Self {
        match (key.kind(), key) {
            (Kind::Set, Key::SubjectSessions(..) | Key::PersonSessions(..)) => Self::Lists,
            (Kind::Set, _) => Self::Sets,
            (Kind::Stream, _) => Self::Entries,
            (_, Key::Session(..)) => Self::Sessions,
            (_, Key::UsedAssertion(..) | Key::PendingSignIn(..)) => Self::Passing,
            (_, Key::LoggedOut(..) | Key::PendingLogout(..)) => Self::Passing,
            _ => Self::Records,
        }
    }

    /// Where the times stand at which to look at what lies here.
    pub fn expiries(self) -> Self {
        match self {
            Self::Passing => Self::PassingExpiries,
            _ => Self::Expiries,
        }
    }

    pub fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(match self {
            Self::Records => "records",
            Self::Sessions => "sessions",
            Self::Passing => "passing",
            Self::Sets => "members",
            Self::Lists => "session lists",
            Self::Expiries => "times",
            Self::PassingExpiries => "passing times",
            Self::Entries => "stream entries",
            Self::Heads => "stream heads",
            Self::Counts => "member counts",
        })
    }

    pub fn read(self, at: &ReadTransaction) -> Result<ReadRows, StoreError> {
        at.open_table(self.definition()).map_err(unavailable)
    }
}

/// The row that says when a set goes.
pub(super) fn time_row(set: &[u8]) -> Vec<u8> {
    [set, &[TIME]].concat()
}

pub(super) fn member_row(set: &[u8], member: &[u8]) -> Vec<u8> {
    [set, &[MEMBER], member].concat()
}

/// Comes after all rows of a set's members.
pub(super) fn members_end(set: &[u8]) -> Vec<u8> {
    [set, &[MEMBER + 1]].concat()
}

/// The member of a row of a set whose key is so long.
pub(super) fn member_of(row: &[u8], set_bytes: usize) -> Vec<u8> {
    row.get(set_bytes + 1..).unwrap_or_default().to_vec()
}

/// What a set's row says, from what comes after the set's key.
pub(super) enum SetRow<'r> {
    Time,
    Member(&'r [u8]),
}

pub(super) fn set_row(rest: &[u8]) -> Option<SetRow<'_>> {
    match rest {
        [TIME] => Some(SetRow::Time),
        [MEMBER, member @ ..] => Some(SetRow::Member(member)),
        _ => None,
    }
}

/// A number at the front of a key or in a value: in the order of the numbers.
pub(super) fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (u64::from_be_bytes(*number), rest))
}

pub(super) fn expiry_row(millis: u64, key: &[u8]) -> Vec<u8> {
    [&millis.to_be_bytes(), key].concat()
}

pub(super) fn entry_row(stream: &[u8], sequence: u64) -> Vec<u8> {
    [stream, &sequence.to_be_bytes()].concat()
}
