//! Every reason for which a response is refused: its stable code, what it means, what to do, and the clause behind it.
//!
//! By whose fault it usually is: up to [`Check::SignatureStructure`] the message is broken or hostile, or the IdP's
//! product does what no SAML profile allows; [`Check::SignatureValue`] and [`Check::Digest`] are a wrong certificate or a changed
//! message; from [`Check::Status`] on, the two sides' settings differ, a clock is off, or a message is used where or when it
//! must not be.
use super::Check;

macro_rules! reasons {
    ($($reason:ident: $check:ident, $code:literal, $clause:literal, $message:literal, $hint:expr;)+) => {
        /// Why a response was refused. Codes are stable: logs, metrics, fixtures and `docs/REASONS.md` name them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $message] $reason,)+
        }

        impl Reason {
            /// Every reason, in the order of the checks.
            pub const ALL: &[Self] = &[$(Self::$reason),+];

            /// The stable code, in snake case.
            pub fn code(self) -> &'static str {
                match self { $(Self::$reason => $code),+ }
            }

            /// What is wrong, in one sentence.
            pub fn message(self) -> &'static str {
                match self { $(Self::$reason => $message),+ }
            }

            /// What an administrator should do.
            pub fn hint(self) -> &'static str {
                match self { $(Self::$reason => $hint),+ }
            }

            /// The clause that asks for the check.
            pub fn clause(self) -> &'static str {
                match self { $(Self::$reason => $clause),+ }
            }

            /// The check that this reason fails.
            pub fn check(self) -> Check {
                match self { $(Self::$reason => Check::$check),+ }
            }
        }
    };
}

const HOSTILE: &str = "No identity provider sends this. Treat it as an attack or a broken intermediary and look at where the message came from.";
const BROKEN: &str = "Capture the response in the browser's developer tools and run `portcullis saml inspect` on it; report it to the identity provider's vendor.";
const LARGE: &str = "If a genuine sign-in does this, release fewer groups or attributes to this application at the identity provider.";
const CLOCK: &str = "Compare the clocks of the identity provider and of this machine (NTP), then let the person sign in again.";
const AGAIN: &str = "Let the person sign in again from the application. If it stays, look for a proxy or a bookmark that replays the message.";
const SIGNING: &str = "Set the identity provider to sign with RSA or ECDSA and SHA-256 or better, exclusive C14N, and no other transforms.";

