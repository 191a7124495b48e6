//! Every refusal of the API: one table from code to status and words.
//!
//! Outside, a stable code with its sentence and, where the request itself is at fault, what is wrong with it; inside, why.
use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::{directory::StoreError, domain::Scope};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $message:literal;)*) => {
        /// What a refusal is about. Stable: programs read it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            pub fn status(self) -> StatusCode {
                let status = match self {
                    $(Self::$name => $status,)*
                };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// What everybody may read of it.
            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$name => $message,)*
                }
            }
        }
    };
}

codes! {
    ParameterInvalid = "parameter_invalid", 400, "A parameter of the query is not valid.";
    BodyBroken = "body_broken", 400, "The body broke off.";
    JsonInvalid = "json_invalid", 400, "The body is not the JSON that this operation takes.";
    CredentialRequired = "credential_required", 401, "Send a personal access token as Authorization: Bearer.";
    /// Unknown, expired, revoked, of a deactivated person: nobody is told which.
    CredentialInvalid = "credential_invalid", 401, "The credential is not valid.";
    CrossOrigin = "cross_origin", 403, "A session opens the API only to pages of its own origin.";
    SessionRequired = "session_required", 403, "This needs a session of the browser; a token does not do.";
    ScopeMissing = "scope_missing", 403, "The token lacks the scope that this needs.";
    OwnerRequired = "owner_required", 403, "Only an owner of the organization may do this.";
    EnterpriseOwnerRequired = "enterprise_owner_required", 403, "Only an owner of the enterprise may do this.";
    /// Unknown, foreign and hidden are one (A-04, V-20).
    NotFound = "not_found", 404, "There is nothing here that you may see.";
    MethodNotAllowed = "method_not_allowed", 405, "This method is not served here.";
    BodyTimeout = "body_timeout", 408, "The body did not come in time.";
    Conflict = "conflict", 409, "The state of things does not allow this.";
    Contended = "contended", 409, "Others kept changing the same records. Try again.";
    BodyTooLarge = "body_too_large", 413, "The body is too large.";
    ContentType = "content_type", 415, "The body must be application/json.";
    Unprocessable = "unprocessable", 422, "A value of the body does not do.";
    TooMany = "too_many", 429, "This was done too often. Try again later.";
    Internal = "internal", 500, "Something went wrong here.";
    Unavailable = "unavailable", 503, "The service is not available at the moment.";
}

/// Why a call was refused.
#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    /// A [`Code`]'s, or that of what the directory refused (docs/REASONS.md).
    pub code: &'static str,
    /// What the caller may know. Never a value of another tenant, nor one of the store.
    message: Cow<'static, str>,
    more: Box<More>,
}

/// What few refusals have.
#[derive(Debug, Default)]
struct More {
    /// For the log alone.
    inside: Option<String>,
    /// RFC 6750 3: what would do.
    challenge: Option<String>,
    /// RFC 9110 15.5.6
    allow: Option<String>,
    /// RFC 9110 10.2.3, in seconds.
    retry_after: Option<String>,
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        let challenge = match code {
            Code::CredentialRequired => Some("Bearer realm=\"portcullis\"".to_owned()),
            Code::CredentialInvalid => {
                Some("Bearer realm=\"portcullis\", error=\"invalid_token\"".to_owned())
            }
            _ => None,
        };
        let more = Box::new(More { challenge, ..More::default() });
        Self { more, ..Self::of(code.status(), code.as_str(), code.message()) }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::inside(Code::Unavailable, error.to_string())
    }
}

