//! What an assertion says of a person, after verification.

/// A NameID (SAML Core 2.2.3). Values are compared byte for byte, never trimmed, never case-folded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameId {
    pub value: String,
    /// The format URI; [`Self::UNSPECIFIED`] where the IdP gave none.
    pub format: String,
    /// As the IdP gave them. They name nobody apart here, but an IdP knows its NameID again only with them.
    pub name_qualifier: Option<String>,
    pub sp_name_qualifier: Option<String>,
}

impl NameId {
    /// SAML Core 8.3.1: nothing is said of what it is.
    pub const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
    /// SAML Core 8.3.2.
    pub const EMAIL_ADDRESS: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
    /// SAML Core 8.3.6: names a system.
    pub const ENTITY: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity";
    /// SAML Core 8.3.7: one for each pair of identity and service provider, for good.
    pub const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
    /// SAML Core 8.3.8: made for one sign-in.
    pub const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";

    pub fn is_transient(&self) -> bool {
        self.format == Self::TRANSIENT
    }
}

/// What tells a person from everybody else at one IdP, for good. The two kinds are namespaces of their own: a NameID and an
/// attribute's value that are equal as texts are two people (V-07), and so are equal values of two attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StableId {
    /// The NameID's value.
    NameId(String),
    /// The one value of the attribute of this `Name`.
    Attribute { name: String, value: String },
}

impl StableId {
    /// How origin servers, logs and the configuration's `owners` know the person.
    pub fn value(&self) -> &str {
        match self {
            Self::NameId(value) | Self::Attribute { value, .. } => value,
        }
    }

    /// The attribute's name; `None` for a NameID.
    pub fn attribute(&self) -> Option<&str> {
        match self {
            Self::NameId(_) => None,
            Self::Attribute { name, .. } => Some(name),
        }
    }
}

/// An attribute (SAML Core 2.7.3.1) with its text values in document order; several of one name are kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    pub values: Vec<String>,
}

/// A group as the IdP names it: any text, compared as the mapping rule says.
pub type GroupName = String;

/// What an assertion says about groups. Only [`Self::Empty`] and [`Self::Present`] say anything about membership (decision A1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupClaim {
    /// No attribute of a configured name.
    Absent,
    /// The IdP had too many groups and sent a pointer instead (Entra ID's `groups.link`).
    Overage,
    /// Every value looks like an object id, and nothing here stands for one: the IdP is set to send ids where names are
    /// expected (section 4.7).
    ObjectIds(Vec<GroupName>),
    /// The attribute is there, with no value or only blank ones: the person is in no group.
    Empty,
    /// The groups, without blanks, each once, in the order of the assertion.
    Present(Vec<GroupName>),
}

impl GroupClaim {
    /// The groups if the claim is authoritative, `None` if it says nothing about membership.
    pub fn known(&self) -> Option<&[GroupName]> {
        match self {
            Self::Absent | Self::Overage | Self::ObjectIds(_) => None,
            Self::Empty => Some(&[]),
            Self::Present(groups) => Some(groups),
        }
    }

    /// Every value that was there, whatever it is worth.
    pub fn groups(&self) -> &[GroupName] {
        match self {
            Self::Absent | Self::Overage | Self::Empty => &[],
            Self::ObjectIds(groups) | Self::Present(groups) => groups,
        }
    }

    /// The stable word for logs, `saml inspect` and metrics.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Overage => "overage",
            Self::ObjectIds(_) => "object_ids",
            Self::Empty => "empty",
            Self::Present(_) => "present",
        }
    }
}

/// How a person is shown to origin servers. Only `user` identifies; the rest is for display and search (V-08).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// The value of the [`StableId`].
    pub user: String,
    pub email: Option<String>,
    pub display_name: Option<String>,
    pub preferred_username: Option<String>,
}
