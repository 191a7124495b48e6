//! What would be, and why it is as it is: the preview of deprovisioning, and the explanation of one membership.
use std::collections::BTreeMap;

use crate::{
    domain::{Organization, OrganizationSlug, Person, PersonId, Timestamp},
    provisioning::{self, Explanation, Preview},
    store::StoreError,
};

use super::{ActError, Directory, Enterprise, people::address};

/// People who are looked at in one step.
const PEOPLE_PER_PAGE: usize = 512;

/// Why a person is, or is not, in an organization, with what is known of both.
#[derive(Debug, Clone)]
pub struct Explained {
    /// `None` for somebody whom nobody knows.
    pub person: Option<Person>,
    pub organization: Organization,
    pub is_managed: bool,
    pub policy: provisioning::Policy,
    pub is_dry_run: bool,
    pub explanation: Explanation,
}

impl Directory {
    /// What would become of every managed organization if deprovisioning were on, by the last known groups of everybody.
    /// `settings` are what the enterprise's sign-ins go by, or would: [`Directory::settings`]. Reads all people, page by page,
    /// and changes nothing.
    pub async fn preview(
        &self,
        enterprise: &Enterprise,
        settings: &provisioning::Settings,
        now: Timestamp,
    ) -> Result<Preview, StoreError> {
        let mut records = BTreeMap::new();
        for slug in &settings.managed {
            let record = self.organization(enterprise.id, slug, now).await?;
            records.insert(slug.clone(), record);
        }
        let mut preview = Preview::new(settings, records);
        let mut after: Option<PersonId> = None;
        loop {
            let (people, next) = self.people_page(enterprise.id, after, PEOPLE_PER_PAGE, now).await?;
            people.iter().for_each(|person| preview.add(person, now));
            if next.is_none() {
                return Ok(preview.finish(now));
            }
            after = next;
        }
    }

    /// Why a person is, or is not, in an organization.
    pub async fn explain(
        &self,
        enterprise: &Enterprise,
        person: PersonId,
        organization: &OrganizationSlug,
        now: Timestamp,
    ) -> Result<Explained, ActError> {
        self.require_organization(enterprise, organization, now).await?;
        let settings = self.settings(enterprise, now).await?;
        let record = self.organization(enterprise.id, organization, now).await?;
        let person = self.person(enterprise.id, person, now).await?;
        let invitations = match person.as_ref().and_then(|person| address(enterprise, person)) {
            Some(address) => self.invitee(enterprise.id, address, now).await?.invitations,
            None => vec![],
        };
        let explanation = provisioning::explain(person.as_ref(), &invitations, &record, &settings, now);
        Ok(Explained {
            person,
            is_managed: settings.managed.contains(organization),
            organization: record,
            policy: settings.policy,
            is_dry_run: settings.dry_run,
            explanation,
        })
    }
}
