//! What an assertion says of a person, after verification.

/// A NameID (SAML Core 2.2.3). Values are compared byte for byte, never trimmed, never case-folded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameId {
    pub value: String,
    /// The format URI; `urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified` where the IdP gave none.
    pub format: String,
    /// As the IdP gave them. They name nobody apart here, but an IdP knows its NameID again only with them.
    pub name_qualifier: Option<String>,
    pub sp_name_qualifier: Option<String>,
}

/// An attribute (SAML Core 2.7.3.1) with its text values in document order; several of one name are kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    pub values: Vec<String>,
}

/// A group as the IdP names it: any text, compared as the mapping rule says.
pub type GroupName = String;

/// What an assertion says about groups. Only the last two say anything about membership (decision A1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupClaim {
    /// No attribute of a configured name.
    Absent,
    /// The IdP had too many groups and sent a pointer instead (Entra ID's `groups.link`).
    Overage,
    /// The attribute is there, with no value or only blank ones: the person is in no group.
    Empty,
    /// The groups, without blanks, each once, in the order of the assertion.
    Present(Vec<GroupName>),
}

impl GroupClaim {
    /// The groups if the claim is authoritative, `None` if it says nothing about membership.
    pub fn known(&self) -> Option<&[GroupName]> {
        match self {
            Self::Absent | Self::Overage => None,
            Self::Empty => Some(&[]),
            Self::Present(groups) => Some(groups),
        }
    }

    /// The stable word for logs, `saml inspect` and metrics.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Overage => "overage",
            Self::Empty => "empty",
            Self::Present(_) => "present",
        }
    }
}

/// How a person is shown to origin servers. Only `user` identifies; the rest is for display and search (V-08).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// The NameID's value.
    pub user: String,
    pub email: Option<String>,
    pub display_name: Option<String>,
    pub preferred_username: Option<String>,
}
