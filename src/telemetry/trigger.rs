//! What makes changes happen.
use serde::Serialize;

/// What made it happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    Saml,
    Scim,
    Owner,
    /// The person that the event is about.
    Person,
    /// The mail server's word.
    Mail,
    /// Whoever runs the gateway, at the command line.
    Operator,
    /// A removal that a failover of the store undid, done again.
    Failover,
    /// Nobody: the time was over.
    System,
}

impl Trigger {
    /// All of them, by their words.
    pub const WORDS: &'static [&'static str] =
        &["saml", "scim", "owner", "person", "mail", "operator", "failover", "system"];

    /// The word in metrics' labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Saml => "saml",
            Self::Scim => "scim",
            Self::Owner => "owner",
            Self::Person => "person",
            Self::Mail => "mail",
            Self::Operator => "operator",
            Self::Failover => "failover",
            Self::System => "system",
        }
    }
}
