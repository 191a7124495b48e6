//! The guards between a POST to the ACS and a session, by name, so that a test can take one away and see what it kept out.
//!
//! Each check that refuses something asks [`stands`] for its guard. That is a constant unless the crate is built with the
//! feature `guard-ablation`, which only builds with debug assertions know: what ships has no switch. Checks without which
//! there would be no value to go on with (an Assertion without a Subject) have no guard here.

macro_rules! guards {
    ($($(#[doc = $doc:literal])+ $guard:ident,)+) => {
        /// One rule. A rule that is checked in several places is one guard.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Guard {
            $($(#[doc = $doc])+ $guard,)+
        }

        #[cfg(feature = "guard-ablation")]
        impl Guard {
            /// Every guard, in the order of the checks.
            pub const ALL: &[Self] = &[$(Self::$guard),+];
        }
    };
}

guards! {
    /// The binding's form is sent as one.
    FormContentType,
    /// Nothing of the binding stands in the query.
    FormNotInQuery,
    /// The body ends before the cap.
    FormSize,
    /// Each parameter comes once, and none of another binding's.
    FormParameters,
    /// Only requests that this browser sent to this enterprise and this ACS are outstanding.
    RequestOfTenant,

    /// The form value is no longer than a message may be.
    EncodedSize,
    /// No floods of white space in base64.
    Base64Whitespace,
    /// Standard alphabet, canonical padding.
    Base64Canonical,
    /// Something was sent.
    Base64Empty,
    /// The message is no longer than the cap.
    DecodedSize,

    /// The octets are UTF-8.
    Utf8,
    /// No byte order mark.
    ByteOrderMark,
    /// No control characters.
    ControlCharacters,
    /// No U+FFFE, no U+FFFF.
    Noncharacters,
    /// The XML declaration says 1.0 and UTF-8.
    XmlDeclaration,
    /// No `<?` anywhere, wherever a parser might or might not see an instruction.
    ProcessingInstructions,
    /// No `<!` but comments and CDATA, wherever a parser might or might not see a declaration.
    MarkupDeclarations,

    /// No `--` within a comment.
    CommentHyphens,
    /// An end tag names the element that is open.
    EndTagNames,
    /// A blank before each attribute.
    AttributeBlanks,
    /// No `<` in an attribute.
    AttributeLessThan,
    /// References stand for characters that XML allows.
    References,
    /// No `]]>` in a text.
    CdataEnd,
    /// One root, and nothing beside it.
    OneRoot,
    /// Every element is closed.
    Complete,
    /// Elements within elements.
    Depth,
    /// Nodes of a document.
    Nodes,
    /// Attributes of an element.
    AttributesPerElement,
    /// Declarations in scope.
    NamespacesInScope,
    /// Namespace names of a document.
    NamespacesPerDocument,
    /// Bytes of a name.
    NameLength,
    /// Names are QNames.
    QualifiedNames,
    /// A prefix is declared once for an element.
    DuplicateDeclarations,
    /// An expanded name occurs once among the attributes of an element.
    DuplicateAttributes,
    /// `xml` and `xmlns` mean what they mean.
    ReservedPrefixes,
    /// A declared prefix is an NCName.
    DeclaredPrefixes,
    /// A namespace name is an absolute URI.
    AbsoluteNamespaces,
    /// Prefixes are declared.
    BoundPrefixes,

    /// One ID-like attribute on an element, and on a Response or Assertion it is `ID`.
    IdForeign,
    /// No namespaced attribute looks like one of SAML's own.
    AttributeLookalikes,
    /// IDs are NCNames.
    IdSyntax,
    /// A Response and an Assertion have an ID.
    IdThere,
    /// No ID twice.
    IdUnique,

    /// The root is a Response.
    RootResponse,
    /// Version 2.0.
    Version,
    /// One Assertion, encrypted or not, in the document.
    OneAssertion,
    /// No encrypted Assertion where there is no key.
    NotEncrypted,
    /// An encrypted Assertion where the connection demands one.
    Encrypted,
    /// The Assertion is the Response's child.
    AssertionPlace,
    /// Signatures stand after the Issuer of the Response or of the Assertion only.
    SignaturePlace,
    /// The Response's children are the schema's.
    ResponseShape,
    /// No EncryptedID, no EncryptedAttribute where there is no key.
    NoEncryptedPart,
    /// The Assertion's children are the schema's.
    AssertionShape,

    /// What must be signed is.
    SignatureThere,
    /// No comment within a signature.
    SignatureComments,
    /// The parts of a signature, each once, in order.
    SignatureShape,
    /// Nothing hides in KeyInfo.
    KeyInfo,
    /// SignedInfo is canonicalized by exclusive C14N.
    CanonicalizationMethod,
    /// The signature algorithm is on the allow list.
    SignatureAlgorithm,
    /// A method holds nothing.
    MethodContent,
    /// A method has no attribute but Algorithm.
    MethodAttributes,
    /// InclusiveNamespaces is what its namespace says, and holds a PrefixList alone.
    InclusiveNamespaces,
    /// Prefixes of a PrefixList.
    PrefixListLength,
    /// The Reference names the element around the signature.
    ReferenceUri,
    /// The Reference has no attribute but URI.
    ReferenceAttributes,
    /// Enveloped-signature, then exclusive C14N.
    Transforms,
    /// The digest algorithm is on the allow list.
    DigestAlgorithm,
    /// A DigestValue is as long as its algorithm's digests.
    DigestLength,
    /// SignatureValue and DigestValue are base64.
    SignatureBase64,
    /// SignatureValue and DigestValue are short.
    SignatureTextSize,

    /// A key serves algorithms of its own type only.
    KeyType,
    /// r and s are as long as a coordinate.
    EcLength,
    /// SignatureValue verifies with a configured key.
    SignatureValue,
    /// Bytes of a canonical form.
    CanonicalSize,
    /// The digest is the signed one.
    Digest,
    /// What is read was digested: it is parsed anew from those octets.
    Reread,

    /// Nothing unauthenticated is decrypted but where it is allowed and signed.
    OracleModes,
    /// No comment in what is encrypted.
    EncryptionComments,
    /// No ID of the plaintext is one of the message.
    IdUniqueAcross,

    /// A text holds no element.
    TextOnly,
    /// Nothing but Attributes in an AttributeStatement.
    AttributeStatementShape,
    /// An attribute with text between its values, or with a nil value, is not read.
    AttributeValues,
    /// Attributes have a Name.
    AttributeName,
    /// One NameID, then confirmations, in a Subject.
    SubjectShape,
    /// One SubjectConfirmationData in a confirmation.
    ConfirmationShape,
    /// Nothing but Audiences in an AudienceRestriction.
    AudienceShape,
    /// An AuthnStatement has an AuthnContext.
    AuthnContext,
    /// Timestamps are UTC in one form.
    TimestampForm,
    /// No second 60.
    LeapSecond,

    /// The IdP says Success.
    Status,
    /// An Issuer is in the entity format.
    IssuerFormat,
    /// The Response's Issuer is the configured one.
    ResponseIssuer,
    /// The Assertion's Issuer is the configured one.
    AssertionIssuer,
    /// A signed Response has a Destination.
    DestinationThere,
    /// Destination is the ACS that was posted to.
    Destination,
    /// The Response answers a request.
    Solicited,
    /// The request is outstanding.
    RequestOutstanding,
    /// IssueInstant is not ahead.
    IssuedInFuture,
    /// IssueInstant is not long ago.
    IssuedLongAgo,
    /// The NameID is in the format that was asked for.
    NameIdFormat,
    /// The NameID is not empty.
    NameIdThere,
    /// The NameID is not transient.
    NameIdTransient,
    /// The NameID names no system.
    NameIdEntity,
    /// Bytes of what identifies a person.
    SubjectLength,
    /// No invisible character in it.
    SubjectCharacters,
    /// It is in normalization form C.
    SubjectNfc,
    /// A persistent NameID is meant for this pair of providers.
    NameIdQualifiers,
    /// What answers no request was issued for none.
    UnsolicitedAnswers,
    /// A confirmation is of the bearer method.
    Bearer,
    /// Recipient is the ACS that was posted to.
    Recipient,
    /// A confirmation answers a request.
    ConfirmationSolicited,
    /// It answers the same request as the Response.
    ConfirmationRequest,
    /// A bearer confirmation has no NotBefore.
    ConfirmationNotBefore,
    /// A confirmation ends.
    ConfirmationBounded,
    /// It has not ended.
    ConfirmationExpiry,
    /// An Assertion has Conditions.
    ConditionsThere,
    /// Every condition is understood.
    ConditionKnown,
    /// The Conditions hold already.
    ConditionsNotBefore,
    /// The Conditions still hold.
    ConditionsNotOnOrAfter,
    /// An Assertion names an audience.
    AudienceThere,
    /// In each restriction it is us.
    Audience,
    /// Nobody signed in in the future.
    AuthnInstant,
    /// The session at the IdP is not over.
    SessionEnd,
    /// The person signed in in a way that was asked for.
    ContextAsked,
    /// The person signed in after it was asked for.
    InstantAsked,

    /// The attribute that identifies people holds text.
    SubjectText,
    /// It is there once, with one value.
    SubjectOne,
    /// It is not blank.
    SubjectThere,

    /// RelayState comes back as it was sent.
    RelayState,
    /// A request is answered once.
    RequestOnce,
    /// An assertion is used once.
    AssertionOnce,
}

/// Whether a guard is in its place.
#[cfg(not(feature = "guard-ablation"))]
#[inline(always)]
pub(crate) const fn stands(_guard: Guard) -> bool {
    true
}

/// What a check found; without its guard the default, where it found a fault.
#[inline(always)]
pub(crate) fn excused<T: Default, E>(guard: Guard, checked: Result<T, E>) -> Result<T, E> {
    match checked {
        Err(_) if !stands(guard) => Ok(T::default()),
        checked => checked,
    }
}

#[cfg(feature = "guard-ablation")]
pub use ablation::{stands, without};

#[cfg(feature = "guard-ablation")]
mod ablation {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::Guard;

    static GONE: [AtomicBool; Guard::ALL.len()] = [const { AtomicBool::new(false) }; Guard::ALL.len()];

    /// Whether a guard is in its place.
    pub fn stands(guard: Guard) -> bool {
        !GONE[guard as usize].load(Ordering::SeqCst)
    }

    /// Runs `work` while the guards are gone, in every thread of the process.
    pub fn without<T>(guards: &[Guard], work: impl FnOnce() -> T) -> T {
        /// Puts them back, even if `work` panics.
        struct Back<'a>(&'a [Guard]);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                set(self.0, false);
            }
        }
        set(guards, true);
        let _back = Back(guards);
        work()
    }

    fn set(guards: &[Guard], gone: bool) {
        for guard in guards {
            GONE[*guard as usize].store(gone, Ordering::SeqCst);
        }
    }
}

#[cfg(all(feature = "guard-ablation", not(debug_assertions)))]
compile_error!("the feature guard-ablation takes guards away and must not be in a build that could ship");
