//! Who owns and who belongs to an organization.
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    domain::{
        AddressId, EnterpriseId, Invitee, Organization, OrganizationId, OrganizationSlug, Person, PersonId,
        Timestamp,
    },
    store::{BATCH_STEPS_MAX, Key, Op, Reply, Revision, StoreError, Versioned, records},
};

use super::{Directory, unexpected_reply};

impl Directory {
    /// An organization's record with its revision; one that was never written has revision 0 and no owners.
    pub(super) async fn load_organization(
        &self,
        enterprise: EnterpriseId,
        slug: &OrganizationSlug,
        now: Timestamp,
    ) -> Result<(Revision, Organization), StoreError> {
        let id = OrganizationId::of(enterprise, slug);
        let mut replies = self.store.batch(now, vec![Op::Get(Key::Organization(enterprise, id))]).await?;
        organization_of(slug, id, replies.pop())
    }

    /// Several of them.
    pub(super) async fn load_organizations(
        &self,
        enterprise: EnterpriseId,
        slugs: BTreeSet<OrganizationSlug>,
        now: Timestamp,
    ) -> Result<BTreeMap<OrganizationSlug, (Revision, Organization)>, StoreError> {
        let id = |slug: &OrganizationSlug| OrganizationId::of(enterprise, slug);
        let gets = slugs.iter().map(|slug| Op::Get(Key::Organization(enterprise, id(slug)))).collect();
        let replies = self.get_all(now, gets).await?;
        let load = |(slug, reply): (OrganizationSlug, Reply)| {
            let loaded = organization_of(&slug, id(&slug), Some(reply))?;
            Ok((slug, loaded))
        };
        slugs.into_iter().zip(replies).map(load).collect()
    }

    /// Runs any number of steps that only read.
    pub(super) async fn get_all(&self, now: Timestamp, gets: Vec<Op>) -> Result<Vec<Reply>, StoreError> {
        if gets.len() <= BATCH_STEPS_MAX {
            return if gets.is_empty() { Ok(vec![]) } else { self.store.batch(now, gets).await };
        }
        let mut replies = Vec::with_capacity(gets.len());
        for gets in gets.chunks(BATCH_STEPS_MAX) {
            replies.extend(self.store.batch(now, gets.to_vec()).await?);
        }
        Ok(replies)
    }

    /// An organization's record.
    pub async fn organization(
        &self,
        enterprise: EnterpriseId,
        slug: &OrganizationSlug,
        now: Timestamp,
    ) -> Result<Organization, StoreError> {
        self.load_organization(enterprise, slug, now).await.map(|(_, record)| record)
    }

    /// Up to `limit` members, owners among them, that come after `after` in the order of their ids.
    pub async fn members(
        &self,
        enterprise: EnterpriseId,
        slug: &OrganizationSlug,
        after: Option<PersonId>,
        limit: usize,
    ) -> Result<Vec<PersonId>, StoreError> {
        let set = Key::OrganizationMembers(enterprise, OrganizationId::of(enterprise, slug));
        let after = after.map(|id| id.as_bytes().to_vec());
        let members = self.store.members(set, after, limit).await?;
        members
            .into_iter()
            .map(|id| {
                id.try_into()
                    .map(PersonId::from_bytes)
                    .map_err(|_| StoreError::Corrupt("a member's id".into()))
            })
            .collect()
    }

    /// A person's record, if the person ever signed in.
    pub async fn person(
        &self,
        enterprise: EnterpriseId,
        id: PersonId,
        now: Timestamp,
    ) -> Result<Option<Person>, StoreError> {
        let mut replies = self.store.batch(now, vec![Op::Get(Key::Person(enterprise, id))]).await?;
        match replies.pop() {
            Some(Reply::Value(stored)) => {
                stored.map(|s| records::decode_person(enterprise, id, &s.value)).transpose()
            }
            _ => Err(unexpected_reply()),
        }
    }

    /// What lies under an address.
    pub async fn invitee(
        &self,
        enterprise: EnterpriseId,
        address: AddressId,
        now: Timestamp,
    ) -> Result<Invitee, StoreError> {
        let mut replies = self.store.batch(now, vec![Op::Get(Key::Invitee(enterprise, address))]).await?;
        match replies.pop() {
            Some(Reply::Value(Some(stored))) => records::decode_invitee(address, &stored.value),
            Some(Reply::Value(None)) => Ok(Invitee { address, invitations: vec![] }),
            _ => Err(unexpected_reply()),
        }
    }
}

/// From the reply to a [`Op::Get`]; one that was never written has revision 0 and no owners.
pub(super) fn organization_of(
    slug: &OrganizationSlug,
    id: OrganizationId,
    reply: Option<Reply>,
) -> Result<(Revision, Organization), StoreError> {
    match reply {
        Some(Reply::Value(Some(Versioned { revision, value }))) => {
            Ok((revision, records::decode_organization(id, &value)?))
        }
        Some(Reply::Value(None)) => Ok((0, Organization::new(id, slug.clone()))),
        _ => Err(unexpected_reply()),
    }
}
