//! The people whom the IdP can sign in, and their groups.
use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock},
};

use serde::Deserialize;

use super::xml;

/// People that one IdP may have: they all stand on one page.
pub const PEOPLE_MAX: usize = 500;
/// Length of an id, a display name or an e-mail address.
pub const PERSON_TEXT_BYTES_MAX: usize = 256;

/// Groups that one person may have.
pub const GROUPS_MAX: usize = 2_000;
/// Length of one group's name.
pub const GROUP_BYTES_MAX: usize = 1_024;

/// A person as the IdP knows them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Short name for URLs and the `uid` attribute: `alice`. ASCII letters, digits, hyphens and underscores.
    pub id: String,
    pub display_name: String,
    /// Also the NameID.
    pub email: String,
    #[serde(default)]
    pub groups: Vec<String>,
}

/// Why a list of people cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    #[error("the people are no JSON list of {{id, display_name, email, groups}}: {0}")]
    Json(#[from] serde_json::Error),
    #[error("more than {PEOPLE_MAX} people, or nobody")]
    Count,
    #[error("the id {0:?} is not made of ASCII letters, digits, hyphens and underscores")]
    Id(String),
    #[error("two people have the id {0:?}")]
    Twice(String),
    #[error(
        "{0}'s name or e-mail address is blank, longer than {PERSON_TEXT_BYTES_MAX} bytes, or not fit for XML"
    )]
    Text(String),
    #[error("{0}'s groups: {1}")]
    Groups(String, GroupsError),
}

/// Reads people from a JSON list: `[{"id": "alice", "display_name": "Alice", "email": "alice@example.com", "groups": []}]`.
pub fn people_from_json(json: &str) -> Result<Vec<Person>, PeopleError> {
    let people: Vec<Person> = serde_json::from_str(json)?;
    check(&people)?;
    Ok(people)
}

/// What the pages and the assertions take for granted about people.
pub(super) fn check(people: &[Person]) -> Result<(), PeopleError> {
    if people.is_empty() || people.len() > PEOPLE_MAX {
        return Err(PeopleError::Count);
    }
    let in_url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let fits =
        |text: &String| !text.trim().is_empty() && text.len() <= PERSON_TEXT_BYTES_MAX && xml::is_text(text);
    let mut ids = BTreeSet::new();
    for person in people {
        let id = &person.id;
        if id.is_empty() || id.len() > PERSON_TEXT_BYTES_MAX || !id.bytes().all(in_url) {
            return Err(PeopleError::Id(id.clone()));
        }
        if !ids.insert(id) {
            return Err(PeopleError::Twice(id.clone()));
        }
        if !fits(&person.display_name) || !fits(&person.email) {
            return Err(PeopleError::Text(id.clone()));
        }
        check_groups(&person.groups).map_err(|error| PeopleError::Groups(id.clone(), error))?;
    }
    Ok(())
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
        check_groups(groups)?;
        let mut people = self.people.write().unwrap_or_else(PoisonError::into_inner);
        let person = people.iter_mut().find(|p| p.id == id).ok_or(GroupsError::NoPerson)?;
        person.groups = groups.iter().map(ToString::to_string).collect();
        Ok(())
    }
}

fn check_groups(groups: &[impl AsRef<str>]) -> Result<(), GroupsError> {
    if groups.len() > GROUPS_MAX {
        return Err(GroupsError::TooMany);
    }
    if groups.iter().any(|group| group.as_ref().len() > GROUP_BYTES_MAX) {
        return Err(GroupsError::TooLong);
    }
    if !groups.iter().all(|group| xml::is_text(group.as_ref())) {
        return Err(GroupsError::Character);
    }
    Ok(())
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
    fn people_are_checked() {
        let one = r#"{"id":"a","display_name":"A","email":"a@example.com"}"#;
        assert_eq!(people_from_json(&format!("[{one}]")).unwrap()[0].groups.len(), 0);
        let refused = |json: &str, error: &str| {
            let message = people_from_json(json).unwrap_err().to_string();
            assert!(message.contains(error), "{json}: {message}");
        };
        refused("{}", "no JSON list");
        refused(&format!("[{}]", one.replace("email", "mail")), "no JSON list");
        refused("[]", "or nobody");
        refused(&format!("[{}]", vec![one; PEOPLE_MAX + 1].join(",")), "more than");
        refused(&format!("[{one},{one}]"), "two people");
        refused(&format!("[{}]", one.replace("\"a\"", "\"a/b\"")), "the id \"a/b\"");
        refused(&format!("[{}]", one.replace("\"A\"", "\" \"")), "blank");
        refused(&format!("[{}]", one.replace("a@", "\\u0000@")), "not fit for XML");
        refused(&format!("[{}]", one.replace('}', ",\"groups\":[\"\\u0001\"]}")), "a's groups");
        assert!(check(&example_people()).is_ok());
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
