//! A whole store as a text: JSON, one object on a line.
//!
//! First a line with the version, then one for each piece, last one with the count of lines and the SHA-256 of every octet before
//! it. Nothing of a text is believed before its last line was found to be right.
use std::io::{self, BufRead, Write};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Entry, Key, Kind, Piece, StreamHead, stream::Link};
use crate::domain::{Timestamp, hex, parse_hex};

const VERSION: u32 = 1;
/// One line: a value of the largest size, escaped.
const LINE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Why a text is no export.
#[derive(Debug, thiserror::Error)]
pub enum DumpFault {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("line {0} is longer than any that is written")]
    TooLong(u64),
    #[error("it does not begin as an export of this version does")]
    Header,
    #[error("line {line} is no piece of a store: {why}")]
    Piece { line: u64, why: &'static str },
    #[error("it breaks off: the last line is missing")]
    Truncated,
    #[error("something stands behind the last line")]
    Trailing,
    #[error("its count or its SHA-256 is not what its last line says")]
    Checksum,
}

/// What stands in a text that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Without the first and the last line.
    pub pieces: u64,
    /// Of every octet before the last line: names the export.
    pub sha256: Link,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    portcullis_export: u32,
    made: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    pieces: u64,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Record { key: String, revision: u64, value: Octets },
    Expiring { key: String, expires: i64, value: Octets },
    Tally { key: String, count: u64, latest: i64 },
    Members { key: String, members: Vec<String> },
    Until { key: String, at: i64 },
    Stream { key: String, first: u64, last: u64, link_before_first: String, link: String },
    Entry { key: String, sequence: u64, link: String, value: Octets },
}

/// As text where it is text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Octets {
    Text(String),
    Base64 { base64: String },
}

/// Writes a text.
pub struct Writer<W> {
    to: W,
    hash: Sha256,
    pieces: u64,
}

impl<W: Write> Writer<W> {
    pub fn begin(to: W, made: Timestamp) -> io::Result<Self> {
        let mut writer = Self { to, hash: Sha256::new(), pieces: 0 };
        writer.line(&Header { portcullis_export: VERSION, made: made.to_string() })?;
        Ok(writer)
    }

    /// Fails with `InvalidData` for what is not ours.
    pub fn piece(&mut self, piece: &Piece) -> io::Result<()> {
        let line = Line::of(piece).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        self.pieces += 1;
        self.line(&line)
    }

    /// Writes the last line and gives the sink back.
    pub fn end(mut self) -> io::Result<(W, Summary)> {
        let summary = Summary { pieces: self.pieces, sha256: self.hash.finalize_reset().into() };
        self.line(&Trailer { pieces: summary.pieces, sha256: hex(&summary.sha256) })?;
        self.to.flush()?;
        Ok((self.to, summary))
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.hash.update(&text);
        self.to.write_all(&text)
    }
}

/// Reads a text piece by piece; [`Reader::next`] answers `None` only after a last line that is right.
pub struct Reader<R> {
    from: R,
    hash: Sha256,
    lines: u64,
    pieces: u64,
    ended: Option<Summary>,
}

impl<R: BufRead> Reader<R> {
    pub fn begin(from: R) -> Result<Self, DumpFault> {
        let mut reader = Self { from, hash: Sha256::new(), lines: 0, pieces: 0, ended: None };
        let first = reader.line()?.ok_or(DumpFault::Truncated)?;
        let header: Header = serde_json::from_slice(&first).map_err(|_| DumpFault::Header)?;
        if header.portcullis_export != VERSION {
            return Err(DumpFault::Header);
        }
        reader.hash.update(&first);
        Ok(reader)
    }

    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Piece>, DumpFault> {
        if self.ended.is_some() {
            return Ok(None);
        }
        let text = self.line()?.ok_or(DumpFault::Truncated)?;
        if let Ok(trailer) = serde_json::from_slice::<Trailer>(&text) {
            let summary = Summary { pieces: self.pieces, sha256: self.hash.clone().finalize().into() };
            if trailer.pieces != summary.pieces || parse_hex(&trailer.sha256) != Some(summary.sha256) {
                return Err(DumpFault::Checksum);
            }
            if self.line()?.is_some() {
                return Err(DumpFault::Trailing);
            }
            self.ended = Some(summary);
            return Ok(None);
        }
        self.hash.update(&text);
        self.pieces += 1;
        let fault = |why| DumpFault::Piece { line: self.lines, why };
        let line: Line = serde_json::from_slice(&text).map_err(|_| fault("it is not understood"))?;
        line.into_piece().map(Some).map_err(fault)
    }

