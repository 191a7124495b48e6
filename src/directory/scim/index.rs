//! Under which names and in which sets users and groups are found: what `integrity` compares with what is there.
use std::collections::BTreeSet;

use super::lookup::{
    email_key, external_id_key, group_external_id_key, group_name_key, resource, user_name_key,
};
use crate::{
    domain::{EnterpriseId, ScimGroup, ScimUser},
    scim::{Resource, ResourceType},
    store::{Key, StoreError},
};
/// Records that hold the id, and sets that have it as a member.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::directory) struct Found {
    pub names: BTreeSet<Key>,
    pub sets: BTreeSet<Key>,
}

pub(in crate::directory) fn of_user(e: EnterpriseId, user: &ScimUser) -> Result<Found, StoreError> {
    Ok(user_keys(e, user, &resource(ResourceType::User, &user.attributes)?))
}

pub(in crate::directory) fn of_group(e: EnterpriseId, group: &ScimGroup) -> Result<Found, StoreError> {
    Ok(group_keys(e, &resource(ResourceType::Group, &group.attributes)?))
}

/// The records that say whose a name and a person are, and the sets of addresses and of `externalId`s.
pub(super) fn user_keys(e: EnterpriseId, user: &ScimUser, resource: &Resource) -> Found {
    let external = resource.external_id().map(|value| external_id_key(e, value));
    let emails = resource.emails().map(|email| email_key(e, email.value));
    Found {
        names: [user_name_key(e, resource.user_name()), Key::ScimLink(e, user.link)].into(),
        sets: external.into_iter().chain(emails).collect(),
    }
}

pub(super) fn group_keys(e: EnterpriseId, resource: &Resource) -> Found {
    Found {
        names: [group_name_key(e, resource.display_name().unwrap_or_default())].into(),
        sets: resource.external_id().map(|value| group_external_id_key(e, value)).into_iter().collect(),
    }
}
