//! The demo's origin server: shows the identity that the gateway sent along.
use std::{collections::BTreeMap, future::Future, io, net::SocketAddr, sync::Arc};

use askama::Template;
use axum::{
    Router,
    extract::{Request, State},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Fields with this prefix tell who the person is and where the request came from.
const PREFIX: &str = "x-forwarded-";
/// Where the gateway starts a sign-in.
const SIGN_IN_PATH: &str = "/saml/login?return_to=/";
/// Where the gateway signs people out.
const SIGN_OUT_PATH: &str = "/saml/logout";

/// An origin server that listens and is not serving yet.
pub struct Origin {
    listener: TcpListener,
    address: SocketAddr,
    idp_url: String,
}

#[derive(Template)]
#[template(path = "demo/origin.html")]
struct OriginPage<'a> {
    path: &'a str,
    user: Option<&'a str>,
    organizations: Vec<&'a str>,
    fields: Vec<(&'a str, String)>,
    idp_url: &'a str,
    sign_in_path: &'a str,
    sign_out_path: &'a str,
}

impl Origin {
    /// Takes the port; 0 takes a free one. `idp_url` is where people edit groups.
    pub async fn bind(listen: SocketAddr, idp_url: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        Ok(Self { address: listener.local_addr()?, listener, idp_url: idp_url.into() })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let router = Router::new()
            .route("/demo/style.css", get(style))
            .fallback(show)
            .with_state(Arc::<str>::from(self.idp_url));
        crate::idp::serve(self.listener, router, shutdown).await
    }
}

/// The identity fields and the path: a page, or JSON for whoever asks for it.
async fn show(State(idp_url): State<Arc<str>>, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let fields = identity(request.headers());
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.starts_with("application/json")) {
        return json_answer(path, &fields);
    }
    match html_answer(path, &fields, &idp_url) {
        Ok(html) => html,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Field lines by lower-case name: a field that came twice has two values, so that nobody overlooks it.
fn identity(headers: &HeaderMap) -> BTreeMap<&str, Vec<String>> {
    let mut fields: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with(PREFIX)) {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        fields.entry(name.as_str()).or_default().push(value);
    }
    fields
}

fn json_answer(path: &str, fields: &BTreeMap<&str, Vec<String>>) -> Response {
    let value = |values: &Vec<String>| match values.as_slice() {
        [one] => Value::from(one.as_str()),
        several => Value::from(several),
    };
    let fields: serde_json::Map<_, _> =
        fields.iter().map(|(name, values)| ((*name).to_owned(), value(values))).collect();
    let body = json!({ "path": path, "fields": fields }).to_string();
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

fn html_answer(
    path: &str,
    fields: &BTreeMap<&str, Vec<String>>,
    idp_url: &str,
) -> Result<Response, askama::Error> {
    let first = |name: &str| fields.get(name).and_then(|values| values.first()).map(String::as_str);
    let organizations = first("x-forwarded-organizations").unwrap_or_default();
    let html = OriginPage {
        path,
        user: first("x-forwarded-user"),
        organizations: list(organizations),
        fields: fields.iter().map(|(name, values)| (*name, values.join(" | "))).collect(),
        idp_url,
        sign_in_path: SIGN_IN_PATH,
        sign_out_path: SIGN_OUT_PATH,
    }
    .render()?;
    // A sign-out goes on to the identity provider: browsers judge redirects by form-action, too.
    let policy = format!(
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self' {idp_url}; frame-ancestors 'none'"
    );
    let fields = [
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((fields, Html(html)).into_response())
}

/// The entries of a comma-joined field.
pub(super) fn list(field: &str) -> Vec<&str> {
    field.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect()
}

async fn style() -> Response {
    let css = include_str!("../../templates/style.css");
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], css).into_response()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn shows_what_came_and_escapes_it() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-user", HeaderValue::from_static("<b>alice"));
        headers.append("x-forwarded-user", HeaderValue::from_static("mallory"));
        headers.append("x-forwarded-organizations", HeaderValue::from_static("octo-org,docs-team"));
        headers.append("cookie", HeaderValue::from_static("secret"));
        let fields = identity(&headers);
        assert_eq!(fields.len(), 2);
        assert_eq!(fields["x-forwarded-user"], ["<b>alice", "mallory"]);
        let page = OriginPage {
            path: "/<i>",
            user: Some("<b>alice"),
            organizations: list("octo-org, docs-team"),
            fields: vec![("x-forwarded-user", "<b>alice | mallory".into())],
            idp_url: "http://idp",
            sign_in_path: SIGN_IN_PATH,
            sign_out_path: SIGN_OUT_PATH,
        };
        let html = page.render().unwrap();
        assert!(!html.contains("<b>alice") && !html.contains("<i>"));
        assert!(html.contains("<li>octo-org</li>") && html.contains("<li>docs-team</li>"));
        assert!(html.contains("alice | mallory"));
    }
}
