//! Users and groups, read: one by one, by index, page by page in the order of creation, and through everything within bounds.
use std::time::{Duration, Instant};

use super::{
    GroupLookup, SCAN_MILLIS_MAX, SCAN_RECORDS_MAX, ScimCall, ScimFault, ScimFrom, ScimGroupView, ScimPage,
    ScimPlace, ScimUserView, UserLookup,
};
use crate::{
    directory::{Directory, unexpected_reply},
    domain::{
        EnterpriseId, OrganizationSlug, ScimGroup, ScimGroupJob, ScimId, ScimMembership, ScimUser, Timestamp,
        digest, fold_case,
    },
    scim::{Resource, ResourceType, Version},
    store::{Key, MEMBERS_PER_PAGE_MAX, Op, Reply, Revision, StoreError, Versioned, records},
};

use super::{meaning::Subject, members::Known};

/// Users of an index that are shown: more have one address or one `externalId` by mistake only, and groups are paged.
const FOUND_MAX: usize = 1_000;
/// Records that a scan reads in one step.
const SCAN_PAGE_RECORDS: usize = 256;

/// A user's records as they were read.
#[derive(Debug, Clone)]
pub(super) struct UserRecords {
    pub user: ScimUser,
    pub resource: Resource,
    pub revision: Revision,
    pub groups: Vec<ScimMembership>,
    pub groups_revision: Revision,
}

impl UserRecords {
    pub fn subject(&self) -> Subject<'_> {
        Subject { user: &self.user, resource: &self.resource }
    }

    pub fn is_in(&self, group: ScimId) -> bool {
        self.groups.iter().any(|of| of.group == group)
    }

    /// Whether another group than this one stands for the organization too (A6).
    pub fn is_in_another(&self, group: ScimId, organization: &OrganizationSlug) -> bool {
        self.groups.iter().any(|of| of.group != group && of.organization.as_ref() == Some(organization))
    }

    pub fn version(&self) -> Version {
        Version::of_counts(self.user.version, self.groups_revision)
    }
}

/// A group's records as they were read. Once it is deleted, only what is left to do may be there.
#[derive(Debug, Clone)]
pub(super) struct GroupRecords {
    pub id: ScimId,
    pub group: Option<(ScimGroup, Resource)>,
    pub revision: Revision,
    /// How often its members changed, and when last.
    pub touched: (u64, Option<Timestamp>),
    pub job: Option<ScimGroupJob>,
    pub job_revision: Revision,
    /// Whether a change was decided by all members, or by a version that counts them (RFC 7644 3.14), and not only by those whom
    /// it names: then it does not commute with another one.
    pub rests_on_members: bool,
}

impl GroupRecords {
    pub fn view(&self) -> Option<ScimGroupView> {
        let (group, resource) = self.group.clone()?;
        let (count, latest) = self.touched;
        Some(ScimGroupView {
            modified_at: latest.map_or(group.modified_at, |latest| latest.max(group.modified_at)),
            version: Version::of_counts(group.version, count),
            group,
            resource,
        })
    }

    /// What must not have changed when a change of the group is committed.
    pub fn expect(&self, enterprise: EnterpriseId) -> Vec<(Key, Revision)> {
        let mut expected = vec![
            (Key::ScimGroup(enterprise, self.id), self.revision),
            (Key::ScimGroupJob(enterprise, self.id), self.job_revision),
        ];
        if self.rests_on_members {
            expected.push((Key::ScimGroupState(enterprise, self.id), self.touched.0));
        }
        expected
    }
}

impl Directory {
    pub async fn scim_user(&self, call: &ScimCall<'_>, id: ScimId) -> Result<ScimUserView, ScimFault> {
        let found = self.user_records(call, &[id]).await?;
        let mut views = self.user_views(call, found.into_iter().flatten().collect()).await?;
        views.pop().ok_or(ScimFault::NotFound)
    }

