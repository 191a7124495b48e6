//! What an identity provider provisions by SCIM: users and groups, as they are kept.
use serde_json::{Map, Value};

use super::{OrganizationSlug, PersonId, ScimId, Timestamp};

/// The attributes of a resource by their canonical names, as a client may write them: without `id`, `meta` and `groups`.
pub type ScimAttributes = Map<String, Value>;

/// A user as the identity provider described it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScimUser {
    pub id: ScimId,
    pub attributes: ScimAttributes,
    pub active: bool,
    /// Whose sign-ins are this user's.
    pub link: PersonId,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    /// Counts the changes of the attributes.
    pub version: u64,
}

impl ScimUser {
    /// Empty only for a record that nobody but us could have written.
    pub fn user_name(&self) -> &str {
        text(&self.attributes, "userName").unwrap_or_default()
    }

    pub fn external_id(&self) -> Option<&str> {
        text(&self.attributes, "externalId")
    }

    /// The value of the address that mail goes to: the primary one, else the first (A15).
    pub fn email(&self) -> Option<&str> {
        let emails = || emails(&self.attributes);
        let is_primary = |email: &&Value| email.get("primary") == Some(&Value::Bool(true));
        let chosen = emails().find(is_primary).or_else(|| emails().next());
        chosen.and_then(|email| email.get("value")).and_then(Value::as_str)
    }

    /// The values of all addresses, in their order.
    pub fn emails(&self) -> impl Iterator<Item = &str> {
        emails(&self.attributes).filter_map(|email| email.get("value")).filter_map(Value::as_str)
    }

    /// How people are shown: `displayName`, else the name's parts.
    pub fn display_name(&self) -> Option<String> {
        let name = |part| self.attributes.get("name").and_then(|name| name.get(part)).and_then(Value::as_str);
        let shown = text(&self.attributes, "displayName").or_else(|| name("formatted")).map(str::to_owned);
        shown.or_else(|| {
            let parts: Vec<&str> = [name("givenName"), name("familyName")].into_iter().flatten().collect();
            (!parts.is_empty()).then(|| parts.join(" "))
        })
    }
}

/// A group a user is in, and the organization that it corresponds to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimMembership {
    pub group: ScimId,
    pub organization: Option<OrganizationSlug>,
}

/// A group without its members, which are a set of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimGroup {
    pub id: ScimId,
    pub display_name: String,
    pub external_id: Option<String>,
    /// The organization that it corresponds to: found once, by name, and kept (A7).
    pub organization: Option<OrganizationSlug>,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    /// Counts the changes of the group itself; those of its members are counted apart.
    pub version: u64,
}

/// What a group's members are to become, too much for one commit: noted before the first step, so that any gateway can go on
/// where another one stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimGroupJob {
    pub adds: Vec<ScimId>,
    pub removes: Vec<ScimId>,
    /// The group goes once its members are gone.
    pub deletes: bool,
    /// The request that asked for it.
    pub request_id: String,
    pub since: Timestamp,
}

fn text<'a>(attributes: &'a ScimAttributes, name: &str) -> Option<&'a str> {
    attributes.get(name).and_then(Value::as_str)
}

fn emails(attributes: &ScimAttributes) -> impl Iterator<Item = &Value> {
    attributes.get("emails").and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_goes_to_the_primary_address_else_to_the_first() {
        let user = |json: Value| ScimUser {
            id: ScimId::from_bytes([1; 16]),
            attributes: json.as_object().unwrap().clone(),
            active: true,
            link: PersonId::from_bytes([2; 16]),
            created_at: Timestamp::UNIX_EPOCH,
            modified_at: Timestamp::UNIX_EPOCH,
            version: 1,
        };
        let two = serde_json::json!({"emails": [{"value": "a@x"}, {"value": "b@x", "primary": true}]});
        assert_eq!(user(two).email(), Some("b@x"));
        let first = serde_json::json!({"emails": [{"value": "a@x"}, {"value": "b@x"}]});
        assert_eq!(user(first.clone()).email(), Some("a@x"));
        assert_eq!(user(first).emails().count(), 2);
        assert_eq!(user(serde_json::json!({})).email(), None);
        let named = serde_json::json!({"name": {"givenName": "Alice", "familyName": "Example"}});
        assert_eq!(user(named).display_name().as_deref(), Some("Alice Example"));
    }
}
