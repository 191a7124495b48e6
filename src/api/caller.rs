//! Who calls, and what they may do: the rule of each route, in one place.
use super::{
    problem::{Code, Problem},
    table::{Access, Route, Who},
};
use crate::{
    directory::Enterprise,
    domain::{Caller as Credential, Membership, OrganizationSlug, PersonId, Role, Scope},
};

/// A person of one enterprise, and what they showed. Tenancy comes from here and from nowhere else (V-02).
#[derive(Debug, Clone)]
pub struct Caller {
    pub person: PersonId,
    /// The stable id's value.
    pub user: String,
    /// What the credential reaches of what the person belongs to.
    pub memberships: Vec<Membership>,
    pub is_enterprise_owner: bool,
    /// A session of the browser, by a page of our own origin, or a token.
    pub credential: Credential,
}

impl Caller {
    /// Whoever was identified. Of a token's person the memberships are those that the token is authorised for.
    pub fn of(credential: Credential, tenant: &Enterprise) -> Self {
        let user = credential.profile().user.clone();
        Self {
            person: credential.person(),
            is_enterprise_owner: tenant.owners.contains(&user),
            user,
            memberships: credential.memberships().to_vec(),
            credential,
        }
    }

    pub fn role_in(&self, organization: &OrganizationSlug) -> Option<Role> {
        self.memberships.iter().find(|m| m.organization == *organization).map(|m| m.role)
    }

    /// Whether the caller may act as an owner of the enterprise: a token only with the scope that says so, because it is
    /// authorised for organizations one by one.
    pub fn acts_for_enterprise(&self) -> bool {
        self.is_enterprise_owner && self.has(Scope::Enterprise)
    }

    /// Whether the path is about the caller.
    pub fn is_about(&self, path: &[(&str, String)]) -> bool {
        let person = path.iter().find(|(name, _)| *name == "person");
        person.is_some_and(|(_, text)| PersonId::parse(text) == Some(self.person))
    }

    fn has(&self, scope: Scope) -> bool {
        match &self.credential {
            Credential::Session(_) => true,
            Credential::Token(active) => active.allows(scope),
        }
    }

    /// What the credential is good for.
    pub fn check_access(&self, access: Access) -> Result<(), Problem> {
        match (access, &self.credential) {
            (_, Credential::Session(_)) => Ok(()),
            (Access::Session, Credential::Token(_)) => Err(Code::SessionRequired.into()),
            (Access::Read, _) if self.has(Scope::ApiRead) || self.has(Scope::ApiWrite) => Ok(()),
            (Access::Write, _) if self.has(Scope::ApiWrite) => Ok(()),
            (Access::Read, _) => Err(Problem::scope_missing(Scope::ApiRead)),
            (Access::Write, _) => Err(Problem::scope_missing(Scope::ApiWrite)),
        }
    }

