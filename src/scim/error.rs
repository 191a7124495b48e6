//! Everything that is refused here, and how it is answered (RFC 7644 3.12).
//!
//! A `detail` is for the administrator at the IdP, so it may repeat what the request itself said, in a few characters, and
//! nothing that it did not.
use std::fmt;

use serde_json::json;

use super::limits::QUOTED_CHARACTERS_MAX;

/// The schema of an error's body.
pub const ERROR_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// RFC 7644 3.12, table 9, and RFC 9865 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimType {
    InvalidFilter,
    TooMany,
    Uniqueness,
    Mutability,
    InvalidSyntax,
    InvalidPath,
    NoTarget,
    InvalidValue,
    InvalidVers,
    Sensitive,
    InvalidCursor,
    ExpiredCursor,
    InvalidCount,
}

impl ScimType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidVers => "invalidVers",
            Self::Sensitive => "sensitive",
            Self::InvalidCursor => "invalidCursor",
            Self::ExpiredCursor => "expiredCursor",
            Self::InvalidCount => "invalidCount",
        }
    }
}

/// A refusal, whoever makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimError {
    /// The HTTP status.
    pub status: u16,
    pub scim_type: Option<ScimType>,
    /// Stable, for logs, metrics and `docs/REASONS.md`.
    pub code: &'static str,
    /// What the client is told.
    pub detail: String,
}

impl ScimError {
    /// Of other modules; what is refused here is made by [`Reason::error`].
    pub fn new(
        status: u16,
        scim_type: Option<ScimType>,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, scim_type, code, detail: detail.into() }
    }

    /// The body. `status` is a text (RFC 7644 3.12).
    pub fn body(&self) -> String {
        let mut body =
            json!({ "schemas": [ERROR_SCHEMA], "status": self.status.to_string(), "detail": self.detail });
        if let (Some(object), Some(scim_type)) = (body.as_object_mut(), self.scim_type) {
            object.insert("scimType".to_owned(), scim_type.as_str().into());
        }
        body.to_string()
    }
}

/// For logs: without the detail, which repeats what the client wrote (V-04).
impl fmt::Display for ScimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl std::error::Error for ScimError {}

macro_rules! reasons {
    ($($reason:ident: $status:literal, $scim_type:expr, $code:literal, $message:literal;)+) => {
        /// Why a SCIM message is refused. Codes are stable: logs, metrics and `docs/REASONS.md` name them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $message] $reason,)+
        }

        impl Reason {
            pub const ALL: &[Self] = &[$(Self::$reason),+];

            /// The stable code, in snake case.
            pub fn code(self) -> &'static str {
                match self { $(Self::$reason => $code),+ }
            }

            /// What is wrong, in one sentence.
            pub fn message(self) -> &'static str {
                match self { $(Self::$reason => $message),+ }
            }

            pub fn status(self) -> u16 {
                match self { $(Self::$reason => $status),+ }
            }

            pub fn scim_type(self) -> Option<ScimType> {
                match self { $(Self::$reason => $scim_type),+ }
            }
        }
    };
}

const SYNTAX: Option<ScimType> = Some(ScimType::InvalidSyntax);
const VALUE: Option<ScimType> = Some(ScimType::InvalidValue);
const FILTER: Option<ScimType> = Some(ScimType::InvalidFilter);
const PATH: Option<ScimType> = Some(ScimType::InvalidPath);
const TARGET: Option<ScimType> = Some(ScimType::NoTarget);
const MUTABILITY: Option<ScimType> = Some(ScimType::Mutability);

