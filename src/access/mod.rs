//! Who may reach what, pure: a canonical path, a table of routes, and one decision.
use crate::domain::{ActiveSession, EnterpriseSlug, GroupName, OrganizationSlug, Timestamp};

/// One route: where requests under a host and path prefix go, and who may send them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The operator's name for it, in logs and metrics.
    pub name: String,
    /// Host with port as browsers send it, lower case: `app.example.com` or `localhost:8080`.
    pub host: String,
    /// Canonical prefix that ends at a segment boundary: `/` or `/reports`.
    pub path_prefix: String,
    /// The origin server: `http://host:port`.
    pub origin: Origin,
    pub rule: Rule,
}

/// An origin server that is spoken to in HTTP/1.1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    pub host: String,
    pub port: u16,
}

/// Who may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Anyone, without identity.
    Public,
    /// A session of the enterprise that meets every demand that is not empty.
    Protected {
        enterprise: EnterpriseSlug,
        /// Membership in at least one of these.
        organizations: Vec<OrganizationSlug>,
        /// At least one of these groups in the assertion of the session.
        groups: Vec<GroupName>,
    },
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Send it on; `true` if the session's identity goes with it.
    Forward {
        identified: bool,
    },
    SignIn,
    Forbid,
}

pub fn decide(_rule: &Rule, _session: Option<&ActiveSession>, _now: Timestamp) -> Decision {
    todo!()
}