    pub async fn scim_group(&self, call: &ScimCall<'_>, id: ScimId) -> Result<ScimGroupView, ScimFault> {
        let found = self.group_records(call, &[id]).await?.pop();
        found.and_then(|records| records.view()).ok_or(ScimFault::NotFound)
    }

    /// Up to `limit` (1 to 10,000) members of a group that come after `after` in the order of their ids.
    pub async fn scim_group_members(
        &self,
        call: &ScimCall<'_>,
        id: ScimId,
        after: Option<ScimId>,
        limit: usize,
    ) -> Result<Vec<ScimId>, StoreError> {
        let set = Key::ScimGroupMembers(call.enterprise.id, id);
        let page = self.store.members(set, after.map(|id| id.as_bytes().to_vec()), limit).await?;
        page.iter().map(|member| records::decode_scim_id(member)).collect()
    }

    pub async fn scim_group_size(&self, call: &ScimCall<'_>, id: ScimId) -> Result<u64, StoreError> {
        self.store.count(Key::ScimGroupMembers(call.enterprise.id, id)).await
    }

    /// Up to `limit` (0 to 1,000) users from there on, in the order in which they were created.
    pub async fn scim_users_page(
        &self,
        call: &ScimCall<'_>,
        from: ScimFrom,
        limit: usize,
    ) -> Result<ScimPage<ScimUserView>, StoreError> {
        let set = Key::ScimUsers(call.enterprise.id);
        let (total, ids, next) = self.listed_page(set, from, limit).await?;
        let found = self.user_records(call, &ids).await?;
        let resources = self.user_views(call, found.into_iter().flatten().collect()).await?;
        Ok(ScimPage { total, resources, next })
    }

    /// The same of groups.
    pub async fn scim_groups_page(
        &self,
        call: &ScimCall<'_>,
        from: ScimFrom,
        limit: usize,
    ) -> Result<ScimPage<ScimGroupView>, StoreError> {
        let set = Key::ScimGroups(call.enterprise.id);
        let (total, ids, next) = self.listed_page(set, from, limit).await?;
        let found = self.group_records(call, &ids).await?;
        let resources = found.iter().filter_map(GroupRecords::view).collect();
        Ok(ScimPage { total, resources, next })
    }

    /// What an index finds, in the order of ids; a folded text folded again is the same. A look-up that brings too much is
    /// refused.
    pub async fn find_scim_users(
        &self,
        call: &ScimCall<'_>,
        lookup: UserLookup<'_>,
    ) -> Result<Vec<ScimUserView>, ScimFault> {
        let e = call.enterprise.id;
        let ids = match lookup {
            UserLookup::Id(id) => vec![id],
            UserLookup::UserName(name) => self.named(call, user_name_key(e, name)).await?,
            UserLookup::ExternalId(value) => self.indexed(external_id_key(e, value)).await?,
            UserLookup::Email(value) => self.indexed(email_key(e, value)).await?,
            UserLookup::Group(group) => self.indexed(Key::ScimGroupMembers(e, group)).await?,
        };
        let found = self.user_records(call, &ids).await?;
        Ok(self.user_views(call, found.into_iter().flatten().collect()).await?)
    }

    /// The same of groups.
    pub async fn find_scim_groups(
        &self,
        call: &ScimCall<'_>,
        lookup: GroupLookup<'_>,
    ) -> Result<Vec<ScimGroupView>, ScimFault> {
        let e = call.enterprise.id;
        let ids = match lookup {
            GroupLookup::Id(id) => vec![id],
            GroupLookup::DisplayName(name) => self.named(call, group_name_key(e, name)).await?,
            GroupLookup::ExternalId(value) => self.indexed(group_external_id_key(e, value)).await?,
            GroupLookup::Member(user) => {
                let found = self.user_records(call, &[user]).await?;
                found.into_iter().flatten().flat_map(|user| user.groups).map(|of| of.group).collect()
            }
        };
        Ok(self.group_records(call, &ids).await?.iter().filter_map(GroupRecords::view).collect())
    }

