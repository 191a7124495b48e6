//! A store that seals every value that it writes, and opens only what was sealed for that very key.
//!
//! Who can write to Redis, and does not have our key, can make no session, person, organization, invitation or IdP metadata
//! that counts. A seal does not tell a new value from an old one of the same key: who can write can also put back what once was
//! there. Sets and streams are not sealed: sets are indexes, which open nothing, and streams are chained.
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

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
/// Led by the version of the form, so that no other use of the key makes the same MAC.
const PURPOSE: &[u8] = b"portcullis record 1";

/// A key of the gateways. A secret: never shown.
#[derive(Clone)]
pub struct SealKey(Hmac<Sha256>);

impl SealKey {
    /// `None` if the secret is shorter than [`SECRET_BYTES_MIN`].
    pub fn new(secret: &[u8]) -> Option<Self> {
        let long_enough = secret.len() >= SECRET_BYTES_MIN;
        Hmac::new_from_slice(secret).ok().filter(|_| long_enough).map(Self)
    }

    /// Over the purpose, the key's text with its length, and the value. The text holds the tenant's id.
    fn mac(&self, key: &Key, value: &[u8]) -> Hmac<Sha256> {
        let (mut mac, text) = (self.0.clone(), key.text());
        mac.update(PURPOSE);
        mac.update(&(text.len() as u64).to_be_bytes());
        mac.update(text.as_bytes());
        mac.update(value);
        mac
    }
}

/// Two that seal alike.
impl PartialEq for SealKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.clone().finalize() == other.0.clone().finalize()
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
            let mac = own.mac(key, value).finalize().into_bytes();
            drop(value.splice(..0, std::iter::once(MARK).chain(mac)));
        }
        Ok(())
    }

    /// What was sealed, if it was.
    fn unseal<'v>(&self, key: &Key, stored: &'v [u8]) -> Option<&'v [u8]> {
        if !is_sealed(key) {
            return Some(stored);
        }
        let (mac, value) = stored.strip_prefix(&[MARK])?.split_first_chunk::<MAC_BYTES>()?;
        self.keys.iter().any(|own| own.mac(key, value).verify_slice(mac).is_ok()).then_some(value)
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

impl Store for Sealed {
    fn batch(&self, now: Timestamp, mut ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, StoreError>> {
        Box::pin(async move {
            let mut read = Vec::with_capacity(ops.len());
            for op in &mut ops {
                read.push(match op {
                    Op::Get(key) | Op::Peek(key) | Op::Take(key) => Some(*key),
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

    /// The form of a seal is part of what lies in stores: this one was computed by another program.
    #[test]
    fn a_seal_is_what_it_always_was() {
        let own = SealKey::new(&[7; SECRET_BYTES_MIN]).unwrap();
        let mac = own.mac(&Key::UsedAssertion([1; 32]), b"{}").finalize().into_bytes();
        assert_eq!(
            crate::domain::hex(&mac),
            "43d3454162e8d40469bd15c8ff8435eca3156553e6ad70809b322d0acde7a175"
        );
    }

    #[test]
    fn short_secrets_are_refused_and_none_is_shown() {
        assert_eq!(SealKey::new(&[7; SECRET_BYTES_MIN - 1]), None);
        assert_eq!(format!("{:?}", SealKey::new(&[7; SECRET_BYTES_MIN]).unwrap()), "SealKey(…)");
    }
}
