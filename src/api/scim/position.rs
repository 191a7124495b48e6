//! Where a page of a list begins: what a cursor holds (RFC 9865), and what `startIndex` says.
//!
//! A cursor goes on behind the resource that was shown last, by the key that the list is ordered by: whatever is deleted or
//! created meanwhile, nobody is passed over and nobody is shown twice. Only a list in an order that the client asked for goes on by
//! number, as nothing is kept in that order.
use crate::{
    directory::scim::{SCIM_PLACE_BYTES, ScimPlace},
    scim::{Reason, ResourceType, ScimError},
};

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Behind so many.
    Number(usize),
    /// Behind this one.
    Behind(Place),
}

/// A resource's place among all of a base: users first, each type in the order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    rank: u8,
    within: ScimPlace,
}

const NUMBER: u8 = b'n';
const PLACE: u8 = b'p';

impl Place {
    pub fn new(kind: ResourceType, within: ScimPlace) -> Self {
        Self { rank: rank(kind), within }
    }

    /// Among the resources of one type; `None` where it is one of another.
    pub fn within(&self, kind: ResourceType) -> Option<ScimPlace> {
        (self.rank == rank(kind)).then_some(self.within)
    }
}

impl Position {
    /// As it stands in a cursor.
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Number(number) => [&[NUMBER][..], &(number as u64).to_be_bytes()].concat(),
            Self::Behind(Place { rank, within }) => [&[PLACE, rank][..], within.as_bytes()].concat(),
        }
    }

    /// What [`Self::to_bytes`] gave. An older version wrote something else, and its cursors are none any more.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ScimError> {
        let invalid = || Reason::CursorInvalid.bare();
        match bytes {
            [NUMBER, number @ ..] => {
                let number = u64::from_be_bytes(number.try_into().map_err(|_| invalid())?);
                Ok(Self::Number(usize::try_from(number).map_err(|_| invalid())?))
            }
            [PLACE, rank, within @ ..] => {
                let within = <[u8; SCIM_PLACE_BYTES]>::try_from(within).map_err(|_| invalid())?;
                Ok(Self::Behind(Place { rank: *rank, within: ScimPlace::from_bytes(within) }))
            }
            _ => Err(invalid()),
        }
    }

    /// Which of a list's resources the page begins with, counted from 0.
    pub fn index(&self, places: impl Iterator<Item = Place>) -> usize {
        match self {
            Self::Number(number) => *number,
            Self::Behind(last) => places.take_while(|place| place <= last).count(),
        }
    }
}

fn rank(kind: ResourceType) -> u8 {
    match kind {
        ResourceType::User => 0,
        ResourceType::Group => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{ScimId, Timestamp},
        scim::limits::CURSOR_POSITION_BYTES_MAX,
    };

    fn place(kind: ResourceType, second: i64, id: u8) -> Place {
        let at = Timestamp::from_second(second).unwrap();
        Place::new(kind, ScimPlace::of(at, ScimId::from_bytes([id; 16])))
    }

    #[test]
    fn positions_survive_a_cursor() {
        for position in [
            Position::Number(0),
            Position::Number(usize::MAX),
            Position::Behind(place(ResourceType::User, 7, 1)),
            Position::Behind(place(ResourceType::Group, 7, 1)),
        ] {
            let bytes = position.to_bytes();
            assert!(bytes.len() <= CURSOR_POSITION_BYTES_MAX);
            assert_eq!(Position::from_bytes(&bytes).unwrap(), position);
        }
        for bytes in [&b""[..], b"n", b"n1234567", b"p", &[PLACE; 25], &[PLACE; 27], &[0; 8]] {
            assert!(Position::from_bytes(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_page_begins_behind_the_last_one_whoever_is_gone() {
        use ResourceType::{Group, User};
        let all = [place(User, 1, 5), place(User, 1, 7), place(User, 2, 1), place(Group, 1, 1)];
        let index = |last| Position::Behind(last).index(all.into_iter());
        assert_eq!((index(all[0]), index(all[2]), index(all[3])), (1, 3, 4));
        assert_eq!(index(place(User, 1, 6)), 1, "who was deleted");
        assert_eq!(index(place(User, 0, 1)), 0);
        assert_eq!(Position::Number(2).index(all.into_iter()), 2);
    }
}