    /// Whether a user is in a group, by the user's own record.
    pub async fn is_scim_member(
        &self,
        call: &ScimCall<'_>,
        group: ScimId,
        user: ScimId,
    ) -> Result<bool, StoreError> {
        let found = self.user_records(call, &[user]).await?;
        Ok(found.into_iter().flatten().any(|user| user.is_in(group)))
    }

    /// All users that match, in the order of creation. Looks at [`SCAN_RECORDS_MAX`] records, or for [`SCAN_MILLIS_MAX`], and
    /// then gives up.
    pub async fn scan_scim_users(
        &self,
        call: &ScimCall<'_>,
        matches: impl Fn(&ScimUserView) -> bool,
    ) -> Result<Vec<ScimUserView>, ScimFault> {
        let set = Key::ScimUsers(call.enterprise.id);
        let (mut found, mut scan) = (vec![], Scan::begin(self.store.count(set).await?)?);
        while let Some(offset) = scan.next()? {
            let ids = self.listed(set, offset, SCAN_PAGE_RECORDS).await?;
            let page = self.user_records(call, &ids).await?;
            let views = self.user_views(call, page.into_iter().flatten().collect()).await?;
            found.extend(views.into_iter().filter(&matches));
        }
        Ok(found)
    }

    /// The same of groups.
    pub async fn scan_scim_groups(
        &self,
        call: &ScimCall<'_>,
        matches: impl Fn(&ScimGroupView) -> bool,
    ) -> Result<Vec<ScimGroupView>, ScimFault> {
        let set = Key::ScimGroups(call.enterprise.id);
        let (mut found, mut scan) = (vec![], Scan::begin(self.store.count(set).await?)?);
        while let Some(offset) = scan.next()? {
            let ids = self.listed(set, offset, SCAN_PAGE_RECORDS).await?;
            let page = self.group_records(call, &ids).await?;
            found.extend(page.iter().filter_map(GroupRecords::view).filter(&matches));
        }
        Ok(found)
    }

