//! Every cap of the verification core. Genuine responses stay far below; a message at a cap costs little.

/// The longest `SAMLResponse` form value, before base64 is undone. Room for the decoded cap with line breaks.
pub const ENCODED_BYTES_MAX: usize = 272 * 1024;
/// The longest decoded message. Five hundred groups take about 41 KB.
pub const DECODED_BYTES_MAX: usize = 192 * 1024;
/// Line breaks and blanks within base64: enough for lines of 64 characters ended by CR LF, with room to spare.
pub const BASE64_WHITESPACE_BYTES_MAX: usize = 16 * 1024;
/// The longest canonical form: a declaration repeated on every element can make it longer than the message.
pub const CANONICAL_BYTES_MAX: usize = 512 * 1024;

/// Elements within elements.
pub const DEPTH_MAX: usize = 64;
/// Elements, texts, references and comments in one document.
pub const NODES_MAX: usize = 20_000;
/// Attributes of one element, namespace declarations included.
pub const ATTRIBUTES_PER_ELEMENT_MAX: usize = 64;
/// Namespace declarations in scope at one element.
pub const NAMESPACES_IN_SCOPE_MAX: usize = 64;
/// Different namespace names in one document; they are compared one by one.
pub const NAMESPACES_PER_DOCUMENT_MAX: usize = 256;
/// The longest element or attribute name, prefix included, and the longest namespace name.
pub const NAME_BYTES_MAX: usize = 1024;

/// Prefixes in one `InclusiveNamespaces` PrefixList.
pub const PREFIX_LIST_MAX: usize = 16;
/// Certificates of one connection: two elements times this many keys bound the verifications of a message.
pub const KEYS_PER_CONNECTION_MAX: usize = 4;
/// Verification contexts of one key that are kept between messages: a worker uses one at a time.
pub const IDLE_CONTEXTS_PER_KEY_MAX: usize = 32;
/// The weakest RSA key, NIST SP 800-131A.
pub const RSA_BITS_MIN: u32 = 2048;
/// The strongest RSA key: verification time grows with the square of the length.
pub const RSA_BITS_MAX: u32 = 8192;
/// The longest signature or digest in base64, white space included.
pub const SIGNATURE_TEXT_BYTES_MAX: usize = 4096;

/// RSA decryptions for one message, whatever is encrypted in it and however many keys we have (S-66).
pub const RSA_DECRYPTIONS_MAX: u32 = 2;
/// EncryptedKeys that stand with one encrypted element: one for each recipient, or each key of ours.
pub const ENCRYPTED_KEYS_MAX: usize = 4;
/// Certificates that one EncryptedKey names as its recipient's.
pub const KEY_HINTS_MAX: usize = 4;

/// The longest NameID value. SAML allows 256 characters for persistent ones.
pub const NAME_ID_BYTES_MAX: usize = 1024;
/// The longest value of an attribute that identifies people: as for NameIDs, which it stands in for.
pub const STABLE_ID_BYTES_MAX: usize = NAME_ID_BYTES_MAX;
/// Digits after the decimal point of a timestamp: nanoseconds.
pub const FRACTION_DIGITS_MAX: usize = 9;
/// How long after its IssueInstant a message is still taken, in seconds, clock skew aside. An IdP issues the assertion
/// when the person is signed in and the browser posts it at once.
pub const ISSUE_AGE_SECONDS_MAX: i64 = 15 * 60;
/// The longest metadata document. One IdP's takes a few kilobytes, with certificates and logos a few hundred.
pub const METADATA_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How much of a message's value goes into a refusal, in characters.
pub const REPORTED_CHARS_MAX: usize = 256;