reasons! {
    BodyTooLarge: 413, None, "scim_body_too_large", "The body is longer than this endpoint takes.";
    NotJson: 400, SYNTAX, "scim_not_json", "The body is no JSON.";
    DuplicateKey: 400, SYNTAX, "scim_duplicate_key", "Two keys of the body differ in case only, or not at all, or name one attribute.";
    TooDeep: 400, SYNTAX, "scim_too_deep", "Objects and arrays of the body are nested too deeply.";
    TooManyValues: 413, None, "scim_too_many_values", "The body has too many values, or an object of it too many keys.";
    NotAnObject: 400, SYNTAX, "scim_not_an_object", "The body is no JSON object.";
    TextForbidden: 400, VALUE, "scim_text_forbidden", "A text of the body holds U+0000.";
    TextTooLong: 400, VALUE, "scim_text_too_long", "A text of the body is too long.";

    ValueType: 400, VALUE, "scim_value_type", "A value is of another type than its attribute.";
    ValueMissing: 400, VALUE, "scim_value_missing", "A required attribute has no value.";
    ValuesTooMany: 400, VALUE, "scim_values_too_many", "An attribute has too many values.";
    ResourceTooLarge: 400, VALUE, "scim_resource_too_large", "The resource would hold too much.";
    UserNameInvalid: 400, VALUE, "scim_user_name_invalid", "The userName could be mistaken for another one.";
    PrimaryRepeated: 400, VALUE, "scim_primary_repeated", "More than one value of an attribute is primary.";
    GroupNested: 400, VALUE, "scim_group_nested", "A member of the group is a group.";
    MemberInvalid: 400, VALUE, "scim_member_invalid", "A member is named by something else than the id of a user.";

    FilterTooLong: 400, FILTER, "scim_filter_too_long", "The filter is too long.";
    FilterTooDeep: 400, FILTER, "scim_filter_too_deep", "The filter is nested too deeply.";
    FilterTooLarge: 400, FILTER, "scim_filter_too_large", "The filter has too many parts.";
    FilterSyntax: 400, FILTER, "scim_filter_syntax", "The filter is none.";
    FilterOperator: 400, FILTER, "scim_filter_operator", "The filter uses an operator that there is not.";
    FilterType: 400, FILTER, "scim_filter_type", "The filter compares an attribute with what it cannot be compared with.";

    PathSyntax: 400, PATH, "scim_path_syntax", "The path of an operation is none.";
    PathUnknown: 400, PATH, "scim_path_unknown", "The path of an operation names an attribute that there is not.";
    PathUnsupported: 400, PATH, "scim_path_unsupported", "The path of an operation selects values of an attribute that has none to select.";
    NoTarget: 400, TARGET, "scim_no_target", "The path of an operation matches no value, and does not say which one to make.";
    RemoveWithoutPath: 400, TARGET, "scim_remove_without_path", "An operation removes without a path.";
    ReadOnly: 400, MUTABILITY, "scim_read_only", "An operation would change what only the server changes.";
    RequiredRemoved: 400, MUTABILITY, "scim_required_removed", "An operation would take away what a resource must have.";
    Immutable: 400, MUTABILITY, "scim_immutable", "An operation would change a part of a member, which can only be added or removed whole.";

    OperationsMissing: 400, SYNTAX, "scim_operations_missing", "The request has no Operations.";
    OperationsTooMany: 413, None, "scim_operations_too_many", "The request has too many Operations.";
    OperationUnknown: 400, SYNTAX, "scim_operation_unknown", "An operation is none of add, replace and remove.";
    OperationValueMissing: 400, VALUE, "scim_operation_value_missing", "An operation adds or replaces and has no value.";
    OperationValueUnclear: 400, VALUE, "scim_operation_value_unclear", "An operation removes values and its own value says neither which nor that it means all.";

    ParameterRepeated: 400, VALUE, "scim_parameter_repeated", "A parameter of the query stands more than once.";
    AttributesBoth: 400, VALUE, "scim_attributes_both", "attributes and excludedAttributes stand in one request.";
    AttributesTooMany: 400, VALUE, "scim_attributes_too_many", "attributes or excludedAttributes name too many attributes.";
    SortInvalid: 400, VALUE, "scim_sort_invalid", "sortBy or sortOrder says nothing that can be sorted by.";
    PageInvalid: 400, VALUE, "scim_page_invalid", "startIndex or count is no integer.";
    CountInvalid: 400, Some(ScimType::InvalidCount), "scim_count_invalid", "count is none that a page can have.";
    CursorInvalid: 400, Some(ScimType::InvalidCursor), "scim_cursor_invalid", "The cursor is not one of this server, of this client and of this query.";
    CursorExpired: 400, Some(ScimType::ExpiredCursor), "scim_cursor_expired", "The cursor ran out.";

    BulkSyntax: 400, SYNTAX, "scim_bulk_syntax", "The Bulk request, or one operation of it, is malformed.";
    BulkReference: 400, VALUE, "scim_bulk_reference", "An operation refers to a bulkId that no POST of the request has.";
    BulkCircular: 409, None, "scim_bulk_circular", "Operations of a Bulk request refer to each other in a circle.";
}

impl Reason {
    /// The refusal, with what exactly is wrong.
    pub fn error(self, detail: impl Into<String>) -> ScimError {
        ScimError::new(self.status(), self.scim_type(), self.code(), detail)
    }

    /// The refusal, where the sentence says it all.
    pub fn bare(self) -> ScimError {
        self.error(self.message())
    }
}

/// What a client wrote, cut to what an answer repeats, without anything that could end a line.
pub(super) fn quoted(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(QUOTED_CHARACTERS_MAX)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(QUOTED_CHARACTERS_MAX).is_some() {
        out.push('\u{2026}');
    }
    format!("\"{out}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_of_the_rfc() {
        let error = Reason::FilterSyntax.error("no");
        assert_eq!(
            error.body(),
            r#"{"detail":"no","schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"scimType":"invalidFilter","status":"400"}"#
        );
        assert_eq!(error.to_string(), "scim_filter_syntax");
        let bare = ScimError::new(404, None, "scim_unknown", "There is no such user.");
        assert!(!bare.body().contains("scimType"));
    }

    #[test]
    fn quotes_are_short_and_of_one_line() {
        assert_eq!(quoted("a\r\nb"), "\"a\u{fffd}\u{fffd}b\"");
        assert_eq!(quoted(&"a".repeat(5_000)).chars().count(), QUOTED_CHARACTERS_MAX + 3);
    }

    #[test]
    fn every_reason_is_explained() {
        let explained = include_str!("../../docs/REASONS.md");
        for reason in Reason::ALL {
            let entry = format!("- `{}`: {}", reason.code(), reason.message());
            assert!(explained.contains(&entry), "{entry}");
        }
    }
}
