//! Places in the lists of users and of groups: when somebody was created, and the id.
use crate::{
    domain::{ScimId, Timestamp},
    store::{StoreError, records},
};

pub const SCIM_PLACE_BYTES: usize = 24;

/// A place in the order of creation, which is that of the bytes. It stays one when whoever had it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScimPlace([u8; SCIM_PLACE_BYTES]);

impl ScimPlace {
    pub fn of(created_at: Timestamp, id: ScimId) -> Self {
        let mut bytes = [0; SCIM_PLACE_BYTES];
        let member = records::encode_scim_created(created_at, id);
        bytes.iter_mut().zip(member).for_each(|(byte, of)| *byte = of);
        Self(bytes)
    }

    pub fn from_bytes(bytes: [u8; SCIM_PLACE_BYTES]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; SCIM_PLACE_BYTES] {
        &self.0
    }

    /// A member of the sets in which users and groups are listed.
    pub(super) fn read(member: &[u8]) -> Result<Self, StoreError> {
        let bytes = member.try_into();
        bytes.map(Self).map_err(|_| StoreError::Corrupt("a place in a list of SCIM resources".into()))
    }

    pub(super) fn id(&self) -> Result<ScimId, StoreError> {
        records::decode_scim_created(&self.0)
    }
}
