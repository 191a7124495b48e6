//! The people whom the IdP can sign in, and their groups.
use std::sync::{Arc, PoisonError, RwLock};

use super::xml;

/// Groups that one person may have.
pub const GROUPS_MAX: usize = 2_000;
/// Length of one group's name.
pub const GROUP_BYTES_MAX: usize = 1_024;

/// A person as the IdP knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Short name for URLs and the `uid` attribute: `alice`.
    pub id: String,
    pub display_name: String,
    /// Also the NameID.
    pub email: String,
    pub groups: Vec<String>,
}

/// The people of the demo, at `example.com`.
pub fn example_people() -> Vec<Person> {
    let person = |id: &str, name: &str, groups: &[&str]| Person {
        id: id.into(),
        display_name: name.into(),
        email: format!("{id}@example.com"),
        groups: groups.iter().map(ToString::to_string).collect(),
    };
    vec![
        person("alice", "Alice", &["octo-org", "octo-org-owners", "everyone"]),
        person("bob", "Bob", &["octo-org", "hubot-lab"]),
        person("carol", "Carol", &["docs-team"]),
        person("dave", "Dave", &[]),
    ]
}

/// Why groups were not saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupsError {
    #[error("there is no such person")]
    NoPerson,
    #[error("more than {GROUPS_MAX} groups")]
    TooMany,
    #[error("a group's name is longer than {GROUP_BYTES_MAX} bytes")]
    TooLong,
    #[error("a group's name has a character that XML cannot carry")]
    Character,
}

/// Who is known, shared by the pages and by whoever runs the IdP in the same process. Forgotten when the IdP ends.
#[derive(Debug, Clone)]
pub struct Directory {
    people: Arc<RwLock<Vec<Person>>>,
}

impl Directory {
    pub fn new(people: Vec<Person>) -> Self {
        Self { people: Arc::new(RwLock::new(people)) }
    }

    /// Everyone, in the order in which they were given.
    pub fn people(&self) -> Vec<Person> {
        self.people.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn person(&self, id: &str) -> Option<Person> {
        self.people.read().unwrap_or_else(PoisonError::into_inner).iter().find(|p| p.id == id).cloned()
    }

    /// Replaces a person's groups; the next sign-in says the new ones.
    pub fn set_groups(&self, id: &str, groups: &[&str]) -> Result<(), GroupsError> {
        if groups.len() > GROUPS_MAX {
            return Err(GroupsError::TooMany);
        }
        if groups.iter().any(|group| group.len() > GROUP_BYTES_MAX) {
            return Err(GroupsError::TooLong);
        }
        if !groups.iter().all(|group| xml::is_text(group)) {
            return Err(GroupsError::Character);
        }
        let mut people = self.people.write().unwrap_or_else(PoisonError::into_inner);
        let person = people.iter_mut().find(|p| p.id == id).ok_or(GroupsError::NoPerson)?;
        person.groups = groups.iter().map(ToString::to_string).collect();
        Ok(())
    }
}

/// The groups in a text field: one on each line. A comma parts groups too, but not in a line with an equals sign, which is
/// a distinguished name (`CN=Staff,OU=Groups`). Each group once, without blank ones.
pub(super) fn groups_in(text: &str) -> Vec<&str> {
    let mut groups = Vec::new();
    for line in text.lines() {
        let parts: Vec<&str> = if line.contains('=') { vec![line] } else { line.split(',').collect() };
        for group in parts.into_iter().map(str::trim) {
            if !group.is_empty() && !groups.contains(&group) && groups.len() <= GROUPS_MAX {
                groups.push(group);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_field_to_groups() {
        let check = |text: &str, groups: &[&str]| assert_eq!(groups_in(text), groups, "{text:?}");
        check("", &[]);
        check(" \r\n\r\n , ,", &[]);
        check("octo-org\r\n docs team \r\nocto-org", &["octo-org", "docs team"]);
        check("a, b,a", &["a", "b"]);
        check("CN=Staff,OU=Groups\nx,y", &["CN=Staff,OU=Groups", "x", "y"]);
    }

    #[test]
    fn groups_have_limits() {
        let directory = Directory::new(example_people());
        assert_eq!(directory.set_groups("nobody", &[]), Err(GroupsError::NoPerson));
        assert_eq!(directory.set_groups("alice", &vec!["g"; GROUPS_MAX + 1]), Err(GroupsError::TooMany));
        assert_eq!(
            directory.set_groups("alice", &[&"g".repeat(GROUP_BYTES_MAX + 1)]),
            Err(GroupsError::TooLong)
        );
        assert_eq!(directory.set_groups("alice", &["a\u{1}"]), Err(GroupsError::Character));
        assert_eq!(directory.person("alice").unwrap().groups.len(), 3, "a refused change changes nothing");
        assert_eq!(directory.set_groups("alice", &["new"]), Ok(()));
        assert_eq!(directory.person("alice").unwrap().groups, ["new"]);
    }
}
