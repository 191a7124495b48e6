//! The one table of the API: which routes there are, who may use them, what they take and give.
//!
//! The router, the OpenAPI document and the test that tries every route with every foreign credential read this table.
use super::{
    call::{Answering, Call},
    query::Form,
    routes::{
        credentials, enterprise, holds, invitations, members, organizations, people, scim_tokens, sessions,
        tokens, user,
    },
};
use crate::telemetry::Trigger;

/// Who may use a route, beside having a credential that its [`Access`] asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Nobody is asked who they are.
    Anyone,
    /// Whoever belongs to the enterprise, about themselves.
    Person,
    /// Members of the path's organization, and owners of the enterprise. To others it does not exist.
    Member,
    /// Owners of the path's organization, and owners of the enterprise.
    Overseer,
    /// The member whom the path names, and those who oversee the organization.
    SelfOrOverseer,
    EnterpriseOwner,
}

/// What a credential must be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A token with the scope `api:read` or `api:write`, or a session.
    Read,
    /// A token with the scope `api:write`, or a session.
    Write,
    /// A session alone: what a token does must not outlive the token.
    Session,
}

/// A parameter of the query.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    pub name: &'static str,
    pub form: Form,
    pub about: &'static str,
}

/// What answers a call.
#[derive(Debug, Clone, Copy)]
pub enum Handler {
    /// The document about this table.
    Document,
    Call(for<'a> fn(&'a Call<'a>) -> Answering<'a>),
}

/// One operation.
#[derive(Debug)]
pub struct Route {
    /// As the request line says it.
    pub method: &'static str,
    /// Under [`super::PREFIX`]; what stands in braces is one segment.
    pub path: &'static str,
    /// The OpenAPI operationId: group and name.
    pub id: &'static str,
    pub about: &'static str,
    pub who: Who,
    pub access: Access,
    pub query: &'static [Parameter],
    /// The schema of the body that it takes.
    pub takes: Option<&'static str>,
    /// The status and the schema of what it gives.
    pub gives: (u16, Option<&'static str>),
    /// Whether it gives pages of a list.
    pub is_list: bool,
    pub handler: Handler,
}

const PER_PAGE: Parameter =
    Parameter { name: "per_page", form: Form::PageSize, about: "Entries of one page." };
const AFTER_ID: Parameter = Parameter {
    name: "after",
    form: Form::Hex(16),
    about: "Where the page begins, as the Link field says it.",
};
const PAGED: &[Parameter] = &[PER_PAGE, AFTER_ID];

const fn route(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    (who, access): (Who, Access),
    handler: Handler,
) -> Route {
    Route {
        method,
        path,
        id,
        about: "",
        who,
        access,
        query: &[],
        takes: None,
        gives: (204, None),
        is_list: false,
        handler,
    }
}

impl Route {
    const fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }
    const fn query(self, query: &'static [Parameter]) -> Self {
        Self { query, ..self }
    }
    const fn takes(self, schema: &'static str) -> Self {
        Self { takes: Some(schema), ..self }
    }
    const fn gives(self, status: u16, schema: &'static str) -> Self {
        Self { gives: (status, Some(schema)), ..self }
    }
    const fn lists(self, schema: &'static str) -> Self {
        Self { gives: (200, Some(schema)), is_list: true, ..self }
    }

    /// The names in braces, in their order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    /// What the braces stand for in `path`, if the route's path fits it.
    pub fn fits(&self, path: &str) -> Option<Vec<(&'static str, String)>> {
        let (mut own, mut asked, mut found) = (self.path.split('/'), path.split('/'), vec![]);
        loop {
            match (own.next(), asked.next()) {
                (None, None) => return Some(found),
                (Some(own), Some(asked)) => match own.strip_prefix('{').and_then(|own| own.strip_suffix('}'))
                {
                    Some(name) if !asked.is_empty() => found.push((name, asked.to_owned())),
                    None if own == asked => {}
                    _ => return None,
                },
                _ => return None,
            }
        }
    }
}

macro_rules! call {
    ($handler:path) => {
        Handler::Call(|call| Box::pin($handler(call)))
    };
}

