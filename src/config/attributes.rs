//! What an enterprise's assertions say of people: which attributes carry what, which of them identifies a person, and how
//! groups name organizations.
use crate::{
    domain::Role,
    provisioning::{AttributeNames, GroupMatch, GroupNaming, Pattern},
    saml::SubjectKey,
};

use super::{enterprise::texts, fault::Place, reader::Reader, schema, value::Placed};

/// Under these names Okta, Entra ID and AD FS send groups.
const GROUPS: &[&str] = &[
    "groups",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
    "http://schemas.xmlsoap.org/claims/Group",
];
/// Plain names, the LDAP attribute `mail`, the WS-Federation claim.
const EMAIL: &[&str] = &[
    "email",
    "emails",
    "mail",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
];
/// Plain names, the LDAP attribute `displayName`, Entra ID's claim.
const DISPLAY_NAME: &[&str] = &[
    "displayName",
    "full_name",
    "urn:oid:2.16.840.1.113730.3.1.241",
    "http://schemas.microsoft.com/identity/claims/displayname",
];
/// Plain names, the LDAP attribute `uid`, the WS-Federation claim.
const PREFERRED_USERNAME: &[&str] = &[
    "uid",
    "username",
    "urn:oid:0.9.2342.19200300.100.1.1",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
];

/// SAML Core 2.7.3.1 sets no limit for an attribute's name; real ones are URIs of well below this.
const ATTRIBUTE_NAME_CHARACTERS_MAX: usize = 512;

/// `enterprise.NAME.attributes`.
pub fn names(reader: &mut Reader, enterprise: &str) -> AttributeNames {
    AttributeNames {
        groups: attribute(reader, enterprise, "groups", GROUPS),
        email: attribute(reader, enterprise, "email", EMAIL),
        display_name: attribute(reader, enterprise, "display_name", DISPLAY_NAME),
        preferred_username: attribute(reader, enterprise, "preferred_username", PREFERRED_USERNAME),
    }
}

fn attribute(reader: &mut Reader, enterprise: &str, name: &str, default: &[&str]) -> Vec<String> {
    texts(reader, &format!("{enterprise}.attributes.{name}"))
        .unwrap_or_else(|| default.iter().map(|name| (*name).to_owned()).collect())
}

/// `enterprise.NAME.saml.subject`: the NameID, or an attribute by its exact name.
pub fn subject(reader: &mut Reader, path: &str) -> SubjectKey {
    const HINT: &str = "write \"name_id\", or the exact Name of an attribute that never changes and is never given to somebody else";
    let text = reader.text_or(path, SubjectKey::NAME_ID);
    let name = &text.value;
    if name == SubjectKey::NAME_ID {
        return SubjectKey::NameId;
    }
    let odd = |c: char| c.is_control() || c.is_whitespace();
    if name.is_empty() || name.chars().any(odd) || name.chars().count() > ATTRIBUTE_NAME_CHARACTERS_MAX {
        let why = "is empty, has white space in it or is longer than 512 characters";
        reader.fault(&text.place, path, why, HINT);
    } else if let Some(meant) = schema::nearest(name, [SubjectKey::NAME_ID]) {
        // A misspelt word would be an attribute that no assertion has, and nobody could sign in.
        reader.fault(
            &text.place,
            path,
            format!("{name:?} is no attribute's name"),
            format!("did you mean {meant:?}?"),
        );
    } else if EMAIL.contains(&name.as_str()) {
        // V-08, S-92: an address may move to somebody else, and with it everything that the first one had.
        let why = "is an e-mail address, which people change and which may be given to somebody else";
        reader.warn(
            &text.place,
            path,
            why,
            "name an object id or another attribute that stays with one person",
        );
    }
    SubjectKey::Attribute(text.value)
}

/// `enterprise.NAME.groups`.
pub fn naming(reader: &mut Reader, enterprise: &str) -> GroupNaming {
    let dn_leaf = reader.text_or(&format!("{enterprise}.groups.name"), "value").value == "dn_leaf";
    let path = format!("{enterprise}.groups.pattern");
    let pattern = reader.text(&path).and_then(|text| {
        let found = pattern(reader, &path, &text)?;
        if found.captures() > 1 {
            let why =
                format!("{:?} has several capture groups, and one of them must hold the name", text.value);
            reader.fault(&text.place, &path, why, "write (?:...) for the others");
        }
        Some(found)
    });
    GroupNaming { dn_leaf, pattern }
}

/// How the mapping at `path` recognises its group: byte for byte, unless `matches` says otherwise.
pub fn group_match(
    reader: &mut Reader,
    path: &str,
    group: Placed<String>,
    matches: Option<Placed<String>>,
) -> Option<GroupMatch> {
    match matches.as_ref().map_or("exact", |matches| matches.value.as_str()) {
        "exact" => Some(GroupMatch::Exact(group.value)),
        "dn_leaf" => Some(GroupMatch::DnLeaf(group.value)),
        "regex" => pattern(reader, &format!("{path}.group"), &group).map(GroupMatch::Pattern),
        other => {
            let what = format!("{path}.match");
            let why = format!("{other:?} is no way to match a group");
            let place = matches.map_or(group.place, |matches| matches.place);
            reader.fault(&place, &what, why, "use \"exact\", \"dn_leaf\" or \"regex\"");
            None
        }
    }
}

/// V-06: who owns an organization should hang on one group, not on whatever somebody may create under the same leaf.
pub fn warn_of_loose_owners(
    reader: &mut Reader,
    path: &str,
    place: &Place,
    group: &GroupMatch,
    role: Option<Role>,
) {
    if matches!(group, GroupMatch::DnLeaf(_)) && role == Some(Role::Owner) {
        let why = "makes owners of the people of every group of this leaf, wherever in the directory it is";
        reader.warn(place, path, why, "write the whole distinguished name, with match = \"exact\"");
    }
}

const PATTERN_HINT: &str = "write a regular expression for the whole value: \"app-(.+)\"";

fn pattern(reader: &mut Reader, path: &str, text: &Placed<String>) -> Option<Pattern> {
    match Pattern::parse(&text.value) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            reader.fault(&text.place, path, format!("{:?} {error}", text.value), PATTERN_HINT);
            None
        }
    }
}
