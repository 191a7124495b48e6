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

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::domain::{OrganizationSlug, PersonId};

    fn time() -> impl Strategy<Value = Timestamp> {
        (0_i64..253_402_207_200_000).prop_map(|at| Timestamp::from_millisecond(at).unwrap())
    }

    fn id() -> impl Strategy<Value = ScimId> {
        any::<[u8; 16]>().prop_map(ScimId::from_bytes)
    }

    fn slug() -> impl Strategy<Value = Option<OrganizationSlug>> {
        option::of("[a-z0-9]{1,39}".prop_map(|text| OrganizationSlug::parse(&text).unwrap()))
    }

    fn user() -> impl Strategy<Value = ScimUser> {
        (id(), any::<String>(), any::<bool>(), any::<[u8; 16]>(), time(), time(), any::<u64>()).prop_map(
            |(id, attributes, active, link, created_at, modified_at, version)| ScimUser {
                id,
                attributes,
                active,
                link: PersonId::from_bytes(link),
                created_at,
                modified_at,
                version,
            },
        )
    }

    fn group() -> impl Strategy<Value = ScimGroup> {
        (id(), any::<String>(), slug(), time(), time(), any::<u64>()).prop_map(
            |(id, attributes, organization, created_at, modified_at, version)| ScimGroup {
                id,
                attributes,
                organization,
                created_at,
                modified_at,
                version,
            },
        )
    }

    fn job() -> impl Strategy<Value = Option<ScimGroupJob>> {
        let lists = (vec(id(), 0..50), vec(id(), 0..50));
        option::of((lists, any::<bool>(), any::<String>(), time()).prop_map(
            |((adds, removes), deletes, request_id, since)| ScimGroupJob {
                adds,
                removes,
                deletes,
                request_id,
                since,
            },
        ))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(user in user(), group in group(), job in job(), in_groups in vec((id(), slug()), 0..9)) {
            prop_assert_eq!(&decode_scim_user(user.id, &encode_scim_user(&user)).unwrap(), &user);
            prop_assert_eq!(&decode_scim_group(group.id, &encode_scim_group(&group)).unwrap(), &group);
            prop_assert_eq!(&decode_scim_group_job(&encode_scim_group_job(job.as_ref())).unwrap(), &job);
            let in_groups: Vec<ScimMembership> =
                in_groups.into_iter().map(|(group, organization)| ScimMembership { group, organization }).collect();
            prop_assert_eq!(&decode_scim_user_groups(&encode_scim_user_groups(&in_groups)).unwrap(), &in_groups);
            let listed = encode_scim_created(user.created_at, user.id);
            prop_assert_eq!(decode_scim_created(&listed).unwrap(), user.id);
            let earlier = encode_scim_created(group.created_at, group.id);
            let is_earlier = (group.created_at, group.id) < (user.created_at, user.id);
            prop_assert_eq!(earlier < listed, is_earlier);
        }

        #[test]
        fn arbitrary_bytes_are_refused(bytes in vec(any::<u8>(), 1..200)) {
            let id = ScimId::from_bytes([0; 16]);
            prop_assert!(decode_scim_user(id, &bytes).is_err());
            prop_assert!(decode_scim_group(id, &bytes).is_err());
            prop_assert!(decode_scim_user_groups(&bytes).is_err());
            prop_assert!(decode_scim_group_job(&bytes).is_err());
            prop_assert_eq!(decode_scim_id(&bytes).is_ok(), bytes.len() == 16);
        }
    }

    /// A hundred thousand members fit into a value.
    #[test]
    fn the_largest_change_fits() {
        let adds: Vec<ScimId> = (0..100_000_u32)
            .map(|n| ScimId::from_bytes([n.to_be_bytes(); 4].concat().try_into().unwrap()))
            .collect();
        let job = ScimGroupJob {
            adds,
            removes: vec![],
            deletes: false,
            request_id: "x".repeat(64),
            since: Timestamp::UNIX_EPOCH,
        };
        assert!(encode_scim_group_job(Some(&job)).len() < crate::store::VALUE_BYTES_MAX);
    }
}
