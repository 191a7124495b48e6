//! Streams: entries in the order in which they were appended, each linked to all that came before it.
//!
//! The store numbers the entries 1, 2, 3, … without gaps and chains them, so that whoever keeps one link knows later
//! whether anything up to there was changed, left out or put in. The head remembers where the stream ends and what was
//! trimmed off its beginning, so that the chain can be followed from the first entry that is left.
use sha2::{Digest, Sha256};

use super::StoreError;

/// A SHA-256.
pub type Link = [u8; 32];

/// What comes before the first entry.
pub const LINK_0: Link = [0; 32];

/// One appended value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Counts from 1.
    pub sequence: u64,
    /// See [`link`].
    pub link: Link,
    pub value: Vec<u8>,
}

/// How far a stream goes. One that was never appended to goes from 1 to 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamHead {
    /// The sequence of the first entry that is kept; one more than `last` if none is.
    pub first: u64,
    /// The sequence of the last entry that was appended, or 0.
    pub last: u64,
    /// The link of the entry before `first`, which was trimmed, or [`LINK_0`].
    pub link_before_first: Link,
    /// The link of the last entry, or [`LINK_0`].
    pub link: Link,
}

/// The link of an entry: SHA-256 of the link before it, its sequence as 8 bytes big endian, and the SHA-256 of its value.
pub fn link(before: &Link, sequence: u64, value: &[u8]) -> Link {
    link_of_digest(before, sequence, &digest(value))
}

pub(super) fn digest(value: &[u8]) -> [u8; 32] {
    Sha256::digest(value).into()
}

/// [`link`], of a value by its SHA-256.
pub(super) fn link_of_digest(before: &Link, sequence: u64, digest: &[u8; 32]) -> Link {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(sequence.to_be_bytes());
    hash.update(digest);
    hash.finalize().into()
}

/// `s`, the last sequence in 16 digits, its link, the last trimmed sequence in 16 digits, its link.
const HEAD_BYTES: usize = 1 + 2 * (DIGITS + 32);
const DIGITS: usize = 16;
/// Lua counts in 64-bit floating point, and 16 digits hold no more.
const SEQUENCE_MAX: u64 = (1 << 53) - 1;

impl StreamHead {
    pub(super) const EMPTY: Self = Self { first: 1, last: 0, link_before_first: LINK_0, link: LINK_0 };

    /// The head after one more entry.
    pub(super) fn appended(self, value: &[u8]) -> Self {
        let last = (self.last + 1).min(SEQUENCE_MAX);
        Self { last, link: link(&self.link, last, value), ..self }
    }

    /// As it lies in the store. Decimal digits, because Redis' scripts read them.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut encoded = head_begin(self.last, &self.link);
        encoded.extend_from_slice(format!("{:016}", self.first.saturating_sub(1)).as_bytes());
        encoded.extend_from_slice(&self.link_before_first);
        encoded
    }

    pub(super) fn decode(stored: &[u8]) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt("a stream's head".into());
        let [b's', rest @ ..] = stored else { return Err(corrupt()) };
        let (last, rest) = numbered(rest).ok_or_else(corrupt)?;
        let (trimmed, rest) = numbered(rest).ok_or_else(corrupt)?;
        if !rest.is_empty() || stored.len() != HEAD_BYTES || trimmed.0 > last.0 {
            return Err(corrupt());
        }
        Ok(Self { first: trimmed.0 + 1, last: last.0, link_before_first: trimmed.1, link: last.1 })
    }
}

/// How a head begins whose last entry is this one.
pub(super) fn head_begin(last: u64, link: &Link) -> Vec<u8> {
    let mut begin = format!("s{last:016}").into_bytes();
    begin.extend_from_slice(link);
    begin
}

/// Splits a number and the link that follows it off.
fn numbered(bytes: &[u8]) -> Option<((u64, Link), &[u8])> {
    let (digits, rest) = bytes.split_at_checked(DIGITS)?;
    let (link, rest) = rest.split_first_chunk::<32>()?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    digits.iter().all(u8::is_ascii_digit).then_some(((number, *link), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_survives_the_store() {
        let mut head = StreamHead::EMPTY;
        assert_eq!(StreamHead::decode(&head.encode()).unwrap(), head);
        for value in [&b"a"[..], b"", &[0xff; 9]] {
            head = head.appended(value);
            assert_eq!(StreamHead::decode(&head.encode()).unwrap(), head);
        }
        head = StreamHead { first: 4, link_before_first: head.link, ..head };
        assert_eq!(StreamHead::decode(&head.encode()).unwrap(), head);
        assert_eq!(head.encode().len(), HEAD_BYTES);
    }

    #[test]
    fn other_bytes_are_no_head() {
        let good = StreamHead::EMPTY.appended(b"x").encode();
        let mut trimmed_ahead = good.clone();
        trimmed_ahead[1 + DIGITS + 32 + DIGITS - 1] = b'2';
        let mut no_digit = good.clone();
        no_digit[1] = b'+';
        let longer = [&good[..], b"x"].concat();
        for bytes in [&b""[..], &good[1..], &good[..HEAD_BYTES - 1], &trimmed_ahead, &no_digit, &longer] {
            assert!(matches!(StreamHead::decode(bytes), Err(StoreError::Corrupt(_))), "{bytes:?}");
        }
    }

    #[test]
    fn every_part_counts_for_the_link() {
        let one = link(&LINK_0, 1, b"a");
        for other in [link(&[1; 32], 1, b"a"), link(&LINK_0, 2, b"a"), link(&LINK_0, 1, b"b")] {
            assert_ne!(one, other);
        }
    }
}
