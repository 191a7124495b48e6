//! Reads for those who list: several people at once, and whether there is such an organization.
use crate::{
    domain::{EnterpriseId, OrganizationSlug, Person, PersonId, Timestamp},
    store::{Entry, Key, StoreError},
};

use super::{Directory, Enterprise};

impl Directory {
    /// The records of these people, in their order; whoever has none is left out.
    pub async fn people_by_id(
        &self,
        enterprise: EnterpriseId,
        ids: &[PersonId],
        now: Timestamp,
    ) -> Result<Vec<Person>, StoreError> {
        self.people_of(enterprise, ids, now).await
    }

    /// Whether the enterprise has such an organization: by the configuration, or because somebody created it.
    pub async fn has_organization(
        &self,
        enterprise: &Enterprise,
        slug: &OrganizationSlug,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.effective(enterprise, now).await?.knows(enterprise, slug))
    }

    /// Up to `limit` entries of an enterprise's audit stream that come after a sequence.
    pub async fn audit_entries(
        &self,
        enterprise: EnterpriseId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.store.entries(Key::Audit(enterprise), after, limit).await
    }
}
