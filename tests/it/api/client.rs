//! A program that calls the API: any method, any body, any fields, no cookies but those that it is told.
use http::{Method, Request};
use portcullis::{api::PREFIX, edge::cookies::SESSION};
use serde_json::Value;

pub use crate::support::call::Answer;
use crate::support::call::call;

/// What is shown.
#[derive(Debug, Clone)]
pub enum Credential {
    Nothing,
    /// A personal access token.
    Token(String),
    /// A cookie, sent by a page of the gateway's own origin.
    Session(String),
    /// The same cookie, sent by another site's page.
    CrossOrigin(String),
}

impl Answer {
    /// The code of a refusal.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Of one gateway, by its URL.
#[derive(Debug, Clone)]
pub struct Client {
    pub url: String,
    pub credential: Credential,
}

impl Client {
    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let json = [("content-type", "application/json")];
        let fields = if body.is_some() { &json[..] } else { &[] };
        let body = body.map(Value::to_string).unwrap_or_default();
        self.raw(method, path, fields, body.into_bytes()).await
    }

    pub async fn raw(&self, method: &str, path: &str, fields: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let authority = self.url.trim_start_matches("http://");
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(format!("{PREFIX}{path}"))
            .header("host", authority);
        request = match &self.credential {
            Credential::Nothing => request,
            Credential::Token(token) => request.header("authorization", format!("Bearer {token}")),
            Credential::Session(token) => request
                .header("cookie", format!("{SESSION}={token}"))
                .header("sec-fetch-site", "same-origin")
                .header("origin", &self.url),
            Credential::CrossOrigin(token) => request
                .header("cookie", format!("{SESSION}={token}"))
                .header("sec-fetch-site", "same-site")
                .header("origin", "https://evil.example.com"),
        };
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        call(authority, request, body).await
    }
}