    /// Reads to the end.
    pub fn verify(mut self) -> Result<Summary, DumpFault> {
        while self.next()?.is_some() {}
        self.ended.ok_or(DumpFault::Truncated)
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, DumpFault> {
        let mut text = vec![];
        let limit = LINE_BYTES_MAX + 1;
        io::Read::take(&mut self.from, limit).read_until(b'\n', &mut text)?;
        self.lines += 1;
        match text.last() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(text)),
            Some(_) if text.len() as u64 == limit => Err(DumpFault::TooLong(self.lines)),
            Some(_) => Err(DumpFault::Truncated),
        }
    }
}

impl Line {
    fn of(piece: &Piece) -> Option<Self> {
        Some(match piece {
            Piece::Record { key, revision, value } => {
                Self::Record { key: key.text(), revision: *revision, value: Octets::of(value) }
            }
            Piece::Expiring { key, expires_at, value } => Self::Expiring {
                key: key.text(),
                expires: expires_at.as_millisecond(),
                value: Octets::of(value),
            },
            Piece::Tally { key, count, latest } => {
                Self::Tally { key: key.text(), count: *count, latest: latest.as_millisecond() }
            }
            Piece::Members { key, members } => Self::Members {
                key: key.text(),
                members: members.iter().map(|member| BASE64_STANDARD.encode(member)).collect(),
            },
            Piece::Until { key, at } => Self::Until { key: key.text(), at: at.as_millisecond() },
            Piece::Head { key, head } => Self::Stream {
                key: key.text(),
                first: head.first,
                last: head.last,
                link_before_first: hex(&head.link_before_first),
                link: hex(&head.link),
            },
            Piece::Entry { key, entry } => Self::Entry {
                key: key.text(),
                sequence: entry.sequence,
                link: hex(&entry.link),
                value: Octets::of(&entry.value),
            },
            Piece::Foreign { .. } => return None,
        })
    }

    fn into_piece(self) -> Result<Piece, &'static str> {
        Ok(match self {
            Self::Record { key, revision, value } => {
                Piece::Record { key: known(&key, Kind::Record)?, revision, value: value.into_bytes()? }
            }
            Self::Expiring { key, expires, value } => {
                let (key, value) = (known(&key, Kind::Expiring)?, value.into_bytes()?);
                Piece::Expiring { key, expires_at: time(expires)?, value }
            }
            Self::Tally { key, count, latest } => {
                Piece::Tally { key: known(&key, Kind::Tally)?, count, latest: time(latest)? }
            }
            Self::Members { key, members } => {
                let member = |text: String| BASE64_STANDARD.decode(text).map_err(|_| "a member is no base64");
                let members = members.into_iter().map(member).collect::<Result<_, _>>()?;
                Piece::Members { key: known(&key, Kind::Set)?, members }
            }
            Self::Until { key, at } => Piece::Until { key: known(&key, Kind::Set)?, at: time(at)? },
            Self::Stream { key, first, last, link_before_first, link } => {
                let head = StreamHead {
                    first,
                    last,
                    link_before_first: parse_hex(&link_before_first).ok_or("a link is none")?,
                    link: parse_hex(&link).ok_or("a link is none")?,
                };
                Piece::Head { key: known(&key, Kind::Stream)?, head }
            }
            Self::Entry { key, sequence, link, value } => {
                let link = parse_hex(&link).ok_or("a link is none")?;
                let entry = Entry { sequence, link, value: value.into_bytes()? };
                Piece::Entry { key: known(&key, Kind::Stream)?, entry }
            }
        })
    }
}

