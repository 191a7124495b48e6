//! Membership decisions, pure: a group claim and what a person has now, in; the smallest set of changes, out.
//!
//! `claims` reads groups and profile out of an assertion's attributes, `correspondence` says which organizations those
//! groups stand for (`dn` and `pattern` help it to read their names), `plan` compares that with what the person has,
//! and `apply` carries the plan out on records. `guard` counts removals, `allowance` invitations.
mod allowance;
mod apply;
mod claims;
mod correspondence;
mod dn;
mod guard;
mod pattern;
mod plan;

pub use allowance::{INVITATIONS_PER_DAY_MAX, allows_invitation, count_invitation};
pub use apply::{Act, apply, needs_records};
pub use claims::{AttributeNames, Reading, UnusableAttribute};
pub use correspondence::{Correspondence, GroupMatch, GroupNaming, Mapping, Match};
pub use pattern::{PATTERN_BYTES_MAX, Pattern, PatternError};
pub use plan::{Change, Current, Plan, acceptance, departure, plan};

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
}

/// The two switches of SAML provisioning, both off by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// People join the organizations of their groups, and pending invitations are cancelled.
    pub provisioning: bool,
    /// People leave managed organizations of which they are in no group.
    pub deprovisioning: bool,
}
