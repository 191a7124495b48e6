//! A store that seals every value that it writes, and opens only what was sealed for that very key.
//!
//! Who can write to Redis, and does not have our key, can make no session, person, organization, invitation or IdP metadata
//! that counts. A seal does not tell a new value from an old one of the same key: who can write can also put back what once was
//! there. Sets and streams are not sealed: sets are indexes, which open nothing, and streams are chained.
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{
    BoxFuture, Commit, Committed, Entry, Key, Kind, Notes, Op, Piece, Reply, Store, StoreError, StreamHead,
    Timestamp, Versioned, Whole, Write, rules,
    stream::Link,
    whole::{Next, Visit},
};

/// A key that is shorter could be guessed.
pub const SECRET_BYTES_MIN: usize = 32;
/// The one in use and the one before it.
pub const KEYS_MAX: usize = 2;

/// Leads a sealed value. No record begins with it, so without a key what is sealed is unreadable, not trusted.
const MARK: u8 = 1;
const MAC_BYTES: usize = 32;
const SEAL_BYTES: usize = 1 + MAC_BYTES;
const _: () = assert!(SEAL_BYTES <= rules::SEAL_BYTES_MAX);
/// RFC 2104: the block of SHA-256.
const BLOCK_BYTES: usize = 64;
/// Led by the version of the form, so that no other use of the key makes the same MAC.
const PURPOSE: &[u8] = b"portcullis record 1";

/// A key of the gateways. A secret: never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey([u8; BLOCK_BYTES]);

impl SealKey {
    /// `None` if the secret is shorter than [`SECRET_BYTES_MIN`].
    pub fn new(secret: &[u8]) -> Option<Self> {
        if secret.len() < SECRET_BYTES_MIN {
            return None;
        }
        let digest = Sha256::digest(secret);
        let short: &[u8] = if secret.len() > BLOCK_BYTES { &digest } else { secret };
        let mut block = [0; BLOCK_BYTES];
        block.iter_mut().zip(short).for_each(|(to, from)| *to = *from);
        Some(Self(block))
    }

    /// HMAC (RFC 2104) over the parts as they follow each other.
    fn mac(&self, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
        let mut inner = Sha256::new();
        inner.update(self.0.map(|byte| byte ^ 0x36));
        parts.iter().for_each(|part| inner.update(part));
        let mut outer = Sha256::new();
        outer.update(self.0.map(|byte| byte ^ 0x5c));
        outer.update(inner.finalize());
        outer.finalize().into()
    }

    /// Over the purpose, the key's text with its length, and the value. The text holds the tenant's id.
    fn seal(&self, key: &Key, value: &[u8]) -> [u8; MAC_BYTES] {
        let text = key.text();
        let length = (text.len() as u64).to_be_bytes();
        self.mac(&[PURPOSE, &length, text.as_bytes(), value])
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// See the module's documentation.
pub struct Sealed {
    inner: Arc<dyn Whole>,
    /// The first seals, all open.
    keys: Vec<SealKey>,
}

impl Sealed {
    /// Seals with the first key, and opens what any of them sealed. Without a key it opens nothing and writes nothing.
    pub fn new(inner: Arc<dyn Whole>, keys: Vec<SealKey>) -> Self {
        Self { inner, keys }
    }

    fn seal(&self, key: &Key, value: &mut Vec<u8>) -> Result<(), StoreError> {
        if is_sealed(key) {
            let own = self.keys.first().ok_or(StoreError::Misuse("a value is sealed without a key"))?;
            let mac = own.seal(key, value);
            value.splice(..0, [&[MARK][..], &mac].concat());
        }
        Ok(())
    }

    /// What was sealed, if it was.
    fn unseal<'v>(&self, key: &Key, stored: &'v [u8]) -> Option<&'v [u8]> {
        if !is_sealed(key) {
            return Some(stored);
        }
        let (mac, value) = stored.strip_prefix(&[MARK])?.split_first_chunk::<MAC_BYTES>()?;
        self.keys.iter().any(|own| is_same(&own.seal(key, value), mac)).then_some(value)
    }

    fn open(&self, key: &Key, mut stored: Versioned) -> Result<Option<Versioned>, StoreError> {
        if self.unseal(key, &stored.value).is_some() {
            if is_sealed(key) {
                stored.value.drain(..SEAL_BYTES);
            }
            return Ok(Some(stored));
        }
        let text = key.text();
        tracing::error!(key = text, "a value of the store is not sealed by our key: somebody else wrote it");
        if counts_as_absent(key) { Ok(None) } else { Err(StoreError::Forged(text)) }
    }
}

/// A mark says nothing but that it is there; a tally is counted by the server.
fn is_sealed(key: &Key) -> bool {
    !matches!(key, Key::UsedAssertion(_)) && key.kind() != Kind::Tally
}

