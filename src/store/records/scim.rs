//! Records of SCIM users and groups, and the members of the sets beside them.
use super::{decode, encode, wire};
use crate::{
    domain::{ScimGroup, ScimGroupJob, ScimId, ScimMembership, ScimUser, Timestamp},
    store::StoreError,
};

/// For `Key::ScimUser`.
pub fn encode_scim_user(user: &ScimUser) -> Vec<u8> {
    encode(&wire::ScimUser::from(user))
}

/// `id` is that of the key.
pub fn decode_scim_user(id: ScimId, stored: &[u8]) -> Result<ScimUser, StoreError> {
    decode::<wire::ScimUser>(stored, "SCIM user")?.into_domain(id)
}

/// For `Key::ScimUserGroups`, in the order in which the user came into them.
pub fn encode_scim_user_groups(groups: &[ScimMembership]) -> Vec<u8> {
    encode(&wire::ScimUserGroups::from(groups))
}

pub fn decode_scim_user_groups(stored: &[u8]) -> Result<Vec<ScimMembership>, StoreError> {
    decode::<wire::ScimUserGroups>(stored, "list of SCIM groups")?.into_domain()
}

/// For `Key::ScimGroup`.
pub fn encode_scim_group(group: &ScimGroup) -> Vec<u8> {
    encode(&wire::ScimGroup::from(group))
}

/// `id` is that of the key.
pub fn decode_scim_group(id: ScimId, stored: &[u8]) -> Result<ScimGroup, StoreError> {
    decode::<wire::ScimGroup>(stored, "SCIM group")?.into_domain(id)
}

/// For `Key::ScimGroupJob`; `None` once it is finished. It is kept, so that its revisions go on: who read an older job notices.
pub fn encode_scim_group_job(job: Option<&ScimGroupJob>) -> Vec<u8> {
    job.map(|job| encode(&wire::ScimGroupJob::from(job))).unwrap_or_default()
}

pub fn decode_scim_group_job(stored: &[u8]) -> Result<Option<ScimGroupJob>, StoreError> {
    if stored.is_empty() {
        return Ok(None);
    }
    decode::<wire::ScimGroupJob>(stored, "change of a SCIM group")?.into_domain().map(Some)
}

/// For `Key::ScimUserName`, `Key::ScimLink` and `Key::ScimGroupName`, and a member of the sets of ids.
pub fn encode_scim_id(id: ScimId) -> Vec<u8> {
    id.as_bytes().to_vec()
}

pub fn decode_scim_id(stored: &[u8]) -> Result<ScimId, StoreError> {
    stored.try_into().map(ScimId::from_bytes).map_err(|_| StoreError::Corrupt("the id of a resource".into()))
}

/// A member of `Key::ScimUsers` and `Key::ScimGroups`. In byte order what was created earlier comes first.
pub fn encode_scim_created(created_at: Timestamp, id: ScimId) -> Vec<u8> {
    let micros = u64::try_from(created_at.as_microsecond()).unwrap_or(0);
    [&micros.to_be_bytes()[..], id.as_bytes()].concat()
}

pub fn decode_scim_created(member: &[u8]) -> Result<ScimId, StoreError> {
    decode_scim_id(member.get(8..).unwrap_or_default())
}

/// When a tally was touched last.
pub fn decode_tally(stored: &[u8]) -> Result<Timestamp, StoreError> {
    let millis = std::str::from_utf8(stored).ok().and_then(|digits| digits.parse().ok());
    let at = millis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    at.ok_or_else(|| StoreError::Corrupt("a tally without its time".into()))
}
