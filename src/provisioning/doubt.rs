//! Group claims that may be no answer at all: ids where names are expected, and none where some are (A1, section 4.7).
use std::borrow::Cow;

use crate::domain::GroupClaim;

use super::{Correspondence, GroupMatch, Settings};

/// What an absent group claim means. Identity providers leave the attribute out when they are set up wrongly, when nothing
/// matches, and when there is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingGroups {
    /// Nothing is known, and nothing changes.
    #[default]
    Ignore,
    /// The sign-in is refused.
    Deny,
    /// The person is in no group.
    TreatAsEmpty,
}

impl MissingGroups {
    pub const ALL: [Self; 3] = [Self::Ignore, Self::Deny, Self::TreatAsEmpty];

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Deny => "deny",
            Self::TreatAsEmpty => "treat_as_empty",
        }
    }
}

/// The assertion says nothing about groups, and must.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the assertion has no group attribute, and missing_groups = \"deny\"")]
pub struct GroupsMissing;

/// The claim, as [`GroupClaim::ObjectIds`] if every value looks like an object id while no mapping is for one and no organization
/// is called like one. Where a single value is known, the others are groups that stand for nothing here.
pub fn doubt(claim: GroupClaim, settings: &Settings) -> GroupClaim {
    let GroupClaim::Present(groups) = &claim else { return claim };
    let expects_ids = settings.mappings.iter().any(|mapping| match &mapping.group {
        GroupMatch::Exact(value) => is_object_id(value),
        GroupMatch::DnLeaf(_) | GroupMatch::Pattern(_) => false,
    });
    if expects_ids || !groups.iter().all(|group| is_object_id(group)) {
        return claim;
    }
    match Correspondence::of(groups, settings).matched.is_empty() {
        true => GroupClaim::ObjectIds(groups.clone()),
        false => claim,
    }
}

/// What is made of a claim: an absent one as the settings say.
pub fn settle<'c>(claim: &'c GroupClaim, settings: &Settings) -> Result<Cow<'c, GroupClaim>, GroupsMissing> {
    match (claim, settings.missing_groups) {
        (GroupClaim::Absent, MissingGroups::Deny) => Err(GroupsMissing),
        (GroupClaim::Absent, MissingGroups::TreatAsEmpty) => Ok(Cow::Owned(GroupClaim::Empty)),
        (claim, _) => Ok(Cow::Borrowed(claim)),
    }
}

/// Whether a value has the form of Entra ID's object ids: 8, 4, 4, 4 and 12 hexadecimal digits.
fn is_object_id(value: &str) -> bool {
    let mut parts = value.trim().split('-');
    let is_hex = |part: &str, digits| part.len() == digits && part.bytes().all(|b| b.is_ascii_hexdigit());
    [8, 4, 4, 4, 12].into_iter().all(|digits| parts.next().is_some_and(|part| is_hex(part, digits)))
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_ids_by_their_form() {
        for id in ["0f8fad5b-d9cb-469f-a165-70867728950e", " 0F8FAD5B-D9CB-469F-A165-70867728950E "] {
            assert!(is_object_id(id), "{id}");
        }
        for other in [
            "",
            "octo-org",
            "0f8fad5b-d9cb-469f-a165-70867728950",
            "0f8fad5b-d9cb-469f-a165-70867728950e-",
            "0f8fad5b-d9cb-469f-a165-70867728950g",
            "0f8fad5bd9cb469fa16570867728950e",
            "-0f8fad5b-d9cb-469f-a165-70867728950e",
        ] {
            assert!(!is_object_id(other), "{other}");
        }
    }
}
