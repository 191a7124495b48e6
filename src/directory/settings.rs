//! What provisioning goes by: the configuration, united with the organizations that were created since.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    domain::{EnterpriseId, Organization, OrganizationId, OrganizationSlug, Role, Timestamp},
    provisioning::{self, GroupMatch, Mapping},
    store::{Key, MEMBERS_PER_PAGE_MAX, StoreError},
};

use super::{Directory, Enterprise};

/// How long another gateway's change of an organization may go unseen here, in milliseconds. Our own are seen at once.
const AGE_MILLIS_MAX: i64 = 1_000;

/// What one enterprise's sign-ins go by.
#[derive(Debug, Clone)]
pub(super) struct Effective {
    pub provisioning: Arc<provisioning::Settings>,
    /// Of the store, without those that the configuration lists too.
    pub created: Arc<Vec<Organization>>,
}

impl Effective {
    /// Whether the enterprise has such an organization.
    pub fn knows(&self, enterprise: &Enterprise, slug: &OrganizationSlug) -> bool {
        enterprise.organizations.contains(slug) || self.created.iter().any(|o| o.slug == *slug)
    }
}

struct Entry {
    /// What it was made of: a configuration that was read anew counts at once.
    base: (provisioning::Settings, Vec<OrganizationSlug>),
    effective: Effective,
    loaded_at: Timestamp,
}

/// The settings of enterprises that were asked for within the last second.
#[derive(Default)]
pub(super) struct Cache {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<EnterpriseId, Entry>,
    /// Counts what was forgotten, so that a load that began before cannot put back what was forgotten since.
    generation: u64,
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, enterprise: &Enterprise, now: Timestamp) -> Result<Effective, u64> {
        let inner = self.lock();
        let fresh = inner.entries.get(&enterprise.id).filter(|entry| {
            let age = now.as_millisecond() - entry.loaded_at.as_millisecond();
            (0..AGE_MILLIS_MAX).contains(&age)
                && entry.base.0 == enterprise.provisioning
                && entry.base.1 == enterprise.organizations
        });
        fresh.map(|entry| entry.effective.clone()).ok_or(inner.generation)
    }

    fn put(&self, enterprise: &Enterprise, effective: Effective, generation: u64, now: Timestamp) {
        let mut inner = self.lock();
        if inner.generation == generation {
            let base = (enterprise.provisioning.clone(), enterprise.organizations.clone());
            inner.entries.insert(enterprise.id, Entry { base, effective, loaded_at: now });
        }
    }

    /// For a change of an enterprise's organizations.
    pub fn forget(&self, enterprise: EnterpriseId) {
        let mut inner = self.lock();
        inner.entries.remove(&enterprise);
        inner.generation += 1;
    }

    /// For changes that nobody told of.
    pub fn forget_all(&self) {
        let mut inner = self.lock();
        inner.entries.clear();
        inner.generation += 1;
    }
}

impl Directory {
    /// What the enterprise's sign-ins go by: at most a second old.
    pub async fn settings(
        &self,
        enterprise: &Enterprise,
        now: Timestamp,
    ) -> Result<Arc<provisioning::Settings>, StoreError> {
        self.effective(enterprise, now).await.map(|effective| effective.provisioning)
    }

    pub(super) async fn effective(
        &self,
        enterprise: &Enterprise,
        now: Timestamp,
    ) -> Result<Effective, StoreError> {
        let generation = match self.settings.get(enterprise, now) {
            Ok(effective) => return Ok(effective),
            Err(generation) => generation,
        };
        let mut created = self.created_organizations(enterprise.id, now).await?;
        created.retain(|record| !enterprise.organizations.contains(&record.slug));
        let mut provisioning = united(&enterprise.provisioning, &created);
        // A3: whatever a SCIM group stands for is managed.
        let groups =
            self.store.members(Key::ScimOrganizations(enterprise.id), None, MEMBERS_PER_PAGE_MAX).await?;
        let known = enterprise.organizations.iter().chain(created.iter().map(|record| &record.slug));
        for slug in known.filter(|slug| !provisioning.managed.contains(slug)).cloned().collect::<Vec<_>>() {
            let id = OrganizationId::of(enterprise.id, &slug);
            if groups.iter().any(|member| member.starts_with(id.as_bytes())) {
                provisioning.managed.push(slug);
            }
        }
        let provisioning = Arc::new(provisioning);
        let effective = Effective { provisioning, created: Arc::new(created) };
        self.settings.put(enterprise, effective.clone(), generation, now);
        Ok(effective)
    }
}

/// An alias stands for membership, never for ownership (D5).
fn united(configured: &provisioning::Settings, created: &[Organization]) -> provisioning::Settings {
    let mut settings = configured.clone();
    for record in created.iter().filter(|record| record.managed == Some(true)) {
        settings.managed.push(record.slug.clone());
        settings.mappings.extend(record.aliases.iter().map(|alias| Mapping {
            group: GroupMatch::Exact(alias.clone()),
            organization: record.slug.clone(),
            role: Role::Member,
        }));
    }
    settings
}
