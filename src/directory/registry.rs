//! Organizations that are created here, beside those of the configuration.
//!
//! The account name is the identity: it never changes, so that neither a group's name nor a display name that changes moves
//! anybody from one organization to another (A7).
use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{
    domain::{EnterpriseId, GroupName, Organization, OrganizationId, OrganizationSlug, Timestamp},
    store::{Commit, Committed, Key, Note, StoreError, Write, records},
    telemetry::{AuditAction, AuditEvent, AuditLine, Trigger},
};

use super::{ActError, Actor, Contended, Directory, Enterprise};

/// Organizations that may be created in one enterprise: the sign-ins of every second read them all.
pub const ORGANIZATIONS_MAX: usize = 1_000;
/// Group values that may stand for one organization.
pub const ALIASES_MAX: usize = 32;
const ALIAS_BYTES_MAX: usize = 1_024;
const DISPLAY_NAME_CHARACTERS_MAX: usize = 128;
const COMMIT_ATTEMPTS_MAX: usize = 16;

/// What an organization begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrganization {
    pub slug: OrganizationSlug,
    pub display_name: Option<String>,
    /// Group values, byte for byte, whose people belong to it beside those of the group of its own name (A6).
    pub aliases: Vec<GroupName>,
    /// Whether groups decide about its members (A3).
    pub managed: bool,
}

/// What changes of an organization; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrganizationChange {
    /// `Some(None)` takes it away.
    pub display_name: Option<Option<String>>,
    pub aliases: Option<Vec<GroupName>>,
    pub managed: Option<bool>,
}

/// Something done to an organization itself.
struct Deed<'a> {
    enterprise: &'a Enterprise,
    actor: Actor<'a>,
    slug: &'a OrganizationSlug,
    action: AuditAction,
    now: Timestamp,
}

impl Directory {
    /// Creates an organization: by an owner of the enterprise. It has no owner until one claims it. A name that the
    /// configuration once listed comes with the members who are still in the store.
    pub async fn create_organization(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        new: NewOrganization,
        now: Timestamp,
    ) -> Result<Organization, ActError> {
        check_display_name(new.display_name.as_deref())?;
        check_aliases(&new.aliases)?;
        let is_configured = enterprise.organizations.contains(&new.slug);
        let are_enough = self.created_organizations(enterprise.id, now).await?.len() >= ORGANIZATIONS_MAX;
        let create = |record: &Organization| match record.created_at {
            _ if is_configured => Err(ActError::OrganizationExists),
            _ if are_enough => Err(ActError::TooManyOrganizations),
            Some(_) => Err(ActError::OrganizationExists),
            None => Ok(Organization {
                display_name: new.display_name.clone(),
                aliases: new.aliases.clone(),
                managed: Some(new.managed),
                created_at: Some(now),
                ..record.clone()
            }),
        };
        let action = AuditAction::CreateOrganization;
        self.register(&Deed { enterprise, actor, slug: &new.slug, action, now }, create).await
    }

    /// Changes an organization: by an owner of the enterprise. Of one that the configuration lists only the display name: what
    /// a file says, the file changes.
    pub async fn change_organization(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        slug: &OrganizationSlug,
        change: OrganizationChange,
        now: Timestamp,
    ) -> Result<Organization, ActError> {
        let is_known = self.effective(enterprise, now).await?.knows(enterprise, slug);
        let is_configured = enterprise.organizations.contains(slug);
        if let Some(name) = &change.display_name {
            check_display_name(name.as_deref())?;
        }
        if let Some(aliases) = &change.aliases {
            check_aliases(aliases)?;
        }
        let apply = |record: &Organization| {
            if !is_known {
                return Err(ActError::UnknownOrganization);
            }
            if is_configured && (change.aliases.is_some() || change.managed.is_some()) {
                return Err(ActError::OrganizationConfigured);
            }
            let change = change.clone();
            Ok(Organization {
                display_name: change.display_name.unwrap_or_else(|| record.display_name.clone()),
                aliases: change.aliases.unwrap_or_else(|| record.aliases.clone()),
                managed: change.managed.or(record.managed),
                ..record.clone()
            })
        };
        let action = AuditAction::UpdateOrganization;
        self.register(&Deed { enterprise, actor, slug, action, now }, apply).await
    }

    /// Every organization of the enterprise, the configuration's and those that were created, by name. `managed` says of each
    /// what counts.
    pub async fn organizations(
        &self,
        enterprise: &Enterprise,
        now: Timestamp,
    ) -> Result<Vec<Organization>, StoreError> {
        self.organizations_page(enterprise, usize::MAX, |_| true, now).await.map(|(all, _)| all)
    }

