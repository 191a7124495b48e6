//! Groups and profile, read from an assertion's attributes by exact attribute name (A19).
use crate::domain::{Attribute, GroupClaim, Profile, StableId};

/// Entra ID sends this instead of the groups when there are too many of them.
const OVERAGE_POINTERS: &[&str] = &[
    "http://schemas.microsoft.com/claims/groups.link",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups.link",
];

/// Which attributes (by exact `Name`) carry what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeNames {
    /// The values of all of these are united.
    pub groups: Vec<String>,
    /// Of these and the following lists the first that is present counts.
    pub email: Vec<String>,
    pub display_name: Vec<String>,
    pub preferred_username: Vec<String>,
}

/// Why an attribute that the configuration names cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableAttribute {
    /// Two values where one identity must be chosen: neither the first nor the last may win (S-95).
    #[error("the attribute {name:?} has {values} different values, but one is needed")]
    Ambiguous { name: String, values: usize },
    /// A value holds elements, or is nil: which text would be meant is anybody's guess (S-23).
    #[error("the attribute {name:?} has a value that is not text")]
    NotText { name: String },
}

/// What an assertion's attributes say to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub profile: Profile,
    pub claim: GroupClaim,
}

impl Reading {
    /// Reads the attributes that `names` lists. `structured` names those that have a value that is not text.
    pub fn of(
        stable_id: &StableId,
        attributes: &[Attribute],
        structured: &[String],
        names: &AttributeNames,
    ) -> Result<Self, UnusableAttribute> {
        screen(structured, names)?;
        let profile = profile(stable_id, attributes, names)?;
        let is_pointer = |name: &String| OVERAGE_POINTERS.contains(&name.as_str());
        let claim = match structured.iter().any(is_pointer) {
            true => GroupClaim::Overage,
            false => group_claim(attributes, names),
        };
        Ok(Self { profile, claim })
    }
}

/// Refuses an assertion in which an attribute that we would read is `structured`: has a value that is not text.
fn screen(structured: &[String], names: &AttributeNames) -> Result<(), UnusableAttribute> {
    let read = [&names.groups, &names.email, &names.display_name, &names.preferred_username];
    match structured.iter().find(|name| read.iter().any(|list| list.contains(name))) {
        Some(name) => Err(UnusableAttribute::NotText { name: name.clone() }),
        None => Ok(()),
    }
}

/// The state of the group claim (A1, A19). A pointer to an overage wins over groups that are there as well, because
/// then the list is known to be incomplete.
fn group_claim(attributes: &[Attribute], names: &AttributeNames) -> GroupClaim {
    if attributes.iter().any(|a| OVERAGE_POINTERS.contains(&a.name.as_str())) {
        return GroupClaim::Overage;
    }
    let mut named = attributes.iter().filter(|a| names.groups.contains(&a.name)).peekable();
    if named.peek().is_none() {
        return GroupClaim::Absent;
    }
    let mut groups: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for group in named.flat_map(|a| &a.values).filter(|v| !v.trim().is_empty()) {
        if seen.insert(group.as_str()) {
            groups.push(group.clone());
        }
    }
    if groups.is_empty() { GroupClaim::Empty } else { GroupClaim::Present(groups) }
}

/// How the person is shown to origin servers.
fn profile(
    stable_id: &StableId,
    attributes: &[Attribute],
    names: &AttributeNames,
) -> Result<Profile, UnusableAttribute> {
    Ok(Profile {
        user: stable_id.value().to_owned(),
        email: single(attributes, &names.email)?,
        display_name: single(attributes, &names.display_name)?,
        preferred_username: single(attributes, &names.preferred_username)?,
    })
}

/// The one value of the first attribute among `names` that has any.
fn single(attributes: &[Attribute], names: &[String]) -> Result<Option<String>, UnusableAttribute> {
    for name in names {
        let mut values: Vec<&str> = attributes
            .iter()
            .filter(|a| a.name == *name)
            .flat_map(|a| &a.values)
            .map(String::as_str)
            .collect();
        values.retain(|v| !v.trim().is_empty());
        values.sort_unstable();
        values.dedup();
        match values.as_slice() {
            [] => {}
            [value] => return Ok(Some((*value).to_owned())),
            several => {
                return Err(UnusableAttribute::Ambiguous { name: name.clone(), values: several.len() });
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> AttributeNames {
        AttributeNames {
            groups: vec!["groups".into(), "urn:groups".into()],
            email: vec!["email".into(), "mail".into()],
            display_name: vec![],
            preferred_username: vec![],
        }
    }

    fn attribute(name: &str, values: &[&str]) -> Attribute {
        Attribute { name: name.into(), values: values.iter().map(|v| (*v).into()).collect() }
    }

    #[test]
    fn the_four_states_of_the_group_claim() {
        let check =
            |attributes: &[Attribute], want: GroupClaim| assert_eq!(group_claim(attributes, &names()), want);
        let present = |groups: &[&str]| GroupClaim::Present(groups.iter().map(|g| (*g).into()).collect());
        check(&[], GroupClaim::Absent);
        check(&[attribute("Groups", &["a"])], GroupClaim::Absent);
        check(&[attribute("groups", &[])], GroupClaim::Empty);
        check(&[attribute("groups", &["", " "])], GroupClaim::Empty);
        check(&[attribute("groups", &["a", "b", "a"])], present(&["a", "b"]));
        // Several attributes, of one name or of several, are united (A19); nothing is split on commas (A6).
        check(
            &[attribute("groups", &["a"]), attribute("urn:groups", &["b"]), attribute("groups", &["c,d"])],
            present(&["a", "b", "c,d"]),
        );
        // V-13: an overage pointer makes the claim unknown, even beside some groups.
        check(
            &[attribute("groups", &["a"]), attribute(OVERAGE_POINTERS[0], &["https://graph"])],
            GroupClaim::Overage,
        );
    }

    #[test]
    fn s_95_a_single_valued_attribute_with_two_values_is_refused() {
        let stable_id = StableId::NameId("alice".into());
        let read = |attributes: &[Attribute]| profile(&stable_id, attributes, &names()).map(|p| p.email);
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[attribute("mail", &["a@example.com"])]), Ok(Some("a@example.com".into())));
        assert_eq!(
            read(&[attribute("email", &["a@example.com", "a@example.com"])]),
            Ok(Some("a@example.com".into()))
        );
        // The order of the configured names decides, not the order in the assertion.
        assert_eq!(read(&[attribute("mail", &["m"]), attribute("email", &["e"])]), Ok(Some("e".into())));
        for pair in [
            vec![attribute("email", &["a", "b"])],
            vec![attribute("email", &["a"]), attribute("email", &["b"])],
        ] {
            assert_eq!(read(&pair), Err(UnusableAttribute::Ambiguous { name: "email".into(), values: 2 }));
        }
    }

    #[test]
    fn v_13_a_pointer_is_one_whatever_its_value_is() {
        let stable_id = StableId::NameId("alice".into());
        let attributes = [attribute("groups", &["a"])];
        let reading = Reading::of(&stable_id, &attributes, &[OVERAGE_POINTERS[0].into()], &names()).unwrap();
        assert_eq!(reading.claim, GroupClaim::Overage);
    }

    #[test]
    fn s_23_an_attribute_that_we_read_must_be_text() {
        assert_eq!(screen(&["other".into()], &names()), Ok(()));
        for name in ["groups", "mail"] {
            let refused = Err(UnusableAttribute::NotText { name: name.into() });
            assert_eq!(screen(&["other".into(), name.into()], &names()), refused);
        }
    }
}