reasons! {
    EncodedTooLarge: Encoding, "encoded_too_large", "SAML Bindings 3.5.4", "The form value is too long.", LARGE;
    Base64Whitespace: Encoding, "base64_whitespace", "RFC 4648 3.3", "The base64 holds more white space than line breaks explain.", HOSTILE;
    Base64Invalid: Encoding, "base64_invalid", "SAML Bindings 3.5.4", "The form value is not canonical base64.", BROKEN;
    DecodedTooLarge: Encoding, "decoded_too_large", "SAML Bindings 3.5.4", "The decoded message is too long.", LARGE;

    NotUtf8: Characters, "not_utf8", "XML 1.0 4.3.3", "The message is not UTF-8 without a byte order mark.", BROKEN;
    XmlDeclaration: Characters, "xml_declaration", "XML 1.0 2.8", "The XML declaration says something other than version 1.0 and UTF-8.", BROKEN;
    MarkupDeclaration: Characters, "markup_declaration", "SAML Core 1.2", "The message holds a DTD or another markup declaration.", HOSTILE;
    ProcessingInstruction: Characters, "processing_instruction", "XML 1.0 2.6", "The message holds a processing instruction.", HOSTILE;
    CharacterForbidden: Characters, "character_forbidden", "XML 1.0 2.2", "The message holds a character that XML forbids.", BROKEN;

    NotWellFormed: WellFormed, "not_well_formed", "XML 1.0 2.1", "The message is not well-formed XML.", BROKEN;
    ContentOutsideRoot: WellFormed, "content_outside_root", "XML 1.0 2.1", "There is content before or after the root element.", HOSTILE;
    DepthExceeded: WellFormed, "depth_exceeded", "XML 1.0 3", "Elements are nested too deeply.", HOSTILE;
    NodesExceeded: WellFormed, "nodes_exceeded", "XML 1.0 3", "The message has too many elements.", LARGE;
    AttributesExceeded: WellFormed, "attributes_exceeded", "XML 1.0 3.1", "An element has too many attributes.", HOSTILE;
    NamespacesExceeded: WellFormed, "namespaces_exceeded", "XML Names 1.0 6", "The message declares too many namespaces.", HOSTILE;
    NameTooLong: WellFormed, "name_too_long", "XML 1.0 2.3", "A name is too long.", HOSTILE;
    AttributeDuplicate: WellFormed, "attribute_duplicate", "XML Names 1.0 6.3", "An element has two attributes of one name.", HOSTILE;
    PrefixUnbound: WellFormed, "prefix_unbound", "XML Names 1.0 5", "A namespace prefix is used without a declaration.", BROKEN;
    NamespaceInvalid: WellFormed, "namespace_invalid", "XML Names 1.0 2.2", "A namespace declaration is not allowed: relative, empty, or a reserved prefix.", HOSTILE;
    ReferenceInvalid: WellFormed, "reference_invalid", "XML 1.0 4.1", "An entity or character reference is unknown or not allowed.", HOSTILE;

    IdForeign: Identifiers, "id_foreign", "SAML Core 1.3.4", "A Response or Assertion carries an ID-like attribute other than ID.", HOSTILE;
    IdMissing: Identifiers, "id_missing", "SAML Core 1.3.4", "A Response or Assertion has no ID.", BROKEN;
    IdInvalid: Identifiers, "id_invalid", "SAML Core 1.3.4", "An ID is no xs:ID.", BROKEN;
    IdDuplicate: Identifiers, "id_duplicate", "SAML Core 1.3.4", "Two elements have the same ID.", HOSTILE;
    AttributeLookalike: Identifiers, "attribute_lookalike", "SAML Core 1.3", "A SAML or signature element carries a namespaced attribute that looks like one of its own.", HOSTILE;

    RootNotResponse: Structure, "root_not_response", "SAML Profiles 4.1.4.2", "The root element is not a SAML 2.0 protocol Response.", "Check that the identity provider posts a SAML 2.0 Response here, and not a logout message, metadata or another protocol.";
    VersionUnsupported: Structure, "version_unsupported", "SAML Core 4.1", "The Response or Assertion is not of version 2.0.", "Set the identity provider to SAML 2.0.";
    ResponseShape: Structure, "response_shape", "SAML Core 3.2.2", "The Response's children are not those of the schema, in its order, each once.", BROKEN;
    AssertionEncrypted: Structure, "assertion_encrypted", "SAML Core 2.3.4", "The assertion is encrypted, and the connection has no key to decrypt it.", "Name a key in the connection's `decryption_keys` and give the identity provider its certificate, or switch assertion encryption off for this application; TLS still protects the message.";
    AssertionNotEncrypted: Structure, "assertion_not_encrypted", "SAML Core 2.3.4", "The assertion is not encrypted, which the connection demands.", "Give the identity provider the certificate of one of the connection's `decryption_keys` and switch assertion encryption on for this application, or set `encrypted = false`.";
    EncryptedPart: Structure, "encrypted_part", "SAML Core 2.2.4", "The assertion or the LogoutRequest holds an EncryptedID or EncryptedAttribute, and the connection has no key to decrypt it, or it stands where it says nothing of the person.", "Name a key in the connection's `decryption_keys` and give the identity provider its certificate, or switch the encryption of name identifiers and attributes off for this application.";
    AssertionMissing: Structure, "assertion_missing", "SAML Profiles 4.1.4.2", "The Response holds no assertion.", BROKEN;
    AssertionMultiple: Structure, "assertion_multiple", "SAML Profiles 4.1.4.3", "The message holds more than one assertion.", HOSTILE;
    AssertionMisplaced: Structure, "assertion_misplaced", "SAML Core 3.2.2", "The assertion is not a direct child of the Response.", HOSTILE;
    SignatureMisplaced: Structure, "signature_misplaced", "SAML Core 5.4.1", "A signature stands elsewhere than right after the Issuer of the Response or the Assertion.", HOSTILE;
    AssertionShape: Structure, "assertion_shape", "SAML Core 2.3.3", "The Assertion's children are not those of the schema, in its order.", BROKEN;

    SignatureMissing: SignatureStructure, "signature_missing", "SAML Profiles 4.1.3.5", "The element that must be signed carries no signature.", "Set the identity provider to sign what the connection's `signed` setting asks for, or change that setting.";
    SignatureComment: SignatureStructure, "signature_comment", "SAML Core 5.4", "There is a comment within a signature.", HOSTILE;
    SignatureShape: SignatureStructure, "signature_shape", "SAML Core 5.4", "A signature's parts are not those of the SAML profile, each once.", HOSTILE;
    CanonicalizationMethod: SignatureStructure, "canonicalization_method", "SAML Core 5.4.3", "The canonicalization is not exclusive C14N without comments.", SIGNING;
    SignatureAlgorithm: SignatureStructure, "signature_algorithm", "SAML Core 5.4.1", "The signature algorithm is not on the allow list.", SIGNING;
    ReferenceUri: SignatureStructure, "reference_uri", "SAML Core 5.4.2", "The signature's Reference does not point at the element that holds the signature.", HOSTILE;
    Transforms: SignatureStructure, "transforms", "SAML Core 5.4.4", "The transforms are not exactly enveloped-signature and exclusive C14N.", SIGNING;
    DigestAlgorithm: SignatureStructure, "digest_algorithm", "SAML Core 5.4.1", "The digest algorithm is not on the allow list.", SIGNING;
    SignatureEncoding: SignatureStructure, "signature_encoding", "XML Signature 4.2", "SignatureValue or DigestValue is not base64 of the right length.", BROKEN;

    KeyTypeMissing: SignatureValue, "key_type_missing", "XML Signature 6.4", "No certificate of the connection has a key of the type that the signature needs.", "Add the identity provider's current signing certificate to the connection.";
    SignatureInvalid: SignatureValue, "signature_invalid", "XML Signature 3.2.2", "The signature does not verify with any certificate of the connection.", "If the identity provider rolled its signing certificate over, add the new one to the connection. Otherwise the message was changed or comes from elsewhere.";

    CanonicalTooLarge: Digest, "canonical_too_large", "Exclusive C14N 3", "The canonical form is too long.", HOSTILE;
    DigestMismatch: Digest, "digest_mismatch", "XML Signature 3.2.1", "The signed element was changed after it was signed.", "Look for a proxy, a browser extension or a tool that rewrites the message; if there is none, treat it as an attack.";

    DecryptionFailed: Decryption, "decryption_failed", "XML Encryption 1.1 4.4", "What is encrypted cannot be decrypted.", "Give the identity provider the certificate of one of the connection's `decryption_keys`, and set it to encrypt with AES-GCM and RSA-OAEP. Where a weaker algorithm is all that it can do, `expected` and `found` name it, and the connection can be set to take it under a signature. No more is said, so that the answers help nobody to decrypt.";

    ValueNotText: Fields, "value_not_text", "SAML Core 2.2.5", "A value that must be text holds elements.", BROKEN;
    TimestampInvalid: Fields, "timestamp_invalid", "SAML Core 1.3.3", "A timestamp is missing or is not UTC in the form 2026-01-15T12:00:00Z.", BROKEN;

    StatusNotSuccess: Status, "status_not_success", "SAML Core 3.2.2.2", "The identity provider did not sign the person in.", "The status code says why; look for the sign-in in the identity provider's log, and check that the person is assigned to this application.";

    IssuerFormat: Issuer, "issuer_format", "SAML Profiles 4.1.4.2", "An Issuer is not in the entity format.", BROKEN;
    ResponseIssuerMismatch: Issuer, "response_issuer_mismatch", "SAML Profiles 4.1.4.2", "The Response's Issuer is not the connection's identity provider.", "Compare the connection's identity provider entity id with `found`: they must be equal byte for byte.";
    AssertionIssuerMismatch: Issuer, "assertion_issuer_mismatch", "SAML Profiles 4.1.4.2", "The Assertion's Issuer is not the connection's identity provider.", "Compare the connection's identity provider entity id with `found`: they must be equal byte for byte.";

    DestinationMissing: Destination, "destination_missing", "SAML Bindings 3.5.5.2", "A signed Response has no Destination.", "Set the identity provider to send a Destination.";
    DestinationMismatch: Destination, "destination_mismatch", "SAML Core 3.2.2", "The Response was meant for another URL.", "Make the assertion consumer service URL at the identity provider equal to this gateway's, byte for byte.";

    Unsolicited: InResponseTo, "unsolicited", "SAML Profiles 4.1.4.3", "The Response answers no request: sign-in started at the identity provider.", "Let people start at the application's address, or set `idp_initiated` for the connection after reading what config.toml says of it.";
    RequestUnknown: InResponseTo, "request_unknown", "SAML Profiles 4.1.4.3", "The Response answers a request that this browser does not have outstanding.", AGAIN;

    IssueInstantFuture: IssueInstant, "issue_instant_future", "SAML Core 1.3.3", "The message was issued in the future.", CLOCK;
    IssueInstantStale: IssueInstant, "issue_instant_stale", "SAML Core 1.3.3", "The message was issued too long ago.", CLOCK;

    SubjectMissing: Subject, "subject_missing", "SAML Profiles 4.1.4.2", "The Assertion has no Subject.", BROKEN;
    NameIdMissing: Subject, "name_id_missing", "SAML Core 2.2.3", "The Subject has no NameID, or a blank one.", "Choose a name identifier for this application at the identity provider that every person has.";
    NameIdFormat: Subject, "name_id_format", "SAML Core 3.4.1.1", "The NameID is not in the format that the connection asks for.", "Set the identity provider to send NameIDs in the connection's `name_id_format`, or change that setting.";
    NameIdTransient: Subject, "name_id_transient", "SAML Core 8.3.8", "The NameID is transient: it changes at every sign-in and cannot hold memberships.", "Choose a persistent or another lasting name identifier for this application at the identity provider, or set the connection's `subject` to an attribute that stays the same for ever, such as an object id.";
    NameIdEntity: Subject, "name_id_entity", "SAML Core 8.3.6", "The NameID is in the entity format: it names a system and no person.", "Choose a name identifier of the person for this application at the identity provider.";
    NameIdTooLong: Subject, "name_id_too_long", "SAML Core 8.3.7", "The NameID is too long.", "Choose a shorter name identifier for this application at the identity provider.";
    NameIdCharacter: Subject, "name_id_character", "SAML Core 2.2.3", "The NameID holds a control, format or line-separating character.", "Look at the person's record at the identity provider for an invisible character or a line break.";
    NameIdNotNfc: Subject, "name_id_not_nfc", "Unicode Standard Annex 15", "The NameID is not in Unicode normalization form C.", "Look at the person's record at the identity provider, and have the name identifier stored in normalization form C.";
    NameIdQualifier: Subject, "name_id_qualifier", "SAML Core 8.3.7", "The persistent NameID is qualified for another identity provider or service provider.", "Set the identity provider to issue persistent identifiers for this gateway's entity id.";

    ConfirmationMissing: SubjectConfirmation, "confirmation_missing", "SAML Profiles 4.1.4.2", "No SubjectConfirmation is of the bearer method with its data.", BROKEN;
    RecipientMismatch: SubjectConfirmation, "recipient_mismatch", "SAML Profiles 4.1.4.2", "The assertion's Recipient is missing or another URL.", "Make the assertion consumer service URL (also called recipient or reply URL) at the identity provider equal to this gateway's, byte for byte.";
    ConfirmationUnsolicited: SubjectConfirmation, "confirmation_unsolicited", "SAML Profiles 4.1.4.2", "The SubjectConfirmationData has no InResponseTo.", BROKEN;
    ConfirmationRequestMismatch: SubjectConfirmation, "confirmation_request_mismatch", "SAML Profiles 4.1.4.3", "The SubjectConfirmationData and the Response answer different requests.", HOSTILE;
    ConfirmationNotBefore: SubjectConfirmation, "confirmation_not_before", "SAML Profiles 4.1.4.2", "The bearer SubjectConfirmationData has a NotBefore, which the profile forbids.", BROKEN;
    ConfirmationUnbounded: SubjectConfirmation, "confirmation_unbounded", "SAML Profiles 4.1.4.2", "The SubjectConfirmationData has no NotOnOrAfter.", BROKEN;
    ConfirmationExpired: SubjectConfirmation, "confirmation_expired", "SAML Profiles 4.1.4.3", "The time to deliver the assertion is over.", CLOCK;

    ConditionsMissing: Conditions, "conditions_missing", "SAML Profiles 4.1.4.2", "The Assertion has no Conditions.", BROKEN;
    ConditionUnsupported: Conditions, "condition_unsupported", "SAML Core 2.5.1.1", "The Assertion makes a condition that is not understood.", "Remove the custom condition for this application at the identity provider.";
    ConditionsNotYetValid: Conditions, "conditions_not_yet_valid", "SAML Core 2.5.1.2", "The assertion is not valid yet.", CLOCK;
    ConditionsExpired: Conditions, "conditions_expired", "SAML Core 2.5.1.2", "The assertion is no longer valid.", CLOCK;

    AudienceMissing: Audience, "audience_missing", "SAML Profiles 4.1.4.2", "The Assertion names no audience.", "Set the audience (also called SP entity id) for this application at the identity provider.";
    AudienceMismatch: Audience, "audience_mismatch", "SAML Core 2.5.1.4", "The assertion is meant for another audience.", "Make the audience (also called SP entity id) at the identity provider equal to the connection's entity id, byte for byte.";

    AuthnStatementMissing: AuthnStatement, "authn_statement_missing", "SAML Profiles 4.1.4.2", "The Assertion has no AuthnStatement.", BROKEN;
    AuthnInstantFuture: AuthnStatement, "authn_instant_future", "SAML Core 2.7.2", "The person was signed in in the future.", CLOCK;
    AuthnContextMismatch: AuthnStatement, "authn_context_mismatch", "SAML Core 3.3.2.2.1", "The person did not sign in in one of the ways that were asked for.", "Compare `found` with the connection's and the route's `authn_context`; set the identity provider to ask for the second factor, or to say that it did.";
    AuthnInstantStale: AuthnStatement, "authn_instant_stale", "SAML Core 3.4.1", "The person was to sign in anew, and the identity provider answered for an earlier sign-in.", "Set the identity provider to honour ForceAuthn for this application.";
    SessionExpired: AuthnStatement, "session_expired", "SAML Core 2.7.2", "The session at the identity provider is already over.", AGAIN;

    AttributeNameMissing: Attributes, "attribute_name_missing", "SAML Core 2.7.3.1", "An Attribute has no Name.", BROKEN;
    SubjectAttributeMissing: Attributes, "subject_attribute_missing", "SAML Core 2.7.3.1", "The attribute that identifies people is not there, or blank.", "Release the attribute that the connection's `subject` names for every person at the identity provider, under exactly this name.";
    SubjectAttributeAmbiguous: Attributes, "subject_attribute_ambiguous", "SAML Core 2.7.3.1", "The attribute that identifies people is there more than once, or has several values.", "Release exactly one value of the attribute that the connection's `subject` names at the identity provider, or name another one.";
    SubjectAttributeNotText: Attributes, "subject_attribute_not_text", "SAML Core 2.7.3.1", "The attribute that identifies people has a value that holds elements, or is nil.", "Release the attribute that the connection's `subject` names as text at the identity provider, or name another one.";
    SubjectAttributeTooLong: Attributes, "subject_attribute_too_long", "SAML Core 2.7.3.1", "The value that identifies the person is too long.", "Name an attribute with a shorter value in the connection's `subject`.";
    SubjectAttributeCharacter: Attributes, "subject_attribute_character", "SAML Core 2.7.3.1", "The value that identifies the person holds a control, format or line-separating character.", "Look at the person's record at the identity provider for an invisible character or a line break.";
    SubjectAttributeNotNfc: Attributes, "subject_attribute_not_nfc", "Unicode Standard Annex 15", "The value that identifies the person is not in Unicode normalization form C.", "Look at the person's record at the identity provider, and have the value stored in normalization form C.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_ordered_by_check_under_different_codes() {
        assert!(Reason::ALL.is_sorted_by_key(|reason| reason.check()));
        let mut codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert!(
            codes
                .iter()
                .all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b)))
        );
    }

    #[test]
    fn every_check_can_fail_and_every_sentence_ends() {
        for check in Check::ALL {
            assert!(Reason::ALL.iter().any(|reason| reason.check() == *check), "{check:?}");
        }
        for reason in Reason::ALL {
            assert!(reason.message().ends_with('.') && reason.hint().ends_with('.'), "{reason:?}");
            assert!(!reason.clause().is_empty());
        }
    }
}
