//! SCIM users and groups.
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::{V, V1, corrupt, millis, people, time};
use crate::{
    domain::{self, ScimId},
    store::StoreError,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store::records) struct ScimUser {
    v: V1,
    doc: String,
    active: bool,
    link: String,
    created: i64,
    modified: i64,
    changes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store::records) struct ScimUserGroups {
    v: V1,
    groups: Vec<InGroup>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InGroup {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    org: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store::records) struct ScimGroup {
    v: V1,
    doc: String,
    org: Option<String>,
    created: i64,
    modified: i64,
    changes: u64,
}

/// Ids without anything between them, as base64: a hundred thousand of them fit into a value.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store::records) struct ScimGroupJob {
    v: V1,
    adds: String,
    removes: String,
    deletes: bool,
    request: String,
    since: i64,
}

impl From<&domain::ScimUser> for ScimUser {
    fn from(user: &domain::ScimUser) -> Self {
        Self {
            v: V,
            doc: user.attributes.clone(),
            active: user.active,
            link: user.link.to_string(),
            created: millis(user.created_at),
            modified: millis(user.modified_at),
            changes: user.version,
        }
    }
}

impl ScimUser {
    pub fn into_domain(self, id: ScimId) -> Result<domain::ScimUser, StoreError> {
        Ok(domain::ScimUser {
            id,
            attributes: self.doc,
            active: self.active,
            link: people::person(&self.link)?,
            created_at: time(self.created)?,
            modified_at: time(self.modified)?,
            version: self.changes,
        })
    }
}

impl From<&[domain::ScimMembership]> for ScimUserGroups {
    fn from(groups: &[domain::ScimMembership]) -> Self {
        let group = |of: &domain::ScimMembership| InGroup {
            id: of.group.to_string(),
            org: of.organization.as_ref().map(ToString::to_string),
        };
        Self { v: V, groups: groups.iter().map(group).collect() }
    }
}

impl ScimUserGroups {
    pub fn into_domain(self) -> Result<Vec<domain::ScimMembership>, StoreError> {
        let group = |of: InGroup| {
            Ok(domain::ScimMembership {
                group: ScimId::parse(&of.id).ok_or_else(|| corrupt("a group's id"))?,
                organization: of.org.as_deref().map(people::slug).transpose()?,
            })
        };
        self.groups.into_iter().map(group).collect()
    }
}

impl From<&domain::ScimGroup> for ScimGroup {
    fn from(group: &domain::ScimGroup) -> Self {
        Self {
            v: V,
            doc: group.attributes.clone(),
            org: group.organization.as_ref().map(ToString::to_string),
            created: millis(group.created_at),
            modified: millis(group.modified_at),
            changes: group.version,
        }
    }
}

impl ScimGroup {
    pub fn into_domain(self, id: ScimId) -> Result<domain::ScimGroup, StoreError> {
        Ok(domain::ScimGroup {
            id,
            attributes: self.doc,
            organization: self.org.as_deref().map(people::slug).transpose()?,
            created_at: time(self.created)?,
            modified_at: time(self.modified)?,
            version: self.changes,
        })
    }
}

impl From<&domain::ScimGroupJob> for ScimGroupJob {
    fn from(job: &domain::ScimGroupJob) -> Self {
        let together = |ids: &[ScimId]| {
            let bytes: Vec<u8> = ids.iter().flat_map(|id| *id.as_bytes()).collect();
            BASE64_STANDARD.encode(bytes)
        };
        Self {
            v: V,
            adds: together(&job.adds),
            removes: together(&job.removes),
            deletes: job.deletes,
            request: job.request_id.clone(),
            since: millis(job.since),
        }
    }
}

impl ScimGroupJob {
    pub fn into_domain(self) -> Result<domain::ScimGroupJob, StoreError> {
        Ok(domain::ScimGroupJob {
            adds: apart(&self.adds)?,
            removes: apart(&self.removes)?,
            deletes: self.deletes,
            request_id: self.request,
            since: time(self.since)?,
        })
    }
}

fn apart(text: &str) -> Result<Vec<ScimId>, StoreError> {
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| corrupt("a list of ids"))?;
    let (ids, rest) = bytes.as_chunks::<16>();
    if rest.is_empty() {
        Ok(ids.iter().map(|id| ScimId::from_bytes(*id)).collect())
    } else {
        Err(corrupt("a list of ids"))
    }
}
