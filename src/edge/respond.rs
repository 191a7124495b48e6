//! Every error that leaves the public listener: one table from reason to status and words.
//!
//! Outside, a class and a request id; inside, [`Problem`]'s text has the reason. Nothing of the request is reflected.
use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use sha2::{Digest, Sha256};

use super::{framing::FramingFault, sign_in::Refused};
use crate::{
    access::{HostFault, PathFault},
    directory::{SignInError, StoreError},
    domain::EnterpriseSlug,
    proxy::{Body, ProxyError, RequestFault},
    saml,
};

const PAGE: &str = include_str!("../../templates/edge/error.html");
/// Stands within the page, so that it looks as it should whatever else is out of order.
const STYLE: &str = include_str!("../../templates/style.css");

/// Why a request did not get what it wanted. The text is for the log.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("framing: {0}")]
    Framing(#[from] FramingFault),
    #[error("no Host, or more than one")]
    HostCount,
    #[error("host: {0}")]
    Host(#[from] HostFault),
    #[error("the request target names another host than Host")]
    HostMismatch,
    #[error("the request target has neither origin-form nor absolute-form")]
    TargetForm,
    #[error("no route serves the host")]
    UnknownHost,
    #[error("path: {0}")]
    Path(#[from] PathFault),
    #[error("the path would be another route's to an origin server that reads leniently")]
    AmbiguousPath,
    #[error("no route serves the path")]
    NoRoute,
    #[error("the method is not served")]
    Method { allow: &'static str },
    #[error("{0}")]
    Request(#[from] RequestFault),
    #[error("sign-in required")]
    SignInRequired {
        /// Where a navigation would start the sign-in.
        location: String,
    },
    #[error("the session does not meet the route's rule")]
    Forbidden,
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("no randomness from the operating system: {0}")]
    Random(#[from] getrandom::Error),
    #[error("the AuthnRequest could not be signed: {0}")]
    Signing(#[from] saml::SigningError),
    #[error("{0}")]
    NoConnection(#[from] saml::NoConnection),
    #[error("return_to is no path of this host")]
    ReturnTo,
    #[error("{0}")]
    SignInRefused(Refused),
    #[error("a route names the enterprise {0}, which is not configured")]
    NotConfigured(EnterpriseSlug),
    #[error("{0}")]
    Proxy(#[from] ProxyError),
}

/// Status, stable code and words of one class.
#[derive(Clone, Copy)]
struct Class(StatusCode, &'static str, &'static str);

impl Problem {
    pub fn status(&self) -> StatusCode {
        self.class().0
    }

    /// Stable, for logs and for clients that read JSON.
    pub fn code(&self) -> &'static str {
        self.class().1
    }

    fn class(&self) -> Class {
        const BAD: &str = "The request could not be understood.";
        const ORIGIN: &str = "The application did not answer properly.";
        match self {
            Self::Request(RequestFault::Expectation) => {
                Class(StatusCode::EXPECTATION_FAILED, "expectation_failed", BAD)
            }
            Self::Request(RequestFault::SpoofedField(_) | RequestFault::ProtectedHop(_)) => Class(
                StatusCode::BAD_REQUEST,
                "field_refused",
                "The request carries a field that it may not carry.",
            ),
            Self::Framing(_)
            | Self::HostCount
            | Self::Host(_)
            | Self::HostMismatch
            | Self::TargetForm
            | Self::Path(_)
            | Self::AmbiguousPath
            | Self::ReturnTo
            | Self::Request(_)
            | Self::Proxy(ProxyError::ClientBody(_)) => Class(StatusCode::BAD_REQUEST, "bad_request", BAD),
            Self::UnknownHost => {
                Class(StatusCode::MISDIRECTED_REQUEST, "unknown_host", "This host is not served here.")
            }
            Self::NoRoute => Class(StatusCode::NOT_FOUND, "not_found", "There is nothing at this address."),
            Self::Method { .. } => {
                Class(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This method is not served here.")
            }
            Self::SignInRequired { .. } => {
                Class(StatusCode::UNAUTHORIZED, "sign_in_required", "Please sign in first.")
            }
            Self::Forbidden => {
                Class(StatusCode::FORBIDDEN, "forbidden", "You are signed in, but not permitted to see this.")
            }
            Self::SignInRefused(refused) => refused_class(refused),
            Self::Store(_) | Self::Random(_) | Self::Signing(_) | Self::NoConnection(_) => Class(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "This cannot be answered at the moment.",
            ),
            Self::NotConfigured(_)
            | Self::Proxy(
                ProxyError::IdentityTooLong { .. } | ProxyError::Target | ProxyError::Unrepeatable,
            ) => Class(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something is wrong on our side."),
            Self::Proxy(ProxyError::Connect(_)) => {
                Class(StatusCode::SERVICE_UNAVAILABLE, "origin_unavailable", ORIGIN)
            }
            Self::Proxy(ProxyError::ConnectTimeout(_) | ProxyError::ResponseHeadTimeout(_)) => {
                Class(StatusCode::GATEWAY_TIMEOUT, "origin_timeout", ORIGIN)
            }
            Self::Proxy(
                ProxyError::Closed(_)
                | ProxyError::Response(_)
                | ProxyError::AmbiguousLength
                | ProxyError::Switched,
            ) => Class(StatusCode::BAD_GATEWAY, "origin_failed", ORIGIN),
        }
    }
}

/// A refused sign-in: whose fault it is, and nothing that tells a forger how far a message came.
fn refused_class(refused: &Refused) -> Class {
    const TRANSPORT: &str = "The sign-in message could not be read.";
    match refused {
        Refused::ContentType => Class(StatusCode::UNSUPPORTED_MEDIA_TYPE, "sign_in_unreadable", TRANSPORT),
        Refused::BodyTooLarge => Class(StatusCode::PAYLOAD_TOO_LARGE, "sign_in_unreadable", TRANSPORT),
        Refused::BodyTimeout => Class(StatusCode::REQUEST_TIMEOUT, "sign_in_unreadable", TRANSPORT),
        Refused::Query | Refused::BodyBroken | Refused::Parameters => {
            Class(StatusCode::BAD_REQUEST, "sign_in_unreadable", TRANSPORT)
        }
        Refused::NoConnection(_)
        | Refused::SignIn(SignInError::Store(_) | SignInError::Contended | SignInError::Random(_)) => {
            Class(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Signing in is not possible at the moment.")
        }
        Refused::Saml(_)
        | Refused::RelayState
        | Refused::SignIn(
            SignInError::RequestConsumed | SignInError::AssertionReplayed | SignInError::Attribute(_),
        ) => Class(
            StatusCode::FORBIDDEN,
            "sign_in_refused",
            "The identity provider's answer was not accepted.",
        ),
    }
}

/// The answer: a page for a person's navigation, JSON for everything else.
pub fn problem(problem: &Problem, navigation: bool, request_id: &str) -> Response<Body> {
    let class = problem.class();
    let Class(status, code, message) = class;
    let mut response = if navigation {
        page(&class, request_id)
    } else {
        let location = match problem {
            Problem::SignInRequired { location } => Some(location),
            _ => None,
        };
        let mut text = serde_json::json!({ "error": code, "message": message, "request_id": request_id });
        if let (Some(fields), Some(location)) = (text.as_object_mut(), location) {
            fields.insert("location".into(), location.as_str().into());
        }
        answer(status, "application/json", text.to_string())
    };
    if let Problem::Method { allow } = problem {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    // RFC 9112 9.6: after such a message nobody can tell where the next one begins.
    if matches!(problem, Problem::Framing(_) | Problem::Request(_)) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A title, and what a person can do about it.
fn advice(code: &str) -> (&'static str, &'static str) {
    match code {
        "sign_in_refused" | "sign_in_unreadable" => (
            "You are not signed in",
            "Please start again. If it happens again, give your administrator the request id.",
        ),
        "forbidden" => (
            "No access",
            "If you should have access, ask your administrator for it, and give the request id.",
        ),
        "not_found" => ("Nothing here", "Please check the address."),
        "unavailable" | "origin_unavailable" | "origin_timeout" | "origin_failed" => (
            "Not available right now",
            "Please try again in a moment. If it stays so, give your administrator the request id.",
        ),
        "internal" => ("Something went wrong", "Please give your administrator the request id."),
        _ => (
            "That did not work",
            "Please go back and try again. If it happens again, give your administrator the request id.",
        ),
    }
}

/// A small page of our own. Title, message and advice are ours, `request_id` was checked; none is escaped.
fn page(class: &Class, request_id: &str) -> Response<Body> {
    static PAGE_STYLED: LazyLock<String> = LazyLock::new(|| PAGE.replace("{{style}}", STYLE));
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
        format!(
            "default-src 'none'; style-src 'sha256-{style}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        )
    });
    let Class(status, code, message) = class;
    let (title, advice) = advice(code);
    let text =
        PAGE_STYLED.replace("{{title}}", title).replace("{{message}}", message).replace("{{advice}}", advice);
    let mut response =
        answer(*status, "text/html; charset=utf-8", text.replace("{{request_id}}", request_id));
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A body of ours with the fields that everything of ours carries.
fn answer(status: StatusCode, media_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    harden(&mut response);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Sets what every response of our own carries: nothing is stored, framed, sniffed, executed or told to other sites.
pub fn harden<B>(response: &mut Response<B>) {
    const FIELDS: [(HeaderName, &str); 4] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in FIELDS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn render(problem: &Problem, navigation: bool) -> (StatusCode, String) {
        let response = super::problem(problem, navigation, "id-1");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert!(response.headers().contains_key(header::CONTENT_SECURITY_POLICY));
        let status = response.status();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let bytes = runtime.block_on(response.into_body().collect()).unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn the_reason_stays_inside() {
        let spoof = Problem::Request(RequestFault::SpoofedField("x-forwarded-user".into()));
        let (status, page) = render(&spoof, true);
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(page.contains("id-1") && page.contains("try again") && page.contains("<!doctype html>"));
        assert!(!page.contains("x-forwarded-user") && !page.contains("{{"));
        let (_, json) = render(&spoof, false);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["error"], "field_refused");
        assert!(!json.contains("x-forwarded-user"));
    }

    #[test]
    fn the_policy_allows_the_style_of_the_page_and_no_other() {
        let response = super::problem(&Problem::Forbidden, true, "id-1");
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        let (_, page) = render(&Problem::Forbidden, true);
        let style = page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).unwrap().0;
        let hash = BASE64_STANDARD.encode(Sha256::digest(style));
        assert!(policy.contains(&format!("default-src 'none'; style-src 'sha256-{hash}';")), "{policy}");
        assert_eq!(page.matches("<style").count() + page.matches("<script").count(), 1);
        assert!(!page.contains("style=") && !page.contains("{{"));
    }

    #[test]
    fn scripts_are_told_where_to_sign_in() {
        let location = "https://app.example.com/".to_owned();
        let (status, json) = render(&Problem::SignInRequired { location }, false);
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["location"], "https://app.example.com/");
    }
}
