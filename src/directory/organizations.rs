//! Who owns and who belongs to an organization.
use crate::{
    domain::{
        AddressId, EnterpriseId, Invitee, Organization, OrganizationId, OrganizationSlug, Person, PersonId,
        Timestamp,
    },
    store::{BATCH_STEPS_MAX, Key, Op, Reply, Revision, StoreError, records},
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
        let loaded = self.load_organizations(enterprise, std::slice::from_ref(slug), now).await?;
        loaded.into_iter().next().ok_or_else(unexpected_reply)
    }

    /// The same of several, in their order: one round trip, however many.
    pub(super) async fn load_organizations(
        &self,
        enterprise: EnterpriseId,
        slugs: &[OrganizationSlug],
        now: Timestamp,
    ) -> Result<Vec<(Revision, Organization)>, StoreError> {
        let mut loaded = Vec::with_capacity(slugs.len());
        for slugs in slugs.chunks(BATCH_STEPS_MAX) {
            let id = |slug| OrganizationId::of(enterprise, slug);
            let gets = slugs.iter().map(|slug| Op::Get(Key::Organization(enterprise, id(slug)))).collect();
            for (slug, reply) in slugs.iter().zip(self.store.batch(now, gets).await?) {
                let Reply::Value(stored) = reply else { return Err(unexpected_reply()) };
                loaded.push(match stored {
                    Some(stored) => (stored.revision, records::decode_organization(id(slug), &stored.value)?),
                    None => (0, Organization::new(id(slug), slug.clone())),
                });
            }
        }
        Ok(loaded)
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