    /// The first `limit` of those that are `wanted`, by name, and whether there are more. No other is read.
    pub async fn organizations_page(
        &self,
        enterprise: &Enterprise,
        limit: usize,
        wanted: impl Fn(&OrganizationSlug) -> bool,
        now: Timestamp,
    ) -> Result<(Vec<Organization>, bool), StoreError> {
        let effective = self.effective(enterprise, now).await?;
        let created = effective.created.iter().map(|record| &record.slug);
        let known = enterprise.organizations.iter().chain(created).filter(|slug| wanted(slug));
        let mut slugs: Vec<OrganizationSlug> = known.cloned().collect();
        slugs.sort_unstable();
        let has_more = slugs.len() > limit;
        slugs.truncate(limit);
        // Also of those that were created: owners change more often than what is kept for a second.
        let ids = slugs.iter().map(|slug| OrganizationId::of(enterprise.id, slug).as_bytes().to_vec());
        let stored = self.organizations_of(enterprise.id, ids.collect(), now).await?;
        let mut stored: HashMap<OrganizationSlug, Organization> =
            stored.into_iter().map(|record| (record.slug.clone(), record)).collect();
        let managed: HashSet<&OrganizationSlug> = effective.provisioning.managed.iter().collect();
        let shown = slugs.into_iter().map(|slug| {
            let id = OrganizationId::of(enterprise.id, &slug);
            let managed = Some(managed.contains(&slug));
            let record = stored.remove(&slug).unwrap_or_else(|| Organization::new(id, slug));
            Organization { managed, ..record }
        });
        Ok((shown.collect(), has_more))
    }

    /// Those that were created, with the names that the configuration lists by now too.
    pub(super) async fn created_organizations(
        &self,
        enterprise: EnterpriseId,
        now: Timestamp,
    ) -> Result<Vec<Organization>, StoreError> {
        let ids = self.store.members(Key::Organizations(enterprise), None, ORGANIZATIONS_MAX).await?;
        if ids.is_empty() {
            return Ok(vec![]);
        }
        self.organizations_of(enterprise, ids, now).await
    }

    async fn register(
        &self,
        deed: &Deed<'_>,
        change: impl Fn(&Organization) -> Result<Organization, ActError>,
    ) -> Result<Organization, ActError> {
        let Deed { enterprise, actor, slug, now, .. } = *deed;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let authority = self.require_owner(enterprise, &actor, now).await?;
            let (revision, before) = self.load_organization(enterprise.id, slug, now).await?;
            let after = change(&before)?;
            if after == before {
                return Ok(after);
            }
            let key = Key::Organization(enterprise.id, after.id);
            let told = deed.line();
            let mut commit = Commit::default();
            commit.expect.push((key, revision));
            commit.expect.extend(authority);
            commit.writes.push(Write::Put(key, records::encode_organization(&after)));
            if after.created_at.is_some() {
                let id = after.id.as_bytes().to_vec();
                commit.writes.push(Write::Insert(Key::Organizations(enterprise.id), id));
            }
            commit.writes.push(Write::Append(Key::Audit(enterprise.id), told.as_bytes().to_vec()));
            commit.writes.push(Write::Notify(Note::Enterprise(enterprise.id)));
            if self.store.commit(commit).await? == Committed::Applied {
                self.settings.forget(enterprise.id);
                told.log();
                return Ok(after);
            }
        }
        Err(Contended.into())
    }
}

impl Deed<'_> {
    fn line(&self) -> AuditLine {
        let Self { enterprise, actor, slug, action, now } = *self;
        let trigger = if actor.id().is_some() { Trigger::Owner } else { Trigger::Operator };
        let actor_id = actor.id().map(|id| id.to_string());
        AuditLine::of(&AuditEvent {
            organization: Some(slug.as_str()),
            actor: actor.user(),
            actor_id: actor_id.as_deref(),
            request_id: Some(actor.request_id()),
            ..AuditEvent::new(now, action, trigger, enterprise.slug.as_str())
        })
    }
}

fn check_display_name(name: Option<&str>) -> Result<(), ActError> {
    let Some(name) = name else { return Ok(()) };
    let is_fine = !name.trim().is_empty()
        && name.chars().count() <= DISPLAY_NAME_CHARACTERS_MAX
        && !name.chars().any(char::is_control);
    if is_fine { Ok(()) } else { Err(ActError::OrganizationInvalid(DISPLAY_NAME_FAULT)) }
}

const DISPLAY_NAME_FAULT: &str =
    "the display name is blank, longer than 128 characters, or has control characters";
const ALIASES_FAULT: &str =
    "there are more than 32 aliases, one twice, or one is blank or longer than 1024 bytes";

fn check_aliases(aliases: &[GroupName]) -> Result<(), ActError> {
    let distinct: BTreeSet<&GroupName> = aliases.iter().collect();
    let is_fine = |alias: &GroupName| !alias.trim().is_empty() && alias.len() <= ALIAS_BYTES_MAX;
    let all_fine =
        aliases.len() <= ALIASES_MAX && distinct.len() == aliases.len() && aliases.iter().all(is_fine);
    if all_fine { Ok(()) } else { Err(ActError::OrganizationInvalid(ALIASES_FAULT)) }
}