const MEMBERS: &[Parameter] = &[
    PER_PAGE,
    AFTER_ID,
    Parameter {
        name: "role",
        form: Form::OneOf(&["all", "member", "owner"]),
        about: "Only those with this role.",
    },
];
const INVITATIONS: &[Parameter] = &[
    PER_PAGE,
    Parameter {
        name: "after",
        form: Form::Hex(32),
        about: "Where the page begins, as the Link field says it.",
    },
];
/// As `portcullis audit` has them.
const AUDIT: &[Parameter] = &[
    PER_PAGE,
    Parameter {
        name: "after",
        form: Form::Count,
        about: "The sequence that the page comes after, in its order.",
    },
    Parameter {
        name: "order",
        form: Form::OneOf(&["oldest", "newest"]),
        about: "Which entries come first; the oldest, if left out.",
    },
    Parameter {
        name: "action",
        form: Form::Text(64),
        about: "The event's name, or its beginning and a star: org.*",
    },
    Parameter { name: "person", form: Form::Text(1024), about: "Whom it is about, by user or id." },
    Parameter { name: "actor", form: Form::Text(1024), about: "Who did it, by user or id." },
    Parameter { name: "org", form: Form::Text(39), about: "The organization, by account name or id." },
    Parameter { name: "trigger", form: Form::OneOf(Trigger::WORDS), about: "What made it happen." },
    Parameter { name: "since", form: Form::Time, about: "From this time on." },
    Parameter { name: "until", form: Form::Time, about: "Before this time." },
];
/// By name, not by id.
const ORGANIZATIONS: &[Parameter] = &[
    PER_PAGE,
    Parameter {
        name: "after",
        form: Form::Text(39),
        about: "Where the page begins, as the Link field says it.",
    },
];