impl Octets {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64 { base64: BASE64_STANDARD.encode(bytes) },
        }
    }

    fn into_bytes(self) -> Result<Vec<u8>, &'static str> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Base64 { base64 } => BASE64_STANDARD.decode(base64).map_err(|_| "a value is no base64"),
        }
    }
}

fn known(text: &str, kind: Kind) -> Result<Key, &'static str> {
    let key = Key::parse(text).ok_or("its key is none of ours")?;
    if key.kind() == kind { Ok(key) } else { Err("its key is of another kind") }
}

fn time(millis: i64) -> Result<Timestamp, &'static str> {
    Timestamp::from_millisecond(millis).map_err(|_| "a point in time is none")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EnterpriseId, PersonId, ScimId, SessionId};

    fn pieces() -> Vec<Piece> {
        let e = EnterpriseId::from_bytes([1; 16]);
        let at = Timestamp::from_millisecond(1_234_567).unwrap();
        let head = StreamHead { first: 2, last: 2, link_before_first: [1; 32], link: [2; 32] };
        let entry = Entry { sequence: 2, link: [2; 32], value: b"{\"a\":1}".to_vec() };
        vec![
            Piece::Record {
                key: Key::Person(e, PersonId::from_bytes([2; 16])),
                revision: 7,
                value: b"{}".to_vec(),
            },
            Piece::Expiring {
                key: Key::Session(SessionId::from_bytes([3; 32])),
                expires_at: at,
                value: vec![0xff, 0],
            },
            Piece::Tally { key: Key::ScimGroupState(e, ScimId::from_bytes([4; 16])), count: 3, latest: at },
            Piece::Members { key: Key::People(e), members: vec![vec![2; 16], vec![]] },
            Piece::Until { key: Key::People(e), at },
            Piece::Head { key: Key::Audit(e), head },
            Piece::Entry { key: Key::Audit(e), entry },
        ]
    }

    fn text() -> Vec<u8> {
        let mut writer = Writer::begin(vec![], Timestamp::UNIX_EPOCH).unwrap();
        pieces().iter().for_each(|piece| writer.piece(piece).unwrap());
        writer.end().unwrap().0
    }

    fn verify(text: &[u8]) -> Result<Summary, DumpFault> {
        Reader::begin(text)?.verify()
    }

    #[test]
    fn what_is_written_is_read() {
        let text = text();
        let mut reader = Reader::begin(&text[..]).unwrap();
        for piece in pieces() {
            assert_eq!(reader.next().unwrap(), Some(piece));
        }
        assert_eq!(reader.next().unwrap(), None);
        assert_eq!(verify(&text).unwrap().pieces, 7);
    }

    #[test]
    fn what_is_not_ours_is_not_written() {
        let mut writer = Writer::begin(vec![], Timestamp::UNIX_EPOCH).unwrap();
        assert!(writer.piece(&Piece::Foreign { key: "pc:x".into(), why: "" }).is_err());
    }

    #[test]
    fn a_text_that_was_touched_is_refused() {
        let text = text();
        let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
        for (at, byte) in text.iter().enumerate() {
            let mut changed = text.clone();
            changed[at] = byte ^ 1;
            assert!(verify(&changed).is_err(), "byte {at}");
        }
        for left_out in 0..lines.len() {
            let rest = lines.iter().enumerate().filter(|(n, _)| *n != left_out);
            assert!(
                verify(&rest.map(|(_, line)| *line).collect::<Vec<_>>().concat()).is_err(),
                "line {left_out}"
            );
        }
        assert!(matches!(verify(&text[..text.len() - 1]), Err(DumpFault::Truncated)));
        assert!(matches!(verify(&[&text[..], b"x\n"].concat()), Err(DumpFault::Trailing)));
        assert!(matches!(verify(b""), Err(DumpFault::Truncated)));
        assert!(matches!(verify(b"{}\n"), Err(DumpFault::Header)));
    }
}
