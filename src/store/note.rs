//! Notes: what one gateway tells all others at once, so that they forget what they cached.
//!
//! Fire and forget. A note may be lost with a connection, and [`Heard::Gap`] says that one may have been: whoever hears it
//! forgets everything. A line that is dead without anybody knowing loses notes for as long as that takes to be noticed, so
//! nothing that must take effect may rest on notes alone: what is cached has a bounded age besides.
use tokio::sync::broadcast::{self, error::RecvError};

use super::StoreError;
use crate::domain::{EnterpriseId, PersonId, SessionId};

/// Notes that a receiver may fall behind before it hears of a gap instead.
pub const NOTES_QUEUED_MAX: usize = 4_096;

/// What is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Note {
    /// Whatever is known of this person.
    Person(EnterpriseId, PersonId),
    /// This session has ended.
    Session(SessionId),
    /// Organizations or settings of the enterprise.
    Enterprise(EnterpriseId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Note(Note),
    /// Notes may have been missed: everything that is cached is stale.
    Gap,
}

/// A receiver of notes. It hears those that are told after it was made.
pub struct Notes(broadcast::Receiver<Heard>);

impl Notes {
    pub(super) fn new(receiver: broadcast::Receiver<Heard>) -> Self {
        Self(receiver)
    }

    /// One that hears nothing and is over at once.
    pub fn silent() -> Self {
        Self(broadcast::Sender::new(1).subscribe())
    }

    /// Waits for the next one; `None` when the store is gone.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(heard) => Some(heard),
            Err(RecvError::Lagged(_)) => Some(Heard::Gap),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Note {
    /// A letter and the bytes of the ids.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Person(e, id) => [b"p", &e.as_bytes()[..], id.as_bytes()].concat(),
            Self::Session(id) => [b"s", &id.as_bytes()[..]].concat(),
            Self::Enterprise(e) => [b"e", &e.as_bytes()[..]].concat(),
        }
    }

    pub(super) fn decode(told: &[u8]) -> Result<Self, StoreError> {
        let note = match told {
            [b'p', ids @ ..] => ids.split_first_chunk::<16>().and_then(|(enterprise, id)| {
                let id = PersonId::from_bytes(id.try_into().ok()?);
                Some(Self::Person(EnterpriseId::from_bytes(*enterprise), id))
            }),
            [b's', id @ ..] => id.try_into().ok().map(|id| Self::Session(SessionId::from_bytes(id))),
            [b'e', id @ ..] => id.try_into().ok().map(|id| Self::Enterprise(EnterpriseId::from_bytes(id))),
            _ => None,
        };
        note.ok_or_else(|| StoreError::Corrupt("a note of another version".into()))
    }
}

impl Heard {
    /// What was told on the channel; an empty note only tries the line. One of another version may concern anything.
    pub(super) fn told(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| Note::decode(bytes).map_or(Self::Gap, Self::Note))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes() -> [Note; 3] {
        let enterprise = EnterpriseId::from_bytes([1; 16]);
        [
            Note::Person(enterprise, PersonId::from_bytes([2; 16])),
            Note::Session(SessionId::from_bytes([3; 32])),
            Note::Enterprise(enterprise),
        ]
    }

    #[test]
    fn notes_survive_the_channel() {
        for note in notes() {
            assert_eq!(Heard::told(&note.encode()), Some(Heard::Note(note)));
        }
    }

    #[test]
    fn what_is_not_understood_is_a_gap() {
        for note in notes() {
            let encoded = note.encode();
            for other in [&encoded[..encoded.len() - 1], &[&encoded[..], b"x"].concat(), &encoded[1..], b"x"]
            {
                assert_eq!(Heard::told(other), Some(Heard::Gap), "{other:?}");
            }
        }
    }

    #[test]
    fn an_empty_note_says_nothing() {
        assert_eq!(Heard::told(b""), None);
    }

    #[tokio::test]
    async fn who_falls_behind_hears_of_a_gap() {
        let (sender, receiver) = broadcast::channel(2);
        let mut notes = Notes::new(receiver);
        for _ in 0..3 {
            sender.send(Heard::Note(self::notes()[0])).unwrap();
        }
        assert_eq!(notes.next().await, Some(Heard::Gap));
        assert_eq!(notes.next().await, Some(Heard::Note(self::notes()[0])));
        drop(sender);
        assert_eq!(notes.next().await, Some(Heard::Note(self::notes()[0])));
        assert_eq!(notes.next().await, None);
    }
}
