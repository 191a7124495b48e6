//! Pages of our own with a form: the one that posts a message to the IdP, the chooser, the question before a sign-out,
//! invitations, recovery codes.
//! All work without scripts.
use std::sync::LazyLock;

use askama::Template;
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, Response, header};
use sha2::{Digest, Sha256};

use super::respond::{self, Problem};
use crate::proxy::Body;

const STYLE: &str = include_str!("../../templates/style.css");
/// All that a page of ours ever runs: its form is sent without a click.
const SUBMIT: &str = "document.forms[0].submit()";

#[derive(Template)]
#[template(path = "edge/post.html")]
struct PostPage<'a> {
    style: &'static str,
    script: &'static str,
    action: &'a str,
    parameter: &'a str,
    message: &'a str,
    relay_state: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "edge/choose.html")]
struct ChoosePage<'a> {
    style: &'static str,
    return_to: &'a str,
    /// What was given and led nowhere.
    unknown: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "edge/sign_out.html")]
struct SignOutPage {
    style: &'static str,
    everywhere: bool,
}

#[derive(Template)]
#[template(path = "edge/invitation.html")]
struct InvitationPage<'a> {
    style: &'static str,
    path: &'a str,
    organization: &'a str,
    role: &'a str,
    user: &'a str,
}

#[derive(Template)]
#[template(path = "edge/recover.html")]
struct RecoverPage<'a> {
    style: &'static str,
    /// Empty where it has to be asked for.
    enterprise: &'a str,
}

#[derive(Template)]
#[template(path = "edge/recovery_codes.html")]
struct RecoveryCodesPage<'a> {
    style: &'static str,
    /// Empty before they are made.
    codes: &'a [String],
    left: Option<usize>,
}

/// The page that posts a message to the IdP: by itself with JavaScript, by a button without (SAML Bindings 3.5.4).
pub fn post(
    action: &str,
    parameter: &str,
    message: &str,
    relay_state: Option<&str>,
) -> Result<Response<Body>, Problem> {
    let page = PostPage { style: STYLE, script: SUBMIT, action, parameter, message, relay_state }.render()?;
    let scheme = action.split(':').next().unwrap_or_default();
    Ok(html(page, &format!("script-src '{}'; form-action {}", *SUBMIT_HASH, form_targets(scheme))))
}

/// The page that asks for an e-mail address; `unknown` is the one that led nowhere.
pub fn choose(scheme: &str, return_to: &str, unknown: Option<&str>) -> Result<Response<Body>, Problem> {
    let page = ChoosePage { style: STYLE, return_to, unknown }.render()?;
    Ok(html(page, &format!("form-action {}", form_targets(scheme))))
}

/// The page that asks whether to sign out and posts to its own address; `everywhere` if the IdP is told.
pub fn sign_out(scheme: &str, everywhere: bool) -> Result<Response<Body>, Problem> {
    let page = SignOutPage { style: STYLE, everywhere }.render()?;
    Ok(with_origin(scheme, page))
}

/// The page that asks whether to accept an invitation; it lies at `path`.
pub fn invitation(
    scheme: &str,
    path: &str,
    organization: &str,
    role: &str,
    user: &str,
) -> Result<Response<Body>, Problem> {
    let page = InvitationPage { style: STYLE, path, organization, role, user }.render()?;
    Ok(with_origin(scheme, page))
}

/// The page that takes a recovery code; asks for the enterprise where there are several.
pub fn recover(scheme: &str, enterprise: Option<&str>) -> Result<Response<Body>, Problem> {
    let page = RecoverPage { style: STYLE, enterprise: enterprise.unwrap_or_default() }.render()?;
    Ok(with_origin(scheme, page))
}

/// The page that shows new recovery codes, or asks whether to make any.
pub fn recovery_codes(
    scheme: &str,
    codes: &[String],
    left: Option<usize>,
) -> Result<Response<Body>, Problem> {
    let page = RecoveryCodesPage { style: STYLE, codes, left }.render()?;
    Ok(with_origin(scheme, page))
}

/// A page whose form posts to its own host, which looks at where a form comes from.
fn with_origin(scheme: &str, page: String) -> Response<Body> {
    let mut response = html(page, &format!("form-action {}", form_targets(scheme)));
    // With `no-referrer` browsers send `Origin: null`, and the form's sender could not be told.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
    response
}

/// Where a form may lead. Browsers hold every redirect that answers a form to this as well, and an IdP may redirect to any
/// host of its own before it shows a page; to list all IdPs would name every customer. So the scheme has to do.
fn form_targets(scheme: &str) -> &'static str {
    if scheme == "https" { "https:" } else { "http: https:" }
}

static STYLE_HASH: LazyLock<String> = LazyLock::new(|| hash(STYLE));
static SUBMIT_HASH: LazyLock<String> = LazyLock::new(|| hash(SUBMIT));

/// As a Content-Security-Policy names inline code.
fn hash(code: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(code)))
}

fn html(page: String, policy: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(page));
    respond::harden(&mut response);
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = format!(
        "default-src 'none'; style-src '{}'; frame-ancestors 'none'; base-uri 'none'; {policy}",
        *STYLE_HASH
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        fields.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(response: Response<Body>) -> (String, String) {
        use http_body_util::BodyExt as _;
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let bytes = runtime.block_on(response.into_body().collect()).unwrap().to_bytes();
        (policy, String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// What stands between the tags, as a browser hashes it.
    fn inline<'a>(page: &'a str, tag: &str) -> &'a str {
        assert_eq!(page.matches(&format!("<{tag}")).count(), 1, "{page}");
        page.split_once(&format!("<{tag}>"))
            .and_then(|(_, rest)| rest.split_once(&format!("</{tag}>")))
            .unwrap()
            .0
    }

    #[test]
    fn the_policy_allows_the_one_script_and_style_that_are_there() {
        let (policy, page) =
            shown(post("https://idp.example.com/sso?a=1&b=2", "SAMLRequest", "PHg+", Some("rs")).unwrap());
        assert!(policy.contains(&format!("script-src '{}'", hash(inline(&page, "script")))), "{policy}");
        assert!(policy.contains(&format!("style-src '{}'", hash(inline(&page, "style")))), "{policy}");
        assert!(
            policy.starts_with("default-src 'none'") && policy.ends_with("form-action https:"),
            "{policy}"
        );
        assert!(page.contains("action=\"https://idp.example.com/sso?a=1&#38;b=2\""), "{page}");
        assert!(page.contains("<button"), "{page}");
    }

    #[test]
    fn s_102_values_are_escaped() {
        let evil = "\"><script>alert(1)</script>";
        for page in [
            shown(post(evil, "SAMLRequest", evil, Some(evil)).unwrap()).1,
            shown(choose("https", evil, Some(evil)).unwrap()).1,
        ] {
            assert!(!page.contains("<script>alert"), "{page}");
        }
    }

    #[test]
    fn the_chooser_runs_nothing() {
        let (policy, page) = shown(choose("https", "/", None).unwrap());
        assert!(!policy.contains("script-src") && !page.contains("<script"), "{policy}");
        assert!(page.contains("<label for=\"email\">") && !page.contains("role=\"alert\""), "{page}");
        let (_, page) = shown(choose("http", "/", Some("alice@nowhere.example")).unwrap());
        assert!(
            page.contains("role=\"alert\"") && page.contains("value=\"alice@nowhere.example\""),
            "{page}"
        );
    }
}
