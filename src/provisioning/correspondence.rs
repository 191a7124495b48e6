//! Which organizations a person's groups stand for: by account name, and by explicit mapping (A6).
use std::{borrow::Cow, collections::BTreeMap};

use crate::domain::{GroupName, OrganizationSlug, Role};

use super::{Pattern, Settings, dn};

/// "This group gives this role in this organization", beside the correspondence by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    pub group: GroupMatch,
    pub organization: OrganizationSlug,
    pub role: Role,
}

/// How a mapping recognises a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupMatch {
    /// The value is equal byte for byte.
    Exact(String),
    /// The value is a distinguished name whose leaf is equal byte for byte.
    DnLeaf(String),
    /// The whole value matches.
    Pattern(Pattern),
}

impl GroupMatch {
    fn matches(&self, group: &str) -> bool {
        match self {
            Self::Exact(name) => name == group,
            Self::DnLeaf(name) => dn::leaf(group).is_some_and(|leaf| leaf == *name),
            Self::Pattern(pattern) => pattern.matches(group),
        }
    }
}

/// How a group's value names an organization, beside the mappings. By default the value is the name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupNaming {
    /// Of a distinguished name only the leaf counts; any other value counts as it is.
    pub dn_leaf: bool,
    /// What is left must match, and the pattern's capture is the name.
    pub pattern: Option<Pattern>,
}

impl GroupNaming {
    /// The name that a value holds; `None` if it names nothing.
    pub fn name<'g>(&self, group: &'g str) -> Option<Cow<'g, str>> {
        let leaf = if self.dn_leaf { dn::leaf(group) } else { None };
        let name = leaf.map_or(Cow::Borrowed(group), Cow::Owned);
        match (&self.pattern, name) {
            (None, name) => Some(name),
            (Some(pattern), Cow::Borrowed(name)) => pattern.capture(name).map(Cow::Borrowed),
            (Some(pattern), Cow::Owned(name)) => {
                pattern.capture(&name).map(|name| Cow::Owned(name.to_owned()))
            }
        }
    }
}

/// One group that stands for an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    pub group: GroupName,
    pub organization: OrganizationSlug,
    pub role: Role,
}

/// What a list of groups means for the managed organizations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Correspondence {
    pub matched: Vec<Match>,
    /// Groups that stand for no managed organization; they change nothing.
    pub unmatched: Vec<GroupName>,
}

impl Correspondence {
    /// Compares the name that each group's value holds with the managed organizations' names, ASCII case-insensitively after
    /// trimming, and the value itself with the mappings. A name conveys membership only; the owner role comes from a mapping that says so (D5).
    pub fn of(groups: &[GroupName], settings: &Settings) -> Self {
        let mut found = Self::default();
        for group in groups {
            let before = found.matched.len();
            if let Some(name) = settings.naming.name(group)
                && let Ok(slug) = OrganizationSlug::parse(name.trim())
                && settings.managed.contains(&slug)
            {
                found.matched.push(Match { group: group.clone(), organization: slug, role: Role::Member });
            }
            for mapping in &settings.mappings {
                if mapping.group.matches(group) && settings.managed.contains(&mapping.organization) {
                    found.matched.push(Match {
                        group: group.clone(),
                        organization: mapping.organization.clone(),
                        role: mapping.role,
                    });
                }
            }
            if found.matched.len() == before {
                found.unmatched.push(group.clone());
            }
        }
        found
    }

