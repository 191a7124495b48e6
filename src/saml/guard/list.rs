//! The guards by name, in the order of the checks.

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
    /// What is encrypted stands in an EncryptedData.
    EncryptedData,
    /// Nothing stands beside it but EncryptedKeys.
    EncryptedDataNeighbours,
    /// It says nothing else of the plaintext than that it is an element.
    EncryptedDataType,
    /// The parts of XML Encryption's elements, each once, in order.
    EncryptionShape,
    /// An encryption method has no attribute but Algorithm.
    EncryptionMethodAttributes,
    /// The algorithm of the content is on the allow list.
    ContentAlgorithm,
    /// The algorithm of the content key is on the allow list.
    KeyAlgorithm,
    /// It has a digest and a mask, each once, and no other parameter.
    KeyAlgorithmParameters,
    /// Those are on the allow list.
    OaepDigest,
    /// What is retrieved is an EncryptedKey.
    RetrievalType,
    /// It stands in the message, beside the EncryptedData.
    RetrievalTarget,
    /// What names a key leads nowhere.
    KeyHints,
    /// EncryptedKeys of an element.
    EncryptedKeys,
    /// Of several EncryptedKeys only those for us count.
    KeyRecipient,
    /// Ciphertexts and certificates are base64.
    EncryptionBase64,
    /// RSA decryptions for a message.
    RsaDecryptions,
    /// The content key is as long as its algorithm asks.
    ContentKeyLength,
    /// Nothing is opened by the stand-in for a content key that did not come out.
    ContentKeyGenuine,
    /// The tag of GCM is right.
    GcmTag,
    /// The padding of CBC is one.
    CbcPadding,
    /// There is a plaintext.
    PlaintextThere,
    /// It is UTF-8.
    PlaintextUtf8,
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

    /// A parameter of the redirect binding, and of a logout's form, comes once.
    QueryOnce,
    /// The names of the binding's parameters are spelled as they are.
    QuerySpelling,
    /// A request or a response, not both.
    QueryOneMessage,
    /// The encoding is DEFLATE.
    QueryDeflate,
    /// Percent signs begin escapes, and those are of UTF-8.
    QueryEscapes,
    /// A query is signed.
    QuerySigned,
    /// The message in it is base64.
    QueryBase64,
    /// It is DEFLATE data.
    DeflateValid,
    /// Bytes of what it inflates to.
    InflatedSize,
    /// Nothing stands behind it.
    DeflateTrailing,
    /// One message is the body of a SOAP envelope.
    SoapEnvelope,
    /// No header block must be understood.
    SoapUnderstood,
    /// The message is the one that its parameter promises.
    LogoutElement,
    /// Its children are the schema's.
    LogoutShape,
    /// SessionIndexes of a LogoutRequest.
    LogoutSessions,
    /// A LogoutRequest has not expired.
    LogoutExpiry,
    /// A LogoutResponse answers a request that this browser has outstanding.
    LogoutAnswers,
    /// That request was sent by this enterprise, from this URL.
    LogoutOfTenant,
    /// RelayState comes back as it was sent.
    LogoutRelayState,
    /// Bytes of a RelayState that is to be sent back.
    LogoutRelayStateSize,
    /// Our LogoutRequest is answered once.
    LogoutRequestOnce,
    /// An IdP's LogoutRequest is used once.
    LogoutOnce,
    /// It ends sessions of the very NameID, format and qualifiers included.
    LogoutNameId,
    /// If it names sessions, it ends no others.
    LogoutSessionIndex,
    /// What was issued before a logout opens nothing after it.
    LoggedOut,
    /// A sign-out comes from a page of ours.
    LogoutOrigin,
    /// People return to paths of ours.
    ReturnPath,

    /// Bytes of a metadata document.
    MetadataSize,
    /// Its root is an EntityDescriptor.
    MetadataRoot,
    /// It describes one entity.
    MetadataOneEntity,
    /// It is signed, where a signer is pinned.
    MetadataSigned,
    /// The entity is the configured one.
    MetadataEntity,
    /// The IdP's role speaks SAML 2.0.
    MetadataProtocol,
    /// There is one such role.
    MetadataOneIdp,
    /// validUntil is a timestamp.
    MetadataTimestamp,
    /// cacheDuration is a duration.
    MetadataDuration,
    /// The document is still valid.
    MetadataValidity,
    /// A key is for signing, for encryption or for both.
    MetadataKeyUse,
    /// A key for encryption signs nothing.
    MetadataKeySigns,
    /// A key descriptor holds no chain.
    MetadataOneCertificate,
    /// Its certificate can be read.
    MetadataCertificate,
    /// Its key is none that everybody has.
    MetadataPublicKeys,
    /// There is a key for signing.
    MetadataKeyThere,
    /// Keys of a connection.
    KeysPerConnection,
    /// Keys are strong.
    MetadataKeyStrength,
    /// The IdP takes AuthnRequests by redirect.
    MetadataBinding,
    /// A location is a URL without a user.
    MetadataUrl,
    /// A location is https.
    MetadataHttps,
    /// A location is not our own.
    MetadataOwnHost,
    /// A document is relied upon no longer than the settings say.
    MetadataLife,
    /// Without a signer, one of the keys is known.
    MetadataKnownKeys,
    /// A metadata URL is https.
    FetchHttps,
    /// Its host is no number in disguise.
    FetchNumericHost,
    /// Addresses of its host.
    FetchAddresses,
    /// Each of them is allowed.
    FetchEveryAddress,
    /// 0.0.0.0/8.
    FetchThisNetwork,
    /// 127.0.0.0/8.
    FetchLoopback,
    /// 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16.
    FetchPrivate,
    /// 100.64.0.0/10.
    FetchShared,
    /// 169.254.0.0/16.
    FetchLinkLocal,
    /// 198.18.0.0/15.
    FetchBenchmarks,
    /// 224.0.0.0/4.
    FetchMulticast,
    /// 240.0.0.0/4 and the small reserved networks.
    FetchReserved,
    /// 2001::/23.
    FetchSpecialV6,
    /// 2001:db8::/32, 3fff::/20.
    FetchDocumentationV6,
    /// 2002::/16.
    FetchSixToFour,
    /// Of IPv6, global unicast only.
    FetchGlobalV6,
    /// The answer is 200, and no redirect.
    FetchStatus,
    /// It has no content coding.
    FetchCoding,
    /// Bytes and fields of its head.
    FetchHead,
}
