//! Which organizations a person's groups stand for: by account name, and by explicit mapping (A6).
use std::collections::BTreeMap;

use crate::domain::{GroupName, OrganizationSlug, Role};

use super::Settings;

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
    /// Equal byte for byte.
    Exact(String),
}

impl GroupMatch {
    fn matches(&self, group: &str) -> bool {
        match self {
            Self::Exact(name) => name == group,
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
    /// Compares each group with the managed organizations' names, ASCII case-insensitively after trimming, and with the
    /// mappings. A name conveys membership only; the owner role comes from a mapping that says so (D5).
    pub fn of(groups: &[GroupName], settings: &Settings) -> Self {
        let mut found = Self::default();
        for group in groups {
            let before = found.matched.len();
            if let Ok(slug) = OrganizationSlug::parse(group.trim())
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
    use crate::provisioning::{AttributeNames, Policy};

    fn slug(text: &str) -> OrganizationSlug {
        OrganizationSlug::parse(text).unwrap()
    }

    fn roles(groups: &[&str]) -> (Vec<(String, Role)>, Vec<String>) {
        let settings = Settings {
            policy: Policy::default(),
            managed: vec![slug("octo-org"), slug("hubot")],
            mappings: vec![
                Mapping {
                    group: GroupMatch::Exact("owners".into()),
                    organization: slug("octo-org"),
                    role: Role::Owner,
                },
                Mapping {
                    group: GroupMatch::Exact("CN=a,DC=b".into()),
                    organization: slug("hubot"),
                    role: Role::Member,
                },
                Mapping {
                    group: GroupMatch::Exact("else".into()),
                    organization: slug("unmanaged"),
                    role: Role::Member,
                },
            ],
            attributes: AttributeNames {
                groups: vec![],
                email: vec![],
                display_name: vec![],
                preferred_username: vec![],
            },
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
        // Statement 12: not managed, never touched.
        assert_eq!(roles(&["else", "unmanaged"]).0, vec![]);
    }
}
