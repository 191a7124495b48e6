//! Membership decisions, pure: a group claim and what a person has now, in; the smallest set of changes, out.
//!
//! `claims` reads groups and profile out of an assertion's attributes, `correspondence` says which organizations those
//! groups stand for (`dn` and `pattern` help it to read their names), `doubt` says what is made of a claim that may be no
//! answer, `plan` compares that with what the person has, and `apply` carries the plan out on records. `guard` counts removals,
//! `allowance` invitations, both within a `window`. `stale` says which of two facts is the newer one. `scim` is what a SCIM
//! call means instead. `preview` and `explain` ask `plan` what would be and why it is so.
mod allowance;
mod apply;
mod claims;
mod correspondence;
mod dn;
mod doubt;
mod explain;
mod guard;
mod pattern;
mod plan;
mod preview;
mod scim;
mod stale;
mod window;

pub use allowance::{INVITATIONS_PER_DAY_MAX, allows_invitation, count_invitation};
pub use apply::{Act, apply, needs_records};
pub use claims::{AttributeNames, Reading, UnusableAttribute};
pub use correspondence::{Correspondence, GroupMatch, GroupNaming, Mapping, Match};
pub use doubt::{GroupsMissing, MissingGroups, doubt, settle};
pub use explain::{Explanation, explain};
pub use guard::left as removals_left;
pub use pattern::{PATTERN_BYTES_MAX, Pattern, PatternError};
pub use plan::{Change, Current, HoldReason, Plan, acceptance, departure, plan};
pub use preview::{Mover, Movers, Outlook, PREVIEW_NAMES_MAX, Preview, Spared};
pub use scim::{ScimAddressee, ScimFact, ScimPlan, reconcile};
pub use stale::is_stale;

use crate::domain::OrganizationSlug;

/// What the configuration says about provisioning in one enterprise.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub policy: Policy,
    /// The organizations whose membership the IdP's groups decide (A3). All others are never touched.
    pub managed: Vec<OrganizationSlug>,
    pub mappings: Vec<Mapping>,
    pub naming: GroupNaming,
    pub attributes: AttributeNames,
    /// Removals by automation in one organization within an hour; what is above waits for an owner (D7).
    pub max_removals: u32,
    /// The stable ids' values of people whom automation never removes.
    pub break_glass: Vec<String>,
    /// What an absent group claim means (A1).
    pub missing_groups: MissingGroups,
    /// What becomes of an organization's last owner (A8).
    pub last_owner: LastOwner,
    /// Plans are told and none is carried out.
    pub dry_run: bool,
}

/// What happens when automation, or an owner, would take the last owner out of an organization (A8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LastOwner {
    /// The organization is flagged as unowned.
    #[default]
    Allow,
    /// Automation holds the removal for an owner, and an owner's act is refused while nobody else owns the organization.
    Protect,
}

/// The two switches of SAML provisioning, both off by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// People join the organizations of their groups, and pending invitations are cancelled.
    pub provisioning: bool,
    /// People leave managed organizations of which they are in no group.
    pub deprovisioning: bool,
}
