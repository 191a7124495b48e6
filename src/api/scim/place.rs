//! Where a call goes: which base, and what under it (RFC 7644 3.2, 4). Segments are compared with their case.
use crate::domain::{EnterpriseSlug, OrganizationSlug};

/// A base URL's own part of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    Enterprise(EnterpriseSlug),
    /// Users only: of an enterprise whose only organization is itself.
    Organization(OrganizationSlug),
}

impl Base {
    /// As it stands behind [`super::PREFIX`]: account names are lower case.
    pub fn path(&self) -> String {
        match self {
            Self::Enterprise(slug) => format!("/enterprises/{slug}"),
            Self::Organization(slug) => format!("/organizations/{slug}"),
        }
    }

    /// Whether groups are served under it.
    pub fn has_groups(&self) -> bool {
        matches!(self, Self::Enterprise(_))
    }
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint<'a> {
    ServiceProviderConfig,
    ResourceTypes,
    ResourceType(&'a str),
    Schemas,
    Schema(&'a str),
    /// All resources of the base.
    Root,
    RootSearch,
    Users,
    UsersSearch,
    User(&'a str),
    Groups,
    GroupsSearch,
    Group(&'a str),
    Bulk,
    /// RFC 7644 3.11
    Me,
}

/// Base and endpoint of a path behind [`super::PREFIX`]; `None` where there is neither, or no group is served.
pub fn place(path: &str) -> Option<(Base, Endpoint<'_>)> {
    let mut segments = path.strip_prefix('/')?.splitn(3, '/');
    let base = match (segments.next()?, segments.next()?) {
        ("enterprises", name) => Base::Enterprise(EnterpriseSlug::parse(name).ok()?),
        ("organizations", name) => Base::Organization(OrganizationSlug::parse(name).ok()?),
        _ => return None,
    };
    let endpoint = endpoint(segments.next().unwrap_or_default())?;
    let is_of_groups = matches!(endpoint, Endpoint::Groups | Endpoint::GroupsSearch | Endpoint::Group(_));
    (base.has_groups() || !is_of_groups).then_some((base, endpoint))
}

fn endpoint(rest: &str) -> Option<Endpoint<'_>> {
    let (first, second) = rest.split_once('/').map_or((rest, None), |(first, second)| (first, Some(second)));
    if second.is_some_and(|second| second.is_empty() || second.contains('/')) {
        return None;
    }
    Some(match (first, second) {
        ("", None) => Endpoint::Root,
        (".search", None) => Endpoint::RootSearch,
        ("ServiceProviderConfig", None) => Endpoint::ServiceProviderConfig,
        ("ResourceTypes", None) => Endpoint::ResourceTypes,
        ("ResourceTypes", Some(name)) => Endpoint::ResourceType(name),
        ("Schemas", None) => Endpoint::Schemas,
        ("Schemas", Some(urn)) => Endpoint::Schema(urn),
        ("Users", None) => Endpoint::Users,
        ("Users", Some(".search")) => Endpoint::UsersSearch,
        ("Users", Some(id)) => Endpoint::User(id),
        ("Groups", None) => Endpoint::Groups,
        ("Groups", Some(".search")) => Endpoint::GroupsSearch,
        ("Groups", Some(id)) => Endpoint::Group(id),
        ("Bulk", None) => Endpoint::Bulk,
        ("Me", _) => Endpoint::Me,
        _ => return None,
    })
}

impl Endpoint<'_> {
    /// As the Allow field lists them.
    pub fn methods(self) -> &'static str {
        match self {
            Self::ServiceProviderConfig
            | Self::ResourceTypes
            | Self::ResourceType(_)
            | Self::Schemas
            | Self::Schema(_)
            | Self::Root => "GET, HEAD",
            Self::Users | Self::Groups => "GET, HEAD, POST",
            Self::User(_) | Self::Group(_) => "GET, HEAD, PUT, PATCH, DELETE",
            Self::RootSearch | Self::UsersSearch | Self::GroupsSearch | Self::Bulk => "POST",
            Self::Me => "GET, HEAD, POST, PUT, PATCH, DELETE",
        }
    }

    pub fn allows(self, method: &str) -> bool {
        self.methods().split(", ").any(|allowed| allowed == method)
    }

    /// Where a query is sent as a body (RFC 7644 3.4.3).
    pub fn is_search(self) -> bool {
        matches!(self, Self::RootSearch | Self::UsersSearch | Self::GroupsSearch)
    }

    /// What says what the server can do: the same for everybody, so nobody is asked who they are (RFC 7643 5).
    pub fn is_discovery(self) -> bool {
        matches!(
            self,
            Self::ServiceProviderConfig
                | Self::ResourceTypes
                | Self::ResourceType(_)
                | Self::Schemas
                | Self::Schema(_)
        )
    }

    /// The name in metrics and in the audit log, without anything that a client chose.
    pub fn name(self) -> &'static str {
        match self {
            Self::ServiceProviderConfig => "/ServiceProviderConfig",
            Self::ResourceTypes => "/ResourceTypes",
            Self::ResourceType(_) => "/ResourceTypes/{name}",
            Self::Schemas => "/Schemas",
            Self::Schema(_) => "/Schemas/{urn}",
            Self::Root => "/",
            Self::RootSearch => "/.search",
            Self::Users => "/Users",
            Self::UsersSearch => "/Users/.search",
            Self::User(_) => "/Users/{id}",
            Self::Groups => "/Groups",
            Self::GroupsSearch => "/Groups/.search",
            Self::Group(_) => "/Groups/{id}",
            Self::Bulk => "/Bulk",
            Self::Me => "/Me",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_a_base_and_what_is_under_it() {
        let found = |path: &str| place(path).map(|(base, endpoint)| (base.path(), endpoint.name()));
        let enterprise = "/enterprises/example";
        for (path, name) in [
            ("", "/"),
            ("/Users", "/Users"),
            ("/Users/ab", "/Users/{id}"),
            ("/Users/.search", "/Users/.search"),
            ("/Groups/x", "/Groups/{id}"),
            ("/.search", "/.search"),
            ("/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", "/Schemas/{urn}"),
            ("/Me", "/Me"),
            ("/Bulk", "/Bulk"),
        ] {
            let whole = format!("{enterprise}{path}");
            assert_eq!(found(&whole), Some((enterprise.to_owned(), name)), "{path}");
        }
        // Account names are compared without case, endpoints with it.
        assert_eq!(found("/enterprises/EXAMPLE/Users"), Some((enterprise.to_owned(), "/Users")));
        for nothing in [
            "",
            "/enterprises",
            "/enterprises/a_b/Users",
            "/enterprises/example/users",
            "/enterprises/example/Users/",
            "/enterprises/example/Users/a/b",
            "/enterprises/example/Foo",
            "/people/example/Users",
            "/organizations/octo-org/Groups",
            "/organizations/octo-org/Groups/x",
        ] {
            assert_eq!(found(nothing), None, "{nothing}");
        }
        assert_eq!(
            found("/organizations/octo-org/Users"),
            Some(("/organizations/octo-org".to_owned(), "/Users"))
        );
    }

    #[test]
    fn methods() {
        assert!(Endpoint::Users.allows("POST") && !Endpoint::Users.allows("PUT"));
        assert!(Endpoint::User("x").allows("PATCH") && !Endpoint::User("x").allows("POST"));
        assert!(!Endpoint::Schemas.allows("POST") && Endpoint::Schemas.is_discovery());
    }
}
