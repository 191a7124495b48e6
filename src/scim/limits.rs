//! Every cap of the protocol. What the IdPs send stays far below.

/// Objects and arrays within each other. A PATCH inside a Bulk request has ten.
pub const JSON_DEPTH_MAX: usize = 32;
/// Objects, arrays, texts, numbers and literals of one body, without keys: 50,000 members with four sub-attributes each, and
/// room to spare.
pub const JSON_VALUES_MAX: usize = 400_000;
/// Keys of one object, which are compared with each other.
pub const JSON_KEYS_MAX: usize = 128;
/// One text of a body.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// The body of a call that names a user.
pub const USER_BODY_BYTES_MAX: usize = 1024 * 1024;
/// The body of a call that names a group: 50,000 members with `display` take about 5 MB.
pub const GROUP_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The body of a Bulk request, as `/ServiceProviderConfig` says.
pub const BULK_BODY_BYTES_MAX: usize = 1024 * 1024;

/// What a resource may hold, in bytes of its texts: patches can add to it for ever otherwise.
pub const RESOURCE_BYTES_MAX: usize = 256 * 1024;
/// Values of one multi-valued attribute, other than `members`.
pub const VALUES_MAX: usize = 200;
/// An `externalId`, and the `displayName` of a group. Both are looked up.
pub const KEY_TEXT_BYTES_MAX: usize = 1024;

/// A filter, or the path of a PATCH operation.
pub const FILTER_BYTES_MAX: usize = 8 * 1024;
/// Parentheses and brackets within each other.
pub const FILTER_DEPTH_MAX: usize = 64;
/// Tests and connectives of one filter.
pub const FILTER_NODES_MAX: usize = 200;

/// Operations of one PATCH of a group. Okta puts up to 1,000 membership changes into one request.
pub const GROUP_OPERATIONS_MAX: usize = 2_000;
/// Operations of one PATCH of a user, each of which may look at all values of an attribute. Entra ID sends one for each
/// attribute that changed.
pub const USER_OPERATIONS_MAX: usize = 200;
/// Paths with filters of one PATCH of a user, all together: each part of them may be asked of all values of an attribute.
pub const USER_PATH_BYTES_MAX: usize = 64 * 1024;
/// Operations of one Bulk request, as `/ServiceProviderConfig` says.
pub const BULK_OPERATIONS_MAX: usize = 1_000;

/// Resources of one page, and how many there are if the client does not say. Okta and OneLogin ask for 100.
pub const PAGE_RESOURCES_MAX: usize = 1_000;
pub const PAGE_RESOURCES: usize = 100;
/// How long a cursor can be used, in seconds.
pub const CURSOR_SECONDS_MAX: i64 = 3_600;
/// A place in a list, within a cursor.
pub const CURSOR_POSITION_BYTES_MAX: usize = 64;

/// Names in `attributes` or `excludedAttributes`.
pub const PROJECTION_NAMES_MAX: usize = 200;
/// Entity tags in one `If-Match` or `If-None-Match`.
pub const ETAGS_MAX: usize = 64;
/// What a client wrote and an answer repeats.
pub const QUOTED_CHARACTERS_MAX: usize = 80;