    /// The users' records, in the order of the ids; `None` for who is not there.
    pub(super) async fn user_records(
        &self,
        call: &ScimCall<'_>,
        ids: &[ScimId],
    ) -> Result<Vec<Option<UserRecords>>, StoreError> {
        let e = call.enterprise.id;
        let gets = ids.iter().flat_map(|id| [Key::ScimUser(e, *id), Key::ScimUserGroups(e, *id)]);
        let mut stored = self.stored(call.now, gets.collect()).await?.into_iter();
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let (user, groups) = (stored.next().flatten(), stored.next().flatten());
            found.push(user.map(|user| user_records(*id, &user, groups.as_ref())).transpose()?);
        }
        Ok(found)
    }

    /// A group's records and those of users, in one round trip.
    pub(super) async fn group_and_users(
        &self,
        call: &ScimCall<'_>,
        id: ScimId,
        users: &[ScimId],
    ) -> Result<(GroupRecords, Known), StoreError> {
        let e = call.enterprise.id;
        let of_users = users.iter().flat_map(|id| [Key::ScimUser(e, *id), Key::ScimUserGroups(e, *id)]);
        let keys = group_keys(e, id).into_iter().chain(of_users).collect();
        let mut stored = self.stored(call.now, keys).await?.into_iter();
        let mut next = || stored.next().flatten();
        let group = group_records(id, [next(), next(), next()])?;
        let mut known = Known::new();
        for id in users {
            let (user, groups) = (next(), next());
            known.insert(*id, user.map(|user| user_records(*id, &user, groups.as_ref())).transpose()?);
        }
        Ok((group, known))
    }

    /// The groups' records, in the order of the ids.
    pub(super) async fn group_records(
        &self,
        call: &ScimCall<'_>,
        ids: &[ScimId],
    ) -> Result<Vec<GroupRecords>, StoreError> {
        let e = call.enterprise.id;
        let keys = ids.iter().flat_map(|id| group_keys(e, *id)).collect();
        let mut stored = self.stored(call.now, keys).await?.into_iter();
        let mut next = || stored.next().flatten();
        ids.iter().map(|id| group_records(*id, [next(), next(), next()])).collect()
    }

    /// With the names of the groups that the users are in; groups that are about to go are gone.
    pub(super) async fn user_views(
        &self,
        call: &ScimCall<'_>,
        users: Vec<UserRecords>,
    ) -> Result<Vec<ScimUserView>, StoreError> {
        let mut ids: Vec<ScimId> = users.iter().flat_map(|user| &user.groups).map(|of| of.group).collect();
        ids.sort_unstable();
        ids.dedup();
        let keys = ids.iter().map(|id| Key::ScimGroup(call.enterprise.id, *id)).collect();
        let stored = self.stored(call.now, keys).await?;
        let mut names: Vec<(ScimId, String)> = vec![];
        for (id, stored) in ids.into_iter().zip(stored) {
            let Some(stored) = stored else { continue };
            let group = records::decode_scim_group(id, &stored.value)?;
            let resource = resource(ResourceType::Group, &group.attributes)?;
            names.push((id, resource.display_name().unwrap_or_default().to_owned()));
        }
        let view = |records: UserRecords| {
            let name = |of: &ScimMembership| {
                let at = names.binary_search_by_key(&of.group, |(id, _)| *id).ok()?;
                names.get(at).cloned()
            };
            ScimUserView {
                groups: records.groups.iter().filter_map(name).collect(),
                version: records.version(),
                user: records.user,
                resource: records.resource,
            }
        };
        Ok(users.into_iter().map(view).collect())
    }

    /// The values behind keys, in their order.
    pub(super) async fn stored(
        &self,
        now: Timestamp,
        keys: Vec<Key>,
    ) -> Result<Vec<Option<Versioned>>, StoreError> {
        let replies = self.get_all(now, keys.into_iter().map(Op::Get).collect()).await?;
        let value = |reply| match reply {
            Reply::Value(stored) => Ok(stored),
            _ => Err(unexpected_reply()),
        };
        replies.into_iter().map(value).collect()
    }

    async fn listed(&self, set: Key, offset: u64, limit: usize) -> Result<Vec<ScimId>, StoreError> {
        let page = self.store.page(set, offset, limit.min(MEMBERS_PER_PAGE_MAX)).await?;
        page.iter().map(|member| records::decode_scim_created(member)).collect()
    }

    /// How many a list has, a page of it, and what the next one comes behind.
    async fn listed_page(
        &self,
        set: Key,
        from: ScimFrom,
        limit: usize,
    ) -> Result<(u64, Vec<ScimId>, Option<ScimPlace>), StoreError> {
        let total = self.store.count(set).await?;
        if limit == 0 {
            return Ok((total, vec![], None));
        }
        // One more tells whether there is more.
        let more = limit.saturating_add(1).min(MEMBERS_PER_PAGE_MAX);
        let page = match from {
            ScimFrom::Number(offset) => self.store.page(set, offset, more).await?,
            ScimFrom::Behind(place) => self.store.members(set, Some(place.as_bytes().to_vec()), more).await?,
        };
        let places = page.iter().map(|member| ScimPlace::read(member)).collect::<Result<Vec<_>, _>>()?;
        let shown = places.get(..limit).unwrap_or(&places);
        let next = shown.last().copied().filter(|_| places.len() > limit);
        Ok((total, shown.iter().map(ScimPlace::id).collect::<Result<_, _>>()?, next))
    }

    async fn named(&self, call: &ScimCall<'_>, name: Key) -> Result<Vec<ScimId>, StoreError> {
        let found = self.stored(call.now, vec![name]).await?;
        found.into_iter().flatten().map(|stored| records::decode_scim_id(&stored.value)).collect()
    }

    async fn indexed(&self, set: Key) -> Result<Vec<ScimId>, ScimFault> {
        let found = self.store.members(set, None, FOUND_MAX + 1).await?;
        if found.len() > FOUND_MAX {
            return Err(ScimFault::TooMany);
        }
        Ok(found.iter().map(|member| records::decode_scim_id(member)).collect::<Result<_, _>>()?)
    }
}

