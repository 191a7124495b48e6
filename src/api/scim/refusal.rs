//! Why a call was not carried out, and how that is answered: every body that is no success is a SCIM error (RFC 7644 3.12),
//! whoever refused.
use std::borrow::Cow;

use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use super::answer::{self, MediaType, Payload};
use crate::{
    api::refusal::sentence,
    directory::{
        StoreError, TokenRefusal,
        scim::{HELD_RETRY_SECONDS, ScimFault},
    },
    scim::{ScimError, ScimType},
};

/// How long a client waits before it asks a store again that did not answer, in seconds.
const UNAVAILABLE_RETRY_SECONDS: i64 = 5;
/// The same where many wrote at once: they are done by then.
const CONTENDED_RETRY_SECONDS: i64 = 1;

/// What the HTTP side refuses by itself; the rest is the protocol's (`scim::Reason`) or the directory's ([`ScimFault`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    TokenMissing,
    /// Unknown, malformed, expired, revoked: nobody is told which.
    TokenInvalid,
    Disabled,
    OrganizationManaged,
    FilterForbidden,
    NotFound,
    MethodNotAllowed,
    BodyTimeout,
    BodyBroken,
    MediaType,
    ContentCoding,
    TooManyRequests,
    Unsupported,
    MembersUnsearchable,
    Unavailable,
}

impl Code {
    /// Stable, for logs, metrics and `docs/REASONS.md`.
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    pub fn status(self) -> u16 {
        self.row().0
    }

    /// What the administrator at the identity provider reads.
    pub fn detail(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::TokenMissing => {
                (401, "scim_token_missing", "Send the SCIM token as Authorization: Bearer.")
            }
            Self::TokenInvalid => (401, "scim_token_invalid", "The token is not a SCIM token that counts."),
            Self::Disabled => (403, "scim_disabled", "SCIM is switched off for this enterprise."),
            Self::OrganizationManaged => {
                let detail =
                    "An enterprise manages this organization: provision by the base URL of the enterprise.";
                (403, "scim_organization_managed", detail)
            }
            Self::FilterForbidden => {
                (403, "scim_filter_forbidden", "What describes the service cannot be filtered.")
            }
            Self::NotFound => (404, "scim_not_found", "There is no such resource."),
            Self::MethodNotAllowed => (405, "scim_method_not_allowed", "This method is not served here."),
            Self::BodyTimeout => (408, "scim_body_timeout", "The body did not come in time."),
            Self::BodyBroken => (400, "scim_body_broken", "The body broke off."),
            Self::MediaType => (
                415,
                "scim_media_type",
                "The body must be application/scim+json or application/json, in UTF-8.",
            ),
            Self::ContentCoding => {
                (415, "scim_content_coding", "The body must come as it is, without a Content-Encoding.")
            }
            Self::TooManyRequests => {
                (429, "scim_rate", "The token made more requests than it may. Try again later.")
            }
            Self::Unsupported => (501, "scim_unsupported", "This operation is not supported."),
            Self::MembersUnsearchable => {
                let detail = "Members of groups are found by eq with the id of a user, and in no other way.";
                (400, "scim_members_unsearchable", detail)
            }
            Self::Unavailable => {
                (503, "scim_unavailable", "The service is not available at the moment. Try again later.")
            }
        }
    }
}

/// Why a call was not carried out.
#[derive(Debug)]
pub struct Refusal {
    pub error: ScimError,
    /// For the log alone.
    inside: Option<String>,
    field: Option<Field>,
}

