//! A key's bytes in the embedded store: half as long as its text, and what tells keys apart comes first, so that redb's branches
//! keep a few bytes of each and a tree is less deep.
use super::{Kind, key::Key};
use crate::domain::{ScimId, hex};

/// Ends the sort of key; none has it in it.
const SORT_END: u8 = b':';
/// How long what follows the sort may be: an id or a digest, and perhaps an enterprise's id.
const IDS_BYTES: [usize; 3] = [16, 32, 48];
const ENTERPRISE_BYTES: usize = 16;

impl Key {
    /// `kind:`, the id's bytes, the tag's bytes. Keys of one sort have one length, so none begins with another.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let (kind, tag, id) = self.parts();
        [kind.as_bytes(), &[SORT_END], id, tag].concat()
    }

    /// The key of bytes that [`Key::bytes`] wrote; `None` for all others.
    pub(super) fn parse_bytes(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == SORT_END)?;
        let (kind, ids) = (std::str::from_utf8(bytes.get(..end)?).ok()?, bytes.get(end + 1..)?);
        let (id, tag) = ids.split_at(ids.len().saturating_sub(ENTERPRISE_BYTES));
        let text = |tag: &[u8], id: &str| Self::parse(&format!("pc:{{{}}}:{kind}{id}", hex(tag)));
        let scim = || Some(ScimId::from_bytes(id.try_into().ok()?).to_string());
        let key = text(ids, "")
            .or_else(|| text(tag, &format!(":{}", hex(id))))
            .or_else(|| scim().and_then(|id| text(tag, &format!(":{id}"))));
        // One spelling for each key.
        key.filter(|key| key.bytes() == bytes)
    }

    /// The key of this kind that the bytes begin with, and what comes after it.
    pub(super) fn split_bytes(bytes: &[u8], kind: Kind) -> Option<(Self, &[u8])> {
        let end = bytes.iter().position(|byte| *byte == SORT_END)?;
        IDS_BYTES.iter().find_map(|ids| {
            let (key, rest) = bytes.split_at_checked(end + 1 + ids)?;
            Some((Self::parse_bytes(key).filter(|key| key.kind() == kind)?, rest))
        })
    }
}