/// In the order of the document: the caller's own, organizations, what belongs to them, the enterprise.
#[rustfmt::skip]
pub static ROUTES: &[Route] = &[
    route("GET", "/openapi.json", "meta/openapi", (Who::Anyone, Access::Read), Handler::Document)
        .about("This document").gives(200, "Document"),

    route("GET", "/user", "user/get", (Who::Person, Access::Read), call!(user::get))
        .about("Who the credential belongs to, and what it reaches").gives(200, "User"),
    route("GET", "/user/sessions", "user/list-sessions", (Who::Person, Access::Read), call!(sessions::own))
        .about("The caller's sessions").lists("Sessions"),
    route("DELETE", "/user/sessions/{session}", "user/end-session", (Who::Person, Access::Write), call!(sessions::end_own))
        .about("Ends one of the caller's sessions"),
    route("GET", "/user/tokens", "user/list-tokens", (Who::Person, Access::Read), call!(tokens::list))
        .about("The caller's personal access tokens").lists("Tokens"),
    route("POST", "/user/tokens", "user/create-token", (Who::Person, Access::Session), call!(tokens::create))
        .about("Makes a token, and shows it this once").takes("NewToken").gives(201, "CreatedToken"),
    route("DELETE", "/user/tokens/{token}", "user/revoke-token", (Who::Person, Access::Write), call!(tokens::revoke))
        .about("Ends one of the caller's tokens"),
    route("PUT", "/orgs/{org}/tokens/{token}", "user/authorize-token", (Who::Member, Access::Session), call!(tokens::authorize))
        .about("Authorises one of the caller's tokens for an organization"),
    route("DELETE", "/orgs/{org}/tokens/{token}", "user/withdraw-token", (Who::Member, Access::Write), call!(tokens::withdraw))
        .about("Withdraws the authorisation of one of the caller's tokens"),

    route("GET", "/orgs", "orgs/list", (Who::Person, Access::Read), call!(organizations::list))
        .about("The organizations that the caller may see, by name").query(ORGANIZATIONS).lists("OrganizationSummaries"),
    route("POST", "/orgs", "orgs/create", (Who::EnterpriseOwner, Access::Write), call!(organizations::create))
        .about("Creates an organization; it has no owner until one claims it").takes("NewOrganization").gives(201, "Organization"),
    route("GET", "/orgs/{org}", "orgs/get", (Who::Member, Access::Read), call!(organizations::get))
        .about("An organization").gives(200, "Organization"),
    route("PATCH", "/orgs/{org}", "orgs/update", (Who::EnterpriseOwner, Access::Write), call!(organizations::change))
        .about("Changes what is given of an organization").takes("OrganizationChange").gives(200, "Organization"),
    route("POST", "/orgs/{org}/claim", "orgs/claim", (Who::EnterpriseOwner, Access::Write), call!(organizations::claim))
        .about("Makes the caller the owner of an organization that has none").takes("Claim").gives(200, "Membership"),

    route("GET", "/orgs/{org}/members", "orgs/list-members", (Who::Member, Access::Read), call!(members::list))
        .about("The members of an organization, in the order of their ids").query(MEMBERS).lists("Members"),
    route("GET", "/orgs/{org}/memberships/{person}", "orgs/get-membership", (Who::SelfOrOverseer, Access::Read), call!(members::get))
        .about("A person's place in an organization").gives(200, "Membership"),
    route("PUT", "/orgs/{org}/memberships/{person}", "orgs/set-membership", (Who::Overseer, Access::Write), call!(members::set))
        .about("Changes a member's role").takes("Role").gives(200, "Membership"),
    route("DELETE", "/orgs/{org}/memberships/{person}", "orgs/remove-membership", (Who::SelfOrOverseer, Access::Write), call!(members::remove))
        .about("Ends a membership; a member may leave"),
    route("POST", "/orgs/{org}/memberships/{person}/restore", "orgs/restore-membership", (Who::Overseer, Access::Write), call!(members::restore))
        .about("Gives back a membership that ended within 90 days").gives(200, "Membership"),
    route("PUT", "/orgs/{org}/memberships/{person}/pin", "orgs/pin-membership", (Who::Overseer, Access::Write), call!(members::pin))
        .about("Keeps a membership against removal by automation"),
    route("DELETE", "/orgs/{org}/memberships/{person}/pin", "orgs/unpin-membership", (Who::Overseer, Access::Write), call!(members::unpin))
        .about("Lets automation decide about a membership again"),
    route("GET", "/orgs/{org}/memberships/{person}/explanation", "orgs/explain-membership", (Who::Overseer, Access::Read), call!(members::explain))
        .about("Why a person is, or is not, in an organization").gives(200, "Explanation"),

    route("GET", "/orgs/{org}/invitations", "orgs/list-invitations", (Who::Overseer, Access::Read), call!(invitations::pending))
        .about("Invitations that can be accepted").query(INVITATIONS).lists("Invitations"),
    route("POST", "/orgs/{org}/invitations", "orgs/create-invitation", (Who::Overseer, Access::Write), call!(invitations::create))
        .about("Invites an e-mail address; the same again is the same invitation").takes("NewInvitation").gives(201, "Invitation"),
    route("GET", "/orgs/{org}/failed_invitations", "orgs/list-failed-invitations", (Who::Overseer, Access::Read), call!(invitations::failed))
        .about("Invitations that ran out, or whose mail reached nobody").query(INVITATIONS).lists("Invitations"),
    route("DELETE", "/orgs/{org}/invitations/{invitation}", "orgs/cancel-invitation", (Who::Overseer, Access::Write), call!(invitations::cancel))
        .about("Withdraws an invitation"),
    route("POST", "/orgs/{org}/invitations/{invitation}/resend", "orgs/resend-invitation", (Who::Overseer, Access::Write), call!(invitations::resend))
        .about("Sends the mail again, with a new link; one that failed gets seven days anew").gives(200, "Invitation"),

    route("GET", "/orgs/{org}/credential-authorizations", "orgs/list-credential-authorizations", (Who::Overseer, Access::Read), call!(credentials::list))
        .about("The tokens that are authorised for an organization; a page of members' tokens").query(PAGED).lists("Credentials"),
    route("DELETE", "/orgs/{org}/credential-authorizations/{credential}", "orgs/remove-credential-authorization", (Who::Overseer, Access::Write), call!(credentials::revoke))
        .about("Withdraws a token's authorisation for the organization"),
    route("GET", "/orgs/{org}/sessions", "orgs/list-sessions", (Who::Overseer, Access::Read), call!(sessions::of_organization))
        .about("What members have open; a page of members' sessions").query(PAGED).lists("Sessions"),
    route("DELETE", "/orgs/{org}/memberships/{person}/sessions/{session}", "orgs/end-session", (Who::Overseer, Access::Write), call!(sessions::end_of_member))
        .about("Ends a member's session"),
    route("GET", "/orgs/{org}/holds", "orgs/list-holds", (Who::Overseer, Access::Read), call!(holds::list))
        .about("Removals that wait for a decision").query(PAGED).lists("Holds"),
    route("POST", "/orgs/{org}/holds/{person}/approve", "orgs/approve-hold", (Who::Overseer, Access::Write), call!(holds::approve))
        .about("Carries a removal out that waited"),
    route("POST", "/orgs/{org}/holds/{person}/reject", "orgs/reject-hold", (Who::Overseer, Access::Write), call!(holds::reject))
        .about("Keeps the person whom automation wanted to remove"),

    route("GET", "/enterprise/scim/tokens", "enterprise/list-scim-tokens", (Who::EnterpriseOwner, Access::Read), call!(scim_tokens::list))
        .about("The tokens by which the identity provider provisions").lists("ScimTokens"),
    route("POST", "/enterprise/scim/tokens", "enterprise/create-scim-token", (Who::EnterpriseOwner, Access::Session), call!(scim_tokens::create))
        .about("Makes one, and shows it this once; two may live at a time").takes("NewScimToken").gives(201, "CreatedScimToken"),
    route("DELETE", "/enterprise/scim/tokens/{token}", "enterprise/revoke-scim-token", (Who::EnterpriseOwner, Access::Write), call!(scim_tokens::revoke))
        .about("Ends one for good"),

    route("GET", "/enterprise/people", "enterprise/list-people", (Who::EnterpriseOwner, Access::Read), call!(people::list))
        .about("The people of the enterprise, in the order of their ids").query(PAGED).lists("People"),
    route("GET", "/enterprise/people/{person}", "enterprise/get-person", (Who::EnterpriseOwner, Access::Read), call!(people::get))
        .about("A person").gives(200, "Person"),
    route("DELETE", "/enterprise/people/{person}", "enterprise/delete-person", (Who::EnterpriseOwner, Access::Write), call!(people::delete))
        .about("Deletes a person for good; a tombstone keeps them out"),
    route("POST", "/enterprise/people/{person}/deactivate", "enterprise/deactivate-person", (Who::EnterpriseOwner, Access::Write), call!(people::deactivate))
        .about("Ends everything that a person has, and keeps them out").gives(200, "Person"),
    route("POST", "/enterprise/people/{person}/reactivate", "enterprise/reactivate-person", (Who::EnterpriseOwner, Access::Write), call!(people::reactivate))
        .about("Lets a deactivated person in again").gives(200, "Person"),
    route("DELETE", "/enterprise/people/{person}/link", "enterprise/revoke-link", (Who::EnterpriseOwner, Access::Write), call!(people::revoke_link))
        .about("Revokes the link to the identity provider's account; the next sign-in links anew"),
    route("GET", "/enterprise/people/{person}/sessions", "enterprise/list-sessions", (Who::EnterpriseOwner, Access::Read), call!(sessions::of_person))
        .about("What a person has open").lists("Sessions"),
    route("DELETE", "/enterprise/people/{person}/sessions/{session}", "enterprise/end-session", (Who::EnterpriseOwner, Access::Write), call!(sessions::end_of_person))
        .about("Ends a person's session"),
    route("DELETE", "/enterprise/people/{person}/tokens/{token}", "enterprise/revoke-token", (Who::EnterpriseOwner, Access::Write), call!(tokens::revoke_of_person))
        .about("Ends a person's token"),
    route("GET", "/enterprise/unowned", "enterprise/list-unowned", (Who::EnterpriseOwner, Access::Read), call!(organizations::unowned))
        .about("Organizations that lost their last owner").query(PAGED).lists("Organizations"),
    route("POST", "/enterprise/batches/{batch}/restore", "enterprise/restore-batch", (Who::EnterpriseOwner, Access::Write), call!(enterprise::restore_batch))
        .about("Gives back what one batch removed within 90 days").gives(200, "Restored"),
    route("GET", "/enterprise/audit", "enterprise/audit", (Who::EnterpriseOwner, Access::Read), call!(enterprise::audit))
        .about("The audit stream; a page may be short, or empty, while there is more: follow its link").query(AUDIT).lists("AuditEntries"),
    route("GET", "/enterprise/plan", "enterprise/plan", (Who::EnterpriseOwner, Access::Read), call!(enterprise::plan))
        .about("What deprovisioning would do, by the last known groups of everybody").gives(200, "Plan"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_routes_are_one() {
        for (at, route) in ROUTES.iter().enumerate() {
            for other in &ROUTES[at + 1..] {
                assert_ne!(route.id, other.id);
                let same = route.method == other.method && route.fits(other.path).is_some();
                assert!(!same, "{} {} is {} too", other.method, other.path, route.path);
            }
            assert!(route.path.starts_with('/') && !route.about.is_empty(), "{}", route.id);
        }
    }

    /// A rule about an organization needs one, and a rule about the person whom the path names needs that.
    #[test]
    fn rules_have_what_they_are_about() {
        for route in ROUTES {
            let has = |name| route.names().any(|known| known == name);
            let about_organization = matches!(route.who, Who::Member | Who::Overseer | Who::SelfOrOverseer);
            assert!(has("org") || !about_organization, "{}", route.id);
            assert!(has("person") || route.who != Who::SelfOrOverseer, "{}", route.id);
            assert!(!has("org") || route.who != Who::Person, "{}: anybody would do", route.id);
            assert_eq!(matches!(route.handler, Handler::Document), route.who == Who::Anyone, "{}", route.id);
            let writes = route.method != "GET";
            assert_eq!(writes, route.access != Access::Read, "{}", route.id);
        }
    }

    #[test]
    fn paths_fit_segment_by_segment() {
        let route = ROUTES.iter().find(|route| route.id == "orgs/get-membership").unwrap();
        let found = route.fits("/orgs/octo/memberships/ab").unwrap();
        assert_eq!(found, [("org", "octo".to_owned()), ("person", "ab".to_owned())]);
        for other in [
            "/orgs//memberships/ab",
            "/orgs/octo/memberships",
            "/orgs/octo/memberships/ab/",
            "orgs/octo/memberships/ab",
        ] {
            assert!(route.fits(other).is_none(), "{other}");
        }
    }
}
