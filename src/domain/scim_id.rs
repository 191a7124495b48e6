//! Ids of SCIM resources.
use std::fmt;

use super::{hex_digits, parse_hex};

/// A SCIM user or group: 122 random bits, written as a lower-case UUID of version 4. Never reused, and never derived from what
/// a client said (V-07): an `externalId`, a NameID or another id that looks alike is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScimId([u8; 16]);

/// Where the hyphens of a UUID stand (RFC 9562 4).
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const TEXT_BYTES: usize = 36;

impl ScimId {
    /// Six of the bits say that the rest is random (RFC 9562 5.4).
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// As the store has it.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads what [`fmt::Display`] writes and nothing else: ids are compared with regard to case (RFC 7643 3.1).
    pub fn parse(text: &str) -> Option<Self> {
        let is_placed = |(at, byte): (usize, u8)| HYPHENS.contains(&at) == (byte == b'-');
        if text.len() != TEXT_BYTES || !text.bytes().enumerate().all(is_placed) {
            return None;
        }
        parse_hex(&text.replace('-', "")).map(Self)
    }
}

/// Every link and every key of a SCIM resource is made of it, so nothing is formatted byte by byte.
impl fmt::Display for ScimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'-'; TEXT_BYTES];
        let digits = self.0.iter().copied().flat_map(hex_digits);
        let places = text.iter_mut().enumerate().filter(|(at, _)| !HYPHENS.contains(at));
        for ((_, place), digit) in places.zip(digits) {
            *place = digit;
        }
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for ScimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v_07_only_what_we_wrote_is_an_id() {
        let id = ScimId::from_random([0xff; 16]);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(ScimId::parse(&id.to_string()), Some(id));
        assert_eq!(ScimId::from_bytes(*id.as_bytes()), id);
        for other in [
            "",
            "1",
            "FFFFFFFF-FFFF-4FFF-BFFF-FFFFFFFFFFFF",
            "ffffffffffff4fffbfffffffffffffff",
            "fffffffff-fff-4fff-bfff-ffffffffffff",
            "-fffffff-ffff-4fff-bfff-ffffffffffff",
            "ffffffff-ffff-4fff-bfff-fffffffffff\u{e9}",
            "{ffffffff-ffff-4fff-bfff-ffffffffff}",
        ] {
            assert_eq!(ScimId::parse(other), None, "{other}");
        }
    }
}