    /// Whether the caller may use the route. `organization` is the path's, if it names one; `exists` says whether the tenant has
    /// it. Who may not see an organization learns nothing of it (A-04, V-20).
    pub fn check_role(
        &self,
        route: &Route,
        organization: Option<&OrganizationSlug>,
        exists: bool,
        is_self: bool,
    ) -> Result<(), Problem> {
        if route.who == Who::EnterpriseOwner {
            return match (self.acts_for_enterprise(), self.is_enterprise_owner, organization) {
                (false, true, _) => Err(Problem::scope_missing(Scope::Enterprise)),
                (false, false, _) => Err(Code::EnterpriseOwnerRequired.into()),
                (true, _, Some(_)) if !exists => Err(Code::NotFound.into()),
                (true, _, _) => Ok(()),
            };
        }
        let Some(organization) = organization else { return Ok(()) };
        let role = self.role_in(organization);
        let oversees = role == Some(Role::Owner) || self.acts_for_enterprise() && exists;
        if role.is_none() && !oversees {
            return Err(Code::NotFound.into());
        }
        let may = match route.who {
            Who::Anyone | Who::Person | Who::Member => true,
            Who::Overseer => oversees,
            Who::SelfOrOverseer => is_self && role.is_some() || oversees,
            Who::EnterpriseOwner => false,
        };
        if may { Ok(()) } else { Err(Code::OwnerRequired.into()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        api::table::ROUTES,
        domain::{
            AccessToken, ActiveToken, EnterpriseId, EnterpriseSlug, MembershipSource, Profile, Timestamp,
            TokenId,
        },
    };

    fn slug(text: &str) -> OrganizationSlug {
        OrganizationSlug::parse(text).unwrap()
    }

    fn caller(role: Option<Role>, is_enterprise_owner: bool, scopes: &[Scope]) -> Caller {
        let member =
            |role| Membership::new(slug("octo"), role, MembershipSource::Saml, Timestamp::UNIX_EPOCH);
        let slug = EnterpriseSlug::parse("example").unwrap();
        let token = AccessToken {
            id: TokenId::from_bytes([2; 16]),
            secret: [3; 32],
            name: "script".into(),
            organizations: vec![],
            scopes: scopes.to_vec(),
            last_eight: "abcdefgh".into(),
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::MAX,
        };
        let active = ActiveToken {
            token,
            enterprise_id: EnterpriseId::of(&slug),
            enterprise: slug,
            person: PersonId::from_bytes([1; 16]),
            profile: Profile { user: "alice".into(), ..Profile::default() },
            memberships: role.map(member).into_iter().collect(),
        };
        Caller {
            person: active.person,
            user: active.profile.user.clone(),
            memberships: active.memberships.clone(),
            is_enterprise_owner,
            credential: Credential::Token(Arc::new(active)),
        }
    }

    fn code(
        caller: &Caller,
        who: Who,
        organization: &str,
        exists: bool,
        is_self: bool,
    ) -> Option<&'static str> {
        let route = ROUTES.iter().find(|route| route.who == who).unwrap();
        caller.check_role(route, Some(&slug(organization)), exists, is_self).err().map(|problem| problem.code)
    }

    #[test]
    fn a_04_who_may_not_see_an_organization_finds_nothing() {
        let stranger = caller(None, false, &Scope::ALL);
        for who in [Who::Member, Who::Overseer, Who::SelfOrOverseer] {
            for exists in [true, false] {
                assert_eq!(
                    code(&stranger, who, "octo", exists, true),
                    Some(Code::NotFound.as_str()),
                    "{who:?}"
                );
            }
            let member = caller(Some(Role::Owner), false, &Scope::ALL);
            assert_eq!(code(&member, who, "other", true, true), Some(Code::NotFound.as_str()), "{who:?}");
        }
    }

    #[test]
    fn members_read_and_owners_rule() {
        let member = caller(Some(Role::Member), false, &Scope::ALL);
        assert_eq!(code(&member, Who::Member, "octo", true, false), None);
        assert_eq!(code(&member, Who::SelfOrOverseer, "octo", true, true), None);
        assert_eq!(
            code(&member, Who::SelfOrOverseer, "octo", true, false),
            Some(Code::OwnerRequired.as_str())
        );
        assert_eq!(code(&member, Who::Overseer, "octo", true, true), Some(Code::OwnerRequired.as_str()));
        assert_eq!(
            code(&member, Who::EnterpriseOwner, "octo", true, true),
            Some(Code::EnterpriseOwnerRequired.as_str())
        );
        let owner = caller(Some(Role::Owner), false, &Scope::ALL);
        assert_eq!(code(&owner, Who::Overseer, "octo", true, false), None);
    }

    #[test]
    fn an_enterprise_owner_oversees_what_there_is() {
        let boss = caller(None, true, &Scope::ALL);
        assert_eq!(code(&boss, Who::Overseer, "octo", true, false), None);
        assert_eq!(code(&boss, Who::EnterpriseOwner, "octo", true, false), None);
        for who in [Who::Overseer, Who::EnterpriseOwner, Who::Member] {
            assert_eq!(code(&boss, who, "nothing", false, false), Some(Code::NotFound.as_str()), "{who:?}");
        }
        // The token is for organizations, not for the enterprise.
        let token = caller(None, true, &[Scope::ApiRead, Scope::ApiWrite]);
        assert_eq!(code(&token, Who::Overseer, "octo", true, false), Some(Code::NotFound.as_str()));
        assert_eq!(
            code(&token, Who::EnterpriseOwner, "octo", true, false),
            Some(Code::ScopeMissing.as_str())
        );
    }

    #[test]
    fn scopes() {
        let code = |scopes: &[Scope], access| {
            caller(None, false, scopes).check_access(access).err().map(|problem| problem.code)
        };
        assert_eq!(code(&[Scope::ApiRead], Access::Read), None);
        assert_eq!(code(&[Scope::ApiWrite], Access::Read), None);
        assert_eq!(code(&[Scope::ApiWrite], Access::Write), None);
        assert_eq!(code(&[Scope::ApiRead], Access::Write), Some(Code::ScopeMissing.as_str()));
        assert_eq!(code(&[Scope::Proxy, Scope::Enterprise], Access::Read), Some(Code::ScopeMissing.as_str()));
        assert_eq!(code(&Scope::ALL, Access::Session), Some(Code::SessionRequired.as_str()));
    }
}