/// What few refusals say in a field.
#[derive(Debug)]
enum Field {
    /// RFC 6750 3
    Challenge(&'static str),
    /// RFC 9110 15.5.6
    Allow(&'static str),
    /// RFC 9110 15.5.16
    AcceptEncoding(&'static str),
    /// RFC 9110 10.2.3: seconds and never a date, which Okta does not read.
    RetryAfter(i64),
}

impl Refusal {
    pub fn inside(code: Code, inside: impl Into<String>) -> Self {
        Self { inside: Some(inside.into()), ..code.into() }
    }

    pub fn method(allow: &'static str) -> Self {
        let mut refusal = Self::from(Code::MethodNotAllowed);
        refusal.field = Some(Field::Allow(allow));
        refusal
    }

    /// One that was found before or beside this room, in its form.
    pub fn found(status: u16, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        ScimError::new(status, None, code, detail.into()).into()
    }

    #[must_use]
    pub fn again_after(mut self, seconds: i64) -> Self {
        self.field = Some(Field::RetryAfter(seconds.max(1)));
        self
    }

    /// For the log.
    pub fn reason(&self) -> String {
        self.inside.clone().unwrap_or_else(|| self.error.detail.clone())
    }

    pub fn is_fault_of_ours(&self) -> bool {
        self.error.status >= 500 && self.error.status != Code::Unsupported.status()
    }

    /// The answer that tells of it.
    pub fn response(&self, media_type: MediaType) -> Response<Payload> {
        let status = StatusCode::from_u16(self.error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = answer::json(status, media_type, self.error.body().into_bytes().into());
        if let Some(field) = &self.field {
            let (name, value) = field.field();
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl Field {
    fn field(&self) -> (HeaderName, HeaderValue) {
        match self {
            Self::Challenge(challenge) => (header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)),
            Self::Allow(methods) => (header::ALLOW, HeaderValue::from_static(methods)),
            Self::AcceptEncoding(codings) => (header::ACCEPT_ENCODING, HeaderValue::from_static(codings)),
            Self::RetryAfter(seconds) => (header::RETRY_AFTER, HeaderValue::from(*seconds)),
        }
    }
}

impl From<ScimError> for Refusal {
    fn from(error: ScimError) -> Self {
        Self { error, inside: None, field: None }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        let mut refusal = Self::found(code.status(), code.as_str(), code.detail());
        if code == Code::MembersUnsearchable {
            refusal.error.scim_type = Some(ScimType::InvalidFilter);
        }
        refusal.field = match code {
            Code::TokenMissing => Some(Field::Challenge("Bearer realm=\"portcullis\"")),
            Code::TokenInvalid => {
                Some(Field::Challenge("Bearer realm=\"portcullis\", error=\"invalid_token\""))
            }
            Code::ContentCoding => Some(Field::AcceptEncoding("identity")),
            _ => None,
        };
        refusal
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::inside(Code::Unavailable, error.to_string()).again_after(UNAVAILABLE_RETRY_SECONDS)
    }
}

impl From<TokenRefusal> for Refusal {
    fn from(refusal: TokenRefusal) -> Self {
        match refusal {
            TokenRefusal::Store(error) => error.into(),
            // V-20
            other => Self::inside(Code::TokenInvalid, other.to_string()),
        }
    }
}

impl From<ScimFault> for Refusal {
    fn from(fault: ScimFault) -> Self {
        let (status, scim_type, code) = match &fault {
            ScimFault::Store(error) => return error.clone().into(),
            ScimFault::Random(error) => {
                return Self::inside(Code::Unavailable, error.to_string())
                    .again_after(UNAVAILABLE_RETRY_SECONDS);
            }
            ScimFault::Contended(contended) => {
                return Self::inside(Code::Unavailable, contended.to_string())
                    .again_after(CONTENDED_RETRY_SECONDS);
            }
            ScimFault::NotFound => return Code::NotFound.into(),
            ScimFault::UserNameTaken => (409, Some(ScimType::Uniqueness), "scim_user_name_taken"),
            ScimFault::LinkTaken => (409, Some(ScimType::Uniqueness), "scim_link_taken"),
            ScimFault::GroupNameTaken => (409, Some(ScimType::Uniqueness), "scim_group_name_taken"),
            ScimFault::UserName => (400, Some(ScimType::InvalidValue), "scim_user_name"),
            ScimFault::ExternalIdMissing => (400, Some(ScimType::InvalidValue), "scim_external_id_missing"),
            ScimFault::EmailMissing => (400, Some(ScimType::InvalidValue), "scim_email_missing"),
            ScimFault::GroupName => (400, Some(ScimType::InvalidValue), "scim_group_name"),
            ScimFault::GroupUnmatched => (400, Some(ScimType::InvalidValue), "scim_group_unmatched"),
            ScimFault::GroupRenamed => (400, Some(ScimType::Mutability), "scim_group_renamed"),
            ScimFault::UnknownMember(_) => (400, Some(ScimType::InvalidValue), "scim_member_unknown"),
            ScimFault::UnknownGroup(_) => (400, Some(ScimType::InvalidValue), "scim_group_unknown"),
            ScimFault::TooManyGroups => (400, Some(ScimType::InvalidValue), "scim_groups_exceeded"),
            ScimFault::TooManyMembers => (413, None, "scim_members_exceeded"),
            ScimFault::TooMany => (400, Some(ScimType::TooMany), "scim_scan_exceeded"),
            ScimFault::Held { .. } => (429, None, "scim_removals_held"),
            ScimFault::VersionMismatch => (412, None, "scim_version_mismatch"),
        };
        let refusal: Self = ScimError::new(status, scim_type, code, sentence(&fault)).into();
        match fault {
            ScimFault::Held { .. } => refusal.again_after(i64::from(HELD_RETRY_SECONDS)),
            _ => refusal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Contended;

    const ALL: [Code; 15] = [
        Code::TokenMissing,
        Code::TokenInvalid,
        Code::Disabled,
        Code::OrganizationManaged,
        Code::FilterForbidden,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::BodyTimeout,
        Code::BodyBroken,
        Code::MediaType,
        Code::ContentCoding,
        Code::TooManyRequests,
        Code::Unsupported,
        Code::MembersUnsearchable,
        Code::Unavailable,
    ];

    fn text(refusal: &Refusal) -> String {
        let response = refusal.response(MediaType::Scim);
        let Payload::Full(bytes) = response.into_body() else { panic!("a refusal is short") };
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn every_code_is_explained() {
        let explained = include_str!("../../../docs/REASONS.md");
        for code in ALL {
            let entry = format!("\n- `{}` ({}):", code.as_str(), code.status());
            assert!(explained.contains(&entry), "{entry}");
        }
    }

    #[test]
    fn v_20_whatever_is_wrong_with_a_token_reads_alike() {
        let unknown = text(&TokenRefusal::Unknown.into());
        assert_eq!(text(&TokenRefusal::Expired.into()), unknown);
        assert!(unknown.contains("\"status\":\"401\""), "{unknown}");
        let refusal = Refusal::from(StoreError::Corrupt("alice's record".into()));
        assert!(!text(&refusal).contains("alice") && refusal.reason().contains("alice"));
        assert_eq!(refusal.response(MediaType::Scim).headers()[header::RETRY_AFTER], "5");
    }

    #[test]
    fn what_can_be_tried_again_says_when() {
        let held = ScimFault::Held {
            organization: crate::domain::OrganizationSlug::parse("octo-org").unwrap(),
            removals: 3,
        };
        let held = Refusal::from(held);
        assert_eq!(held.error.status, 429);
        assert_eq!(held.response(MediaType::Scim).headers()[header::RETRY_AFTER], "600");
        assert!(text(&held).contains("octo-org"), "{}", text(&held));
        let contended = Refusal::from(ScimFault::from(Contended));
        assert_eq!(contended.response(MediaType::Scim).headers()[header::RETRY_AFTER], "1");
        let plain = Refusal::from(ScimFault::NotFound).response(MediaType::Scim);
        assert!(!plain.headers().contains_key(header::RETRY_AFTER));
    }
}
