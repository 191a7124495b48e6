//! The page that asks before a sign-out, and the form that carries a message to the IdP.
use askama::Template;
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, Response, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::{edge::respond, proxy::Body};

/// Stands within the page, as in the error pages.
const STYLE: &str = include_str!("../../../templates/style.css");
/// Submits the one form of the page; without scripts its button does.
const SUBMIT: &str = "document.forms[0].submit();";

#[derive(Template)]
#[template(path = "edge/sign_out.html")]
struct SignOutPage {
    style: &'static str,
    everywhere: bool,
}

#[derive(Template)]
#[template(path = "edge/post.html")]
struct PostPage<'a> {
    style: &'static str,
    script: &'static str,
    url: &'a str,
    parameter: &'a str,
    message: &'a str,
    relay_state: Option<&'a str>,
}

/// Asks whether to sign out; the form posts to the page's own address. `everywhere` if the IdP is told.
pub fn sign_out(everywhere: bool) -> Result<Response<Body>, askama::Error> {
    let mut response = page(SignOutPage { style: STYLE, everywhere }.render()?, None);
    // With `no-referrer` browsers send `Origin: null`, and the form's sender could not be told.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
    Ok(response)
}

/// The HTTP-POST binding (SAML Bindings 3.5.4): a form that submits itself.
pub fn post(
    url: &str,
    parameter: &str,
    message: &str,
    relay_state: Option<&str>,
) -> Result<Response<Body>, askama::Error> {
    let page_text =
        PostPage { style: STYLE, script: SUBMIT, url, parameter, message, relay_state }.render()?;
    Ok(page(page_text, Some(SUBMIT)))
}

/// Nothing but our own style and script runs. Where forms go is not limited: browsers judge the redirects that follow by it,
/// too, and those are the IdP's.
fn page(html: String, script: Option<&str>) -> Response<Body> {
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
    let mut policy =
        format!("default-src 'none'; style-src {}; frame-ancestors 'none'; base-uri 'none'", hash(STYLE));
    if let Some(script) = script {
        policy.push_str("; script-src ");
        policy.push_str(&hash(script));
    }
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = StatusCode::OK;
    respond::harden(&mut response);
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        fields.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn text(response: Response<Body>) -> (String, String) {
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let bytes = runtime.block_on(response.into_body().collect()).unwrap().to_bytes();
        (policy, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn s_97_values_of_a_message_are_escaped_in_the_form() {
        let (policy, html) = text(
            post("https://idp.example.com/slo?a=\"b\"", "SAMLResponse", "PHg+", Some("\"><script>")).unwrap(),
        );
        assert!(!html.contains("\"><script>") && !html.contains("a=\"b\""), "{html}");
        assert_eq!(html.matches("<script").count(), 1);
        let script =
            html.split_once("<script>").and_then(|(_, rest)| rest.split_once("</script>")).unwrap().0;
        let hash = BASE64_STANDARD.encode(Sha256::digest(script));
        assert!(policy.contains(&format!("script-src 'sha256-{hash}'")), "{policy}");
        let style = html.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).unwrap().0;
        let hash = BASE64_STANDARD.encode(Sha256::digest(style));
        assert!(policy.contains(&format!("style-src 'sha256-{hash}'")), "{policy}");
    }
}
