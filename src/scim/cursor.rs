//! Cursors (RFC 9865): a place in a list that only this server can have written, for one client and one query (V-19).
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::{
    error::{Reason, ScimError},
    limits::{CURSOR_POSITION_BYTES_MAX, CURSOR_SECONDS_MAX},
};
use crate::domain::Timestamp;

/// What cursors are authenticated with; all gateways of an installation have the same.
#[derive(Clone)]
pub struct CursorKey([u8; 32]);

/// What a cursor is good for. Whoever presents it with another client or another query has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The tenant, the base and what of it is listed.
    pub endpoint: &'a [u8],
    /// The token that asked.
    pub token: &'a [u8],
    /// Everything else of the query but for its cursor, in one form: see [`query_hash`].
    pub query: [u8; 32],
}

const LAYOUT: u8 = 1;
const HEAD_BYTES: usize = 9;
const MAC_BYTES: usize = 32;
const TEXT_BYTES_MAX: usize = (HEAD_BYTES + CURSOR_POSITION_BYTES_MAX + MAC_BYTES).div_ceil(3) * 4;

impl CursorKey {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Writes a cursor for `position`, of up to 64 bytes, that ends an hour from `now`. Letters, digits, `-` and `_` only.
    pub fn seal(&self, binding: &Binding<'_>, position: &[u8], now: Timestamp) -> String {
        let ends = now.as_second().saturating_add(CURSOR_SECONDS_MAX);
        let mut bytes = vec![LAYOUT];
        bytes.extend(ends.to_be_bytes());
        bytes.extend(position);
        let mac = self.mac(binding, &bytes);
        bytes.extend(mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position of a cursor that [`Self::seal`] wrote for this binding (RFC 9865 2.3).
    pub fn open(&self, binding: &Binding<'_>, cursor: &str, now: Timestamp) -> Result<Vec<u8>, ScimError> {
        let invalid = || Reason::CursorInvalid.bare();
        if cursor.len() > TEXT_BYTES_MAX {
            return Err(invalid());
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
        let (said, mac) = bytes.split_last_chunk::<MAC_BYTES>().ok_or_else(invalid)?;
        if !is_equal(mac, &self.mac(binding, said)) {
            return Err(invalid());
        }
        let (head, position) = said.split_first_chunk::<HEAD_BYTES>().ok_or_else(invalid)?;
        let [LAYOUT, ends @ ..] = *head else { return Err(invalid()) };
        if i64::from_be_bytes(ends) <= now.as_second() {
            return Err(Reason::CursorExpired.bare());
        }
        Ok(position.to_vec())
    }

    /// Each part is led by its length, so that no two lists of parts are one message.
    fn mac(&self, binding: &Binding<'_>, said: &[u8]) -> [u8; MAC_BYTES] {
        let mut message = Vec::new();
        for part in [b"scim cursor", binding.endpoint, binding.token, &binding.query, said] {
            message.extend((part.len() as u64).to_be_bytes());
            message.extend(part);
        }
        hmac(&self.0, &message)
    }
}

/// One value for all ways to say the same query: names and values in any order, each told apart by its length.
pub fn query_hash<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> [u8; 32] {
    let mut sorted: Vec<_> = parameters.into_iter().collect();
    sorted.sort_unstable();
    let parts: Vec<&[u8]> =
        sorted.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]).collect();
    crate::domain::digest(&parts)
}

/// RFC 2104 with SHA-256.
fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; MAC_BYTES] {
    const BLOCK_BYTES: usize = 64;
    let keyed = |pad: u8| {
        let mut block = [pad; BLOCK_BYTES];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        Sha256::new_with_prefix(block)
    };
    let inner = keyed(0x36).chain_update(message).finalize();
    keyed(0x5c).chain_update(inner).finalize().into()
}

/// In a time that does not depend on where they differ.
fn is_equal(one: &[u8; MAC_BYTES], other: &[u8; MAC_BYTES]) -> bool {
    one.iter().zip(other).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn binding() -> Binding<'static> {
        Binding {
            endpoint: b"acme",
            token: b"token",
            query: query_hash([("filter", "active eq true"), ("count", "5")]),
        }
    }

    #[test]
    fn v_19_a_cursor_is_of_one_query_of_one_client() {
        let key = CursorKey::from_bytes([7; 32]);
        let cursor = key.seal(&binding(), b"position", at(1_000));
        assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{cursor}");
        assert_eq!(key.open(&binding(), &cursor, at(1_000)), Ok(b"position".to_vec()));

        let code = |key: &CursorKey, binding: &Binding<'_>, cursor: &str, now| {
            key.open(binding, cursor, now).err().map(|error| error.code)
        };
        let invalid = Some("scim_cursor_invalid");
        let query = query_hash([("filter", "active eq false"), ("count", "5")]);
        for other in [
            Binding { endpoint: b"other", ..binding() },
            Binding { token: b"other", ..binding() },
            Binding { query, ..binding() },
            Binding { endpoint: b"acmet", token: b"oken", ..binding() },
        ] {
            assert_eq!(code(&key, &other, &cursor, at(1_000)), invalid, "{other:?}");
        }
        assert_eq!(code(&CursorKey::from_bytes([8; 32]), &binding(), &cursor, at(1_000)), invalid);
        for index in 0..cursor.len() {
            let mut forged = cursor.clone().into_bytes();
            forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(code(&key, &binding(), &forged, at(1_000)), invalid, "{index}");
        }
        for other in ["", "AAAA", "!", &cursor[1..], &"A".repeat(TEXT_BYTES_MAX + 4)] {
            assert_eq!(code(&key, &binding(), other, at(1_000)), invalid, "{other}");
        }
        let last = at(1_000 + CURSOR_SECONDS_MAX - 1);
        assert_eq!(code(&key, &binding(), &cursor, last), None);
        assert_eq!(
            code(&key, &binding(), &cursor, at(1_000 + CURSOR_SECONDS_MAX)),
            Some("scim_cursor_expired")
        );
    }

    #[test]
    fn queries_are_told_apart_and_not_by_order() {
        let hash = |pairs: &[(&str, &str)]| query_hash(pairs.iter().copied());
        assert_eq!(hash(&[("a", "1"), ("b", "2")]), hash(&[("b", "2"), ("a", "1")]));
        assert_ne!(hash(&[("a", "12")]), hash(&[("a1", "2")]));
        assert_ne!(hash(&[("a", "1"), ("b", "2")]), hash(&[("a", "2"), ("b", "1")]));
    }

    /// RFC 4231 4.2 and 4.3; zeros at the end of a key change nothing.
    #[test]
    fn the_code_is_that_of_the_rfc() {
        let mac = |key: &[u8], message: &[u8]| {
            let mut filled = [0; 32];
            filled[..key.len()].copy_from_slice(key);
            crate::domain::hex(&hmac(&filled, message))
        };
        assert_eq!(
            mac(&[0x0b; 20], b"Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            mac(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