/// What is lost without harm to anything but convenience: people sign in again, documents are fetched again. Where absence
/// would open something, or a new record would be written over an old one, the refusal is an error.
fn counts_as_absent(key: &Key) -> bool {
    matches!(
        key,
        Key::Session(_)
            | Key::PendingSignIn(_)
            | Key::PendingLogout(_)
            | Key::AccessToken(_)
            | Key::IdpMetadata(_)
            | Key::Mail(..)
    )
}

/// In a time that does not depend on where they differ.
fn is_same(one: &[u8; MAC_BYTES], other: &[u8; MAC_BYTES]) -> bool {
    let differs = one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other));
    std::hint::black_box(differs) == 0
}

impl Store for Sealed {
    fn batch(&self, now: Timestamp, mut ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        Box::pin(async move {
            let mut read = Vec::with_capacity(ops.len());
            for op in &mut ops {
                read.push(match op {
                    Op::Get(key) | Op::Take(key) => Some(*key),
                    Op::PutOnce { key, value, .. }
                    | Op::Put { key, value, .. }
                    | Op::Replace { key, value, .. } => {
                        self.seal(key, value)?;
                        None
                    }
                    _ => None,
                });
            }
            let mut replies = self.inner.batch(now, ops).await?;
            for (reply, key) in replies.iter_mut().zip(read) {
                if let (Reply::Value(found), Some(key)) = (reply, key) {
                    *found = found.take().map(|stored| self.open(&key, stored)).transpose()?.flatten();
                }
            }
            Ok(replies)
        })
    }

    fn commit(&self, mut change: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        Box::pin(async move {
            for write in &mut change.writes {
                if let Write::Put(key, value) = write {
                    self.seal(key, value)?;
                }
            }
            self.inner.commit(change).await
        })
    }

    fn members(
        &self,
        set: Key,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        self.inner.members(set, after, limit)
    }

    fn page(&self, set: Key, offset: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        self.inner.page(set, offset, limit)
    }

    fn count(&self, set: Key) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.inner.count(set)
    }

    fn entries(
        &self,
        stream: Key,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        self.inner.entries(stream, after, limit)
    }

    fn stream_head(&self, stream: Key) -> BoxFuture<'_, Result<StreamHead, StoreError>> {
        self.inner.stream_head(stream)
    }

    fn notes(&self) -> Notes {
        self.inner.notes()
    }

    fn is_listening(&self) -> bool {
        self.inner.is_listening()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.ready()
    }
}

/// An export is without seals, and an import seals anew: so a store moves to another key, or to none.
impl Whole for Sealed {
    fn walk<'a>(&'a self, now: Timestamp, visit: &'a mut Visit<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut opened = |piece: Piece| visit(self.opened(piece));
            self.inner.walk(now, &mut opened).await
        })
    }

    fn restore<'a>(
        &'a self,
        now: Timestamp,
        import: Link,
        next: &'a mut Next<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut sealed = || {
                let Some(mut piece) = next()? else { return Ok(None) };
                if let Piece::Record { key, value, .. } | Piece::Expiring { key, value, .. } = &mut piece {
                    self.seal(key, value)?;
                }
                Ok(Some(piece))
            };
            self.inner.restore(now, import, &mut sealed).await
        })
    }
}

impl Sealed {
    fn opened(&self, mut piece: Piece) -> Piece {
        if let Piece::Record { key, value, .. } | Piece::Expiring { key, value, .. } = &mut piece {
            match self.unseal(key, value) {
                Some(open) => *value = open.to_vec(),
                None => return Piece::Foreign { key: key.text(), why: "is not sealed by our key" },
            }
        }
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 4231, test cases 3 (padded here: a key of 32 bytes is the shortest that is taken), 6 and 7.
    #[test]
    fn macs_are_those_of_the_rfc() {
        let long = SealKey::new(&[0xaa; 131]).unwrap();
        assert_eq!(
            hex(&long.mac(&[b"Test Using Larger Than Block-Size Key", b" - Hash Key First"])),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
        let text = b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.";
        assert_eq!(
            hex(&long.mac(&[text])),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
        );
        // A key is padded with zeros, so one of 20 bytes and one of 32 that ends in twelve zeros are the same.
        let mut padded = [0xaa; 32];
        padded[20..].fill(0);
        assert_eq!(
            hex(&SealKey::new(&padded).unwrap().mac(&[&[0xdd; 50]])),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        );
    }

    #[test]
    fn short_secrets_are_refused_and_none_is_shown() {
        assert_eq!(SealKey::new(&[7; SECRET_BYTES_MIN - 1]), None);
        assert_eq!(format!("{:?}", SealKey::new(&[7; SECRET_BYTES_MIN]).unwrap()), "SealKey(…)");
    }

    #[test]
    fn the_comparison_compares() {
        let one = [7; MAC_BYTES];
        for at in 0..MAC_BYTES {
            let mut other = one;
            other[at] ^= 0x80;
            assert!(is_same(&one, &one) && !is_same(&one, &other));
        }
    }
}
