//! The checks in their order, and the trail that `saml inspect` keeps of them.

/// One step of the verification. The order of the variants is the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// The form value is strict base64 of a bounded length.
    Encoding,
    /// The octets are UTF-8 without DTD, processing instruction or forbidden character.
    Characters,
    /// One strict parse: namespace-well-formed, one root, within the caps.
    WellFormed,
    /// IDs are un-namespaced, well formed and unique.
    Identifiers,
    /// One Response with exactly one Assertion, children as the schema orders them.
    Structure,
    /// Each signature has the one shape of the SAML profile.
    SignatureStructure,
    /// SignatureValue verifies with a key of the connection.
    SignatureValue,
    /// The digest of the canonical octets is the signed one.
    Digest,
    /// What is encrypted opens with a key of ours. An EncryptedAssertion is opened before the signature in it is checked.
    Decryption,
    /// Values and timestamps, read again from the digested octets, have their types.
    Fields,
    Status,
    Issuer,
    Destination,
    InResponseTo,
    IssueInstant,
    Subject,
    SubjectConfirmation,
    Conditions,
    Audience,
    AuthnStatement,
    Attributes,
}

impl Check {
    /// Every check, in order.
    pub const ALL: &[Self] = &[
        Self::Encoding,
        Self::Characters,
        Self::WellFormed,
        Self::Identifiers,
        Self::Structure,
        Self::SignatureStructure,
        Self::SignatureValue,
        Self::Digest,
        Self::Decryption,
        Self::Fields,
        Self::Status,
        Self::Issuer,
        Self::Destination,
        Self::InResponseTo,
        Self::IssueInstant,
        Self::Subject,
        Self::SubjectConfirmation,
        Self::Conditions,
        Self::Audience,
        Self::AuthnStatement,
        Self::Attributes,
    ];

    /// The stable word for JSON and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Encoding => "encoding",
            Self::Characters => "characters",
            Self::WellFormed => "well_formed",
            Self::Identifiers => "identifiers",
            Self::Structure => "structure",
            Self::SignatureStructure => "signature_structure",
            Self::SignatureValue => "signature_value",
            Self::Digest => "digest",
            Self::Decryption => "decryption",
            Self::Fields => "fields",
            Self::Status => "status",
            Self::Issuer => "issuer",
            Self::Destination => "destination",
            Self::InResponseTo => "in_response_to",
            Self::IssueInstant => "issue_instant",
            Self::Subject => "subject",
            Self::SubjectConfirmation => "subject_confirmation",
            Self::Conditions => "conditions",
            Self::Audience => "audience",
            Self::AuthnStatement => "authn_statement",
            Self::Attributes => "attributes",
        }
    }
}

/// Is told of each check as it passes, in order. The one that fails is [`super::Reason::check`] of the refusal; those after it
/// were not reached. `detail` is called only by a trail that wants the words, so that a sign-in pays nothing for them.
pub trait Trail {
    fn passed(&mut self, check: Check, detail: &dyn Fn() -> String);
}

/// Keeps nothing: the trail of a sign-in.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTrail;

impl Trail for NoTrail {
    fn passed(&mut self, _check: Check, _detail: &dyn Fn() -> String) {}
}

/// Keeps every passed check with its detail: the trail of `saml inspect`.
impl Trail for Vec<(Check, String)> {
    fn passed(&mut self, check: Check, detail: &dyn Fn() -> String) {
        self.push((check, detail()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_listed_in_order_under_different_names() {
        assert!(Check::ALL.is_sorted());
        assert!(Check::ALL.windows(2).all(|pair| pair[0] != pair[1]));
        let mut names: Vec<_> = Check::ALL.iter().map(|check| check.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Check::ALL.len());
    }
}