    /// The organizations that the person is in a group of, each with the highest role that a group conveys.
    pub fn roles(&self) -> BTreeMap<OrganizationSlug, Role> {
        let mut roles: BTreeMap<OrganizationSlug, Role> = BTreeMap::new();
        for found in &self.matched {
            let role = roles.entry(found.organization.clone()).or_insert(found.role);
            *role = found.role.max(*role);
        }
        roles
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provisioning::{AttributeNames, LastOwner, MissingGroups, Policy};

    fn slug(text: &str) -> OrganizationSlug {
        OrganizationSlug::parse(text).unwrap()
    }

    fn roles(groups: &[&str]) -> (Vec<(String, Role)>, Vec<String>) {
        roles_by(GroupNaming::default(), groups)
    }

    fn mapping(group: GroupMatch, organization: &str) -> Mapping {
        Mapping { group, organization: slug(organization), role: Role::Member }
    }

    fn roles_by(naming: GroupNaming, groups: &[&str]) -> (Vec<(String, Role)>, Vec<String>) {
        let settings = Settings {
            naming,
            policy: Policy::default(),
            managed: vec![slug("octo-org"), slug("hubot")],
            mappings: vec![
                Mapping {
                    group: GroupMatch::Exact("owners".into()),
                    organization: slug("octo-org"),
                    role: Role::Owner,
                },
                mapping(GroupMatch::Exact("CN=a,DC=b".into()), "hubot"),
                mapping(GroupMatch::Exact("else".into()), "unmanaged"),
                mapping(GroupMatch::DnLeaf("Robots".into()), "hubot"),
                mapping(GroupMatch::Pattern(Pattern::parse("robot-[0-9]+").unwrap()), "hubot"),
            ],
            attributes: AttributeNames {
                groups: vec![],
                email: vec![],
                display_name: vec![],
                preferred_username: vec![],
            },
            max_removals: 10,
            break_glass: vec![],
            missing_groups: MissingGroups::Ignore,
            last_owner: LastOwner::Allow,
            dry_run: false,
        };
        let groups: Vec<String> = groups.iter().map(|g| (*g).into()).collect();
        let found = Correspondence::of(&groups, &settings);
        (found.roles().into_iter().map(|(o, r)| (o.to_string(), r)).collect(), found.unmatched)
    }

    #[test]
    fn correspondence() {
        let member = |o: &str| (o.to_owned(), Role::Member);
        // Statement 11: any letter case; what matches nothing is ignored.
        assert_eq!(roles(&[" Octo-Org ", "other"]), (vec![member("octo-org")], vec!["other".into()]));
        // Two groups of one organization unite to the higher role; a group's own name never conveys ownership.
        assert_eq!(roles(&["octo-org", "owners"]).0, vec![("octo-org".into(), Role::Owner)]);
        assert_eq!(roles(&["CN=a,DC=b"]).0, vec![member("hubot")]);
        // A mapping is exact.
        assert_eq!(roles(&["Owners"]), (vec![], vec!["Owners".into()]));
        // The leaf of a distinguished name, and a pattern over the whole value.
        assert_eq!(roles(&["CN=Robots,OU=x"]).0, vec![member("hubot")]);
        assert_eq!(roles(&["CN=robots,OU=x", "Robots", r"CN=a\,CN=Robots,OU=x"]).0, vec![]);
        assert_eq!(roles(&["robot-12"]).0, vec![member("hubot")]);
        assert_eq!(roles(&["my-robot-12", "robot-12a"]).0, vec![]);
        // Statement 12: not managed, never touched.
        assert_eq!(roles(&["else", "unmanaged"]).0, vec![]);
    }

    #[test]
    fn names_of_organizations_within_values() {
        let member = |o: &str| (o.to_owned(), Role::Member);
        let by = |dn_leaf, pattern: Option<&str>, group: &str| {
            let naming = GroupNaming { dn_leaf, pattern: pattern.map(|text| Pattern::parse(text).unwrap()) };
            roles_by(naming, &[group]).0
        };
        let none = Vec::new;
        let dn = "cn=Octo-Org,ou=groups,dc=example,dc=com";
        // Off by default.
        assert_eq!(by(false, None, dn), none());
        assert_eq!(by(true, None, dn), vec![member("octo-org")]);
        assert_eq!(by(true, None, "octo-org"), vec![member("octo-org")]);
        assert_eq!(by(true, None, r"cn=evil\,octo-org,ou=groups"), none());
        assert_eq!(by(true, None, "cn=evil,cn=octo-org,ou=groups"), none());
        assert_eq!(by(false, Some("app-(.+)"), "app-octo-org"), vec![member("octo-org")]);
        assert_eq!(by(false, Some("app-(.+)"), "octo-org"), none());
        assert_eq!(by(true, Some("app-(.+)"), "cn=app-octo-org,ou=groups"), vec![member("octo-org")]);
        assert_eq!(by(true, Some("app-(.+)"), dn), none());
        // A pattern over whole names pins the place in the directory, which a leaf forgets.
        let pinned = Some("(?i)cn=([a-z-]+),ou=groups,dc=example,dc=com");
        assert_eq!(by(false, pinned, dn), vec![member("octo-org")]);
        assert_eq!(by(false, pinned, "cn=octo-org,ou=sandbox,dc=example,dc=com"), none());
        // Mappings see the value itself.
        assert_eq!(by(true, Some("none"), "robot-1"), vec![member("hubot")]);
    }
}