impl Problem {
    pub fn of(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), more: Box::default() }
    }

    /// One whose particulars the caller may read.
    pub fn told(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), ..code.into() }
    }

    /// One whose particulars are for the log.
    pub fn inside(code: Code, inside: impl Into<String>) -> Self {
        let mut problem = Self::from(code);
        problem.more.inside = Some(inside.into());
        problem
    }

    pub fn scope_missing(scope: Scope) -> Self {
        let scope = scope.as_str();
        let challenge =
            format!("Bearer realm=\"portcullis\", error=\"insufficient_scope\", scope=\"{scope}\"");
        let message = format!("The token lacks the scope {scope}.");
        let mut problem = Self::told(Code::ScopeMissing, message);
        problem.more.challenge = Some(challenge);
        problem
    }

    pub fn method(allow: String) -> Self {
        let mut problem = Self::from(Code::MethodNotAllowed);
        problem.more.allow = Some(allow);
        problem
    }

    /// The same, with when to try again, in seconds.
    pub fn again_after(mut self, seconds: i64) -> Self {
        self.more.retry_after = Some(seconds.max(1).to_string());
        self
    }

    /// For the log: what is known about the reason.
    pub fn reason(&self) -> String {
        self.more.inside.clone().unwrap_or_else(|| self.message.clone().into_owned())
    }

    /// The answer that tells of it.
    pub fn response(&self, request_id: &str) -> Response<Bytes> {
        let mut response = problem(self.status, self.code, &self.message, request_id);
        let named = [
            (header::WWW_AUTHENTICATE, &self.more.challenge),
            (header::ALLOW, &self.more.allow),
            (header::RETRY_AFTER, &self.more.retry_after),
        ];
        for (name, value) in named {
            if let Some(Ok(value)) = value.as_ref().map(HeaderValue::try_from) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// How every refusal looks.
#[derive(Serialize)]
struct Shape<'a> {
    message: &'a str,
    code: &'a str,
    request_id: &'a str,
}

/// A refusal that was found before the API was reached, in the API's form.
pub fn problem(status: StatusCode, code: &str, message: &str, request_id: &str) -> Response<Bytes> {
    json(status, &Shape { message, code, request_id })
}

/// A body of JSON with the fields that every answer of the API carries: nothing is stored, framed, sniffed or executed.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    // Texts, numbers, lists and structs of them: serde_json has nothing to refuse.
    json_bytes(status, serde_json::to_vec(body).unwrap_or_default().into())
}

/// The same for JSON that is written already.
pub fn json_bytes(status: StatusCode, body: Bytes) -> Response<Bytes> {
    answer(status, Some("application/json"), body)
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Response<Bytes> {
    answer(status, None, Bytes::new())
}

fn answer(status: StatusCode, media_type: Option<&'static str>, body: Bytes) -> Response<Bytes> {
    const FIELDS: [(HeaderName, &str); 4] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in FIELDS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if let Some(media_type) = media_type {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented_with_its_status() {
        let page = include_str!("../../docs/API.md");
        for code in Code::ALL {
            let line = format!("| `{}` | {} |", code.as_str(), code.status().as_u16());
            assert!(page.contains(&line), "docs/API.md lacks {line}");
        }
    }

    #[test]
    fn what_is_inside_stays_there() {
        let problem = Problem::inside(Code::CredentialInvalid, "expired a minute ago");
        let response = problem.response("id-1");
        assert_eq!(problem.reason(), "expired a minute ago");
        assert!(!String::from_utf8_lossy(response.body()).contains("minute"));
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let json: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!((&json["code"], &json["request_id"]), (&"credential_invalid".into(), &"id-1".into()));
    }

    #[test]
    fn challenges_say_what_would_do() {
        let field = |problem: Problem| {
            let response = problem.response("id-1");
            response.headers().get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(field(Code::CredentialRequired.into()).unwrap(), "Bearer realm=\"portcullis\"");
        let invalid = field(Code::CredentialInvalid.into()).unwrap();
        assert!(invalid.ends_with("error=\"invalid_token\""), "{invalid}");
        let scope = field(Problem::scope_missing(Scope::ApiWrite)).unwrap();
        assert!(scope.ends_with("error=\"insufficient_scope\", scope=\"api:write\""), "{scope}");
        assert_eq!(field(Code::OwnerRequired.into()), None);
    }
}