/// How far a look through everything may go.
struct Scan {
    offset: u64,
    total: u64,
    until: Instant,
}

impl Scan {
    fn begin(total: u64) -> Result<Self, ScimFault> {
        if total > SCAN_RECORDS_MAX {
            return Err(ScimFault::TooMany);
        }
        Ok(Self { offset: 0, total, until: Instant::now() + Duration::from_millis(SCAN_MILLIS_MAX) })
    }

    /// Where the next page begins.
    fn next(&mut self) -> Result<Option<u64>, ScimFault> {
        if self.offset >= self.total {
            return Ok(None);
        }
        if Instant::now() > self.until {
            return Err(ScimFault::TooMany);
        }
        let offset = self.offset;
        self.offset += SCAN_PAGE_RECORDS as u64;
        Ok(Some(offset))
    }
}

pub(super) fn user_name_key(e: EnterpriseId, name: &str) -> Key {
    Key::ScimUserName(e, folded(name))
}

pub(super) fn email_key(e: EnterpriseId, email: &str) -> Key {
    Key::ScimEmail(e, folded(email))
}

pub(super) fn external_id_key(e: EnterpriseId, value: &str) -> Key {
    Key::ScimExternalId(e, digest(&[value.as_bytes()]))
}

pub(super) fn group_name_key(e: EnterpriseId, name: &str) -> Key {
    Key::ScimGroupName(e, folded(name))
}

pub(super) fn group_external_id_key(e: EnterpriseId, value: &str) -> Key {
    Key::ScimGroupExternalId(e, digest(&[value.as_bytes()]))
}

fn folded(text: &str) -> [u8; 32] {
    digest(&[fold_case(text).as_bytes()])
}

pub(super) fn resource(kind: ResourceType, stored: &str) -> Result<Resource, StoreError> {
    let unreadable = |_| StoreError::Corrupt("the attributes of a resource".into());
    Resource::from_stored(kind, stored).map_err(unreadable)
}

fn user_records(id: ScimId, user: &Versioned, groups: Option<&Versioned>) -> Result<UserRecords, StoreError> {
    let (revision, user) = (user.revision, records::decode_scim_user(id, &user.value)?);
    Ok(UserRecords {
        resource: resource(ResourceType::User, &user.attributes)?,
        user,
        revision,
        groups: groups
            .map(|stored| records::decode_scim_user_groups(&stored.value))
            .transpose()?
            .unwrap_or_default(),
        groups_revision: groups.map_or(0, |stored| stored.revision),
    })
}

fn group_keys(e: EnterpriseId, id: ScimId) -> [Key; 3] {
    [Key::ScimGroup(e, id), Key::ScimGroupState(e, id), Key::ScimGroupJob(e, id)]
}

fn group_records(
    id: ScimId,
    [group, state, job]: [Option<Versioned>; 3],
) -> Result<GroupRecords, StoreError> {
    let revision = |stored: &Option<Versioned>| stored.as_ref().map_or(0, |stored| stored.revision);
    let latest = state.as_ref().map(|state| records::decode_tally(&state.value)).transpose()?;
    let read = |stored: &Versioned| {
        let group = records::decode_scim_group(id, &stored.value)?;
        let resource = resource(ResourceType::Group, &group.attributes)?;
        Ok::<_, StoreError>((group, resource))
    };
    let left = job.as_ref().map(|job| records::decode_scim_group_job(&job.value)).transpose()?;
    Ok(GroupRecords {
        id,
        group: group.as_ref().map(read).transpose()?,
        revision: revision(&group),
        touched: (revision(&state), latest),
        job: left.flatten(),
        job_revision: revision(&job),
        rests_on_members: false,
    })
}
