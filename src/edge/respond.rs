//! Every error that leaves the public listener: one table from reason to status and words.
//!
//! Outside, a class and a request id; inside, [`Problem`]'s text has the reason. Nothing of the request is reflected.
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use super::{
    callers::TokenProblem,
    framing::FramingFault,
    logout,
    pages::{Class, Pages},
    sign_in::Refused,
    transport::TransportFault,
};
use crate::{
    access::{HostFault, PathFault},
    api,
    directory::{AcceptError, LogoutError, RecoveryError, SignInError, StoreError},
    domain::EnterpriseSlug,
    proxy::{Body, ProxyError, RequestFault},
    saml::{self, Check, Reason},
};

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
    #[error("the route demands another way to sign in, or a fresh one")]
    StepUpRequired {
        /// Where a navigation would start the sign-in.
        location: String,
    },
    #[error("the session does not meet the route's rule")]
    Forbidden,
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("no randomness from the operating system: {0}")]
    Random(#[from] getrandom::Error),
    #[error("a message could not be signed: {0}")]
    Signing(#[from] saml::SigningError),
    #[error("{0}")]
    NoConnection(#[from] saml::NoConnection),
    #[error("return_to is no path of this host")]
    ReturnTo,
    #[error("a form: a field stands in it twice")]
    FormFieldTwice,
    #[error("a form: {0}")]
    FormTransport(TransportFault),
    #[error("a page could not be written: {0}")]
    Page(#[from] askama::Error),
    #[error("{0}")]
    SignInRefused(Refused),
    #[error("{0}")]
    TokenRefused(#[from] TokenProblem),
    #[error("{0}")]
    LogoutRefused(logout::Refused),
    #[error("a sign-out was posted from another site")]
    LogoutCrossSite,
    #[error("a form of ours was posted from another site")]
    CrossSite,
    #[error("invitation: {0}")]
    InvitationRefused(AcceptError),
    #[error("recovery: {0}")]
    RecoveryRefused(RecoveryError),
    #[error("a route names the enterprise {0}, which is not configured")]
    NotConfigured(EnterpriseSlug),
    #[error("{0}")]
    Proxy(#[from] ProxyError),
}

impl Problem {
    pub fn status(&self) -> StatusCode {
        self.answer().0
    }

    /// Stable, for logs and for clients that read JSON.
    pub fn code(&self) -> &'static str {
        self.answer().1.code()
    }

    /// For the log: of a refused message the reason's code, whose particulars are logged where it was refused.
    pub fn reason(&self) -> String {
        match self {
            Self::SignInRefused(refused) => refused.code().to_owned(),
            Self::TokenRefused(refused) => refused.code().to_owned(),
            Self::LogoutRefused(refused) => refused.code().to_owned(),
            other => other.to_string(),
        }
    }

    /// Whether the log has a line of its own about it already: a failure is logged once, where it is handled.
    pub fn is_told(&self) -> bool {
        matches!(self, Self::SignInRefused(_) | Self::LogoutRefused(_))
    }

    /// The table: which status, and what the person reads.
    pub(super) fn answer(&self) -> (StatusCode, Class) {
        match self {
            Self::Request(RequestFault::Expectation) => {
                (StatusCode::EXPECTATION_FAILED, Class::ExpectationFailed)
            }
            Self::Request(RequestFault::SpoofedField(_) | RequestFault::ProtectedHop(_)) => {
                (StatusCode::BAD_REQUEST, Class::FieldRefused)
            }
            Self::Framing(_)
            | Self::HostCount
            | Self::Host(_)
            | Self::HostMismatch
            | Self::TargetForm
            | Self::Path(_)
            | Self::AmbiguousPath
            | Self::ReturnTo
            | Self::FormFieldTwice
            | Self::FormTransport(_)
            | Self::Request(_)
            | Self::Proxy(ProxyError::ClientBody(_)) => (StatusCode::BAD_REQUEST, Class::BadRequest),
            Self::UnknownHost => (StatusCode::MISDIRECTED_REQUEST, Class::UnknownHost),
            Self::NoRoute => (StatusCode::NOT_FOUND, Class::NotFound),
            Self::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, Class::MethodNotAllowed),
            Self::SignInRequired { .. } => (StatusCode::UNAUTHORIZED, Class::SignInRequired),
            Self::StepUpRequired { .. } => (StatusCode::UNAUTHORIZED, Class::StepUpRequired),
            Self::Forbidden | Self::Proxy(ProxyError::AccessEnded) => {
                (StatusCode::FORBIDDEN, Class::Forbidden)
            }
            Self::TokenRefused(refused) => refused.answer(),
            Self::SignInRefused(refused) => refused_answer(refused),
            Self::Store(_) | Self::Random(_) | Self::Signing(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, Class::Unavailable)
            }
            Self::NoConnection(_) => (StatusCode::SERVICE_UNAVAILABLE, Class::SignInUnavailable),
            Self::LogoutRefused(refused) => logout_answer(refused),
            Self::LogoutCrossSite => (StatusCode::FORBIDDEN, Class::LogoutCrossSite),
            Self::CrossSite => (StatusCode::FORBIDDEN, Class::CrossSite),
            Self::InvitationRefused(AcceptError::Store(_) | AcceptError::Contended(_))
            | Self::RecoveryRefused(RecoveryError::Store(_) | RecoveryError::Random(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, Class::Unavailable)
            }
            Self::InvitationRefused(_) => (StatusCode::FORBIDDEN, Class::InvitationRefused),
            Self::RecoveryRefused(RecoveryError::Throttled) => {
                (StatusCode::TOO_MANY_REQUESTS, Class::RecoveryThrottled)
            }
            Self::RecoveryRefused(_) => (StatusCode::FORBIDDEN, Class::RecoveryRefused),
            Self::NotConfigured(_)
            | Self::Page(_)
            | Self::Proxy(
                ProxyError::IdentityTooLong { .. } | ProxyError::Target | ProxyError::Unrepeatable,
            ) => (StatusCode::INTERNAL_SERVER_ERROR, Class::Internal),
            Self::Proxy(ProxyError::Connect(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, Class::OriginUnavailable)
            }
            Self::Proxy(ProxyError::ConnectTimeout(_) | ProxyError::ResponseHeadTimeout(_)) => {
                (StatusCode::GATEWAY_TIMEOUT, Class::OriginTimeout)
            }
            Self::Proxy(
                ProxyError::Closed(_)
                | ProxyError::Response(_)
                | ProxyError::AmbiguousLength
                | ProxyError::Switched,
            ) => (StatusCode::BAD_GATEWAY, Class::OriginFailed),
        }
    }
}

fn refused_answer(refused: &Refused) -> (StatusCode, Class) {
    match refused {
        Refused::Transport(fault) => (fault.status(), Class::SignInUnreadable),
        Refused::Parameters => (StatusCode::BAD_REQUEST, Class::SignInUnreadable),
        Refused::NoConnection(_)
        | Refused::SignIn(SignInError::Store(_) | SignInError::Contended(_) | SignInError::Random(_)) => {
            (StatusCode::SERVICE_UNAVAILABLE, Class::SignInUnavailable)
        }
        Refused::SignIn(
            SignInError::RequestConsumed | SignInError::AssertionReplayed | SignInError::LoggedOut,
        ) => (StatusCode::FORBIDDEN, Class::SignInExpired),
        Refused::SignIn(SignInError::Deactivated) => (StatusCode::FORBIDDEN, Class::SignInDenied),
        Refused::SignIn(SignInError::Unlinked) => (StatusCode::FORBIDDEN, Class::SignInExpired),
        Refused::SignIn(SignInError::Attribute(_) | SignInError::GroupsMissing(_)) => {
            (StatusCode::FORBIDDEN, Class::SignInNotSetUp)
        }
        Refused::RelayState | Refused::SecondOpinion(_) => (StatusCode::FORBIDDEN, Class::SignInRefused),
        Refused::Saml(refusal) => (StatusCode::FORBIDDEN, saml_class(refusal.reason)),
    }
}

/// What a person can do about a refused response. Nothing tells a forger how far a message came: whatever fails before the
/// signature was verified, or while something was decrypted, is one class; the others take a message that the IdP signed,
/// or, for a status that is no success, the word of whoever sent it.
fn saml_class(reason: Reason) -> Class {
    match reason {
        Reason::StatusNotSuccess => Class::SignInDenied,
        Reason::Unsolicited => Class::SignInUnsolicited,
        Reason::RequestUnknown
        | Reason::IssueInstantStale
        | Reason::ConfirmationExpired
        | Reason::ConditionsExpired
        | Reason::SessionExpired => Class::SignInExpired,
        other => match other.check() {
            Check::Issuer
            | Check::Destination
            | Check::InResponseTo
            | Check::IssueInstant
            | Check::Subject
            | Check::SubjectConfirmation
            | Check::Conditions
            | Check::Audience
            | Check::AuthnStatement
            | Check::Attributes => Class::SignInNotSetUp,
            _ => Class::SignInRefused,
        },
    }
}

/// The same for a message to the SLO URL.
fn logout_answer(refused: &logout::Refused) -> (StatusCode, Class) {
    use logout::Refused;
    match refused {
        Refused::Transport(fault) => (fault.status(), Class::LogoutUnreadable),
        Refused::RelayStateTooLong => (StatusCode::BAD_REQUEST, Class::LogoutUnreadable),
        Refused::Logout(LogoutError::Store(_) | LogoutError::TooManySessions) => {
            (StatusCode::SERVICE_UNAVAILABLE, Class::Unavailable)
        }
        Refused::Saml(_)
        | Refused::RelayState
        | Refused::RequestConsumed
        | Refused::Logout(LogoutError::Replayed) => (StatusCode::FORBIDDEN, Class::LogoutRefused),
    }
}

/// The answer: a page for a person's navigation, JSON for everything else.
pub fn problem(pages: &Pages, problem: &Problem, navigation: bool, request_id: &str) -> Response<Body> {
    let (status, class) = problem.answer();
    // Whoever shows a token is a program, whatever it says that it accepts.
    let is_token = matches!(problem, Problem::TokenRefused(_));
    let mut response = if navigation && !is_token {
        page(pages, status, class, request_id)
    } else {
        let (code, message) = (class.code(), &pages.texts(class).message);
        let location = match problem {
            Problem::SignInRequired { location } | Problem::StepUpRequired { location } => Some(location),
            _ => None,
        };
        let mut text = serde_json::json!({ "error": code, "message": message, "request_id": request_id });
        if let (Some(fields), Some(location)) = (text.as_object_mut(), location) {
            fields.insert("location".into(), location.as_str().into());
        }
        answer(status, "application/json", text.to_string())
    };
    mark(&mut response, problem);
    response
}

/// What a problem says in fields.
pub(super) fn mark(response: &mut Response<Body>, problem: &Problem) {
    if let Problem::TokenRefused(refused) = problem {
        let challenge = HeaderValue::from_static(refused.challenge());
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Problem::Method { allow } = problem {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    // RFC 9112 9.6: after such a message nobody can tell where the next one begins.
    if matches!(problem, Problem::Framing(_) | Problem::Request(_)) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// The answer to what was found wrong before the API was reached, in the API's own form.
pub fn api_problem(pages: &Pages, problem: &Problem, request_id: &str) -> Response<Body> {
    let (status, class) = problem.answer();
    let message = &pages.texts(class).message;
    let mut response = api::problem(status, class.code(), message, request_id).map(Body::from);
    mark(&mut response, problem);
    response
}

/// A page of our own about a class, with the policy of its template.
pub fn page(pages: &Pages, status: StatusCode, class: Class, request_id: &str) -> Response<Body> {
    let mut response = answer(status, "text/html; charset=utf-8", pages.html(class, request_id));
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, pages.policy().clone());
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
        let response = super::problem(&Pages::default(), problem, navigation, "id-1");
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
    fn the_access_log_names_a_refused_message_by_its_code() {
        let sign_in = Problem::SignInRefused(Refused::RelayState);
        let logout = Problem::LogoutRefused(logout::Refused::RelayState);
        for problem in [sign_in, logout] {
            assert_eq!(problem.reason(), "relay_state_mismatch");
        }
        let token = Problem::TokenRefused(TokenProblem::Rule);
        assert_eq!(token.reason(), "token_forbidden");
        assert_eq!(Problem::Forbidden.reason(), "the session does not meet the route's rule");
    }

    #[test]
    fn s_102_a_page_carries_the_policy_of_its_template() {
        let response = super::problem(&Pages::default(), &Problem::Forbidden, true, "id-1");
        let policy = &response.headers()[header::CONTENT_SECURITY_POLICY];
        assert_eq!(policy, Pages::default().policy());
        let (_, page) = render(&Problem::Forbidden, true);
        assert_eq!(page.matches("<style").count() + page.matches("<script").count(), 1);
        assert!(!page.contains("style=") && !page.contains("{{"));
    }

    /// A forger learns nothing of how far a message came before its signature was verified.
    #[test]
    fn what_comes_before_a_verified_signature_is_one_class() {
        for reason in Reason::ALL.iter().filter(|reason| reason.check() <= Check::Fields) {
            let class = saml_class(*reason);
            assert!(matches!(class, Class::SignInRefused), "{reason:?}: {class:?}");
        }
        for (reason, class) in [
            (Reason::StatusNotSuccess, Class::SignInDenied),
            (Reason::Unsolicited, Class::SignInUnsolicited),
            (Reason::RequestUnknown, Class::SignInExpired),
            (Reason::ConditionsExpired, Class::SignInExpired),
            (Reason::ConditionsNotYetValid, Class::SignInNotSetUp),
            (Reason::AudienceMismatch, Class::SignInNotSetUp),
            (Reason::NameIdTransient, Class::SignInNotSetUp),
            (Reason::SubjectAttributeMissing, Class::SignInNotSetUp),
        ] {
            assert_eq!(saml_class(reason), class, "{reason:?}");
        }
    }

    #[test]
    fn scripts_are_told_where_to_sign_in() {
        let location = "https://app.example.com/".to_owned();
        let sign_in = Problem::SignInRequired { location: location.clone() };
        for (problem, code) in
            [(sign_in, "sign_in_required"), (Problem::StepUpRequired { location }, "step_up_required")]
        {
            let (status, json) = render(&problem, false);
            assert_eq!(status, StatusCode::UNAUTHORIZED);
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(
                (&json["error"], &json["location"]),
                (&code.into(), &"https://app.example.com/".into())
            );
        }
    }
}
